"""How the stamps of traces stand to one another, by all that is known of their clocks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from portacode._trace_parts import KEYS
from portacode.order import Moment, Order, Relation, Relations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from portacode._trace_links import Link
    from portacode._trace_parts import Stamp
    from portacode.order import Evidence

UNKNOWN = Relation(Order.CANNOT_TELL, None, None, None, None, None, ())


class Part(NamedTuple):
    """A trace, as far as it says something of order."""

    stamps: Mapping[str, Stamp]
    entities: Mapping[str, str]
    links: Sequence[Link]


class Event(NamedTuple):
    """A stamp: in which of the traces, and which."""

    part: int
    key: str


class Related:
    """The stamps of some traces, and how any two of them stand to one another.

    Args:
        parts: The traces.
        causes: Whether it counts that each stamp of a trace made the next one happen.
    """

    __slots__ = ("_causes", "_parts", "_places", "_relations")

    def __init__(self, parts: Sequence[Part], *, causes: bool = True) -> None:
        self._parts = parts
        self._causes = causes
        self._places: dict[Event, _Place] = {}
        moments: list[Moment] = []
        names: list[str] = []
        pairs: list[tuple[int, int]] = []
        for number, part in enumerate(parts):
            before: _Place | None = None
            for key in KEYS:
                stamp = part.stamps.get(key)
                if stamp is None or stamp.counter is None:
                    continue
                event = Event(number, key)
                place = self._places[event] = _place(stamp, moments)
                names += [self._name(event)] * (len(moments) - len(names))
                if causes and before is not None:
                    pairs.append((before.first, place.last))
                before = place
        links = [link for part in parts for link in part.links]
        self._relations = Relations(moments, links, pairs, names=names)

    def between(self, a: Event, b: Event, evidence: Evidence = "all") -> Relation:
        """How one stamp stands to another; they may be absent."""
        one, other = (self._parts[number].stamps.get(key) for number, key in (a, b))
        if one is None or other is None:
            return UNKNOWN
        here, there = self._places.get(a), self._places.get(b)
        if here is None or there is None:
            return self._by_readings(a, b, one, other)
        if here.is_exact and there.is_exact:
            return self._relations.between(here.shown, there.shown, evidence=evidence)
        return self._coarsely(a, b, evidence)

    @property
    def contradictions(self) -> list[tuple[str, ...]]:
        """Evidence that cannot all be true, and is used for nothing."""
        return self._relations.contradictions

    def _coarsely(self, a: Event, b: Event, evidence: Evidence) -> Relation:
        """Where what a counter shows may be off by its resolution."""
        here, there = self._places[a], self._places[b]

        def between(i: int, j: int) -> Relation:
            return self._relations.between(i, j, evidence=evidence)

        shown = between(here.shown, there.shown)
        least = between(here.last, there.first)
        most = between(here.first, there.last)
        lower, upper = least.lower_ms, most.upper_ms
        relation = UNKNOWN
        if self._counter(a) == self._counter(b):
            # However coarse it is, it does not run backwards.
            relation = shown
        elif least.order is Order.CERTAINLY_BEFORE:
            relation = least
        elif most.order is Order.CERTAINLY_AFTER:
            relation = most
        elif evidence == "all":
            # Messages are not slower for what the counters do not show.
            relation = self._caused(a, b, lower, upper)
        if relation.order is Order.CERTAINLY_BEFORE:
            lower = max(lower or 0.0, 0.0)
        elif relation.order is Order.CERTAINLY_AFTER:
            upper = min(upper or 0.0, 0.0)
        est_ms = shown.est_ms
        if est_ms is not None and lower is not None and upper is not None:
            est_ms = min(max(est_ms, lower), upper)
        rests_on = relation.rests_on or shown.rests_on
        return Relation(
            relation.order, relation.by, lower, upper, est_ms, shown.est_error_ms, rests_on
        )

    def _caused(self, a: Event, b: Event, lower: float | None, upper: float | None) -> Relation:
        """What causes say of two stamps, unless the clocks say that this cannot be."""
        there, back = self._chain(a, b), self._chain(b, a)
        if there and (upper is None or upper >= 0):
            return UNKNOWN._replace(order=Order.CERTAINLY_BEFORE, by="cause", rests_on=there)
        if back and (lower is None or lower <= 0):
            return UNKNOWN._replace(order=Order.CERTAINLY_AFTER, by="cause", rests_on=back)
        return UNKNOWN

    def _chain(self, a: Event, b: Event) -> tuple[str, ...]:
        """The messages by which one stamp made another happen, in the words of `Relations`."""
        if not self._causes or a.part != b.part:
            return ()
        between = KEYS[KEYS.index(a.key) : KEYS.index(b.key) + 1]
        events = [Event(a.part, key) for key in between]
        names = [self._name(event) for event in events if event in self._places]
        chain = tuple(f"message {one} -> {other}" for one, other in zip(names, names[1:]))
        # What contradicts the clocks says nothing.
        void = {reason for reasons in self.contradictions for reason in reasons}
        return () if void.intersection(chain) else chain

    def _counter(self, event: Event) -> str | None:
        return self._parts[event.part].stamps[event.key].counter

    def _name(self, event: Event) -> str:
        return event.key if len(self._parts) == 1 else f"{event.key} of trace {event.part + 1}"

    def _by_readings(self, a: Event, b: Event, one: Stamp, other: Stamp) -> Relation:
        """Where one of them has no counter: the times alone, as old traces have them."""
        if one.time_ms is None or other.time_ms is None:
            return UNKNOWN
        # Of two doubles this near the difference is exact; of sums with errors it would not be.
        apart_ms = other.time_ms - one.time_ms
        if one.max_error_ms is None or other.max_error_ms is None:
            return UNKNOWN._replace(est_ms=apart_ms)
        entity = self._parts[a.part].entities.get(a.key)
        alike = entity is not None and entity == self._parts[b.part].entities.get(b.key)
        same_line = alike and one.epoch is not None and one.epoch == other.epoch
        unsure_ms = one.max_error_ms + other.max_error_ms
        apart_by_ms = 0.0 if same_line else unsure_ms
        order = Order.CANNOT_TELL
        if apart_ms > apart_by_ms:
            order = Order.CERTAINLY_BEFORE
        elif -apart_ms > apart_by_ms:
            order = Order.CERTAINLY_AFTER
        return Relation(
            order,
            None if order is Order.CANNOT_TELL else "clock",
            apart_ms - unsure_ms,
            apart_ms + unsure_ms,
            apart_ms,
            together(one.est_error_ms, other.est_error_ms),
            ("own clock",) if same_line else ("synchronised time",),
        )


def together(one: float | None, other: float | None) -> float | None:
    """One standard deviation of a difference; None where one of the two is not known."""
    return None if one is None or other is None else math.sqrt(one**2 + other**2)


class _Place(NamedTuple):
    """Where a stamp's moments are: what its counter showed, and what it can have been."""

    first: int
    shown: int
    last: int

    @property
    def is_exact(self) -> bool:
        return self.first == self.last


def _place(stamp: Stamp, moments: list[Moment]) -> _Place:
    assert stamp.counter is not None
    assert stamp.counter_ns is not None
    time_ns, max_error_ns = _reading_of(stamp)
    moments.append(Moment(stamp.counter, stamp.counter_ns, time_ns, max_error_ns))
    shown = len(moments) - 1
    if not stamp.counter_resolution_ns:
        return _Place(shown, shown, shown)
    for end_ns in stamp.counter_range_ns:
        moments.append(Moment(stamp.counter, end_ns))
    return _Place(shown + 1, shown, shown + 2)


def _reading_of(stamp: Stamp) -> tuple[int | None, int | None]:
    if stamp.time_ms is None or stamp.max_error_ms is None or stamp.time_ms >= _LIMIT_MS:
        return None, None
    max_error_ns = math.ceil(stamp.max_error_ms * 1e6) + 1 if stamp.max_error_ms < _LIMIT_MS else 0
    if not max_error_ns:
        return None, None
    # Whole and fraction apart: a product of this size would be rounded to 256 ns.
    fraction, whole = math.modf(stamp.time_ms)
    return int(whole) * 1_000_000 + round(fraction * 1e6), max_error_ns


# The end of signed 64-bit nanoseconds.
_LIMIT_MS = 9_223_372_036_854
