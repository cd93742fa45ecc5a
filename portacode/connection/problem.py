"""Why there is no connection, in words that say what to do, and how patient to be about it."""

from __future__ import annotations

import errno
import logging
import re
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

if TYPE_CHECKING:
    from websockets.http11 import Response


class Problem:
    """Why there is no connection.

    Args:
        text: For the log, in one line.
        patience: "lost", or "refused" where trying again at once would change nothing.
        level: Of the log.
    """

    def __init__(self, text: str, patience: str = "lost", level: int = logging.WARNING) -> None:
        self.text = text
        self.patience = patience
        self.level = level

    @classmethod
    def of_close(cls, code: int | None, reason: str | None) -> Problem:
        """Of a connection that was closed, by a frame or, with code None, without one."""
        cause = f"({code or 1006}, {reason or 'no reason given'})"
        if code in _REFUSALS:
            return cls(f"refused: {_REFUSALS[code]} {cause}", "refused", logging.ERROR)
        return cls(f"connection closed {cause}")

    @classmethod
    def of_error(cls, url: str, error: Exception) -> Problem:
        """Of what was raised while connecting to this URL, or over the connection."""
        from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

        if isinstance(error, ConnectionClosed):
            # It ended while something was sent.
            frame = error.rcvd
            return cls.of_close(frame.code, frame.reason) if frame else cls.of_close(None, None)
        if isinstance(error, InvalidStatus):
            return cls._of_status(url, error.response)
        proxy = _proxy_of(url)
        if proxy is not None and not isinstance(error, (ssl.SSLError, InvalidMessage)):
            status = getattr(getattr(error, "response", None), "status_code", 0)
            cause = f"by way of the proxy {proxy}: {str(error) or type(error).__name__}"
            hint = "see the variables http_proxy, https_proxy and no_proxy"
            if 400 <= status < 500:
                return cls(f"{url}: {cause}: {hint}", "refused", logging.ERROR)
            return cls(f"{url}: {cause}: {hint}")
        if isinstance(error, ssl.SSLError) and error.reason in _NO_TLS:
            return cls(
                f"{url}: the server there does not use TLS: should the URL begin with http://?"
            )
        # Of several addresses, asyncio tells in words alone.
        refused = f"[Errno {errno.ECONNREFUSED}]"
        if isinstance(error, ConnectionRefusedError) or refused in str(error):
            return cls(f"{url}: nothing listens there: is the server running?")
        if isinstance(error, InvalidMessage):
            return cls(f"{url}: the server there is not a portacode gateway: {error}")
        if isinstance(error, ConnectionResetError) and url.startswith("wss:"):
            return cls(
                f"{url}: the server closed the connection: does it use TLS there, or should the URL"
                " begin with http://?"
            )
        return cls(f"{url}: {str(error) or type(error).__name__}")

    @classmethod
    def _of_status(cls, url: str, response: Response) -> Problem:
        status = response.status_code
        body = (response.body or b"")[:200].decode("utf-8", "replace").strip()
        # A gateway says why in one line. A page is from somebody else, and for browsers.
        line = body.splitlines()[0] if body and not body.startswith("<") else ""
        cause = f"HTTP {status}{', ' + line if line else ''}"
        if 400 <= status < 500 and status != 408:
            why = _REFUSALS.get(status, "is this the gateway's URL?")
            if status in (403, 404):
                # Servers that know no such path say either.
                why += "; or check the path of the URL"
            return cls(f"{url} refused: {why} ({cause})", "refused", logging.ERROR)
        if status < 400:
            return cls(
                f"{url}: {cause}: that is not a portacode gateway: check the path of the URL"
            )
        return cls(f"{url}: {cause}")


def _proxy_of(url: str) -> str | None:
    """The proxy by which the library connects, without a password; None where it uses none."""
    from websockets import exceptions

    if not hasattr(exceptions, "ProxyError"):
        return None  # Before version 15.
    parts = urlsplit(url)
    if proxy_bypass(f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'wss' else 80)}"):
        return None
    kinds = ("wss", "socks", "https") if parts.scheme == "wss" else ("ws", "socks", "https", "http")
    proxies = getproxies()
    proxy = next((proxies[kind] for kind in kinds if proxies.get(kind)), None)
    return None if proxy is None else re.sub(r"//[^/]*@", "//", proxy)


_REFUSALS = {
    401: "the server does not know this token",
    403: "this device may not connect",
    404: "there is no gateway at this URL",
    4400: "the server does not understand this device",
    4401: "the server does not know this token",
    4403: "this device may not connect",
    4404: "there is no gateway at this URL",
    4409: "another process has connected with this token",
    4429: "too many connections or messages",
    429: "too many connections or messages",
}
# What OpenSSL calls an answer that is none of TLS.
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")
