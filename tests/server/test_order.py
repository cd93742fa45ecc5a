"""Which of two stamps came first, by REST: of one trace, of two, of one machine or of several."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest
from links import MS, Comparing
from system import fetch

from portacode.trace import DEVICE_KEYS, KEYS

if TYPE_CHECKING:
    from conftest import World
    from system import RawDevice, Socket


class Pair:
    """A page and a device that compare their counters, whose requests have all their stamps."""

    def __init__(self, page: Socket, device: RawDevice, device_id: str) -> None:
        self.page, self.device, self.device_id = page, device, device_id
        self.of_page = Comparing(page, f"{secrets.token_hex(8)}~500", 7_000 * MS)
        self.of_device = Comparing(device, ahead_ns=1_000 * MS)
        # How far ahead it is by the counter of each entity, by the name that the entity has for it.
        self.ahead_ns = {
            **dict.fromkeys(KEYS, 0),
            **dict.fromkeys(DEVICE_KEYS, self.of_device.ahead_ns),
            "client_send": self.of_page.ahead_ns,
            "client_receive": self.of_page.ahead_ns,
        }
        for _ in range(4):
            self.of_page.exchange()
            self.of_device.exchange()

    def ask(self) -> dict[str, Any]:
        """One request; gives its record."""
        trace = self.of_page.stamped("client_send", {})
        request_id = self.page.ask(self.device_id, trace=trace)
        command = self.device.receive("command", request_id=request_id)
        trace = command["trace"]
        for key in KEYS:
            if key in DEVICE_KEYS:
                trace = self.of_device.stamped(key, trace)
        self.device.answer(command, trace=trace)
        response = self.page.receive("response", request_id=request_id)
        trace = self.of_page.stamped("client_receive", response["trace"])
        done = {"event": "trace_complete", "request_id": request_id, "trace": trace}
        self.page.send(done)
        return self.page.receive_record(request_id)

    def truly_ms(self, a: tuple[dict[str, Any], str], b: tuple[dict[str, Any], str]) -> float:
        """What lies between two stamps, by the counter that all of them have."""
        moments = [
            int(record["trace"]["counter_ns"][key]) - self.ahead_ns[key] for record, key in (a, b)
        ]
        return (moments[1] - moments[0]) / MS


@pytest.fixture
def pair(browser: Socket, device: RawDevice, device_id: str) -> Pair:
    return Pair(browser, device, device_id)


def order(world: World, *stamps: tuple[dict[str, Any], str]) -> dict[str, Any]:
    named = [f"{record['request_id']}:{key}" for record, key in stamps]
    answer = world.user.get("/api/order/", a=named[0], b=named[1])
    assert answer.status_code == 200, answer.text
    relation: dict[str, Any] = answer.json()
    return relation


def test_stamps_of_one_counter_are_in_its_order_and_as_far_apart_as_it_says(
    world: World, pair: Pair
) -> None:
    record = pair.ask()
    a, b = (record, "server_receive"), (record, "server_send")
    relation = order(world, a, b)
    assert (relation["order"], relation["by"]) == ("certainly_before", "clock")
    assert relation["lower_ms"] <= pair.truly_ms(a, b) <= relation["upper_ms"]
    # An oscillator may be off by 500 ppm.
    assert relation["upper_ms"] - relation["lower_ms"] < 1.1e-3 * relation["upper_ms"] + 0.001
    assert order(world, b, a)["order"] == "certainly_after"


def test_within_a_trace_each_verdict_is_true_and_names_what_it_rests_on(
    world: World, pair: Pair
) -> None:
    record = pair.ask()
    assert (record["complete"], record["problems"]) == (False, 0), "the tests' stamps have no time"
    for earlier, later in zip(KEYS, KEYS[1:]):
        a, b = (record, earlier), (record, later)
        relation = order(world, a, b)
        assert relation["order"] == "certainly_before", (earlier, later, relation)
        assert relation["by"] in ("clock", "cause")
        assert relation["rests_on"]
        assert relation["lower_ms"] - 1e-6 <= pair.truly_ms(a, b) <= relation["upper_ms"] + 1e-6


def test_what_one_request_did_came_before_what_another_one_did(world: World, pair: Pair) -> None:
    first = pair.ask()
    pair.of_page.exchange()
    pair.of_device.exchange()
    second = pair.ask()
    for a_key, b_key in (
        ("device_send", "server_receive"),
        ("device_receive", "client_send"),
        ("client_receive", "device_receive"),
        ("server_receive", "device_send"),
    ):
        a, b = (first, a_key), (second, b_key)
        relation = order(world, a, b)
        assert relation["lower_ms"] <= pair.truly_ms(a, b) <= relation["upper_ms"]
        assert (relation["order"], relation["by"]) == ("certainly_before", "clock"), (
            a_key,
            b_key,
            relation,
        )
        assert any(reason.startswith("link ") for reason in relation["rests_on"])
        assert order(world, b, a)["order"] == "certainly_after"


def test_a_device_of_many_counters_costs_no_trace_and_not_the_pages_link(
    world: World, pair: Pair
) -> None:
    records = []
    for _ in range(3):
        # One for each stamp that it makes, all of them known to the server.
        trace = pair.of_page.stamped("client_send", {})
        request_id = pair.page.ask(pair.device_id, trace=trace)
        command = pair.device.receive("command", request_id=request_id)
        trace = command["trace"]
        for key in sorted(DEVICE_KEYS):
            other = Comparing(pair.device)
            for _ in range(2):
                other.exchange()
            trace = other.stamped(key, trace)
        pair.device.answer(command, trace=trace)
        response = pair.page.receive("response", request_id=request_id)
        assert response["status"] == "ok"
        trace = pair.of_page.stamped("client_receive", response["trace"])
        pair.page.send({"event": "trace_complete", "request_id": request_id, "trace": trace})
        records.append(pair.page.receive_record(request_id))
    for record in records:
        links = record["trace"]["links"]
        assert 6 <= len(links) <= 8
        assert pair.of_page.counter in {link["b"].rpartition("/")[2] for link in links}
    relation = order(world, (records[0], "client_receive"), (records[1], "client_send"))
    assert relation["order"] == "certainly_before"


def test_a_question_that_cannot_be_answered_says_why(world: World, pair: Pair) -> None:
    record = pair.ask()
    good = f"{record['request_id']}:server_send"
    for a, status, code in (
        ("", 400, "bad_query"),
        ("server_send", 400, "bad_query"),
        (f"{record['request_id']}:no_such_stamp", 400, "bad_query"),
        (f"{'0' * 32}:server_send", 404, "unknown_trace"),
    ):
        for query in ({"a": a, "b": good}, {"a": good, "b": a}):
            answer = world.user.get("/api/order/", **query)
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    answer = world.user.get("/api/order/", a=good)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_query")
    # A request that its device has not answered has fewer stamps.
    unanswered = pair.page.ask(pair.device_id)
    pair.device.receive("command", request_id=unanswered)
    answer = world.user.get("/api/order/", a=f"{unanswered}:device_send", b=good)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_stamp")
    # Another user's trace looks to everybody as if it did not exist.
    answer = world.stranger.get("/api/order/", a=good, b=good)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_trace")
    answer = fetch(f"{world.server.url}/api/order/", params={"a": good, "b": good})
    assert answer.status_code == 401
