"""Addresses of pages and of the JSON interface."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from dashboard import api, login, views

urlpatterns = [
    path("", views.dashboard, name="dashboard"),
    path("projects/", views.projects, name="projects"),
    path("projects/<slug:slug>/", views.project, name="project"),
    path("login/", login.LimitedLoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("healthz", views.health, name="health"),
    path("api/devices/", api.devices, name="api-devices"),
    path("api/devices/<str:device_id>/commands/", api.commands, name="api-commands"),
    path("api/order/", api.order, name="api-order"),
    path("api/links/", api.links, name="api-links"),
    path("api/traces/", api.traces, name="api-traces"),
    path("api/traces/<str:request_id>/", api.trace, name="api-trace"),
]
