"""A wrong argument or variable is reported in words."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

import pytest
from support import ROOT, run_python

from portacode.utils.ntp_clock import ManualClock, NTPClock

VECTORS = json.loads((ROOT / "tests" / "vectors" / "servers.json").read_text())["cases"]
SERVERS = {case["text"]: case["reason"] for case in VECTORS if "reason" in case}
# The others would ask the Internet.
LOCAL = {"localhost", "localhost.", "127.0.0.1", "::1"}
WRITE = "write a host name or address, with :port if it is not 123"


@pytest.mark.parametrize(("text", "reason"), SERVERS.items())
def test_a_malformed_server_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        NTPClock(text)
    message = str(caught.value)
    assert message.startswith('invalid NTP server "')
    assert message.endswith(f'": {reason}; {WRITE}')
    if text.isascii() and text.isprintable() and not {'"', "'", "\\"} & set(text):
        assert message == f'invalid NTP server "{text}": {reason}; {WRITE}'


def test_a_server_is_what_people_mean() -> None:
    local = [case for case in VECTORS if case.get("host") in LOCAL]
    assert len(local) >= 6
    for case in local:
        clock = NTPClock(case["text"])
        assert clock.ntp_server == clock.get_status()["server"] == case["shown"], case["name"]


@pytest.mark.parametrize("server", [None, 123, b"localhost"])
def test_a_server_that_is_no_text_is_a_type_error(server: Any) -> None:
    with pytest.raises(TypeError):
        NTPClock(server)


@pytest.mark.parametrize("seconds", [0, -1, 0.5, 86_401, math.inf, -math.inf, math.nan])
def test_an_interval_outside_its_range_is_refused_and_changes_nothing(
    unsynced: NTPClock, seconds: float
) -> None:
    message = "sync_interval must be 1 to 86400 seconds, not "
    with pytest.raises(ValueError, match=message):
        unsynced.sync_interval = seconds
    assert unsynced.sync_interval == 300
    with pytest.raises(ValueError, match=message):
        NTPClock("localhost", sync_interval=seconds)


@pytest.mark.parametrize("seconds", ["60", None, [1]])
def test_an_interval_that_is_no_number_is_a_type_error(unsynced: NTPClock, seconds: Any) -> None:
    with pytest.raises(TypeError):
        unsynced.sync_interval = seconds


@pytest.mark.parametrize("seconds", [-1, 2_592_001, math.inf, math.nan])
def test_a_holdover_outside_its_range_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="holdover must be 0 to 2592000 seconds, not "):
        NTPClock("localhost", holdover=seconds)


@pytest.mark.parametrize("timeout", [-1, -0.001, math.nan, -math.inf])
def test_a_negative_timeout_is_refused(timeout: float) -> None:
    clock = ManualClock()
    with pytest.raises(ValueError, match="timeout must be 0 or more seconds, not "):
        clock.wait_synced(timeout)
    with pytest.raises(ValueError, match="timeout must be 0 or more seconds, not "):
        asyncio.run(clock.wait_synced_async(timeout))


@pytest.mark.parametrize("timeout", ["1", True, [1]])
def test_a_timeout_that_is_no_number_is_a_type_error(timeout: Any) -> None:
    with pytest.raises(TypeError, match="timeout must be a number of seconds or None, not "):
        ManualClock().wait_synced(timeout)


def test_the_server_cannot_be_changed_or_readings_be_set(unsynced: NTPClock) -> None:
    for attribute in ("ntp_server", "offset", "last_sync"):
        with pytest.raises(AttributeError):
            setattr(unsynced, attribute, None)


def test_a_clock_whose_constructor_was_skipped_says_so() -> None:
    class Forgetful(NTPClock):
        def __init__(self) -> None:
            pass

    with pytest.raises(RuntimeError, match=r"its __init__\(\) has not been called"):
        Forgetful().now_ms()


REPORT = """
import json
from portacode.utils.ntp_clock import ntp_clock
print(json.dumps([ntp_clock.now_ms(), ntp_clock.sync(), ntp_clock.wait_synced(0),
    ntp_clock.ntp_server, ntp_clock.get_status(), repr(ntp_clock)]))
"""


@pytest.mark.parametrize("text", ["", "http://x", "x:65536", "[::1"])
def test_a_malformed_variable_never_breaks_the_import(text: str) -> None:
    ran = run_python("-c", REPORT, server=text)
    assert ran.code == 0, ran
    now_ms, synced, waited, server, status, shown = json.loads(ran.out)
    reason = f'invalid NTP server "{text}": {SERVERS[text]}; {WRITE}'
    assert (now_ms, synced, waited, server) == (None, False, False, text)
    assert (status["server"], status["is_synced"], status["state"]) == (text, False, "failed")
    assert status["last_error"] == reason
    assert shown == f"<NTPClock {text!r} failed: {reason}>"
    line = f"not synchronised: PORTACODE_NTP_SERVER is malformed: {reason}\n"
    assert ran.err == line, "one warning, and nothing else"


def test_an_unresolvable_host_is_reported_in_the_status() -> None:
    clock = NTPClock("no-such-host.invalid")
    assert clock.sync() is False
    assert "no-such-host.invalid" in (clock.get_status()["last_error"] or "")
    assert clock.now_ms() is None
