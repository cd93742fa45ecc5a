"""Every request that was taken is answered, once, to the client that asked, whatever breaks."""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
import struct
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from conftest import wait_online
from system import PATIENCE_S, RawDevice, eventually, new_id
from test_requests import complete

from portacode import _wire

if TYPE_CHECKING:
    import httpx
    from conftest import World
    from system import Obedient, Server, Socket

# Payloads as they are written, which is how they have to arrive.
ODD_PAYLOADS = [
    "1759639032768445123",
    "18446744073709551616",
    "-170141183460469231731687303715884105729",
    "1.10",
    "0.1000000000000000055511151231257827",
    "1E2",
    '"caf\\udce9.txt"',
    '"\\ud83d\\udca1 \U0001f4a1 \\u0000"',
    '{"a":1,"a":[ 2 ]}',
    "[" * 120 + "]" * 120,
]


def ask_text(browser: Socket, device_id: str, payload: str, **more: Any) -> str:
    """Asks with a payload that is text."""
    request_id = new_id()
    message = {"event": "command", "request_id": request_id, "device_id": device_id}
    text = json.dumps({**message, "command": "echo", "trace": {}, **more})
    browser.send(f'{text[:-1]},"payload":{payload}}}')
    return request_id


def answer_text(device: RawDevice, request_id: str, payload: str) -> None:
    """Answers with one."""
    message = {"event": "response", "request_id": request_id, "delivery_id": new_id()}
    text = json.dumps({**message, "command": "echo", "status": "ok", "trace": {}})
    device.send(f'{text[:-1]},"payload":{payload}}}')


def next_text(socket_: Socket, event: str) -> str:
    """The next frame of this kind, as text."""
    while True:
        text = str(socket_.connection.recv(timeout=PATIENCE_S))
        if json.loads(text)["event"] == event:
            return text


# --- Connections that break


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
def test_a_response_reaches_the_browser_though_the_devices_connection_breaks_behind_it(
    world: World, server: Server, browser: Socket, device_id: str, reset: bool
) -> None:
    token = world.devices[0]["token"]
    for _ in range(5):
        device = RawDevice(server, token)
        wait_online(world, device_id)
        request_id = browser.ask(device_id)
        command = device.receive("command")
        sent = device.answer(command, payload="the answer")
        line = device.connection.socket
        if reset:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            line.close()
        else:
            line.shutdown(socket.SHUT_RDWR)
        # It comes back, and sends again what has no acknowledgement, byte for byte.
        with RawDevice(server, token) as again:
            again.send(sent)
            assert again.receive("ack")["delivery_id"] == sent["delivery_id"]
            response = browser.receive("response", request_id=request_id)
            assert (response["status"], response["payload"]) == ("ok", "the answer")
            assert browser.receives_none("response", within_s=0.2), "and once"
        assert world.user.get(f"/api/traces/{request_id}/").json()["status"] == "ok"


def test_a_rest_client_that_hangs_up_leaves_a_record_that_says_so(
    world: World, server: Server, device: RawDevice, device_id: str
) -> None:
    ask = world.user.client.build_request(
        "POST",
        f"/api/devices/{device_id}/commands/",
        json={"command": "echo"},
        headers={"X-CSRFToken": world.user._csrf()},
    )
    head = [f"{ask.method} {ask.url.path} HTTP/1.1", *(f"{k}: {v}" for k, v in ask.headers.items())]
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as line:
        line.sendall("\r\n".join([*head, "", ""]).encode() + ask.read())
        command = device.receive("command")

    def record() -> Any:
        return world.user.get(f"/api/traces/{command['request_id']}/").json()

    assert eventually(lambda: record()["status"] != "pending")
    assert (record()["status"], record()["error"]["code"]) == ("error", "disconnected")
    device.answer(command)
    device.receive("ack")
    assert record()["status"] == "ok", "what still comes is stored"
    assert "Traceback" not in server.log


def test_a_browser_that_leaves_leaves_a_record_that_says_so(
    world: World, device: RawDevice, device_id: str
) -> None:
    with world.user.browser() as leaving:
        request_id = leaving.ask(device_id)
        device.receive("command")

    def ended() -> Any:
        record = world.user.get(f"/api/traces/{request_id}/").json()
        return record if record["status"] != "pending" else None

    record = eventually(ended)
    assert (record["status"], record["error"]["code"]) == ("error", "disconnected")


def test_an_answer_that_is_stored_and_does_not_arrive_is_reported_for_what_it_is(
    world: World, server: Server, browser: Socket, device: RawDevice, device_id: str
) -> None:
    request_id = browser.ask(device_id)
    device.receive("command")
    # As another process does whose message to this one is lost.
    with contextlib.closing(sqlite3.connect(server.log_path.parent / "db.sqlite3")) as database:
        database.execute(
            "UPDATE data_tracerecord SET status = 'ok', delivery_id = ? WHERE request_id = ?",
            (new_id(), request_id),
        )
        database.commit()
    error = browser.receive("response", request_id=request_id)["error"]
    assert error["code"] == "timeout"
    assert "the device has answered" in error["message"]
    assert world.user.get(f"/api/traces/{request_id}/").json()["status"] == "ok"


# --- What is another's


def test_a_trace_is_finished_by_the_socket_that_asked_and_by_nobody_else(
    world: World, browser: Socket, obedient: Obedient, device_id: str
) -> None:
    request_id = browser.ask(device_id)
    record = complete(browser, browser.receive("response", request_id=request_id))
    assert obedient.obeyed
    message = {"event": "command", "request_id": request_id, "command": "x"}
    stamps = {"client_send": 1000.0, "max_error_ms": {"client_send": 1}}
    with world.stranger.browser() as stranger, world.user.browser() as other_page:
        for intruder in (stranger, other_page):
            # By a request of the same id, and without one.
            intruder.send({**message, "device_id": "nonsuch", "trace": stamps})
            assert intruder.receive("response")["error"]["code"] == "unknown_device"
            intruder.send({"event": "trace_complete", "request_id": request_id, "trace": stamps})
            intruder.send({"event": "trace_complete", "request_id": request_id, "trace": {}})
            assert intruder.receives_none("trace", within_s=0.3)
    assert world.user.get(f"/api/traces/{request_id}/").json() == record


def test_a_request_under_way_is_not_ended_by_another_who_uses_its_id(
    world: World, browser: Socket, device: RawDevice, device_id: str
) -> None:
    request_id = browser.ask(device_id)
    command = device.receive("command")
    with world.user.browser() as other:
        assert other.ask(device_id, request_id=request_id)
        assert other.receive("response")["error"]["code"] == "duplicate_request"
    device.answer(command)
    assert browser.receive("response", request_id=request_id)["status"] == "ok"
    assert world.user.get(f"/api/traces/{request_id}/").json()["status"] == "ok"


# --- What cannot be said again


@pytest.mark.parametrize("payload", ODD_PAYLOADS, ids=range(len(ODD_PAYLOADS)))
def test_a_payload_arrives_as_it_was_written_both_ways(
    browser: Socket, device: RawDevice, device_id: str, payload: str
) -> None:
    request_id = ask_text(browser, device_id, payload)
    assert _wire.parse(next_text(device, "command")).text("payload") == payload
    answer_text(device, request_id, payload)
    received = next_text(browser, "response")
    assert json.loads(received)["status"] == "ok"
    assert _wire.parse(received).text("payload") == payload


@pytest.mark.parametrize("payload", ODD_PAYLOADS, ids=range(len(ODD_PAYLOADS)))
def test_a_payload_arrives_as_it_was_written_over_http(
    world: World, device: RawDevice, device_id: str, payload: str
) -> None:
    answers: list[httpx.Response] = []

    def post() -> None:
        answers.append(
            world.user.client.post(
                f"/api/devices/{device_id}/commands/",
                content=f'{{"command": "echo", "payload": {payload}}}'.encode(),
                headers={"X-CSRFToken": world.user._csrf(), "Content-Type": "application/json"},
            )
        )

    asking = threading.Thread(target=post)
    asking.start()
    command = _wire.parse(next_text(device, "command"))
    answer_text(device, command["request_id"], command.text("payload"))
    asking.join()
    assert command.text("payload") == payload
    assert answers[0].status_code == 200
    assert _wire.parse(answers[0].text).text("payload") == payload


@pytest.mark.parametrize("depth", [128, 500, 900, 5000])
def test_what_is_nested_too_deeply_is_answered_and_costs_nobody_anything(
    browser: Socket, device: RawDevice, device_id: str, depth: int
) -> None:
    waiting = browser.ask(device_id)
    command = device.receive("command")
    deep = "[" * depth + "]" * depth
    ask_text(browser, device_id, deep)
    error = browser.receive("error")["error"]
    assert (error["code"], "128 deep" in error["message"]) == ("malformed", True)
    answer_text(device, command["request_id"], deep)
    assert device.receive("error")["error"]["code"] == "malformed"
    # Both connections, and what was under way over them, are as they were.
    device.answer(command)
    assert browser.receive("response", request_id=waiting)["status"] == "ok"


# --- Limits on both sides of an encoding


def test_what_fits_into_a_frame_of_ours_fits_into_the_next_one(
    browser: Socket, device: RawDevice, device_id: str
) -> None:
    text = "\U0001f4a1" * 10_000
    request_id = ask_text(browser, device_id, f'"{text}"')
    frame = next_text(device, "command")
    assert len(frame.encode()) < 45_000
    answer_text(device, request_id, f'"{text}"')
    received = next_text(browser, "response")
    assert json.loads(received)["payload"] == text
    assert len(received.encode()) < 45_000


def test_what_does_not_fit_with_its_stamps_is_answered_at_once(
    world: World, browser: Socket, device: RawDevice, device_id: str
) -> None:
    most = 65_536
    frame = len(json.dumps({"event": "command", "request_id": new_id(), "device_id": device_id}))
    request_id = ask_text(browser, device_id, '"' + "x" * (most - frame - 100) + '"')
    response = browser.receive("response", request_id=request_id)
    assert response["error"]["code"] == "too_large"
    assert f"{most} are the most" in response["error"]["message"]
    record = world.user.get(f"/api/traces/{request_id}/").json()
    assert (record["status"], record["error"]["code"]) == ("error", "too_large")
    assert device.receives_none("command", within_s=0.2)


# --- What is sent too often


def test_news_of_a_device_are_taken_so_often_and_passed_on_less_often(
    browser: Socket, device: RawDevice
) -> None:
    browser.receive("devices")
    began_s = time.monotonic()
    for number in range(100):
        about = {"name": f"n{number}", "version": "1", "platform": "", "commands": []}
        device.send({"event": "hello", "device": about, "clock": {}})
    assert device.receive("error")["error"]["code"] == "rate_limited"
    assert device.close_code()[0] == 4429
    assert browser.receives_none("never")
    received = sum(message["event"] == "devices" for message in browser.kept)
    assert 0 < received < 8 + 2 * (time.monotonic() - began_s)
