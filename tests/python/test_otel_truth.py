"""The truth oracle finds what is wrong, and the bare SDK under a wrong clock is."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from otel_receiver import Item, Mood, Receiver
from otel_truth import Note, Report, TruthClock, check, notes_of
from support import PROGRAMS, eventually, run_python
from test_wrong_system_clock import faketime_library

if TYPE_CHECKING:
    from pathlib import Path

# The real clock of the machine is read here and in the program, by different lines.
SLACK_NS = 50_000


def spans(names: list[str], time_ns: int, **attributes: Any) -> bytes:
    request = ExportTraceServiceRequest()
    sent = request.resource_spans.add().scope_spans.add().spans
    for name in names:
        span = sent.add(name=name, start_time_unix_nano=time_ns, end_time_unix_nano=time_ns)
        for key, value in {"truth.id": name, **attributes}.items():
            kind = {bool: "bool_value", int: "int_value", str: "string_value"}[type(value)]
            setattr(span.attributes.add(key=key).value, kind, value)
    content: bytes = request.SerializeToString()
    return content


def post(receiver: Receiver, body: bytes, path: str = "/v1/traces", **headers: str) -> int:
    request = urllib.request.Request(receiver.endpoint + path, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            status: int = response.status
            return status
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


def seen(names: list[str], *, sent: list[str], off_ns: int = 0, **attributes: Any) -> Report:
    truth = TruthClock()
    with Receiver() as receiver:
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
        now_ns = time.time_ns()
        after = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
        assert post(receiver, spans(names, now_ns + off_ns, **attributes)) == 200
        note = Note({"start": (before, after), "end": (before, after)})
        return check(receiver.items(), truth, dict.fromkeys(sent, note), slack_ns=SLACK_NS)


STATED = {"ntp_clock.synchronised": True, "ntp_clock.max_error_ns": 1_000_000}


def test_times_within_their_stated_error_are_true() -> None:
    report = seen(["a", "b"], sent=["a", "b"], off_ns=900_000, **STATED)
    assert report.is_true, report
    assert (report.items, report.times, report.synchronised) == (2, 4, 2)
    assert 0.5 < report.largest < 1
    assert report.widest_ns == 1_000_000


@pytest.mark.parametrize("off_ns", [2_000_000, -2_000_000])
def test_a_time_further_off_than_it_states_is_a_miss(off_ns: int) -> None:
    report = seen(["a"], sent=["a"], off_ns=off_ns, **STATED)
    assert not report.is_true
    assert [miss.time for miss in report.misses] == ["start", "end"]
    assert all(miss.off_ns * off_ns > 0 for miss in report.misses)
    assert report.largest > 1
    assert "2 misses" in str(report)


def test_what_says_that_it_is_not_synchronised_is_wrong_and_honest() -> None:
    stated = {**STATED, "ntp_clock.synchronised": False}
    report = seen(["a"], sent=["a"], off_ns=900_000, **stated)
    assert (len(report.admitted), report.misses) == (2, [])
    assert report.is_honest
    assert not report.is_true


def test_what_says_nothing_is_allowed_no_error() -> None:
    report = seen(["a"], sent=["a"], off_ns=900_000)
    assert (len(report.misses), report.admitted) == (2, [])
    assert not report.is_honest


def order_of(items: list[Item]) -> list[str]:
    """What a check says of the order; each of the items was taken where its times say."""
    notes = {
        item.key: Note({name: (time_ns, time_ns) for name, time_ns in item.times_ns.items()})
        for item in ITEMS
    }
    return check(items, TruthClock(), notes).disordered


ITEMS = [
    Item("span", "parent", {"start": 10, "end": 50}, {}, b"p"),
    Item("span", "child", {"start": 20, "end": 40}, {}, b"c", b"p"),
]


def test_a_child_that_left_its_parent_and_an_end_before_its_start_are_found() -> None:
    parent, child = ITEMS
    late = child._replace(times_ns={"start": 20, "end": 51})
    back = parent._replace(times_ns={"start": 50, "end": 10})
    assert order_of([child, parent]) == []
    assert order_of([late, parent]) == ["child is not inside parent"]
    assert order_of([back]) == ["parent ends 40 ns before it starts"]
    admits = {"ntp_clock.synchronised": False}
    assert order_of([back._replace(attributes=admits)]) == []


def test_a_child_that_ended_after_its_parent_may_do_so() -> None:
    parent, child = ITEMS
    early = parent._replace(times_ns={"start": 10, "end": 30})
    notes = {"parent": Note({"start": (10, 10), "end": (30, 30)}), "child": Note({})}
    notes["child"] = Note({"start": (20, 20), "end": (40, 40)})
    assert check([child, early], TruthClock(), notes).disordered == []


@pytest.mark.parametrize(
    ("temporality", "second", "is_found"),
    [
        ("cumulative", {"since": 10, "time": 40}, False),
        ("cumulative", {"since": 11, "time": 40}, True),
        ("delta", {"since": 20, "time": 40}, False),
        ("delta", {"since": 10, "time": 40}, True),
    ],
)
def test_points_whose_starts_do_not_fit_are_found(
    temporality: str, second: dict[str, int], *, is_found: bool
) -> None:
    first = Item("point", "n", {"since": 10, "time": 20}, {}, temporality=temporality)
    found = order_of([first, first._replace(times_ns=second)])
    assert bool(found) is is_found, found


def test_a_lost_span_and_a_doubled_one_are_found() -> None:
    report = seen(["a", "b", "b"], sent=["a", "b", "c"], **STATED)
    assert (report.lost, report.doubled, report.misses) == (["c"], ["b"], [])
    assert not report.is_true


def test_nothing_at_all_is_not_true() -> None:
    assert not seen([], sent=[]).is_true


def test_a_span_that_nobody_noted_is_found() -> None:
    report = seen(["a", "x"], sent=["a"], **STATED)
    assert report.doubled == ["x"]
    assert report.unknown_truth == ["x start", "x end"]


def test_the_receiver_refuses_what_is_not_otlp_and_reads_what_is_packed() -> None:
    body = spans(["a"], 1)
    with Receiver() as receiver:
        assert post(receiver, b"\xff\xff") == 400
        assert post(receiver, b"no gzip", **{"Content-Encoding": "gzip"}) == 400
        assert post(receiver, body, **{"Content-Type": "application/json"}) == 400
        assert post(receiver, body, "/v1/other") == 404
        assert post(receiver, gzip.compress(body), **{"Content-Encoding": "gzip"}) == 200
        assert [item.name for item in receiver.items()] == ["a"]


def test_json_and_protobuf_say_the_same() -> None:
    request = ExportTraceServiceRequest.FromString(spans(["a"], 1_700_000_000_123_456_789))
    written = json_format.MessageToJson(request, use_integers_for_enums=True)
    with Receiver() as receiver:
        assert post(receiver, request.SerializeToString()) == 200
        assert post(receiver, written.encode(), **{"Content-Type": "application/json"}) == 200
        first, second = (item._replace(arrived_raw_ns=0) for item in receiver.items())
    assert first == second


def test_a_body_in_chunks_is_read_whole() -> None:
    body = spans(["a"], 1_700_000_000_123_456_789)
    with Receiver() as receiver:
        connection = http.client.HTTPConnection(receiver.endpoint.split("//")[1], timeout=120)
        for _ in range(2):
            connection.request("POST", "/v1/traces", iter([body[:7], body[7:]]))
            with connection.getresponse() as answer:
                assert answer.status == 200
                answer.read()
        connection.close()
        assert [item.name for item in receiver.items()] == ["a", "a"]


def test_a_page_of_another_origin_may_post() -> None:
    asked = {"Origin": "http://page.test", "Access-Control-Request-Headers": "content-type"}
    with Receiver() as receiver:
        request = urllib.request.Request(receiver.endpoint + "/v1/traces", None, asked)
        request.method = "OPTIONS"
        with urllib.request.urlopen(request, timeout=120) as response:
            assert response.headers["Access-Control-Allow-Origin"] == "http://page.test"
            assert response.headers["Access-Control-Allow-Headers"] == "content-type"


def test_who_cannot_read_the_counter_learns_so() -> None:
    with Receiver() as receiver:
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
        with urllib.request.urlopen(receiver.endpoint + "/raw", timeout=120) as response:
            raw_ns = int(json.load(response)["raw_ns"])
        assert before < raw_ns < time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)


def test_a_collector_refuses_is_down_hangs_and_comes_back_at_its_port() -> None:
    body = spans(["a"], 1)
    with Receiver(Mood.DOWN) as receiver:
        endpoint = receiver.endpoint
        with pytest.raises(urllib.error.URLError, match="refused"):
            post(receiver, body)
        receiver.mood = Mood.REFUSES
        assert post(receiver, body) == 503
        receiver.mood = Mood.HANGS
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(post, receiver, body)
            assert eventually(lambda: receiver.posts == 2)
            assert not waiting.done()
            receiver.mood = Mood.ANSWERS
            assert waiting.result(10) == 503
        assert receiver.endpoint == endpoint
        assert receiver.items() == []
        assert post(receiver, body) == 200


def test_a_collector_that_goes_down_ends_its_connections() -> None:
    with Receiver() as receiver, socket.socket() as connection:
        host, port = receiver.endpoint.removeprefix("http://").split(":")
        connection.settimeout(30)
        connection.connect((host, int(port)))
        connection.sendall(b"GET /raw HTTP/1.1\r\n\r\n")
        assert connection.recv(1)
        receiver.mood = Mood.DOWN
        while connection.recv(4096):
            pass


def test_notes_are_read_among_other_lines_and_up_to_where_a_program_was_killed() -> None:
    lines = [
        "ready",
        "3",
        '{"id": "a", "start": [1, 2]}',
        '{"other": 1}',
        '{"id": "js", "start": ["1", "2"], "counter": "monotonic"}',
        '{"id": "x", "start": [1, 2], "counter": "sundial"}',
        '{"id": "b", "sta',
    ]
    assert notes_of("\n".join(lines)) == {
        "a": Note({"start": (1, 2)}),
        "js": Note({"start": (1, 2)}, "monotonic"),
    }


@pytest.mark.parametrize(
    ("counter", "clock"), [("raw", time.CLOCK_MONOTONIC_RAW), ("monotonic", time.CLOCK_MONOTONIC)]
)
def test_the_truth_of_a_counter_lies_between_two_looks_at_the_clock(
    counter: str, clock: int
) -> None:
    truth = TruthClock()
    rows = []
    for _ in range(3):
        before = time.time_ns()
        value = time.clock_gettime_ns(clock)
        rows.append((before, value, time.time_ns()))
        truth.learn()
    for before, value, after in rows:
        assert before - SLACK_NS <= truth.real_ns(value, counter) <= after + SLACK_NS


def control(**environment: Any) -> Report:
    truth = TruthClock()
    with Receiver() as receiver:
        ran = run_python(
            str(PROGRAMS / "otel_program.py"),
            server="127.0.0.1:9",
            TRUE_TIME="0",
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
            **environment,
        )
        assert ran.code == 0, ran.err
        truth.learn()
        return check(receiver.items(), truth, notes_of(ran.out), slack_ns=SLACK_NS)


def faked(**environment: str) -> dict[str, Any]:
    return {
        "LD_PRELOAD": faketime_library(),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DISABLE_SHM": "1",
        **environment,
    }


def stepping(folder: Path, before: str, after: str) -> dict[str, Any]:
    """A clock that is off by `before` until the program steps it to `after`."""
    file = folder / "offset"
    file.write_text(before)
    return faked(
        FAKETIME_TIMESTAMP_FILE=str(file),
        FAKETIME_NO_CACHE="1",
        STEP_FILE=str(file),
        STEP_TO=after,
    )


def test_the_bare_sdk_under_a_right_clock_is_true() -> None:
    report = control()
    assert report.is_true, report
    assert {"items": report.items, "synchronised": report.synchronised} == {
        "items": 22,
        "synchronised": 0,
    }


@pytest.mark.parametrize("offset", ["-2", "+3h"])
def test_the_bare_sdk_under_a_wrong_clock_is_wrong_everywhere(offset: str) -> None:
    report = control(**faked(FAKETIME=offset))
    assert len(report.misses) == report.times > 0
    assert (report.lost, report.doubled, report.unknown_truth) == ([], [], [])


def test_the_bare_sdk_is_wrong_from_a_step_on(tmp_path: Path) -> None:
    report = control(**stepping(tmp_path, "+0", "-2"))
    missed = {(miss.item, miss.time) for miss in report.misses}
    assert {("stepped", "end"), ("last", "start"), ("last log", "timestamp")} <= missed
    assert not {("stepped", "start"), ("span 0 0", "end")} & missed


def test_the_bare_sdk_drifts_away_by_200_ppm() -> None:
    report = control(**faked(FAKETIME="+0 x1.0002"), REST_MS="1500")
    late = [miss.off_ns for miss in report.misses if miss.item == "last"]
    assert len(late) == 3
    assert all(100_000 < off_ns < 5_000_000 for off_ns in late), report
