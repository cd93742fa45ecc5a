"""What exchanges say of this process's counter and of those of others."""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from portacode.order import Links
from portacode.otel._member import HEADER, Answer, Exchange, Member

if TYPE_CHECKING:
    from collections.abc import Mapping

    from portacode.utils.ntp_clock import NTPClock

# By the counter: the earliest and the latest moment of a time, each with the counter's name.
Traced = tuple[tuple[int, str], tuple[int, str], bool]


class Asked:
    """Requests to a peer: what was sent with them, and what is learned from their answers.

    There may be several: a redirect, a new attempt.
    """

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self._exchanges: Exchanges | None = None
        # Those that wait for an answer, by when they were sent.
        self._waiting: OrderedDict[int, Member] = OrderedDict()

    def sent(self, member: Member, exchanges: Exchanges) -> None:
        """Notes a request that leaves; of too many the oldest are forgotten."""
        self._exchanges = exchanges
        self._waiting[member.sent_ns] = member
        if len(self._waiting) > _MOST:
            self._waiting.popitem(last=False)

    def answered(self, headers: Mapping[str, str]) -> bool:
        """Learns from the answer's headers; tells whether they say something.

        To be called as soon as the answer is there. One that a cache kept, of another request,
        says nothing.
        """
        value = next((text for name, text in headers.items() if name.lower() == HEADER), None)
        answer = Answer.parse(value)
        if answer is None or self._exchanges is None:
            return False
        sent = self._waiting.pop(answer.sent_ns, None)
        return sent is not None and self._exchanges.answered(self.peer, sent, answer)


asked: ContextVar[Asked | None] = ContextVar("portacode.otel.asked", default=None)


class Exchanges:
    """The exchanges of a process with those that it asks and that ask it, in bounded memory."""

    def __init__(self, clock: NTPClock) -> None:
        self._clock = clock
        self.after_fork()

    def after_fork(self) -> None:
        """In a child the locks may be held by nobody."""
        self._lock = threading.Lock()
        # Apart from the program's own: members come from strangers.
        self._links = Links(_MOST)
        self._peers: OrderedDict[str, Exchange] = OrderedDict()

    def member(self, request: Asked | None) -> Member:
        """What a request that is sent now says of this process's counter."""
        stamp = self._clock.stamp()
        member = Member(stamp.counter, stamp.counter_ns)
        if request is None:
            return member
        request.sent(member, self)
        with self._lock:
            exchange = self._peers.get(request.peer)
        # Of an exchange before a sleep the stamps are another counter's.
        is_ours = exchange is not None and exchange.returned_ns <= stamp.counter_ns
        return member._replace(exchange=exchange) if is_ours else member

    def answered(self, peer: str, sent: Member, answer: Answer) -> bool:
        """Learns from the answer to a request of this process."""
        stamp = self._clock.stamp()
        if stamp.counter != sent.counter or answer.counter == sent.counter:
            return False
        exchange = Exchange(
            answer.counter,
            sent.sent_ns,
            answer.received_ns,
            answer.answered_ns,
            stamp.counter_ns,
        )
        if not self._feed(sent.counter, exchange):
            return False
        with self._lock:
            self._peers[peer] = exchange
            self._peers.move_to_end(peer)
            if len(self._peers) > _MOST:
                self._peers.popitem(last=False)
        return True

    def received(self, text: str | None) -> Member | None:
        """What a request's member says; learns from the exchange in it, if it is one with us."""
        member = Member.parse(text)
        if (
            member is not None
            and member.exchange is not None
            and member.exchange.peer == self._clock.counter_id
        ):
            self._feed(member.counter, member.exchange)
        return member

    def order(self, parent: Member, start: Traced | None) -> dict[str, Any]:
        """How a span's start stands to what its remote parent sent, by exchanges alone."""
        unknown = {_ORDER: "unknown"}
        if start is None or start[0][1] != start[1][1]:
            return unknown
        sent = (parent.counter, parent.sent_ns)
        try:
            first, last = (
                self._links.difference(sent, (name, at_ns), evidence="exchanges")
                for at_ns, name in start[:2]
            )
        except ValueError:
            return unknown
        lower_ms, upper_ms = first.lower_ms, last.upper_ms
        order = "unknown"
        if lower_ms is not None and lower_ms > 0:
            order = "after"
        elif upper_ms is not None and upper_ms < 0:
            order = "before"
        if lower_ms is None or upper_ms is None:
            return {_ORDER: order}
        estimates = [gap.est_ms for gap in (first, last) if gap.est_ms is not None]
        middle_ms = sum(estimates) / len(estimates) if estimates else (lower_ms + upper_ms) / 2
        gap_ms = min(max(middle_ms, lower_ms), upper_ms)
        gap_ns = round(gap_ms * 1e6)
        error_ms = max(upper_ms - gap_ms, gap_ms - lower_ms)
        return {
            _ORDER: order,
            "ntp_clock.parent_gap_ns": gap_ns,
            # Rounding of the gap included.
            "ntp_clock.parent_gap_max_error_ns": int(error_ms * 1e6) + 2,
        }

    def _feed(self, counter: str, exchange: Exchange) -> bool:
        try:
            self._links.exchange(
                counter,
                exchange.peer,
                sent_a_ns=exchange.sent_ns,
                received_b_ns=exchange.received_ns,
                sent_b_ns=exchange.answered_ns,
                received_a_ns=exchange.returned_ns,
            )
        except ValueError:
            # What cannot be true is refused.
            return False
        return True


_MOST = 1024
_ORDER = "ntp_clock.parent_order"
