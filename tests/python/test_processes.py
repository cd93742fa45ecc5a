"""Forked children, pools, web workers: each has a clock of its own and keeps it synchronised."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from support import PATIENCE_S, PROGRAMS, answer_of, environment, eventually, run_python

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support import FaultyServer

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


def test_children_forked_under_readers_read_at_once_and_synchronise(time_server: str) -> None:
    answers = answer_of("fork_often.py", server=time_server)
    assert answers == {"codes": [0] * 60, "synced": True}


@pytest.mark.slow
def test_generations_of_forks_do_not_pile_up_descriptors(time_server: str) -> None:
    first, *later = answer_of("fork_chain.py", "5", server=time_server)
    assert all(count <= first for count in later), (first, later)


@pytest.mark.parametrize("use", ["sync", "read"])
def test_a_forked_child_logs_what_happens_to_its_own_clock(time_server: str, use: str) -> None:
    ran = run_python(str(PROGRAMS / "fork_logging.py"), use, server=time_server)
    assert (ran.code, ran.err) == (0, "")
    (child,) = re.findall(r"^(\d+) child$", ran.out, re.MULTILINE)
    lines = [line for line in ran.out.splitlines() if f"synchronised with {time_server}" in line]
    assert {line.split()[0] == child for line in lines} == {True, False}


def test_workers_share_a_counter_and_another_pretended_machine_does_not(time_server: str) -> None:
    code = """
import os
from portacode.utils.ntp_clock import stamp

before = stamp()
print(before.counter, before.counter_ns, flush=True)
if os.fork() == 0:
    child = stamp()
    print(child.counter, child.counter_ns, flush=True)
    os._exit(0)
os.wait()
"""
    answers = [
        run_python("-W", "ignore", "-c", code, server=time_server, PORTACODE_MACHINE=m)
        for m in ("", "", "other")
    ]
    assert [(ran.code, ran.err) for ran in answers] == [(0, "")] * 3
    parent, child, worker, workers_child, *other = [
        line.split() for ran in answers for line in ran.out.splitlines()
    ]
    assert parent[0] == child[0] == worker[0] == workers_child[0]
    moments = [int(counter_ns) for _, counter_ns in (parent, child, worker, workers_child)]
    assert moments == sorted(moments)
    assert other[0][0] == other[1][0] != parent[0]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_every_worker_of_a_pool_reads_and_synchronises(time_server: str, method: str) -> None:
    answers = answer_of("pool.py", method, server=time_server)
    assert answers["synced"] is True
    assert answers["still"] is not None
    for pid, at_once, waited, off_ms, synced in answers["probes"]:
        assert pid > 0
        assert at_once or method != "fork", "a forked child goes on with what its parent knew"
        assert (waited, synced) == (True, True)
        assert off_ms == 0, "beyond what its bound says"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", ["gevent", "eventlet"])
def test_greenlets_go_on_while_one_waits_for_the_clock(
    kind: str, when: str, faulty_server: Callable[..., FaultyServer]
) -> None:
    server = faulty_server("--delay", "150ms").address
    ran = run_python("-W", "ignore", str(PROGRAMS / "green.py"), kind, when, server=server)
    assert ran.code == 0, ran
    answers = json.loads(ran.out)
    assert (answers["waited"], answers["synced"], answers["logged"]) == (True, True, True), ran
    assert answers["ticks"] > 5


class Workers:
    """A web server with several workers, and what they tell."""

    def __init__(self, *command: str, server: str, log: Path) -> None:
        self._log = log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *command],
                env=environment(server),
                cwd=PROGRAMS,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    def url(self) -> str:
        listening = re.compile(r"http://127\.0\.0\.1:\d+")
        eventually(lambda: listening.search(self._log.read_text()) is not None)
        found = listening.search(self._log.read_text())
        assert found is not None, self._log.read_text()
        return found.group()

    def reported_by(self, count: int) -> dict[int, Any]:
        """The newest answer of each of `count` workers."""
        url = self.url()
        answers: dict[int, Any] = {}
        deadline = time.monotonic() + PATIENCE_S
        with ThreadPoolExecutor(4 * count) as pool:
            while len(answers) < count and time.monotonic() < deadline:
                for body in pool.map(self._get, [url] * 4 * count):
                    if body is not None:
                        answers[body["pid"]] = body
        assert len(answers) == count, self._log.read_text()
        return answers

    @staticmethod
    def _get(url: str) -> Any:
        import json

        try:
            with urllib.request.urlopen(url, timeout=PATIENCE_S) as response:
                return json.load(response)
        except OSError:
            return None  # The workers are still starting.

    def stop(self) -> str:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(timeout=PATIENCE_S)
        return self._log.read_text()


def served(answers: dict[int, Any]) -> None:
    for answer in answers.values():
        assert answer["off_ms"] == 0, "a reading, within its bound"


GUNICORN = ["gunicorn", "--bind=127.0.0.1:0", "web:wsgi"]
SERVERS = {
    "gunicorn": (4, [*GUNICORN, "--workers=4"]),
    "gunicorn --preload": (4, [*GUNICORN, "--workers=4", "--preload"]),
    "gunicorn --threads": (2, [*GUNICORN, "--workers=2", "--preload", "--threads=4"]),
    "gunicorn --worker-class gevent": (2, [*GUNICORN, "--workers=2", "--worker-class=gevent"]),
    "gunicorn --preload --worker-class gevent": (
        2,
        [*GUNICORN, "--workers=2", "--preload", "--worker-class=gevent"],
    ),
    "uvicorn": (2, ["uvicorn", "--workers=2", "--port=0", "--lifespan=off", "web:asgi"]),
}


@pytest.fixture(params=SERVERS)
def workers(
    request: pytest.FixtureRequest, time_server: str, tmp_path: Path
) -> Iterator[tuple[int, Workers]]:
    count, command = SERVERS[request.param]
    workers = Workers(*command, server=time_server, log=tmp_path / "log")
    yield count, workers
    log = workers.stop()
    assert "Traceback" not in log, log


@pytest.mark.slow
def test_every_web_worker_is_synchronised_and_keeps_synchronising(
    workers: tuple[int, Workers],
) -> None:
    count, web = workers
    first = web.reported_by(count)
    served(first)
    # The first round takes the budget of eight seconds.
    time.sleep(10)
    second = web.reported_by(count)
    served(second)
    assert first.keys() == second.keys(), "no worker died"
    for pid, answer in second.items():
        assert answer["last_sync"] > first[pid]["last_sync"], "synchronised again"
        assert answer["believed"] > first[pid]["believed"]
