"""Waiting for a clock without its help: by looking at it, ever less often."""

from __future__ import annotations

import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Callable


def wait_for(ready: Callable[[], bool], timeout: float | None) -> bool:
    """Waits until it is so, and tells whether it is; seconds at most, None for as long as it takes.

    It looks, and nobody has to wake it: so waiting depends on nothing but the clock, neither on a
    thread of ours nor on the program's log handlers, and greenlets go on meanwhile. The pause is
    Python's own: a thread that waits natively at interpreter exit takes the process down when it
    comes back.
    """
    if ready():
        return True
    for pause_s in pauses(timeout):
        pause(pause_s)
        if ready():
            return True
    return False


def pause(seconds: float) -> None:
    """Sleeps as the program's threads do."""
    try:
        time.sleep(seconds)
    except OSError:
        # Some versions of libfaketime refuse every sleep.
        threading.Event().wait(seconds)


def pauses(timeout: float | None) -> Iterator[float]:
    """Pauses between looks, seconds, up to the timeout: a small part of the time that has gone by.

    So code that waits is late by no more than three percent, or 50 ms.
    """
    begun = time.monotonic()
    while True:
        gone = time.monotonic() - begun
        pause_s = min(max(gone / 32, 0.0005), 0.05)
        if timeout is not None:
            pause_s = min(pause_s, timeout - gone)
            if pause_s <= 0:
                return
        yield pause_s


def countdown(timeout: float | None) -> Callable[[], float | None]:
    """What is left of a time-out from now on, seconds; None where there is no time-out."""
    timeout = checked_timeout(timeout)
    if timeout is None:
        return lambda: None
    deadline = time.monotonic() + timeout
    return lambda: deadline - time.monotonic()


def checked_timeout(timeout: float | None) -> float | None:
    """A time-out as people give one, seconds.

    Raises:
        TypeError: Where it is no number.
        ValueError: Where it is negative or not a number at all.
    """
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout must be a number of seconds or None, not {timeout!r}")
    if not timeout >= 0:
        raise ValueError(f"timeout must be 0 or more seconds, not {timeout!r}")
    return min(timeout, threading.TIMEOUT_MAX)
