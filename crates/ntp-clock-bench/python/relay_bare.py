"""The bare ASGI relay as a contender, without a limit of requests: `uvicorn relay_bare:app`."""

from __future__ import annotations

from portacode.relay.asgi import RelayApp

app = RelayApp(rate=None)
