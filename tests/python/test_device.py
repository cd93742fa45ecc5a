"""The device as a process: what it answers, and what a server may do to it."""

from __future__ import annotations

import json
import secrets
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from device_gateway import Device, Gateway
from support import eventually

import portacode
from portacode.trace import DEVICE_KEYS, KEYS, Order, Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Start = Callable[..., Device]

OWN = ("--handlers", "device_handlers:HANDLERS")


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    gateway = Gateway()
    gateway.start()
    yield gateway
    gateway.stop()


@pytest.fixture
def start(gateway: Gateway, time_server: str, tmp_path: Path) -> Iterator[Start]:
    """Starts devices with these arguments, connected where the gateway lets them."""
    devices: list[Device] = []

    def start(*arguments: str, ntp_server: str = time_server, **variables: str) -> Device:
        devices.append(Device(gateway, ntp_server, tmp_path, *arguments, **variables))
        return devices[-1]

    yield start
    for device in devices:
        device.end()


def test_a_device_says_who_it_is_and_answers_with_all_its_stamps(
    gateway: Gateway, start: Start
) -> None:
    start("--name", "lathe")
    assert gateway.connected(1)
    hello = gateway.hellos[0]
    assert hello["device"]["name"] == "lathe"
    assert hello["device"]["version"] == portacode.__version__
    assert hello["device"]["commands"] == ["echo", "slow_task", "system_info"]
    assert hello["outbox"] == {"waiting": 0, "dropped": 0}
    assert set(hello["clock"]) >= {"server", "is_synced", "offset_ms", "max_error_ms"}
    synced(gateway)

    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    before_ms = time.time_ns() / 1e6
    payload = {"text": "grüße 💡", "half": "\ud83d", "more": [1, 2.5, None]}
    response = gateway.ask(
        "echo",
        payload,
        traceparent=traceparent,
        trace={"client_send": 1000.5, "client_receive": 1.0, "note": "kept"},
    )
    after_ms = time.time_ns() / 1e6
    assert (response["status"], response["payload"]) == ("ok", payload)
    assert response["traceparent"] == traceparent
    trace = Trace.from_message(response["trace"])
    assert response["trace"]["client_send"] == 1000.5
    assert "client_receive" not in response["trace"], "nobody speaks for another"
    assert response["trace"]["note"] == "kept"
    made = [key for key in KEYS if key in DEVICE_KEYS]
    for key in made:
        stamp = trace.get(key)
        assert stamp is not None
        assert stamp.time_ms is not None
        assert stamp.max_error_ms is not None
        assert before_ms - stamp.max_error_ms <= stamp.time_ms <= after_ms + stamp.max_error_ms
        assert stamp.raw_ms is not None
        assert before_ms <= stamp.raw_ms <= after_ms
        assert trace.entity(key) == "device:12"
    for earlier, later in zip(made, made[1:]):
        assert trace.order(earlier, later) is not Order.CERTAINLY_AFTER
    assert trace.problems() == []


def test_a_device_compares_its_counter_with_the_servers_and_again_over_each_connection(
    gateway: Gateway, start: Start
) -> None:
    start()
    assert gateway.connected(1)
    assert eventually(lambda: len(gateway.exchanges[0]) >= 3)
    gateway.cut()
    assert gateway.connected(2)
    assert eventually(lambda: len(gateway.exchanges[1]) >= 2)
    first, second = gateway.exchanges
    assert {message["counter"] for message in (*first, *second)} == {first[0]["counter"]}
    for one, next_one in (*zip(first, first[1:]), second[:2]):
        answer = next_one["last"]
        assert answer["request_id"] == one["request_id"]
        assert int(one["sent"]) < int(answer["received"]) < int(next_one["sent"])
    assert "last" not in first[0]
    assert "last" not in second[0], "that was over another connection"
    pauses = [(int(b["sent"]) - int(a["sent"])) / 1e9 for a, b in zip(first, first[1:])]
    assert min(pauses) > 0.49, "never more often than the document says"


def test_a_server_that_compares_nothing_has_its_requests_answered_as_ever(
    gateway: Gateway, start: Start
) -> None:
    gateway.compares = False
    start()
    assert gateway.connected(1)
    assert eventually(lambda: len(gateway.exchanges[0]) >= 2)
    assert gateway.ask("echo", 7)["payload"] == 7
    assert all("last" not in message for message in gateway.exchanges[0])
    assert len(gateway.hellos) == 1


def test_a_slow_task_tells_how_far_it_is_before_it_answers(gateway: Gateway, start: Start) -> None:
    start()
    assert gateway.connected(1)
    response = gateway.ask("slow_task", {"seconds": 0.4, "steps": 4})
    assert response["payload"] == {"seconds": 0.4, "steps": 4}
    assert [message["payload"]["done"] for message in gateway.progress] == [0, 1, 2, 3]
    assert {message["request_id"] for message in gateway.progress} == {response["request_id"]}
    events = [json.loads(frame)["event"] for frame in gateway.frames]
    assert events[-1] == "response"
    trace = Trace.from_message(gateway.progress[0]["trace"])
    assert trace.get("handler_dispatch") is not None
    assert trace.get("handler_complete") is None


@pytest.mark.parametrize(
    "payload",
    [
        "x",
        [1],
        *({"seconds": wrong} for wrong in (-1, 61, "3", True)),
        *({"steps": wrong} for wrong in (0, 101, 1.5)),
    ],
)
def test_a_slow_task_says_what_is_wrong_with_its_payload(
    gateway: Gateway, start: Start, payload: object
) -> None:
    start()
    error = gateway.ask("slow_task", payload)["error"]
    assert error["code"] == "bad_payload"
    assert "seconds" in error["message"] or "steps" in error["message"]


def test_system_information_is_there(gateway: Gateway, start: Start) -> None:
    start()
    answer = gateway.ask("system_info")["payload"]
    assert answer["cpus"] >= 1
    assert answer["memory"]["total_bytes"] > answer["memory"]["available_bytes"] > 0
    assert answer["disk"]["free_bytes"] >= 0
    assert answer["uptime_s"] > 0
    assert answer["process"]["pid"] > 1
    assert answer["portacode"] == portacode.__version__


def test_without_synchronised_time_stamps_are_absent_and_the_trace_says_why(
    gateway: Gateway, start: Start, silent: str
) -> None:
    start(ntp_server=silent)
    response = gateway.ask("echo", 1)
    assert response["status"] == "ok"
    assert not DEVICE_KEYS & set(response["trace"])
    assert set(response["trace"]["unsynced"]) == DEVICE_KEYS
    assert set(response["trace"]["raw"]) == DEVICE_KEYS


def test_a_handler_that_fails_answers_with_an_error_and_its_trace(
    gateway: Gateway, start: Start
) -> None:
    device = start(*OWN)
    synced(gateway)
    expected: list[tuple[str, object, str, str]] = [
        ("crash", None, "handler_failed", "RuntimeError: a defect of the handler"),
        ("exit", None, "handler_failed", "SystemExit: 3"),
        ("choosy", None, "no_such_file", "there is no file of this name"),
        ("no_json", "nan", "handler_failed", "not JSON"),
        ("no_json", None, "handler_failed", "not JSON"),
        ("huge", None, "too_large", "65536 are the most"),
        ("stuck", None, "handler_timeout", "stuck took over 0.3 s"),
        ("stubborn", None, "handler_timeout", "stubborn took over 0.2 s"),
        ("no_such", None, "unknown_command", "there are: choosy, crash, echo"),
    ]
    for command, payload, code, text in expected:
        response = gateway.ask(command, payload)
        assert (response["status"], response["error"]["code"]) == ("error", code), response
        assert text in response["error"]["message"]
        assert "payload" not in response
        known = code != "unknown_command"
        wanted = DEVICE_KEYS if known else {"device_receive", "device_send"}
        assert wanted <= set(response["trace"]), response
    assert gateway.ask("echo", "still there")["payload"] == "still there"
    assert "a defect of the handler" in device.log
    assert "Traceback" in device.log


def test_stuck_handlers_are_bounded_and_the_others_are_reported(
    gateway: Gateway, start: Start
) -> None:
    start(*OWN)
    requests = [gateway.command("stuck") for _ in range(100)]
    codes = [gateway.response(request)["error"]["code"] for request in requests[80:]]
    assert codes == ["busy"] * 20, "16 run and 64 wait"
    first = [gateway.response(request)["error"]["code"] for request in requests[:16]]
    assert first == ["handler_timeout"] * 16
    assert gateway.ask("echo")["error"]["code"] == "busy", "the threads are stuck for good"


def test_malformed_messages_are_dropped_and_answered_where_somebody_waits(
    gateway: Gateway, start: Start
) -> None:
    device = start()
    request_id = secrets.token_hex(16)
    bad: list[str | bytes | dict[str, Any]] = [
        "",
        "no json",
        b"\x00\x01",
        "[1, 2]",
        "null",
        "[" * 60_000,
        '{"event": "command", "payload": NaN}',
        '{"event": 5}',
        '{"event": "ack"}',
        '{"event": "ack", "delivery_id": "x"}',
        {"event": "ack", "delivery_id": secrets.token_hex(16)},
        {"event": "command", "request_id": "short", "command": "echo"},
        {"event": "command", "request_id": request_id.upper(), "command": "echo"},
        {"event": "error", "error": "what"},
        {"event": "error", "error": {"code": "rate_limited", "message": "slower"}},
        {"event": "something_new", "payload": 1},
        "x" * 70_000,
        json.dumps({"event": "x", "pad": "é" * 40_000}, ensure_ascii=False),
    ]
    for frame in bad:
        gateway.send(frame)
    waited_for: list[tuple[dict[str, Any], str]] = [
        ({"command": 5}, "command is not text"),
        ({"command": ""}, "command is not text"),
        ({"command": "x" * 129}, "command is not text"),
        ({"command": "echo", "device_id": 12}, "device_id is not text"),
        ({"command": "echo", "trace": []}, "trace is not an object"),
        ({"command": "echo", "trace": {"client_send": "x"}}, "trace.client_send"),
        ({"command": "echo", "trace": {"deep": "x" * 9_000}}, "unknown keys"),
    ]
    for payload in ("x" * 70_000, "\U0001f4a1" * 17_000):
        error = gateway.ask("echo", payload)["error"]
        assert error["code"] == "too_large"
        assert "65536 are the most" in error["message"]
    for fields, text in waited_for:
        request_id = secrets.token_hex(16)
        gateway.send({"event": "command", "request_id": request_id, **fields})
        error = gateway.response(request_id)["error"]
        assert error["code"] == "malformed"
        assert text in error["message"]
    assert gateway.ask("echo", "fine")["payload"] == "fine"
    assert len(gateway.hellos) == 1, "none of it cost the connection"
    assert device.says("rate_limited: slower")
    assert device.log.count("malformed message was dropped") >= 13
    assert "Traceback" not in device.log


def test_a_command_that_comes_twice_is_executed_once(gateway: Gateway, start: Start) -> None:
    start(*OWN)
    request_id = gateway.command("sleep", 0.5)
    gateway.send({"event": "command", "request_id": request_id, "command": "echo", "payload": 1})
    assert gateway.response(request_id)["payload"] == {"slept": 0.5}
    assert gateway.ask("echo", 2)["payload"] == 2
    assert len(gateway.deliveries) == 2


def test_no_response_is_lost_or_changed_when_the_server_goes_away_at_any_moment(
    gateway: Gateway, start: Start
) -> None:
    start(*OWN)
    requests = []
    for cut_after in (0, 3, 7):
        assert gateway.connected(len(gateway.hellos) or 1)
        gateway.deliveries.clear()
        gateway.cut_after = cut_after
        hellos = len(gateway.hellos)
        requests += [gateway.command("sleep", 0.3) for _ in range(12)]
        assert gateway.connected(hellos + 1), "it comes back"
    for request_id in requests:
        assert gateway.response(request_id)["payload"] == {"slept": 0.3}
    by_delivery: dict[str, set[str]] = {}
    for frame in gateway.frames:
        message = json.loads(frame)
        if message["event"] == "response":
            by_delivery.setdefault(message["delivery_id"], set()).add(frame)
    assert len(by_delivery) == len(requests), "each has one delivery, however often it came"
    assert all(len(frames) == 1 for frames in by_delivery.values()), "byte for byte"


def test_a_server_that_is_down_is_found_again_with_growing_pauses(
    gateway: Gateway, start: Start
) -> None:
    device = start(*OWN)
    assert gateway.connected(1)
    request_id = gateway.command("sleep", 0.5)
    time.sleep(0.1)
    gateway.stop()
    assert device.says("trying again in")
    time.sleep(1.5)
    gateway.start()
    assert gateway.connected(2)
    assert gateway.response(request_id)["payload"] == {"slept": 0.5}
    assert gateway.hellos[1]["outbox"]["waiting"] == 1


def test_what_is_not_acknowledged_survives_a_kill_in_the_outbox_file(
    gateway: Gateway, start: Start, tmp_path: Path
) -> None:
    outbox = tmp_path / "state" / "outbox"
    gateway.acks = False
    device = start("--outbox", str(outbox))
    requests = [gateway.command("echo", number) for number in range(50)]
    for request_id in requests:
        gateway.response(request_id)
    device.process.kill()
    device.process.wait()
    first = dict(gateway.responses)
    gateway.responses.clear()
    assert outbox.stat().st_mode & 0o077 == 0, "for nobody else to read"

    gateway.acks = True
    device = start("--outbox", str(outbox))
    for request_id in requests:
        gateway.response(request_id)
    assert gateway.responses == first, "the same deliveries"
    assert gateway.hellos[-1]["outbox"]["waiting"] == 50
    second = start("--outbox", str(outbox))
    assert second.ended().code == 2
    assert "another device has this outbox" in second.log
    device.process.send_signal(signal.SIGTERM)
    assert device.ended().code == 0
    assert outbox.read_text() == "" or '"gone"' in outbox.read_text()
    third = start("--outbox", str(outbox))
    assert gateway.connected(3)
    assert gateway.hellos[-1]["outbox"]["waiting"] == 0
    third.process.send_signal(signal.SIGTERM)
    assert third.ended().code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_handlers_end_and_delivers_what_they_give(
    gateway: Gateway, start: Start, number: signal.Signals
) -> None:
    device = start(*OWN)
    slow = gateway.command("sleep", 1.0)
    assert eventually(lambda: len(gateway.progress) > 0)
    device.process.send_signal(number)
    assert device.says("a second Ctrl-C or SIGTERM stops at once")
    late = gateway.command("echo", 1)
    assert gateway.response(late)["error"]["code"] == "shutting_down"
    assert gateway.response(slow)["payload"] == {"slept": 1.0}
    assert device.ended().code == 0


def test_a_device_that_ends_in_good_order_closes_its_connection_as_one_that_does(
    gateway: Gateway, start: Start
) -> None:
    device = start()
    assert gateway.connected(1)
    device.process.terminate()
    assert device.ended().code == 0
    assert eventually(lambda: gateway.ends == [1000])


def test_a_handler_that_outlasts_the_grace_is_answered_for(gateway: Gateway, start: Start) -> None:
    device = start(*OWN, "--grace", "0.5")
    slow = gateway.command("sleep", 20)
    slower = gateway.command("slow_task", {"seconds": 60})
    assert eventually(lambda: len(gateway.progress) > 1)
    device.process.terminate()
    for request_id in (slow, slower):
        assert gateway.response(request_id)["error"]["code"] == "shutting_down"
    assert device.ended().code == 0


def test_what_cannot_be_delivered_in_the_end_is_said(gateway: Gateway, start: Start) -> None:
    gateway.acks = False
    device = start("--grace", "0.3")
    gateway.ask("echo", 1)
    device.process.terminate()
    ended = device.ended()
    assert ended.code == 1
    assert "1 responses could not be delivered, and are lost" in ended.log


def test_a_second_signal_ends_it_at_once(gateway: Gateway, start: Start) -> None:
    device = start(*OWN)
    gateway.command("sleep", 20)
    assert eventually(lambda: len(gateway.progress) > 0)
    device.process.send_signal(signal.SIGINT)
    assert device.says("a second Ctrl-C or SIGTERM stops at once")
    device.process.send_signal(signal.SIGINT)
    assert device.ended(within_s=30).code == 130
    assert "Traceback" not in device.log


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (4401, "does not know this token"),
        (4403, "may not connect"),
        (4409, "another process has connected with this token"),
        (4429, "too many"),
    ],
)
def test_a_refusal_after_connecting_is_reported_and_not_hammered(
    gateway: Gateway, start: Start, code: int, text: str
) -> None:
    device = start()
    assert gateway.connected(1)
    gateway.close(code, "so it is")
    assert device.says(text)
    assert f"({code}, so it is); trying again in " in device.log
    pause_s = float(device.log.rsplit("trying again in ", 1)[1].split(" ")[0])
    assert pause_s >= 60
    assert len(gateway.handshakes) == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--token", "wrong"), "does not know this token (HTTP 401, unknown token)"),
        (("--server", "{url}/elsewhere"), "check the path of the URL (HTTP 404, no gateway"),
    ],
)
def test_a_refused_handshake_is_reported_and_not_hammered(
    gateway: Gateway, start: Start, arguments: tuple[str, ...], text: str
) -> None:
    device = start(*[argument.format(url=gateway.url) for argument in arguments])
    assert device.says(text)
    assert float(device.log.rsplit("trying again in ", 1)[1].split(" ")[0]) >= 60
    device.process.terminate()
    assert device.ended().code == 0, "also while it waits"
    assert len(gateway.handshakes) == 1


def test_a_refused_token_is_reported_once_and_never_called_connected(
    gateway: Gateway, start: Start
) -> None:
    gateway.closes = (4401, "unknown or revoked token")
    device = start()
    assert device.says("trying again in ")
    assert "connected to" not in device.log, device.log
    (line,) = (line for line in device.log.splitlines() if "trying again" in line)
    assert "refused: the server does not know this token (4401, unknown or revoked" in line
    assert 60 <= float(line.rsplit("trying again in ", 1)[1].split(" ")[0]) <= 90
    assert len(gateway.handshakes) == 1


def test_a_server_that_takes_the_token_is_called_connected(gateway: Gateway, start: Start) -> None:
    device = start()
    assert device.says(f"INFO connected to {gateway.url}/ws/devices/")


def test_a_server_without_tls_and_one_that_is_not_there_are_reported(
    gateway: Gateway, start: Start
) -> None:
    hangs_up = start("--server", gateway.url.replace("ws:", "https:"))
    assert hangs_up.says("should the URL begin with http://?; trying again in")
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        answers = start("--server", f"https://127.0.0.1:{server.server_port}")
        assert answers.says(
            "the server there does not use TLS: should the URL begin with http://?; trying again in"
        )
        plain = start("--server", f"http://127.0.0.1:{server.server_port}")
        assert plain.says("the server there is not a portacode gateway: ")
        server.shutdown()
    gateway.stop()
    absent = start("--server", gateway.url)
    assert absent.says("nothing listens there: is the server running?; trying again in")
    assert "Traceback" not in absent.log


def test_a_proxy_that_refuses_or_is_not_there_is_reported_and_not_taken_for_the_server(
    gateway: Gateway, start: Start
) -> None:
    class Refusing(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            self.send_error(403)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        named = f"127.0.0.1:{proxy.server_port}"
        refused = start(http_proxy=f"http://user:secret@{named}")
        assert refused.says(f"by way of the proxy http://{named}: proxy rejected")
        assert refused.says("see the variables http_proxy, https_proxy and no_proxy; trying again")
        assert "secret" not in refused.log
        proxy.shutdown()
    absent = start(http_proxy=f"http://{named}")
    assert absent.says(f"by way of the proxy http://{named}: ")
    assert "is the server running" not in absent.log
    start(http_proxy=f"http://{named}", no_proxy="127.0.0.1")
    assert gateway.connected(1)


def synced(gateway: Gateway) -> None:
    """Waits until the device's clock is."""

    def stamped() -> bool:
        return "device_send" in gateway.ask("echo")["trace"]

    assert eventually(stamped)
