"""JSON objects in text frames, and fields of them that are what they have to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from data.refusal import Refusal

from portacode import _wire

if TYPE_CHECKING:
    from portacode._wire import Message


def parsed(text: str) -> Message:
    """The object in a frame, which has an `event`.

    Raises:
        Refusal: Where it is none.
    """
    message = parsed_object(text, "the frame")
    if not isinstance(message.get("event"), str):
        raise Refusal("malformed", "the message has no event")
    return message


def parsed_object(text: str, name: str) -> Message:
    """The object in a text that the sender knows by this name.

    Raises:
        Refusal: Where it is none.
    """
    try:
        return _wire.parse(text)
    except _wire.WireError as error:
        raise Refusal("malformed", f"{name}: {error}") from error


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
    if not isinstance(value, str) or not _wire.is_id(value):
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
