"""The server's part of an exchange: when a request arrived, and when its answer left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from portacode.otel._member import HEADER, Answer, Member, member_of
from portacode.utils.ntp_clock import ntp_clock

if TYPE_CHECKING:
    from portacode.utils.ntp_clock import NTPClock


class ExchangeMiddleware:
    """Around an ASGI application: answers requests with the header `ntp-clock-exchange`.

        app = ExchangeMiddleware(app)

    Those alone that carry our member in `tracestate`. Who asked learns from it how its counter
    stands to ours. It goes outside of the
    instrumentation, so that the request's arrival is stamped first.

    Args:
        app: The application.
        clock: Whose counter it is; the shared one's by default.
    """

    def __init__(self, app: Any, clock: NTPClock | None = None) -> None:
        self._app = app
        self._clock = clock or ntp_clock

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serves one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received = self._clock.stamp()
        asked = _asked(scope)
        if asked is None:
            await self._app(scope, receive, send)
            return

        async def answer(message: Any) -> None:
            if message["type"] == "http.response.start":
                left = self._clock.stamp()
                # After a sleep in between it is another counter.
                if left.counter == received.counter:
                    said = Answer(left.counter, asked.sent_ns, received.counter_ns, left.counter_ns)
                    headers = [*message.get("headers", ()), (HEADER.encode(), str(said).encode())]
                    message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, answer)


def _asked(scope: Any) -> Member | None:
    """What the request says of its sender's counter."""
    lines = [value for name, value in scope["headers"] if name.lower() == b"tracestate"]
    return Member.parse(member_of(b",".join(lines).decode("latin-1"))) if lines else None
