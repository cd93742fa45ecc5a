"""The channel layer, by which consumers reach one another in whatever process they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from channels.layers import get_channel_layer

if TYPE_CHECKING:
    from channels.layers import BaseChannelLayer


def channel_layer() -> BaseChannelLayer:
    """The one that the settings name."""
    layer = get_channel_layer()
    assert layer is not None, "CHANNEL_LAYERS names none"
    return layer
