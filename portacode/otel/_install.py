"""Puts hooks and gates into the SDK's providers: those that are there, and those to come."""

from __future__ import annotations

import functools
import gc
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Callable

from opentelemetry import propagate
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
from opentelemetry.sdk._logs import _internal as logs_internal
from opentelemetry.sdk._logs.export import LogRecordExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter
from opentelemetry.sdk.trace import (
    ConcurrentMultiSpanProcessor,
    SpanProcessor,
    SynchronousMultiSpanProcessor,
    TracerProvider,
)
from opentelemetry.sdk.trace.export import SpanExporter

from portacode.otel._exporters import DatedLogExporter, DatedMetricExporter, DatedSpanExporter
from portacode.otel._propagator import Propagator
from portacode.otel._redate_logs import LogHook
from portacode.otel._redate_spans import SpanHook
from portacode.otel._times import Times

if TYPE_CHECKING:
    from portacode.otel._gate import GateLimits
    from portacode.utils.ntp_clock import NTPClock


class _Signal:
    """Spans or logs: what their providers, processors and exporters are."""

    def __init__(self, many: str, processors: str, processor: type, exporter: type) -> None:
        self.many = many
        self.processors = processors
        self.processor = processor
        self.exporter = exporter


_SPANS = _Signal("_active_span_processor", "_span_processors", SpanProcessor, SpanExporter)
_LOGS = _Signal(
    "_multi_log_record_processor", "_log_record_processors", LogRecordProcessor, LogRecordExporter
)


class Installation:
    """What was put where, so that it can be taken out again."""

    def __init__(self, clock: NTPClock, limits: GateLimits) -> None:
        self.times = Times(clock)
        self._limits = limits
        self._lock = threading.RLock()
        self._wrapped: list[Any] = []
        self._hooks: list[weakref.ref[Any]] = []
        self._undo: list[Callable[[], None]] = []

    def begin(self, exchanges: bool) -> None:
        """Puts hooks and gates where providers are, and sees to those that come later."""
        after, before = self._after, self._before
        after(TracerProvider, "__init__", lambda provider: self._adopt(provider, _SPANS))
        after(LoggerProvider, "__init__", lambda provider: self._adopt(provider, _LOGS))
        after(MeterProvider, "__init__", self._adopt_readers)
        for many in (SynchronousMultiSpanProcessor, ConcurrentMultiSpanProcessor):
            before(many, "add_span_processor", lambda added: self._enter(added, _SPANS))
        for name in ("SynchronousMultiLogRecordProcessor", "ConcurrentMultiLogRecordProcessor"):
            many_logs = getattr(logs_internal, name)
            before(many_logs, "add_log_record_processor", lambda added: self._enter(added, _LOGS))
        if exchanges:
            self._propagate()
        for provider in _living((TracerProvider, LoggerProvider, MeterProvider)):
            if isinstance(provider, TracerProvider):
                self._adopt(provider, _SPANS)
            elif isinstance(provider, LoggerProvider):
                self._adopt(provider, _LOGS)
            else:
                self._adopt_readers(provider)

    def end(self, limit_s: float) -> None:
        """Takes all out again, and lets out what waits."""
        with self._lock:
            undo, self._undo = self._undo, []
            wrapped, self._wrapped = self._wrapped, []
        for step in reversed(undo):
            step()
        end_s = time.monotonic() + limit_s
        for exporter in wrapped:
            exporter.door.end(max(0.0, end_s - time.monotonic()))
        self.times.end()

    def after_fork(self) -> None:
        """In a child: locks may be held by threads that are gone."""
        self._lock = threading.RLock()
        self.times.after_fork()
        for exporter in self._wrapped:
            exporter.after_fork()
        for found in self._hooks:
            hook = found()
            if hook is not None:
                hook.after_fork()

    def _propagate(self) -> None:
        """Puts ours around the program's propagator, and around one that is set later."""

        def around(inner: Any) -> Propagator:
            return Propagator(inner, self.times.exchanges)

        original = propagate.set_global_textmap

        @functools.wraps(original)
        def set_global_textmap(http_text_format: Any) -> None:
            original(around(http_text_format))

        self._patch(propagate, "set_global_textmap", original, set_global_textmap)
        original(around(propagate.get_global_textmap()))

        def take_out() -> None:
            there = propagate.get_global_textmap()
            if isinstance(there, Propagator):
                original(there.inner)

        self._undo.append(take_out)

    def _adopt(self, provider: Any, signal: _Signal) -> None:
        """Puts the hook before a provider's processors, and gates before their exporters."""
        many: Any = getattr(provider, signal.many, None)
        held = getattr(many, signal.processors, None)
        if not isinstance(held, tuple):
            return
        for processor in held:
            self._enter(processor, signal)
        hook = SpanHook(self.times) if signal is _SPANS else LogHook(self.times)
        with self._lock:
            self._hooks.append(weakref.ref(hook))
        with many._lock if hasattr(many, "_lock") else self._lock:
            setattr(many, signal.processors, (hook, *getattr(many, signal.processors)))
        found = weakref.ref(many)

        def take_out() -> None:
            there = found()
            if there is not None:
                left = tuple(p for p in getattr(there, signal.processors) if p is not hook)
                setattr(there, signal.processors, left)

        self._undo.append(take_out)

    def _adopt_readers(self, provider: Any) -> None:
        # Older SDKs keep them with the configuration.
        configuration = getattr(provider, "_sdk_config", None)
        older = getattr(configuration, "metric_readers", ())
        for reader in getattr(provider, "_metric_readers", older):
            self._enter_reader(reader)

    def _enter_reader(self, reader: Any) -> None:
        for name, value in list(vars(reader).items()):
            if isinstance(value, MetricExporter) and not isinstance(value, DatedMetricExporter):
                self._put(reader, name, DatedMetricExporter(value, self.times, self._limits))

    def _enter(self, processor: Any, signal: _Signal) -> None:
        """Puts gates before the exporters of a processor and of those that it holds."""
        self._search(processor, processor, signal, set())

    def _search(self, place: Any, processor: Any, signal: _Signal, seen: set[int]) -> None:
        if id(place) in seen or not hasattr(place, "__dict__"):
            return
        seen.add(id(place))
        for name, value in list(vars(place).items()):
            if isinstance(value, (DatedSpanExporter, DatedLogExporter)):
                continue
            if isinstance(value, signal.exporter):
                kind: Any = DatedSpanExporter if signal is _SPANS else DatedLogExporter
                wrapped = kind(value, self.times, self._limits)
                self._put(place, name, wrapped)
                self._flush_with(processor, wrapped)
            elif isinstance(value, (list, tuple)):
                for part in value:
                    if isinstance(part, signal.processor):
                        self._search(part, part, signal, seen)
            elif isinstance(value, signal.processor):
                self._search(value, value, signal, seen)
            elif name == "_batch_processor":
                self._search(value, processor, signal, seen)

    def _put(self, place: Any, name: str, wrapped: Any) -> None:
        with self._lock:
            self._wrapped.append(wrapped)
        setattr(place, name, wrapped)
        found = _reference(place)

        def take_out() -> None:
            there: Any = found()
            if there is not None and vars(there).get(name) is wrapped:
                setattr(there, name, wrapped.inner)

        self._undo.append(take_out)

    def _flush_with(self, processor: Any, wrapped: Any) -> None:
        """A processor's flush ends when what waited has left: the SDK asks no exporter to flush."""
        flush = processor.force_flush

        @functools.wraps(flush)
        def force_flush(timeout_millis: float | None = None) -> bool:
            limit_ms = 30_000 if timeout_millis is None else timeout_millis
            begun_s = time.monotonic()
            flushed = flush() if timeout_millis is None else flush(timeout_millis)
            left_s = limit_ms / 1000 - (time.monotonic() - begun_s)
            return wrapped.flush_gate(max(0.0, left_s)) and flushed is not False

        try:
            processor.force_flush = force_flush
        except AttributeError:
            return
        found = _reference(processor)

        def take_out() -> None:
            there = found()
            if there is not None and vars(there).get("force_flush") is force_flush:
                del there.force_flush

        self._undo.append(take_out)

    def _after(self, owner: type, name: str, then: Callable[[Any], None]) -> None:
        original = getattr(owner, name)

        @functools.wraps(original)
        def method(this: Any, *args: Any, **kwargs: Any) -> None:
            original(this, *args, **kwargs)
            then(this)

        self._patch(owner, name, original, method)

    def _before(self, owner: type, name: str, first: Callable[[Any], None]) -> None:
        original = getattr(owner, name)

        @functools.wraps(original)
        def method(this: Any, added: Any) -> Any:
            first(added)
            return original(this, added)

        self._patch(owner, name, original, method)

    def _patch(self, owner: Any, name: str, original: Any, method: Any) -> None:
        setattr(owner, name, method)

        def take_out() -> None:
            # Where somebody else has patched it since, ours stays below theirs.
            if getattr(owner, name) is method:
                setattr(owner, name, original)

        self._undo.append(take_out)


def install(clock: NTPClock, limits: GateLimits, exchanges: bool) -> None:
    """Begins, unless it has begun."""
    global _installation
    with _changing:
        if _installation is None:
            _installation = Installation(clock, limits)
            _installation.begin(exchanges)


def uninstall(limit_s: float) -> None:
    """Ends, if it has begun."""
    global _installation
    with _changing:
        ending, _installation = _installation, None
    if ending is not None:
        ending.end(limit_s)


def _living(kinds: tuple[type, ...]) -> list[Any]:
    """All objects of these classes, also such as are not the program's global ones."""
    return [thing for thing in gc.get_objects() if issubclass(type(thing), kinds)]


def _reference(thing: Any) -> Callable[[], Any]:
    try:
        return weakref.ref(thing)
    except TypeError:
        return lambda: thing


def _after_fork_in_child() -> None:
    global _changing
    _changing = threading.RLock()
    if _installation is not None:
        _installation.after_fork()


_changing = threading.RLock()
_installation: Installation | None = None

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
