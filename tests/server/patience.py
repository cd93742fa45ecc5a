"""Those whom abuse must not touch: their connections hold, their requests are answered once."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
from abuse import GONE, STRANGE, Abuse, page_of
from system import new_id
from websockets.asyncio.client import connect

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator
    from pathlib import Path

    from system import Server
    from websockets.asyncio.client import ClientConnection


@dataclass
class Verdict:
    """What must hold, and what did not."""

    asked: set[str] = field(default_factory=set)
    """Requests over connections that hold."""
    answers: Counter[str] = field(default_factory=Counter)
    """How often each of them was answered, even with an error."""
    outcomes: Counter[str] = field(default_factory=Counter)
    cut_off: set[str] = field(default_factory=set)
    """Requests over connections that were cut: their records tell."""
    troubles: list[str] = field(default_factory=list)
    """Of bystanders."""
    peaks_mb: dict[str, list[float]] = field(default_factory=dict)
    """Of each server's memory, over each tenth of the time."""

    def unanswered(self) -> int:
        return len(self.asked - set(self.answers))

    def answered_twice(self) -> int:
        return sum(1 for count in self.answers.values() if count > 1)


class Page:
    """Asks devices over a connection of its own, and counts its answers."""

    def __init__(
        self, name: str, verdict: Verdict, dice: random.Random, numbers: Iterator[int]
    ) -> None:
        self.name = name
        self._verdict = verdict
        self._dice = dice
        self._numbers = numbers
        self._waiting: set[str] = set()

    async def life(self, socket: connect, abuse: Abuse, device_ids: list[str]) -> None:
        """Asks until the abuse ends, then waits for what is still to come."""
        try:
            async with socket as peer:
                reader = asyncio.ensure_future(self._read(peer))
                while not abuse.over:
                    if len(self._waiting) < _UNDER_WAY:
                        request_id = new_id()
                        self._verdict.asked.add(request_id)
                        self._waiting.add(request_id)
                        await peer.send(self.request(request_id, self._dice.choice(device_ids)))
                    await asyncio.sleep(self._dice.expovariate(5))
                    if reader.done():
                        reader.result()
                late_s = time.monotonic() + _LATE_S
                while self._waiting and time.monotonic() < late_s:
                    await asyncio.sleep(0.1)
                # What is answered twice is answered soon again.
                await asyncio.sleep(1)
                reader.cancel()
        except GONE as error:
            self._verdict.troubles.append(f"{self.name}: {error!r}")

    def request(self, request_id: str, device_id: str) -> str:
        """Mostly a number to be counted, now and then something that is hard to pass on."""
        now = time.time_ns() / 1e6
        message = {
            "event": "command",
            "request_id": request_id,
            "device_id": device_id,
            "command": "echo",
            "trace": {"client_send": now, "max_error_ms": {"client_send": 0.5}},
        }
        kind = self._dice.randrange(10)
        payload = {
            0: "[" * 90 + "]" * 90,
            1: json.dumps("\U0001f600" * 10_000, ensure_ascii=False),
            2: str(2**70),
            3: '"\\ud800"',
            4: json.dumps("\u0416\u4e2d\u05d0" * 500, ensure_ascii=False),
        }.get(kind)
        if kind == 5:
            message["command"] = "no such command"
        if payload is None:
            message["command"] = message["command"] if kind == 5 else "count"
            payload = str(next(self._numbers))
        return json.dumps(message)[:-1] + f', "payload": {payload}}}'

    async def _read(self, peer: ClientConnection) -> None:
        async for text in peer:
            message = json.loads(text)
            request_id = message.get("request_id")
            if request_id is None or message["event"] not in ("response", "error"):
                continue
            error = message.get("error")
            self._waiting.discard(request_id)
            self._verdict.answers[request_id] += 1
            self._verdict.outcomes[error["code"] if error else "ok"] += 1


class Bystander:
    """A user with a page, a device and a relay's page, who does no harm and comes to none."""

    def __init__(self, server: Server, verdict: Verdict, abuse: Abuse) -> None:
        self._server = server
        self._verdict = verdict
        self._abuse = abuse
        self._asks = True
        self._reached_device: set[str] = set()
        self.done: Counter[str] = Counter()

    async def device(self, token: str) -> None:
        """Shares the strangers' address, and stays until its page has its last answer."""
        socket = connect(
            f"{self._server.ws_url}/ws/devices/",
            additional_headers={"Authorization": f"Bearer {token}"},
            compression=None,
            local_addr=(STRANGE, 0),
            ping_timeout=_PATIENCE_S,
        )
        with self._noticing("its device"):
            async with socket as peer:
                about = {"name": "bystander", "version": "1", "platform": "test", "commands": []}
                await peer.send(json.dumps({"event": "hello", "device": about}))
                beat_s = 0.0
                while self._asks:
                    if time.monotonic() - beat_s > 5:
                        beat_s = time.monotonic()
                        # Without it a device counts as gone, however much it answers.
                        await peer.send(json.dumps({"event": "clock", "clock": {}, "outbox": {}}))
                    try:
                        message = json.loads(await asyncio.wait_for(peer.recv(), 1))
                    except (TimeoutError, asyncio.TimeoutError):
                        continue
                    if message["event"] == "command":
                        self._reached_device.add(message["request_id"])
                        await peer.send(_answer(message))

    async def page(self, cookie: str, device_id: str) -> None:
        """Every request is answered, and well."""
        try:
            with self._noticing("its page"):
                async with page_of(self._server, cookie) as peer:
                    while not self._abuse.over:
                        await self._request(peer, device_id)
                        self.done["requests"] += 1
                        await asyncio.sleep(0.5)
        finally:
            self._asks = False

    async def _request(self, peer: ClientConnection, device_id: str) -> None:
        request_id = new_id()
        ask = {"event": "command", "request_id": request_id, "device_id": device_id}
        await peer.send(json.dumps({**ask, "command": "echo", "payload": 1}))
        answer = await _until(peer, "response", request_id)
        reached = "reached" if request_id in self._reached_device else "never reached"
        assert answer["status"] == "ok", f"it {reached} its device: {answer}"

    async def relayed(self, address: str) -> None:
        """A page without a name, that asks for the time."""
        socket = connect(f"{self._server.ws_url}/clock/", compression=None, local_addr=(address, 0))
        with self._noticing(f"its clock at {address}"):
            async with socket as peer:
                while not self._abuse.over:
                    request_id = new_id()
                    ask = {"event": "clock_sync_request", "request_id": request_id}
                    await peer.send(json.dumps(ask))
                    reply = await _until(peer, "clock_sync_response", request_id)
                    assert reply["server_time"] is not None, reply
                    self.done["times"] += 1
                    await asyncio.sleep(1)

    async def health(self, address: str) -> None:
        """A load balancer, also at the strangers' address."""
        transport = httpx.AsyncHTTPTransport(local_address=address)
        async with httpx.AsyncClient(transport=transport, timeout=_PATIENCE_S) as client:
            while not self._abuse.over:
                with self._noticing(f"its health at {address}"):
                    answer = await client.get(f"{self._server.url}/healthz")
                    assert answer.json()["ok"], answer.text
                    self.done["health"] += 1
                await asyncio.sleep(1)

    @contextlib.contextmanager
    def _noticing(self, what: str) -> Iterator[None]:
        try:
            yield
        except (*GONE, AssertionError, httpx.HTTPError) as error:
            left_s = self._abuse.ends_s - time.monotonic()
            self._verdict.troubles.append(
                f"{what}, {left_s:.1f} s before the end: {error!r}"[:1500]
            )


async def watch_memory(
    pids: dict[str, int], verdict: Verdict, abuse: Abuse, tenth_s: float
) -> None:
    """Keeps the largest of each tenth of the time."""
    for name in pids:
        verdict.peaks_mb[name] = []
    while not abuse.over:
        ends_s = time.monotonic() + tenth_s
        peaks = dict.fromkeys(pids, 0.0)
        while time.monotonic() < ends_s and not abuse.over:
            for name, pid in pids.items():
                peaks[name] = max(peaks[name], resident_mb(pid))
            await asyncio.sleep(0.25)
        for name, peak in peaks.items():
            verdict.peaks_mb[name].append(peak)


def resident_mb(pid: int) -> float:
    """What a process holds in memory."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        pages = int(file.read().split()[1])
    return pages * 4096 / 1e6


def counted(paths: list[Path]) -> Counter[int]:
    """How often devices ran each numbered request; a killed one may have left half a line."""
    lines = itertools.chain.from_iterable(path.read_text().split("\n")[:-1] for path in paths)
    return Counter(int(line) for line in lines if line.isdigit())


async def _until(peer: ClientConnection, event: str, request_id: str) -> Any:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        text = await asyncio.wait_for(peer.recv(), max(deadline - time.monotonic(), 0.01))
        message = json.loads(text)
        if message["event"] == event and message.get("request_id") == request_id:
            return message


def _answer(command: dict[str, Any]) -> str:
    answer = {
        "event": "response",
        "request_id": command["request_id"],
        "delivery_id": new_id(),
        "command": command["command"],
        "status": "ok",
        "payload": command.get("payload"),
        "trace": {},
    }
    return json.dumps(answer)


_UNDER_WAY = 8
"""Requests of a page at once: on a slow machine it asks less."""
_LATE_S = 60.0
"""For the last answers to come, time-outs among them."""
_PATIENCE_S = 30.0
"""For each answer to a bystander."""
