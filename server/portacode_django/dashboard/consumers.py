"""Browsers' sockets: they send requests to devices, and are told what becomes of all of them.

Every stamp here is of one reading of the synchronised clock, `ntp_clock`.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from channels.db import database_sync_to_async
from data.models import Project
from data.services import news, presence, requests, telemetry
from django.conf import settings
from sockets.base import JsonSocket, logger
from sockets.frames import Refusal, id_field, text_field
from sockets.instance import entity
from sockets.limits import Places
from sockets.sessions import is_logged_in

from dashboard.pending import Pending, PendingRequests, Phase
from portacode.connection.messages import clock_summary
from portacode.trace import CLIENT_KEYS, Trace, TraceError
from portacode.utils.ntp_clock import ntp_clock


class DashboardConsumer(JsonSocket):
    """`/ws/dashboard/`: all devices of the user who is logged in."""

    clock = ntp_clock
    rate: ClassVar[tuple[float, float]] = settings.BROWSER_RATE
    idle_s: ClassVar[float] = settings.BROWSER_IDLE_S

    def __init__(self) -> None:
        super().__init__()
        self.user_id: int | None = None
        self.project_id: int | None = None
        self._groups: list[str] = []
        self._has_place = False
        self._pending = PendingRequests(settings.PENDING_MAX, self._too_late)

    def who(self) -> str:
        """The user, once logged in."""
        return super().who() + (f" (user {self.user_id})" if self.user_id else "")

    # --- Coming and going -----------------------------------------------------------------------

    async def opened(self) -> None:
        """Only users who are logged in, and not with too many sockets."""
        user = self.scope["user"]
        if not user.is_authenticated:
            await self.refuse(4401, "not logged in")
            return
        self.user_id = user.pk
        if not _places.take(self.user_id):
            await self.refuse(4429, "too many connections of this user")
            return
        self._has_place = True
        group = await self.group()
        if group is None:
            return
        self._groups.append(group)
        await self.channel_layer.group_add(group, self.channel_name)
        await self.accept()
        await self.devices_changed()
        self.later(self._tell_clock())
        self.later(self._check_session())

    async def group(self) -> str | None:
        """What it is told about; None where it was refused."""
        assert self.user_id is not None
        return news.user_group(self.user_id)

    async def closed(self) -> None:
        """Stores traces as far as they got: nobody will hand in the rest."""
        if self._has_place:
            _places.free(self.user_id)
        for group in self._groups:
            await self.channel_layer.group_discard(group, self.channel_name)
        for request_id, request in self._pending.drain().items():
            if request.phase is Phase.CLIENT:
                await self._store(request_id, request)

    # --- News -----------------------------------------------------------------------------------

    async def devices_changed(self, message: dict[str, Any] | None = None) -> None:
        """Tells which devices there are, and how they are."""
        del message
        assert self.user_id is not None
        devices = await _devices_of(self.user_id, self.project_id)
        await self.send_json({"event": "devices", "devices": devices})

    async def _tell_clock(self) -> None:
        while not self._done:
            status = clock_summary(self.clock)
            await self.send_json({"event": "server_clock", "entity": entity(), "clock": status})
            await asyncio.sleep(_CLOCK_EVERY_S)

    async def _check_session(self) -> None:
        assert self.user_id is not None
        while not self._done:
            await asyncio.sleep(settings.SESSION_CHECK_S)
            if not await is_logged_in(self.scope["session"].session_key, self.user_id):
                await self.refuse(4401, "not logged in any more")

    # --- A request, in the order of what happens ------------------------------------------------

    async def on_command(self, message: dict[str, Any]) -> None:
        """The browser asks something of a device."""
        assert self.received is not None
        assert self.user_id is not None
        request_id = id_field(message, "request_id")
        if request_id in self._pending:
            raise Refusal("duplicate_request", "a request of this request_id is under way")
        trace = _trace_of(message)
        trace.put("server_receive", self.received, entity())
        device_id = text_field(message, "device_id", 64)
        traceparent = text_field(message, "traceparent", 128, "")
        request = Pending(device_id, trace, traceparent)
        if not self._pending.add(request_id, request, settings.REQUEST_TIMEOUT_S):
            await self._fail(request_id, request, Refusal("busy", "too many requests under way"))
            return
        command: dict[str, Any] = {"event": "command", "request_id": request_id}
        try:
            command |= {"device_id": device_id, "command": text_field(message, "command", 64)}
            route = await _open_request(
                user_id=self.user_id,
                project_id=self.project_id,
                device_id=device_id,
                request_id=request_id,
                command=command["command"],
                trace=trace,
                traceparent=traceparent,
                reply_channel=self.channel_name,
            )
        except Refusal as refusal:
            await self._fail(request_id, request, refusal)
            return
        command |= {"payload": message.get("payload"), "trace": trace.to_message()}
        if traceparent:
            command["traceparent"] = traceparent
        sent = {"type": "device.command", "message": command, "reply_channel": self.channel_name}
        await self.channel_layer.send(route.channel, sent)

    async def request_progress(self, event: dict[str, Any]) -> None:
        """From the device: it is at work, and may take its time."""
        message = event["message"]
        request = self._pending.get(message["request_id"], Phase.DEVICE)
        if request is not None:
            self._pending.renew(message["request_id"], settings.REQUEST_TIMEOUT_S)
            message["trace"] = requests.merged(message["trace"], request.trace).to_message()
            await self.send_json(message)

    async def request_response(self, event: dict[str, Any]) -> None:
        """From the device: the answer, which is stored already."""
        message = event["message"]
        request = self._pending.get(message["request_id"], Phase.DEVICE)
        if request is None:
            logger.info("%s: %s is answered too late", self.who(), message["request_id"])
            return
        request.trace = Trace.from_message(message["trace"])
        await self._answer(message, request)

    async def request_refused(self, event: dict[str, Any]) -> None:
        """From the device's consumer: it could not be sent."""
        request = self._pending.get(event["request_id"], Phase.DEVICE)
        if request is not None:
            await self._fail(event["request_id"], request, Refusal(**event["error"]))

    async def on_trace_complete(self, message: dict[str, Any]) -> None:
        """The browser has the answer, and hands in its own stamps."""
        request_id = id_field(message, "request_id")
        if self._pending.get(request_id, Phase.CLIENT) is None:
            return
        trace = _trace_of(message)
        request = self._pending.pop(request_id)
        assert request is not None
        request.trace.merge(trace, CLIENT_KEYS)
        await self._store(request_id, request)

    # --- Answers and ends -----------------------------------------------------------------------

    async def refused(self, message: dict[str, Any] | None, refusal: Refusal) -> None:
        """A refused request is answered as a request is, with its stamps; else as an error."""
        try:
            assert message is not None
            assert message["event"] == "command"
            request_id = id_field(message, "request_id")
            trace = _trace_of(message)
        except (AssertionError, Refusal):
            await super().refused(message, refusal)
            return
        if self.received is not None:
            trace.put("server_receive", self.received, entity())
        if request_id in self._pending:
            # The one under way keeps its record and its answer.
            await super().refused(message, refusal)
            return
        await self._fail(request_id, Pending("", trace, ""), refusal)

    async def _fail(self, request_id: str, request: Pending, refusal: Refusal) -> None:
        """Answers a request with an error of the server's own."""
        message = {"event": "response", "request_id": request_id, "device_id": request.device_id}
        await self._answer(
            {**message, "status": "error", "error": refusal.to_json()},
            request,
        )

    async def _answer(self, message: dict[str, Any], request: Pending) -> None:
        request_id = message["request_id"]
        request.phase = Phase.CLIENT
        if request_id in self._pending:
            self._pending.renew(request_id, _TRACE_COMPLETE_S)
        request.trace.stamp("server_send_response", self.clock, entity())
        await self.send_json({**message, "trace": request.trace.to_message()})

    def _too_late(self, request_id: str) -> None:
        if self._pending.get(request_id, Phase.DEVICE) is not None:
            self.later(self._time_out(request_id))
        elif (request := self._pending.pop(request_id)) is not None:
            self.later(self._store(request_id, request))

    async def _time_out(self, request_id: str) -> None:
        limit_s = settings.REQUEST_TIMEOUT_S
        refusal = Refusal("timeout", f"the device has not answered within {limit_s:g} s")
        await _expire(request_id, refusal.to_json())
        request = self._pending.get(request_id, Phase.DEVICE)
        if request is not None:
            await self._fail(request_id, request, refusal)

    async def _store(self, request_id: str, request: Pending) -> None:
        finished = await _finish(request_id, request.trace)
        if finished is None:
            # Refused before it was recorded.
            return
        telemetry.export(finished.record, request.traceparent)
        told = {"event": "trace", "trace_record": finished.record}
        assert self.user_id is not None
        await news.tell_dashboards(self.user_id, finished.project_id, told)


class ProjectConsumer(DashboardConsumer):
    """`/ws/projects/<slug>/`: the devices of one project."""

    async def group(self) -> str | None:
        """The project must be the user's."""
        assert self.user_id is not None
        slug = self.scope["url_route"]["kwargs"]["slug"]
        self.project_id = await _project_of(self.user_id, slug)
        if self.project_id is None:
            # Another user's project is told from none at all by nobody.
            await self.refuse(4403, "there is no such project of yours")
            return None
        return news.project_group(self.project_id)


def _trace_of(message: dict[str, Any]) -> Trace:
    """The stamps that are the browser's to make."""
    try:
        return Trace.from_message(message.get("trace"), CLIENT_KEYS)
    except TraceError as error:
        raise Refusal("malformed", str(error)) from error


@database_sync_to_async
def _project_of(user_id: int, slug: str) -> int | None:
    projects = Project.objects.filter(owner_id=user_id, slug=slug)
    return projects.values_list("pk", flat=True).first()


_CLOCK_EVERY_S = 5.0
# Seconds for the browser to hand in its stamps.
_TRACE_COMPLETE_S = 5.0
_places = Places(settings.USER_SOCKETS_MAX)

_devices_of = database_sync_to_async(presence.devices_of)
_open_request = database_sync_to_async(requests.open_request)
_expire = database_sync_to_async(requests.expire)
_finish = database_sync_to_async(requests.finish)
