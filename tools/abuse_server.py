#!/usr/bin/env python3
"""Abuses two server processes on Redis and PostgreSQL, and looks at those who must not notice.

Starts all of it by itself: a time source, Redis, PostgreSQL, two servers, devices. Strangers guess
tokens and hold connections; users and devices send what is no message; devices are killed, and
links are cut at random points. Exit codes: 0 every accepted request was answered once or its record
says why not, none was run twice, no bystander lost a connection, memory stayed bounded; 1 not so;
2 something is missing on this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
# Before the shared clock is imported: it has no part in this.
os.environ["PORTACODE_NTP_SERVER"] = "127.0.0.1:1"
sys.path[:0] = [str(ROOT / "tests/server"), str(ROOT / "tests/python")]

from abuse import GONE, STRANGE, Abuse, Cutter, Spoiler, Stranger, page_of
from backends import MissingError, backends
from patience import Bystander, Page, Verdict, counted, watch_memory
from support import FaultyServer
from system import Device, Server, Session, eventually, new_id
from websockets.asyncio.client import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# Seconds for a device to answer, beside all the abuse and on a busy machine.
_TIMEOUT_S = 20
# By how much memory may still grow in the second half of the time, and what it may never reach.
_GROWTH_MB, _MOST_MB = 40.0, 400.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs it and prints what was seen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600, help="how long (600)")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args(arguments)
    print(f"seed {options.seed}")
    try:
        with ExitStack() as stack:
            world = _World(stack, random.Random(options.seed))
            verdict = asyncio.run(world.run(options.seconds))
            return world.judge(verdict)
    except MissingError as missing:
        print(missing, file=sys.stderr)
        return 2


class _World:
    """Two servers and who there is."""

    def __init__(self, stack: ExitStack, dice: random.Random) -> None:
        self._stack = stack
        self._dice = dice
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="abuse-")))
        self._source = FaultyServer()
        stack.callback(self._source.stop)
        variables = {
            **stack.enter_context(backends()).variables,
            "CONNECTIONS_MAX": "300",
            "STRANGERS_MAX": "200",
            "ADDRESS_CONNECTIONS_MAX": "100",
            "HANDSHAKE_S": "3",
            "SLOW_READER_S": "3",
            "REQUEST_TIMEOUT_S": str(_TIMEOUT_S),
            "TRACES_MAX_PER_USER": "1000000",
            "LOG_LEVEL": "ERROR",
        }
        self.servers = [Server(self._folder, self._source.address, **variables) for _ in range(2)]
        made = self.servers[0].prepare(devices=5)
        password = self.servers[0].add_user("bystander")
        for server in self.servers:
            server.start()
            stack.callback(server.stop)
        self.user = Session(self.servers[0], made["user"], made["password"])
        stack.callback(self.user.close)
        self.bystander = Session(self.servers[1], "bystander", password)
        stack.callback(self.bystander.close)
        token = self._folder / "bystander-token"
        shown = self.servers[0].manage(
            "device", "add", "quiet", "--owner", "bystander", "--token-file", str(token)
        )
        self.quiet = shown.split()[0], token.read_text().strip()
        # Two programs that get killed, one that nobody owns, two that send malformed frames.
        self.devices: list[dict[str, Any]] = made["devices"]
        self.programs: list[Device] = []
        self.abuse = Abuse(0)
        self.verdict = Verdict()
        self._numbers = itertools.count()

    async def run(self, seconds: float) -> Verdict:
        """All of them at once."""
        abuse, verdict = self.abuse, self.verdict
        cutters = [Cutter(self.servers[n % 2], self._new_dice(), abuse, 30_000) for n in range(4)]
        abuse.ends_s = time.monotonic() + 3600
        for cutter in cutters:
            await cutter.start()
        for cutter, device in zip(cutters, self.devices[:2]):
            self._start_program(cutter, device)
        await asyncio.to_thread(self._wait_online)
        began_s = time.monotonic()
        abuse.ends_s = began_s + seconds
        cookie, ids = self.user.cookie, [device["id"] for device in self.devices[:3]]
        strangers = [Stranger(server, self._new_dice(), abuse) for server in self.servers * 2]
        bystander = Bystander(self.servers[1], verdict, abuse)
        work = [
            *(abuse.repeat(stranger.act, 0.02) for stranger in strangers),
            *(abuse.repeat(spoiler.act, 0.1) for spoiler in self._spoilers(cookie)),
            *(self._killer(program) for program in self.programs),
            *(
                Page(f"page {n}", verdict, self._new_dice(), self._numbers).life(
                    page_of(server, cookie), abuse, ids
                )
                for n, server in enumerate(self.servers)
            ),
            *(abuse.repeat(self._cut_page(cutter, ids), 0.1) for cutter in cutters[2:]),
            bystander.device(self.quiet[1]),
            self._when_online(bystander),
            *(bystander.relayed(address) for address in ("127.0.0.1", "127.0.0.3")),
            *(bystander.health(address) for address in ("127.0.0.1", STRANGE)),
            watch_memory(self._pids(), verdict, abuse, seconds / 10),
        ]
        await asyncio.gather(*work)
        for stranger in strangers:
            stranger.leave()
        for cutter in cutters:
            await cutter.stop()
        print(f"{seconds:g} s of abuse of 2 server processes with Redis and PostgreSQL")
        for act, count in sorted(abuse.acts.items()):
            print(f"  {act}: {count}")
        print(f"  bystander: {dict(bystander.done)}")
        if not all(bystander.done[what] for what in ("requests", "times", "health")):
            verdict.troubles.append("a bystander was never served")
        return verdict

    def judge(self, verdict: Verdict) -> int:
        """Prints what was seen; 0 where all is well."""
        for program in self.programs:
            program.stop()
        runs = counted([program.count_path for program in self.programs])
        twice = sum(1 for count in runs.values() if count > 1)
        pending = self._pending(verdict)
        print(f"  requests: {len(verdict.asked)}, unanswered {verdict.unanswered()}, ", end="")
        print(f"answered twice {verdict.answered_twice()}, outcomes {dict(verdict.outcomes)}")
        print(f"  run by devices: {len(runs)}, of these twice {twice}")
        print(f"  over links that were cut: {len(verdict.cut_off)}; records still open: {pending}")
        for name, peaks in verdict.peaks_mb.items():
            print(f"  memory of {name}, MB, in each tenth: {' '.join(f'{mb:.0f}' for mb in peaks)}")
        for trouble in verdict.troubles:
            print(f"  TROUBLE {trouble}")
        bounded = all(
            max(peaks) < _MOST_MB
            and max(peaks[len(peaks) // 2 :]) < max(peaks[: len(peaks) // 2]) + _GROWTH_MB
            for peaks in verdict.peaks_mb.values()
        )
        if not bounded:
            print("  TROUBLE memory grows")
        faults = [_fault_of(server.log) for server in self.servers]
        for fault in filter(None, faults):
            print(f"  TROUBLE a server's log:\n{fault}")
        good = (
            verdict.unanswered() == verdict.answered_twice() == twice == pending == 0
            and bounded
            and not verdict.troubles
            and not any(faults)
            and verdict.outcomes["ok"] > 0
        )
        print("all is well" if good else "FAILED")
        return 0 if good else 1

    def _start_program(self, cutter: Cutter, device: dict[str, Any]) -> None:
        log = self._folder / f"device-{device['id']}.log"
        outbox = str(self._folder / f"outbox-{device['id']}")
        program = Device(
            self.servers[0],
            device["token"],
            self._source.address,
            log,
            "--outbox",
            outbox,
            url=cutter.url,
        )
        self.programs.append(program)
        self._stack.callback(program.stop)

    def _wait_online(self) -> None:
        def online() -> bool:
            known = self.user.get("/api/devices/").json()["devices"]
            return sum(bool(device["online"]) for device in known) >= len(self.programs)

        eventually(online)

    async def _killer(self, program: Device) -> None:
        while not self.abuse.over:
            await asyncio.sleep(self._dice.uniform(10, 60))
            if self.abuse.over:
                return
            self.abuse.acts["devices killed"] += 1
            await asyncio.to_thread(program.kill)
            await asyncio.sleep(self._dice.uniform(0, 1))
            await asyncio.to_thread(program.start)

    def _spoilers(self, cookie: str) -> Iterator[Spoiler]:
        for server, device in zip(self.servers, self.devices[3:5]):

            def page(server: Server = server) -> connect:
                return page_of(server, cookie)

            def device_(server: Server = server, token: str = device["token"]) -> connect:
                headers = {"Authorization": f"Bearer {token}"}
                url = f"{server.ws_url}/ws/devices/"
                return connect(url, additional_headers=headers, compression=None)

            yield Spoiler(page, device["id"], self._new_dice(), self.abuse)
            yield Spoiler(device_, device["id"], self._new_dice(), self.abuse)

    def _cut_page(self, cutter: Cutter, ids: list[str]) -> Callable[[], Any]:
        dice = self._new_dice()
        page = Page("a page that is cut off", self.verdict, dice, self._numbers)

        async def act() -> None:
            self.abuse.acts["pages cut off"] += 1
            async with page_of(cutter, self.user.cookie, open_timeout=5) as peer:
                for _ in range(20):
                    request_id = new_id()
                    self.verdict.cut_off.add(request_id)
                    await peer.send(page.request(request_id, dice.choice(ids)))
                    with contextlib.suppress(asyncio.TimeoutError):
                        await asyncio.wait_for(peer.recv(), 0.1)

        return act

    async def _when_online(self, bystander: Bystander) -> None:
        def online() -> bool:
            known = self.bystander.get("/api/devices/").json()["devices"]
            return any(bool(device["online"]) for device in known)

        with contextlib.suppress(*GONE):
            await asyncio.to_thread(eventually, online, 20)
        await bystander.page(self.bystander.cookie, self.quiet[0])

    def _pids(self) -> dict[str, int]:
        return {f"server {n}": server.pid for n, server in enumerate(self.servers)}

    def _pending(self, verdict: Verdict) -> int:
        """Records of requests that nobody has ended; one that never arrived has none."""
        pending: set[str] = set()
        query: dict[str, Any] = {"status": "pending", "limit": 500}
        while page := self.user.get("/api/traces/", **query).json()["traces"]:
            pending |= {trace["request_id"] for trace in page}
            query["before"] = page[-1]["request_id"]
        return len(pending & (verdict.asked | verdict.cut_off))

    def _new_dice(self) -> random.Random:
        return random.Random(self._dice.randrange(2**32))


def _fault_of(log: str) -> str:
    """The first thing that a server did not expect, and how often there was one."""
    lines = log.splitlines()
    at = [n for n, line in enumerate(lines) if line.startswith(("Traceback", "ERROR", "CRITICAL"))]
    return "\n".join([f"{len(at)} times", *lines[at[0] : at[0] + 60]]) if at else ""


if __name__ == "__main__":
    sys.exit(main())
