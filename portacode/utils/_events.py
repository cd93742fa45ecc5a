"""What a clock tells, as lines of the program's log, in each of its processes."""

from __future__ import annotations

import os
import select
import sys
import threading

from portacode.utils._waiting import pause

TYPE_CHECKING = False
if TYPE_CHECKING:
    from portacode._native import Events


class Listener:
    """Who passes a clock's events on to logging, in this process."""

    __slots__ = ("events", "not_before_s")

    def __init__(self) -> None:
        self.events: Events | None = None
        self.not_before_s = float("-inf")

    def abandon(self) -> None:
        """In a forked child: the thread is gone."""
        events = self.events
        self.events = None
        if events is not None:
            events.abandon()


def forward(events: Events) -> None:
    """Passes events on to logging until there are no more: what a thread does."""
    while True:
        _wait_readable(events.fileno())
        taken = events.take()
        if taken is None:
            break
        for level, message, code in taken:
            try:
                log(level, message, code)
            except Exception:
                # A handler of the program is broken: that is reported, and the events go on.
                error = (*sys.exc_info(), threading.current_thread())
                threading.excepthook(threading.ExceptHookArgs(error))


def _wait_readable(descriptor: int) -> None:
    """Waits until there is something to take, or it is time to look whether we would be woken."""
    if sys.platform == "win32":
        import msvcrt

        os.read(msvcrt.open_osfhandle(descriptor, os.O_RDONLY), 1)
        return
    try:
        if descriptor < 0:  # There is none to be had.
            pause(PATIENCE_S)
        elif hasattr(select, "poll"):
            # Under gevent this "thread" is a greenlet, and only polling lets the others go on.
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            poll.poll(_LOOK_S * 1000)
        else:  # eventlet takes `poll` away.
            select.select([descriptor], [], [], _LOOK_S)
    except (OSError, ValueError):
        # The program closed the descriptor just now; the next one is another one.
        pause(PATIENCE_S)


def log(level: int, message: str, code: str | None) -> None:
    """A line for the program's handlers; `code` is of the failure or disruption it tells of."""
    # Without logging imported nobody has asked for lines below a warning.
    if level < WARNING and "logging" not in sys.modules:
        return
    with _importing:
        import logging
    with _writing:
        logger = logging.getLogger("portacode.utils.ntp_clock")
        logger.log(level, "%s", message, extra={"code": code})


def before_fork() -> None:
    """A child of a half-done import could never import that module."""
    if _importing.acquire(timeout=PATIENCE_S):
        _forking.append(threading.get_ident())


def after_fork_in_parent() -> None:
    """Imports may go on."""
    if threading.get_ident() in _forking:
        _forking.remove(threading.get_ident())
        _importing.release()


def after_fork_in_child() -> None:
    """Other threads are gone, and their locks may be held for ever."""
    global _importing, _writing
    _importing = threading.RLock()
    _writing = threading.RLock()
    _forking.clear()


def at_exit() -> None:
    """Ends the log lines.

    A daemon thread that is cut off while it writes to stderr would end the process with a fatal
    error.
    """
    _writing.acquire(timeout=PATIENCE_S)


WARNING = 30
"""Its level, without importing logging."""
PATIENCE_S = 1.0
"""For locks, and until something is tried again."""
# How long a log line is late whose descriptor the program has closed.
_LOOK_S = 10
_importing = threading.RLock()
_writing = threading.RLock()
_forking: list[int] = []
