"""Handlers of a user's own, good and bad, for the device's tests."""

# ruff: noqa: ARG002

from __future__ import annotations

import asyncio
import sys
import threading
import time
from typing import Any

from portacode.connection.handlers import AsyncHandler, Context, HandlerError, SyncHandler


class Crash(SyncHandler):
    """Fails."""

    command = "crash"

    def execute(self, payload: Any, context: Context) -> Any:
        raise RuntimeError("a defect of the handler")


class Exit(AsyncHandler):
    """Wants to end the process."""

    command = "exit"

    async def execute(self, payload: Any, context: Context) -> Any:
        sys.exit(3)


class Choosy(AsyncHandler):
    """Has an error of its own."""

    command = "choosy"

    async def execute(self, payload: Any, context: Context) -> Any:
        raise HandlerError("no_such_file", "there is no file of this name")


class Stuck(SyncHandler):
    """Never ends, whatever it receives."""

    command = "stuck"
    timeout_s = 0.3

    def execute(self, payload: Any, context: Context) -> Any:
        threading.Event().wait()


class Stubborn(AsyncHandler):
    """Does not let itself be cancelled, for a while."""

    command = "stubborn"
    timeout_s = 0.2

    async def execute(self, payload: Any, context: Context) -> Any:
        ends = time.monotonic() + 2
        while time.monotonic() < ends:
            try:
                await asyncio.sleep(0.1)
            except asyncio.CancelledError:
                continue


class Sleep(SyncHandler):
    """Sleeps, and tells how far it is."""

    command = "sleep"

    def execute(self, payload: Any, context: Context) -> Any:
        for step in range(10):
            context.progress({"step": step})
            time.sleep(payload / 10)
        return {"slept": payload}


class NoJson(SyncHandler):
    """Gives what JSON cannot say."""

    command = "no_json"

    def execute(self, payload: Any, context: Context) -> Any:
        return {"nan": float("nan")} if payload == "nan" else object()


class Huge(AsyncHandler):
    """Gives more than a message may hold."""

    command = "huge"

    async def execute(self, payload: Any, context: Context) -> Any:
        return "x" * 70_000


HANDLERS = [Crash, Exit, Choosy(), Stuck, Stubborn, Sleep, NoJson, Huge]
