"""What servers of several machines learn of their counters.

All processes of these tests run on one machine and count with one counter. `PORTACODE_MACHINE` lets
them take it for several, so that they have to learn what the tests know: that the difference is 0.
"""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from backends import MissingError, backends
from links import MS, Comparing, holds_the_truth, link_after_lies, link_of, links_of
from support import DelayProxy
from system import Device, RawDevice, Server, Session, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support import FaultyServer


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
    with ExitStack() as stack:
        try:
            variables = stack.enter_context(backends()).variables
        except MissingError as missing:
            pytest.skip(str(missing))
        yield from _machines(tmp_path_factory.mktemp("machines"), time_source, variables)


def _machines(
    folder: Path, time_source: FaultyServer, variables: dict[str, str]
) -> Iterator[Machines]:
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
    # Kept as they were, for later questions.
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


def test_a_server_that_is_restarted_learns_again_and_says_nothing_wrong(
    machines: Machines,
) -> None:
    program = machines.start_device(machines.one)
    try:
        # More than it sends while it is looked at.
        for _ in range(10):
            counter = machines.ask(machines.one)["trace"]["counter"]["device_send"]
        (known,) = [link for link in links_of(machines.user) if link["b"] == counter]
        machines.one.stop()
        machines.one.start()
        eventually(lambda: [link for link in links_of(machines.user) if link["exchanges"]])
        (again,) = [link for link in links_of(machines.user) if link["b"] == counter]
        record = machines.ask(machines.one)
    finally:
        program.stop()
    assert (again["a"], again["b"]) == (known["a"], known["b"]), "of the same boot"
    assert again["messages"] < known["messages"]
    assert again["restarts"] == 0
    assert holds_the_truth(again)
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
