"""The relay's settings in Django's: PORTACODE_RELAY_ and a name, read when first needed.

| setting | by itself | what |
|---|---|---|
| `PORTACODE_RELAY_RATE` | 20 | requests a second of a connection, twice that at once; None: any |
| `PORTACODE_RELAY_PROXIES` | loopback | whose `X-Forwarded-For` says who asks |
| `PORTACODE_RELAY_IDLE_S` | 660 | seconds of silence before a WebSocket is closed |
| `PORTACODE_RELAY_MAX_BYTES` | 1024 | length of a request at the most |
| `PORTACODE_RELAY_ORIGINS` | `["*"]` | whose pages may ask besides our own |
| `PORTACODE_RELAY_URL` | None | where pages find it: see `portacode.templatetags.ntp_clock` |
| `PORTACODE_RELAY_METRICS` | False | whether `portacode.relay.urls` serves `metrics` |
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from portacode.relay.askers import checked_proxies
from portacode.relay.endpoint import HttpEndpoint, Session, shared_relay
from portacode.relay.limits import (
    Limits,
    checked_idle_s,
    checked_max_bytes,
    checked_origins,
    checked_rate,
)


def get(name: str) -> Any:
    """A setting by its name behind the prefix, checked.

    Raises:
        ImproperlyConfigured: Where its value cannot be.
    """
    if name not in _kept:
        value = getattr(settings, PREFIX + name, DEFAULTS[name])
        try:
            _kept[name] = CHECKS[name](value)
        except ValueError as error:
            raise ImproperlyConfigured(f"{PREFIX}{name} {error}") from None
    return _kept[name]


def limits() -> Limits:
    """The limits that are set."""
    if "limits" not in _kept:
        _kept["limits"] = Limits(**{name.lower(): get(name) for name in _OF_LIMITS})
    made = _kept["limits"]
    assert isinstance(made, Limits)
    return made


def session() -> Session:
    """A new WebSocket's."""
    return Session(shared_relay, limits())


def endpoint() -> HttpEndpoint:
    """What answers HTTP in this process."""
    if "endpoint" not in _kept:
        # Of two threads that are the first, both must get the same.
        _kept.setdefault("endpoint", HttpEndpoint(shared_relay, limits()))
    made = _kept["endpoint"]
    assert isinstance(made, HttpEndpoint)
    return made


def checked_url(value: object) -> str | None:
    """None, a path (of a WebSocket on the page's own host) or a whole URL.

    Raises:
        ValueError: Where it is something else.
    """
    if value is None:
        return None
    if isinstance(value, str):
        if value.startswith("/") and not value.startswith("//"):
            return value
        try:
            parts = urlsplit(value)
            _ = parts.port
        except ValueError:
            parts = urlsplit("")
        if parts.scheme in ("ws", "wss", "http", "https") and parts.hostname:
            return value
    raise ValueError(
        f'must be a path such as "/ws/clock/" (WebSocket, on the page\'s own host), a URL that '
        f"begins with ws:, wss:, http: or https:, or None, not {value!r}"
    )


def _checked_switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be True or False, not {value!r}")
    return value


def _forget(*, setting: str, **_: Any) -> None:
    if setting.startswith(PREFIX):
        _kept.clear()


PREFIX = "PORTACODE_RELAY_"
_OF_LIMITS = ("RATE", "MAX_BYTES", "ORIGINS", "IDLE_S", "PROXIES")
DEFAULTS: dict[str, Any] = {
    **{name: getattr(Limits(), name.lower()) for name in _OF_LIMITS},
    "URL": None,
    "METRICS": False,
}
CHECKS = {
    "RATE": checked_rate,
    "MAX_BYTES": checked_max_bytes,
    "ORIGINS": checked_origins,
    "IDLE_S": checked_idle_s,
    "PROXIES": checked_proxies,
    "URL": checked_url,
    "METRICS": _checked_switch,
}
_kept: dict[str, Any] = {}

setting_changed.connect(_forget, dispatch_uid="portacode.relay.settings")
