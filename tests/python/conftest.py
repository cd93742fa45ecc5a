"""Fixtures: real servers, and clocks that ask them."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import pytest

# Before the clock is imported anywhere: tests leave the Internet alone.
os.environ["PORTACODE_NTP_SERVER"] = "127.0.0.1:1"

from ports import free_port
from support import Chrony, FaultyServer, silent_server

from portacode.utils.ntp_clock import NTPClock

# The shared clock's failures are no news here.
logging.getLogger("portacode").addHandler(logging.NullHandler())

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def time_server() -> Iterator[str]:
    """Address of a server that tells this machine's wall clock: ours, which is everywhere."""
    server = FaultyServer()
    yield server.address
    server.stop()


@pytest.fixture(scope="session")
def chrony(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a chronyd that tells this machine's wall clock, for tests of a real peer."""
    server = Chrony(tmp_path_factory.mktemp("chrony"), free_port())
    server.start()
    yield server.address
    server.stop()


@pytest.fixture
def faulty_server() -> Iterator[Callable[..., FaultyServer]]:
    """Starts test servers with these arguments."""
    started: list[FaultyServer] = []

    def start(*arguments: str) -> FaultyServer:
        started.append(FaultyServer(*arguments))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def silent() -> Iterator[str]:
    """Address of a server that never answers."""
    yield from silent_server()


@pytest.fixture
def synced(time_server: str) -> NTPClock:
    """A synchronised clock."""
    clock = NTPClock(time_server)
    assert clock.wait_synced(60)
    return clock


@pytest.fixture
def unsynced(silent: str) -> NTPClock:
    """A clock whose server never answers."""
    return NTPClock(silent)
