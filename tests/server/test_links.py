"""What servers learn of their counter and others', from real processes and from liars.

All processes of these tests run on one machine and count with one counter. `PORTACODE_MACHINE` lets
them take it for several, so that they have to learn what the tests know: that the difference is 0.
"""

from __future__ import annotations

import re
import secrets
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from backends import MissingError, Postgres, Redis
from support import DelayProxy
from system import Device, RawDevice, Server, Session, Socket, eventually, fetch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import World
    from support import FaultyServer

MS = 1_000_000


def counter_ns() -> int:
    """The counter that all of them have."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)


class Comparing:
    """A peer that compares its counter, and may lie about it.

    Args:
        socket: Its connection.
        counter: What it calls its counter; a new one by default.
        ahead_ns: What its counter shows more than the one of all.
    """

    def __init__(self, socket: Socket, counter: str | None = None, ahead_ns: int = 0) -> None:
        self.socket = socket
        self.counter = counter or secrets.token_hex(8)
        self.ahead_ns = ahead_ns
        self._last: dict[str, str] | None = None

    def exchange(self, **more: Any) -> dict[str, Any]:
        """Asks once, and keeps when the reply came; gives the reply."""
        request_id = secrets.token_hex(8)
        message: dict[str, Any] = {"event": "clock_sync_request", "request_id": request_id}
        message |= {"counter": self.counter, "sent": self._now(), **more}
        if self._last is not None and "last" not in message:
            message["last"] = self._last
        self.socket.send(message)
        reply = self.socket.receive("clock_sync_response", request_id=request_id)
        self._last = {"request_id": request_id, "received": self._now()}
        return reply

    def stamped(self, key: str, trace: dict[str, Any]) -> dict[str, Any]:
        """A trace with one stamp more, which has no time but the counter."""
        mine = {"counter": self.counter, "counter_ns": self._now(), "unsynced": "a test's"}
        return {**trace, **{name: {**trace.get(name, {}), key: mine[name]} for name in mine}}

    def _now(self) -> str:
        return str(counter_ns() + self.ahead_ns)


def links_of(user: Session, server: Server | None = None) -> list[dict[str, Any]]:
    """All that a server's process tells a user of its links, by REST."""
    url = (server or user.server).url
    answer = fetch(f"{url}/api/links/", headers={"Cookie": user.cookie})
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json()["links"]
    return found


def links_with(user: Session, counter: str) -> list[dict[str, Any]]:
    """The links with this counter that have bounds: at most one."""
    return [link for link in links_of(user) if link["b"].endswith(f"/{counter}")]


def link_of(user: Session, counter: str) -> dict[str, Any]:
    """The link with this counter."""
    (found,) = links_with(user, counter)
    return found


def link_after_lies(user: Session, liar: Comparing) -> dict[str, Any]:
    """Its link. A link that has just restarted may have no bounds until the next exchange."""
    for _ in range(6):
        liar.exchange()
        found = links_with(user, liar.counter)
        if found:
            return found[0]
    raise AssertionError("nothing is known of its counter")


def bounds_ms(link: dict[str, Any]) -> tuple[float, float]:
    """What REST or a trace says of the difference of both counters."""
    if "lower_ms" in link:
        return link["lower_ms"], link["upper_ms"]
    zero_ns = int(link["b_ns"]) - int(link["a_ns"])
    return (zero_ns + link["lower_ns"]) / MS, (zero_ns + link["upper_ns"]) / MS


def holds_the_truth(link: dict[str, Any], ahead_ms: float = 0) -> bool:
    lower_ms, upper_ms = bounds_ms(link)
    return lower_ms <= ahead_ms <= upper_ms


def metric(server: Server, name: str, **labels: str) -> float:
    text = fetch(f"{server.url}/clock/metrics").text
    inside = ",".join(f'{key}="{value}"' for key, value in labels.items())
    sample = f"ntp_clock_{name}{{{inside}}}" if labels else f"ntp_clock_{name}"
    found = re.search(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE)
    assert found, text
    return float(found[1])


# --- One server, and peers that the tests speak for -----------------------------------------------


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
    assert link["age_s"] < 5


def test_one_way_bounds_one_side_until_a_reply_came(world: World, device: RawDevice) -> None:
    peer = Comparing(device)
    peer.exchange()
    link = link_of(world.user, peer.counter)
    # Sent at T1 by its counter or later: it is not so far ahead that it was sent after it came.
    assert link["lower_ms"] is not None or link["upper_ms"] is not None
    assert (link["est_ms"], link["width_ms"], link["exchanges"]) == (None, None, 0)


def test_dashboards_are_told_the_link_of_their_own_counter_and_of_devices(
    device: RawDevice, browser: Socket, device_id: str
) -> None:
    page, machine = Comparing(browser, f"{secrets.token_hex(8)}~500"), Comparing(device)
    for _ in range(2):
        page.exchange()
        machine.exchange()
    device.send({"event": "clock", "clock": {"is_synced": False}})
    told = browser.receive("device_clock", device_id=device_id)["link"]
    assert told["b"] == f"device:{device_id}/{machine.counter}"
    assert holds_the_truth(told)
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


def test_what_a_server_knows_of_a_users_peers_is_told_nobody_else(
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
            told = {"counter": secrets.token_hex(8), "sent": str(counter_ns())}
            device.send({**message, **told})
            reply = device.receive("clock_sync_response", request_id=message["request_id"])
            assert reply["server_time"] is not None, "time is told all the same"
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


# --- Several servers, and devices as processes ----------------------------------------------------


class Machines(NamedTuple):
    """Two servers that take themselves for two machines, as one to everybody."""

    one: Server
    other: Server
    user: Session
    devices: list[dict[str, Any]]
    folder: Path
    time_server: str
    variables: dict[str, str]

    def start_device(
        self, server: Server, machine: str | None = None, url: str | None = None
    ) -> Device:
        """A device on this machine, or on one of its own, once it is there."""
        device, name = self.devices[0], secrets.token_hex(4)
        program = Device(
            server,
            device["token"],
            self.time_server,
            self.folder / f"{name}.log",
            url=url,
            PORTACODE_MACHINE=machine or name,
        )
        eventually(lambda: self._is_ready(device["id"]))
        # The first exchange is whole with the second one.
        eventually(lambda: self._is_compared(server, device["id"]))
        return program

    def online(self) -> dict[str, dict[str, Any]]:
        """The devices that are there, by their ids."""
        devices = self.user.get("/api/devices/").json()["devices"]
        return {device["id"]: device for device in devices if device["online"]}

    def _is_compared(self, server: Server, device_id: str) -> bool:
        links = [link for link in links_of(self.user, server) if f"{device_id}/" in link["b"]]
        return any(link["exchanges"] and link["age_s"] < 2 for link in links)

    def _is_ready(self, device_id: str) -> bool:
        found = self.online().get(device_id)
        return found is not None and bool((found["clock"] or {}).get("is_synced"))

    def ask(self, server: Server) -> dict[str, Any]:
        """One request of a page of this server; gives its record."""
        with self.user.browser(server=server) as page:
            peer = Comparing(page, f"{secrets.token_hex(8)}~500")
            peer.exchange()
            peer.exchange()
            trace = peer.stamped("client_send", {})
            request_id = page.ask(self.devices[0]["id"], trace=trace)
            response = page.receive("response", request_id=request_id)
            trace = peer.stamped("client_receive", response["trace"])
            assert response["status"] == "ok"
            done = {"event": "trace_complete", "request_id": request_id}
            page.send({**done, "trace": trace})
            return page.receive_record(request_id)


@pytest.fixture(scope="module")
def machines(
    tmp_path_factory: pytest.TempPathFactory, time_source: FaultyServer
) -> Iterator[Machines]:
    folder = tmp_path_factory.mktemp("machines")
    try:
        redis = Redis()
    except MissingError as missing:
        pytest.skip(str(missing))
    try:
        postgres = Postgres()
    except MissingError as missing:
        redis.stop()
        pytest.skip(str(missing))
    variables = {"REDIS_URL": redis.url, "DATABASE_URL": postgres.url}
    one, other = (
        Server(folder, time_source.address, PORTACODE_MACHINE=name, **variables)
        for name in ("server-1", "server-2")
    )
    made = one.prepare()
    one.start()
    other.start()
    user = Session(one, made["user"], made["password"])
    yield Machines(one, other, user, made["devices"], folder, time_source.address, variables)
    user.close()
    one.stop()
    other.stop()
    postgres.stop()
    redis.stop()


def of_servers_and_device(record: dict[str, Any], device_id: str) -> list[dict[str, Any]]:
    """A trace's links between servers and the device."""
    links: list[dict[str, Any]] = record["trace"]["links"]
    return [link for link in links if link["b"].startswith(f"device:{device_id}/")]


def test_a_trace_has_the_links_between_page_server_and_device_and_they_hold_the_truth(
    machines: Machines,
) -> None:
    device_id = machines.devices[0]["id"]
    program = machines.start_device(machines.one)
    try:
        record = machines.ask(machines.one)
    finally:
        program.stop()
    links = record["trace"]["links"]
    assert all(holds_the_truth(link) for link in links), links
    (of_device,) = of_servers_and_device(record, device_id)
    (of_page,) = [link for link in links if link["b"].startswith("browser:")]
    counters = record["trace"]["counter"]
    assert of_device["a"] == of_page["a"] == counters["server_receive"]
    assert of_device["b"] == counters["device_send"]
    assert all(side is not None for side in of_device["exchanges_ns"]), "by its own exchanges"
    # Kept as they were, for whoever asks later.
    stored = machines.user.get(f"/api/traces/{record['request_id']}/").json()
    assert stored["trace"]["links"] == links
    assert stored["problems"] == 0


def test_servers_of_two_machines_learn_of_each_other_by_what_they_send_one_another(
    machines: Machines,
) -> None:
    program = machines.start_device(machines.other)
    try:
        records = [machines.ask(machines.one) for _ in range(3)]
    finally:
        program.stop()
    for record in records:
        counters = record["trace"]["counter"]
        one, other = counters["server_receive"], counters["server_send"]
        assert one != other
        links = record["trace"]["links"]
        (between,) = [link for link in links if {link["a"], link["b"]} == {one, other}]
        assert holds_the_truth(between)
        assert all(side is not None for side in (between["lower_ns"], between["upper_ns"]))
        # The device's is by the process that its connection is with.
        of_device = of_servers_and_device(record, machines.devices[0]["id"])
        assert [link["a"] for link in of_device] == [other]
        assert all(holds_the_truth(link) for link in links)
        assert record["problems"] == 0


def test_a_device_that_moves_to_another_server_goes_on_with_another_link(
    machines: Machines,
) -> None:
    device_id = machines.devices[0]["id"]
    servers: list[str] = []
    machine: set[str] = set()
    for server in (machines.one, machines.other, machines.one):
        program = machines.start_device(server, "a machine that moves")
        try:
            record = machines.ask(machines.one)
        finally:
            program.stop()
        counters, links = record["trace"]["counter"], of_servers_and_device(record, device_id)
        servers.append(counters["server_send"])
        machine.add(counters["device_receive"])
        assert counters["server_send"] in {link["a"] for link in links}
        assert all(holds_the_truth(link) for link in record["trace"]["links"])
        assert record["problems"] == 0
    assert servers[0] != servers[1]
    assert servers[0] == servers[2]
    assert len(machine) == 1, "the machine is the same one, and so is its counter"


def test_a_server_that_is_restarted_learns_anew_and_says_nothing_wrong(
    machines: Machines,
) -> None:
    program = machines.start_device(machines.one)
    try:
        counter = machines.ask(machines.one)["trace"]["counter"]["device_send"]
        (known,) = [link for link in links_of(machines.user) if link["b"] == counter]
        machines.one.stop()
        machines.one.start()
        eventually(lambda: [link for link in links_of(machines.user) if link["exchanges"]])
        (anew,) = [link for link in links_of(machines.user) if link["b"] == counter]
        record = machines.ask(machines.one)
    finally:
        program.stop()
    assert (anew["a"], anew["b"]) == (known["a"], known["b"]), "of the same boot"
    assert anew["messages"] < known["messages"]
    assert anew["restarts"] == 0
    assert holds_the_truth(anew)
    assert all(holds_the_truth(link) for link in record["trace"]["links"])
    assert record["problems"] == 0


def test_a_delay_of_one_direction_stays_inside_and_is_not_claimed_away(
    machines: Machines,
) -> None:
    proxy = DelayProxy(f"127.0.0.1:{machines.one.port}", "--delay-to-client", "40ms")
    try:
        program = machines.start_device(machines.one, url=f"ws://{proxy.address}/ws/devices/")
        try:
            records = [machines.ask(machines.one) for _ in range(3)]
            counter = records[0]["trace"]["counter"]["device_send"].partition("/")[2]
            # An exchange is whole with the next one, half a second later.
            eventually(lambda: link_of(machines.user, counter)["exchanges"] > 0)
            link = link_of(machines.user, counter)
        finally:
            program.stop()
    finally:
        proxy.stop()
    assert holds_the_truth(link), link
    assert link["round_trip_ms"] >= 40
    assert link["width_ms"] >= 40, "who only sees the round trip cannot know which way was slow"
    for record in records:
        assert all(holds_the_truth(link) for link in record["trace"]["links"])
        assert record["problems"] == 0


def test_a_stamp_of_another_process_that_only_the_device_gives_back_has_no_counter(
    machines: Machines,
) -> None:
    device = machines.devices[1]
    with machines.user.browser(server=machines.one) as page:
        with RawDevice(machines.one, device["token"]) as first:
            eventually(lambda: device["id"] in machines.online())
            request_id = page.ask(device["id"])
            command = first.receive("command")
        assert "server_send" in command["trace"]["counter"]
        with RawDevice(machines.other, device["token"]) as second:
            second.answer(command)
            trace = page.receive("response", request_id=request_id)["trace"]
    assert trace["server_send"] == command["trace"]["server_send"]
    assert "server_send" not in trace["counter"]
    assert "server_receive_response" in trace["counter"]


def test_workers_of_one_server_have_one_counter_and_need_no_link(machines: Machines) -> None:
    both = Server(
        machines.folder, machines.time_server, PORTACODE_MACHINE="server-3", **machines.variables
    )
    both.start("--workers", "2")
    try:
        program = machines.start_device(both)
        try:
            workers, counters = set(), set()
            for _ in range(12):
                record = machines.ask(both)
                trace = record["trace"]
                ours = [key for key in trace["counter"] if key.startswith("server_")]
                assert len(ours) == 4
                workers |= {trace["entities"][key] for key in ours}
                counters |= {trace["counter"][key] for key in ours}
                values = [int(trace["counter_ns"][key]) for key in ours]
                assert values == sorted(values), "exact, whichever worker stamped it"
                between = [{link["a"], link["b"]} for link in trace["links"]]
                assert all(any("/" in name for name in pair) for pair in between)
        finally:
            program.stop()
    finally:
        both.stop()
    assert len(workers) == 2
    assert len(counters) == 1


def test_a_liar_among_the_devices_harms_its_own_link_alone(machines: Machines) -> None:
    honest = machines.start_device(machines.one)
    try:
        with RawDevice(machines.one, machines.devices[1]["token"]) as device:
            liar = Comparing(device)
            for ahead_ns in (0, 7_000 * MS, 100 * MS, -100 * MS):
                liar.ahead_ns = ahead_ns
                liar.exchange()
                liar.exchange()
            record = machines.ask(machines.one)
            lied = link_after_lies(machines.user, liar)
    finally:
        honest.stop()
    assert lied["restarts"] > 0
    assert all(holds_the_truth(link) for link in record["trace"]["links"])
    assert not [link for link in record["trace"]["links"] if liar.counter in link["b"]]
    assert record["problems"] == 0
