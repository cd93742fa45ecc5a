"""JSON over HTTP for anyone who is logged in: devices, traces, requests to devices."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

from data.models import Device, TraceRecord
from data.refusal import Refusal
from data.services.device_client import DeviceClient
from data.services.links import browser_scope, device_scope, of_peers
from data.services.presence import devices_of
from django.conf import settings
from django.http import HttpResponse, JsonResponse
from django.views.decorators.http import require_GET, require_POST
from sockets import places
from sockets.frames import parsed_object, text_field

from portacode import _wire
from portacode.limits import Buckets
from portacode.trace import KEYS, Trace, TraceError, relation

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet
    from django.http import HttpRequest

    from portacode._wire import Message


def _for_users(view: Callable[..., JsonResponse]) -> Callable[..., JsonResponse]:
    """Refuses clients that are not logged in, in JSON, and answers a `Refusal` with its status."""

    @functools.wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> JsonResponse:
        if not request.user.is_authenticated:
            return _error(401, Refusal("unauthenticated", "log in first"))
        try:
            return view(request, *args, **kwargs)
        except Refusal as refusal:
            return _error(_STATUS.get(refusal.code, 400), refusal)

    return guarded


@require_GET
@_for_users
def devices(request: HttpRequest) -> JsonResponse:
    """`GET /api/devices/`: the user's devices, and how they are."""
    return JsonResponse({"devices": devices_of(_user_id(request))})


@require_GET
@_for_users
def traces(request: HttpRequest) -> JsonResponse:
    """`GET /api/traces/`: the newest first.

    `device`, `project` and `status` are as in the records; `min_ms` is the least ping; `problem` is
    `any`, `order`, `raw`, `unsynced` or `incomplete`; `before` is a request_id to go on from;
    `limit` is at most 500.
    """
    query = request.GET
    records = _records(request)
    for name, field in (("device", "device_id"), ("project", "device__project__slug")):
        if query.get(name):
            records = records.filter(**{field: query[name]})
    if status := query.get("status"):
        records = records.filter(status=status)
    if query.get("min_ms"):
        records = records.filter(ping_ms__gte=_number(query["min_ms"], "min_ms"))
    if problem := query.get("problem"):
        if problem not in _PROBLEMS:
            raise Refusal("bad_query", f"problem must be one of {', '.join(_PROBLEMS)}")
        records = _PROBLEMS[problem](records)
    if query.get("before"):
        marks = _records(request).filter(request_id=query["before"])
        records = records.filter(pk__lt=marks.values_list("pk", flat=True).first() or 0)
    limit = int(min(max(_number(query.get("limit", "50"), "limit"), 1), 500))
    found = [record.to_json() for record in records.order_by("-pk")[:limit]]
    return JsonResponse({"traces": found})


@require_GET
@_for_users
def trace(request: HttpRequest, request_id: str) -> JsonResponse:
    """`GET /api/traces/REQUEST_ID/`."""
    record = _records(request).filter(request_id=request_id).first()
    if record is None:
        raise Refusal("unknown_trace", "there is no such trace of yours")
    return JsonResponse(record.to_json())


@require_GET
@_for_users
def order(request: HttpRequest) -> JsonResponse:
    """`GET /api/order/?a=REQUEST_ID:STAMP&b=REQUEST_ID:STAMP`: which of two stamps came first.

    Of one trace or of two, by all that both have kept of their clocks.
    """
    named = [_stamp_named(request, name) for name in "ab"]
    traces = {request_id: _trace_of(request, request_id) for request_id, _ in named}
    for request_id, key in named:
        if traces[request_id].get(key) is None:
            raise Refusal("unknown_stamp", f"the trace {request_id} has no {key}")
    a, b = ((traces[request_id], key) for request_id, key in named)
    found = relation(a, b)
    return JsonResponse({**found._asdict(), "order": found.order.value})


@require_GET
@_for_users
def links(request: HttpRequest) -> JsonResponse:
    """`GET /api/links/`: what this process knows of its counter and its peers', the user's."""
    user_id = _user_id(request)
    device_ids = Device.objects.filter(owner_id=user_id).values_list("pk", flat=True)
    scopes = [browser_scope(user_id), *map(device_scope, device_ids)]
    return JsonResponse({"links": of_peers(scopes)})


@require_POST
async def commands(request: HttpRequest, device_id: str) -> HttpResponse:
    """`POST /api/devices/ID/commands/` with command and payload; waits for the answer."""
    user = await request.auser()
    if not user.is_authenticated:
        return _error(401, Refusal("unauthenticated", "log in first"))
    # It may wait for long.
    places.prove(getattr(request, "scope", {}))
    try:
        if not _buckets.take(user.pk):
            raise Refusal("rate_limited", "too many commands; wait")
        message = _body(request)
        client = DeviceClient(user.pk)
        answer = await client.ask(
            device_id,
            text_field(message, "command", 64),
            message.text("payload"),
            traceparent=request.headers.get("traceparent", ""),
        )
    except Refusal as refusal:
        return _error(_STATUS.get(refusal.code, 400), refusal)
    status = 200 if answer.error is None else _STATUS.get(answer.error["code"], 502)
    return HttpResponse(answer.text(), status=status, content_type="application/json")


def _stamp_named(request: HttpRequest, name: str) -> tuple[str, str]:
    """The request_id and the stamp's key that a parameter names."""
    request_id, _, key = request.GET.get(name, "").partition(":")
    if not _wire.is_id(request_id) or key not in KEYS:
        raise Refusal("bad_query", f"{name} must be REQUEST_ID:STAMP, the stamp one of a trace's")
    return request_id, key


def _trace_of(request: HttpRequest, request_id: str) -> Trace:
    """A trace of this user's."""
    record = _records(request).filter(request_id=request_id).first()
    if record is None:
        raise Refusal("unknown_trace", f"there is no trace {request_id} of yours")
    try:
        return Trace.from_message(record.trace)
    except TraceError:
        # Of another version's format.
        return Trace()


def _records(request: HttpRequest) -> QuerySet[TraceRecord]:
    owned = TraceRecord.objects.filter(owner_id=_user_id(request))
    return owned.select_related("device__project")


def _user_id(request: HttpRequest) -> int:
    user_id = request.user.pk
    assert isinstance(user_id, int)
    return user_id


def _body(request: HttpRequest) -> Message:
    if len(request.body) > settings.SOCKET_MESSAGE_MAX:
        raise Refusal("too_large", f"a body is at most {settings.SOCKET_MESSAGE_MAX} bytes")
    try:
        text = request.body.decode()
    except UnicodeDecodeError:
        raise Refusal("malformed", "the body is not UTF-8") from None
    return parsed_object(text, "the body")


def _number(text: str, name: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise Refusal("bad_query", f"{name} is not a number")
    return number


def _error(status: int, refusal: Refusal) -> JsonResponse:
    return JsonResponse({"error": refusal.to_json()}, status=status)


def _any_problem(records: QuerySet[TraceRecord]) -> QuerySet[TraceRecord]:
    order, unsynced = records.filter(problems__gt=0), records.filter(unsynced__gt=0)
    return order | unsynced | records.exclude(status="ok") | records.filter(complete=False)


_PROBLEMS: dict[str, Callable[[QuerySet[TraceRecord]], QuerySet[TraceRecord]]] = {
    "any": _any_problem,
    "order": lambda records: records.filter(problems__gt=0),
    "raw": lambda records: records.filter(raw_problems__gt=0),
    "unsynced": lambda records: records.filter(unsynced__gt=0),
    "incomplete": lambda records: records.filter(complete=False),
}
_STATUS = {
    "unauthenticated": 401,
    "unknown_device": 404,
    "unknown_trace": 404,
    "unknown_stamp": 404,
    "too_large": 413,
    "rate_limited": 429,
    "server_failed": 500,
    "device_offline": 503,
    "timeout": 504,
}
_buckets = Buckets(*settings.COMMANDS_RATE)
