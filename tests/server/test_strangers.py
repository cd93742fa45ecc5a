"""What strangers can take from those who have shown who they are: nothing."""

from __future__ import annotations

import base64
import os
import secrets
import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import httpx
import pytest
from system import PATIENCE_S, RawDevice, Socket, eventually
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import World
    from system import Server

# Theirs, and one that somebody good shares with them.
SHARED = "127.0.0.2"
# What the server of these tests gives back.
LOGINS_PER_S = 0.05


def handshake(server: Server, path: str, token: str | None, address: str) -> socket.socket:
    """One whose answer nobody has waited for."""
    peer = socket.create_connection(("127.0.0.1", server.port), PATIENCE_S, (address, 0))
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", "Connection: Upgrade"]
    lines += ["Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}"]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    peer.sendall("\r\n".join([*lines, "", ""]).encode())
    return peer


def wrong_token() -> str:
    """One that has to be looked up."""
    return f"pcd_{secrets.token_urlsafe(32)}"


def pages(server: Server, address: str) -> httpx.Client:
    transport = httpx.HTTPTransport(local_address=address)
    return httpx.Client(base_url=server.url, transport=transport, timeout=PATIENCE_S)


def is_served(world: World, address: str, number: int) -> bool:
    """A device that has a token is, and stays."""
    with RawDevice(world.server, world.devices[number]["token"], address=address) as device:
        device.send({"event": "clock_sync_request", "request_id": "a7"})
        return bool(device.receive("clock_sync_response", request_id="a7"))


@pytest.mark.parametrize("token", [lambda: "x", wrong_token])
def test_a_device_is_not_locked_out_by_strangers_who_share_its_address(
    world: World, server: Server, token: Callable[[], str]
) -> None:

    def is_limited() -> bool:
        strangers = [handshake(server, "/ws/devices/", token(), SHARED) for _ in range(28)]
        for stranger in strangers:
            with stranger:
                stranger.settimeout(PATIENCE_S)
                assert stranger.recv(400).startswith(b"HTTP/1.1 101")
        header = {"Authorization": f"Bearer {token()}"}
        with Socket(server, "/ws/devices/", header, address=SHARED) as one_more:
            return one_more.close_code()[0] == 4429

    assert eventually(is_limited)
    assert is_served(world, SHARED, 0)


def test_silent_sockets_keep_nobody_out(world: World, server: Server) -> None:
    with ExitStack() as open_:
        bystander = open_.enter_context(Socket(server, "/clock/"))
        device = open_.enter_context(RawDevice(server, world.devices[0]["token"]))
        for _ in range(120):
            open_.enter_context(handshake(server, "/clock/", None, SHARED))
        for address in (SHARED, "127.0.0.1"):
            with pages(server, address) as client:
                assert client.get("/healthz").json()["ok"], address
            assert is_served(world, address, 1)
        for patient in (bystander, device):
            patient.send({"event": "clock_sync_request", "request_id": "a7"})
            assert patient.receive("clock_sync_response", request_id="a7")


def test_who_has_to_make_room_is_asked_to_come_back(server: Server) -> None:
    with ExitStack() as open_:
        first = open_.enter_context(Socket(server, "/clock/", address="127.0.0.3"))
        for _ in range(60):
            open_.enter_context(handshake(server, "/clock/", None, "127.0.0.3"))
        assert first.close_code() == (1013, "too many connections: come back later")


def test_a_device_that_shares_its_address_with_a_flood_that_goes_on_is_served(
    world: World, server: Server
) -> None:
    with ExitStack() as open_:

        def flood() -> None:
            for path, token in (("/ws/devices/", wrong_token()), ("/clock/", None)):
                open_.enter_context(handshake(server, path, token, SHARED))

        for _ in range(30):
            flood()

        def served() -> bool:
            flood()
            try:
                return is_served(world, SHARED, 0)
            except (OSError, ConnectionClosed):
                return False

        eventually(served)


# --- Passwords


class Guesser:
    """A browser that has only ever seen the page."""

    def __init__(self, server: Server, address: str) -> None:
        self.client = pages(server, address)
        self.client.get("/login/")

    def tries(self, name: str, password: str) -> int:
        form = {"username": name, "password": password}
        token = {"csrfmiddlewaretoken": self.client.cookies["csrftoken"]}
        return self.client.post("/login/", data={**form, **token}).status_code


@pytest.fixture
def guesser(server: Server, request: pytest.FixtureRequest) -> Iterator[Guesser]:
    """From an address of the test's own."""
    made = Guesser(server, request.param)
    yield made
    made.client.close()


def is_limited_within(attempts: int, attempt: Callable[[int], int]) -> bool:
    """Whether these attempts are too many, and those that time has given back meanwhile."""
    began_s = time.monotonic()
    made = 0
    while made < attempts + LOGINS_PER_S * (time.monotonic() - began_s):
        if attempt(made) == 429:
            return True
        made += 1
    return False


@pytest.mark.parametrize("guesser", ["127.0.1.1"], indirect=True)
def test_a_name_is_the_same_however_it_is_spelt(guesser: Guesser) -> None:
    spelt = ["mallory", " mallory", "\t mallory  ", "\uff4d\uff41llory", "Mallory"]
    # Each alone would have three.
    assert is_limited_within(5, lambda n: guesser.tries(spelt[n % len(spelt)], "wrong"))


@pytest.mark.parametrize("guesser", ["127.0.1.5"], indirect=True)
def test_passwords_cannot_be_tried_out_without_end(guesser: Guesser) -> None:
    assert [guesser.tries("victim", str(attempt)) for attempt in range(3)] == [200] * 3
    assert is_limited_within(3, lambda n: guesser.tries("victim", str(n)))


@pytest.mark.parametrize("guesser", ["127.0.1.2"], indirect=True)
def test_made_up_names_are_limited_by_their_address(guesser: Guesser) -> None:
    assert is_limited_within(10, lambda n: guesser.tries(f"nobody{n}", "wrong"))


@pytest.mark.parametrize("guesser", ["127.0.1.3"], indirect=True)
def test_a_browser_that_has_logged_in_before_is_not_locked_out_by_its_address(
    server: Server, guesser: Guesser
) -> None:
    password = server.add_user("ophelia")
    known = Guesser(server, "127.0.1.3")
    assert known.tries("ophelia", password) == 302
    known.client.post("/logout/", data={"csrfmiddlewaretoken": known.client.cookies["csrftoken"]})
    known.client.get("/login/")
    assert is_limited_within(6, lambda _: guesser.tries("ophelia", "wrong"))
    assert known.tries("ophelia", password) == 302
    guesser.client.cookies.set("logged_in_before", known.client.cookies["logged_in_before"])
    assert guesser.tries("ophelia", password) == 302
    known.client.close()


@pytest.mark.parametrize("guesser", ["127.0.1.4"], indirect=True)
def test_attempts_that_succeed_do_not_count(server: Server, guesser: Guesser) -> None:
    password = server.add_user("hamlet")
    for _ in range(7):
        assert guesser.tries("hamlet", password) == 302
        guesser.client.cookies.clear()
        guesser.client.get("/login/")
