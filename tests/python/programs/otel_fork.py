"""Spans of a parent and of its forked children, while the clock is never synchronised."""

from __future__ import annotations

import os
import select
import warnings

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from portacode import otel

otel.install(gate=otel.GateLimits(wait_s=1.0))
warnings.simplefilter("ignore", DeprecationWarning)
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=50))
tracer = provider.get_tracer("fork")

tracer.start_span("parent before").end()
# It has left the SDK's queue, and waits for the clock.
select.select([], [], [], 0.3)
children = []
for number in range(3):
    child = os.fork()
    if child == 0:
        tracer.start_span(f"child {number}").end()
        provider.shutdown()
        os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
tracer.start_span("parent after").end()
