"""Traces as OpenTelemetry spans, dated by the synchronised clock.

Every hop of a command's trace becomes a span: what each entity did, and what lay between two of
them, whose length only synchronised clocks can tell. Nothing is exported, and nothing imported,
unless OTEL_EXPORTER_OTLP_ENDPOINT (or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) names a backend.

    export_trace(trace, "server", request_id=request_id)   # what this entity knows of it
    inject(message, "server")                              # W3C context for the next service
    extract(message)                                       # what came with a message

Browser, server and device export their own parts, apart from one another, into one tree: a span's
id follows from the request's id and the span's name.

`install()` gives true times to all that the program's OpenTelemetry exports; for times of your own
there is `now_ns()`.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from portacode import _wire
from portacode.otel._asgi import ExchangeMiddleware
from portacode.otel._environment import OtelMissingError, active
from portacode.otel._exchanges import Asked, asked
from portacode.otel._gate import GateLimits
from portacode.otel._spans import nearest_span, spans_of
from portacode.traceparent import TraceParent
from portacode.utils.ntp_clock import ntp_clock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping

    from portacode.trace import Trace
    from portacode.utils.ntp_clock import NTPClock

__all__ = [
    "ExchangeMiddleware",
    "GateLimits",
    "OtelMissingError",
    "TraceParent",
    "active",
    "asking",
    "export_trace",
    "extract",
    "flush",
    "inject",
    "install",
    "now_ns",
    "require",
    "uninstall",
]


def install(
    clock: NTPClock | None = None, *, gate: GateLimits | None = None, exchanges: bool = True
) -> None:
    """Gives all that the program's OpenTelemetry exports true times, and says how true they are.

        portacode.otel.install()

    Spans, log records and metrics of all providers, whether they are there already or come later,
    and whichever processors, readers and exporters they have. What ends before the clock is
    synchronised for the first time waits a while. docs/OPENTELEMETRY.md says what is dated, and
    what cannot be.

    To be called early: a time from before it cannot be dated. Does nothing when called again.

    Args:
        clock: The shared one by default.
        gate: How much may wait for the first synchronisation, and how long.
        exchanges: Whether requests carry a member in `tracestate`, from which spans learn whether
            they began after what their remote parent sent.

    Raises:
        ValueError: A limit of the gate is negative.
        OtelMissingError: OpenTelemetry's SDK is not installed.
    """
    limits = gate or GateLimits()
    for name, limit in zip(limits._fields, limits):
        if not limit >= 0:
            raise ValueError(f"GateLimits.{name} is {limit}: it must be 0 or more")
    _installing().install(clock or ntp_clock, limits, exchanges)


def uninstall(timeout_s: float = 10.0) -> None:
    """Undoes `install()`, and lets out what waits.

    Args:
        timeout_s: How long it waits for the exporters at most, in seconds.
    """
    _installing().uninstall(timeout_s)


@contextmanager
def asking(peer: str) -> Iterator[Asked]:
    """While a request is sent to a peer: what was learned of its counter goes with it.

        with otel.asking("mail:8080") as request:
            response = httpx.post("http://mail:8080/send")
            request.answered(response.headers)

    The peer's next span can then say whether it began after this was sent, by exchanges between
    the two counters alone. The peer answers by `ExchangeMiddleware`, or as docs/OPENTELEMETRY.md
    says. Without `install()` it does nothing.

    Args:
        peer: Any name that is the same for the same process.
    """
    request = Asked(peer)
    token = asked.set(request)
    try:
        yield request
    finally:
        asked.reset(token)


def require(*entities: str, clock: NTPClock | None = None) -> None:
    """Raises OtelMissingError where spans are asked for and cannot be exported.

    A server calls it as it starts, so that a missing package is reported at once.

    Args:
        entities: Whose spans are to be exported here; the first request does not wait then until
            all is ready for them.
        clock: As for `export_trace`.
    """
    if active():
        _sdk().prepare(entities, _source(clock))


def export_trace(
    trace: Trace | Mapping[str, Any],
    entity: str,
    *,
    request_id: str,
    traceparent: str | TraceParent | None = None,
    command: str | None = None,
    error: Mapping[str, Any] | None = None,
    attributes: Mapping[str, str | bool | int | float] | None = None,
    clock: NTPClock | None = None,
) -> int:
    """Exports the spans of one entity, in the background, and tells how many there were.

    To be called once for each entity, when its last stamp is there. A hop of which a stamp is
    missing has no span. An entity that lacks some stamps has a span over those that are there,
    marked with `ntp_clock.missing`. Nothing is dated by guessing.

    Never raises for what a trace holds, which came over the network, nor for want of a package:
    that is logged once.

    Args:
        trace: A message's `trace`: stamps in fractional milliseconds, and what belongs to them.
        entity: "browser", "server" or "device".
        request_id: The command's 32 hexadecimal digits. Where no context came with it, they are
            the trace's id.
        traceparent: The context that came with the command to this entity (to the server, for the
            browser's part), if there was one.
        command: The command's name.
        error: What went wrong, with `code` and `message`, where the command failed.
        attributes: More of them, for all of these spans.
        clock: Whose server is named as the source; the shared clock's by default.
    """
    if entity not in _PARTS:
        raise ValueError(f'entity must be "browser", "server" or "device", not {entity!r}')
    if not active():
        return 0
    try:
        sdk = _sdk()
        sdk.check_exporter()
    except OtelMissingError as missing:
        _tell_once("missing", str(missing))
        return 0
    stamps, context = _trace(trace), _context(request_id, traceparent)
    if stamps is None or context is None:
        return 0
    spans = spans_of(stamps, entity, request_id, context, command=command, error=error)
    # A server that asks in its own name is the client as well.
    by = stamps.entity("client_send") or ""
    provider = "server" if entity == "browser" and by.startswith("server:") else entity
    exported: int = sdk.export(provider, context, spans, attributes or {}, _source(clock))
    return exported


def inject(
    message: MutableMapping[str, Any],
    entity: str,
    trace: Trace | Mapping[str, Any] | None = None,
    *,
    clock: NTPClock | None = None,
) -> None:
    """Puts the context for the next receiver of the message into its `traceparent`.

    The one that came with it, if any, says which trace it is. Does nothing unless spans are
    exported: an entity that exports none passes on what it received.

    Args:
        message: Has its `request_id`.
        entity: Who sends it: "browser", "server" or "device".
        trace: What has been stamped so far; the message's `trace` by default.
        clock: As for `export_trace`.
    """
    if entity not in _PARTS:
        raise ValueError(f'entity must be "browser", "server" or "device", not {entity!r}')
    if not active():
        return
    try:
        sdk = _sdk()
        sdk.check_exporter()
    except OtelMissingError as missing:
        _tell_once("missing", str(missing))
        return
    request_id = message.get("request_id")
    stamps = _trace(message.get("trace") if trace is None else trace)
    context = _context(request_id, message.get("traceparent"))
    if stamps is None or context is None:
        return
    nearest = nearest_span(stamps, entity, str(request_id), context)
    if nearest:
        sampled = sdk.samples(entity, context, _source(clock))
        message["traceparent"] = str(context._replace(span_id=nearest, sampled=sampled))


def extract(message: Mapping[str, Any] | str | None) -> TraceParent | None:
    """The context that came with a message, or None where there is none that is well formed."""
    value = message if isinstance(message, str) or message is None else message.get("traceparent")
    return TraceParent.parse(value)


def now_ns(clock: NTPClock | None = None) -> int | None:
    """Synchronised time for `start_time=` and `end_time=` of a span of your own, or None.

    OpenTelemetry takes None for "now, by the system's clock": do not pass it on unseen.
    """
    return (clock or ntp_clock).now_ns()


def flush(timeout_ms: int = 5000) -> bool:
    """Waits until what was exported so far has been sent, and tells whether it was in time."""
    return not active() or bool(_sdk().flush(timeout_ms))


def _context(request_id: object, traceparent: str | TraceParent | None) -> TraceParent | None:
    """What is known of the trace; span 0 where nobody has sent it on."""
    given = traceparent if isinstance(traceparent, TraceParent) else extract(traceparent)
    if given is not None:
        return given
    if isinstance(request_id, str) and _wire.is_id(request_id) and int(request_id, 16):
        return TraceParent(int(request_id, 16), 0, True)
    return None


def _trace(given: object) -> Trace | None:
    from portacode.trace import Trace, TraceError

    if isinstance(given, Trace):
        return given
    try:
        return Trace.from_message(given)
    except TraceError as error:
        _tell_once("malformed", f"a trace is malformed: {error}")
        return None


def _source(clock: NTPClock | None) -> str:
    return (clock or ntp_clock).get_status()["server"]


def _sdk() -> Any:
    try:
        from portacode.otel import _backend
    except ImportError as missing:
        raise OtelMissingError(
            "OTEL_EXPORTER_OTLP_ENDPOINT asks for OpenTelemetry, but it is not installed "
            f"({missing}): pip install 'portacode[otel]'"
        ) from missing
    return _backend


def _installing() -> Any:
    try:
        from portacode.otel import _install
    except ImportError as missing:
        raise OtelMissingError(
            f"OpenTelemetry's SDK is not installed, or too old ({missing}): "
            "pip install 'portacode[otel]'"
        ) from missing
    return _install


def _tell_once(kind: str, what: str) -> None:
    with _telling:
        if kind in _reported:
            return
        _reported.add(kind)
    import logging

    logging.getLogger("portacode.otel").error("no spans are exported: %s", what)


_PARTS = ("browser", "server", "device")
_telling = threading.Lock()
_reported: set[str] = set()
