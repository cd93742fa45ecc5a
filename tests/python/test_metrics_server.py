"""Metrics of programs without a web server: served from a thread, to anyone who scrapes."""

from __future__ import annotations

import errno
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from ports import free_port
from support import environment, eventually

from portacode.metrics import CONTENT_TYPE
from portacode.metrics_server import MetricsServer, serve_metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from portacode.utils.ntp_clock import NTPClock


@pytest.fixture
def server(synced: NTPClock) -> Iterator[MetricsServer]:
    server = serve_metrics("127.0.0.1:0", synced)
    yield server
    server.close()


def scrape(server: MetricsServer, path: str = "/metrics") -> str:
    url = f"http://127.0.0.1:{server.port}{path}"
    with urllib.request.urlopen(url, timeout=120) as reply:
        assert reply.headers["Content-Type"] == CONTENT_TYPE
        text: str = reply.read().decode()
        return text


def test_a_scrape_gets_the_clocks_metrics(server: MetricsServer, synced: NTPClock) -> None:
    name = synced.get_status()["server"]
    assert f'ntp_clock_synchronised{{server="{name}"}} 1\n' in scrape(server)


def test_other_paths_learn_where_it_is(server: MetricsServer) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        scrape(server, "/")
    with refused.value:
        assert refused.value.code == 404


def test_who_says_nothing_holds_it_for_two_seconds_at_most(server: MetricsServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port)):
        assert "ntp_clock_synchronised" in scrape(server)


def test_many_who_say_nothing_or_little_at_a_time_keep_no_scrape_out(
    server: MetricsServer,
) -> None:
    with ExitStack() as open_:
        held = [
            open_.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            for _ in range(30)
        ]
        assert "ntp_clock_synchronised" in scrape(server)
        last = held[-1]
        last.settimeout(0.2)
        for byte in b"GET /metrics HTTP/1.1 and so on, for as long as one likes":
            try:
                last.sendall(bytes([byte]))
                if last.recv(100) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            pytest.fail("it was let go on")
        assert "ntp_clock_synchronised" in scrape(server)


def test_nonsense_does_not_end_it(server: MetricsServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as sender:
        sender.sendall(b"\x00\xff nonsense\r\n\r\n")
        sender.settimeout(30)
        sender.recv(1000)
    assert "ntp_clock_synchronised" in scrape(server)


@pytest.mark.parametrize(
    "listen", ["", "9123", ":9123", "localhost", "::1:9123", "127.0.0.1:x", "127.0.0.1:99999"]
)
def test_what_is_no_address_is_reported(listen: str) -> None:
    with pytest.raises(ValueError, match=r"127\.0\.0\.1:9123"):
        serve_metrics(listen)


def test_a_port_that_is_taken_is_an_error_that_names_it_and_says_what_to_do(
    server: MetricsServer,
) -> None:
    listen = f"127.0.0.1:{server.port}"
    expected = rf"cannot serve metrics on {re.escape(listen)}: .* in use; .* choose another port"
    with pytest.raises(OSError, match=expected) as caught:
        serve_metrics(listen)
    assert caught.value.errno == errno.EADDRINUSE


def test_an_address_of_another_machine_is_named_too() -> None:
    expected = r"cannot serve metrics on 192\.0\.2\.1:0: .*; give an address of this machine"
    with pytest.raises(OSError, match=expected):
        serve_metrics("192.0.2.1:0")


def test_a_device_serves_its_clocks_metrics(time_server: str) -> None:
    port = free_port()
    command = ["-m", "portacode.connection.command", "connect", "--server", "http://127.0.0.1:1"]
    with subprocess.Popen(
        [sys.executable, *command, "--token", "none", "--metrics", f"127.0.0.1:{port}"],
        env=environment(time_server),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as device:
        try:
            assert eventually(lambda: " 1\n" in scraped(port))
        finally:
            device.terminate()


def scraped(port: int) -> str:
    """The line that tells whether it is synchronised."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=120) as reply:
            lines: list[str] = reply.read().decode().splitlines(keepends=True)
    except OSError:
        return ""
    return next(line for line in lines if line.startswith("ntp_clock_synchronised{"))
