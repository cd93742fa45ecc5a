"""Content-Security-Policy: our own files and nothing else; inline scripts by a nonce."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.utils.decorators import sync_and_async_middleware

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse


@sync_and_async_middleware
def content_security_policy(
    get_response: Callable[[HttpRequest], Any],
) -> Callable[[HttpRequest], Any]:
    """Adds the header; templates find the nonce as `request.csp_nonce`."""
    if iscoroutinefunction(get_response):

        async def middleware(request: HttpRequest) -> HttpResponse:
            nonce = _give_nonce(request)
            return _with_policy(await get_response(request), nonce)

        return markcoroutinefunction(middleware)

    def sync_middleware(request: HttpRequest) -> HttpResponse:
        nonce = _give_nonce(request)
        return _with_policy(get_response(request), nonce)

    return sync_middleware


def _give_nonce(request: HttpRequest) -> str:
    nonce = secrets.token_urlsafe(18)
    request.csp_nonce = nonce  # type: ignore[attr-defined]
    return nonce


def _with_policy(response: HttpResponse, nonce: str) -> HttpResponse:
    response.headers.setdefault("Content-Security-Policy", _POLICY.format(nonce=nonce))
    return response


_POLICY = (
    "default-src 'none'; "
    # The clock is WebAssembly; import maps are inline.
    "script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; "
    "style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
