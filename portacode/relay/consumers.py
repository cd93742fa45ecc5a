"""The relay for Channels: a consumer of its own, and a mixin for consumers that are there."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

try:
    from channels.generic.websocket import AsyncWebsocketConsumer
except ImportError as error:  # pragma: no cover - where it is not installed
    raise ImportError(
        "portacode.relay.consumers needs Channels: pip install 'portacode[server]'"
    ) from error

from portacode import _wire
from portacode.relay import messages, settings
from portacode.relay.endpoint import shared_relay
from portacode.relay.silence import FIRST_S, Silence, silent_text

if TYPE_CHECKING:
    from channels.consumer import AsyncConsumer as Base

    from portacode.relay.endpoint import Session
    from portacode.utils.ntp_clock import Reading
else:
    Base = object


class StampedMixin(Base):
    """Keeps the reading of the moment when each message came, before Channels hands it on.

    In `receive` and `receive_json`, `self.received` is that of the message at hand.
    """

    received: Reading | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Runs the consumer on messages with their stamps."""

        async def stamped() -> Any:
            message = await receive()
            return {**message, _STAMP: shared_relay.receipt()}

        await super().__call__(scope, stamped, send)

    async def dispatch(self, message: Any) -> None:
        """Takes the stamp off before the consumer sees the message."""
        if _STAMP in message:
            self.received = message.pop(_STAMP)
        await super().dispatch(message)


class ClockSyncMixin(StampedMixin):
    """Answers the clock's requests on an async consumer's socket; all else goes its way.

        class Dashboard(ClockSyncMixin, AsyncJsonWebsocketConsumer): ...

    They are answered before `receive` is called, and only on accepted sockets.
    """

    _clock_session: Session | None = None

    async def websocket_receive(self, message: Any) -> None:
        """Answers what is a clock's, and leaves the rest to the consumer."""
        text = message.get("text")
        # A glance first: other messages are not parsed twice.
        if isinstance(text, str) and messages.REQUEST in text and len(text) <= _wire.FRAME_BYTES:
            if self._clock_session is None:
                self._clock_session = settings.session()
            session = self._clock_session
            reply = session.take_parsed(_parsed(text), self.received)
            if reply is not None:
                await self.send(text_data=messages.encode(reply))  # type: ignore[call-arg]
                if session.is_over:
                    await self.close(code=1008)  # type: ignore[attr-defined]
                return
        await super().websocket_receive(message)  # type: ignore[misc]


class ClockConsumer(StampedMixin, AsyncWebsocketConsumer):
    """A WebSocket that tells the time and does nothing else."""

    async def connect(self) -> None:
        """Accepts pages of the origins that are set."""
        headers = dict(self.scope["headers"])
        origin, host = headers.get(b"origin"), headers.get(b"host")
        if not settings.limits().admits(
            None if origin is None else origin.decode("latin-1"),
            None if host is None else host.decode("latin-1"),
        ):
            await self.close()
            return
        self._session = settings.session()
        await self.accept()
        shared_relay.opened()
        self._is_open = True
        self._silence = Silence(FIRST_S, self._session.idle_s, self._silent)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Answers one message."""
        frame = text_data if text_data is not None else bytes_data or b""
        self._silence.heard()
        await self.send(text_data=self._session.take(frame, self.received))
        if self._session.is_over:
            self._end("rate_limited")
            await self.close(code=1008)

    async def websocket_receive(self, message: Any) -> None:
        """Empty messages are answered as well."""
        text = message.get("text")
        await self.receive(text, None if text is not None else message.get("bytes"))

    async def disconnect(self, code: int) -> None:  # noqa: ARG002
        """Counts the socket as closed."""
        self._end("client")

    def _silent(self, limit_s: float) -> None:
        self._end("idle")
        self._closing = asyncio.ensure_future(self._close_silent(limit_s))

    async def _close_silent(self, limit_s: float) -> None:
        # A server that wanted the place for another has closed the socket already.
        with contextlib.suppress(OSError, RuntimeError):
            await self.close(1000, silent_text(limit_s))

    def _end(self, reason: str) -> None:
        if self.__dict__.pop("_is_open", False):
            self._silence.stop()
            shared_relay.closed(reason)


def _parsed(text: str) -> object:
    try:
        return _wire.loads(text)
    except _wire.WireError:
        return None


_STAMP = "portacode_received"
