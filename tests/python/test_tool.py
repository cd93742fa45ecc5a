"""tools/test_python_ntp_clock.py tells a person and a script how the clock is."""

from __future__ import annotations

import pytest
from support import ROOT, run_python

TOOL = str(ROOT / "tools" / "test_python_ntp_clock.py")


def test_it_shows_status_and_readings_and_exits_0_when_synchronised(time_server: str) -> None:
    ran = run_python(TOOL, "--server", time_server, "--watch", "1", server="127.0.0.1:1")
    assert ran.code == 0
    assert f"Asking {time_server} ..." in ran.out
    for shown in ("max_error_ms", "reference_id", "now_iso()", "never went backwards", "est_error"):
        assert shown in ran.out
    assert ran.out.endswith("OK: synchronised and sane\n")


def test_it_asks_what_the_variable_names_by_default(time_server: str) -> None:
    ran = run_python(TOOL, server=time_server)
    assert (ran.code, ran.err) == (0, "")
    assert f"Asking {time_server} ..." in ran.out


def test_it_exits_1_with_the_reason_when_not_synchronised(silent: str) -> None:
    ran = run_python(TOOL, "--timeout", "0.2", server=silent)
    assert (ran.code, ran.err) == (1, "")
    reason = f"FAILED: not synchronised with {silent} after 0.2 s: no attempt has ended yet. "
    last = ran.out.splitlines()[-1]
    assert last.startswith(reason)
    # What a site without Internet can do.
    assert "--server HOST[:PORT], or PORTACODE_NTP_SERVER" in last


def test_a_malformed_variable_is_reported_without_waiting_for_anybody() -> None:
    # It would wait for longer than a run may take.
    ran = run_python(TOOL, "--timeout", "600", server="http://x")
    assert ran.code == 1
    last = ran.out.splitlines()[-1]
    assert last.startswith('FAILED: not synchronised with http://x: invalid NTP server "http://x"')
    assert last.endswith("(it is what PORTACODE_NTP_SERVER says)")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--server", "http://x"], 'invalid NTP server "http://x": it is a URL; '),
        (["--timeout", "-1"], "-1 is not 0 or more seconds"),
        (["--watch", "nan"], "nan is not 0 or more seconds"),
        (["--watch", "soon"], "invalid seconds value: 'soon'"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_it_exits_2_on_wrong_usage(silent: str, arguments: list[str], message: str) -> None:
    ran = run_python(TOOL, *arguments, server=silent)
    assert ran.code == 2
    assert message in ran.err
    assert ran.out == ""
