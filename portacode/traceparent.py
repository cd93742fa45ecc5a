"""W3C's trace context, as messages carry it: one reading of `traceparent` for all who get one.

https://www.w3.org/TR/trace-context/#traceparent-header. In JavaScript it is `parseTraceparent` of
portacode/static/js/utils/trace.js; tests/vectors/traceparent.json holds both to the same.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["TraceParent", "carried"]


class TraceParent(NamedTuple):
    """A W3C trace context: which trace a message belongs to, and which span sent it."""

    trace_id: int
    span_id: int
    sampled: bool

    def __str__(self) -> str:
        """As the header `traceparent` has it, in version 00."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{int(self.sampled):02x}"

    @classmethod
    def parse(cls, value: object) -> TraceParent | None:
        """What a `traceparent` says; None for what is none, which is as good as not there.

            >>> TraceParent.parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").sampled
            True

        Of versions later than 00 what is known is read, and what follows is left alone. Version 00
        has nothing that could follow.
        """
        found = _TRACEPARENT.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            return None
        version, trace_id, span_id, flags = (int(part, 16) for part in found.groups()[:4])
        if version == _NEVER or not trace_id or not span_id or (version == 0 and found[5]):
            return None
        return cls(trace_id, span_id, bool(flags & 1))


def carried(value: object) -> str | None:
    """The `traceparent` to pass on for one that came; None where there is none to pass on.

    That of a later version is passed on in version 00, as far as it was understood.
    """
    parsed = TraceParent.parse(value)
    if parsed is None or not isinstance(value, str):
        return None
    return value if value.startswith("00-") else str(parsed)


_NEVER = 0xFF
_TRACEPARENT = re.compile(
    r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL
)
