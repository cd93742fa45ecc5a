"""Who and what is refused, in which words, and that it is logged."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import resource
import socket
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from conftest import wait_online
from support import DelayProxy
from system import PATIENCE_S, RawDevice, Session, Socket, eventually, fetch, new_id
from websockets.exceptions import ConnectionClosed, InvalidStatus

if TYPE_CHECKING:
    from conftest import World
    from system import Obedient, Server


# --- Without a login, a token, or from elsewhere


@pytest.mark.parametrize("path", ["/ws/dashboard/", "/ws/projects/demo/"])
def test_a_browser_that_is_not_logged_in_learns_why(server: Server, path: str) -> None:
    with Socket(server, path, origin=server.url) as socket_:
        assert socket_.close_code() == (4401, "not logged in")
    assert server.has_logged(f"{path}: closed 127.0.0.1 (4401): not logged in")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer "},
    ],
)
def test_a_device_without_a_token_learns_why(server: Server, headers: dict[str, str]) -> None:
    with Socket(server, "/ws/devices/", headers) as socket_:
        assert socket_.close_code() == (4401, "no token: send Authorization: Bearer TOKEN")


@pytest.mark.parametrize("token", ["x", "pcd_" + "A" * 43, "pcd_" + "é" * 43, "' OR 1=1 --"])
def test_an_unknown_token_is_refused_and_logged(server: Server, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    with Socket(server, "/ws/devices/", headers) as socket_:
        assert socket_.close_code() == (4401, "unknown or revoked token")
    assert server.has_logged("(4401): unknown or revoked token")
    assert token not in server.log or token == "x"


def test_a_token_that_was_taken_back_opens_nothing_and_closes_what_is_open(
    world: World, server: Server
) -> None:
    add = server.manage("device", "add", "thief", "--owner", "demo", "--project", "demo")
    device_id, token = add.split()
    with RawDevice(server, token) as device:
        wait_online(world, device_id)
        server.manage("device", "revoke", "thief", "--owner", "demo")
        # Processes reach one another over Redis only: here it shows when the clock is sent.
        device.send({"event": "clock", "clock": {}})
        assert device.close_code() == (4401, "unknown or revoked token")
    with RawDevice(server, token, hello=False) as device:
        assert device.close_code()[0] == 4401
    _device_id, renewed = server.manage("device", "renew", "thief", "--owner", "demo").split()
    with RawDevice(server, renewed):
        wait_online(world, device_id)


def test_it_is_logged_that_a_device_comes_and_that_it_goes(world: World, server: Server) -> None:
    made = world.devices[1]
    named = f"device {made['id']} ({made['name']})"
    gone_before = server.log.count(f"{named} is gone")
    with RawDevice(server, made["token"]) as first:
        wait_online(world, made["id"])
        assert server.has_logged(f"{named} is connected")
        with RawDevice(server, made["token"]):
            assert first.close_code() == (4409, "the device has another connection")
            # It has changed its connection, and is there all the time.
            assert server.log.count(f"{named} is gone") == gone_before
    eventually(lambda: server.log.count(f"{named} is gone") == gone_before + 1)


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://127.0.0.1:1", "null", "http://localhost", None]
)
def test_pages_of_other_origins_are_refused_though_logged_in(
    world: World, server: Server, origin: str | None
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        Socket(server, "/ws/dashboard/", {"Cookie": world.user.cookie}, origin=origin)
    assert refused.value.response.status_code == 403
    assert server.has_logged(f"refused 127.0.0.1, origin {origin or 'none'}")


def test_behind_a_proxy_on_another_port_the_page_of_that_port_is_at_home_and_no_other(
    server: Server,
) -> None:
    password = server.add_user("far-away")
    proxy = DelayProxy(f"127.0.0.1:{server.port}", "--delay", "1ms + exp 1ms", "--seed", "1")
    with contextlib.ExitStack() as ending:
        ending.callback(proxy.stop)
        behind = copy.copy(server)
        behind.port = int(proxy.address.rpartition(":")[2])
        behind.url, behind.ws_url = f"http://{proxy.address}", f"ws://{proxy.address}"
        user = ending.enter_context(contextlib.closing(Session(behind, "far-away", password)))
        with user.browser() as socket_:
            assert socket_.receive("devices")["devices"] == []
        with pytest.raises(InvalidStatus) as refused:
            Socket(behind, "/ws/dashboard/", {"Cookie": user.cookie}, origin=server.url)
        assert refused.value.response.status_code == 403


def test_a_device_may_not_come_from_a_foreign_page(world: World, server: Server) -> None:
    headers = {"Authorization": f"Bearer {world.devices[0]['token']}"}
    with Socket(server, "/ws/devices/", headers, origin="http://evil.example") as socket_:
        assert socket_.close_code()[0] == 4403


def test_a_host_that_is_not_ours_is_refused(world: World, server: Server) -> None:
    assert fetch(server.url, headers={"Host": "evil.example"}).status_code == 400
    headers = {"Cookie": world.user.cookie, "Host": "evil.example"}
    with pytest.raises(InvalidStatus):
        Socket(server, "/ws/dashboard/", headers, origin="http://evil.example")


def test_other_peoples_projects_and_devices_are_as_if_they_were_not_there(
    world: World, obedient: Obedient, device_id: str
) -> None:
    with world.stranger.browser("/ws/projects/demo/") as socket_:
        assert socket_.close_code() == (4403, "there is no such project of yours")
    with world.stranger.browser() as socket_:
        assert socket_.receive("devices")["devices"] == []
        asked = socket_.ask(device_id)
        none = socket_.ask("0" * 12)
        mine, missing = (socket_.receive("response", request_id=r) for r in (asked, none))
    assert mine["error"]["code"] == missing["error"]["code"] == "unknown_device"
    assert obedient.obeyed == []
    assert world.stranger.get("/projects/demo/").status_code == 404
    assert world.stranger.get("/api/devices/").json() == {"devices": []}
    assert (
        world.stranger.post(f"/api/devices/{device_id}/commands/", {"command": "echo"}).json()[
            "error"
        ]["code"]
        == "unknown_device"
    )


def test_a_device_cannot_answer_what_another_was_asked(
    world: World, server: Server, browser: Socket, device: RawDevice, device_id: str
) -> None:
    request_id = browser.ask(device_id)
    command = device.receive("command")
    with RawDevice(server, world.devices[1]["token"]) as other:
        wait_online(world, world.devices[1]["id"])
        other.answer(command, payload="forged")
        other.receive("ack")
        assert browser.receives_none("response", within_s=0.3)
    assert server.has_logged("which does not exist")
    device.answer(command, payload="true")
    assert browser.receive("response", request_id=request_id)["payload"] == "true"


def test_an_address_with_nothing_behind_it_learns_why(world: World) -> None:
    with world.user.browser("/ws/nothing/") as socket_:
        assert socket_.close_code() == (4404, "there is nothing here")


# --- Malformed, too large, too much


def frames() -> list[Any]:
    request = {"event": "command", "request_id": "0" * 32, "device_id": "d", "command": "c"}
    return [
        "",
        "no JSON",
        "[]",
        "17",
        "{}",
        '{"event": 5}',
        '{"event": "command", "x": NaN}',
        '{"event": "command"}',
        "[" * 30_000,
        '{"a":' * 10_000,
        json.dumps({**request, "request_id": "short"}),
        json.dumps({**request, "request_id": ["list"]}),
        json.dumps({"event": "trace_complete", "request_id": None}),
    ]


@pytest.mark.parametrize("index", range(len(frames())))
def test_what_is_malformed_is_answered_and_the_connection_goes_on(
    browser: Socket, index: int
) -> None:
    browser.send(frames()[index])
    assert browser.receive("error")["error"]["code"] == "malformed"
    browser.send({"event": "clock_sync_request", "request_id": "still-there"})
    assert browser.receive("clock_sync_response", request_id="still-there")


def counted(key: str, counter: str) -> dict[str, Any]:
    return {key: 1_759_639_032_000.0, "counter": {key: counter}, "counter_ns": {key: "5"}}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"device_id": 5}, "device_id"),
        ({"device_id": "x" * 65}, "device_id"),
        ({"command": ""}, "command"),
        ({"command": None}, "command"),
        ({"command": "a\u0000b"}, "command"),
        ({"trace": []}, "trace"),
        ({"trace": {"client_send": "now"}}, "client_send"),
        ({"trace": {"client_send": -1}}, "client_send"),
        ({"trace": counted("client_send", "device:1/5e884898da280471")}, "scope of another"),
        ({"trace": counted("client_send", "5e884898da28047")}, "not the name of a counter"),
        ({"traceparent": {"a": 1}}, "traceparent"),
    ],
)
def test_a_malformed_request_is_answered_under_its_id(
    browser: Socket, change: dict[str, Any], says: str
) -> None:
    request_id = new_id()
    message = {"event": "command", "request_id": request_id, "device_id": "d", "command": "c"}
    browser.send({**message, **change})
    received = json.loads(browser.connection.recv(timeout=PATIENCE_S))
    while received.get("request_id") != request_id:
        received = json.loads(browser.connection.recv(timeout=PATIENCE_S))
    assert received["error"]["code"] == "malformed"
    assert says in received["error"]["message"]


def test_events_and_fields_that_are_not_known_do_no_harm(browser: Socket) -> None:
    for event in ("weather", "_obey", "__init__", "on_clock", "refused", ""):
        browser.send({"event": event, "more": {"a": [1]}})
    browser.send({"event": "clock_sync_request", "request_id": "x"})
    assert browser.receive("clock_sync_response")
    assert not [message for message in browser.kept if message["event"] == "error"]


def test_a_frame_that_is_too_large_ends_the_connection_and_is_logged(
    server: Server, browser: Socket
) -> None:
    with pytest.raises(ConnectionClosed) as closed:  # noqa: PT012
        browser.send({"event": "command", "payload": "x" * 70_000})
        browser.close_code()
        raise ConnectionClosed(browser.connection.protocol.close_rcvd, None)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009
    assert server.has_logged("(1009)")


def test_text_that_is_not_utf_8_ends_the_connection_with_one_line_in_the_log(
    server: Server, browser: Socket
) -> None:
    before = len(server.log)
    browser.connection.send(b'{"event": "\xb1"}', text=True)
    assert browser.close_code()[0] == 1007
    eventually(lambda: "(1007)" in server.log[before:])
    # Clocks, and devices that have gone, may have their own.
    lines = [line for line in server.log[before:].splitlines() if "/ws/dashboard/" in line]
    assert len(lines) == 1
    assert "Traceback" not in server.log[before:]


def test_bytes_are_refused(browser: Socket) -> None:
    browser.send(b"\x00\x01")
    assert browser.close_code() == (1003, "text frames only")


def test_a_flood_is_first_answered_and_then_cut_off(world: World, server: Server) -> None:
    answered = 0
    # It reads: else it would be cut off for that.
    with world.user.browser() as flood:
        with contextlib.suppress(ConnectionClosed):
            for number in range(5000):
                flood.send({"event": "clock_sync_request", "request_id": f"f{number}"})
                with contextlib.suppress(TimeoutError):
                    while True:
                        answered += "clock_sync_response" in str(flood.connection.recv(timeout=0))
        assert flood.close_code() == (4429, "too many messages")
    assert answered > 0
    assert server.has_logged("(4429): too many messages")
    # Others do not notice.
    with world.user.browser() as browser:
        assert browser.receive("devices")


def test_a_stream_of_nonsense_is_cut_off(browser: Socket) -> None:
    for _ in range(80):
        browser.send("nonsense")
    code, reason = browser.close_code()
    assert code == 4400
    assert reason.startswith("too many malformed messages")


def test_a_user_has_so_many_sockets_and_no_more(world: World) -> None:
    sockets = [world.stranger.browser() for _ in range(8)]
    with world.stranger.browser() as one_more:
        assert one_more.close_code() == (4429, "too many connections of this user")
    for socket_ in sockets:
        socket_.close()

    def free() -> bool:
        with world.stranger.browser() as again:
            return bool(again.receive("devices"))

    assert eventually(free)


def test_login_tells_nobody_whether_a_user_exists(server: Server) -> None:
    def answer(user: str) -> str:
        with httpx.Client(base_url=server.url, timeout=PATIENCE_S) as client:
            client.get("/login/")
            form = {"username": user, "password": "wrong"}
            token = client.cookies["csrftoken"]
            page = client.post("/login/", data={**form, "csrfmiddlewaretoken": token})
            return page.text.replace(user, "")

    def without_tokens(page: str) -> list[str]:
        return [line for line in page.splitlines() if "csrfmiddlewaretoken" not in line]

    assert without_tokens(answer("demo")) == without_tokens(answer("nobody"))


# --- Peers that do nothing


def test_a_device_that_says_nothing_is_let_go(world: World, server: Server) -> None:
    with RawDevice(server, world.devices[1]["token"], hello=False) as device:
        assert device.close_code() == (4408, "nothing heard for 3 s")
    assert server.has_logged("(4408): nothing heard for 3 s")


def test_a_device_has_to_say_hello_first(world: World, server: Server) -> None:
    with RawDevice(server, world.devices[1]["token"], hello=False) as device:
        device.send({"event": "clock", "clock": {}})
        assert device.receive("error")["error"]["message"] == "say hello first"


def test_connections_without_a_request_are_closed_and_bounded(server: Server) -> None:
    opened = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
    try:
        # Half a request is none.
        for half_open in opened[:20]:
            half_open.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        began = time.monotonic()
        for half_open in opened:
            half_open.settimeout(PATIENCE_S)
            try:
                left = half_open.recv(100)
            except ConnectionResetError:
                left = b""
            assert left == b""
        assert time.monotonic() - began < 30
    finally:
        for half_open in opened:
            half_open.close()
    assert eventually(lambda: server.health()["ok"])


def test_ten_thousand_half_open_connections_keep_nobody_out_for_long(server: Server) -> None:
    most, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 11_000
    if hard not in (resource.RLIM_INFINITY,) and hard < wanted:
        pytest.skip(f"only {hard} files may be open: ulimit -n {wanted}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(most, wanted), hard))
    with contextlib.ExitStack() as opened:
        for _ in range(10_000):
            opened.enter_context(
                socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S)
            )
        # As many as it takes are held, for as long as a request may take; the rest is let go.
        assert eventually(lambda: len(os.listdir(f"/proc/{server.pid}/fd")) < 200)
        assert eventually(server.is_up)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def test_who_does_not_read_is_cut_off_and_nobody_waits_for_it(
    world: World, server: Server, obedient: Obedient, device_id: str
) -> None:
    with contextlib.closing(DeafBrowser(world)) as deaf, world.user.browser() as browser:
        request = {"event": "command", "device_id": device_id, "command": "echo"}
        for _ in range(80):
            deaf.send({**request, "request_id": new_id(), "payload": "x" * 60_000})
        request_id = browser.ask(device_id)
        assert browser.receive("response", request_id=request_id)["status"] == "ok"

        def is_noticed() -> bool:
            # More, where the device was too slow to answer all of them in time.
            with contextlib.suppress(OSError):
                deaf.send({**request, "request_id": new_id(), "payload": "x" * 60_000})
            time.sleep(0.2)
            return "which does not read" in server.log

        assert eventually(is_noticed)
        assert eventually(deaf.is_cut_off)
    assert obedient.obeyed


class DeafBrowser:
    """A WebSocket of the user's that sends, and never reads."""

    def __init__(self, world: World) -> None:
        server = world.server
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.settimeout(PATIENCE_S)
        self._socket.connect(("127.0.0.1", server.port))
        self._socket.sendall(
            (
                f"GET /ws/dashboard/ HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
                f"Origin: {server.url}\r\nCookie: {world.user.cookie}\r\n"
                "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            ).encode()
        )
        assert self._socket.recv(12) == b"HTTP/1.1 101"

    def send(self, message: Any) -> None:
        data = json.dumps(message).encode()
        # One text frame; a mask of zeros leaves it as it is.
        head = b"\x81" + (
            bytes([0x80 | len(data)])
            if len(data) < 126
            else bytes([0x80 | 126]) + len(data).to_bytes(2, "big")
        )
        self._socket.sendall(head + bytes(4) + data)

    def is_cut_off(self) -> bool:
        """Whether the connection is gone, not merely closed by a message that nobody reads."""
        try:
            self.send({"event": "clock"})
        except OSError:
            return True
        return False

    def close(self) -> None:
        self._socket.close()


def test_sessions_end_with_logout(world: World, server: Server) -> None:
    password = server.add_user("visitor")
    visitor = Session(server, "visitor", password)
    cookie = visitor.cookie
    with visitor.browser() as socket_:
        socket_.receive("devices")
        answer = visitor.client.post(
            "/logout/", headers={"X-CSRFToken": visitor.client.cookies["csrftoken"]}
        )
        assert answer.status_code == 302
        assert socket_.close_code() == (4401, "not logged in any more")
    with Socket(server, "/ws/dashboard/", {"Cookie": cookie}, origin=server.url) as socket_:
        assert socket_.close_code()[0] == 4401
    visitor.close()
    del world
