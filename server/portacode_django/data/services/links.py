"""What this process knows of the counters that it has to do with: its peers' and other servers'.

    links = PeerLinks("device:12")               # One connection's peer.
    links.heard(message_stamp, received_stamp)   # It has sent something ...
    links.reached(sent_stamp, message_stamp)     # ... or received what was sent to it.
    add_links(trace)                             # What is known of the clocks in a trace.

A peer's counters have its name in front, so that whatever it says is about its own alone; counters
of servers stand bare, and what servers tell one another goes over the channel layer, where nobody
else speaks. No rate, interval or link is taken from anybody: what is known is worked out here.
"""

from __future__ import annotations

import logging
import math
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from django.conf import settings

from portacode.exchanges import Answering
from portacode.limits import Buckets
from portacode.metrics import LinkCounts
from portacode.order import Links
from portacode.trace import KEYS, TraceError
from portacode.utils.ntp_clock import ntp_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from portacode.exchanges import Counted
    from portacode.trace import Stamp, Trace

logger = logging.getLogger("portacode.links")


def device_scope(device_id: str) -> str:
    """What stands before the names of a device's counters."""
    return f"device:{device_id}"


def browser_scope(user_id: int) -> str:
    """What stands before the names of the counters of a user's pages and programs."""
    return f"browser:{user_id}"


class PeerLinks:
    """The evidence that comes over one connection.

    Args:
        scope: The peer's name, which is put before those of its counters.
    """

    def __init__(self, scope: str) -> None:
        self.scope = scope
        self._answering = Answering()
        self._counter: str | None = None

    def asked(self, message: Mapping[str, Any], received: Counted) -> None:
        """A clock_sync_request with a good `request_id` came.

        Raises:
            ExchangeError: Where it says of its counter what nothing can be made of.
        """
        asked = self._answering.asked(message, received)
        if asked is None:
            return
        peer = self._counter = f"{self.scope}/{asked.counter}"
        if not _admits(self.scope, peer):
            _count("exchange", "refused")
            return
        if asked.sent_ns is not None:
            _message(peer, received.counter, asked.sent_ns, received.counter_ns)
        exchange = asked.exchange
        if exchange is not None:
            _fed(
                "exchange",
                lambda: _links.exchange(
                    peer,
                    exchange.answerer,
                    sent_a_ns=exchange.sent_ns,
                    received_b_ns=exchange.received_ns,
                    sent_b_ns=exchange.answered_ns,
                    received_a_ns=exchange.returned_ns,
                ),
            )

    def answered(self, request_id: str, now: Counted) -> None:
        """Its reply is about to be sent."""
        self._answering.answered(request_id, now)

    def heard(self, sent: Stamp | None, received: Stamp | None) -> None:
        """The peer stamped that it sent a message, and we stamped when it came."""
        one, other = _moment(sent, 0), _moment(received, 1)
        if one and other and self._is_peers(one):
            _message(one.counter, other.counter, one.counter_ns, other.counter_ns)

    def reached(self, sent: Stamp | None, received: Stamp | None) -> None:
        """We stamped that we sent the peer a message, and it stamped when that came."""
        one, other = _moment(sent, 0), _moment(received, 1)
        if one and other and self._is_peers(other):
            _message(one.counter, other.counter, one.counter_ns, other.counter_ns)

    def state(self) -> dict[str, Any] | None:
        """The link with the counter behind this connection, as pages receive it."""
        if self._counter is None:
            return None
        now = ntp_clock.stamp()
        found = _links.state(now.counter, self._counter, now.counter_ns)
        return None if found is None else _to_json(found)

    def _is_peers(self, moment: _Moment) -> bool:
        if not moment.counter.startswith(f"{self.scope}/"):
            return False
        if _admits(self.scope, moment.counter):
            return True
        _count("message", "refused")
        return False


def handed_over() -> dict[str, str]:
    """When a message is handed to the channel layer, which goes along with it."""
    now = ntp_clock.stamp()
    return {"counter": now.counter, "counter_ns": str(now.counter_ns)}


def crossed(event: dict[str, Any], now: Counted) -> Crossing | None:
    """A message has come over the channel layer: counts what it says of servers' counters.

    Args:
        event: What goes along with it for this is taken out.
        now: Taken first thing.

    Returns:
        How it came, where it was from another server, so that an answer can say so: its sender
        knows only when it was sent.
    """
    stamps = event.pop(CROSSED, None)
    if stamps is not None:
        Crossing.from_message(stamps).feed()
    sent = event.pop(HANDED_OVER, None)
    # Processes of one machine and boot have one counter, and nothing to learn of one another.
    if sent is None or sent["counter"] == now.counter:
        return None
    crossing = Crossing(sent["counter"], int(sent["counter_ns"]), now.counter, now.counter_ns)
    crossing.feed()
    return crossing


class Crossing(NamedTuple):
    """A message from another server process, by the counters of both."""

    sender: str
    sent_ns: int
    receiver: str
    received_ns: int

    def feed(self) -> None:
        """It tells something of both."""
        _message(self.sender, self.receiver, self.sent_ns, self.received_ns)

    def to_message(self) -> dict[str, Any]:
        """For the sender, who cannot know when it came."""
        ns = {"sent_ns": str(self.sent_ns), "received_ns": str(self.received_ns)}
        return {"sender": self.sender, "receiver": self.receiver, **ns}

    @classmethod
    def from_message(cls, stamps: Mapping[str, Any]) -> Crossing:
        """What `to_message` gave."""
        return cls(
            stamps["sender"], int(stamps["sent_ns"]), stamps["receiver"], int(stamps["received_ns"])
        )


def add_links(trace: Trace) -> None:
    """Adds to a trace what this process knows of its own counter and each other one in it.

    What another process has added stays where it is narrower: it may hold the peer's connection.
    """
    now = ntp_clock.stamp()
    known = {frozenset((link["a"], link["b"])): link for link in trace.links}
    stamps = [trace.get(key) for key in KEYS]
    others = {stamp.counter for stamp in stamps if stamp is not None and stamp.counter is not None}
    # A trace has room for few, and a device can stamp with as many counters as it has stamps.
    for counter in sorted(others - {now.counter}, key=_by_importance):
        found = _links.snapshot(now.counter, counter, now.counter_ns)
        if found is None:
            continue
        before = known.get(frozenset((now.counter, counter)))
        if before is None or _width_ns(found) < _width_ns(before):
            try:
                trace.add_link(found)
            except TraceError as error:
                logger.debug("%s and %s: %s", now.counter, counter, error)


def of_peers(scopes: Iterable[str]) -> list[dict[str, Any]]:
    """All links of this process with these peers, those first that were heard of last."""
    wanted = tuple(f"{scope}/" for scope in scopes)
    now = ntp_clock.stamp()
    theirs = [counter for counter in reversed(list(_admitted)) if counter.startswith(wanted)]
    states = [_links.state(now.counter, counter, now.counter_ns) for counter in theirs]
    return [_to_json(state) for state in states if state is not None]


def counted() -> LinkCounts:
    """For metrics."""
    outcomes = {(source, outcome): 0 for source in _SOURCES for outcome in _OUTCOMES}
    return LinkCounts(len(_links), {**outcomes, **_counts})


class _Moment(NamedTuple):
    counter: str
    counter_ns: int


def _moment(stamp: Stamp | None, side: int) -> _Moment | None:
    """The counter of a stamp at the earliest (0) or at the latest (1): it may be a coarse one."""
    if stamp is None or stamp.counter is None:
        return None
    return _Moment(stamp.counter, stamp.counter_range_ns[side])


def _message(sender: str, receiver: str, sent_ns: int, received_ns: int) -> None:
    _fed("message", lambda: _links.message(sender, receiver, sent_ns, received_ns))


def _fed(source: str, feed: Callable[[], str]) -> None:
    try:
        outcome = feed()
    except ValueError as error:
        # Stamps that cannot be true; they say nothing of anybody.
        logger.debug("%s", error)
        outcome = "refused"
    _count(source, outcome)


def _count(source: str, outcome: str) -> None:
    _counts[source, outcome] += 1


def _admits(scope: str, counter: str) -> bool:
    """Whether this peer may speak of this counter.

    One that goes on making up others would drive everybody's links out of the table.
    """
    if counter in _admitted:
        _admitted.move_to_end(counter)
        return True
    if not _new_counters.take(scope):
        return False
    _admitted[counter] = None
    if len(_admitted) > settings.LINKS_MAX:
        _admitted.popitem(last=False)
    return True


def _by_importance(counter: str) -> tuple[bool, bool, str]:
    """Servers first, then pages, then devices."""
    scope, slash, _ = counter.rpartition("/")
    return bool(slash), scope.startswith("device:"), counter


def _to_json(pair: Mapping[str, Any]) -> dict[str, Any]:
    """A link as pages and REST have it: of `b` less `a`, milliseconds."""
    zero_ns = int(pair["b_ns"]) - int(pair["a_ns"])

    def ms(name: str, more_ns: int = 0) -> float | None:
        value = pair[name]
        return None if value is None else (value + more_ns) / 1e6

    width_ns = _width_ns(pair)
    return {
        "a": pair["a"],
        "b": pair["b"],
        "lower_ms": ms("lower_ns", zero_ns),
        "upper_ms": ms("upper_ns", zero_ns),
        "est_ms": ms("est_ns", zero_ns),
        "est_error_ms": ms("est_error_ns"),
        "width_ms": None if math.isinf(width_ns) else width_ns / 1e6,
        "round_trip_ms": ms("round_trip_ns"),
        "age_s": None if pair["age_ns"] is None else pair["age_ns"] / 1e9,
        "exchanges": pair["exchanges"],
        "messages": pair["messages"],
        "restarts": pair["restarts"],
    }


def _width_ns(link: Mapping[str, Any]) -> float:
    lower, upper = link["lower_ns"], link["upper_ns"]
    return math.inf if lower is None or upper is None else upper - lower


HANDED_OVER, CROSSED = "handed_over", "crossed"
"""Members of messages over the channel layer: when this one was sent; how another one came."""
_OUTCOMES = ("kept", "dropped", "restarted", "refused")
"""What becomes of evidence: it says something new, or nothing, or contradicts; or cannot be true,
or is of one counter too many."""
_SOURCES = ("exchange", "message")
_links = Links(settings.LINKS_MAX)
_admitted: OrderedDict[str, None] = OrderedDict()
_new_counters = Buckets(*settings.COUNTERS_RATE)
_counts: Counter[tuple[str, str]] = Counter()
