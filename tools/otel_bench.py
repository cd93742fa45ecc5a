#!/usr/bin/env python3
"""What portacode.otel.install() adds to a span of OpenTelemetry's SDK in Python.

    python tools/otel_bench.py [--pairs 400] [--block 500]

The bare SDK and ours take turns, a block of spans each; the ratio is the median of the pairs'
ratios, with 95 % of the medians of samples drawn of them (bootstrap). Times are those of the
thread, so that other work on the machine counts for less. Wants the native part built
with `maturin develop --release`.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Callable

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

# Before the shared clock is imported: it has no part in this.
os.environ.setdefault("PORTACODE_NTP_SERVER", "127.0.0.1:1")
sys.path[:0] = [str(Path(__file__).resolve().parent.parent / "tests/python")]

from support import FaultyServer

from portacode import otel
from portacode.utils.ntp_clock import NTPClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan


class Discard(SpanExporter):
    """Looks at what an encoder would look at, and keeps nothing."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Looks at them."""
        for span in spans:
            _ = (span.start_time, span.end_time, dict(span.attributes or {}), span.events)
        return SpanExportResult.SUCCESS


def provider() -> TracerProvider:
    """With a batch processor that exports only on command."""
    made = TracerProvider(shutdown_on_exit=False)
    made.add_span_processor(
        BatchSpanProcessor(
            Discard(),
            max_queue_size=1 << 16,
            max_export_batch_size=1 << 16,
            schedule_delay_millis=3_600_000,
        )
    )
    return made


def bare_span(made: TracerProvider) -> Callable[[], None]:
    tracer = made.get_tracer("bench")

    def work() -> None:
        tracer.start_span("span").end()

    return work


def full_span(made: TracerProvider) -> Callable[[], None]:
    tracer = made.get_tracer("bench")

    def work() -> None:
        with tracer.start_as_current_span("span") as span:
            for number in range(4):
                span.set_attribute(f"attribute {number}", "value")
            span.add_event("event")

    return work


def block(made: TracerProvider, work: Callable[[], None], count: int) -> tuple[float, float]:
    """Nanoseconds of this thread a span, and with its export, which a flush does here."""
    begun_ns = time.thread_time_ns()
    for _ in range(count):
        work()
    made_ns = time.thread_time_ns() - begun_ns
    made.force_flush()
    return made_ns / count, (time.thread_time_ns() - begun_ns) / count


def row(what: str, pairs: list[tuple[float, float]], draw: random.Random) -> str:
    ratios = [ours / bare for bare, ours in pairs]
    medians = sorted(statistics.median(draw.choices(ratios, k=len(ratios))) for _ in range(1000))
    bare, ours = (statistics.median(side) for side in zip(*pairs))
    return (
        f"| {what} | {bare / 1000:.1f} µs | {ours / 1000:.1f} µs "
        f"| {statistics.median(ratios):.3f} ({medians[25]:.3f} to {medians[975]:.3f}) |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=400)
    parser.add_argument("--block", type=int, default=500)
    arguments = parser.parse_args()
    bare = provider()
    held = bare._active_span_processor._span_processors
    exporters = [(processor._batch_processor, Discard()) for processor in held]  # type: ignore[attr-defined]
    server = FaultyServer()
    clock = NTPClock(server.address)
    if not clock.wait_synced(10):
        sys.exit("no synchronised time")
    otel.install(clock)
    ours = provider()
    # The bare one as it was.
    bare._active_span_processor._span_processors = held
    for place, exporter in exporters:
        place._exporter = exporter
    draw = random.Random(1)
    print("| what | bare | ours | ratio |\n|---|---:|---:|---:|")
    for what, work in (("a bare span", bare_span), ("four attributes and an event", full_span)):
        made, exported = [], []
        for number in range(arguments.pairs):
            sides = [bare, ours] if number % 2 else [ours, bare]
            found = {id(side): block(side, work(side), arguments.block) for side in sides}
            (made_bare, all_bare), (made_ours, all_ours) = found[id(bare)], found[id(ours)]
            made.append((made_bare, made_ours))
            exported.append((all_bare, all_ours))
        print(row(f"{what}, on the program's thread", made, draw))
        print(row("the same, with export", exported, draw), flush=True)
    server.stop()


if __name__ == "__main__":
    main()
