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
from data.services.links import counted
from django.urls import path, re_path
from gateway.consumers import DeviceConsumer
from sockets.origin import OriginGuard
from sockets.places import of_scope
from sockets.refusal import NotFound

from portacode.otel import active, install, require
from portacode.relay.asgi import route_path, with_relay

if active():
    # Spans, logs and metrics of whatever instruments this server.
    install()
    require("server", "browser")


def _view(consumer: Any) -> Any:
    """For Django's `path`, whose types know views only."""
    return consumer.as_asgi()


devices: Any = DeviceConsumer.as_asgi()
routes: list[Any] = [
    path("ws/dashboard/", _view(DashboardConsumer)),
    path("ws/projects/<slug:slug>/", _view(ProjectConsumer)),
    re_path("", _view(NotFound)),
]
logged_in: Any = AuthMiddlewareStack(URLRouter(routes))
browsers = OriginGuard(logged_in)


async def sockets(scope: Any, receive: Any, send: Any) -> None:
    """Devices send no cookies and no origin: their token is all there is to look at."""
    await (devices if route_path(scope) == "/ws/devices/" else browsers)(scope, receive, send)


served = with_relay(
    ProtocolTypeRouter({"http": pages, "websocket": sockets}),
    "/clock/",
    metrics=True,
    links=counted,
)


async def application(scope: Any, receive: Any, send: Any) -> None:
    """All of it, for connections that are their askers', whatever proxy brings them."""
    place = of_scope(scope)
    client = scope.get("client")
    if place is not None and client:
        place.move(client[0])
    await served(scope, receive, send)
