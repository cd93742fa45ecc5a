"""Fixtures: a time source, a server on SQLite, its users and devices."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

# Before the clock is imported anywhere: tests leave the Internet alone.
os.environ["PORTACODE_NTP_SERVER"] = "127.0.0.1:1"
# The servers for time of Python's suite; nothing of its fixtures.
sys.path.append(str(Path(__file__).resolve().parents[1] / "python"))

from support import FaultyServer
from system import Obedient, RawDevice, Server, Session, Socket, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow ones first: with several workers none of them begins when all others have ended."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


class World(NamedTuple):
    """A server that runs, and who there is."""

    server: Server
    user: Session
    stranger: Session
    devices: list[dict[str, Any]]


@pytest.fixture(scope="session")
def time_source() -> Iterator[FaultyServer]:
    """A time server that fails on command."""
    source = FaultyServer()
    yield source
    source.stop()


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, time_source: FaultyServer) -> Iterator[World]:
    """One server for most tests, with short limits so that they can be seen at work.

    None is so short that who keeps it on a quiet machine breaks it on a busy one.
    """
    folder = tmp_path_factory.mktemp("server")
    server = Server(
        folder,
        time_source.address,
        DEVICE_IDLE_S="600",
        HANDSHAKE_S="3",
        REQUEST_TIMEOUT_S="8",
        SLOW_READER_S="2",
        BROWSER_RATE="10/100",
        SESSION_CHECK_S="1",
        USER_SOCKETS_MAX="8",
        CONNECTIONS_MAX="60",
        TOKEN_RATE="1/50",
        LOGIN_RATE="0.05/3",
        LOGIN_ADDRESS_RATE="0.05/6",
    )
    made = server.prepare()
    password = server.add_user("stranger")
    server.start()
    user = Session(server, made["user"], made["password"])
    stranger = Session(server, "stranger", password)
    yield World(server, user, stranger, made["devices"])
    user.close()
    stranger.close()
    server.stop()


@pytest.fixture
def server(world: World) -> Server:
    return world.server


@pytest.fixture
def browser(world: World) -> Iterator[Socket]:
    """The user's dashboard."""
    with world.user.browser() as socket:
        yield socket


@pytest.fixture
def device(world: World) -> Iterator[RawDevice]:
    """A device of the user's that the test speaks for."""
    with RawDevice(world.server, world.devices[0]["token"]) as socket:
        # What the server tells on the way to being ready for commands.
        wait_online(world, world.devices[0]["id"])
        yield socket
    wait_online(world, world.devices[0]["id"], online=False)


@pytest.fixture
def obedient(device: RawDevice) -> Obedient:
    """The same, answering by itself."""
    return Obedient(device)


@pytest.fixture
def device_id(world: World) -> str:
    found: str = world.devices[0]["id"]
    return found


def wait_online(world: World, device_id: str, online: bool = True) -> None:
    def there() -> bool:
        devices = world.user.get("/api/devices/").json()["devices"]
        return any(d["id"] == device_id and d["online"] is online for d in devices)

    eventually(there)
