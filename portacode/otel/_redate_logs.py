"""Log records in true time."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk._logs import LogRecordProcessor

from portacode.otel._times import (
    SYNCHRONISED,
    TIME_SOURCE,
    Redating,
    Times,
    is_known,
    just_before,
    redated,
    tell_of_a_fault,
)


class LogHook(LogRecordProcessor):
    """Sees log records emitted: what the clock shows then was taken by the SDK or its handler."""

    def __init__(self, times: Times) -> None:
        self._times = times

    def after_fork(self) -> None:
        """Nothing is held."""

    def on_emit(self, log_record: Any) -> None:
        """Notes when it was by the counter; None for a time that the program gave."""
        try:
            self._emitted(log_record.log_record)
        except Exception:
            tell_of_a_fault()

    def _emitted(self, record: Any) -> None:
        moment_of = self._times.moment_of
        stamped, observed = record.timestamp, record.observed_timestamp
        record.ntp_clock_moments = (
            moment_of(stamped) if stamped else None,
            moment_of(observed) if observed else None,
        )

    def enabled(self, **_: Any) -> bool:
        """It wants nothing: whether anybody does is for the others to say."""
        return False

    def shutdown(self) -> None:
        """Nothing is held."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:  # noqa: ARG002
        """Nothing is held."""
        return True


class LogRedater:
    """Re-dates the log records of one exporter."""

    def __init__(self, times: Times) -> None:
        self._times = times

    def after_fork(self) -> None:
        """Nothing is held."""

    def redate(self, records: list[Any]) -> list[Any]:
        """The records in true time, as far as it is known; the program's own are not changed."""
        self._times.sample()
        return [redated(self._redated, _unknown, record) for record in records]

    def _redated(self, readable: Any) -> Any:
        record = readable.log_record
        attributes = record.attributes or {}
        if SYNCHRONISED in attributes:
            return readable
        moments = getattr(record, "ntp_clock_moments", None)
        stamped, observed = record.timestamp, record.observed_timestamp
        stamped_at, observed_at = moments or (None, None)
        redating = Redating(self._times)
        program = False
        dated = copy.copy(record)
        known: list[int | None] = []
        if stamped:
            program = moments is not None and stamped_at is None
            program = program and not is_known(readable.instrumentation_scope)
            if not program:
                # It may have been a floating-point number of seconds.
                before_ns = stamped - _FLOAT_NS // 2
                dated.timestamp = redating.date(before_ns, just_before(stamped_at), _FLOAT_NS)
                known.append(dated.timestamp)
        if observed:
            dated.observed_timestamp = redating.date(observed, just_before(observed_at))
            known.append(dated.observed_timestamp)
        if known and None not in known:
            ours = redating.attributes()
            if stamped and not program and dated.observed_timestamp is not None:
                late_ns = dated.timestamp - dated.observed_timestamp
                if stamped <= observed and late_ns > 0:
                    redating.moved(late_ns)
                    dated.timestamp = dated.observed_timestamp
                    ours = redating.attributes()
        else:
            dated.timestamp, dated.observed_timestamp = stamped, observed
            ours = {SYNCHRONISED: False}
        if program:
            ours[TIME_SOURCE] = "program"
        return _with(readable, dated, ours)


def _with(readable: Any, record: Any, ours: dict[str, Any]) -> Any:
    """The same with a copy of its record, and with attributes more."""
    attributes = {**(record.attributes or {}), **ours}
    record.attributes = BoundedAttributes(attributes=attributes, immutable=True)
    record.attributes.dropped = readable.dropped_attributes
    return dataclasses.replace(readable, log_record=record)


def _unknown(readable: Any) -> Any:
    return _with(readable, copy.copy(readable.log_record), {SYNCHRONISED: False})


def size_of(readable: Any) -> int:
    """A guess at what a record takes, in bytes."""
    record = readable.log_record
    body = len(record.body) if isinstance(record.body, (str, bytes)) else _PART_BYTES
    attributes = record.attributes or {}
    texts = sum(len(value) for value in attributes.values() if isinstance(value, str))
    return _RECORD_BYTES + body + texts + _PART_BYTES * len(attributes)


# Seconds since 1970 as a floating-point number are this coarse, and were rounded.
_FLOAT_NS = 1_000
_RECORD_BYTES = 600
_PART_BYTES = 128
