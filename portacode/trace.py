"""Traces: who did what when, on the way of a request from browser to device and back.

    from portacode.trace import Trace
    from portacode.utils.ntp_clock import ntp_clock

    trace = Trace.from_message(message.get("trace"))
    trace.stamp("server_receive", ntp_clock, "server:7f3a")
    message["trace"] = trace.to_message()

    trace.order("client_send", "server_receive")  # Order.CERTAINLY_BEFORE, if it is certain
    trace.problems()                               # pairs that are certainly in the wrong order

The format, and what the stamps mean, is docs/TRACE.md.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from portacode import _wire
from portacode.order import Order

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from portacode.utils.ntp_clock import NTPClock, Reading

__all__ = [
    "CLIENT_KEYS",
    "DEVICE_KEYS",
    "KEYS",
    "SERVER_KEYS",
    "Hop",
    "Order",
    "Problem",
    "Stamp",
    "Trace",
    "TraceError",
]

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

CLIENT_KEYS = frozenset({"client_send", "client_receive"})
"""Stamps that are the browser's to make."""
SERVER_KEYS = frozenset(
    {"server_receive", "server_send", "server_receive_response", "server_send_response"}
)
"""Stamps that are the server's to make."""
DEVICE_KEYS = frozenset(
    {"device_receive", "handler_receive", "handler_dispatch", "handler_complete", "device_send"}
)
"""Stamps that are the device's to make."""


class TraceError(ValueError):
    """What came is not a trace, or a stamp was to be made that may not be; the message says why."""


class Stamp(NamedTuple):
    """One event, by the clock of whoever stamps it. Milliseconds are since the Unix epoch."""

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

    @classmethod
    def take(cls, clock: NTPClock) -> Stamp:
        """It is now."""
        return cls.of(clock.read(), clock)

    @classmethod
    def of(cls, reading: Reading | None, clock: NTPClock) -> Stamp:
        """It was when this clock was read just now; what it gave is not asked for twice."""
        raw_ms = time.time_ns() / 1e6
        if reading is None:
            reason = clock.get_status()["last_error"] or "no reply yet"
            return cls(None, None, None, None, raw_ms, reason[:_REASON_CHARS])
        return cls(
            reading.time_ns / 1e6,
            (reading.max_error_ns + _ROUNDING_NS) / 1e6,
            reading.est_error_ns / 1e6,
            reading.epoch,
            raw_ms,
            None,
        )


class Problem(NamedTuple):
    """Two stamps that stand in the wrong order."""

    earlier: str
    """What must have happened first."""
    later: str
    """What must have happened after it, and says that it did not."""
    by_ms: float
    """How far the two are apart the wrong way."""


class Hop(NamedTuple):
    """The way from one stamp to the next one there."""

    start: str
    end: str
    ms: float
    max_error_ms: float | None
    """None where one of the stamps has none."""
    est_error_ms: float | None


class Trace:
    """The stamps of one request. Not to be used by several threads at once."""

    __slots__ = ("_entities", "_extra", "_extra_maps", "_stamps")

    def __init__(self) -> None:
        self._stamps: dict[str, Stamp] = {}
        self._entities: dict[str, str] = {}
        # What other versions know and this one does not.
        self._extra: dict[str, Any] = {}
        self._extra_maps: dict[str, dict[str, Any]] = {}

    @classmethod
    def from_message(cls, value: object, only: Iterable[str] = KEYS) -> Trace:
        """The trace that a message has as its `trace`; None is one without stamps.

        Args:
            value: Parsed JSON.
            only: The stamps to take; others among `KEYS` are left out, because they are not the
                sender's to make.

        Raises:
            TraceError: Where it breaks a limit of docs/TRACE.md.
        """
        trace = cls()
        if value is None:
            return trace
        members = _object(value, "trace")
        maps = {name: _object(members.get(name), name) for name in _MAPS}
        unknown = {name: part for name, part in members.items() if name not in _KNOWN}
        unknown.pop("ping", None)
        count = len(unknown)
        for name, part in maps.items():
            more = {key: entry for key, entry in part.items() if key not in _KEYS}
            if more:
                trace._extra_maps[name] = more
                count += len(more)
        _check_unknown(unknown, trace._extra_maps, count)
        trace._extra = unknown
        wanted = frozenset(only)
        for key in KEYS:
            stamp = _stamp_of(key, members, maps)
            entity = maps["entities"].get(key)
            if entity is not None and not isinstance(entity, str):
                raise TraceError(f"trace.entities.{key} is not text")
            if entity is not None and len(entity) > _ENTITY_CHARS:
                raise TraceError(f"trace.entities.{key} has more than {_ENTITY_CHARS} characters")
            if key not in wanted:
                continue
            if stamp is not None:
                trace._stamps[key] = stamp
            if entity is not None:
                trace._entities[key] = entity
        return trace

    def to_message(self) -> dict[str, Any]:
        """The trace as JSON has it."""
        message: dict[str, Any] = {}
        maps: dict[str, dict[str, Any]] = {name: {} for name in _MAPS}
        for key in KEYS:
            entity = self._entities.get(key)
            if entity is not None:
                maps["entities"][key] = entity
            stamp = self._stamps.get(key)
            if stamp is None:
                continue
            if stamp.time_ms is not None:
                message[key] = stamp.time_ms
            for name, value in zip(_STAMP_MAPS, stamp[1:]):
                if value is not None:
                    maps[name][key] = value
        ping = self.ping_ms
        if ping is not None:
            message["ping"] = ping
        for name, part in maps.items():
            part.update(self._extra_maps.get(name, {}))
            if part:
                message[name] = part
        message.update(self._extra)
        return message

    def stamp(self, key: str, clock: NTPClock, entity: str) -> None:
        """Stamps this moment.

        Raises:
            TraceError: Where there is no such stamp, or it has been made.
        """
        self.put(key, Stamp.take(clock), entity)

    def put(self, key: str, stamp: Stamp, entity: str) -> None:
        """Adds a stamp that was taken before, say when the frame came in.

        Raises:
            TraceError: Where there is no such stamp, or it has been made.
        """
        if key not in _KEYS:
            raise TraceError(f"there is no stamp {key!r}")
        if key in self._stamps:
            raise TraceError(f"{key} is stamped already, and a stamp is made once")
        self._stamps[key] = stamp
        self._entities[key] = entity

    def merge(self, other: Trace, only: Iterable[str] = KEYS) -> None:
        """Takes from another trace of the same request what this one has not.

        Args:
            other: It is left as it is.
            only: The stamps to take, those that are its sender's to make.
        """
        wanted = frozenset(only)
        for key, stamp in other._stamps.items():
            if key in wanted and key not in self._stamps:
                self._stamps[key] = stamp
                entity = other._entities.get(key)
                if entity is not None:
                    self._entities[key] = entity
        for name, value in other._extra.items():
            self._extra.setdefault(name, value)
        for name, part in other._extra_maps.items():
            self._extra_maps[name] = {**part, **self._extra_maps.get(name, {})}

    def get(self, key: str) -> Stamp | None:
        """A stamp, also one without time; None where the event has not been stamped."""
        return self._stamps.get(key)

    def entity(self, key: str) -> str | None:
        """Who stamped it."""
        return self._entities.get(key)

    @property
    def ping_ms(self) -> float | None:
        """The last stamp there, in causal order, less client_send; None without either."""
        timed = self._timed()
        if len(timed) < 2 or timed[0][0] != "client_send":
            return None
        return timed[-1][1] - timed[0][1]

    @property
    def unsynced(self) -> dict[str, str]:
        """Events without time, and why."""
        return {
            key: stamp.unsynced
            for key in KEYS
            if (stamp := self._stamps.get(key)) is not None and stamp.unsynced is not None
        }

    def missing(self) -> list[str]:
        """The keys that have no time, in causal order; a complete trace misses none."""
        timed = {key for key, _ in self._timed()}
        return [key for key in KEYS if key not in timed]

    def order(self, a: str, b: str) -> Order:
        """What can be said of the order of two stamps, whoever made them."""
        return self._compare(a, b)[0]

    def problems(self) -> list[Problem]:
        """All pairs that are certainly in the wrong order."""
        found = []
        keys = [key for key, _ in self._timed()]
        for index, earlier in enumerate(keys):
            for later in keys[index + 1 :]:
                order, apart_ms = self._compare(earlier, later)
                if order is Order.CERTAINLY_AFTER:
                    found.append(Problem(earlier, later, -apart_ms))
        return found

    def raw_problems(self) -> list[Problem]:
        """All pairs whose times by the system's clocks run backwards."""
        raw = [
            (key, stamp.raw_ms)
            for key in KEYS
            if (stamp := self._stamps.get(key)) is not None and stamp.raw_ms is not None
        ]
        return [
            Problem(earlier, later, before - after)
            for index, (earlier, before) in enumerate(raw)
            for later, after in raw[index + 1 :]
            if after < before
        ]

    def hops(self) -> list[Hop]:
        """The ways between neighbouring stamps that are there."""
        timed = self._timed()
        return [
            self._hop(start, end, after - before)
            for (start, before), (end, after) in zip(timed, timed[1:])
        ]

    def __repr__(self) -> str:
        """How much of it there is."""
        return f"<Trace of {len(self._timed())} stamps, ping {self.ping_ms} ms>"

    def _timed(self) -> list[tuple[str, float]]:
        return [
            (key, stamp.time_ms)
            for key in KEYS
            if (stamp := self._stamps.get(key)) is not None and stamp.time_ms is not None
        ]

    def _compare(self, a: str, b: str) -> tuple[Order, float]:
        """Their order, and `b` less `a`."""
        one, other = self._stamps.get(a), self._stamps.get(b)
        if one is None or other is None or one.time_ms is None or other.time_ms is None:
            return Order.CANNOT_TELL, math.nan
        # Of two doubles this near the difference is exact; of sums with errors it would not be.
        apart_ms = other.time_ms - one.time_ms
        if one.max_error_ms is None or other.max_error_ms is None:
            return Order.CANNOT_TELL, apart_ms
        entity = self._entities.get(a)
        alike = entity is not None and entity == self._entities.get(b)
        same_line = alike and one.epoch is not None and one.epoch == other.epoch
        unsure_ms = 0.0 if same_line else one.max_error_ms + other.max_error_ms
        if apart_ms > unsure_ms:
            return Order.CERTAINLY_BEFORE, apart_ms
        if -apart_ms > unsure_ms:
            return Order.CERTAINLY_AFTER, apart_ms
        return Order.CANNOT_TELL, apart_ms

    def _hop(self, start: str, end: str, ms: float) -> Hop:
        one, other = self._stamps[start], self._stamps[end]
        max_error_ms = est_error_ms = None
        if one.max_error_ms is not None and other.max_error_ms is not None:
            max_error_ms = one.max_error_ms + other.max_error_ms
        if one.est_error_ms is not None and other.est_error_ms is not None:
            squares = one.est_error_ms**2 + other.est_error_ms**2
            est_error_ms = math.sqrt(squares)
        return Hop(start, end, ms, max_error_ms, est_error_ms)


def _object(value: object, name: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        where = name if name == "trace" else f"trace.{name}"
        raise TraceError(f"{where} is not an object")
    return value


def _stamp_of(
    key: str, members: Mapping[str, Any], maps: Mapping[str, Mapping[str, Any]]
) -> Stamp | None:
    time_ms = _number(members.get(key), f"trace.{key}", _LATEST_MS)
    max_error_ms, est_error_ms, raw_ms = (
        _number(maps[name].get(key), f"trace.{name}.{key}", limit)
        for name, limit in (
            ("max_error_ms", math.inf),
            ("est_error_ms", math.inf),
            ("raw", _LATEST_MS),
        )
    )
    epoch = maps["epoch"].get(key)
    if epoch is not None:
        whole = _number(epoch, f"trace.epoch.{key}", _EPOCH_MAX)
        if whole is None or whole != math.floor(whole):
            raise TraceError(f"trace.epoch.{key} is not a whole number")
        epoch = int(whole)
    reason = maps["unsynced"].get(key)
    if reason is not None and not isinstance(reason, str):
        raise TraceError(f"trace.unsynced.{key} is not text")
    if time_ms is not None:
        if reason is not None:
            raise TraceError(f"trace.{key} is stamped and in trace.unsynced as well")
        return Stamp(time_ms, max_error_ms, est_error_ms, epoch, raw_ms, None)
    if reason is None and raw_ms is None:
        return None
    return Stamp(None, None, None, None, raw_ms, (reason or "no reason given")[:_REASON_CHARS])


def _number(value: object, name: str, limit: float) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TraceError(f"{name} is not a number")
    # Also NaN, which Python's parser takes; and whole numbers too great for a float.
    if not 0 <= value <= limit or value == math.inf:
        raise TraceError(f"{name} is out of range")
    try:
        return float(value)
    except OverflowError:
        raise TraceError(f"{name} is out of range") from None


def _check_unknown(
    unknown: Mapping[str, Any], maps: Mapping[str, Mapping[str, Any]], count: int
) -> None:
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


_KEYS = frozenset(KEYS)
# In the order of a Stamp's fields, after its time.
_STAMP_MAPS = ("max_error_ms", "est_error_ms", "epoch", "raw", "unsynced")
_MAPS = (*_STAMP_MAPS, "entities")
_KNOWN = _KEYS.union(_MAPS)
# Half the distance between doubles of this size, rounded up.
_ROUNDING_NS = 125
_LATEST_MS = 253_402_300_799_999
_EPOCH_MAX = 2**53 - 1
_REASON_CHARS = 200
_NAME_CHARS = 64
_ENTITY_CHARS = 128
_UNKNOWN_MAX = 64
_UNKNOWN_CHARS = 8_192
