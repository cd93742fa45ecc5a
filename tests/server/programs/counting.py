"""A device's handler that notes each of its runs, so that nobody can do a thing twice unseen."""

from __future__ import annotations

import os
from typing import Any

from portacode.connection.handlers.base import AsyncHandler, Context


class Count(AsyncHandler):
    """Gives back its payload, a number, and writes it to the file that COUNT_FILE names."""

    command = "count"

    def __init__(self) -> None:
        super().__init__()
        self._file = open(os.environ["COUNT_FILE"], "a", buffering=1)  # noqa: SIM115

    async def execute(self, payload: Any, context: Context) -> Any:  # noqa: ARG002
        self._file.write(f"{payload}\n")
        return payload
