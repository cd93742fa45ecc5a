"""An ASGI service, instrumented by hand, that answers with what its spans said."""

from __future__ import annotations

import json
import sys
from typing import Any

import uvicorn
from opentelemetry import propagate
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from portacode import otel
from portacode.utils.ntp_clock import ntp_clock

otel.install()
kept = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(kept))
tracer = provider.get_tracer("service")


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    with tracer.start_as_current_span("served", propagate.extract(headers)):
        pass
    await receive()
    span = kept.get_finished_spans()[-1]
    state = span.parent.trace_state.to_header() if span.parent else ""
    said = {"attributes": dict(span.attributes or {}), "state": state}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(said).encode()})


if not ntp_clock.wait_synced(60):
    sys.exit("no synchronised time")
uvicorn.run(otel.ExchangeMiddleware(app), port=int(sys.argv[1]), log_level="error", lifespan="off")
