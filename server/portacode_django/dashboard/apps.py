"""The app's configuration."""

from django.apps import AppConfig


class DashboardConfig(AppConfig):
    """Pages, JSON, browsers' sockets."""

    name = "dashboard"
