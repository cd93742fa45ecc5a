"""The relay as Django views, for WSGI and for ASGI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import Http404, HttpRequest, HttpResponse

from portacode.metrics import CONTENT_TYPE, prometheus_text
from portacode.relay import settings
from portacode.relay.askers import Asker, asker_of
from portacode.relay.endpoint import shared_relay

if TYPE_CHECKING:
    from portacode.utils.ntp_clock import Reading


def clock(request: HttpRequest) -> HttpResponse:
    """Tells the time: `GET ?request_id=...`."""
    return _answer(request, shared_relay.receipt())


async def clock_async(request: HttpRequest) -> HttpResponse:
    """Tells the time on the event loop, where no queue for a thread comes first."""
    return _answer(request, shared_relay.receipt())


def metrics(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """The clock and the relay for Prometheus; there only where PORTACODE_RELAY_METRICS is True."""
    if not settings.get("METRICS"):
        raise Http404("PORTACODE_RELAY_METRICS is not True")
    text = prometheus_text(shared_relay.clock, shared_relay)
    return HttpResponse(text, content_type=CONTENT_TYPE)


def _answer(request: HttpRequest, received: Reading | None) -> HttpResponse:
    meta = request.META
    answer = settings.endpoint().take(
        request.method or "",
        _query(meta).encode("latin-1", "replace"),
        received,
        origin=meta.get("HTTP_ORIGIN"),
        host=meta.get("HTTP_HOST"),
        asker=_asker(meta),
    )
    response = HttpResponse(answer.body, status=answer.status)
    # Django would log an error for each request to a clock without the time, which has logged it
    # itself why, and a warning for each that was refused: a client could fill a disk with requests.
    vars(response)["_has_been_logged"] = True
    if answer.status == 204:
        del response["Content-Type"]
    for name, value in answer.headers:
        response[name] = value
    return response


def _query(meta: dict[str, Any]) -> str:
    query = meta.get("QUERY_STRING", "")
    return query if isinstance(query, str) else ""


def _asker(meta: dict[str, Any]) -> Asker:
    def header(name: str) -> str | None:
        value = meta.get(f"HTTP_{name.upper().replace('-', '_')}")
        return value if isinstance(value, str) else None

    port = str(meta.get("REMOTE_PORT") or "")
    port_number = int(port) if port.isdecimal() else None
    return asker_of(meta.get("REMOTE_ADDR"), port_number, header, settings.limits().proxies)


# The time is given to anybody, without authentication, and giving it changes nothing.
for _view in (clock, clock_async, metrics):
    vars(_view).update(csrf_exempt=True, login_required=False)
