"""Twenty devices and five windows: each shows every trace, and how smoothly is measured."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect
from support import FaultyServer
from system import Obedient, RawDevice, Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext

DEVICES, TABS, TRACES = 20, 5, 200
# 200 traces of ten hops each are 2,000 spans in every tab's list, each drawn twice.
FRAMES = """
window.frames_ms = [];
let last = performance.now();
const frame = () => {
    const now = performance.now();
    window.frames_ms.push(now - last);
    last = now;
    requestAnimationFrame(frame);
};
requestAnimationFrame(frame);
"""


@pytest.fixture(scope="module")
def fleet(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Server, dict[str, Any]]]:
    source = FaultyServer()
    # These devices say nothing of themselves: on a busy machine they would count as gone.
    limits = {"BROWSER_RATE": "1000/10000", "DEVICE_IDLE_S": "600"}
    server = Server(tmp_path_factory.mktemp("fleet"), source.address, **limits)
    server.prepare()
    made = server.demo_setup("--devices", str(DEVICES))
    server.start()
    devices = [RawDevice(server, device["token"]) for device in made["devices"]]
    for device in devices:
        Obedient(device)
    yield server, made
    for device in devices:
        device.close()
    server.stop()
    source.stop()


@pytest.mark.slow
def test_twenty_devices_and_five_windows_at_once(
    browser: Browser,
    context: BrowserContext,
    fleet: tuple[Server, dict[str, Any]],
    screenshots: Path,
) -> None:
    server, made = fleet
    first = context.new_page()
    first.goto(server.url)
    first.get_by_label("Name").fill(made["user"])
    first.get_by_label("Password").fill(made["password"])
    first.get_by_role("button", name="Log in").click()
    expect(first.locator("#connection-text")).to_have_text("Live")
    # A tab that is hidden draws nothing: each is in a window of its own.
    login = context.storage_state()
    others = [browser.new_context(storage_state=login) for _ in range(TABS - 1)]
    tabs = [first, *(other.new_page() for other in others)]
    for tab in tabs[1:]:
        tab.goto(server.url)
    for tab in tabs:
        expect(tab.locator("#connection-text")).to_have_text("Live")
        expect(tab.locator(".clock")).to_have_count(DEVICES + 2)
        tab.evaluate(FRAMES)
    began = time.monotonic()
    # Through the page's own service: what it does for each is part of what is measured.
    done = first.evaluate(
        """async ([ids, count]) => {
            const { WebSocketService } = await import('/static/js/websocket-service.js');
            const service = new WebSocketService();
            service.connect();
            await new Promise((resolve) => service.addEventListener('devices', resolve));
            let next = 0;
            let answered = 0;
            const worker = async () => {
                while (next < count) {
                    const id = ids[next++ % ids.length];
                    await service.request(id, 'echo', { next });
                    answered += 1;
                }
            };
            await Promise.all(Array.from({ length: 8 }, worker));
            service.close();
            return answered;
        }""",
        [[device["id"] for device in made["devices"]], TRACES],
    )
    seconds = time.monotonic() - began
    assert done == TRACES
    for tab in tabs:
        expect(tab.locator("#traces .trace-row")).to_have_count(TRACES)
    frames = sorted(frame for tab in tabs for frame in tab.evaluate("window.frames_ms"))
    report = {
        "traces_per_s": round(TRACES / seconds, 1),
        "frames": len(frames),
        "median_ms": round(frames[len(frames) // 2], 1),
        "95_percent_ms": round(frames[len(frames) * 95 // 100], 1),
        "longest_ms": round(frames[-1], 1),
    }
    print(json.dumps(report))
    first.screenshot(path=screenshots / "dashboard-fleet.png")
    # All of them went on drawing.
    assert [tab for tab in tabs if len(tab.evaluate("window.frames_ms")) < 10] == []
    for other in others:
        other.close()
