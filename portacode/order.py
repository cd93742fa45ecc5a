"""What happened first, where everybody has a clock of their own.

Clocks that are synchronised are still some milliseconds apart. What happened first follows
better from the messages between two machines: a message is sent before it is received. Keep
`Links`, feed them, and ask:

    from portacode.order import Links
    from portacode.utils.ntp_clock import ntp_clock

    links = Links()
    links.exchange(
        mine, theirs, sent_a_ns=t1, received_b_ns=t2, sent_b_ns=t3, received_a_ns=t4
    )                                                     # a request of ours, and its reply
    links.message(theirs, mine, sent_ns, received_ns)     # anything that they stamped and sent
    links.difference((mine, a_ns), (theirs, b_ns)).order  # Order.CERTAINLY_BEFORE, if it is certain

Moments are readings of free-running counters, which have names (`ntp_clock.stamp()` gives both).
`Relations` orders any number of moments by any number of counters, from links, messages and
readings of synchronised time together. docs/INTEGRATION.md has two services and a queue.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from portacode import _native

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Literal

    Evidence = Literal["all", "exchanges"]

__all__ = ["Links", "Moment", "Order", "Relation", "Relations"]


class Order(enum.Enum):
    """What can be said of the order of two moments."""

    CERTAINLY_BEFORE = "certainly_before"
    CERTAINLY_AFTER = "certainly_after"
    CANNOT_TELL = "cannot_tell"


class Moment(NamedTuple):
    """An event, by the counter of the entity that stamped it."""

    counter: str
    """The counter's name, 1 to 256 characters. One that ends in `~` and a number is steered by its
    system by up to this many parts per million."""
    counter_ns: int
    """What it read, nanoseconds."""
    time_ns: int | None = None
    """True time at that moment, nanoseconds since the Unix epoch; None where it was not known."""
    max_error_ns: int | None = None
    """Hard bound of time_ns, nanoseconds; None where it has none."""


class Relation(NamedTuple):
    """How one moment stands to another. Lengths are of true time, from the first to the second."""

    order: Order
    """Their order."""
    by: str | None
    """What makes it certain: "clock" (clocks, links and readings), or "cause" where it takes the
    causes as well; None where it is not certain."""
    lower_ms: float | None
    """At least so long; below zero where the second may have come first. None: nobody knows."""
    upper_ms: float | None
    """At most so long."""
    est_ms: float | None
    """The best guess; None where a limit is missing."""
    est_error_ms: float | None
    """One standard deviation of est_ms."""
    rests_on: tuple[str, ...]
    """On what: "own counter", "link A-B", "message ... -> ...", "synchronised time"."""


class Relations:
    """Moments by any number of counters, and all that follows of any two of them.

    Immutable; may be used by several threads at once.

    Args:
        moments: The moments to be put in order.
        links: What links knew, as `Links.snapshot()` gives it and traces carry it.
        causes: Places of two moments, the first of which made the other one happen: a message was
            sent and received.
        names: Of the moments, for `rests_on`; their places where there are none.

    Raises:
        ValueError: Something is no moment, no link or no cause; the message says which and why.
    """

    __slots__ = ("_native",)

    def __init__(
        self,
        moments: Sequence[Moment],
        links: Iterable[Mapping[str, Any]] = (),
        causes: Iterable[tuple[int, int]] = (),
        *,
        names: Sequence[str] = (),
    ) -> None:
        plain = [_moment(place, *moment) for place, moment in enumerate(moments)]
        count = len(plain)
        pairs = list(causes)
        for place, (earlier, later) in enumerate(pairs):
            if not (0 <= earlier < count and 0 <= later < count):
                raise ValueError(
                    f"cause {place} is of moments {earlier} and {later}, and there are {count}"
                )
        self._native = _native.OrderRelations(
            plain,
            [_plain_link(f"links[{place}]", link) for place, link in enumerate(links)],
            pairs,
            list(names),
        )

    def between(self, i: int, j: int, *, evidence: Evidence = "all") -> Relation:
        """How the moment at place `i` stands to that at place `j`.

        Args:
            i: Place of the first moment.
            j: Place of the second one.
            evidence: "all", or "exchanges": then causes are not used, nor what links know by other
                messages than those that compare clocks.

        Raises:
            IndexError: There is no such moment.
        """
        if i < 0 or j < 0:
            raise IndexError(f"there is no moment {min(i, j)}")
        return _relation(self._native.between(i, j, _by_exchanges(evidence)))

    @property
    def contradictions(self) -> list[tuple[str, ...]]:
        """Evidence that cannot all be true, and is used for nothing: in each, at least one lies."""
        return [tuple(reasons) for reasons in self._native.contradictions()]


class Links:
    """What is known of each two of many counters, from the messages between them.

    A bounded table: where it is full, the link goes that was fed longest ago. May be used by
    several threads at once.

    Args:
        most: How many links it holds; each takes some kilobytes.
    """

    __slots__ = ("_native",)

    def __init__(self, most: int = 4096) -> None:
        if most < 1:
            raise ValueError(f"most must be 1 or more, not {most}")
        self._native = _native.LinkTable(most)

    def exchange(
        self,
        a: str,
        b: str,
        *,
        sent_a_ns: int,
        received_b_ns: int,
        sent_b_ns: int,
        received_a_ns: int,
    ) -> str:
        """The counter `a` stamped a request and its reply, `b` their receipt and dispatch.

        Stamps of sending are taken before, those of receipt after it, so that each message took no
        longer than they say.

        Returns:
            "kept" where it says something new, "dropped" where it does not, "restarted" where it
            contradicts what was known: the link then starts again with this alone.

        Raises:
            ValueError: The stamps cannot be those of an exchange, or a name is none.
        """
        stamps = (sent_a_ns, received_b_ns, sent_b_ns, received_a_ns)
        for stamp in stamps:
            _checked_ns("a stamp", stamp)
        return self._native.exchange(a, b, stamps)

    def message(self, sender: str, receiver: str, sent_ns: int, received_ns: int) -> str:
        """Something was sent and received, each stamped by the counter of the side that did it.

        Args:
            sender: The sender's counter.
            receiver: The receiver's counter.
            sent_ns: What the sender's counter read before it was sent.
            received_ns: What the receiver's counter read after it had arrived.

        Returns:
            The same as `exchange()`.

        Raises:
            ValueError: The stamps are older by weeks than what is known, or a name is none.
        """
        _checked_ns("sent_ns", sent_ns)
        _checked_ns("received_ns", received_ns)
        return self._native.message(sender, receiver, sent_ns, received_ns)

    def snapshot(self, a: str, b: str, at_ns: int) -> dict[str, Any] | None:
        """What is known of two counters at a moment of `a`, as traces carry it.

        None where nothing is. It is good for moments near this one, and widens with the distance.
        """
        plain = self._native.snapshot(a, b, _checked_ns("at_ns", at_ns))
        return None if plain is None else _link_of(plain)

    def difference(
        self, a: tuple[str, int], b: tuple[str, int], *, evidence: Evidence = "all"
    ) -> Relation:
        """How a moment of one counter stands to a moment of another.

        By their link, and by the links of both to third counters.

        Args:
            a: A counter's name and what it read, nanoseconds.
            b: Another one's, or the same one's.
            evidence: "exchanges" uses nothing else than these.

        Raises:
            ValueError: A name is none.
        """
        for _, counter_ns in (a, b):
            _checked_ns("counter_ns", counter_ns)
        return _relation(self._native.difference(a, b, _by_exchanges(evidence)))

    def pairs(self, now: tuple[str, int] | None = None) -> list[dict[str, Any]]:
        """Each link as it stands, those first that were fed last.

        Each is a snapshot with the counts `exchanges`, `messages` and `restarts` and with `age_ns`,
        the time since its newest evidence by the counter of `a`.

        Args:
            now: One's own counter and what it reads now: links of that counter are given for now
                and have it as `a`. Others are given for their newest evidence, and their `age_ns`
                is None.
        """
        stamps_in_order = []
        for a, b, counts in self._native.pairs():
            if now is not None and now[0] in (a, b):
                found = self.state(now[0], b if now[0] == a else a, now[1])
            elif counts[3] is None:
                continue
            else:
                link = self.snapshot(a, b, counts[3])
                found = None if link is None else {**link, **_counted(counts), "age_ns": None}
            if found is not None:
                stamps_in_order.append(found)
        return stamps_in_order

    def state(self, a: str, b: str, at_ns: int) -> dict[str, Any] | None:
        """One link as `pairs()` has it, when the counter `a` reads this.

        None where nothing is known of the two.
        """
        link = self.snapshot(a, b, at_ns)
        pair = self._native.pair(a, b)
        if link is None or pair is None or pair[2][3] is None:
            return None
        newest_ns = pair[2][3]
        if pair[0] != a:
            # The counter of what is `b` here reports it.
            newest_ns -= int(link["b_ns"]) - int(link["a_ns"])
        return {**link, **_counted(pair[2]), "age_ns": max(0, at_ns - newest_ns)}

    def __len__(self) -> int:
        """How many links there are."""
        return len(self._native)


def _moment(
    place: int,
    counter: str,
    counter_ns: int,
    time_ns: int | None = None,
    max_error_ns: int | None = None,
) -> tuple[str, int, int | None, int | None]:
    name = f"moments[{place}]"
    _checked_ns(f"{name}.counter_ns", counter_ns)
    if time_ns is None or max_error_ns is None:
        return counter, counter_ns, None, None
    _checked_ns(f"{name}.time_ns", time_ns)
    return counter, counter_ns, time_ns, _checked_ns(f"{name}.max_error_ns", max_error_ns)


def _counted(counts: tuple[int, int, int, int | None]) -> dict[str, int]:
    return {"exchanges": counts[0], "messages": counts[1], "restarts": counts[2]}


def _checked_ns(name: str, value: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise ValueError(
            f"{name} is not a whole number of nanoseconds from 0 to 2**63 - 1: {value!r}"
        )
    return value


def _by_exchanges(evidence: str) -> bool:
    if evidence not in ("all", "exchanges"):
        raise ValueError(f'evidence must be "all" or "exchanges", not {evidence!r}')
    return evidence == "exchanges"


def _relation(plain: _native._PlainRelation) -> Relation:
    order, by, lengths, rests_on = plain
    lower, upper, estimate, est_error = (None if ns is None else ns / 1e6 for ns in lengths)
    return Relation(Order(order), by, lower, upper, estimate, est_error, tuple(rests_on))


def _plain_link(name: str, link: Mapping[str, Any]) -> _native._PlainLink:
    if not isinstance(link, Mapping):
        raise ValueError(f"{name} is not an object")
    a, b = (_text(f"{name}.{end}", link.get(end)) for end in ("a", "b"))
    bounds = [
        _number(f"{name}.{key}", link.get(key))
        for key in ("lower_ns", "upper_ns", "est_ns", "est_error_ns")
    ]
    rates = [_number(f"{name}.rate_ppb", rate) for rate in _two(f"{name}.rate_ppb", link, False)]
    if None in rates:
        raise ValueError(f"{name}.rate_ppb is not two numbers")
    exchanges = [
        _number(f"{name}.exchanges_ns", limit) for limit in _two(f"{name}.exchanges_ns", link, True)
    ]
    round_trip = _number(f"{name}.round_trip_ns", link.get("round_trip_ns"))
    readings = [_counter(f"{name}.{key}", link.get(key)) for key in ("a_ns", "b_ns")]
    return (
        a,
        b,
        (readings[0], readings[1]),
        (bounds[0], bounds[1], bounds[2], bounds[3]),
        (rates[0] or 0.0, rates[1] or 0.0),
        round_trip,
        (exchanges[0], exchanges[1]),
    )


def _two(name: str, link: Mapping[str, Any], may_lack: bool) -> tuple[Any, Any]:
    value = link.get(name.rpartition(".")[2])
    if value is None and may_lack:
        return None, None
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise ValueError(f"{name} is not two numbers")
    return value[0], value[1]


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= _NAME_CHARS:
        raise ValueError(f"{name} is not text of 1 to {_NAME_CHARS} characters")
    return value


def _counter(name: str, value: object) -> int:
    if not isinstance(value, str) or not (value.isascii() and value.isdigit() and len(value) <= 19):
        raise ValueError(f"{name} is not text of a whole number of nanoseconds")
    return _checked_ns(name, int(value))


def _number(name: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{name} is not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name} is out of range")
    return number


def _link_of(plain: _native._PlainLink) -> dict[str, Any]:
    a, b, readings, bounds, rates, round_trip, exchanges = plain
    return {
        "a": a,
        "b": b,
        "a_ns": str(readings[0]),
        "b_ns": str(readings[1]),
        "lower_ns": bounds[0],
        "upper_ns": bounds[1],
        "est_ns": bounds[2],
        "est_error_ns": bounds[3],
        "rate_ppb": list(rates),
        "round_trip_ns": round_trip,
        "exchanges_ns": list(exchanges),
    }


_NAME_CHARS = 256
