"""What `opentelemetry-instrument` calls after it has set the providers, before it instruments.

It imports `portacode.otel` as late as this, because an exception would end all of the automatic
instrumentation.
"""

from __future__ import annotations

import logging
import os


def begin() -> None:
    """Installs, unless OTEL_PYTHON_DISABLED_INSTRUMENTATIONS names "portacode"."""
    disabled = os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "")
    if "portacode" in (name.strip() for name in disabled.split(",")):
        return
    try:
        from portacode import otel

        otel.install()
    except ImportError as missing:
        logging.getLogger("portacode.otel").error("times stay as they are: %s", missing)
