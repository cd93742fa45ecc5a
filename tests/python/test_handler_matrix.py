"""Whatever a handler's function gives, raises or breaks: there is one answer, and others go on."""

# ruff: noqa: ARG002, N818

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from portacode.connection import messages
from portacode.connection.handlers import (
    AsyncHandler,
    BaseHandler,
    Context,
    Echo,
    HandlerError,
    Registry,
    SyncHandler,
)
from portacode.connection.handlers.base import Reply, Sender
from portacode.trace import Stamp
from portacode.utils.ntp_clock import ManualClock

if TYPE_CHECKING:
    from typing import Callable

    Behaviour = Callable[[], Any]


class Textless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")


class TextIsBytes(Exception):
    def __str__(self) -> str:
        return b"bytes"  # type: ignore[return-value]


class TextExits(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


class SlyText(str):
    __slots__ = ()

    def __getitem__(self, index: Any) -> str:
        raise RuntimeError("no parts of this")


class TextIsSly(Exception):
    def __str__(self) -> str:
        return SlyText("sly")


class Basest(BaseException):
    """Neither an Exception nor one of those that Python itself ends things with."""


class Codeless(HandlerError):
    def __init__(self) -> None:
        Exception.__init__(self, "never made whole")


class BadCode(HandlerError):
    def __init__(self, code: Any) -> None:
        super().__init__("good_code", "and then another")
        self.code = code


class Unwilling(dict[str, Any]):
    def items(self) -> Any:
        raise KeyError("no items")


class Exiting(dict[str, Any]):
    def items(self) -> Any:
        raise SystemExit(4)


def raising(error: BaseException) -> Behaviour:
    def behave() -> Any:
        raise error

    return behave


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def cyclic() -> Any:
    loop: list[Any] = []
    loop.append({"again": loop})
    return loop


RAISED: dict[str, tuple[Behaviour, str, str]] = {
    "exception": (raising(ValueError("wrong")), "handler_failed", "ValueError: wrong"),
    "no text": (raising(RuntimeError()), "handler_failed", "RuntimeError: "),
    "own error": (raising(HandlerError("no_file", "none")), "no_file", "none"),
    "own error, numbers": (raising(HandlerError("x", 5)), "x", "5"),  # type: ignore[arg-type]
    "own error, half a pair": (raising(HandlerError("x", "caf\udce9")), "x", "caf\udce9"),
    "own error, no code": (raising(Codeless()), "handler_failed", "never made whole"),
    "own error, code changed": (raising(BadCode("Not One")), "handler_failed", "and then another"),
    "own error, code a list": (raising(BadCode(["x"])), "handler_failed", "and then another"),
    "text raises": (raising(Textless()), "handler_failed", "failed with RuntimeError"),
    "text is bytes": (raising(TextIsBytes()), "handler_failed", "failed with TypeError"),
    "text exits": (raising(TextExits()), "handler_failed", "failed with SystemExit"),
    "text is sly": (raising(TextIsSly()), "handler_failed", "TextIsSly: sly"),
    "long text": (raising(ValueError("x" * 10**6)), "handler_failed", "xxx"),
    "exit": (raising(SystemExit(3)), "handler_failed", "SystemExit: 3"),
    "interrupt": (raising(KeyboardInterrupt()), "handler_failed", "KeyboardInterrupt"),
    "base": (raising(Basest("of all")), "handler_failed", "Basest: of all"),
    "generator exit": (raising(GeneratorExit()), "handler_failed", "GeneratorExit"),
    "cancelled": (raising(asyncio.CancelledError()), "handler_failed", "CancelledError"),
    "stop iteration": (raising(StopIteration(1)), "handler_failed", "Stop"),
    "memory": (raising(MemoryError()), "handler_failed", "MemoryError"),
    "recursion": (lambda: (f := lambda g: g(g))(f), "handler_failed", "RecursionError"),
}
GIVEN: dict[str, tuple[Behaviour, str, str]] = {
    "bytes": (lambda: b"x", "handler_failed", "not JSON serializable"),
    "set": (lambda: {1, 2}, "handler_failed", "not JSON serializable"),
    "object": (object, "handler_failed", "not JSON serializable"),
    "function": (lambda: print, "handler_failed", "not JSON serializable"),
    "keys": (lambda: {(1, 2): 3}, "handler_failed", "keys must be"),
    "nan": (lambda: [float("nan")], "handler_failed", "the result is not JSON"),
    "infinite": (lambda: float("inf"), "handler_failed", "the result is not JSON"),
    "400 digits": (lambda: 10**400, "handler_failed", "double holds"),
    "5000 digits": (lambda: 10**5000, "handler_failed", "the result is not JSON"),
    "200 deep": (lambda: nested(200), "handler_failed", "128 deep"),
    "700 deep": (lambda: nested(700), "handler_failed", "deep"),
    "5000 deep": (lambda: nested(5000), "handler_failed", "deep"),
    "cyclic": (cyclic, "handler_failed", "Circular reference"),
    "huge": (lambda: "x" * 70_000, "too_large", "65536 are the most"),
    "huge in bytes": (lambda: "\U0001f4a1" * 20_000, "too_large", "65536 are the most"),
    "unwilling": (lambda: Unwilling(a=1), "handler_failed", "no items"),
    "exiting": (lambda: Exiting(a=1), "handler_failed", "the result is not JSON: 4"),
}
GOOD: dict[str, tuple[Behaviour, Any]] = {
    "none": (lambda: None, None),
    "half a pair": (lambda: "caf\udce9", "caf\udce9"),
    "a tuple": (lambda: (1, 2.5), [1, 2.5]),
    "2^64": (lambda: 2**64, 2**64),
    "emoji": (lambda: "\U0001f4a1" * 10_000, "\U0001f4a1" * 10_000),
    "100 deep": (lambda: nested(100), nested(100)),
    "keys that are numbers": (lambda: {1: 2}, {"1": 2}),
}


class Kept(Sender):
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.replies: list[dict[str, Any]] = []

    def reply(self, reply: Reply) -> None:
        messages.encode(json.loads(reply.frame))
        self.replies.append(json.loads(reply.frame))

    def progress(self, frame: str) -> None:
        raise AssertionError(frame)


def handler_of(behave: Behaviour, in_thread: bool) -> BaseHandler:
    class Waits(AsyncHandler):
        command = "behave"

        async def execute(self, payload: Any, context: Context) -> Any:
            return behave()

    class Blocks(SyncHandler):
        command = "behave"

        def execute(self, payload: Any, context: Context) -> Any:
            return behave()

    return Blocks() if in_thread else Waits()


def asked(registry: Registry, name: str = "behave", number: int = 1) -> list[dict[str, Any]]:
    """All answers to one request; and that others are answered after it."""

    async def ask() -> Kept:
        kept = Kept()
        received = Stamp.take(ManualClock())
        for request_id, command in ((f"{number:032x}", name), ("f" * 32, "echo")):
            registry.dispatch(
                messages.Command(request_id, None, command, None, None, None),
                received,
                "device",
                kept,
            )
            for _ in range(500):
                if any(reply["request_id"] == request_id for reply in kept.replies):
                    break
                await asyncio.sleep(0.01)
        await registry.close(1)
        assert registry.running == 0
        return kept

    replies = asyncio.run(ask()).replies
    assert [reply["status"] for reply in replies if reply["request_id"] == "f" * 32] == ["ok"]
    return [reply for reply in replies if reply["request_id"] != "f" * 32]


@pytest.mark.parametrize("in_thread", [False, True], ids=["async", "sync"])
@pytest.mark.parametrize("kind", [*RAISED, *GIVEN])
def test_whatever_goes_wrong_in_a_handler_there_is_one_answer_and_it_says_what(
    kind: str, in_thread: bool
) -> None:
    behave, code, text = {**RAISED, **GIVEN}[kind]
    replies = asked(Registry([handler_of(behave, in_thread), Echo()]))
    assert len(replies) == 1
    error = replies[0]["error"]
    assert (replies[0]["status"], error["code"]) == ("error", code)
    assert text in error["message"]
    assert len(error["message"]) <= 1_000


@pytest.mark.parametrize("in_thread", [False, True], ids=["async", "sync"])
@pytest.mark.parametrize("kind", GOOD)
def test_whatever_json_can_say_is_answered_as_it_is(kind: str, in_thread: bool) -> None:
    behave, expected = GOOD[kind]
    replies = asked(Registry([handler_of(behave, in_thread), Echo()]))
    assert [(reply["status"], reply["payload"]) for reply in replies] == [("ok", expected)]


class CancelsItself(AsyncHandler):
    command = "behave"

    async def execute(self, payload: Any, context: Context) -> Any:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return "given, and then taken back"


class CancelsAll(AsyncHandler):
    command = "behave"

    async def execute(self, payload: Any, context: Context) -> Any:
        for task in asyncio.all_tasks():
            if "BaseHandler.handle" in repr(task):
                task.cancel()
        await asyncio.sleep(5)


class NotAsync(AsyncHandler):
    command = "behave"

    def execute(self, payload: Any, context: Context) -> Any:
        return 5


class WrongArguments(SyncHandler):
    command = "behave"

    def execute(self) -> Any:  # type: ignore[override]
        return 5


class NoClock(SyncHandler):
    command = "behave"
    clock = None  # type: ignore[assignment]

    def execute(self, payload: Any, context: Context) -> Any:
        return 5


class BadLimit(SyncHandler):
    command = "behave"

    def execute(self, payload: Any, context: Context) -> Any:
        return 5


class Replaced(SyncHandler):
    command = "behave"

    def execute(self, payload: Any, context: Context) -> Any:
        return 5

    def handle(self, *arguments: Any) -> Any:
        return None


class Silent(SyncHandler):
    command = "behave"

    def execute(self, payload: Any, context: Context) -> Any:
        return 5

    async def handle(self, *arguments: Any) -> None:
        return None


@pytest.mark.parametrize(
    "handler",
    [CancelsItself, CancelsAll, NotAsync, WrongArguments, NoClock, BadLimit, Replaced, Silent],
)
def test_a_handler_that_cannot_be_run_is_answered_for(handler: type[BaseHandler]) -> None:
    made = handler()
    registry = Registry([made, Echo()])
    if handler is BadLimit:
        made.timeout_s = "soon"  # type: ignore[assignment, misc]
    replies = asked(registry)
    assert [(reply["status"], reply["error"]["code"]) for reply in replies] == [
        ("error", "handler_failed")
    ]


def test_a_thread_that_cannot_be_started_is_answered_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    replies = asked(Registry([handler_of(lambda: 1, in_thread=True), Echo()]))
    assert [reply["error"]["message"] for reply in replies] == [
        "RuntimeError: can't start new thread"
    ]


@pytest.mark.parametrize("limit_s", [0, -1, float("nan"), float("inf"), None, "3", True])
def test_a_handler_without_a_limit_in_seconds_is_refused(limit_s: Any) -> None:
    made = handler_of(lambda: 1, in_thread=True)
    made.timeout_s = limit_s  # type: ignore[misc]
    with pytest.raises(ValueError, match="timeout_s, seconds above 0"):
        Registry([made])
