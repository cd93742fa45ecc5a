"""What many traces say together."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from typing import TYPE_CHECKING, Any

from demo_scoring import RoundTrips, Tally, is_one_counter, judge, request_of

from portacode.trace import KEYS, Order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portacode.trace import Hop, Trace


class Summary:
    """Gathers requests and what became of them."""

    def __init__(self) -> None:
        self.requests = 0
        self.errors: Counter[str] = Counter()
        self.duplicates = 0
        self.stored = 0
        """Traces that the server has announced as stored."""
        self.traces: list[Trace] = []
        self.skewed = False
        """Whether the system clocks are known to be wrong."""
        self.path: str | None = None
        """How far all are from one another, as `cargo xtask demo --path` has it."""
        self.across: Tally | None = None
        """What the clocks alone tell of different requests; None where it was not judged."""
        self.across_together: Tally | None = None
        """Of these, the requests that were sent together."""
        self.one_counter = True
        """Whether the counters of all machines can be one, against which verdicts are held."""

    def judge(self, batches: Sequence[int]) -> None:
        """Holds what clocks alone tell of the order of stamps against the machine's one counter.

        Args:
            batches: Of each trace, with which others it was sent.
        """
        requests = [request_of(trace, batch) for trace, batch in zip(self.traces, batches)]
        self.one_counter = is_one_counter(requests)
        self.across, self.across_together = judge(requests)

    def to_json(self) -> dict[str, Any]:
        """All figures."""
        problems = [trace.problems() for trace in self.traces]
        raw_problems = [trace.raw_problems() for trace in self.traces]
        pairs = [
            (relation := trace.relation(earlier, later)).order is Order.CERTAINLY_BEFORE
            and relation.by == "clock"
            for trace in self.traces
            for index, earlier in enumerate(KEYS)
            for later in KEYS[index + 1 :]
            if trace.get(earlier) is not None and trace.get(later) is not None
        ]
        return {
            "good": self.is_good,
            "path": self.path,
            "requests": self.requests,
            "answered": len(self.traces),
            "errors": dict(self.errors),
            "duplicates": self.duplicates,
            "stored": self.stored,
            "complete": sum(not trace.missing() for trace in self.traces),
            "raw": {
                "traces_out_of_order": sum(map(bool, raw_problems)),
                "pairs_out_of_order": sum(map(len, raw_problems)),
            },
            "synchronised": {
                "traces_out_of_order": sum(map(bool, problems)),
                "pairs_out_of_order": sum(map(len, problems)),
                "pairs_certainly_in_order": sum(pairs),
                "pairs": len(pairs),
            },
            "across_machines": self.across and self.across.to_json(),
            "across_machines_in_parallel": self.across_together and self.across_together.to_json(),
            "max_error_ms": self._errors(),
            "hops": self._hops(),
            "ping_ms": _spread([t.ping_ms for t in self.traces if t.ping_ms is not None]),
        }

    @property
    def is_good(self) -> bool:
        """Whether all was answered once, and each trace is whole, stored and in causal order."""
        return (
            self.requests > 0
            and len(self.traces) == self.stored == self.requests
            and not self.errors
            and not self.duplicates
            and not any(trace.missing() or trace.problems() for trace in self.traces)
            and self.one_counter
            and not (self.across and self.across.wrong)
            and (not self.skewed or all(trace.raw_problems() for trace in self.traces))
        )

    def lines(self) -> list[str]:
        """For people."""
        summary = self.to_json()
        raw, synced = summary["raw"], summary["synchronised"]
        errors = ", ".join(f"{count} {code}" for code, count in summary["errors"].items()) or "none"
        lines = [
            f"{summary['requests']} requests: {summary['answered']} answered,"
            f" {summary['complete']} with all"
            f" {len(KEYS)} stamps, {summary['stored']} stored; twice {summary['duplicates']},"
            f" errors {errors}",
            "",
            f"{'':<34}{'system clocks':>16}{'synchronised':>16}",
            f"  {'traces out of order':<32}{raw['traces_out_of_order']:>16}"
            f"{synced['traces_out_of_order']:>16}",
            f"  {'pairs of stamps out of order':<32}{raw['pairs_out_of_order']:>16}"
            f"{synced['pairs_out_of_order']:>16}",
            f"  {'pairs certainly in order':<32}{'':>16}"
            f"{synced['pairs_certainly_in_order']:>9} of {synced['pairs']}",
            "",
            f"{'one way, ms':<49}{'median':>9}{'p95':>9}"
            f"{'error':>9}{'round trip':>12}{'by UTC':>9}",
        ]
        for hop in summary["hops"]:
            way = f"{hop['start']} → {hop['end']}"
            trip_ms = hop["round_trip_ms"]
            lines.append(
                f"  {way:<47}{hop['median']:>9.3f}{hop['p95']:>9.3f}"
                f"{_error(hop['relative_error_ms']):>9}"
                f"{'' if trip_ms is None else f'{trip_ms:.3f}':>12}"
                f"{_error(hop['max_error_ms']):>9}"
            )
        if summary["ping_ms"]:
            ping = summary["ping_ms"]
            lines.append(f"  {'there and back':<47}{ping['median']:>9.3f}{ping['p95']:>9.3f}")
        lines += [*self._across_lines(), ""]
        bounds = ", ".join(
            f"{who} ±{spread['median']:.3f} (at most {spread['most']:.3f})"
            for who, spread in summary["max_error_ms"].items()
        )
        lines += [f"hard errors of the clocks, ms: {bounds}"]
        return lines

    def _across_lines(self) -> list[str]:
        rows = [("all", self.across), ("sent together", self.across_together)]
        scored = [(name, tally) for name, tally in rows if tally is not None and tally.pairs]
        if not scored:
            return []
        return [
            "",
            "stamps on different machines and of different requests, by their clocks alone",
            f"{'':<24}{'pairs':>10}{'certain':>10}{'wrong':>8}    further apart than a round trip",
            *(
                f"  {name:<22}{tally.pairs:>10}{tally.certain:>10}{tally.wrong:>8}"
                f"    {tally.decidable_certain} of {tally.decidable} certain"
                for name, tally in scored
            ),
        ]

    def _hops(self) -> list[dict[str, Any]]:
        by_way: dict[tuple[str, str], list[Hop]] = {}
        for trace in self.traces:
            for hop in trace.hops():
                if hop.max_error_ms is not None:
                    by_way.setdefault((hop.start, hop.end), []).append(hop)
        trips = RoundTrips(link for trace in self.traces for link in trace.links)
        return [
            {
                "start": start,
                "end": end,
                **_spread([hop.ms for hop in found]),
                "relative_error_ms": _median([hop.max_error_ms for hop in found]),
                "max_error_ms": _median([hop.absolute_error_ms for hop in found]),
                "round_trip_ms": self._round_trip_ms(trips, start, end),
            }
            for (start, end), found in sorted(
                by_way.items(), key=lambda way: (KEYS.index(way[0][0]), KEYS.index(way[0][1]))
            )
        ]

    def _round_trip_ms(self, trips: RoundTrips, start: str, end: str) -> float | None:
        """The least between the two machines, of all traces' machines."""
        between = []
        for trace in self.traces:
            one, other = trace.get(start), trace.get(end)
            if one is None or other is None or one.counter is None or other.counter is None:
                continue
            trip_ns = trips.between(one.counter, other.counter)
            if trip_ns is not None:
                between.append(trip_ns / 1e6)
        return min(between, default=None)

    def _errors(self) -> dict[str, dict[str, float]]:
        by_who: dict[str, list[float]] = {}
        for trace in self.traces:
            for key in KEYS:
                stamp, who = trace.get(key), trace.entity(key)
                if stamp is not None and who is not None and stamp.max_error_ms is not None:
                    by_who.setdefault(who, []).append(stamp.max_error_ms)
        return {who: _spread(errors) for who, errors in sorted(by_who.items())}


def _error(ms: float | None) -> str:
    """Nothing where nobody knows."""
    return "" if ms is None else f"±{ms:.3f}"


def _median(values: list[float | None]) -> float | None:
    """Of those that are known."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _spread(values: list[float]) -> dict[str, float]:
    """Nothing where there are no values."""
    if not values:
        return {}
    ordered = sorted(values)
    return {
        "median": statistics.median(ordered),
        "p95": ordered[math.ceil(0.95 * len(ordered)) - 1],
        "most": ordered[-1],
    }
