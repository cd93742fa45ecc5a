"""Every moment that is answered is within its max_error: past, holdover, whatever a path does.

The truth is made here, with a counter and a path of the test's own; the readings come from the
shipped core, as `portacode.replay` gives them.
"""

from __future__ import annotations

import json
import random
from math import cos, tau
from typing import TYPE_CHECKING, NamedTuple

import pytest

from portacode.replay import replay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECOND_NS = 1_000_000_000
HOUR_S = 3_600.0
BEGAN_NS = 1_800_000_000 * SECOND_NS
EARLY_GAPS_S = (10, 20, 40, 80, 150)


class Dated(NamedTuple):
    """What a clock says of a moment, and the truth."""

    at_s: float
    """The moment, seconds of the counter."""
    error_ns: int
    """How far the reading is from the truth."""
    max_error_ns: int
    est_error_ns: int


class World(NamedTuple):
    """A counter and a path; all functions of seconds of the counter."""

    ahead_ns: Callable[[float], float]
    """By how much truth has gained on the counter."""
    forth_s: Callable[[float], float]
    back_s: Callable[[float], float]
    jitter_s: float
    polled_s: float
    """For so long the server is asked."""
    poll_s: float = 300.0
    seed: int = 1

    def truth_ns(self, local_ns: int) -> int:
        return BEGAN_NS + local_ns + round(self.ahead_ns(local_ns / SECOND_NS))

    def lines(self, reads: list[int]) -> Iterator[str]:
        """The log of a clock in this world, and these moments read at its end."""
        dice = random.Random(self.seed)
        gaps, at_s = list(EARLY_GAPS_S), 0.0
        while at_s < self.polled_s:
            for _ in range(4):
                yield self._exchange(at_s, dice)
                at_s += 0.05
            yield json.dumps({"type": "round_end", "local_ns": round((at_s + 2) * SECOND_NS)})
            at_s += gaps.pop(0) if gaps else self.poll_s
        for local_ns in reads:
            yield json.dumps({"type": "read", "local_ns": local_ns})

    def _exchange(self, at_s: float, dice: random.Random) -> str:
        waits_s = [dice.expovariate(1 / self.jitter_s) for _ in range(2)]
        received_s = at_s + self.forth_s(at_s) + waits_s[0]
        back_s = received_s + self.back_s(at_s) + waits_s[1]
        received_ns = self.truth_ns(round(received_s * SECOND_NS))
        return json.dumps(
            {
                "type": "exchange",
                "t1_local_ns": round(at_s * SECOND_NS),
                "t2_ns": received_ns,
                "t3_ns": received_ns,
                "t4_local_ns": round(back_s * SECOND_NS) + 1,
                "root_delay_ns": 0,
                "root_dispersion_ns": 20_000,
                "precision_log2_s": -24,
                "stratum": 1,
                "leap": 0,
            }
        )

    def dated(self, reads_s: list[float]) -> Iterator[Dated]:
        """What a clock in this world says of these moments, at its end."""
        moments = [round(at_s * SECOND_NS) for at_s in reads_s]
        for at_s, (local_ns, time_ns, max_error_ns, est_error_ns) in zip(
            reads_s, replay(self.lines(moments))
        ):
            assert time_ns is not None
            assert max_error_ns is not None
            assert est_error_ns is not None
            error_ns = abs(time_ns - self.truth_ns(local_ns))
            yield Dated(at_s, error_ns, max_error_ns, est_error_ns)


def steps(*moves: tuple[float, float]) -> Callable[[float], float]:
    """Steps of frequency: when, and by how many ppm."""
    return lambda at_s: sum(ppm * 1e3 * max(0.0, at_s - step_s) for step_s, ppm in moves)


def shifting(round_trip_s: float, begins_s: float, lasts_s: float) -> Callable[[float], float]:
    """Half of the round trip at first, all of it in the end."""

    def forth_s(at_s: float) -> float:
        share = min(1.0, max(0.0, (at_s - begins_s) / lasts_s))
        return round_trip_s / 2 * (1 + share)

    return forth_s


@pytest.mark.parametrize("minutes", [15, 25, 40])
def test_moments_of_the_past_are_within_max_error_also_after_five_steps_of_3_ppm(
    minutes: int,
) -> None:
    end_s = 8 * HOUR_S
    last_s = end_s - 40 * 60
    moves = [(last_s - step * minutes * 60, 3.0) for step in range(5)]
    world = World(steps(*moves), lambda _: 1e-4, lambda _: 1e-4, 2e-5, end_s)
    reads_s = [end_s - back_s for back_s in range(0, int(end_s), 300)]
    for at_s, error_ns, max_error_ns, _ in world.dated(reads_s):
        hours = (end_s - at_s) / HOUR_S
        assert error_ns <= max_error_ns, f"{hours} h ago, {error_ns} ns off"


@pytest.mark.parametrize("ppm", [-7.0, 2.0, 5.0, 7.0])
def test_holdover_is_within_max_error_for_days_whatever_the_temperature_does(ppm: float) -> None:
    turn = tau / (24 * HOUR_S)

    def swing_ns(at_s: float) -> float:
        return ppm * 1e3 * (1 - cos(turn * at_s)) / turn

    world = World(swing_ns, lambda _: 5e-3, lambda _: 5e-3, 3e-4, 6 * HOUR_S)
    hours_later = [0.1, 1, 2, 4, 6, 9, 12, 18, 24, 48, 96]
    reads_s = [6.1 * HOUR_S + hours * HOUR_S for hours in hours_later]
    within = 0
    for at_s, error_ns, max_error_ns, est_error_ns in world.dated(reads_s):
        assert error_ns <= max_error_ns, f"{at_s / HOUR_S - 6.1} h later"
        assert est_error_ns <= max_error_ns
        within += error_ns <= 2 * est_error_ns
    assert within >= 9, "est_error says how far readings mostly are"


@pytest.mark.parametrize("round_trip_ms", [2, 20, 200])
@pytest.mark.parametrize("lasts_s", [1.0, 600.0, HOUR_S, 3 * HOUR_S, 24 * HOUR_S])
def test_delay_that_moves_between_directions_at_a_constant_round_trip_stays_inside_max_error(
    round_trip_ms: int, lasts_s: float
) -> None:
    round_trip_s, begins_s = round_trip_ms / 1e3, 4 * HOUR_S
    forth_s = shifting(round_trip_s, begins_s, lasts_s)
    ends_s = begins_s + min(lasts_s, 6 * HOUR_S)
    for polled_s in (begins_s + 900, (begins_s + ends_s) / 2, ends_s, ends_s + 1_200):
        world = World(lambda _: 0.0, forth_s, lambda s: round_trip_s - forth_s(s), 1e-6, polled_s)
        reads_s = [polled_s + later_s for later_s in (1.0, 60.0, 150.0, 300.0)]
        for at_s, error_ns, max_error_ns, _ in world.dated(reads_s):
            assert error_ns <= max_error_ns, f"{error_ns} ns off at {at_s} s"
