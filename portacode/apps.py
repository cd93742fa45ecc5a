"""portacode as a Django application: INSTALLED_APPS += ["portacode"]."""

from __future__ import annotations

from django.apps import AppConfig


class PortacodeConfig(AppConfig):
    """Static files, template tags, the relay, and checks of their settings."""

    name = "portacode"
    verbose_name = "Portacode clock"

    def ready(self) -> None:
        """Registers the checks, and starts the clock."""
        import portacode.relay.checks
        import portacode.utils.ntp_clock  # noqa: F401
