"""What two programs say of their counters beside OpenTelemetry's context, as text."""

from __future__ import annotations

import re
from typing import NamedTuple

KEY = "ntpclock"
HEADER = "ntp-clock-exchange"


class Exchange(NamedTuple):
    """An exchange that is complete: T1 to T4, by the sender's counter and by the peer's."""

    peer: str
    sent_ns: int
    received_ns: int
    answered_ns: int
    returned_ns: int


class Member(NamedTuple):
    """The sender's counter, when this was sent, and an exchange before it."""

    counter: str
    sent_ns: int
    exchange: Exchange | None = None

    @classmethod
    def parse(cls, text: str | None) -> Member | None:
        """None where it is not well formed or cannot be true."""
        matched = _MEMBER.fullmatch(text or "")
        if matched is None:
            return None
        moments = [int(matched[place]) for place in _MOMENTS if matched[place]]
        if max(moments) > _LARGEST_NS:
            return None
        if matched["peer"] is None:
            return cls(matched["counter"], moments[0])
        exchange = Exchange(matched["peer"], *moments[1:])
        if (
            exchange.returned_ns < exchange.sent_ns
            or exchange.answered_ns < exchange.received_ns
            or exchange.returned_ns > moments[0]
            or exchange.peer == matched["counter"]
        ):
            return None
        return cls(matched["counter"], moments[0], exchange)

    def __str__(self) -> str:
        exchange = "" if self.exchange is None else "." + ".".join(map(str, self.exchange))
        return f"1.{self.counter}.{self.sent_ns}{exchange}"


class Answer(NamedTuple):
    """A server's counter; when the request was sent, arrived, and when the answer left.

    The first of these is by the counter of who asked, as the request's member said.
    """

    counter: str
    sent_ns: int
    received_ns: int
    answered_ns: int

    @classmethod
    def parse(cls, text: str | None) -> Answer | None:
        """None where it is not well formed or cannot be true."""
        matched = _ANSWER.fullmatch(text or "")
        if matched is None:
            return None
        sent_ns, received_ns, answered_ns = (int(matched[place]) for place in (2, 3, 4))
        if sent_ns > _LARGEST_NS or not received_ns <= answered_ns <= _LARGEST_NS:
            return None
        return cls(matched[1], sent_ns, received_ns, answered_ns)

    def __str__(self) -> str:
        return "1." + ".".join(map(str, self))


def member_of(tracestate: str) -> str | None:
    """The value of our member; None where there is none, or more than one."""
    ours = [value for key, _, value in _pairs(tracestate) if key == KEY]
    return ours[0] if len(ours) == 1 else None


def with_member(tracestate: str, long: str, short: str) -> str:
    """The list with our member in front, instead of the one that came.

    The short one where the list would get too long, and none where it still would.
    """
    others = ["".join(pair) for pair in _pairs(tracestate) if pair[0] != KEY]
    if len(others) < _MOST_MEMBERS:
        for ours in (long, short):
            whole = ",".join([f"{KEY}={ours}", *others])
            if len(whole) <= _MOST_CHARACTERS:
                return whole
    return ",".join(others)


def _pairs(tracestate: str) -> list[tuple[str, str, str]]:
    members = (member.strip(" \t") for member in tracestate.split(","))
    return [member.partition("=") for member in members if member]


_MOMENT = "(?:0|[1-9][0-9]{0,18})"
_COUNTER = "[0-9a-f]{16}(?:~[1-9][0-9]{0,5})?"
_MOMENTS = ("sent", "t1", "t2", "t3", "t4")
_MEMBER = re.compile(
    rf"1\.(?P<counter>{_COUNTER})\.(?P<sent>{_MOMENT})"
    rf"(?:\.(?P<peer>{_COUNTER})\.(?P<t1>{_MOMENT})\.(?P<t2>{_MOMENT})"
    rf"\.(?P<t3>{_MOMENT})\.(?P<t4>{_MOMENT}))?"
)
_ANSWER = re.compile(rf"1\.({_COUNTER})\.({_MOMENT})\.({_MOMENT})\.({_MOMENT})")
_LARGEST_NS = 2**63 - 1
_MOST_MEMBERS = 32
_MOST_CHARACTERS = 512
