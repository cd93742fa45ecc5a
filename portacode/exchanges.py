"""Compares two programs' counters over a socket that they have: both ends, without the socket.

Who asks has T1 and T4, who answers T2 and T3. The asker tells its two with its next request, and
only the answerer works out what they say: no interval, rate or link is taken on a peer's word. The
messages are those of docs/WIRE.md, in which relays that compare nothing ignore what is added here.

Who asks:

    asking = Asking()
    asyncio.ensure_future(keep_asking(asking, ntp_clock, socket.send))

    received = ntp_clock.stamp()                      # First thing when a message has come.
    asking.take(message.get("request_id"), received)  # True: it answers one of these requests.

Who answers:

    answering = Answering()
    asked = answering.asked(message, received)        # None: it says nothing of a counter.
    ...                                               # asked.sent_ns, asked.exchange: feed them.
    answering.answered(message["request_id"], ntp_clock.stamp())  # Just before the reply is sent.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from portacode import _wire

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from typing import Protocol

    from portacode.utils.ntp_clock import NTPClock

    class Counted(Protocol):
        """A moment by a counter, as `ntp_clock.stamp()` gives it."""

        @property
        def counter(self) -> str: ...
        @property
        def counter_ns(self) -> int: ...


__all__ = ["Answering", "Asked", "Asking", "Exchange", "ExchangeError", "keep_asking", "pauses_s"]

REQUEST = "clock_sync_request"
REPLY = "clock_sync_response"


class ExchangeError(ValueError):
    """A request says of its counter what nothing can be made of; the message names the member."""


class Exchange(NamedTuple):
    """A request and its reply by both counters, nanoseconds."""

    counter: str
    """The asker's."""
    sent_ns: int
    """T1, by the asker's counter."""
    received_ns: int
    """T2, by the answerer's."""
    answered_ns: int
    """T3, by the answerer's."""
    returned_ns: int
    """T4, by the asker's."""
    answerer: str
    """The answerer's counter."""


class Asked(NamedTuple):
    """What a request says of its asker's counter."""

    counter: str
    sent_ns: int | None
    """T1 of this very request, which says something without a reply; None where it is not known."""
    exchange: Exchange | None
    """An earlier one, now that T4 is known."""


def pauses_s() -> Iterator[float]:
    """Seconds to wait before each request: some at once, after which what is known is tight."""
    yield from (0.0, 0.5, 0.5, 1.0, 2.0, 4.0)
    while True:
        yield 10.0


class Asking:
    """The asker's end of one connection."""

    def __init__(self) -> None:
        self._under_way: OrderedDict[str, str] = OrderedDict()
        self._last: tuple[str, Counted] | None = None

    def request(self, now: Counted, request_id: str | None = None) -> dict[str, Any]:
        """The next request, to be sent at once.

        Args:
            now: Taken just before.
            request_id: A new one by default.
        """
        request_id = request_id or secrets.token_hex(8)
        message: dict[str, Any] = {"event": REQUEST, "request_id": request_id}
        message |= {"counter": now.counter, "sent": str(now.counter_ns)}
        last, self._last = self._last, None
        if last is not None and last[1].counter == now.counter:
            message["last"] = {"request_id": last[0], "received": str(last[1].counter_ns)}
        self._under_way[request_id] = now.counter
        if len(self._under_way) > KEPT:
            self._under_way.popitem(last=False)
        return message

    def take(self, request_id: object, received: Counted) -> bool:
        """Keeps when a reply came; whether it answers one of these requests.

        Args:
            request_id: That of the reply.
            received: Taken first thing when it came.
        """
        if not isinstance(request_id, str):
            return False
        counter = self._under_way.pop(request_id, None)
        if counter == received.counter:
            self._last = request_id, received
        return counter is not None


async def keep_asking(
    asking: Asking, clock: NTPClock, send: Callable[[str], Awaitable[None]]
) -> None:
    """Asks at the times of docs/WIRE.md, until it is cancelled; again where the counter is another.

    Args:
        asking: Of this very connection.
        clock: Whose counter it is.
        send: Sends a text over the connection; what it raises ends this.
    """
    pauses, counter = pauses_s(), None
    while True:
        await asyncio.sleep(next(pauses))
        now = clock.stamp()
        if counter is not None and now.counter != counter:
            # The machine has slept: nothing is known of this one.
            pauses = pauses_s()
            next(pauses)
        counter = now.counter
        await send(_wire.encode(asking.request(now)))


class Answering:
    """The answerer's end of one connection."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def asked(self, message: Mapping[str, Any], received: Counted) -> Asked | None:
        """What a request with a good `request_id` says; None where it says nothing of a counter.

        Args:
            message: A clock_sync_request.
            received: Taken first thing when it came.

        Raises:
            ExchangeError: Where a member is not as docs/WIRE.md has it.
        """
        counter, sent, last = (message.get(name) for name in ("counter", "sent", "last"))
        if counter is None:
            if sent is not None or last is not None:
                raise ExchangeError("sent and last say nothing without counter")
            return None
        if not _wire.is_counter(counter):
            raise ExchangeError(f"counter is not {_wire.COUNTER_FORM}")
        sent_ns = None if sent is None else _nanoseconds(sent, "sent")
        exchange = None if last is None else self._exchange(counter, last)
        if sent_ns is not None:
            self._kept[message["request_id"]] = _Kept(counter, sent_ns, received)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return Asked(counter, sent_ns, exchange)

    def answered(self, request_id: str, now: Counted) -> None:
        """A request's reply is about to be sent.

        Args:
            request_id: That of the request, whether it was kept or not.
            now: Taken just before.
        """
        kept = self._kept.get(request_id)
        if kept is not None:
            kept.answered = now

    def _exchange(self, counter: str, last: object) -> Exchange | None:
        if not isinstance(last, dict) or not _wire.is_label(last.get("request_id")):
            raise ExchangeError("last is not an object with the request_id of a request")
        returned_ns = _nanoseconds(last.get("received"), "last.received")
        kept = self._kept.pop(last["request_id"], None)
        # It may have been forgotten, or be of another connection.
        if kept is None or kept.answered is None or kept.counter != counter:
            return None
        received, answered = kept.received, kept.answered
        if received.counter != answered.counter:
            return None
        return Exchange(
            counter,
            kept.sent_ns,
            received.counter_ns,
            answered.counter_ns,
            returned_ns,
            answered.counter,
        )


class _Kept:
    """A request of which T4 may come."""

    __slots__ = ("answered", "counter", "received", "sent_ns")

    def __init__(self, counter: str, sent_ns: int, received: Counted) -> None:
        self.counter = counter
        self.sent_ns = sent_ns
        self.received = received
        self.answered: Counted | None = None


def _nanoseconds(value: object, name: str) -> int:
    found = _wire.nanoseconds(value)
    if found is None:
        raise ExchangeError(f"{name} is not {_wire.NANOSECONDS_FORM}")
    return found


KEPT = 8
"""Requests of a connection that either end remembers."""
