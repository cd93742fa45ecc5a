"""What a server keeps for those who read slowly."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from system import RawDevice, Server, Session, eventually

if TYPE_CHECKING:
    from support import FaultyServer

# 60 MB: far more than all sockets on the way hold by themselves.
MESSAGES = 1_000
PAYLOAD = "x" * 60_000


def test_who_reads_too_slowly_is_let_go_before_much_is_kept_for_it(
    tmp_path: Path, time_source: FaultyServer
) -> None:
    server = Server(
        tmp_path,
        time_source.address,
        QUEUE_BYTES_MAX="1000000",
        SLOW_READER_S="60",
        DEVICE_RATE="100000/100000",
    )
    made = server.prepare()
    server.start()
    user = Session(server, made["user"], made["password"])
    device_row = made["devices"][0]
    try:
        with RawDevice(server, device_row["token"]) as device, user.browser() as browser:
            eventually(lambda: browser.receive("devices")["devices"])
            eventually(lambda: is_online(user, device_row["id"]))
            request_id = browser.ask(device_row["id"])
            device.receive("command")
            before = most_memory_mb(server)
            for _ in range(MESSAGES):
                device.send({"event": "progress", "request_id": request_id, "payload": PAYLOAD})
            # All have been dealt with, and the browser has read none.
            device.send({"event": "clock_sync_request", "request_id": "done"})
            device.receive("clock_sync_response")
            grown = most_memory_mb(server) - before
            print(f"{grown} MB more for {MESSAGES} messages of 60 kB")
            assert grown < 30
            code, reason = browser.close_code()
            assert (code, "connect again" in reason) == (1013, True)
            # Everybody else is as well off as before.
            with user.browser() as other:
                request_id = other.ask(device_row["id"])
                device.answer(device.receive("command"))
                assert other.receive("response", request_id=request_id)["status"] == "ok"
    finally:
        user.close()
        server.stop()


def is_online(user: Session, device_id: str) -> bool:
    devices = user.get("/api/devices/").json()["devices"]
    return any(device["id"] == device_id and device["online"] for device in devices)


def most_memory_mb(server: Server) -> int:
    """The most that the server's process has had, of the machine's memory."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) // 1024
