"""Fresh starts of one of Python's NTP clients: network.py CLIENT PARALLEL < ports.

Reads a JSON list of ports of 127.0.0.1, one server for each start, and prints a JSON list of what
became of each. The servers' truth is this machine's wall clock, the clock that these clients
correct, so the offset that they find is their error.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ntplib

_TIMEOUT_S = 2
_local = threading.local()
_request = ntplib.NTPClient.request


def _to_our_port(client: Any, _host: str, **options: Any) -> Any:
    options["port"] = _local.port
    return _request(client, "127.0.0.1", **options)


def _ntplib() -> float | None:
    offset: float = ntplib.NTPClient().request("127.0.0.1", version=4, timeout=_TIMEOUT_S).offset
    return offset


def _portacode() -> float | None:
    from portacode.utils.ntp_clock import NTPClock

    clock = NTPClock("127.0.0.1")
    clock.start_auto_sync()
    offset: float | None = clock.offset
    return offset


def _start(client: str, port: int) -> dict[str, float]:
    _local.port = port
    started = time.perf_counter()
    try:
        offset = _ntplib() if client == "ntplib" else _portacode()
    except ntplib.NTPException:
        return {}
    if offset is None:
        return {}
    took = time.perf_counter() - started
    return {"first_reading_s": took, "first_error_ms": offset * 1e3, "error_ms": offset * 1e3}


def main() -> None:
    """Runs the starts."""
    logging.disable()
    ntplib.NTPClient.request = _to_our_port
    client, parallel = sys.argv[1], int(sys.argv[2])
    ports = json.load(sys.stdin)
    if client != "ntplib":
        # Importing it synchronises its shared clock, with nobody here.
        _local.port = 9
        import portacode.utils.ntp_clock  # noqa: F401
    with ThreadPoolExecutor(parallel) as pool:
        starts = list(pool.map(lambda port: _start(client, port), ports))
    json.dump(starts, sys.stdout)


main()
