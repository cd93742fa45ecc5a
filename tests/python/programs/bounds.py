"""How far a clock that asks this machine's own is off, beyond what it says itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from portacode.utils.ntp_clock import NTPClock


def beyond_its_bound_ms(clock: NTPClock) -> float:
    """0 where the truth is within the reading's bound; infinity without a reading."""
    before_ns, reading, after_ns = time.time_ns(), clock.read(), time.time_ns()
    if reading is None:
        return float("inf")
    off_ns = max(before_ns - reading.time_ns, reading.time_ns - after_ns)
    return max(off_ns - reading.max_error_ns, 0) / 1e6
