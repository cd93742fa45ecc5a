"""Redis and PostgreSQL of one's own, from Debian's packages, in a folder that goes away."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import redis
from ports import free_port
from system import PATIENCE_S, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class MissingError(Exception):
    """A program is not installed; the message says what to type."""


class Redis:
    """An empty Redis that keeps nothing."""

    def __init__(self) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise MissingError("no redis-server: apt-get install redis-server")
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = tempfile.mkdtemp(prefix="redis-")
        self._program = program
        self.start()

    def start(self) -> None:
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        arguments += ["--appendonly", "no", "--dir", self._folder, "--loglevel", "warning"]
        self._process = subprocess.Popen(
            [self._program, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        eventually(self._answers)

    def _answers(self) -> bool:
        try:
            with redis.Redis(port=self.port) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(timeout=PATIENCE_S)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=PATIENCE_S)
        shutil.rmtree(self._folder, ignore_errors=True)


class Postgres:
    """A PostgreSQL with one empty database, run by somebody who is not root."""

    def __init__(self) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if not found and not shutil.which("initdb"):
            raise MissingError("no PostgreSQL: apt-get install postgresql")
        self._bin = found[-1].parent if found else Path(str(shutil.which("initdb"))).parent
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._as: list[str] = []
        if os.geteuid() == 0:
            # It refuses to be run by root.
            user = pwd.getpwnam("postgres")
            os.chown(self._folder, user.pw_uid, user.pw_gid)
            self._as = ["runuser", "-u", "postgres", "--"]
        self.port = free_port()
        self.url = f"postgres://portacode@127.0.0.1:{self.port}/portacode"
        data = str(self._folder / "data")
        self._run("initdb", "-D", data, "-U", "portacode", "-A", "trust", "--no-sync")
        self._data = data
        options = f"-p {self.port} -k {self._folder} -c listen_addresses=127.0.0.1 -c fsync=on"
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "start")
        self._run(
            "createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "portacode", "portacode"
        )

    def _run(self, program: str, *arguments: str) -> None:
        command: Sequence[str] = [*self._as, str(self._bin / program), *arguments]
        # A pipe would be held open by the server that pg_ctl starts.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
                cwd="/",
            )
            output.seek(0)
            assert done.returncode == 0, output.read().decode(errors="replace")

    def restart(self) -> None:
        """All connections are lost, and what was under way in them."""
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "restart")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "stop")
        shutil.rmtree(self._folder, ignore_errors=True)


class Backends(NamedTuple):
    """What server processes that act as one server share."""

    redis: Redis
    postgres: Postgres

    @property
    def variables(self) -> dict[str, str]:
        """They name both to a server."""
        return {"REDIS_URL": self.redis.url, "DATABASE_URL": self.postgres.url}


@contextmanager
def backends() -> Iterator[Backends]:
    """Runs both.

    Raises:
        MissingError: One of them is not installed.
    """
    with ExitStack() as stack:
        redis = Redis()
        stack.callback(redis.stop)
        postgres = Postgres()
        stack.callback(postgres.stop)
        yield Backends(redis, postgres)
