"""Waits for the clock where eventlet or gevent has exchanged threads for greenlets.

Arguments: which of them, and whether it does so before the clock is imported or after.
"""

import sys

kind, when = sys.argv[1:]


def patch() -> None:
    if kind == "gevent":
        import gevent.monkey

        gevent.monkey.patch_all()
    else:
        import eventlet

        eventlet.monkey_patch()


if when == "before":
    patch()

import json
import logging

from portacode.utils.ntp_clock import ManualClock, ntp_clock

if when == "after":
    patch()


class Logged(logging.Handler):
    lines = 0

    def emit(self, _record: logging.LogRecord) -> None:
        Logged.lines += 1


logger = logging.getLogger("portacode.utils.ntp_clock")
logger.setLevel(logging.DEBUG)
logger.addHandler(Logged())

import threading
import time

ticks = 0


def tick() -> None:
    global ticks
    while True:
        ticks += 1
        time.sleep(0.01)


threading.Thread(target=tick, daemon=True).start()
waited = ntp_clock.wait_synced(60)
synced = ntp_clock.sync()
in_vain = ManualClock().wait_synced(0.5)
counted = ticks
deadline = time.monotonic() + 10
while not Logged.lines and time.monotonic() < deadline:
    time.sleep(0.05)
print(
    json.dumps(
        {
            "waited": waited,
            "synced": synced and not in_vain,
            "ticks": counted,
            "logged": Logged.lines > 0,
        }
    )
)
