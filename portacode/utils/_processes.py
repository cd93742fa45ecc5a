"""Clocks and the processes that they live in: forks, the end of a clock, the end of it all."""

from __future__ import annotations

import atexit
import os
from _weakref import ref  # What `weakref` has, a millisecond sooner.

from portacode.utils import _events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from portacode.utils._events import Listener


def remember(clock: Any, listener: Listener | None) -> None:
    """Tells the clock in forked children that it is in one, by `_forked`.

    Args:
        clock: Not kept alive by this.
        listener: What ends with the clock; None where the clock ends with the program.
    """
    farewell = None if listener is None else _Farewell(id(clock), listener)
    _clocks[id(clock)] = ref(clock, farewell)


class _Farewell:
    """Ends a clock's thread when the clock is gone."""

    __slots__ = ("clocks", "key", "listener")

    def __init__(self, key: int, listener: Listener) -> None:
        # Not looked up when it is needed: a module that is being torn down has no globals.
        self.clocks = _clocks
        self.key = key
        self.listener = listener

    def __call__(self, gone: ref[Any]) -> None:
        if self.clocks.get(self.key) is gone:
            del self.clocks[self.key]
        if self.listener.events is not None:
            self.listener.events.close()


def _after_fork_in_child() -> None:
    _events.after_fork_in_child()
    for reference in list(_clocks.values()):
        clock = reference()
        if clock is not None:
            clock._forked()


_clocks: dict[int, ref[Any]] = {}

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_events.before_fork,
        after_in_parent=_events.after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
atexit.register(_events.at_exit)
