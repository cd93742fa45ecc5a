"""Groups of dashboards, and what they receive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from data.services.layer import group_send
from portacode import _wire

if TYPE_CHECKING:
    from data.models import Device


def user_group(user_id: int) -> str:
    """Dashboards of a user."""
    return f"user.{user_id}"


def project_group(project_id: int) -> str:
    """Pages of a project."""
    return f"project.{project_id}"


async def tell_dashboards(user_id: int, project_id: int | None, message: dict[str, Any]) -> None:
    """Sends a message to all browsers that may see it, in whatever process they are."""
    event = {"type": "tell", "message": _wire.encode(message)}
    await group_send(user_group(user_id), event)
    if project_id is not None:
        await group_send(project_group(project_id), event)


async def devices_changed(device: Device) -> None:
    """Has all browsers that may see a device look again."""
    await group_send(user_group(device.owner_id), {"type": "devices.changed"})
    if device.project_id is not None:
        await group_send(project_group(device.project_id), {"type": "devices.changed"})
