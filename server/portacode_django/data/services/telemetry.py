"""Finished traces as OpenTelemetry spans, where OTEL_EXPORTER_OTLP_ENDPOINT names a backend."""

from __future__ import annotations

from typing import Any

from portacode.otel import export_trace


def export(record: dict[str, Any], traceparent: str) -> None:
    """The server's part, and the browser's, which has no exporter of its own."""
    for part in ("server", "browser"):
        export_trace(
            record["trace"],
            part,
            request_id=record["request_id"],
            traceparent=traceparent or None,
            command=record["command"],
            error=record["error"],
        )
