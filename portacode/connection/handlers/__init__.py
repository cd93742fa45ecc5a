"""Handlers: what a device can be asked for.

Subclass `AsyncHandler` or `SyncHandler`, and hand the class to `portacode connect --handlers
MODULE:NAME`, or name it in the entry points `portacode.handlers` of your package.
"""

from __future__ import annotations

from portacode.connection.handlers.base import (
    AsyncHandler,
    BaseHandler,
    Context,
    HandlerError,
    SyncHandler,
)
from portacode.connection.handlers.echo import Echo
from portacode.connection.handlers.registry import Registry
from portacode.connection.handlers.slow_task import SlowTask
from portacode.connection.handlers.system_info import SystemInfo

__all__ = [
    "AsyncHandler",
    "BaseHandler",
    "Context",
    "Echo",
    "HandlerError",
    "Registry",
    "SlowTask",
    "SyncHandler",
    "SystemInfo",
    "builtin",
]


def builtin() -> list[BaseHandler]:
    """The handlers that every device has."""
    return [Echo(), SlowTask(), SystemInfo()]
