"""A relay with its metrics on a port of this machine, which it prints; asked all the time."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import urllib.request

import uvicorn

from portacode.relay.asgi import RelayApp
from portacode.utils.ntp_clock import ntp_clock


async def main() -> None:
    await ntp_clock.wait_synced_async(60)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    config = uvicorn.Config(RelayApp(metrics=True), log_level="warning", ws="websockets-sansio")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    print(address, flush=True)

    def ask() -> None:
        with contextlib.suppress(OSError):  # At the end nobody listens any more.
            urllib.request.urlopen(f"http://{address}/?request_id=a7", timeout=120).close()

    while not server.should_exit:
        await asyncio.to_thread(ask)
        await asyncio.sleep(0.1)
    await serving


asyncio.run(main())
