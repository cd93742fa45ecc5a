"""JSON that every database takes."""

from __future__ import annotations

import re
from typing import Any


def storable(value: Any, depth: int = 0) -> Any:
    """The same without NUL, halves of surrogate pairs, endless numbers and what is too deep."""
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


_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_DEEPEST = 16
