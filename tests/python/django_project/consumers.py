"""Sockets that a project has anyway, and on which its pages synchronise."""

from __future__ import annotations

from typing import Any

from channels.generic.websocket import AsyncJsonWebsocketConsumer

from portacode.relay import answer, receipt
from portacode.relay.consumers import ClockSyncMixin


class Dashboard(ClockSyncMixin, AsyncJsonWebsocketConsumer):
    """With the mixin it need not know of the clock at all."""

    async def receive_json(self, content: Any, **_: Any) -> None:
        await self.send_json({"echo": content, "stamped": self.received is not None})


class OneCall(AsyncJsonWebsocketConsumer):
    """By one call where the messages are distinguished."""

    async def receive_json(self, content: Any, **_: Any) -> None:
        received = receipt()
        reply = answer(content, received)
        await self.send_json({"echo": content} if reply is None else reply)
