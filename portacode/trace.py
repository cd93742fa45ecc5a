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

from typing import TYPE_CHECKING, Any, NamedTuple

from portacode._trace_links import LINKS_MAX, link_of, links_of, put_link
from portacode._trace_parts import (
    KEYS,
    STAMP_MAPS,
    Stamp,
    TraceError,
    check_unknown,
    checked_scope,
    object_of,
    stamp_of,
)
from portacode._trace_relations import Event, Part, Related
from portacode.order import Order, Relation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from portacode.order import Evidence
    from portacode.utils.ntp_clock import NTPClock

__all__ = [
    "CLIENT_KEYS",
    "DEVICE_KEYS",
    "KEYS",
    "SERVER_KEYS",
    "Hop",
    "Order",
    "Problem",
    "Relation",
    "Stamp",
    "Trace",
    "TraceError",
    "order",
    "relation",
]

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
    """How long it took, as well as is known."""
    max_error_ms: float | None
    """Half of what is between lower_ms and upper_ms; None where a side is not known."""
    est_error_ms: float | None
    """One standard deviation of ms."""
    lower_ms: float | None
    """At least so long, for certain."""
    upper_ms: float | None
    """At most so long, for certain."""
    absolute_error_ms: float | None
    """What it would be wrong by at most by the two times alone; None where one has no error."""


class Trace:
    """The stamps of one request. Not to be used by several threads at once."""

    __slots__ = ("_entities", "_extra", "_extra_maps", "_links", "_related", "_scoped", "_stamps")

    def __init__(self) -> None:
        self._stamps: dict[str, Stamp] = {}
        # By whether causes count; what is not changed since is not worked out again.
        self._related: dict[bool, Related] = {}
        self._entities: dict[str, str] = {}
        self._links: list[dict[str, Any]] = []
        # What the server calls the counters that are bare here.
        self._scoped: dict[str, str] = {}
        # What other versions know and this one does not.
        self._extra: dict[str, Any] = {}
        self._extra_maps: dict[str, dict[str, Any]] = {}

    @classmethod
    def from_message(
        cls, value: object, only: Iterable[str] = KEYS, scope: str | None = None
    ) -> Trace:
        """The trace that a message has as its `trace`; None is one without stamps.

        Args:
            value: Parsed JSON.
            only: The stamps to take; others among `KEYS` are left out, because they are not the
                sender's to make.
            scope: The name of the peer that sent it, say `device:12`: it is put before the names of
                its counters, so that it can speak of no other's, and its links are left out. None
                for a trace of one's own store, or of the server.

        Raises:
            TraceError: Where it breaks a limit of docs/TRACE.md, or names another's counter.
            ValueError: Where the scope is none.
        """
        trace = cls()
        checked_scope(scope)
        if value is None:
            return trace
        members = object_of(value, "trace")
        maps = {name: object_of(members.get(name), name) for name in _MAPS}
        if scope is None:
            trace._links = links_of(members.get("links"))
        unknown = {name: part for name, part in members.items() if name not in _KNOWN}
        unknown.pop("ping", None)
        count = len(unknown)
        for name, part in maps.items():
            more = {key: entry for key, entry in part.items() if key not in _KEYS}
            if more:
                trace._extra_maps[name] = more
                count += len(more)
        check_unknown(unknown, trace._extra_maps, count)
        trace._extra = unknown
        wanted = frozenset(only)
        for key in KEYS:
            stamp = stamp_of(key, members, maps, scope, key in wanted)
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
            for name, value in zip(STAMP_MAPS, stamp[1:]):
                if value is not None:
                    maps[name][key] = value
            if stamp.counter_ns is not None:
                maps["counter_ns"][key] = str(stamp.counter_ns)
            if not stamp.counter_resolution_ns:
                del maps["counter_resolution_ns"][key]
        ping = self.ping_ms
        if ping is not None:
            message["ping"] = ping
        for name, part in maps.items():
            part.update(self._extra_maps.get(name, {}))
            if part:
                message[name] = part
        if self._links:
            message["links"] = self.links
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
        self._related = {}
        if key in self._stamps:
            raise TraceError(f"{key} is stamped already, and a stamp is made once")
        self._stamps[key] = self._in_scope(stamp)
        self._entities[key] = entity

    def add_link(self, snapshot: Mapping[str, Any]) -> None:
        """Adds what is known of two counters, in the place of what was known before.

        Args:
            snapshot: As docs/TRACE.md has it in `links`, and `portacode.order.Links.snapshot` gives
                it.

        Raises:
            TraceError: Where it is unsound, or the trace has 8 links of others.
        """
        self._related = {}
        put_link(self._links, link_of(snapshot, "the link"))

    @property
    def links(self) -> list[dict[str, Any]]:
        """What is known of the counters of its stamps, two at a time."""
        return [dict(link) for link in self._links]

    def merge(self, other: Trace, only: Iterable[str] = KEYS) -> None:
        """Takes from another trace of the same request what this one has not.

        Args:
            other: It is left as it is.
            only: The stamps to take, those that are its sender's to make.

        Keys that this version does not know come along, unless they would be too many with those
        that are here already.

        Where the other has stamps of this one under a counter's name with a scope, which is how
        they come back from the server, this one's counters are called so from now on.
        """
        self._related = {}
        wanted = frozenset(only)
        for key, stamp in other._stamps.items():
            if key not in wanted:
                continue
            self._learn(self._stamps.get(key), stamp)
            if key not in self._stamps:
                self._stamps[key] = stamp
                entity = other._entities.get(key)
                if entity is not None:
                    self._entities[key] = entity
        known = [{link["a"], link["b"]} for link in self._links]
        for link in other._links:
            if {link["a"], link["b"]} not in known and len(self._links) < LINKS_MAX:
                put_link(self._links, link)
        extra = {**other._extra, **self._extra}
        extra_maps = {
            name: {**other._extra_maps.get(name, {}), **self._extra_maps.get(name, {})}
            for name in {**self._extra_maps, **other._extra_maps}
        }
        try:
            check_unknown(extra, extra_maps, len(extra) + sum(map(len, extra_maps.values())))
        except TraceError:
            # Each has no more than a trace may have, and both together have: ours stay.
            return
        self._extra, self._extra_maps = extra, extra_maps

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
        """What can be said of the order of two stamps, no matter who made them."""
        return self.relation(a, b).order

    def relation(self, a: str, b: str, *, evidence: Evidence = "all") -> Relation:
        """How one stamp stands to another: by counters, links, readings and what caused what.

        Args:
            a: The first stamp.
            b: The second one. Either may be absent: then nothing is known.
            evidence: "exchanges" leaves out causes, and what links know by messages of requests.
        """
        return self._relations().between(Event(0, a), Event(0, b), evidence)

    def contradictions(self) -> list[tuple[str, ...]]:
        """What cannot all be true, and counts for nothing: of each, at least one part lies."""
        return self._relations().contradictions

    def problems(self) -> list[Problem]:
        """All pairs that are certainly in the wrong order, as the clocks say."""
        keys = [key for key in KEYS if key in self._stamps]
        counted = all(self._stamps[key].counter is not None for key in keys)
        if counted and not self.contradictions():
            # What is certainly in the wrong order contradicts what caused what.
            return []
        found = []
        relations = self._relations(causes=False)
        for index, earlier in enumerate(keys):
            for later in keys[index + 1 :]:
                relation = relations.between(Event(0, earlier), Event(0, later))
                if relation.order is Order.CERTAINLY_AFTER:
                    apart_ms = relation.upper_ms if relation.est_ms is None else relation.est_ms
                    found.append(Problem(earlier, later, -(apart_ms or 0.0)))
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

    def _learn(self, own: Stamp | None, returned: Stamp) -> None:
        if own is None or own.counter is None or returned.counter is None:
            return
        if own.counter_ns != returned.counter_ns:
            return
        if returned.counter.endswith(f"/{own.counter}") and "/" not in own.counter:
            self._scoped[own.counter] = returned.counter
            self._stamps = {key: self._in_scope(stamp) for key, stamp in self._stamps.items()}

    def _in_scope(self, stamp: Stamp) -> Stamp:
        name = self._scoped.get(stamp.counter or "")
        return stamp if name is None else stamp._replace(counter=name)

    def _timed(self) -> list[tuple[str, float]]:
        return [
            (key, stamp.time_ms)
            for key in KEYS
            if (stamp := self._stamps.get(key)) is not None and stamp.time_ms is not None
        ]

    def _hop(self, start: str, end: str, read_ms: float) -> Hop:
        one, other = self._stamps[start], self._stamps[end]
        absolute_ms = None
        if one.max_error_ms is not None and other.max_error_ms is not None:
            absolute_ms = one.max_error_ms + other.max_error_ms
        relation = self.relation(start, end)
        lower, upper = relation.lower_ms, relation.upper_ms
        ms = read_ms if relation.est_ms is None else relation.est_ms
        # What the times say may be what cannot be.
        ms = ms if lower is None else max(ms, lower)
        ms = ms if upper is None else min(ms, upper)
        return Hop(
            start,
            end,
            ms,
            None if lower is None or upper is None else (upper - lower) / 2,
            relation.est_error_ms,
            lower,
            upper,
            absolute_ms,
        )

    def _relations(self, causes: bool = True) -> Related:
        related = self._related.get(causes)
        if related is None:
            related = self._related[causes] = Related([self._part()], causes=causes)
        return related

    def _part(self) -> Part:
        return Part(self._stamps, self._entities, self._links)


def relation(a: tuple[Trace, str], b: tuple[Trace, str], *, evidence: Evidence = "all") -> Relation:
    """How a stamp stands to one of another trace, by all that both traces know.

    Args:
        a: A trace, and which of its stamps.
        b: Another one, or the same, and which of its stamps.
        evidence: "exchanges" leaves out causes, and what links know by messages of requests.
    """
    if a[0] is b[0]:
        return a[0].relation(a[1], b[1], evidence=evidence)
    related = Related([a[0]._part(), b[0]._part()])
    return related.between(Event(0, a[1]), Event(1, b[1]), evidence)


def order(a: tuple[Trace, str], b: tuple[Trace, str]) -> Order:
    """What can be said of the order of two stamps of two traces: `relation(a, b).order`."""
    return relation(a, b).order


_KEYS = frozenset(KEYS)
_MAPS = (*STAMP_MAPS, "entities")
_KNOWN = _KEYS.union(_MAPS, ("links",))
_ENTITY_CHARS = 128
