"""The whole system, as a user sees it: browser, server and devices in one trace."""

from __future__ import annotations

import importlib.util
import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect
from support import FaultyServer, machine_counter_ns
from system import Device, Server, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext, Page, WebSocket

AXE = Path(__file__).resolve().parents[2] / "js/node_modules/axe-core/axe.min.js"
STAMPS = 11
STAMP_JS = "import('/static/js/utils/ntp-clock.js').then((clock) => clock.default.stamp())"


class System:
    """A time source, a server, two devices, and nobody's system clock is right.

    Args:
        folder: Where they keep what they keep.
        source: The time source's options, say how far away it is.
    """

    def __init__(self, folder: Path, *source: str) -> None:
        self.source = FaultyServer(*source)
        self.server = Server(folder, self.source.address, **skewed("+1.7s"))
        self.made: dict[str, Any] = self.server.prepare()
        self.stranger_password = self.server.add_user("newcomer")
        self.server.start()
        self.devices = [
            Device(
                self.server,
                made["token"],
                self.source.address,
                folder / f"{made['name']}.log",
                **skewed(offset),
            )
            for made, offset in zip(self.made["devices"], ("-2.2s", "-0.4s"))
        ]

    def stop(self) -> None:
        for device in self.devices:
            device.stop()
        self.server.stop()
        self.source.stop()


def skewed(offset: str) -> dict[str, str]:
    """Variables for a program whose system clock is wrong; none where that cannot be had."""
    found = importlib.util.find_spec("libfaketime")
    if found is None or found.origin is None:
        return {}
    library = Path(found.origin).parent / "vendor/libfaketime/src/libfaketime.so.1"
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME": offset,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DISABLE_SHM": "1",
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",
    }


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    system = System(tmp_path_factory.mktemp("system"))
    yield system
    system.stop()


@pytest.fixture
def dashboard(page: Page, system: System) -> Page:
    """The dashboard of the demo user, live, its clocks synchronised."""
    log_in(page, system)
    live(page)
    for name in ("This browser", "Server", "workshop", "greenhouse"):
        expect(clock(page, name).locator(".state")).to_have_text("synchronised")
    return page


def log_in(page: Page, system: System, user: str = "demo", password: str | None = None) -> None:
    page.goto(f"{system.server.url}/")
    expect(page).to_have_title(re.compile("Log in"))
    page.get_by_label("Name").fill(user)
    page.get_by_label("Password").fill(password or system.made["password"])
    page.get_by_role("button", name="Log in").click()


def live(page: Page) -> None:
    expect(page.locator("#connection-text")).to_have_text("Live")


def clock(page: Page, name: str) -> Any:
    return page.locator(".clock", has=page.get_by_role("heading", name=name))


def ask(page: Page, device: str = "workshop", command: str = "echo") -> None:
    page.locator("#ask-device").select_option(label=device)
    page.locator("#ask-command").select_option(command)
    page.get_by_role("button", name="Send").click()


def newest(page: Page) -> dict[str, Any]:
    """The newest trace's record, as REST has it."""
    found = page.evaluate("fetch('/api/traces/?limit=1').then((answer) => answer.json())")
    record: dict[str, Any] = found["traces"][0]
    return record


def test_a_request_from_the_page_comes_back_as_a_whole_trace(dashboard: Page) -> None:
    ask(dashboard)
    expect(dashboard.locator("#ask-result")).to_contain_text("Answered after")
    expect(dashboard.locator("#trace-title")).to_have_text("Trace: echo on workshop")
    expect(dashboard.locator("#traces .trace-row")).not_to_have_count(0)
    dashboard.locator("#stamps summary").click()
    rows = dashboard.locator("#stamp-rows tr")
    expect(rows).to_have_count(STAMPS)
    eventually(lambda: newest(dashboard)["complete"])
    record = newest(dashboard)
    assert (record["status"], record["complete"], record["problems"]) == ("ok", True, 0)
    expect(dashboard.locator("#sync-chart .wrong")).to_have_count(0)
    assert vars(dashboard)["complaints"] == []


def test_a_page_compares_its_counter_with_the_servers_and_what_is_known_is_true(
    dashboard: Page,
) -> None:
    # Whenever the page stamped that, it was between these two.
    before_ns = machine_counter_ns()
    stamp = dashboard.evaluate(STAMP_JS)
    after_ns = machine_counter_ns()

    def link() -> dict[str, Any] | None:
        shown = dashboard.evaluate("fetch('/api/links/').then((answer) => answer.json())")
        own = [link for link in shown["links"] if link["b"].endswith(f"/{stamp['counter']}")]
        return next((link for link in own if link["exchanges"] >= 3), None)

    known = eventually(link)
    assert known["restarts"] == 0
    coarse_ms = stamp["resolutionNs"] / 1e6
    least_ms = (int(stamp["counterNs"]) - after_ns) / 1e6 - coarse_ms
    most_ms = (int(stamp["counterNs"]) - before_ns) / 1e6 + coarse_ms
    assert known["lower_ms"] <= most_ms
    assert known["upper_ms"] >= least_ms
    # A request's own stamps say the same.
    ask(dashboard)
    expect(dashboard.locator("#ask-result")).to_contain_text("Answered after")
    eventually(lambda: newest(dashboard)["complete"])
    record = newest(dashboard)
    links = [link for link in record["trace"]["links"] if link["b"].startswith("browser:")]
    assert [link["b"] for link in links] == [record["trace"]["counter"]["client_send"]]
    assert eventually(link)["restarts"] == 0
    assert vars(dashboard)["complaints"] == []


def test_a_browser_that_was_asleep_has_another_counter_and_soon_another_link(
    page: Page, system: System
) -> None:
    # In a sleep the wall clock goes on and the counter does not.
    wall = "const wall = Date.now.bind(Date); window.slept = 0; Date.now = () => wall() + slept;"
    page.add_init_script(wall)
    log_in(page, system)
    live(page)
    expect(clock(page, "This browser").locator(".state")).to_have_text("synchronised")

    def counter() -> str:
        name: str = page.evaluate(f"{STAMP_JS}.then((stamp) => stamp.counter)")
        return name

    def link(name: str) -> dict[str, Any] | None:
        shown = page.evaluate("fetch('/api/links/').then((answer) => answer.json())")
        own = [link for link in shown["links"] if link["b"].endswith(f"/{name}")]
        return next((link for link in own if link["exchanges"] >= 2), None)

    before = counter()
    known = eventually(lambda: link(before))
    page.evaluate("window.slept = 60000")
    after = eventually(lambda: name if (name := counter()) != before else None)
    again = eventually(lambda: link(after))
    assert known["restarts"] == again["restarts"] == 0
    # It counts on, under another name: what was learnt of both is true of one counter.
    assert again["lower_ms"] <= known["upper_ms"] + 50
    assert again["upper_ms"] >= known["lower_ms"] - 50
    ask(page)
    expect(page.locator("#ask-result")).to_contain_text("Answered after")
    eventually(lambda: newest(page)["trace"].get("counter", {}).get("client_receive"))
    record = newest(page)
    assert record["trace"]["counter"]["client_send"].endswith(f"/{after}")
    assert record["problems"] == 0


@pytest.mark.parametrize("payload", ["1759639032768445123", "[1.10, 18446744073709551616]"])
def test_what_is_typed_arrives_as_it_is_typed(dashboard: Page, payload: str) -> None:
    sent: list[str] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: sent.append(str(frame)))

    dashboard.on("websocket", listen)
    dashboard.reload()
    live(dashboard)
    expect(dashboard.locator("#ask-device option")).to_have_count(2)
    dashboard.get_by_label("Payload").fill(payload)
    dashboard.get_by_role("button", name="Send").click()
    result = dashboard.locator("#ask-result")
    expect(result).to_contain_text("Answered")
    if payload.startswith("["):
        # A device reads numbers as Python does: whole ones exactly, others as doubles.
        expect(result).to_contain_text("[1.1,18446744073709551616]")
    else:
        expect(result).to_contain_text(payload)
    assert any(f'"payload":{payload}}}' in frame for frame in sent)


def test_a_payload_that_is_too_large_is_refused_and_costs_no_connection(dashboard: Page) -> None:
    dashboard.evaluate(
        "() => { window.states = []; new MutationObserver(() => window.states.push(1))"
        ".observe(document.getElementById('connection-text'), {childList: true}); }"
    )
    for letter, count in (("x", 70_000), ("\U0001f4a1", 17_000)):
        dashboard.get_by_label("Payload").fill(f'"{letter * count}"')
        dashboard.get_by_role("button", name="Send").click()
        expect(dashboard.locator("#ask-result")).to_contain_text("65536 are the most (too_large)")
    dashboard.get_by_label("Payload").fill(f'"{"x" * 60_000}"')
    dashboard.get_by_role("button", name="Send").click()
    expect(dashboard.locator("#ask-result")).to_contain_text("Answered")
    assert dashboard.evaluate("window.states") == []


@pytest.mark.skipif(not skewed("+1s"), reason="no libfaketime: pip install libfaketime")
def test_raw_clocks_are_out_of_order_and_synchronised_ones_are_not(dashboard: Page) -> None:
    ask(dashboard)
    expect(dashboard.locator("#raw-chart .wrong")).to_have_count(2)
    expect(dashboard.locator("#sync-chart .wrong")).to_have_count(0)
    # 3.9 s, less what the way took, which on a busy machine is more than a moment.
    backwards = re.compile(r"run backwards, by up to 3\.[0-9]")
    expect(dashboard.locator("#verdict")).to_contain_text(backwards)
    expect(clock(dashboard, "workshop")).to_contain_text("2.20 s slow")
    expect(clock(dashboard, "Server")).to_contain_text("1.70 s fast")


def test_progress_is_shown_while_a_device_is_at_work(dashboard: Page) -> None:
    dashboard.locator("#ask-device").select_option(label="greenhouse")
    dashboard.locator("#ask-command").select_option("slow_task")
    dashboard.locator("#ask-payload").fill('{"seconds": 1.5, "steps": 3}')
    dashboard.get_by_role("button", name="Send").click()
    expect(dashboard.locator("#ask-result")).to_contain_text("At work")
    expect(dashboard.locator("#ask-result")).to_contain_text(re.compile("Answered after [1-9]"))


def test_every_second_sends_nothing_twice(dashboard: Page) -> None:
    asked: list[str] = []

    def sent(frame: str | bytes) -> None:
        if isinstance(frame, str) and '"event":"command"' in frame:
            asked.append(frame)

    def opened(socket: WebSocket) -> None:
        socket.on("framesent", sent)

    dashboard.on("websocket", opened)
    dashboard.reload()
    live(dashboard)
    dashboard.locator("#ask-repeat").check()
    assert asked == []
    began_s = time.monotonic()
    dashboard.get_by_role("button", name="Send").click()
    expect(dashboard.locator("#ask-result")).to_contain_text("Answered")
    # On a busy machine the answer may come after the next second.
    assert 1 <= len(asked) <= 1 + (time.monotonic() - began_s)

    def thrice() -> bool:
        # We hear of what happens on the page only while we wait on it.
        dashboard.wait_for_timeout(50)
        return len(asked) >= 3

    eventually(thrice)


def test_what_a_device_says_of_its_failure_ends_in_one_full_stop(dashboard: Page) -> None:
    ended = """async () => {
        const { ended } = await import('/static/js/dashboard/format.js');
        return ['which pump?', 'no pump.', 'no pump', 'oh!'].map(ended);
    }"""
    assert dashboard.evaluate(ended) == ["which pump?", "no pump.", "no pump.", "oh!"]
    dashboard.locator("#ask-device").select_option(label="greenhouse")
    dashboard.locator("#ask-command").select_option("slow_task")
    dashboard.locator("#ask-payload").fill('{"seconds": -1}')
    dashboard.get_by_role("button", name="Send").click()
    expect(dashboard.locator("#verdict")).to_contain_text("Failed: ")
    shown = dashboard.locator("#verdict").inner_text()
    assert not re.search(r"[.!?…]\.", shown), shown


def test_a_payload_that_is_no_json_is_reported_before_anything_is_sent(dashboard: Page) -> None:
    dashboard.locator("#ask-payload").fill("{oops")
    dashboard.get_by_role("button", name="Send").click()
    expect(dashboard.locator("#ask-result")).to_contain_text("not JSON")
    expect(dashboard.locator("#ask-payload")).to_have_attribute("aria-invalid", "true")


def test_a_device_that_is_killed_is_offline_and_comes_back(dashboard: Page, system: System) -> None:
    state = clock(dashboard, "workshop").locator(".state")
    system.devices[0].kill()
    expect(state).to_have_text("offline")
    # "Last sync" with the rest: nothing is known of a clock that is not heard of.
    expect(clock(dashboard, "workshop").locator("dd")).to_have_text(["–"] * 5)
    ask(dashboard, "workshop (offline)")
    expect(dashboard.locator("#ask-result")).to_contain_text("(device_offline)")
    expect(dashboard.locator("#traces .trace-row").first).to_contain_text("device_offline")
    system.devices[0].start()
    expect(state).to_have_text("synchronised")
    ask(dashboard)
    expect(dashboard.locator("#ask-result")).to_contain_text("Answered after")


def test_a_server_that_is_restarted_is_found_again_by_all(
    dashboard: Page, system: System, screenshots: Path
) -> None:
    system.server.stop()
    try:
        expect(dashboard.locator("#connection-text")).to_have_text("Disconnected")
        expect(dashboard.get_by_role("alert")).to_contain_text("The connection is lost.")
        expect(dashboard.get_by_role("button", name="Send")).to_be_disabled()
        expect(clock(dashboard, "Server").locator(".state")).to_have_text("not reached")
        dashboard.screenshot(path=screenshots / "dashboard-failing.png", full_page=True)
    finally:
        system.server.start()
    live(dashboard)
    expect(dashboard.get_by_role("alert")).to_be_hidden()
    state = clock(dashboard, "workshop").locator(".state")
    expect(state).to_have_text("synchronised")
    ask(dashboard)
    expect(dashboard.locator("#ask-result")).to_contain_text("Answered after")


def test_without_a_time_source_stamps_vanish_say_why_and_come_back(
    dashboard: Page, system: System
) -> None:
    system.source.change("silence on")
    try:
        system.server.stop()
        for device in system.devices:
            device.stop()
        system.server.start(wait_synced=False)
        for device in system.devices:
            device.start()
        dashboard.reload()
        live(dashboard)
        for name in ("This browser", "Server", "workshop"):
            card = clock(dashboard, name)
            expect(card.locator(".state")).to_have_text("no time")
        expect(clock(dashboard, "workshop").locator(".why")).to_contain_text("no reply within 2 s")
        ask(dashboard)
        expect(dashboard.locator("#ask-result")).to_contain_text("Answered:")
        expect(dashboard.locator("#sync-caption")).to_contain_text(f"{STAMPS} events without time")
        expect(dashboard.locator("#sync-caption")).to_contain_text("no reply within 2 s")
        record = newest(dashboard)
        assert record["unsynced"] == STAMPS
        assert not set(record["trace"]) & {"client_send", "server_receive", "device_receive"}
        assert record["trace"]["raw"]["device_receive"] > 0
    finally:
        system.source.change("silence off")
    for name in ("Server", "workshop", "This browser"):
        state = clock(dashboard, name).locator(".state")
        expect(state).to_have_text("synchronised", timeout=90_000)
    ask(dashboard)
    expect(dashboard.locator("#ask-result")).to_contain_text("Answered after")
    expect(dashboard.locator("#sync-caption")).to_contain_text("each step is right to")


def test_a_projects_page_is_live_over_its_own_socket(
    context: BrowserContext, system: System
) -> None:
    page = context.new_page()
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    log_in(page, system)
    page.get_by_role("link", name="Projects").click()
    page.get_by_role("link", name="Demo").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Demo")
    live(page)
    dashboard = context.new_page()
    dashboard.goto(f"{system.server.url}/")
    live(dashboard)
    expect(clock(dashboard, "workshop").locator(".state")).to_have_text("synchronised")
    expect(dashboard.get_by_role("button", name="Send")).to_be_enabled()
    ask(dashboard)
    expect(dashboard.locator("#ask-result")).to_contain_text("Answered")
    request_id = newest(dashboard)["request_id"]
    eventually(lambda: newest(page)["request_id"] == request_id)
    expect(page.locator("#traces .trace-row").first).to_contain_text("echo · workshop")
    assert sockets[-1].endswith("/ws/projects/demo/")


def test_filters_leave_what_fits_and_say_when_nothing_does(dashboard: Page) -> None:
    ask(dashboard, "greenhouse")
    expect(dashboard.locator("#ask-result")).to_contain_text("Answered after")
    rows = dashboard.locator("#traces .trace-row")
    dashboard.locator("#filter-device").select_option(label="greenhouse")
    expect(rows.filter(has_not_text="greenhouse")).to_have_count(0)
    expect(rows.first).to_contain_text("greenhouse")
    dashboard.locator("#filter-ms").fill("9999999")
    expect(dashboard.locator("#traces-empty")).to_have_text("No trace fits these filters.")
    expect(rows).to_have_count(0)
    # What comes now does not fit either.
    ask(dashboard, "greenhouse")
    expect(dashboard.locator("#ask-result")).to_contain_text("Answered after")
    expect(rows).to_have_count(0)
    dashboard.locator("#filter-ms").fill("")
    expect(rows).not_to_have_count(0)


def test_everything_can_be_done_by_keyboard(dashboard: Page) -> None:
    for _ in range(2):
        dashboard.locator("#ask-payload").focus()
        dashboard.keyboard.press("Enter")
        expect(dashboard.locator("#ask-result")).to_contain_text("Answered after")
        dashboard.wait_for_timeout(300)
    first = dashboard.locator("#traces .trace-row").first
    first.focus()
    dashboard.keyboard.press("Enter")
    expect(first).to_have_attribute("aria-pressed", "true")
    dashboard.keyboard.press("ArrowDown")
    expect(dashboard.locator("#traces .trace-row").nth(1)).to_have_attribute("aria-pressed", "true")
    expect(dashboard.locator("#follow")).not_to_be_checked()
    dashboard.locator("#stamps summary").focus()
    dashboard.keyboard.press("Enter")
    expect(dashboard.locator("#stamp-rows tr")).to_have_count(STAMPS)
    # From the top of the page to its end, nobody is caught anywhere.
    seen, ends = set(), 0
    for _ in range(400):
        dashboard.keyboard.press("Tab")
        if dashboard.evaluate("document.activeElement === document.body"):
            ends += 1
        if ends == 2:
            break
        seen.add(
            dashboard.evaluate("document.activeElement.id || document.activeElement.className")
        )
    assert ends == 2
    assert {"ask-device", "ask-send", "follow", "filter-problem", "trace-row", "lay-over"} <= seen


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(dashboard: Page, scheme: str) -> None:
    dashboard.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    ask(dashboard)
    expect(dashboard.locator("#ask-result")).to_contain_text("Answered after")
    for summary in dashboard.locator("summary").all():
        summary.click()
    faults = axe(dashboard)
    assert faults == []
    dashboard.get_by_role("link", name="Projects").click()
    assert axe(dashboard) == []
    dashboard.get_by_role("button", name="Log out").click()
    assert axe(dashboard) == []


def axe(page: Page) -> list[str]:
    """What axe finds wrong with the page as it is."""
    if not AXE.exists():
        pytest.skip("no axe-core: npm ci in js/")
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run().then(({ violations }) => violations)")
    return [
        f"{fault['impact']} {fault['id']}: {json.dumps([n['html'] for n in fault['nodes']][:3])}"
        for fault in found
    ]


def test_a_newcomer_sees_what_to_do_first(page: Page, system: System, screenshots: Path) -> None:
    log_in(page, system, "newcomer", system.stranger_password)
    live(page)
    expect(page.locator("#clocks-empty")).to_contain_text("manage.py device add NAME")
    expect(page.locator("#traces-empty")).to_contain_text("No traces yet")
    expect(page.locator("#trace-empty")).to_contain_text("No trace to show")
    expect(page.locator("#histograms-empty")).to_contain_text("Nothing to measure yet")
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    page.screenshot(path=screenshots / "dashboard-empty.png", full_page=True)
    page.get_by_role("link", name="Projects").click()
    expect(page.locator(".empty")).to_contain_text("No projects yet")


def test_a_failing_query_is_reported_and_the_rest_goes_on(dashboard: Page) -> None:
    dashboard.route("**/api/traces/**", lambda route: route.fulfill(status=500, body="{}"))
    dashboard.reload()
    live(dashboard)
    expect(dashboard.locator("#traces-empty")).to_contain_text("the server answers 500")
    expect(dashboard.locator("#trace-empty")).to_have_text("Traces cannot be loaded.")
    ask(dashboard)
    expect(dashboard.locator("#ask-result")).to_contain_text("Answered")


@pytest.mark.parametrize(
    ("name", "scheme", "width"),
    [("wide", "light", 1360), ("dark", "dark", 1360), ("phone", "light", 390)],
)
def test_pages_fit_their_window(
    dashboard: Page, screenshots: Path, name: str, scheme: str, width: int
) -> None:
    dashboard.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    dashboard.set_viewport_size({"width": width, "height": 900})
    for device in ("workshop", "greenhouse"):
        ask(dashboard, device)
        expect(dashboard.locator("#ask-result")).to_contain_text("Answered")
        expect(dashboard.locator("#trace-title")).to_contain_text(device)
    expect(dashboard.locator("#histograms li")).to_have_count(8)
    assert dashboard.evaluate("document.documentElement.scrollWidth") <= width
    chart = dashboard.locator("#sync-chart svg").bounding_box()
    assert chart is not None
    assert chart["width"] > min(width, 1360) * 0.8
    # All of the drawing is seen: nothing of it has to be scrolled to.
    hidden = "({ scrollWidth, clientWidth }) => scrollWidth - clientWidth"
    for picture in ("#sync-chart", "#raw-chart"):
        assert dashboard.locator(picture).evaluate(hidden) <= 0
    dashboard.screenshot(path=screenshots / f"dashboard-{name}.png", full_page=True)


def test_a_user_who_is_logged_out_elsewhere_is_asked_to_log_in(
    context: BrowserContext, dashboard: Page, system: System
) -> None:
    context.clear_cookies()
    system.server.stop()
    expect(dashboard.locator("#connection-text")).to_have_text("Disconnected")
    system.server.start()
    expect(dashboard.get_by_role("alert")).to_contain_text("not logged in")
    dashboard.get_by_role("button", name="Log in").click()
    expect(dashboard).to_have_title(re.compile("Log in"))
