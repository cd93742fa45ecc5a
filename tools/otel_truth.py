"""Whether what arrives by OTLP is true: every time is held against the machine's own clock.

A program gives each item the attribute `truth.id` and prints a line of JSON for it, as
docs/OPENTELEMETRY.md says: a counter that no library fakes, before and after each time was taken.

    truth = TruthClock()
    with Receiver() as receiver:
        out = run_the_program(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
        truth.learn()
        print(check(receiver.items(), truth, notes_of(out)))

A time is true if it lies within its own stated error of its bracket. One that states no error is
allowed none.
"""

from __future__ import annotations

import json
import time
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otel_receiver import Item


class Note(NamedTuple):
    """What a program knows of one of its items."""

    # By the name of a time, between which values of the counter it was taken.
    brackets: dict[str, tuple[int, int]]
    counter: str = "raw"


class TruthClock:
    """Turns a counter into the real clock of this process, which must not be faked.

    It looks at the clocks at construction and with each `learn`; between two looks the line is
    straight within what the system steers. Call it before and after the program, and every second
    of a long one.
    """

    def __init__(self) -> None:
        self._looks: dict[str, list[tuple[int, int]]] = {name: [] for name in COUNTERS}
        self.learn()

    def learn(self) -> None:
        """Looks at all clocks."""
        for name, clock in COUNTERS.items():
            self._looks[name].append(_look(clock))

    def real_ns(self, counter_ns: int, counter: str = "raw") -> int:
        """The real clock's time at this moment of the counter."""
        looks = self._looks[counter]
        if len(looks) == 1:
            return looks[0][1] + counter_ns - looks[0][0]
        place = min(max(bisect_right(looks, (counter_ns, 0)), 1), len(looks) - 1)
        (counter_a, real_a), (counter_b, real_b) = looks[place - 1], looks[place]
        return real_a + (counter_ns - counter_a) * (real_b - real_a) // (counter_b - counter_a)


class Miss(NamedTuple):
    """A time that is further from the truth than it says."""

    item: str
    time: str
    off_ns: int  # how far from its bracket; positive if it is late
    max_error_ns: int


@dataclass
class Report:
    """What a check found."""

    items: int = 0
    times: int = 0
    synchronised: int = 0
    unsynchronised: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)  # and what nobody noted
    unknown_truth: list[str] = field(default_factory=list)  # times without anything to compare with
    misses: list[Miss] = field(default_factory=list)
    admitted: list[Miss] = field(
        default_factory=list
    )  # of items that say they are not synchronised
    disordered: list[str] = field(default_factory=list)  # what came out of its order
    widest_ns: int = 0  # the largest max_error_ns
    furthest_ns: int = 0  # the largest distance of a time from its bracket
    largest: float = 0.0  # error in units of max_error_ns, of what states one

    @property
    def is_whole(self) -> bool:
        """Whether everything arrived, once."""
        return self.times > 0 and not (self.lost or self.doubled or self.unknown_truth)

    @property
    def is_honest(self) -> bool:
        """Whether no time is further off than it says, and none is out of its order."""
        return self.times > 0 and not (self.misses or self.disordered)

    @property
    def is_true(self) -> bool:
        """Whether everything arrived once, and every time is within its error."""
        return self.is_whole and self.is_honest and not self.admitted

    def __str__(self) -> str:
        counts = (
            f"{self.items} items with {self.times} times, {self.synchronised} synchronised, "
            f"{self.unsynchronised} not; {len(self.lost)} lost, {len(self.doubled)} doubled, "
            f"{len(self.unknown_truth)} without truth, {len(self.misses)} misses, "
            f"{len(self.admitted)} admitted, {len(self.disordered)} disordered; "
            f"largest error {self.largest:.3f} of max_error, which is {self.widest_ns} ns at most"
        )
        shown = [
            f"  {miss.item} {miss.time}: off by {miss.off_ns} ns, states {miss.max_error_ns} ns"
            for miss in self.misses[:SHOWN]
        ]
        return "\n".join([counts, *shown, *(f"  {what}" for what in self.disordered[:SHOWN])])


def notes_of(output: str) -> dict[str, Note]:
    """What a program printed of its items: `{"id": ..., "<time>": [before, after], ...}` a line.

    Other lines are passed over, and so is a last one that a killed program did not finish.
    """
    notes: dict[str, Note] = {}
    for line in output.splitlines():
        try:
            note = json.loads(line)
            item, counter = note.pop("id"), note.pop("counter", "raw")
            brackets = {name: (int(first), int(last)) for name, (first, last) in note.items()}
        except (ValueError, TypeError, AttributeError, KeyError):
            continue
        if counter in COUNTERS:
            notes[item] = Note(brackets, counter)
    return notes


def check(
    items: Iterable[Item],
    truth: TruthClock,
    notes: Mapping[str, Note],
    *,
    slack_ns: int = 0,
) -> Report:
    """Compares every time with the truth, and what arrived with what was sent.

    Args:
        items: What arrived.
        truth: Has looked at the clocks before the program and after it.
        notes: Of all items that were sent, by `truth.id`.
        slack_ns: By how much the machine's own clock may differ from the server's.
    """
    report = Report()
    arrived: Counter[str] = Counter()
    items = list(items)
    for item in items:
        report.items += 1
        # A point comes with each collection.
        if item.kind != "point" or item.key not in arrived:
            arrived[item.key] += 1
        if item.attributes.get(MARK) is True:
            report.synchronised += 1
        else:
            report.unsynchronised += 1
        _check_times(item, truth, notes.get(item.key, Note({})), slack_ns, report)
    sent = Counter(list(notes))
    report.lost = sorted((sent - arrived).elements())
    report.doubled = sorted((arrived - sent).elements())
    report.disordered = [*_disordered_spans(items, notes), *_disordered_points(items)]
    return report


def _check_times(item: Item, truth: TruthClock, note: Note, slack_ns: int, report: Report) -> None:
    stated = item.attributes.get("ntp_clock.max_error_ns")
    is_synchronised = item.attributes.get(MARK) is True
    max_error_ns = stated if is_synchronised and isinstance(stated, int) else 0
    report.widest_ns = max(report.widest_ns, max_error_ns)
    for name, time_ns in item.times_ns.items():
        bracket = note.brackets.get(name)
        if bracket is not None:
            earliest, latest = (truth.real_ns(value, note.counter) for value in bracket)
        elif item.kind == "point" and "since" in note.brackets:
            # A point is collected some time after what it counts, and before it arrives.
            earliest = truth.real_ns(note.brackets["since"][0], note.counter)
            latest = truth.real_ns(item.arrived_raw_ns)
        else:
            report.unknown_truth.append(f"{item.key} {name}")
            continue
        report.times += 1
        off_ns = min(time_ns - earliest + slack_ns, 0) + max(time_ns - latest - slack_ns, 0)
        report.furthest_ns = max(report.furthest_ns, abs(off_ns))
        if max_error_ns:
            report.largest = max(report.largest, abs(off_ns) / max_error_ns)
        if abs(off_ns) > max_error_ns:
            misses = report.admitted if item.attributes.get(MARK) is False else report.misses
            misses.append(Miss(item.key, name, off_ns, max_error_ns))


def _disordered_spans(items: Iterable[Item], notes: Mapping[str, Note]) -> Iterable[str]:
    """Spans that end before they start, and children outside the parents that they were in.

    What says that it is not synchronised is left out: it is as the SDK made it.
    """
    spans = {
        item.id: item
        for item in items
        if item.kind == "span" and item.attributes.get(MARK) is not False
    }
    for span in spans.values():
        start, end = span.times_ns.get("start", 0), span.times_ns.get("end", 0)
        if end < start:
            yield f"{span.key} ends {start - end} ns before it starts"
        parent = spans.get(span.parent) if span.parent else None
        if parent is None or not _was_inside(notes.get(span.key), notes.get(parent.key)):
            continue
        if not parent.times_ns["start"] <= start <= end <= parent.times_ns["end"]:
            yield f"{span.key} is not inside {parent.key}"


def _was_inside(child: Note | None, parent: Note | None) -> bool:
    if child is None or parent is None or child.counter != parent.counter:
        return False
    # A time of a child is taken after its parent's start was, however close.
    return (
        parent.brackets["start"][1] <= child.brackets["start"][0]
        and child.brackets["end"][1] <= parent.brackets["end"][0]
    )


def _disordered_points(items: Iterable[Item]) -> Iterable[str]:
    """Cumulative points whose start moved, and delta points that do not join up."""
    before: dict[str, Item] = {}
    for point in items:
        if point.kind != "point" or not point.temporality:
            continue
        series = f"{point.name} {point.key}"
        earlier = before.get(series)
        before[series] = point
        if earlier is None:
            continue
        joins = "since" if point.temporality == "cumulative" else "time"
        if point.times_ns.get("since") != earlier.times_ns.get(joins):
            yield f"{point.temporality} point {series} does not begin where it has to"


def _look(clock: int) -> tuple[int, int]:
    """A counter and the real clock at one moment: the narrowest of some tries."""
    tries = []
    for _ in range(20):
        before = time.clock_gettime_ns(clock)
        real = time.time_ns()
        after = time.clock_gettime_ns(clock)
        tries.append((after - before, (before + after) // 2, real))
    _, counter, real = min(tries)
    return counter, real


COUNTERS = {"raw": time.CLOCK_MONOTONIC_RAW, "monotonic": time.CLOCK_MONOTONIC}
MARK = "ntp_clock.synchronised"
SHOWN = 20
