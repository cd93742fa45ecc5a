"""What all handlers share: a handler's own code is one method, and the trace is stamped around it.

class Uptime(SyncHandler):
    command = "uptime"

    def execute(self, payload, context):
        with open("/proc/uptime") as file:
            return {"seconds": float(file.read().split()[0])}
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import re
import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Callable, ClassVar, NamedTuple, Optional

from portacode import _wire, otel
from portacode.connection import messages
from portacode.utils.ntp_clock import ntp_clock

if TYPE_CHECKING:
    from portacode.trace import Trace
    from portacode.utils.ntp_clock import NTPClock

__all__ = [
    "AsyncHandler",
    "BaseHandler",
    "Context",
    "HandlerError",
    "Reply",
    "Request",
    "Sender",
    "SyncHandler",
]

logger = logging.getLogger("portacode.connection")

# A handler's result, or what it raised. Evaluated, so in the way of Python 3.9.
_Outcome = tuple[Any, Optional[BaseException]]


class HandlerError(Exception):
    """Raised by a handler whose request cannot be met: the response is this error.

    Args:
        code: For programs: lower-case letters, digits and `_`, at most 64.
        message: For people.
    """

    def __init__(self, code: str, message: str) -> None:
        if not _CODE.fullmatch(code):
            raise ValueError(f"an error's code is lower-case letters, digits and _, not {code!r}")
        super().__init__(message)
        self.code = code


class Reply(NamedTuple):
    """A response as it goes to the server."""

    delivery_id: str
    request_id: str
    frame: str


class Sender(ABC):
    """Where a handler's messages go."""

    @abstractmethod
    def reply(self, reply: Reply) -> None:
        """Takes a response, to be kept until the server has it."""

    @abstractmethod
    def progress(self, frame: str) -> None:
        """Takes a message that may be lost."""


class Request:
    """A command under way, which is answered once, by `respond`."""

    __slots__ = ("answered", "command", "entity", "sender", "stopping", "trace")

    def __init__(
        self,
        command: messages.Command,
        trace: Trace,
        entity: str,
        sender: Sender,
        stopping: asyncio.Future[None],
    ) -> None:
        self.command = command
        self.trace = trace
        self.entity = entity
        self.sender = sender
        # Resolved when the device ends and can wait no longer.
        self.stopping = stopping
        self.answered = False


class Context:
    """What a handler may want to know and do while it executes; of any thread."""

    __slots__ = ("_cancelled", "_loop", "_lost", "_passing", "_request")

    def __init__(self, request: Request) -> None:
        self._request = request
        self._loop = asyncio.get_running_loop()
        self._cancelled = threading.Event()
        # On their way to the loop: a thread may be faster than it.
        self._passing = 0
        self._lost = False

    @property
    def request_id(self) -> str:
        """The request's, for logs."""
        return self._request.command.request_id

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for the result any more: time is up, or the device ends."""
        return self._cancelled.is_set()

    def progress(self, payload: object) -> None:
        """Tells the browser how far it is; any JSON. May be lost, unlike the result.

        Raises:
            ValueError: Where it cannot be said in JSON, or not in one message.
        """
        # By now, not when the loop has time: the handler may go on to change what it passed.
        command, trace = self._request.command, self._request.trace
        frame = messages.encode(messages.progress(command, trace, payload))
        if self._passing >= _PASSING_MAX:
            if not self._lost:
                self._lost = True
                logger.warning("%s %s: progress comes too fast, some is lost", *self._name())
            return
        self._passing += 1
        try:
            self._loop.call_soon_threadsafe(self._pass_on, frame)
        except RuntimeError:
            self._cancelled.set()  # The loop has ended.

    def cancel(self) -> None:
        """Called by the base handler once it waits no longer."""
        self._cancelled.set()

    def _name(self) -> tuple[str, str]:
        return command_of(self._request)

    def _pass_on(self, frame: str) -> None:
        self._passing -= 1
        # After the response there is no progress.
        if not self.cancelled:
            self._request.sender.progress(frame)


class BaseHandler(ABC):
    """Answers one command. Subclass `AsyncHandler` or `SyncHandler`, which say where it runs."""

    command: ClassVar[str]
    """What the handler is asked for by."""
    timeout_s: ClassVar[float] = 30.0
    """How long it may take; then the response is an error."""
    clock: NTPClock = ntp_clock
    """Whose time the stamps are; for tests."""

    async def handle(self, request: Request, ended: Callable[[], None]) -> None:
        """Executes and responds, whatever happens.

        Args:
            request: What to do.
            ended: Called when the handler's own code has ended, which is later than the response
                where it is stuck.
        """
        trace, entity = request.trace, request.entity
        payload: object = None
        error: tuple[str, str] | None
        try:
            context = Context(request)
            trace.stamp("handler_dispatch", self.clock, entity)
            work = self._start(request.command.payload, context)
        except BaseException as problem:
            ended()
            error = failure_of(request, problem)
        else:
            work.add_done_callback(lambda _: ended())
            try:
                payload, error = await self._outcome(work, request, context)
            except asyncio.CancelledError:
                # Everything is being ended; the registry answers.
                self._stop(work)
                raise
            except BaseException as problem:
                self._stop(work)
                error = failure_of(request, problem)
        trace.stamp("handler_complete", self.clock, entity)
        respond(request, self.clock, payload, error)

    @abstractmethod
    def _start(self, payload: Any, context: Context) -> asyncio.Future[_Outcome]:
        """Starts the handler's own code; what it gives resolves to its result or what it raised."""

    @abstractmethod
    def _stop(self, work: asyncio.Future[_Outcome]) -> None:
        """Ends it before it has ended by itself, where that is possible."""

    async def _outcome(
        self, work: asyncio.Future[_Outcome], request: Request, context: Context
    ) -> tuple[object, tuple[str, str] | None]:
        """The payload, or code and message of an error."""
        name, request_id = command_of(request)
        either: set[asyncio.Future[Any]] = {work, request.stopping}
        await asyncio.wait(
            either,
            timeout=self.timeout_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
        context.cancel()
        if not work.done():
            self._stop(work)
            if request.stopping.done():
                return None, ("shutting_down", f"{name} was still running when the device ended")
            logger.warning("%s %s: stopped after %g s", name, request_id, self.timeout_s)
            return None, ("handler_timeout", f"{name} took over {self.timeout_s:g} s")
        if work.cancelled():  # Not by us: the handler's code has cancelled itself.
            return None, failure_of(request, asyncio.CancelledError())
        result, error = work.result()
        return (result, None) if error is None else (None, failure_of(request, error))


class AsyncHandler(BaseHandler):
    """A handler that waits: its code runs on the client's event loop and must not block it."""

    @abstractmethod
    async def execute(self, payload: Any, context: Context) -> Any:
        """The handler's own code; gives the response's payload, any JSON."""

    def _start(self, payload: Any, context: Context) -> asyncio.Future[_Outcome]:
        return asyncio.ensure_future(self._guarded(payload, context))

    def _stop(self, work: asyncio.Future[_Outcome]) -> None:
        work.cancel()

    async def _guarded(self, payload: Any, context: Context) -> _Outcome:
        try:
            return await self.execute(payload, context), None
        except asyncio.CancelledError as error:
            if context.cancelled:
                raise
            return None, error  # Its own doing.
        except BaseException as error:
            # A handler may end itself, not the device.
            return None, error


class SyncHandler(BaseHandler):
    """A handler that computes or blocks: its code runs in a thread of its own."""

    @abstractmethod
    def execute(self, payload: Any, context: Context) -> Any:
        """The handler's own code; gives the response's payload, any JSON.

        A thread cannot be stopped from outside: what may take long looks at `context.cancelled`.
        """

    def _start(self, payload: Any, context: Context) -> asyncio.Future[_Outcome]:
        loop = asyncio.get_running_loop()
        work: asyncio.Future[_Outcome] = loop.create_future()

        def run() -> None:
            outcome: _Outcome
            try:
                outcome = self.execute(payload, context), None
            except BaseException as error:
                outcome = None, error
            # The loop may have ended before, and nobody waits then.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle, work, outcome)

        # A daemon: one that is stuck does not keep the process from ending.
        threading.Thread(target=run, name=f"handler {self.command}", daemon=True).start()
        return work

    def _stop(self, work: asyncio.Future[_Outcome]) -> None:
        """Nothing: the thread looks at `context.cancelled` where it will."""


def respond(
    request: Request,
    clock: NTPClock,
    payload: object = None,
    error: tuple[str, str] | None = None,
) -> None:
    """Answers a request, unless it has been answered: its payload, or code and text of an error."""
    if request.answered:
        return
    request.answered = True
    request.trace.stamp("device_send", clock, request.entity)
    reply, failure = _reply_to(request, payload, error)
    request.sender.reply(reply)
    _export_spans(request, failure)


def failure_of(request: Request, error: BaseException) -> tuple[str, str]:
    """Code and text of what went wrong, whatever an exception may be made of."""
    text = _text_of(error)
    if isinstance(error, HandlerError):
        code = getattr(error, "code", None)
        if isinstance(code, str) and _CODE.fullmatch(code):
            return code, text
    logger.error("%s %s: the handler failed", *command_of(request), exc_info=error)
    return "handler_failed", f"{type(error).__name__}: {text}"


def _text_of(error: BaseException) -> str:
    try:
        # What it gives may be a class of its own, with slices of its own.
        return str.__getitem__(str(error), slice(_TEXT_CHARS))
    except BaseException as problem:
        return f"(it has no text: its __str__ failed with {type(problem).__name__})"


def _reply_to(
    request: Request, payload: object, error: tuple[str, str] | None
) -> tuple[Reply, tuple[str, str] | None]:
    """The response to a request, also where its payload cannot be sent; and the error in it."""
    command, trace = request.command, request.trace
    message = messages.response(command, trace, payload=payload, error=error)
    try:
        frame = messages.encode(message)
    except _wire.TooLargeError as problem:
        error = "too_large", f"the response has {problem}"
    # What a handler gives is asked for its parts, and may then do as it likes.
    except BaseException as problem:
        text = _text_of(problem)
        logger.error("%s %s: the result is not JSON: %s", *command_of(request), text)
        error = "handler_failed", f"the result is not JSON: {text}"
    else:
        return Reply(message["delivery_id"], command.request_id, frame), error
    message = messages.response(command, trace, error=error)
    return Reply(message["delivery_id"], command.request_id, messages.encode(message)), error


def _export_spans(request: Request, error: tuple[str, str] | None) -> None:
    """Has the device's part of the trace exported, where OpenTelemetry is asked for.

    Called once the response is handed over, and does its work after that has gone out.
    """
    if not otel.active():
        return
    command = request.command
    export = functools.partial(
        otel.export_trace,
        request.trace,
        "device",
        request_id=command.request_id,
        traceparent=command.traceparent,
        command=command.command,
        error=None if error is None else {"code": error[0], "message": error[1]},
    )
    asyncio.get_running_loop().call_soon(export)


def command_of(request: Request) -> tuple[str, str]:
    """What names a request in the log."""
    return request.command.command, request.command.request_id


def _settle(work: asyncio.Future[_Outcome], outcome: _Outcome) -> None:
    if not work.done():
        work.set_result(outcome)


_PASSING_MAX = 100
_TEXT_CHARS = 1_000
_CODE = re.compile(r"[a-z0-9_]{1,64}")
