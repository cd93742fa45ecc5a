"""A page in a project whose relay is a WebSocket's alone."""

from __future__ import annotations

from django.urls import path

from django_project.urls import page

urlpatterns = [path("page/", page)]
