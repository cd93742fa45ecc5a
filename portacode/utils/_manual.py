"""A clock that is set by hand."""

from __future__ import annotations

from portacode._native import Hand
from portacode.utils._clock import NTPClock


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

    __module__ = "portacode.utils.ntp_clock"
    __slots__ = ("_hand",)

    def __init__(self) -> None:
        self._hand = Hand(self)

    def set(self, time_ns: int, max_error_ns: int = 0) -> None:
        """Synchronises the clock: it is this time now, within this error.

        A new epoch begins where time would run backwards. The probable error is given as a third
        of the hard one.

        Args:
            time_ns: True time, nanoseconds since the Unix epoch.
            max_error_ns: Hard error bound of readings, nanoseconds.
        """
        self._hand.set(time_ns, max_error_ns)

    def advance(self, seconds: float) -> None:
        """Lets time pass, 0 or more seconds."""
        self._hand.advance(seconds)

    def fail(self) -> None:
        """Ends synchronisation, as after three failed attempts."""
        self._hand.fail()

    def sync(self) -> bool:
        """Tells whether the clock is set."""
        return self._is_synced()
