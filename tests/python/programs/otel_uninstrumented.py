"""A program that knows the API of OpenTelemetry alone, as `opentelemetry-instrument` runs it."""

from __future__ import annotations

import logging
import select

from opentelemetry import metrics, trace

metrics.get_meter("program").create_counter("counted").add(1)
with trace.get_tracer("program").start_as_current_span("worked"):
    logging.getLogger("program").warning("said")
# Until the clock is synchronised.
select.select([], [], [], 1)
