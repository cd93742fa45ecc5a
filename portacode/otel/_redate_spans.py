"""Spans in true time."""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor

from portacode.otel._member import KEY
from portacode.otel._times import (
    SYNCHRONISED,
    TIME_SOURCE,
    Redating,
    Times,
    Window,
    is_known,
    just_before,
    redated,
    tell_of_a_fault,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.context import Context


class SpanHook(SpanProcessor):
    """Sees spans start and end: what the clock shows then was taken by the SDK."""

    def __init__(self, times: Times) -> None:
        self._times = times
        self.after_fork()

    def after_fork(self) -> None:
        """In a child the history may be another."""
        self._moment_of = self._times.history.moment_of

    def on_start(self, span: Any, parent_context: Context | None = None) -> None:  # noqa: ARG002
        """Notes when it was by the counter; None for a time that the program gave."""
        try:
            # The attributes are what a span and its readable copy share.
            span._attributes.ntp_clock_start = self._moment_of(span._start_time)
        except Exception:
            tell_of_a_fault()

    def on_end(self, span: Any) -> None:
        """Notes it of the end."""
        try:
            span.ntp_clock_end = self._moment_of(span._end_time)
        except Exception:
            tell_of_a_fault()

    def force_flush(self, timeout_millis: int = 30000) -> bool:  # noqa: ARG002
        """Nothing is held; said, because older SDKs take the base's None for a failure."""
        return True


class DatedSpan(ReadableSpan):
    """A span with other times and some attributes more, which count against no limit."""

    def __init__(
        self,
        span: ReadableSpan,
        start_ns: int | None,
        end_ns: int | None,
        events: Sequence[Event],
        attributes: dict[str, Any],
    ) -> None:
        super().__init__(
            name=span.name,
            context=span.get_span_context(),
            parent=span.parent,
            resource=span.resource,
            attributes={**(span.attributes or {}), **attributes},
            events=events,
            links=span.links,
            kind=span.kind,
            status=span.status,
            start_time=start_ns,
            end_time=end_ns,
            instrumentation_scope=span.instrumentation_scope,
        )
        self._instrumentation_info = getattr(span, "_instrumentation_info", None)
        self._dropped = (span.dropped_attributes, span.dropped_events, span.dropped_links)

    @property
    def dropped_attributes(self) -> int:
        """How many the SDK dropped."""
        return self._dropped[0]

    @property
    def dropped_events(self) -> int:
        """How many the SDK dropped."""
        return self._dropped[1]

    @property
    def dropped_links(self) -> int:
        """How many the SDK dropped."""
        return self._dropped[2]


class SpanRedater:
    """Re-dates the spans of one exporter."""

    def __init__(self, times: Times) -> None:
        self._times = times
        self._families = _Families()

    def after_fork(self) -> None:
        """In a child the lock may be held by nobody."""
        self._families = _Families()

    def redate(self, spans: list[ReadableSpan]) -> list[ReadableSpan]:
        """The spans in true time, as far as it is known; the program's own are not changed."""
        self._times.sample()
        return [redated(self._redated, _unknown, span) for span in spans]

    def _redated(self, span: ReadableSpan) -> ReadableSpan:
        attributes = span.attributes or {}
        if SYNCHRONISED in attributes:
            return span
        start_ns, end_ns = span.start_time, span.end_time
        if start_ns is None or end_ns is None:
            return self._left(span, program=False)
        start_moment = getattr(span._attributes, "ntp_clock_start", _UNSEEN)
        end_moment = getattr(span, "ntp_clock_end", _UNSEEN)
        if None in (start_moment, end_moment) and not is_known(span.instrumentation_scope):
            # Two clocks would give it a length that nobody measured.
            return self._left(span, program=True)
        redating = Redating(self._times)
        starts = None if start_moment is _UNSEEN else start_moment
        ends = None if end_moment is _UNSEEN else end_moment
        start = redating.date(start_ns, just_before(starts))
        end = redating.date(end_ns, just_before(ends))
        if start is None or end is None:
            return self._left(span, program=False)
        if end < start:
            redating.moved(start - end)
            end = start
        window: Window = None
        if starts is not None and ends is not None:
            start, end = self._around_children(span, redating, (starts, ends), (start, end))
            window = (starts, ends)
        events, program = self._events(span, redating, (start, end), window)
        ours = {**redating.attributes(), **self._order(span, start_ns, starts)}
        if program:
            ours[TIME_SOURCE] = "program"
        return DatedSpan(span, start, end, events, ours)

    def _around_children(
        self,
        span: ReadableSpan,
        redating: Redating,
        moments: tuple[int, int],
        dated: tuple[int, int],
    ) -> tuple[int, int]:
        """Moves a span's ends where what the clock learned meanwhile puts a child outside."""
        (start, end), context = dated, span.get_span_context()
        if context is not None:
            children = self._families.pop(context.span_id)
            if children is not None:
                if children.first_moment >= moments[0] and children.first_ns < start:
                    redating.moved(start - children.first_ns)
                    start = children.first_ns
                if children.last_moment <= moments[1] and children.last_ns > end:
                    redating.moved(children.last_ns - end)
                    end = children.last_ns
        if span.parent is not None and not span.parent.is_remote:
            self._families.add(span.parent.span_id, moments, (start, end))
        return start, end

    def _events(
        self, span: ReadableSpan, redating: Redating, dated: tuple[int, int], window: Window
    ) -> tuple[tuple[Event, ...], bool]:
        """The events, and whether some have times that the program gave."""
        program = False
        events = []
        for event in span.events:
            was = event.timestamp
            time_ns = redating.date(was, window)
            if time_ns is None:
                program = True
                events.append(event)
                continue
            if (span.start_time or 0) <= was <= (span.end_time or 0):
                inside = min(max(time_ns, dated[0]), dated[1])
                redating.moved(inside - time_ns)
                time_ns = inside
            events.append(_moved(event, time_ns))
        return tuple(events), program

    def _order(self, span: ReadableSpan, start_ns: int, moment: int | None) -> dict[str, Any]:
        """How its start stands to what its remote parent sent; nothing where that said nothing."""
        parent = span.parent
        if parent is None or not parent.is_remote:
            return {}
        member = self._times.exchanges.received(parent.trace_state.get(KEY))
        if member is None:
            return {}
        traced = self._times.traced(start_ns, just_before(moment))
        return self._times.exchanges.order(member, traced)

    def _left(self, span: ReadableSpan, program: bool) -> ReadableSpan:
        ours: dict[str, Any] = {SYNCHRONISED: False}
        start_moment = getattr(span._attributes, "ntp_clock_start", None)
        if span.start_time is not None and start_moment is not None:
            ours |= self._order(span, span.start_time, start_moment)
        if program:
            ours[TIME_SOURCE] = "program"
        return DatedSpan(span, span.start_time, span.end_time, span.events, ours)


class _Children(NamedTuple):
    """The first start and the last end of a span's children: by the counter, and as dated."""

    first_moment: int
    first_ns: int
    last_moment: int
    last_ns: int


class _Families:
    """How children were dated, until their parent is; of too many the oldest are forgotten."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: OrderedDict[int, _Children] = OrderedDict()

    def add(self, parent: int, moments: tuple[int, int], dated: tuple[int, int]) -> None:
        with self._lock:
            known = self._of.pop(parent, None)
            children = _Children(moments[0], dated[0], moments[1], dated[1])
            if known is not None:
                if known.first_ns <= children.first_ns:
                    children = children._replace(
                        first_moment=known.first_moment, first_ns=known.first_ns
                    )
                if known.last_ns >= children.last_ns:
                    children = children._replace(
                        last_moment=known.last_moment, last_ns=known.last_ns
                    )
            self._of[parent] = children
            if len(self._of) > _FAMILIES:
                self._of.popitem(last=False)

    def pop(self, parent: int) -> _Children | None:
        with self._lock:
            return self._of.pop(parent, None)


def size_of(span: ReadableSpan) -> int:
    """A guess at what a span takes, in bytes."""
    events = sum(_PART_BYTES * (1 + len(event.attributes or {})) for event in span.events)
    links = sum(_PART_BYTES * (1 + len(link.attributes or {})) for link in span.links)
    texts = sum(len(value) for value in (span.attributes or {}).values() if isinstance(value, str))
    return _SPAN_BYTES + _PART_BYTES * len(span.attributes or {}) + texts + events + links


def _unknown(span: ReadableSpan) -> ReadableSpan:
    return DatedSpan(span, span.start_time, span.end_time, span.events, {SYNCHRONISED: False})


def _moved(event: Event, time_ns: int) -> Event:
    if type(event) is Event:
        return Event(event.name, event.attributes, time_ns)
    moved = copy.copy(event)
    moved._timestamp = time_ns
    return moved


# A hook that was not there yet has seen nothing: neither of the SDK nor of the program.
_UNSEEN: Any = object()
_FAMILIES = 8192
_SPAN_BYTES = 800
_PART_BYTES = 128
