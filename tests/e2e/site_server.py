"""A real Django site in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from ports import free_port

FOLDER = Path(__file__).resolve().parent / "django_site"


class Site:
    """Collects its static files and serves, under uvicorn or runserver, until stopped."""

    def __init__(self, folder: Path, storage: str, server: str, ntp_server: str) -> None:
        self._environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "settings",
            "PYTHONPATH": str(FOLDER),
            "PYTHONWARNINGS": "default",
            "PORTACODE_NTP_SERVER": ntp_server,
            "SITE_SERVER": server,
            "SITE_STATIC_ROOT": str(folder / "static"),
            "SITE_STORAGE": storage,
        }
        self.static_root = folder / "static"
        self._log = folder / "log"
        self.port = free_port()
        if server == "uvicorn":
            self._run("-m", "django", "collectstatic", "--noinput", "--verbosity", "0")
            program = f"-m uvicorn asgi:application --port {self.port} --log-level warning"
        else:
            program = f"-m django runserver 127.0.0.1:{self.port} --noreload"
        self._program = program.split()
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._program],
                cwd=FOLDER,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            written = self._log.read_text()
            assert self._process.poll() is None, written
            assert time.monotonic() < deadline, written
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def url(self, path: str = "/", *, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(self.url(), timeout=30).close()
        except urllib.error.HTTPError:
            raise
        except OSError:
            return False
        return True

    def _run(self, *arguments: str) -> None:
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command, cwd=FOLDER, env=self._environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
