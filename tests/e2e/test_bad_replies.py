"""Replies that no honest relay gives: no reading outside its error, and each is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pages import near, opened, settled, status, synced, true
from standin import honest

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page
    from standin import StandIn

    Answer = Callable[[object, float], object]


def malformed(**changes: object) -> Answer:
    return lambda request_id, received: {**honest(request_id, received), **changes}


def nan(request_id: object, received: float) -> str:
    # No JSON, but what Python's encoder writes.
    return f'{{"request_id": "{request_id}", "server_receive_time": NaN, "at": {received}}}'


BAD: dict[str, Answer] = {
    "nothing of JSON": lambda *_: "{",
    "a megabyte": lambda *_: '"' + "x" * 1_000_000 + '"',
    "a depth of a thousand": lambda *_: "[" * 1000 + "]" * 1000,
    "NaN": nan,
    "a number": lambda *_: 7,
    "times that are text": malformed(server_receive_time="1", server_send_time="2"),
    "a time of another age": malformed(server_send_time=1e300, server_receive_time=1e300),
    "an error below zero": malformed(root_dispersion_ms=-5),
    "no error": malformed(root_dispersion_ms=None),
    "an error of a day": malformed(root_dispersion_ms=86_400_000),
    "a server that is an object": malformed(server={"a": ["b"]}),
    "another's request": malformed(request_id="0123456789abcdef"),
    "a stratum of none": malformed(stratum=17),
}


@pytest.mark.parametrize("way", ["ws", "http"])
def test_what_is_no_reply_is_rejected_and_counted(page: Page, stand_in: StandIn, way: str) -> None:
    opened(page, stand_in, relay=stand_in.ws)
    assert synced(page)
    found: dict[str, Any] = {}
    for name, answer in BAD.items():
        stand_in.answer = answer
        relay = stand_in.ws if way == "ws" else stand_in.http
        found[name] = page.evaluate(
            """async (relay) => {
                const clock = new NTPClock({ relay });
                let failed;
                const failure = new Promise((resolve) => (failed = resolve));
                clock.addEventListener('fail', ({ detail }) => failed(detail.error));
                const refused = new Promise((resolve) => {
                    const look = setInterval(() => {
                        const { rejections } = clock.getStatus();
                        if (Object.keys(rejections).length === 0) return;
                        clearInterval(look);
                        resolve(null);
                    }, 10);
                });
                await Promise.race([failure, refused]);
                const now = clock.now();
                const { rejections, lastError } = clock.getStatus();
                clock.stopAutoSync();
                return { now, rejections, lastError };
            }""",
            relay,
        )
    for name, reported in found.items():
        assert reported["now"] is None, name
        # Over HTTP a body that is too long is not even read.
        assert reported["rejections"] or "longer than" in reported["lastError"], (name, reported)


def test_a_relay_that_lies_about_its_time_later_never_moves_a_reading_out_of_its_error(
    page: Page, stand_in: StandIn
) -> None:
    opened(page, stand_in, relay=stand_in.ws)
    settled(page)
    near(page)
    # More than any bound of a busy machine's first round.
    lie = 5000.0

    def lying(request_id: object, received: float) -> object:
        reply = honest(request_id, received)
        for key in ("server_receive_time", "server_send_time", "server_time"):
            reply[key] += lie
        return reply

    stand_in.answer = lying
    page.evaluate("clock.sync()")
    reported = status(page)
    reading = page.evaluate("probe(clock)")
    # It cannot both be true: rejected, or a new epoch, which is the liar's.
    assert reported["rejections"].get("contradiction", 0) > 0 or reported["epoch"] > 1
    if reading and reading["epoch"] == 1:
        true([reading])


def test_a_relay_that_changes_its_server_is_not_believed(page: Page, stand_in: StandIn) -> None:
    opened(page, stand_in, relay=stand_in.ws)
    settled(page)
    before = status(page)
    stand_in.answer = malformed(server="time.example.org")
    assert page.evaluate("clock.sync()") is False
    after = status(page)
    assert after["server"] == "time.cloudflare.com"
    assert after["rejections"]["server"] >= 1
    assert after["believed"] >= before["believed"]
    near(page)


def test_a_relay_whose_own_epoch_changes_begins_one_here(page: Page, stand_in: StandIn) -> None:
    opened(page, stand_in, relay=stand_in.ws)
    settled(page)
    stand_in.answer = malformed(epoch=2)
    page.evaluate("clock.sync()")
    page.wait_for_function("clock.read()?.epoch > 1")
    near(page)
