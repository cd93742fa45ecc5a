"""Spans that OpenTelemetry's SDK made leave in true time, and say how true it is."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from support import eventually

from portacode import otel
from portacode.utils.ntp_clock import ManualClock, NTPClock

pytest.importorskip("opentelemetry.sdk", reason="no SDK: pip install 'portacode[otel]'")
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.trace import Tracer
    from support import FaultyServer

SECOND_NS = 1_000_000_000


@pytest.fixture(autouse=True)
def _uninstalled() -> Iterator[None]:
    yield
    otel.uninstall()


class Traced:
    """A provider whose spans are kept."""

    def __init__(self, limits: SpanLimits | None = None) -> None:
        self._kept = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False, span_limits=limits)
        self.provider.add_span_processor(SimpleSpanProcessor(self._kept))
        self.tracer: Tracer = self.provider.get_tracer("tests")

    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self._kept.get_finished_spans()}


@pytest.fixture
def ahead(faulty_server: Callable[..., FaultyServer]) -> NTPClock:
    """A clock whose server is an hour ahead of this machine's: as if this one's were slow."""
    clock = NTPClock(faulty_server("--offset", "+1h").address)
    assert clock.wait_synced(60)
    # Better than the first reply tells, which may have been kept waiting.
    assert eventually(lambda: (clock.get_status()["max_error_ms"] or 100) < 50)
    return clock


def times_of(span: ReadableSpan) -> tuple[int, int]:
    assert span.start_time is not None
    assert span.end_time is not None
    return span.start_time, span.end_time


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_spans_and_events_get_the_time_that_the_system_does_not_have(ahead: NTPClock) -> None:
    otel.install(ahead)
    traced = Traced()
    before = ahead.read()
    with traced.tracer.start_as_current_span("outer") as span:
        time.sleep(0.1)
        span.add_event("halfway")
        with traced.tracer.start_as_current_span("inner", attributes={"shop.cart": 3}):
            time.sleep(0.01)
    after = ahead.read()
    assert before is not None
    assert after is not None
    outer, inner = traced.spans()["outer"], traced.spans()["inner"]
    started_ns, ended_ns = times_of(outer)
    inside_ns = times_of(inner)
    halfway_ns = outer.events[0].timestamp
    times = [started_ns, halfway_ns, *inside_ns, ended_ns]
    assert times == sorted(times)
    reported = attributes_of(inner)
    max_error_ns = reported.pop("ntp_clock.max_error_ns")
    assert before.time_ns - max_error_ns <= started_ns
    assert ended_ns <= after.time_ns + max_error_ns
    assert halfway_ns - started_ns > 0.09 * SECOND_NS
    assert max_error_ns < 0.1 * SECOND_NS
    assert reported.pop("ntp_clock.est_error_ns") > 0
    assert reported == {
        "shop.cart": 3,
        "ntp_clock.server": ahead.get_status()["server"],
        "ntp_clock.synchronised": True,
        "ntp_clock.epoch": before.epoch,
    }
    assert inner.parent is not None
    assert outer.context is not None
    assert inner.parent.span_id == outer.context.span_id


def test_spans_from_before_the_first_synchronisation_wait_and_leave_true_and_in_order(
    faulty_server: Callable[..., FaultyServer],
) -> None:
    server = faulty_server("--offset", "+1h", "--fault", "silence")
    clock = NTPClock(server.address)
    otel.install(clock)
    traced = Traced()
    with traced.tracer.start_as_current_span("early"):
        time.sleep(0.1)
    assert traced.spans() == {}
    server.change("silence off")
    assert clock.wait_synced(60)
    with traced.tracer.start_as_current_span("late"):
        pass
    spans = traced.spans()
    assert list(spans) == ["early", "late"]
    assert {attributes_of(span)["ntp_clock.synchronised"] for span in spans.values()} == {True}
    start_ns, end_ns = times_of(spans["early"])
    assert abs(start_ns - time.time_ns() - 3600 * SECOND_NS) < 60 * SECOND_NS
    assert (
        end_ns - start_ns
        >= 0.1 * SECOND_NS - attributes_of(spans["early"])["ntp_clock.max_error_ns"]
    )


def test_without_time_spans_leave_as_they_are_after_their_wait_and_say_so(
    unsynced: NTPClock,
) -> None:
    otel.install(unsynced, gate=otel.GateLimits(wait_s=0.2))
    traced = Traced()
    before_ns, begun_s = time.time_ns(), time.monotonic()
    with traced.tracer.start_as_current_span("lost"):
        pass
    after_ns = time.time_ns()
    assert traced.spans() == {} or time.monotonic() - begun_s >= 0.2
    # Longer than the wait: the gate opens by itself.
    assert traced.provider.force_flush(5000)
    span = traced.spans()["lost"]
    assert before_ns <= times_of(span)[0] <= times_of(span)[1] <= after_ns
    assert attributes_of(span) == {"ntp_clock.synchronised": False}


def test_who_is_synchronised_after_the_wait_says_of_each_span_whether_it_is_true(
    faulty_server: Callable[..., FaultyServer],
) -> None:
    server = faulty_server("--offset", "+1h", "--fault", "silence")
    clock = NTPClock(server.address)
    otel.install(clock, gate=otel.GateLimits(wait_s=0.1))
    traced = Traced()
    traced.tracer.start_span("early").end()
    assert eventually(lambda: bool(traced.spans()))
    server.change("silence off")
    assert clock.wait_synced(60)
    traced.tracer.start_span("late").end()
    early, late = traced.spans().values()
    assert [attributes_of(span)["ntp_clock.synchronised"] for span in (early, late)] == [
        False,
        True,
    ]
    assert abs(times_of(early)[0] - time.time_ns()) < 60 * SECOND_NS
    assert abs(times_of(late)[0] - time.time_ns() - 3600 * SECOND_NS) < 60 * SECOND_NS


def test_a_clock_that_fails_later_dates_what_it_can() -> None:
    clock = ManualClock()
    clock.set(1_759_639_032 * SECOND_NS, max_error_ns=1000)
    otel.install(clock)
    traced = Traced()
    with traced.tracer.start_as_current_span("half"):
        clock.fail()
    # By the readings that came with samples.
    span = traced.spans()["half"]
    assert attributes_of(span)["ntp_clock.synchronised"] is True
    assert abs(times_of(span)[0] - 1_759_639_032 * SECOND_NS) < SECOND_NS


def test_times_that_the_program_passed_in_stay_and_say_so(ahead: NTPClock) -> None:
    otel.install(ahead)
    traced = Traced()
    given_ns = time.time_ns() - 60 * SECOND_NS
    traced.tracer.start_span("given", start_time=given_ns).end()
    traced.tracer.start_span("ended").end(end_time=given_ns + 120 * SECOND_NS)
    given, ended = traced.spans()["given"], traced.spans()["ended"]
    assert given.start_time == given_ns
    assert ended.end_time == given_ns + 120 * SECOND_NS
    for span in (given, ended):
        assert attributes_of(span) == {
            "ntp_clock.synchronised": False,
            "ntp_clock.time_source": "program",
        }


def test_instrumentations_pass_in_the_systems_time_and_theirs_is_dated(ahead: NTPClock) -> None:
    otel.install(ahead)
    traced = Traced()
    tracer = traced.provider.get_tracer("opentelemetry.instrumentation.celery")
    given_ns = time.time_ns()
    time.sleep(1.2)
    tracer.start_span("queued", start_time=given_ns).end()
    span = traced.spans()["queued"]
    assert attributes_of(span)["ntp_clock.synchronised"] is True
    start_ns, end_ns = times_of(span)
    assert abs(start_ns - given_ns - 3600 * SECOND_NS) < 60 * SECOND_NS
    assert 1.1 * SECOND_NS < end_ns - start_ns < 10 * SECOND_NS


def test_an_item_is_dated_once(ahead: NTPClock) -> None:
    otel.install(ahead)
    traced = Traced()
    start_ns = otel.now_ns(ahead)
    span = traced.tracer.start_span(
        "own", start_time=start_ns, attributes={"ntp_clock.synchronised": True}
    )
    end_ns = otel.now_ns(ahead)
    span.end(end_time=end_ns)
    kept = traced.spans()["own"]
    assert (kept.start_time, kept.end_time) == (start_ns, end_ns)
    assert attributes_of(kept) == {"ntp_clock.synchronised": True}


def test_the_programs_limits_and_attributes_are_left_alone(ahead: NTPClock) -> None:
    otel.install(ahead)
    traced = Traced(SpanLimits(max_span_attributes=2, max_events=2, max_event_attributes=1))
    own: Any = traced.tracer.start_span("full", attributes={"a": 1, "b": 2, "c": 3})
    for number in range(3):
        own.add_event(f"event {number}", {"x": 1, "y": 2})
    own.end()
    span = traced.spans()["full"]
    reported = {key: value for key, value in attributes_of(span).items() if "ntp" not in key}
    assert reported == {"b": 2, "c": 3}
    assert (span.dropped_attributes, span.dropped_events, span.dropped_links) == (1, 1, 0)
    assert [event.name for event in span.events] == ["event 1", "event 2"]
    assert [event.dropped_attributes for event in span.events] == [1, 1]
    # The program's own span is as it was.
    assert attributes_of(own) == reported
    assert abs(own.start_time - time.time_ns()) < 60 * SECOND_NS


def test_a_child_stays_inside_its_parent_though_the_clock_learns_meanwhile() -> None:
    clock = ManualClock()
    clock.set(1_759_639_032 * SECOND_NS)
    otel.install(clock)
    traced = Traced()
    with traced.tracer.start_as_current_span("outer"):
        with traced.tracer.start_as_current_span("inner"):
            pass
        # What it learns puts all that was before a minute later.
        clock.set(1_759_639_092 * SECOND_NS)
    outer, inner = traced.spans()["outer"], traced.spans()["inner"]
    assert times_of(outer)[0] <= times_of(inner)[0] <= times_of(inner)[1] <= times_of(outer)[1]
    assert attributes_of(outer)["ntp_clock.max_error_ns"] >= 60 * SECOND_NS


def test_16_threads_lose_nothing_and_double_nothing(ahead: NTPClock) -> None:
    kept = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(kept, max_queue_size=10_000))
    otel.install(ahead)
    tracer = provider.get_tracer("tests")
    # A thread may be paused between the SDK's taking a time and our hook: see the document.
    paused: set[str] = set()

    def work(thread: int) -> None:
        for number in range(100):
            name, begun_s = f"{thread} {number}", time.monotonic()
            with tracer.start_as_current_span(name):
                pass
            if time.monotonic() - begun_s >= 0.999:
                paused.add(name)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    provider.shutdown()
    spans = kept.get_finished_spans()
    assert sorted(span.name for span in spans) == sorted(
        f"{thread} {number}" for thread in range(16) for number in range(100)
    )
    assert all(times_of(span)[0] <= times_of(span)[1] for span in spans)
    now_ns = time.time_ns()
    for span in spans:
        reported, since_ns = attributes_of(span), now_ns - times_of(span)[0]
        if reported["ntp_clock.synchronised"]:
            assert abs(since_ns + 3600 * SECOND_NS) < 60 * SECOND_NS
        else:
            assert span.name in paused
            assert reported["ntp_clock.time_source"] == "program"
            assert abs(since_ns) < 60 * SECOND_NS


def test_tasks_of_asyncio_lose_nothing_and_children_stay_inside(ahead: NTPClock) -> None:
    otel.install(ahead)
    traced = Traced()

    async def work(number: int) -> None:
        with traced.tracer.start_as_current_span(f"{number} outer"):
            await asyncio.sleep(0.001)
            with traced.tracer.start_as_current_span(f"{number} inner"):
                await asyncio.sleep(0.001)

    async def all_of_them() -> None:
        await asyncio.gather(*(work(number) for number in range(100)))

    asyncio.run(all_of_them())
    spans = traced.spans()
    assert len(spans) == len(traced._kept.get_finished_spans()) == 200
    for number in range(100):
        outer, inner = times_of(spans[f"{number} outer"]), times_of(spans[f"{number} inner"])
        assert outer[0] <= inner[0] <= inner[1] <= outer[1]
        assert attributes_of(spans[f"{number} outer"])["ntp_clock.synchronised"] is True
