"""Pages; everything that moves on them comes over sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data.instance import entity
from data.models import Project
from django.contrib.auth.decorators import login_required
from django.http import JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from portacode.utils.ntp_clock import ntp_clock

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


@login_required
def dashboard(request: HttpRequest) -> HttpResponse:
    """Clocks, traces and latencies of all the user's devices."""
    return render(request, "dashboard/dashboard.html", {"scope": "dashboard"})


@login_required
def projects(request: HttpRequest) -> HttpResponse:
    """The user's projects."""
    found = Project.objects.filter(owner_id=request.user.pk).order_by("name")
    return render(request, "dashboard/projects.html", {"projects": found})


@login_required
def project(request: HttpRequest, slug: str) -> HttpResponse:
    """The same as the dashboard for one project, over a socket of its own."""
    found = get_object_or_404(Project, owner_id=request.user.pk, slug=slug)
    return render(request, "dashboard/dashboard.html", {"scope": "project", "project": found})


@require_GET
def health(request: HttpRequest) -> JsonResponse:
    """For load balancers: this process serves, and whether it knows the time."""
    del request
    synced = ntp_clock.now_ms() is not None
    return JsonResponse({"ok": True, "entity": entity(), "clock_synced": synced})
