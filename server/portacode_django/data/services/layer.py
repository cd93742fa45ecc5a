"""The channel layer, by which consumers reach one another in whatever process they are.

Each message says when it was handed over, by its sender's counter: servers on different machines
learn from that how their counters stand to one another (`data.services.links`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from channels.layers import get_channel_layer

from data.services.links import HANDED_OVER, handed_over

if TYPE_CHECKING:
    from channels.layers import BaseChannelLayer


def channel_layer() -> BaseChannelLayer:
    """The one that the settings name."""
    layer = get_channel_layer()
    assert layer is not None, "CHANNEL_LAYERS names none"
    return layer


async def send(channel: str, message: dict[str, Any]) -> None:
    """Sends a message to the reader of this channel."""
    await channel_layer().send(channel, {**message, HANDED_OVER: handed_over()})


async def group_send(group: str, message: dict[str, Any]) -> None:
    """Sends a message to all of a group."""
    await channel_layer().group_send(group, {**message, HANDED_OVER: handed_over()})
