"""What tests of links between clocks share."""

from __future__ import annotations

import re
import secrets
from typing import Any

from support import machine_counter_ns
from system import Server, Session, Socket, fetch

MS = 1_000_000


def counter_ns() -> int:
    """The counter that all of them have."""
    return machine_counter_ns()


class Comparing:
    """A peer that compares its counter, and may lie about it.

    Args:
        socket: Its connection.
        counter: What it calls its counter; a new one by default.
        ahead_ns: What its counter shows more than the one of all.
    """

    def __init__(self, socket: Socket, counter: str | None = None, ahead_ns: int = 0) -> None:
        self.socket = socket
        self.counter = counter or secrets.token_hex(8)
        self.ahead_ns = ahead_ns
        self._last: dict[str, str] | None = None

    def exchange(self, **more: Any) -> dict[str, Any]:
        """Asks once, and keeps when the reply came; gives the reply."""
        request_id = secrets.token_hex(8)
        message: dict[str, Any] = {"event": "clock_sync_request", "request_id": request_id}
        message |= {"counter": self.counter, "sent": self._now(), **more}
        if self._last is not None and "last" not in message:
            message["last"] = self._last
        self.socket.send(message)
        reply = self.socket.receive("clock_sync_response", request_id=request_id)
        self._last = {"request_id": request_id, "received": self._now()}
        return reply

    def stamped(self, key: str, trace: dict[str, Any]) -> dict[str, Any]:
        """A trace with one stamp more, which has no time but the counter."""
        mine = {"counter": self.counter, "counter_ns": self._now(), "unsynced": "a test's"}
        return {**trace, **{name: {**trace.get(name, {}), key: mine[name]} for name in mine}}

    def _now(self) -> str:
        return str(counter_ns() + self.ahead_ns)


def links_of(user: Session, server: Server | None = None) -> list[dict[str, Any]]:
    """All that a server's process tells a user of its links, by REST."""
    url = (server or user.server).url
    answer = fetch(f"{url}/api/links/", headers={"Cookie": user.cookie})
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json()["links"]
    return found


def links_with(user: Session, counter: str) -> list[dict[str, Any]]:
    """The links with this counter that have bounds: at most one."""
    return [link for link in links_of(user) if link["b"].endswith(f"/{counter}")]


def link_of(user: Session, counter: str) -> dict[str, Any]:
    """The link with this counter."""
    (found,) = links_with(user, counter)
    return found


def link_after_lies(user: Session, liar: Comparing) -> dict[str, Any]:
    """Its link. A link that has just restarted may have no bounds until the next exchange."""
    for _ in range(6):
        liar.exchange()
        found = links_with(user, liar.counter)
        if found:
            return found[0]
    raise AssertionError("nothing is known of its counter")


def bounds_ms(link: dict[str, Any]) -> tuple[float, float]:
    """What REST or a trace says of the difference of both counters."""
    if "lower_ms" in link:
        return link["lower_ms"], link["upper_ms"]
    zero_ns = int(link["b_ns"]) - int(link["a_ns"])
    return (zero_ns + link["lower_ns"]) / MS, (zero_ns + link["upper_ns"]) / MS


def holds_the_truth(link: dict[str, Any], ahead_ms: float = 0) -> bool:
    lower_ms, upper_ms = bounds_ms(link)
    return lower_ms <= ahead_ms <= upper_ms


def metric(server: Server, name: str, **labels: str) -> float:
    text = fetch(f"{server.url}/clock/metrics").text
    inside = ",".join(f'{key}="{value}"' for key, value in labels.items())
    sample = f"ntp_clock_{name}{{{inside}}}" if labels else f"ntp_clock_{name}"
    found = re.search(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE)
    assert found, text
    return float(found[1])


# --- One server, and peers that the tests speak for -----------------------------------------------
