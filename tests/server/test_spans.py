"""Traces of a real server and a real device arrive in a real receiver, as one tree."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from ports import free_port
from system import Device, Server, Session, eventually
from test_requests import complete

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support import FaultyServer

pytest.importorskip("oteltap", reason="no oteltap: pip install oteltap")
from oteltap import OtelTapHttpProtobufReceiver, OtelTapHttpProtobufReceiverSettings

# The hops in the order of what happens.
WAY = [
    "browser to server",
    "server forwards",
    "server to device",
    "device receives",
    "handler waits",
    "handler runs",
    "device replies",
    "device to server",
    "server returns",
    "server to browser",
]
PARENTS = {
    "browser: echo": None,
    "server: echo": "browser: echo",
    "device: echo": "server: echo",
    **dict.fromkeys(["browser to server", "server to browser"], "browser: echo"),
    **dict.fromkeys(
        ["server forwards", "server to device", "device to server", "server returns"],
        "server: echo",
    ),
    **dict.fromkeys(
        ["device receives", "handler waits", "handler runs", "device replies"], "device: echo"
    ),
}


class Receiver:
    """oteltap in a thread, and the spans that have come."""

    def __init__(self) -> None:
        self.port = free_port()
        self.spans: list[Any] = []
        self._ready = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._receive()))
        self._thread.start()
        assert self._ready.wait(60)

    def close(self) -> None:
        self._over.set()
        self._thread.join(60)

    async def _receive(self) -> None:
        settings = OtelTapHttpProtobufReceiverSettings(http_port=self.port)
        async with OtelTapHttpProtobufReceiver(settings) as receiver:
            gathering = asyncio.create_task(self._gather(receiver))
            await asyncio.sleep(0)
            self._ready.set()
            await asyncio.to_thread(self._over.wait)
        await gathering

    async def _gather(self, receiver: Any) -> None:
        async for span in receiver.stream_traces():
            self.spans.append(span)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def variables(receiver: Receiver) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{receiver.port}",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }


@pytest.fixture
def server(
    tmp_path: Path, time_source: FaultyServer, variables: dict[str, str]
) -> Iterator[tuple[Server, dict[str, Any]]]:
    server = Server(tmp_path, time_source.address, **variables)
    made = server.prepare()
    server.start()
    yield server, made
    server.stop()


@pytest.fixture
def device(
    server: tuple[Server, dict[str, Any]],
    time_source: FaultyServer,
    variables: dict[str, str],
    tmp_path: Path,
) -> Iterator[str]:
    """A device of the package's own; gives its id."""
    running, made = server
    workshop = made["devices"][0]
    log = tmp_path / "device.log"
    device = Device(running, workshop["token"], time_source.address, log, **variables)
    yield workshop["id"]
    device.stop()


def test_the_spans_of_browser_server_and_device_make_one_tree_in_order(
    server: tuple[Server, dict[str, Any]], device: str, receiver: Receiver
) -> None:
    running, made = server
    session = Session(running, made["user"], made["password"])

    def online() -> bool:
        return any(
            each["id"] == device and each["online"]
            for each in session.get("/api/devices/").json()["devices"]
        )

    eventually(online)
    with session.browser() as browser:
        request_id = browser.ask(device, "echo", payload={"text": "hello"})
        response = browser.receive("response", request_id=request_id)
        assert response["status"] == "ok", response
        trace = complete(browser, response)["trace"]
    session.close()
    eventually(lambda: len(receiver.spans) >= len(PARENTS))
    spans = {span.name: span for span in receiver.spans}
    assert set(spans) == set(PARENTS)
    assert {span.trace_id.hex() for span in spans.values()} == {request_id}
    names = {span.span_id: name for name, span in spans.items()}
    found = {name: names.get(span.parent_span_id) for name, span in spans.items()}
    assert found == PARENTS
    assert spans["browser: echo"].parent_span_id == b""
    # Each hop begins in the very nanosecond in which the one before it ends, unless two clocks
    # disagree within their errors.
    hops = [spans[name] for name in WAY]
    for before, after in zip(hops, hops[1:]):
        backwards = any(each.key == "ntp_clock.end_ns" for each in before.attributes)
        assert backwards or before.end_time_unix_nano == after.start_time_unix_nano
    stamped_ns = round(trace["handler_dispatch"] % 1e6 * 1e6)
    assert abs(spans["handler runs"].start_time_unix_nano % 10**12 - stamped_ns) < 1000
