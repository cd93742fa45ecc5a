"""A device's connection: it says who it is, gets its owner's requests, and answers them."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, ClassVar

from channels.db import database_sync_to_async
from data.instance import entity
from data.refusal import Refusal
from data.services import news, presence, requests
from data.services.layer import send
from data.services.links import PeerLinks, device_scope
from data.services.records import Outcome, put_reported
from data.services.requests import Answer
from data.storable import storable
from data.tokens import is_token
from django.conf import settings
from sockets import places
from sockets.base import JsonSocket, logger
from sockets.frames import id_field, object_field, text_field
from sockets.origin import admits

from portacode import _wire
from portacode.connection.messages import CLOCK_KEYS
from portacode.limits import Buckets, TokenBucket, network_of
from portacode.otel import inject
from portacode.trace import DEVICE_KEYS, Stamp, Trace, TraceError
from portacode.traceparent import carried

if TYPE_CHECKING:
    from data.models import Device
    from data.services.links import Crossing

    from portacode._wire import Message


class DeviceConsumer(JsonSocket):
    """`/ws/devices/`, by bearer token."""

    rate: ClassVar[tuple[float, float]] = settings.DEVICE_RATE
    idle_s: ClassVar[float] = settings.DEVICE_IDLE_S
    first_s: ClassVar[float | None] = settings.HANDSHAKE_S

    def __init__(self) -> None:
        super().__init__()
        self.device: Device | None = None
        self._attached = False
        # What it says of itself is stored, and sent to every page that may see it.
        self._news = TokenBucket(*_NEWS_RATE)
        # Requests sent over this connection: when they were, and who waits.
        self._sent: OrderedDict[str, _Sent] = OrderedDict()

    def who(self) -> str:
        """The device, once it is known."""
        if self.device is None:
            return super().who()
        return f"{super().who()} (device {self.device.pk})"

    # --- Coming and going -----------------------------------------------------------------------

    async def opened(self) -> None:
        """Asks for the token."""
        headers = dict(self.scope["headers"])
        if b"origin" in headers and not admits(self.scope):
            await self.refuse(4403, "pages of this origin may not connect")
            return
        scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not token:
            await self.refuse(4401, "no token: send Authorization: Bearer TOKEN")
            return
        self.device = await self._device_of(token.strip())
        if self.device is not None:
            self.links = PeerLinks(device_scope(self.device.pk))
            # Of those that say hello, the device has one only.
            await self.accept(known=False)

    async def _device_of(self, token: str) -> Device | None:
        """The device that has this token; None where it was refused.

        What others of an address do never refuses a token that is right. Where many were wrong, all
        further ones of that address are looked up one after the other.
        """
        network = network_of(super().who())
        device = None
        if not is_token(token):
            pass
        elif not _wrong_tokens.is_empty(network):
            device = await _device_of_token(token)
        else:
            async with _one_at_a_time:
                place = places.of_scope(self.scope)
                if place is None or not place.is_gone:
                    device = await _device_of_token(token)
        if device is None:
            if _wrong_tokens.take(network):
                await self.refuse(4401, "unknown or revoked token")
            else:
                await self.refuse(4429, "too many unknown tokens from this address; wait")
        return device

    async def closed(self) -> None:
        """Notes that the device is gone, unless it has another connection by now."""
        if self.device is not None and self._attached:
            await self.channel_layer.group_discard(_group(self.device.pk), self.channel_name)
            if await _detach(self.device.pk, self.channel_name):
                logger.info("device %s (%s) is gone", self.device.pk, self.device.name)
                await news.devices_changed(self.device)

    async def on_hello(self, message: dict[str, Any]) -> None:
        """The device says what it is, and is there from now on."""
        device = self._known()
        self._check_news()
        about = object_field(message, "device")
        commands = about.get("commands") or []
        if not isinstance(commands, list) or len(commands) > 200:
            raise Refusal("malformed", "device.commands is not a list of at most 200")
        info = {
            "name": str(about.get("name", ""))[:100],
            "version": str(about.get("version", ""))[:40],
            "platform": str(about.get("platform", ""))[:200],
            "commands": [name[:64] for name in commands if isinstance(name, str)],
        }
        again = self._attached
        self._attached = True
        places.prove(self.scope)
        await self.channel_layer.group_add(_group(device.pk), self.channel_name)
        before = await _attach(device.pk, self.channel_name, {"info": info, **_news_of(message)})
        if before:
            # One connection to a device: what is sent to two is done twice.
            await send(before, {"type": "device.superseded"})
        if not again:
            logger.info("device %s (%s) is connected", device.pk, device.name)
        await news.devices_changed(device)

    async def on_clock(self, message: dict[str, Any]) -> None:
        """The device says how its clock is; it is alive."""
        device = self._greeted()
        self._check_news()
        reported = _news_of(message)
        if not await _heard(device.pk, self.channel_name, reported):
            if await _is_revoked(device.pk):
                await self.refuse(4401, "unknown or revoked token")
            else:
                await self.refuse(4409, "the device has another connection")
            return
        link = self.links and self.links.state()
        clock = {"event": "device_clock", "device_id": device.pk, **reported, "link": link}
        await news.tell_dashboards(device.owner_id, device.project_id, clock)

    async def device_superseded(self, message: dict[str, Any]) -> None:
        """From the consumer of the device's new connection."""
        del message
        await self.refuse(4409, "the device has another connection")

    async def device_revoked(self, message: dict[str, Any]) -> None:
        """From the process that revoked its token."""
        del message
        await self.refuse(4401, "unknown or revoked token")

    # --- Requests and responses -----------------------------------------------------------------

    async def device_command(self, event: dict[str, Any]) -> None:
        """From a client, in any process: a request for the device."""
        request_id, channel = event["request_id"], event["reply_channel"]
        trace = Trace.from_message(json.loads(event["trace"]))
        more: dict[str, Any] = {"request_id": request_id, "traceparent": event["traceparent"]}
        inject(more, "server", trace=trace)
        stamp = Stamp.take(self.clock)
        trace.put("server_send", stamp, entity())
        added: dict[str, Any] = {"trace": trace.to_message()}
        if more["traceparent"]:
            added["traceparent"] = more["traceparent"]
        text = _wire.extended(event["message"], added)
        try:
            _wire.check_size(text, settings.SOCKET_MESSAGE_MAX)
        except _wire.TooLargeError as error:
            problem = f"the request has, with its stamps, {error}"
            await requests.refuse(channel, request_id, Refusal("too_large", problem))
            return
        self._remember(request_id, _Sent(channel, (stamp, entity()), event["crossing"]))
        await self.send_text(text)

    async def on_progress(self, message: Message) -> None:
        """News of a request, for a client that waits for it."""
        device = self._greeted()
        request_id = id_field(message, "request_id")
        sent = self._sent.get(request_id)
        if sent is None:
            channel = await requests.reply_channel_of(device.pk, request_id)
            if channel is None:
                raise Refusal("malformed", "there is no such request")
            sent = self._remember(request_id, _Sent(channel, None))
        payload, trace = message.text("payload"), Trace()
        reported = self._trace_of(message)
        if sent.stamp is not None:
            trace.put("server_send", *sent.stamp)
        else:
            put_reported(trace, reported, "server_send")
        trace.merge(reported, DEVICE_KEYS)
        await requests.pass_on(sent.reply_channel, device.pk, request_id, payload, trace)

    async def on_response(self, message: Message) -> None:
        """The answer to a request: stored, passed on, and then acknowledged."""
        device = self._greeted()
        status = message.get("status")
        if status not in ("ok", "error"):
            raise Refusal("malformed", "status is neither ok nor error")
        request_id = id_field(message, "request_id")
        sent = self._sent.get(request_id)
        trace = self._trace_of(message)
        self._compare(trace, sent)
        answer = Answer(
            request_id=request_id,
            delivery_id=id_field(message, "delivery_id"),
            payload=message.text("payload"),
            error=_error_of(message) if status == "error" else None,
            trace=trace,
            traceparent=carried(message.get("traceparent")),
            received=(self.received, entity()),
            sent=sent.stamp if sent else None,
            crossing=sent.crossing if sent else None,
        )
        if await requests.deliver(device.pk, answer) is Outcome.UNKNOWN:
            # Its record may have been pruned: nobody waits for it, and the device need not either.
            logger.warning("%s answers request %s, which does not exist", self.who(), request_id)
        self._sent.pop(request_id, None)
        await self.send_json({"event": "ack", "delivery_id": answer.delivery_id})

    def _compare(self, trace: Trace, sent: _Sent | None) -> None:
        """What request and response say of the device's counter and ours."""
        if self.links is None:
            return
        if sent is not None and sent.stamp is not None:
            # As this process remembers it: what a device gives back is the device's word.
            self.links.reached(sent.stamp[0], trace.get("device_receive"))
        self.links.heard(trace.get("device_send"), self.received)

    async def failed(self, message: Message | None) -> None:
        """Ends the connection, so that the device sends over the next one what was not stored."""
        del message
        await self.refuse(1011, "the server failed; connect again")

    def _remember(self, request_id: str, sent: _Sent) -> _Sent:
        if len(self._sent) >= _SENT_MAX:
            self._sent.popitem(last=False)
        self._sent[request_id] = sent
        return sent

    def _known(self) -> Device:
        if self.device is None:
            raise RuntimeError("unknown device: connect with a valid token")
        return self.device

    def _check_news(self) -> None:
        if not self._news.take():
            raise Refusal(
                "rate_limited", "too many status messages of the device; send one every 10 s"
            )

    def _greeted(self) -> Device:
        if not self._attached:
            raise Refusal("malformed", "say hello first")
        return self._known()

    def _trace_of(self, message: Message) -> Trace:
        scope = device_scope(self._known().pk)
        try:
            return Trace.from_message(message.get("trace"), {*DEVICE_KEYS, "server_send"}, scope)
        except TraceError as error:
            # The answer is worth more than its trace.
            logger.warning("%s sends a bad trace: %s", self.who(), error)
            return Trace()


class _Sent:
    """A request that went out over this connection."""

    __slots__ = ("crossing", "reply_channel", "stamp")

    def __init__(
        self,
        reply_channel: str,
        stamp: tuple[Stamp, str] | None,
        crossing: Crossing | None = None,
    ) -> None:
        self.reply_channel = reply_channel
        self.stamp = stamp
        self.crossing = crossing


def _news_of(message: dict[str, Any]) -> dict[str, Any]:
    """What a device says of its clock and its outbox, cut down to what is shown."""
    clock = object_field(message, "clock")
    outbox = object_field(message, "outbox")
    return {
        "clock": storable({name: _short(clock.get(name)) for name in CLOCK_KEYS}),
        "outbox": storable({name: _short(outbox.get(name)) for name in ("waiting", "dropped")}),
    }


def _short(value: object) -> object:
    if isinstance(value, str):
        return value[:200]
    return value if isinstance(value, (bool, int, float)) else None


def _error_of(message: dict[str, Any]) -> dict[str, Any]:
    error = object_field(message, "error")
    text = storable(str(error.get("message", "")))[:2000]
    return {"code": text_field(error, "code", 64, "handler_failed"), "message": text}


def _group(device_id: str) -> str:
    """A device's connections, to take its token back from."""
    return f"device.{device_id}"


_SENT_MAX = 5000
# hello and clock, a second and at once: a device sends one in 10 s.
_NEWS_RATE = (1, 20)
_wrong_tokens = Buckets(*settings.TOKEN_RATE)
_one_at_a_time = asyncio.Lock()

_device_of_token = database_sync_to_async(presence.device_of_token)
_attach = database_sync_to_async(presence.attach)
_detach = database_sync_to_async(presence.detach)
_heard = database_sync_to_async(presence.heard)
_is_revoked = database_sync_to_async(presence.is_revoked)
