"""Waits for the clock where gevent has exchanged threads for greenlets."""

import gevent.monkey

gevent.monkey.patch_all()

import json

import gevent

from portacode.utils.ntp_clock import ntp_clock

ticks = 0


def tick() -> None:
    global ticks
    while True:
        ticks += 1
        gevent.sleep(0.01)


gevent.spawn(tick)
waited = ntp_clock.wait_synced(10)
synced = ntp_clock.sync()
print(json.dumps({"waited": waited, "synced": synced, "ticks": ticks}))
