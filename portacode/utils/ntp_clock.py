"""Time synchronised with time.cloudflare.com, the same for every entity of a trace.

    from portacode.utils.ntp_clock import ntp_clock

    ntp_clock.now_ms()   # int, milliseconds since the Unix epoch, or None
    ntp_clock.read()     # the time with its error bound, or None

While a clock is not synchronised every answer is None: nothing is ever guessed, and neither
another server nor the system's clock stands in. The first synchronisation starts on import, in the
background; the first reading is there one round trip later.

The environment variable PORTACODE_NTP_SERVER (host[:port]) names another server for the shared
`ntp_clock`, for tests, demonstrations and sites without Internet.

Events are logged as "portacode.utils.ntp_clock"; the attribute `code` of a record has the failure's
code, where it tells of one.
"""

from __future__ import annotations

import atexit
import os
import select
import sys
import threading
import time
from _weakref import ref  # What `weakref` has, a millisecond sooner.

from portacode._native import Clock, Events, Reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Callable

    from portacode._native import ClockStatus as ClockStatus

__all__ = ["ManualClock", "NTPClock", "Reading", "ntp_clock"]


class NTPClock(Clock):
    """A clock that keeps itself synchronised with one server.

    It starts when it is made, synchronises in the background and never makes a reader wait. All of
    it may be used from any thread, and in forked children. Most programs want the shared
    `ntp_clock` instead of one of their own.

    Args:
        ntp_server: The one server, `host[:port]`.
        sync_interval: Seconds between synchronisations, 1 to 86400.
        holdover: Seconds for which readings go on, with growing errors, after the server is lost;
            at most 30 days.

    Raises:
        ValueError: Where an argument is malformed or outside its range.
    """

    __slots__ = ("__dict__", "__weakref__", "_listener")
    _listener: _Listener

    def __init__(
        self,
        ntp_server: str = "time.cloudflare.com",
        *,
        sync_interval: float = 300,
        holdover: float = 0,
    ) -> None:
        self._start(ntp_server, sync_interval, holdover)
        self._known()
        self._attend()

    def sync(self) -> bool:
        """Synchronises now: blocks for one attempt and tells whether it succeeded.

        Joins an attempt that is under way. Takes a few seconds at most, usually half a second.
        """
        ticket = self._request_sync()
        self._wait_for(lambda: self._sync_outcome(ticket) is not None, _SYNC_LIMIT_S)
        return bool(self._sync_outcome(ticket))

    def start_auto_sync(self) -> None:
        """Does nothing: a clock synchronises by itself from the moment it is made."""

    def wait_synced(self, timeout: float | None = None) -> bool:
        """Waits until the clock is synchronised, and tells whether it is.

        Args:
            timeout: Seconds to wait at most, 0 or more; None waits for as long as it takes.
        """
        return self._wait_for(self._is_synced, _checked_timeout(timeout))

    async def wait_synced_async(self, timeout: float | None = None) -> bool:
        """Waits as `wait_synced` does, without blocking the running asyncio loop.

        Args:
            timeout: Seconds to wait at most, 0 or more; None waits for as long as it takes.
        """
        timeout = _checked_timeout(timeout)
        if self._is_synced():
            return True
        import asyncio

        for pause_s in _pauses(timeout):
            await asyncio.sleep(pause_s)
            if self._is_synced():
                return True
        return False

    def __repr__(self) -> str:
        """Server, state, and either the time with its hard bound or what is wrong."""
        status = self.get_status()
        reading = self.read()
        told = str(reading) if reading else status["last_error"] or "no reading"
        return f"<{type(self).__name__} {status['server']!r} {status['state']}: {told}>"

    def _is_synced(self) -> bool:
        return self.now_ns() is not None

    def _wait_for(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        # It looks, and nobody has to wake it: so waiting depends on nothing but the clock, neither
        # on a thread of ours nor on the program's log handlers, and greenlets go on meanwhile. The
        # pause is Python's own: a thread that waits natively at interpreter exit takes the process
        # down when it comes back.
        if ready():
            return True
        for pause_s in _pauses(timeout):
            time.sleep(pause_s)
            if ready():
                return True
        return False

    def _known(self) -> None:
        self._listener = _Listener()
        _clocks[id(self)] = ref(self, _Farewell(id(self), self._listener))

    def _attend(self) -> None:
        """Called at the first use in a process: from here on events are logged."""
        if time.monotonic() < self._listener.not_before_s:
            self._unattended()
            return
        events = self._subscribe()
        thread = threading.Thread(
            target=_relay, args=(events,), name="ntp-clock-events", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            # There is no thread to be had, as at interpreter exit: readings need none, and one of
            # the next uses tries again.
            self._listener.not_before_s = time.monotonic() + _PATIENCE_S
            self._unattended()
            return
        self._listener.events = events

    def _forked(self) -> None:
        """In a forked child: threads are gone and locks may be held for ever."""
        self._listener.abandon()
        self._unattended()


class ManualClock(NTPClock):
    """A clock that is set by hand, so that a program's tests decide what time it is.

    Starts unsynchronised; time stands still between calls, and nothing is sent to anybody. Give it
    to the code under test in the place of an `NTPClock`.

        clock = ManualClock()
        assert clock.now_ms() is None
        clock.set(1_759_639_032_768_000_000, max_error_ns=2_000_000)
        clock.advance(0.5)
        assert clock.now_ms() == 1_759_639_033_268
        clock.fail()
        assert clock.now_ms() is None
    """

    __slots__ = ()

    def __init__(self) -> None:
        self._start_manual()

    def set(self, time_ns: int, max_error_ns: int = 0) -> None:
        """Synchronises the clock: it is this time now, within this error.

        A new epoch begins where time would run backwards. The probable error is given as a third
        of the hard one.

        Args:
            time_ns: True time, nanoseconds since the Unix epoch.
            max_error_ns: Hard error bound of readings, nanoseconds.
        """
        self._set(time_ns, max_error_ns)

    def advance(self, seconds: float) -> None:
        """Lets time pass, 0 or more seconds."""
        self._advance(seconds)

    def fail(self) -> None:
        """Ends synchronisation, as after three failed attempts."""
        self._fail()

    def sync(self) -> bool:
        """Tells whether the clock is set."""
        return self._is_synced()


class _Listener:
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


class _Farewell:
    """Ends a clock's thread when the clock is gone."""

    __slots__ = ("clocks", "key", "listener")

    def __init__(self, key: int, listener: _Listener) -> None:
        # Not looked up when it is needed: a module that is being torn down has no globals.
        self.clocks = _clocks
        self.key = key
        self.listener = listener

    def __call__(self, gone: ref[NTPClock]) -> None:
        if self.clocks.get(self.key) is gone:
            del self.clocks[self.key]
        if self.listener.events is not None:
            self.listener.events.close()


def _relay(events: Events) -> None:
    """Thread: passes events on to logging."""
    while True:
        _wait_readable(events.fileno())
        taken = events.take()
        if taken is None:
            break
        for level, message, code in taken:
            try:
                _log(level, message, code)
            except Exception:
                # A handler of the program is broken: that is told, and no end of the events.
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
            time.sleep(_PATIENCE_S)
        elif hasattr(select, "poll"):
            # Under gevent this "thread" is a greenlet, and only polling lets the others go on.
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            poll.poll(_LOOK_S * 1000)
        else:  # eventlet takes `poll` away.
            select.select([descriptor], [], [], _LOOK_S)
    except (OSError, ValueError):
        # The program closed the descriptor just now; the next one is another one.
        time.sleep(_PATIENCE_S)


def _log(level: int, message: str, code: str | None) -> None:
    # Without logging imported nobody has asked for lines below a warning.
    if level < _WARNING and "logging" not in sys.modules:
        return
    with _importing:
        import logging
    with _writing:
        logger = logging.getLogger("portacode.utils.ntp_clock")
        logger.log(level, "%s", message, extra={"code": code})


def _pauses(timeout: float | None) -> Iterator[float]:
    """Pauses between looks, seconds, up to the timeout: a small part of the time that has gone by.

    So whoever waits is late by no more than three percent, or 50 ms.
    """
    begun = time.monotonic()
    while True:
        gone = time.monotonic() - begun
        pause = min(max(gone / 32, 0.0005), 0.05)
        if timeout is not None:
            pause = min(pause, timeout - gone)
            if pause <= 0:
                return
        yield pause


def _checked_timeout(timeout: float | None) -> float | None:
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout must be a number of seconds or None, not {timeout!r}")
    if not timeout >= 0:
        raise ValueError(f"timeout must be 0 or more seconds, not {timeout!r}")
    return min(timeout, threading.TIMEOUT_MAX)


def _before_fork() -> None:
    # A child of a half-done import could never import that module.
    if _importing.acquire(timeout=_PATIENCE_S):
        _forking.append(threading.get_ident())


def _after_fork_in_parent() -> None:
    if threading.get_ident() in _forking:
        _forking.remove(threading.get_ident())
        _importing.release()


def _after_fork_in_child() -> None:
    global _importing, _writing
    _importing = threading.RLock()
    _writing = threading.RLock()
    _forking.clear()
    for reference in list(_clocks.values()):
        clock = reference()
        if clock is not None:
            clock._forked()


def _at_exit() -> None:
    # A daemon thread that is cut off while it writes to stderr would end the process with a fatal
    # error. So there are no log lines any more from here on.
    _writing.acquire(timeout=_PATIENCE_S)


def _make_shared_clock() -> NTPClock:
    clock = NTPClock.__new__(NTPClock)
    error = clock._start_shared()
    clock._listener = _Listener()
    _clocks[id(clock)] = ref(clock)
    if error is not None:
        message = f"not synchronised: PORTACODE_NTP_SERVER is malformed: {error}"
        _log(_WARNING, message, "no_server")
    clock._attend()
    return clock


_WARNING = 30
_PATIENCE_S = 1.0
# How long a log line is late whose descriptor the program has closed.
_LOOK_S = 10
# One attempt may have to wait for another one and for the budget of packets.
_SYNC_LIMIT_S = 15.0

_clocks: dict[int, ref[NTPClock]] = {}
_importing = threading.RLock()
_writing = threading.RLock()
_forking: list[int] = []

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
atexit.register(_at_exit)

ntp_clock: NTPClock = _make_shared_clock()
"""The clock that all of the program shares, already synchronising."""
