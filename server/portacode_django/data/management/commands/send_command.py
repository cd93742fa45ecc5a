"""`manage.py send_command`: asks a device something, in its owner's name, and shows the trace."""

from __future__ import annotations

import json
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q

from data.models import Device
from data.services.device_client import DeviceClient
from portacode import _wire
from portacode.utils.ntp_clock import ntp_clock


class Command(BaseCommand):
    """One traced request."""

    help = "Sends a device a command and prints its answer with the trace, as JSON."

    def add_arguments(self, parser: CommandParser) -> None:
        """What to whom."""
        parser.add_argument("device", help="a device's id, or its name where only one has it")
        parser.add_argument("command")
        parser.add_argument("--payload", default="null", help="JSON")
        parser.add_argument("--timeout", type=float, default=settings.REQUEST_TIMEOUT_S)

    def handle(self, *args: Any, **options: Any) -> None:
        """Asks; a device's error is an error of this command."""
        del args
        if not settings.REDIS_URL:
            raise CommandError(
                "this is another process than the server, and reaches it over Redis only: set "
                "REDIS_URL for both, or POST to /api/devices/ID/commands/ instead"
            )
        try:
            payload = _wire.checked(options["payload"])
        except _wire.WireError as error:
            raise CommandError(f"--payload: {error}") from error
        named = Q(pk=options["device"]) | Q(name=options["device"])
        found = list(Device.objects.filter(named)[:2])
        if len(found) != 1:
            how_many = "several devices are" if found else "no device is"
            raise CommandError(f"{how_many} called {options['device']}")
        ntp_clock.wait_synced(5)
        client = DeviceClient(found[0].owner_id, options["timeout"])
        answer = async_to_sync(client.ask)(found[0].pk, options["command"], payload)
        self.stdout.write(json.dumps(answer.to_json(), indent=2))
        if answer.error is not None:
            raise CommandError(f"{answer.error['code']}: {answer.error['message']}")
