"""The part that needs OpenTelemetry's SDK, imported when something is to be exported."""

from __future__ import annotations

import atexit
import logging
import os
import re
import socket
import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
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
from portacode.otel._end import Patience
from portacode.otel._environment import OtelMissingError, timeout_s

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.sdk.trace.export import SpanExporter

    from portacode.otel._spans import SpanData
    from portacode.traceparent import TraceParent

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


class _Ids(IdGenerator, threading.local):
    """The ids that the next span of this thread is to have."""

    trace_id = 0
    span_id = 0

    def generate_span_id(self) -> int:
        return self.span_id

    def generate_trace_id(self) -> int:
        return self.trace_id


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
_ids = _Ids()
_making = threading.Lock()
_providers: dict[str, TracerProvider] = {}
_patience: Patience | None = None
# Half a surrogate pair: no character in UTF-8.
_HALF = re.compile("[\ud800-\udfff]")


def _after_fork_in_child() -> None:
    # The SDK starts its threads again; the thread that held our lock is not there to release it.
    global _making, _patience
    _making = threading.Lock()
    _patience = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
