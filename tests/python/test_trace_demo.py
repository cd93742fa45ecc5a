"""What the demo's client makes of traces, and that the demo's programs end with their parent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from support import ROOT, eventually

from portacode.trace import KEYS, Trace

if TYPE_CHECKING:
    from pathlib import Path

    import demo_client
    import demo_summary
    import demo_waterfall

START_MS = 1_759_639_032_000.0


@pytest.fixture(autouse=True)
def _tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    # Imported by each test: the tools are no package.
    for name in ("demo_client", "demo_summary", "demo_waterfall"):
        globals()[name] = __import__(name)


def whole(**changes: Any) -> Trace:
    """A trace of events a millisecond apart, whose system clocks are wrong."""
    wrong_ms = {"server": 1_700.0, "device": -2_200.0, "client": 0.0}
    message: dict[str, Any] = {
        name: {} for name in ("max_error_ms", "est_error_ms", "epoch", "raw", "entities")
    }
    for index, key in enumerate(KEYS):
        who = {"c": "client", "s": "server"}.get(key[0], "device")
        message[key] = START_MS + index
        message["max_error_ms"][key] = 0.25
        message["est_error_ms"][key] = 0.125
        message["epoch"][key] = 1
        message["raw"][key] = START_MS + index + wrong_ms[who]
        message["entities"][key] = who if who == "client" else f"{who}:1"
    message.update(changes)
    return Trace.from_message({key: value for key, value in message.items() if value is not None})


def summed(*traces: Trace) -> demo_summary.Summary:
    summary = demo_summary.Summary()
    summary.requests = summary.stored = len(traces)
    summary.traces = list(traces)
    return summary


def test_a_synchronised_trace_goes_down_in_steps_and_a_raw_one_to_and_fro() -> None:
    paint = demo_waterfall.Paint(False)
    lines = demo_waterfall.draw(demo_waterfall.synchronised_marks(whole()), 120, paint)
    columns = [line.index("●") for line in lines]
    assert len(columns) == len(KEYS)
    assert columns == sorted(columns)
    assert len(set(columns)) == len(KEYS)
    assert "±" not in lines[0], "all others are relative to it"
    assert all("±0.500" in line and "─" in line for line in lines[1:]), "where they can be"
    assert max(map(len, lines)) <= 120
    raw = demo_waterfall.draw(demo_waterfall.raw_marks(whole()), 120, paint)
    columns = [line.index("●") for line in raw]
    assert columns[3] < columns[0] < columns[1], "device, client, server"


def test_a_trace_whose_clocks_are_linked_has_narrow_bands_and_one_distance_from_utc() -> None:
    cases = json.loads((ROOT / "tests/vectors/trace-relations.json").read_text())["cases"]
    (message,) = next(
        case["traces"] for case in cases if case["name"].startswith("a link tells what")
    )
    trace = Trace.from_message(message)
    first, second = demo_waterfall.synchronised_marks(trace)
    assert (first.ms, first.low_ms, first.high_ms) == (0.0, 0.0, 0.0)
    assert second[2:5] == pytest.approx((0.9, 0.7, 1.1), abs=0.005)
    assert demo_waterfall.distance_from_utc(trace) == (
        "all of it together: off from UTC by at most ±18.000 ms"
    )
    untimed = Trace.from_message(
        {"counter": message["counter"], **{name: message[name] for name in ("counter_ns", "links")}}
    )
    assert demo_waterfall.distance_from_utc(untimed) is None
    assert [mark.key for mark in demo_waterfall.synchronised_marks(untimed)] == [
        "server_send",
        "device_receive",
    ]


def test_what_is_out_of_order_is_red() -> None:
    paint = demo_waterfall.Paint(True)
    late = whole(server_send=START_MS - 10)
    lines = demo_waterfall.draw(demo_waterfall.synchronised_marks(late), 120, paint)
    assert ["\x1b[31m" in line for line in lines] == [key == "server_send" for key in KEYS]


def test_a_trace_of_few_or_equal_stamps_can_be_drawn() -> None:
    paint = demo_waterfall.Paint(False)
    assert demo_waterfall.draw([], 120, paint) == ["  (no stamps)"]
    one = Trace.from_message({"client_send": START_MS})
    assert len(demo_waterfall.draw(demo_waterfall.synchronised_marks(one), 1, paint)) == 1


def test_the_sum_counts_what_is_out_of_order_and_takes_medians() -> None:
    summed_up = summed(whole(), whole()).to_json()
    assert summed_up["good"] is True
    assert summed_up["raw"] == {"traces_out_of_order": 2, "pairs_out_of_order": 38}
    assert summed_up["synchronised"]["pairs_out_of_order"] == 0
    assert summed_up["synchronised"]["pairs_certainly_in_order"] == 110
    assert [hop["median"] for hop in summed_up["hops"]] == [1.0] * 10
    assert {hop["max_error_ms"] for hop in summed_up["hops"]} == {0.5}
    assert summed_up["ping_ms"]["median"] == 10
    assert set(summed_up["max_error_ms"]) == {"client", "server:1", "device:1"}
    lines = "\n".join(summed(whole()).lines())
    assert "1 requests: 1 answered, 1 with all 11 stamps" in lines
    assert "device_send → server_receive_response" in lines


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"errors": {"busy": 1}}, "errors {'busy': 1}"),
        ({"duplicates": 1}, "1 answered twice"),
        ({"stored": 1}, "1 of 2 stored"),
        ({"requests": 3}, "2 of 3 answered"),
    ],
)
def test_what_is_not_good_is_named(change: dict[str, Any], text: str) -> None:
    summary = summed(whole(), whole())
    for name, value in change.items():
        setattr(summary, name, value)
    assert not summary.is_good
    assert text in "; ".join(demo_client.reasons(summary))


def test_a_trace_that_is_incomplete_or_out_of_order_is_not_good() -> None:
    late = whole(device_send=START_MS - 5)
    unsynced = whole(device_send=None, unsynced={"device_send": "no reply within 2 s"})
    for trace, text in [(late, "1 traces out of order"), (unsynced, "no reply within 2 s")]:
        summary = summed(whole(), trace)
        assert not summary.is_good
        assert text in "; ".join(demo_client.reasons(summary))
        assert summary.lines()
    assert not summed().is_good, "nothing was shown"
    right = summed(whole(raw=None))
    assert right.is_good
    right.skewed = True
    assert not right.is_good
    assert "system clocks are wrong, and not all" in "; ".join(demo_client.reasons(right))


def counted(start_ms: float, counters: dict[str, str], **changes: Any) -> Trace:
    """A trace of events a millisecond apart, with counters that read the same."""
    counter_ns = {key: str(round((start_ms + n) * 1e6)) for n, key in enumerate(KEYS)}
    counter = {key: counters[{"c": "client", "s": "server"}.get(key[0], "device")] for key in KEYS}
    changes = {"counter": counter, "counter_ns": counter_ns, **changes}
    return whole(**{key: START_MS + start_ms + n for n, key in enumerate(KEYS)}, **changes)


def test_order_across_machines_is_held_against_their_one_counter() -> None:
    counters = {"client": "c" * 16, "server": "5" * 16, "device": "d" * 16}
    summary = summed(counted(1_000, counters), counted(1_100, counters))
    assert summary.to_json()["across_machines"] is None, "not judged"
    summary.judge([0, 1])
    summed_up = summary.to_json()
    # By synchronised time alone, for there are no links; 37 of 121 pairs are of one machine.
    nothing = {"pairs": 0, "certain": 0, "decidable": 0, "decidable_certain": 0, "wrong": 0}
    assert summed_up["across_machines"] == {**nothing, "pairs": 76, "certain": 76}
    assert summed_up["across_machines_in_parallel"] == nothing
    assert summed_up["good"] is True
    assert "0 of 0 certain" in "\n".join(summary.lines())
    summary.judge([0, 0])
    assert summary.to_json()["across_machines_in_parallel"]["pairs"] == 76


def link(other: str, at_ms: float, round_trip_ms: float) -> dict[str, Any]:
    """What the server's link knows where counters read the same, and the way is as long back."""
    unsure_ns = round_trip_ms / 2 * 1e6
    return {
        "a": "5" * 16,
        "b": other,
        "a_ns": str(round(at_ms * 1e6)),
        "b_ns": str(round(at_ms * 1e6)),
        "lower_ns": -unsure_ns,
        "upper_ns": unsure_ns,
        "est_ns": 0.0,
        "est_error_ns": unsure_ns / 2,
        "rate_ppb": [-1000.0, 1000.0],
        "round_trip_ns": round_trip_ms * 1e6,
        "exchanges_ns": [-unsure_ns, unsure_ns],
    }


def test_each_hop_has_its_relative_error_and_the_least_round_trip_of_its_link() -> None:
    counters = {"client": "c" * 16, "server": "5" * 16, "device": "d" * 16}
    traces = []
    for start_ms, client_ms, device_ms in [(1_000, 0.9, 0.5), (2_000, 0.7, 0.6)]:
        links = [link("c" * 16, start_ms, client_ms), link("d" * 16, start_ms, device_ms)]
        # Their times of day are worth little.
        unsure = dict.fromkeys(KEYS, 20.0)
        traces.append(counted(start_ms, counters, links=links, max_error_ms=unsure))
    hops = {(hop["start"], hop["end"]): hop for hop in summed(*traces).to_json()["hops"]}
    assert len(hops) == 10
    for (start, end), hop in hops.items():
        ends = {start.partition("_")[0], end.partition("_")[0]}
        if ends == {"client", "server"}:
            assert hop["round_trip_ms"] == pytest.approx(0.7)
            # The median of two: the mean of half the widths.
            assert hop["relative_error_ms"] == pytest.approx(0.4, abs=0.01)
        elif ends == {"server", "device"}:
            assert hop["round_trip_ms"] == pytest.approx(0.5)
            assert hop["relative_error_ms"] == pytest.approx(0.275, abs=0.01)
        else:
            assert hop["round_trip_ms"] == 0
            assert hop["relative_error_ms"] < 0.01
        assert hop["max_error_ms"] == pytest.approx(40)


def test_a_wrong_certainty_and_counters_that_disagree_are_not_good() -> None:
    counters = {"client": "c" * 16, "server": "5" * 16, "device": "d" * 16}
    # Its synchronised times say that it was a second later than its counters do.
    times = {key: START_MS + 2_000 + n for n, key in enumerate(KEYS)}
    lying = counted(1_000, {"client": "1" * 16, "server": "2" * 16, "device": "3" * 16})
    lying = Trace.from_message({**lying.to_message(), **times})
    summary = summed(lying, counted(1_500, counters))
    summary.judge([0, 1])
    assert not summary.is_good
    assert "121 pairs said to be certain, in the wrong order" in demo_client.reasons(summary)
    back = counted(1_000, counters).to_message()
    back["counter_ns"]["device_send"] = back["counter_ns"]["client_send"]
    summary = summed(Trace.from_message(back))
    summary.judge([0])
    assert not summary.is_good
    assert "run backwards" in "; ".join(demo_client.reasons(summary))


@pytest.mark.parametrize("how", ["close", "kill"])
def test_a_program_of_the_demo_ends_with_its_parent(tmp_path: Path, how: str) -> None:
    """The parent either closes the pipe or is killed, and says nothing to anybody."""
    child = ROOT / "tools/demo_child.py"
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys, time\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(f'{{os.getpid()}} {{sys.argv[1]}}')\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys\n"
            f"command = [sys.executable, {str(child)!r}, {str(program)!r}, 'argument']\n"
            "child = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)\n"
            "sys.stdin.read()\n"
            "child.stdin.close()\n"
            "sys.exit(child.wait(timeout=120) != -15)\n",
        ],
        stdin=subprocess.PIPE,
    )
    pid_file = tmp_path / "pid"
    assert eventually(
        lambda: pid_file.exists() and pid_file.read_text().count(" ") == 1, within_s=30
    )
    number, argument = pid_file.read_text().split()
    assert argument == "argument"
    assert parent.stdin is not None
    if how == "close":
        parent.stdin.close()
        assert parent.wait(timeout=120) == 0, "as by SIGTERM"
    else:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        parent.stdin.close()
    assert eventually(lambda: not runs(int(number)))


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
    finally:
        time.sleep(0.01)
