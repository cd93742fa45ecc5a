"""The command `echo`."""

from __future__ import annotations

from typing import Any

from portacode.connection.handlers.base import AsyncHandler, Context


class Echo(AsyncHandler):
    """Gives back its payload: the shortest way through the whole chain."""

    command = "echo"

    async def execute(self, payload: Any, context: Context) -> Any:  # noqa: ARG002
        """The payload."""
        return payload
