"""The server's own client to a device: for views, commands, and whatever else asks one something.

    answer = await DeviceClient(user_id).ask(device_id, "echo", {"text": "hello"})

The server is then the client of the trace as well, and stamps its first event and its last one with
its synchronised clock.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

from channels.db import database_sync_to_async
from django.conf import settings
from sockets.frames import Refusal
from sockets.instance import entity

from data.services import news, requests, telemetry
from data.services.layer import channel_layer
from portacode.trace import Trace
from portacode.utils.ntp_clock import ntp_clock

if TYPE_CHECKING:
    from collections.abc import Callable


class Answer(NamedTuple):
    """What became of a request."""

    request_id: str
    status: str
    """"ok" or "error"."""
    payload: Any
    error: dict[str, Any] | None
    """Code and message, where the status is "error"."""
    trace: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As REST answers it."""
        told = {"request_id": self.request_id, "status": self.status, "trace": self.trace}
        if self.error is not None:
            return {**told, "error": self.error}
        return {**told, "payload": self.payload}


class DeviceClient:
    """Asks a user's devices, in whatever server process they are connected to.

    Args:
        user_id: In whose name: other users' devices are unknown.
        timeout_s: Seconds for an answer, counted anew at each progress.
    """

    def __init__(self, user_id: int, timeout_s: float | None = None) -> None:
        self._user_id = user_id
        self._timeout_s = settings.REQUEST_TIMEOUT_S if timeout_s is None else timeout_s

    async def ask(
        self,
        device_id: str,
        command: str,
        payload: Any = None,
        *,
        traceparent: str = "",
        progress: Callable[[Any], None] | None = None,
    ) -> Answer:
        """Sends a traced request and waits for its answer; errors are answers as well.

        Args:
            device_id: Whom.
            command: What.
            payload: Any JSON.
            traceparent: W3C trace context of what this is part of.
            progress: Called with the payload of each progress.
        """
        request_id = secrets.token_hex(16)
        trace = Trace()
        trace.stamp("client_send", ntp_clock, entity())
        layer = channel_layer()
        channel = await layer.new_channel()
        message: dict[str, Any] = {"event": "command", "request_id": request_id}
        message |= {"device_id": device_id, "command": command, "payload": payload}
        if traceparent:
            message["traceparent"] = traceparent
        recorded = True
        try:
            trace.stamp("server_receive", ntp_clock, entity())
            route = await _open_request(
                user_id=self._user_id,
                project_id=None,
                device_id=device_id,
                request_id=request_id,
                command=command,
                trace=trace,
                traceparent=traceparent,
                reply_channel=channel,
            )
            message["trace"] = trace.to_message()
            sent = {"type": "device.command", "message": message, "reply_channel": channel}
            await layer.send(route.channel, sent)
            response = await self._response(layer, channel, progress)
            trace = Trace.from_message(response["trace"])
            error, result = response.get("error"), response.get("payload")
        except Refusal as refusal:
            error, result = refusal.to_json(), None
            recorded = refusal.code != "unknown_device"
            if refusal.code == "timeout":
                await _expire(request_id, error)
        finally:
            await _forget(layer, channel)
        for key in ("server_send_response", "client_receive"):
            trace.stamp(key, ntp_clock, entity())
        if recorded:
            await self._store(request_id, trace, traceparent)
        status = "ok" if error is None else "error"
        return Answer(request_id, status, result, error, trace.to_message())

    async def _response(
        self, layer: Any, channel: str, progress: Callable[[Any], None] | None
    ) -> dict[str, Any]:
        while True:
            try:
                event = await asyncio.wait_for(layer.receive(channel), self._timeout_s)
            except asyncio.TimeoutError:
                told = f"the device has not answered within {self._timeout_s:g} s"
                raise Refusal("timeout", told) from None
            if event["type"] == "request.response":
                response: dict[str, Any] = event["message"]
                return response
            if event["type"] == "request.refused":
                raise Refusal(**event["error"])
            if progress is not None:
                progress(event["message"].get("payload"))

    async def _store(self, request_id: str, trace: Trace, traceparent: str) -> None:
        finished = await _finish(request_id, trace)
        if finished is not None:
            telemetry.export(finished.record, traceparent)
            told = {"event": "trace", "trace_record": finished.record}
            await news.tell_dashboards(self._user_id, finished.project_id, told)


async def _forget(layer: Any, channel: str) -> None:
    """Layers let go of a channel when its receiver is cancelled, and have no other way."""
    receiver = asyncio.ensure_future(layer.receive(channel))
    while not receiver.done():
        await asyncio.sleep(0)
        receiver.cancel()
    await asyncio.gather(receiver, return_exceptions=True)


_open_request = database_sync_to_async(requests.open_request)
_expire = database_sync_to_async(requests.expire)
_finish = database_sync_to_async(requests.finish)
