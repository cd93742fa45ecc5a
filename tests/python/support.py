"""Servers, programs and patience for the tests."""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import portacode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(portacode.__file__).resolve().parent
PROGRAMS = Path(__file__).resolve().parent / "programs"
ATTEMPT = r"(WARNING portacode\.\S+ )?(attempt \d+ at |clock failed, no readings until )"
#: For whatever is to happen: a busy machine may be slow to it.
PATIENCE_S = 60.0


def eventually(happened: Callable[[], bool], within_s: float = PATIENCE_S) -> bool:
    """Whether it happens in time."""
    deadline = time.monotonic() + within_s
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def machine_counter_ns() -> int:
    """What the clocks of this machine's processes count with, now."""
    from portacode.utils.ntp_clock import ntp_clock

    return ntp_clock.stamp().counter_ns


def quickest_s(times_s: Callable[[], float], under_s: float) -> float:
    """The shortest of some times, until one is short enough: other programs lengthen some."""
    least_s = times_s()
    for _ in range(19):
        if least_s < under_s:
            break
        least_s = min(least_s, times_s())
    return least_s


def environment(server: str) -> dict[str, str]:
    """The environment of a program whose shared clock asks `server`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    return {**kept, "PORTACODE_NTP_SERVER": server, "PYTHONPATH": ""}


def comes_to_wait(pid: int) -> None:
    """Until a process has started and computes no more: none of its threads runs, or could."""
    idle = 0

    def is_idle() -> bool:
        nonlocal idle
        try:
            stats = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
        except OSError:
            # A thread ended meanwhile.
            idle = 0
            return False
        # The state is behind the name, which is in brackets.
        idle = idle + 1 if all(stat.rpartition(")")[2].split()[0] == "S" for stat in stats) else 0
        return idle > 20

    assert eventually(is_idle), "it never waits"


class Ran(NamedTuple):
    code: int
    out: str
    err: str
    seconds: float


def run_python(
    *arguments: str,
    server: str,
    timeout_s: float = 2 * PATIENCE_S,
    cwd: Path | None = None,
    attempts: bool = False,
    **extra: str,
) -> Ran:
    """Runs Python with these arguments to its end.

    What its clock says of attempts that failed is left out, without `attempts`: a busy machine may
    let a program last that long.
    """
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**environment(server), **extra},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        stdin=subprocess.DEVNULL,
        cwd=cwd,
    )
    err = done.stderr if attempts else without_attempts(done.stderr, server)
    return Ran(done.returncode, done.stdout, err, time.monotonic() - started)


def without_attempts(text: str, server: str) -> str:
    """What a program said, less its clock's warnings that this server does not answer."""
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if not re.match(ATTEMPT + re.escape(server), line))


def answer_of(program: str, *arguments: str, server: str) -> Any:
    """What a program of the tests prints, as JSON; it must end well and complain of nothing."""
    ran = run_python(str(PROGRAMS / program), *arguments, server=server)
    assert (ran.code, ran.err) == (0, ""), ran
    return json.loads(ran.out)


class Chrony:
    """Debian's NTP server, on an unprivileged port of this machine, telling its wall clock."""

    def __init__(self, folder: Path, port: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self._conf = folder / "chrony.conf"
        self._conf.write_text(
            f"port {port}\n"
            "cmdport 0\n"
            "bindaddress 127.0.0.1\n"
            f"bindcmdaddress {folder}/chronyd.sock\n"
            f"pidfile {folder}/chronyd.pid\n"
            "allow 127.0.0.1\n"
            "local stratum 1\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def path() -> str:
        found = shutil.which("chronyd") or shutil.which("chronyd", path="/usr/sbin:/sbin")
        if found is None:
            pytest.skip("no chronyd: apt-get install chrony")
        return found

    def start(self) -> None:
        user = ["-u", "root"] if os.geteuid() == 0 else []
        command = [self.path(), "-x", "-d", *user, "-f", str(self._conf)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        assert eventually(self._answers), "chronyd does not answer"

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=PATIENCE_S)
            self._process = None

    def _answers(self) -> bool:
        host, port = self.address.split(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.settimeout(0.2)
            probe.connect((host, int(port)))
            try:
                probe.send(bytes([0x23]) + bytes(47))
                reply = probe.recv(512)
            except OSError:
                return False
            # Leap indicator 3: not ready yet.
            return len(reply) == 48 and reply[0] >> 6 != 3


class Program:
    """A program of the test server's crate, which ends with its input."""

    def __init__(self, path: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [path, "--stdin", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.address = self._await("listening on ").removeprefix("listening on ")

    def stop(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=PATIENCE_S)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line.rstrip())

    def _await(self, start: str) -> str:
        while True:
            line = self._lines.get(timeout=PATIENCE_S)
            assert not line.startswith("error"), line
            if line.startswith(start):
                return line


class FaultyServer(Program):
    """The test server, obeying changes such as "silence on"."""

    def __init__(self, *arguments: str) -> None:
        super().__init__(self.path(), *arguments)

    @staticmethod
    def path() -> str:
        chosen = os.environ.get("NTP_TEST_SERVER_BIN")
        target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        places = [target / profile / "ntp-test-server" for profile in ("release", "debug")]
        built = [place for place in places if place.exists()]
        if chosen:
            return chosen
        if not built:
            pytest.skip("no ntp-test-server: cargo build --package ntp-test-server")
        return str(max(built, key=lambda place: place.stat().st_mtime))

    def change(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        self._await("ok")


class DelayProxy(Program):
    """Between clients and a server, `host:port`; `--delay 10ms` makes the path longer."""

    def __init__(self, server: str, *arguments: str) -> None:
        path = Path(FaultyServer.path()).with_name("delay-proxy")
        super().__init__(str(path), "--to", server, *arguments)


def silent_server() -> Iterator[str]:
    """Takes requests and never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{deaf.getsockname()[1]}"
