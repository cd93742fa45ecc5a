"""Sends one request's trace to a real store, arize-phoenix, and prints the tree that comes back.

    python tools/otel_phoenix.py --install    # once: 850 MB into .work/phoenix
    python tools/otel_phoenix.py              # and look at it in the browser with --keep

A server, a device and a browser's socket run as processes of their own, on this machine. The exit
status is 0 where all spans came back, in one tree and in order.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "server"), str(ROOT / "tests" / "python")]

from ports import free_port  # noqa: E402
from support import FaultyServer  # noqa: E402
from system import Device, Server, Session, eventually  # noqa: E402
from test_requests import complete  # noqa: E402
from test_spans import PARENTS, WAY  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--install", action="store_true", help="install Phoenix, and end")
    parser.add_argument("--keep", action="store_true", help="go on until Ctrl-C")
    options = parser.parse_args()
    home = ROOT / ".work" / "phoenix"
    if options.install:
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run([str(home / "bin/pip"), "install", "arize-phoenix"], check=True)
        return 0
    binary = os.environ.get("PHOENIX") or str(home / "bin" / "phoenix")
    if not Path(binary).exists():
        print(f"error: no {binary}: run this with --install, or name it in PHOENIX")
        return 2
    with ExitStack() as running, tempfile.TemporaryDirectory() as folder:
        url = started_phoenix(running, binary, Path(folder))
        request_id = one_request(running, url, Path(folder))
        spans = eventually(lambda: stored(url, request_id, len(PARENTS)), within_s=30)
        in_order = show(spans)
        if options.keep:
            print(f"\nPhoenix: {url}/projects (Ctrl-C ends it)")
            try:
                input()
            except (KeyboardInterrupt, EOFError):
                print()
    return 0 if in_order else 1


def started_phoenix(running: ExitStack, binary: str, folder: Path) -> str:
    port = free_port()
    environment = {
        **os.environ,
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(free_port()),
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    log = running.enter_context((folder / "phoenix.log").open("w"))
    process = subprocess.Popen([binary, "serve"], env=environment, stdout=log, stderr=log)
    running.callback(process.wait)
    running.callback(process.terminate)
    url = f"http://127.0.0.1:{port}"
    eventually(lambda: get(f"{url}/healthz") is not None, within_s=120)
    return url


def one_request(running: ExitStack, url: str, folder: Path) -> str:
    """A command through all three; gives its id, which is the trace's."""
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    time_source = FaultyServer()
    running.callback(time_source.stop)
    server = Server(folder, time_source.address, **variables)
    made = server.prepare()
    server.start()
    running.callback(server.stop)
    token, device = made["devices"][0]["token"], made["devices"][0]["id"]
    log = folder / "device.log"
    running.callback(Device(server, token, time_source.address, log, **variables).stop)
    session = Session(server, made["user"], made["password"])
    running.callback(session.close)

    def online() -> bool:
        devices = session.get("/api/devices/").json()["devices"]
        return any(each["id"] == device and each["online"] for each in devices)

    eventually(online)
    with session.browser() as browser:
        request_id = browser.ask(device, "echo", payload={"text": "hello"})
        complete(browser, browser.receive("response", request_id=request_id))
    return request_id


def stored(url: str, request_id: str, count: int) -> list[dict[str, Any]] | None:
    """The trace's spans as Phoenix has them, once they are all there."""
    body = get(f"{url}/v1/projects/default/spans?limit=1000")
    if body is None:
        return None
    spans = [span for span in json.loads(body)["data"] if span["context"]["trace_id"] == request_id]
    return spans if len(spans) >= count else None


def show(spans: list[dict[str, Any]]) -> bool:
    """Prints the tree; tells whether it is the right one, and in order."""
    names = {span["context"]["span_id"]: span["name"] for span in spans}
    by_name = {span["name"]: span for span in spans}
    order = sorted(PARENTS, key=lambda name: str(by_name[name]["start_time"]))

    def branch(parent: str | None, depth: int) -> None:
        for name in order:
            span = by_name[name]
            if names.get(span["parent_id"]) == parent:
                title = "  " * depth + name
                print(f"{title:34}{span['start_time'][11:]} to {span['end_time'][11:]}")
                branch(name, depth + 1)

    branch(None, 0)
    tree = {name: names.get(span["parent_id"]) for name, span in by_name.items()}
    hops = [by_name[name] for name in WAY]
    starts = [hop["start_time"] for hop in hops]
    good = tree == PARENTS and starts == sorted(starts)
    print("one tree, in order" if good else f"not as it should be: {tree}")
    return good


def get(url: str) -> bytes | None:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            body: bytes = reply.read()
            return body
    except OSError:
        return None


if __name__ == "__main__":
    sys.exit(main())
