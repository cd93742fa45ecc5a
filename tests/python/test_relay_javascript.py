"""The JavaScript clock, synchronised through this package's relays."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from servers import gunicorn, serving, synchronised, uvicorn
from support import PROGRAMS, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import WebServer

DJANGO = uvicorn("django_project.asgi:application")
BARE = uvicorn("portacode.relay.asgi:app")


def node_over(relay: str, samples: int = 300) -> Any:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node: Node 20 or newer, from https://nodejs.org")
    if not (ROOT / "js" / "node_modules" / "ws").exists():
        pytest.skip("no WebSocket for Node: npm ci --prefix js")
    program = str(PROGRAMS / "relay_client.mjs")
    ran = subprocess.run(
        [node, program, str(ROOT), relay, str(samples)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert (ran.returncode, ran.stderr) == (0, ""), ran
    return json.loads(ran.stdout)


@pytest.fixture(scope="module")
def bare(time_server: str) -> Iterator[WebServer]:
    with serving(BARE, time_server) as server:
        assert synchronised(server, "/")
        yield server


@pytest.fixture(scope="module")
def django(time_server: str) -> Iterator[WebServer]:
    with serving(DJANGO, time_server) as server:
        assert synchronised(server, "/clock/")
        yield server


@pytest.fixture(scope="module")
def wsgi(time_server: str) -> Iterator[WebServer]:
    with serving(gunicorn("django_project.wsgi"), time_server) as server:
        assert synchronised(server, "/sync/")
        yield server


@pytest.mark.parametrize(
    ("served", "url", "via"),
    [
        ("bare", "ws://{}/", "ws-relay"),
        ("bare", "http://{}/", "http-relay"),
        ("django", "ws://{}/ws/clock/", "ws-relay"),
        ("django", "ws://{}/ws/dashboard/", "ws-relay"),
        ("django", "http://{}/clock/", "http-relay"),
        ("wsgi", "http://{}/sync/", "http-relay"),
    ],
)
def test_through_the_relay_every_reading_is_within_its_error(
    served: str, url: str, via: str, request: pytest.FixtureRequest, time_server: str
) -> None:
    server: WebServer = request.getfixturevalue(served)
    answer = node_over(url.format(f"127.0.0.1:{server.port}"))
    assert answer["synced"], answer
    assert (answer["server"], answer["via"], answer["stratum"]) == (time_server, via, 2)
    assert answer["rejections"] == {}
    bounds = []
    for before_ms, time_ms, max_error_ms, after_ms in answer["readings"]:
        assert before_ms - max_error_ms <= time_ms <= after_ms + max_error_ms
        bounds.append(max_error_ms)
    print(f"{url}: bound {statistics.median(bounds):.3f} ms in the median of {len(bounds)}")
    assert len(bounds) == 300


def test_through_a_relay_without_the_time_there_is_none_and_the_reason_is_reported(
    silent: str,
) -> None:
    with serving(BARE, silent) as server:
        for url in (f"ws://127.0.0.1:{server.port}/", f"http://127.0.0.1:{server.port}/"):
            answer = node_over(url)
            assert answer["synced"] is False
            assert answer["readings"] == []
            assert "not synchronised" in answer["lastError"]
            assert list(answer["rejections"]) == ["unsynchronised"]
