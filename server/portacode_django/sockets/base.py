"""A WebSocket of JSON messages that keeps to its limits and is the clock's relay as well."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, ClassVar

from channels.consumer import AsyncConsumer
from channels.exceptions import StopConsumer
from data.refusal import Refusal
from data.services.links import crossed
from django.conf import settings

from portacode import _wire
from portacode.exchanges import REQUEST, ExchangeError
from portacode.limits import TokenBucket
from portacode.relay import answer
from portacode.trace import Stamp
from portacode.utils.ntp_clock import ntp_clock
from sockets import places
from sockets.frames import parsed

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from data.services.links import PeerLinks

    from portacode._wire import Message
    from portacode.utils.ntp_clock import ClockStamp, NTPClock

logger = logging.getLogger("portacode.sockets")


class PeerGoneError(ConnectionError):
    """Nothing can be sent any more: the connection has ended."""


class JsonSocket(AsyncConsumer):
    """Base of consumers: `opened`, `closed`, and an `on_...` for each event that is understood."""

    clock: ClassVar[NTPClock] = ntp_clock
    # Per second and at once; seconds without a message; seconds to the first one.
    rate: ClassVar[tuple[float, float]] = (50, 200)
    idle_s: ClassVar[float] = 180
    first_s: ClassVar[float | None] = None

    channel_layer: Any
    channel_name: str
    scope: Any

    def __init__(self) -> None:
        # What the peer's messages say of its counter, once it is known whose that is.
        self.links: PeerLinks | None = None
        self._received: Stamp | None = None
        self._moment: ClockStamp | None = None
        self._bucket = TokenBucket(*self.rate)
        # Refused messages are answered, and so need a limit of their own.
        self._patience = TokenBucket(2, 50)
        self._accepted = False
        self._done = False
        self._stuck = False
        self._main: asyncio.Task[Any] | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._heard_at = 0.0
        self._heard_any = False
        self._end_code: int | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def received(self) -> Stamp:
        """When the frame came that is being dealt with."""
        return self._received or Stamp.take(self.clock)

    # --- For subclasses -------------------------------------------------------------------------

    async def opened(self) -> None:
        """A peer wants to connect: `accept`, or `refuse`."""
        await self.accept()

    async def closed(self) -> None:
        """The peer is gone; also called where it was refused."""

    def who(self) -> str:
        """The peer, for the log."""
        client = self.scope.get("client")
        return client[0] if client else "unknown"

    async def refused(self, message: Message | None, refusal: Refusal) -> None:
        """Tells the peer that a message was not obeyed."""
        notice: dict[str, Any] = {"event": "error", "error": refusal.to_json()}
        request_id = None if message is None else message.get("request_id")
        if isinstance(request_id, str) and len(request_id) <= 64:
            notice["request_id"] = request_id
        await self.send_json(notice)

    async def failed(self, message: Message | None) -> None:
        """A message was understood, and we failed; the connection goes on."""
        await self.refused(message, Refusal("server_failed", "the server failed; try again"))

    # --- What they use --------------------------------------------------------------------------

    async def accept(self, *, known: bool = True) -> None:
        """Opens the connection; `known` is a peer who has shown who it is."""
        self._accepted = True
        if known:
            places.prove(self.scope)
        await self._hand_over({"type": "websocket.accept"})
        self._heard_at = asyncio.get_running_loop().time()
        self._look_again()

    async def refuse(self, code: int, reason: str) -> None:
        """Ends the connection; code and reason reach the peer, and the log.

        A handshake that is refused cannot carry them: it is accepted first.
        """
        if self._done:
            return
        self._done = True
        logger.warning("%s: closed %s (%d): %s", self.scope["path"], self.who(), code, reason)
        if not self._accepted:
            self._accepted = True
            await self._hand_over({"type": "websocket.accept"})
        # As many bytes as the protocol allows.
        short = reason.encode(errors="replace")[:123].decode(errors="ignore")
        await self._hand_over({"type": "websocket.close", "code": code, "reason": short})

    async def send_json(self, message: dict[str, Any]) -> None:
        """Sends a message."""
        await self.send_text(_wire.encode(message))

    async def send_text(self, text: str) -> None:
        """Sends a message's text; a peer that does not read for too long is cut off.

        Raises:
            PeerGoneError: Where there is no peer any more.
        """
        if self._done or not self._accepted:
            return
        loop = asyncio.get_running_loop()
        limit = loop.call_later(settings.SLOW_READER_S, self._cut_off)
        try:
            await self._hand_over({"type": "websocket.send", "text": text})
        finally:
            limit.cancel()

    def later(self, work: Awaitable[None]) -> None:
        """Runs something beside what is being dealt with."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    # --- ASGI -----------------------------------------------------------------------------------

    async def __call__(
        self,
        scope: Any,
        receive: Any,
        send: Any,
    ) -> None:
        """One connection, from its handshake to its end."""

        async def stamped() -> Any:
            message = await receive()
            if message["type"] == "websocket.receive":
                # Before anything else: it may have to wait for the one that is being dealt with.
                message["moment"] = moment = self.clock.stamp()
                message["stamp"] = Stamp.of(moment, self.clock)
            elif message["type"] == "websocket.disconnect":
                self._end_code = message.get("code")
            return message

        self._main = asyncio.current_task()
        try:
            await super().__call__(scope, stamped, send)
        except asyncio.CancelledError:
            if not self._stuck:
                raise
            logger.warning(
                "%s: closed the connection of %s, which does not read", scope["path"], self.who()
            )
        except OSError:
            # The peer has gone; why is among what was not received yet.
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._drain(receive), 1)
        finally:
            if not self._done and self._end_code in _PROTOCOL_FAULTS:
                # The WebSocket library has refused the message, and reported it to the peer.
                logger.warning("%s: closed %s (%d)", scope["path"], self.who(), self._end_code)
            self._done = True
            if self._watch is not None:
                self._watch.cancel()
            await asyncio.shield(self._farewell())

    async def _hand_over(self, message: dict[str, Any]) -> None:
        try:
            await self.send(message)
        except (OSError, RuntimeError) as error:
            # RuntimeError: the WebSocket library has closed the connection for what came, which we
            # do not know yet.
            raise PeerGoneError(str(error)) from error

    async def _drain(self, receive: Any) -> None:
        while self._end_code is None:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                self._end_code = message.get("code", 1006)

    async def dispatch(self, message: dict[str, Any]) -> None:
        """To the handler; connections to the database look after themselves."""
        kind: str = message["type"]
        handler = getattr(self, kind.replace(".", "_"))
        if kind.startswith("websocket."):
            await handler(message)
            return
        came = self.clock.stamp()
        try:
            await handler({**message, "crossing": crossed(message, came)})
        except PeerGoneError:
            raise
        except Exception:
            # News that we cannot pass on are no reason to leave all others.
            logger.exception("%s: %s: %s failed", self.scope["path"], self.who(), kind)

    async def websocket_connect(self, message: dict[str, Any]) -> None:
        """The handshake."""
        del message
        await self.opened()

    async def websocket_disconnect(self, message: dict[str, Any]) -> None:
        """The end, no matter who wanted it."""
        del message
        raise StopConsumer

    async def websocket_receive(self, message: dict[str, Any]) -> None:
        """A frame."""
        if self._done:
            return
        self._received = message["stamp"]
        self._moment = message["moment"]
        self._heard_at = asyncio.get_running_loop().time()
        self._heard_any = True
        text = message.get("text")
        if text is None:
            await self.refuse(1003, "text frames only")
            return
        try:
            _wire.check_size(text, settings.SOCKET_MESSAGE_MAX)
        except _wire.TooLargeError as error:
            await self.refuse(1009, f"too large: {error}")
            return
        await self._obey(text)

    async def channel_overflow(self, message: dict[str, Any]) -> None:
        """From the channel layer: more came than is kept, and was dropped."""
        del message
        await self.refuse(1013, "more came for this connection than it can take; connect again")

    async def tell(self, message: dict[str, Any]) -> None:
        """From another consumer: something to send on."""
        await self.send_text(message["message"])

    async def _obey(self, text: str) -> None:
        message = None
        try:
            fits = self._bucket.take()
            message = parsed(text)
            if not fits:
                raise Refusal("rate_limited", "too many messages; wait")
            event = message["event"]
            if event == REQUEST:
                await self._tell_time(message)
                return
            handler = getattr(self, f"on_{event}", None) if event.isidentifier() else None
            # What later versions send beside what we know does no harm.
            if handler is not None:
                await handler(message)
        except Refusal as refusal:
            logger.info("%s: %s: %s: %s", self.scope["path"], self.who(), refusal.code, refusal)
            if self._patience.take():
                await self.refused(message, refusal)
            elif refusal.code == "rate_limited":
                await self.refuse(4429, "too many messages")
            else:
                await self.refuse(4400, f"too many malformed messages, the last one: {refusal}")
        except PeerGoneError:
            raise
        except Exception:
            logger.exception("%s: %s: a message failed", self.scope["path"], self.who())
            await self.failed(message)

    async def _tell_time(self, message: Message) -> None:
        """Answers the peer's clock; and takes what the request says of its counter."""
        moment = self._moment or self.clock.stamp()
        reply = answer(message, moment.reading)
        assert reply is not None
        if self.links is not None and "error" not in reply:
            try:
                self.links.asked(message, moment)
            except ExchangeError as error:
                raise Refusal("malformed", str(error)) from error
            now = self.clock.stamp()
            self.links.answered(message["request_id"], now)
            reply["counter"] = now.counter
        await self.send_json(reply)

    def _look_again(self) -> None:
        """Closes the connection if nothing has been heard for too long."""
        loop = asyncio.get_running_loop()
        first = not self._heard_any and self.first_s is not None
        limit_s = self.first_s if first and self.first_s is not None else self.idle_s
        left_s = self._heard_at + limit_s - loop.time()
        if left_s > 0:
            self._watch = loop.call_later(left_s, self._look_again)
        else:
            self.later(self.refuse(4408, f"nothing heard for {limit_s:g} s"))

    def _cut_off(self) -> None:
        self._stuck = True
        if self._main is not None:
            self._main.cancel()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        # A peer that is gone shows in every send, and is no news.
        if error is not None and not self._done and not isinstance(error, PeerGoneError):
            logger.error("%s: %s", self.scope["path"], error, exc_info=error)

    async def _farewell(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await self.closed()


# What the library closes a connection with for what the peer sent.
_PROTOCOL_FAULTS = {1002, 1003, 1007, 1009}
