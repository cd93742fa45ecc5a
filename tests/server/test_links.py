"""What a server learns of its counter and others', from real processes and from liars."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

import pytest
from links import (
    MS,
    Comparing,
    bounds_ms,
    counter_ns,
    holds_the_truth,
    link_after_lies,
    link_of,
    links_of,
    metric,
)
from system import RawDevice, Socket, eventually, fetch

if TYPE_CHECKING:
    from conftest import World


def test_an_exchange_bounds_the_difference_of_both_counters_and_the_reply_names_the_servers(
    world: World, device: RawDevice, device_id: str
) -> None:
    peer, begun_ns = Comparing(device, ahead_ns=5_000 * MS), counter_ns()
    replies = [peer.exchange() for _ in range(4)]
    assert len({reply["counter"] for reply in replies}) == 1
    link = link_of(world.user, peer.counter)
    assert link["a"] == replies[0]["counter"]
    assert link["b"] == f"device:{device_id}/{peer.counter}"
    assert (link["exchanges"], link["messages"], link["restarts"]) == (3, 4, 0)
    assert holds_the_truth(link, 5_000)
    lower_ms, upper_ms = bounds_ms(link)
    assert link["width_ms"] == pytest.approx(upper_ms - lower_ms, abs=1e-3)
    # Of a link this young nobody knows the rate, and each oscillator may be off by 500 ppm.
    took_s = (counter_ns() - begun_ns) / 1e9
    assert 0 < link["width_ms"] <= link["round_trip_ms"] + 2.1 * took_s + 0.01
    assert lower_ms <= link["est_ms"] <= upper_ms
    assert link["age_s"] < 30


def test_one_way_bounds_one_side_until_a_reply_came(world: World, device: RawDevice) -> None:
    peer = Comparing(device)
    peer.exchange()
    link = link_of(world.user, peer.counter)
    # Sent at T1 by its counter or later: it is not so far ahead that it was sent after it came.
    assert link["lower_ms"] is not None or link["upper_ms"] is not None
    assert (link["est_ms"], link["width_ms"], link["exchanges"]) == (None, None, 0)


def test_dashboards_learn_the_link_of_their_own_counter_and_of_devices(
    device: RawDevice, browser: Socket, device_id: str
) -> None:
    page, machine = Comparing(browser, f"{secrets.token_hex(8)}~500"), Comparing(device)
    for _ in range(2):
        page.exchange()
        machine.exchange()
    device.send({"event": "clock", "clock": {"is_synced": False}})
    reported = browser.receive("device_clock", device_id=device_id)["link"]
    assert reported["b"] == f"device:{device_id}/{machine.counter}"
    assert holds_the_truth(reported)
    found: list[dict[str, Any]] = []

    def of_this_page() -> bool:
        link = browser.receive("server_clock")["link"]
        if link is not None:
            found.append(link)
        return bool(found)

    assert eventually(of_this_page)
    assert found[0]["b"].startswith("browser:")
    assert found[0]["b"].endswith(f"/{page.counter}")
    assert holds_the_truth(found[0])


def test_what_a_server_knows_of_a_users_peers_is_shown_to_nobody_else(
    world: World, device: RawDevice, device_id: str
) -> None:
    peer = Comparing(device)
    peer.exchange()
    assert link_of(world.user, peer.counter)["b"].startswith(f"device:{device_id}/")
    assert world.stranger.get("/api/links/").json() == {"links": []}
    assert fetch(f"{world.server.url}/api/links/").status_code == 401


@pytest.mark.parametrize(
    "wrong",
    [
        {"counter": "device:1/0123456789abcdef"},
        {"counter": "0123456789abcdef\n"},
        {"counter": 7},
        {"sent": -1},
        {"sent": "1e9"},
        {"sent": str(2**63)},
        {"last": "a6"},
        {"last": {"request_id": "a6", "received": 5}},
    ],
    ids=str,
)
def test_what_a_request_says_wrongly_of_its_counter_is_refused_and_the_connection_goes_on(
    world: World, device: RawDevice, wrong: dict[str, Any]
) -> None:
    message = {"event": "clock_sync_request", "request_id": "a7"}
    good = {"counter": secrets.token_hex(8), "sent": "5"}
    device.send({**message, **good, **wrong})
    error = device.receive("error", request_id="a7")["error"]
    assert error["code"] == "malformed"
    assert next(iter(wrong)) in error["message"]
    device.send({**message, **good})
    assert device.receive("clock_sync_response", request_id="a7")["counter"]
    assert world.server.is_up()


def test_a_relay_for_strangers_ignores_what_they_say_of_counters(world: World) -> None:
    before = metric(world.server, "links")
    with Socket(world.server, "/clock/") as stranger:
        for counter in (secrets.token_hex(8), "nonsense", 7):
            message = {"event": "clock_sync_request", "request_id": "a7", "counter": counter}
            stranger.send({**message, "sent": "5", "last": []})
            reply = stranger.receive("clock_sync_response")
            assert reply["server_time"] is not None
            assert "counter" not in reply
    assert metric(world.server, "links") == before


def test_t4_of_requests_that_were_never_made_is_ignored(world: World, device: RawDevice) -> None:
    peer = Comparing(device)
    for received in ("0", "5", str(2**63 - 1)):
        peer.exchange(last={"request_id": secrets.token_hex(8), "received": received})
    link = link_of(world.user, peer.counter)
    assert (link["exchanges"], link["restarts"]) == (0, 0)


def test_stamps_that_cannot_be_true_are_counted_and_spoil_their_own_link_alone(
    world: World, device: RawDevice, browser: Socket
) -> None:
    page, liar = Comparing(browser), Comparing(device)
    for _ in range(3):
        page.exchange()
    before = link_of(world.user, page.counter)
    refused = {"source": "exchange", "outcome": "refused"}
    refusals = metric(world.server, "link_evidence_total", **refused)
    # T4 before T1; then as if it had come before it was asked; then years ahead, and back.
    liar.exchange()
    liar.exchange(last={**(liar._last or {}), "received": "0"})
    for ahead_ns in (3_600_000 * MS, 0, 400 * 86_400_000 * MS, 2**62 - counter_ns() * 2, 0):
        liar.ahead_ns = ahead_ns
        liar.exchange()
        liar.exchange()
    assert metric(world.server, "link_evidence_total", **refused) > refusals
    after = link_of(world.user, page.counter)
    assert holds_the_truth(after)
    assert (after["exchanges"], after["restarts"]) == (before["exchanges"], 0)
    assert after["width_ms"] <= before["width_ms"] + 2.1 * after["age_s"], "it is older, no more"
    lied = link_after_lies(world.user, liar)
    assert lied["restarts"] > 0, "contradictions are visible"
    # It is the truth that it tells now.
    for _ in range(3):
        liar.exchange()
    assert world.server.is_up()


def test_a_peer_that_makes_up_counters_drives_out_nobody_elses_links(
    world: World, browser: Socket
) -> None:
    page, device_id = Comparing(browser), world.devices[1]["id"]
    for _ in range(2):
        page.exchange()
    before = metric(world.server, "links")
    with RawDevice(world.server, world.devices[1]["token"]) as device:
        for _ in range(500):
            message = {"event": "clock_sync_request", "request_id": secrets.token_hex(8)}
            stamp = {"counter": secrets.token_hex(8), "sent": str(counter_ns())}
            device.send({**message, **stamp})
            reply = device.receive("clock_sync_response", request_id=message["request_id"])
            assert reply["server_time"] is not None, "time is reported all the same"
    made_up = [link for link in links_of(world.user) if f"device:{device_id}/" in link["b"]]
    assert 64 <= len(made_up) <= 80
    assert metric(world.server, "links") <= before + len(made_up)
    assert holds_the_truth(link_of(world.user, page.counter))


def test_a_response_that_waited_in_an_outbox_counts_for_what_is_true_of_it(
    world: World, device: RawDevice, browser: Socket, device_id: str
) -> None:
    peer = Comparing(device, ahead_ns=3_000 * MS)
    request_id = browser.ask(device_id)
    command = device.receive("command", request_id=request_id)
    trace = peer.stamped("device_receive", command["trace"])
    trace = peer.stamped("device_send", trace)
    time.sleep(0.4)
    device.answer(command, trace=trace)
    counters = browser.receive("response", request_id=request_id)["trace"]["counter"]
    assert counters["device_send"] == f"device:{device_id}/{peer.counter}"
    known = link_of(world.user, peer.counter)
    assert (known["messages"], known["restarts"]) == (2, 0)
    assert holds_the_truth(known, 3_000)
    assert known["width_ms"] > 400, "it may have been on its way for all that time"
