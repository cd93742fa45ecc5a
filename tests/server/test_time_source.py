"""A time source that falls silent under a running server and its device, and comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support import FaultyServer
from system import Device, Server, Session, eventually

from portacode.trace import KEYS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_stamps_vanish_with_the_time_say_why_and_come_back(tmp_path: Path) -> None:
    source = FaultyServer()
    server = Server(tmp_path, source.address, COMMANDS_RATE="1000/1000", LOG_LEVEL="WARNING")
    made = server.prepare()
    server.start()
    workshop = made["devices"][0]
    device = Device(server, workshop["token"], source.address, tmp_path / "device.log")
    user = Session(server, made["user"], made["password"])

    def asked() -> dict[str, Any]:
        path = f"/api/devices/{workshop['id']}/commands/"
        answer: dict[str, Any] = user.post(path, {"command": "echo"}).json()
        return answer

    def synced_stamps() -> int:
        answer = asked()
        # Requests are answered all the while, with time and without.
        assert answer["status"] == "ok" or answer["error"]["code"] == "device_offline"
        return len(set(answer["trace"]) & set(KEYS))

    try:
        eventually(lambda: synced_stamps() == len(KEYS))
        source.change("silence on")
        eventually(lambda: synced_stamps() == 0, within_s=180)
        trace = asked()["trace"]
        assert set(trace["unsynced"]) == set(KEYS)
        assert all("no reply within 2 s" in reason for reason in trace["unsynced"].values())
        assert set(trace["raw"]) == set(KEYS)
        assert "ping" not in trace
        source.change("silence off")
        eventually(lambda: synced_stamps() == len(KEYS), within_s=120)
    finally:
        device.stop()
        user.close()
        server.stop()
        source.stop()
