"""What `manage.py check` finds wrong around the clock.

| id | what |
|---|---|
| `portacode.E001` | a setting's value cannot be |
| `portacode.E002` | the environment's PORTACODE_NTP_SERVER is malformed |
| `portacode.E003` | PORTACODE_RELAY_URL is a WebSocket's, and Channels is not there |
| `portacode.E004` | the environment's PORTACODE_NTP_NTS or its _CA cannot be followed |
| `portacode.W001` | a setting begins with PORTACODE_RELAY_ and is none |
| `portacode.W002` | one of PORTACODE_NTP_... stands in the settings, where nobody reads it |
| `portacode.W003` | nothing is routed to where PORTACODE_RELAY_URL says |
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as CheckWarning

from portacode.relay import settings as relay_settings
from portacode.relay.settings import CHECKS, DEFAULTS, PREFIX
from portacode.utils.ntp_clock import ntp_clock


@register("portacode")
def check_portacode(**_: Any) -> list[CheckMessage]:
    """All of them."""
    return [*_values(), *_names(), *_server(), *_routes()]


def _values() -> Iterator[CheckMessage]:
    for name, check in CHECKS.items():
        try:
            check(getattr(django_settings, PREFIX + name, DEFAULTS[name]))
        except ValueError as error:
            hint = f"Without it, {PREFIX}{name} is {DEFAULTS[name]!r}."
            yield Error(f"{PREFIX}{name} {error}", hint=hint, id="portacode.E001")


def _names() -> Iterator[CheckMessage]:
    for name in dir(django_settings):
        if name.startswith(PREFIX) and name[len(PREFIX) :] not in CHECKS:
            known = [PREFIX + known for known in CHECKS]
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(known)}."
            yield CheckWarning(
                f"{name} is not a setting of portacode", hint=hint, id="portacode.W001"
            )
    for name in _VARIABLES:
        if hasattr(django_settings, name):
            yield CheckWarning(
                f"{name} stands in Django's settings, where the clock does not look",
                hint="Set it in the process's environment: not all who share the clock are Django.",
                id="portacode.W002",
            )


def _server() -> Iterator[CheckMessage]:
    status = ntp_clock.get_status()
    trouble, code = status["last_error"] or "", status["last_error_code"]
    if code == "no_server":
        yield Error(
            f"the environment variable PORTACODE_NTP_SERVER is malformed: {trouble}",
            hint="Correct it or take it out; until then no time is given to anybody.",
            id="portacode.E002",
        )
    elif code == "no_nts":
        yield Error(
            trouble,
            hint="Correct PORTACODE_NTP_NTS and PORTACODE_NTP_NTS_CA in the environment; until "
            "then no time is given to anybody, and plain NTP does not stand in for it.",
            id="portacode.E004",
        )


def _routes() -> Iterator[CheckMessage]:
    try:
        url = relay_settings.checked_url(getattr(django_settings, f"{PREFIX}URL", None))
    except ValueError:
        return  # Reported already.
    if url is None or not url.startswith("/"):
        return
    if find_spec("channels") is None:
        yield Error(
            f"{PREFIX}URL is {url!r}, the path of a WebSocket, but Channels is not installed",
            hint='Install portacode[server], or leave the setting out and put path("clock/", '
            'include("portacode.relay.urls")) into your URLs.',
            id="portacode.E003",
        )
        return
    routed = _is_routed(url)
    if routed is False:
        yield CheckWarning(
            f"{PREFIX}URL is {url!r}, but ASGI_APPLICATION routes no WebSocket there",
            hint="Put portacode.relay.routing.websocket_urlpatterns into its URLRouter.",
            id="portacode.W003",
        )


def _is_routed(path: str) -> bool | None:
    """Whether a WebSocket of this path is somebody's; None where that cannot be seen."""
    if not getattr(django_settings, "ASGI_APPLICATION", None):
        return False
    from channels.routing import ProtocolTypeRouter, URLRouter, get_default_application

    try:
        application: Any = get_default_application()
    except Exception:
        # It is not loaded because of us; the server that serves it will report it.
        return None
    if isinstance(application, ProtocolTypeRouter):
        application = application.application_mapping.get("websocket")
        if application is None:
            return False
    for _ in range(_WRAPPERS_MAX):
        if isinstance(application, URLRouter):
            return _routes_to(application.routes, path.lstrip("/"))
        # Middleware keeps what it wraps under one of these names.
        application = getattr(application, "inner", None) or getattr(
            application, "application", None
        )
    return None


def _routes_to(routes: Iterable[Any], path: str) -> bool:
    from channels.routing import URLRouter

    for route in routes:
        matched = route.pattern.match(path)
        if matched is None:
            continue
        rest = matched[0]
        if not isinstance(route.callback, URLRouter) or _routes_to(route.callback.routes, rest):
            return True
    return False


_WRAPPERS_MAX = 16
_VARIABLES = ("PORTACODE_NTP_SERVER", "PORTACODE_NTP_NTS", "PORTACODE_NTP_NTS_CA")
