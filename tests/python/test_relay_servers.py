"""Relays in the servers that people run, asked by HTTP and by a real WebSocket client."""

from __future__ import annotations

import base64
import json
import re
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

import pytest
from servers import (
    RUNSERVER,
    Answer,
    WebServer,
    ask,
    gunicorn,
    serving,
    synchronised,
    truth_ms,
    uvicorn,
)
from support import ROOT, eventually
from websockets.exceptions import ConnectionClosed, InvalidStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DJANGO = uvicorn("django_project.asgi:application")
FASTAPI = uvicorn("django_project.mounted:api")
BESIDE = uvicorn("django_project.mounted:before_django")
BARE = uvicorn("portacode.relay.asgi:app")
SERVERS: dict[str, tuple[list[str], str]] = {
    "uvicorn, Django": (DJANGO, "/clock/"),
    "uvicorn, Django's sync view": (DJANGO, "/sync/"),
    "uvicorn, bare": (BARE, "/"),
    "uvicorn, FastAPI": (FASTAPI, "/clock/"),
    "uvicorn, before Django": (BESIDE, "/time/"),
    "runserver": (RUNSERVER, "/clock/"),
    "runserver, sync view": (RUNSERVER, "/sync/"),
    "gunicorn": (gunicorn("django_project.wsgi"), "/sync/"),
    "gunicorn, async view": (gunicorn("django_project.wsgi"), "/async/"),
}
SOCKETS: dict[str, tuple[list[str], str]] = {
    "Channels": (DJANGO, "/ws/clock/"),
    "Channels, the mixin": (DJANGO, "/ws/dashboard/"),
    "Channels, one call": (DJANGO, "/ws/one-call/"),
    "bare": (BARE, "/"),
    "FastAPI": (FASTAPI, "/clock/"),
    "before Django": (BESIDE, "/time/"),
}
REQUEST = json.dumps({"event": "clock_sync_request", "request_id": "00000000000000a7"})


@pytest.fixture(scope="module")
def serve(time_server: str) -> Iterator[Callable[[list[str]], WebServer]]:
    """Servers whose clocks ask the time server; each is started once."""
    with ExitStack() as stack:
        started: dict[str, WebServer] = {}

        def start(command: list[str]) -> WebServer:
            key = " ".join(command)
            if key not in started:
                started[key] = stack.enter_context(serving(command, time_server))
            return started[key]

        yield start


def vectors(name: str) -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = json.loads(
        (ROOT / "tests" / "vectors" / f"{name}.json").read_text()
    )["cases"]
    return read


def holds(
    reply: dict[str, Any], before_ms: float, after_ms: float, strata: tuple[int, ...] = (2,)
) -> None:
    """The relay's stamps lie between ours, but for what it says to be wrong by."""
    bound_ms = reply["root_delay_ms"] / 2 + reply["root_dispersion_ms"] + 2**-11
    assert bound_ms < 1000, "who asks would not believe it"
    assert before_ms - bound_ms <= reply["server_receive_time"]
    assert reply["server_receive_time"] <= reply["server_send_time"] <= after_ms + bound_ms
    assert reply["server_time"] == reply["server_send_time"]
    assert reply["stratum"] in strata
    assert reply["leap"] == 0
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", reply["server_time_iso"])


@pytest.mark.parametrize("name", SERVERS)
def test_over_http_the_relays_stamps_are_within_their_bounds(
    name: str, serve: Callable[[list[str]], WebServer], time_server: str
) -> None:
    command, path = SERVERS[name]
    server = serve(command)
    assert synchronised(server, path)
    connection = server.connection()
    for index in range(30):
        before = truth_ms()
        answer = ask(connection, f"{path}?request_id={index:016x}")
        holds(answer.json, before, truth_ms())
        assert answer.json["request_id"] == f"{index:016x}"
        assert answer.json["server"] == time_server
        if index == 0:
            headers = answer.headers
            assert headers["content-type"] == "application/json"
            assert headers["cache-control"] == "no-store"
            assert headers["access-control-allow-origin"] == "*"
            assert headers["timing-allow-origin"] == "*"
            assert headers["x-content-type-options"] == "nosniff"
    connection.close()


@pytest.mark.parametrize("name", SERVERS)
def test_over_http_what_is_no_request_is_refused_with_its_code(
    name: str, serve: Callable[[list[str]], WebServer]
) -> None:
    command, path = SERVERS[name]
    server = serve(command)
    for case in vectors("relay-queries"):
        query = "" if case["query"] is None else f"?{case['query']}"
        answer = server.get(f"{path}{query}")
        outcome = case["outcome"]
        if "error" in outcome:
            assert answer.status == case["http_status"], case["name"]
            assert answer.json["error"]["code"] == outcome["error"], case["name"]
            assert answer.headers["cache-control"] == "no-store"
        else:
            assert answer.json["request_id"] == outcome["request_id"], case["name"]


@pytest.mark.parametrize("name", SERVERS)
def test_over_http_other_methods_learn_which_ones_there_are(
    name: str, serve: Callable[[list[str]], WebServer]
) -> None:
    command, path = SERVERS[name]
    server = serve(command)
    for method in ("POST", "PUT", "DELETE", "PATCH", "BREW"):
        answer = server.get(f"{path}?request_id=a7", method)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
        assert answer.json["error"]["code"] == "method"
    options = server.get(path, "OPTIONS", Origin="https://a.example")
    assert (options.status, options.body) == (204, b"")
    assert options.headers["access-control-allow-origin"] == "*"
    head = server.get(f"{path}?request_id=a7", "HEAD")
    assert (head.status, head.body) == (200, b"")


@pytest.mark.parametrize("name", SOCKETS)
def test_over_a_websocket_the_relays_stamps_are_within_their_bounds(
    name: str, serve: Callable[[list[str]], WebServer]
) -> None:
    command, path = SOCKETS[name]
    server = serve(command)
    assert synchronised(server, _http_path(command))
    with server.socket(path) as socket:
        for _ in range(30):
            before = truth_ms()
            socket.send(REQUEST)
            reply = json.loads(socket.recv(timeout=120))
            holds(reply, before, truth_ms())
            assert reply["request_id"] == "00000000000000a7"


def _http_path(command: list[str]) -> str:
    return next(path for known, path in SERVERS.values() if known == command)


@pytest.mark.parametrize("name", ["Channels", "bare", "FastAPI", "before Django"])
def test_over_a_websocket_what_is_no_request_is_refused_with_its_code(
    name: str, serve: Callable[[list[str]], WebServer]
) -> None:
    command, path = SOCKETS[name]
    server = serve(command)
    cases = vectors("relay-requests")
    # One socket for each few, below what one may ask at once.
    for start in range(0, len(cases), 20):
        with server.socket(path) as socket:
            for case in cases[start : start + 20]:
                sent = case["text"] if "text" in case else base64.b64decode(case["base64"])
                socket.send(sent)
                reply = json.loads(socket.recv(timeout=120))
                outcome = case["outcome"]
                code = reply.get("error", {}).get("code")
                assert code == outcome.get("error"), (case["name"], reply)
                assert reply["request_id"] == outcome["request_id"], case["name"]


@pytest.mark.parametrize(
    ("command", "path"), [(DJANGO, "/ws/clock/"), (FASTAPI, "/seldom/")], ids=["Channels", "bare"]
)
def test_a_socket_that_asks_too_much_is_refused_then_closed(
    command: list[str], path: str, time_server: str
) -> None:
    with serving(command, time_server, PORTACODE_RELAY_RATE=1) as server:
        codes: list[str | None] = []
        with server.socket(path) as socket:
            with suppress(ConnectionClosed):
                for _ in range(2000):
                    socket.send(REQUEST)
                    codes.append(json.loads(socket.recv(timeout=120)).get("error", {}).get("code"))
            assert socket.close_code == 1008
        assert codes[:2] == [None] * 2
        assert codes[-64:] == ["rate_limited"] * 64
        with server.socket(path) as socket:
            socket.send(REQUEST)
            assert "error" not in json.loads(socket.recv(timeout=120)), "another connection may"


def test_http_connections_are_limited_one_by_one(
    serve: Callable[[list[str]], WebServer],
) -> None:
    server = serve(FASTAPI)
    connection = server.connection()
    answers = [ask(connection, "/limited/?request_id=a7") for _ in range(40)]
    refused = [answer for answer in answers if answer.status == 429]
    assert [answer.status for answer in answers[:10]] == [200] * 10
    assert refused
    assert refused[0].headers["retry-after"] == "1"
    assert refused[0].json["error"]["code"] == "rate_limited"
    assert server.get("/limited/?request_id=a7").status == 200
    connection.close()


def test_a_page_of_another_origin_is_refused_where_only_some_may_ask(
    serve: Callable[[list[str]], WebServer],
) -> None:
    server = serve(FASTAPI)
    path = "/limited/?request_id=a7"
    ours = server.get(path, Origin="https://a.example")
    assert ours.status == 200
    assert ours.headers["access-control-allow-origin"] == "https://a.example"
    assert ours.headers["timing-allow-origin"] == "https://a.example"
    assert ours.headers["vary"] == "Origin"
    same: Answer = server.get(path, Origin=f"http://127.0.0.1:{server.port}")
    assert same.status == 200
    assert server.get(path).status == 200, "who is no page has no origin"
    other = server.get(path, Origin="https://b.example")
    assert (other.status, other.json["error"]["code"]) == (403, "origin")
    assert "access-control-allow-origin" not in other.headers
    with pytest.raises(InvalidStatus) as refused:
        server.socket("/limited/", origin="https://b.example")
    assert refused.value.response.status_code == 403
    with server.socket("/limited/", origin="https://a.example") as socket:
        socket.send(REQUEST)
        assert json.loads(socket.recv(timeout=120))["stratum"] == 2


def test_channels_refuses_pages_of_other_origins_and_obeys_the_settings(time_server: str) -> None:
    settings = {
        "PORTACODE_RELAY_ORIGINS": ["https://a.example"],
        "PORTACODE_RELAY_RATE": 5,
        "PORTACODE_RELAY_MAX_BYTES": 200,
        "PORTACODE_RELAY_METRICS": False,
    }
    with serving(DJANGO, time_server, **settings) as server:
        with pytest.raises(InvalidStatus) as refused:
            server.socket("/ws/clock/", origin="https://b.example")
        assert refused.value.response.status_code == 403
        with server.socket("/ws/clock/", origin="https://a.example") as socket:
            codes = []
            for text in [REQUEST + " " * 200, *[REQUEST] * 40]:
                socket.send(text)
                codes.append(json.loads(socket.recv(timeout=120)).get("error", {}).get("code"))
        assert codes[:2] == ["oversize", None]
        assert "rate_limited" in codes
        assert server.get("/clock/?request_id=a7", Origin="https://b.example").status == 403
        assert server.get("/clock/metrics").status == 404


WORKERS = [
    [*gunicorn("django_project.wsgi"), "--workers", "3", "--preload"],
    [*gunicorn("django_project.wsgi"), "--workers", "2", "--worker-class", "gthread"],
    [*uvicorn("django_project.asgi:application"), "--workers", "2"],
]


@pytest.mark.parametrize("command", WORKERS, ids=["preloaded", "threads", "uvicorn"])
def test_each_of_several_workers_answers_under_a_name_of_its_own(
    command: list[str], time_server: str
) -> None:
    with serving(command, time_server) as server:
        assert synchronised(server, "/clock/")
        epochs: dict[str, int] = {}

        def all_have_answered() -> bool:
            before = truth_ms()
            answer = server.get("/clock/?request_id=a7")
            # One that has no time yet says so; one that has is within its error.
            if answer.status == 200:
                # A forked worker knows no stratum before its own first round.
                holds(answer.json, before, truth_ms(), strata=(2, 15))
                epochs[answer.json["instance"]] = answer.json["epoch"]
            return len(epochs) == int(command[command.index("--workers") + 1])

        assert eventually(all_have_answered), epochs
        assert set(epochs.values()) == {1}


def test_other_messages_on_a_socket_with_the_mixin_go_their_way(
    serve: Callable[[list[str]], WebServer],
) -> None:
    with serve(DJANGO).socket("/ws/dashboard/") as socket:
        for message in ({"event": "hello"}, ["clock_sync_request"], 7):
            socket.send(json.dumps(message))
            assert json.loads(socket.recv(timeout=120)) == {"echo": message, "stamped": True}
        socket.send(json.dumps({"event": "clock_sync_request", "request_id": 5}))
        assert json.loads(socket.recv(timeout=120))["error"]["code"] == "bad_request_id"


def test_a_mounted_relay_leaves_the_applications_lifespan_alone(
    serve: Callable[[list[str]], WebServer],
) -> None:
    assert serve(FASTAPI).get("/lived").json == ["begun"]


def test_a_relay_before_django_takes_its_own_path_alone(
    serve: Callable[[list[str]], WebServer],
) -> None:
    server = serve(BESIDE)
    for path in ("/time/", "/time"):
        assert server.get(f"{path}?request_id=a7").json["request_id"] == "a7"
    assert server.get("/page/").status == 200
    assert server.get("/timely/").status == 404
    assert server.get("/").status == 404
    with server.socket("/ws/dashboard/") as socket:
        socket.send("{}")
        assert json.loads(socket.recv(timeout=120))["echo"] == {}


@pytest.mark.parametrize(
    ("command", "path", "socket_path"),
    [
        (DJANGO, "/clock/", "/ws/clock/"),
        (BARE, "/", "/"),
        (gunicorn("django_project.wsgi"), "/clock/", None),
        (RUNSERVER, "/sync/", None),
    ],
    ids=["uvicorn", "bare", "gunicorn", "runserver"],
)
def test_without_a_time_of_its_own_a_relay_says_so(
    command: list[str], path: str, socket_path: str | None, silent: str
) -> None:
    with serving(command, silent) as server:
        answer = server.get(f"{path}?request_id=a7")
        assert answer.status == 503
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["cache-control"] == "no-store"
        replies = [answer.json]
        if socket_path is not None:
            with server.socket(socket_path) as socket:
                socket.send(REQUEST)
                replies.append(json.loads(socket.recv(timeout=120)))
        for reply in replies:
            assert reply["server_time"] is None
            assert reply["server_send_time"] is None
            assert (reply["stratum"], reply["leap"], reply["server"]) == (16, 3, silent)


@pytest.mark.parametrize(
    ("command", "path", "clock"),
    [
        (DJANGO, "/clock/metrics", "/clock/"),
        (FASTAPI, "/limited/metrics", "/limited/"),
        (BESIDE, "/time/metrics", "/time/"),
        (gunicorn("django_project.wsgi"), "/clock/metrics", "/clock/"),
    ],
    ids=["Django", "FastAPI", "before Django", "gunicorn"],
)
def test_metrics_tell_of_clock_and_relay(
    command: list[str],
    path: str,
    clock: str,
    serve: Callable[[list[str]], WebServer],
    time_server: str,
) -> None:
    server = serve(command)
    assert synchronised(server, clock)
    before = server.get(path)
    assert before.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    server.get(f"{clock}?request_id=a7")
    after = server.get(path).body.decode()
    assert f'ntp_clock_synchronised{{server="{time_server}"}} 1\n' in after
    counted = r'relay_requests_total\{transport="http",outcome="answered"\} (\d+)\n'

    def count(text: str) -> int:
        found = re.search(counted, text)
        assert found, text
        return int(found[1])

    assert count(after) == count(before.body.decode()) + 1
