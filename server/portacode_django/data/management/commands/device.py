"""`manage.py device`: makes devices, gives tokens, takes them back."""

from __future__ import annotations

from typing import Any

from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from data.models import Device, Project
from data.services.layer import channel_layer


class Command(BaseCommand):
    """One device of one user."""

    help = "Makes a device, renews its token, or takes its token back."

    def add_arguments(self, parser: CommandParser) -> None:
        """What to do with which device."""
        parser.add_argument("action", choices=("add", "renew", "revoke"))
        parser.add_argument("name")
        parser.add_argument("--owner", required=True, help="a user's name")
        parser.add_argument("--project", help="a project's slug; it is made where there is none")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prints the token, the only time it is told."""
        del args
        owner = get_user_model().objects.filter(username=options["owner"]).first()
        if owner is None:
            raise CommandError(f"there is no user {options['owner']}")
        device = Device.objects.filter(owner=owner, name=options["name"]).first()
        if options["action"] == "add":
            if device is not None:
                raise CommandError(f"{owner} has a device {options['name']} already")
            device = Device(owner=owner, name=options["name"])
        elif device is None:
            raise CommandError(f"{owner} has no device {options['name']}")
        if slug := options["project"]:
            device.project, _ = Project.objects.get_or_create(
                slug=slug, owner=owner, defaults={"name": slug}
            )
        before = device.channel
        if options["action"] == "revoke":
            device.revoked_at = timezone.now()
            device.channel = ""
        else:
            token = device.renew_token()
        device.save()
        if before:
            # At once where processes reach one another; else when it next tells of its clock.
            async_to_sync(channel_layer().send)(before, {"type": "device.revoked"})
        if options["action"] != "revoke":
            self.stdout.write(f"{device.pk} {token}")
