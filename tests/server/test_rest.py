"""JSON over HTTP, pages and the clock's relay."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import httpx
import pytest
from system import PATIENCE_S, fetch, new_id

from portacode.trace import Trace

if TYPE_CHECKING:
    from conftest import World
    from system import Obedient, RawDevice, Server, Socket


@pytest.mark.parametrize("path", ["/api/devices/", "/api/traces/", f"/api/traces/{'0' * 32}/"])
def test_nothing_is_shown_to_anyone_who_is_not_logged_in(server: Server, path: str) -> None:
    answer = fetch(server.url + path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthenticated")


@pytest.mark.parametrize("path", ["/", "/projects/", "/projects/demo/"])
def test_pages_send_users_who_are_not_logged_in_to_the_login(server: Server, path: str) -> None:
    answer = fetch(server.url + path)
    assert (answer.status_code, answer.headers["location"]) == (302, f"/login/?next={path}")


def test_devices_say_how_they_are(world: World, device: RawDevice, device_id: str) -> None:
    clock = {"is_synced": True, "offset_ms": 2200.5, "last_error": "x\x00" * 300, "else": 1}
    device.send({"event": "clock", "clock": clock, "outbox": {"waiting": 3, "dropped": 0}})
    device.send({"event": "clock_sync_request", "request_id": "done"})
    device.receive("clock_sync_response")
    found = {each["id"]: each for each in world.user.get("/api/devices/").json()["devices"]}
    answered = found[device_id]
    assert (answered["online"], answered["project"], answered["commands"]) == (
        True,
        "demo",
        ["echo"],
    )
    assert (answered["clock"]["offset_ms"], answered["outbox"]["waiting"]) == (2200.5, 3)
    assert "else" not in answered["clock"]
    assert len(answered["clock"]["last_error"]) == 200
    assert "\x00" not in answered["clock"]["last_error"]
    assert found[world.devices[1]["id"]]["online"] is False


def test_a_command_over_http_is_answered_with_its_trace(
    world: World, obedient: Obedient, device_id: str
) -> None:
    body = {"command": "echo", "payload": {"n": [1, 2.5, None]}}
    answer = world.user.post(f"/api/devices/{device_id}/commands/", body)
    answered = answer.json()
    assert (answer.status_code, answered["status"], answered["payload"]) == (
        200,
        "ok",
        body["payload"],
    )
    trace = Trace.from_message(answered["trace"])
    assert trace.problems() == []
    assert trace.get("client_receive") is not None
    assert str(trace.entity("client_send")).startswith("server:")
    assert obedient.obeyed[-1]["request_id"] == answered["request_id"]
    stored = world.user.get(f"/api/traces/{answered['request_id']}/").json()
    assert stored["trace"] == answered["trace"]


def test_what_goes_wrong_over_http_has_its_status(
    world: World, device: RawDevice, device_id: str
) -> None:
    def post(device: str, body: object) -> tuple[int, str]:
        answer = world.user.post(f"/api/devices/{device}/commands/", body)
        return answer.status_code, answer.json()["error"]["code"]

    assert post("0" * 12, {"command": "echo"}) == (404, "unknown_device")
    assert post(world.devices[1]["id"], {"command": "echo"}) == (503, "device_offline")
    assert post(device_id, {"command": 7}) == (400, "malformed")
    assert post(device_id, [1]) == (400, "malformed")
    assert post(device_id, {"command": "echo", "payload": "x" * 70_000}) == (413, "too_large")
    # Nobody answers.
    assert post(device_id, {"command": "echo"}) == (504, "timeout")
    assert device.receive("command")["command"] == "echo"


def test_a_foreign_page_cannot_post_a_command(world: World, device_id: str) -> None:
    answer = httpx.post(
        f"{world.server.url}/api/devices/{device_id}/commands/",
        json={"command": "echo"},
        headers={"Cookie": world.user.cookie},
        timeout=PATIENCE_S,
    )
    assert answer.status_code == 403


def test_traces_are_found_by_device_duration_problem_and_page(
    world: World, browser: Socket, obedient: Obedient, device_id: str
) -> None:
    asked = [browser.ask(device_id) for _ in range(6)]
    for request_id in asked:
        response = browser.receive("response", request_id=request_id)
        browser.send({**response, "event": "trace_complete"})
        browser.receive("trace")
    assert obedient.obeyed

    def found(**query: object) -> list[str]:
        records = world.user.get("/api/traces/", **query).json()["traces"]
        return [record["request_id"] for record in records]

    newest = found(device=device_id, limit=6)
    assert sorted(newest) == sorted(asked)
    assert found(device=device_id, limit=2) == newest[:2]
    assert found(device=device_id, limit=2, before=newest[1]) == newest[2:4]
    assert found(device="nothing") == []
    assert found(project="demo", limit=6) == newest
    assert found(project="other") == []
    assert found(min_ms=1e15) == []
    assert set(newest) <= set(found(min_ms=0, limit=500))
    # The device of these tests has no clock.
    assert set(newest) <= set(found(problem="unsynced", limit=500))
    assert set(newest) <= set(found(problem="incomplete", limit=500))
    assert set(newest) <= set(found(problem="any", limit=500))
    assert not set(newest) & set(found(problem="order", limit=500))
    assert found(status="pending", limit=6) != newest


@pytest.mark.parametrize(
    "query", [{"limit": "many"}, {"min_ms": "nan"}, {"problem": "all"}, {"min_ms": "1e999"}]
)
def test_a_bad_query_is_reported(world: World, query: dict[str, str]) -> None:
    answer = world.user.get("/api/traces/", **query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_query")


def test_odd_ids_find_nothing(world: World) -> None:
    for odd in ("x", "%00", "'; DROP TABLE", "a" * 500, new_id()):
        assert world.user.get(f"/api/traces/{odd}/").status_code == 404


def test_pages_forbid_everything_that_is_not_their_own(world: World) -> None:
    answer = world.user.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "'wasm-unsafe-eval'" in policy
    assert "unsafe-inline" not in policy
    nonce = re.search(r"'nonce-([^']+)'", policy)
    assert nonce is not None
    assert f'<script type="importmap" nonce="{nonce[1]}">' in answer.text
    assert nonce[1] not in world.user.get("/").text
    assert answer.headers["x-frame-options"] == "DENY"


def test_the_import_map_leads_to_modules_that_are_there(world: World) -> None:
    page = world.user.get("/").text
    found = re.search(r'<script type="importmap"[^>]*>(.*?)</script>', page)
    assert found is not None
    imports = json.loads(found[1])["imports"]
    assert {
        "/static/js/utils/ntp-clock.js",
        "/static/js/utils/trace.js",
        "/static/js/websocket-service.js",
        "/static/js/websocket-service-project.js",
    } <= set(imports)
    for plain, hashed in imports.items():
        assert plain != hashed
        answer = world.user.get(hashed)
        assert answer.status_code == 200
        assert "javascript" in answer.headers["content-type"]
        assert "immutable" in answer.headers["cache-control"]


def test_the_relay_answers_over_http_and_over_every_socket(
    world: World, browser: Socket, device: RawDevice
) -> None:
    request_id = "0123456789abcdef"
    over_http = fetch(f"{world.server.url}/clock/", params={"request_id": request_id}).json()
    replies = [over_http]
    for socket in (browser, device):
        socket.send({"event": "clock_sync_request", "request_id": request_id})
        replies.append(socket.receive("clock_sync_response"))
    entity = world.server.health()["entity"]
    for reply in replies:
        assert reply["request_id"] == request_id
        assert reply["server_receive_time"] <= reply["server_send_time"]
        # Who answers is who stamps.
        assert f"server:{reply['instance']}" == entity
    assert "ntp_clock" in fetch(f"{world.server.url}/clock/metrics").text
