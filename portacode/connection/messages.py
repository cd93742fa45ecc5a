"""What comes from the server and goes to it: docs/TRACE.md, without any socket."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, NamedTuple, Union

from portacode import _wire, exchanges
from portacode.traceparent import carried

if TYPE_CHECKING:
    from portacode.trace import Trace
    from portacode.utils.ntp_clock import NTPClock

CLOCK_KEYS = (
    "server",
    "is_synced",
    "state",
    "offset_ms",
    "max_error_ms",
    "est_error_ms",
    "drift_ppm",
    "epoch",
    "last_sync",
    "last_error",
)
"""What a clock tells about itself to others, of its status."""


class Command(NamedTuple):
    """A request."""

    request_id: str
    device_id: str | None
    command: str
    payload: Any
    trace: object
    """As it came; its user parses it."""
    traceparent: str | None


class Ack(NamedTuple):
    """The server has stored a response."""

    delivery_id: str


class Refused(NamedTuple):
    """The server did not take a message."""

    code: str
    message: str


class ClockReply(NamedTuple):
    """The server's reply to a clock_sync_request, whose time the device has no use for."""

    request_id: object
    """As it came."""


# Evaluated, unlike an annotation, so in the way of Python 3.9.
Incoming = Union[Command, Ack, ClockReply, Refused, None]


class MalformedError(ValueError):
    """What came is no message; `request_id` and `command` are those it had, where it had some."""

    def __init__(
        self,
        reason: str,
        request_id: str | None = None,
        command: str = "",
        code: str = "malformed",
    ) -> None:
        super().__init__(reason)
        self.request_id = request_id
        self.command = command
        self.code = code


def parse(frame: str | bytes) -> Incoming:
    """What a frame says; None where it is of a kind not known here.

    Raises:
        MalformedError: Where it is not as docs/TRACE.md has it.
    """
    if isinstance(frame, bytes):
        raise MalformedError("a binary frame")
    try:
        message = _wire.parse(frame)
    except _wire.WireError as error:
        raise MalformedError(str(error)) from None
    try:
        _wire.check_size(frame)
    except _wire.TooLargeError as error:
        # Parsed all the same, as bounded by the connection: somebody may wait for an answer.
        known = message.get("event") == "command" and _wire.is_id(message.get("request_id"))
        raise MalformedError(
            str(error), message["request_id"] if known else None, code="too_large"
        ) from None
    event = message.get("event")
    if event == "command":
        return _command(message)
    if event == "ack":
        return Ack(_id(message.get("delivery_id"), "delivery_id"))
    if event == exchanges.REPLY:
        return ClockReply(message.get("request_id"))
    if event == "error":
        reported = message.get("error")
        if not isinstance(reported, dict):
            raise MalformedError("error is not an object")
        return Refused(str(reported.get("code"))[:64], str(reported.get("message"))[:500])
    if not isinstance(event, str):
        raise MalformedError("event is not text")
    return None


def encode(message: dict[str, Any]) -> str:
    """A message's frame.

    Raises:
        WireError: Where it would be larger or deeper than a frame may be, or something in it
            cannot be said in JSON.
    """
    frame = _wire.encode(message)
    _wire.check_size(frame)
    return frame


def response(
    command: Command, trace: Trace, *, payload: object = None, error: tuple[str, str] | None = None
) -> dict[str, Any]:
    """A response with a new delivery_id: its payload, or where it failed code and message."""
    message: dict[str, Any] = {
        "event": "response",
        "request_id": command.request_id,
        "delivery_id": secrets.token_hex(16),
        "command": command.command,
    }
    if error is None:
        message.update(status="ok", payload=payload)
    else:
        code, text = error
        message.update(status="error", error={"code": code, "message": text[:_MESSAGE_CHARS]})
    message["trace"] = trace.to_message()
    if command.traceparent is not None:
        message["traceparent"] = command.traceparent
    return message


def progress(command: Command, trace: Trace, payload: object) -> dict[str, Any]:
    """How far a request is."""
    return {
        "event": "progress",
        "request_id": command.request_id,
        "payload": payload,
        "trace": trace.to_message(),
    }


def clock_summary(clock: NTPClock) -> dict[str, Any]:
    """What a clock tells about itself to others."""
    status: dict[str, Any] = {**clock.get_status()}
    return {key: status[key] for key in CLOCK_KEYS}


def _command(message: dict[str, Any]) -> Command:
    request_id = _id(message.get("request_id"), "request_id")
    command = message.get("command")
    if not isinstance(command, str) or not 0 < len(command) <= _NAME_CHARS:
        raise MalformedError(f"command is not text of 1 to {_NAME_CHARS} characters", request_id)
    device_id = message.get("device_id")
    if device_id is not None and not isinstance(device_id, str):
        raise MalformedError("device_id is not text", request_id, command)
    traceparent = carried(message.get("traceparent"))
    payload, trace = message.get("payload"), message.get("trace")
    return Command(request_id, device_id, command, payload, trace, traceparent)


def _id(value: object, name: str) -> str:
    if not isinstance(value, str) or not _wire.is_id(value):
        raise MalformedError(f"{name} is not 32 hexadecimal digits")
    return value


_NAME_CHARS = 128
_MESSAGE_CHARS = 1_000
