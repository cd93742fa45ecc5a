"""The clock: readings come from its native base, waiting and log lines from Python."""

from __future__ import annotations

import threading
import time

from portacode._native import Clock, Reading
from portacode.utils._events import PATIENCE_S, WARNING, Listener, forward, log
from portacode.utils._processes import remember
from portacode.utils._waiting import checked_timeout, countdown, pause, pauses, wait_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from typing import Literal


class NTPClock(Clock):
    """A clock that keeps itself synchronised with one server.

    It starts when it is made, synchronises in the background and never makes a reader wait. All of
    it may be used from any thread, and in forked children. Most programs want the shared
    `ntp_clock` instead of one of their own.

    Args:
        ntp_server: The one server, `host[:port]`; where NTS is required, the port is that of the
            key exchange, 4460 by default.
        sync_interval: Seconds between synchronisations, 1 to 86400.
        holdover: Seconds for which readings go on, with growing errors, after the server is lost;
            at most 30 days.
        nts: "required" believes nothing but replies that were proved by Network Time Security
            (RFC 8915), and never goes back to plain NTP; "off" is plain NTP.
        nts_ca: File of certificates (PEM) to trust instead of those that the machine trusts, where
            NTS is required.
        shared: Whether all processes of this user that ask for the same server have one clock: one
            of them synchronises, with its `sync_interval` and `holdover`, and all of them read. A
            directory in which they meet may be given instead. Where that is not possible (on other
            systems than Linux) it is a clock of its own, and `get_status()["sharing"]` says why.
        counter: What the clock counts with: "system", "processor" (its own counter, read without
            the kernel, where the kernel trusts it), or "auto": what the environment variable
            PORTACODE_NTP_COUNTER chooses, else the system's.

    Raises:
        ValueError: Where an argument is malformed or outside its range, or there is no certificate
            to trust.
    """

    __module__ = "portacode.utils.ntp_clock"
    __slots__ = ("__dict__", "__weakref__", "_listener")
    _listener: Listener

    def __init__(
        self,
        ntp_server: str = "time.cloudflare.com",
        *,
        sync_interval: float = 300,
        holdover: float = 0,
        nts: Literal["off", "required"] = "off",
        nts_ca: str | os.PathLike[str] | None = None,
        shared: bool | str | os.PathLike[str] = False,
        counter: Literal["auto", "system", "processor"] = "auto",
    ) -> None:
        self._start(ntp_server, sync_interval, holdover, (nts, nts_ca), shared, counter)
        self._known()
        self._attend()

    def sync(self) -> bool:
        """Synchronises now: blocks for one attempt and tells whether it succeeded.

        Joins an attempt that is under way. Takes a few seconds at most, usually half a second.
        """
        ticket = self._request_sync()
        wait_for(lambda: self._sync_outcome(ticket) is not None, _SYNC_LIMIT_S)
        return bool(self._sync_outcome(ticket))

    def start_auto_sync(self) -> None:
        """Does nothing: a clock synchronises by itself from the moment it is made."""

    def wait_synced(self, timeout: float | None = None) -> bool:
        """Waits until the clock is synchronised, and tells whether it is.

        Args:
            timeout: Seconds to wait at most, 0 or more; None waits for as long as it takes.
        """
        return wait_for(self._is_synced, checked_timeout(timeout))

    async def wait_synced_async(self, timeout: float | None = None) -> bool:
        """Waits as `wait_synced` does, without blocking the running asyncio loop.

        Args:
            timeout: Seconds to wait at most, 0 or more; None waits for as long as it takes.
        """
        timeout = checked_timeout(timeout)
        if self._is_synced():
            return True
        import asyncio

        for pause_s in pauses(timeout):
            await asyncio.sleep(pause_s)
            if self._is_synced():
                return True
        return False

    def wait_until_past(self, time_ns: int, timeout: float | None = None) -> Reading:
        """Waits until this time has certainly passed, and gives the reading that says so.

        Commit wait: as long as the error of the moment asks for. It looks again while that changes,
        goes on through new epochs, and waits for a clock that is not synchronised.

        Args:
            time_ns: Nanoseconds since the Unix epoch, such as `latest_ns()` gave.
            timeout: Seconds to wait at most, 0 or more; None waits for as long as it takes.

        Raises:
            TimeoutError: Where it is not certain by then or, at once, where it will not be.
        """
        left_s = countdown(timeout)
        while True:
            seen = self._look_past(time_ns, left_s())
            if isinstance(seen, Reading):
                return seen
            pause(seen)

    async def wait_until_past_async(self, time_ns: int, timeout: float | None = None) -> Reading:
        """Waits as `wait_until_past` does, without blocking the running asyncio loop.

        Args:
            time_ns: Nanoseconds since the Unix epoch, such as `latest_ns()` gave.
            timeout: Seconds to wait at most, 0 or more; None waits for as long as it takes.

        Raises:
            TimeoutError: Where it is not certain by then or, at once, where it will not be.
        """
        import asyncio

        left_s = countdown(timeout)
        while True:
            seen = self._look_past(time_ns, left_s())
            if isinstance(seen, Reading):
                return seen
            await asyncio.sleep(seen)

    def __repr__(self) -> str:
        """Server, state, and either the time with its hard bound or what is wrong."""
        status = self.get_status()
        reading = self.read()
        shown = str(reading) if reading else status["last_error"] or "no reading"
        return f"<{type(self).__name__} {status['server']!r} {status['state']}: {shown}>"

    def _is_synced(self) -> bool:
        return self.now_ns() is not None

    def _known(self, lasting: bool = False) -> None:
        self._listener = Listener()
        remember(self, None if lasting else self._listener)

    def _attend(self) -> None:
        """Called at the first use in a process: from here on events are logged."""
        if time.monotonic() < self._listener.not_before_s:
            self._unattended()
            return
        events = self._subscribe()
        thread = threading.Thread(
            target=forward, args=(events,), name="ntp-clock-events", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            # There is no thread to be had, as at interpreter exit: readings need none, and one of
            # the next uses tries again.
            self._listener.not_before_s = time.monotonic() + PATIENCE_S
            self._unattended()
            return
        self._listener.events = events

    def _forked(self) -> None:
        """In a forked child: threads are gone and locks may be held for ever."""
        self._listener.abandon()
        self._unattended()


def make_shared() -> NTPClock:
    """The clock that all of a program shares; its variables may be malformed, which it reports."""
    clock = NTPClock.__new__(NTPClock)
    error = clock._start_shared()
    clock._known(lasting=True)
    if error is not None:
        message, code = error
        log(WARNING, f"not synchronised: {message}", code)
    clock._attend()
    return clock


# One attempt may have to wait for another one and for the budget of packets.
_SYNC_LIMIT_S = 15.0
