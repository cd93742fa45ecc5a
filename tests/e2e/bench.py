"""What a reading costs in Chromium: what js/bench/measure.mjs finds, as JSON."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from pages import opened, synced
from playwright.sync_api import sync_playwright
from standin import StandIn

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Measures in a page of its own."""
    path = shutil.which("chromium")
    if path is None:
        sys.exit("no Chromium: apt-get install chromium")
    stand_in = StandIn()
    stand_in.pages["/measure.js"] = (ROOT / "js" / "bench" / "measure.mjs").read_text()
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        page = browser.new_page()
        opened(page, stand_in, relay=stand_in.ws)
        assert synced(page)
        script = "import('/measure.js').then(({ measure }) => measure(clock))"
        print(json.dumps(page.evaluate(script)))
        browser.close()
    stand_in.close()


if __name__ == "__main__":
    main()
