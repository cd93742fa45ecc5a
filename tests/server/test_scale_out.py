"""Two server processes with Redis and PostgreSQL, as one server to everybody."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

import load
import pytest
from backends import Backends, MissingError, backends
from system import Device, RawDevice, Server, Session, Socket, eventually
from test_nothing_lost import answer_text, ask_text, next_text
from websockets.exceptions import WebSocketException

from portacode import _wire
from portacode.utils.ntp_clock import NTPClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support import FaultyServer


class Pair(NamedTuple):
    """Two processes of one server."""

    one: Server
    other: Server
    user: Session
    devices: list[dict[str, Any]]
    folder: Path
    time_server: str
    variables: dict[str, str]
    backends: Backends


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, time_source: FaultyServer) -> Iterator[Pair]:
    with ExitStack() as stack:
        try:
            shared = stack.enter_context(backends())
        except MissingError as missing:
            pytest.skip(str(missing))
        yield from _pair(tmp_path_factory.mktemp("pair"), time_source, shared)


def _pair(folder: Path, time_source: FaultyServer, shared: Backends) -> Iterator[Pair]:
    variables = {
        **shared.variables,
        "BROWSER_RATE": "100000/100000",
        "DEVICE_RATE": "100000/100000",
        "REQUEST_TIMEOUT_S": "30",
    }
    one, other = (Server(folder, time_source.address, **variables) for _ in range(2))
    made = one.prepare()
    one.start()
    other.start()
    user = Session(one, made["user"], made["password"])
    yield Pair(one, other, user, made["devices"], folder, time_source.address, variables, shared)
    user.close()
    one.stop()
    other.stop()


def wait_online(pair: Pair, *device_ids: str) -> None:
    def there() -> bool:
        devices = pair.user.get("/api/devices/").json()["devices"]
        return set(device_ids) <= {device["id"] for device in devices if device["online"]}

    eventually(there)


def test_a_browser_of_one_process_reaches_a_device_of_the_other(pair: Pair) -> None:
    device_id = pair.devices[0]["id"]
    with RawDevice(pair.other, pair.devices[0]["token"]) as device:
        wait_online(pair, device_id)
        with pair.user.browser(server=pair.one) as browser:
            request_id = browser.ask(device_id, payload={"to": "the other"})
            device.answer(device.receive("command"))
            response = browser.receive("response", request_id=request_id)
    assert response["payload"] == {"to": "the other"}
    entities = response["trace"]["entities"]
    one, other = (server.health()["entity"] for server in (pair.one, pair.other))
    assert one != other
    assert (entities["server_receive"], entities["server_send"]) == (one, other)


def test_a_device_answers_through_another_process_than_it_was_asked_by(pair: Pair) -> None:
    device_id, token = pair.devices[0]["id"], pair.devices[0]["token"]
    with pair.user.browser(server=pair.one) as browser:
        with RawDevice(pair.one, token) as device:
            wait_online(pair, device_id)
            request_id = browser.ask(device_id)
            command = device.receive("command")
        with RawDevice(pair.other, token) as again:
            sent = again.answer(command)
            assert again.receive("ack")["delivery_id"] == sent["delivery_id"]
            response = browser.receive("response", request_id=request_id)
            # It was not sure that it had arrived: once more is not twice.
            again.send(sent)
            again.receive("ack")
            assert browser.receives_none("response")
    assert response["status"] == "ok"
    assert response["trace"]["entities"]["server_send"] == pair.one.health()["entity"]


def test_a_second_connection_in_another_process_takes_the_first_ones_place(pair: Pair) -> None:
    device_id, token = pair.devices[0]["id"], pair.devices[0]["token"]
    with RawDevice(pair.one, token) as first:
        wait_online(pair, device_id)
        with RawDevice(pair.other, token) as second, pair.user.browser() as browser:
            assert first.close_code()[0] == 4409
            request_id = browser.ask(device_id)
            second.answer(second.receive("command"))
            assert browser.receive("response", request_id=request_id)["status"] == "ok"


def test_dashboards_of_both_processes_hear_of_a_trace(pair: Pair) -> None:
    device_id, token = pair.devices[0]["id"], pair.devices[0]["token"]
    with (
        RawDevice(pair.one, token) as device,
        pair.user.browser(server=pair.one) as browser,
        pair.user.browser("/ws/projects/demo/", server=pair.other) as elsewhere,
    ):
        wait_online(pair, device_id)
        elsewhere.receive("devices")
        request_id = browser.ask(device_id)
        device.answer(device.receive("command"))
        response = browser.receive("response", request_id=request_id)
        browser.send({**response, "event": "trace_complete"})
        elsewhere.receive_record(request_id)


def test_a_management_command_reaches_a_device_of_a_running_server(pair: Pair) -> None:
    device = pair.devices[1]
    program = Device(pair.other, device["token"], pair.time_server, pair.folder / "asked.log")
    try:
        wait_online(pair, device["id"])
        text = pair.one.manage("send_command", device["name"], "echo", "--payload", '{"n": 1}')
    finally:
        program.stop()
    answer = json.loads(text)
    assert (answer["status"], answer["payload"]) == ("ok", {"n": 1})
    record = pair.user.get(f"/api/traces/{answer['request_id']}/").json()
    assert (record["complete"], record["problems"]) == (True, 0)


def test_none_is_lost_and_none_done_twice_and_all_are_in_order(pair: Pair) -> None:
    programs = [
        Device(server, device["token"], pair.time_server, pair.folder / f"{device['name']}.log")
        for server, device in zip((pair.one, pair.other), pair.devices)
    ]
    clock = NTPClock(pair.time_server)
    requests = 400
    try:
        ids = [device["id"] for device in pair.devices]
        wait_online(pair, *ids)
        assert clock.wait_synced(60)
        eventually(lambda: all("synchronised" in p.log_path.read_text() for p in programs))
        servers = [pair.one, pair.other]
        tally = asyncio.run(load.run(servers, pair.user, ids, clock, requests, under_way=16))
    finally:
        for program in programs:
            program.stop()
    assert (tally.asked, tally.lost(), tally.twice()) == (requests, 0, 0)
    assert tally.failures == {}
    assert (tally.incomplete, tally.inconsistent) == (0, [])
    done = [number for program in programs for number in program.counted()]
    assert sorted(done) == list(range(requests))
    newest = pair.user.get("/api/traces/", limit=500).json()["traces"]
    stored = [record for record in newest if record["command"] == "count"]
    assert len(stored) == requests
    assert all(record["complete"] and not record["problems"] for record in stored)


def test_a_server_that_is_killed_loses_no_answer_that_a_device_has_given(pair: Pair) -> None:
    device_id, token = pair.devices[0]["id"], pair.devices[0]["token"]
    with pair.user.browser(server=pair.one) as browser:
        with RawDevice(pair.other, token) as device:
            wait_online(pair, device_id)
            request_id = browser.ask(device_id)
            command = device.receive("command")
            pair.other.kill()
        with RawDevice(pair.one, token) as again:
            again.answer(command)
            assert browser.receive("response", request_id=request_id)["status"] == "ok"
    pair.other.start()


def test_several_workers_of_one_command_are_one_server(pair: Pair) -> None:
    device_id, token = pair.devices[0]["id"], pair.devices[0]["token"]
    both = Server(pair.folder, pair.time_server, **pair.variables)
    both.start("--workers", "2")
    assert both.log.count(f"serving {both.url}/\n") == 1
    try:
        with RawDevice(both, token) as device:
            wait_online(pair, device_id)
            entities = set()
            for _ in range(20):
                with pair.user.browser(server=both) as browser:
                    request_id = browser.ask(device_id)
                    device.answer(device.receive("command"))
                    response = browser.receive("response", request_id=request_id)
                    assert response["status"] == "ok"
                    entities.add(response["trace"]["entities"]["server_receive"])
        assert len(entities) == 2
    finally:
        both.stop()


def test_a_redis_that_is_restarted_is_found_again(pair: Pair) -> None:
    device = pair.devices[0]
    program = Device(pair.other, device["token"], pair.time_server, pair.folder / "redis.log")
    try:
        wait_online(pair, device["id"])
        pair.backends.redis.kill()
        assert not _answers(pair, device["id"])
        pair.backends.redis.start()
        eventually(lambda: _answers(pair, device["id"]))
    finally:
        program.stop()


@pytest.mark.parametrize(
    "payload", ["18446744073709551616", '"caf\\udce9.txt"', "[" * 100 + "]" * 100, "1.10"]
)
def test_a_payload_arrives_between_processes_as_it_was_written(pair: Pair, payload: str) -> None:
    device_id, token = pair.devices[0]["id"], pair.devices[0]["token"]
    with RawDevice(pair.other, token) as device, pair.user.browser(server=pair.one) as browser:
        wait_online(pair, device_id)
        request_id = ask_text(browser, device_id, payload)
        assert _wire.parse(next_text(device, "command")).text("payload") == payload
        answer_text(device, request_id, payload)
        assert _wire.parse(next_text(browser, "response")).text("payload") == payload


def test_an_answer_that_cannot_be_passed_on_is_not_acknowledged_and_arrives_later(
    pair: Pair,
) -> None:
    device_id, token = pair.devices[0]["id"], pair.devices[0]["token"]
    with pair.user.browser(server=pair.one) as browser:
        with RawDevice(pair.other, token) as device:
            wait_online(pair, device_id)
            request_id = browser.ask(device_id)
            command = device.receive("command")
            pair.backends.redis.kill()
            sent = device.answer(command)
            assert device.close_code()[0] == 1011
            assert not [ack for ack in device.kept if ack["event"] == "ack"]
        pair.backends.redis.start()
        # What Redis passes on before all listen to it again is lost: a browser receives `timeout`.
        eventually(lambda: _is_reached(pair, browser))
        # As a device does: it connects again, and sends what has no acknowledgement.
        with RawDevice(pair.other, token) as again:
            again.send(sent)
            assert again.receive("ack")["delivery_id"] == sent["delivery_id"]
            response = browser.receive("response", request_id=request_id)
    assert response["status"] == "ok"


def test_a_database_that_is_restarted_is_found_again_and_no_response_lost(pair: Pair) -> None:
    device_id, token = pair.devices[0]["id"], pair.devices[0]["token"]
    with RawDevice(pair.other, token) as device, pair.user.browser(server=pair.one) as browser:
        wait_online(pair, device_id)
        request_id = browser.ask(device_id)
        command = device.receive("command")
        pair.backends.postgres.restart()
        sent = device.answer(command)

        def acknowledged() -> bool:
            """As a device does: it connects again, and sends what has no acknowledgement."""
            try:
                with RawDevice(pair.other, token) as again:
                    again.send(sent)
                    return bool(again.receive("ack", within_s=3)["delivery_id"])
            except (TimeoutError, WebSocketException):
                return False

        try:
            device.receive("ack", within_s=3)
        except (TimeoutError, WebSocketException):
            assert eventually(acknowledged)
        assert browser.receive("response", request_id=request_id)["status"] == "ok"


def _is_reached(pair: Pair, browser: Socket) -> bool:
    """Whether a device of the other process and this page hear of one another."""
    try:
        with RawDevice(pair.other, pair.devices[1]["token"]) as device:
            request_id = browser.ask(pair.devices[1]["id"])
            device.answer(device.receive("command", within_s=3))
            return bool(browser.receive("response", request_id=request_id, within_s=3))
    except (TimeoutError, WebSocketException):
        return False


def _answers(pair: Pair, device_id: str) -> bool:
    """Whether a fresh page of one process has an answer of the other's device."""
    try:
        with pair.user.browser(server=pair.one) as browser:
            request_id = browser.ask(device_id)
            response = browser.receive("response", request_id=request_id, within_s=3)
    except (TimeoutError, WebSocketException):
        return False
    return bool(response["status"] == "ok")
