"""The clock in Firefox, by command: python tests/e2e/firefox.py; needs apt-get install firefox-esr.

Playwright drives a Firefox of its own only; Debian's is driven by WebDriver BiDi, over a WebSocket.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Any

from pages import configured, page_of
from standin import STATIC, StandIn
from websockets.sync.client import ClientConnection, connect

PROBE = (Path(__file__).parent / "probe.js").read_text()
#: Date.now() is right to a millisecond's turn, which Firefox cuts off to 1 ms and moves by noise.
COARSE_MS = 2.0


class Firefox:
    """A headless Firefox with one tab."""

    def __init__(self, path: str, profile: str) -> None:
        command = [path, "--headless", "--no-remote", "--profile", profile]
        self._process = subprocess.Popen(
            [*command, "--remote-debugging-port", "0"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        self._numbers = itertools.count(1)
        self._closing = contextlib.ExitStack()
        session = f"{address(self._process.stderr)}/session"
        self._socket: ClientConnection = self._closing.enter_context(connect(session))
        self.ask("session.new", capabilities={})
        tree = self.ask("browsingContext.getTree")
        self._tab = tree["contexts"][0]["context"]

    def ask(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            event = json.loads(self._socket.recv(timeout=60))
            if event.get("id") == number:
                assert event["type"] == "success", event
                return event["result"]

    def open(self, url: str) -> None:
        self.ask("browsingContext.navigate", context=self._tab, url=url, wait="complete")

    def evaluate(self, script: str) -> Any:
        """What it comes to, as JSON has it."""
        event = self.ask(
            "script.evaluate",
            expression=f"Promise.resolve({script}).then(JSON.stringify)",
            target={"context": self._tab},
            awaitPromise=True,
        )
        assert event["type"] == "success", event
        return json.loads(event["result"]["value"])

    def close(self) -> None:
        self._closing.close()
        self._process.terminate()
        self._process.wait(timeout=20)


def address(lines: IO[str]) -> str:
    for line in lines:
        if found := re.search(r"WebDriver BiDi listening on (ws://\S+)", line):
            return found[1]
    raise AssertionError("Firefox does not start")


def main() -> None:
    """Every way, and the page; fails where a reading is outside its bound."""
    path = shutil.which("firefox-esr") or shutil.which("firefox")
    if path is None:
        sys.exit("no Firefox: apt-get install firefox-esr")
    stand_in = StandIn()
    ways = {
        "WebSocket relay": configured(relay=stand_in.ws),
        "HTTP relay": configured(relay=stand_in.http),
        "HTTPS time (by HTTP here)": configured(source=stand_in.url("/cdn-cgi/trace")),
    }
    with tempfile.TemporaryDirectory() as profile:
        firefox = Firefox(path, profile)
        try:
            for way, script in ways.items():
                stand_in.pages["/"] = page_of(PROBE + script)
                firefox.open(stand_in.url())
                assert firefox.evaluate("clock.waitSynced({ timeout: 10000 })"), way
                readings = firefox.evaluate("probes(clock, 20, 20)")
                worst = max(abs(reading["error"]) for reading in readings)
                bound = max(reading["maxErrorMs"] for reading in readings)
                print(f"{way}: worst error {worst:.2f} ms, bound {bound:.2f} ms")
                assert all(abs(r["error"]) <= r["maxErrorMs"] + COARSE_MS for r in readings), way
            page = (STATIC / "js/test-ntp-clock.html").as_uri()
            firefox.open(f"{page}?relay={stand_in.ws}")
            state = "document.querySelector('#state-text').textContent"
            shown = firefox.evaluate(
                f"(async () => {{ for (let i = 0; i < 100 && {state} !== 'Synchronised'; i++)"
                f" await new Promise((resolve) => setTimeout(resolve, 100)); return {state}; }})()"
            )
            print(f"page, as a file: {shown}")
            assert shown == "Synchronised"
        finally:
            firefox.close()
    stand_in.close()


if __name__ == "__main__":
    main()
