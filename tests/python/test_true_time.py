"""What has certainly passed, waiting until something has, and hybrid logical stamps."""

from __future__ import annotations

import asyncio
import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from portacode.utils.ntp_clock import (
    HybridClock,
    HybridError,
    HybridTime,
    ManualClock,
    NTPClock,
    Reading,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from support import FaultyServer

TIME_NS = 1_759_639_032_000_000_000
MS = 1_000_000


def manual(max_error_ns: int = 5 * MS) -> ManualClock:
    clock = ManualClock()
    clock.set(TIME_NS, max_error_ns)
    return clock


def test_without_a_reading_nothing_is_past_or_future_and_with_one_its_bound_decides() -> None:
    def answers(time_ns: int) -> tuple[object, ...]:
        bound = clock.earliest_ns(), clock.latest_ns()
        return *bound, clock.is_past(time_ns), clock.is_future(time_ns)

    clock = ManualClock()
    assert answers(TIME_NS) == (None, None, None, None)
    assert (clock.earliest(), clock.latest()) == (None, None)
    clock.set(TIME_NS, 5)
    bound = TIME_NS - 5, TIME_NS + 5
    assert answers(TIME_NS - 6) == (*bound, True, False)
    for within in (TIME_NS - 5, TIME_NS, TIME_NS + 5):
        assert answers(within) == (*bound, False, False)
    assert answers(TIME_NS + 6) == (*bound, False, True)
    with pytest.raises(TypeError):
        clock.is_past(1.7e9)  # type: ignore[arg-type]


def test_seconds_lose_nothing_of_the_bound() -> None:
    clock = ManualClock()
    for max_error_ns in (0, 1, 333, 123_456_789):
        clock.set(TIME_NS, max_error_ns)
        earliest, latest = clock.earliest(), clock.latest()
        assert earliest is not None
        assert latest is not None
        earliest_ns, latest_ns = Fraction(earliest) * 10**9, Fraction(latest) * 10**9
        assert earliest_ns <= TIME_NS - max_error_ns
        assert latest_ns >= TIME_NS + max_error_ns
        assert latest_ns - earliest_ns <= 2 * max_error_ns + 480
    clock.set(TIME_NS, 0)
    assert clock.earliest() == clock.latest() == 1_759_639_032.0


def test_a_wait_outlasts_an_error_that_grows_and_a_clock_that_fails() -> None:
    clock = manual()

    def still_waits(why: str) -> None:
        # Twice as long as it takes to look again.
        time.sleep(0.11)
        assert not waiting.done(), why

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(clock.wait_until_past, TIME_NS, 60)
        still_waits("at once")
        clock.set(TIME_NS + 6 * MS, 50 * MS)
        still_waits("the error grew")
        clock.fail()
        still_waits("there is no reading")
        clock.set(TIME_NS - 1)
        still_waits("an epoch began earlier")
        clock.set(TIME_NS + 3, 2)
        reading = waiting.result(60)
    assert reading.time_ns - reading.max_error_ns == TIME_NS + 1


def test_a_wait_ends_at_its_time_out_and_at_once_where_it_would_be_in_vain() -> None:
    clock = ManualClock()
    with pytest.raises(TimeoutError, match="the clock is not synchronised"):
        clock.wait_until_past(TIME_NS, 0.05)
    clock.set(TIME_NS, 5 * MS)
    started = time.monotonic()
    with pytest.raises(TimeoutError, match=r"5\.000 ms more would be needed"):
        clock.wait_until_past(TIME_NS, 0.05)
    assert time.monotonic() - started >= 0.05
    with pytest.raises(TimeoutError):
        clock.wait_until_past(TIME_NS, 0)
    with pytest.raises(TimeoutError, match="longer than the time-out: did not wait"):
        clock.wait_until_past(TIME_NS + 86_400 * 10**9, 3_600)
    with pytest.raises(TimeoutError, match="did not wait"):
        clock.wait_until_past(2**63 - 1)
    with pytest.raises(OverflowError):
        clock.wait_until_past(2**63)
    with pytest.raises(ValueError, match="timeout must be 0 or more seconds"):
        clock.wait_until_past(TIME_NS, -1)
    assert clock.wait_until_past(TIME_NS - 6 * MS, 0) == clock.read()


def test_no_commit_of_threads_and_tasks_ends_before_its_time_has_passed(
    faulty_server: Callable[..., FaultyServer],
) -> None:
    """The truth is this machine's wall clock, which the server tells, 20 ms late one way."""
    clock = NTPClock(faulty_server("--delay-to-server", "20ms").address, sync_interval=1)
    assert clock.wait_synced(60)

    def stamp(of: int) -> int:
        latest_ns = clock.latest_ns()
        assert latest_ns is not None
        return latest_ns + of % 5 * MS

    def check(committed: tuple[int, Reading]) -> None:
        stamp_ns, reading = committed
        assert time.time_ns() > stamp_ns
        assert reading.time_ns - reading.max_error_ns > stamp_ns

    def commit(of: int) -> None:
        stamp_ns = stamp(of)
        check((stamp_ns, clock.wait_until_past(stamp_ns, 60)))

    async def commit_async(of: int) -> None:
        stamp_ns = stamp(of)
        check((stamp_ns, await clock.wait_until_past_async(stamp_ns, 60)))

    async def commit_many() -> None:
        await asyncio.gather(*(commit_async(of) for of in range(200)))

    with ThreadPoolExecutor(16) as pool:
        tasks = pool.submit(asyncio.run, commit_many())
        list(pool.map(commit, range(200)))
        tasks.result(60)


def test_a_task_that_waits_lets_its_loop_go_on_and_is_cancelled_at_once() -> None:
    clock = manual()

    async def cancel_many() -> None:
        waiting = [asyncio.ensure_future(clock.wait_until_past_async(TIME_NS)) for _ in range(100)]
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert not any(task.done() for task in waiting)
        for task in waiting[1:]:
            task.cancel()
        results = await asyncio.gather(*waiting[1:], return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results)
        # The others' end changes nothing for the one that goes on.
        assert not waiting[0].done()
        clock.advance(1)
        reading = await asyncio.wait_for(waiting[0], 60)
        assert reading == clock.read()

    asyncio.run(cancel_many())


def test_a_task_ends_at_its_time_out_and_wait_for_may_bound_it() -> None:
    clock = manual()
    with pytest.raises(TimeoutError, match="more would be needed"):
        asyncio.run(clock.wait_until_past_async(TIME_NS, 0.05))

    async def bounded() -> None:
        await asyncio.wait_for(clock.wait_until_past_async(TIME_NS), 0.05)

    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(bounded())


def test_hybrid_stamps_follow_their_causes_and_are_never_ahead_of_true_time() -> None:
    ours, theirs = HybridClock(manual()), HybridClock(manual(0))
    sent = theirs.now()
    assert sent.time_ns <= TIME_NS < sent.time_ns + 244_141
    received = ours.receive(sent)
    assert received > sent
    assert received == ours.last
    assert (received.time_ns, received.count) == (sent.time_ns, 1)
    assert ours.now() > received


def test_a_stamp_is_a_value_that_goes_as_number_as_text_and_pickled() -> None:
    stamp = HybridClock(manual()).now()
    assert HybridTime(int(stamp)) == stamp
    assert HybridTime.parse(str(stamp)) == stamp
    assert f"{int(stamp):016x}" == str(stamp)
    assert repr(stamp) == f"HybridTime(0x{stamp})"
    assert pickle.loads(pickle.dumps(stamp)) == stamp
    assert len({stamp, HybridTime(int(stamp)), HybridTime(int(stamp) + 1)}) == 2
    assert stamp < HybridTime(int(stamp) + 1)
    for wrong in ("", "12", str(stamp).upper() + "F"):
        with pytest.raises(ValueError, match="16 hexadecimal digits in lower case"):
            HybridTime.parse(wrong)
    with pytest.raises(OverflowError):
        HybridTime(2**64)


def test_a_poisoned_stamp_is_refused_by_its_code_and_changes_nothing() -> None:
    clock = ManualClock()
    hybrid = HybridClock(clock)

    def code(call: Callable[..., HybridTime], *arguments: HybridTime) -> str:
        with pytest.raises(HybridError) as raised:
            call(*arguments)
        return raised.value.code

    assert code(hybrid.now) == "no_reading"
    clock.set(TIME_NS, 5 * MS)
    first = hybrid.now()
    year = ManualClock()
    year.set(TIME_NS + 31_536_000 * 10**9)
    assert code(hybrid.receive, HybridClock(year).now()) == "future"
    assert hybrid.last == first
    clock.set(TIME_NS - 2 * 10**9)
    assert code(hybrid.now) == "ahead"
    assert code(HybridClock(clock, HybridTime(2**64 - 1)).now) == "ahead"
    clock.set(TIME_NS)
    assert HybridClock(clock, first).now() > first
    clock.set(-1)
    assert code(HybridClock(clock).now) == "out_of_range"


def test_threads_that_share_a_hybrid_clock_never_get_a_stamp_twice() -> None:
    hybrid = HybridClock(manual())

    def stamps(_: int) -> list[HybridTime]:
        mine = [hybrid.now() for _ in range(2_000)]
        assert mine == sorted(mine)
        return mine

    with ThreadPoolExecutor(8) as pool:
        of_all = [stamp for mine in pool.map(stamps, range(8)) for stamp in mine]
    assert len(set(of_all)) == 16_000
