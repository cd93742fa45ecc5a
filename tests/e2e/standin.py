"""A server whose answers a test decides: relay, HTTPS time and pages, all on one port."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import uvicorn

import portacode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

STATIC = Path(portacode.__file__).resolve().parent / "static"
CLOCK = "/static/js/utils/ntp-clock.js"


def truth_ms() -> float:
    """The machine's wall clock: what every server here tells."""
    return time.time_ns() / 1e6


def honest(request_id: object, received_ms: float) -> dict[str, Any]:
    """What an honest relay answers."""
    sent = truth_ms()
    return {
        "event": "clock_sync_response",
        "request_id": request_id,
        "server_receive_time": received_ms,
        "server_send_time": sent,
        "server_time": sent,
        "server_time_iso": "",
        "root_delay_ms": 0.2,
        "root_dispersion_ms": 0.3,
        "stratum": 2,
        "leap": 0,
        "server": "time.cloudflare.com",
        "instance": "a",
        "epoch": 1,
    }


def unsynchronised(request_id: object) -> dict[str, Any]:
    """What a relay answers that has no time itself."""
    return {
        "event": "clock_sync_response",
        "request_id": request_id,
        "server_receive_time": None,
        "server_send_time": None,
        "server_time": None,
        "server_time_iso": None,
        "root_delay_ms": None,
        "root_dispersion_ms": None,
        "stratum": 16,
        "leap": 3,
        "server": "time.cloudflare.com",
        "instance": "a",
        "epoch": 0,
    }


class StandIn:
    """Serves until closed; attributes may be changed at any time."""

    def __init__(self, *, tls: tuple[Path, Path] | None = None) -> None:
        # What a relay answers: anything JSON, or text as it is.
        self.answer: Callable[[object, float], object] = honest
        # HTTPS times by path: the stamp, seconds since 1970 as text.
        self.traces: dict[str, Callable[[], str]] = {
            "/cdn-cgi/trace": lambda: f"{truth_ms() / 1000:.3f}",
            "/whole/trace": lambda: str(time.time_ns() // 1_000_000_000),
        }
        self.pages: dict[str, str] = {}
        # More headers of those pages.
        self.headers: dict[str, str] = {}
        self.asked: list[str] = []
        # A cookie that the relay wants from HTTP clients.
        self.wanted_cookie: str | None = None
        self._tls = tls
        self.port = 0
        self.open()

    def open(self) -> None:
        """Listens, on the same port as before where it was closed."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        # From now on who comes waits for the server to start.
        listener.listen(128)
        self.port = listener.getsockname()[1]
        key, certificate = self._tls or (None, None)
        config = uvicorn.Config(
            self._app,
            log_level="critical",
            lifespan="off",
            interface="asgi3",
            ws="websockets-sansio",
            ssl_keyfile=key,
            ssl_certfile=str(certificate) if certificate else None,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(timeout=60)

    def url(self, path: str = "/", *, scheme: str = "http") -> str:
        return f"{scheme}{'s' if self._tls else ''}://127.0.0.1:{self.port}{path}"

    @property
    def ws(self) -> str:
        return self.url("/relay", scheme="ws")

    @property
    def http(self) -> str:
        return self.url("/relay")

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        received_ms = truth_ms()
        if scope["type"] == "websocket":
            await self._socket(receive, send)
            return
        path = scope["path"]
        self.asked.append(path)
        if path == "/relay":
            ids = parse_qs(scope["query_string"].decode()).get("request_id", [None])
            cookies = [value.decode() for name, value in scope["headers"] if name == b"cookie"]
            if self.wanted_cookie is not None and cookies != [self.wanted_cookie]:
                await reply(send, "log in first", "text/plain", 401)
                return
            answered = self.answer(ids[0], received_ms)
            unsynced = isinstance(answered, dict) and answered.get("server_time") is None
            await reply(send, text_of(answered), "application/json", 503 if unsynced else 200)
        elif path in self.traces:
            stamp = self.traces[path]()
            trace = f"fl=1f1\nh=cloudflare.com\nts={stamp}\nvisit_scheme=https\n"
            await reply(send, trace, "text/plain")
        elif path in self.pages:
            kind = "text/javascript" if path.endswith(".js") else "text/html"
            await reply(send, self.pages[path], kind, headers=self.headers)
        elif path.startswith("/static/") and (STATIC / path[8:]).is_file():
            kind = "text/javascript" if path.endswith(".js") else "text/html"
            await reply(send, (STATIC / path[8:]).read_text(), kind)
        else:
            await reply(send, "nothing here", "text/plain", 404)

    async def _socket(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            received_ms = truth_ms()
            asked = json.loads(message["text"])
            self.asked.append("ws")
            if "jsonrpc" in asked:
                # What the npm package timesync asks.
                answered: object = {"jsonrpc": "2.0", "id": asked["id"], "result": truth_ms()}
            else:
                answered = self.answer(asked["request_id"], received_ms)
            if answered is not None:
                await send({"type": "websocket.send", "text": text_of(answered)})


def text_of(answered: object) -> str:
    return answered if isinstance(answered, str) else json.dumps(answered)


async def reply(
    send: Send, body: str, kind: str, status: int = 200, headers: dict[str, str] | None = None
) -> None:
    raw = body.encode()
    lines = {
        "content-type": f"{kind}; charset=utf-8",
        "content-length": str(len(raw)),
        "cache-control": "no-store",
        "access-control-allow-origin": "*",
        "timing-allow-origin": "*",
        **(headers or {}),
    }
    encoded = [(name.encode(), value.encode()) for name, value in lines.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": raw})
