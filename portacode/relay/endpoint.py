"""A clock that answers requests, whatever carries them: readings in, messages out, no sockets."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakSet

from portacode.relay import messages
from portacode.relay.askers import Asker
from portacode.relay.limits import AskerBuckets, Limits
from portacode.relay.messages import RequestError, Source
from portacode.utils.ntp_clock import NTPClock, Reading, ntp_clock

if TYPE_CHECKING:
    from portacode._native import ClockStatus


class HttpAnswer(NamedTuple):
    """What HTTP is to send."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Counts(NamedTuple):
    """What a relay has been asked."""

    requests: dict[tuple[str, str], int]
    """By transport and outcome."""
    open: int
    """WebSockets that are open now."""
    closed: dict[str, int]
    """WebSockets that ended, by who or what ended them."""


class Relay:
    """Answers from a clock, and counts what was asked.

    Args:
        clock: The clock whose time is sent; the shared one if None.
    """

    def __init__(self, clock: NTPClock | None = None) -> None:
        self.clock = ntp_clock if clock is None else clock
        self.renew()
        _relays.add(self)

    def renew(self) -> None:
        """In a forked child: another worker, under a name of its own, which has done nothing."""
        self.instance = secrets.token_hex(8)
        self._source: tuple[float, Source] | None = None
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._open = 0
        self._closed: Counter[str] = Counter()

    def receipt(self) -> Reading | None:
        """The clock's reading, to be kept first thing when a message has come."""
        return self.clock.read()

    def answer(self, message: object, received: Reading | None) -> dict[str, Any] | None:
        """The reply to a parsed message, to be sent at once; None where it asks for no time.

        Args:
            message: What came, of any type.
            received: What `receipt` gave when it came.
        """
        if not isinstance(message, dict) or message.get("event") != messages.REQUEST:
            return None
        try:
            reply = self.timed(messages.request_of_object(message), received)
        except RequestError as refusal:
            self.count("websocket", refusal.code)
            return refusal.reply()
        self.count_reply("websocket", reply)
        return reply

    def timed(self, request_id: str, received: Reading | None) -> dict[str, Any]:
        """The reply to a good request. The clock is read last."""
        source = self._recent_source()
        sent = self.clock.read()
        if sent is None:
            source = _source_of(self.clock.get_status())
        return messages.reply(request_id, received, sent, source, self.instance)

    def _recent_source(self) -> Source:
        # The bound is true with any of them: the status, which waits for locks, is asked seldom.
        now_s = time.monotonic()
        kept = self._source
        if kept is None or now_s - kept[0] > _SOURCE_AGE_S:
            kept = self._source = now_s, _source_of(self.clock.get_status())
        return kept[1]

    def count(self, transport: str, outcome: str) -> None:
        """One more request that came so and ended so; codes of refusals are put together."""
        outcome = outcome if outcome in OUTCOMES else "malformed"
        with self._lock:
            self._counts[transport, outcome] += 1

    def count_reply(self, transport: str, reply: dict[str, Any]) -> None:
        """One more that was answered, with a time or without."""
        synchronised = messages.is_synchronised(reply)
        self.count(transport, "answered" if synchronised else "unsynchronised")

    def opened(self) -> None:
        """One more WebSocket is open."""
        with self._lock:
            self._open += 1

    def closed(self, reason: str) -> None:
        """One of them ended: one of `ENDS`."""
        with self._lock:
            self._open -= 1
            self._closed[reason] += 1

    def counted(self) -> Counts:
        """What happened since the process began."""
        with self._lock:
            counts, closed = dict(self._counts), dict(self._closed)
            return Counts(
                {(t, o): counts.get((t, o), 0) for t in TRANSPORTS for o in OUTCOMES},
                self._open,
                {reason: closed.get(reason, 0) for reason in ENDS},
            )


class Session:
    """One WebSocket's requests.

    Args:
        relay: Who answers.
        limits: How often, and how long they may be.
    """

    def __init__(self, relay: Relay, limits: Limits) -> None:
        self._relay = relay
        self._limits = limits
        self._bucket = limits.bucket()
        self._refused = 0

    @property
    def is_over(self) -> bool:
        """Whether so much was asked in vain that the socket is to be closed, with code 1008."""
        return self._refused >= REFUSED_MAX

    @property
    def idle_s(self) -> float:
        """Seconds of silence after which the socket is to be closed."""
        return self._limits.idle_s

    def take(self, text: str | bytes, received: Reading | None) -> str:
        """The reply to a message, to be sent at once; bytes are a binary one."""
        try:
            self._admit()
            reply = self._relay.timed(
                messages.request_of_text(text, self._limits.max_bytes), received
            )
        except RequestError as refusal:
            self._relay.count("websocket", refusal.code)
            return messages.encode(refusal.reply())
        encoded = messages.encode(reply)
        self._relay.count_reply("websocket", reply)
        return encoded

    def take_parsed(self, message: object, received: Reading | None) -> dict[str, Any] | None:
        """The reply to a message that is parsed already; None where it asks for no time."""
        if not isinstance(message, dict) or message.get("event") != messages.REQUEST:
            return None
        try:
            self._admit()
        except RequestError as refusal:
            self._relay.count("websocket", refusal.code)
            return refusal.reply()
        return self._relay.answer(message, received)

    def _admit(self) -> None:
        if self._bucket is not None and not self._bucket.take():
            self._refused += 1
            raise _too_many()
        self._refused = 0


class HttpEndpoint:
    """Requests by HTTP.

    Args:
        relay: Who answers.
        limits: How often, and how long they may be.
    """

    def __init__(self, relay: Relay, limits: Limits) -> None:
        self._relay = relay
        self._limits = limits
        self._buckets = AskerBuckets(limits)

    def take(
        self,
        method: str,
        query: bytes,
        received: Reading | None,
        *,
        origin: str | None = None,
        host: str | None = None,
        asker: Asker,
    ) -> HttpAnswer:
        """The answer to a request, to be sent at once.

        Args:
            method: GET, or what came instead.
            query: What stands behind the question mark.
            received: What `receipt` gave when it came.
            origin: The header of that name.
            host: The header of that name.
            asker: Who asks.
        """
        extra: list[tuple[str, str]] = []
        try:
            self._admit(method, origin, host, asker)
            if method == "OPTIONS":
                return HttpAnswer(204, [*_ALLOW, *_HEADERS, *self._limits.cors(origin)], b"")
            request_id = messages.request_of_query(query, self._limits.max_bytes)
            reply = self._relay.timed(request_id, received)
        except RequestError as refusal:
            self._relay.count("http", refusal.code)
            body, status = messages.encode(refusal.reply()), refusal.http_status
            extra = {405: _ALLOW, 429: _LATER}.get(status, [])
        else:
            body = messages.encode(reply)
            self._relay.count_reply("http", reply)
            status = 200 if messages.is_synchronised(reply) else 503
            extra = _LATER if status == 503 else []
        # Whom we refuse for its origin learns nothing.
        admitted = self._limits.admits(origin, host)
        cors = self._limits.cors(origin if admitted else None)
        return HttpAnswer(status, [*_HEADERS, *cors, *extra], body.encode())

    def _admit(self, method: str, origin: str | None, host: str | None, asker: Asker) -> None:
        if method not in ("GET", "HEAD", "OPTIONS"):
            raise RequestError("method", f"{method[:20]}: ask with GET")
        if not self._limits.admits(origin, host):
            raise RequestError("origin", "pages of this origin may not ask here")
        if not self._buckets.take(asker):
            raise _too_many()


def receipt() -> Reading | None:
    """The shared clock's reading, to be kept first thing when a message has come."""
    return ntp_clock.read()


def answer(message: object, received: Reading | None) -> dict[str, Any] | None:
    """The shared relay's reply to a parsed message, to be sent at once.

    None where the message is no `clock_sync_request`: then it is somebody else's.

    Args:
        message: What came over a socket, of any type.
        received: What `receipt()` gave when it came.
    """
    return shared_relay.answer(message, received)


def _source_of(status: ClockStatus) -> Source:
    delay_ms = status["delay_ms"]
    return Source(
        server=status["server"],
        stratum=status["stratum"],
        leap=status["leap"],
        delay_ns=None if delay_ms is None else max(round(delay_ms * 1e6), 0),
        epoch=status["epoch"],
    )


def _too_many() -> RequestError:
    return RequestError("rate_limited", "too many requests: ask again in a second")


def _after_fork_in_child() -> None:
    for relay in list(_relays):
        relay.renew()


TRANSPORTS = ("http", "websocket")
OUTCOMES = ("answered", "unsynchronised", "malformed", "oversize", "rate_limited")
ENDS = ("client", "idle", "rate_limited")
REFUSED_MAX = 64

_SOURCE_AGE_S = 0.25
_ALLOW = [("Allow", "GET, HEAD, OPTIONS")]
_LATER = [("Retry-After", "1")]
_HEADERS = [
    ("Content-Type", "application/json"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
]

_relays: WeakSet[Relay] = WeakSet()
shared_relay = Relay()
"""The relay of the shared clock, which all of a process's endpoints share by default."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
