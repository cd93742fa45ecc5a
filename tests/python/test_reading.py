"""A reading is a plain immutable value with an order that is only reported where it is certain."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from portacode.utils.ntp_clock import NTPClock, Reading


def test_a_reading_has_its_four_values() -> None:
    reading = Reading(5_000, 300, 100, epoch=2)
    values = (reading.time_ns, reading.max_error_ns, reading.est_error_ns, reading.epoch)
    assert values == (5_000, 300, 100, 2)
    assert all(type(value) is int for value in values)


def test_order_is_certain_only_where_the_bounds_do_not_touch() -> None:
    a, b, c = Reading(0, 10), Reading(20, 10), Reading(21, 10)
    assert a.definitely_before(c)
    assert c.definitely_after(a)
    assert not a.definitely_before(b)
    assert not b.definitely_after(a)
    assert not c.definitely_before(a)
    assert not a.definitely_before(a)


def test_readings_cannot_be_changed() -> None:
    reading: Any = Reading(1, 2)
    for attribute in ("time_ns", "max_error_ns", "est_error_ns", "epoch", "other"):
        with pytest.raises(AttributeError):
            setattr(reading, attribute, 0)


def test_readings_are_equal_and_hash_alike_where_all_values_are() -> None:
    assert Reading(1, 9, 3, 4) == Reading(1, 9, 3, 4)
    assert hash(Reading(1, 9, 3, 4)) == hash(Reading(1, 9, 3, 4))
    others = [Reading(2, 9, 3, 4), Reading(1, 8, 3, 4), Reading(1, 9, 2, 4), Reading(1, 9, 3, 5)]
    assert all(Reading(1, 9, 3, 4) != other for other in others)
    assert len({Reading(1, 9, 3, 4), *others}) == 5
    assert Reading(1, 9) != (1, 9)


def test_readings_have_no_order_but_the_certain_one() -> None:
    with pytest.raises(TypeError):
        Reading(1, 0) < Reading(2, 0)  # type: ignore[operator]  # noqa: B015


def test_repr_makes_the_same_reading_again() -> None:
    reading = Reading(1_759_639_032_768_445_999, 9_000, 3_000, 7)
    assert repr(reading) == (
        "Reading(time_ns=1759639032768445999, max_error_ns=9000, est_error_ns=3000, epoch=7)"
    )
    assert eval(repr(reading)) == reading
    assert str(reading) == "2025-10-05T04:37:12.768445+00:00 ± 0.009 ms"


def test_readings_travel_between_processes(synced: NTPClock) -> None:
    reading = synced.read()
    assert reading is not None
    assert copy.deepcopy(reading) == reading
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(reading, protocol)) == reading


@pytest.mark.parametrize(("max_error", "est_error"), [(-1, 0), (5, -1), (5, 6)])
def test_impossible_errors_are_refused(max_error: int, est_error: int) -> None:
    with pytest.raises(ValueError, match="0 <= est_error_ns <= max_error_ns"):
        Reading(0, max_error, est_error)


def test_read_agrees_with_now(synced: NTPClock) -> None:
    before, reading, after = synced.now_ns(), synced.read(), synced.now_ns()
    assert reading is not None
    assert (before or 0) <= reading.time_ns <= (after or 0)
    assert reading.epoch == synced.get_status()["epoch"]
    assert reading.est_error_ns <= reading.max_error_ns
