"""Web servers as people run them, with the clock's relay in them."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ports import free_port
from support import eventually
from websockets.sync.client import ClientConnection, connect

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class WebServer(NamedTuple):
    port: int

    def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            return ask(connection, path, method, **headers)
        finally:
            connection.close()

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def socket(self, path: str, **options: Any) -> ClientConnection:
        options.setdefault("proxy", None)
        connected: ClientConnection = connect(f"ws://127.0.0.1:{self.port}{path}", **options)
        return connected


def ask(
    connection: http.client.HTTPConnection, path: str, method: str = "GET", **headers: str
) -> Answer:
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    by_name = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, by_name, response.read())


def project_environment(ntp_server: str, **settings: Any) -> dict[str, str]:
    """The environment of a process of the Django project."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    return {
        **kept,
        "PORTACODE_NTP_SERVER": ntp_server,
        "PYTHONPATH": str(HERE),
        "DJANGO_SETTINGS_MODULE": "django_project.settings",
        "PROJECT_SETTINGS": json.dumps(settings),
    }


def uvicorn(application: str) -> list[str]:
    return ["uvicorn", application, "--port", "{port}", "--log-level", "warning"]


def gunicorn(application: str) -> list[str]:
    return ["gunicorn", application, "--bind", "127.0.0.1:{port}", "--keep-alive", "5"]


RUNSERVER = ["django", "runserver", "--noreload", "{port}"]


@contextmanager
def serving(command: list[str], ntp_server: str, **settings: Any) -> Iterator[WebServer]:
    """Runs a server until the block ends."""
    port = free_port()
    arguments = [part.replace("{port}", str(port)) for part in command]
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        env=project_environment(ntp_server, **settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        up = eventually(lambda: _listens(port) or process.poll() is not None)
        assert up, "the server does not listen"
        assert process.poll() is None, process.communicate()[0]
        yield WebServer(port)
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


def synchronised(server: WebServer, path: str) -> bool:
    """Waits until the relay's clock has the time."""
    return eventually(lambda: server.get(f"{path}?request_id=first").status == 200)


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def truth_ms() -> float:
    """This machine's wall clock, which the time server tells."""
    return time.time_ns() / 1e6
