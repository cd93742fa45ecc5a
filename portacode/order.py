"""What can be said of the order of two moments, by whatever clocks they were stamped."""

from __future__ import annotations

import enum

__all__ = ["Order"]


class Order(enum.Enum):
    """What can be said of the order of two moments."""

    CERTAINLY_BEFORE = "certainly_before"
    CERTAINLY_AFTER = "certainly_after"
    CANNOT_TELL = "cannot_tell"
