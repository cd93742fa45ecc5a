"""Exporters in the place of the program's own."""

from __future__ import annotations

import inspect
import time
from typing import Any, Callable

from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from portacode.otel import _redate_logs, _redate_metrics, _redate_spans
from portacode.otel._door import Door
from portacode.otel._gate import GateLimits
from portacode.otel._times import Times


class _Wrapped:
    """The program's exporter behind a gate; all else of it can be asked for here too."""

    inner: Any
    door: Door[Any]
    _redater: Any

    def __getattr__(self, name: str) -> Any:
        if name in ("inner", "door", "_redater"):
            raise AttributeError(name)
        return getattr(self.inner, name)

    def after_fork(self) -> None:
        """In a child: what waits is the parent's."""
        self.door.after_fork()
        self._redater.after_fork()

    def force_flush(self, timeout_millis: float = 30_000) -> bool:
        """Waits for synchronisation while the limit allows it; then what waits leaves."""
        begun_s, limit_s = time.monotonic(), timeout_millis / 1000
        flushed = self.flush_gate(limit_s)
        left_ms = max(0.0, limit_s - (time.monotonic() - begun_s)) * 1000
        # The SDK's processors never ask an exporter to flush, and some have no such method.
        flush = getattr(self.inner, "force_flush", None)
        return flushed and (flush is None or flush(int(left_ms)) is not False)

    def flush_gate(self, limit_s: float) -> bool:
        """The same without the exporter's own flush."""
        return self.door.flush(min(limit_s - 1.0, self.door.left_s()), limit_s)

    def shutdown(self, timeout_millis: float = 30_000, **others: Any) -> None:
        """Lets all out at once."""
        limit_ms = others.get("timeout", timeout_millis)
        begun_s = time.monotonic()
        self.door.end(max(0.0, limit_ms / 1000))
        left_ms = max(0.0, limit_ms - (time.monotonic() - begun_s) * 1000)
        taken = _takes(self.inner.shutdown)
        limits: dict[str, float] = {}
        if "timeout_millis" in taken:
            limits["timeout_millis"] = left_ms
        elif "timeout" in taken or ("timeout" in others and "kwargs" in taken):
            limits["timeout"] = left_ms
        self.inner.shutdown(**limits)


class DatedSpanExporter(_Wrapped, SpanExporter):
    """The program's span exporter, with spans in true time."""

    def __init__(self, inner: SpanExporter, times: Times, limits: GateLimits) -> None:
        self.inner = inner
        self._redater = _redate_spans.SpanRedater(times)
        self.door = Door(
            lambda spans: inner.export(self._redater.redate(spans)),
            SpanExportResult.SUCCESS,
            times.synchronised,
            limits,
            _redate_spans.size_of,
        )

    def export(self, spans: Any) -> SpanExportResult:
        """Sends them, or has them wait."""
        result: SpanExportResult = self.door.export(list(spans))
        return result


class DatedLogExporter(_Wrapped, LogRecordExporter):
    """The program's log exporter, with records in true time."""

    def __init__(self, inner: LogRecordExporter, times: Times, limits: GateLimits) -> None:
        self.inner = inner
        self._redater = _redate_logs.LogRedater(times)
        self.door = Door(
            lambda records: inner.export(self._redater.redate(records)),
            LogRecordExportResult.SUCCESS,
            times.synchronised,
            limits,
            _redate_logs.size_of,
        )

    def export(self, batch: Any) -> LogRecordExportResult:
        """Sends them, or has them wait."""
        result: LogRecordExportResult = self.door.export(list(batch))
        return result


class DatedMetricExporter(_Wrapped, MetricExporter):
    """The program's metric exporter, with points in true time."""

    def __init__(self, inner: MetricExporter, times: Times, limits: GateLimits) -> None:
        self.inner = inner
        self._redater: _redate_metrics.MetricRedater = _redate_metrics.MetricRedater(times)
        self._options: dict[str, Any] = {}
        self.door = Door(
            self._send,
            MetricExportResult.SUCCESS,
            times.synchronised,
            limits,
            _redate_metrics.size_of,
        )

    def export(
        self, metrics_data: Any, timeout_millis: float = 10_000, **others: Any
    ) -> MetricExportResult:
        """Sends them, or has them wait."""
        self._options = {"timeout_millis": timeout_millis, **others}
        result: MetricExportResult = self.door.export([self._redater.collected(metrics_data)])
        return result

    def _send(self, collections: list[_redate_metrics.Collected]) -> Any:
        result = MetricExportResult.SUCCESS
        for collected in collections:
            sent = self.inner.export(self._redater.redate(collected), **self._options)
            result = sent if sent is not MetricExportResult.SUCCESS else result
        return result


def _takes(function: Callable[..., Any]) -> list[str]:
    try:
        spec = inspect.getfullargspec(function)
    except TypeError:
        return []
    names = [name for name in spec.args if name != "self"]
    return [*names, *spec.kwonlyargs, *(["kwargs"] if spec.varkw else [])]
