"""The program's propagator, with our member in its tracestate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.propagators.textmap import TextMapPropagator, default_getter, default_setter
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceState,
    get_current_span,
    set_span_in_context,
)

from portacode.otel._exchanges import asked
from portacode.otel._member import with_member

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from portacode.otel._exchanges import Exchanges


class Propagator(TextMapPropagator):
    """Injects what the program's own does, of a span context that says when this was sent."""

    def __init__(self, inner: TextMapPropagator, exchanges: Exchanges) -> None:
        self.inner = inner
        self._exchanges = exchanges

    def extract(
        self, carrier: Any, context: Context | None = None, getter: Any = default_getter
    ) -> Context:
        """The program's own alone: the member is in the remote parent's tracestate."""
        return self.inner.extract(carrier, context, getter)

    def inject(
        self, carrier: Any, context: Context | None = None, setter: Any = default_setter
    ) -> None:
        """With the member in front."""
        span_context = get_current_span(context).get_span_context()
        if span_context.is_valid:
            member = self._exchanges.member(asked.get())
            state = span_context.trace_state.to_header()
            whole = with_member(state, str(member), str(member._replace(exchange=None)))
            sent = SpanContext(
                span_context.trace_id,
                span_context.span_id,
                span_context.is_remote,
                span_context.trace_flags,
                TraceState([_pair(member) for member in whole.split(",") if member]),
            )
            context = set_span_in_context(NonRecordingSpan(sent), context)
        self.inner.inject(carrier, context, setter)

    @property
    def fields(self) -> set[str]:
        """What it writes."""
        return self.inner.fields


def _pair(member: str) -> tuple[str, str]:
    key, _, value = member.partition("=")
    return key, value
