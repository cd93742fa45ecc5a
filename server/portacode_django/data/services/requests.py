"""A request's record, from its beginning to its end: what happens to it in the database.

Each function is one short visit; consumers call them through `database_sync_to_async`.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import IntegrityError, transaction
from sockets.frames import Refusal, storable

from data.models import Device, TraceRecord
from data.services import retention
from portacode.trace import DEVICE_KEYS, SERVER_KEYS, Trace, TraceError

if TYPE_CHECKING:
    from portacode.trace import Stamp


class Route(NamedTuple):
    """Where a request goes."""

    device_id: str
    channel: str


class Outcome(enum.Enum):
    """What became of a response."""

    NEW = "new"
    DUPLICATE = "duplicate"
    UNKNOWN = "unknown"


class Finished(NamedTuple):
    """A record as whole as it will be."""

    record: dict[str, Any]
    project_id: int | None


class Delivered(NamedTuple):
    """A response that has been stored, or was before."""

    outcome: Outcome
    reply_channel: str = ""
    trace: dict[str, Any] | None = None


def open_request(
    *,
    user_id: int,
    project_id: int | None,
    device_id: str,
    request_id: str,
    command: str,
    trace: Trace,
    traceparent: str,
    reply_channel: str,
) -> Route:
    """Records a request and tells where its device is.

    Raises:
        Refusal: Where there is no such device for this user, it is not connected, or there has been
            a request of this id.
    """
    devices = Device.objects.filter(owner_id=user_id, revoked_at=None)
    if project_id is not None:
        devices = devices.filter(project_id=project_id)
    # Another user's device is told from none at all by nobody.
    if not devices.filter(pk=device_id).exists():
        raise Refusal("unknown_device", f"there is no device {device_id} of yours here")
    channel = Device.objects.online().filter(pk=device_id).values_list("channel", flat=True).first()
    record = TraceRecord(
        request_id=request_id,
        owner_id=user_id,
        device_id=device_id,
        command=storable(command),
        traceparent=storable(traceparent),
        reply_channel=reply_channel,
    )
    offline = Refusal("device_offline", "the device is not connected")
    if channel is None:
        record.status = TraceRecord.Status.ERROR
        record.error = offline.to_json()
    _summarise(record, trace)
    try:
        with transaction.atomic():
            record.save(force_insert=True)
    except IntegrityError:
        raise Refusal("duplicate_request", "there has been a request of this request_id") from None
    retention.after_insert(user_id)
    if channel is None:
        raise offline
    return Route(device_id, channel)


def deliver(
    *,
    device_id: str,
    request_id: str,
    delivery_id: str,
    error: dict[str, Any] | None,
    trace: Trace,
    sent: tuple[Stamp, str] | None,
    received: tuple[Stamp, str],
) -> Delivered:
    """Stores a device's response, once.

    Args:
        device_id: Who sent it: requests of other devices are unknown to it.
        request_id: What it answers.
        delivery_id: Its own id.
        error: What went wrong, if anything did.
        trace: As the device sent it.
        sent: When and by whom the request was sent to the device; None where another process did
            that, and only the device can tell.
        received: When and by whom the response was received.
    """
    record = TraceRecord.objects.filter(request_id=request_id, device_id=device_id).first()
    if record is None:
        return Delivered(Outcome.UNKNOWN)
    if record.delivery_id is not None:
        return Delivered(Outcome.DUPLICATE)
    known = _known_trace(record)
    if sent is not None:
        known.put("server_send", *sent)
    else:
        known.merge(trace, {"server_send"})
    known.merge(trace, DEVICE_KEYS)
    known.put("server_receive_response", *received)
    record.status = TraceRecord.Status.OK if error is None else TraceRecord.Status.ERROR
    record.error = error
    _summarise(record, known)
    changes = {name: getattr(record, name) for name in ("status", "error", *_SUMMARY)}
    unanswered = TraceRecord.objects.filter(pk=record.pk, delivery_id=None)
    try:
        with transaction.atomic():
            first = unanswered.update(delivery_id=delivery_id, **changes)
    except IntegrityError:
        # A delivery of this id was of another request; it cannot be both.
        return Delivered(Outcome.UNKNOWN)
    if not first:
        # Another process was quicker with the same one.
        return Delivered(Outcome.DUPLICATE)
    return Delivered(Outcome.NEW, record.reply_channel, record.trace)


def expire(request_id: str, error: dict[str, Any]) -> None:
    """Nothing came in time. What still comes is stored all the same."""
    waiting = TraceRecord.objects.filter(request_id=request_id, status=TraceRecord.Status.PENDING)
    waiting.update(status=TraceRecord.Status.TIMEOUT, error=error)


def reply_channel_of(request_id: str, device_id: str) -> str | None:
    """Who waits for news of a request."""
    records = TraceRecord.objects.filter(request_id=request_id, device_id=device_id)
    return records.values_list("reply_channel", flat=True).first()


def finish(request_id: str, trace: Trace) -> Finished | None:
    """Stores a trace as whole as it will be; None where the request was never recorded."""
    records = TraceRecord.objects.select_related("device__project")
    record = records.filter(request_id=request_id).first()
    if record is None:
        return None
    # A late response may have been stored since.
    trace.merge(_known_trace(record))
    _summarise(record, trace)
    record.save(update_fields=_SUMMARY)
    return Finished(record.to_json(), record.device.project_id)


def merged(trace: dict[str, Any] | None, more: Trace) -> Trace:
    """What a server knows, with the server's stamps of another."""
    known = Trace.from_message(trace)
    known.merge(more, SERVER_KEYS)
    return known


def _known_trace(record: TraceRecord) -> Trace:
    try:
        return Trace.from_message(record.trace)
    except TraceError:
        # Of another version's format.
        return Trace()


def _summarise(record: TraceRecord, trace: Trace) -> None:
    """Puts the trace into the record, and what queries want to know of it."""
    record.trace = storable(trace.to_message())
    record.ping_ms = trace.ping_ms
    record.problems = len(trace.problems())
    record.raw_problems = len(trace.raw_problems())
    record.unsynced = len(trace.unsynced)
    record.complete = not trace.missing()


_SUMMARY = ("trace", "ping_ms", "problems", "raw_problems", "unsynced", "complete")
