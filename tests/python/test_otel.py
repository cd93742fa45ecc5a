"""Traces become OpenTelemetry spans: one tree, exact nanoseconds, nothing guessed."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from typing import Any

import pytest
from ports import free_port
from support import PROGRAMS, ROOT, environment, eventually, run_python

from portacode import otel
from portacode.otel._spans import span_id
from portacode.trace import KEYS

pytest.importorskip("oteltap", reason="no oteltap: pip install oteltap")
from oteltap import OtelTapHttpProtobufReceiver, OtelTapHttpProtobufReceiverSettings

REQUEST_ID = "9f0c5a1e7b3d4c2f8a6e0d1b2c3f4a5e"
FOREIGN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
START_MS = 1759639032768
ENTITIES = dict.fromkeys(KEYS, "device:12")
ENTITIES |= dict.fromkeys(("client_send", "client_receive"), "browser")
ENTITIES |= dict.fromkeys(
    ("server_receive", "server_send", "server_receive_response", "server_send_response"),
    "server:7f3a",
)
# Names, and between which stamps; the entities' own spans first.
TREE = {
    "browser: echo": ("client_send", "client_receive", None),
    "browser to server": ("client_send", "server_receive", "browser: echo"),
    "server: echo": ("server_receive", "server_send_response", "browser: echo"),
    "server forwards": ("server_receive", "server_send", "server: echo"),
    "server to device": ("server_send", "device_receive", "server: echo"),
    "device: echo": ("device_receive", "device_send", "server: echo"),
    "device receives": ("device_receive", "handler_receive", "device: echo"),
    "handler waits": ("handler_receive", "handler_dispatch", "device: echo"),
    "handler runs": ("handler_dispatch", "handler_complete", "device: echo"),
    "device replies": ("handler_complete", "device_send", "device: echo"),
    "device to server": ("device_send", "server_receive_response", "server: echo"),
    "server returns": ("server_receive_response", "server_send_response", "server: echo"),
    "server to browser": ("server_send_response", "client_receive", "browser: echo"),
}


def whole_trace(**changes: float | None) -> dict[str, Any]:
    """Stamps 1.25 ms apart, on multiples of a double's step, so that nanoseconds are exact."""
    stamps: dict[str, float | None] = {
        key: START_MS + 1.25 * number for number, key in enumerate(KEYS)
    }
    stamps.update(changes)
    there = {key: value for key, value in stamps.items() if value is not None}
    return {
        **there,
        "max_error_ms": dict.fromkeys(there, 0.5),
        "est_error_ms": dict.fromkeys(there, 0.0625),
        "epoch": dict.fromkeys(there, 3),
        "entities": ENTITIES,
    }


def exported(
    trace: dict[str, Any], variables: dict[str, str] | None = None, **options: Any
) -> list[dict[str, Any]]:
    """What arrives in a real receiver when three processes export a trace."""

    async def collect() -> list[dict[str, Any]]:
        port = free_port()
        settings = OtelTapHttpProtobufReceiverSettings(http_port=port)
        spans: list[dict[str, Any]] = []
        async with OtelTapHttpProtobufReceiver(settings) as receiver:
            stream = receiver.stream_traces()

            async def gather() -> None:
                async for span in stream:
                    spans.append(plain(span))

            gathering = asyncio.create_task(gather())
            await asyncio.sleep(0)
            expected = await asyncio.to_thread(
                answer,
                "export_trace.py",
                json.dumps({"trace": trace, "request_id": REQUEST_ID, **options}),
                OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
                **(variables or {}),
            )
            arrived = asyncio.to_thread(lambda: eventually(lambda: len(spans) >= expected))
            assert await arrived, f"{len(spans)} of {expected} spans arrived"
        await gathering
        assert len(spans) == expected
        return spans

    return asyncio.run(collect())


def answer(program: str, *arguments: str, **variables: Any) -> Any:
    ran = run_python(str(PROGRAMS / program), *arguments, server="127.0.0.1:1", **variables)
    assert (ran.code, ran.err) == (0, ""), ran
    return json.loads(ran.out)


def plain(span: Any) -> dict[str, Any]:
    def value(given: Any) -> Any:
        kind = given.WhichOneof("value")
        if kind == "array_value":
            return [value(each) for each in given.array_value.values]
        return getattr(given, kind)

    return {
        "name": span.name,
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent": span.parent_span_id.hex(),
        "start": span.start_time_unix_nano,
        "end": span.end_time_unix_nano,
        "kind": span.kind,
        "status": (span.status.code, span.status.message),
        "attributes": {each.key: value(each.value) for each in span.attributes},
    }


def by_name(spans: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    assert len({span["name"] for span in spans}) == len(spans)
    return {span["name"]: span for span in spans}


def parents(spans: dict[str, dict[str, Any]]) -> dict[str, str | None]:
    """Each span's parent by name; None for one without, an id for one that did not arrive."""
    names = {span["span_id"]: name for name, span in spans.items()}
    return {
        name: names.get(span["parent"], span["parent"]) if span["parent"] else None
        for name, span in spans.items()
    }


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")


def test_spans_of_three_entities_make_one_tree_with_exact_nanoseconds() -> None:
    spans = by_name(exported(whole_trace(), command="echo"))
    nanoseconds = {key: START_MS * 10**6 + 1_250_000 * n for n, key in enumerate(KEYS)}
    assert {name: (span["start"], span["end"]) for name, span in spans.items()} == {
        name: (nanoseconds[start], nanoseconds[end]) for name, (start, end, _) in TREE.items()
    }
    assert parents(spans) == {name: parent for name, (_, _, parent) in TREE.items()}
    assert {span["trace_id"] for span in spans.values()} == {REQUEST_ID}


def test_each_span_says_how_good_its_times_are() -> None:
    spans = by_name(exported(whole_trace(), command="echo"))
    hop = spans["server to device"]["attributes"]
    assert hop == {
        "ntp_clock.server": "127.0.0.1:1",
        "ntp_clock.synchronised": True,
        "ntp_clock.max_error_ns": 500_000,
        "ntp_clock.duration_ns": 1_250_000,
        "ntp_clock.duration_max_error_ns": 1_000_000,
        "ntp_clock.duration_absolute_max_error_ns": 1_000_000,
        "ntp_clock.est_error_ns": 62_500,
        "ntp_clock.epoch": 3,
        "portacode.start": "server_send",
        "portacode.end": "device_receive",
        "portacode.entity": "device:12",
        "portacode.request_id": REQUEST_ID,
        "portacode.command": "echo",
    }
    # One clock's own interval is not wrong by the sum.
    assert "ntp_clock.duration_max_error_ns" not in spans["handler runs"]["attributes"]
    assert "ntp_clock.duration_ns" not in spans["handler runs"]["attributes"]


def test_a_way_between_clocks_that_are_linked_is_known_better_than_its_two_times() -> None:
    case = next(
        case
        for case in json.loads((ROOT / "tests/vectors/trace-relations.json").read_text())["cases"]
        if case["name"] == "a link tells what synchronised times do not"
    )
    (message,) = case["traces"]
    hop = by_name(exported(message))["server to device"]
    reported = {
        name.partition(".")[2]: value
        for name, value in hop["attributes"].items()
        if name.startswith("ntp_clock.duration")
    }
    assert hop["end"] - hop["start"] == 10_000_000
    assert reported.pop("duration_absolute_max_error_ns") == 36_000_000
    assert reported.pop("duration_ns") == pytest.approx(900_000, abs=5_000)
    assert reported.pop("duration_max_error_ns") == pytest.approx(200_000, abs=5_000)
    assert reported == {}


def test_a_context_from_the_browser_is_kept() -> None:
    spans = by_name(exported(whole_trace(), command="echo", traceparent=FOREIGN))
    assert {span["trace_id"] for span in spans.values()} == {"4bf92f3577b34da6a3ce929d0e0e4736"}
    assert parents(spans) == {
        **{name: parent for name, (_, _, parent) in TREE.items()},
        "browser: echo": "00f067aa0ba902b7",
    }


def test_a_trace_that_is_not_sampled_is_not_exported() -> None:
    assert exported(whole_trace(), traceparent=FOREIGN[:-1] + "0") == []


@pytest.mark.parametrize("ratio", [0.0, 0.7, 0.9])
def test_a_sampler_decides_once_for_all_of_a_trace(ratio: float) -> None:
    sampler = {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": str(ratio)}
    spans = exported(whole_trace(), variables=sampler)
    # The last 64 bits of this id are 0.54 of the greatest number.
    assert len(spans) == (len(TREE) if ratio > 0.55 else 0)


def test_a_missing_stamp_leaves_its_hops_out_and_marks_its_entity() -> None:
    spans = by_name(exported(whole_trace(handler_dispatch=None, client_receive=None)))
    assert "handler waits" not in spans
    assert "handler runs" not in spans
    assert "server to browser" not in spans
    device = spans["device"]
    assert device["attributes"]["ntp_clock.missing"] == ["handler_dispatch"]
    assert device["attributes"]["ntp_clock.synchronised"] is False
    # Of the browser one moment is known: the span has no length, and says what is missing.
    assert spans["browser"]["start"] == spans["browser"]["end"] == START_MS * 10**6
    assert spans["browser"]["attributes"]["ntp_clock.missing"] == ["client_receive"]


@pytest.mark.parametrize("entity", ["browser", "server", "device"])
def test_an_entity_without_time_leaves_one_tree_of_the_others(entity: str) -> None:
    owner = {"browser": "browser", "server:7f3a": "server", "device:12": "device"}
    gone = {key: None for key in KEYS if owner[ENTITIES[key]] == entity}
    spans = by_name(exported(whole_trace(**gone)))
    assert entity not in spans
    roots = [name for name, parent in parents(spans).items() if parent is None]
    assert roots == ["server" if entity == "browser" else "browser"]
    assert all(parent in {None, *spans} for parent in parents(spans).values())


def test_one_tree_is_left_where_only_the_way_back_has_times() -> None:
    early = {"client_send": None, "server_receive": None, "server_send": None}
    spans = by_name(exported(whole_trace(**early)))
    assert {"device to server", "server returns", "server to browser"} <= set(spans)
    roots = [name for name, parent in parents(spans).items() if parent is None]
    assert roots == ["device"]


def test_stamps_in_the_wrong_order_are_neither_moved_nor_exported_backwards() -> None:
    trace = whole_trace(device_receive=START_MS + 1.25 * 2 - 0.25)
    hop = by_name(exported(trace))["server to device"]
    assert hop["end"] == hop["start"] == START_MS * 10**6 + 2_500_000
    assert hop["attributes"]["ntp_clock.end_ns"] == START_MS * 10**6 + 2_250_000
    assert hop["attributes"]["ntp_clock.order"] == "cannot_tell"
    trace = whole_trace(device_receive=START_MS - 100.0)
    hop = by_name(exported(trace))["server to device"]
    assert hop["attributes"]["ntp_clock.order"] == "certainly_wrong"


def test_a_failed_command_is_reported_in_the_entities_spans() -> None:
    failed = {"code": "handler_failed", "message": "the handler raised"}
    spans = by_name(exported(whole_trace(), error=failed))
    assert spans["device"]["status"] == (2, "handler_failed: the handler raised")
    assert spans["handler runs"]["status"] == (0, "")


def test_text_that_utf_8_cannot_hold_costs_no_span() -> None:
    trace = whole_trace()
    trace["entities"] = {**ENTITIES, "device_receive": "device:\udce9", "device_send": "\ud800"}
    trace["unsynced"] = {"handler_dispatch": "caf\udce9"}
    del trace["handler_dispatch"]
    failed = {"code": "no_file", "message": "there is no caf\udce9.txt"}
    spans = exported(trace, error=failed, command="caf\udce9")
    assert len(spans) == len(TREE) - 2
    device = next(span for span in spans if span["name"] == "device: caf\ufffd")
    assert device["status"] == (2, "no_file: there is no caf\ufffd.txt")
    assert device["attributes"]["portacode.command"] == "caf\ufffd"
    assert device["attributes"]["ntp_clock.unsynced"] == "caf\ufffd"


def test_whole_numbers_beyond_64_bits_cost_no_span() -> None:
    spans = exported(whole_trace(), attributes={"many": 2**64, "few": -(2**63), "on": True})
    assert len(spans) == len(TREE)
    attributes = spans[0]["attributes"]
    assert (attributes["many"], attributes["few"]) == (str(2**64), -(2**63))
    assert attributes["on"] is True


def test_a_silent_backend_delays_the_end_of_a_process_by_its_timeout_in_all() -> None:
    code = (
        "from portacode import otel\n"
        f"trace = {whole_trace()!r}\n"
        "for entity in ('browser', 'server', 'device'):\n"
        f"    assert otel.export_trace(trace, entity, request_id={REQUEST_ID!r})\n"
        "assert not otel.flush(100), 'nobody took them'\n"
        "print('done', flush=True)\n"
    )
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "2",
        }
        with subprocess.Popen(
            [sys.executable, "-c", code],
            env={**environment("127.0.0.1:1"), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "done\n"
            began = time.monotonic()
            _, reported = process.communicate(timeout=60)
            took_s = time.monotonic() - began
    assert process.returncode == 0
    # Three providers, each waited for apart, would be 6 s.
    assert took_s < 5, reported
    assert "spans could not be sent within 2 s, and are lost" in reported


def test_resources_name_each_entity_and_one_clock_as_the_host() -> None:
    reported = answer(
        "otel_resources.py",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
        OTEL_SERVICE_NAME="shop",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment=test",
    )
    names = {entity: each["service.name"] for entity, each in reported.items()}
    assert names == {"browser": "portacode-browser", "server": "shop", "device": "shop"}
    assert {each["host.id"] for each in reported.values()} == {"clock:127.0.0.1:1"}
    assert {each["deployment.environment"] for each in reported.values()} == {"test"}


def test_nothing_is_imported_unless_an_endpoint_is_named() -> None:
    code = (
        "import sys; from portacode import otel; "
        "print(otel.export_trace({}, 'server', request_id='0' * 31 + '1'), "
        "any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert run_python("-c", code, server="127.0.0.1:1").out == "0 False\n"


def test_a_missing_package_is_reported_once_and_breaks_no_command() -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from portacode import otel\n"
        "for _ in range(2): assert otel.export_trace({}, 'server', request_id='1' * 32) == 0\n"
        "message = {'request_id': '1' * 32}; otel.inject(message, 'server'); print(message)\n"
        "try: otel.require()\n"
        "except otel.OtelMissingError as error: print(error)\n"
    )
    ran = run_python(
        "-c", code, server="127.0.0.1:1", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1"
    )
    assert ran.code == 0, ran
    assert "traceparent" not in ran.out
    assert ran.out.rstrip().endswith("pip install 'portacode[otel]'")
    lines = [line for line in ran.err.splitlines() if "no spans are exported" in line]
    assert len(lines) == 1


@pytest.mark.usefixtures("asked")
def test_an_unknown_protocol_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier/pigeon")
    with pytest.raises(otel.OtelMissingError, match="carrier/pigeon"):
        otel.require()


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        7,
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ],
)
def test_what_is_no_traceparent_is_none(value: object) -> None:
    assert otel.extract({"traceparent": value}) is None


def test_a_later_versions_traceparent_is_read_as_far_as_it_is_known() -> None:
    later = otel.extract({"traceparent": FOREIGN.replace("00-", "01-", 1) + "-more"})
    assert later == otel.extract(FOREIGN)
    assert str(later) == FOREIGN


@pytest.mark.usefixtures("asked")
def test_the_context_that_goes_on_names_the_senders_span() -> None:
    message = {"request_id": REQUEST_ID, "trace": whole_trace()}
    otel.inject(message, "server")
    sent = otel.extract(message)
    assert sent == (int(REQUEST_ID, 16), span_id(REQUEST_ID, "server"), True)
    # Unsynchronised, the server has no span: its caller's is named.
    message = {"request_id": REQUEST_ID, "trace": {"client_send": float(START_MS)}}
    otel.inject(message, "server")
    sent = otel.extract(message)
    assert sent is not None
    assert sent.span_id == span_id(REQUEST_ID, "browser")


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize(
    "trace",
    [
        {"client_send": "noon"},
        {"client_send": float("nan")},
        {"client_send": 10**400},
        {"client_send": 1.0, "max_error_ms": 3},
        {"client_send": 253402300799999.0, "server_receive": 1.0},
        {"entities": {"client_send": ["browser"]}},
    ],
)
def test_a_malformed_trace_exports_nothing_and_raises_nothing(trace: dict[str, Any]) -> None:
    assert otel.export_trace(trace, "browser", request_id=REQUEST_ID) == 0


def test_an_unknown_entity_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="browser"):
        otel.export_trace({}, "toaster", request_id=REQUEST_ID)
