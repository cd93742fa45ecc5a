"""Clocks that somebody else turns, and connections that the browser forbids: nothing hangs."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from pages import configured, opened, regained, status, synced

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from standin import StandIn

#: A reading, and what the status says of the same moment.
LOOK = "(() => { const { isSynced, state } = clock.getStatus(); return [isSynced, state]; })()"


def later(seconds: float) -> datetime:
    return datetime.now(timezone.utc) + timedelta(seconds=seconds)


def test_under_playwrights_clock_it_synchronises_and_stands_still_with_it(
    page: Page, stand_in: StandIn
) -> None:
    page.clock.install()
    opened(page, stand_in, relay=stand_in.ws)
    assert synced(page)
    page.clock.pause_at(later(2))
    first, second = page.evaluate("[clock.now(), clock.now()]")
    assert first is not None
    assert first == second
    page.clock.run_for(1000)
    assert page.evaluate("clock.now()") - first >= 900


def test_an_import_while_all_clocks_stand_still_does_not_hang(
    page: Page, stand_in: StandIn
) -> None:
    page.clock.install()
    page.clock.pause_at(later(1))
    opened(page, stand_in, relay=stand_in.ws)
    assert page.evaluate("clock.now()") is None
    assert page.evaluate("clock.getStatus().isSynced") is False
    page.clock.resume()
    assert synced(page)


def test_a_fixed_date_means_null_and_the_status_says_why(page: Page, stand_in: StandIn) -> None:
    page.clock.set_fixed_time(datetime.now(timezone.utc))
    opened(page, stand_in, relay=stand_in.ws)
    page.evaluate("clock.sync()")
    page.wait_for_function("clock.getStatus().lastErrorCode === 'wall_clock_stopped'")
    readings = page.evaluate(
        """(async () => {
            const found = [];
            for (let i = 0; i < 50; i++) {
                found.push(clock.now());
                await new Promise((resolve) => requestAnimationFrame(resolve));
            }
            return found;
        })()"""
    )
    assert readings == [None] * 50
    reported = status(page)
    assert "Date.now() stands still" in reported["lastError"]
    assert (reported["isSynced"], reported["state"]) == (False, "unsynchronised")
    assert reported["requests"] <= 8


def test_status_and_reading_agree_when_a_page_thaws(page: Page, stand_in: StandIn) -> None:
    opened(page, stand_in, relay=stand_in.ws)
    assert synced(page)
    devtools = page.context.new_cdp_session(page)
    devtools.send("Page.setWebLifecycleState", {"state": "frozen"})
    page.wait_for_timeout(500)
    devtools.send("Page.setWebLifecycleState", {"state": "active"})
    for _ in range(20):
        is_synced, state = page.evaluate(LOOK)
        assert is_synced is (state in ("synchronised", "holdover"))


def test_a_socket_that_the_browser_forbids_fails_the_attempt_and_the_next_way_works(
    page: Page, cloudflare: StandIn
) -> None:
    # A page on https: may open no ws: but to this machine, and this name is another's.
    opened(page, cloudflare, relay="ws://cloudflare.com/relay")
    assert page.evaluate("clock.sync()") is False
    reported = status(page)
    assert reported["lastErrorCode"] == "websocket_forbidden"
    assert "ws://cloudflare.com/relay" in reported["lastError"]
    page.evaluate(configured(relay=cloudflare.http))
    assert synced(page)
    assert status(page)["lastErrorCode"] is None


def test_a_relays_url_may_name_a_part_of_a_document(page: Page, stand_in: StandIn) -> None:
    opened(page, stand_in, relay=f"{stand_in.ws}#part")
    assert regained(page)
