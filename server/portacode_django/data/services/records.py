"""A request's record: what happens to it in the database, each in one short visit.

A record belongs to the client that asked, by user and channel, and to the device that was asked.
Nobody else finds it: the request's id alone does not lead to it.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import IntegrityError, transaction

from data.models import Device, TraceRecord
from data.refusal import Refusal
from data.services import links, retention
from data.storable import storable
from portacode.trace import DEVICE_KEYS, Trace, TraceError

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from portacode.trace import Stamp


class Owner(NamedTuple):
    """Who asks, and waits for the answer."""

    user_id: int
    channel: str
    """Where the answer goes; of this one socket or call, and of no other."""
    project_id: int | None = None
    """The one project whose devices may be asked; all of the user's without one."""


class Outcome(enum.Enum):
    """What became of a response."""

    NEW = "new"
    AGAIN = "again"
    """The very same delivery has come before."""
    UNKNOWN = "unknown"
    """The device was not asked, or has answered otherwise before."""


class Delivered(NamedTuple):
    """A response that has been stored, or was before."""

    outcome: Outcome
    reply_channel: str = ""
    command: str = ""
    trace: dict[str, Any] | None = None


class Finished(NamedTuple):
    """A record as whole as it will be."""

    record: dict[str, Any]
    trace: Trace
    traceparent: str
    project_id: int | None


def insert(
    owner: Owner, *, device_id: str, request_id: str, command: str, trace: Trace, traceparent: str
) -> str:
    """Records a request; gives its device's channel.

    Raises:
        Refusal: Where there is no such device for this user, it is not connected, or there has been
            a request of this id.
    """
    devices = Device.objects.filter(owner_id=owner.user_id, revoked_at=None)
    if owner.project_id is not None:
        devices = devices.filter(project_id=owner.project_id)
    # Another user's device looks to everybody as if it did not exist.
    if not devices.filter(pk=device_id).exists():
        raise Refusal("unknown_device", f"there is no device {device_id} of yours here")
    channel = Device.objects.online().filter(pk=device_id).values_list("channel", flat=True).first()
    record = TraceRecord(
        request_id=request_id,
        owner_id=owner.user_id,
        device_id=device_id,
        command=storable(command),
        traceparent=storable(traceparent),
        reply_channel=owner.channel,
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
        raise Refusal(
            "duplicate_request", "request_id has been used already; use a new one"
        ) from None
    retention.after_insert(owner.user_id)
    if channel is None:
        raise offline
    return channel


def store_response(
    device_id: str,
    *,
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
    try:
        with transaction.atomic():
            asked = TraceRecord.objects.filter(device_id=device_id, request_id=request_id)
            record = asked.select_for_update().first()
            if record is None or record.delivery_id not in (None, delivery_id):
                return Delivered(Outcome.UNKNOWN)
            if record.delivery_id is not None:
                return _delivered(Outcome.AGAIN, record)
            known = _known_trace(record)
            if sent is not None:
                known.put("server_send", *sent)
            elif known.get("server_send") is None:
                put_reported(known, trace, "server_send")
            known.merge(trace, DEVICE_KEYS)
            known.put("server_receive_response", *received)
            links.add_links(known)
            record.status = TraceRecord.Status.OK if error is None else TraceRecord.Status.ERROR
            record.error = error
            record.delivery_id = delivery_id
            _summarise(record, known)
            record.save(update_fields=("delivery_id", "status", "error", *_SUMMARY))
            return _delivered(Outcome.NEW, record)
    except IntegrityError:
        # A delivery of this id was of another request; it cannot be both.
        return Delivered(Outcome.UNKNOWN)


def end(owner: Owner, request_id: str, refusal: Refusal) -> bool:
    """Ends a request that has no answer; False where it has one, or is not this owner's.

    What still comes is stored all the same.
    """
    late = refusal.code == "timeout"
    status = TraceRecord.Status.TIMEOUT if late else TraceRecord.Status.ERROR
    waiting = _of(owner, request_id).filter(status=TraceRecord.Status.PENDING)
    return bool(waiting.update(status=status, error=refusal.to_json()))


def finish(owner: Owner, request_id: str, trace: Trace) -> Finished | None:
    """Stores a trace as whole as it will be; None where this owner has no such request."""
    with transaction.atomic():
        records = _of(owner, request_id).select_related("device__project")
        record = records.select_for_update(of=("self",)).first()
        if record is None:
            return None
        # A late response may have been stored since.
        trace.merge(_known_trace(record))
        links.add_links(trace)
        _summarise(record, trace)
        record.save(update_fields=_SUMMARY)
    return Finished(record.to_json(), trace, record.traceparent, record.device.project_id)


def reply_channel_of(device_id: str, request_id: str) -> str | None:
    """Who waits for news of a request to this device."""
    asked = TraceRecord.objects.filter(device_id=device_id, request_id=request_id)
    return asked.values_list("reply_channel", flat=True).first()


def _of(owner: Owner, request_id: str) -> QuerySet[TraceRecord]:
    return TraceRecord.objects.filter(
        owner_id=owner.user_id, reply_channel=owner.channel, request_id=request_id
    )


def _delivered(outcome: Outcome, record: TraceRecord) -> Delivered:
    return Delivered(outcome, record.reply_channel, record.command, record.trace)


def _known_trace(record: TraceRecord) -> Trace:
    try:
        return Trace.from_message(record.trace)
    except TraceError:
        # Of another version's format.
        return Trace()


def put_reported(known: Trace, trace: Trace, key: str) -> None:
    """Takes the time of a stamp of ours by a peer's word.

    Not its counter and epoch, by which it would be compared with others of ours without an error.
    """
    stamp = trace.get(key)
    if stamp is not None:
        stamp = stamp._replace(epoch=None, counter=None, counter_ns=None, counter_resolution_ns=0)
        known.put(key, stamp, trace.entity(key) or "server")


def _summarise(record: TraceRecord, trace: Trace) -> None:
    """Puts the trace into the record, and what queries want to know of it."""
    record.trace = storable(trace.to_message())
    record.ping_ms = trace.ping_ms
    record.problems = len(trace.problems())
    record.raw_problems = len(trace.raw_problems())
    record.unsynced = len(trace.unsynced)
    record.complete = not trace.missing()


_SUMMARY = ("trace", "ping_ms", "problems", "raw_problems", "unsynced", "complete")
