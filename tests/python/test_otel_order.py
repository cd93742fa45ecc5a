"""Times that leave in several exports keep their order, though the clock learns meanwhile."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from portacode._native import SdkHistory
from portacode.utils.ntp_clock import ManualClock

pytest.importorskip("opentelemetry.sdk", reason="no SDK: pip install 'portacode[otel]'")
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan

from portacode.otel._redate_logs import LogRedater
from portacode.otel._redate_spans import SpanRedater
from portacode.otel._times import Times

if TYPE_CHECKING:
    from collections.abc import Iterator

SECOND_NS = 10**9
NOON_NS = 1_759_639_032 * SECOND_NS
# What the wrong clock showed as the counter stood at 0.
SYSTEM_NS = NOON_NS - 3600 * SECOND_NS
CORRECTION_NS = 200_000


class Remembered:
    """A history of a minute, looked at once a second, and a clock that is set at its end."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.history = SdkHistory(self.clock)
        for second in range(61):
            self.look(second * SECOND_NS, SYSTEM_NS + second * SECOND_NS)
        self.clock.advance(60)
        self.learn(0)

    def look(self, counter_ns: int, system_ns: int) -> None:
        self.history.feed(counter_ns, 0, system_ns, 1, self.clock.counter_id)

    def learn(self, later_ns: int) -> None:
        """That all was so much later than it seemed."""
        self.clock.set(NOON_NS + 60 * SECOND_NS + later_ns, max_error_ns=1_000_000)

    def date(self, since_ns: int, **window: int) -> tuple[int, int]:
        reading = self.history.date_in_order(SYSTEM_NS + since_ns, **window)
        assert reading is not None
        return reading.time_ns - NOON_NS, reading.max_error_ns


def test_no_correction_swaps_two_times() -> None:
    remembered = Remembered()
    rng = random.Random(7)
    # The later ones first, each after the clock has learned that all was later still.
    moments = sorted(
        (20 * SECOND_NS + rng.randrange(SECOND_NS // 10) for _ in range(400)), reverse=True
    )
    dated = []
    for number, moment_ns in enumerate(moments):
        remembered.learn(CORRECTION_NS * (number % 2))
        time_ns, max_error_ns = remembered.date(moment_ns)
        assert abs(time_ns - moment_ns) <= max_error_ns
        dated.append(time_ns)
    assert dated == sorted(dated, reverse=True)


def test_a_time_is_dated_alike_in_each_export() -> None:
    remembered = Remembered()
    first = remembered.date(5 * SECOND_NS + 1)
    remembered.learn(CORRECTION_NS)
    assert remembered.date(5 * SECOND_NS + 1) == first


def test_where_the_clock_was_stepped_each_time_is_found_by_when_it_was_taken() -> None:
    remembered = Remembered()
    # Back by 10 s: what it showed from 51 s on it shows once more.
    for second in range(61, 80):
        remembered.look(second * SECOND_NS, SYSTEM_NS + (second - 10) * SECOND_NS)
    remembered.clock.advance(20)
    remembered.clock.set(NOON_NS + 80 * SECOND_NS, max_error_ns=1_000_000)
    for taken_ns in (55 * SECOND_NS, 65 * SECOND_NS):
        window = {"not_before_ns": taken_ns - SECOND_NS, "not_after_ns": taken_ns + SECOND_NS}
        time_ns, max_error_ns = remembered.date(55 * SECOND_NS, **window)
        assert abs(time_ns - taken_ns) <= max_error_ns < 10_000_000
    _, both_ns = remembered.date(55 * SECOND_NS)
    assert both_ns >= 5 * SECOND_NS


@pytest.fixture
def times() -> Iterator[Times]:
    remembered = Remembered()
    times = Times(remembered.clock)
    times.history = remembered.history
    yield times
    times.end()


def span_of(since_ns: int) -> ReadableSpan:
    times: dict[str, Any] = {"start_time": SYSTEM_NS + since_ns, "end_time": SYSTEM_NS + since_ns}
    return ReadableSpan("one", **times)


def test_siblings_and_their_records_keep_their_order_in_several_exports(times: Times) -> None:
    clock: Any = times.clock
    spans, records = SpanRedater(times), LogRedater(times)
    # Between two knots, and across one.
    for begin_ns in (20 * SECOND_NS, 30 * SECOND_NS - 10_000):
        later = span_of(begin_ns + 40_000)
        (late,) = spans.redate([later])
        clock.set(NOON_NS + 60 * SECOND_NS + CORRECTION_NS, max_error_ns=1_000_000)
        record = LogRecord(
            timestamp=SYSTEM_NS + begin_ns + 20_000,
            observed_timestamp=SYSTEM_NS + begin_ns + 20_000,
        )
        (said,) = records.redate([ReadableLogRecord(record, Resource.get_empty())])
        (early,) = spans.redate([span_of(begin_ns)])
        for attributes in (late.attributes, said.log_record.attributes, early.attributes):
            assert attributes is not None
            assert attributes["ntp_clock.synchronised"] is True
        times_ns = [early.start_time, said.log_record.timestamp, late.start_time]
        assert times_ns == sorted(times_ns, key=lambda time_ns: time_ns or 0)
        clock.set(NOON_NS + 60 * SECOND_NS, max_error_ns=1_000_000)
