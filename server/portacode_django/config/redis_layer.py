"""Redis' channel layer with queues that are bounded in bytes."""

from __future__ import annotations

from channels_redis.pubsub import (  # type: ignore[import-untyped]
    RedisPubSubChannelLayer,
    RedisPubSubLoopLayer,
)
from django.conf import settings

from config.layers import OVERFLOW, BoundedQueue


class RedisLayer(RedisPubSubChannelLayer):  # type: ignore[misc]
    """Messages between processes, by Redis' publish and subscribe."""

    def _get_layer(self) -> RedisPubSubLoopLayer:
        layer = super()._get_layer()
        # A layer makes the queues of its channels itself.
        layer.__class__ = _BoundedLoopLayer
        return layer


class _BoundedLoopLayer(RedisPubSubLoopLayer):  # type: ignore[misc]
    async def _subscribe_to_channel(self, channel: str) -> None:
        self.channels[channel] = BoundedQueue(settings.QUEUE_BYTES_MAX, self._overflow)
        await self._get_shard(channel).subscribe(channel)

    def _overflow(self) -> bytes:
        packed: bytes = self.channel_layer.serialize(OVERFLOW)
        return packed
