"""Network Time Security: only what chrony has proved is believed, and why if nothing is."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from nts_server import ISSUER, SUBJECT, Authority, NtsServer, unfinished_exchanges
from support import PACKAGE, ROOT, eventually, quickest_s, run_python
from test_exit import ENDINGS, IMPORT
from test_processes import GUNICORN, Workers, served
from test_relay_metrics import described, parsed

from portacode.metrics import prometheus_text
from portacode.utils.ntp_clock import NTPClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from portacode.utils.ntp_clock import NtsStatus


@pytest.fixture(scope="module")
def nts_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NtsServer]:
    server = NtsServer(tmp_path_factory.mktemp("nts"))
    server.start()
    yield server
    server.stop()


def clock_of(server: NtsServer, **options: Any) -> NTPClock:
    return NTPClock(server.keys_address, nts="required", nts_ca=server.authority.file, **options)


def keys_of(clock: NTPClock) -> NtsStatus:
    keys = clock.get_status()["nts"]
    assert keys is not None
    return keys


def within_its_error(clock: NTPClock) -> bool:
    before, reading, after = time.time_ns(), clock.read(), time.time_ns()
    if reading is None:
        return False
    return before - reading.max_error_ns <= reading.time_ns <= after + reading.max_error_ns


def test_a_clock_that_requires_nts_is_synchronised_and_says_with_whose_proof(
    nts_server: NtsServer,
) -> None:
    clock = clock_of(nts_server)
    assert clock.wait_synced(60)
    assert within_its_error(clock)
    status = clock.get_status()
    assert status["server"] == clock.ntp_server == nts_server.keys_address
    assert status["address"] == nts_server.ntp_address
    assert (status["authenticated"], status["last_error"]) == (True, None)
    keys = keys_of(clock)
    assert keys["ntp_host"] == nts_server.ntp_address
    assert (keys["exchanges"], keys["last_error"], keys["last_error_code"]) == (1, None, None)
    assert 1 <= keys["cookies"] <= 8
    assert 0 < (keys["exchange_took_ms"] or 0) < 20_000
    assert (keys["certificate_subject"], keys["certificate_issuer"]) == (SUBJECT, ISSUER)
    assert keys["certificate_expires"] == "2040-01-01T00:00:00.000000+00:00"
    assert str(nts_server.authority.file) in keys["roots"]


def test_every_key_of_the_status_of_keys_is_declared_and_no_other(nts_server: NtsServer) -> None:
    stub = (PACKAGE / "_native.pyi").read_text()
    declared = stub.split("class NtsStatus")[1].split("class ClockStatus")[0]
    names = re.findall(r"^    (\w+):", declared, re.MULTILINE)
    assert sorted(names) == sorted(keys_of(clock_of(nts_server)))


def test_prometheus_receives_all_that_the_document_names_of_keys(nts_server: NtsServer) -> None:
    clock = clock_of(nts_server)
    assert clock.wait_synced(60)
    types, values = parsed(prometheus_text(clock))
    expected = described("Network Time Security")
    del expected["nts_last_error"]
    assert {name: kind for name, kind in types.items() if name.startswith("nts_")} == expected
    label = f'server="{nts_server.keys_address}"'
    assert values[f"authenticated{{{label}}}"] == 1
    assert values[f'nts_info{{{label},ntp_host="{nts_server.ntp_address}"}}'] == 1
    ends = datetime(2040, 1, 1, tzinfo=timezone.utc).timestamp()
    assert values[f"nts_certificate_expires_timestamp_seconds{{{label}}}"] == ends


def test_plain_ntp_is_not_authenticated(synced: NTPClock) -> None:
    status = synced.get_status()
    assert (status["is_synced"], status["authenticated"], status["nts"]) == (True, False, None)
    assert not [name for name in parsed(prometheus_text(synced))[0] if name.startswith("nts_")]


def test_asyncio_goes_on_while_keys_are_exchanged(nts_server: NtsServer, tmp_path: Path) -> None:
    async def wait(address: str) -> tuple[bool, bool]:
        roots = nts_server.authority.file
        never = NTPClock(address, nts="required", nts_ca=roots).wait_synced_async(60)
        waiting = asyncio.create_task(never)
        synced = await clock_of(nts_server).wait_synced_async(20)
        still = not waiting.done()
        waiting.cancel()
        return synced, still

    with unfinished_exchanges(tmp_path / "connected") as address:
        assert asyncio.run(wait(address)) == (True, True)


def test_an_authority_that_is_not_trusted_proves_nothing_and_the_status_says_so(
    nts_server: NtsServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "portacode.utils.ntp_clock")
    other = Authority(tmp_path / "other", "CN=somebody else")
    clock = NTPClock(nts_server.keys_address, nts="required", nts_ca=str(other.file))
    assert eventually(lambda: keys_of(clock)["last_error_code"] is not None)
    keys = keys_of(clock)
    assert keys["last_error_code"] == "certificate"
    assert "UnknownIssuer" in (keys["last_error"] or "")
    assert nothing_was_asked(clock)

    def logged() -> bool:
        return any(getattr(record, "code", None) == "certificate" for record in caplog.records)

    assert eventually(logged)
    label = f'server="{nts_server.keys_address}",code="certificate"'
    assert parsed(prometheus_text(clock))[1][f"nts_last_error{{{label}}}"] == 1


def test_where_no_keys_are_given_the_time_is_not_asked_by_plain_ntp(
    time_server: str, nts_server: NtsServer
) -> None:
    # By plain NTP it would be there: the port of keys is closed, and that of time is not.
    clock = NTPClock(time_server, nts="required", nts_ca=nts_server.authority.file)
    assert eventually(lambda: keys_of(clock)["last_error_code"] is not None)
    assert keys_of(clock)["last_error_code"] == "refused"
    assert not clock.sync()
    assert nothing_was_asked(clock)


def nothing_was_asked(clock: NTPClock) -> bool:
    status = clock.get_status()
    unsynchronised = (status["is_synced"], status["authenticated"], clock.read())
    return unsynchronised == (False, False, None) and status["requests"] == 0


@pytest.mark.slow
def test_a_server_that_restarts_with_other_keys_is_believed_again_with_new_ones(
    tmp_path: Path,
) -> None:
    server = NtsServer(tmp_path)
    server.start()
    clock = clock_of(server)
    assert clock.wait_synced(60)
    # The first round is over: cookies are left for the rounds that get no reply, and no exchange in
    # vain is to be waited for.
    assert eventually(lambda: clock.get_status()["believed"] >= 4)
    server.stop()
    assert eventually(lambda: not clock.sync())
    assert (clock.get_status()["last_error"] or "").startswith("no reply within 2 s")
    assert (clock.get_status()["authenticated"], within_its_error(clock)) == (True, True)

    server.start()
    assert eventually(lambda: keys_of(clock)["exchanges"] >= 2 and clock.sync(), within_s=90)
    status = clock.get_status()
    assert (status["attempts"], status["authenticated"]) == (0, True)
    assert within_its_error(clock)
    assert keys_of(clock)["last_error"] is None
    server.stop()


CHILD = f"""{IMPORT}
import json, os, sys
def report(name, at_once):
    waited = ntp_clock.wait_synced(60) and ntp_clock.sync()
    status = ntp_clock.get_status()
    print(json.dumps([name, at_once, waited, status["authenticated"], status["nts"]]), flush=True)
report("parent", ntp_clock.wait_synced(60))
if os.fork() == 0:
    status = ntp_clock.get_status()
    report("child", ntp_clock.read() is not None and status["authenticated"])
    os._exit(0)
assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
report("after", True)
"""


def test_a_forked_child_reads_at_once_and_exchanges_keys_of_its_own(nts_server: NtsServer) -> None:
    ran = run_python("-W", "ignore", "-c", CHILD, server="", **nts_server.variables)
    assert (ran.code, ran.err) == (0, ""), ran
    reports = [json.loads(line) for line in ran.out.splitlines()]
    assert [report[:4] for report in reports] == [
        ["parent", True, True, True],
        ["child", True, True, True],
        ["after", True, True, True],
    ]
    # A cookie is for one client's requests; the child would give away what its parent sends.
    assert [report[4]["exchanges"] for report in reports] == [1, 1, 1]


def test_workers_of_gunicorn_that_preloads_are_authenticated_each(
    nts_server: NtsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in nts_server.variables.items():
        monkeypatch.setenv(name, value)
    command = [*GUNICORN, "--workers=2", "--preload"]
    web = Workers(*command, server=nts_server.keys_address, log=tmp_path / "log")
    answers: dict[int, Any] = {}

    def all_have_keys() -> bool:
        answers.update(web.reported_by(2))
        return all(answer["believed"] and answer["authenticated"] for answer in answers.values())

    assert eventually(all_have_keys), answers
    served(answers)
    assert "Traceback" not in web.stop()


@pytest.mark.parametrize(
    "ending",
    ["after the import", "by sys.exit", "while daemon threads wait", "forking in atexit"],
)
def test_a_process_ends_at_once_and_in_silence_while_keys_are_exchanged(
    ending: str, nts_server: NtsServer, tmp_path: Path
) -> None:
    mark = tmp_path / "connected"
    under_way = (
        "import os, sys, time; ends = time.monotonic() + 60\n"
        "while not os.path.exists(sys.argv[1]):\n"
        "    assert time.monotonic() < ends; time.sleep(0.01)\n"
        "assert ntp_clock.get_status()['nts']['exchanging']\n"
        "with open(sys.argv[1], 'w') as mark: mark.write(str(time.monotonic()))\n"
    )
    code = IMPORT + under_way + ENDINGS[ending]

    def ending_s(address: str) -> float:
        mark.unlink(missing_ok=True)
        variables = {**nts_server.variables, "PORTACODE_NTP_SERVER": address}
        ran = run_python("-c", code, str(mark), server="", **variables)
        took_s = time.monotonic() - float(mark.read_text())
        assert (ran.code, ran.out, ran.err) == (7 if "exit(7)" in ENDINGS[ending] else 0, "", "")
        return took_s

    with unfinished_exchanges(mark) as address:
        # An exchange is given 5 s.
        assert quickest_s(lambda: ending_s(address), 4) < 4


def test_what_cannot_be_required_is_refused_with_the_reason(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    missing = tmp_path / "missing.pem"
    cases: list[tuple[dict[str, Any], str]] = [
        ({"nts": "on"}, 'NTS must be "off" or "required", not "on"'),
        ({"nts": ""}, 'NTS must be "off" or "required", not ""'),
        ({"nts_ca": empty}, "but NTS is off"),
        ({"nts": "off", "nts_ca": empty}, "but NTS is off"),
        ({"nts": "required", "nts_ca": empty}, "found no certificate in"),
        ({"nts": "required", "nts_ca": missing}, "cannot read certificates from"),
    ]
    for options, reason in cases:
        with pytest.raises(ValueError, match=reason) as caught:
            NTPClock("127.0.0.1:1", **options)
        if "nts_ca" in options:
            assert str(options["nts_ca"]) in str(caught.value)
    wrong: list[dict[str, Any]] = [{"nts": True}, {"nts": None}, {"nts": "off", "nts_ca": 5}]
    for options in wrong:
        with pytest.raises(TypeError):
            NTPClock("127.0.0.1:1", **options)


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        (
            {"PORTACODE_NTP_NTS": "yes"},
            'PORTACODE_NTP_NTS: NTS must be "off" or "required", not "yes"',
        ),
        (
            {"PORTACODE_NTP_NTS": "required", "PORTACODE_NTP_NTS_CA": "/nowhere/ca.pem"},
            'PORTACODE_NTP_NTS_CA: cannot read certificates from "/nowhere/ca.pem": ',
        ),
    ],
)
def test_variables_that_cannot_be_followed_break_no_import_and_nobody_is_asked(
    time_server: str, variables: dict[str, Any], reason: str
) -> None:
    code = """
import json, logging
logging.basicConfig(format="%(code)s %(message)s")
from portacode.utils.ntp_clock import ntp_clock
synced = ntp_clock.wait_synced(0.3) or ntp_clock.sync()
status = ntp_clock.get_status()
keys = ("state", "last_error", "last_error_code", "requests", "authenticated")
print(json.dumps([synced, *(status[key] for key in keys)]))
"""
    ran = run_python("-c", code, server=time_server, **variables)
    assert ran.code == 0, ran
    synced, state, last_error, *rest = json.loads(ran.out)
    assert (synced, state) == (False, "failed")
    assert last_error.startswith(f"environment variable {reason}")
    assert rest == ["no_nts", 0, False]
    assert ran.err == f"no_nts not synchronised: {last_error}\n"


TOOL = str(ROOT / "tools" / "test_python_ntp_clock.py")


def test_the_tool_asks_a_server_at_nts_and_shows_what_is_proved(
    nts_server: NtsServer, time_server: str
) -> None:
    roots: dict[str, Any] = {"PORTACODE_NTP_NTS_CA": str(nts_server.authority.file)}
    url = f"nts://{nts_server.keys_address}"
    ran = run_python(TOOL, "--server", url, server="127.0.0.1:1", **roots)
    assert ran.code == 0, ran
    assert re.search(r"^  authenticated +True$", ran.out, re.MULTILINE)
    assert f"ntp_host: {nts_server.ntp_address}" in ran.out
    assert f"certificate_subject: {SUBJECT}" in ran.out
    unknown = run_python(TOOL, "--server", url, server="127.0.0.1:1", PORTACODE_NTP_NTS_CA=TOOL)
    assert (unknown.code, unknown.out) == (2, "")
    assert "found no certificate in" in unknown.err
    plain = run_python(
        *(TOOL, "--timeout", "1", "--server", time_server),
        server="",
        PORTACODE_NTP_NTS="required",
        **roots,
    )
    assert plain.code == 1, "that port gives no keys"
    never = run_python(TOOL, "--timeout", "600", server="127.0.0.1:1", PORTACODE_NTP_NTS="maybe")
    assert never.code == 1
    assert never.out.endswith('NTS must be "off" or "required", not "maybe"\n')
