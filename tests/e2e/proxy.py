"""A TCP proxy that behaves like a network: delay, heavy-tailed jitter, asymmetry; seeded."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from typing import NamedTuple


class Path(NamedTuple):
    """One direction: what each segment takes at least, and how its delay scatters, in ms."""

    delay_ms: float
    jitter_ms: float = 0.0
    # The smaller, the heavier the tail; 1.5 has no variance.
    tail: float = 1.5

    def draw_s(self, dice: random.Random) -> float:
        excess = self.jitter_ms * (dice.paretovariate(self.tail) - 1)
        # Even heavy tails end: TCP would have sent it again.
        return (self.delay_ms + min(excess, 40 * self.jitter_ms)) / 1000


class Proxy:
    """Listens on ports of its own and passes on to another, until closed.

    Browsers open one WebSocket at a time to each port: many at once need many.
    """

    def __init__(
        self, port: int, *, there: Path, back: Path, seed: int, listening: int = 1
    ) -> None:
        print(f"proxy: there {there}, back {back}, seed {seed}")
        self._target = port
        self._there = there
        self._back = back
        self._dice = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready, listening), daemon=True)
        self._ports: list[int] = []
        self._thread.start()
        assert ready.wait(60), "the proxy does not start"

    def url(self, path: str, *, scheme: str) -> str:
        return self.urls(path, scheme=scheme)[0]

    def urls(self, path: str, *, scheme: str) -> list[str]:
        return [f"{scheme}://127.0.0.1:{port}{path}" for port in self._ports]

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=60)

    def _run(self, ready: threading.Event, listening: int) -> None:
        async def listen() -> None:
            for _ in range(listening):
                server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
                self._ports.append(server.sockets[0].getsockname()[1])
            ready.set()

        self._loop.run_until_complete(listen())
        self._loop.run_forever()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await asyncio.gather(
                self._pass(reader, far_writer, self._there),
                self._pass(far_reader, writer, self._back),
            )
        for end in (writer, far_writer):
            end.close()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: Path
    ) -> None:
        """In order, as TCP delivers: a slow segment holds up the ones behind it."""
        on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while True:
                due, data = await on_the_way.get()
                await asyncio.sleep(max(0.0, due - self._loop.time()))
                if not data:
                    writer.write_eof()
                    return
                writer.write(data)
                await writer.drain()

        delivering = asyncio.create_task(deliver())
        while True:
            data = await reader.read(65536)
            on_the_way.put_nowait((self._loop.time() + path.draw_s(self._dice), data))
            if not data:
                break
        await delivering
