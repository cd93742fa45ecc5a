"""The server goes away and comes back."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import pytest
from ports import free_port
from support import Chrony, eventually

from portacode.utils.ntp_clock import NTPClock

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_readings_go_on_through_three_attempts_then_end_with_the_reason_and_come_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "portacode.utils.ntp_clock")
    server = Chrony(tmp_path, free_port())
    server.start()
    clock = NTPClock(server.address, sync_interval=1)
    assert clock.wait_synced(60)

    server.stop()
    assert eventually(lambda: clock.get_status()["attempts"] == 1)
    first_failure = time.monotonic()
    newest = clock.now_ns()
    while clock.get_status()["attempts"] < 3:
        before, reading, after = time.time_ns(), clock.read(), time.time_ns()
        if reading is None:
            break
        assert before - reading.max_error_ns <= reading.time_ns <= after + reading.max_error_ns
        assert newest is not None
        assert reading.time_ns >= newest
        newest = reading.time_ns
        assert time.monotonic() - first_failure < 90
        time.sleep(0.05)
    assert time.monotonic() - first_failure > 40, "three attempts, a minute apart in all"

    assert eventually(lambda: clock.now_ms() is None)
    status = clock.get_status()
    assert status["state"] == "failed"
    assert status["is_synced"] is False
    assert status["last_sync"] is None
    assert status["offset_ms"] is None
    assert (status["last_error"] or "").startswith("no reply within 2 s")
    assert status["attempts"] == 3

    # Events reach logging by a thread of their own, so after the status.
    def failure_is_logged() -> bool:
        warnings = [r.getMessage() for r in list(caplog.records) if r.levelno == logging.WARNING]
        return any("clock failed, no readings" in message for message in warnings)

    assert eventually(failure_is_logged)

    server.start()
    assert clock.wait_synced(60), "by itself"
    # The round that began with the first reply is to end.
    assert eventually(lambda: clock.get_status()["attempts"] == 0)
    assert clock.get_status()["last_error"] is None
    assert clock.get_status()["state"] == "synchronised"
    server.stop()

    def synchronisations() -> list[str]:
        records = [r for r in list(caplog.records) if r.levelno == logging.INFO]
        return [r.getMessage() for r in records if f"with {server.address}:" in r.getMessage()]

    assert eventually(lambda: len(synchronisations()) == 2), "first synchronised, then recovered"


def test_holdover_serves_on_after_failure(silent: str) -> None:
    clock = NTPClock(silent, holdover=600)
    assert clock.now_ms() is None, "there is nothing to hold over before the first reply"
