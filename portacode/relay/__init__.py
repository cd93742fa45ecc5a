"""Relays: a server's synchronised time for pages, which cannot ask by UDP themselves.

A socket that a page has already answers by one call:

    from portacode.relay import answer, receipt

    received = receipt()              # First thing when a message has come.
    reply = answer(message, received) # Last thing; None: it is no clock's business.

Ready-made: `portacode.relay.urls` (Django), `portacode.relay.routing` and
`portacode.relay.consumers` (Channels), `portacode.relay.asgi` (FastAPI, Starlette, bare servers).
docs/WIRE.md has the messages. Importing this starts the shared clock, and needs no other package.
"""

from __future__ import annotations

from portacode.relay.endpoint import Relay, Session, answer, receipt
from portacode.relay.limits import Limits
from portacode.relay.messages import RequestError

__all__ = ["Limits", "Relay", "RequestError", "Session", "answer", "receipt"]
