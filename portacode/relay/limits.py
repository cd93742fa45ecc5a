"""What a relay lets itself be asked: how long a request, how often, by whom, after what silence."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from portacode.limits import Buckets, TokenBucket
from portacode.relay.askers import LOOPBACK, Asker, Network, checked_proxies


class Limits(NamedTuple):
    """A relay's limits; `Limits.checked` makes them of what people write."""

    rate: float | None = 20.0
    """Requests a second that a connection may make, twice as many at once; None: any number."""
    max_bytes: int = 1024
    """Length of a request at the most."""
    origins: tuple[str, ...] = ("*",)
    """Whose pages may ask, `https://example.org`; `*` is everybody. A page of the relay's own
    host always may, and so may a client that is not a page."""
    idle_s: float = 660.0
    """A WebSocket that is silent for this many seconds is closed: more than two pauses of a clock.
    The first message has `silence.FIRST_S`."""
    proxies: tuple[Network, ...] = LOOPBACK
    """Whose `X-Forwarded-For` says who asks over HTTP."""

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

    def bucket(self) -> TokenBucket | None:
        """A new connection's requests."""
        return None if self.rate is None else TokenBucket(self.rate, 2 * self.rate)

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


class AskerBuckets:
    """Bounds on requests over HTTP: for a connection, and for all of an address together.

    Behind a proxy, and behind a router at home or at work, many pages have one address.

    Args:
        limits: Whose `rate` it is.
    """

    def __init__(self, limits: Limits) -> None:
        rate = limits.rate
        self._connections = None if rate is None else Buckets(rate, 2 * rate)
        shared = (rate or 0) * ADDRESS_RATES
        self._addresses = None if rate is None else Buckets(shared, 2 * shared)

    def take(self, asker: Asker) -> bool:
        """Whether this one may make a request now."""
        if self._connections is None or self._addresses is None:
            return True
        known = asker.connection
        if known is not None and not self._connections.take((asker.network, *known)):
            return False
        return self._addresses.take(asker.network)


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


def checked_idle_s(value: object) -> float:
    """Seconds of silence.

    Raises:
        ValueError: Where it is something else.
    """
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 1 <= float(value) <= 86_400:  # type: ignore[arg-type]
        raise ValueError(f"must be a number of seconds from 1 to 86400, not {value!r}")
    return float(value)  # type: ignore[arg-type]


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
                f'has {origin!r}, which is not an origin: write "https://example.org", '
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
    "idle_s": checked_idle_s,
    "proxies": checked_proxies,
}
ADDRESS_RATES = 20
"""How many connections' requests an address may make."""
