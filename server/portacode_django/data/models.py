"""Projects, devices and the traces of what was asked of them."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from data.tokens import hash_of, new_token


def new_id() -> str:
    """An id that tells nobody how many there are."""
    return secrets.token_hex(6)


class Project(models.Model):
    """Devices that belong together, with a page of their own."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="projects")
    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name


class DeviceQuerySet(models.QuerySet["Device"]):
    """Which devices there are."""

    def online(self) -> DeviceQuerySet:
        """Connected, and heard of lately: a server that died could not say that they are gone."""
        silence = timedelta(seconds=settings.DEVICE_IDLE_S + 15)
        # By the database's clock, which is the same one for all servers.
        return self.exclude(channel="").filter(last_seen__gt=Now() - silence)


class Device(models.Model):
    """A program that connects with a token and obeys its owner."""

    id = models.CharField(primary_key=True, max_length=12, default=new_id, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="devices")
    project = models.ForeignKey(
        Project, models.SET_NULL, related_name="devices", null=True, blank=True
    )
    name = models.CharField(max_length=100)
    token_hash = models.CharField(max_length=64, unique=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    # The connection that it has now: the channel of the consumer that holds it, in whatever
    # process. Empty while there is none.
    channel = models.CharField(max_length=255, blank=True, default="")
    last_seen = models.DateTimeField(null=True, blank=True)
    info = models.JSONField(default=dict, blank=True)
    clock = models.JSONField(default=dict, blank=True)
    outbox = models.JSONField(default=dict, blank=True)

    objects = DeviceQuerySet.as_manager()

    class Meta:
        """Names are the owner's to tell devices apart."""

        constraints = (
            models.UniqueConstraint(fields=["owner", "name"], name="device_name_of_owner"),
        )
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def renew_token(self) -> str:
        """Gives it a new token, which is shown only now; the old one is void."""
        token = new_token()
        self.token_hash = hash_of(token)
        self.revoked_at = None
        return token


class TraceRecord(models.Model):
    """A request that was sent to a device, with its trace as far as it got."""

    class Status(models.TextChoices):
        """How it ended."""

        PENDING = "pending"
        OK = "ok"
        ERROR = "error"
        TIMEOUT = "timeout"

    request_id = models.CharField(max_length=32, unique=True)
    # One response to a request, however often the device sends it.
    delivery_id = models.CharField(max_length=32, unique=True, null=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="traces")
    device = models.ForeignKey(Device, models.CASCADE, related_name="traces")
    command = models.CharField(max_length=64)
    traceparent = models.CharField(max_length=128, blank=True, default="")
    # Who waits for the response.
    reply_channel = models.CharField(max_length=255)
    status = models.CharField(max_length=8, choices=Status, default=Status.PENDING)
    error = models.JSONField(null=True)
    # The system's clock, for retention and pages only; what happened when is in the trace.
    created_at = models.DateTimeField(auto_now_add=True)

    trace = models.JSONField(default=dict)
    # What queries ask for.
    ping_ms = models.FloatField(null=True)
    problems = models.PositiveSmallIntegerField(default=0)
    raw_problems = models.PositiveSmallIntegerField(default=0)
    unsynced = models.PositiveSmallIntegerField(default=0)
    complete = models.BooleanField(default=False)

    class Meta:
        """Pages show one user's newest, or one device's."""

        indexes = (
            models.Index(fields=["owner", "-id"], name="trace_of_owner"),
            models.Index(fields=["device", "-id"], name="trace_of_device"),
            models.Index(fields=["created_at"], name="trace_age"),
        )

    def __str__(self) -> str:
        return self.request_id

    def to_json(self) -> dict[str, Any]:
        """What REST answers and dashboards receive."""
        return {
            "request_id": self.request_id,
            "device_id": self.device_id,
            "device_name": self.device.name,
            "project": self.device.project.slug if self.device.project else None,
            "command": self.command,
            "status": self.status,
            "error": self.error,
            "created_at": self.created_at.isoformat(),
            "ping_ms": self.ping_ms,
            "problems": self.problems,
            "raw_problems": self.raw_problems,
            "unsynced": self.unsynced,
            "complete": self.complete,
            "trace": self.trace,
        }
