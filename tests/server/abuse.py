"""Abuse of all kinds at once: strangers, malformed frames, links that are cut.

Those whom it must not touch are in `patience.py`; tools/abuse_server.py sets both on two servers.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
import secrets
import socket
import struct
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from system import new_id
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from system import Server
    from websockets.asyncio.client import ClientConnection

STRANGE = "127.0.0.2"
"""Where strangers come from, and with them some who are none."""
GONE = (OSError, WebSocketException, TimeoutError, asyncio.TimeoutError, EOFError)
"""How the end of a connection shows."""


@dataclass
class Abuse:
    """What was done, and for how long it goes on."""

    ends_s: float
    acts: Counter[str] = field(default_factory=Counter)

    @property
    def over(self) -> bool:
        return time.monotonic() >= self.ends_s

    async def repeat(self, act: Callable[[], Awaitable[None]], pause_s: float) -> None:
        """Until the end, whatever the server makes of it."""
        while not self.over:
            with contextlib.suppress(*GONE):
                await asyncio.wait_for(act(), 10)
            await asyncio.sleep(pause_s)


class Stranger:
    """Somebody with neither a session nor a token."""

    def __init__(self, server: Server, dice: random.Random, abuse: Abuse) -> None:
        self._server = server
        self._dice = dice
        self._abuse = abuse
        # Connections that are held for nothing, the latest of them.
        self._held: deque[asyncio.StreamWriter] = deque()
        self._acts: list[Callable[[], Awaitable[None]]] = [
            *[self.nonsense_token, self.wrong_token, self.silent_relay, self.half_a_request] * 20,
            *[self.noise, self.huge_head, self.relay_flood, self.foreign_page, self.rest] * 4,
            # Each costs a server half a second, which is what passwords are hashed for.
            self.password,
        ]

    async def act(self) -> None:
        act = self._dice.choice(self._acts)
        self._abuse.acts[f"stranger: {act.__name__}"] += 1
        await act()

    def leave(self) -> None:
        while self._held:
            self._held.pop().transport.abort()

    async def nonsense_token(self) -> None:
        await self._handshake("/ws/devices/", token="x" * self._dice.randrange(60))

    async def wrong_token(self) -> None:
        await self._handshake("/ws/devices/", token=f"pcd_{secrets.token_urlsafe(32)}")

    async def foreign_page(self) -> None:
        await self._handshake("/ws/dashboard/", origin="https://elsewhere.example")

    async def rest(self) -> None:
        await self._send(b"GET /api/devices/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 300)

    async def noise(self) -> None:
        await self._send(self._dice.randbytes(self._dice.randrange(3000)), 0)

    async def huge_head(self) -> None:
        await self._send(b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000, 0)

    async def silent_relay(self) -> None:
        self._hold(await self._open(self._upgrade("/clock/")))

    async def half_a_request(self) -> None:
        self._hold(await self._open(b"GET / HTTP/1.1\r\nHost: 127"))

    async def relay_flood(self) -> None:
        frame = _masked(b'{"event": "clock_sync_request", "request_id": "flood"}')
        self._hold(await self._open(self._upgrade("/clock/") + frame * 300))

    async def password(self) -> None:
        body = b"username=demo&password=wrong"
        head = f"POST /login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
        kind = "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        await self._send((head + kind).encode() + body, 300)

    async def _handshake(self, path: str, **fields: str) -> None:
        await self._send(self._upgrade(path, **fields), 200)

    async def _send(self, data: bytes, answer: int) -> None:
        writer = await self._open(data, answer)
        writer.transport.abort()

    async def _open(self, data: bytes, answer: int = 0) -> asyncio.StreamWriter:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self._server.port, local_addr=(STRANGE, 0)
        )
        writer.write(data)
        await writer.drain()
        if answer:
            await reader.read(answer)
        return writer

    def _hold(self, writer: asyncio.StreamWriter) -> None:
        self._held.append(writer)
        if len(self._held) > 150:
            self._held.popleft().transport.abort()

    def _upgrade(self, path: str, token: str = "", origin: str = "") -> bytes:
        key = base64.b64encode(self._dice.randbytes(16)).decode()
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{self._server.port}"]
        lines += ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
        lines += [f"Sec-WebSocket-Key: {key}"]
        lines += [f"Authorization: Bearer {token}"] if token else []
        lines += [f"Origin: {origin}"] if origin else []
        return "\r\n".join([*lines, "", ""]).encode()


class Spoiler:
    """A known client that sends malformed messages: a page, or a device with its own token."""

    def __init__(
        self, open_: Callable[[], connect], device_id: str, dice: random.Random, abuse: Abuse
    ) -> None:
        self._open = open_
        self._device_id = device_id
        self._dice = dice
        self._abuse = abuse

    async def act(self) -> None:
        """One connection, for as long as the server bears it, or a little while."""
        self._abuse.acts["spoiler: connections"] += 1
        async with self._open() as peer:
            reader = asyncio.ensure_future(_read_all(peer))
            try:
                for _ in range(self._dice.randrange(1, 120)):
                    self._abuse.acts["spoiler: frames"] += 1
                    await peer.send(malformed(self._dice, self._device_id))
                    await asyncio.sleep(0.02)
                if self._dice.random() < 0.5:
                    peer.transport.abort()
            finally:
                reader.cancel()


def malformed(dice: random.Random, device_id: str) -> str | bytes:
    """A frame of which something is wrong, or may be."""
    depth = dice.choice([10, 100, 200, 700, 30_000])
    payloads = [
        "[" * depth + "]" * depth,
        '{"a":' * depth + "1" + "}" * depth,
        json.dumps("x" * dice.choice([1000, 60_000, 70_000, 400_000])),
        json.dumps("\U0001f600" * dice.choice([10, 10_000, 16_000]), ensure_ascii=False),
        json.dumps("\u0416\u4e2d\u05d0\u0000" * 50, ensure_ascii=dice.random() < 0.5),
        '"\\ud800"',
        str(2 ** dice.choice([63, 64, 70, 2000])),
        dice.choice(
            ["NaN", "1e999", "-Infinity", "1" * 5000, "nil", "{", '"'],
        ),
    ]
    events = ["command", "response", "hello", "progress", "trace_complete", "clock", ""]
    event = dice.choice([*events, "clock_sync_request", "clock_sync_request"])
    moments = ["0", str(dice.randrange(2**63)), str(2**64), "-1", 5, None]
    counter = dice.choice([f"{dice.randrange(2**64):016x}", "0" * 16, "0" * 16 + "~999999", "x", 7])
    stamped = {
        name: {"device_send": dice.choice(values), "client_send": dice.choice(values)}
        for name, values in (
            ("counter", [counter, "device:1/" + "0" * 16]),
            ("counter_ns", moments),
        )
    }
    message = {
        "event": event,
        "request_id": dice.choice([new_id(), "", "x", 5, None, "0" * 32]),
        "delivery_id": dice.choice([new_id(), "0" * 32, {}]),
        "device_id": dice.choice([device_id, "", "x" * 5000, 7]),
        "command": dice.choice(["echo", "", "x" * 5000, [], "\u0416"]),
        "status": dice.choice(["ok", "error", 5]),
        "trace": dice.choice([{}, [], {"client_send": "now"}, {"client_send": -1}, stamped]),
        "counter": counter,
        "sent": dice.choice(moments),
        "last": dice.choice([None, 5, {"request_id": "x", "received": dice.choice(moments)}]),
        "device": dice.choice([{}, [], {"commands": ["x"] * 500}]),
        "traceparent": dice.choice(["", "x" * 2000, 5]),
    }
    text = json.dumps(message)[:-1] + f', "payload": {dice.choice(payloads)}}}'
    at = dice.randrange(len(text))
    made: list[str | bytes] = [text] * 3
    made += [text[:at], text[:at] + "\x00" + text[at:], b"\xff" * 300]
    return dice.choice(made)


class Cutter:
    """A line to a server that breaks at random points, either way it may break.

    Each client that comes through it comes from the strangers' address.
    """

    def __init__(self, server: Server, dice: random.Random, abuse: Abuse, bytes_: int) -> None:
        self._server = server
        self._dice = dice
        self._abuse = abuse
        self._bytes = bytes_
        self.url = self.ws_url = ""
        self._listener: asyncio.Server | None = None
        self._lines: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._listener = await asyncio.start_server(self._join, "127.0.0.1", 0)
        port = self._listener.sockets[0].getsockname()[1]
        self.url, self.ws_url = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}"

    async def stop(self) -> None:
        if self._listener is not None:
            self._listener.close()
        while self._lines:
            for line in self._lines:
                line.transport.abort()
            await asyncio.sleep(0.02)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            to_reader, to_writer = await asyncio.open_connection(
                "127.0.0.1", self._server.port, local_addr=(STRANGE, 0)
            )
        except OSError:
            writer.transport.abort()
            return
        # At the end all lines hold, so that what is kept can be handed over.
        left = [float("inf") if self._abuse.over else self._dice.expovariate(1 / self._bytes)]
        self._lines.add(writer)
        one = asyncio.ensure_future(self._pump(reader, to_writer, left))
        other = asyncio.ensure_future(self._pump(to_reader, writer, left))
        await asyncio.wait((one, other), return_when=asyncio.FIRST_COMPLETED)
        one.cancel()
        other.cancel()
        for end in (writer, to_writer):
            if self._dice.random() < 0.5:
                raw = end.get_extra_info("socket")
                with contextlib.suppress(OSError):
                    linger = struct.pack("ii", 1, 0)
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            end.transport.abort()
        self._lines.discard(writer)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: list[float]
    ) -> None:
        with contextlib.suppress(*GONE):
            while data := await reader.read(4096):
                part = data if len(data) <= left[0] else data[: int(left[0])]
                left[0] -= len(data)
                writer.write(part)
                await writer.drain()
                if left[0] <= 0 and not self._abuse.over:
                    self._abuse.acts["links cut"] += 1
                    return


async def _read_all(peer: ClientConnection) -> None:
    with contextlib.suppress(*GONE):
        async for _ in peer:
            pass


def _masked(payload: bytes) -> bytes:
    """A text frame as clients send it, masked by zeros."""
    return bytes([0x81, 0x80 | len(payload), 0, 0, 0, 0]) + payload


def page_of(server: Server | Cutter, cookie: str, **more: Any) -> connect:
    """A logged-in page's socket."""
    return connect(
        f"{server.ws_url}/ws/dashboard/",
        additional_headers={"Cookie": cookie},
        origin=server.url,  # type: ignore[arg-type]
        compression=None,
        max_queue=None,
        max_size=2**22,
        # A server that has much to do may take its time to read a ping behind other frames.
        ping_timeout=60,
        **more,
    )
