"""The relay's messages, by the vectors that Rust and JavaScript read too."""

from __future__ import annotations

import base64
import json
import os
import random
import re
import subprocess
import sys
import time
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from support import ROOT, FaultyServer

from portacode.limits import TokenBucket
from portacode.relay import Limits, Relay, RequestError, Session, messages
from portacode.relay.messages import Source
from portacode.utils.ntp_clock import ManualClock, NTPClock, Reading

if TYPE_CHECKING:
    from collections.abc import Callable

TIME_NS = 1_759_639_032_768_445_123
REQUEST = {"event": "clock_sync_request", "request_id": "a7"}


def cases(name: str) -> pytest.MarkDecorator:
    read = json.loads((ROOT / "tests" / "vectors" / f"{name}.json").read_text())["cases"]
    assert read
    return pytest.mark.parametrize("case", read, ids=[case["name"] for case in read])


class Stamp(NamedTuple):
    time_ns: int
    max_error_ns: int
    epoch: int

    @classmethod
    def of(cls, case: dict[str, Any] | None) -> Stamp | None:
        if case is None:
            return None
        return cls(int(case["time_ns"]), case["max_error_ns"], case["epoch"])


@cases("relay-replies")
def test_a_reply_is_that_of_the_vectors_to_the_last_bit(case: dict[str, Any]) -> None:
    source = Source(**case["status"])
    reply = messages.reply(
        case["request_id"],
        Stamp.of(case["receive"]),
        Stamp.of(case["send"]),
        source,
        case["instance"],
    )
    assert json.loads(messages.encode(reply)) == case["reply"]
    assert list(reply) == list(case["reply"])
    assert (200 if messages.is_synchronised(reply) else 503) == case["http_status"]
    assert len(messages.encode(reply)) < 4096


@cases("relay-replies")
def test_a_replys_bound_holds_all_that_the_readings_allow(case: dict[str, Any]) -> None:
    reply, stamps = case["reply"], [Stamp.of(case["receive"]), Stamp.of(case["send"])]
    if reply["server_time"] is None:
        return
    bound_ns = (reply["root_delay_ms"] / 2 + reply["root_dispersion_ms"]) * 1e6 + 123
    epoch = reply["epoch"]
    for reading, key in zip(stamps, ("server_receive_time", "server_send_time")):
        if reading is not None and reading.epoch == epoch:
            # What is reported of the receipt may be later than it was, never earlier.
            early_ns = reading.time_ns - Fraction(reply[key]) * 1_000_000
            assert early_ns <= 123
            if key == "server_send_time":
                assert bound_ns >= reading.max_error_ns


@cases("relay-requests")
def test_a_message_is_taken_or_refused_as_the_vectors_say(case: dict[str, Any]) -> None:
    text = case["text"] if "text" in case else base64.b64decode(case["base64"])
    outcome = case["outcome"]
    if "error" not in outcome:
        assert messages.request_of_text(text, 1024) == outcome["request_id"]
        return
    with pytest.raises(RequestError) as refused:
        messages.request_of_text(text, 1024)
    error = refused.value
    assert (error.code, error.request_id) == (outcome["error"], outcome["request_id"])
    assert error.reply()["error"] == {"code": error.code, "message": str(error)}
    assert len(str(error)) > 10


@cases("relay-queries")
def test_a_query_is_taken_or_refused_as_the_vectors_say(case: dict[str, Any]) -> None:
    query = (case["query"] or "").encode()
    outcome = case["outcome"]
    if "error" not in outcome:
        assert messages.request_of_query(query, 1024) == outcome["request_id"]
        return
    with pytest.raises(RequestError) as refused:
        messages.request_of_query(query, 1024)
    assert (refused.value.code, refused.value.request_id) == (outcome["error"], None)
    assert refused.value.http_status == case["http_status"]


@cases("relay-rate")
def test_a_bucket_gives_what_the_vectors_say(case: dict[str, Any]) -> None:
    now_s = 0.0
    bucket = TokenBucket(case["rate"], case["burst"], now=lambda: now_s)
    allowed = []
    for at_ms in case["at_ms"]:
        now_s = 1000 + at_ms / 1000
        allowed.append(bucket.take())
    assert allowed == case["allowed"]


def test_messages_come_from_outside_and_none_raises_anything_but_a_refusal() -> None:
    dice = random.Random(seed := int.from_bytes(os.urandom(4), "big"))
    print(f"seed {seed}")
    good = json.dumps(REQUEST)
    alphabet = '{}[]",:\\ \n0e-.NaInfintyu\u00e9\ud800\U0001f600\x00'
    for _ in range(20_000):
        text = list(good)
        for _ in range(dice.randrange(6)):
            at = dice.randrange(len(text) + 1)
            text[at : at + dice.randrange(3)] = dice.choices(alphabet, k=dice.randrange(4))
        try:
            answered = messages.request_of_text("".join(text), 1024)
        except RequestError as error:
            json.loads(messages.encode(error.reply()))
        else:
            assert re.fullmatch(r"[!-~]{1,64}", answered)


@pytest.mark.parametrize(
    "message",
    [None, 7, "clock_sync_request", [REQUEST], {}, {"event": ["clock_sync_request"]}],
)
def test_what_asks_for_no_time_is_nobodys_answer(message: object) -> None:
    assert Relay(ManualClock()).answer(message, None) is None


def test_one_call_answers_a_socket_that_is_there_already(synced: NTPClock) -> None:
    relay = Relay(synced)
    received = relay.receipt()
    before_ns = time.time_ns()
    reply = relay.answer(REQUEST, received)
    after_ns = time.time_ns()
    assert received is not None
    assert reply is not None
    assert reply["request_id"] == "a7"
    assert reply["server_receive_time"] == messages.unix_ms(received.time_ns)
    bound_ms = reply["root_delay_ms"] / 2 + reply["root_dispersion_ms"]
    status = synced.get_status()
    assert bound_ms >= received.max_error_ns / 1e6
    assert reply["root_delay_ms"] == status["delay_ms"]
    assert before_ns / 1e6 - bound_ms <= reply["server_send_time"] <= after_ns / 1e6 + bound_ms
    assert (reply["stratum"], reply["leap"], reply["epoch"]) == (2, 0, 1)
    assert reply["server"] == status["server"]
    assert re.fullmatch("[0-9a-f]{16}", reply["instance"])


def test_a_relays_stamps_are_within_their_bounds_of_chronys_time(synced: NTPClock) -> None:
    relay, worst, bound_ms = Relay(synced), 0.0, 0.0
    for _ in range(2000):
        before = time.time_ns() / 1e6
        received = relay.receipt()
        reply = relay.timed("a7", received)
        after = time.time_ns() / 1e6
        bound_ms = reply["root_delay_ms"] / 2 + reply["root_dispersion_ms"] + 2**-11
        assert reply["server_receive_time"] <= reply["server_send_time"]
        for stamp in (reply["server_receive_time"], reply["server_send_time"]):
            assert before - bound_ms <= stamp <= after + bound_ms
            worst = max(worst, abs(stamp - (before + after) / 2))
    print(f"worst {worst:.4f} ms, bound {bound_ms:.4f} ms")


def test_a_clock_without_time_is_answered_without_a_time() -> None:
    clock = ManualClock()
    relay = Relay(clock)
    first = relay.answer(REQUEST, relay.receipt())
    clock.set(TIME_NS, 2_000_000)
    received = relay.receipt()
    second = relay.answer(REQUEST, received)
    clock.fail()
    third = relay.answer(REQUEST, received)
    assert first is not None
    assert second is not None
    assert third is not None
    assert [first["server_time"], first["stratum"], first["leap"]] == [None, 16, 3]
    assert second["server_time"] == 1759639032768.4451
    assert second["root_dispersion_ms"] == 2.0
    assert second["stratum"] == 15
    assert third["server_receive_time"] is None, "what was known at receipt is no time any more"


def test_an_epoch_that_begins_while_a_request_is_held_is_the_epoch_of_both_stamps() -> None:
    clock = ManualClock()
    relay = Relay(clock)
    clock.set(TIME_NS, 1_000)
    received = relay.receipt()
    clock.set(TIME_NS - 10**9, 2_000)
    reply = relay.answer(REQUEST, received)
    assert reply is not None
    assert reply["server_receive_time"] == reply["server_send_time"] == 1759639031768.4451
    assert reply["root_dispersion_ms"] == 0.002
    assert received is not None
    assert reply["epoch"] > received.epoch


def test_a_session_refuses_what_is_too_much_and_ends_when_it_goes_on() -> None:
    relay = Relay(ManualClock())
    # So seldom that however long this takes gives no second one.
    session = Session(relay, Limits(rate=1e-6))
    text = json.dumps(REQUEST)
    outcomes = [json.loads(session.take(text, None)) for _ in range(20)]
    codes = [reply.get("error", {}).get("code") for reply in outcomes]
    assert codes == [None, *["rate_limited"] * 19]
    assert not session.is_over
    for _ in range(70):
        session.take(text, None)
    assert session.is_over
    counts = relay.counted().requests
    assert counts["websocket", "unsynchronised"] == 1
    assert counts["websocket", "rate_limited"] == 89
    assert sum(counts.values()) == 90


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"rate": 0}, "above 0"),
        ({"rate": True}, "above 0"),
        ({"rate": float("nan")}, "above 0"),
        ({"rate": "20"}, "above 0"),
        ({"max_bytes": 10}, "from 128 to 65536"),
        ({"max_bytes": 1e4}, "whole number"),
        ({"origins": "https://example.org"}, "must be a list"),
        ({"origins": ["example.org"]}, "not an origin"),
        ({"origins": ["https://example.org/"]}, "not an origin"),
        ({"origins": ["https://example.org:x"]}, "not an origin"),
        ({"origins": [7]}, "not an origin"),
        ({"speed": 1}, "no limit is called speed; there are rate"),
    ],
)
def test_a_limit_that_cannot_be_is_refused_in_words(values: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=re.escape(expected)):
        Limits.checked(**values)


@pytest.mark.parametrize(
    ("origins", "origin", "host", "admitted"),
    [
        (("*",), "https://anywhere.example", "clock.example", True),
        ((), None, "clock.example", True),
        ((), "https://clock.example", "clock.example", True),
        ((), "https://clock.example:8443", "clock.example", False),
        ((), "https://evil.example", "clock.example", False),
        ((), "null", "clock.example", False),
        ((), "https://[", "clock.example", False),
        (("https://a.example",), "https://a.example", "clock.example", True),
        (("https://a.example",), "http://a.example", None, False),
    ],
)
def test_pages_are_admitted_by_origin(
    origins: tuple[str, ...], origin: str | None, host: str | None, admitted: bool
) -> None:
    assert Limits(origins=origins).admits(origin, host) is admitted


def test_a_leap_warning_is_passed_on(faulty_server: Callable[..., FaultyServer]) -> None:
    clock = NTPClock(faulty_server("--leap", "insert").address)
    assert clock.wait_synced(60)
    relay = Relay(clock)
    outcomes = relay.answer(REQUEST, relay.receipt())
    assert outcomes is not None
    assert (outcomes["leap"], outcomes["stratum"]) == (1, 2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_worker_has_a_name_of_its_own(silent: str) -> None:
    code = (
        "import os\n"
        "from portacode.relay.endpoint import shared_relay as relay\n"
        "relay.count('http', 'answered')\n"
        "print(relay.instance, sum(relay.counted().requests.values()), flush=True)\n"
        "if os.fork() == 0:\n"
        "    print(relay.instance, sum(relay.counted().requests.values()), flush=True)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )
    environment = {**os.environ, "PORTACODE_NTP_SERVER": silent}
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    (parent, parents), (child, childs) = (line.split() for line in ran.stdout.splitlines())
    assert parent != child
    assert (parents, childs) == ("1", "0")


def test_the_relay_needs_no_other_package(silent: str) -> None:
    code = (
        "import sys, portacode.relay, portacode.relay.asgi, portacode.metrics\n"
        "print(sorted({'django', 'channels', 'starlette', 'websockets'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PORTACODE_NTP_SERVER": silent}
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert ran.stdout == "[]\n"


def test_readings_of_the_clock_are_what_replies_are_made_of() -> None:
    reading = Reading(TIME_NS, 5, 0, 3)
    reply = messages.reply("x", reading, reading, Source("s", 1, 0, 2, 9), "i")
    assert (reply["epoch"], reply["root_dispersion_ms"]) == (3, 4e-6)
