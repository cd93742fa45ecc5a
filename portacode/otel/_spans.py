"""A trace's hops as spans, before OpenTelemetry is asked: which there are, and whose child each is.

    browser                    browser   client_send to client_receive
      browser to server        server    client_send, server_receive
      server                   server    server_receive to server_send_response
        server forwards        server    server_receive, server_send
        server to device       device    server_send, device_receive
        device                 device    device_receive to device_send
          device receives, handler waits, handler runs, device replies
        device to server       server    device_send, server_receive_response
        server returns         server    server_receive_response, server_send_response
      server to browser        browser   server_send_response, client_receive

A way between two entities belongs to the one that it leads to, which knows both stamps.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from portacode.trace import CLIENT_KEYS, DEVICE_KEYS, KEYS, SERVER_KEYS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from portacode.trace import Trace
    from portacode.traceparent import TraceParent


class SpanData(NamedTuple):
    """One span to be exported. Times are nanoseconds since the Unix epoch."""

    name: str
    kind: str
    """"client", "server" or "internal"."""
    span_id: int
    parent_id: int
    """0 for the trace's first span."""
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    error: str | None


def spans_of(
    trace: Trace,
    entity: str,
    request_id: str,
    context: TraceParent,
    *,
    command: str | None,
    error: Mapping[str, Any] | None,
) -> list[SpanData]:
    """The spans of one entity, parents before their children."""
    spans = []
    own = [key for key in KEYS if key in _OWN[entity]]
    there = [key for key in own if _time_ns(trace, key) is not None]
    if _exists(trace, entity):
        attributes = _attributes(trace, there[0], there[-1])
        missing = [key for key in own if key not in there]
        if missing:
            attributes["ntp_clock.missing"] = missing
            attributes["ntp_clock.synchronised"] = False
        reasons = {trace.unsynced[key] for key in missing if key in trace.unsynced}
        if reasons:
            attributes["ntp_clock.unsynced"] = "; ".join(sorted(reasons))
        span = _span(trace, entity, there[0], there[-1], request_id, attributes)
        named = f"{entity}: {command}" if command else entity
        failed = None if error is None else f"{error.get('code', '')}: {error.get('message', '')}"
        spans.append(
            span._replace(
                name=named,
                kind="client" if entity == "browser" else "server",
                parent_id=_above(trace, entity, request_id, context),
                error=failed,
            )
        )
    for start, end, name in _HOPS:
        if end not in _OWN[entity] or None in (_time_ns(trace, start), _time_ns(trace, end)):
            continue
        span = _span(trace, name, start, end, request_id, _attributes(trace, start, end))
        parent = _parent_of_hop(trace, start, end, request_id, context)
        spans.append(span._replace(parent_id=parent))
    for span in spans:
        span.attributes["portacode.request_id"] = request_id
        if command:
            span.attributes["portacode.command"] = command
    return spans


def nearest_span(trace: Trace, entity: str, request_id: str, context: TraceParent) -> int:
    """The span that others are children of: the entity's, else the nearest above it; 0 if none."""
    if _exists(trace, entity):
        return span_id(request_id, entity)
    return _above(trace, entity, request_id, context)


def span_id(request_id: str, name: str) -> int:
    """The id of a request's span: the same for every process that computes it."""
    digest = hashlib.sha256(f"{request_id}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") or 1


def _exists(trace: Trace, entity: str) -> bool:
    """Whether the entity has a span.

    Decided by what it has stamped before it tells others of that span, so that what they build on
    is never unsaid.
    """
    there = {key for key in KEYS if _time_ns(trace, key) is not None}
    if there & _EARLY[entity]:
        return True
    # Where nobody else has a span to build on, what the server stamped later will do.
    others = _EARLY["browser"] | _EARLY["device"]
    return entity == "server" and bool(there & SERVER_KEYS) and not there & others


def _above(trace: Trace, entity: str, request_id: str, context: TraceParent) -> int:
    """The nearest span above the entity's; 0 where its own is the first."""
    if entity == "server" and _exists(trace, "browser"):
        return span_id(request_id, "browser")
    # For the device the server decided that, by what it sent.
    return context.span_id


def _parent_of_hop(
    trace: Trace, start: str, end: str, request_id: str, context: TraceParent
) -> int:
    if start == "server_send":
        nearest = _above(trace, "device", request_id, context)
    else:
        owner = next(name for name, keys in _OWN.items() if start in keys or end in keys)
        if end == "server_receive_response":
            owner = "server"
        nearest = nearest_span(trace, owner, request_id, context)
    if nearest:
        return nearest
    # Nobody above had the time: the first span there is, is that of somebody further on.
    further = next((name for name in ("server", "device") if _exists(trace, name)), None)
    return span_id(request_id, further) if further else 0


def _attributes(trace: Trace, start: str, end: str) -> dict[str, Any]:
    """How good the times are, in whole nanoseconds."""
    one, other = trace.get(start), trace.get(end)
    assert one is not None
    assert other is not None
    by = trace.entity(end) or trace.entity(start)
    attributes: dict[str, Any] = {
        "ntp_clock.synchronised": True,
        "portacode.start": start,
        "portacode.end": end,
    }
    if by:
        attributes["portacode.entity"] = by[:_TEXT_CHARS]
    errors = [ms for ms in (one.max_error_ms, other.max_error_ms) if ms is not None]
    if errors:
        attributes["ntp_clock.max_error_ns"] = _bound_ns(max(errors))
    if trace.entity(start) != trace.entity(end):
        attributes |= _duration(trace, start, end)
    probable = [ms for ms in (one.est_error_ms, other.est_error_ms) if ms is not None]
    if probable:
        attributes["ntp_clock.est_error_ns"] = _bound_ns(max(probable))
    if other.epoch is not None:
        attributes["ntp_clock.epoch"] = other.epoch
    if one.epoch is not None and one.epoch != other.epoch:
        attributes["ntp_clock.start_epoch"] = one.epoch
    return attributes


def _duration(trace: Trace, start: str, end: str) -> dict[str, int]:
    """How long it took from one clock's stamp to another's, which the two times tell worse."""
    one, other = trace.get(start), trace.get(end)
    attributes = {}
    if one and other and one.max_error_ms is not None and other.max_error_ms is not None:
        absolute_ms = one.max_error_ms + other.max_error_ms
        attributes["ntp_clock.duration_absolute_max_error_ns"] = _bound_ns(absolute_ms)
    relation = trace.relation(start, end)
    lower_ms, upper_ms, est_ms = relation.lower_ms, relation.upper_ms, relation.est_ms
    if lower_ms is not None and upper_ms is not None and est_ms is not None:
        duration_ns = round(min(max(est_ms * 1e6, -(2.0**62)), 2.0**62))
        error_ms = max(upper_ms - duration_ns / 1e6, duration_ns / 1e6 - lower_ms)
        attributes["ntp_clock.duration_ns"] = duration_ns
        attributes["ntp_clock.duration_max_error_ns"] = _bound_ns(error_ms)
    return attributes


def _span(
    trace: Trace, name: str, start: str, end: str, request_id: str, attributes: dict[str, Any]
) -> SpanData:
    start_ns, end_ns = _time_ns(trace, start), _time_ns(trace, end)
    assert start_ns is not None
    assert end_ns is not None
    if end_ns < start_ns:
        # Within the errors this happens, beyond them something is wrong. OTLP has no spans that
        # run backwards: this one gets no length, and keeps what was stamped.
        certain = any((start, end) == problem[:2] for problem in trace.problems())
        attributes["ntp_clock.order"] = "certainly_wrong" if certain else "cannot_tell"
        attributes["ntp_clock.end_ns"] = end_ns
        end_ns = start_ns
    own_id = span_id(request_id, name)
    return SpanData(name, "internal", own_id, 0, start_ns, end_ns, attributes, None)


def _time_ns(trace: Trace, key: str) -> int | None:
    stamp = trace.get(key)
    if stamp is None or stamp.time_ms is None or not 0 < stamp.time_ms < _LIMIT_MS:
        return None
    # Whole and fraction apart: a product of this size would be rounded to 256 ns.
    fraction, whole = math.modf(stamp.time_ms)
    return int(whole) * 1_000_000 + round(fraction * 1e6)


def _bound_ns(milliseconds: float) -> int:
    """Rounded up, and kept within OTLP's integers."""
    return math.ceil(min(milliseconds * 1e6, 2.0**62))


# The end of signed 64-bit nanoseconds.
_LIMIT_MS = 9_223_372_036_854
_TEXT_CHARS = 128
_OWN = {"browser": CLIENT_KEYS, "server": SERVER_KEYS, "device": DEVICE_KEYS}
# The device tells nobody, and exports all at once.
_EARLY = {
    "browser": {"client_send"},
    "server": {"server_receive"},
    "device": DEVICE_KEYS,
}
_HOPS = tuple(
    zip(
        KEYS,
        KEYS[1:],
        (
            "browser to server",
            "server forwards",
            "server to device",
            "device receives",
            "handler waits",
            "handler runs",
            "device replies",
            "device to server",
            "server returns",
            "server to browser",
        ),
    )
)
