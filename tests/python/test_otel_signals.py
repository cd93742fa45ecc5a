"""Log records and metrics that OpenTelemetry's SDK made leave in true time."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import pytest

from portacode import otel
from portacode.utils.ntp_clock import ManualClock, NTPClock

pytest.importorskip("opentelemetry.sdk", reason="no SDK: pip install 'portacode[otel]'")
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler, LogRecordLimits
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    InMemoryLogRecordExporter,
    SimpleLogRecordProcessor,
)
from opentelemetry.sdk.metrics import Counter, MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricExporter,
    MetricExportResult,
    PeriodicExportingMetricReader,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support import FaultyServer

SECOND_NS = 1_000_000_000
HOUR_NS = 3600 * SECOND_NS
MARK = "ntp_clock.synchronised"


@pytest.fixture(autouse=True)
def _uninstalled() -> Iterator[None]:
    yield
    otel.uninstall()


@pytest.fixture
def ahead(faulty_server: Callable[..., FaultyServer]) -> NTPClock:
    """A clock whose server is an hour ahead of this machine's: as if this one's were slow."""
    clock = NTPClock(faulty_server("--offset", "+1h").address)
    assert clock.wait_synced(60)
    return clock


class Logged:
    """A provider whose records are kept."""

    def __init__(self, processor: Any = SimpleLogRecordProcessor, **options: Any) -> None:
        self._kept: Any = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
        self.provider = LoggerProvider(shutdown_on_exit=False, **options)
        self.provider.add_log_record_processor(processor(self._kept))

    def records(self) -> list[Any]:
        assert self.provider.force_flush(5000)
        return [readable.log_record for readable in self._kept.get_finished_logs()]


def is_an_hour_ahead(time_ns: int | None) -> bool:
    return time_ns is not None and abs(time_ns - time.time_ns() - HOUR_NS) < 60 * SECOND_NS


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("processor", [SimpleLogRecordProcessor, BatchLogRecordProcessor])
def test_what_the_logging_module_says_has_true_times(ahead: NTPClock, processor: Any) -> None:
    logged = Logged(processor)
    otel.install(ahead)
    handler = LoggingHandler(logger_provider=logged.provider)
    logger = logging.getLogger("tests.otel")
    logger.addHandler(handler)
    try:
        logger.warning("careful", extra={"shop.cart": 3})
    finally:
        logger.removeHandler(handler)
    (record,) = logged.records()
    assert record.body == "careful"
    assert record.timestamp <= record.observed_timestamp
    assert is_an_hour_ahead(record.timestamp)
    assert is_an_hour_ahead(record.observed_timestamp)
    assert record.attributes["shop.cart"] == 3
    assert record.attributes[MARK] is True
    assert record.attributes["ntp_clock.max_error_ns"] < SECOND_NS
    logged.provider.shutdown()


def test_a_timestamp_that_the_program_gave_stays_and_says_so(ahead: NTPClock) -> None:
    otel.install(ahead)
    logged = Logged()
    given_ns = time.time_ns() - HOUR_NS
    record = LogRecord(timestamp=given_ns, severity_number=SeverityNumber.INFO, body="old")
    logged.provider.get_logger("tests").emit(record)
    (sent,) = logged.records()
    assert sent.timestamp == given_ns
    assert is_an_hour_ahead(sent.observed_timestamp)
    assert sent.attributes["ntp_clock.time_source"] == "program"
    # The program's own record is as it was.
    assert record.timestamp == given_ns
    assert dict(record.attributes or {}) == {}


def test_records_from_before_the_first_synchronisation_wait_and_are_dated() -> None:
    clock = ManualClock()
    otel.install(clock)
    logged = Logged()
    logger = logged.provider.get_logger("tests")
    logger.emit(LogRecord(timestamp=time.time_ns(), body="early"))
    assert logged._kept.get_finished_logs() == ()
    clock.set(1_759_639_032 * SECOND_NS)
    logger.emit(LogRecord(timestamp=time.time_ns(), body="late"))
    records = logged.records()
    assert [record.body for record in records] == ["early", "late"]
    assert {record.timestamp for record in records} == {1_759_639_032 * SECOND_NS}


@pytest.mark.filterwarnings("ignore:Log record attributes were dropped")
def test_limits_of_records_are_left_alone(ahead: NTPClock) -> None:
    otel.install(ahead)
    logged = Logged(log_record_limits=LogRecordLimits(max_log_record_attributes=1))
    logged.provider.get_logger("tests").emit(LogRecord(body="full", attributes={"a": 1, "b": 2}))
    (readable,) = logged._kept.get_finished_logs()
    assert readable.dropped_attributes == 1
    assert (readable.log_record.attributes or {})[MARK] is True


def test_whether_a_logger_is_enabled_is_for_the_programs_processors_to_say(
    ahead: NTPClock,
) -> None:
    provider = LoggerProvider(shutdown_on_exit=False)
    before = provider.get_logger("tests").enabled()
    otel.install(ahead)
    assert provider.get_logger("tests").enabled() is before is False


class Kept(MetricExporter):
    """Keeps what it got."""

    def __init__(self, temporality: AggregationTemporality) -> None:
        super().__init__(preferred_temporality={Counter: temporality})
        self.resources: list[Any] = []
        self.limits: list[float] = []

    def export(self, metrics_data: Any, timeout_millis: float = 1, **_: Any) -> MetricExportResult:
        self.resources += metrics_data.resource_metrics
        self.limits.append(timeout_millis)
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return timeout_millis > 0

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:
        assert timeout_millis >= 0

    def points(self) -> list[Any]:
        return [
            point
            for resource in self.resources
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == "counted"
            for point in metric.data.data_points
        ]


def counted(kept: Kept, clock: NTPClock) -> list[Any]:
    """The points of a counter that was collected three times."""
    reader = PeriodicExportingMetricReader(kept, export_interval_millis=3_600_000)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    otel.install(clock)
    counter = provider.get_meter("tests").create_counter("counted")
    for _ in range(3):
        counter.add(1)
        assert provider.force_flush(5000)
    provider.shutdown()
    return kept.points()


def test_the_first_start_is_not_after_its_time_and_what_follows_repeats_it(
    ahead: NTPClock,
) -> None:
    # Both are dated apart, with an error that is wider than the point is long.
    for _ in range(20):
        points = counted(Kept(AggregationTemporality.DELTA), ahead)
        assert all(point.start_time_unix_nano <= point.time_unix_nano for point in points)
        for before, after in zip(points, points[1:]):
            assert after.start_time_unix_nano == before.time_unix_nano


def test_a_cumulative_start_is_dated_once_and_repeated(ahead: NTPClock) -> None:
    kept = Kept(AggregationTemporality.CUMULATIVE)
    points = counted(kept, ahead)
    assert len({point.start_time_unix_nano for point in points}) == 1
    times = [point.time_unix_nano for point in points]
    assert [points[0].start_time_unix_nano, *times] == sorted(
        [points[0].start_time_unix_nano, *times]
    )
    assert all(is_an_hour_ahead(time_ns) for time_ns in times)
    assert is_an_hour_ahead(points[0].start_time_unix_nano)
    for resource in kept.resources:
        attributes = resource.resource.attributes
        assert attributes[MARK] is True
        assert attributes["service.name"]
        error_ns = attributes["ntp_clock.max_error_ns"]
        assert error_ns == 1 << (error_ns.bit_length() - 1) < SECOND_NS


def test_a_delta_starts_where_the_one_before_it_ended(ahead: NTPClock) -> None:
    points = counted(Kept(AggregationTemporality.DELTA), ahead)
    assert len(points) >= 3
    for before, after in zip(points, points[1:]):
        assert after.start_time_unix_nano == before.time_unix_nano


def test_metrics_wait_for_the_clock_as_well() -> None:
    clock = ManualClock()
    kept = Kept(AggregationTemporality.CUMULATIVE)
    waited = []

    def synchronise() -> None:
        waited.append(len(kept.resources))
        clock.set(1_759_639_032 * SECOND_NS)

    reader = PeriodicExportingMetricReader(kept, export_interval_millis=3_600_000)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    otel.install(clock)
    provider.get_meter("tests").create_counter("counted").add(1)
    reader.collect()
    synchronise()
    reader.collect()
    assert waited == [0]
    assert {point.time_unix_nano for point in kept.points()} == {1_759_639_032 * SECOND_NS}
    assert len(kept.resources) == 2
    provider.shutdown()


def test_without_time_metrics_stay_as_they_are_and_say_so(unsynced: NTPClock) -> None:
    kept = Kept(AggregationTemporality.CUMULATIVE)
    reader = PeriodicExportingMetricReader(kept, export_interval_millis=3_600_000)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    otel.install(unsynced)
    provider.get_meter("tests").create_counter("counted").add(1)
    begun_s = time.monotonic()
    provider.shutdown(timeout_millis=60_000)
    assert time.monotonic() - begun_s < 9
    (point,) = kept.points()
    assert abs(point.time_unix_nano - time.time_ns()) < 60 * SECOND_NS
    assert kept.resources[0].resource.attributes[MARK] is False
