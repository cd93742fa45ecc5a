"""Native part of the portacode package; use `portacode.utils.ntp_clock`."""

import os
from typing import Any, Literal, TypedDict, final, type_check_only

from typing_extensions import Self, TypeAlias, disjoint_base

__all__ = [
    "Clock",
    "ClockStamp",
    "Events",
    "Hand",
    "HybridClock",
    "HybridError",
    "HybridTime",
    "LinkTable",
    "OrderRelations",
    "Reading",
    "Replay",
    "SdkHistory",
    "SyncTicket",
    "cli_main",
]

# What the classes of portacode.order take and give as plain values.
_PlainMoment: TypeAlias = tuple[str, int, int | None, int | None]
_PlainLink: TypeAlias = tuple[
    str,
    str,
    tuple[int, int],
    tuple[float | None, float | None, float | None, float | None],
    tuple[float, float],
    float | None,
    tuple[float | None, float | None],
]
_NamedCounts: TypeAlias = tuple[str, str, tuple[int, int, int, int | None]]
_PlainRelation: TypeAlias = tuple[
    str, str | None, tuple[int | None, int | None, int | None, int | None], list[str]
]

@type_check_only
class SharingStatus(TypedDict):
    """What a process does for a clock that is to be shared with others."""

    part: Literal["joining", "writer", "reader", "alone"]
    """Whether it looks for others, synchronises, only reads, or keeps a clock of its own."""
    writer: int | None
    """Process id of the one that synchronises, by its own numbering; None while none is known."""
    generation: int | None
    """How many pages of this clock the machine has had."""
    reason: str | None
    """Why the clock is not shared (yet); None where it is."""

@type_check_only
class NtsStatus(TypedDict):
    """What is known of the keys, where Network Time Security is required."""

    ntp_host: str | None
    """Where time is asked, host:port, as the key exchange said; None before the first one."""
    cookies: int
    """How many requests can be made before keys must be exchanged again."""
    exchanging: bool
    """Whether keys are being exchanged."""
    exchanges: int
    """Exchanges that gave keys, since the clock was made."""
    exchange_took_ms: float | None
    """How long the last of them took, milliseconds."""
    last_error: str | None
    """Why the last exchange gave no keys, or keys of no use, until a round is proved."""
    last_error_code: str | None
    """The same in one word: "key_exchange", "certificate", "refused" ..."""
    certificate_subject: str | None
    """Whom the server's certificate is for."""
    certificate_issuer: str | None
    """Who has signed it."""
    certificate_expires: str | None
    """When it ends, ISO 8601."""
    roots: str
    """Whose certificates are trusted: "platform" for those of this machine, or a file's name."""

@type_check_only
class ClockStatus(TypedDict):
    """What `get_status()` gives."""

    server: str
    """The configured server, with its port where it is not 123."""
    offset_ms: float | None
    """Synchronised time less the system's, milliseconds."""
    last_sync: str | None
    """True time of the last believed reply, ISO 8601."""
    time_since_sync_sec: float | None
    """Seconds since then."""
    is_synced: bool
    """Whether readings are given now."""
    state: str
    """"unsynchronised", "synchronised", "holdover" or "failed"."""
    max_error_ms: float | None
    """Hard bound on a reading's error, milliseconds."""
    est_error_ms: float | None
    """One standard deviation of a reading, milliseconds."""
    delay_ms: float | None
    """Smallest round trip among the exchanges in use, milliseconds."""
    drift_ppm: float | None
    """How much faster than true time the local counter runs, parts per million."""
    stratum: int | None
    """The server's distance from its primary source, 1 to 15."""
    leap: int | None
    """The server's leap warning: 0 none, 1 and 2 a second more or less at the month's end."""
    reference_id: str | None
    """What the server is synchronised to."""
    address: str | None
    """The address that answered last or, while none did, the one asked last, with its port."""
    server_changes: int
    """How often replies began to come from another address of the server's name."""
    disruptions: int
    """How often the machine or the process was found disturbed: asleep, moved, restored, paused."""
    last_disruption: str | None
    """How it was the last time: "suspend", "restored", "moved", "host_unclear", "counters_apart",
    "paused", "wall_clock_set" or "kernel_clock"."""
    vmclock: str
    """Whether the host is watched, which says in /dev/vmclock0 when it moves this machine or
    restores it: "watched", "unclear" while it changes what it says, else why not: "absent",
    "unreadable", "may_shrink", "no_vmclock", "other_version", "too_short"."""
    watches: list[str]
    """What is looked at besides sleep and the wall clock, to notice that the machine was disturbed:
    "vmclock", "vmclock_bell", "monotonic", "processor", "kernel_clock"."""
    attempts: int
    """Attempts failed in a row; 0 while all is well."""
    requests: int
    """Requests sent since the start."""
    believed: int
    """Replies believed since the start."""
    rejections: dict[str, int]
    """Replies not believed since the start, by reason."""
    last_error: str | None
    """Why the last attempt failed; None once one succeeds."""
    last_error_code: str | None
    """The same in one word that stays from version to version: "no_reply", "kiss_deny" ..."""
    next_sync: str | None
    """True time of the next synchronisation, ISO 8601."""
    epoch: int
    """Epoch of the current or next readings."""
    counter: str
    """The local counter in use, such as "CLOCK_MONOTONIC_RAW", or "TSC", the processor's own."""
    counter_reason: str | None
    """Why it is not the processor's own: "clock_source", "chosen" ..."""
    counter_id: str
    """Which one that is among those of all machines and boots."""
    authenticated: bool
    """Whether readings are given now, of replies that were proved; False with plain NTP."""
    sharing: SharingStatus | None
    """This process's part in the machine's clock; None where it is not to be shared."""
    nts: NtsStatus | None
    """What is known of the keys; None with plain NTP."""

@final
class Reading:
    """What the time is, how far that can be from the truth, and how far it probably is.

    True time is certainly within time_ns ± max_error_ns; est_error_ns is one standard deviation.
    All are whole nanoseconds. Immutable, hashable, equal where all four values are.
    """

    def __new__(
        cls, time_ns: int, max_error_ns: int, est_error_ns: int = 0, epoch: int = 1
    ) -> Self: ...
    @property
    def time_ns(self) -> int:
        """True time, nanoseconds since the Unix epoch."""
    @property
    def max_error_ns(self) -> int:
        """Hard bound on the distance of time_ns from the truth, nanoseconds."""
    @property
    def est_error_ns(self) -> int:
        """One standard deviation of time_ns, nanoseconds."""
    @property
    def epoch(self) -> int:
        """Readings of one epoch never decrease; between epochs they may."""
    def definitely_before(self, other: Reading) -> bool:
        """Whether this moment certainly came before the other, wherever each was read."""
    def definitely_after(self, other: Reading) -> bool:
        """Whether this moment certainly came after the other, wherever each was read."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __getnewargs__(self) -> tuple[int, int, int, int]: ...

@final
class ClockStamp:
    """A moment by the local counter and, where there is one, by the clock.

    Immutable, hashable, equal where all three values are.
    """

    def __new__(cls, counter_ns: int, counter: str, reading: Reading | None = None) -> Self: ...
    @property
    def counter_ns(self) -> int:
        """The local counter, nanoseconds; there also without synchronised time."""
    @property
    def counter(self) -> str:
        """Which counter that is: stamps of the same one are in the order of their counter_ns."""
    @property
    def reading(self) -> Reading | None:
        """The time at that moment, or None while not synchronised."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __getnewargs__(self) -> tuple[int, str, Reading | None]: ...

@final
class Events:
    """A subscription to a clock's events."""

    def fileno(self) -> int:
        """Descriptor that can be read when there is something to take.

        Another one where the program has closed the last one; -1 where there is none to be had. On
        Windows it is a new handle, from which a byte is to be read before `take()`.
        """
    def take(self) -> list[tuple[int, str, str | None]] | None:
        """The events since the last call; None once closed.

        Each with its logging level, and the code of the failure or disruption that it tells of, if
        it does.
        """
    def close(self) -> None:
        """Wakes the reader for the last time."""
    def abandon(self) -> None:
        """Closes the descriptors that a forked child shares with its parent, and wakes nobody."""

@final
class Replay:
    """Base of replays: a clock that lives off the lines of a log."""

    def __new__(cls) -> Self: ...
    def line(self, line: bytes) -> tuple[int, int | None, int | None, int | None] | None:
        """Takes the next line; the answer to a read: local_ns, time_ns, max_error_ns, est_error_ns.

        The last three are None while the clock is not synchronised. A malformed line raises
        ValueError with its number and the reason.
        """

@final
class Hand:
    """Makes a clock one that is set by hand, and sets it."""

    def __new__(cls, clock: Clock) -> Self: ...
    def set(self, time_ns: int, max_error_ns: int) -> None:
        """Synchronises the clock: it is this time now, within this error."""
    def advance(self, seconds: float) -> None:
        """Lets time pass, 0 or more seconds."""
    def fail(self) -> None:
        """Ends synchronisation, as after three failed attempts."""

class HybridError(Exception):
    """Why a hybrid clock gave no stamp; its last one stays. `code` says it in one word."""

    code: Literal["no_reading", "future", "ahead", "exhausted", "out_of_range"]

@final
class HybridTime:
    """A stamp of a hybrid logical clock: where it happened before another, it is less.

    64 bits: 44 of true time in units of 2**-12 s, until 2106, and 20 that count. Immutable,
    hashable, ordered. `int()` gives the bits, `str()` 16 hexadecimal digits; both are in the
    stamps' order.
    """

    def __new__(cls, bits: int) -> Self: ...
    @staticmethod
    def parse(text: str) -> HybridTime:
        """The stamp of a text that `str()` gave; anything else raises ValueError."""
    @property
    def time_ns(self) -> int:
        """True time was this or later when it was made, nanoseconds since the Unix epoch."""
    @property
    def count(self) -> int:
        """Which of the stamps of its moment it is, from 0."""
    def __int__(self) -> int: ...
    def __index__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __lt__(self, other: HybridTime, /) -> bool: ...
    def __le__(self, other: HybridTime, /) -> bool: ...
    def __gt__(self, other: HybridTime, /) -> bool: ...
    def __ge__(self, other: HybridTime, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __getnewargs__(self) -> tuple[int]: ...

@final
class HybridClock:
    """Stamps that follow what caused them and are never ahead of true time.

    Any number of threads may share it. In a forked child it is another clock.
    """

    def __new__(cls, clock: Clock, last: HybridTime | None = None) -> Self: ...
    def now(self) -> HybridTime:
        """The stamp of an event here, such as that a message is sent; later than all before it.

        Raises HybridError where there is none: "no_reading", "ahead", "exhausted", "out_of_range".
        """
    def receive(self, stamp: HybridTime) -> HybridTime:
        """The stamp of the event that a message came: later than its stamp and all before it here.

        Raises HybridError, "future" where the stamp is later than true time can be.
        """
    @property
    def last(self) -> HybridTime | None:
        """The last stamp, to be kept and given to the next HybridClock; None before the first."""

@final
class OrderRelations:
    """What follows of moments, links and causes."""

    def __new__(
        cls,
        moments: list[_PlainMoment],
        links: list[_PlainLink],
        causes: list[tuple[int, int]],
        names: list[str],
    ) -> Self: ...
    def between(self, i: int, j: int, exchanges: bool) -> _PlainRelation:
        """How one moment stands to another; by exchanges alone, or by all there is."""
    def contradictions(self) -> list[list[str]]:
        """Evidence that cannot all be true, in words."""

@final
class LinkTable:
    """A bounded table of links."""

    def __new__(cls, most: int) -> Self: ...
    def exchange(self, a: str, b: str, stamps: tuple[int, int, int, int]) -> str:
        """T1 to T4 of a request of `a` and the reply of `b`; "kept", "dropped" or "restarted"."""
    def message(self, sender: str, receiver: str, sent_ns: int, received_ns: int) -> str:
        """Something was sent and received; "kept", "dropped" or "restarted"."""
    def snapshot(self, a: str, b: str, at_ns: int) -> _PlainLink | None:
        """What is known of two counters when that of `a` reads this; None without evidence."""
    def difference(self, a: tuple[str, int], b: tuple[str, int], exchanges: bool) -> _PlainRelation:
        """How a moment of one counter stands to a moment of another."""
    def pair(self, a: str, b: str) -> _NamedCounts | None:
        """The names of the link of these two, and what it was fed; None where there is none."""
    def pairs(self) -> list[_NamedCounts]:
        """The same of each link, those first that were fed last."""
    def __len__(self) -> int: ...

@final
class SdkHistory:
    """From a time that `time.time_ns()` gave to true time.

    Also from before the first synchronisation. It remembers what the system's clock showed beside
    a counter that nobody sets: at most 4096 samples and one hour. Its numbers are nanoseconds.
    """

    def __new__(cls, clock: Clock) -> Self: ...
    def look(self) -> None:
        """Looks at both clocks, if the last look is more than 50 ms ago."""
    def sample(self) -> None:
        """Looks at both clocks. Times up to now can be dated then."""
    def feed(
        self,
        counter_ns: int,
        width_ns: int,
        system_ns: int,
        resolution_ns: int,
        counter: str,
        reading: Reading | None = None,
    ) -> None:
        """Takes a look of somebody else's; for tests with numbers that are known."""
    def moment_of(self, system_ns: int) -> int | None:
        """The counter now, if the system's clock showed this within the last second; else None.

        Who gives such a time has not just taken it. Looks at both clocks as `look()` does. Up to
        1 µs after the clock's time now it counts as taken just now: seconds as floating-point
        numbers are that coarse.
        """
    def date(
        self,
        system_ns: int,
        resolution_ns: int = 1,
        *,
        not_before_ns: int | None = None,
        not_after_ns: int | None = None,
    ) -> Reading | None:
        """True time of the moment at which the system's clock showed this.

        None from before the first sample, from after the last one, or where the clock cannot say.
        The time is known to `resolution_ns`, rounded down; the moment was not before and not after
        these readings of the counter.
        """
    def date_in_order(
        self,
        system_ns: int,
        resolution_ns: int = 1,
        *,
        not_before_ns: int | None = None,
        not_after_ns: int | None = None,
    ) -> Reading | None:
        """The same, so that times keep their order whenever they are dated.

        What the clock learns between two calls swaps no two times, where the system's clock was not
        disturbed and the synchronised one not stepped. The error is some 0.02 ms wider.
        """
    def trace(
        self,
        system_ns: int,
        resolution_ns: int = 1,
        *,
        not_before_ns: int | None = None,
        not_after_ns: int | None = None,
    ) -> tuple[tuple[int, str], tuple[int, str], bool] | None:
        """The moments of the counter at which the system's clock can have shown this.

        The earliest and the latest, each with the name of its counter, and whether the clock was
        stepped back and showed this more than once. None as for `date()`.
        """
    def synchronised(self) -> bool:
        """Whether the clock is synchronised, or has been at one of the looks."""
    def survived(self) -> bool:
        """Whether a forked child can use it: False where another thread held the lock."""
    def __len__(self) -> int: ...

@final
class SyncTicket:
    """A round asked for."""

@disjoint_base
class Clock:
    """Base of NTPClock. Readings never wait, and take no Python frame."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self: ...
    def now(self) -> float | None:
        """True time in seconds since the Unix epoch, or None while not synchronised."""
    def now_ms(self) -> int | None:
        """True time in whole milliseconds since the Unix epoch, or None while not synchronised.

        Floored.
        """
    def now_ns(self) -> int | None:
        """True time in nanoseconds since the Unix epoch, or None while not synchronised."""
    def now_iso(self) -> str | None:
        """True time as ISO 8601 text in UTC, or None while not synchronised.

        Always with six digits, floored: '2025-10-05T04:37:12.768445+00:00'.
        """
    def read(self) -> Reading | None:
        """True time with its errors, or None while not synchronised."""
    def at_perf_counter_ns(self, perf_counter_ns: int) -> Reading | None:
        """True time of an event whose time.perf_counter_ns() (nanoseconds) was kept.

        Also for events from before the first synchronisation. None while not synchronised, and for
        moments that the clock cannot speak for: before the machine last slept, and, where it has
        slept at all, before the clock was made.
        """
    def at_raw_ns(self, raw_ns: int) -> Reading | None:
        """True time of an event whose CLOCK_MONOTONIC_RAW (nanoseconds) was kept, on Linux.

        By this program or any other of the machine. None where at_perf_counter_ns() gives none, and
        on other systems.
        """
    def get_status(self) -> ClockStatus:
        """Everything about the clock at this moment; keys name their units.

        Values that only a synchronised clock has are None while it is not.
        """
    def earliest(self) -> float | None:
        """The earliest that true time can be, seconds since the Unix epoch, or None.

        Rounded down.
        """
    def earliest_ns(self) -> int | None:
        """The earliest that true time can be, nanoseconds since the Unix epoch, or None."""
    def latest(self) -> float | None:
        """The latest that true time can be, seconds since the Unix epoch, or None.

        Rounded up.
        """
    def latest_ns(self) -> int | None:
        """The latest that true time can be, nanoseconds since the Unix epoch, or None.

        It is the time to give to what is committed now.
        """
    def is_past(self, time_ns: int) -> bool | None:
        """Whether this time has certainly passed, or None while not synchronised."""
    def is_future(self, time_ns: int) -> bool | None:
        """Whether this time has certainly not come yet, or None while not synchronised."""
    def stamp(self) -> ClockStamp:
        """The local counter, which counter it is, and the time now: all of one moment.

        It is what to keep of an event that others are to compare with theirs.
        """
    @property
    def counter_id(self) -> str:
        """Name of the local counter, 16 hexadecimal digits; another one after the machine slept.

        Moments of counters of the same name can be compared, whichever process read them.
        """
    @property
    def ntp_server(self) -> str:
        """The one server, with its port where it is not 123."""
    @property
    def offset(self) -> float | None:
        """Synchronised time less the system's, now, in seconds; None while not synchronised."""
    @property
    def last_sync(self) -> float | None:
        """True time of the last believed reply, Unix seconds; None while not synchronised."""
    @property
    def sync_interval(self) -> float:
        """Seconds between synchronisations, 1 to 86400; writable."""
    @sync_interval.setter
    def sync_interval(self, seconds: float) -> None: ...
    def _start(
        self,
        server: str,
        sync_interval: float,
        holdover: float,
        nts: tuple[str, str | os.PathLike[str] | None],
        shared: bool | str | os.PathLike[str],
        counter: str,
    ) -> None:
        """Makes it a clock of its own, which starts at once."""
    def _start_shared(self) -> tuple[str, str] | None:
        """Makes it the program's shared clock; gives what is wrong with its variables.

        In words, and as a code.
        """
    def _request_sync(self) -> SyncTicket:
        """Asks for a round, without waiting for it."""
    def _sync_outcome(self, ticket: SyncTicket) -> bool | None:
        """Whether the round asked for succeeded; None while it is not over."""
    def _look_past(self, time_ns: int, left_s: float | None) -> Reading | float:
        """The reading by which this time has certainly passed, or seconds until the next look.

        Raises TimeoutError where the time-out leaves nothing, or less than the time is ahead.
        """
    def _subscribe(self) -> Events:
        """Events from now on."""
    def _unattended(self) -> None:
        """Nobody attends to events in this process yet: its first use calls `_attend()`."""

def cli_main(argv: list[str]) -> int:
    """Runs the command ntp-clock with these arguments, the program's name first; its exit status.

    Other Python threads run on meanwhile. Signals are the system's: Ctrl-C ends the process, or
    the command where that is how it ends.
    """
