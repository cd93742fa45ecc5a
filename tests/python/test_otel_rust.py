"""OpenTelemetry's SDK in Rust, under a wrong system clock: what arrives by OTLP is true.

The program is crates/ntp-clock-opentelemetry/examples/truth.rs; without our lines it is the
control.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from otel_receiver import Mood, Receiver
from otel_truth import Report, TruthClock, check, notes_of
from support import ROOT, environment
from test_otel_truth import SLACK_NS, faked, stepping

if TYPE_CHECKING:
    from collections.abc import Callable

    from support import FaultyServer

# Some 15 ms there and back, and not as long each way.
INTERNET = ("--delay-to-server", "8ms + exp 1ms", "--delay-to-client", "6ms + exp 1ms")
# Until the clock is synchronised, and a little; for the control, until drift is seen.
REST: dict[str, Any] = {"REST_MS": "1000"}
CONTROL: dict[str, Any] = {"REST_MS": "500", "TRUE_TIME": "0"}


def program() -> str:
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    path = Path(os.environ.get("OTEL_TRUTH_BIN", target / "debug/examples/truth"))
    if not path.exists():
        pytest.skip("no example truth: cargo build --workspace --all-features --example truth")
    return str(path)


@pytest.fixture
def internet(faulty_server: Callable[..., FaultyServer]) -> str:
    return faulty_server(*INTERNET, "--loss", "1%", "--seed", "5").address


def run(server: str, *, mood: Mood = Mood.ANSWERS, **variables: Any) -> Report:
    truth = TruthClock()
    with Receiver(mood) as receiver:
        ran = subprocess.run(
            [program()],
            env={
                **environment(server),
                "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
                **variables,
            },
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        truth.learn()
        return check(receiver.items(), truth, notes_of(ran.stdout), slack_ns=SLACK_NS)


def assert_true_and_control_wrong(server: str, wrong: dict[str, Any]) -> None:
    report = run(server, **REST, **wrong)
    assert report.is_true, report
    assert report.unsynchronised == 0, report
    control = run(server, **CONTROL, **wrong)
    assert control.misses, control
    assert (control.lost, control.doubled, control.unknown_truth) == ([], [], [])


@pytest.mark.parametrize("offset", ["-2", "+3h", "+0 x1.0002"])
def test_what_a_wrong_clock_stamped_arrives_true_also_from_before_synchronisation(
    internet: str, offset: str
) -> None:
    assert_true_and_control_wrong(internet, faked(FAKETIME=offset))


@pytest.mark.parametrize(("before", "after"), [("-2", "+3h"), ("+0", "-2"), ("+3h", "+0")])
def test_a_step_within_a_span_leaves_its_times_true(
    internet: str, tmp_path: Path, before: str, after: str
) -> None:
    wrong = stepping(tmp_path, before, after)
    report = run(internet, **REST, **wrong)
    assert report.is_true, report
    control = run(internet, **CONTROL, **stepping(tmp_path, before, after))
    assert control.misses, control


def test_a_time_that_was_shown_twice_is_within_an_error_that_covers_both(
    internet: str, tmp_path: Path
) -> None:
    # What is shown after the step was shown before it too.
    report = run(internet, **REST, **stepping(tmp_path, "+0", "-2"), PAUSE_MS="500")
    assert report.is_true, report


def test_of_a_hundred_thousand_spans_of_sixteen_threads_all_arrive_once_and_true(
    internet: str,
) -> None:
    # Each turn makes two, and the queue of the SDK drops what it has no room for.
    many: dict[str, Any] = {"SPANS": "3125", "THREADS": "16", "OTEL_BSP_MAX_QUEUE_SIZE": "200000"}
    report = run(internet, SYNCHRONISE="1", **many, **faked(FAKETIME="-2"))
    assert report.is_true, report
    assert report.items > 100_000
    assert report.unsynchronised == 0


@pytest.mark.parametrize("mood", [Mood.ANSWERS, Mood.DOWN])
def test_who_is_never_synchronised_loses_nothing_and_says_so(silent: str, mood: Mood) -> None:
    report = run(silent, mood=mood, **faked(FAKETIME="-2"))
    assert (report.synchronised, report.misses, report.doubled) == (0, [], [])
    if mood is Mood.ANSWERS:
        assert report.is_honest, report
        assert report.lost == []
        assert len(report.admitted) == report.times


def test_who_is_synchronised_after_the_time_out_says_of_each_item_whether_it_is_true(
    faulty_server: Callable[..., FaultyServer],
) -> None:
    late = faulty_server("--delay", "150ms").address
    early: dict[str, Any] = {
        "GATE_MS": "1",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_BLRP_SCHEDULE_DELAY": "50",
    }
    report = run(late, **REST, **early, **faked(FAKETIME="-2"))
    assert report.misses == []
    # A series that left with a wrong start begins once more.
    assert [line for line in report.disordered if "counted" not in line] == []
    assert (report.lost, report.doubled) == ([], [])
    assert report.synchronised > 0
    assert report.unsynchronised > 0
