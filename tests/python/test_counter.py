"""What a clock counts with, chosen and shown."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import environment

from portacode.utils.ntp_clock import NTPClock

NOBODY = "127.0.0.1:1"
SYSTEM = "CLOCK_MONOTONIC_RAW"
LINUX = sys.platform == "linux"
KERNELS = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")


def chosen(program: str, word: str) -> str:
    """What a program prints whose environment chooses so."""
    environ = {**environment(NOBODY), "PORTACODE_NTP_COUNTER": word}
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    return ran.stdout.strip()


@pytest.mark.skipif(not LINUX, reason="elsewhere there is one counter")
def test_a_clock_counts_with_what_was_chosen_and_its_status_says_why() -> None:
    for word in ("auto", "system"):
        status = NTPClock(NOBODY, counter=word).get_status()
        assert (status["counter"], status["counter_reason"]) == (SYSTEM, "chosen")
    status = NTPClock(NOBODY, counter="processor").get_status()
    assert (status["counter"] == SYSTEM) is (status["counter_reason"] is not None)
    if KERNELS.read_text().strip() not in {"tsc", "arch_sys_counter"}:
        assert status["counter_reason"] in {"clock_source", "unsuitable"}
    with pytest.raises(ValueError, match="sundial"):
        NTPClock(NOBODY, counter="sundial")  # type: ignore[arg-type]


@pytest.mark.skipif(not LINUX, reason="elsewhere there is one counter")
def test_the_environment_chooses_where_no_program_does() -> None:
    program = (
        "from portacode.utils.ntp_clock import ntp_clock\n"
        "status = ntp_clock.get_status()\n"
        "print(status['counter'], status['counter_reason'])"
    )
    assert chosen(program, " 'System' ") == f"{SYSTEM} chosen"
    assert chosen(program, "sundial") == f"{SYSTEM} misspelt"


def test_stamps_of_two_programs_by_one_counter_are_in_the_order_in_which_they_were_made() -> None:
    program = (
        "from portacode.utils.ntp_clock import ntp_clock\n"
        "stamp = ntp_clock.stamp()\n"
        "print(stamp.counter, stamp.counter_ns)"
    )
    clock = NTPClock(NOBODY, counter="processor")
    before = clock.stamp()
    counter, counter_ns = chosen(program, "processor").split()
    after = clock.stamp()
    assert before.counter == counter == after.counter
    assert before.counter_ns < int(counter_ns) < after.counter_ns


def test_a_moment_of_the_kernels_counter_is_not_dated_while_there_is_no_time() -> None:
    assert NTPClock(NOBODY).at_raw_ns(time.monotonic_ns()) is None
