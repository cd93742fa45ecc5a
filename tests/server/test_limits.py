"""Buckets, places and frames by themselves, in a time that the test makes."""

from __future__ import annotations

import asyncio
import random
import sys
from typing import Any

import pytest
from django.conf import settings
from system import SERVER

sys.path.append(str(SERVER))

from config.layers import BoundedQueue, InMemoryLayer
from data.refusal import Refusal
from data.storable import storable
from sockets.frames import parsed
from sockets.limits import Buckets, Places, TokenBucket


class Time:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    time = Time()
    bucket = TokenBucket(10, 5, now=time)
    assert [bucket.take() for _ in range(7)] == [True] * 5 + [False] * 2
    time.now_s = 0.25
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    time.now_s = 1000
    assert [bucket.take() for _ in range(6)] == [True] * 5 + [False]


def test_no_bucket_ever_gives_more_than_burst_and_rate_allow() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    for _ in range(50):
        per_second, burst = dice.uniform(0.5, 100), dice.uniform(1, 50)
        time = Time()
        bucket = TokenBucket(per_second, burst, now=time)
        taken = 0
        for _ in range(400):
            time.now_s += dice.choice([0.0, dice.expovariate(per_second), dice.uniform(0, 1)])
            taken += bucket.take()
            assert taken <= burst + per_second * time.now_s + 1e-6


def test_each_key_has_a_bucket_and_there_are_so_many() -> None:
    time = Time()
    buckets = Buckets(1, 1, most=2, now=time)
    assert buckets.take("a")
    assert not buckets.take("a")
    assert buckets.take("b")
    assert buckets.take("c")  # "a" was longest unused.
    assert not buckets.take("b")
    assert buckets.take("a")


def test_places_are_given_back() -> None:
    places = Places(2)
    assert [places.take("a"), places.take("a"), places.take("a")] == [True, True, False]
    assert places.take("b")
    places.free("a")
    assert places.take("a")
    for _ in range(2):
        places.free("a")
    assert [places.take("a"), places.take("a"), places.take("a")] == [True, True, False]


def test_what_no_database_takes_is_replaced() -> None:
    value: Any = {"a\x00": ["b\ud800", float("inf"), 10**30, True, None, 1.5, "😀"]}
    assert storable(value) == {"a\ufffd": ["b\ufffd", None, None, True, None, 1.5, "😀"]}
    deep: Any = []
    for _ in range(100):
        deep = [deep]
    assert str(storable(deep)).count("[") < 20


def test_frames_of_any_bytes_are_an_object_or_refused() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    pieces = [
        '{"event":"a"}',
        "{",
        "}",
        "[",
        "1e999",
        "NaN",
        '"',
        "\\u0000",
        "\ud800",
        ":",
        ",",
        "5",
    ]
    for _ in range(3000):
        text = "".join(dice.choice(pieces) for _ in range(dice.randrange(8)))
        try:
            outcome = type(parsed(text)["event"]).__name__
        except Refusal as refusal:
            outcome = refusal.code
        assert outcome in ("str", "malformed")


@pytest.mark.parametrize("packed", [True, False])
def test_a_queue_holds_so_many_bytes_and_says_that_it_was_emptied(packed: bool) -> None:
    def message(size: int) -> Any:
        return b"x" * size if packed else {"type": "tell", "message": "x" * size}

    queue = BoundedQueue(10_000, lambda: b"overflow" if packed else {"type": "overflow"})
    for size in (3_000, 3_000, 50_000, 3_000):
        queue.put_nowait(message(size))
        assert queue.bytes <= 10_000
    assert [queue.get_nowait() in (b"overflow", {"type": "overflow"}) for _ in range(2)] == [
        True,
        False,
    ]
    assert (queue.bytes, queue.empty()) == (0, True)
    queue.put_nowait(message(64_000))
    assert queue.bytes >= 64_000, "one message always fits"
    assert queue.get_nowait() == message(64_000)


def test_a_layer_keeps_nothing_for_a_channel_that_nobody_reads_any_more() -> None:
    if not settings.configured:
        settings.configure(QUEUE_BYTES_MAX=200_000)
    most = settings.QUEUE_BYTES_MAX
    told = {"type": "tell", "message": "x" * 60_000}

    async def all_of_it() -> None:
        layer = InMemoryLayer()
        channel = await layer.new_channel()
        await layer.group_add("all", channel)
        for _ in range(most // 60_000 + 2):
            await layer.group_send("all", told)
        assert await layer.receive(channel) == {"type": "channel.overflow"}
        assert await layer.receive(channel) == told
        reading = asyncio.ensure_future(layer.receive(channel))
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await layer.send(channel, told)
        await layer.group_send("all", told)
        assert (layer.channels, layer.groups) == ({}, {})

    asyncio.run(all_of_it())
