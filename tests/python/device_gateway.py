"""A gateway for the device's tests: it speaks docs/TRACE.md, and misbehaves on command."""

from __future__ import annotations

import http
import json
import secrets
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from support import PATIENCE_S, ROOT, environment, eventually
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

if TYPE_CHECKING:
    from pathlib import Path

    from websockets.http11 import Request, Response

TOKEN = "token-of-the-tests"


class Gateway:
    """Acknowledges and keeps what comes, by default."""

    def __init__(self) -> None:
        self.hellos: list[dict[str, Any]] = []
        self.clocks: list[dict[str, Any]] = []
        self.progress: list[dict[str, Any]] = []
        # All but those by which it compares its counter.
        self.frames: list[str] = []
        self.exchanges: list[list[dict[str, Any]]] = []
        """Those, by connection."""
        # Servers of before do not answer them on this socket.
        self.compares = True
        # Responses by request_id, without those that came again.
        self.responses: dict[str, dict[str, Any]] = {}
        self.deliveries: list[str] = []
        self.handshakes: list[float] = []
        # What every device receives at once, as servers do that cannot refuse a handshake.
        self.closes: tuple[int, str] | None = None
        self.ends: list[int | None] = []
        """With what code each connection was closed by the device, if it was."""
        self.acks = True
        # After this many responses the connection is cut without an acknowledgement.
        self.cut_after: int | None = None
        self._connection: ServerConnection | None = None
        self._server: Server | None = None
        self._port = 0

    def start(self) -> None:
        self._server = serve(
            self._serve, "127.0.0.1", self._port, process_request=self._admit, compression=None
        )
        self._port = self._server.socket.getsockname()[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """As a server that is killed: no goodbye."""
        if self._server is not None:
            self._server.shutdown()
            self.cut()
            self._server = None

    def cut(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.socket.close()

    def close(self, code: int, reason: str) -> None:
        assert self._connection is not None
        self._connection.close(code, reason)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._port}"

    def send(self, frame: str | bytes | dict[str, Any]) -> None:
        assert eventually(lambda: self._connection is not None), "no device"
        assert self._connection is not None
        self._connection.send(json.dumps(frame) if isinstance(frame, dict) else frame)

    def command(self, name: str, payload: object = None, **more: Any) -> str:
        request_id = secrets.token_hex(16)
        message = {"event": "command", "request_id": request_id, "device_id": "12"}
        self.send({**message, "command": name, "payload": payload, "trace": {}, **more})
        return request_id

    def response(self, request_id: str, within_s: float = PATIENCE_S) -> dict[str, Any]:
        arrived = eventually(lambda: request_id in self.responses, within_s)
        assert arrived, (request_id, list(self.responses))
        return self.responses[request_id]

    def ask(self, name: str, payload: object = None, **more: Any) -> dict[str, Any]:
        return self.response(self.command(name, payload, **more))

    def connected(self, times: int, within_s: float = PATIENCE_S) -> bool:
        return eventually(lambda: len(self.hellos) >= times, within_s)

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        self.handshakes.append(time.monotonic())
        if request.path != "/ws/devices/":
            return connection.respond(http.HTTPStatus.NOT_FOUND, "no gateway here\n")
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return connection.respond(http.HTTPStatus.UNAUTHORIZED, "unknown token\n")
        return None

    def _serve(self, connection: ServerConnection) -> None:
        try:
            if self.closes is not None:
                connection.close(*self.closes)
            for frame in connection:
                assert isinstance(frame, str)
                self._take(connection, frame, json.loads(frame))
        except (ConnectionClosed, OSError):
            pass
        finally:
            close = connection.protocol.close_rcvd
            self.ends.append(close.code if close is not None else None)

    def _take(self, connection: ServerConnection, frame: str, message: dict[str, Any]) -> None:
        event = message["event"]
        if event == "clock_sync_request":
            self.exchanges[-1].append(message)
            if self.compares:
                reply = {"event": "clock_sync_response", "request_id": message["request_id"]}
                connection.send(json.dumps(reply))
            return
        self.frames.append(frame)
        if event == "hello":
            self._connection = connection
            self.exchanges.append([])
            self.hellos.append(message)
        elif event == "response":
            self.deliveries.append(message["delivery_id"])
            if self.cut_after is not None and len(self.deliveries) > self.cut_after:
                self.cut_after = None
                self.cut()
                return
            self.responses.setdefault(message["request_id"], message)
            if self.acks:
                self.ack(connection, message["delivery_id"])
        else:
            {"progress": self.progress, "clock": self.clocks}[event].append(message)

    @staticmethod
    def ack(connection: ServerConnection, delivery_id: str) -> None:
        connection.send(json.dumps({"event": "ack", "delivery_id": delivery_id}))


class Ended(NamedTuple):
    code: int
    log: str


class Device:
    """The command `portacode connect` as a process."""

    def __init__(
        self, gateway: Gateway, ntp_server: str, folder: Path, *arguments: str, **variables: str
    ) -> None:
        self._log = (folder / "device.log").open("a+")
        command = ["-m", "portacode.connection.command", "connect", "--server", gateway.url]
        self.process = subprocess.Popen(
            [sys.executable, *command, *arguments],
            env={
                **environment(ntp_server),
                "PORTACODE_TOKEN": TOKEN,
                "PYTHONPATH": str(ROOT / "tests/python/programs"),
                **variables,
            },
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )

    @property
    def log(self) -> str:
        self._log.seek(0)
        return self._log.read()

    def says(self, text: str, within_s: float = PATIENCE_S) -> bool:
        return eventually(lambda: text in self.log, within_s)

    def ended(self, within_s: float = PATIENCE_S) -> Ended:
        code = self.process.wait(timeout=within_s)
        return Ended(code, self.log)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=PATIENCE_S)
        self._log.close()
