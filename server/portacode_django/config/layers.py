"""A channel layer whose queues are bounded in bytes.

Channels' own queues are bounded in messages, or not at all, and a message may have 64 KiB: for
a slow reader hundreds of megabytes could be kept. Here a queue that has grown too long is
emptied and ends with one message, `channel.overflow`, so that its reader knows that it missed
something, and can say so.
"""

from __future__ import annotations

import asyncio
from typing import Any

from channels.layers import InMemoryChannelLayer
from django.conf import settings


class InMemoryLayer(InMemoryChannelLayer):
    """Messages within one process, to channels that somebody reads."""

    async def new_channel(self, prefix: str = "specific.") -> str:
        """A channel that is there until its receiver is cancelled."""
        channel: str = await super().new_channel(prefix)
        self.channels[channel] = BoundedQueue(settings.QUEUE_BYTES_MAX)
        return channel

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        """Puts a message into a channel's queue; one that nobody reads has none."""
        queue = self.channels.get(channel)
        if queue is not None:
            queue.put_nowait(dict(message))  # type: ignore[arg-type]

    async def receive(self, channel: str) -> dict[str, Any]:
        """The next message."""
        queue = self.channels[channel]
        try:
            message: dict[str, Any] = await queue.get()  # type: ignore[assignment]
        except asyncio.CancelledError:
            self.channels.pop(channel, None)
            for group in list(self.groups):
                await self.group_discard(group, channel)
            raise
        return message

    def _clean_expired(self) -> None:
        """Nothing: channels end with their receivers, and are not read later."""


class BoundedQueue(asyncio.Queue[Any]):
    """A queue of messages, plain or packed, that holds this many bytes.

    Args:
        most: How many. One message always fits.
        overflow: Makes the message that takes the place of what did not.
    """

    def __init__(self, most: int, overflow: Any = lambda: dict(OVERFLOW)) -> None:
        super().__init__()
        self._most = most
        self._overflow = overflow
        self.bytes = 0
        """How many it holds."""

    def _put(self, item: Any) -> None:
        size = _size_of(item)
        if self.bytes and self.bytes + size > self._most:
            while not self.empty():
                self._get()
            item = self._overflow()
            size = _size_of(item)
        self.bytes += size
        super()._put(item)

    def _get(self) -> Any:
        item = super()._get()
        self.bytes -= _size_of(item)
        return item


def _size_of(item: Any) -> int:
    """Of a message's texts; what else it has is small."""
    if isinstance(item, bytes):
        return len(item)
    return sum(len(text) for text in item.values() if isinstance(text, str))


OVERFLOW: dict[str, Any] = {"type": "channel.overflow"}
"""In the place of messages that did not fit."""
