"""The class that this one replaces: every method, attribute and status key, with its type."""

from __future__ import annotations

import re
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from support import eventually

from portacode.utils.ntp_clock import NTPClock, ntp_clock

if TYPE_CHECKING:
    import pytest

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00")


def test_a_synchronised_clock_answers_with_the_old_types(synced: NTPClock) -> None:
    assert type(synced.now()) is float
    assert type(synced.now_ms()) is int
    assert type(synced.now_iso()) is str
    assert type(synced.offset) is float
    assert type(synced.last_sync) is float
    assert type(synced.ntp_server) is str
    assert type(synced.sync_interval) is int


def test_an_unsynchronised_clock_answers_none(unsynced: NTPClock) -> None:
    assert unsynced.now() is None
    assert unsynced.now_ms() is None
    assert unsynced.now_iso() is None
    assert unsynced.offset is None
    assert unsynced.last_sync is None


def test_the_status_of_a_synchronised_clock_has_the_old_keys_and_types(synced: NTPClock) -> None:
    status = synced.get_status()
    assert status["server"] == synced.ntp_server
    assert type(status["offset_ms"]) is float
    assert type(status["last_sync"]) is str
    assert type(status["time_since_sync_sec"]) is float
    assert status["is_synced"] is True


def test_the_status_of_an_unsynchronised_clock_has_the_old_keys_and_nothing_in_them(
    unsynced: NTPClock,
) -> None:
    status = unsynced.get_status()
    assert status["server"] == unsynced.ntp_server
    assert status["offset_ms"] is None
    assert status["last_sync"] is None
    assert status["time_since_sync_sec"] is None
    assert status["is_synced"] is False


def test_all_forms_of_the_time_are_one_time(synced: NTPClock) -> None:
    before = synced.now_ns()
    seconds, millis, iso = synced.now(), synced.now_ms(), synced.now_iso()
    after = synced.now_ns()
    assert before is not None
    assert after is not None
    assert seconds is not None
    assert before - 1_000 <= seconds * 1e9 <= after + 1_000
    assert before // 1_000_000 <= (millis or 0) <= after // 1_000_000
    assert iso is not None
    assert ISO.fullmatch(iso)
    micros = round(datetime.fromisoformat(iso).timestamp() * 1e6)
    assert before // 1_000 <= micros <= after // 1_000


def test_iso_text_is_in_utc_and_sorts_by_time(synced: NTPClock) -> None:
    texts = [synced.now_iso() or "" for _ in range(1000)]
    assert texts == sorted(texts)
    first = datetime.fromisoformat(texts[0])
    assert abs((first - datetime.now(timezone.utc)).total_seconds()) < 1


def test_offset_is_synchronised_time_less_system_time(synced: NTPClock) -> None:
    # The server tells this machine's system time.
    offset, status = synced.offset, synced.get_status()
    assert offset is not None
    reading = synced.read()
    assert reading is not None
    assert abs(offset) * 1e9 <= reading.max_error_ns
    assert abs((status["offset_ms"] or 0) - offset * 1e3) < 1


def test_last_sync_is_the_true_time_of_the_last_reply(synced: NTPClock) -> None:
    assert synced.last_sync is not None
    status = synced.get_status()
    max_error_s = (status["max_error_ms"] or 0) / 1e3
    assert -max_error_s <= time.time() - synced.last_sync < 60
    assert status["last_sync"] is not None
    assert ISO.fullmatch(status["last_sync"])
    assert 0 <= (status["time_since_sync_sec"] or -1) < 60


def test_sync_blocks_for_one_attempt_and_tells_how_it_ended(synced: NTPClock) -> None:
    before = synced.last_sync
    assert eventually(synced.sync), "on a busy machine one may get no reply"
    assert (synced.last_sync or 0) > (before or 0)


def test_sync_without_a_reply_is_false_within_seconds(unsynced: NTPClock) -> None:
    started = time.monotonic()
    assert unsynced.sync() is False
    assert time.monotonic() - started < 6


def test_start_auto_sync_may_be_called_at_any_time(synced: NTPClock) -> None:
    for _ in range(3):
        assert synced.start_auto_sync() is None  # type: ignore[func-returns-value]
    assert synced.now_ms() is not None


def test_the_interval_is_five_minutes_and_may_be_changed(unsynced: NTPClock) -> None:
    assert unsynced.sync_interval == 300
    unsynced.sync_interval = 60
    assert unsynced.sync_interval == 60
    unsynced.sync_interval = 2.5
    assert unsynced.sync_interval == 2.5


def test_the_server_is_the_first_argument_also_by_name(silent: str) -> None:
    assert NTPClock(silent).ntp_server == silent
    assert NTPClock(ntp_server=silent).ntp_server == silent


def test_the_standard_port_is_not_named() -> None:
    assert NTPClock("localhost:123").ntp_server == "localhost"
    assert NTPClock("localhost:123").get_status()["server"] == "localhost"


def test_the_shared_clock_is_of_the_class_and_asks_what_the_variable_names() -> None:
    assert isinstance(ntp_clock, NTPClock)
    assert ntp_clock.ntp_server == "127.0.0.1:1"


def test_programs_may_subclass_it_with_arguments_of_their_own(silent: str) -> None:
    class Named(NTPClock):
        def __init__(self, name: str, server: str) -> None:
            super().__init__(server)
            self.name = name

    clock = Named("a", silent)
    assert (clock.name, clock.ntp_server, clock.now_ms()) == ("a", silent, None)


def test_tests_may_patch_a_method_of_the_shared_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ntp_clock, "now_ms", lambda: 42)
    assert ntp_clock.now_ms() == 42
    monkeypatch.undo()
    assert ntp_clock.now_ms() is None
