"""What a trace is made of: its stamps, and how they are read from a message."""

from __future__ import annotations

import math
import re
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from portacode import _wire
from portacode._native import ClockStamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from portacode.utils.ntp_clock import NTPClock, Reading

KEYS = (
    "client_send",
    "server_receive",
    "server_send",
    "device_receive",
    "handler_receive",
    "handler_dispatch",
    "handler_complete",
    "device_send",
    "server_receive_response",
    "server_send_response",
    "client_receive",
)
"""All stamps in causal order."""


class TraceError(ValueError):
    """What came is not a trace, or a stamp was to be made that may not be; the message says why."""

    __module__ = "portacode.trace"


class Stamp(NamedTuple):
    """One event, by the clock of its entity. Milliseconds are since the Unix epoch."""

    time_ms: float | None
    """True time; None where the clock was not synchronised."""
    max_error_ms: float | None
    """Hard bound of time_ms; None where it has none."""
    est_error_ms: float | None
    """One standard deviation of time_ms."""
    epoch: int | None
    """Readings of one entity and epoch never decrease."""
    raw_ms: float | None
    """The system's clock at the same moment."""
    unsynced: str | None
    """Why there is no time."""
    counter: str | None = None
    """Which counter the clock counts with, `[scope/]name`; None where it was not reported."""
    counter_ns: int | None = None
    """That counter at the same moment, nanoseconds; there also without time."""
    counter_resolution_ns: int = 0
    """How far that may be from what a counter would show that is not coarse."""

    @property
    def counter_range_ns(self) -> tuple[int, int]:
        """Between what of its counter the event certainly was, nanoseconds.

        Raises:
            TraceError: Where the stamp has no counter.
        """
        if self.counter_ns is None:
            raise TraceError("a stamp without a counter has no moment of it")
        least_ns = max(0, self.counter_ns - self.counter_resolution_ns)
        return least_ns, min(self.counter_ns + self.counter_resolution_ns, _COUNTER_MAX_NS)

    @classmethod
    def take(cls, clock: NTPClock) -> Stamp:
        """It is now."""
        return cls.of(clock.stamp(), clock)

    @classmethod
    def of(cls, moment: ClockStamp | Reading | None, clock: NTPClock) -> Stamp:
        """It was when this clock was asked just now; what it gave is not asked for twice.

        Args:
            moment: What `clock.stamp()` gave, or `clock.read()`, which leaves the counter out.
            clock: Says why there was no time.
        """
        raw_ms = time.time_ns() / 1e6
        counter: tuple[str | None, int | None] = (None, None)
        if isinstance(moment, ClockStamp):
            counter, reading = (moment.counter, moment.counter_ns), moment.reading
        else:
            reading = moment
        if reading is None:
            reason = clock.get_status()["last_error"] or "no reply yet"
            return cls(None, None, None, None, raw_ms, reason[:REASON_CHARS], *counter)
        return cls(
            reading.time_ns / 1e6,
            (reading.max_error_ns + _ROUNDING_NS) / 1e6,
            reading.est_error_ns / 1e6,
            reading.epoch,
            raw_ms,
            None,
            *counter,
        )


def object_of(value: object, name: str) -> Mapping[str, Any]:
    """An object; an empty one for null."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        where = name if name == "trace" else f"trace.{name}"
        raise TraceError(f"{where} is not an object")
    return value


def stamp_of(
    key: str,
    members: Mapping[str, Any],
    maps: Mapping[str, Mapping[str, Any]],
    scope: str | None,
    taken: bool,
) -> Stamp | None:
    """A message's stamp of this key; its sender's counters are named in `scope` if it is taken."""
    time_ms = number(members.get(key), "trace", key, _LATEST_MS)
    max_error_ms = number(maps["max_error_ms"].get(key), "trace.max_error_ms", key, math.inf)
    est_error_ms = number(maps["est_error_ms"].get(key), "trace.est_error_ms", key, math.inf)
    raw_ms = number(maps["raw"].get(key), "trace.raw", key, _LATEST_MS)
    epoch = _whole(maps, "epoch", key, _EPOCH_MAX)
    reason = maps["unsynced"].get(key)
    if reason is not None and not isinstance(reason, str):
        raise TraceError(f"trace.unsynced.{key} is not text")
    counter = _counter_of(key, maps, scope, taken)
    if time_ms is not None:
        if reason is not None:
            raise TraceError(f"trace.{key} is stamped and in trace.unsynced as well")
        return Stamp(time_ms, max_error_ms, est_error_ms, epoch, raw_ms, None, *counter)
    if reason is None and raw_ms is None and counter[0] is None:
        return None
    reason = (reason or "no reason given")[:REASON_CHARS]
    return Stamp(None, None, None, None, raw_ms, reason, *counter)


def _counter_of(
    key: str, maps: Mapping[str, Mapping[str, Any]], scope: str | None, taken: bool
) -> tuple[str | None, int | None, int]:
    name, value = maps["counter"].get(key), maps["counter_ns"].get(key)
    resolution_ns = _whole(maps, "counter_resolution_ns", key, _RESOLUTION_MAX_NS) or 0
    if name is None and value is None:
        return _NO_COUNTER
    if name is None or value is None:
        has, misses = ("counter", "counter_ns") if value is None else ("counter_ns", "counter")
        raise TraceError(f"trace.{has}.{key} stands without trace.{misses}.{key}")
    own = scoped_counter(name, "trace.counter", key, scope if taken else None)
    return own, counter_ns(value, "trace.counter_ns", key), resolution_ns


def scoped_counter(name: object, where: str, key: str, scope: str | None) -> str:
    """A counter's name as it is kept: in the scope of the peer that reported it, if it was a peer.

    A peer speaks of its own counters alone: what it names is bare, or in its very scope.
    """
    found = _COUNTER.fullmatch(name) if isinstance(name, str) else None
    if found is None:
        raise TraceError(f"{where}.{key} is not the name of a counter")
    if scope is None or found[1] == scope:
        return found[0]
    if found[1] is not None:
        raise TraceError(f"{where}.{key} is a counter in the scope of another")
    return f"{scope}/{found[0]}"


def checked_scope(scope: str | None) -> str | None:
    """A scope that can stand before a counter's name."""
    if scope is not None and not _SCOPE.fullmatch(scope):
        raise ValueError(f"a scope is 1 to 64 printable characters without /, not {scope!r}")
    return scope


def counter_ns(value: object, where: str, key: str) -> int:
    """A counter's value: nanoseconds as text, which no reader rounds."""
    nanos = _wire.nanoseconds(value)
    if nanos is None:
        raise TraceError(f"{where}.{key} is not {_wire.NANOSECONDS_FORM}")
    return nanos


def number(value: object, where: str, key: str, most: float, least: float = 0) -> float | None:
    """A finite number of this range; None for null."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TraceError(f"{where}.{key} is not a number")
    # Also NaN, which Python's parser takes; and whole numbers too great for a float.
    if not least <= value <= most or value == math.inf:
        raise TraceError(f"{where}.{key} is out of range")
    try:
        return float(value)
    except OverflowError:
        raise TraceError(f"{where}.{key} is out of range") from None


def check_unknown(
    unknown: Mapping[str, Any], maps: Mapping[str, Mapping[str, Any]], count: int
) -> None:
    """What this version does not know is kept, within limits."""
    if count > _UNKNOWN_MAX:
        raise TraceError(f"trace has {count} unknown keys, and {_UNKNOWN_MAX} are the most")
    for part in (unknown, *maps.values()):
        for name in part:
            if len(name) > _NAME_CHARS:
                raise TraceError(f"trace has a key of {len(name)} characters, {name[:16]!r}...")
    if count:
        try:
            size = len(_wire.dumps([unknown, maps]))
        except _wire.WireError as error:
            raise TraceError(f"trace has unknown keys that cannot be passed on: {error}") from None
        if size > _UNKNOWN_CHARS:
            raise TraceError(f"trace has unknown keys of more than {_UNKNOWN_CHARS} characters")


def _whole(maps: Mapping[str, Mapping[str, Any]], name: str, key: str, most: int) -> int | None:
    value = maps[name].get(key)
    if value is None:
        return None
    parsed = number(value, f"trace.{name}", key, most)
    if parsed is None or parsed != math.floor(parsed):
        raise TraceError(f"trace.{name}.{key} is not a whole number")
    return int(parsed)


# In the order of a Stamp's fields, after its time.
STAMP_MAPS = (
    "max_error_ms",
    "est_error_ms",
    "epoch",
    "raw",
    "unsynced",
    "counter",
    "counter_ns",
    "counter_resolution_ns",
)
REASON_CHARS = 200
_NO_COUNTER = (None, None, 0)
_COUNTER = re.compile(f"(?:([ -.0-~]{{1,64}})/)?{_wire.COUNTER}")
_SCOPE = re.compile("[ -.0-~]{1,64}")
# Half the distance between doubles of this size, rounded up.
_ROUNDING_NS = 125
_LATEST_MS = 253_402_300_799_999
_EPOCH_MAX = 2**53 - 1
_COUNTER_MAX_NS = 2**63 - 1
_RESOLUTION_MAX_NS = 1_000_000_000
_NAME_CHARS = 64
_UNKNOWN_MAX = 64
_UNKNOWN_CHARS = 8_192
