"""What comes from the server and goes to it: docs/TRACE.md, without any socket."""

from __future__ import annotations

import json
import math
import re
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Union

if TYPE_CHECKING:
    from portacode.trace import Trace
    from portacode.utils.ntp_clock import NTPClock

FRAME_BYTES = 65_536
"""The most that a message may have."""
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
    """As it came; whoever takes it up parses it."""
    traceparent: str | None


class Ack(NamedTuple):
    """The server has stored a response."""

    delivery_id: str


class Refused(NamedTuple):
    """The server did not take a message."""

    code: str
    message: str


# Evaluated, unlike an annotation, so in the way of Python 3.9.
Incoming = Union[Command, Ack, Refused, None]


class MalformedError(ValueError):
    """What came is no message; `request_id` and `command` are those it had, where it had some."""

    def __init__(self, reason: str, request_id: str | None = None, command: str = "") -> None:
        super().__init__(reason)
        self.request_id = request_id
        self.command = command


class TooLargeError(ValueError):
    """A message would be larger than one may be."""


def parse(frame: str | bytes) -> Incoming:
    """What a frame says; None where it is of a kind not known here.

    Raises:
        MalformedError: Where it is not as docs/TRACE.md has it.
    """
    if isinstance(frame, bytes):
        raise MalformedError("a binary frame")
    # Characters first: counting the bytes of what is far too long is not for nothing.
    size = len(frame)
    if size <= FRAME_BYTES:
        size = len(frame.encode("utf-8", "surrogatepass"))
    if size > FRAME_BYTES:
        raise MalformedError(f"{size} bytes or more, and {FRAME_BYTES} are the most")
    try:
        message = json.loads(frame, parse_constant=_no_number, parse_float=_number)
    except RecursionError:
        raise MalformedError("nested too deeply") from None
    except ValueError as error:
        raise MalformedError(f"no JSON: {error}") from None
    if not isinstance(message, dict):
        raise MalformedError("no JSON object")
    event = message.get("event")
    if event == "command":
        return _command(message)
    if event == "ack":
        return Ack(_id(message.get("delivery_id"), "delivery_id"))
    if event == "error":
        told = message.get("error")
        if not isinstance(told, dict):
            raise MalformedError("error is not an object")
        return Refused(str(told.get("code"))[:64], str(told.get("message"))[:500])
    if not isinstance(event, str):
        raise MalformedError("event is not text")
    return None


def encode(message: dict[str, Any]) -> str:
    """A message's frame.

    Raises:
        TooLargeError: Where it would be larger than a frame may be.
        ValueError: Where something in it cannot be said in JSON; also TypeError.
    """
    try:
        frame = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    try:
        size = len(frame.encode())
    except UnicodeEncodeError:
        # Half a surrogate pair, which JSON can say only escaped.
        frame = json.dumps(message, allow_nan=False, separators=(",", ":"))
        size = len(frame)
    if size > FRAME_BYTES:
        raise TooLargeError(f"{size} bytes, and {FRAME_BYTES} are the most")
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
    traceparent = message.get("traceparent")
    if not isinstance(traceparent, str) or not _TRACEPARENT.fullmatch(traceparent):
        # W3C: one that cannot be understood is as good as none.
        traceparent = None
    payload, trace = message.get("payload"), message.get("trace")
    return Command(request_id, device_id, command, payload, trace, traceparent)


def _id(value: object, name: str) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise MalformedError(f"{name} is not 32 hexadecimal digits")
    return value


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _number(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        # It could not be said again.
        raise ValueError(f"{text[:20]} is out of range")
    return number


_ID = re.compile(r"[0-9a-f]{32}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_NAME_CHARS = 128
_MESSAGE_CHARS = 1_000
