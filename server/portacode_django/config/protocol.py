"""uvicorn's protocols, with limits on peers that do nothing.

uvicorn waits for ever for the first request of a connection, and for a peer to read what it was
sent before the connection is closed. Both would let a peer hold what is scarce.
"""

from __future__ import annotations

import asyncio
from typing import Any

from django.conf import settings
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class BoundedHttp(H11Protocol):
    """HTTP whose requests have to come in time, over so many connections at most."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A connection."""
        super().connection_made(transport)
        if len(self.connections) > settings.CONNECTIONS_MAX:
            # Nothing is said: that would cost more than it tells whoever floods us.
            self._give_up()
            return
        self._expect_request()

    def data_received(self, data: bytes) -> None:
        """Bytes of it."""
        if self._deadline is None and (self.cycle is None or self.cycle.response_complete):
            self._expect_request()
        super().data_received(data)
        upgraded = self.transport.get_protocol() is not self
        if upgraded or (self.cycle is not None and not self.cycle.more_body):
            self._cancel_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Its end."""
        self._cancel_deadline()
        super().connection_lost(exc)

    def _expect_request(self) -> None:
        self._deadline = self.loop.call_later(settings.HANDSHAKE_S, self._give_up)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self.transport.abort()


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket that is closed even if the peer does not read."""

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """The consumer has ended."""
        super().on_task_complete(task)
        if not self.disconnected:
            self.loop.call_later(settings.SLOW_READER_S, self.transport.abort)

    def keepalive_timeout(self) -> None:
        """No answer to a ping: what is left to write will not be read either."""
        super().keepalive_timeout()
        self.transport.abort()


OPTIONS: dict[str, Any] = {
    "http": BoundedHttp,
    "ws": BoundedWebSocket,
    "ws_max_size": settings.SOCKET_MESSAGE_MAX,
    "ws_ping_interval": 20.0,
    "ws_ping_timeout": 20.0,
    # Our messages are small, and deflating each costs more than it saves on the way.
    "ws_per_message_deflate": False,
    "lifespan": "off",
    "server_header": False,
    "proxy_headers": settings.BEHIND_PROXY,
}
"""What uvicorn is to be run with."""
