"""The command `system_info`."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sys
import time
from typing import Any

import portacode
from portacode.connection.handlers.base import Context, SyncHandler
from portacode.connection.messages import clock_summary


class SystemInfo(SyncHandler):
    """Tells about the machine and the process; null is what the system does not tell."""

    command = "system_info"
    timeout_s = 10.0

    def execute(self, payload: Any, context: Context) -> Any:  # noqa: ARG002
        """All of it; a disk that does not answer takes the time it takes."""
        return {
            "hostname": platform.node(),
            "system": platform.system(),
            "release": platform.release(),
            "machine": platform.machine(),
            "python": platform.python_version(),
            "portacode": portacode.__version__,
            "cpus": os.cpu_count(),
            "load": _load(),
            "memory": _memory(),
            "disk": _disk(),
            "uptime_s": _uptime_s(),
            "process": {"pid": os.getpid(), "cpu_s": time.process_time()},
            "clock": clock_summary(self.clock),
        }


def _load() -> list[float] | None:
    with contextlib.suppress(OSError, AttributeError):
        return list(os.getloadavg())
    return None


def _memory() -> dict[str, int] | None:
    """In bytes, as Linux tells it."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            lines = dict(line.split(":", 1) for line in file if ":" in line)
        kib = {name: int(lines[name].split()[0]) for name in ("MemTotal", "MemAvailable")}
    except (OSError, KeyError, ValueError, IndexError):
        return None
    return {
        "total_bytes": kib["MemTotal"] * 1024,
        "available_bytes": kib["MemAvailable"] * 1024,
    }


def _disk() -> dict[str, int] | None:
    """Of the file system that the process is on."""
    try:
        usage = shutil.disk_usage(os.path.splitdrive(sys.prefix)[0] or "/")
    except OSError:
        return None
    return {"total_bytes": usage.total, "free_bytes": usage.free}


def _uptime_s() -> float | None:
    try:
        with open("/proc/uptime", encoding="ascii") as file:
            return float(file.read().split()[0])
    except (OSError, ValueError, IndexError):
        return None
