"""Python traces a time of the SDK to the moments that every language finds."""

from __future__ import annotations

import json
import os
import time
from typing import Any

import pytest
from support import ROOT

from portacode._native import SdkHistory
from portacode.utils.ntp_clock import ManualClock, NTPClock, Reading

FILE = ROOT / "tests/vectors/otel-history.json"
CASES = json.loads(FILE.read_text("utf-8"))["cases"]


def reading(given: dict[str, Any] | None) -> Reading | None:
    if given is None:
        return None
    time_ns, max_ns, est_ns = (
        int(given[name]) for name in ("time_ns", "max_error_ns", "est_error_ns")
    )
    return Reading(time_ns, max_ns, est_ns, given["epoch"])


def history(case: dict[str, Any]) -> SdkHistory:
    # The clock itself never answers here: what is dated is dated by the samples' readings.
    kept = SdkHistory(ManualClock())
    for sample in case["samples"]:
        kept.feed(
            int(sample["counter_ns"]),
            int(sample["width_ns"]),
            int(sample["system_ns"]),
            int(sample["resolution_ns"]),
            sample["counter"],
            reading(sample["reading"]),
        )
    return kept


def asked(ask: dict[str, Any]) -> tuple[tuple[int, int], Any]:
    window = {
        name: None if ask[name] is None else int(ask[name])
        for name in ("not_before_ns", "not_after_ns")
    }
    return (int(ask["system_ns"]), int(ask["resolution_ns"])), window


def moment(given: dict[str, str]) -> tuple[int, str]:
    return int(given["counter_ns"]), given["counter"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_time_is_traced_to_the_moments_that_every_language_finds(case: dict[str, Any]) -> None:
    kept = history(case)
    for ask in case["asks"]:
        time, window = asked(ask)
        traced = ask["traced"]
        expected = traced and (
            moment(traced["earliest"]),
            moment(traced["latest"]),
            traced["ambiguous"],
        )
        assert kept.trace(*time, **window) == expected


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case["name"]) for case in CASES if case["clock"] is None]
)
def test_a_time_is_dated_by_the_readings_of_its_samples(case: dict[str, Any]) -> None:
    kept = history(case)
    for ask in case["asks"]:
        time, window = asked(ask)
        assert kept.date(*time, **window) == reading(ask["dated"])


def test_a_counters_name_is_hexadecimal() -> None:
    with pytest.raises(ValueError, match='16 hexadecimal digits, not "first"'):
        SdkHistory(ManualClock()).feed(0, 0, 0, 1, "first")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_goes_on_with_what_its_parent_remembered(synced: NTPClock) -> None:
    kept = SdkHistory(synced)
    kept.sample()
    before_ns = time.time_ns()
    kept.sample()
    child = os.fork()
    if child == 0:
        kept.sample()
        os._exit(0 if kept.survived() and kept.date(before_ns) and len(kept) == 3 else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_time_was_just_taken_or_somebody_gave_it() -> None:
    kept = SdkHistory(ManualClock())
    now_ns = time.time_ns()
    assert kept.moment_of(now_ns) is not None
    assert kept.moment_of(now_ns - 900_000_000) is not None
    assert kept.moment_of(now_ns - 2_000_000_000) is None
    assert kept.moment_of(now_ns + 60_000_000_000) is None
    assert len(kept) == 1
