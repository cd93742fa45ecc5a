"""Waiting, in threads and in tasks, for a clock that is not synchronised yet."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from support import eventually, quickest_s

from portacode.utils.ntp_clock import ManualClock, NTPClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from support import FaultyServer


def test_waiting_in_vain_ends_at_the_timeout(unsynced: NTPClock) -> None:
    started = time.monotonic()
    assert unsynced.wait_synced(0.2) is False
    assert 0.2 <= time.monotonic() - started < 10
    assert unsynced.wait_synced(0) is False


def test_no_timeout_waits_for_as_long_as_it_takes(
    faulty_server: Callable[..., FaultyServer],
) -> None:
    server = faulty_server("--fault", "silence")
    late = NTPClock(server.address)
    assert late.now_ms() is None
    server.change("silence off")
    assert late.wait_synced() is True

    def first_reading_s() -> float:
        started = time.monotonic()
        clock = NTPClock(server.address)
        assert clock.wait_synced() is True
        took_s = time.monotonic() - started
        assert clock.now_ms() is not None
        return took_s

    assert quickest_s(first_reading_s, 1.5) < 1.5, "the first reply is enough, not the whole round"


def test_an_infinite_timeout_is_one(synced: NTPClock) -> None:
    assert synced.wait_synced(float("inf")) is True
    assert synced.wait_synced(1e300) is True


def test_a_log_handler_that_blocks_delays_nobody_who_waits(
    faulty_server: Callable[..., FaultyServer],
) -> None:
    class Blocking(logging.Handler):
        def emit(self, _record: logging.LogRecord) -> None:
            held.set()
            release.wait(60)

    held, release = threading.Event(), threading.Event()
    logger = logging.getLogger("portacode.utils.ntp_clock")
    handler = Blocking(logging.DEBUG)
    logger.addHandler(handler)
    try:
        # Refused at first: the warning about that is what the handler hangs on.
        server = faulty_server("--fault", "kiss RATE")
        other = faulty_server("--delay", "20ms")
        refused = NTPClock(server.address)
        assert held.wait(60)
        assert refused.sync() is False, "it is answered that it may not ask"
        clock = NTPClock(other.address)
        assert clock.wait_synced(60) is True
        assert eventually(clock.sync)
        assert asyncio.run(clock.wait_synced_async(60)) is True
        assert not release.is_set()
    finally:
        release.set()
        logger.removeHandler(handler)


def test_other_threads_go_on_while_one_waits(faulty_server: Callable[..., FaultyServer]) -> None:
    server = faulty_server("--fault", "silence")
    clock = NTPClock(server.address)
    waiting = threading.Thread(target=clock.wait_synced)
    waiting.start()
    for _ in range(50):
        time.sleep(0.001)
        assert waiting.is_alive()
    server.change("silence off")
    waiting.join(60)
    assert not waiting.is_alive()


def test_all_threads_that_wait_are_woken() -> None:
    clock = ManualClock()
    with ThreadPoolExecutor(16) as pool:
        waiting = [pool.submit(clock.wait_synced, 60) for _ in range(16)]
        time.sleep(0.1)
        assert not any(future.done() for future in waiting)
        clock.set(1)
        assert all(future.result(60) for future in waiting)


def test_threads_that_sync_at_once_share_attempts(synced: NTPClock) -> None:
    before = synced.get_status()["requests"]
    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(lambda _: synced.sync(), range(16)))
    assert synced.get_status()["requests"] - before <= 16


def test_a_task_waits_without_blocking_its_loop(faulty_server: Callable[..., FaultyServer]) -> None:
    server = faulty_server("--fault", "silence")
    clock = NTPClock(server.address)

    async def both() -> bool:
        waiting = asyncio.ensure_future(clock.wait_synced_async(60))
        for _ in range(20):
            await asyncio.sleep(0.001)
            assert not waiting.done()
        server.change("silence off")
        return await waiting

    assert asyncio.run(both()) is True


def test_a_task_that_waits_in_vain_ends_at_its_timeout(unsynced: NTPClock) -> None:
    started = time.monotonic()
    assert asyncio.run(unsynced.wait_synced_async(0.1)) is False
    assert 0.1 <= time.monotonic() - started < 10
    assert asyncio.run(unsynced.wait_synced_async(0)) is False


def test_a_cancelled_task_is_cancelled(unsynced: NTPClock) -> None:
    async def cancel_many() -> None:
        tasks = [asyncio.ensure_future(unsynced.wait_synced_async()) for _ in range(100)]
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results)

    asyncio.run(cancel_many())


def test_wait_for_may_bound_it(unsynced: NTPClock) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(unsynced.wait_synced_async(), 0.05)

    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(bounded())


def test_tasks_on_many_loops_are_all_woken() -> None:
    clock = ManualClock()

    async def several() -> list[bool]:
        return await asyncio.gather(*(clock.wait_synced_async(60) for _ in range(10)))

    with ThreadPoolExecutor(8) as pool:
        loops = [pool.submit(asyncio.run, several()) for _ in range(8)]
        time.sleep(0.2)
        clock.set(1)
        assert [loop.result(60) for loop in loops] == [[True] * 10] * 8


def test_a_clock_that_is_gone_takes_its_threads_and_descriptors_along(time_server: str) -> None:
    def threads() -> int:
        return sum(thread.name == "ntp-clock-events" for thread in threading.enumerate())

    gc.collect()
    # Those of clocks of other tests end first.
    counts = [threads()]
    while len(counts) < 25 or len(set(counts[-25:])) > 1:
        time.sleep(0.02)
        counts.append(threads())
    before = counts[-1]
    clocks = [NTPClock(time_server) for _ in range(20)]
    assert all(clock.wait_synced(60) for clock in clocks)
    assert threads() == before + 20
    clocks.clear()
    gc.collect()
    assert eventually(lambda: threads() == before)
