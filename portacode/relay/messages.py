"""The relay's messages as pure functions: no clock, no socket. docs/WIRE.md is what they follow."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl

from portacode import _wire

if TYPE_CHECKING:
    from typing import Protocol

    class Stamp(Protocol):
        """What of a reading goes over the wire."""

        @property
        def time_ns(self) -> int:  # noqa: D102
            ...
        @property
        def max_error_ns(self) -> int:  # noqa: D102
            ...
        @property
        def epoch(self) -> int:  # noqa: D102
            ...


class RequestError(Exception):
    """A request that gets no time, and why: `code` for programs, the text for people."""

    def __init__(self, code: str, message: str, request_id: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.request_id = request_id

    @property
    def http_status(self) -> int:
        """With which status HTTP carries it."""
        return _HTTP_STATUS.get(self.code, 400)

    def reply(self) -> dict[str, Any]:
        """The reply to the asker."""
        error = {"code": self.code, "message": str(self)}
        return {"event": RESPONSE, "request_id": self.request_id, "error": error}


class Source(NamedTuple):
    """What a relay's clock says about where its time is from."""

    server: str
    """The one server, with its port where it is not 123."""
    stratum: int | None
    """That server's, None where it is not known."""
    leap: int | None
    """That server's leap warning, None where it is not known."""
    delay_ns: int | None
    """Round trip to it, None where it is not known."""
    epoch: int
    """Of the current or next readings."""


def request_of_text(text: str | bytes, max_bytes: int) -> str:
    """The `request_id` of a WebSocket's message; bytes are a binary one.

    Raises:
        RequestError: Where the message is no request.
    """
    # Bytes are measured as what they are: a binary message may be too long as well.
    if len(text) > max_bytes:
        raise _oversize(max_bytes)
    if isinstance(text, bytes):
        raise RequestError("malformed", "a binary message: send JSON as text")
    try:
        _wire.check_size(text, max_bytes)
        message = _wire.loads(text, depth=MAX_DEPTH, half_pairs=False)
    except _wire.TooLargeError:
        raise _oversize(max_bytes) from None
    except _wire.TooDeepError:
        raise RequestError("nested", f"arrays and objects are more than {MAX_DEPTH} deep") from None
    except _wire.NotJsonError:
        raise RequestError("malformed", f"not JSON: write {_EXAMPLE}") from None
    return request_of_object(message)


def request_of_object(message: object) -> str:
    """The `request_id` of a message that is parsed already.

    Raises:
        RequestError: Where the message is no request.
    """
    if not isinstance(message, dict):
        raise RequestError("malformed", f"not an object: write {_EXAMPLE}")
    request_id = message.get("request_id")
    good = _wire.is_label(request_id)
    event = message.get("event")
    if not isinstance(event, str) or event != REQUEST:
        known = request_id if good else None
        raise RequestError("unknown_event", f'"event" must be "{REQUEST}"', known)
    if not good:
        raise _bad_id()
    assert isinstance(request_id, str)
    return request_id


def request_of_query(query: bytes, max_bytes: int) -> str:
    """The `request_id` of a URL's query, which is what stands behind the question mark.

    Raises:
        RequestError: Where it has none that is good.
    """
    if len(query) > max_bytes:
        raise _oversize(max_bytes)
    # Bytes that are no UTF-8 become a character that no good request_id has.
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    request_id = next((value for name, value in pairs if name == "request_id"), None)
    if not _wire.is_label(request_id):
        raise _bad_id()
    assert request_id is not None
    return request_id


def reply(
    request_id: str, receive: Stamp | None, send: Stamp | None, source: Source, instance: str
) -> dict[str, Any]:
    """What is answered to a good request.

    Args:
        request_id: Of the request.
        receive: The clock's reading when the request came; None where it had none.
        send: Its reading when the reply leaves.
        source: What its status says.
        instance: The relay's name for itself.
    """
    stratum = UNKNOWN_STRATUM if source.stratum is None else source.stratum
    leap = source.leap or 0
    if send is None or stratum >= 15 or leap == 3:
        return {
            "event": RESPONSE,
            "request_id": request_id,
            **_NO_TIME,
            "server": source.server,
            "instance": instance,
            "epoch": source.epoch,
        }
    # Of different epochs or none, the first is sent as the second one: later than it was, which
    # keeps the bound true.
    if receive is None or receive.epoch != send.epoch or receive.time_ns > send.time_ns:
        receive = send
    delay_ns = source.delay_ns or 0
    error_ns = max(receive.max_error_ns, send.max_error_ns)
    sent_ms = unix_ms(send.time_ns)
    return {
        "event": RESPONSE,
        "request_id": request_id,
        "server_receive_time": unix_ms(receive.time_ns),
        "server_send_time": sent_ms,
        "server_time": sent_ms,
        "server_time_iso": iso(send.time_ns),
        "root_delay_ms": delay_ns / 1e6,
        "root_dispersion_ms": max(0, error_ns - delay_ns // 2) / 1e6,
        "stratum": stratum + 1,
        "leap": leap,
        "server": source.server,
        "instance": instance,
        "epoch": send.epoch,
    }


def is_synchronised(message: dict[str, Any]) -> bool:
    """Whether a reply gives the time."""
    return message.get("server_time") is not None


def encode(message: dict[str, Any]) -> str:
    """A message as it goes over the wire."""
    return _wire.encode(message)


def unix_ms(time_ns: int) -> float:
    """Unix nanoseconds as the nearest double of milliseconds, which `time_ns / 1e6` is not."""
    return float(time_ns // 1_000_000) + time_ns % 1_000_000 / 1e6


def iso(time_ns: int) -> str:
    """Unix nanoseconds as ISO 8601 in UTC, cut off to the microsecond."""
    moment = _EPOCH + timedelta(microseconds=time_ns // 1000)
    return moment.isoformat(timespec="microseconds")


def _oversize(max_bytes: int) -> RequestError:
    return RequestError("oversize", f"longer than {max_bytes} bytes")


def _bad_id() -> RequestError:
    text = f'"request_id" must be 1 to {_wire.LABEL_CHARS} characters of ASCII from ! to ~'
    return RequestError("bad_request_id", text)


REQUEST = "clock_sync_request"
RESPONSE = "clock_sync_response"
MAX_DEPTH = 8
UNKNOWN_STRATUM = 14

_EXAMPLE = f'{{"event": "{REQUEST}", "request_id": "..."}}'
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_HTTP_STATUS = {"method": 405, "origin": 403, "rate_limited": 429, "oversize": 414}
_NO_TIME: dict[str, Any] = {
    "server_receive_time": None,
    "server_send_time": None,
    "server_time": None,
    "server_time_iso": None,
    "root_delay_ms": None,
    "root_dispersion_ms": None,
    "stratum": 16,
    "leap": 3,
}
