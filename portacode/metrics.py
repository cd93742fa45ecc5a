"""What the clock and a relay tell Prometheus; docs/METRICS.md has the names.

from portacode.metrics import prometheus_text
from portacode.utils.ntp_clock import ntp_clock

print(prometheus_text(ntp_clock))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from portacode.relay import Relay
    from portacode.utils.ntp_clock import NTPClock, NtsStatus

__all__ = ["CONTENT_TYPE", "LinkCounts", "prometheus_text"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class LinkCounts(NamedTuple):
    """What a server has learnt of its counter and others'."""

    kept: int
    """Links that are kept now."""
    evidence: Mapping[tuple[str, str], int]
    """By source and outcome, as docs/METRICS.md has them, since the process began."""


def prometheus_text(
    clock: NTPClock, relay: Relay | None = None, links: LinkCounts | None = None
) -> str:
    """A clock's status in Prometheus' text format, what a relay has been asked, and links.

    A value that the clock does not have is left out: neither 0 nor NaN.
    """
    of_relay = _of_relay(relay) if relay else ()
    of_links = _of_links(links) if links else ()
    return "\n".join([*_of_clock(clock), *of_relay, *of_links, ""])


def _of_clock(clock: NTPClock) -> Iterator[str]:
    status = clock.get_status()
    server = {"server": status["server"]}
    values: dict[str, float | None] = {
        "synchronised": int(status["is_synced"]),
        "offset_seconds": _seconds(status["offset_ms"]),
        "max_error_seconds": _seconds(status["max_error_ms"]),
        "est_error_seconds": _seconds(status["est_error_ms"]),
        "delay_seconds": _seconds(status["delay_ms"]),
        "drift_ppm": status["drift_ppm"],
        "last_sync_age_seconds": status["time_since_sync_sec"],
        "epoch": status["epoch"],
        "attempts_failed": status["attempts"],
        "requests_total": status["requests"],
        "believed_total": status["believed"],
        "authenticated": int(status["authenticated"]),
    }
    yield from _known(values, server)
    if status["rejections"]:
        yield from _family("rejections_total", _CLOCK["rejections_total"])
        for reason, count in status["rejections"].items():
            yield _sample("rejections_total", {**server, "reason": reason}, count)
    yield from _marked("last_error", server, "code", status["last_error_code"])
    if status["nts"] is not None:
        yield from _of_keys(status["nts"], server)


def _of_keys(nts: NtsStatus, server: dict[str, str]) -> Iterator[str]:
    expires = nts["certificate_expires"]
    values: dict[str, float | None] = {
        "nts_cookies": nts["cookies"],
        "nts_exchanges_total": nts["exchanges"],
        "nts_certificate_expires_timestamp_seconds": (
            None if expires is None else datetime.fromisoformat(expires).timestamp()
        ),
    }
    yield from _known(values, server)
    yield from _marked("nts_last_error", server, "code", nts["last_error_code"])
    yield from _marked("nts_info", server, "ntp_host", nts["ntp_host"])


def _known(values: dict[str, float | None], labels: dict[str, str]) -> Iterator[str]:
    for name, value in values.items():
        if value is not None:
            yield from _family(name, _CLOCK[name])
            yield _sample(name, labels, value)


def _marked(name: str, labels: dict[str, str], label: str, text: str | None) -> Iterator[str]:
    if text is not None:
        yield from _family(name, _CLOCK[name])
        yield _sample(name, {**labels, label: text}, 1)


def _of_relay(relay: Relay) -> Iterator[str]:
    counts = relay.counted()
    yield from _family("relay_requests_total", "Requests to the relay.")
    for (transport, outcome), count in counts.requests.items():
        labels = {"transport": transport, "outcome": outcome}
        yield _sample("relay_requests_total", labels, count)
    yield from _family("relay_websockets_open", "WebSocket connections open now.")
    yield _sample("relay_websockets_open", {}, counts.open)
    yield from _family("relay_websockets_closed_total", "WebSocket connections ended.")
    for reason, count in counts.closed.items():
        yield _sample("relay_websockets_closed_total", {"reason": reason}, count)


def _of_links(links: LinkCounts) -> Iterator[str]:
    yield from _family("links", "Pairs of counters of which something is known.")
    yield _sample("links", {}, links.kept)
    yield from _family("link_evidence_total", "Exchanges and messages that tell of two counters.")
    for (source, outcome), count in links.evidence.items():
        yield _sample("link_evidence_total", {"source": source, "outcome": outcome}, count)


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else ms / 1e3


def _family(name: str, text: str) -> Iterator[str]:
    kind = "counter" if name.endswith("_total") else "gauge"
    yield f"# HELP ntp_clock_{name} {text}"
    yield f"# TYPE ntp_clock_{name} {kind}"


def _sample(name: str, labels: Mapping[str, str], value: float) -> str:
    inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"ntp_clock_{name}{'{' + inside + '}' if inside else ''} {value!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


_CLOCK = {
    "synchronised": "1 while readings are given.",
    "offset_seconds": "Synchronised time less the system's.",
    "max_error_seconds": "Hard bound on a reading's error.",
    "est_error_seconds": "One standard deviation of a reading.",
    "delay_seconds": "Smallest round trip among the exchanges in use.",
    "drift_ppm": "How much faster than true time the local counter runs.",
    "last_sync_age_seconds": "Time since the last believed reply.",
    "epoch": "Epoch of the current or next readings.",
    "attempts_failed": "Attempts failed in a row.",
    "requests_total": "Requests sent to the server.",
    "believed_total": "Replies believed.",
    "rejections_total": "Replies not believed, by reason.",
    "last_error": "Why the last attempt failed, until one succeeds.",
    "authenticated": "1 while readings are given of replies that were proved.",
    "nts_cookies": "Requests that can be made before keys are exchanged again.",
    "nts_exchanges_total": "Exchanges that gave keys.",
    "nts_certificate_expires_timestamp_seconds": "When the certificate of the key server ends.",
    "nts_last_error": "Why the last exchange gave no keys, until a round is proved.",
    "nts_info": "Where time is asked, as the key exchange said.",
}
