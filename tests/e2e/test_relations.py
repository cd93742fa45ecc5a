"""What the dashboard shows of the order between clocks, on a path as users have it."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect
from system import eventually
from test_system import STAMPS, System, ask, axe, clock, live, log_in, newest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Locator, Page

#: As time.cloudflare.com is from a home: readings are right to some 18 ms.
FAR = "--delay=10ms + exp 300us --root-delay=10ms --root-dispersion=1ms --stratum=3"
UTC_LEAST_MS = 10
#: So far apart two readings of different clocks must be, were there nothing else than readings.
ALONE_MS = 2 * UTC_LEAST_MS
DEVICES = ("workshop", "greenhouse")


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    system = System(tmp_path_factory.mktemp("far"), *re.split(" (?=--)", FAR))
    yield system
    system.stop()


@pytest.fixture
def dashboard(page: Page, system: System) -> Page:
    """The demo user's dashboard, its clocks synchronised and compared with the server's."""
    log_in(page, system)
    live(page)
    for name in ("This browser", *DEVICES):
        expect(clock(page, name).locator(".state")).to_have_text("synchronised")
        expect(link(page, name)).to_contain_text("Round trip", ignore_case=True)
        # Exchanges that were kept waiting bound less than those that follow.
        eventually(partial(is_well_known, page, name))
    return page


def link(page: Page, name: str) -> Locator:
    """What a clock's card says of its link."""
    found: Locator = clock(page, name).locator(".link")
    return found


def is_well_known(page: Page, name: str) -> bool:
    """Whether its link is known better than two readings would tell."""
    return ms(facts_of(page, name)["Known to within"]) < ALONE_MS


def facts_of(page: Page, name: str) -> dict[str, str]:
    """What it says, by its names."""
    facts = link(page, name)
    return dict(zip(facts.locator("dt").all_inner_texts(), facts.locator("dd").all_inner_texts()))


def asked(page: Page, *devices: str) -> None:
    """Asks devices one after the other, until the list has the finished traces of all."""
    for device in devices:
        ask(page, device)
        expect(page.locator("#ask-result")).to_contain_text("Answered after")
        expect(page.locator("#trace-title")).to_contain_text(device)
        eventually(lambda: newest(page)["complete"])
        # The page has drawn it, too.
        expect(page.locator("#stamp-rows")).not_to_contain_text("did not happen")


def ms(text: str) -> float:
    """A length as the dashboard writes it."""
    found = re.search(r"([\d.]+) (µs|ms|s)\b", text)
    assert found is not None, text
    return float(found[1]) * {"µs": 1e-3, "ms": 1.0, "s": 1e3}[found[2]]


def test_stamps_stand_within_narrow_bands_and_the_error_against_utc_stands_once(
    dashboard: Page,
) -> None:
    asked(dashboard, "workshop")
    caption = dashboard.locator("#sync-caption").inner_text()
    step, utc = (ms(part) for part in caption.split(";"))
    assert utc > UTC_LEAST_MS, caption
    # The browser's, the server's and the device's clocks differ by far less than each from UTC.
    assert step < utc / 2, caption
    expect(dashboard.locator("#sync-chart .utc")).to_have_count(1)
    expect(dashboard.locator("#sync-chart .wrong")).to_have_count(0)
    widest = dashboard.locator("#sync-chart .band").evaluate_all(
        "bands => Math.max(...bands.map((band) => band.width.baseVal.value))"
    )
    chart = dashboard.locator("#sync-chart svg").bounding_box()
    assert chart is not None
    # Against UTC a band would be as wide as the picture, and cut off.
    assert 0 < widest < chart["width"] * 0.8


def test_each_step_says_how_its_order_is_certain_and_what_that_rests_on(dashboard: Page) -> None:
    asked(dashboard, "workshop")
    dashboard.locator("#steps summary").click()
    rows = dashboard.locator("#step-rows tr")
    expect(rows).to_have_count(STAMPS - 1)
    for row in rows.all():
        name, took, bound, _, order, rests_on = (
            cell.inner_text() for cell in row.locator("th, td").all()
        )
        assert float(took) >= 0, name
        assert float(bound) < ALONE_MS, name
        assert re.fullmatch("certain by clock|∴ certain by cause", order), (name, order)
        # In words: nobody knows counters by their ids.
        assert rests_on, name
        assert not re.search("[0-9a-f]{16}", rests_on), (name, rests_on)
    ways = [text for text in rows.all_inner_texts() if "server receives" in text.split("\t")[0]]
    assert any("link " in text or "message" in text for text in ways), ways
    dashboard.locator("#stamps summary").click()
    expect(dashboard.locator("#stamp-rows tr")).to_have_count(STAMPS)


def test_histograms_and_the_list_show_how_wide_what_is_known_is(dashboard: Page) -> None:
    asked(dashboard, *DEVICES)
    cells = dashboard.locator("#histograms li")
    expect(cells).to_have_count(8)
    for cell in cells.all():
        shown = re.search("median ([^,]+), each known to within ([^;]+);", cell.inner_text())
        assert shown is not None, cell.inner_text()
        assert ms(shown[2]) < 2 * ALONE_MS, shown[0]
        expect(cell.locator("rect.known")).to_have_count(1)
    flags = dashboard.locator("#traces .flags").first.inner_text()
    assert ms(flags[flags.index("±") :]) < ALONE_MS, flags


def test_a_clocks_card_shows_its_link_to_the_server(dashboard: Page) -> None:
    for name in ("This browser", *DEVICES):
        facts = link(dashboard, name)
        expect(facts.locator(".to")).to_have_text("Link to the server")
        shown = dict(
            zip(facts.locator("dt").all_inner_texts(), facts.locator("dd").all_inner_texts())
        )
        assert re.match(r"[+−][\d.]+\ss ±\s\d", shown["Counter offset"]), shown
        assert ms(shown["Known to within"]) < 2 * ALONE_MS, shown
        assert ms(shown["Least round trip"]) > 0, shown
        assert re.search("ago|just now", shown["Newest evidence"]), shown
        assert shown["Contradictions"] == "none", shown
    # Of the server itself there is none.
    expect(link(dashboard, "Server")).to_be_hidden()


def test_two_traces_laid_over_one_another_tell_which_of_their_stamps_came_first(
    dashboard: Page, screenshots: Path
) -> None:
    asked(dashboard, *DEVICES)
    over = dashboard.locator(".lay-over")
    expect(over.first).to_be_disabled()
    over.nth(1).click()
    expect(over.nth(1)).to_have_attribute("aria-pressed", "true")
    expect(dashboard.locator("#follow")).not_to_be_checked()
    # The older one is the second, and began before.
    caption = dashboard.locator("#pair-caption")
    expect(caption).to_contain_text("before the first")
    expect(dashboard.locator("#pair-chart .lane-name")).to_have_count(6)
    shown = dashboard.locator("#pair-order")
    expect(shown).to_contain_text("certain by clock")
    expect(shown).to_contain_text(
        re.compile("^“browser sends” of echo on workshop .* came first, then .* on greenhouse")
    )
    dashboard.get_by_label("Of echo on workshop").select_option(label="device receives")
    dashboard.get_by_label("Of echo on greenhouse").select_option(label="device answers")
    expect(shown).to_contain_text(re.compile("^“device receives” of echo on workshop .*first"))
    expect(shown).to_contain_text(re.compile("Rests on: .*link"))
    assert not re.search("[0-9a-f]{16}", shown.inner_text())
    dashboard.screenshot(path=screenshots / "dashboard-pair.png", full_page=True)
    dashboard.get_by_role("button", name="Take the second away").click()
    expect(dashboard.locator("#pair")).to_be_hidden()
    assert vars(dashboard)["complaints"] == []


def test_an_order_that_cannot_be_asked_for_is_reported(dashboard: Page) -> None:
    asked(dashboard, *DEVICES)
    dashboard.route("**/api/order/**", lambda route: route.fulfill(status=500, body="no"))
    dashboard.locator(".lay-over").nth(1).click()
    expect(dashboard.locator("#pair-caption")).to_contain_text("the server answers 500")
    expect(dashboard.locator("#pair-order")).to_contain_text("the server answers 500")


def stored(page: Page, trace: dict[str, Any]) -> None:
    """Opens the dashboard with this one trace in the list, as if it had been stored long ago."""
    record = {
        **newest(page),
        "request_id": "0" * 32,
        "trace": trace,
        "ping_ms": None,
        "unsynced": len(trace.get("unsynced", {})),
    }
    body = json.dumps({"traces": [record]})
    page.route("**/api/traces/?*", lambda route: route.fulfill(status=200, body=body))
    page.reload()
    live(page)
    expect(page.locator(".trace-row")).to_have_count(1)
    expect(page.locator("#sync-chart svg")).to_be_visible()


#: 3 s into a minute in 2025.
EARLY_MS = 1759639032768.0


def test_a_trace_of_before_there_were_counters_is_drawn_by_its_times(dashboard: Page) -> None:
    asked(dashboard, "workshop")
    times = {"client_send": 0.0, "server_receive": 3.0, "server_send": 4.0, "device_receive": 30.0}
    who = {"client_send": "browser", "server_receive": "server:a", "server_send": "server:a"}
    old = {
        **{key: EARLY_MS + ms for key, ms in times.items()},
        "max_error_ms": dict.fromkeys(times, 5.0),
        "epoch": dict.fromkeys(times, 1),
        "entities": {**who, "device_receive": "device:12"},
    }
    stored(dashboard, old)
    expect(dashboard.locator("#sync-chart .unsure")).to_have_count(1)
    expect(dashboard.locator("#verdict")).to_contain_text(
        "Of 3 steps 2 are certain by clock, 1 is uncertain."
    )
    dashboard.locator("#steps summary").click()
    first = dashboard.locator("#step-rows tr").first
    expect(first).to_contain_text("≈ cannot tell")
    expect(first).to_contain_text("synchronised time")
    # 4 ms on one line of a clock are certain, whatever its error.
    expect(dashboard.locator("#step-rows tr").nth(1)).to_contain_text("certain by clock")


def test_stamps_without_time_stand_where_counters_and_links_put_them(dashboard: Page) -> None:
    asked(dashboard, "workshop")
    server, device = "0f3a5c7e9b1d2f40", "device:12/00112233445566aa"
    counters = {
        "server_receive": (server, 5_000_000_000),
        "server_send": (server, 5_001_000_000),
        "device_receive": (device, 70_001_800_000),
        "server_receive_response": (server, 5_004_000_000),
    }
    link = {
        "a": server,
        "b": device,
        "a_ns": "5000000000",
        "b_ns": "70000000000",
        "lower_ns": -200_000.0,
        "upper_ns": 300_000.0,
        "est_ns": 0.0,
        "est_error_ns": 50_000.0,
        "rate_ppb": [-4000.0, 4000.0],
        "round_trip_ns": 500_000.0,
        "exchanges_ns": [-200_000.0, 300_000.0],
    }
    stored(
        dashboard,
        {
            "counter": {key: name for key, (name, _) in counters.items()},
            "counter_ns": {key: str(ns) for key, (_, ns) in counters.items()},
            "unsynced": dict.fromkeys(counters, "no reply within 2 s"),
            "raw": dict.fromkeys(counters, EARLY_MS),
            "links": [link],
        },
    )
    caption = dashboard.locator("#sync-caption")
    expect(caption).to_contain_text("4 events without time: no reply within 2 s")
    expect(caption).to_contain_text("each step is right to ± 25")
    expect(caption).not_to_contain_text("UTC")
    dashboard.locator("#steps summary").click()
    way = dashboard.locator("#step-rows tr").nth(1).locator("th, td").all_inner_texts()
    # 800 µs, less at most 300 µs and more at most 200 µs.
    assert float(way[1]) == pytest.approx(0.8, abs=0.01)
    assert float(way[2]) == pytest.approx(0.25, abs=0.01)
    assert way[4] == "certain by clock"
    assert way[5] == "link server–workshop"
    expect(dashboard.locator("#histograms li")).not_to_have_count(0)


def test_traces_are_laid_over_one_another_by_keyboard(dashboard: Page) -> None:
    asked(dashboard, *DEVICES)
    dashboard.locator(".trace-row").first.focus()
    dashboard.keyboard.press("Enter")
    # Its own button is off: the next stop is the row below, and then that one's.
    dashboard.keyboard.press("Tab")
    dashboard.keyboard.press("Tab")
    dashboard.keyboard.press("Enter")
    expect(dashboard.locator("#pair")).to_be_visible()
    dashboard.get_by_label("Of echo on workshop").focus()
    dashboard.keyboard.press("ArrowDown")
    expect(dashboard.locator("#pair-order")).to_contain_text("server receives")
    dashboard.get_by_role("button", name="Take the second away").focus()
    dashboard.keyboard.press("Enter")
    expect(dashboard.locator("#pair")).to_be_hidden()
    expect(dashboard.locator(".trace-row").first).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault_in_what_lies_over_one_another(dashboard: Page, scheme: str) -> None:
    dashboard.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    asked(dashboard, *DEVICES)
    dashboard.locator(".lay-over").nth(1).click()
    expect(dashboard.locator("#pair-order")).to_contain_text("certain by clock")
    for summary in dashboard.locator("summary").all():
        summary.click()
    assert axe(dashboard) == []
