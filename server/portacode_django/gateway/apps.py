"""The app's configuration."""

from django.apps import AppConfig


class GatewayConfig(AppConfig):
    """Devices' connections."""

    name = "gateway"
