"""A site without Internet: our example of chrony's configuration, with a real server above it."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from ports import free_port
from support import ROOT, Chrony, eventually

from portacode.utils.ntp_clock import NTPClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXAMPLE = ROOT / "deploy" / "chrony" / "site-server.conf"


class SiteServer:
    """chronyd with the example, save for addresses and folders, and for whom it asks."""

    def __init__(self, folder: Path, upstream: str) -> None:
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        host, upstream_port = upstream.split(":")
        text = EXAMPLE.read_text()
        line = "server time.cloudflare.com iburst maxpoll 8"
        assert line in text
        text = text.replace(line, f"server {host} port {upstream_port} iburst maxpoll 8")
        text = text.replace("/var/lib/chrony", str(folder))
        text += f"port {port}\ncmdport 0\nbindaddress 127.0.0.1\nallow 127.0.0.1\n"
        text += f"bindcmdaddress {folder}/chronyd.sock\npidfile {folder}/chronyd.pid\n"
        self._conf = folder / "site.conf"
        self._conf.write_text(text)

    def __enter__(self) -> SiteServer:
        user = ["-u", "root"] if os.geteuid() == 0 else []
        # -x: this machine's clock is left alone.
        command = [Chrony.path(), "-x", "-d", *user, "-f", str(self._conf)]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)
        assert eventually(lambda: self.leap() is not None), "chronyd does not answer"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=120)

    def leap(self) -> int | None:
        """The leap indicator of its answer, 3 while it has no time; None without an answer."""
        reply = self.reply()
        return reply[0] >> 6 if reply else None

    def root_dispersion_ns(self) -> int:
        """How far off it says that it may be, beyond half its round trip."""
        reply = self.reply()
        assert reply is not None
        return int.from_bytes(reply[8:12], "big") * 1_000_000_000 >> 16

    def reply(self) -> bytes | None:
        host, port = self.address.split(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.settimeout(0.2)
            probe.connect((host, int(port)))
            try:
                probe.send(bytes([0x23]) + bytes(47))
                return probe.recv(512)
            except OSError:
                return None


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[Chrony]:
    """What Cloudflare is to the real one."""
    folder = tmp_path / "upstream"
    folder.mkdir()
    server = Chrony(folder, free_port())
    server.start()
    yield server
    server.stop()


def test_a_fleet_gets_its_time_through_the_sites_server(tmp_path: Path, upstream: Chrony) -> None:
    with SiteServer(tmp_path, upstream.address) as site:
        assert eventually(lambda: site.leap() == 0)
        fleet = [NTPClock(site.address) for _ in range(20)]
        assert all(clock.wait_synced(60) for clock in fleet)
        status = fleet[0].get_status()
        assert status["server"] == site.address
        # One further from the primary source than the server above, and it counts that.
        assert status["stratum"] == 2
        for clock in fleet:
            before_ns, reading, after_ns = time.time_ns(), clock.read(), time.time_ns()
            assert reading is not None
            # What it asks and we compare with is this machine's own clock.
            bound_ns = reading.max_error_ns + 50_000_000
            assert before_ns - bound_ns <= reading.time_ns <= after_ns + bound_ns


def test_cut_off_the_sites_server_goes_on_and_the_bound_tells(
    tmp_path: Path, upstream: Chrony
) -> None:
    with SiteServer(tmp_path, upstream.address) as site:
        assert eventually(lambda: site.leap() == 0)
        upstream.stop()
        before_ns = site.root_dispersion_ns()
        clock = NTPClock(site.address)
        assert clock.wait_synced(60)
        epoch = clock.get_status()["epoch"]
        # In steps of 2^-16 s.
        assert eventually(lambda: site.root_dispersion_ns() > before_ns)
        assert eventually(clock.sync)
        assert clock.get_status()["epoch"] == epoch


def test_a_sites_server_that_never_had_the_time_is_not_believed(
    tmp_path: Path, upstream: Chrony
) -> None:
    upstream.stop()
    with SiteServer(tmp_path, upstream.address) as site:
        clock = NTPClock(site.address)
        why = "server is not synchronised"
        assert eventually(lambda: clock.get_status()["last_error"] == why)
        assert clock.get_status()["rejections"].get("unsynchronised", 0) > 0
        assert not clock.wait_synced(0.5)
