#!/usr/bin/env python3
"""Sends many traced requests through two server processes on Redis and PostgreSQL, and counts.

Starts all of it by itself: a time source, Redis, PostgreSQL, two servers, devices. Exit codes: 0
none lost, none done twice, every trace synchronised and in causal order within its errors; 1 not
so; 2 something is missing on this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import timeit
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
# Before the shared clock is imported: it has no part in this.
os.environ["PORTACODE_NTP_SERVER"] = "127.0.0.1:1"
sys.path[:0] = [str(ROOT / "tests/server"), str(ROOT / "tests/python")]

import load
from backends import MissingError, backends
from support import FaultyServer
from system import Device, Server, Session, eventually

from portacode.trace import Stamp
from portacode.utils.ntp_clock import NTPClock

if TYPE_CHECKING:
    from collections.abc import Sequence

# Of each request a server stamps four events; it reads its clock for the relay as a frame comes.
_STAMPS, _READS = 4, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs it and prints what was seen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--under-way", type=int, default=32, help="requests at once")
    parser.add_argument("--devices", type=int, default=2)
    options = parser.parse_args(arguments)
    try:
        with ExitStack() as stack:
            return _run(stack, options.requests, options.under_way, options.devices)
    except MissingError as missing:
        print(missing, file=sys.stderr)
        return 2


def _run(stack: ExitStack, requests: int, under_way: int, devices: int) -> int:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="load-")))
    source = FaultyServer()
    stack.callback(source.stop)
    variables = {
        **stack.enter_context(backends()).variables,
        "BROWSER_RATE": "1000000/1000000",
        "DEVICE_RATE": "1000000/1000000",
        "TRACES_MAX_PER_USER": str(2 * requests),
        "LOG_LEVEL": "WARNING",
    }
    servers = [Server(folder, source.address, **variables) for _ in range(2)]
    servers[0].manage("migrate", "--verbosity", "0")
    servers[0].manage("collectstatic", "--noinput", "--verbosity", "0")
    made = servers[0].demo_setup("--devices", str(devices))
    for server in servers:
        server.start()
        stack.callback(server.stop)
    session = Session(servers[0], made["user"], made["password"])
    stack.callback(session.close)
    programs = []
    for index, device in enumerate(made["devices"]):
        server = servers[index % len(servers)]
        log = folder / f"device-{index}.log"
        programs.append(Device(server, device["token"], source.address, log))
        stack.callback(programs[-1].stop)
    clock = NTPClock(source.address)
    clock.wait_synced(20)
    ids = [device["id"] for device in made["devices"]]
    eventually(lambda: _online(session) >= set(ids), within_s=30)
    eventually(lambda: all("synchronised" in p.log_path.read_text() for p in programs))

    before = [_cpu_s(server.pid) for server in servers]
    tally = asyncio.run(load.run(servers, session, ids, clock, requests, under_way))
    cpu_s = sum(_cpu_s(server.pid) - was for server, was in zip(servers, before))

    done = sorted(number for program in programs for number in program.counted())
    stored = _stored(servers[0])
    good = (
        tally.lost() == tally.twice() == tally.incomplete == 0
        and not tally.failures
        and not tally.inconsistent
        and done == list(range(requests))
        and stored == (requests, requests, 0)
    )
    _tell(tally, done, stored, cpu_s, clock)
    print("all is well" if good else "FAILED")
    return 0 if good else 1


def _tell(
    tally: load.Tally,
    done: list[int],
    stored: tuple[int, int, int],
    cpu_s: float,
    clock: NTPClock,
) -> None:
    asked = tally.asked
    print(f"{asked} requests through 2 server processes, Redis and PostgreSQL")
    print(f"  lost {tally.lost()}, answered twice {tally.twice()}, failed {dict(tally.failures)}")
    print(f"  done by devices: {len(done)} times, {len(set(done))} different ones")
    print(f"  stored: {stored[0]} traces, {stored[1]} complete, {stored[2]} with a problem")
    print(f"  traces out of order: {len(tally.inconsistent)}; incomplete: {tally.incomplete}")
    print(f"  throughput: {asked / tally.seconds:.0f} requests/s over {tally.seconds:.1f} s")
    shares = " ".join(
        f"{share:.0%} {tally.latency_ms(share):.1f} ms" for share in (0.5, 0.95, 0.99)
    )
    print(f"  latency: {shares}")
    stamp_us = min(timeit.repeat(lambda: Stamp.take(clock), number=20_000)) / 20_000 * 1e6
    read_us = min(timeit.repeat(clock.read, number=20_000)) / 20_000 * 1e6
    clock_us = _STAMPS * stamp_us + _READS * read_us
    each_us = cpu_s / asked * 1e6
    print(f"  the clock's share of the servers' work: {clock_us / each_us:.2%}")
    print(
        f"    {_STAMPS} stamps of {stamp_us:.2f} us and {_READS} readings of {read_us:.2f} us "
        f"in {each_us:.0f} us of a request"
    )


def _online(session: Session) -> set[str]:
    devices = session.get("/api/devices/").json()["devices"]
    return {device["id"] for device in devices if device["online"]}


def _stored(server: Server) -> tuple[int, int, int]:
    """How many traces there are, how many complete, how many with a problem."""
    code = (
        "from data.models import TraceRecord as t;"
        "print(t.objects.count(), t.objects.filter(complete=True, status='ok').count(),"
        "t.objects.filter(problems__gt=0).count())"
    )
    everything, complete, problems = server.manage("shell", "--verbosity", "0", "-c", code).split()
    return int(everything), int(complete), int(problems)


def _cpu_s(pid: int) -> float:
    """Seconds of processor time that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
