"""Where people put relays: below another application, behind a proxy, among silent peers."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import django
import pytest
from ports import free_port
from servers import (
    WebServer,
    ask,
    gunicorn,
    serving,
    synchronised,
    uvicorn,
)
from support import eventually

from portacode.relay import asgi
from portacode.relay.asgi import RelayApp, route_path
from portacode.utils.ntp_clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, MutableMapping
    from pathlib import Path

REQUEST = json.dumps({"event": "clock_sync_request", "request_id": "00000000000000a7"})
BARE = uvicorn("portacode.relay.asgi:app")
DJANGO = uvicorn("django_project.asgi:application")
BESIDE = uvicorn("django_project.mounted:before_django")
BELOW = uvicorn("django_project.mounted:below")
ROOT = ["--root-path", "/app"]


@pytest.mark.parametrize(
    ("command", "page", "socket"),
    [
        ([*BARE, *ROOT], "/", "/"),
        ([*DJANGO, *ROOT], "/clock/", "/ws/clock/"),
        ([*BESIDE, *ROOT], "/time/", "/time/"),
        (BELOW, "/app/time/", "/app/time/"),
        (BELOW, "/app/clock/", "/app/ws/clock/"),
        ([*BELOW, "--root-path", "/outer"], "/app/time/", "/app/time/"),
    ],
    ids=["bare", "Django", "before Django", "mounted", "Django, mounted", "both"],
)
def test_a_relay_is_found_below_whatever_it_is_mounted(
    command: list[str], page: str, socket: str, time_server: str
) -> None:
    with serving(command, time_server) as server:
        assert synchronised(server, page)
        with server.socket(socket) as connection:
            connection.send(REQUEST)
            assert json.loads(connection.recv())["server_time"] is not None


@pytest.mark.parametrize(
    ("path", "root", "below"),
    [
        ("/clock/", "", "/clock/"),
        ("/app/clock/", "/app", "/clock/"),
        ("/app/clock/", "/app/", "/clock/"),
        ("/app", "/app", ""),
        # A server that has stripped it already.
        ("/clock/", "/app", "/clock/"),
        ("/apple/clock/", "/app", "/apple/clock/"),
    ],
)
def test_the_path_below_a_mount_is_what_the_specification_says(
    path: str, root: str, below: str
) -> None:
    assert route_path({"path": path, "root_path": root}) == below


def test_a_page_below_a_mount_learns_the_relays_that_are_there(time_server: str) -> None:
    with serving([*DJANGO, *ROOT], time_server) as server:
        assert b'name="ntp-clock-relay" content="/app/clock/"' in server.get("/page/").body
    alone = {"ROOT_URLCONF": "django_project.page_alone"}
    with serving([*DJANGO, *ROOT], time_server, **alone) as server:
        page = server.get("/page/").body.decode()
        assert f'content="ws://127.0.0.1:{server.port}/app/ws/clock/"' in page


# --- Behind a proxy


@contextmanager
def nginx(folder: Path, to: int) -> Iterator[int]:
    """In front of a server, over few connections that it keeps, as people set it up for load."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    if not os.path.exists(program):
        pytest.skip("no nginx: apt-get install nginx-light")
    port = free_port()
    (folder / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;"
        "events { worker_connections 4096; }"
        f"http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;"
        f"fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;"
        f"upstream relay {{ server 127.0.0.1:{to}; keepalive 4; }}"
        f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://relay;"
        'proxy_http_version 1.1; proxy_set_header Connection "";'
        "proxy_set_header X-Forwarded-For $remote_addr;"
        "proxy_set_header X-Forwarded-Proto $scheme; }} }}".replace("}}", "}")
        + "}"
    )
    process = subprocess.Popen(
        [program, "-p", str(folder), "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"],
        stdin=subprocess.DEVNULL,
    )
    try:

        def listens() -> bool:
            try:
                return WebServer(port).get("/").status > 0
            except OSError:
                return False

        assert eventually(listens), (folder / "error.log").read_text()
        yield port
    finally:
        process.terminate()
        process.wait(timeout=120)


@pytest.mark.parametrize(
    ("command", "path"),
    [
        (BARE, "/"),
        ([*BARE, "--no-proxy-headers"], "/"),
        ([*DJANGO, "--no-proxy-headers"], "/clock/"),
        (gunicorn("django_project.wsgi"), "/sync/"),
    ],
    ids=["the server believes it", "the relay believes it", "Django, ASGI", "Django, WSGI"],
)
def test_behind_a_proxy_all_of_many_pages_get_the_time(
    command: list[str], path: str, time_server: str, tmp_path: Path
) -> None:
    """Each has an address of its own, and asks as a clock does that starts."""
    with serving(command, time_server) as server, nginx(tmp_path, server.port) as port:
        assert synchronised(server, path)

        def page(number: int) -> list[int]:
            connection = http.client.HTTPConnection(
                "127.0.0.1", port, 30, (f"127.0.9.{number + 1}", 0)
            )
            asked = [ask(connection, f"{path}?request_id={n}").status for n in range(6)]
            connection.close()
            return asked

        with ThreadPoolExecutor(8) as pool:
            codes = list(pool.map(page, range(240)))
        assert [statuses for statuses in codes if statuses != [200] * 6] == []


def test_behind_a_proxy_one_address_cannot_ask_without_end(
    time_server: str, tmp_path: Path
) -> None:
    command = uvicorn("django_project.mounted:api")
    with serving(command, time_server) as server, nginx(tmp_path, server.port) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, 30, ("127.0.9.250", 0))
        codes = [ask(connection, "/seldom/?request_id=a7").status for _ in range(200)]
        connection.close()
        assert 429 in codes
        bystander = http.client.HTTPConnection("127.0.0.1", port, 30, ("127.0.9.251", 0))
        assert ask(bystander, "/seldom/?request_id=a7").status in (200, 503)
        bystander.close()


# --- Silence


class Peer:
    """A WebSocket's other end, as an ASGI server has it."""

    def __init__(self, application: Callable[..., Awaitable[None]]) -> None:
        self.sent: asyncio.Queue[Any] = asyncio.Queue()
        self._received: asyncio.Queue[Any] = asyncio.Queue()
        scope = {"type": "websocket", "path": "/clock/", "headers": [], "client": ["peer", 1]}
        self._received.put_nowait({"type": "websocket.connect"})
        self.served = asyncio.ensure_future(application(scope, self._received.get, self.sent.put))

    def say(self, text: str) -> None:
        self._received.put_nowait({"type": "websocket.receive", "text": text})

    async def received(self) -> Any:
        return await asyncio.wait_for(self.sent.get(), 10)


def test_a_socket_that_is_silent_is_closed_and_one_that_asks_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asgi, "FIRST_S", 0.3)
    relay = RelayApp(ManualClock(), idle_s=1.0)

    async def life() -> None:
        silent, talking, stops = (Peer(relay) for _ in range(3))
        for peer in (silent, talking, stops):
            assert (await peer.received())["type"] == "websocket.accept"
        stops.say(REQUEST)
        assert (await stops.received())["type"] == "websocket.send"
        for _ in range(12):
            talking.say(REQUEST)
            assert (await talking.received())["type"] == "websocket.send"
            await asyncio.sleep(0.1)
        assert await silent.received() == {
            "type": "websocket.close",
            "code": 1000,
            "reason": "silent for 0.3 s: connect again when you need the time",
        }
        assert (await stops.received())["reason"].startswith("silent for 1 s")
        await asyncio.gather(silent.served, stops.served)
        assert not talking.served.done()
        assert relay.relay.counted().closed == {"client": 0, "idle": 2, "rate_limited": 0}
        talking.served.cancel()
        with pytest.raises(asyncio.CancelledError):
            await talking.served

    asyncio.run(life())


def test_channels_closes_a_socket_that_is_silent(time_server: str) -> None:
    settings = {"PORTACODE_RELAY_IDLE_S": 1}
    with (
        serving(DJANGO, time_server, **settings) as server,
        server.socket("/ws/clock/") as connection,
    ):
        connection.send(REQUEST)
        assert json.loads(connection.recv())["event"] == "clock_sync_response"
        with pytest.raises(Exception, match="silent for 1 s"):
            connection.recv(timeout=120)


def test_where_all_else_wants_a_login_relay_and_metrics_do_not(time_server: str) -> None:
    required = "django.contrib.auth.middleware.LoginRequiredMiddleware"
    if django.VERSION < (5, 1):
        pytest.skip("Django has it from 5.1 on")
    settings = {
        "INSTALLED_APPS": [
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "portacode",
        ],
        "SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies",
        "MIDDLEWARE": [
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            required,
        ],
    }
    for command, path in (
        (gunicorn("django_project.wsgi"), "/clock/"),
        (uvicorn("django.core.asgi:get_asgi_application"), "/clock/"),
    ):
        with serving(
            [*command, *(["--factory"] if "uvicorn" in command else [])], time_server, **settings
        ) as server:
            assert synchronised(server, path)
            assert b"ntp_clock_synchronised" in server.get("/clock/metrics").body
            assert server.get("/page/").status == 302


def test_a_silent_socket_that_the_server_has_closed_already_is_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where its place was wanted for another: uvicorn refuses a second close."""
    monkeypatch.setattr(asgi, "FIRST_S", 0.05)
    app = RelayApp(ManualClock())
    closes: list[int] = []

    async def socket() -> None:
        incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        incoming.put_nowait({"type": "websocket.connect"})

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "websocket.close":
                closes.append(message["code"])
                raise RuntimeError("'websocket.close' after sending 'websocket.close'")

        scope = {"type": "websocket", "path": "/", "headers": []}
        await asyncio.wait_for(app(scope, incoming.get, send), 60)

    asyncio.run(socket())
    assert closes == [1000]
