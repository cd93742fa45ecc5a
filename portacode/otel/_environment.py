"""What the environment says of OpenTelemetry, read without importing any of it."""

from __future__ import annotations

import math
import os


class OtelMissingError(ImportError):
    """OpenTelemetry is asked for and not installed."""


def active() -> bool:
    """Whether the environment asks for spans to be exported."""
    environ = os.environ
    asked = any(environ.get(name) for name in _ENDPOINTS)
    disabled = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return asked and not disabled and environ.get("OTEL_TRACES_EXPORTER", "").strip() != "none"


def timeout_s() -> float:
    """How long a backend may take, as the exporter reads it: seconds, 10 by themselves."""
    for name in ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"):
        try:
            limit_s = float(os.environ.get(name, ""))
        except ValueError:
            continue
        if 0 < limit_s < math.inf:
            return limit_s
    return 10.0


_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
