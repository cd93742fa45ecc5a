"""The relay of the command ntp-clock and Python's, asked the same: two programs, one answer."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ports import free_port
from servers import WebServer, serving, synchronised, truth_ms, uvicorn
from support import environment, eventually

from portacode.relay import RequestError, messages

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = os.environ.get("NTP_CLOCK_BIN") or str(Path(sys.executable).parent / "ntp-clock")
ROUNDS = 4000
GOOD = [
    '{"event":"clock_sync_request","request_id":"a7"}',
    '{"x":[1,{"y":[]}],"request_id":"a\\u00377","event":"clock_sync_request"}',
    '{"event":"clock_sync_request","request_id":"a7","n":1e99,"m":123456789012345678901234567890}',
    '{"event":"x","event":"clock_sync_request","request_id":"a7","s":"\\ud83d\\ude00 [[[\\""}',
]
PIECES = [
    *'{}[]",:\\ \n0-.e/\t',
    *("\u00e9", "\U0001f600", "\x00", "\x7f", "\u2028", "\ufeff"),
    *("NaN", "true", "null", "1e5", "1e400", "-0", "01", "\\u0041", "\\ud800", "\\udC00", "\\/"),
    *("[[[[", "]]]]", '"request_id":"b"', '"event":"clock_sync_request"'),
]


@contextmanager
def command_relay(ntp_server: str) -> Iterator[WebServer]:
    """`ntp-clock relay`, without a limit of rate."""
    probe = subprocess.run([COMMAND, "relay", "--help"], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip("this build of the command has no relay: build it with its default features")
    port = free_port()
    process = subprocess.Popen(
        [COMMAND, "relay", "--listen", f"127.0.0.1:{port}", "--rate", "0"],
        env=environment(ntp_server),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    server = WebServer(port)
    try:
        assert eventually(lambda: _answers(server)), "the relay does not answer"
        yield server
    finally:
        process.terminate()
        process.wait(timeout=120)


def _answers(server: WebServer) -> bool:
    try:
        return server.get("/clock?request_id=first").status in (200, 503)
    except OSError:
        return False


def malformed(dice: random.Random) -> str:
    """A request with pieces put in and taken out."""
    text = dice.choice(GOOD)
    for _ in range(dice.randrange(1, 5)):
        at = dice.randrange(len(text) + 1)
        put = "".join(dice.choices(PIECES, k=dice.randrange(3)))
        text = text[:at] + put + text[at + dice.randrange(3) :]
    return text


def test_both_take_and_refuse_the_same_of_thousands_of_malformed_requests(silent: str) -> None:
    seed = int(os.environ.get("RELAY_SEED") or random.randrange(2**32))
    print(f"RELAY_SEED={seed}")
    dice = random.Random(seed)
    outcomes: dict[str, int] = {}
    with command_relay(silent) as server, server.socket("/clock/ws") as socket:
        for _ in range(ROUNDS):
            text = malformed(dice)
            socket.send(text)
            reply = json.loads(socket.recv(timeout=30))
            refusal = (reply.get("error", {}).get("code"), reply["request_id"])
            try:
                ours: tuple[str | None, str | None] = (None, messages.request_of_text(text, 1024))
            except RequestError as error:
                ours = (error.code, error.request_id)
            assert refusal == ours, text
            outcomes[str(ours[0])] = outcomes.get(str(ours[0]), 0) + 1
    assert set(outcomes) >= {"None", "malformed", "unknown_event", "bad_request_id"}, outcomes


def test_both_answer_with_the_same_members_in_the_same_order(time_server: str) -> None:
    with (
        command_relay(time_server) as theirs,
        serving(uvicorn("portacode.relay.asgi:app"), time_server) as ours,
    ):
        assert synchronised(theirs, "/clock")
        assert synchronised(ours, "/")
        replies: list[dict[str, Any]] = []
        for server, path in ((theirs, "/clock"), (ours, "/")):
            before = truth_ms()
            reply: dict[str, Any] = server.get(f"{path}?request_id=a7").json
            after = truth_ms()
            bound = reply["root_delay_ms"] / 2 + reply["root_dispersion_ms"] + 2**-11
            assert before - bound <= reply["server_receive_time"]
            assert reply["server_receive_time"] <= reply["server_send_time"] <= after + bound
            replies.append(reply)
    assert list(replies[0]) == list(replies[1])
    assert [type(value) for value in replies[0].values()] == [type(v) for v in replies[1].values()]
    for same in ("event", "request_id", "stratum", "leap", "server", "epoch"):
        assert replies[0][same] == replies[1][same]
    assert replies[0]["instance"] != replies[1]["instance"]


def test_both_without_the_time_answer_the_same(silent: str) -> None:
    with (
        command_relay(silent) as theirs,
        serving(uvicorn("portacode.relay.asgi:app"), silent) as ours,
    ):
        answers = [theirs.get("/clock?request_id=a7"), ours.get("/?request_id=a7")]
    first, second = ({**answer.json, "instance": ""} for answer in answers)
    assert first == second
    assert [answer.status for answer in answers] == [503, 503]
    for header in ("content-type", "cache-control", "timing-allow-origin", "retry-after",
                   "access-control-allow-origin", "x-content-type-options"):  # fmt: skip
        assert answers[0].headers[header] == answers[1].headers[header], header
