"""Bounds on what one peer may do: how often, and how many at a time.

The relay and the reference server use the same ones. Nothing here knows of sockets.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, Callable

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["Buckets", "Places", "TokenBucket", "network_of"]


class TokenBucket:
    """This many at once, and this many a second in the long run. It is full at first.

    Args:
        per_second: What it gets back.
        burst: What it holds; at least one, for otherwise it would never give any.
        now: Seconds of a clock that is only looked at for differences.
    """

    __slots__ = ("_burst", "_left", "_now", "_per_second", "_updated_s")

    def __init__(
        self, per_second: float, burst: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._burst = self._left = max(burst, 1.0)
        self._now = now
        self._updated_s = now()

    def take(self) -> bool:
        """Whether one more is within the limit; it then counts."""
        self._refill()
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def give_back(self) -> None:
        """What was taken last does not count after all."""
        self._left = min(self._burst, self._left + 1)

    def is_empty(self) -> bool:
        """Whether `take` would be refused now."""
        self._refill()
        return self._left < 1

    def is_full(self) -> bool:
        """Whether it is as good as new."""
        self._refill()
        return self._left >= self._burst

    def _refill(self) -> None:
        now_s = self._now()
        gained = max(now_s - self._updated_s, 0.0) * self._per_second
        self._left = min(self._burst, self._left + gained)
        self._updated_s = max(now_s, self._updated_s)


class Buckets:
    """A bucket for each key, in bounded memory. Threads may share it.

    A bucket is kept until it is full again, so nobody gets a new one by making up other keys.
    Where there is no room, further keys share a few hundred buckets.

    Args:
        per_second: As for `TokenBucket`.
        burst: As for `TokenBucket`.
        most: How many keys have a bucket of their own.
        now: As for `TokenBucket`.
    """

    def __init__(
        self,
        per_second: float,
        burst: float,
        most: int = 10_000,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._args = (per_second, burst, now)
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, TokenBucket] = OrderedDict()
        self._shared: dict[int, TokenBucket] = {}

    def take(self, key: Hashable) -> bool:
        """Whether this key may have one more; it then counts."""
        with self._lock:
            return self._bucket_of(key).take()

    def give_back(self, key: Hashable) -> None:
        """What this key took last does not count after all."""
        with self._lock:
            self._bucket_of(key).give_back()

    def is_empty(self, key: Hashable) -> bool:
        """Whether `take` would be refused now."""
        with self._lock:
            return self._bucket_of(key).is_empty()

    def _bucket_of(self, key: Hashable) -> TokenBucket:
        bucket = self._kept.get(key)
        if bucket is not None:
            self._kept.move_to_end(key)
            return bucket
        # The one longest unused is the first to be full again.
        while self._kept and next(iter(self._kept.values())).is_full():
            self._kept.popitem(last=False)
        if len(self._kept) < self._most:
            return self._kept.setdefault(key, TokenBucket(*self._args))
        # Python salts the hashes of text: nobody outside knows with whom they share.
        return self._shared.setdefault(hash(key) % _SHARED, TokenBucket(*self._args))


class Places:
    """This many at a time for each key."""

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


def network_of(address: str | None) -> str:
    """Whom an address stands for: itself in IPv4, its network of 64 bits in IPv6.

    A host with one address of such a network has all of them. Text that is no address is itself.
    """
    try:
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return address or ""
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


_SHARED = 256
