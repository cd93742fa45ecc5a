"""The device's parts by themselves, and the command's errors."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, cast

import pytest
from support import PROGRAMS, ROOT, run_python
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.frames import Close
from websockets.http11 import Response

from portacode.connection import messages
from portacode.connection.client import Backoff, DeviceClient, server_url
from portacode.connection.handlers import (
    AsyncHandler,
    Context,
    Echo,
    HandlerError,
    Registry,
    SyncHandler,
)
from portacode.connection.handlers.base import Reply, Sender
from portacode.connection.outbox import Outbox, OutboxError
from portacode.connection.problem import Problem
from portacode.trace import Stamp, Trace
from portacode.utils.ntp_clock import ManualClock

if TYPE_CHECKING:
    from pathlib import Path

# --- The outbox ---------------------------------------------------------------------------------


def reply(number: int, frame: str = "frame") -> Reply:
    return Reply(f"{number:032x}", f"{number + 1_000:032x}", frame)


def unsent(outbox: Outbox) -> list[int]:
    found = iter(outbox.next_unsent, None)
    return [int(reply.delivery_id, 16) for reply in found]


def test_what_is_acknowledged_is_not_sent_again_and_the_rest_is_in_order() -> None:
    outbox = Outbox()
    for number in range(5):
        outbox.add(reply(number))
    assert unsent(outbox) == [0, 1, 2, 3, 4]
    assert unsent(outbox) == []
    assert outbox.ack(reply(1).delivery_id)
    assert not outbox.ack(reply(1).delivery_id)
    assert not outbox.ack(reply(77).delivery_id)
    outbox.rewind()
    assert unsent(outbox) == [0, 2, 3, 4]


@pytest.mark.parametrize("limits", [{"count": 3}, {"size": 3 * len("frame")}])
def test_an_outbox_that_is_full_drops_the_oldest_says_so_and_counts(
    limits: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    outbox = Outbox(**limits)
    for number in range(5):
        outbox.add(reply(number))
    assert unsent(outbox) == [2, 3, 4]
    assert (outbox.waiting, outbox.dropped) == (3, 2)
    assert f"response to {reply(0).request_id} dropped, the outbox is full" in caplog.text


def test_what_is_too_old_is_dropped_and_what_nobody_answered_is_sent_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outbox = Outbox(age_s=0)
    outbox.add(reply(1))
    outbox.tend(unanswered_s=1_000)
    assert (outbox.waiting, outbox.dropped) == (0, 1)
    assert "not delivered within 0 s" in caplog.text
    outbox = Outbox()
    outbox.add(reply(1))
    assert unsent(outbox) == [1]
    outbox.tend(unanswered_s=1_000)
    assert unsent(outbox) == []
    outbox.tend(unanswered_s=-1)
    assert unsent(outbox) == [1]


def test_the_file_has_what_was_not_acknowledged_even_after_half_a_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "deep" / "outbox"
    outbox = Outbox(path)
    for number in range(2_000):
        outbox.add(reply(number, "f" * 100))
        if number >= 3:
            outbox.ack(reply(number).delivery_id)
    assert path.stat().st_size < 400_000, "what has gone is left out now and then"
    outbox.close()
    whole = path.read_text()
    for cut in ("", '{"add": ["x', '{"add"', "[]\n", '{"add": 5}\n', "\x00\xff\n"):
        path.write_text(whole + cut, encoding="latin-1")
        again = Outbox(path)
        assert unsent(again) == [0, 1, 2]
        again.close()
        path.write_text(whole)
    assert "1 lines could not be read" in caplog.text


def test_a_file_that_cannot_be_used_is_an_error_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(OutboxError, match="Is a directory"):
        Outbox(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(OutboxError, match=r"cannot use .*file/outbox"):
        Outbox(tmp_path / "file" / "outbox")
    first = Outbox(tmp_path / "outbox")
    with pytest.raises(OutboxError, match="another device has this outbox"):
        Outbox(tmp_path / "outbox")
    first.close()
    Outbox(tmp_path / "outbox").close()


def test_an_outbox_that_is_compacted_while_a_second_device_opens_it_stays_the_first_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")
    path = tmp_path / "outbox"
    first = Outbox(path)
    first.add(reply(1))
    lock = fcntl.flock
    compacted: list[bool] = []

    def flock(descriptor: int, how: int) -> None:
        if not compacted:
            compacted.append(True)
            assert first._file is not None
            first._file._rewrite([reply(1)])
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OutboxError, match="another device has this outbox"):
        Outbox(path)
    assert compacted
    first.close()
    second = Outbox(path)
    assert unsent(second) == [1]
    second.close()


def test_a_disk_that_is_full_costs_the_file_and_not_the_count(tmp_path: Path) -> None:
    code = (
        "import pathlib, resource, signal, sys\n"
        "from portacode.connection.handlers.base import Reply\n"
        "from portacode.connection.outbox import Outbox\n"
        "outbox = Outbox(pathlib.Path(sys.argv[1]))\n"
        # As a full disk does, and for this process alone.
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))\n"
        "for number in range(30): outbox.add(Reply(f'{number:032x}', '0' * 32, 'x' * 100))\n"
        "for number in range(10): outbox.ack(f'{number:032x}')\n"
        "left = outbox.waiting, outbox.on_disk\n"
        "outbox.close()\n"
        "print(*left)\n"
    )
    path = tmp_path / "outbox"
    ran = run_python("-c", code, str(path), server="127.0.0.1:1")
    assert (ran.code, ran.out) == (0, "20 False\n"), ran.err
    assert ran.err.count("responses are kept in memory alone from here on") == 1
    again = Outbox(path)
    kept = unsent(again)
    again.close()
    assert kept == list(range(len(kept))), "what was whole is read"
    assert 5 < len(kept) < 15


# --- The registry -------------------------------------------------------------------------------


class Kept(Sender):
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.replies: list[dict[str, Any]] = []
        self.progressed: list[dict[str, Any]] = []

    def reply(self, reply: Reply) -> None:
        self.replies.append(json.loads(reply.frame))

    def progress(self, frame: str) -> None:
        self.progressed.append(json.loads(frame))


def command(name: str, payload: object = None, number: int = 1) -> messages.Command:
    return messages.Command(f"{number:032x}", None, name, payload, None, None)


def test_each_step_is_stamped_when_it_happens() -> None:
    clock = ManualClock()
    clock.set(1_700_000_000_000_000_000)

    class Work(AsyncHandler):
        command = "work"

        async def execute(self, payload: Any, context: Context) -> Any:  # noqa: ARG002
            clock.advance(0.25)
            context.progress({"half": True})
            await asyncio.sleep(0)
            clock.advance(0.25)

    async def all_of_it() -> Kept:
        kept = Kept()
        handler = Work()
        handler.clock = clock
        registry = Registry([handler], clock=clock)
        received = Stamp.take(clock)
        clock.advance(1)
        registry.dispatch(command("work"), received, "device:1", kept)
        clock.advance(0.125)
        await registry.close(5)
        return kept

    kept = asyncio.run(all_of_it())
    times = {
        key: kept.replies[0]["trace"][key] - 1_700_000_000_000
        for key in ("device_receive", "handler_receive", "handler_dispatch", "handler_complete")
    }
    assert times == {
        "device_receive": 0,
        "handler_receive": 1_000,
        "handler_dispatch": 1_125,
        "handler_complete": 1_625,
    }
    assert kept.progressed[0]["payload"] == {"half": True}
    assert "handler_complete" not in kept.progressed[0]["trace"]


def test_requests_wait_their_turn_and_no_longer_than_their_patience() -> None:
    class Sleep(SyncHandler):
        command = "sleep"

        def execute(self, payload: Any, context: Context) -> Any:  # noqa: ARG002
            time.sleep(payload)

    async def all_of_it() -> Kept:
        kept = Kept()
        registry = Registry([Sleep()], running=1, waiting=2, patience_s=0.3)
        received = Stamp.take(ManualClock())
        for number, seconds in enumerate([0.1, 0.6, 0, 0]):
            registry.dispatch(command("sleep", seconds, number), received, "device", kept)
            if number == 0:
                assert registry.running == 1
        await asyncio.sleep(1)
        assert registry.running == 0
        return kept

    replies = asyncio.run(all_of_it()).replies
    outcomes = [(int(r["request_id"], 16), r.get("error", {}).get("code")) for r in replies]
    assert outcomes == [(3, "busy"), (0, None), (2, "busy"), (1, None)]
    assert "handler_dispatch" not in replies[2]["trace"].get("unsynced", {})
    assert "handler_receive" in replies[2]["trace"].get("unsynced", {})


def test_progress_that_comes_too_fast_is_lost_and_not_piled_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Chatty(AsyncHandler):
        command = "chatty"

        async def execute(self, payload: Any, context: Context) -> Any:  # noqa: ARG002
            for number in range(1_000):
                context.progress(number)
            await asyncio.sleep(0)
            context.progress("the last one")
            await asyncio.sleep(0)

    async def all_of_it() -> Kept:
        kept = Kept()
        registry = Registry([Chatty()])
        registry.dispatch(command("chatty"), Stamp.take(ManualClock()), "device", kept)
        await registry.close(5)
        return kept

    outcomes = [message["payload"] for message in asyncio.run(all_of_it()).progressed]
    assert outcomes == [*range(100), "the last one"]
    assert caplog.text.count("progress comes too fast") == 1


def test_what_is_no_handler_is_refused() -> None:
    class Nameless(AsyncHandler):
        async def execute(self, payload: Any, context: Context) -> Any: ...

    for wrong, text in [
        (cast(Any, object()), "is not a handler"),
        (cast(Any, Echo), "is not a handler"),
        (Nameless(), "needs a command"),
        (Echo(), "'echo' has two handlers"),
    ]:
        with pytest.raises(ValueError, match=text):
            Registry([Echo(), wrong])
    with pytest.raises(ValueError, match="lower-case letters"):
        HandlerError("Not A Code", "message")


def test_whatever_a_server_sends_is_read_or_refused_with_a_reason() -> None:
    seed = 20_251_005
    print(f"seed {seed}")
    dice = random.Random(seed)
    whole = json.dumps(
        {
            "event": "command",
            "request_id": "0" * 32,
            "device_id": "1",
            "command": "echo",
            "payload": {"a": [1, 2.5, "é", None]},
            "trace": {"client_send": 1.5, "max_error_ms": {"client_send": 0.5}},
        }
    )
    pieces = ["null", "{}", "[]", "-1", "1e999", '"x"', "true", '"ack"', "NaN", '"\\ud800"', ","]
    read, reasons = 0, set[str]()
    for _ in range(20_000):
        text = list(whole)
        for _ in range(dice.randrange(4)):
            at = dice.randrange(len(text))
            text[at : at + dice.randrange(12)] = dice.choice(pieces)
        try:
            message = messages.parse("".join(text))
        except messages.MalformedError as error:
            reasons.add(str(error))
            continue
        read += 1
        if isinstance(message, messages.Command):
            frame = messages.encode(messages.response(message, Trace(), payload=message.payload))
            assert json.loads(frame)["request_id"] == message.request_id
    assert read > 3_000
    assert len(reasons) > 20
    assert "" not in reasons


# --- The connection -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("ws://127.0.0.1:8000", "ws://127.0.0.1:8000/ws/devices/"),
        ("http://127.0.0.1:8000/", "ws://127.0.0.1:8000/ws/devices/"),
        (" https://portacode.example ", "wss://portacode.example/ws/devices/"),
        ("wss://portacode.example/at/a/path?x=1", "wss://portacode.example/at/a/path?x=1"),
        ("ws://[::1]:9", "ws://[::1]:9/ws/devices/"),
    ],
)
def test_a_server_is_named_by_its_url(text: str, url: str) -> None:
    assert server_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "portacode.example",
        "localhost:8000",
        "ftp://x",
        *("ws://", "ws://x:y", "ws://x:70000", "ws://x:0"),
        *("ws://user@x", "ws://[x", "ws://x#y"),
    ],
)
def test_what_is_no_url_of_a_server_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write a URL such as"):
        server_url(text)


@pytest.mark.parametrize("token", ["", "two words", "grüße", "line\nbreak"])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="the token is malformed"):
        DeviceClient("ws://127.0.0.1", token)


def test_pauses_double_up_to_a_limit_and_differ() -> None:
    backoff = Backoff(first_s=1, most_s=60, refused_s=60, refused_most_s=600)
    for most in (1, 2, 4, 8, 16, 32, 60, 60):
        assert most / 2 <= backoff.pause_s("lost") <= most
    for least in (60, 120, 240, 400, 400):
        assert least <= backoff.pause_s("refused") <= least * 1.5, "whatever was lost before"
    assert 30 <= backoff.pause_s("lost") <= 60, "and the other way round"
    backoff.reset()
    assert backoff.pause_s("lost") <= 1
    assert backoff.pause_s("refused") <= 90
    for _ in range(2_000):
        assert backoff.pause_s("lost") <= 60, "however often"
        assert backoff.pause_s("refused") <= 600, "chance included"
    pauses = {Backoff().pause_s("lost") for _ in range(20)}
    assert len(pauses) > 10, "a fleet does not march in step"


@pytest.mark.parametrize("code", [4401, 4403, 4409, 4429])
def test_a_refusal_is_one_also_where_it_arrives_while_something_is_sent(code: int) -> None:
    closed = ConnectionClosedError(Close(code, "so it is"), Close(code, "so it is"), True)
    problem = Problem.of_error("ws://x", closed)
    assert problem.patience == "refused"
    assert problem.text.endswith(f"({code}, so it is)")
    assert "private use" not in problem.text
    lost = Problem.of_error("ws://x", ConnectionClosedError(None, None))
    assert (lost.patience, lost.text) == ("lost", "connection closed (1006, no reason given)")


@pytest.mark.parametrize(
    ("status", "body", "patience", "text"),
    [
        (200, b"<!DOCTYPE html>\n<h1>Hello", "lost", "HTTP 200: that is not a portacode gateway"),
        (403, b"", "refused", "or check the path of the URL (HTTP 403)"),
        (404, b"\n<html>no</html>", "refused", "or check the path of the URL (HTTP 404)"),
        (401, b"unknown token\nmore", "refused", "this token (HTTP 401, unknown token)"),
        (502, b"<html>no</html>", "lost", "ws://x: HTTP 502"),
    ],
)
def test_what_is_no_gateway_is_reported_in_one_line(
    status: int, body: bytes, patience: str, text: str
) -> None:
    refusal = InvalidStatus(Response(status, "", Headers(), body))
    problem = Problem.of_error("ws://x", refusal)
    assert problem.patience == patience
    assert text in problem.text
    assert "\n" not in problem.text
    assert "<" not in problem.text


# --- The command --------------------------------------------------------------------------------

CONNECT = ("-m", "portacode.connection.command", "connect")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "required: --server"),
        (("--server", "x"), "'x' is not the URL of a server"),
        (("--server", "ws://x"), "no token: give --token, --token-file or PORTACODE_TOKEN"),
        (("--server", "ws://x", "--token", "a b"), "the token is malformed"),
        (("--server", "ws://x", "--token-file", "/no/such"), "cannot read the token"),
        (("--server", "ws://x", "--token-file", "/dev/null"), "/dev/null: the file is empty"),
        (("--server", "ws://x", "--token", "a", "--token-file", "b"), "not allowed with"),
        (("--server", "ws://x", "--token", "a", "--grace", "-1"), "-1 is not 0 or more seconds"),
        (("--server", "ws://x", "--token", "a", "--outbox", "/"), "cannot use /"),
        (("--server", "ws://x", "--token", "a", "--no-builtin"), "there are no handlers"),
        (("--server", "ws://x", "--token", "a", "--handlers", "x"), "write MODULE:NAME"),
        (("--server", "ws://x", "--token", "a", "--handlers", "no_such:x"), "No module named"),
        (("--server", "ws://x", "--token", "a", "--handlers", "json:no"), "has no attribute"),
        (("--server", "ws://x", "--token", "a", "--handlers", "math:pi"), "is not a handler"),
        (
            ("--server", "ws://x", "--token", "a", "--handlers", "json:loads"),
            "error: --handlers json:loads: <function loads",
        ),
        (
            ("--server", "ws://x", "--token", "a", *(2 * ("--handlers", "device_handlers:Crash"))),
            "'crash' has two handlers",
        ),
    ],
)
def test_wrong_usage_ends_with_2_and_the_reason(arguments: tuple[str, ...], text: str) -> None:
    ran = run_python(*CONNECT, *arguments, server="127.0.0.1:1", PYTHONPATH=str(PROGRAMS))
    assert ran.code == 2
    assert text in ran.err
    assert "Traceback" not in ran.err


def test_without_websockets_the_line_that_installs_it_is_named() -> None:
    code = (
        "import sys; sys.modules['websockets'] = None\n"
        "from portacode.connection.command import main\n"
        "sys.exit(main(['connect', '--server', 'ws://x', '--token', 'a']))"
    )
    ran = run_python("-c", code, server="127.0.0.1:1")
    assert ran.code == 2
    assert "pip install 'portacode[device]'" in ran.err


def test_the_command_says_how_it_is_used() -> None:
    for arguments in (["--help"], ["connect", "--help"]):
        ran = run_python("-m", "portacode.connection.command", *arguments, server="127.0.0.1:1")
        assert (ran.code, ran.err) == (0, "")
        assert "server" in ran.out
    ran = run_python("-m", "portacode.connection.command", "--version", server="127.0.0.1:1")
    assert ran.out.startswith("portacode 2.")


def test_handlers_of_installed_packages_are_found_and_broken_ones_are_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from portacode.connection import command

    info = tmp_path / "plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[portacode.handlers]\ngood = device_handlers:Choosy\nbroken = no_such_module:X\n"
    )
    for folder in (tmp_path, PROGRAMS):
        monkeypatch.syspath_prepend(str(folder))
    caplog.set_level(logging.ERROR)
    options = command._parser().parse_args(["connect", "--server", "ws://x", "--token", "a"])
    assert command._registry(options).commands == ["choosy", "echo", "slow_task", "system_info"]
    assert "entry point portacode.handlers, broken: No module named" in caplog.text


def test_the_clock_alone_imports_nothing_of_the_device() -> None:
    code = (
        "import sys, portacode.utils.ntp_clock\n"
        "print([name for name in sys.modules if 'websockets' in name or 'connection' in name])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_documentations_handlers_are_ones() -> None:
    text = (ROOT / "docs/DEVICE.md").read_text()
    block = re.split(r"```python.*\n", text)[1].split("```", 1)[0]
    names: dict[str, Any] = {}
    exec(compile(block, "docs/DEVICE.md", "exec"), names)

    async def all_of_it() -> Kept:
        kept = Kept()
        registry = Registry([names["PumpSpeed"](), names["Calibrate"]()])
        received = Stamp.take(ManualClock())
        for number, (name, payload) in enumerate(
            [("pump_speed", {"pump": 1}), ("pump_speed", 1), ("calibrate", None)]
        ):
            registry.dispatch(command(name, payload, number), received, "device", kept)
        await registry.close(5)
        return kept

    kept = asyncio.run(all_of_it())
    outcomes = {int(reply["request_id"], 16): reply for reply in kept.replies}
    assert outcomes[0]["payload"] == {"rpm": 1200}
    assert outcomes[1]["error"] == {"code": "bad_payload", "message": "which pump?"}
    assert outcomes[2]["payload"] == {"done": True}
    assert [message["payload"]["step"] for message in kept.progressed] == list(range(10))
