"""OpenTelemetry's SDK in Python, under a wrong system clock: what arrives by OTLP is true.

Without our line the same program is the control, which test_otel_truth.py runs.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from otel_receiver import Item, Mood, Receiver
from otel_truth import Report, TruthClock, check, notes_of
from ports import free_port
from support import PROGRAMS, ROOT, environment, eventually, run_python
from test_otel_truth import SLACK_NS, faked, stepping

if TYPE_CHECKING:
    from collections.abc import Callable

    from support import FaultyServer

# Some 15 ms there and back, and not as long each way.
INTERNET = ("--delay-to-server", "8ms + exp 1ms", "--delay-to-client", "6ms + exp 1ms")
DOCUMENT = (ROOT / "docs/OPENTELEMETRY.md").read_text("utf-8")
OUR_LINE = DOCUMENT.split("## Python\n")[1].split("```python\n")[1].split("```")[0]
# Until the clock is synchronised, and a little.
REST: dict[str, Any] = {"REST_MS": "1000"}
PROGRAM = str(PROGRAMS / "otel_program.py")


@pytest.fixture
def internet(faulty_server: Callable[..., FaultyServer]) -> str:
    return faulty_server(*INTERNET, "--loss", "1%", "--seed", "5").address


def run(server: str, *, mood: Mood = Mood.ANSWERS, **variables: Any) -> Report:
    truth = TruthClock()
    with Receiver(mood) as receiver:
        endpoint = receiver.endpoint
        done = run_python(PROGRAM, server=server, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **variables)
        assert done.code == 0, done.err
        truth.learn()
        return check(receiver.items(), truth, notes_of(done.out), slack_ns=SLACK_NS)


@pytest.mark.parametrize("offset", ["-2", "+3h", "+0 x1.0002"])
def test_what_a_wrong_clock_stamped_arrives_true_also_from_before_synchronisation(
    internet: str, offset: str
) -> None:
    report = run(internet, **REST, **faked(FAKETIME=offset))
    assert report.is_true, report
    assert report.unsynchronised == 0, report
    assert report.items == 22


@pytest.mark.parametrize(("before", "after"), [("-2", "+3h"), ("+0", "-2"), ("+3h", "+0")])
def test_a_step_within_a_span_leaves_its_times_true(
    internet: str, tmp_path: Path, before: str, after: str
) -> None:
    report = run(internet, **REST, **stepping(tmp_path, before, after))
    assert report.is_true, report
    assert report.unsynchronised == 0, report


@pytest.mark.parametrize("mood", [Mood.ANSWERS, Mood.DOWN])
def test_who_is_never_synchronised_loses_nothing_and_says_so(silent: str, mood: Mood) -> None:
    impatient: dict[str, Any] = {"OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    report = run(silent, mood=mood, **impatient, **faked(FAKETIME="-2"))
    assert (report.synchronised, report.misses, report.doubled) == (0, [], [])
    if mood is Mood.ANSWERS:
        assert report.is_honest, report
        assert report.lost == []
        assert report.unsynchronised == report.items == 22


def test_of_many_spans_of_16_threads_all_arrive_once_and_true(internet: str) -> None:
    # Each turn makes two, and the queue of the SDK drops what it has no room for.
    turns = int(os.environ.get("OTEL_TURNS", "30"))
    report = run(
        internet,
        SYNCHRONISE="1",
        THREADS="16",
        SPANS=str(turns),
        OTEL_BSP_MAX_QUEUE_SIZE="200000",
        OTEL_BLRP_MAX_QUEUE_SIZE="200000",
        **faked(FAKETIME="-2"),
    )
    assert report.is_true, report
    assert report.items > 32 * turns
    assert report.unsynchronised == 0


def test_a_killed_program_has_sent_what_it_would_have_sent_and_nothing_twice(
    internet: str,
) -> None:
    truth = TruthClock()
    with Receiver() as receiver:
        program = subprocess.Popen(
            [sys.executable, "-u", PROGRAM],
            env={
                **environment(internet),
                "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
                "OTEL_BSP_SCHEDULE_DELAY": "50",
                "REST_MS": "30000",
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        assert eventually(lambda: len(of_kind(receiver, "span")) == 12)
        program.kill()
        out, _ = program.communicate(timeout=120)
        truth.learn()
        is_span = ("span ", "stepped")
        notes = {name: note for name, note in notes_of(out).items() if name.startswith(is_span)}
        report = check(of_kind(receiver, "span"), truth, notes, slack_ns=SLACK_NS)
    assert report.is_true, report


def of_kind(receiver: Receiver, kind: str) -> list[Item]:
    return [item for item in receiver.items() if item.kind == kind]


def test_opentelemetry_instrument_needs_no_line_at_all(internet: str) -> None:
    command = [
        *("-c", "from opentelemetry.instrumentation.auto_instrumentation import run; run()"),
        *("--traces_exporter", "otlp", "--metrics_exporter", "otlp", "--logs_exporter", "otlp"),
        *("--exporter_otlp_protocol", "http/protobuf"),
        *(sys.executable, str(PROGRAMS / "otel_uninstrumented.py")),
    ]

    def arrived(**variables: Any) -> dict[str, Any]:
        with Receiver() as receiver:
            endpoint = receiver.endpoint
            variables = {
                **variables,
                "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
                "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED": "true",
            }
            done = run_python(*command, server=internet, **variables)
            assert done.code == 0, done.err
            return {item.name: item.attributes for item in receiver.items()}

    items = arrived()
    assert items.keys() >= {"worked", "said", "counted"}
    assert {name: items[name].get(MARK) for name in ("worked", "said", "counted")} == {
        "worked": True,
        "said": True,
        "counted": True,
    }
    off = arrived(OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="other, portacode")
    assert {items.get(MARK) for items in off.values()} == {None}


def test_workers_that_gunicorn_forks_after_a_preload_send_true_spans(
    faulty_server: Callable[..., FaultyServer], tmp_path: Path
) -> None:
    # Under libfaketime gunicorn cannot sleep: the server is ahead instead.
    ahead = faulty_server(*INTERNET, "--offset", "+1h").address
    (tmp_path / "preloaded_site.py").write_text(
        f"{OUR_LINE}"
        """
import os
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=100))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("site")
with tracer.start_as_current_span("preloaded"):
    pass

def app(environ, start_response):
    with tracer.start_as_current_span(environ["PATH_INFO"], attributes={"pid": os.getpid()}):
        start_response("200 OK", [("Content-Length", "0")])
    return [b""]
"""
    )
    port = free_port()
    with Receiver() as receiver:
        server = subprocess.Popen(
            [
                *(sys.executable, "-W", "ignore", "-m", "gunicorn", "--preload", "--workers", "2"),
                *("--threads", "2", "--bind", f"127.0.0.1:{port}", "preloaded_site:app"),
            ],
            cwd=tmp_path,
            env={
                **environment(ahead),
                "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
            },
            stderr=subprocess.DEVNULL,
        )
        try:
            assert eventually(lambda: answers(port, "/ready"))
            for number in range(20):
                assert answers(port, f"/{number}")
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(120)
        spans = of_kind(receiver, "span")
    counts = Counter(span.name for span in spans)
    assert counts == {**{f"/{number}": 1 for number in range(20)}, "/ready": 1, "preloaded": 1}
    for span in spans:
        assert span.attributes[MARK] is True, span
        off_ns = span.times_ns["start"] - time.time_ns() - 3600 * 10**9
        assert -60 * 10**9 < off_ns < 10**9, span


def answers(port: int, path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=120) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


MARK = "ntp_clock.synchronised"
