"""The command `slow_task`."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from portacode.connection.handlers.base import AsyncHandler, Context, HandlerError


class SlowTask(AsyncHandler):
    """Takes its time and tells how far it is: `{"seconds": 3, "steps": 10}`."""

    command = "slow_task"
    timeout_s = 90.0

    async def execute(self, payload: Any, context: Context) -> Any:
        """Waits, a step at a time."""
        seconds, steps = _checked(payload)
        for done in range(steps):
            context.progress({"done": done, "of": steps})
            await asyncio.sleep(seconds / steps)
        return {"seconds": seconds, "steps": steps}


def _checked(payload: Any) -> tuple[float, int]:
    if payload is None:
        payload = {}
    if not isinstance(payload, dict):
        raise HandlerError("bad_payload", 'not an object such as {"seconds": 3, "steps": 10}')
    seconds, steps = payload.get("seconds", 3), payload.get("steps", 10)
    number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not number or not 0 <= seconds <= SECONDS_MAX or math.isnan(seconds):
        raise HandlerError("bad_payload", f"seconds is not a number from 0 to {SECONDS_MAX}")
    if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= STEPS_MAX:
        raise HandlerError("bad_payload", f"steps is not a whole number from 1 to {STEPS_MAX}")
    return seconds, steps


SECONDS_MAX = 60
STEPS_MAX = 100
