"""Pages that tests open, and what is expected of readings."""

from __future__ import annotations

import json
import statistics
from typing import TYPE_CHECKING, Any

from standin import CLOCK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Page
    from standin import StandIn

#: Of what a page is to show: a busy machine may be slow to it.
PATIENCE_MS = 60_000
#: Date.now() in Chromium is right to so much at its turn, and so is what is read then.
COARSE_MS = 0.2


def page_of(script: str = "", *, module: str = CLOCK, head: str = "") -> str:
    """A page whose module gives `clock` and `NTPClock` to the window, then runs the script."""
    return (
        f"<!doctype html><meta charset=utf-8><link rel=icon href='data:,'>{head}<title>t</title>"
        f"<script type=module>import clock, {{ NTPClock }} from '{module}';"
        f"Object.assign(window, {{ clock, NTPClock }});{script}</script>"
    )


def configured(**options: str) -> str:
    """The script that chooses the way, in time."""
    return f"clock.configure({json.dumps(options)});"


def opened(page: Page, stand_in: StandIn, script: str = "", **options: str) -> None:
    """Opens a page of the stand-in's with the clock configured so."""
    stand_in.pages["/"] = page_of((configured(**options) if options else "") + script)
    page.goto(stand_in.url())
    page.wait_for_function("window.clock")


def synced(page: Page, within_ms: int = PATIENCE_MS) -> bool:
    return bool(page.evaluate(f"clock.waitSynced({{ timeout: {within_ms} }})"))


def regained(page: Page) -> bool:
    """Whether a round is answered, of some: on a busy machine one may get no reply."""
    script = "for (let i = 0; i < 10; i++) if (await clock.sync()) return true; return false;"
    return bool(page.evaluate(f"(async () => {{ {script} }})()"))


def settled(page: Page) -> None:
    """To the end of a round with a believed reply, of which `sync()` does not wait for the last."""
    assert regained(page), status(page)
    # While a round is under way the next one is due no later than its replies.
    over = (
        "const s = clock.getStatus(); return Date.parse(s.nextSync) > Date.parse(s.lastSync) + 1000"
    )
    page.wait_for_function(f"() => {{ {over}; }}")


def sharp(page: Page, within_ms: float) -> None:
    """Until a fresh clock has a narrow bound.

    On a busy machine the first replies may be late; what is wrong then is slewed, which takes its
    time, and is in the bound meanwhile.
    """
    for _ in range(12):
        settled(page)
        reading = page.evaluate("clock.read()")
        if reading and reading["maxErrorMs"] < within_ms:
            return
        page.reload()
        page.wait_for_function("window.clock")
    raise AssertionError(f"no clock has a bound under {within_ms} ms: {status(page)}")


def status(page: Page) -> dict[str, Any]:
    return dict(page.evaluate("clock.getStatus()"))


def true(readings: Sequence[dict[str, Any]]) -> None:
    """Each is within its own bound of the truth."""
    assert readings
    for reading in readings:
        assert abs(reading["error"]) <= reading["maxErrorMs"] + COARSE_MS, reading


def near(page: Page) -> dict[str, Any]:
    """A reading now, that is within its bound."""
    reading: dict[str, Any] | None = page.evaluate("probe(clock)")
    assert reading is not None, status(page)
    true([reading])
    return reading


def median_error(readings: Sequence[dict[str, Any]]) -> float:
    return float(statistics.median(abs(reading["error"]) for reading in readings))
