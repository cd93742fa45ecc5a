"""`manage.py device`: makes devices, gives tokens, takes them back."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from data.models import Device, Project
from data.services.layer import channel_layer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO


class Command(BaseCommand):
    """One device of one user."""

    help = "Makes a device, renews its token, or takes its token back."

    def add_arguments(self, parser: CommandParser) -> None:
        """What to do with which device."""
        parser.add_argument("action", choices=("add", "renew", "revoke"))
        parser.add_argument("name")
        parser.add_argument("--owner", required=True, help="a user's name")
        parser.add_argument("--project", help="a project's slug; it is made where there is none")
        parser.add_argument(
            "--token-file",
            metavar="FILE",
            type=Path,
            help="write the token to a new file that only its owner can read, "
            "and print the id alone",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Prints the token, the only time it is shown."""
        del args
        revoke, path = options["action"] == "revoke", options["token_file"]
        if revoke and path is not None:
            raise CommandError("revoke gives no token: leave --token-file out")
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
        before = device.channel
        # All of it or nothing: a token that nobody saw is of no use.
        with _new_file(path) as file, transaction.atomic():
            if slug := options["project"]:
                device.project, _ = Project.objects.get_or_create(
                    slug=slug, owner=owner, defaults={"name": slug}
                )
            if revoke:
                device.revoked_at = timezone.now()
                device.channel = ""
            else:
                token = device.renew_token()
            device.save()
            if file is not None:
                file.write(f"{token}\n")
                file.flush()
        if before:
            # At once where processes reach one another; else when it next tells of its clock.
            # Without a stamp: a command that only does this needs no clock.
            async_to_sync(channel_layer().send)(before, {"type": "device.revoked"})
        if not revoke:
            self.stdout.write(f"{device.pk} {token}" if path is None else f"{device.pk}")


@contextlib.contextmanager
def _new_file(path: Path | None) -> Iterator[TextIO | None]:
    """A file that was not there, for its owner alone; it goes again where what is done fails."""
    if path is None:
        yield None
        return
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise CommandError(
            f"{path} is there already and is not overwritten: name another file, or remove it"
        ) from None
    except OSError as error:
        raise CommandError(f"cannot make the token's file: {error}") from error
    try:
        with os.fdopen(number, "w", encoding="ascii") as file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise
