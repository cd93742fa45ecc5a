"""The machine or the process is disturbed, and the clock says so."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from support import answer_of

if TYPE_CHECKING:
    from portacode.utils.ntp_clock import NTPClock

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the watches are Linux'")


@linux_only
@pytest.mark.slow
def test_a_process_that_was_stopped_reads_right_says_so_and_asks_at_once(time_server: str) -> None:
    answer = answer_of("stopped.py", time_server, server=time_server)
    assert answer["asked_again"], answer
    assert answer["worst_ns"] <= 0, "a reading was outside its bound"
    # A machine that is busy enough pauses it once more.
    words = f"the process or the machine was paused: {time_server} is asked at once"
    assert all(line == ["paused", "INFO", words] for line in answer["reported"]), answer
    assert (answer["epoch"], answer["last_disruption"]) == (1, "paused")
    assert answer["disruptions"] >= 1


@linux_only
def test_the_status_says_what_is_watched(synced: NTPClock) -> None:
    status = synced.get_status()
    assert status["vmclock"] in {"watched", "absent", "unreadable", "other_version", "too_short"}
    assert ("vmclock" in status["watches"]) == (status["vmclock"] == "watched")
    assert "monotonic" in status["watches"]
    # A machine that is busy enough pauses it.
    assert status["last_disruption"] in (None, "paused")
    assert (status["disruptions"] == 0) == (status["last_disruption"] is None)
