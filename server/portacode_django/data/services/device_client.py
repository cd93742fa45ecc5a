"""The server's own client to a device: for views, commands, and whatever else asks one something.

    answer = await DeviceClient(user_id).ask(device_id, "echo", {"text": "hello"})

The server is then the client of the trace as well, and stamps its first event and its last one with
its synchronised clock.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

from django.conf import settings

from data.instance import entity
from data.refusal import Refusal
from data.services.layer import channel_layer
from data.services.links import crossed
from data.services.records import Owner
from data.services.requests import PASSING_S, Asked, Requests, astray
from portacode import _wire
from portacode._wire import Json
from portacode.trace import Trace
from portacode.traceparent import carried
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
    payload_text: Json
    """The payload as the device wrote it."""

    def to_json(self) -> dict[str, Any]:
        """As REST answers it, the payload as Python has it."""
        fields = {"request_id": self.request_id, "status": self.status, "trace": self.trace}
        if self.error is not None:
            return {**fields, "error": self.error}
        return {**fields, "payload": self.payload}

    def text(self) -> str:
        """As REST answers it, the payload as the device wrote it."""
        return _wire.encode(self._replace(payload=self.payload_text).to_json())


class DeviceClient:
    """Asks a user's devices, in whatever server process they are connected to.

    Args:
        user_id: In whose name: other users' devices are unknown.
        timeout_s: Seconds for an answer, restarted at each progress.
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

        A caller that is cancelled meanwhile leaves a record that says so.

        Args:
            device_id: Whom.
            command: What.
            payload: Any JSON; what is a `Json` goes as it is written.
            traceparent: W3C trace context of what this is part of; one that is none is left out.
            progress: Called with the payload of each progress.
        """
        request_id = secrets.token_hex(16)
        trace = Trace()
        trace.stamp("client_send", ntp_clock, entity())
        mailbox = await _Mailbox.opened()
        requests = Requests(Owner(self._user_id, mailbox.channel))
        error, result = None, Json("null")
        try:
            trace.stamp("server_receive", ntp_clock, entity())
            asked = Asked(
                request_id, device_id, command, _text(payload), carried(traceparent) or ""
            )
            await requests.open(asked, trace)
            response = await self._response(requests, request_id, mailbox, progress)
            trace = Trace.from_message(json.loads(response["trace"]))
            message = _wire.parse(response["message"])
            error, result = message.get("error"), message.text("payload")
        except Refusal as refusal:
            await requests.expire(request_id, refusal)
            error = refusal.to_json()
        except asyncio.CancelledError:
            await asyncio.shield(requests.leave(request_id, trace))
            raise
        finally:
            await mailbox.close()
        for key in ("server_send_response", "client_receive"):
            trace.stamp(key, ntp_clock, entity())
        # Where it was refused before it was recorded, there is nothing to finish.
        await requests.finish(request_id, trace)
        status = "ok" if error is None else "error"
        payload = json.loads(result)
        return Answer(request_id, status, payload, error, trace.to_message(), result)

    async def _response(
        self,
        requests: Requests,
        request_id: str,
        mailbox: _Mailbox,
        progress: Callable[[Any], None] | None,
    ) -> dict[str, Any]:
        limit_s, passing = self._timeout_s, False
        while True:
            event = await mailbox.next(limit_s)
            if event is None:
                if passing:
                    raise astray()
                problem = f"the device has not answered within {self._timeout_s:g} s"
                refusal = Refusal("timeout", problem)
                if await requests.expire(request_id, refusal):
                    raise refusal
                # The record has an answer, which must be about to come.
                limit_s, passing = PASSING_S, True
            elif event["type"] == "request.response":
                return event
            elif event["type"] == "request.refused":
                raise Refusal(event["code"], event["message"])
            elif event["type"] == "request.progress" and progress is not None:
                progress(_wire.parse(event["message"]).get("payload"))


class _Mailbox:
    """A channel of one call's own."""

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self._receiver: asyncio.Future[dict[str, Any]] | None = None

    @classmethod
    async def opened(cls) -> _Mailbox:
        return cls(await channel_layer().new_channel())

    async def next(self, within_s: float) -> dict[str, Any] | None:
        """What has come; None where nothing has within this time."""
        receiver = self._receiving()
        # Not cancelled in the meantime: layers let go of a channel whose receiver is.
        done, _ = await asyncio.wait({receiver}, timeout=within_s)
        if not done:
            return None
        self._receiver = None
        event = receiver.result()
        crossed(event, ntp_clock.stamp())
        return event

    async def close(self) -> None:
        """Layers let go of a channel when its receiver is cancelled, and have no other way."""
        receiver = self._receiving()
        while not receiver.done():
            await asyncio.sleep(0)
            receiver.cancel()
        await asyncio.gather(receiver, return_exceptions=True)

    def _receiving(self) -> asyncio.Future[dict[str, Any]]:
        if self._receiver is None:
            self._receiver = asyncio.ensure_future(channel_layer().receive(self.channel))
        return self._receiver


def _text(payload: Any) -> Json:
    try:
        return _wire.dumps(payload)
    except _wire.WireError as error:
        raise Refusal("malformed", f"payload: {error}") from error
