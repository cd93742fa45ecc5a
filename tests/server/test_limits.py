"""Buckets, places and frames by themselves, in a time that the test makes."""

from __future__ import annotations

import random
import sys
from typing import Any

import pytest
from system import SERVER

sys.path.append(str(SERVER))

from sockets.frames import Refusal, parsed, serialised, storable
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


def test_a_number_that_json_has_not_is_refused_on_the_way_out() -> None:
    with pytest.raises(Refusal, match="out of range"):
        serialised({"payload": float("inf")})
