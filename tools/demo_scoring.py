"""How much of the order of what happened on different machines their clocks alone can tell.

The demo's machines are one machine, and all of them stamp by its one raw counter. So the counters
themselves say what came first, and what is claimed can be held against it. What is claimed rests
neither on that, for each machine's counter has a name of its own, nor on what the two requests'
own messages show: it rests on exchanges, on the messages of requests that were over before, and on
synchronised time.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

from portacode.order import Moment, Order, Relations
from portacode.trace import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from portacode.trace import Trace


class Request(NamedTuple):
    """What one request's trace has, in causal order, and what it was sent along with."""

    moments: tuple[Moment, ...]
    links: tuple[Mapping[str, Any], ...]
    batch: int


def request_of(trace: Trace, batch: int) -> Request:
    """What a trace says; stamps without a counter say nothing here."""
    moments = []
    for key in KEYS:
        stamp = trace.get(key)
        if stamp is None or stamp.counter is None or stamp.counter_ns is None:
            continue
        time_ns, max_error_ns = (
            None if ms is None else round(ms * 1e6) for ms in (stamp.time_ms, stamp.max_error_ms)
        )
        moments.append(Moment(stamp.counter, stamp.counter_ns, time_ns, max_error_ns))
    return Request(tuple(moments), tuple(trace.links), batch)


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


def judge(requests: Sequence[Request]) -> tuple[Tally, Tally]:
    """Pairs of stamps of different requests; then those of requests that were sent together.

    Stamps of one request are joined by its messages, so none of their pairs counts. Of many
    requests the nearest are compared with one another, for their number grows with its square.
    """
    trips = RoundTrips(link for request in requests for link in request.links)
    everything, parallel = Tally(), Tally()
    by_batch: dict[int, list[Mapping[str, Any]]] = {}
    for request in requests:
        by_batch.setdefault(request.batch, []).extend(request.links)
    for one, other in itertools.islice(_pairs(requests), _PAIRS_OF_REQUESTS_MAX):
        tallies = [everything, parallel] if one.batch == other.batch else [everything]
        # Of the last ones that were over before either was sent, all that was known.
        links = by_batch.get(min(one.batch, other.batch) - 1, [])
        links = [*links, *_without_messages((*one.links, *other.links))]
        # By the clocks alone: no causes.
        relations = Relations([*one.moments, *other.moments], links)
        for i, first in enumerate(one.moments):
            for j, second in enumerate(other.moments, len(one.moments)):
                if first.counter == second.counter:
                    continue
                order = relations.between(i, j).order
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
        for earlier, later in zip(request.moments, request.moments[1:])
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


def _without_messages(links: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """What links know by exchanges; their rates are any that oscillators may have."""
    for link in links:
        lower_ns, upper_ns = link.get("exchanges_ns") or (None, None)
        if lower_ns is None and upper_ns is None:
            continue
        bounds = {"lower_ns": lower_ns, "upper_ns": upper_ns, "est_ns": None, "est_error_ns": None}
        yield {**link, **bounds, "rate_ppb": [-_RATE_MAX_PPB, _RATE_MAX_PPB]}


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
# Of one oscillator against another, 500 ppm each. None of the demo's counters is steered.
_RATE_MAX_PPB = 1e6
