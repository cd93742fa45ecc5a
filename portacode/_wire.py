"""Messages as text: strict JSON, ids and sizes, the same for the device, the relay and the server.

JSON is that of RFC 8259: no NaN, no number that a double cannot hold. A process that passes on
a payload passes on the text as it came, so that every number and every character arrives as it was
written, and no second encoding has limits of its own:

    message = parse(frame)             # an object; its members as Python has them
    payload = message.text("payload")  # one of them as it was written
    encode({"event": "response", "payload": payload})
"""

from __future__ import annotations

import json
import math
import re
from json import decoder
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping

FRAME_BYTES = 65_536
"""The most that a message of docs/TRACE.md may have."""
DEPTH_MAX = 128
"""How deep its arrays and objects may be nested, itself included."""

LABEL_CHARS = 64
"""The most characters of a `request_id` of docs/WIRE.md."""

COUNTER = "[0-9a-f]{16}(?:~[0-9]{1,6})?"
"""A counter's name, as a regular expression: free-running, or steered by this many parts per
million at most."""
COUNTER_FORM = "16 hexadecimal digits, lower case, and ~PPM where the counter is steered"
"""What `is_counter` asks for, in words."""
NANOSECONDS_FORM = "text of a whole number of nanoseconds from 0 to 2^63 - 1"
"""What `nanoseconds` asks for, in words."""


class WireError(ValueError):
    """A text is not what may be sent; the message says why."""


class TooLargeError(WireError):
    """It has more bytes than it may."""


class TooDeepError(WireError):
    """Its arrays and objects are nested deeper than they may be."""


class NotJsonError(WireError):
    """It is not JSON, or a value cannot be said in JSON."""


class Json(str):
    """JSON that is text already: `encode` puts it into a message as it stands."""

    __slots__ = ()


class Message(dict[str, Any]):
    """An object that came, and the text of each of its members."""

    __slots__ = ("_source", "_spans")

    def __init__(self, source: str) -> None:
        super().__init__()
        self._source = source
        self._spans: dict[str, tuple[int, int]] = {}

    def text(self, name: str) -> Json:
        """A member as it was written; `null` where it is absent."""
        start, end = self._spans.get(name, (0, 0))
        return Json(self._source[start:end] or "null")


def loads(text: str, *, depth: int = DEPTH_MAX, half_pairs: bool = True) -> Any:
    """What a text of JSON says.

    Args:
        text: Of a length that was checked before.
        depth: How deep arrays and objects may be nested.
        half_pairs: Whether an escape may be half of a surrogate pair. Python takes it for a
            character, which UTF-8 has not.

    Raises:
        TooDeepError: Where it is nested deeper.
        NotJsonError: Where it is not JSON.
    """
    _check_depth(text, depth)
    try:
        if not half_pairs and "\\" in text and any(escape[1] for escape in _ESCAPE.finditer(text)):
            raise NotJsonError("half a surrogate pair")
        return _decoder.decode(text)
    except (ValueError, RecursionError) as error:
        raise _not_json(error) from None


def parse(text: str) -> Message:
    """The object that a message is.

    Args:
        text: Of a length that was checked before.

    Raises:
        TooDeepError: Where it is nested more than `DEPTH_MAX` deep.
        NotJsonError: Where it is not JSON, or not an object.
    """
    _check_depth(text, DEPTH_MAX)
    try:
        return _members(text)
    except StopIteration as stop:
        raise NotJsonError(f"not JSON: a value is missing at character {stop.value}") from None
    except (ValueError, RecursionError) as error:
        raise _not_json(error) from None


def encode(message: Mapping[str, Any]) -> str:
    """A message's text. Characters stand for themselves, so that it is as long as it was.

    Raises:
        TooDeepError: Where it is nested more than `DEPTH_MAX` deep.
        NotJsonError: Where something in it cannot be said in JSON.
    """
    members = (f"{dumps(name)}:{dumps(value)}" for name, value in message.items())
    text = f"{{{','.join(members)}}}"
    _check_depth(text, DEPTH_MAX)
    return text


def extended(text: str, more: Mapping[str, Any]) -> str:
    """The text of a message that `encode` gave, with more members, none of which it has.

    Raises:
        WireError: As `encode` does.
    """
    return f"{text[:-1]},{encode(more)[1:]}" if more else text


def dumps(value: object) -> Json:
    """A value's text.

    Raises:
        TooDeepError: Where it is nested too deeply for Python.
        NotJsonError: Where it cannot be said in JSON.
    """
    if isinstance(value, Json):
        return value
    try:
        text = _encoder.encode(value)
    except RecursionError:
        raise TooDeepError("nested too deeply") from None
    except (TypeError, ValueError) as error:
        raise NotJsonError(str(error)) from None
    if _LONG.search(text):
        loads(text)  # The receiver would refuse such a number.
    # Half a surrogate pair is in UTF-8 only as an escape. It can only be within a string.
    return Json(text if text.isascii() else _HALF.sub(_escape, text))


def checked(text: str) -> Json:
    """A text of JSON from elsewhere, say a command line, as `encode` takes it.

    Raises:
        WireError: As `loads` does.
    """
    loads(text)
    return Json(_HALF.sub(_escape, text.strip(" \t\n\r")))


def check_size(text: str, most: int = FRAME_BYTES) -> None:
    """Refuses a text whose UTF-8 has more bytes than this.

    Raises:
        TooLargeError: Where it has.
    """
    # A character has a byte at the least: what is far too long need not be encoded for this.
    size = len(text)
    if size <= most and not text.isascii():
        size = len(text.encode("utf-8", "surrogatepass"))
    if size > most:
        raise TooLargeError(f"{size} bytes or more, and {most} are the most")


def is_id(value: object) -> bool:
    """Whether it is a `request_id` or a `delivery_id` as docs/TRACE.md has them."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def is_label(value: object) -> bool:
    """Whether it is a `request_id` as docs/WIRE.md has it."""
    return isinstance(value, str) and _LABEL.fullmatch(value) is not None


def is_counter(value: object) -> bool:
    """Whether it names a counter as programs name their own: without a scope."""
    return isinstance(value, str) and _COUNTER.fullmatch(value) is not None


def nanoseconds(value: object) -> int | None:
    """A counter's value, which is text because not every reader's numbers hold it; None: no such.

    Zeros in front and signs are not written.
    """
    if not isinstance(value, str) or _NANOSECONDS.fullmatch(value) is None:
        return None
    number = int(value)
    return number if number <= _NANOSECONDS_MAX else None


def _members(text: str) -> Message:
    at = _after_blanks(text, 0)
    if text[at : at + 1] != "{":
        json.loads(text)  # To tell what is not JSON from what is not an object.
        raise NotJsonError("not a JSON object")
    message = Message(text)
    at = _after_blanks(text, at + 1)
    more = text[at : at + 1] != "}"
    while more:
        if text[at : at + 1] != '"':
            raise NotJsonError(f"not JSON: a name is missing at character {at}")
        name, at = _scan_string(text, at + 1, True)
        at = _after_blanks(text, at)
        if text[at : at + 1] != ":":
            raise NotJsonError(f"not JSON: a colon is missing at character {at}")
        start = _after_blanks(text, at + 1)
        message[name], end = _scan_value(text, start)
        message._spans[name] = start, end
        at = _after_blanks(text, end)
        more = text[at : at + 1] == ","
        if more:
            at = _after_blanks(text, at + 1)
    if text[at : at + 1] != "}" or _after_blanks(text, at + 1) != len(text):
        raise NotJsonError(f"not JSON: character {at} is one too many, or one is missing there")
    return message


def _after_blanks(text: str, at: int) -> int:
    blanks = _BLANKS.match(text, at)
    return at if blanks is None else blanks.end()


def _check_depth(text: str, most: int) -> None:
    """By brackets outside of strings, whatever else the text may be."""
    if text.count("[") + text.count("{") <= most:
        return
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > most:
            raise TooDeepError(f"arrays and objects are more than {most} deep")


def _not_json(error: Exception) -> WireError:
    if isinstance(error, WireError):
        return error
    return NotJsonError(f"not JSON: {str(error)[:100]}")


def _escape(half: re.Match[str]) -> str:
    return f"\\u{ord(half[0]):04x}"


def _no_constant(name: str) -> NoReturn:
    raise NotJsonError(f"not JSON: {name} is not a number there")


def _fraction(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        # It could not be said again.
        raise NotJsonError(f"not JSON: {digits[:20]} is more than a double holds")
    return number


def _whole(digits: str) -> int:
    if len(digits) > _SAFE_DIGITS:
        _fraction(digits)
    return int(digits)


_ID = re.compile(r"[0-9a-f]{32}")
_LABEL = re.compile(rf"[!-~]{{1,{LABEL_CHARS}}}")
_COUNTER = re.compile(COUNTER)
_NANOSECONDS = re.compile("0|[1-9][0-9]{0,18}")
_NANOSECONDS_MAX = 2**63 - 1
_BLANKS = re.compile(r"[ \t\n\r]+")
_BRACKET = re.compile(r"[\[\]{}]")
# The greatest double has one digit more.
_SAFE_DIGITS = 308
_LONG = re.compile(rf"\d{{{_SAFE_DIGITS + 1}}}")
_HALF = re.compile("[\ud800-\udfff]")
# One that does not end goes on to the end: looking for it once more at each character of it would
# take the square of its length.
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
# An escape within a string; the group is there if it is half a surrogate pair.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F])|.)", re.DOTALL
)
_decoder = json.JSONDecoder(parse_constant=_no_constant, parse_float=_fraction, parse_int=_whole)
_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
# Parts of Python's own parser that its type stubs do not tell of.
_scan_string: Any = vars(decoder)["scanstring"]
_scan_value: Any = vars(_decoder)["scan_once"]
