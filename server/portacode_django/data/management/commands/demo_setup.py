"""`manage.py demo_setup`: a user, a project and devices to look at."""

from __future__ import annotations

import json
import secrets
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction

from data.models import Device, Project
from data.tokens import hash_of


class Command(BaseCommand):
    """Idempotent: what is there stays, and it prints the same password and tokens again."""

    help = "Makes a demo user, a project and devices, and prints them as JSON."

    def add_arguments(self, parser: CommandParser) -> None:
        """How many devices."""
        parser.add_argument("--devices", type=int, default=2)

    def handle(self, *args: Any, **options: Any) -> None:
        """Prints the user, the password, the devices with their tokens, and the project."""
        del args
        with transaction.atomic():
            setup = _make(options["devices"], _Kept())
        self.stdout.write(json.dumps(setup))


class _Kept:
    """Secrets of the demo in a file only we can read: the database has hashes alone."""

    def __init__(self) -> None:
        self._path = settings.DATA_DIR / "demo.json"
        try:
            self._secrets: dict[str, str] = json.loads(self._path.read_text())
        except (OSError, ValueError):
            self._secrets = {}

    def get(self, name: str) -> str | None:
        return self._secrets.get(name)

    def put(self, name: str, secret: str) -> str:
        self._secrets[name] = secret
        self._path.touch(0o600)
        self._path.write_text(json.dumps(self._secrets))
        return secret


def _make(count: int, kept: _Kept) -> dict[str, Any]:
    users = get_user_model().objects
    user = users.filter(username=_USER).first() or users.model(username=_USER)
    password = kept.get("password") or kept.put("password", secrets.token_urlsafe(9))
    if not user.check_password(password):
        user.set_password(password)
        user.save()
    project, _ = Project.objects.get_or_create(
        slug="demo", defaults={"owner": user, "name": "Demo"}
    )
    devices = []
    for index in range(count):
        name = _NAMES[index] if index < len(_NAMES) else f"device {index + 1}"
        device = Device.objects.filter(owner=user, name=name).first()
        device = device or Device(owner=user, name=name, project=project)
        token = kept.get(name)
        if token is None or device.token_hash != hash_of(token) or device.revoked_at:
            token = kept.put(name, device.renew_token())
            device.save()
        devices.append({"id": device.pk, "name": name, "token": token})
    return {"user": _USER, "password": password, "devices": devices, "project": project.slug}


_USER = "demo"
_NAMES = ("workshop", "greenhouse")
