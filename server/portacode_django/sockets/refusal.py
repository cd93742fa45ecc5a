"""Sockets that lead nowhere."""

from __future__ import annotations

from sockets.base import JsonSocket


class NotFound(JsonSocket):
    """Closes with 4404, where an exception would be a server's fault."""

    async def opened(self) -> None:
        """No, not here."""
        await self.refuse(4404, "there is nothing here")
