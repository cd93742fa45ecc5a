"""Which pages may open sockets here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from sockets.base import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Application = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


def admits(scope: dict[str, Any]) -> bool:
    """Whether the page's origin is the one it talks to, or is trusted by name.

    Cookies do not tell ports apart: a page of another port of this host is a stranger too.
    """
    headers = dict(scope["headers"])
    origin = headers.get(b"origin", b"").decode("latin-1")
    host = headers.get(b"host", b"").decode("latin-1").lower()
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    _scheme, separator, place = origin.partition("://")
    if not separator or place.lower() != host:
        return False
    return validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS)


class OriginGuard:
    """Refuses sockets of foreign pages, and of programs that name no origin, before all else."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """A handshake."""
        if admits(scope):
            await self._application(scope, receive, send)
            return
        origin = dict(scope["headers"]).get(b"origin", b"none").decode("latin-1")[:200]
        client = scope.get("client") or ("unknown",)
        logger.warning("%s: refused %s, origin %s", scope["path"], client[0], origin)
        # HTTP 403: a socket that was never open cannot be closed with a code.
        await send({"type": "websocket.close", "code": 4403, "reason": "foreign origin"})
