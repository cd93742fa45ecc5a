"""Time synchronised with time.cloudflare.com, the same for every entity of a trace.

    from portacode.utils.ntp_clock import ntp_clock

    ntp_clock.now_ms()   # int, milliseconds since the Unix epoch, or None
    ntp_clock.read()     # the time with its error bound, or None

The shared clock's answers are functions of this module as well: `now_ms()`, `read()`,
`get_status()` and more. For a clock of one's own there is `NTPClock`, for tests `ManualClock`.

While a clock is not synchronised every answer is None: nothing is ever guessed, and neither
another server nor the system's clock stands in. The first synchronisation starts on import, in the
background; the first reading is there one round trip later.

The environment variable PORTACODE_NTP_SERVER (host[:port]) names another server for the shared
`ntp_clock`, for tests, demonstrations and sites without Internet. With PORTACODE_NTP_NTS=required
it believes nothing but what was proved by Network Time Security; PORTACODE_NTP_NTS_CA names a file
of the certificates to trust then.

Events are logged as "portacode.utils.ntp_clock"; the attribute `code` of a record has the failure's
code, where it tells of one.
"""

from __future__ import annotations

from portacode._native import ClockStamp, HybridClock, HybridError, HybridTime, Reading
from portacode.utils._clock import NTPClock, make_shared
from portacode.utils._manual import ManualClock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from portacode._native import ClockStatus as ClockStatus
    from portacode._native import NtsStatus as NtsStatus
    from portacode._native import SharingStatus as SharingStatus

__all__ = [
    "ClockStamp",
    "HybridClock",
    "HybridError",
    "HybridTime",
    "ManualClock",
    "NTPClock",
    "Reading",
    "at_perf_counter_ns",
    "at_raw_ns",
    "earliest",
    "earliest_ns",
    "get_status",
    "is_future",
    "is_past",
    "latest",
    "latest_ns",
    "now",
    "now_iso",
    "now_ms",
    "now_ns",
    "ntp_clock",
    "read",
    "stamp",
    "sync",
    "wait_synced",
    "wait_synced_async",
    "wait_until_past",
    "wait_until_past_async",
]

ntp_clock: NTPClock = make_shared()
"""The clock that all of the program shares, already synchronising."""

at_perf_counter_ns = ntp_clock.at_perf_counter_ns
at_raw_ns = ntp_clock.at_raw_ns
earliest = ntp_clock.earliest
earliest_ns = ntp_clock.earliest_ns
get_status = ntp_clock.get_status
is_future = ntp_clock.is_future
is_past = ntp_clock.is_past
latest = ntp_clock.latest
latest_ns = ntp_clock.latest_ns
now = ntp_clock.now
now_iso = ntp_clock.now_iso
now_ms = ntp_clock.now_ms
now_ns = ntp_clock.now_ns
read = ntp_clock.read
stamp = ntp_clock.stamp
sync = ntp_clock.sync
wait_synced = ntp_clock.wait_synced
wait_synced_async = ntp_clock.wait_synced_async
wait_until_past = ntp_clock.wait_until_past
wait_until_past_async = ntp_clock.wait_until_past_async
