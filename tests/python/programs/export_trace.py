"""Exports a trace as browser, server and device do, each by itself, and says how many spans."""

from __future__ import annotations

import json
import sys
from typing import Any

from portacode import otel

given: dict[str, Any] = json.loads(sys.argv[1])
trace, request_id = given.pop("trace"), given.pop("request_id")
traceparent = given.pop("traceparent", None)
message = {"request_id": request_id, "trace": trace}
if traceparent:
    message["traceparent"] = traceparent
otel.inject(message, "server")
count = otel.export_trace(
    trace, "device", request_id=request_id, traceparent=message.get("traceparent"), **given
)
for entity in ("server", "browser"):
    count += otel.export_trace(
        trace, entity, request_id=request_id, traceparent=traceparent, **given
    )
assert otel.flush()
print(count)
