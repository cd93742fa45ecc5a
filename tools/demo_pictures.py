"""Takes README's pictures of the dashboard, docs/images/*.png, from a demo that runs.

    cargo xtask demo                                  # in another terminal; it prints the rest
    .work/venv/bin/python tools/demo_pictures.py --url URL --password PASSWORD

It wants Chromium and the environment of the tests (`cargo xtask test browser` makes it).
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import expect, sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Page

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
WIDTH = 1280
MARGIN = 12
DEVICES = ("greenhouse", "workshop")
#: Until each clock has had some rounds, and its counter been compared with the server's.
SETTLE_S = 30
REQUESTS = 24


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", required=True, help="of the demo's dashboard")
    parser.add_argument("--user", default="demo")
    parser.add_argument("--password", required=True)
    parser.add_argument("--out", type=Path, default=IMAGES, help="the folder of the pictures")
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("error: no Chromium: apt-get install chromium")
        return 2
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 900})
        page.goto(options.url)
        page.get_by_label("Name").fill(options.user)
        page.get_by_label("Password").fill(options.password)
        page.get_by_role("button", name="Log in").click()
        send_requests(page)
        show_median(page)
        for scheme, ending in (("light", ""), ("dark", "-dark")):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.wait_for_timeout(500)
            end = picture(page, "#trace", options.out / f"dashboard{ending}.png", whole=True)
            print(f"dashboard{ending}.png: {WIDTH} x {end:.0f}")
            picture(page, "section:has(> #histograms)", options.out / f"latencies{ending}.png")
        print(page.locator("#verdict").inner_text())
        print(page.locator("#sync-caption").inner_text())
        browser.close()
    return 0


def send_requests(page: Page) -> None:
    """To both devices in turn, once the clocks have settled."""
    expect(page.locator("#ask-device option")).to_have_count(len(DEVICES), timeout=30_000)
    page.wait_for_timeout(SETTLE_S * 1000)
    for number in range(REQUESTS):
        page.locator("#ask-device").select_option(label=DEVICES[number % len(DEVICES)])
        page.locator("#ask-command").select_option("echo")
        page.get_by_role("button", name="Send").click()
        expect(page.locator("#ask-result")).to_contain_text("Answered after")
        page.wait_for_timeout(400)
    page.wait_for_timeout(2000)


def show_median(page: Page) -> None:
    """The trace that took neither long nor short, of those that were asked for."""
    script = "fetch('/api/traces/?limit=%d').then((answer) => answer.json())"
    records = page.evaluate(script % REQUESTS)["traces"]
    order = sorted(range(len(records)), key=lambda place: records[place]["ping_ms"])
    page.locator(".trace-row").nth(order[len(order) // 2]).click()
    page.evaluate("scrollTo(0, 0)")
    page.evaluate("document.activeElement.blur()")


def picture(page: Page, selector: str, path: Path, *, whole: bool = False) -> float:
    """Of one section, or of the page down to its end; gives where it ends."""
    box = page.locator(selector).bounding_box()
    if box is None:
        raise SystemExit(f"error: there is no {selector} to be seen")
    top = 0 if whole else box["y"] - MARGIN
    end = box["y"] + box["height"] + MARGIN
    clip = {"x": 0.0, "y": top, "width": float(WIDTH), "height": end - top}
    page.screenshot(path=path, full_page=True, clip=clip)  # type: ignore[arg-type]
    return end


if __name__ == "__main__":
    sys.exit(main())
