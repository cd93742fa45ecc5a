"""A real Django: the module from its static files, the time from its relays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pages import median_error, near, regained, settled, sharp, status, synced, true

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page
    from site_server import Site

    Sites = Callable[..., Site]


def opened(page: Page, site: Site, query: str = "") -> None:
    page.goto(site.url(f"/{query}"))
    page.wait_for_function("window.clock")


@pytest.mark.parametrize("storage", ["plain", "manifest", "whitenoise"])
def test_after_collectstatic_the_plain_name_imports_whatever_the_storage(
    page: Page, site: Sites, storage: str
) -> None:
    served = site(storage)
    opened(page, served)
    assert synced(page)
    near(page)
    plain = "/static/js/utils/ntp-clock.js"
    assert (page.evaluate("url") == plain) == (storage == "plain")
    # The plain file is gone where only hashed ones are kept: the import map stood in.
    there = (served.static_root / "js/utils/ntp-clock.js").exists()
    assert there == (storage != "whitenoise")
    assert vars(page)["complaints"] == []


def test_under_runserver_it_works_without_collectstatic(page: Page, site: Sites) -> None:
    opened(page, site(server="runserver"))
    assert synced(page)
    near(page)
    assert vars(page)["complaints"] == []


@pytest.mark.parametrize(("path", "via"), [("/ws/clock/", "ws-relay"), ("/clock/", "http-relay")])
def test_its_relays_give_the_time_with_their_own_error(
    page: Page, site: Sites, time_server: str, path: str, via: str
) -> None:
    served = site()
    relay = served.url(path, scheme="ws" if via == "ws-relay" else "http")
    opened(page, served, f"?relay={relay}")
    # Django's view alone takes a millisecond or two.
    sharp(page, within_ms=4 if via == "ws-relay" else 15)
    readings = page.evaluate("probes(clock, 30, 20)")
    true(readings)
    print(f"median over Django's {path}: {median_error(readings):.3f} ms")
    reported = status(page)
    assert (reported["via"], reported["server"]) == (via, time_server)
    if via == "ws-relay":
        assert median_error(readings) < 1


def test_a_relay_that_is_not_synchronised_gives_no_time_and_the_status_says_so(
    page: Page, site: Sites
) -> None:
    served = site(ntp_server="127.0.0.1:1")
    for relay in (served.url("/ws/clock/", scheme="ws"), served.url("/clock/")):
        opened(page, served, f"?relay={relay}")
        assert page.evaluate("clock.sync()") is False
        assert page.evaluate("clock.now()") is None
        assert "not synchronised" in status(page)["lastError"]


def test_a_server_restarted_under_it_is_found_again(page: Page, site: Sites) -> None:
    served = site()
    opened(page, served, f"?relay={served.url('/ws/clock/', scheme='ws')}")
    settled(page)
    served.stop()
    try:
        # The socket is gone, and so is the round: readings go on meanwhile.
        assert page.evaluate("clock.sync()") is False
        near(page)
        assert "WebSocket closed" in status(page)["lastError"]
    finally:
        served.start()
    assert regained(page)
    near(page)
    assert status(page)["lastError"] is None


def test_the_test_page_is_served(page: Page, site: Sites) -> None:
    served = site()
    relay = served.url("/ws/clock/", scheme="ws")
    page.goto(served.url(f"/static/js/test-ntp-clock.html?relay={relay}"))
    page.get_by_text("Synchronised", exact=True).wait_for()
    assert vars(page)["complaints"] == []
