"""Browsers' sockets: they send requests to devices, and hear what becomes of all of them.

Every stamp here is of one reading of the synchronised clock, `ntp_clock`.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, ClassVar

from channels.db import database_sync_to_async
from data.instance import entity
from data.models import Project
from data.refusal import Refusal
from data.services import news, presence
from data.services.links import PeerLinks, add_links, browser_scope
from data.services.records import Owner
from data.services.requests import PASSING_S, Asked, Requests, astray
from django.conf import settings
from sockets.base import JsonSocket, logger
from sockets.frames import id_field, text_field
from sockets.sessions import is_logged_in

from dashboard.pending import Pending, PendingRequests, Phase
from portacode import _wire
from portacode.connection.messages import clock_summary
from portacode.limits import Places
from portacode.trace import CLIENT_KEYS, SERVER_KEYS, Trace, TraceError
from portacode.traceparent import carried
from portacode.utils.ntp_clock import ntp_clock

if TYPE_CHECKING:
    from portacode._wire import Message


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
        self._changed = self._looking = False

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
        self.links = PeerLinks(browser_scope(self.user_id))
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
        """What it hears about; None where it was refused."""
        return news.user_group(self._user())

    async def closed(self) -> None:
        """Stores traces as far as they got: nobody will hand in the rest."""
        if self._has_place:
            _places.free(self.user_id)
        for group in self._groups:
            await self.channel_layer.group_discard(group, self.channel_name)
        for request_id, request in self._pending.drain().items():
            try:
                await self._requests.leave(request_id, request.trace)
            except Exception:
                logger.exception("%s: the trace of %s is not stored", self.who(), request_id)

    @property
    def _requests(self) -> Requests:
        """Those of this very socket."""
        return Requests(Owner(self._user(), self.channel_name, self.project_id))

    def _user(self) -> int:
        if self.user_id is None:
            raise RuntimeError("not logged in: nothing is done in anybody's name")
        return self.user_id

    # --- News -----------------------------------------------------------------------------------

    async def devices_changed(self, message: dict[str, Any] | None = None) -> None:
        """Tells which devices there are, and how they are: at once, then now and then at most."""
        del message
        self._changed = True
        if not self._looking:
            self._looking = True
            self.later(self._look())

    async def _look(self) -> None:
        try:
            # Many devices may come at once, each a query for every page: one will do.
            while self._changed:
                self._changed = False
                devices = await _devices_of(self._user(), self.project_id)
                await self.send_json({"event": "devices", "devices": devices})
                await asyncio.sleep(_LOOK_EVERY_S)
        finally:
            self._looking = False

    async def _tell_clock(self) -> None:
        while not self._done:
            notice = {
                "event": "server_clock",
                "entity": entity(),
                "clock": clock_summary(self.clock),
            }
            await self.send_json({**notice, "link": self.links and self.links.state()})
            await asyncio.sleep(_CLOCK_EVERY_S)

    async def _check_session(self) -> None:
        while not self._done:
            await asyncio.sleep(settings.SESSION_CHECK_S)
            if not await is_logged_in(self.scope["session"].session_key, self._user()):
                await self.refuse(4401, "not logged in any more")

    # --- A request, in the order of what happens ------------------------------------------------

    async def on_command(self, message: Message) -> None:
        """The browser asks something of a device."""
        request_id = id_field(message, "request_id")
        if request_id in self._pending:
            raise Refusal("duplicate_request", "a request with this request_id is under way")
        trace = self._trace_of(message)
        asked = Asked(
            request_id,
            text_field(message, "device_id", 64),
            text_field(message, "command", 64),
            message.text("payload"),
            carried(text_field(message, "traceparent", _TRACEPARENT_CHARS, "")) or "",
        )
        trace.put("server_receive", self.received, entity())
        if self.links is not None:
            self.links.heard(trace.get("client_send"), self.received)
        request = Pending(asked.device_id, trace)
        if not self._pending.add(request_id, request, settings.REQUEST_TIMEOUT_S):
            await self._fail(request_id, request, Refusal("busy", "too many requests under way"))
            return
        try:
            await self._requests.open(asked, trace)
        except Refusal as refusal:
            await self._fail(request_id, request, refusal)
        except Exception:
            self._pending.pop(request_id)
            raise

    async def request_progress(self, event: dict[str, Any]) -> None:
        """From the device: it is at work, and may take its time."""
        request = self._pending.waiting(event["request_id"])
        if request is not None:
            self._pending.renew(event["request_id"], settings.REQUEST_TIMEOUT_S)
            trace = Trace.from_message(json.loads(event["trace"]))
            trace.merge(request.trace, SERVER_KEYS)
            await self.send_text(_wire.extended(event["message"], {"trace": trace.to_message()}))

    async def request_response(self, event: dict[str, Any]) -> None:
        """From the device: the answer, which is stored already."""
        request = self._pending.waiting(event["request_id"])
        if request is None:
            logger.info("%s: %s is answered too late", self.who(), event["request_id"])
            return
        request.trace = Trace.from_message(json.loads(event["trace"]))
        await self._answer(event["request_id"], request, event["message"])

    async def request_refused(self, event: dict[str, Any]) -> None:
        """From the device's consumer: it could not be sent."""
        request = self._pending.waiting(event["request_id"])
        if request is not None:
            refusal = Refusal(event["code"], event["message"])
            await self._requests.expire(event["request_id"], refusal)
            await self._fail(event["request_id"], request, refusal)

    async def on_trace_complete(self, message: Message) -> None:
        """The browser has the answer, and hands in its own stamps."""
        request_id = id_field(message, "request_id")
        request = self._pending.get(request_id)
        if request is None or request.phase is not Phase.CLIENT:
            return
        trace = self._trace_of(message)
        self._pending.pop(request_id)
        request.trace.merge(trace, CLIENT_KEYS)
        if self.links is not None:
            # The browser's stamp, and ours as this process made it.
            sent = request.trace.get("server_send_response")
            self.links.reached(sent, request.trace.get("client_receive"))
        await self._requests.finish(request_id, request.trace)

    # --- Answers and ends -----------------------------------------------------------------------

    async def refused(self, message: Message | None, refusal: Refusal) -> None:
        """A refused request is answered as a request is, with its stamps; else as an error."""
        trace = self._trace_of_refused(message)
        # One that is under way keeps its record and its answer.
        if message is None or trace is None or message["request_id"] in self._pending:
            await super().refused(message, refusal)
            return
        trace.put("server_receive", self.received, entity())
        await self._fail(message["request_id"], Pending("", trace), refusal)

    def _trace_of(self, message: dict[str, Any]) -> Trace:
        """The stamps that are the browser's to make."""
        try:
            scope = browser_scope(self._user())
            return Trace.from_message(message.get("trace"), CLIENT_KEYS, scope)
        except TraceError as error:
            raise Refusal("malformed", str(error)) from error

    def _trace_of_refused(self, message: Message | None) -> Trace | None:
        """The stamps of what would have been a request; None where it was not even one."""
        if (
            message is None
            or message["event"] != "command"
            or not _wire.is_id(message.get("request_id"))
        ):
            return None
        try:
            return self._trace_of(message)
        except Refusal:
            return None

    async def _fail(self, request_id: str, request: Pending, refusal: Refusal) -> None:
        """Answers a request with an error of the server's own."""
        message = {"event": "response", "request_id": request_id, "device_id": request.device_id}
        notice = {**message, "status": "error", "error": refusal.to_json()}
        await self._answer(request_id, request, _wire.encode(notice))

    async def _answer(self, request_id: str, request: Pending, text: str) -> None:
        request.phase = Phase.CLIENT
        if request_id in self._pending:
            self._pending.renew(request_id, _TRACE_COMPLETE_S)
        add_links(request.trace)
        request.trace.stamp("server_send_response", self.clock, entity())
        await self.send_text(_wire.extended(text, {"trace": request.trace.to_message()}))

    def _too_late(self, request_id: str) -> None:
        request = self._pending.get(request_id)
        if request is not None and request.phase is Phase.CLIENT:
            self._pending.pop(request_id)
            self.later(self._finish(request_id, request.trace))
        elif request is not None:
            self.later(self._time_out(request_id, request))

    async def _finish(self, request_id: str, trace: Trace) -> None:
        await self._requests.finish(request_id, trace)

    async def _time_out(self, request_id: str, request: Pending) -> None:
        if request.phase is Phase.PASSING:
            await self._fail(request_id, request, astray())
            return
        limit_s = settings.REQUEST_TIMEOUT_S
        refusal = Refusal("timeout", f"the device has not answered within {limit_s:g} s")
        ended = await self._requests.expire(request_id, refusal)
        if self._pending.waiting(request_id) is not request:
            return
        if ended:
            await self._fail(request_id, request, refusal)
            return
        # The record has an answer, which must be about to come.
        request.phase = Phase.PASSING
        self._pending.renew(request_id, PASSING_S)


class ProjectConsumer(DashboardConsumer):
    """`/ws/projects/<slug>/`: the devices of one project."""

    async def group(self) -> str | None:
        """The project must be the user's."""
        slug = self.scope["url_route"]["kwargs"]["slug"]
        self.project_id = await _project_of(self._user(), slug)
        if self.project_id is None:
            # Another user's project looks to everybody as if it did not exist.
            await self.refuse(4403, "there is no such project of yours")
            return None
        return news.project_group(self.project_id)


@database_sync_to_async
def _project_of(user_id: int, slug: str) -> int | None:
    projects = Project.objects.filter(owner_id=user_id, slug=slug)
    return projects.values_list("pk", flat=True).first()


_CLOCK_EVERY_S = 5.0
# Seconds for the browser to hand in its stamps.
_TRACE_COMPLETE_S = 5.0
# Seconds between two looks at the devices.
_LOOK_EVERY_S = 0.25
_places = Places(settings.USER_SOCKETS_MAX)

_devices_of = database_sync_to_async(presence.devices_of)
# Later versions may be longer than the one we know.
_TRACEPARENT_CHARS = 1024
