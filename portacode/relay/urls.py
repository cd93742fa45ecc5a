"""The relay's URLs: path("clock/", include("portacode.relay.urls")).

Named `portacode_relay:clock` and `portacode_relay:metrics`.
"""

from __future__ import annotations

from django.conf import settings
from django.urls import path

from portacode.relay.views import clock, clock_async, metrics

app_name = "portacode_relay"
# Both do under both servers; each is the quicker under its own.
urlpatterns = [
    path("", clock_async if getattr(settings, "ASGI_APPLICATION", None) else clock, name="clock"),
    path("metrics", metrics, name="metrics"),
]
