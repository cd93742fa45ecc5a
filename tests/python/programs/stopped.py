"""Is stopped by a signal for seconds and let go on; prints what its clock said then, as JSON."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from os import getpid

from portacode.utils.ntp_clock import NTPClock


class Kept(logging.Handler):
    """Keeps the lines that tell of a disruption."""

    def __init__(self) -> None:
        super().__init__()
        self.reported: list[list[str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Of each the code, the level and the words."""
        code = getattr(record, "code", None)
        if code == "paused":
            self.reported.append([code, record.levelname, record.getMessage()])


kept = Kept()
logger = logging.getLogger("portacode.utils.ntp_clock")
logger.setLevel(logging.DEBUG)
logger.addHandler(kept)
clock = NTPClock(sys.argv[1], sync_interval=3600)
if not clock.wait_synced(30):
    sys.exit(f"no reply: {clock.get_status()}")
time.sleep(1)  # The first round is over.
asked = clock.get_status()["requests"]
process = getpid()
waker = subprocess.Popen(["sh", "-c", f"kill -STOP {process}; sleep 8; kill -CONT {process}"])
off_ns = []
deadline = time.monotonic() + 60
while time.monotonic() < deadline:
    before = time.time_ns()
    reading = clock.read()
    after = time.time_ns()
    if reading is None:
        sys.exit(f"no reading: {clock.get_status()}")
    error = max(before - reading.time_ns, reading.time_ns - after)
    off_ns.append(error - reading.max_error_ns)
    if kept.reported and clock.get_status()["requests"] > asked:
        break
    time.sleep(0.01)
waker.wait()
status = clock.get_status()
print(
    json.dumps(
        {
            "reported": kept.reported,
            "asked_again": status["requests"] > asked,
            "worst_ns": max(off_ns),
            "epoch": status["epoch"],
            "disruptions": status["disruptions"],
            "last_disruption": status["last_disruption"],
        }
    )
)
