"""What waits for the first synchronisation: how much, how long, and in which order it leaves."""

from __future__ import annotations

import threading
import time

import pytest

from portacode.otel import GateLimits
from portacode.otel._gate import Gate

pytest.importorskip("opentelemetry.sdk", reason="no SDK: pip install 'portacode[otel]'")
from portacode.otel._door import Door

LIMITS = GateLimits(items=10, size_bytes=1000, wait_s=10.0)


def gate(items: int = 10, size_bytes: int = 1000) -> Gate[int]:
    return Gate(LIMITS._replace(items=items, size_bytes=size_bytes), lambda _: 10)


def test_what_waited_leaves_in_its_order_and_its_batches() -> None:
    queue = gate()
    assert queue.admit([1, 2], 0.0, False) == (False, [])
    assert queue.admit([3], 0.0, False) == (False, [])
    assert queue.next() is None
    assert queue.admit([4], 1.0, True) == (True, [])
    assert [queue.next(), queue.next(), queue.next()] == [[1, 2], [3], None]


def test_of_a_full_gate_the_oldest_leave_and_no_more_than_needed() -> None:
    few = gate(items=3)
    assert few.admit([1, 2], 0.0, False)[1] == []
    assert few.admit([3, 4], 0.0, False)[1] == [1]
    assert few.admit([5, 6, 7, 8], 0.0, False)[1] == [2, 3, 4, 5]
    small = gate(size_bytes=25)
    assert small.admit([1, 2, 3], 0.0, False)[1] == [1]
    assert len(small) == 2


def test_a_gate_that_opened_after_its_time_stays_open() -> None:
    queue = gate()
    queue.admit([1], 0.0, False)
    assert queue.left_s(4.0) == 6.0
    assert not queue.admit([2], 9.999, False)[0]
    assert queue.is_open(10.0, False)
    assert [queue.next(), queue.next()] == [[1], [2]]
    assert queue.admit([3], 0.0, False)[0]


def test_what_was_released_leaves_a_gate_that_stays_closed() -> None:
    queue = gate(items=3)
    queue.admit([1, 2], 0.0, False)
    queue.admit([3], 0.0, False)
    queue.release()
    # Of a full gate the oldest leave, so that one batch less is to be let out.
    assert queue.admit([4, 5], 1.0, False) == (False, [1, 2])
    assert queue.leaving == 1
    assert [queue.next(), queue.next()] == [[3], None]
    assert len(queue) == 2


class Behind:
    """A door before an exporter that keeps what it got, blocks or raises."""

    def __init__(self, limits: GateLimits = LIMITS) -> None:
        self.got: list[list[int]] = []
        self.synchronised = False
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.raises = False
        self.door: Door[int] = Door(
            self._send, "success", lambda: self.synchronised, limits, lambda _: 10
        )

    def _send(self, batch: list[int]) -> str:
        self.goes_on.wait(60)
        self.got.append(batch)
        if self.raises:
            raise OSError("the collector is down")
        return "sent"


def test_what_waits_leaves_by_itself_when_the_clock_is_synchronised() -> None:
    behind = Behind()
    assert behind.door.export([1]) == "success"
    assert behind.door.export([2]) == "success"
    time.sleep(0.1)
    assert behind.got == []
    behind.synchronised = True
    assert behind.door.export([3]) == "sent"
    assert behind.got == [[1], [2], [3]]
    assert behind.door.flush(0.0, 5.0)


def test_what_waits_leaves_by_itself_when_its_time_is_over() -> None:
    behind = Behind(LIMITS._replace(wait_s=0.2))
    behind.door.export([1])
    # Longer than the gate's time, and nothing else comes.
    assert behind.door.flush(5.0, 5.0)
    assert behind.got == [[1]]
    assert behind.door.export([2]) == "sent"


@pytest.mark.parametrize(("wait_s", "least_s"), [(0.0, 0.0), (0.3, 0.3)])
def test_a_flush_waits_no_longer_than_it_may(wait_s: float, least_s: float) -> None:
    behind = Behind()
    behind.door.export([1])
    begun_s = time.monotonic()
    assert behind.door.flush(wait_s, 5.0)
    assert least_s <= time.monotonic() - begun_s < 9
    assert behind.got == [[1]]


def test_an_early_flush_lets_out_what_waits_and_leaves_the_gate_closed() -> None:
    behind = Behind()
    behind.door.export([1])
    assert behind.door.flush(0.0, 5.0)
    assert behind.got == [[1]]
    assert behind.door.export([2]) == "success"
    time.sleep(0.1)
    assert behind.got == [[1]]
    # Twice, so that what lets it out is there still.
    assert behind.door.flush(0.0, 5.0)
    assert behind.got == [[1], [2]]
    behind.door.export([3])
    behind.synchronised = True
    assert behind.door.export([4]) == "sent"
    assert behind.got == [[1], [2], [3], [4]]


def test_a_door_that_ended_lets_pass_what_comes_later() -> None:
    behind = Behind()
    behind.door.export([1])
    assert behind.door.end(5.0)
    assert behind.door.export([2]) == "sent"
    assert behind.got == [[1], [2]]


def test_a_flush_ends_at_its_limit_while_the_exporter_blocks() -> None:
    behind = Behind()
    behind.door.export([1])
    behind.goes_on.clear()
    begun_s = time.monotonic()
    assert not behind.door.flush(0.0, 0.3)
    assert 0.3 <= time.monotonic() - begun_s < 9
    behind.goes_on.set()
    assert behind.door.flush(0.0, 5.0)
    assert behind.got == [[1]]


def test_an_exporter_that_blocks_blocks_only_who_waited_for_it_before() -> None:
    behind = Behind()
    behind.synchronised = True
    behind.goes_on.clear()
    threads = [threading.Thread(target=behind.door.export, args=([n],)) for n in range(16)]
    for thread in threads:
        thread.start()
    # Each of them is in the exporter itself, as without a gate: none waits for another.
    behind.goes_on.set()
    for thread in threads:
        thread.join(60)
    assert sorted(behind.got) == [[n] for n in range(16)]


def test_a_batch_that_the_exporter_refuses_is_lost_once_and_what_follows_is_sent() -> None:
    behind = Behind()
    behind.raises = True
    behind.door.export([1])
    behind.door.export([2])
    behind.synchronised = True
    assert behind.door.flush(0.0, 5.0)
    assert behind.got == [[1], [2]]
    with pytest.raises(OSError, match="the collector is down"):
        behind.door.export([3])
    assert behind.got == [[1], [2], [3]]


def test_16_threads_lose_nothing_and_double_nothing_while_the_gate_opens() -> None:
    behind = Behind(GateLimits(items=100, size_bytes=1 << 20))

    def export(first: int) -> None:
        for number in range(first, first + 200):
            behind.door.export([number])

    threads = [threading.Thread(target=export, args=(200 * n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    behind.synchronised = True
    for thread in threads:
        thread.join(60)
    assert behind.door.flush(0.0, 5.0)
    assert sorted(number for batch in behind.got for number in batch) == list(range(3200))


def test_in_a_forked_child_nothing_waits_that_is_the_parents() -> None:
    behind = Behind()
    behind.door.export([1])
    behind.door.after_fork()
    behind.synchronised = True
    assert behind.door.export([2]) == "sent"
    assert behind.got == [[2]]
