"""The trace library: the vectors that JavaScript reads too, and what stamping does."""

from __future__ import annotations

import json
import random
import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from support import ROOT

from portacode import otel
from portacode._trace_relations import Event, Related
from portacode.connection import messages
from portacode.trace import KEYS, Order, Stamp, Trace, TraceError, order, relation
from portacode.traceparent import TraceParent, carried
from portacode.utils.ntp_clock import ManualClock

if TYPE_CHECKING:
    from portacode.order import Evidence


def cases(name: str) -> list[dict[str, Any]]:
    vectors: list[dict[str, Any]] = json.loads(
        (ROOT / "tests/vectors" / f"trace-{name}.json").read_text()
    )["cases"]
    return vectors


def vectors(name: str) -> pytest.MarkDecorator:
    params = [pytest.param(case, id=case["name"]) for case in cases(name)]
    return pytest.mark.parametrize("case", params)


TRACEPARENTS = json.loads((ROOT / "tests/vectors/traceparent.json").read_text())["cases"]


@pytest.mark.parametrize("case", TRACEPARENTS, ids=[case["name"] for case in TRACEPARENTS])
def test_a_traceparent_is_read_as_w3c_says_by_each_receiver(case: dict[str, Any]) -> None:
    parsed, outcome = TraceParent.parse(case["text"]), case["outcome"]
    assert carried(case["text"]) == (outcome and outcome["carried"])
    # What a device makes of a message, and what the exporter does.
    message = {"event": "command", "request_id": "a" * 32, "command": "echo"}
    text = json.dumps({**message, "traceparent": case["text"]}) if case["text"] else None
    if text and "\\ud8" not in text:
        command = messages.parse(text)
        assert isinstance(command, messages.Command)
        assert command.traceparent == (outcome and outcome["carried"])
    assert otel.extract({"traceparent": case["text"]}) == parsed
    if parsed is None:
        assert outcome is None
    else:
        assert f"{parsed.trace_id:032x}" == outcome["trace_id"]
        assert f"{parsed.span_id:016x}" == outcome["span_id"]
        assert parsed.sampled is outcome["sampled"]


@vectors("order")
def test_order_problems_hops_and_ping_are_those_of_the_vectors(case: dict[str, Any]) -> None:
    trace = Trace.from_message(case["trace"])
    for a, b, expected in case["order"]:
        assert order((trace, a), (trace, b)) is trace.order(a, b)
        assert trace.order(a, b).value == expected, (a, b)
    assert [list(problem) for problem in trace.problems()] == case["problems"]
    assert [list(problem) for problem in trace.raw_problems()] == case["raw_problems"]
    assert trace.ping_ms == case["ping"]
    if "hops" in case:
        assert [list(hop[:5]) for hop in trace.hops()] == case["hops"]
    if "missing" in case:
        assert trace.missing() == case["missing"]
    assert trace.unsynced == case.get("unsynced", {})


@vectors("relations")
def test_stamps_with_counters_stand_to_one_another_as_in_the_vectors(case: dict[str, Any]) -> None:
    traces = [Trace.from_message(message) for message in case["traces"]]
    for wanted in case["relations"]:
        (i, a), (j, b) = wanted["a"], wanted["b"]
        evidence = wanted.get("evidence", "all")
        shown = relation((traces[i], a), (traces[j], b), evidence=evidence)
        assert (shown.order.value, shown.by) == (wanted["order"], wanted["by"]), (wanted, shown)
        for name in ("lower_ms", "upper_ms"):
            assert getattr(shown, name) == near(wanted[name]), (wanted, shown)
        if shown.est_ms is not None:
            assert shown.lower_ms is not None
            assert shown.upper_ms is not None
            assert shown.lower_ms <= shown.est_ms <= shown.upper_ms
        assert list(shown.rests_on) == wanted.get("rests_on", list(shown.rests_on))
        if evidence == "all":
            assert order((traces[i], a), (traces[j], b)) is shown.order
        if i == j:
            assert traces[i].relation(a, b, evidence=evidence) == shown
    for trace in traces:
        reported_problems = [list(problem) for problem in trace.problems()]
        assert reported_problems == [
            [earlier, later, near(by_ms)] for earlier, later, by_ms in case.get("problems", [])
        ]
        assert len(trace.contradictions()) == case.get("contradictions", 0)
    if "hops" in case:
        reported_hops = [[*hop[:4], *hop[5:]] for hop in traces[0].hops()]
        assert reported_hops == [
            [start, end, *map(near, numbers)] for start, end, *numbers in case["hops"]
        ]


def absurd(dice: random.Random) -> dict[str, Any]:
    """A trace that keeps to the limits, and has counters, times and links of no world."""
    names = ("0f3a6c5d9be2714f", "browser:5/5e884898da280471~500", "x/5e884898da280471~999999")

    def counter_ns() -> str:
        return str(dice.choice([0, 1, 10**9, 2**63 - 1, dice.randrange(2**63)]))

    def span_ns() -> float:
        return dice.choice([-1, 1]) * dice.choice([0.0, 1e-300, 1.0, 1e5, 9e18, 2.0**63])

    trace: dict[str, Any] = {"counter": {}, "counter_ns": {}, "counter_resolution_ns": {}}
    trace |= {"max_error_ms": {}, "links": []}
    for key in KEYS:
        if dice.random() < 0.8:
            trace["counter"][key], trace["counter_ns"][key] = dice.choice(names), counter_ns()
            trace["counter_resolution_ns"][key] = dice.choice([0, 0, 5_000, 10**9])
        if dice.random() < 0.8:
            trace[key] = dice.choice([0.0, START_MS, START_MS + dice.random(), 253402300799999.0])
            trace["max_error_ms"][key] = dice.choice([0, 1e-9, 1.0, 1e12, 1e300])
    for _ in range(dice.randrange(3)):
        a, b = dice.sample(names, 2)
        lower, estimate, upper = sorted(span_ns() for _ in range(3))
        link: dict[str, Any] = {"a": a, "b": b, "a_ns": counter_ns(), "b_ns": counter_ns()}
        link |= {"lower_ns": lower, "upper_ns": dice.choice([upper, None])}
        link |= {"est_ns": estimate, "est_error_ns": abs(span_ns())}
        rates = [dice.choice([-2.5e8, -5e5, 0.0, 2.5e8]) for _ in range(2)]
        trace["links"].append({**link, "rate_ppb": sorted(rates), "exchanges_ns": [None, upper]})
    return trace


def test_whatever_is_read_can_be_put_in_order_without_a_failure_or_crossed_limits() -> None:
    seed = 13
    dice = random.Random(seed)
    for number in range(300):
        trace = Trace.from_message(absurd(dice))
        assert all(problem.earlier != problem.later for problem in trace.problems())
        trace.contradictions()
        for hop in trace.hops():
            assert hop.lower_ms is None or hop.lower_ms <= hop.ms, (seed, number, hop)
            assert hop.upper_ms is None or hop.ms <= hop.upper_ms, (seed, number, hop)
        evidences: tuple[Evidence, ...] = ("all", "exchanges")
        for evidence in evidences:
            for a, b in zip(KEYS, reversed(KEYS)):
                shown = trace.relation(a, b, evidence=evidence)
                back = trace.relation(b, a, evidence=evidence)
                assert (shown.order is Order.CANNOT_TELL) == (back.order is Order.CANNOT_TELL)
                if shown.lower_ms is not None and shown.upper_ms is not None:
                    assert shown.lower_ms <= shown.upper_ms, (seed, number, a, b)


def malformed(dice: random.Random) -> dict[str, Any]:
    """A trace of three linked clocks, of which some stamps, times and links are wrong."""
    offsets = {"0f3a6c5d9be2714f": 10**9, "browser:5/5e884898da280471~500": 2 * 10**9}
    offsets["device:12/a7c01b22f4d95e60"] = 5 * 10**9
    server, browser, device = offsets
    trace: dict[str, Any] = {"counter": {}, "counter_ns": {}, "counter_resolution_ns": {}}
    trace |= {"max_error_ms": {}, "links": []}
    now_ns = 0
    for key in KEYS:
        now_ns += dice.choice([0, 1_000, 100_000, 1_000_000])
        if dice.random() < 0.2:
            continue
        owner = {"c": browser, "s": server}.get(key[0], device)
        wrong_ns = dice.choice([0] * 9 + [-2_000_000, 3_000_000])
        trace["counter"][key] = owner
        trace["counter_ns"][key] = str(offsets[owner] + now_ns + wrong_ns)
        trace["counter_resolution_ns"][key] = 100_000 if owner == browser else 0
        if dice.random() < 0.5:
            trace[key] = START_MS + (now_ns + dice.choice([0, 0, -4_000_000])) / 1e6
            trace["max_error_ms"][key] = dice.choice([0.1, 18.0])
    for a, b in ((server, device), (browser, server)):
        middle_ns, half_ns = dice.choice([0.0, 0.0, 1e6]), dice.choice([1e4, 3e6])
        link = {"a": a, "b": b, "a_ns": str(offsets[a]), "b_ns": str(offsets[b])}
        bounds = {"lower_ns": middle_ns - half_ns, "upper_ns": middle_ns + half_ns}
        trace["links"].append({**link, **bounds, "rate_ppb": [-4000.0, 4000.0]})
    return trace


def test_problems_are_all_pairs_that_clocks_without_causes_certainly_contradict() -> None:
    seed = 14
    dice = random.Random(seed)
    found = 0
    for number in range(200):
        trace = Trace.from_message(malformed(dice))
        related = Related([trace._part()], causes=False)
        pairs = [
            (earlier, later)
            for index, earlier in enumerate(KEYS)
            for later in KEYS[index + 1 :]
            if related.between(Event(0, earlier), Event(0, later)).order is Order.CERTAINLY_AFTER
        ]
        assert [problem[:2] for problem in trace.problems()] == pairs, (seed, number)
        found += len(pairs)
    assert found > 100


START_MS = 1_759_639_032_000.0


def near(milliseconds: float | None) -> Any:
    return None if milliseconds is None else pytest.approx(milliseconds, abs=0.005)


@vectors("messages")
def test_messages_are_read_and_written_as_in_the_vectors(case: dict[str, Any]) -> None:
    only, scope = case.get("only", KEYS), case.get("scope")
    if "error" in case:
        with pytest.raises(TraceError, match=re.escape(case["error"])):
            Trace.from_message(case["trace"], only, scope)
        return
    trace = Trace.from_message(case["trace"], only, scope)
    assert trace.to_message() == case.get("becomes", case["trace"])


@vectors("merge")
def test_traces_are_merged_as_in_the_vectors(case: dict[str, Any]) -> None:
    own = Trace.from_message(case["own"])
    own.merge(Trace.from_message(case["other"]), case.get("only", KEYS))
    assert own.to_message() == case["merged"]


def test_a_stamp_is_one_reading_with_its_errors_its_epoch_and_the_systems_time() -> None:
    clock = ManualClock()
    clock.set(1_759_639_032_768_445_120, max_error_ns=2_000_000)
    before_ms = time.time_ns() / 1e6
    trace = Trace()
    trace.stamp("device_receive", clock, "device:1")
    after_ms = time.time_ns() / 1e6
    message = json.loads(json.dumps(trace.to_message()))
    assert before_ms <= message.pop("raw")["device_receive"] <= after_ms
    assert message == {
        "device_receive": 1_759_639_032_768.445,
        "max_error_ms": {"device_receive": 2.000125},
        "est_error_ms": {"device_receive": pytest.approx(2 / 3, abs=0.001)},
        "epoch": {"device_receive": 1},
        "entities": {"device_receive": "device:1"},
        "counter": {"device_receive": clock.counter_id},
        "counter_ns": {"device_receive": "0"},
    }


def test_a_stamp_without_time_has_its_counter_and_one_of_a_reading_alone_has_none() -> None:
    clock = ManualClock()
    clock.advance(1.5)
    stamp = Stamp.take(clock)
    assert stamp.time_ms is None
    assert (stamp.counter, stamp.counter_ns) == (clock.counter_id, 1_500_000_000)
    clock.set(1_759_639_032_768_445_120)
    assert Stamp.of(clock.stamp(), clock).counter_ns == 1_500_000_000
    stamp = Stamp.of(clock.read(), clock)
    assert (stamp.time_ms is not None, stamp.counter, stamp.counter_ns) == (True, None, None)


def test_links_are_added_one_for_two_counters_and_eight_at_the_most() -> None:
    case = next(c for c in cases("messages") if c["name"].startswith("links, of which"))
    link = case["trace"]["links"][-1]
    trace = Trace()
    for number in [*range(8), 3]:
        trace.add_link({**link, "a": f"{number:016x}", "a_ns": "5", "more": 1})
    names = [link["a"] for link in trace.links]
    assert names == [f"{number:016x}" for number in (0, 1, 2, 4, 5, 6, 7, 3)]
    assert trace.to_message() == {"links": trace.links}
    with pytest.raises(TraceError, match="a trace has 8 links at the most"):
        trace.add_link({**link, "a": "f" * 16})
    with pytest.raises(TraceError, match="the link has a lower bound above its upper one"):
        trace.add_link({**link, "a": "0" * 16, "lower_ns": link["upper_ns"] + 1})
    assert len(trace.links) == 8


@pytest.mark.parametrize("scope", ["", "a/b", "x" * 65, "tab\t", "ä"])
def test_a_scope_that_could_not_stand_before_a_name_is_refused(scope: str) -> None:
    with pytest.raises(ValueError, match="a scope is 1 to 64 printable characters"):
        Trace.from_message(None, scope=scope)


def test_the_error_covers_what_a_double_rounds_off() -> None:
    clock = ManualClock()
    for time_ns in range(1_759_639_032_768_445_000, 1_759_639_032_768_446_000):
        clock.set(time_ns)
        stamp = Stamp.take(clock)
        assert stamp.time_ms is not None
        assert stamp.max_error_ms is not None
        whole, part = divmod(stamp.time_ms, 1.0)
        apart_ns = int(whole) * 1_000_000 + part * 1e6 - time_ns
        assert abs(apart_ns) <= stamp.max_error_ms * 1e6


def test_a_clock_without_time_leaves_the_stamp_out_and_says_why() -> None:
    clock = ManualClock()
    trace = Trace()
    trace.stamp("client_send", clock, "browser")
    clock.set(1_759_639_032_000_000_000)
    trace.stamp("client_receive", clock, "browser")
    message = trace.to_message()
    assert "client_send" not in message
    assert "ping" not in message
    assert message["unsynced"]["client_send"]
    assert set(message["raw"]) == {"client_send", "client_receive"}
    assert trace.missing()[0] == "client_send"
    assert Trace.from_message(message).to_message() == message


def test_a_stamp_is_made_once_and_has_a_known_name() -> None:
    clock = ManualClock()
    clock.set(1_759_639_032_000_000_000)
    trace = Trace()
    trace.stamp("client_send", clock, "browser")
    with pytest.raises(TraceError, match="client_send is stamped already"):
        trace.stamp("client_send", clock, "browser")
    with pytest.raises(TraceError, match="there is no stamp 'client_sent'"):
        trace.stamp("client_sent", clock, "browser")


def test_one_clock_is_ordered_by_its_readings_and_two_by_their_errors() -> None:
    here, there = ManualClock(), ManualClock()
    here.set(1_759_639_032_000_000_000, max_error_ns=5_000_000)
    there.set(1_759_639_032_001_000_000, max_error_ns=5_000_000)
    trace = Trace()
    trace.stamp("client_send", here, "browser")
    trace.stamp("server_receive", there, "server:a")
    there.advance(0.001)
    trace.stamp("server_send", there, "server:a")
    assert trace.relation("client_send", "server_receive", evidence="exchanges").by is None
    assert trace.relation("client_send", "server_receive").by == "cause"
    assert trace.relation("server_receive", "server_send").by == "clock"
    other = Trace()
    other.stamp("client_send", here, "browser")
    assert order((other, "client_send"), (trace, "server_receive")) is Order.CANNOT_TELL


@pytest.mark.parametrize(
    ("trace", "problem"),
    [
        ({"client_send": float("nan")}, "trace.client_send is out of range"),
        ({"max_error_ms": {"client_send": 10**400}}, "max_error_ms.client_send is out of range"),
        ({f"key{n}": n for n in range(65)}, "trace has 65 unknown keys, and 64 are the most"),
        ({"epoch": {f"key{n}": n for n in range(65)}}, "65 unknown keys"),
    ],
)
def test_what_json_itself_does_not_have_is_refused_too(trace: dict[str, Any], problem: str) -> None:
    with pytest.raises(TraceError, match=re.escape(problem)):
        Trace.from_message(trace)


def test_a_long_reason_is_cut() -> None:
    trace = Trace.from_message({"unsynced": {"client_send": "x" * 5_000}})
    assert len(trace.unsynced["client_send"]) == 200


def test_the_documentations_examples_are_what_the_library_takes() -> None:
    text = (ROOT / "docs/TRACE.md").read_text()
    blocks = re.findall(r"^```json\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    trace = json.loads(blocks[0])
    assert Trace.from_message(trace).to_message() == trace
    for block in blocks[1:]:
        message = json.loads(block)
        assert message["event"] in text
        Trace.from_message(message.get("trace"))
    rows = [row for row in KEYS if f"| `{row}` |" in text]
    places = [text.index(f"| `{key}` |") for key in rows]
    assert rows == list(KEYS)
    assert places == sorted(places), "in causal order"
