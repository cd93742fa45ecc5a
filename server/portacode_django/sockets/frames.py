"""JSON objects in text frames, and fields of them that are what they have to be."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn


class Refusal(Exception):  # noqa: N818
    """A message that is not obeyed; code and message are told to whoever sent it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def to_json(self) -> dict[str, str]:
        """As an `error` has it."""
        return {"code": self.code, "message": self.message}


def parsed(text: str) -> dict[str, Any]:
    """The object in a frame, which has an `event`.

    Raises:
        Refusal: Where it is none.
    """
    try:
        message = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Refusal("malformed", f"the frame is not JSON: {str(error)[:100]}") from error
    if not isinstance(message, dict):
        raise Refusal("malformed", "the frame is not a JSON object")
    if not isinstance(message.get("event"), str):
        raise Refusal("malformed", "the message has no event")
    return message


def serialised(message: dict[str, Any]) -> str:
    """A frame's text.

    Raises:
        Refusal: Where it holds a number that JSON has not, such as 1e999.
    """
    try:
        return json.dumps(message, separators=(",", ":"), allow_nan=False)
    except ValueError as error:
        raise Refusal("malformed", "a number is out of range") from error


def text_field(message: dict[str, Any], name: str, longest: int, default: str | None = None) -> str:
    """A field that is text, not empty and not too long; the default where it is absent or that."""
    value = message.get(name, default)
    if default is not None and value == default:
        return default
    if not isinstance(value, str) or not 0 < len(value) <= longest or not value.isprintable():
        raise Refusal("malformed", f"{name} is not text of 1 to {longest} characters")
    return value


def id_field(message: dict[str, Any], name: str) -> str:
    """A field that is 32 hexadecimal digits."""
    value = message.get(name)
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise Refusal("malformed", f"{name} is not 32 hexadecimal digits")
    return value


def object_field(message: dict[str, Any], name: str) -> dict[str, Any]:
    """A field that is an object, empty where it is absent."""
    value = message.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refusal("malformed", f"{name} is not an object")
    return value


def storable(value: Any, depth: int = 0) -> Any:
    """JSON that every database takes: no NUL, no half of a surrogate pair, no endless number."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) < 2**63 else None
    if depth >= _DEEPEST:
        return None
    if isinstance(value, dict):
        return {storable(key): storable(part, depth + 1) for key, part in value.items()}
    if isinstance(value, list):
        return [storable(part, depth + 1) for part in value]
    return value


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


_ID = re.compile(r"[0-9a-f]{32}")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_DEEPEST = 16
