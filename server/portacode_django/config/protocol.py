"""uvicorn's protocols, with limits on peers that do nothing.

uvicorn waits for ever for the first request of a connection, for a peer to say something, and to
read what it was sent before the connection is closed. All would let a peer hold what is scarce.
"""

from __future__ import annotations

import asyncio
from typing import Any

from django.conf import settings
from sockets.places import STATE, Place, Room
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class BoundedHttp(H11Protocol):
    """HTTP whose requests have to come in time, over connections that have their places."""

    _deadline: asyncio.TimerHandle | None = None
    _place: Place | None = None

    def connection_made(self, transport: Any) -> None:
        """A connection."""
        super().connection_made(transport)
        address = self.client[0] if self.client else None
        self._place = room.enter(address, self._give_up)
        if self._place is None:
            # Nothing is said: that would cost more than it tells a client that floods us.
            self._give_up()
            return
        # How the applications find it, and the WebSocket that this may become.
        self.app_state = {**self.app_state, STATE: self._place}
        self._expect_request()

    def data_received(self, data: bytes) -> None:
        """Bytes of it."""
        if self._place is not None:
            self._place.heard()
        if self._deadline is None and (self.cycle is None or self.cycle.response_complete):
            self._expect_request()
        super().data_received(data)
        upgraded = self.transport.get_protocol() is not self
        if upgraded or (self.cycle is not None and not self.cycle.more_body):
            self._cancel_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Its end."""
        self._cancel_deadline()
        if self._place is not None:
            self._place.leave()
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
    """A WebSocket that has its place, and is closed even if the peer does not read."""

    _place: Place | None = None

    def connection_made(self, transport: Any) -> None:
        """The handshake is about to be looked at."""
        super().connection_made(transport)
        before = self.app_state.get(STATE)
        if before is not None:
            # A client that was known over HTTP may be a stranger on a socket.
            before.leave()
        self._place = room.enter(self.client[0] if self.client else None, self._make_room)
        self.app_state = {**self.app_state, STATE: self._place}

    def send_receive_event_to_app(self) -> None:
        """A whole message."""
        if self._place is not None:
            self._place.heard()
        if self.curr_msg_data_type == "text" and not self.close_sent and not self._is_utf8():
            # RFC 6455 section 8.1. uvicorn does the same, but logs a traceback each time: a
            # stranger could fill the log.
            self.frames = []
            self.conn.send_close(1007)
            self.handle_parser_exception()
            return
        super().send_receive_event_to_app()

    def _is_utf8(self) -> bool:
        try:
            b"".join(self.frames).decode()
        except UnicodeDecodeError:
            return False
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Its end."""
        if self._place is not None:
            self._place.leave()
        super().connection_lost(exc)

    def _make_room(self) -> None:
        """Somebody else gets the place."""
        if self.handshake_complete and not self.close_sent:
            code, why = 1013, "too many connections: come back later"
            self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": why})
            self.conn.send_close(code, why)
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
        self.stop_keepalive()
        self.transport.close()
        self.loop.call_later(settings.SLOW_READER_S, self.transport.abort)

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """The consumer has ended."""
        super().on_task_complete(task)
        if not self.disconnected:
            self.loop.call_later(settings.SLOW_READER_S, self.transport.abort)

    def keepalive_timeout(self) -> None:
        """No answer to a ping: what is left to write will not be read either."""
        if self.read_paused and self.writable.is_set():
            # It may have answered behind what we have not read yet, and is not to blame for that.
            self.pong_timer = self.loop.call_later(_PING_TIMEOUT_S, self.keepalive_timeout)
            return
        super().keepalive_timeout()
        self.transport.abort()


_PING_TIMEOUT_S = 20.0
room = Room(settings.CONNECTIONS_MAX, settings.STRANGERS_MAX, settings.ADDRESS_CONNECTIONS_MAX)
"""This process's."""
OPTIONS: dict[str, Any] = {
    "http": BoundedHttp,
    "ws": BoundedWebSocket,
    "ws_max_size": settings.SOCKET_MESSAGE_MAX,
    "ws_ping_interval": 20.0,
    "ws_ping_timeout": _PING_TIMEOUT_S,
    # Our messages are small, and deflating each costs more than it saves on the way.
    "ws_per_message_deflate": False,
    "lifespan": "off",
    "server_header": False,
    "proxy_headers": settings.BEHIND_PROXY,
}
"""What uvicorn is to be run with."""
