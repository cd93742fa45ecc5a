"""Against Debian's chrony, which tells this machine's own clock: the truth is known."""

from __future__ import annotations

import re
import statistics
import time
from typing import TYPE_CHECKING

from support import PACKAGE, eventually, quickest_s

from portacode.utils.ntp_clock import NTPClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from support import FaultyServer


def test_the_first_reading_is_there_one_round_trip_after_the_start(chrony: str) -> None:
    def first_reading_s() -> float:
        started = time.perf_counter()
        clock = NTPClock(chrony)
        assert clock.wait_synced(60)
        took_s = time.perf_counter() - started
        assert clock.read() is not None
        return took_s

    # A round trip on loopback takes 0.1 ms, making a clock and its threads somewhat more.
    assert quickest_s(first_reading_s, 0.02) < 0.02


def test_every_reading_is_within_its_max_error_and_the_median_within_100_us(chrony: str) -> None:
    clock = NTPClock(chrony, sync_interval=1)
    assert clock.wait_synced(60)

    def median_ns() -> float:
        errors_ns = []
        ends = time.monotonic() + 5
        while time.monotonic() < ends:
            before = time.time_ns()
            reading = clock.read()
            after = time.time_ns()
            assert reading is not None
            assert before - reading.max_error_ns <= reading.time_ns <= after + reading.max_error_ns
            errors_ns.append(abs(reading.time_ns - (before + after) // 2))
            time.sleep(0.001)
        return statistics.median(errors_ns)

    # Longer where replies were kept waiting: only a quick one tells the time so well.
    assert eventually(lambda: median_ns() < 100_000)


def test_the_status_of_a_synchronised_clock_tells_everything(chrony: str) -> None:
    synced = NTPClock(chrony)
    assert synced.wait_synced(60)
    # The first reply may have been kept waiting; later ones tell more.
    assert eventually(lambda: (synced.get_status()["max_error_ms"] or 100) < 100)
    status = synced.get_status()
    assert status["state"] == "synchronised"
    assert 0 < (status["est_error_ms"] or 0) <= (status["max_error_ms"] or 0) < 100
    assert 0 < (status["delay_ms"] or 0) < 100
    assert type(status["drift_ppm"]) is float
    assert (status["stratum"], status["leap"]) == (1, 0)
    assert status["reference_id"] == "127.127.1.1"
    assert status["address"] == chrony
    assert status["attempts"] == 0
    assert status["rejections"] == {}
    assert status["last_error"] is None
    assert (status["next_sync"] or "") >= (status["last_sync"] or "-")
    assert status["epoch"] == 1
    assert status["believed"] >= 1
    assert status["requests"] >= status["believed"]
    assert type(status["counter"]) is str


def test_every_key_of_the_status_is_declared_and_no_other(synced: NTPClock) -> None:
    stub = (PACKAGE / "_native.pyi").read_text()
    declared = stub.split("class ClockStatus")[1].split("@final")[0]
    names = re.findall(r"^    (\w+):", declared, re.MULTILINE)
    assert sorted(names) == sorted(synced.get_status())


def test_events_captured_before_the_first_reply_are_dated_afterwards(
    faulty_server: Callable[..., FaultyServer],
) -> None:
    server = faulty_server("--fault", "silence")
    clock = NTPClock(server.address)
    early, early_time = time.perf_counter_ns(), time.time_ns()
    assert clock.at_perf_counter_ns(early) is None, "no reply yet, no guess"
    server.change("silence off")
    assert clock.wait_synced(60)
    late, late_time = time.perf_counter_ns(), time.time_ns()
    for counter, truth in ((early, early_time), (late, late_time)):
        reading = clock.at_perf_counter_ns(counter)
        assert reading is not None
        assert abs(reading.time_ns - truth) <= reading.max_error_ns
