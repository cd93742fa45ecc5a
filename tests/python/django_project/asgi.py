"""For uvicorn: Django, the relay's WebSocket, and sockets that the project has of its own."""

from __future__ import annotations

import os
from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path

from django_project.consumers import Dashboard, OneCall
from portacode.relay.routing import websocket_urlpatterns

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_project.settings")

routes: list[Any] = [
    *websocket_urlpatterns,
    path("ws/dashboard/", Dashboard.as_asgi()),  # type: ignore[arg-type]
    path("ws/one-call/", OneCall.as_asgi()),  # type: ignore[arg-type]
]
application = ProtocolTypeRouter({"http": get_asgi_application(), "websocket": URLRouter(routes)})
