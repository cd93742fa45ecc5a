"""Spans of one's own, from any instrumentation, get synchronised times and their errors."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from portacode import otel
from portacode.utils.ntp_clock import ManualClock, NTPClock

pytest.importorskip("opentelemetry.sdk", reason="no SDK: pip install 'portacode[otel]'")
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

if TYPE_CHECKING:
    from collections.abc import Callable

    from support import FaultyServer

SECOND_NS = 1_000_000_000


class Traced:
    """A provider whose spans are kept, after the processor under test."""

    def __init__(self, clock: NTPClock) -> None:
        self._kept = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(
            otel.SynchronisedSpanProcessor(SimpleSpanProcessor(self._kept), clock)
        )
        self.tracer = provider.get_tracer("tests")

    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self._kept.get_finished_spans()}


@pytest.fixture
def ahead(faulty_server: Callable[..., FaultyServer]) -> NTPClock:
    """A clock whose server is an hour ahead of this machine's: as if this one's were slow."""
    clock = NTPClock(faulty_server("--offset", "+1h").address)
    assert clock.wait_synced(5)
    return clock


def times_of(span: ReadableSpan) -> tuple[int, int]:
    assert span.start_time is not None
    assert span.end_time is not None
    return span.start_time, span.end_time


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_spans_get_the_time_that_the_system_does_not_have(ahead: NTPClock) -> None:
    traced = Traced(ahead)
    before = ahead.read()
    with traced.tracer.start_as_current_span("outer") as span:
        span.add_event("halfway")
        with traced.tracer.start_as_current_span("inner", attributes={"shop.cart": 3}):
            pass
    after = ahead.read()
    assert before is not None
    assert after is not None
    outer, inner = traced.spans()["outer"], traced.spans()["inner"]
    started_ns, ended_ns = times_of(outer)
    inside_ns = times_of(inner)
    times = [before.time_ns, started_ns, *inside_ns, ended_ns, after.time_ns]
    assert times == sorted(times)
    assert abs(before.time_ns - time.time_ns() - 3600 * SECOND_NS) < 60 * SECOND_NS
    # An event is moved with the start, by readings some microseconds apart.
    assert abs(outer.events[0].timestamp - started_ns) < SECOND_NS
    told = attributes_of(inner)
    assert told.pop("ntp_clock.max_error_ns") >= before.max_error_ns
    assert told.pop("ntp_clock.est_error_ns") > 0
    assert told == {
        "shop.cart": 3,
        "ntp_clock.server": ahead.get_status()["server"],
        "ntp_clock.synchronised": True,
        "ntp_clock.epoch": before.epoch,
    }
    assert inner.parent is not None
    assert inner.parent.span_id == outer.context.span_id


def test_without_time_spans_stay_as_they_are_and_say_so(unsynced: NTPClock) -> None:
    traced = Traced(unsynced)
    before_ns = time.time_ns()
    with traced.tracer.start_as_current_span("lost"):
        pass
    span = traced.spans()["lost"]
    assert before_ns <= times_of(span)[0] <= time.time_ns()
    assert attributes_of(span) == {
        "ntp_clock.server": unsynced.get_status()["server"],
        "ntp_clock.synchronised": False,
    }


def test_a_clock_that_fails_during_a_span_leaves_it_as_it_is() -> None:
    clock = ManualClock()
    clock.set(1_759_639_032 * SECOND_NS)
    traced = Traced(clock)
    with traced.tracer.start_as_current_span("half"):
        clock.fail()
    assert attributes_of(traced.spans()["half"])["ntp_clock.synchronised"] is False


def test_a_span_from_before_the_first_synchronisation_is_dated_afterwards(
    faulty_server: Callable[..., FaultyServer],
) -> None:
    server = faulty_server("--offset", "+1h", "--fault", "silence")
    clock = NTPClock(server.address)
    traced = Traced(clock)
    with traced.tracer.start_as_current_span("early"):
        time.sleep(0.1)
        server.change("silence off")
        assert clock.wait_synced(20)
    span = traced.spans()["early"]
    assert attributes_of(span)["ntp_clock.synchronised"] is True
    start_ns, end_ns = times_of(span)
    assert abs(start_ns - time.time_ns() - 3600 * SECOND_NS) < 60 * SECOND_NS
    assert end_ns - start_ns >= 0.1 * SECOND_NS


def test_times_that_were_given_are_left_to_who_gave_them(ahead: NTPClock) -> None:
    traced = Traced(ahead)
    given_ns = time.time_ns() - 60 * SECOND_NS
    traced.tracer.start_span("given", start_time=given_ns).end()
    span = traced.spans()["given"]
    assert span.start_time == given_ns
    assert attributes_of(span)["ntp_clock.synchronised"] is False


def test_synchronised_times_of_ones_own_are_not_moved_again(ahead: NTPClock) -> None:
    traced = Traced(ahead)
    start_ns = otel.now_ns(ahead)
    span = traced.tracer.start_span(
        "own", start_time=start_ns, attributes={"ntp_clock.synchronised": True}
    )
    end_ns = otel.now_ns(ahead)
    span.end(end_time=end_ns)
    kept = traced.spans()["own"]
    assert (kept.start_time, kept.end_time) == (start_ns, end_ns)
