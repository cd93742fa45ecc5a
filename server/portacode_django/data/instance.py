"""Who this process is, in traces as in the clock's replies."""

from __future__ import annotations

from portacode.relay.endpoint import shared_relay


def entity() -> str:
    """How this process signs its stamps: a name of its own, which a forked worker renews."""
    return f"server:{shared_relay.instance}"
