"""From times that the SDK took to true time."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

from portacode._native import SdkHistory
from portacode.otel._exchanges import Exchanges

if TYPE_CHECKING:
    from portacode.utils.ntp_clock import NTPClock, Reading

logger = logging.getLogger("portacode.otel")
T = TypeVar("T")
R = TypeVar("R")
# From when to when by the counter a time was taken; None: nobody knows.
Window = Optional[tuple[int, int]]
SYNCHRONISED = "ntp_clock.synchronised"
TIME_SOURCE = "ntp_clock.time_source"


class Times:
    """The history of this process, and a thread that looks at both clocks once a second."""

    def __init__(self, clock: NTPClock) -> None:
        global _reported
        _reported = False
        self.clock = clock
        self.exchanges = Exchanges(clock)
        self.history = SdkHistory(clock)
        self._server: str | None = None
        self.history.sample()
        self._begin()

    def after_fork(self) -> None:
        """In a child: the thread is gone, and perhaps held the lock."""
        if not self.history.survived():
            self.history = SdkHistory(self.clock)
        self.exchanges.after_fork()
        if not self._ended.is_set():
            self._begin()

    def end(self) -> None:
        """Ends the thread."""
        self._ended.set()

    @property
    def server(self) -> str:
        """The time server."""
        if self._server is None:
            self._server = self.clock.ntp_server
        return self._server

    def synchronised(self) -> bool:
        """Whether the clock has ever been synchronised in this process."""
        return self.history.synchronised()

    def sample(self) -> None:
        """Looks at both clocks: times up to now can be dated then."""
        self.history.sample()

    def moment_of(self, system_ns: int) -> int | None:
        """The counter now, if the SDK has just taken this time; None if the program gave it."""
        return self.history.moment_of(system_ns)

    def date(self, system_ns: int, window: Window, resolution_ns: int = 1) -> Reading | None:
        """True time of a time that the SDK took, or None where nobody knows."""
        if window is None:
            return self.history.date_in_order(system_ns, resolution_ns)
        return self.history.date_in_order(
            system_ns, resolution_ns, not_before_ns=window[0], not_after_ns=window[1]
        )

    def traced(self, system_ns: int, window: Window) -> Any:
        """The moments of the counter at which the system's clock can have shown this."""
        if window is None:
            return self.history.trace(system_ns)
        return self.history.trace(system_ns, not_before_ns=window[0], not_after_ns=window[1])

    def _begin(self) -> None:
        self._ended = threading.Event()
        threading.Thread(
            target=self._look_on, args=(self._ended,), name="otel times", daemon=True
        ).start()

    def _look_on(self, ended: threading.Event) -> None:
        while not ended.wait(1.0):
            self.history.look()


def redated(work: Callable[[T], R], marked: Callable[[T], R], item: T) -> T | R:
    """What the work gives; where it fails, which would be our fault, the item as not dated."""
    for attempt in (work, marked):
        try:
            return attempt(item)
        except Exception:
            tell_of_a_fault()
    return item


def tell_of_a_fault() -> None:
    """Logs the exception that is being handled, once since `install()`: hooks are called often."""
    global _reported
    if not _reported:
        # First: what is logged may come here again.
        _reported = True
        logger.exception(
            "an item of OpenTelemetry keeps its times; further ones are not logged. "
            "This is a fault of portacode.otel: please report it"
        )


class Redating:
    """The times of one item, and the largest of their errors."""

    def __init__(self, times: Times) -> None:
        self._times = times
        self._max_error_ns = 0
        self._est_error_ns = 0
        self._epoch = 0

    def date(self, system_ns: int, window: Window, resolution_ns: int = 1) -> int | None:
        """True time, or None where nobody knows."""
        reading = self._times.date(system_ns, window, resolution_ns)
        if reading is None:
            return None
        self.take(reading)
        return reading.time_ns

    def take(self, reading: Reading) -> None:
        """Counts a time that was dated before."""
        self._max_error_ns = max(self._max_error_ns, reading.max_error_ns)
        self._est_error_ns = max(self._est_error_ns, reading.est_error_ns)
        self._epoch = max(self._epoch, reading.epoch)

    def moved(self, by_ns: int) -> None:
        """A time that was moved, so that an order is kept, is that much further from the truth."""
        self._max_error_ns += abs(by_ns)

    def attributes(self) -> dict[str, Any]:
        """What says how right the times are."""
        return {
            SYNCHRONISED: True,
            "ntp_clock.server": self._times.server,
            "ntp_clock.max_error_ns": self._max_error_ns,
            "ntp_clock.est_error_ns": self._est_error_ns,
            "ntp_clock.epoch": self._epoch,
        }


def just_before(moment_ns: int | None) -> Window:
    """When a time was taken that a hook saw at this moment; None where no hook saw it."""
    return None if moment_ns is None else (moment_ns - _TAKEN_WITHIN_NS, moment_ns)


def is_known(scope: Any) -> bool:
    """Whether who made a span passes times of the local clock in, as instrumentations do."""
    name = getattr(scope, "name", None)
    return isinstance(name, str) and name.startswith(_KNOWN)


_reported = False
_KNOWN = "opentelemetry.instrumentation."
_TAKEN_WITHIN_NS = 1_001_000_000
