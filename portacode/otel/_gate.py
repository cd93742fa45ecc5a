"""What waits for the first synchronisation, without a thread and without a clock of its own."""

from __future__ import annotations

from collections import deque
from typing import Callable, Generic, NamedTuple, TypeVar

T = TypeVar("T")


class GateLimits(NamedTuple):
    """How much may wait for the first synchronisation, and how long, before each exporter."""

    items: int = 2048
    """Spans, log records or collections of metrics. Of more, the oldest leave as they are."""
    size_bytes: int = 4 << 20
    """Their size, by estimate."""
    wait_s: float = 10.0
    """How long the oldest waits, in seconds. After that the gate stays open."""


class Gate(Generic[T]):
    """The queue before an exporter. Moments are seconds of any clock that is never set."""

    def __init__(self, limits: GateLimits, size_of: Callable[[T], int]) -> None:
        self._limits = limits
        self._size_of = size_of
        self._batches: deque[deque[tuple[int, T]]] = deque()
        self._items = 0
        self._size_bytes = 0
        self._since_s: float | None = None
        self._open = False
        self._released = 0

    def admit(self, batch: list[T], now_s: float, synchronised: bool) -> tuple[bool, list[T]]:
        """Takes a batch.

        Returns:
            Whether it passes: the gate is open, what waited goes first, and then the batch. Else it
            waits, and these, the oldest, have to leave for it.
        """
        if self.is_open(now_s, synchronised):
            return True, []
        if not batch:
            return False, []
        if self._since_s is None:
            self._since_s = now_s
        sized = deque((self._size_of(item), item) for item in batch)
        self._items += len(sized)
        self._size_bytes += sum(size for size, _ in sized)
        self._batches.append(sized)
        leaving = []
        while self._items > self._limits.items or self._size_bytes > self._limits.size_bytes:
            oldest = self._batches[0]
            size, item = oldest.popleft()
            leaving.append(item)
            self._items -= 1
            self._size_bytes -= size
            if not oldest:
                self._left()
        return False, leaving

    def is_open(self, now_s: float, synchronised: bool) -> bool:
        """Whether what waits may leave; once open, it stays so."""
        waited = self._since_s is not None and now_s >= self._since_s + self._limits.wait_s
        self._open = self._open or synchronised or waited
        return self._open

    def left_s(self, now_s: float) -> float:
        """How long the oldest still waits if nothing happens, in seconds; 0 where nothing waits."""
        if self._since_s is None or self._open or not self._batches:
            return 0.0
        return max(0.0, self._since_s + self._limits.wait_s - now_s)

    def open(self) -> None:
        """Lets all out, from now on."""
        self._open = True

    def release(self) -> None:
        """Lets out what waits now; what comes later waits as before."""
        self._released = len(self._batches)

    @property
    def leaving(self) -> int:
        """How many batches may leave, and have not yet."""
        return len(self._batches) if self._open else self._released

    def next(self) -> list[T] | None:
        """The oldest batch as it came, if it may leave."""
        if not self.leaving:
            return None
        batch = self._left()
        self._items -= len(batch)
        self._size_bytes -= sum(size for size, _ in batch)
        return [item for _, item in batch]

    def _left(self) -> deque[tuple[int, T]]:
        self._released = max(0, self._released - 1)
        return self._batches.popleft()

    def __len__(self) -> int:
        return self._items
