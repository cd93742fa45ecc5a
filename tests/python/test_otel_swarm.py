"""Programs with our line in wrong worlds, beside the same without; and what counts as a fault."""

from __future__ import annotations

import otel_swarm
import pytest
from otel_swarm import Outcome, World, faults
from otel_truth import Miss, Report

MISS = Miss("a", "start", 2_000_000_000, 0)
BEHIND = World("behind", "-2")


def outcome(code: int = 0, **found: object) -> Outcome:
    return Outcome(Report(items=3, times=6, synchronised=3, **found), 3, 1.0, code, "")  # type: ignore[arg-type]


WRONG = outcome(misses=[MISS])


def test_what_is_true_beside_a_wrong_control_is_no_fault() -> None:
    assert faults(BEHIND, outcome(), WRONG) == []
    lossy = outcome(misses=[MISS], lost=["a", "b"], doubled=["c"])
    assert faults(BEHIND, outcome(lost=["b"], doubled=["c"]), lossy) == []


@pytest.mark.parametrize(
    ("ours", "control", "what"),
    [
        (WRONG, WRONG, "wrong"),
        (outcome(disordered=["a ends before it starts"]), WRONG, "wrong"),
        (outcome(admitted=[MISS]), WRONG, "left as they were"),
        (outcome(lost=["a"]), WRONG, "lost 1, and 0 without"),
        (outcome(doubled=["a"]), WRONG, "doubled 1, and 0 without"),
        (outcome(unknown_truth=["a start"]), WRONG, "never sent"),
        (outcome(code=1), WRONG, "ended with 1"),
        (outcome(), outcome(), "the control is not wrong"),
    ],
)
def test_each_fault_is_found(ours: Outcome, control: Outcome, what: str) -> None:
    found = faults(BEHIND, ours, control)
    assert len(found) == 1
    assert what in found[0]


@pytest.mark.parametrize(
    ("program", "world"),
    [
        ("python", "behind"),
        ("python", "stepped"),
        ("python", "many at once"),
        ("rust", "behind"),
        ("rust", "stepped"),
        ("node", "behind"),
    ],
)
def test_times_are_true_in_a_world_whose_clock_is_wrong(
    program: str, world: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if program not in otel_swarm.programs():
        pytest.skip(f"the program of {program} is not built: cargo xtask test builds it")
    code = otel_swarm.main(["--program", program, "--world", world, "--spans", "320"])
    table = capfd.readouterr().out
    assert code == 0, table
    assert table.count("\n") == 3, "titles, and two runs"


@pytest.mark.parametrize("world", ["down", "killed"])
def test_where_things_are_lost_no_more_of_them_are_with_our_line(
    world: str, capfd: pytest.CaptureFixture[str]
) -> None:
    code = otel_swarm.main(["--program", "python", "--world", world, "--down", "2"])
    assert code == 0, capfd.readouterr().out
