"""A request's life: opened, delivered, expired, finished; who asks and who answers use this alone.

    requests = Requests(Owner(user_id, channel))
    await requests.open(Asked(request_id, device_id, "echo", payload), trace)
    ...                                     # `request.response` comes to the channel, or nothing:
    await requests.expire(request_id, Refusal("timeout", "..."))
    await requests.finish(request_id, trace)

and where the device's answer comes in: `await deliver(device_id, answer)`. What goes over the
channel layer is text, which every layer carries as it is.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from channels.db import database_sync_to_async

from data.refusal import Refusal
from data.services import news, records, telemetry
from data.services.layer import send
from data.services.links import CROSSED
from data.services.records import Outcome
from portacode import _wire
from portacode._wire import Json

if TYPE_CHECKING:
    from data.services.links import Crossing
    from data.services.records import Owner
    from portacode.trace import Stamp, Trace

logger = logging.getLogger("portacode.requests")


class Asked(NamedTuple):
    """What a device is asked."""

    request_id: str
    device_id: str
    command: str
    payload: Json = Json("null")
    traceparent: str = ""
    """W3C's, of what this is part of."""


class Answer(NamedTuple):
    """What a device answers, as it came."""

    request_id: str
    delivery_id: str
    payload: Json
    error: dict[str, Any] | None
    """In the payload's place, where something went wrong."""
    trace: Trace
    """What of it is the device's to say."""
    traceparent: str | None
    received: tuple[Stamp, str]
    """When and by whom."""
    sent: tuple[Stamp, str] | None
    """When and by whom the request was sent; None where that is not known here."""
    crossing: Crossing | None = None
    """How the request came here, where that was from another server."""


class Requests:
    """The requests of one owner.

    Args:
        owner: Who asks. Requests of others do not exist for it.
    """

    def __init__(self, owner: Owner) -> None:
        self._owner = owner

    async def open(self, asked: Asked, trace: Trace) -> None:
        """Records a request and sends it to its device.

        Args:
            asked: What.
            trace: What has been stamped so far.

        Raises:
            Refusal: Where it cannot be sent; the record, if there is one, says so.
        """
        message = {"event": "command", "request_id": asked.request_id}
        message |= {"device_id": asked.device_id, "command": asked.command}
        text = _wire.encode({**message, "payload": asked.payload})
        channel = await _insert(
            self._owner,
            device_id=asked.device_id,
            request_id=asked.request_id,
            command=asked.command,
            trace=trace,
            traceparent=asked.traceparent,
        )
        sent = {
            "type": "device.command",
            "request_id": asked.request_id,
            "reply_channel": self._owner.channel,
            "message": text,
            "trace": str(_wire.dumps(trace.to_message())),
            "traceparent": asked.traceparent,
        }
        try:
            await send(channel, sent)
        except Exception as error:
            logger.exception("%s cannot be sent", asked.request_id)
            refusal = Refusal("server_failed", "the server cannot reach the device; try again")
            await self.expire(asked.request_id, refusal)
            raise refusal from error

    async def expire(self, request_id: str, refusal: Refusal) -> bool:
        """Ends a request without an answer; False where there is one, or it is another's."""
        return await _end(self._owner, request_id, refusal)

    async def leave(self, request_id: str, trace: Trace) -> None:
        """The client that asked has left: stores how far it got. What still comes is stored too."""
        await self.expire(request_id, _GONE)
        await self.finish(request_id, trace)

    async def finish(self, request_id: str, trace: Trace) -> bool:
        """Stores a trace as whole as it will be, and tells of it; False where it is another's."""
        finished = await _finish(self._owner, request_id, trace)
        if finished is None:
            return False
        telemetry.export(finished)
        published = {"event": "trace", "trace_record": finished.record}
        await news.tell_dashboards(self._owner.user_id, finished.project_id, published)
        return True


async def deliver(device_id: str, answer: Answer) -> Outcome:
    """Stores a device's answer, once, and passes it on to the client that waits.

    To be acknowledged after that, not before: a delivery that comes again is passed on again, and
    the waiting client takes the first one. So one is lost only with its waiting client.
    """
    delivered = await _store_response(
        device_id,
        request_id=answer.request_id,
        delivery_id=answer.delivery_id,
        error=answer.error,
        trace=answer.trace,
        sent=answer.sent,
        received=answer.received,
    )
    if delivered.outcome is Outcome.UNKNOWN:
        return Outcome.UNKNOWN
    message: dict[str, Any] = {
        "event": "response",
        "request_id": answer.request_id,
        "delivery_id": answer.delivery_id,
        "device_id": device_id,
        "command": delivered.command,
    }
    if answer.error is None:
        message |= {"status": "ok", "payload": answer.payload}
    else:
        message |= {"status": "error", "error": answer.error}
    if answer.traceparent is not None:
        message["traceparent"] = answer.traceparent
    published: dict[str, Any] = {"type": "request.response", "request_id": answer.request_id}
    if answer.crossing is not None:
        published[CROSSED] = answer.crossing.to_message()
    await send(
        delivered.reply_channel,
        {**published, "message": _wire.encode(message), "trace": str(_wire.dumps(delivered.trace))},
    )
    return delivered.outcome


async def pass_on(
    reply_channel: str, device_id: str, request_id: str, payload: Json, trace: Trace
) -> None:
    """Passes a device's progress on to the client that waits; it may be lost."""
    message = {"event": "progress", "request_id": request_id, "device_id": device_id}
    published = {"type": "request.progress", "request_id": request_id}
    text = str(_wire.encode({**message, "payload": payload}))
    trace_text = str(_wire.dumps(trace.to_message()))
    await send(reply_channel, {**published, "message": text, "trace": trace_text})


def astray() -> Refusal:
    """The refusal where an answer is stored and does not arrive: the record has the rest."""
    return Refusal("timeout", "the device has answered, and its answer was lost on the way here")


async def refuse(reply_channel: str, request_id: str, refusal: Refusal) -> None:
    """Tells the waiting client that a request could not be sent to its device."""
    published = {"type": "request.refused", "request_id": request_id}
    await send(reply_channel, {**published, **refusal.to_json()})


PASSING_S = 2.0
"""Seconds for an answer that is stored to come from the process that stored it."""
_GONE = Refusal("disconnected", "the client has disconnected, and there was no answer yet")
reply_channel_of = database_sync_to_async(records.reply_channel_of)
_insert = database_sync_to_async(records.insert)
_store_response = database_sync_to_async(records.store_response)
_end = database_sync_to_async(records.end)
_finish = database_sync_to_async(records.finish)
