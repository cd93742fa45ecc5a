"""Many traced requests at once, over several sockets and servers, and what became of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from system import new_id
from websockets.asyncio.client import connect

from portacode.trace import Stamp, Trace
from portacode.utils.ntp_clock import NTPClock

if TYPE_CHECKING:
    from system import Server, Session
    from websockets.asyncio.client import ClientConnection


@dataclass
class Tally:
    """What was seen."""

    asked: int = 0
    seconds: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    """How often each request was answered."""
    failures: Counter[str] = field(default_factory=Counter)
    incomplete: int = 0
    inconsistent: list[str] = field(default_factory=list)
    raw_inconsistent: int = 0

    def lost(self) -> int:
        return self.asked - len(self.answers)

    def twice(self) -> int:
        return sum(1 for count in self.answers.values() if count > 1)

    def latency_ms(self, share: float) -> float:
        ordered = sorted(self.latencies_ms)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


async def run(
    servers: list[Server],
    session: Session,
    device_ids: list[str],
    clock: NTPClock,
    requests: int,
    under_way: int,
) -> Tally:
    """Asks this many times, this many at once; socket `i` asks all devices in turn."""
    tally = Tally()
    numbers = iter(range(requests))
    began = time.monotonic()
    async with contextlib.AsyncExitStack() as stack:
        sockets = [
            await stack.enter_async_context(
                connect(
                    f"{server.ws_url}/ws/dashboard/",
                    additional_headers={"Cookie": session.cookie},
                    origin=server.url,  # type: ignore[arg-type]
                    compression=None,
                    max_queue=None,
                )
            )
            for server in servers
        ]
        browsers = [_Browser(socket, clock, tally) for socket in sockets]
        readers = [asyncio.ensure_future(browser.read()) for browser in browsers]

        async def worker(index: int) -> None:
            for number in numbers:
                device_id = device_ids[number % len(device_ids)]
                await browsers[index % len(browsers)].ask(device_id, number)

        await asyncio.gather(*(worker(index) for index in range(under_way)))
        tally.seconds = time.monotonic() - began
        # Answers that come twice come soon; and the servers have traces to store.
        await asyncio.sleep(1)
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
    return tally


class _Browser:
    """One socket, with as many requests under way as workers want."""

    def __init__(self, socket: ClientConnection, clock: NTPClock, tally: Tally) -> None:
        self._socket = socket
        self._clock = clock
        self._tally = tally
        self._waiting: dict[str, asyncio.Future[None]] = {}

    async def ask(self, device_id: str, number: int) -> None:
        request_id = new_id()
        answered = self._waiting[request_id] = asyncio.get_running_loop().create_future()
        message = {"event": "command", "request_id": request_id, "device_id": device_id}
        trace = Trace()
        trace.stamp("client_send", self._clock, "loader")
        began = time.perf_counter()
        self._tally.asked += 1
        trace_message = trace.to_message()
        await self._socket.send(
            json.dumps({**message, "command": "count", "payload": number, "trace": trace_message})
        )
        # Longer than the servers' own limit: one that is not answered at all is lost.
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(answered, 60)
        self._tally.latencies_ms.append((time.perf_counter() - began) * 1000)

    async def read(self) -> None:
        async for text in self._socket:
            stamp = Stamp.take(self._clock)
            message = json.loads(text)
            if message["event"] == "response":
                await self._answered(message, stamp)

    async def _answered(self, message: dict[str, Any], stamp: Stamp) -> None:
        request_id = message["request_id"]
        self._tally.answers[request_id] += 1
        trace = Trace.from_message(message["trace"])
        trace.put("client_receive", stamp, "loader")
        if message["status"] != "ok":
            self._tally.failures[message["error"]["code"]] += 1
        elif trace.missing():
            self._tally.incomplete += 1
        self._tally.inconsistent += [f"{request_id}: {problem}" for problem in trace.problems()]
        self._tally.raw_inconsistent += bool(trace.raw_problems())
        completed = {
            "event": "trace_complete",
            "request_id": request_id,
            "trace": trace.to_message(),
        }
        await self._socket.send(json.dumps(completed))
        waiting = self._waiting.pop(request_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
