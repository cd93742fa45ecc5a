"""The relay and a page that uses it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import include, path

from portacode.relay.views import clock, clock_async


def page(request: HttpRequest) -> HttpResponse:
    return render(request, "page.html")


urlpatterns = [
    path("clock/", include("portacode.relay.urls")),
    path("sync/", clock),
    path("async/", clock_async),
    path("page/", page),
]
