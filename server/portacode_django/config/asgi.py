"""The ASGI application: pages, sockets and the clock's relay."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.core.asgi import get_asgi_application

# Consumers need the models, which this loads.
pages = get_asgi_application()

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from dashboard.consumers import DashboardConsumer, ProjectConsumer
from django.urls import path, re_path
from gateway.consumers import DeviceConsumer
from sockets.origin import OriginGuard
from sockets.refusal import NotFound

from portacode.otel import require
from portacode.relay.asgi import with_relay

require("server", "browser")

devices = DeviceConsumer.as_asgi()
browsers = OriginGuard(
    AuthMiddlewareStack(
        URLRouter(
            [
                path("ws/dashboard/", DashboardConsumer.as_asgi()),
                path("ws/projects/<slug:slug>/", ProjectConsumer.as_asgi()),
                re_path("", NotFound.as_asgi()),
            ]
        )
    )
)


async def sockets(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Devices send no cookies and no origin: their token is all there is to look at."""
    await (devices if scope["path"] == "/ws/devices/" else browsers)(scope, receive, send)


application = with_relay(
    ProtocolTypeRouter({"http": pages, "websocket": sockets}), "/clock/", metrics=True
)
