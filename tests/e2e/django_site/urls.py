"""The page, and the relay over HTTP."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import include, path

PAGE = """{% load ntp_clock %}<!doctype html>
<meta charset="utf-8"><link rel="icon" href="data:,"><title>t</title>
{% ntp_clock_importmap %}
{% ntp_clock_relay_meta relay %}
<script type="module">
import clock, { NTPClock } from '/static/js/utils/ntp-clock.js';
Object.assign(window, { clock, NTPClock, url: '{% ntp_clock_url %}' });
</script>
"""


def index(request: HttpRequest) -> HttpResponse:
    template = engines["django"].from_string(PAGE)
    return HttpResponse(template.render({"relay": request.GET.get("relay")}, request))


urlpatterns = [path("", index), path("clock/", include("portacode.relay.urls"))]
