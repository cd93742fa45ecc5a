"""An ordinary program with OpenTelemetry, beside the truth: spans, logs and a metric, by OTLP.

docs/OPENTELEMETRY.md says which variables it obeys; what it prints is for otel_truth.notes_of. With
TRUE_TIME=0 it is the same without our line.
"""

from __future__ import annotations

import json
import os
import select
import sys
import threading
import time
from pathlib import Path

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import set_span_in_context


def number(name: str, otherwise: int) -> int:
    return int(os.environ.get(name, otherwise))


def raw() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)


def rest(milliseconds: int) -> None:
    # libfaketime spoils the deadline of time.sleep where it leaves CLOCK_MONOTONIC alone.
    if milliseconds:
        select.select([], [], [], milliseconds / 1000)


def note(name: str, **brackets: tuple[int, int]) -> None:
    # One write: threads do not mix their lines.
    sys.stdout.write(json.dumps({"id": name, **brackets}) + "\n")


def step() -> None:
    """Has libfaketime step the system's clock."""
    if "STEP_FILE" in os.environ:
        # Renamed, so that nobody reads half of it.
        file = Path(os.environ["STEP_FILE"])
        file.with_suffix(".new").write_text(os.environ["STEP_TO"])
        file.with_suffix(".new").replace(file)


if os.environ.get("TRUE_TIME") != "0":
    import portacode.otel

    portacode.otel.install()  # type: ignore[attr-defined, unused-ignore]

traces = TracerProvider()
traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
logs = LoggerProvider()
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
tracer = traces.get_tracer("truth")
logger = logs.get_logger("truth")


def span(name: str) -> None:
    """A span with an event, and another one within it."""
    within = f"{name}, within"
    at = [raw()]
    outer = tracer.start_span(name, attributes={"truth.id": name})
    at.append(raw())
    context = set_span_in_context(outer)
    inner = tracer.start_span(within, context, attributes={"truth.id": within})
    at.append(raw())
    if name == "stepped":
        step()
    at.append(raw())
    outer.add_event("here")
    at.append(raw())
    inner.end()
    at.append(raw())
    outer.end()
    at.append(raw())
    note(within, start=(at[1], at[2]), end=(at[4], at[5]))
    here = {"event 0 here": (at[3], at[4])}
    note(name, start=(at[0], at[1]), **here, end=(at[5], at[6]))


def log(name: str) -> None:
    before = raw()
    logger.emit(
        LogRecord(
            timestamp=time.time_ns(),
            observed_timestamp=time.time_ns(),
            severity_number=SeverityNumber.INFO,
            body=name,
            attributes={"truth.id": name},
        )
    )
    after = raw()
    note(name, timestamp=(before, after), observed=(before, after))


def work(thread: int) -> None:
    for turn in range(number("SPANS", 5)):
        span(f"span {thread} {turn}")
        if turn < 100:
            log(f"log {thread} {turn}")
        rest(number("PAUSE_MS", 0))


before = raw()
reader = PeriodicExportingMetricReader(OTLPMetricExporter(), export_interval_millis=60_000)
metrics = MeterProvider([reader])
metrics.get_meter("truth").create_counter("counted").add(1, {"truth.id": "counted"})
note("counted", since=(before, raw()))
if number("SYNCHRONISE", 0) and os.environ.get("TRUE_TIME") != "0":
    from portacode.utils.ntp_clock import ntp_clock

    if not ntp_clock.wait_synced(60):
        sys.exit("no synchronised time within 10 s")
threads = [threading.Thread(target=work, args=(place,)) for place in range(number("THREADS", 1))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
span("stepped")
metrics.force_flush()
rest(number("REST_MS", 0))
span("last")
log("last log")
for provider in (traces, logs, metrics):
    provider.shutdown()
