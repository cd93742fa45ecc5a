"""Readers in many threads while the clock synchronises as often as it may."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from portacode.utils.ntp_clock import NTPClock


def test_readings_of_many_threads_never_decrease_within_an_epoch(time_server: str) -> None:
    clock = NTPClock(time_server, sync_interval=1)
    assert clock.wait_synced(60)
    ends = time.monotonic() + 6
    newest: dict[int, int] = {}
    lock = threading.Lock()
    wrong: list[str] = []

    def read() -> None:
        while time.monotonic() < ends and not wrong:
            with lock:
                floor = dict(newest)
            reading = clock.read()
            if reading is None:
                wrong.append("no reading")
            elif reading.time_ns < floor.get(reading.epoch, 0):
                wrong.append(f"{reading!r} after {floor}")
            else:
                with lock:
                    seen = newest.get(reading.epoch, 0)
                    newest[reading.epoch] = max(seen, reading.time_ns)

    switched = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        readers = [threading.Thread(target=read) for _ in range(16)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
    finally:
        sys.setswitchinterval(switched)
    assert wrong == []
    assert list(newest) == [1]


@pytest.mark.parametrize("method", ["now", "now_ms", "now_ns", "now_iso"])
def test_each_form_of_the_time_never_decreases(synced: NTPClock, method: str) -> None:
    call = getattr(synced, method)
    values = [call() for _ in range(100_000)]
    assert all(a <= b for a, b in zip(values, values[1:]))
