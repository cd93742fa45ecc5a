"""The relay as a bare ASGI application, HTTP and WebSocket at once.

    uvicorn portacode.relay.asgi:app               # on its own
    fastapi_app.mount("/clock", portacode.relay.asgi.app)
    application = with_relay(django_application, "/clock/")   # before everything else

It answers on whatever path it is mounted. On event loops other than asyncio's silent sockets are
the server's to close.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, MutableMapping
from typing import TYPE_CHECKING, Any, Callable

from portacode.relay.askers import Asker, Network, asker_of
from portacode.relay.endpoint import HttpEndpoint, Relay, Session, shared_relay
from portacode.relay.limits import Limits
from portacode.relay.silence import FIRST_S, Silence, silent_text

if TYPE_CHECKING:
    from portacode.metrics import LinkCounts
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
        links: Asked for what else goes into that text, where somebody keeps links.
        **limits: As in `Limits`: `rate`, `max_bytes`, `origins`, `idle_s`, `proxies`.

    Raises:
        ValueError: Where a limit is out of its range.
    """

    def __init__(
        self,
        clock: NTPClock | None = None,
        *,
        metrics: bool = False,
        links: Callable[[], LinkCounts] | None = None,
        **limits: Any,
    ) -> None:
        self.relay = shared_relay if clock is None else Relay(clock)
        self.limits = Limits.checked(**limits)
        self._http = HttpEndpoint(self.relay, self.limits)
        self._metrics = metrics
        self._links = links

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

            links = self._links() if self._links else None
            text = prometheus_text(self.relay.clock, self.relay, links)
            await _respond(send, 200, [("Content-Type", CONTENT_TYPE)], text.encode())
            return
        answer = self._http.take(
            scope["method"],
            scope.get("query_string", b""),
            received,
            origin=_header(scope, b"origin"),
            host=_header(scope, b"host"),
            asker=_asker(scope, self.limits.proxies),
        )
        body = b"" if scope["method"] == "HEAD" else answer.body
        await _respond(send, answer.status, answer.headers, body, len(answer.body))

    async def _take_websocket(self, scope: Message, receive: Receive, send: Send) -> None:
        session: Session | None = None
        silence: Silence | None = None
        silent_s: float | None = None
        task = _current_task()

        def over(limit_s: float) -> None:
            nonlocal silent_s
            silent_s = limit_s
            if task is not None:
                task.cancel()

        try:
            while True:
                message = await receive()
                received = self.relay.receipt()
                kind = message["type"]
                if kind == "websocket.receive" and session is not None:
                    if silence is not None:
                        silence.heard()
                    text = message.get("text")
                    frame = text if text is not None else message.get("bytes") or b""
                    await send({"type": "websocket.send", "text": session.take(frame, received)})
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
                    if task is not None:
                        silence = Silence(FIRST_S, session.idle_s, over)
                elif kind == "websocket.disconnect":
                    return
        except OSError:
            return  # The asker is gone.
        except asyncio.CancelledError:
            if silent_s is None:
                raise
            # From Python 3.11 on a cancelled task counts who wanted it.
            getattr(task, "uncancel", int)()
            reason = silent_text(silent_s)
            close = {"type": "websocket.close", "code": 1000, "reason": reason}
            # A silent client may not read either; and a server that wanted the place for another
            # has closed the socket already, of which uvicorn says so by a RuntimeError.
            with contextlib.suppress(OSError, asyncio.TimeoutError, RuntimeError):
                await asyncio.wait_for(send(close), 1)
        finally:
            if silence is not None:
                silence.stop()
            if session is not None:
                ended = "rate_limited" if session.is_over else "client"
                self.relay.closed(ended if silent_s is None else "idle")


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
        ours = scope["type"] in ("http", "websocket") and route_path(scope) in paths
        await (relay if ours else application)(scope, receive, send)

    return both


def _current_task() -> asyncio.Task[Any] | None:
    """The task that this is, where the event loop is asyncio's: trio has no such timers."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


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


def _asker(scope: Message, proxies: tuple[Network, ...]) -> Asker:
    def header(name: str) -> str | None:
        raw = name.encode("ascii")
        values = [value.decode("latin-1") for key, value in scope["headers"] if key == raw]
        return ",".join(values) if values else None

    address, port = scope.get("client") or (None, None)
    return asker_of(address, port, header, proxies)


def route_path(scope: Message) -> str:
    """The path below where the application is mounted.

    By ASGI's specification `path` is the whole one, `root_path` included. Servers and frameworks
    that strip it themselves give a path that does not begin with it, which is taken as it is.
    """
    path: str = scope["path"]
    root = scope.get("root_path", "").rstrip("/")
    below = path[len(root) :]
    return below if root and path.startswith(root) and below[:1] in ("/", "") else path


app = RelayApp()
"""The relay of the shared clock, with limits as they are by themselves."""
