"""A request through browser's socket, server and device, and all that can come of it."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from system import RawDevice, new_id

from portacode.trace import KEYS, Trace

if TYPE_CHECKING:
    from conftest import World
    from system import Obedient, Server, Socket


def complete(browser: Socket, response: dict[str, Any]) -> dict[str, Any]:
    """Hands the trace back as a browser does; returns the record that dashboards receive."""
    trace = dict(response["trace"])
    trace["client_receive"] = trace["server_send_response"] + 1.0
    for name, value in (("max_error_ms", 0.5), ("epoch", 1), ("entities", "browser")):
        trace[name] = {**trace[name], "client_receive": value}
    request_id = response["request_id"]
    browser.send({"event": "trace_complete", "request_id": request_id, "trace": trace})
    return browser.receive_record(request_id)


def test_a_request_comes_back_with_the_servers_stamps_in_order(
    browser: Socket, obedient: Obedient, device_id: str
) -> None:
    payload = {"text": "grüß dich \x00 😀", "number": 0.1}
    request_id = browser.ask(device_id, payload=payload)
    response = browser.receive("response", request_id=request_id)
    assert (response["status"], response["payload"]) == ("ok", payload)
    assert response["device_id"] == device_id
    trace = Trace.from_message(response["trace"])
    stamps = [
        "server_receive",
        "server_send",
        "server_receive_response",
        "server_send_response",
    ]
    times = [stamp.time_ms or 0 for key in stamps if (stamp := trace.get(key))]
    assert len(times) == len(stamps)
    assert times == sorted(times)
    assert trace.problems() == []
    assert len({trace.entity(key) for key in stamps}) == 1
    assert list(trace.unsynced.values()) == ["no clock in this test"] * 5
    assert obedient.obeyed[-1]["command"] == "echo"


def test_a_finished_trace_is_stored_and_sent_to_all_dashboards_of_its_owner(
    world: World, browser: Socket, obedient: Obedient, device_id: str
) -> None:
    del obedient
    with world.user.browser("/ws/projects/demo/") as project, world.stranger.browser() as stranger:
        project.receive("devices")
        request_id = browser.ask(device_id)
        record = complete(browser, browser.receive("response", request_id=request_id))
        assert record["status"] == "ok"
        assert record["ping_ms"] > 0
        assert project.receive("trace")["trace_record"] == record
        assert stranger.receives_none("trace")
    assert world.user.get(f"/api/traces/{request_id}/").json() == record
    assert world.stranger.get(f"/api/traces/{request_id}/").status_code == 404


def test_counters_are_kept_under_the_names_of_those_who_have_them(
    browser: Socket, device: RawDevice, device_id: str
) -> None:
    own = "5e884898da280471"
    now = time.time_ns() / 1e6
    asked = {"client_send": now, "counter": {"client_send": f"{own}~500"}}
    asked["counter_ns"] = {"client_send": "7"}
    request_id = browser.ask(device_id, trace={**asked, "links": [{"forged": True}]})
    command = device.receive("command", request_id=request_id)
    sent = command["trace"]
    browsers = sent["counter"]["client_send"]
    assert re.fullmatch(f"browser:[0-9]+/{own}~500", browsers)
    # The server's own has no scope.
    servers = sent["counter"]["server_receive"]
    assert re.fullmatch("[0-9a-f]{16}", servers)
    assert sent["counter"]["server_send"] == servers
    assert int(sent["counter_ns"]["server_receive"]) < int(sent["counter_ns"]["server_send"])
    assert "links" not in sent

    # The device says what it will of others' counters: what counts is what it says of its own.
    sent["counter"] |= {"device_receive": own, "device_send": f"device:{device_id}/{own}"}
    sent["counter_ns"] |= {"device_receive": "8", "device_send": "9", "client_send": "999"}
    device.answer(command)
    record = complete(browser, browser.receive("response", request_id=request_id))
    counters, values = record["trace"]["counter"], record["trace"]["counter_ns"]
    assert counters["device_receive"] == counters["device_send"] == f"device:{device_id}/{own}"
    assert (counters["client_send"], values["client_send"]) == (browsers, "7")
    assert counters["server_send_response"] == counters["server_receive"] == servers
    ours = [int(values[key]) for key in KEYS if counters.get(key) == servers]
    assert ours == sorted(ours)
    assert len(ours) == 4


def test_a_device_that_speaks_of_anothers_counter_is_believed_none_of_its_stamps(
    server: Server, browser: Socket, device: RawDevice, device_id: str
) -> None:
    request_id = browser.ask(device_id)
    command = device.receive("command", request_id=request_id)
    servers = command["trace"]["counter"]["server_send"]
    for claimed in ("browser:1/5e884898da280471~500", f"server/{servers}"):
        for name, value in (("counter", claimed), ("counter_ns", "5")):
            command["trace"][name] = {**command["trace"][name], "device_send": value}
        device.answer(command)
        assert device.receive("ack")
        assert server.has_logged("trace.counter.device_send is a counter in the scope of another")
    response = browser.receive("response", request_id=request_id)
    assert response["status"] == "ok"
    assert set(response["trace"]["counter"].values()) == {servers}


def test_progress_comes_before_the_response(
    browser: Socket, device: RawDevice, device_id: str
) -> None:
    request_id = browser.ask(device_id, "slow")
    command = device.receive("command")
    device.send({"event": "progress", "request_id": request_id, "payload": {"done": 1}})
    progress = browser.receive("progress", request_id=request_id)
    assert (progress["payload"], progress["device_id"]) == ({"done": 1}, device_id)
    device.answer(command)
    assert browser.receive("response", request_id=request_id)["status"] == "ok"


def test_progress_has_the_servers_own_stamp_and_not_what_the_device_gives_back(
    browser: Socket, device: RawDevice, device_id: str
) -> None:
    request_id = browser.ask(device_id, "slow")
    trace = device.receive("command")["trace"]
    sent = {name: trace[name]["server_send"] for name in ("counter", "counter_ns")}
    forged = {**trace, "counter_ns": {**trace["counter_ns"], "server_send": "1"}}
    device.send({"event": "progress", "request_id": request_id, "trace": forged})
    progress = browser.receive("progress", request_id=request_id)["trace"]
    assert {name: progress[name]["server_send"] for name in sent} == sent


def test_an_error_of_the_device_is_a_response_with_its_trace(
    browser: Socket, device: RawDevice, device_id: str
) -> None:
    request_id = browser.ask(device_id, "dig")
    error = {"code": "unknown_command", "message": "no handler for dig"}
    device.answer(device.receive("command"), status="error", error=error, payload=None)
    response = browser.receive("response", request_id=request_id)
    assert (response["status"], response["error"]) == ("error", error)
    assert "server_receive_response" in response["trace"]


def test_a_response_that_is_sent_again_is_acknowledged_and_dropped(
    world: World, browser: Socket, device: RawDevice, device_id: str
) -> None:
    request_id = browser.ask(device_id)
    sent = device.answer(device.receive("command"))
    assert device.receive("ack")["delivery_id"] == sent["delivery_id"]
    response = browser.receive("response", request_id=request_id)
    record = complete(browser, response)
    device.send(sent)
    assert device.receive("ack")["delivery_id"] == sent["delivery_id"]
    # Nor a second answer of another id.
    device.send({**sent, "delivery_id": new_id(), "payload": "another"})
    device.receive("ack")
    assert browser.receives_none("response")
    assert world.user.get(f"/api/traces/{request_id}/").json() == record


def test_a_device_that_connects_again_delivers_what_it_was_asked_before(
    server: Server, world: World, browser: Socket, device: RawDevice, device_id: str
) -> None:
    request_id = browser.ask(device_id)
    command = device.receive("command")
    with RawDevice(server, world.devices[0]["token"]) as again:
        assert device.close_code() == (4409, "the device has another connection")
        sent = again.answer(command)
        assert again.receive("ack")["delivery_id"] == sent["delivery_id"]
        response = browser.receive("response", request_id=request_id)
    assert response["trace"]["server_send"] == command["trace"]["server_send"]


def test_what_the_device_does_not_answer_in_time_is_a_timeout_and_stored_when_it_comes(
    world: World, browser: Socket, device: RawDevice, device_id: str
) -> None:
    request_id = browser.ask(device_id)
    command = device.receive("command")
    response = browser.receive("response", request_id=request_id)
    assert response["error"]["code"] == "timeout"
    assert list(Trace.from_message(response["trace"]).hops())[-1].end == "server_send_response"
    assert world.user.get(f"/api/traces/{request_id}/").json()["status"] == "timeout"
    device.answer(command)
    device.receive("ack")
    assert browser.receives_none("response")
    stored = world.user.get(f"/api/traces/{request_id}/").json()
    assert stored["status"] == "ok"
    assert "server_receive_response" in stored["trace"]


def test_a_device_that_is_not_there_is_offline_at_once(world: World, browser: Socket) -> None:
    request_id = browser.ask(world.devices[1]["id"])
    response = browser.receive("response", request_id=request_id)
    assert (response["status"], response["error"]["code"]) == ("error", "device_offline")
    record = complete(browser, response)
    assert (record["status"], record["error"]["code"]) == ("error", "device_offline")


def test_a_request_id_can_be_used_once(browser: Socket, obedient: Obedient, device_id: str) -> None:
    request_id = browser.ask(device_id)
    browser.receive("response", request_id=request_id)
    browser.ask(device_id, request_id=request_id)
    assert browser.receive("error")["error"]["code"] == "duplicate_request"
    assert [command["request_id"] for command in obedient.obeyed].count(request_id) == 1


def test_a_browser_that_leaves_before_the_end_leaves_what_is_known(
    world: World, device: RawDevice, device_id: str
) -> None:
    with world.user.browser() as browser:
        request_id = browser.ask(device_id)
        command = device.receive("command")
    device.answer(command)
    device.receive("ack")
    stored = world.user.get(f"/api/traces/{request_id}/").json()
    assert (stored["status"], stored["complete"]) == ("ok", False)
    assert "server_receive_response" in stored["trace"]


def test_nobody_stamps_for_another(browser: Socket, device: RawDevice, device_id: str) -> None:
    lie = 1_000.0
    request_id = new_id()
    trace = {"server_receive": lie, "device_send": lie, "client_send": 5.0}
    message = {"event": "command", "request_id": request_id, "device_id": device_id}
    browser.send({**message, "command": "echo", "trace": trace})
    command = device.receive("command")
    assert command["trace"]["server_receive"] > lie
    assert "device_send" not in command["trace"]
    device.answer(command, trace={**command["trace"], "client_send": lie, "server_send": lie})
    reported = browser.receive("response", request_id=request_id)["trace"]
    assert reported["client_send"] == 5.0
    assert reported["server_send"] == command["trace"]["server_send"]
