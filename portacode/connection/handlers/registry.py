"""Which handler answers what, and how many may run at once."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from typing import TYPE_CHECKING, Any, Callable

from portacode.connection.handlers.base import (
    BaseHandler,
    Request,
    command_of,
    failure_of,
    respond,
)
from portacode.trace import KEYS, Trace, TraceError
from portacode.utils.ntp_clock import ntp_clock

if TYPE_CHECKING:
    from collections.abc import Iterable

    from portacode.connection.handlers.base import Sender
    from portacode.connection.messages import Command
    from portacode.trace import Stamp
    from portacode.utils.ntp_clock import NTPClock

logger = logging.getLogger("portacode.connection")


class Registry:
    """The handlers of a device.

    Args:
        handlers: Those there are from the start.
        running: How many run at once. One that is stuck counts until its own code ends.
        waiting: How many requests wait for their turn beside them; more are answered `busy`.
        patience_s: How long one waits for its turn.
        clock: Whose time the stamps are; for tests.

    Raises:
        ValueError: As `add` does.
    """

    def __init__(
        self,
        handlers: Iterable[BaseHandler] = (),
        *,
        running: int = 16,
        waiting: int = 64,
        patience_s: float = 15.0,
        clock: NTPClock = ntp_clock,
    ) -> None:
        self._handlers: dict[str, BaseHandler] = {}
        self._running_max = running
        self._waiting_max = waiting
        self._patience_s = patience_s
        self._clock = clock
        self._under_way: dict[str, Request] = {}
        self._running = 0
        self._waiting: deque[tuple[Request, asyncio.TimerHandle]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._stopping: asyncio.Future[None] | None = None
        for handler in handlers:
            self.add(handler)

    def add(self, handler: BaseHandler) -> None:
        """Adds a handler.

        Raises:
            ValueError: Where it is none, has no usable command, or its command has a handler.
        """
        if not isinstance(handler, BaseHandler):
            raise ValueError(f"{handler!r} is not a handler: subclass AsyncHandler or SyncHandler")
        command = getattr(handler, "command", None)
        if not isinstance(command, str) or not 0 < len(command) <= 128:
            raise ValueError(f"{handler!r} needs a command, text of 1 to 128 characters")
        limit_s: Any = getattr(handler, "timeout_s", None)
        number = isinstance(limit_s, (int, float)) and not isinstance(limit_s, bool)
        if not number or not 0 < limit_s < math.inf:
            raise ValueError(f"{handler!r} needs a timeout_s, seconds above 0, not {limit_s!r}")
        other = self._handlers.get(command)
        if other is not None:
            raise ValueError(f"{command!r} has two handlers, {other!r} and {handler!r}")
        self._handlers[command] = handler

    @property
    def commands(self) -> list[str]:
        """What can be asked for."""
        return sorted(self._handlers)

    @property
    def running(self) -> int:
        """How many handlers run, stuck ones too."""
        return self._running

    def dispatch(self, command: Command, received: Stamp, entity: str, sender: Sender) -> None:
        """Has a command answered; the answer, whatever it is, goes to the sender.

        Args:
            command: What came.
            received: When its frame came.
            entity: Who stamps, as docs/TRACE.md has it.
            sender: Takes what is answered.
        """
        if command.request_id in self._under_way:
            logger.warning("%s %s came twice: ignored", command.command, command.request_id)
            return
        try:
            trace = Trace.from_message(command.trace, _BEFORE)
        except TraceError as error:
            self.refuse(command, received, entity, sender, ("malformed", str(error)))
            return
        trace.put("device_receive", received, entity)
        request = Request(command, trace, entity, sender, self._stop_signal())
        problem = self._hindrance(request)
        if problem is not None:
            self._refuse(request, *problem)
            return
        trace.stamp("handler_receive", self._clock, entity)
        self._under_way[command.request_id] = request
        if self._running < self._running_max:
            self._run(request)
        else:
            timer = asyncio.get_running_loop().call_later(self._patience_s, self._give_up, request)
            self._waiting.append((request, timer))

    def refuse(
        self,
        command: Command,
        received: Stamp,
        entity: str,
        sender: Sender,
        problem: tuple[str, str],
    ) -> None:
        """Answers what cannot be understood with code and message of an error."""
        trace = Trace()
        trace.put("device_receive", received, entity)
        request = Request(command, trace, entity, sender, self._stop_signal())
        self._refuse(request, *problem)

    async def close(self, grace_s: float) -> None:
        """Takes no more, lets what runs end within the time, and answers for what has not."""
        self._closed = True
        while self._waiting:
            request, timer = self._waiting.popleft()
            timer.cancel()
            self._answer_late(request, "shutting_down", "the device is ending")
        if self._tasks:
            logger.info("waiting up to %g s for %d handlers", grace_s, len(self._tasks))
            await asyncio.wait(set(self._tasks), timeout=grace_s)
        stopping = self._stop_signal()
        if not stopping.done():
            stopping.set_result(None)
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=1.0)
        for request in list(self._under_way.values()):
            self._answer_late(request, "shutting_down", "the device has ended meanwhile")

    def _hindrance(self, request: Request) -> tuple[str, str] | None:
        """Why a request cannot be taken: code and message of an error."""
        name = request.command.command
        if self._closed:
            return "shutting_down", "the device is ending"
        if name not in self._handlers:
            known = ", ".join(self.commands) or "none"
            return "unknown_command", f"there is no command {name[:64]!r}; there are: {known}"
        if self._running >= self._running_max and len(self._waiting) >= self._waiting_max:
            return "busy", f"{self._running} handlers run and {len(self._waiting)} wait"
        return None

    def _run(self, request: Request) -> None:
        self._running += 1
        handler = self._handlers[request.command.command]
        ended = _Once(self._ended)
        try:
            task = asyncio.ensure_future(handler.handle(request, ended))
        except Exception as error:
            # A subclass that overrides what it should not.
            self._under_way.pop(request.command.request_id, None)
            respond(request, self._clock, error=failure_of(request, error))
            ended()
            return
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._answered(task, request, ended))

    def _answered(
        self, task: asyncio.Task[None], request: Request, ended: Callable[[], None]
    ) -> None:
        self._tasks.discard(task)
        self._under_way.pop(request.command.request_id, None)
        if not request.answered:
            # Not the handler's own code, which is caught: a defect of ours, or of its subclass.
            if task.cancelled():
                problem = "handler_failed", "it was cancelled from outside, and so was its answer"
            else:
                error = task.exception() or RuntimeError("it was left without an answer")
                problem = failure_of(request, error)
            respond(request, self._clock, error=problem)
            ended()
        elif not task.cancelled() and (late := task.exception()) is not None:
            logger.error("%s %s: failed after its answer", *command_of(request), exc_info=late)

    def _ended(self) -> None:
        self._running -= 1
        while self._waiting and self._running < self._running_max:
            request, timer = self._waiting.popleft()
            timer.cancel()
            self._run(request)

    def _give_up(self, request: Request) -> None:
        self._waiting = deque(entry for entry in self._waiting if entry[0] is not request)
        text = f"{self._running} handlers ran for {self._patience_s:g} s"
        self._answer_late(request, "busy", text)

    def _answer_late(self, request: Request, code: str, text: str) -> None:
        self._under_way.pop(request.command.request_id, None)
        self._refuse(request, code, text)

    def _refuse(self, request: Request, code: str, text: str) -> None:
        logger.warning("%s %s refused, %s: %s", *command_of(request), code, text)
        respond(request, self._clock, error=(code, text))

    def _stop_signal(self) -> asyncio.Future[None]:
        if self._stopping is None:
            self._stopping = asyncio.get_running_loop().create_future()
        return self._stopping


# What a request can have been stamped with when it comes.
_BEFORE = KEYS[: KEYS.index("device_receive")]


class _Once:
    """Calls through the first time it is called."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def __call__(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call()
