#!/usr/bin/env python3
"""Runs one program in many worlds, with our line and without, and says what came of its telemetry.

    python tools/otel_swarm.py             # what is built, in all worlds: half an hour each
    python tools/otel_swarm.py --program rust --world stepped many
    python tools/otel_swarm.py --program mine=./program --world behind ahead

Clocks that are wrong, step and drift; collectors that are down; a time server that is silent or
late; a process that is killed. Exit codes: 0 with our line nothing was wrong and no more lost or
doubled than without; 1 not so; 2 something is missing on this machine.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
# Before the shared clock is imported: it has no part in this.
os.environ.setdefault("PORTACODE_NTP_SERVER", "127.0.0.1:1")
sys.path[:0] = [str(ROOT / "tests/python")]

import pytest
from otel_receiver import Mood, Receiver
from otel_truth import Report, TruthClock, check, notes_of
from support import FaultyServer
from test_wrong_system_clock import faketime_library

if TYPE_CHECKING:
    from collections.abc import Sequence

# The time server 10 ms away, and what it says of itself.
INTERNET = (
    *("--delay", "10ms + exp 300us", "--stratum", "3"),
    *("--root-delay", "10ms", "--root-dispersion", "1ms"),
)
# The machine's own clock is read here and in the time server, by different lines.
SLACK_NS = 50_000
NEVER_S = 1e9
# As docs/OPENTELEMETRY.md has it.
GATE_ITEMS = 2048


@dataclass(frozen=True)
class World:
    """What befalls a program."""

    what: str
    clock: str | None = None  # as libfaketime reads it
    step_to: str | None = None
    down_s: float = 0.0  # how long nobody listens at the collector's port
    silent_s: float = 0.0  # how long the time server does not answer
    kill_after: int = 0  # how many items
    variables: dict[str, str] = field(default_factory=dict)
    may_admit: bool = False  # some leave before the clock can be known
    may_lose: int = 0  # this many more than without our line


def worlds(spans: int, down_s: float, silent_s: float) -> dict[str, World]:
    """All of them, by name."""
    # The queue of a batch processor is what loses otherwise, with our line or without.
    many = {
        "SPANS": str(spans),
        "OTEL_BSP_MAX_QUEUE_SIZE": str(2 * spans + 1000),
        # And its exporter, where all leaves at once: in milliseconds, or Python's in seconds.
        "OTEL_EXPORTER_OTLP_TIMEOUT": "120000",
    }
    # Long enough to be synchronised: who ends before lets out what waits as it is.
    brief = {"REST_MS": "2000"}
    lasting = {"SPANS": str(int(down_s * 4) + 12), "PAUSE_MS": "250"}
    # The clock asks a silent server again after 14 s at most.
    late = {"SPANS": str(int(silent_s * 10) + 200), "PAUSE_MS": "100"}
    return {
        "right": World("the system's clock is right", variables=brief),
        "behind": World("the system's clock is 2 s behind", "-2", variables=brief),
        "ahead": World("the system's clock is 3 h ahead", "+3h", variables=brief),
        "stepped": World("the clock is set back by 2 s in mid-span", "+0", "-2", variables=brief),
        "stepped ahead": World(
            "the clock is set ahead by 2 s in mid-span", "+0", "+2", variables=brief
        ),
        "stepped later": World(
            "the same back by 2 s, when the clock was synchronised",
            "+0",
            "-2",
            variables={**brief, "SYNCHRONISE": "1"},
        ),
        "drifting": World("200 ppm fast", "+0 x1.0002", variables={"REST_MS": "3000"}),
        "many": World("many spans", "-2", variables={**many, "SYNCHRONISE": "1"}),
        "many at once": World(
            "many spans, and 16 threads, from before the first synchronisation on",
            "-2",
            variables={**many, "SPANS": str(spans // 16), "THREADS": "16"},
            may_admit=True,
        ),
        "down": World("the collector is down", "-2", down_s=down_s, variables=lasting),
        "killed": World(
            "the process is killed",
            "-2",
            # Batches leave by their size alone, and the end comes amidst one: chance has no part.
            kill_after=475,
            variables={
                "SPANS": "1000",
                "PAUSE_MS": "20",
                "SYNCHRONISE": "1",
                "PYTHONUNBUFFERED": "1",
                "OTEL_BSP_SCHEDULE_DELAY": "60000",
                "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "50",
                "OTEL_BLRP_SCHEDULE_DELAY": "60000",
                "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE": "50",
            },
        ),
        "killed early": World(
            "the process is killed while items wait for the first synchronisation",
            "-2",
            silent_s=NEVER_S,
            kill_after=350,
            variables={"SPANS": "1000", "PAUSE_MS": "50"},
            # No clock has been known: what the gate holds goes with the process.
            may_lose=GATE_ITEMS,
        ),
        "never": World(
            "no time server answers", "-2", silent_s=NEVER_S, variables=late, may_admit=True
        ),
        "late": World(
            "the time server answers after the gate's time-out",
            "-2",
            silent_s=silent_s,
            variables=late,
            may_admit=True,
        ),
    }


class Outcome(NamedTuple):
    """What became of one program in one world."""

    report: Report
    sent: int
    seconds: float
    code: int
    complaint: str


class Swarm:
    """Runs programs in worlds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, command: Sequence[str], world: World, *, true_time: bool) -> Outcome:
        """One program in one world."""
        with ExitStack() as stack:
            server = FaultyServer(*INTERNET)
            stack.callback(server.stop)
            if world.silent_s:
                server.change("silence on")
            mood = Mood.DOWN if world.down_s else Mood.ANSWERS
            receiver = stack.enter_context(Receiver(mood))
            stop = threading.Event()
            stack.callback(stop.set)
            truth = TruthClock()
            self._later(stop, world.down_s, lambda: setattr(receiver, "mood", Mood.ANSWERS))
            self._later(stop, world.silent_s, lambda: server.change("silence off"))
            self._every_second(stop, truth)
            variables = {
                **self._faked(world),
                **world.variables,
                "TRUE_TIME": "1" if true_time else "0",
                "PORTACODE_NTP_SERVER": server.address,
                "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
            }
            begun_s = time.monotonic()
            code, out, complaint = self._program(command, variables, world.kill_after)
            seconds = time.monotonic() - begun_s
            # Who was killed may have been in the midst of sending.
            time.sleep(0.2 if world.kill_after else 0)
            truth.learn()
            notes = notes_of(out)
            report = check(receiver.items(), truth, notes, slack_ns=SLACK_NS)
            return Outcome(report, len(notes), seconds, code, complaint)

    def _program(
        self, command: Sequence[str], variables: dict[str, str], kill_after: int
    ) -> tuple[int, str, str]:
        with (
            (self._folder / "err").open("w+") as errors,
            subprocess.Popen(
                command,
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            ) as process,
        ):
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                lines.append(line)
                if len(lines) == kill_after:
                    process.kill()
            code = process.wait()
            errors.seek(0)
            return code, "".join(lines), errors.read()

    def _faked(self, world: World) -> dict[str, str]:
        if world.clock is None:
            return {}
        faked = {
            "LD_PRELOAD": faketime_library(),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DISABLE_SHM": "1",
        }
        if world.step_to is None:
            return {**faked, "FAKETIME": world.clock}
        file = self._folder / "offset"
        file.write_text(world.clock)
        stepping = {"FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1"}
        return {**faked, **stepping, "STEP_FILE": str(file), "STEP_TO": world.step_to}

    @staticmethod
    def _later(stop: threading.Event, after_s: float, act: Any) -> None:
        def wait() -> None:
            if not stop.wait(min(after_s, threading.TIMEOUT_MAX)):
                act()

        if after_s:
            threading.Thread(target=wait, daemon=True).start()

    @staticmethod
    def _every_second(stop: threading.Event, truth: TruthClock) -> None:
        def look() -> None:
            while not stop.wait(1):
                truth.learn()

        threading.Thread(target=look, daemon=True).start()


def row(cells: Sequence[object]) -> str:
    """A line of the table."""
    return " | ".join(str(cell).rjust(width) for cell, width in zip(cells, WIDTHS))


def figures(language: str, world: str, line: str, outcome: Outcome) -> str:
    """One run, as a line of the table."""
    report = outcome.report
    doubled = len(report.doubled)
    wrong = len(report.misses) + len(report.disordered)
    errors = (f"{report.furthest_ns / 1e6:.3f}", f"{report.widest_ns / 1e6:.3f}")
    counts = (outcome.sent, len(report.lost), doubled, report.times, wrong, len(report.admitted))
    largest = f"{report.largest:.3f}"
    return row([language, world, line, *counts, *errors, largest, f"{outcome.seconds:.1f}"])


def faults(world: World, ours: Outcome, control: Outcome) -> list[str]:
    """What the line must not do, and did."""
    report, without = ours.report, control.report
    found = []
    for name, outcome in (("with", ours), ("without", control)):
        if outcome.code != 0 and not world.kill_after:
            found.append(
                f"{name} our line it ended with {outcome.code}: {outcome.complaint[-600:]}"
            )
    if report.misses or report.disordered:
        found.append(f"wrong: {report}")
    if report.unknown_truth:
        found.append(f"arrived and never sent: {report.unknown_truth[:5]}")
    if world.silent_s < NEVER_S and not world.kill_after and not report.synchronised:
        found.append("nothing is synchronised")
    if report.admitted and not world.may_admit:
        found.append(f"{len(report.admitted)} times left as they were: {report.admitted[:3]}")
    if len(report.lost) > len(without.lost) + world.may_lose:
        found.append(f"lost {len(report.lost)}, and {len(without.lost)} without our line")
    if len(report.doubled) > len(without.doubled):
        found.append(f"doubled {len(report.doubled)}, and {len(without.doubled)} without our line")
    if world.clock is not None and not without.misses:
        found.append("the control is not wrong: the world is not what it is meant to be")
    return found


def programs() -> dict[str, str]:
    """The project's own: those that are built."""
    python = ROOT / "tests/python/programs/otel_program.py"
    found = {"python": f"{sys.executable} {python}"}
    if (ROOT / "js/node_modules/@opentelemetry").exists():
        found["node"] = f"node {ROOT / 'js/programs/otel-world.mjs'}"
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    for profile in ("debug", "release"):
        rust = target / profile / "examples/truth"
        if rust.exists():
            found["rust"] = str(rust)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what is asked for, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names, ours = list(worlds(1, 1, 1)), programs()
    parser.add_argument("--world", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument(
        "--program",
        nargs="+",
        default=list(ours),
        metavar="NAME",
        help=f"one that is built ({', '.join(ours)}), or NAME=COMMAND",
    )
    parser.add_argument("--spans", type=int, default=50_000, help="pairs of spans of many (50000)")
    parser.add_argument("--down", type=float, default=300, metavar="S", help="of the collector")
    parser.add_argument("--silent", type=float, default=12, metavar="S", help="of the time server")
    options = parser.parse_args(arguments)
    chosen = {}
    for program in options.program:
        name, _, command = program.partition("=")
        if not command and name not in ours:
            parser.error(f"{name} is not built: the programs are {', '.join(ours)}")
        chosen[name] = (command or ours[name]).split()
    known = worlds(options.spans, options.down, options.silent)
    try:
        return _run(chosen, {name: known[name] for name in options.world})
    except pytest.skip.Exception as missing:
        print(missing.msg, file=sys.stderr)
        return 2


def _run(chosen: dict[str, list[str]], known: dict[str, World]) -> int:
    print(row(TITLES))
    failed = False
    with tempfile.TemporaryDirectory(prefix="otel-swarm-") as folder:
        swarm = Swarm(Path(folder))
        for language, command in chosen.items():
            for name, world in known.items():
                control = swarm.run(command, world, true_time=False)
                print(figures(language, name, "without", control), flush=True)
                ours = swarm.run(command, world, true_time=True)
                print(figures(language, name, "with", ours), flush=True)
                for fault in faults(world, ours, control):
                    failed = True
                    print(f"    FAULT {language} {name}: {fault}", flush=True)
    return 1 if failed else 0


TITLES = (
    *("program", "world", "our line", "items", "lost", "doubled", "times", "wrong", "admitted"),
    *("worst ms", "stated ms", "of stated", "s"),
)
WIDTHS = (8, 13, 8, 7, 6, 7, 7, 7, 8, 12, 9, 9, 6)

if __name__ == "__main__":
    sys.exit(main())
