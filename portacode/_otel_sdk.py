"""The part that needs OpenTelemetry's SDK, imported when something is to be exported."""

from __future__ import annotations

import atexit
import logging
import os
import re
import socket
import threading
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

import portacode
from portacode._otel_end import Patience
from portacode._otel_environment import OtelMissingError, timeout_s
from portacode.utils.ntp_clock import Reading, ntp_clock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.sdk.trace.export import SpanExporter

    from portacode._otel_spans import SpanData
    from portacode.traceparent import TraceParent
    from portacode.utils.ntp_clock import NTPClock

logger = logging.getLogger("portacode.otel")


def check_exporter() -> None:
    """Raises OtelMissingError where the exporter that the environment asks for is not there."""
    _exporter_class()


def prepare(entities: Sequence[str], source: str) -> None:
    """Makes ready what exporting for these entities needs; raises as `check_exporter` does."""
    check_exporter()
    for entity in entities:
        _provider(entity, source)


def export(
    entity: str,
    context: TraceParent,
    spans: Sequence[SpanData],
    attributes: Mapping[str, Any],
    source: str,
) -> int:
    """Hands the spans to the entity's provider, which sends them in the background."""
    if not spans or not samples(entity, context, source):
        return 0
    tracer = _provider(entity, source).get_tracer("portacode", portacode.__version__)
    common = {**attributes, "ntp_clock.server": source}
    for data in spans:
        _ids.trace_id, _ids.span_id = context.trace_id, data.span_id
        span = tracer.start_span(
            _sendable(data.name),
            context=_remote(context.trace_id, data.parent_id) if data.parent_id else Context(),
            kind=_KINDS[data.kind],
            attributes=_sendable({**common, **data.attributes}),
            start_time=data.start_ns,
        )
        if data.error is not None:
            span.set_status(Status(StatusCode.ERROR, _sendable(data.error)))
        span.end(end_time=data.end_ns)
    return len(spans)


def samples(entity: str, context: TraceParent, source: str) -> bool:
    """Whether the trace is to be exported: what came with it says so, or else our sampler."""
    if context.span_id:
        return context.sampled
    sampler = _provider(entity, source).sampler
    result = sampler.should_sample(Context(), context.trace_id, entity)
    return result.decision is not Decision.DROP


def flush(timeout_ms: int) -> bool:
    """Sends what is waiting; False where that takes longer, and then goes on."""
    with _making:
        providers, patience = list(_providers.values()), _patience
    if patience is None:
        return True

    def send() -> bool:
        # Of each provider, also where one before it has failed.
        sent = [provider.force_flush(timeout_ms) for provider in providers]
        return all(sent)

    return patience.done_within(send, timeout_ms / 1000)


class SynchronisedSpanProcessor(SpanProcessor):
    """Gives spans of your own, from whatever instrumentation, synchronised times.

        provider.add_span_processor(SynchronisedSpanProcessor(BatchSpanProcessor(exporter)))

    The SDK dates spans by the system's clock. At a span's start and end this reads the synchronised
    clock as well, and passes on a copy with those times, its events moved alongside, and attributes
    that say how good they are. Left as they are, with `ntp_clock.synchronised` false:

    - spans that ended while the clock was not synchronised, or began when it cannot tell the time;
    - spans that were given a `start_time` or an `end_time` of their own, which only their maker can
      interpret.

    Spans that say `ntp_clock.synchronised` themselves are passed on untouched.

    Args:
        following: Where the spans go, say a BatchSpanProcessor.
        clock: The shared one by default.
    """

    def __init__(self, following: SpanProcessor, clock: NTPClock | None = None) -> None:
        self._following = following
        self._clock = clock or ntp_clock

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Notes the start, in attributes, so that nothing is kept for spans that never end."""
        ago_ns = _ago_ns(span.start_time)
        if ago_ns is not None and _SYNCHRONISED not in (span.attributes or {}):
            # Also on the counter: before the first synchronisation there is nothing else.
            span.set_attribute(_COUNTER, time.perf_counter_ns() - ago_ns)
            start = self._clock.read()
            if start is not None:
                noted = (
                    start.time_ns - ago_ns,
                    start.max_error_ns,
                    start.est_error_ns,
                    start.epoch,
                )
                span.set_attribute(_START, noted)
        self._following.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Passes on the copy."""
        attributes = dict(span.attributes or {})
        if _SYNCHRONISED in attributes:
            self._following.on_end(span)
            return
        start, counter_ns = attributes.pop(_START, None), attributes.pop(_COUNTER, None)
        ago_ns = _ago_ns(span.end_time)
        end = None if ago_ns is None else self._clock.read()
        began = None
        if isinstance(start, tuple):
            began = Reading(*start)
        elif end is not None and isinstance(counter_ns, int):
            began = self._clock.at_perf_counter_ns(counter_ns)
        attributes["ntp_clock.server"] = self._clock.get_status()["server"]
        attributes[_SYNCHRONISED] = began is not None and end is not None
        if began is None or end is None or ago_ns is None:
            self._following.on_end(_copy(span, attributes, span.start_time, span.end_time))
            return
        attributes["ntp_clock.max_error_ns"] = max(began.max_error_ns, end.max_error_ns)
        attributes["ntp_clock.est_error_ns"] = max(began.est_error_ns, end.est_error_ns)
        attributes["ntp_clock.epoch"] = end.epoch
        if began.epoch != end.epoch:
            attributes["ntp_clock.start_epoch"] = began.epoch
        # A new epoch may begin earlier than the old one ended.
        end_ns = max(end.time_ns - ago_ns, began.time_ns)
        self._following.on_end(_copy(span, attributes, began.time_ns, end_ns))

    def shutdown(self) -> None:
        """Shuts down what follows."""
        self._following.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Flushes what follows."""
        return self._following.force_flush(timeout_millis)


class _Ids(IdGenerator, threading.local):
    """The ids that the next span of this thread is to have."""

    trace_id = 0
    span_id = 0

    def generate_span_id(self) -> int:
        return self.span_id

    def generate_trace_id(self) -> int:
        return self.trace_id


def _ago_ns(system_ns: int | None) -> int | None:
    """How long ago the SDK took this time of the system's clock; None where it is not of just now.

    To be called before the synchronised clock is read: what is lost between the two then makes a
    span's times later, up to the reading, and never puts a child before its parent.
    """
    ago_ns = time.time_ns() - (system_ns or 0)
    return ago_ns if 0 <= ago_ns < _JUST_NOW_NS else None


def _copy(
    span: ReadableSpan, attributes: dict[str, Any], start_ns: int | None, end_ns: int | None
) -> ReadableSpan:
    moved_ns = (start_ns or 0) - (span.start_time or 0)
    events = [
        type(event)(event.name, event.attributes, event.timestamp + moved_ns)
        for event in span.events
    ]
    return ReadableSpan(
        name=span.name,
        context=span.get_span_context(),
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        events=events,
        links=span.links,
        kind=span.kind,
        status=span.status,
        start_time=start_ns,
        end_time=end_ns,
        instrumentation_scope=span.instrumentation_scope,
    )


def _remote(trace_id: int, parent_id: int) -> Context:
    flags = TraceFlags(TraceFlags.SAMPLED)
    parent = SpanContext(trace_id, parent_id, is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(parent), Context())


def _provider(entity: str, source: str) -> TracerProvider:
    global _patience
    with _making:
        if _patience is None:
            _patience = Patience()
            atexit.unregister(_end)
            atexit.register(_end)
        provider = _providers.get(entity)
        if provider is None:
            provider = TracerProvider(
                # The SDK would wait for each provider apart, and for a silent backend 30 s.
                shutdown_on_exit=False,
                resource=_resource(entity, source),
                id_generator=_ids,
            )
            provider.add_span_processor(BatchSpanProcessor(_exporter_class()()))
            _providers[entity] = provider
        return provider


def _end() -> None:
    """Sends what is left when the process ends, for as long as the backend may take in all."""
    patience, providers = _patience, list(_providers.values())
    if patience is None:
        return

    def shut_down() -> bool:
        for provider in providers:
            provider.shutdown()
        return True

    limit_s = timeout_s()
    if not patience.done_within(shut_down, limit_s):
        logger.error("spans could not be sent within %g s, and are lost", limit_s)


def _sendable(value: Any) -> Any:
    """The same as OTLP can say it: one span with what it cannot would cost its whole batch."""
    if isinstance(value, str):
        return _HALF.sub("\ufffd", value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value if -(2**63) <= value < 2**63 else str(value)
    if isinstance(value, dict):
        return {_sendable(str(key)): _sendable(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_sendable(part) for part in value]
    return value


def _resource(entity: str, source: str) -> Resource:
    ours: dict[str, str] = {
        "service.namespace": "portacode",
        "service.name": f"portacode-{entity}",
        # Jaeger shifts a span into its parent where their hosts differ, because clocks of two
        # hosts do. Ours do not: all spans are of one clock, and its name is the host's.
        "host.id": f"clock:{source}",
    }
    environment = dict(OTELResourceDetector().detect().attributes)
    if entity == "browser":
        # Exported on another's behalf: the name of the process is not its.
        environment.pop("service.name", None)
    else:
        ours["host.name"] = socket.gethostname()
    resource = Resource.create(ours).merge(Resource(environment))
    return Resource(_sendable(dict(resource.attributes)), resource.schema_url)


def _exporter_class() -> type[SpanExporter]:
    protocol = (
        os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
        or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
        or "http/protobuf"
    ).strip()
    package = {"http/protobuf": "http", "grpc": "grpc"}.get(protocol)
    if package is None:
        raise OtelMissingError(
            f'OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}; there are "http/protobuf" and "grpc"'
        )
    try:
        module = import_module(f"opentelemetry.exporter.otlp.proto.{package}.trace_exporter")
    except ModuleNotFoundError as missing:
        raise OtelMissingError(
            f"the OTLP exporter for {protocol} is not installed: "
            f"pip install opentelemetry-exporter-otlp-proto-{package}"
        ) from missing
    exporter: type[SpanExporter] = module.OTLPSpanExporter
    return exporter


_KINDS = {"client": SpanKind.CLIENT, "server": SpanKind.SERVER, "internal": SpanKind.INTERNAL}
_SYNCHRONISED = "ntp_clock.synchronised"
_START = "ntp_clock.start"
_COUNTER = "ntp_clock.start_counter_ns"
# Further away, a time was not taken by the SDK but given to it.
_JUST_NOW_NS = 1_000_000_000
_ids = _Ids()
_making = threading.Lock()
_providers: dict[str, TracerProvider] = {}
_patience: Patience | None = None
# Half a surrogate pair: no character in UTF-8.
_HALF = re.compile("[\ud800-\udfff]")


def _after_fork_in_child() -> None:
    # The SDK starts its threads anew; whoever held our lock is not there to let it go.
    global _making, _patience
    _making = threading.Lock()
    _patience = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
