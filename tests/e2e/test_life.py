"""What a page goes through: tabs, workers, the back/forward cache, freezing, a server's restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from conftest import watched
from pages import configured, near, opened, page_of, regained, settled, status, synced, true
from standin import CLOCK, unsynchronised

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from standin import StandIn

POLICY = "default-src 'self'; connect-src *; script-src 'self'"


@pytest.mark.parametrize("allowed", [True, False])
def test_a_policy_without_wasm_unsafe_eval_means_null_and_the_directive_is_named(
    page: Page, stand_in: StandIn, allowed: bool
) -> None:
    stand_in.headers["content-security-policy"] = POLICY + (
        " 'wasm-unsafe-eval'" if allowed else ""
    )
    stand_in.pages["/own.js"] = (
        f"import clock from '{CLOCK}'; window.clock = clock;{configured(relay=stand_in.ws)}"
    )
    stand_in.pages["/"] = "<!doctype html><title>t</title><script type=module src=/own.js></script>"
    page.goto(stand_in.url())
    page.wait_for_function("window.clock")
    if allowed:
        assert synced(page)
        near(page)
    else:
        assert not synced(page, 2000)
        assert page.evaluate("[clock.now(), clock.nowISO(), clock.read()]") == [None] * 3
        assert "'wasm-unsafe-eval'" in status(page)["lastError"]
        assert "ws" not in stand_in.asked


def test_two_tabs_have_a_clock_each_and_one_page_has_one(page: Page, stand_in: StandIn) -> None:
    opened(page, stand_in, relay=stand_in.ws)
    other = watched(page.context.new_page())
    opened(other, stand_in, relay=stand_in.ws)
    assert synced(page)
    assert synced(other)
    near(page)
    near(other)
    # However it is imported.
    assert page.evaluate(f"import('{CLOCK}?again').then((module) => module.default === clock)")


def test_a_worker_has_a_clock(page: Page, stand_in: StandIn) -> None:
    stand_in.pages["/worker.js"] = (
        f"import clock from '{CLOCK}'; {configured(relay=stand_in.ws)}"
        "clock.waitSynced({ timeout: 60000 }).then(() => postMessage("
        "{ ...clock.read(), wall: performance.timeOrigin + performance.now() }));"
    )
    opened(page, stand_in, relay=stand_in.ws)
    reported = page.evaluate(
        """new Promise((resolve, reject) => {
            const worker = new Worker('/worker.js', { type: 'module' });
            worker.onmessage = ({ data }) => resolve(data);
            worker.onerror = ({ message }) => reject(new Error(message));
        })"""
    )
    # A worker's origin is another; both are of the wall clock when the browser started.
    assert abs(reported["timeMs"] - reported["wall"]) <= reported["maxErrorMs"] + 5


def test_a_page_from_the_back_forward_cache_goes_on_reading(page: Page, stand_in: StandIn) -> None:
    stand_in.pages["/elsewhere"] = "<!doctype html><title>elsewhere</title>"
    # A page that is not to be stored is not kept either.
    stand_in.headers["cache-control"] = "max-age=60"
    opened(
        page,
        stand_in,
        "addEventListener('pageshow', (e) => (window.kept = e.persisted));",
        relay=stand_in.ws,
    )
    assert synced(page)
    # Its socket is open: the clock closes it on leaving.
    before = near(page)
    page.goto(stand_in.url("/elsewhere"))
    # What comes back so is not loaded: there is no such event to wait for.
    page.go_back(wait_until="commit")
    page.wait_for_function("window.clock")
    assert page.evaluate("window.kept") is True
    after = near(page)
    assert after["timeMs"] > before["timeMs"]
    assert after["epoch"] == before["epoch"]
    # And it asks again, by a socket of its own.
    assert regained(page)


def test_a_frozen_page_reads_true_when_it_thaws(page: Page, stand_in: StandIn) -> None:
    opened(page, stand_in, relay=stand_in.ws)
    assert synced(page)
    asked = len(stand_in.asked)
    devtools = page.context.new_cdp_session(page)
    devtools.send("Page.setWebLifecycleState", {"state": "frozen"})
    page.wait_for_timeout(1500)
    devtools.send("Page.setWebLifecycleState", {"state": "active"})
    true(page.evaluate("probes(clock, 5, 10)"))
    assert regained(page)
    near(page)
    assert len(stand_in.asked) > asked


def test_a_page_that_is_not_shown_reads_true_and_comes_back(page: Page, stand_in: StandIn) -> None:
    opened(page, stand_in, relay=stand_in.ws)
    assert synced(page)
    other = page.context.new_page()
    other.bring_to_front()
    near(page)
    page.bring_to_front()
    near(page)


def test_a_server_restarted_under_it_is_found_again(page: Page, stand_in: StandIn) -> None:
    opened(page, stand_in, relay=stand_in.ws)
    settled(page)
    stand_in.close()
    # Readings go on meanwhile.
    assert page.evaluate("clock.sync()") is False
    near(page)
    assert "WebSocket closed" in status(page)["lastError"]
    stand_in.open()
    assert regained(page)
    near(page)
    assert status(page)["lastError"] is None


def test_a_relay_without_time_gives_none_until_it_has_it(page: Page, stand_in: StandIn) -> None:
    honest = stand_in.answer
    stand_in.answer = lambda request_id, _: unsynchronised(request_id)
    opened(page, stand_in, relay=stand_in.ws)
    assert page.evaluate("clock.sync()") is False
    assert page.evaluate("clock.now()") is None
    reported = status(page)
    assert "not synchronised" in reported["lastError"]
    assert list(reported["rejections"]) == ["unsynchronised"]
    stand_in.answer = honest
    assert regained(page)
    near(page)


def test_another_source_begins_a_new_epoch(page: Page, stand_in: StandIn) -> None:
    opened(page, stand_in, relay=stand_in.ws)
    assert synced(page)
    before = near(page)
    # In one go: the other source may answer before the page is asked again.
    change = configured(relay=stand_in.http)
    assert page.evaluate(f"() => {{ {change} return clock.now(); }}") is None
    assert synced(page)
    assert near(page)["epoch"] > before["epoch"]


def test_importing_it_leaves_the_console_empty(page: Page, stand_in: StandIn) -> None:
    stand_in.pages["/"] = page_of(configured(relay=stand_in.ws))
    page.goto(stand_in.url())
    page.wait_for_function("window.clock")
    assert synced(page)
    assert vars(page)["complaints"] == []
