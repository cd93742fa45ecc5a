"""The page that shows the clock at a glance: as a file, by keyboard, for readers of all kinds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import pytest
from conftest import ROOT, watched
from playwright.sync_api import expect
from standin import STATIC, honest, unsynchronised

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize
    from standin import StandIn

FILE = (STATIC / "js/test-ntp-clock.html").as_uri()


def opened(page: Page, query: str) -> None:
    page.goto(f"{FILE}?{query}")


def state(page: Page, text: str) -> None:
    page.locator("#state-text", has_text=text).wait_for()


def events(page: Page, text: str) -> None:
    page.locator("#log li", has_text=text).first.wait_for()


def test_as_a_file_it_shows_the_time_with_its_errors_and_source(
    page: Page, stand_in: StandIn
) -> None:
    opened(page, f"relay={stand_in.ws}")
    state(page, "Synchronised")
    events(page, "Synchronised within")
    expect(page.locator("#problem")).to_be_hidden()
    displayed: dict[str, str] = {}
    for name in (
        "time",
        "bound",
        "offset",
        "max-error",
        "est-error",
        "delay",
        "server",
        "via",
        "address",
        "last-sync",
        "next-sync",
        "assumed",
        "epoch",
    ):
        shown = page.locator(f"#{name}")
        expect(shown).not_to_contain_text("\u2013")
        displayed[name] = shown.inner_text()
    assert displayed["server"] == "time.cloudflare.com"
    assert displayed["via"] == "relay over WebSocket"
    assert "/relay" in displayed["address"]
    # What happened before the first synchronisation is dated too.
    expect(page.locator("#log time[data-at]")).to_have_count(0)
    label = page.locator("#plot").get_attribute("aria-label")
    assert label is not None
    assert "hard bound" in label
    assert vars(page)["complaints"] == []


def test_on_a_long_path_the_plot_shows_what_moves_and_the_hard_bound_beside_it(
    page: Page, stand_in: StandIn, screenshots: Path
) -> None:
    def far(request_id: object, received: float) -> object:
        return {**honest(request_id, received), "root_delay_ms": 10, "root_dispersion_ms": 12}

    stand_in.answer = far
    shares: list[float] = []
    # On a busy machine one reply can be so late that the panel shows little but that.
    while len(shares) < 5 and max(shares, default=0) <= 0.2:
        opened(page, f"relay={stand_in.ws}")
        page.wait_for_function("Number(document.querySelector('#plot').dataset.samples) >= 5")
        bound = page.locator("#max-error").inner_text()
        assert float(bound.removeprefix("\u00b1 ").removesuffix(" ms")) >= 17, bound
        page.locator("#plot").screenshot(path=screenshots / "page-plot-far.png")
        # How much of the offset's panel the band of the probable error takes where it is newest.
        share = page.evaluate(
            """() => {
                const canvas = document.querySelector('#plot');
                const height = canvas.height - 90;
                const at = canvas.width - 16;
                const { data } = canvas.getContext('2d').getImageData(at, 0, 1, height);
                return data.filter((value, i) => i % 4 === 3 && value > 60).length / height;
            }"""
        )
        shares.append(share)
    assert max(shares) > 0.2, shares


def test_without_a_query_it_asks_cloudflare_and_says_that_the_bound_is_assumed(
    page: Page, cloudflare: StandIn
) -> None:
    asked = len(cloudflare.asked)
    opened(page, "")
    state(page, "Synchronised")
    expect(page.locator("#assumed")).to_contain_text("assumed", use_inner_text=True)
    assert len(cloudflare.asked) > asked


def test_what_is_wrong_is_said_in_words_with_what_to_do(page: Page, stand_in: StandIn) -> None:
    stand_in.answer = lambda request_id, _: unsynchronised(request_id)
    opened(page, f"relay={stand_in.ws}")
    problem = page.locator("#problem")
    problem.locator("text=Server is not synchronised").wait_for()
    expect(page.locator("#problem-remedy")).to_contain_text("NTP server", use_inner_text=True)
    expect(page.locator("#bound")).to_have_text("no reading", use_inner_text=True)
    stand_in.answer = honest
    page.get_by_role("button", name="Sync now").click()
    state(page, "Synchronised")
    problem.wait_for(state="hidden")


@pytest.mark.parametrize("way", ["ws", "http"])
def test_the_server_is_not_known_until_the_relay_names_it_be_it_without_a_time(
    page: Page, stand_in: StandIn, way: str
) -> None:
    displayed = {"ws": "relay over WebSocket", "http": "relay over HTTP"}[way]
    stand_in.answer = lambda _id, _received: None  # Over HTTP "null": it names no server.
    opened(page, f"relay={stand_in.ws if way == 'ws' else stand_in.http}")
    page.locator("#source-line", has_text=f"server not known yet, {displayed}").wait_for()
    expect(page.locator("#server")).to_have_text("not known yet", use_inner_text=True)
    expect(page.locator("#via")).to_have_text(displayed, use_inner_text=True)
    stand_in.answer = lambda request_id, _: {
        **unsynchronised(request_id),
        "server": "127.0.0.1:1",
    }
    page.locator("#source-line", has_text=f"127.0.0.1:1, {displayed}").wait_for()
    expect(page.locator("#server")).to_have_text("127.0.0.1:1", use_inner_text=True)


def test_events_without_a_synchronised_time_say_how_long_ago_they_were(
    page: Page, stand_in: StandIn
) -> None:
    stand_in.answer = lambda request_id, _: unsynchronised(request_id)
    opened(page, f"relay={stand_in.ws}")
    events(page, "failed: Server is not synchronised")
    page.wait_for_function(
        "/^[1-9][0-9]* s ago$/.test(document.querySelector('#log li:last-child time').textContent)"
    )
    for text in page.locator("#log time").all_inner_texts():
        assert re.fullmatch(r"(\d+ min )?\d+ s ago", text), text
    stand_in.answer = honest
    page.get_by_role("button", name="Sync now").click()
    state(page, "Synchronised")
    page.wait_for_function("document.querySelectorAll('#log time[data-at]').length === 0")
    for text in page.locator("#log time").all_inner_texts():
        assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}", text), text


@pytest.mark.parametrize("relay", ["ftp://example.org", "ntp.example.org:123:9", "http://["])
def test_a_source_in_the_address_that_is_none_is_reported_and_nothing_is_asked_in_its_place(
    page: Page, cloudflare: StandIn, relay: str
) -> None:
    asked = len(cloudflare.asked)
    opened(page, f"relay={relay}")
    page.locator("#problem", has_text="the source in the address is wrong").wait_for()
    page.wait_for_timeout(300)
    expect(page.locator("#bound")).to_have_text("no reading", use_inner_text=True)
    # Nor does the page name a source that is not asked.
    expect(page.locator("#source-line")).to_have_text("no source", use_inner_text=True)
    expect(page.locator("#server")).to_have_text("\u2013", use_inner_text=True)
    assert len(cloudflare.asked) == asked


def test_all_of_it_works_by_keyboard(page: Page, stand_in: StandIn) -> None:
    opened(page, "relay=ftp://example.org")
    page.locator("#problem").wait_for()
    page.keyboard.press("Tab")
    expect(page.locator("#sync-now")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("#log")).to_be_focused()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.value") == "relay"
    page.keyboard.press("Tab")
    expect(page.locator("#url")).to_be_focused()
    # Enter sends what is there, which is none; the error is shown and the field keeps the focus.
    page.keyboard.press("Enter")
    page.locator("#source-error", has_text="ftp").wait_for()
    expect(page.locator("#url")).to_be_focused()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(stand_in.http)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    state(page, "Synchronised")
    expect(page.locator("#via")).to_have_text("relay over HTTP", use_inner_text=True)
    expect(page.locator("#source-error")).to_have_text("", use_inner_text=True)
    page.locator("#spoken", has_text="Synchronised within").wait_for(state="attached")
    # By the arrow keys to another way, whose URL is asked for.
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.value") == "https"
    expect(page.get_by_label("URL of an HTTPS time")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#url")).to_be_hidden()
    # And the source is remembered in the address.
    page.reload()
    state(page, "Synchronised")
    expect(page.locator("#via")).to_have_text("relay over HTTP", use_inner_text=True)
    page.get_by_role("button", name="Sync now").press("Enter")
    events(page, "Asked by hand")
    page.get_by_role("button", name="Sync now").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("synchronised", [True, False])
def test_axe_finds_no_barrier(
    browser: Browser, stand_in: StandIn, scheme: str, synchronised: bool
) -> None:
    axe = ROOT / "js/node_modules/axe-core/axe.min.js"
    if not axe.exists():
        pytest.skip("no axe-core: npm ci --prefix js")
    if not synchronised:
        stand_in.answer = lambda request_id, _: unsynchronised(request_id)
    context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light")
    page = context.new_page()
    opened(page, f"relay={stand_in.ws}")
    if synchronised:
        events(page, "Synchronised within")
    else:
        page.locator("#problem", has_text="No synchronised time").wait_for()
    page.evaluate(axe.read_text())
    found = page.evaluate("axe.run().then(({ violations }) => violations)")
    context.close()
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []


def test_who_wants_no_motion_gets_digits_that_turn_once_a_second(
    context: BrowserContext, stand_in: StandIn
) -> None:
    page = context.new_page()
    page.emulate_media(reduced_motion="reduce")
    opened(page, f"relay={stand_in.ws}")
    state(page, "Synchronised")
    assert page.locator("#time").inner_text().count(".") == 0


VIEWS: dict[str, tuple[ViewportSize, Literal["light", "dark"], bool]] = {
    "synchronised": ({"width": 1280, "height": 900}, "light", True),
    "dark": ({"width": 1280, "height": 900}, "dark", True),
    "unsynchronised": ({"width": 1280, "height": 900}, "light", False),
    "narrow": ({"width": 360, "height": 740}, "light", True),
    "narrow-dark-unsynchronised": ({"width": 360, "height": 740}, "dark", False),
}


@pytest.mark.parametrize("name", VIEWS)
def test_it_fits_every_screen_and_leaves_a_screenshot(
    browser: Browser, stand_in: StandIn, screenshots: Path, name: str
) -> None:
    size, scheme, synchronised = VIEWS[name]
    if synchronised:
        stand_in.answer = skewed
    else:
        stand_in.answer = lambda request_id, _: unsynchronised(request_id)
    context = browser.new_context(viewport=size, color_scheme=scheme, device_scale_factor=2)
    page = watched(context.new_page())
    opened(page, f"relay={stand_in.ws}")
    if synchronised:
        events(page, "Synchronised within")
        # Enough of a line to look at.
        page.wait_for_function("Number(document.querySelector('#plot').dataset.samples) >= 5")
    else:
        page.locator("#problem", has_text="No synchronised time").wait_for()
    page.screenshot(path=screenshots / f"page-{name}.png", full_page=True)
    width = page.evaluate("document.documentElement.scrollWidth")
    clipped = page.evaluate(
        """[...document.querySelectorAll('main *, header *')].filter((element) =>
            element.getClientRects().length && !element.closest('.unseen') &&
            element.getBoundingClientRect().right > innerWidth + 0.5).map(({ id, tagName }) =>
            id || tagName)"""
    )
    complaints = vars(page)["complaints"]
    context.close()
    assert width == size["width"]
    assert clipped == []
    assert complaints == []


def skewed(request_id: object, received: float) -> object:
    """An honest relay, were this browser's clock 37.42 ms behind."""
    reply = honest(request_id, received)
    for key in ("server_receive_time", "server_send_time", "server_time"):
        reply[key] += 37.42
    return reply
