"""What a web worker has of the clock, as a WSGI and as an ASGI application."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

from bounds import beyond_its_bound_ms

from portacode.utils.ntp_clock import ntp_clock

if TYPE_CHECKING:
    from collections.abc import Callable

ntp_clock.sync_interval = 1


def report() -> bytes:
    # Busy, so that the other workers are given requests too.
    ends = time.monotonic() + 0.02
    while time.monotonic() < ends:
        pass
    status = {
        "pid": os.getpid(),
        "off_ms": beyond_its_bound_ms(ntp_clock),
        "last_sync": ntp_clock.last_sync,
        "believed": ntp_clock.get_status()["believed"],
        "authenticated": ntp_clock.get_status()["authenticated"],
    }
    return json.dumps(status).encode()


def wsgi(_environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    ntp_clock.wait_synced(60)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [report()]


async def asgi(scope: dict[str, Any], _receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    await ntp_clock.wait_synced_async(60)
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": report()})
