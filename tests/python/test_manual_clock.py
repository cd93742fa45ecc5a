"""The clock that users' own tests set by hand."""

from __future__ import annotations

import asyncio
import math
import pickle
import re
import threading
import time

import pytest

from portacode.utils.ntp_clock import ClockStamp, ManualClock, NTPClock, Reading


def test_it_stands_in_for_a_clock_and_starts_unsynchronised() -> None:
    clock = ManualClock()
    assert isinstance(clock, NTPClock)
    assert clock.now_ms() is None
    assert clock.read() is None
    assert clock.sync() is False
    assert clock.get_status()["is_synced"] is False
    assert repr(clock) == "<ManualClock 'manual' failed: no reading>"


def test_it_tells_the_time_that_was_set_and_time_passes_on_command() -> None:
    clock = ManualClock()
    clock.set(1_759_639_032_768_445_999, max_error_ns=2_000_000)
    assert clock.now_ns() == 1_759_639_032_768_445_999
    assert clock.now_ms() == 1_759_639_032_768
    assert clock.now_iso() == "2025-10-05T04:37:12.768445+00:00"
    time.sleep(0.01)
    assert clock.now_ns() == 1_759_639_032_768_445_999
    clock.advance(0.5)
    assert clock.now_ms() == 1_759_639_033_268
    assert clock.now() == pytest.approx(1_759_639_033.268446, abs=1e-6)
    assert clock.sync() is True


def test_its_status_is_like_that_of_any_synchronised_clock() -> None:
    clock = ManualClock()
    clock.set(1_759_639_032_768_445_999, max_error_ns=2_000_000)
    clock.advance(2.5)
    status = clock.get_status()
    assert status["is_synced"] is True
    assert status["state"] == "synchronised"
    assert status["last_sync"] == "2025-10-05T04:37:12.768445+00:00"
    assert status["time_since_sync_sec"] == 2.5
    assert (status["max_error_ms"], status["last_error"]) == (2.0, None)
    assert clock.last_sync == pytest.approx(1_759_639_032.768446, abs=1e-6)


def test_milliseconds_are_floored_also_before_1970() -> None:
    clock = ManualClock()
    clock.set(-1)
    assert clock.now_ms() == -1
    assert clock.now_iso() == "1969-12-31T23:59:59.999999+00:00"


def test_its_readings_have_the_error_that_was_set() -> None:
    clock = ManualClock()
    clock.set(1_000, max_error_ns=300)
    reading = clock.read()
    assert reading is not None
    assert (reading.max_error_ns, reading.est_error_ns, reading.epoch) == (300, 100, 1)


def test_setting_it_back_begins_a_new_epoch() -> None:
    clock = ManualClock()
    clock.set(2_000)
    clock.set(3_000)
    assert clock.get_status()["epoch"] == 1
    clock.set(1_000)
    assert clock.get_status()["epoch"] == 2


def test_it_fails_on_command() -> None:
    clock = ManualClock()
    clock.set(1_000)
    clock.fail()
    assert (clock.now(), clock.now_ms(), clock.now_iso(), clock.read()) == (None,) * 4
    assert clock.get_status()["state"] == "failed"


def test_setting_it_wakes_a_thread_that_waits() -> None:
    clock = ManualClock()
    threading.Timer(0.05, clock.set, (1_000,)).start()
    started = time.monotonic()
    assert clock.wait_synced(60) is True
    assert time.monotonic() - started < 50


def test_setting_it_wakes_a_task_that_waits() -> None:
    async def wait() -> bool:
        clock = ManualClock()
        asyncio.get_running_loop().call_later(0.05, clock.set, 1_000)
        return await clock.wait_synced_async(60)

    assert asyncio.run(wait()) is True


def test_impossible_settings_are_refused() -> None:
    clock = ManualClock()
    with pytest.raises(ValueError, match="max_error_ns must not be negative, but is -1"):
        clock.set(0, max_error_ns=-1)
    for seconds in (-1, math.nan, math.inf):
        with pytest.raises(ValueError, match="a clock advances by 0 or more seconds, not "):
            clock.advance(seconds)
    with pytest.raises(OverflowError):
        clock.set(2**63)


def test_it_needs_no_thread_and_no_descriptor() -> None:
    before = threading.active_count()
    clocks = [ManualClock() for _ in range(50)]
    # Clocks of other tests may end meanwhile.
    assert threading.active_count() <= before
    assert len(clocks) == 50


def test_its_stamps_have_a_counter_that_goes_on_as_time_is_advanced() -> None:
    clock = ManualClock()
    before = clock.stamp()
    assert before.reading is None
    assert re.fullmatch("[0-9a-f]{16}", before.counter)
    clock.advance(2.5)
    clock.set(1_759_639_032_768_000_000, max_error_ns=1_000_000)
    after = clock.stamp()
    assert after.counter == before.counter == clock.counter_id
    assert clock.get_status()["counter_id"] == before.counter
    assert after.counter_ns - before.counter_ns == 2_500_000_000
    assert after.reading == clock.read()
    assert ManualClock().counter_id != before.counter


def test_a_stamp_is_a_value_that_can_be_compared_and_pickled() -> None:
    reading = Reading(1_000, 20, 10, 3)
    stamp = ClockStamp(5, "5e884898da280471", reading)
    assert stamp == ClockStamp(5, "5e884898da280471", Reading(1_000, 20, 10, 3))
    assert stamp != ClockStamp(5, "5e884898da280471")
    assert len({stamp, pickle.loads(pickle.dumps(stamp))}) == 1
    assert repr(stamp) == (
        "ClockStamp(counter_ns=5, counter='5e884898da280471', reading=Reading(time_ns=1000,"
        " max_error_ns=20, est_error_ns=10, epoch=3))"
    )
