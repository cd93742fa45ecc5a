"""Which devices are connected, where, and what they say of themselves."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

from django.db.models.functions import Now

from data.models import Device
from data.storable import storable
from data.tokens import hash_of, is_token

if TYPE_CHECKING:
    from django.db.models import QuerySet


def device_of_token(token: str) -> Device | None:
    """The device that a token was given to, unless it was taken back."""
    if not is_token(token):
        return None
    hashed = hash_of(token)
    device = Device.objects.select_related("project").filter(token_hash=hashed).first()
    if device is None or not hmac.compare_digest(device.token_hash, hashed):
        return None
    return device if device.revoked_at is None else None


def attach(device_id: str, channel: str, news: dict[str, Any]) -> str:
    """Notes a device's connection; gives the channel of the one that it had, if any."""
    before = Device.objects.filter(pk=device_id).values_list("channel", flat=True).first()
    Device.objects.filter(pk=device_id).update(channel=channel, last_seen=Now(), **storable(news))
    return before if before and before != channel else ""


def heard(device_id: str, channel: str, news: dict[str, Any]) -> bool:
    """Notes that the device is there; False where this is its connection no more."""
    ours = Device.objects.filter(pk=device_id, channel=channel, revoked_at=None)
    return bool(ours.update(last_seen=Now(), **storable(news)))


def detach(device_id: str, channel: str) -> bool:
    """Notes that a connection is gone; False where the device has another one by now."""
    return bool(Device.objects.filter(pk=device_id, channel=channel).update(channel=""))


def forget_all() -> None:
    """Notes that no device is connected."""
    Device.objects.exclude(channel="").update(channel="")


def devices_of(user_id: int, project_id: int | None = None) -> list[dict[str, Any]]:
    """A user's devices, or those of one of the user's projects, as JSON."""
    devices: QuerySet[Device] = Device.objects.filter(owner_id=user_id, revoked_at=None)
    if project_id is not None:
        devices = devices.filter(project_id=project_id)
    online = set(Device.objects.online().filter(owner_id=user_id).values_list("pk", flat=True))
    return [to_json(device, device.pk in online) for device in devices.select_related("project")]


def to_json(device: Device, online: bool) -> dict[str, Any]:
    """What browsers and REST receive."""
    return {
        "id": device.pk,
        "name": device.name,
        "project": device.project.slug if device.project else None,
        "online": online,
        "last_seen": device.last_seen.isoformat() if device.last_seen else None,
        "version": device.info.get("version"),
        "platform": device.info.get("platform"),
        "commands": device.info.get("commands") or [],
        "clock": device.clock or None,
        "outbox": device.outbox or None,
    }


def is_revoked(device_id: str) -> bool:
    """Whether its token was taken back, or all of it deleted."""
    return not Device.objects.filter(pk=device_id, revoked_at=None).exists()
