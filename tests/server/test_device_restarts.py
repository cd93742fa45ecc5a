"""The device's program and the server, each killed under the other again and again."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from support import comes_to_wait
from system import Device, Server, Session, eventually

if TYPE_CHECKING:
    from pathlib import Path

    from support import FaultyServer


@pytest.mark.slow
def test_whatever_process_is_killed_no_response_is_lost_and_none_is_stored_twice(
    tmp_path: Path, time_source: FaultyServer
) -> None:
    seed = 20_251_006
    print(f"seed {seed}")
    dice = random.Random(seed)
    server = Server(tmp_path, time_source.address, REQUEST_TIMEOUT_S="5")
    made = server.prepare()
    server.start()
    user = Session(server, made["user"], made["password"])
    workshop = made["devices"][0]
    outbox = ("--outbox", str(tmp_path / "outbox"))
    log = tmp_path / "device.log"
    device = Device(server, workshop["token"], time_source.address, log, *outbox)
    requests: dict[int, str] = {}
    least = 0
    try:
        for _ in range(4):
            eventually(lambda: answers(user, workshop["id"]))
            before = len(counted(device))
            with user.browser() as browser:
                for _ in range(30):
                    number = len(requests)
                    requests[number] = browser.ask(workshop["id"], "count", payload=number)
                # Amidst them, however fast this machine is.
                some = dice.randrange(5, 26)
                least += some
                eventually(partial(has_done, device, before + some))
                server.kill()
            if dice.random() < 0.75:
                # What it has been sent it does; then it has nothing but its outbox left.
                comes_to_wait(device.pid)
                device.kill()
                device.start()
            server.start()
        eventually(lambda: answers(user, workshop["id"]))
        done = device.counted()
        assert len(done) == len(set(done)), "nothing is executed twice"
        print(f"{len(done)} of {len(requests)} were executed")
        assert len(done) >= least
        by_request = {
            requests[number]: eventually(partial(answered, user, requests[number]))
            for number in done
        }
        deliveries = [record["request_id"] for record in by_request.values()]
        assert sorted(deliveries) == sorted(by_request), "each is stored under its request, once"
    finally:
        device.stop()
        user.close()
        server.stop()
    assert "dropped" not in log.read_text()
    assert "could not be delivered" not in log.read_text()


def answers(user: Session, device_id: str) -> bool:
    """Whether the device can be asked; `online` is true for a while after a server's sudden end."""
    answer = user.post(f"/api/devices/{device_id}/commands/", {"command": "echo"})
    return bool(answer.status_code == 200)


def answered(user: Session, request_id: str) -> dict[str, Any] | None:
    """The stored record, once its response is there."""
    record: dict[str, Any] = user.get(f"/api/traces/{request_id}/").json()
    return record if record["status"] == "ok" else None


def has_done(device: Device, count: int) -> bool:
    return len(counted(device)) >= count


def counted(device: Device) -> list[int]:
    """What it has executed, which may be nothing yet."""
    return device.counted() if device.count_path.exists() else []
