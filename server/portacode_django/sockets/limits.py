"""Bounds on what one peer may do."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable


class TokenBucket:
    """So many at once, and so many a second in the long run."""

    __slots__ = ("_burst", "_now", "_per_second", "_tokens", "_updated")

    def __init__(
        self,
        per_second: float,
        burst: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_second = per_second
        self._burst = burst
        self._tokens = burst
        self._now = now
        self._updated = now()

    def take(self) -> bool:
        """Whether one more is within the limit; it then counts."""
        now = self._now()
        gained = (now - self._updated) * self._per_second
        self._tokens = min(self._burst, self._tokens + gained)
        self._updated = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Buckets:
    """A bucket for each key, as many as can be of use."""

    def __init__(
        self,
        per_second: float,
        burst: float,
        most: int = 10_000,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._args = (per_second, burst, now)
        self._most = most
        self._buckets: dict[Hashable, TokenBucket] = {}

    def take(self, key: Hashable) -> bool:
        """Whether this key may have one more."""
        bucket = self._buckets.pop(key, None) or TokenBucket(*self._args)
        # The one longest unused goes first: it has filled up again, or soon will have.
        if len(self._buckets) >= self._most:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[key] = bucket
        return bucket.take()


class Places:
    """So many at a time for each key."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: Counter[Hashable] = Counter()

    def take(self, key: Hashable) -> bool:
        """Whether there was a place; it is then taken."""
        if self._taken[key] >= self._most:
            return False
        self._taken[key] += 1
        return True

    def free(self, key: Hashable) -> None:
        """Gives a place back."""
        self._taken[key] -= 1
        if self._taken[key] <= 0:
            del self._taken[key]
