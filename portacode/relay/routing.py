"""The relay's WebSocket route for Channels: URLRouter([*websocket_urlpatterns, ...])."""

from __future__ import annotations

from typing import Any

from django.urls import path

from portacode.relay.consumers import ClockConsumer

PATH = "ws/clock/"

websocket_urlpatterns: list[Any] = [
    path(PATH, ClockConsumer.as_asgi(), name="portacode_relay_websocket"),  # type: ignore[arg-type]
]
