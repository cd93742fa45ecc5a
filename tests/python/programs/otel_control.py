"""The bare SDK beside the truth: spans, an event, logs and a metric, by OTLP.

Under libfaketime its clock is stepped within the span "stepped" where STEP_FILE and STEP_TO are
set. What it prints is for otel_truth.notes_of.
"""

from __future__ import annotations

import json
import os
import select
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


def raw() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)


def note(name: str, **brackets: tuple[int, int]) -> None:
    print(json.dumps({"id": name, **brackets}), flush=True)


traces = TracerProvider()
traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
logs = LoggerProvider()
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
tracer = traces.get_tracer("control")
logger = logs.get_logger("control")


def span(name: str) -> None:
    at = [raw()]
    opened = tracer.start_span(name, attributes={"truth.id": name})
    at.append(raw())
    if name == "stepped" and "STEP_FILE" in os.environ:
        # Renamed, so that nobody reads half of it.
        file = Path(os.environ["STEP_FILE"])
        file.with_suffix(".new").write_text(os.environ["STEP_TO"])
        file.with_suffix(".new").replace(file)
    at.append(raw())
    opened.add_event("here")
    at.append(raw())
    opened.end()
    at.append(raw())
    brackets = {"start": (at[0], at[1]), "event 0 here": (at[2], at[3]), "end": (at[3], at[4])}
    note(name, **brackets)


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


before = raw()
reader = PeriodicExportingMetricReader(OTLPMetricExporter(), export_interval_millis=60_000)
metrics = MeterProvider([reader])
metrics.get_meter("control").create_counter("counted").add(1, {"truth.id": "counted"})
note("counted", since=(before, raw()))

for number in range(5):
    span(f"span {number}")
    log(f"log {number}")
span("stepped")
# libfaketime spoils the deadline of time.sleep where it leaves CLOCK_MONOTONIC alone.
select.select([], [], [], float(os.environ.get("REST_S", "0")))
span("last")
log("last log")
for provider in (traces, logs, metrics):
    provider.shutdown()
