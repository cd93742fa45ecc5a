"""Django's relay as a contender, without a limit of requests: `uvicorn relay_django:app`.

Its view over HTTP, its consumer (Channels) over WebSocket, and the middleware that any project has.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings

settings.configure(
    SECRET_KEY="for measurements alone",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF="relay_django",
    ASGI_APPLICATION="relay_django.app",
    INSTALLED_APPS=["portacode"],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.common.CommonMiddleware",
    ],
    PORTACODE_RELAY_RATE=None,
)

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402
from django.urls import include, path  # noqa: E402

http = get_asgi_application()

from portacode.relay.routing import websocket_urlpatterns  # noqa: E402

urlpatterns: list[Any] = [path("clock/", include("portacode.relay.urls"))]
app = ProtocolTypeRouter({"http": http, "websocket": URLRouter(websocket_urlpatterns)})
