"""Prometheus' metrics of a program that has no web server of its own, such as a device.

from portacode.metrics_server import serve_metrics

serve_metrics("127.0.0.1:9123")  # http://127.0.0.1:9123/metrics, until the program ends
"""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from portacode.metrics import CONTENT_TYPE, prometheus_text
from portacode.utils.ntp_clock import ntp_clock

if TYPE_CHECKING:
    from portacode.utils.ntp_clock import NTPClock

__all__ = ["MetricsServer", "serve_metrics"]


def serve_metrics(listen: str, clock: NTPClock | None = None) -> MetricsServer:
    """Serves a clock's metrics from a thread of its own, which ends with the program.

    Args:
        listen: `HOST:PORT`; port 0 is a free one.
        clock: The shared one by default.

    Raises:
        ValueError: Where it is no address and port.
        OSError: Where nobody can listen there; it names the address and what to do.
    """
    return MetricsServer(listen, clock or ntp_clock)


class MetricsServer:
    """What `serve_metrics` has started.

    A scrape is a short thing: a connection has two seconds, whatever it says meanwhile, and of more
    than eight at once the oldest one makes room.
    """

    def __init__(self, listen: str, clock: NTPClock) -> None:
        host, port = _address(listen)

        class Handler(_Handler):
            timeout = _PATIENCE_S

            def text(self) -> str:
                return prometheus_text(clock)

        class Server(_Server):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        try:
            self._server = Server((host, port), Handler)
        except OSError as error:
            raise type(error)(error.errno, _refused(listen, error)) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="ntp-clock-metrics", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port

    def close(self) -> None:
        """Listens no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    """Serves every client, and waits for none."""

    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        self._lock = threading.Lock()
        # Those under way, the oldest first, and what ends them.
        self._open: OrderedDict[socket.socket, threading.Timer] = OrderedDict()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        limit = threading.Timer(_PATIENCE_S, _cut, [request])
        limit.daemon = True
        limit.start()
        with self._lock:
            self._open[request] = limit
            if len(self._open) > _AT_ONCE:
                oldest, its_limit = self._open.popitem(last=False)
                its_limit.cancel()
                _cut(oldest)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            limit = self._open.pop(request, None)
        if limit is not None:
            limit.cancel()
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: the asker is gone or has said nothing sensible."""


class _Handler(BaseHTTPRequestHandler):
    def text(self) -> str:
        raise NotImplementedError

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/metrics":
            self.send_error(404, "not found: only /metrics is served here")
            return
        body = self.text().encode()
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing: a scrape every few seconds is no news."""


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _address(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    good = colon and bare and port.isascii() and port.isdigit() and int(port) < 65536
    if not good or (":" in bare and bare == host):
        raise ValueError(f"write an address and a port such as 127.0.0.1:9123, not {listen!r}")
    return bare, int(port)


def _refused(listen: str, error: OSError) -> str:
    what = f"cannot serve metrics on {listen}: {error.strerror}"
    if error.errno == errno.EADDRINUSE:
        return (
            f"{what}; stop the program that listens there, or choose another port"
            " (0 for a free one)"
        )
    return f"{what}; give an address of this machine, and a port that you may listen on"


_PATIENCE_S = 2.0
_AT_ONCE = 8
