"""Server, device and, through the server, the browser export one request as one tree of spans."""

from __future__ import annotations

import asyncio
import email.utils
import importlib.util
import os
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from otel_receiver import Item, Receiver
from otel_truth import TruthClock
from ports import free_port
from system import PATIENCE_S, SERVER, Device, Server, Session, eventually
from test_wrong_system_clock import faketime_library

pytest.importorskip("oteltap", reason="no oteltap: pip install oteltap")
from oteltap import OtelTapHttpProtobufReceiver, OtelTapHttpProtobufReceiverSettings

if TYPE_CHECKING:
    from support import FaultyServer

SPANS = 13


def test_the_spans_of_all_three_are_one_tree_dated_by_the_stamps(
    tmp_path: Path, time_source: FaultyServer
) -> None:
    port = free_port()
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"}
    server = Server(tmp_path, time_source.address, **endpoint)
    made = server.prepare()
    record: dict[str, Any] = {}
    spans: list[Any] = []

    def ask() -> None:
        server.start()
        workshop = made["devices"][0]
        log = tmp_path / "device.log"
        device = Device(server, workshop["token"], time_source.address, log, **endpoint)
        try:
            eventually(lambda: "connected" in log.read_text() and "synchr" in log.read_text())
            user = Session(server, made["user"], made["password"])
            with user.browser() as browser:
                eventually(lambda: browser.receive("devices")["devices"][1]["online"])
                response = browser.receive("response", request_id=browser.ask(workshop["id"]))
                trace = response["trace"]
                trace["client_receive"] = trace["server_send_response"] + 0.5
                for name, value in (("max_error_ms", 0.5), ("epoch", 1), ("entities", "browser")):
                    trace[name]["client_receive"] = value
                browser.send({**response, "event": "trace_complete"})
                record.update(browser.receive("trace")["trace_record"])
            user.close()
            eventually(lambda: len(spans) >= SPANS)
        finally:
            device.stop()
            server.stop()

    async def run() -> None:
        settings = OtelTapHttpProtobufReceiverSettings(http_port=port)
        async with OtelTapHttpProtobufReceiver(settings) as receiver:
            stream = receiver.stream_traces()

            async def gather() -> None:
                async for span in stream:
                    spans.append(span)

            gathering = asyncio.create_task(gather())
            await asyncio.to_thread(ask)
        await gathering

    asyncio.run(run())
    assert record["complete"]
    assert len(spans) == SPANS
    assert {span.trace_id.hex() for span in spans} == {record["request_id"]}
    ids = {span.span_id for span in spans}
    assert len(ids) == SPANS
    roots = [span.name for span in spans if not span.parent_span_id]
    assert roots == ["browser: echo"]
    assert {span.parent_span_id for span in spans if span.parent_span_id} <= ids
    stamps_ns = {
        round(value * 1e6)
        for key, value in record["trace"].items()
        if isinstance(value, float) and key != "ping"
    }
    for span in spans:
        for moment in (span.start_time_unix_nano, span.end_time_unix_nano):
            # A double of milliseconds is right to 1/8 µs.
            assert min(abs(moment - stamp) for stamp in stamps_ns) <= 250


def test_what_instruments_the_server_has_true_times_while_the_systems_clock_is_behind(
    tmp_path: Path, time_source: FaultyServer
) -> None:
    package = importlib.util.find_spec("opentelemetry.instrumentation.auto_instrumentation")
    if package is None or package.origin is None:
        pytest.skip("no opentelemetry-instrument: pip install opentelemetry-distro")
    truth = TruthClock()
    with Receiver() as receiver:
        server = Server(
            tmp_path,
            time_source.address,
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
            # OpenTelemetry's distribution would take gRPC.
            OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
            OTEL_BSP_SCHEDULE_DELAY="200",
            # As the command opentelemetry-instrument does, but for our own entry point: the
            # server has to do it by itself. Django's settings are read before manage.py is.
            PYTHONPATH=os.pathsep.join([str(Path(package.origin).parent), str(SERVER)]),
            DJANGO_SETTINGS_MODULE="config.settings",
            OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="portacode",
            LD_PRELOAD=faketime_library(),
            FAKETIME="-2",
            FAKETIME_DONT_FAKE_MONOTONIC="1",
            FAKETIME_DISABLE_SHM="1",
        )
        server.prepare(devices=0)
        server.start()
        try:
            before = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
            with urllib.request.urlopen(server.url + "/login/", timeout=PATIENCE_S) as answer:
                date = answer.headers["Date"]
            after = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)

            def requests() -> list[Item]:
                return [item for item in receiver.items() if "login" in item.name]

            eventually(lambda: bool(requests()))
        finally:
            server.stop()
    truth.learn()
    (first, *_) = requests()
    reported_s = email.utils.parsedate_to_datetime(date).timestamp()
    assert reported_s * 1e9 < truth.real_ns(before) - 0.9e9, "the server's clock is behind"
    assert first.attributes["ntp_clock.synchronised"] is True
    error_ns = first.attributes["ntp_clock.max_error_ns"]
    assert error_ns < 1e9
    for moment_ns in first.times_ns.values():
        assert truth.real_ns(before) - error_ns <= moment_ns <= truth.real_ns(after) + error_ns
