"""What the dashboard shows of the order between clocks, on a path as users have it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

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
        expect(clock(page, name).locator(".state")).to_have_text("synchronised", timeout=30_000)
        expect(link(page, name)).to_contain_text("Round trip", timeout=30_000, ignore_case=True)
    return page


def link(page: Page, name: str) -> Locator:
    """What a clock's card says of its link."""
    found: Locator = clock(page, name).locator(".link")
    return found


def asked(page: Page, *devices: str) -> None:
    """Asks devices one after the other, until the list has the finished traces of all."""
    for device in devices:
        ask(page, device)
        expect(page.locator("#ask-result")).to_contain_text("Answered after")
        expect(page.locator("#trace-title")).to_contain_text(device)
        eventually(lambda: newest(page)["complete"])


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
    assert step < utc / 4, caption
    expect(dashboard.locator("#sync-chart .utc")).to_have_count(1)
    expect(dashboard.locator("#sync-chart .wrong")).to_have_count(0)
    widest = dashboard.locator("#sync-chart .band").evaluate_all(
        "bands => Math.max(...bands.map((band) => band.width.baseVal.value))"
    )
    chart = dashboard.locator("#sync-chart svg").bounding_box()
    assert chart is not None
    assert 0 < widest < chart["width"] / 2


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
        assert float(bound) < UTC_LEAST_MS, name
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
        told = re.search("median ([^,]+), each known to within ([^;]+);", cell.inner_text())
        assert told is not None, cell.inner_text()
        assert ms(told[2]) < UTC_LEAST_MS, told[0]
        expect(cell.locator("rect.known")).to_have_count(1)
    flags = dashboard.locator("#traces .flags").first.inner_text()
    assert ms(flags[flags.index("±") :]) < UTC_LEAST_MS, flags


def test_a_clocks_card_shows_its_link_to_the_server(dashboard: Page) -> None:
    for name in ("This browser", *DEVICES):
        facts = link(dashboard, name)
        expect(facts.get_by_role("heading")).to_have_text("Link to the server")
        told = dict(
            zip(facts.locator("dt").all_inner_texts(), facts.locator("dd").all_inner_texts())
        )
        assert re.match(r"[+−][\d.]+ s ± ", told["Counter offset"]), told
        assert ms(told["Known to within"]) < UTC_LEAST_MS, told
        assert ms(told["Least round trip"]) > 0, told
        assert re.search("ago|just now", told["Newest evidence"]), told
        assert told["Contradictions"] == "none", told
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
    told = dashboard.locator("#pair-order")
    expect(told).to_contain_text("certain by clock")
    expect(told).to_contain_text(
        re.compile("^“browser sends” of echo on workshop .* came first, then .* on greenhouse")
    )
    dashboard.get_by_label("Of echo on workshop").select_option(label="device receives")
    dashboard.get_by_label("Of echo on greenhouse").select_option(label="device answers")
    expect(told).to_contain_text(re.compile("^“device receives” of echo on workshop .*first"))
    expect(told).to_contain_text(re.compile("Rests on: .*link"))
    assert not re.search("[0-9a-f]{16}", told.inner_text())
    dashboard.screenshot(path=screenshots / "dashboard-pair.png", full_page=True)
    dashboard.get_by_role("button", name="Take the second away").click()
    expect(dashboard.locator("#pair")).to_be_hidden()
    assert vars(dashboard)["complaints"] == []


def test_an_order_that_cannot_be_asked_for_is_told(dashboard: Page) -> None:
    asked(dashboard, *DEVICES)
    dashboard.route("**/api/order/**", lambda route: route.fulfill(status=500, body="no"))
    dashboard.locator(".lay-over").nth(1).click()
    expect(dashboard.locator("#pair-caption")).to_contain_text("the server answers 500")
    expect(dashboard.locator("#pair-order")).to_contain_text("the server answers 500")


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
