"""What Prometheus receives: the names of docs/METRICS.md, and nothing that is not known."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from support import ROOT, eventually

from portacode.metrics import LinkCounts, prometheus_text
from portacode.relay import Limits, Relay, Session
from portacode.utils.ntp_clock import ManualClock, NTPClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from support import FaultyServer

GOOD = '{"event": "clock_sync_request", "request_id": "a7"}'
ALWAYS = {
    "synchronised",
    "epoch",
    "attempts_failed",
    "requests_total",
    "believed_total",
    "authenticated",
}


def described(section: str) -> dict[str, str]:
    """Names without their prefix and their types, of a table of the document."""
    text = (ROOT / "docs" / "METRICS.md").read_text().split(f"\n## {section}\n")[1]
    rows = re.findall(r"^\| `ntp_clock_(\w+)[^|]*\| (\w+) \|", text.split("\n## ")[0], re.MULTILINE)
    assert rows
    return dict(rows)


def parsed(text: str) -> tuple[dict[str, str], dict[str, float]]:
    """Types by name, and values by name and labels; every line must be of the format."""
    types: dict[str, str] = {}
    values: dict[str, float] = {}
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            assert re.fullmatch(r"# HELP ntp_clock_\w+ .+\.", line)
        elif line.startswith("# TYPE "):
            found = re.fullmatch(r"# TYPE ntp_clock_(\w+) (gauge|counter)", line)
            assert found, line
            assert found[1] not in types
            types[found[1]] = found[2]
        else:
            found = re.fullmatch(r'ntp_clock_(\w+)(\{(?:\w+="[^"\n]*",?)*\})? (\S+)', line)
            assert found, line
            assert found[1] in types, "its type comes first"
            values[found[1] + (found[2] or "")] = float(found[3])
    return types, values


def test_a_synchronised_clock_tells_all_that_the_document_names(synced: NTPClock) -> None:
    status = synced.get_status()
    types, values = parsed(prometheus_text(synced))
    expected = described("The clock")
    # What has not happened is not there.
    del expected["rejections_total"], expected["last_error"]
    assert types == expected
    label = f'{{server="{status["server"]}"}}'
    assert set(values) == {name + label for name in expected}
    assert values[f"synchronised{label}"] == 1
    assert values[f"epoch{label}"] == status["epoch"]
    assert values[f"delay_seconds{label}"] == pytest.approx((status["delay_ms"] or 0) / 1e3)
    assert 0 < values[f"max_error_seconds{label}"] < 0.1
    assert values[f"believed_total{label}"] >= 1


def test_what_a_clock_does_not_have_is_left_out(unsynced: NTPClock) -> None:
    types, values = parsed(prometheus_text(unsynced))
    assert set(types) == ALWAYS
    assert values[f'synchronised{{server="{unsynced.ntp_server}"}}'] == 0
    assert set(parsed(prometheus_text(ManualClock()))[0]) >= ALWAYS


def test_replies_not_believed_are_reported_by_reason(
    faulty_server: Callable[..., FaultyServer],
) -> None:
    clock = NTPClock(faulty_server("--stratum", "16").address)
    assert eventually(lambda: bool(clock.get_status()["rejections"]))
    types, values = parsed(prometheus_text(clock))
    assert types["rejections_total"] == "counter"
    label = f'server="{clock.ntp_server}",reason="unsynchronised"'
    assert values[f"rejections_total{{{label}}}"] >= 1


def test_why_the_last_attempt_failed_is_reported_by_its_code(
    faulty_server: Callable[..., FaultyServer],
) -> None:
    clock = NTPClock(faulty_server("--fault", "kiss DENY").address)
    assert eventually(lambda: clock.get_status()["last_error_code"] is not None)
    types, values = parsed(prometheus_text(clock))
    assert types["last_error"] == "gauge"
    assert values[f'last_error{{server="{clock.ntp_server}",code="kiss_deny"}}'] == 1


def test_a_relay_tells_what_it_was_asked() -> None:
    relay = Relay(ManualClock())
    free, seldom = Session(relay, Limits(rate=None)), Session(relay, Limits(rate=1e-6))
    relay.opened()
    for session, text in ((free, "what?"), (free, "x" * 2000), (seldom, GOOD), (seldom, GOOD)):
        session.take(text, None)
    types, values = parsed(prometheus_text(relay.clock, relay))
    expected = described("A relay")
    # Of connections only a server knows that owns them.
    owned = {"relay_connections_open", "relay_connections_refused_total"}
    reported_of_relay = {name: kind for name, kind in types.items() if name.startswith("relay_")}
    assert reported_of_relay == {name: kind for name, kind in expected.items() if name not in owned}

    def requests(transport: str, outcome: str) -> float:
        return values[f'relay_requests_total{{transport="{transport}",outcome="{outcome}"}}']

    outcomes = ("answered", "unsynchronised", "malformed", "oversize", "rate_limited")
    assert [requests("websocket", outcome) for outcome in outcomes] == [0, 1, 1, 1, 1]
    assert [requests("http", outcome) for outcome in outcomes] == [0] * 5
    assert values["relay_websockets_open"] == 1
    relay.closed("client")
    values = parsed(prometheus_text(relay.clock, relay))[1]
    assert values["relay_websockets_open"] == 0
    assert values['relay_websockets_closed_total{reason="client"}'] == 1


def test_a_server_that_keeps_links_tells_what_they_were_fed() -> None:
    evidence = {("exchange", "kept"): 3, ("message", "restarted"): 1, ("message", "refused"): 0}
    links = LinkCounts(2, evidence)
    types, values = parsed(prometheus_text(ManualClock(), links=links))
    assert {name: types[name] for name in described("Links")} == described("Links")
    assert values["links"] == 2
    for (source, outcome), count in evidence.items():
        labels = f'{{source="{source}",outcome="{outcome}"}}'
        assert values[f"link_evidence_total{labels}"] == count
    assert not [name for name in parsed(prometheus_text(ManualClock()))[0] if "link" in name]


def test_prometheus_own_tool_finds_nothing_wrong(synced: NTPClock) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool: apt-get install prometheus")
    ran = subprocess.run(
        [promtool, "check", "metrics"],
        input=prometheus_text(synced, Relay(synced)),
        capture_output=True,
        text=True,
        check=False,
    )
    # It wants no unit but base ones; drift has none that would be read more easily.
    complaints = [line for line in ran.stderr.splitlines() if "drift_ppm" not in line]
    assert complaints == []
