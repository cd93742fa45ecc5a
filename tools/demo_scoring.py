"""How much of the order of what happened on different machines their clocks alone can tell.

The demo's machines are one machine, and all of them stamp by its one raw counter. So the counters
themselves say what came first, and what is claimed can be held against it. What is claimed rests on
nothing of this: neither on the counters' agreement, which nobody knows of, nor on what a judged
request's own messages show.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from portacode.order import Order

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


class Event(NamedTuple):
    """A stamp, by the counter of whoever made it."""

    counter: str
    counter_ns: int
    time_ns: int | None = None
    max_error_ns: int | None = None


class Request(NamedTuple):
    """What one request's trace has, in causal order, and what it was sent along with."""

    events: tuple[Event, ...]
    links: tuple[Mapping[str, Any], ...]
    batch: int


class Verdicts(Protocol):
    """What is said of some moments, as `portacode.order.Relations` says it."""

    def between(self, i: int, j: int, *, evidence: str) -> Any:
        """The relation of the moments of these indices; it has an `order`."""


class Judge(Protocol):
    """Makes verdicts of moments and of the links that they came with."""

    def __call__(self, moments: Sequence[Any], links: Iterable[Mapping[str, Any]]) -> Verdicts:
        """Verdicts of these."""


class Tally:
    """Pairs of stamps on different machines that no cause joins."""

    def __init__(self) -> None:
        self.pairs = 0
        self.certain = 0
        """Of these, what the clocks put in order."""
        self.decidable = 0
        """What is further apart than the round trips of the links between the two machines."""
        self.decidable_certain = 0
        self.wrong = 0
        """What was put in the wrong order."""

    def to_json(self) -> dict[str, int]:
        """All counts."""
        return dict(vars(self))


def judge(requests: Sequence[Request], judged_by: Judge) -> tuple[Tally, Tally]:
    """Pairs of stamps of different requests; then those of requests that were sent together.

    Stamps of one request are joined by its messages, so none of their pairs counts. Of many
    requests the nearest are compared with one another, for their number grows with its square.
    """
    trips = RoundTrips(link for request in requests for link in request.links)
    everything, parallel = Tally(), Tally()
    for one, other in itertools.islice(_pairs(requests), _PAIRS_OF_REQUESTS_MAX):
        tallies = [everything, parallel] if one.batch == other.batch else [everything]
        moments = [*one.events, *other.events]
        verdicts = judged_by(moments, [*one.links, *other.links])
        for i, first in enumerate(one.events):
            for j, second in enumerate(other.events, len(one.events)):
                if first.counter == second.counter:
                    continue
                order = verdicts.between(i, j, evidence="exchanges").order
                apart_ns = second.counter_ns - first.counter_ns
                trip_ns = trips.between(first.counter, second.counter)
                _count(tallies, order, apart_ns, trip_ns)
    return everything, parallel


def is_one_counter(requests: Iterable[Request]) -> bool:
    """Whether the counters of all machines can be the same one.

    Then none runs backwards along a request's way. Else they say nothing about the truth.
    """
    return all(
        earlier.counter_ns <= later.counter_ns
        for request in requests
        for earlier, later in zip(request.events, request.events[1:])
    )


class RoundTrips:
    """The least round trip of each link, and over a third machine where there is no link."""

    def __init__(self, links: Iterable[Mapping[str, Any]]) -> None:
        self._least: dict[frozenset[str], float] = {}
        for link in links:
            ends, trip = frozenset((link["a"], link["b"])), link.get("round_trip_ns")
            if trip is not None:
                self._least[ends] = min(trip, self._least.get(ends, trip))
        self._machines = sorted({machine for ends in self._least for machine in ends})

    def between(self, one: str, other: str) -> float | None:
        """In nanoseconds; 0 on one machine, None where nothing links the two."""
        if one == other:
            return 0.0
        straight = self._least.get(frozenset((one, other)))
        if straight is not None:
            return straight
        around = [
            first + second
            for hub in self._machines
            if (first := self._least.get(frozenset((one, hub)))) is not None
            and (second := self._least.get(frozenset((hub, other)))) is not None
        ]
        return min(around, default=None)


def _pairs(requests: Sequence[Request]) -> Iterator[tuple[Request, Request]]:
    """All pairs, those next to one another first."""
    for distance in range(1, len(requests)):
        yield from zip(requests, requests[distance:])


def _count(tallies: Iterable[Tally], order: Order, apart_ns: int, trip_ns: float | None) -> None:
    certain = order is not Order.CANNOT_TELL
    right = apart_ns > 0 if order is Order.CERTAINLY_BEFORE else apart_ns < 0
    decidable = trip_ns is not None and abs(apart_ns) > trip_ns
    for tally in tallies:
        tally.pairs += 1
        tally.certain += certain
        tally.decidable += decidable
        tally.decidable_certain += decidable and certain
        tally.wrong += certain and not right


_PAIRS_OF_REQUESTS_MAX = 2_000
