"""What a clock tells about itself, as docs/TRACE.md has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from portacode.utils.ntp_clock import NTPClock


def clock_status(clock: NTPClock) -> dict[str, Any]:
    """The clock's status, with the keys that all languages have."""
    status: dict[str, Any] = dict(clock.get_status())
    return {name: status.get(name) for name in CLOCK_KEYS}


CLOCK_KEYS = (
    "server",
    "is_synced",
    "state",
    "offset_ms",
    "max_error_ms",
    "est_error_ms",
    "drift_ppm",
    "epoch",
    "last_sync",
    "last_error",
)
