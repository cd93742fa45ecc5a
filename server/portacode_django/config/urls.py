"""Addresses of pages, of the JSON interface and of the clock's relay."""

from django.urls import include, path

urlpatterns = [
    path("", include("dashboard.urls")),
]
