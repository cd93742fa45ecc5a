"""What happens to a clock reaches `logging`, at a level that fits."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

from support import environment, eventually, run_python

from portacode.utils.ntp_clock import NTPClock

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from support import FaultyServer

LOGGER = "portacode.utils.ntp_clock"


def messages(caplog: pytest.LogCaptureFixture, address: str, level: int) -> list[str]:
    return [
        record.getMessage()
        for record in list(caplog.records)
        if record.name == LOGGER and record.levelno == level and address in record.getMessage()
    ]


def test_the_first_synchronisation_is_info_and_later_ones_are_debug(
    faulty_server: Callable[..., FaultyServer], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, LOGGER)
    # A server that no other test's clock asks.
    address = faulty_server().address
    clock = NTPClock(address)
    said = f"synchronised with {address}: max_error "

    def synchronisations(level: int) -> list[str]:
        return [text for text in messages(caplog, address, level) if text.startswith(said)]

    assert eventually(lambda: bool(synchronisations(logging.INFO)))
    assert eventually(clock.sync)
    assert eventually(lambda: bool(synchronisations(logging.DEBUG)))
    assert len(synchronisations(logging.INFO)) == 1
    assert messages(caplog, address, logging.WARNING) == []


def test_records_name_the_thread_and_carry_no_arguments_to_format(
    faulty_server: Callable[..., FaultyServer], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, LOGGER)
    address = faulty_server().address
    clock = NTPClock(address)
    assert clock.wait_synced(60)

    def records() -> list[logging.LogRecord]:
        return [r for r in list(caplog.records) if f"synchronised with {address}" in r.getMessage()]

    assert eventually(lambda: bool(records()))
    record = records()[0]
    assert record.threadName == "ntp-clock-events"
    assert record.levelname == "INFO"


def test_a_refusing_server_is_a_warning_and_shows_in_the_status(
    faulty_server: Callable[..., FaultyServer], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, LOGGER)
    address = faulty_server("--fault", "kiss DENY").address
    clock = NTPClock(address)
    assert eventually(lambda: len(messages(caplog, address, logging.WARNING)) >= 2)
    attempt, failed = messages(caplog, address, logging.WARNING)[:2]
    assert attempt == f"attempt 1 at {address} failed: server sent kiss-o'-death DENY"
    assert failed.startswith(f"clock failed, no readings until {address} answers: ")
    (rejected, *_) = messages(caplog, address, logging.DEBUG)
    assert rejected == f"reply of {address} not believed: kiss-o'-death DENY"
    status = clock.get_status()
    assert status["state"] == "failed"
    assert status["last_error"] == "server sent kiss-o'-death DENY"
    # A second request, sent before the refusal came, is refused too; nothing waits for that.
    assert status["rejections"]["kiss"] == 1
    assert status["rejections"].keys() <= {"kiss", "origin"}
    assert status["attempts"] >= 1
    assert clock.now_ms() is None


def test_a_reply_that_is_not_believed_is_counted_by_its_reason(
    faulty_server: Callable[..., FaultyServer],
) -> None:
    clock = NTPClock(faulty_server("--fault", "wrong-origin").address)
    assert clock.sync() is False
    status = clock.get_status()
    assert status["rejections"]["origin"] > 0
    assert status["last_error"] is not None
    assert clock.now_ms() is None


def test_a_warning_is_seen_without_any_configuration_and_nothing_else_is(silent: str) -> None:
    code = "from portacode.utils.ntp_clock import ntp_clock as c; print(c.wait_synced({}))"
    ran = run_python("-c", code.format(0.3), server=silent, attempts=True)
    assert (ran.code, ran.out, ran.err) == (0, "False\n", "")
    with subprocess.Popen(
        [sys.executable, "-c", code.format(0.1) + "; c.sync(); input()"],
        env=environment("127.0.0.1:1"),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as warning:
        assert warning.stderr is not None
        assert warning.stderr.readline().startswith("attempt 1 at 127.0.0.1:1 failed: ")
        warning.communicate("\n", timeout=120)


def test_a_handler_that_raises_is_reported_and_does_not_end_the_events(
    faulty_server: Callable[..., FaultyServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(logging.Handler):
        def emit(self, _record: logging.LogRecord) -> None:
            raise ZeroDivisionError

    exceptions: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", exceptions.append)
    logger = logging.getLogger(LOGGER)
    monkeypatch.setattr(logger, "level", logging.DEBUG)
    handler = Broken(logging.DEBUG)
    logger.addHandler(handler)
    try:
        clock = NTPClock(faulty_server("--delay", "50ms").address)
        assert clock.wait_synced(60)
        assert eventually(lambda: bool(exceptions))
        assert eventually(clock.sync), "code that waits is still woken"
    finally:
        logger.removeHandler(handler)
    assert {args.exc_type for args in exceptions} == {ZeroDivisionError}
    assert {args.thread.name for args in exceptions if args.thread} == {"ntp-clock-events"}
