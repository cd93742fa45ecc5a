"""Comparing counters over a socket, by the vectors that Rust and JavaScript read too."""

from __future__ import annotations

import asyncio
import collections
import itertools
import json
import random
from typing import Any, NamedTuple

import pytest
from support import ROOT

from portacode import exchanges
from portacode.exchanges import Answering, Asked, Asking, Exchange, ExchangeError
from portacode.order import Links
from portacode.relay import messages

CASES = json.loads((ROOT / "tests/vectors/relay-exchanges.json").read_text())["cases"]


def having(member: str) -> pytest.MarkDecorator:
    chosen = [case for case in CASES if member in case]
    assert chosen
    return pytest.mark.parametrize("case", chosen, ids=[case["name"] for case in chosen])


class At(NamedTuple):
    counter: str
    counter_ns: int


def at(fields: dict[str, str]) -> At:
    return At(fields["counter"], int(fields["counter_ns"]))


def asked_of(fields: dict[str, Any] | None) -> Asked | None:
    if fields is None:
        return None
    sent, exchange = fields["sent_ns"], fields["exchange"]
    whole = None
    if exchange is not None:
        by = [int(exchange[f"{name}_ns"]) for name in ("sent", "received", "answered", "returned")]
        whole = Exchange(exchange["counter"], by[0], by[1], by[2], by[3], exchange["answerer"])
    return Asked(fields["counter"], None if sent is None else int(sent), whole)


@having("steps")
def test_both_ends_say_what_the_vectors_say(case: dict[str, Any]) -> None:
    asking, answering = Asking(), Answering()
    for step in case["steps"]:
        if reply := step.get("reply"):
            assert asking.take(reply["request_id"], at(reply["received"])) is reply["ours"]
            continue
        request = step["request"]
        message = asking.request(at(request["at"]), request["request_id"])
        assert message == request["message"]
        asked = answering.asked(message, at(request["received"]))
        assert asked == asked_of(request["asked"])
        if request["answered"]:
            answering.answered(message["request_id"], at(request["answered"]))


@having("asked")
def test_a_request_says_of_its_counter_what_the_vectors_say(case: dict[str, Any]) -> None:
    assert Answering().asked(case["message"], At("0" * 16, 1)) == asked_of(case["asked"])


@having("refused")
def test_a_request_that_says_it_wrongly_is_refused_and_the_member_is_named(
    case: dict[str, Any],
) -> None:
    with pytest.raises(ExchangeError) as refused:
        Answering().asked(case["message"], At("0" * 16, 1))
    assert case["refused"] in str(refused.value)
    assert len(str(refused.value)) < 200


def test_a_relay_that_compares_nothing_answers_all_of_these_requests() -> None:
    for case in CASES:
        steps = case.get("steps", ())
        sent_messages = [step["request"]["message"] for step in steps if "request" in step]
        for message in sent_messages or [case["message"]]:
            text = json.dumps(message)
            got = messages.request_of_text(text, max(1024, len(text)))
            assert got == message["request_id"]


def test_requests_are_new_each_time_and_come_at_the_times_of_the_document() -> None:
    asking = Asking()
    ids = {asking.request(At("0" * 16, 1))["request_id"] for _ in range(100)}
    assert len(ids) == 100
    assert all(len(name) == 16 for name in ids)
    times = list(itertools.accumulate(itertools.islice(exchanges.pauses_s(), 8)))
    assert times == [0, 0.5, 1, 2, 4, 8, 18, 28]


def test_a_counter_that_is_another_one_after_a_sleep_is_compared_as_from_the_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    sent: list[str] = []

    class Slept:
        def stamp(self) -> At:
            return At("a" * 16 if len(sent) < 8 else "b" * 16, 5)

    async def sleep(pause_s: float) -> None:
        pauses.append(pause_s)

    async def send(text: str) -> None:
        sent.append(json.loads(text)["counter"])
        if len(sent) == 16:
            raise ConnectionError

    monkeypatch.setattr(asyncio, "sleep", sleep)
    clock: Any = Slept()
    with pytest.raises(ConnectionError):
        asyncio.run(exchanges.keep_asking(Asking(), clock, send))
    first = [0, 0.5, 0.5, 1, 2, 4, 10, 10]
    assert pauses == [*first, 10, *first[1:]]
    assert sent == ["a" * 16] * 8 + ["b" * 16] * 8


@pytest.mark.parametrize("request_id", [None, 7, ["a"], {}, "nobody asked this"])
def test_a_reply_that_names_no_request_is_nobodys(request_id: object) -> None:
    asking = Asking()
    asking.request(At("0" * 16, 1))
    assert not asking.take(request_id, At("0" * 16, 2))


def test_whatever_is_asked_is_refused_or_fed_and_nothing_else_is_raised() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    values = ["0", "1", str(2**63 - 1), str(2**62), "-1", "x", 7, None, [], {}, True, 1e300]
    names = ["0" * 16, "f" * 16, "0" * 16 + "~500", "0" * 16 + "~999999", "", None, 5]
    ids = ["a", "b", "", None]
    answering, links = Answering(), Links(8)
    outcomes = collections.Counter[str]()
    for _ in range(20_000):
        last = {"request_id": dice.choice(ids), "received": dice.choice(values)}
        message: dict[str, Any] = {
            "request_id": dice.choice("abc"),
            "counter": dice.choice(names),
            "sent": dice.choice(values),
            "last": dice.choice([last, last, last, None, 5]),
        }
        now = At(
            dice.choice(["1" * 16, "1" * 16, "2" * 16]), dice.randrange(2 ** dice.randrange(64))
        )
        try:
            asked = answering.asked(message, now)
        except ExchangeError:
            outcomes["malformed"] += 1
            continue
        answering.answered(message["request_id"], now)
        if asked is None or asked.exchange is None:
            continue
        exchange = asked.exchange
        try:
            outcome = links.exchange(
                exchange.counter,
                exchange.answerer,
                sent_a_ns=exchange.sent_ns,
                received_b_ns=exchange.received_ns,
                sent_b_ns=exchange.answered_ns,
                received_a_ns=exchange.returned_ns,
            )
        except ValueError:
            outcome = "refused"
        outcomes[outcome] += 1
    assert {"malformed", "kept", "refused"} <= set(outcomes), outcomes


def test_a_flood_of_requests_is_remembered_in_bounded_memory() -> None:
    answering, now = Answering(), At("0" * 16, 1)
    for number in range(10_000):
        message = {"request_id": str(number), "counter": "1" * 16, "sent": str(number)}
        answering.asked(message, now)
        answering.answered(str(number), now)
    last = {"request_id": "9999", "received": "7"}
    fields = {"request_id": "x", "counter": "1" * 16}
    assert len(answering._kept) == exchanges.KEPT
    asked = answering.asked({**fields, "last": last}, now)
    assert asked is not None
    assert asked.exchange is not None
    again = answering.asked({**fields, "last": last}, now)
    assert again is not None
    assert again.exchange is None, "each counts once"
    forgotten = answering.asked({**fields, "last": {**last, "request_id": "1"}}, now)
    assert forgotten is not None
    assert forgotten.exchange is None
