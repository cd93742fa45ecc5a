"""Requests of one socket that are under way, each with a limit on how long it may be."""

from __future__ import annotations

import asyncio
import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from portacode.trace import Trace


class Phase(enum.Enum):
    """How far a request has got."""

    DEVICE = "device"
    """The device is to answer."""
    PASSING = "passing"
    """It has answered, as the record says, and the answer is on its way here."""
    CLIENT = "client"
    """The browser has the answer, and is to hand in its stamps."""


class Pending:
    """A request under way."""

    __slots__ = ("device_id", "phase", "timer", "trace")

    def __init__(self, device_id: str, trace: Trace) -> None:
        self.device_id = device_id
        self.trace = trace
        self.phase = Phase.DEVICE
        self.timer: asyncio.TimerHandle | None = None


class PendingRequests:
    """All of them; `late` is called with the id of one whose phase has lasted too long."""

    def __init__(self, most: int, late: Callable[[str], None]) -> None:
        self._most = most
        self._late = late
        self._requests: dict[str, Pending] = {}

    def add(self, request_id: str, request: Pending, limit_s: float) -> bool:
        """Begins one; False where there are too many."""
        if len(self._requests) >= self._most:
            return False
        self._requests[request_id] = request
        self.renew(request_id, limit_s)
        return True

    def renew(self, request_id: str, limit_s: float) -> None:
        """It may last so long from now on."""
        request = self._requests[request_id]
        if request.timer is not None:
            request.timer.cancel()
        loop = asyncio.get_running_loop()
        request.timer = loop.call_later(limit_s, self._late, request_id)

    def get(self, request_id: str) -> Pending | None:
        """One that is under way."""
        return self._requests.get(request_id)

    def waiting(self, request_id: str) -> Pending | None:
        """One whose browser has no answer yet."""
        request = self._requests.get(request_id)
        return None if request is None or request.phase is Phase.CLIENT else request

    def pop(self, request_id: str) -> Pending | None:
        """Ends one."""
        request = self._requests.pop(request_id, None)
        if request is not None and request.timer is not None:
            request.timer.cancel()
        return request

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._requests

    def drain(self) -> dict[str, Pending]:
        """Ends all of them."""
        left, self._requests = self._requests, {}
        for request in left.values():
            if request.timer is not None:
                request.timer.cancel()
        return left
