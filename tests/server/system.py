"""The reference server as a process, browsers and devices that talk to it, and patience."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from ports import free_port
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Self

ROOT = Path(__file__).resolve().parents[2]
SERVER = ROOT / "server/portacode_django"
PROGRAMS = Path(__file__).resolve().parent / "programs"
#: For whatever is to happen: a busy machine may be slow to it.
PATIENCE_S = 120.0


def eventually(happened: Callable[[], Any], within_s: float = PATIENCE_S) -> Any:
    """What it gives, once that is true."""
    deadline = time.monotonic() + within_s
    while not (got := happened()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return got


def fetch(url: str, **more: Any) -> httpx.Response:
    return httpx.get(url, timeout=PATIENCE_S, **more)


def new_id() -> str:
    return secrets.token_hex(16)


class Server:
    """`manage.py serve`, with its data in a folder of its own."""

    def __init__(self, folder: Path, time_server: str, **variables: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.ws_url = f"ws://127.0.0.1:{self.port}"
        self.log_path = folder / f"server-{self.port}.log"
        self._environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("PYTEST")},
            "DATA_DIR": str(folder),
            "PORTACODE_NTP_SERVER": time_server,
            "PYTHONUNBUFFERED": "1",
            **variables,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def manage(self, *arguments: str, code: int = 0) -> str:
        """Runs one of manage.py's commands; gives what it prints."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=SERVER,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == code, done.stderr
        if code == 0:
            return done.stdout
        # On a busy machine it lasts long enough for its clock to complain of its server.
        lines = done.stderr.splitlines()
        return "\n".join(line for line in lines if "portacode.utils.ntp_clock" not in line)

    @contextmanager
    def serving(self, *arguments: str) -> Iterator[str]:
        """Runs `serve` with these arguments; gives the first line that it prints."""
        with subprocess.Popen(
            [sys.executable, "manage.py", "serve", *arguments],
            cwd=SERVER,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert process.stdout is not None
                yield process.stdout.readline()
            finally:
                process.terminate()

    def prepare(self, devices: int = 2) -> dict[str, Any]:
        """The database, static files, and what `demo_setup` makes."""
        self.manage("migrate", "--verbosity", "0")
        self.manage("collectstatic", "--noinput", "--verbosity", "0")
        return self.demo_setup("--devices", str(devices))

    def demo_setup(self, *arguments: str) -> dict[str, Any]:
        made: dict[str, Any] = json.loads(self.manage("demo_setup", *arguments))
        return made

    def add_user(self, name: str) -> str:
        """Another user; gives the password."""
        password = secrets.token_urlsafe(12)
        code = (
            "from django.contrib.auth import get_user_model as m;"
            f"m().objects.create_user({name!r}, password={password!r})"
        )
        self.manage("shell", "--verbosity", "0", "-c", code)
        return password

    def start(self, *arguments: str, wait_synced: bool = True) -> None:
        command = [sys.executable, "manage.py", "serve", "--port", str(self.port), *arguments]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=SERVER,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        eventually(self.is_synced if wait_synced else self.is_up)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(timeout=PATIENCE_S)
            self._process = None

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=PATIENCE_S)
        self._process = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def health(self) -> dict[str, Any]:
        answer: dict[str, Any] = fetch(f"{self.url}/healthz").json()
        return answer

    def is_synced(self) -> bool:
        return self.is_up() and bool(self.health()["clock_synced"])

    def is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log_path.read_text()
        try:
            return bool(self.health()["ok"])
        except httpx.TransportError:
            return False

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def has_logged(self, text: str) -> bool:
        return bool(eventually(lambda: text in self.log))


class Session:
    """A user who is logged in, over HTTP."""

    def __init__(self, server: Server, user: str, password: str) -> None:
        self.server = server
        self.client = httpx.Client(base_url=server.url, timeout=PATIENCE_S)
        self.client.get("/login/")
        answer = self.client.post(
            "/login/",
            data={"username": user, "password": password, "csrfmiddlewaretoken": self._csrf()},
        )
        assert answer.status_code == 302, answer.text

    def _csrf(self) -> str:
        return self.client.cookies["csrftoken"]

    def get(self, path: str, **query: Any) -> httpx.Response:
        return self.client.get(path, params=query)

    def post(self, path: str, body: Any) -> httpx.Response:
        return self.client.post(path, json=body, headers={"X-CSRFToken": self._csrf()})

    @property
    def cookie(self) -> str:
        return f"sessionid={self.client.cookies['sessionid']}"

    def browser(self, path: str = "/ws/dashboard/", server: Server | None = None) -> Socket:
        """A socket as a page of this user opens it."""
        server = server or self.server
        return Socket(server, path, {"Cookie": self.cookie}, origin=server.url)

    def close(self) -> None:
        self.client.close()


class Socket:
    """A WebSocket of JSON messages. Those that nobody asked for are kept."""

    def __init__(
        self,
        server: Server,
        path: str,
        headers: dict[str, str] | None = None,
        origin: str | None = None,
        address: str = "127.0.0.1",
    ) -> None:
        self._open = ExitStack()
        there = ("127.0.0.1", server.port)
        connecting = connect(
            server.ws_url + path,
            # From one of the many addresses that a machine has for itself.
            sock=socket.create_connection(there, timeout=PATIENCE_S, source_address=(address, 0)),
            additional_headers=headers or {},
            origin=origin,  # type: ignore[arg-type]
            compression=None,
            max_size=2**22,
            ping_timeout=PATIENCE_S,
        )
        self.connection: ClientConnection = self._open.enter_context(connecting)
        self.kept: list[dict[str, Any]] = []

    def send(self, message: Any) -> None:
        self.connection.send(message if isinstance(message, (str, bytes)) else json.dumps(message))

    def receive(self, event: str, within_s: float = PATIENCE_S, **fields: Any) -> dict[str, Any]:
        """The next message of this kind."""

        def fits(message: dict[str, Any]) -> bool:
            return message["event"] == event and fields.items() <= message.items()

        for known in self.kept:
            if fits(known):
                self.kept.remove(known)
                return known
        deadline = time.monotonic() + within_s
        while True:
            text = self.connection.recv(timeout=max(deadline - time.monotonic(), 0.01))
            message: dict[str, Any] = json.loads(text)
            if fits(message):
                return message
            self.kept.append(message)

    def receive_record(self, request_id: str) -> dict[str, Any]:
        """The record of this request, as dashboards receive it.

        They receive all of a user's: one that was left by an earlier test may come late.
        """
        while True:
            record: dict[str, Any] = self.receive("trace")["trace_record"]
            if record["request_id"] == request_id:
                return record

    def receives_none(self, event: str, within_s: float = 0.5) -> bool:
        try:
            self.receive(event, within_s)
        except TimeoutError:
            return True
        return False

    def close_code(self, within_s: float = PATIENCE_S) -> tuple[int, str]:
        """How the server ends the connection."""
        deadline = time.monotonic() + within_s
        try:
            while True:
                self.connection.recv(timeout=max(deadline - time.monotonic(), 0.01))
        except ConnectionClosed as closed:
            how = closed.rcvd
        assert how is not None, "the connection broke"
        return how.code, how.reason

    def ask(self, device_id: str, command: str = "echo", **more: Any) -> str:
        """Sends a request; gives its id."""
        request_id = more.pop("request_id", None) or new_id()
        now = time.time_ns() / 1e6
        trace = {
            "client_send": now,
            "max_error_ms": {"client_send": 0.5},
            "epoch": {"client_send": 1},
            "raw": {"client_send": now},
            "entities": {"client_send": "browser"},
        }
        message = {"event": "command", "request_id": request_id, "device_id": device_id}
        self.send({**message, "command": command, "trace": trace, **more})
        return request_id

    def close(self) -> None:
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class RawDevice(Socket):
    """A device without a program: the test says what it sends."""

    def __init__(
        self, server: Server, token: str, hello: bool = True, address: str = "127.0.0.1"
    ) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        super().__init__(server, "/ws/devices/", headers, address=address)
        if hello:
            about = {"name": "test", "version": "1", "platform": "test", "commands": ["echo"]}
            self.send({"event": "hello", "device": about, "clock": {"is_synced": False}})

    def answer(self, command: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Answers a command as a device does, and gives the message."""
        trace = dict(command["trace"])
        for name in ("raw", "entities", "unsynced"):
            trace[name] = dict(trace.get(name, {}))
        for key in _DEVICE_KEYS:
            trace["raw"][key] = time.time_ns() / 1e6
            trace["entities"][key] = f"device:{command['device_id']}"
            trace["unsynced"][key] = "no clock in this test"
        message = {
            "event": "response",
            "request_id": command["request_id"],
            "delivery_id": new_id(),
            "command": command["command"],
            "status": "ok",
            "payload": command.get("payload"),
            "trace": trace,
            **more,
        }
        self.send(message)
        return message


class Obedient(threading.Thread):
    """Answers every command of a raw device until it is closed."""

    def __init__(self, device: RawDevice) -> None:
        super().__init__(daemon=True)
        self.device = device
        self.obeyed: list[dict[str, Any]] = []
        self.start()

    def run(self) -> None:
        try:
            for command in self._commands():
                self.obeyed.append(command)
                self.device.answer(command)
        except (ConnectionClosed, TimeoutError):
            return

    def _commands(self) -> Iterator[dict[str, Any]]:
        while True:
            yield self.device.receive("command", within_s=3600)


_DEVICE_KEYS = (
    "device_receive",
    "handler_receive",
    "handler_dispatch",
    "handler_complete",
    "device_send",
)


class Device:
    """`portacode connect`, as its own process with a clock of its own."""

    def __init__(
        self,
        server: Server,
        token: str,
        time_server: str,
        log_path: Path,
        *arguments: str,
        url: str | None = None,
        **more: str,
    ) -> None:
        program = "from portacode.connection.command import main; raise SystemExit(main())"
        self.log_path = log_path
        self._command = [sys.executable, "-c", program, "connect"]
        self._command += ["--server", url or server.url]
        self._command += ["--handlers", "counting:Count", *arguments]
        self.count_path = log_path.with_suffix(".count")
        self._environment = {
            **os.environ,
            "PORTACODE_NTP_SERVER": time_server,
            "PORTACODE_TOKEN": token,
            "PYTHONPATH": str(PROGRAMS),
            "COUNT_FILE": str(self.count_path),
            **more,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """The end of it, without a word."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=PATIENCE_S)

    def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def counted(self) -> list[int]:
        """The payloads of all its `count` commands, as they were run."""
        return [int(line) for line in self.count_path.read_text().split()]
