"""A light collector: takes OTLP over HTTP, as protobuf or JSON, and keeps what arrived.

    with Receiver() as receiver:
        run_the_program(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
        print(receiver.items())

Pages of other origins may post to it. `GET /raw` answers with CLOCK_MONOTONIC_RAW, for programs
that cannot read it.
"""

from __future__ import annotations

import enum
import gzip
import json
import socket
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Self


class Item(NamedTuple):
    """A span, a log record or a point of a metric, as it arrived."""

    kind: str  # "span", "log" or "point"
    name: str
    times_ns: dict[str, int]  # those that are set
    attributes: dict[str, Any]  # its own, before those of its scope and resource
    id: bytes = b""  # of a span. From JSON not the bytes of its digits, but equal where they are
    parent: bytes = b""
    temporality: str = ""  # of a point: "cumulative", "delta" or, of a gauge, neither
    arrived_raw_ns: int = 0

    @property
    def key(self) -> str:
        """Which item of the program it is."""
        return str(self.attributes.get("truth.id", self.name))


class Mood(enum.Enum):
    """What the collector does with who comes to it."""

    ANSWERS = "answers"
    REFUSES = "refuses"  # status 503, as one that is down behind its proxy
    HANGS = "hangs"  # takes the request and never answers
    DOWN = "down"  # nobody listens at the port


class Receiver:
    """Listens at a port of the loopback address, always the same one."""

    def __init__(self, mood: Mood = Mood.ANSWERS) -> None:
        self.posts = 0  # requests that arrived, whatever became of them
        self._mood = mood
        self._items: list[Item] = []
        self._unread: list[tuple[Signal, Any, int]] = []
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._release = threading.Event()
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def endpoint(self) -> str:
        """For OTEL_EXPORTER_OTLP_ENDPOINT."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def mood(self) -> Mood:
        """What it does at present; can be set at any time."""
        return self._mood

    @mood.setter
    def mood(self, mood: Mood) -> None:
        self._mood = mood
        self._release.set()
        if mood is Mood.DOWN:
            self._close()
        else:
            self._release = threading.Event()
            self._listen()

    def items(self) -> list[Item]:
        """All that has arrived, in its order."""
        # Not as it arrives: programs would wait for it, and give up what is late.
        with self._lock:
            for signal, request, now in self._unread:
                self._items.extend(
                    item._replace(arrived_raw_ns=now) for item in signal.items(request)
                )
            self._unread.clear()
            return list(self._items)

    def __enter__(self) -> Self:
        self._listen()
        if self._mood is Mood.DOWN:
            self._close()
        return self

    def __exit__(self, *_: object) -> None:
        self._release.set()
        self._close()

    def _listen(self) -> None:
        if self._server is None:
            self._server = _Server(("127.0.0.1", self._port), _handler(self))
            self._port = self._server.server_port
            self._thread = threading.Thread(
                target=self._server.serve_forever, args=(0.02,), daemon=True
            )
            self._thread.start()

    def _close(self) -> None:
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._server = self._thread = None
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # its peer was faster

    def take(self, path: str, is_json: bool, encoding: str, body: bytes) -> tuple[int, bytes]:
        """What to answer to a request: its status and its content."""
        signal = SIGNALS.get(path)
        if signal is None:
            return 404, b""
        self.posts += 1
        if self._mood is Mood.HANGS:
            self._release.wait()
            return 503, b""
        if self._mood is not Mood.ANSWERS:
            return 503, b""
        try:
            content = gzip.decompress(body) if encoding == "gzip" else body
            request = signal.request()
            if is_json:
                json_format.Parse(content, request, ignore_unknown_fields=True)
            else:
                request.ParseFromString(content)
        except (DecodeError, json_format.ParseError, OSError, EOFError, zlib.error, ValueError):
            return 400, b""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
        with self._lock:
            self._unread.append((signal, request, now))
        return 200, b"{}" if is_json else signal.response().SerializeToString()

    def met(self, connection: socket.socket, *, left: bool) -> None:
        """Remembers a connection until it has ended."""
        with self._lock:
            (self._connections.discard if left else self._connections.add)(connection)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, *_: object) -> None:
        """Says nothing: a peer that was killed in mid-request is meant to be."""


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Answers are small; without it they would wait for the peer's acknowledgement.
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            receiver.met(self.connection, left=False)

        def finish(self) -> None:
            receiver.met(self.connection, left=True)
            super().finish()

        def do_POST(self) -> None:
            body = self.body()
            is_json = self.headers.get_content_type() == "application/json"
            encoding = self.headers.get("Content-Encoding", "")
            status, content = receiver.take(self.path, is_json, encoding, body)
            self.answer(status, content, "json" if is_json else "x-protobuf")

        def body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            chunks = []
            # RFC 9112 section 7.1; Node's exporters send so.
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return b"".join(chunks)

        def do_GET(self) -> None:
            if self.path == "/raw":
                now = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
                # As a string: it can be more than JavaScript's numbers hold.
                self.answer(200, json.dumps({"raw_ns": str(now)}).encode(), "json")
            else:
                self.answer(404, b"", "json")

        def do_OPTIONS(self) -> None:
            self.answer(204, b"", "json")

        def answer(self, status: int, content: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", f"application/{kind}")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Access-Control-Allow-Origin", self.headers.get("Origin", "*"))
            self.send_header("Access-Control-Allow-Credentials", "true")
            self.send_header("Access-Control-Allow-Methods", "GET, POST")
            asked = self.headers.get("Access-Control-Request-Headers", "")
            self.send_header("Access-Control-Allow-Headers", asked)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    return Handler


def _value(value: Any) -> Any:
    """What an AnyValue holds; arrays and the like stay as they are."""
    kind = value.WhichOneof("value")
    return None if kind is None else getattr(value, kind)


def _attributes(*holders: Any) -> dict[str, Any]:
    """Of all of them; the first has the last word."""
    return {
        pair.key: _value(pair.value) for holder in reversed(holders) for pair in holder.attributes
    }


def _set(**times_ns: int) -> dict[str, int]:
    """Those that are not 0, which in OTLP means unknown."""
    return {name: time_ns for name, time_ns in times_ns.items() if time_ns}


def _spans(request: Any) -> Iterator[Item]:
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                attributes = _attributes(span, scope.scope, resource.resource)
                times_ns = _set(start=span.start_time_unix_nano, end=span.end_time_unix_nano)
                for place, event in enumerate(span.events):
                    times_ns[f"event {place} {event.name}"] = event.time_unix_nano
                ids = (span.span_id, span.parent_span_id)
                yield Item("span", span.name, times_ns, attributes, *ids)


def _logs(request: Any) -> Iterator[Item]:
    for resource in request.resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                attributes = _attributes(record, scope.scope, resource.resource)
                times_ns = _set(
                    timestamp=record.time_unix_nano, observed=record.observed_time_unix_nano
                )
                yield Item("log", str(_value(record.body)), times_ns, attributes)


def _points(request: Any) -> Iterator[Item]:
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                data = getattr(metric, kind) if kind else None
                temporality = TEMPORALITIES.get(getattr(data, "aggregation_temporality", 0), "")
                for point in data.data_points if data is not None else ():
                    attributes = _attributes(point, scope.scope, resource.resource)
                    times_ns = _set(since=point.start_time_unix_nano, time=point.time_unix_nano)
                    for place, exemplar in enumerate(getattr(point, "exemplars", ())):
                        times_ns[f"exemplar {place}"] = exemplar.time_unix_nano
                    yield Item("point", metric.name, times_ns, attributes, temporality=temporality)


class Signal(NamedTuple):
    """What comes to a path."""

    request: Any
    response: Any
    items: Callable[[Any], Iterator[Item]]


SIGNALS: dict[str, Signal] = {
    "/v1/traces": Signal(ExportTraceServiceRequest, ExportTraceServiceResponse, _spans),
    "/v1/logs": Signal(ExportLogsServiceRequest, ExportLogsServiceResponse, _logs),
    "/v1/metrics": Signal(ExportMetricsServiceRequest, ExportMetricsServiceResponse, _points),
}
TEMPORALITIES = {1: "delta", 2: "cumulative"}
