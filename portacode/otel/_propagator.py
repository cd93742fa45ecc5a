"""The program's propagator, with our member in its tracestate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.propagators.textmap import (
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)

from portacode.otel._exchanges import asked
from portacode.otel._member import with_member

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from portacode.otel._exchanges import Exchanges


class Propagator(TextMapPropagator):
    """Injects what the program's own does, and says in `tracestate` when this was sent."""

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
        """With the member in front, where the program's own writes W3C's context."""
        held = _HoldsBack(setter)
        self.inner.inject(carrier, context, held)
        state = held.state
        if held.is_w3c:
            member = self._exchanges.member(asked.get())
            state = with_member(state or "", str(member), str(member._replace(exchange=None)))
        if state or held.state is not None:
            setter.set(carrier, _STATE, state)

    @property
    def fields(self) -> set[str]:
        """What it writes."""
        return self.inner.fields


class _HoldsBack(Setter[Any]):
    """Sets all but `tracestate`."""

    def __init__(self, setter: Any) -> None:
        self._setter = setter
        self.is_w3c = False
        self.state: str | None = None

    def set(self, carrier: Any, key: str, value: str) -> None:
        """Sets it, or keeps it."""
        name = key.lower()
        if name == _STATE:
            self.state = value
            return
        self.is_w3c = self.is_w3c or name == "traceparent"
        self._setter.set(carrier, key, value)


_STATE = "tracestate"
