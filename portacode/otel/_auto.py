"""What `opentelemetry-instrument` calls after it has set the providers, before it instruments."""

from __future__ import annotations

import logging
import os

from portacode import otel


def begin() -> None:
    """Installs, unless OTEL_PYTHON_DISABLED_INSTRUMENTATIONS names "portacode"."""
    disabled = os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "")
    if "portacode" in (name.strip() for name in disabled.split(",")):
        return
    try:
        otel.install()
    except otel.OtelMissingError as missing:
        # An exception here would end all of the automatic instrumentation.
        logging.getLogger("portacode.otel").error("times stay as they are: %s", missing)
