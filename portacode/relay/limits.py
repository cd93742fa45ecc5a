"""What a relay lets itself be asked: how long a request, how often, by pages of which origin."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from typing import Any, NamedTuple
from urllib.parse import urlsplit


class Limits(NamedTuple):
    """A relay's limits; `Limits.checked` makes them of what people write."""

    rate: float | None = 20.0
    """Requests a second that a connection may make, twice as many at once; None: any number."""
    max_bytes: int = 1024
    """Length of a request at the most."""
    origins: tuple[str, ...] = ("*",)
    """Whose pages may ask, `https://example.org`; `*` is everybody. A page of the relay's own
    host always may, and so may whoever is no page."""

    @classmethod
    def checked(cls, **values: Any) -> Limits:
        """Limits of these values, each checked.

        Raises:
            ValueError: Where one is out of its range, or there is no such limit.
        """
        for name in values:
            if name not in _CHECKS:
                raise ValueError(f"no limit is called {name}; there are {', '.join(_CHECKS)}")
        checked: dict[str, Any] = {name: _CHECKS[name](value) for name, value in values.items()}
        return cls(**checked)

    def bucket(self) -> Bucket | None:
        """A new connection's requests."""
        return None if self.rate is None else Bucket(self.rate, 2 * self.rate)

    def admits(self, origin: str | None, host: str | None) -> bool:
        """Whether a page of this origin may ask; `host` is what the request calls us."""
        if origin is None or "*" in self.origins or origin in self.origins:
            return True
        try:
            return bool(host) and urlsplit(origin).netloc.lower() == str(host).lower()
        except ValueError:
            return False

    def cors(self, origin: str | None) -> list[tuple[str, str]]:
        """The headers by which a browser hands an admitted page the reply and its timing."""
        if "*" in self.origins:
            return [("Access-Control-Allow-Origin", "*"), ("Timing-Allow-Origin", "*")]
        vary = [("Vary", "Origin")]
        if origin is None:
            return vary
        return [("Access-Control-Allow-Origin", origin), ("Timing-Allow-Origin", origin), *vary]


class Bucket:
    """Holds `burst` requests at the most, is full at first, and gets `rate` back a second."""

    __slots__ = ("_at_s", "_burst", "_left", "_rate")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        # A bucket that cannot hold one would never give one.
        self._burst = self._left = max(burst, 1.0)
        self._at_s = -math.inf

    def take(self, now_s: float) -> bool:
        """Whether a request may be made at this moment, which later ones must not precede."""
        if self._at_s > -math.inf:
            gained = max(now_s - self._at_s, 0.0) * self._rate
            self._left = min(self._burst, self._left + gained)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Buckets:
    """Buckets of connections that only their requests tell apart, the latest few thousand."""

    def __init__(self, limits: Limits, most: int = 4096) -> None:
        self._limits = limits
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, Bucket] = OrderedDict()

    def take(self, connection: Hashable | None, now_s: float) -> bool:
        """Whether this connection may make a request now; None is one that nobody can tell."""
        if connection is None or self._limits.rate is None:
            return True
        with self._lock:
            bucket = self._kept.pop(connection, None) or self._limits.bucket()
            assert bucket is not None
            self._kept[connection] = bucket
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
            return bucket.take(now_s)


def checked_rate(value: object) -> float | None:
    """A number of requests a second, or None.

    Raises:
        ValueError: Where it is something else.
    """
    if value is None:
        return None
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 < float(value) < math.inf:  # type: ignore[arg-type]
        raise ValueError(f"must be a number of requests a second above 0, or None, not {value!r}")
    return float(value)  # type: ignore[arg-type]


def checked_max_bytes(value: object) -> int:
    """A length that a request fits in.

    Raises:
        ValueError: Where it is something else.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not 128 <= value <= 65536:
        raise ValueError(f"must be a whole number of bytes from 128 to 65536, not {value!r}")
    return value


def checked_origins(value: object) -> tuple[str, ...]:
    """Origins as browsers write them.

    Raises:
        ValueError: Where it is something else.
    """
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise ValueError(f'must be a list such as ["https://example.org"] or ["*"], not {value!r}')
    origins = tuple(value)
    for origin in origins:
        if not _is_origin(origin):
            raise ValueError(
                f'has {origin!r}, which is no origin: write "https://example.org", '
                'with :port where there is one and without a path, "null" or "*"'
            )
    return origins


def _is_origin(origin: object) -> bool:
    if origin in ("*", "null"):
        return True
    if not isinstance(origin, str):
        return False
    try:
        parts = urlsplit(origin)
        _ = parts.port
    except ValueError:
        return False
    return bool(parts.scheme and parts.hostname) and origin == f"{parts.scheme}://{parts.netloc}"


_CHECKS = {
    "rate": checked_rate,
    "max_bytes": checked_max_bytes,
    "origins": checked_origins,
}
