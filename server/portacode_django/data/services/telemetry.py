"""Finished traces as OpenTelemetry spans, where OTEL_EXPORTER_OTLP_ENDPOINT names a backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portacode.otel import export_trace

if TYPE_CHECKING:
    from data.services.records import Finished


def export(finished: Finished) -> None:
    """The server's part, and the browser's, which has no exporter of its own."""
    for part in ("server", "browser"):
        export_trace(
            finished.trace,
            part,
            request_id=finished.record["request_id"],
            traceparent=finished.traceparent or None,
            command=finished.record["command"],
            error=finished.record["error"],
        )
