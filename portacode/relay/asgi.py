"""The relay as a bare ASGI application, HTTP and WebSocket at once.

    uvicorn portacode.relay.asgi:app               # on its own
    fastapi_app.mount("/clock", portacode.relay.asgi.app)
    application = with_relay(django_application, "/clock/")   # before everything else

It answers on whatever path it is mounted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Hashable, MutableMapping
from typing import TYPE_CHECKING, Any, Callable

from portacode.relay.endpoint import HttpEndpoint, Relay, Session, shared_relay
from portacode.relay.limits import Limits

if TYPE_CHECKING:
    from portacode.utils.ntp_clock import NTPClock, Reading

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[Any, Any, Any], Awaitable[None]]


class RelayApp:
    """An ASGI application that tells the time.

    Args:
        clock: Whose time; the shared one if None.
        metrics: Whether a path that ends in `/metrics` gives Prometheus' text.
        **limits: As in `Limits`: `rate`, `max_bytes`, `origins`.

    Raises:
        ValueError: Where a limit is out of its range.
    """

    def __init__(
        self, clock: NTPClock | None = None, *, metrics: bool = False, **limits: Any
    ) -> None:
        self.relay = shared_relay if clock is None else Relay(clock)
        self.limits = Limits.checked(**limits)
        self._http = HttpEndpoint(self.relay, self.limits)
        self._metrics = metrics

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One connection, or one request."""
        received = self.relay.receipt()
        kind = scope["type"]
        if kind == "http":
            await self._take_http(scope, received, send)
        elif kind == "websocket":
            await self._take_websocket(scope, receive, send)
        elif kind == "lifespan":
            await _live(receive, send)
        else:
            raise NotImplementedError(f"the relay speaks http and websocket, not {kind!r}")

    async def _take_http(self, scope: Message, received: Reading | None, send: Send) -> None:
        if self._metrics and scope["path"].endswith("/metrics"):
            from portacode.metrics import CONTENT_TYPE, prometheus_text

            text = prometheus_text(self.relay.clock, self.relay)
            await _respond(send, 200, [("Content-Type", CONTENT_TYPE)], text.encode())
            return
        answer = self._http.take(
            scope["method"],
            scope.get("query_string", b""),
            received,
            origin=_header(scope, b"origin"),
            host=_header(scope, b"host"),
            connection=_connection(scope),
        )
        body = b"" if scope["method"] == "HEAD" else answer.body
        await _respond(send, answer.status, answer.headers, body, len(answer.body))

    async def _take_websocket(self, scope: Message, receive: Receive, send: Send) -> None:
        session: Session | None = None
        try:
            while True:
                message = await receive()
                received = self.relay.receipt()
                kind = message["type"]
                if kind == "websocket.receive" and session is not None:
                    text = message.get("text")
                    told = text if text is not None else message.get("bytes") or b""
                    await send({"type": "websocket.send", "text": session.take(told, received)})
                    if session.is_over:
                        await send({"type": "websocket.close", "code": 1008})
                        return
                elif kind == "websocket.connect":
                    if not self.limits.admits(_header(scope, b"origin"), _header(scope, b"host")):
                        await send({"type": "websocket.close", "code": 1008})
                        return
                    await send({"type": "websocket.accept"})
                    session = Session(self.relay, self.limits)
                    self.relay.opened()
                elif kind == "websocket.disconnect":
                    return
        except OSError:
            return  # The asker is gone.
        finally:
            if session is not None:
                self.relay.closed("rate_limited" if session.is_over else "client")


def with_relay(application: Application, path: str = "/clock/", **options: Any) -> Application:
    """An application, before which a relay answers at one path, HTTP and WebSocket.

    Nothing of the application's (middleware, thread pools) delays the relay's stamps then.

    Args:
        application: Any ASGI application.
        path: Where the relay is.
        **options: As in `RelayApp`.

    Raises:
        ValueError: Where an option is out of its range, or the path does not begin with a slash.
    """
    if not path.startswith("/"):
        raise ValueError(f"the relay's path must begin with a slash, unlike {path!r}")
    relay = RelayApp(**options)
    bare = path.rstrip("/")
    # Without the slash it would be redirected, which the clock does not follow.
    paths = {path, bare, f"{bare}/", f"{bare}/metrics"} - {""}

    async def both(scope: Message, receive: Receive, send: Send) -> None:
        ours = scope["type"] in ("http", "websocket") and scope["path"] in paths
        await (relay if ours else application)(scope, receive, send)

    return both


async def _respond(
    send: Send,
    status: int,
    headers: list[tuple[str, str]],
    body: bytes,
    length: int | None = None,
) -> None:
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    if status != 204:
        raw.append((b"content-length", b"%d" % (len(body) if length is None else length)))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _header(scope: Message, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)


def _connection(scope: Message) -> Hashable | None:
    """Address and port of the other end; no port is told where a proxy's headers are believed."""
    client = scope.get("client")
    return tuple(client) if client and client[1] else None


app = RelayApp()
"""The relay of the shared clock, with limits as they are by themselves."""
