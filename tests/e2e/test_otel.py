"""OpenTelemetry's own SDK in a page whose clock is wrong, and which is asleep for an hour."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import standin
from pages import PATIENCE_MS, page_of, regained, synced

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route
    from standin import StandIn

JS = Path(__file__).resolve().parents[2] / "js"
ESBUILD = JS / "node_modules/esbuild/bin/esbuild"
HOUR_MS = 3_600_000

#: In a sleep the wall clock goes on and performance.now() does not.
MACHINE = """
const wall = Date.now.bind(Date), origin = performance.timeOrigin, wrong = -2000;
window.slept = 0;
Date.now = () => wall() + slept + wrong;
Object.defineProperty(performance, 'timeOrigin', { value: origin + wrong });
window.trueMs = () => origin + performance.now() + slept;
"""


def bundle() -> str:
    if not ESBUILD.exists():
        pytest.skip("needs js/node_modules: npm ci --prefix js")
    command = [str(ESBUILD), str(JS / "programs/otel-page.mjs"), "--bundle", "--format=esm"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def spans_of(page: Page) -> list[dict[str, Any]]:
    """All spans that the page's exporter sends, as they come."""
    got: list[dict[str, Any]] = []

    def take(route: Route) -> None:
        for resource in json.loads(route.request.post_data or "{}")["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                got.extend(scope["spans"])
        route.fulfill(status=200, content_type="application/json", body="{}")

    page.route("**/v1/traces", take)
    return got


def arrive(page: Page, got: list[dict[str, Any]], count: int) -> None:
    """Waits for N spans; we hear of what happens on the page only while we wait on it."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while len(got) < count:
        assert time.monotonic() < deadline, got
        page.wait_for_timeout(50)
    # None comes twice.
    page.wait_for_timeout(200)


def missed(span: dict[str, Any], truths: dict[str, Any]) -> tuple[float, float | None]:
    """By how much a span's times are outside of when it happened, and its stated error, in ms."""
    attributes = {each["key"]: each["value"] for each in span["attributes"]}
    stated = attributes.get("ntp_clock.max_error_ns")
    truth = truths[span["name"]]
    worst = 0.0
    for name, (least, most) in (
        ("startTimeUnixNano", truth["start"]),
        ("endTimeUnixNano", truth["end"]),
    ):
        time_ms = int(span[name]) / 1e6
        worst = max(worst, least - time_ms, time_ms - most)
    return worst, float(stated["intValue"]) / 1e6 if stated else None


def browser_block() -> str:
    """The document's, as it is written."""
    document = (JS.parent / "docs/OPENTELEMETRY.md").read_text("utf-8")
    found = re.search(r"^## Browser\n\n```js\n(.+?)^```", document, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def test_the_documents_block_puts_the_spans_of_a_page_into_true_time(
    page: Page, stand_in: StandIn, cloudflare: StandIn
) -> None:
    asked = len(cloudflare.asked)
    block = browser_block()
    assert block.count("\n") <= 5
    scripts = "/static/js/utils/"
    imports = {
        "@portacode/ntp-clock": f"{scripts}ntp-clock.js",
        "@portacode/ntp-clock/otel": f"{scripts}otel.js",
    }
    page.add_init_script(MACHINE)
    got = spans_of(page)
    head = f"<script type=importmap>{json.dumps({'imports': imports})}</script>"
    stand_in.pages["/"] = page_of(
        f"window.ready = true;</script><script type=module>{block}</script>"
        f"<script type=module>{bundle()};window.made = true;",
        head=head,
    )
    page.goto(stand_in.url())
    page.wait_for_function("window.ready && window.made")
    page.evaluate("begin('before synchronisation')()")
    assert synced(page)
    page.evaluate("begin('later')()")
    page.evaluate("flush()")
    arrive(page, got, 2)
    assert len(cloudflare.asked) > asked
    truths = page.evaluate("truths")
    assert sorted(span["name"] for span in got) == ["before synchronisation", "later"]
    for span in got:
        worst, stated = missed(span, truths)
        assert stated is not None
        assert worst <= stated, span["name"]


@pytest.mark.parametrize("installed", [True, False])
def test_spans_of_a_page_that_was_asleep_are_within_their_error_of_the_truth(
    page: Page, stand_in: StandIn, installed: bool
) -> None:
    slept = 0.0

    def answer(request_id: object, received_ms: float) -> dict[str, Any]:
        reply: dict[str, Any] = standin.honest(request_id, received_ms + slept)
        reply["server_send_time"] += slept
        reply["server_time"] += slept
        return reply

    stand_in.answer = answer
    page.add_init_script(MACHINE)
    got = spans_of(page)
    install = (
        "const { install } = await import('/static/js/utils/otel.js'); install();"
        if installed
        else ""
    )
    relay = json.dumps({"relay": stand_in.http})
    stand_in.pages["/"] = page_of(
        f"{install}{bundle()};begin('before synchronisation')();"
        f"window.across = begin('across');clock.configure({relay});window.ready = true;"
    )
    page.goto(stand_in.url())
    page.wait_for_function("window.ready")
    assert synced(page)
    page.evaluate("begin('before the sleep')()")
    page.wait_for_timeout(1200)
    slept = HOUR_MS
    page.evaluate(f"slept = {HOUR_MS}")
    page.evaluate("begin('after the sleep')(); across()")
    assert regained(page)
    page.evaluate("begin('long after')()")
    page.evaluate("flush()")
    truths = page.evaluate("truths")
    arrive(page, got, len(truths))
    assert sorted(span["name"] for span in got) == sorted(truths)
    errors = {span["name"]: missed(span, truths) for span in got}
    # What Chromium's own clocks differ by.
    own_ms = 2.0
    if installed:
        for name, (worst, stated) in errors.items():
            assert stated is not None, name
            assert worst <= stated + own_ms, (name, worst, stated)
        for name in ("before synchronisation", "before the sleep", "long after"):
            assert (errors[name][1] or 0) < 1000, (name, errors)
    else:
        # The sleep is missing in the span that was open, and all are wrong by what the clock is.
        assert errors["across"][0] > HOUR_MS - 10_000
        assert min(worst for worst, _ in errors.values()) > 1000
