"""Metrics in true time."""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from typing import Any, NamedTuple

from opentelemetry.sdk.resources import Resource

from portacode.otel._times import SYNCHRONISED, Redating, Times, just_before, redated
from portacode.utils.ntp_clock import Reading


class Collected(NamedTuple):
    """What a reader collected, and when its points were taken by the counter."""

    data: Any
    moments: dict[int, int | None]


class MetricRedater:
    """Re-dates the metrics of one exporter.

    What was dated once stays so: a cumulative start is repeated unchanged, else a backend would see
    a reset, and a delta's start is the end of the point before it, which the SDK repeats.
    """

    def __init__(self, times: Times) -> None:
        self._times = times
        self.after_fork()

    def after_fork(self) -> None:
        """In a child the lock may be held by nobody."""
        self._lock = threading.Lock()
        self._dated: OrderedDict[int, Reading] = OrderedDict(getattr(self, "_dated", ()))

    def collected(self, data: Any) -> Collected:
        """Notes of a collection that was made just now when that is by the counter."""
        times = {point.time_unix_nano for point in _points(data)}
        return Collected(data, {time_ns: self._times.moment_of(time_ns) for time_ns in times})

    def redate(self, collected: Collected) -> Any:
        """The metrics in true time, as far as it is known; the program's own are not changed."""
        self._times.sample()
        resources = [
            redated(lambda metrics: self._resource(metrics, collected.moments), _unknown, resource)
            for resource in collected.data.resource_metrics
        ]
        return dataclasses.replace(collected.data, resource_metrics=resources)

    def _resource(self, metrics: Any, moments: dict[int, int | None]) -> Any:
        attributes = metrics.resource.attributes
        if SYNCHRONISED in attributes:
            return metrics
        redating = Redating(self._times)
        scopes = []
        all_known = True
        for scope in metrics.scope_metrics:
            found = []
            for metric in scope.metrics:
                points = [self._point(p, redating, moments) for p in metric.data.data_points]
                all_known = all_known and None not in points
                data = dataclasses.replace(metric.data, data_points=points)
                found.append(dataclasses.replace(metric, data=data))
            scopes.append(dataclasses.replace(scope, metrics=found))
        ours: dict[str, Any] = {SYNCHRONISED: False}
        if all_known:
            ours = redating.attributes()
            for name in ("ntp_clock.max_error_ns", "ntp_clock.est_error_ns"):
                # Rounded up, so that the resource is the same for long.
                ours[name] = 1 << max(0, ours[name] - 1).bit_length()
        return _with(metrics, scopes if all_known else metrics.scope_metrics, ours)

    def _point(self, point: Any, redating: Redating, moments: dict[int, int | None]) -> Any:
        """The point in true time; None where it is not known."""
        start_ns, time_ns = point.start_time_unix_nano, point.time_unix_nano
        with self._lock:
            start_is_new = bool(start_ns) and start_ns not in self._dated
            time = self._once(time_ns, moments.get(time_ns))
            start = self._once(start_ns, None) if start_ns else None
            if time is None or (start_ns and start is None):
                return None
            if start is not None and time.time_ns < start.time_ns:
                # What is repeated later is what leaves now.
                if start_is_new:
                    start = self._dated[start_ns] = _covering(time, start)
                else:
                    time = self._dated[time_ns] = _covering(start, time)
        changed: dict[str, Any] = {"time_unix_nano": time.time_ns}
        redating.take(time)
        if start is not None:
            redating.take(start)
            changed["start_time_unix_nano"] = start.time_ns
        exemplars = []
        for exemplar in getattr(point, "exemplars", None) or ():
            taken = redating.date(exemplar.time_unix_nano, None)
            if taken is None:
                return None
            exemplars.append(dataclasses.replace(exemplar, time_unix_nano=taken))
        if exemplars:
            changed["exemplars"] = exemplars
        return dataclasses.replace(point, **changed)

    def _once(self, system_ns: int, moment_ns: int | None) -> Reading | None:
        reading = self._dated.get(system_ns)
        if reading is not None:
            # Asked for as long as the SDK repeats it.
            self._dated.move_to_end(system_ns)
            return reading
        reading = self._times.date(system_ns, just_before(moment_ns))
        if reading is not None:
            self._dated[system_ns] = reading
            if len(self._dated) > _DATED:
                self._dated.popitem(last=False)
        return reading


def _covering(reading: Reading, other: Reading) -> Reading:
    """The first one's time, with an error that covers what the other one says."""
    moved_ns = abs(reading.time_ns - other.time_ns)
    return Reading(
        reading.time_ns,
        max(reading.max_error_ns, other.max_error_ns + moved_ns),
        max(reading.est_error_ns, other.est_error_ns),
        reading.epoch,
    )


def _with(metrics: Any, scopes: Any, ours: dict[str, Any]) -> Any:
    """The same with these scopes, and with attributes more of its resource."""
    resource = metrics.resource
    resource = Resource({**resource.attributes, **ours}, resource.schema_url)
    return dataclasses.replace(metrics, resource=resource, scope_metrics=scopes)


def _unknown(metrics: Any) -> Any:
    return _with(metrics, metrics.scope_metrics, {SYNCHRONISED: False})


def size_of(collected: Collected) -> int:
    """A guess at what a collection takes, in bytes."""
    return sum(_POINT_BYTES for _ in _points(collected.data))


def _points(data: Any) -> Any:
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                yield from metric.data.data_points


_DATED = 65_536
_POINT_BYTES = 500
