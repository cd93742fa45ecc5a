"""One line, before or after the providers are made, around whatever processors there are."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from otel_receiver import Receiver
from support import PROGRAMS, eventually, run_python

from portacode import _otel_auto, otel
from portacode._native import SdkHistory
from portacode.utils.ntp_clock import ManualClock

pytest.importorskip("opentelemetry.sdk", reason="no SDK: pip install 'portacode[otel]'")
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import (
    ConcurrentMultiSpanProcessor,
    ReadableSpan,
    SpanProcessor,
    TracerProvider,
)
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from portacode.otel import _install
from portacode.otel._redate_metrics import Collected, MetricRedater

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NOON_NS = 1_759_639_032 * 10**9


@pytest.fixture(autouse=True)
def _uninstalled() -> Iterator[None]:
    yield
    otel.uninstall()


@pytest.fixture
def clock() -> ManualClock:
    clock = ManualClock()
    clock.set(NOON_NS)
    return clock


def test_a_negative_limit_is_refused_before_anything_is_installed() -> None:
    with pytest.raises(ValueError, match=r"GateLimits\.wait_s is -1: it must be 0 or more"):
        otel.install(gate=otel.GateLimits(wait_s=-1))
    assert _install._installation is None


def test_automatic_instrumentation_goes_on_where_this_package_cannot_be_imported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr("portacode.otel")
    monkeypatch.setitem(sys.modules, "portacode.otel", None)
    _otel_auto.begin()
    assert "times stay as they are" in caplog.text


class Filter(SpanProcessor):
    """As programs write them: passes some spans on to a processor that it holds."""

    def __init__(self, following: SpanProcessor) -> None:
        self._rest = [following]

    def on_end(self, span: ReadableSpan) -> None:
        for processor in self._rest:
            processor.on_end(span)


class Bare(SpanExporter):
    """Has nothing but what is required, and no such thing as a flush."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []
        self.raises = False
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.ended = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.goes_on.wait(60)
        if self.raises:
            raise OSError("the collector is down")
        self.spans.extend(spans)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self.ended = True
        self.goes_on.set()


def spans_of(provider: TracerProvider, kept: Any) -> list[ReadableSpan]:
    provider.get_tracer("tests").start_span("one").end()
    assert provider.force_flush(5000)
    return list(getattr(kept, "spans", None) or kept.get_finished_spans())


def is_true(spans: list[ReadableSpan]) -> bool:
    return bool(spans) and all(
        (span.attributes or {}).get("ntp_clock.synchronised") is True
        and span.start_time == span.end_time == NOON_NS
        for span in spans
    )


@pytest.mark.parametrize("processor", [SimpleSpanProcessor, BatchSpanProcessor])
@pytest.mark.parametrize("when", ["first", "before the processor", "last"])
def test_it_does_not_matter_what_was_there_first(
    clock: ManualClock, processor: Any, when: str
) -> None:
    kept = InMemorySpanExporter()
    if when == "first":
        otel.install(clock)
    provider = TracerProvider(shutdown_on_exit=False)
    if when == "before the processor":
        otel.install(clock)
    provider.add_span_processor(processor(kept))
    if when == "last":
        otel.install(clock)
    assert is_true(spans_of(provider, kept))
    provider.shutdown()


def test_exporters_are_found_in_processors_that_hold_others(clock: ManualClock) -> None:
    otel.install(clock)
    kept = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Filter(SimpleSpanProcessor(kept)))
    assert is_true(spans_of(provider, kept))


def test_processors_that_run_at_once_have_true_times_as_well(clock: ManualClock) -> None:
    kept = [Bare(), Bare()]
    provider = TracerProvider(
        shutdown_on_exit=False, active_span_processor=ConcurrentMultiSpanProcessor()
    )
    for exporter in kept:
        provider.add_span_processor(SimpleSpanProcessor(exporter))
    otel.install(clock)
    assert is_true(spans_of(provider, kept[0]))
    assert len(kept[0].spans) == len(kept[1].spans) == 1


def test_two_lines_are_as_good_as_one(clock: ManualClock) -> None:
    otel.install(clock)
    kept = Bare()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    otel.install(clock)
    assert is_true(spans_of(provider, kept))
    assert len(kept.spans) == 1


def test_after_uninstall_all_is_as_before_and_nothing_is_lost() -> None:
    kept = Bare()
    processor = BatchSpanProcessor(kept)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    methods = [TracerProvider.__init__, TracerProvider.add_span_processor]
    otel.install(ManualClock())
    tracer = provider.get_tracer("tests")
    tracer.start_span("waits").end()
    processor._batch_processor._export(0)  # type: ignore[arg-type]
    otel.uninstall()
    tracer.start_span("after").end()
    assert provider.force_flush()
    assert [span.name for span in kept.spans] == ["waits", "after"]
    assert "ntp_clock.synchronised" not in (kept.spans[1].attributes or {})
    assert processor.span_exporter is kept
    assert vars(processor).keys() == {"_batch_processor"}
    assert [TracerProvider.__init__, TracerProvider.add_span_processor] == methods
    provider.shutdown()


def test_an_exporter_that_raises_loses_its_batch_once_and_the_program_sees_nothing(
    clock: ManualClock,
) -> None:
    otel.install(clock)
    kept = Bare()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    kept.raises = True
    provider.get_tracer("tests").start_span("lost").end()
    kept.raises = False
    assert [span.name for span in spans_of(provider, kept)] == ["one"]


@pytest.mark.parametrize("processor", [SimpleSpanProcessor, BatchSpanProcessor])
def test_shutdown_lets_all_out_at_once(processor: Any) -> None:
    otel.install(ManualClock())
    kept = Bare()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor(kept))
    provider.get_tracer("tests").start_span("late").end()
    begun_s = time.monotonic()
    provider.shutdown()
    assert time.monotonic() - begun_s < 9
    assert [span.name for span in kept.spans] == ["late"]
    assert kept.ended


def test_a_flush_keeps_a_second_of_its_limit_for_the_exporter() -> None:
    otel.install(ManualClock())
    kept = Bare()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(kept))
    provider.get_tracer("tests").start_span("late").end()
    begun_s = time.monotonic()
    assert provider.force_flush(1500)
    assert 0.4 < time.monotonic() - begun_s < 9
    assert [span.name for span in kept.spans] == ["late"]


def test_a_flush_ends_at_its_limit_though_the_exporter_blocks() -> None:
    otel.install(ManualClock())
    kept = Bare()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(kept))
    provider.get_tracer("tests").start_span("late").end()
    kept.goes_on.clear()
    begun_s = time.monotonic()
    assert not provider.force_flush(1200)
    assert time.monotonic() - begun_s < 9
    kept.goes_on.set()
    assert eventually(lambda: len(kept.spans) == 1)
    provider.shutdown()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_sends_its_own_spans_and_none_of_its_parents(silent: str) -> None:
    with Receiver() as receiver:
        ran = run_python(
            str(PROGRAMS / "otel_fork.py"),
            server=silent,
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
        )
        assert (ran.code, ran.err) == (0, ""), ran
        names = [item.name for item in receiver.items()]
    assert sorted(names) == ["child 0", "child 1", "child 2", "parent after", "parent before"]


class Faulty:
    """A history that looks at the clocks, and fails when it is asked."""

    def __init__(self, history: SdkHistory) -> None:
        self.look, self.sample = history.look, history.sample
        self.synchronised = history.synchronised

    def moment_of(self, _: int) -> int:
        raise RuntimeError("no such moment")


def test_a_fault_of_ours_costs_neither_a_span_nor_the_program_anything(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    otel.install(clock)
    assert _install._installation is not None
    times: Any = _install._installation.times
    times.history = Faulty(times.history)
    kept = Bare()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    assert [span.name for span in spans_of(provider, kept)] == ["one"]
    assert "an item of OpenTelemetry keeps its times" in caplog.text


def test_a_fault_of_ours_is_logged_once_and_items_that_it_left_undated_say_so(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    otel.install(clock)
    assert _install._installation is not None
    times: Any = _install._installation.times
    times.history = Faulty(times.history)
    kept = Bare()
    traces = TracerProvider(shutdown_on_exit=False)
    traces.add_span_processor(SimpleSpanProcessor(kept))
    records: Any = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    logs = LoggerProvider(shutdown_on_exit=False)
    logs.add_log_record_processor(SimpleLogRecordProcessor(records))
    for _ in range(100):
        spans_of(traces, kept)
        logs.get_logger("tests").emit(LogRecord(body="one", observed_timestamp=time.time_ns()))
    points = InMemoryMetricReader()
    meters = MeterProvider([points], shutdown_on_exit=False)
    meters.get_meter("tests").create_counter("count").add(1)
    redater = MetricRedater(times)
    collected = redater.redate(Collected(points.get_metrics_data(), {}))
    said = [
        *(span.attributes or {} for span in kept.spans),
        *(readable.log_record.attributes for readable in records.get_finished_logs()),
        *(metrics.resource.attributes for metrics in collected.resource_metrics),
    ]
    assert len(said) == 201
    assert [one["ntp_clock.synchronised"] for one in said] == [False] * 201
    assert caplog.text.count("an item of OpenTelemetry keeps its times") == 1
    # After another `install()` it is said again.
    otel.uninstall()
    otel.install(clock)
    again: Any = _install._installation.times
    again.history = Faulty(times.history)
    spans_of(traces, kept)
    assert caplog.text.count("an item of OpenTelemetry keeps its times") == 2


def test_without_the_sdk_it_says_what_to_install() -> None:
    code = """
import sys
sys.modules["opentelemetry.sdk"] = None
from portacode import otel
try:
    otel.install()
except otel.OtelMissingError as missing:
    print(missing)
"""
    ran = run_python("-c", code, server="127.0.0.1:1")
    assert (ran.code, ran.err) == (0, "")
    assert "pip install 'portacode[otel]'" in ran.out


def test_importing_it_imports_no_opentelemetry() -> None:
    code = "import sys, portacode.otel; print([n for n in sys.modules if n.startswith('opentel')])"
    ran = run_python("-c", code, server="127.0.0.1:1")
    assert (ran.out.strip(), ran.err) == ("[]", "")
