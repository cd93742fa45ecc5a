"""How long a socket may be silent."""

from __future__ import annotations

import asyncio
from typing import Callable


class Silence:
    """Calls back once nothing has been heard for too long; begins as it is made.

    Args:
        first_s: How long the first message may take.
        idle_s: How long each further one may.
        over: Called once, on the event loop, with the seconds that were too long.
    """

    __slots__ = ("_heard_at_s", "_idle_s", "_limit_s", "_loop", "_over", "_timer")

    def __init__(self, first_s: float, idle_s: float, over: Callable[[float], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit_s = first_s
        self._idle_s = idle_s
        self._over = over
        self._heard_at_s = self._loop.time()
        self._timer = self._loop.call_later(first_s, self._look)

    def heard(self) -> None:
        """A message has come. Cheap: the timer is not set again for each."""
        self._heard_at_s = self._loop.time()
        if self._limit_s != self._idle_s:
            self._limit_s = self._idle_s
            self._timer.cancel()
            self._timer = self._loop.call_later(self._idle_s, self._look)

    def stop(self) -> None:
        """The socket is closed."""
        self._timer.cancel()

    def _look(self) -> None:
        left_s = self._heard_at_s + self._limit_s - self._loop.time()
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._look)
        else:
            self._over(self._limit_s)


def silent_text(limit_s: float) -> str:
    """The reason that a silent connection is closed with, code 1000."""
    return f"silent for {limit_s:g} s: connect again when you need the time"


FIRST_S = 10.0
"""By itself, seconds for the first message of a client that has opened a socket."""
