"""The app's configuration."""

from django.apps import AppConfig


class DataConfig(AppConfig):
    """Projects, devices, traces."""

    name = "data"
    default_auto_field = "django.db.models.BigAutoField"
