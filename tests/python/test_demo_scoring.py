"""What the demo counts as decidable, certain and wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support import ROOT

from portacode.order import Moment

if TYPE_CHECKING:
    import demo_scoring

MS = 1_000_000
# All counters read the same, as the demo's do; a second is in the past for all stamps.
START_NS = 1_000 * MS
SERVER, CLIENT, ONE, TWO = "5" * 16, "c" * 16, "device:1/" + "d" * 16, "device:2/" + "d" * 16


@pytest.fixture(autouse=True)
def _tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    # Imported by each test: the tools are no package.
    globals()["demo_scoring"] = __import__("demo_scoring")


def link(
    other: str, round_trip_ms: float | None, *, unsure_ms: float = 0.0, says_ms: float = 0.0
) -> dict[str, Any]:
    """A link from the server to another whose counters differ by `says_ms`, give or take."""
    bounds = [(says_ms - unsure_ms) * MS, (says_ms + unsure_ms) * MS]
    return {
        "a": SERVER,
        "b": other,
        "a_ns": str(START_NS),
        "b_ns": str(START_NS),
        # Messages know it exactly.
        "lower_ns": says_ms * MS,
        "upper_ns": says_ms * MS,
        "est_ns": says_ms * MS,
        "est_error_ns": 0.0,
        "rate_ppb": [0.0, 0.0],
        "round_trip_ns": None if round_trip_ms is None else round_trip_ms * MS,
        "exchanges_ns": bounds,
    }


def request(
    *stamps: tuple[str, float], links: tuple[dict[str, Any], ...] = (), batch: int = 0
) -> demo_scoring.Request:
    moments = tuple(Moment(machine, START_NS + round(ms * MS)) for machine, ms in stamps)
    return demo_scoring.Request(moments, links, batch)


def judged(*requests: demo_scoring.Request) -> dict[str, int]:
    tally, _ = demo_scoring.judge(requests)
    return dict(tally.to_json())


def test_pairs_of_one_request_and_of_one_machine_do_not_count() -> None:
    there_and_back = [(CLIENT, 0.0), (SERVER, 5.0), (ONE, 6.0), (SERVER, 7.0), (CLIENT, 12.0)]
    everything, together = demo_scoring.judge([request(*there_and_back)])
    assert everything.pairs == together.pairs == 0
    # Two each of client and server, one of the device: 25 pairs, of which 4, 4 and 1 are of one.
    everything, together = demo_scoring.judge([request(*there_and_back)] * 2)
    assert everything.pairs == together.pairs == 16
    apart = [request(*there_and_back), request(*there_and_back, batch=1)]
    everything, together = demo_scoring.judge(apart)
    assert (everything.pairs, together.pairs) == (16, 0)


@pytest.mark.parametrize("apart_ms", [-10.2, -9.9, -4.0, 4.0, 9.9, 10.2])
def test_what_is_further_apart_than_the_round_trip_is_decidable(apart_ms: float) -> None:
    known = (link(CLIENT, 10.0, unsure_ms=5.0),)
    score = judged(request((SERVER, 0), links=known), request((CLIENT, apart_ms)))
    assert score["pairs"] == 1
    assert score["decidable"] == score["decidable_certain"] == (abs(apart_ms) > 10)
    assert score["certain"] == (abs(apart_ms) > 5.1)
    assert score["wrong"] == 0
    unknown = (link(CLIENT, 10.0, unsure_ms=20.0),)
    score = judged(request((SERVER, 0), links=unknown), request((CLIENT, apart_ms)))
    assert (score["certain"], score["decidable_certain"], score["wrong"]) == (0, 0, 0)
    assert score["decidable"] == (abs(apart_ms) > 10)


def test_between_two_devices_the_round_trips_over_the_server_add_up() -> None:
    links = [link(ONE, 2.5), link(ONE, 2.0), link(TWO, 30.0)]
    trips = demo_scoring.RoundTrips(links)
    assert trips.between(ONE, SERVER) == trips.between(SERVER, ONE) == 2 * MS, "the least"
    assert trips.between(ONE, TWO) == 32 * MS
    assert trips.between(ONE, ONE) == 0
    assert trips.between(ONE, CLIENT) is None
    for apart_ms, decidable in [(31, 0), (33, 1)]:
        score = judged(
            request((ONE, 0), links=(links[1],)), request((TWO, apart_ms), links=(links[2],))
        )
        assert score["decidable"] == score["decidable_certain"] == decidable
        assert score["certain"] == 1, "the links of both requests are used"


def test_a_link_without_exchanges_makes_nothing_decidable_or_certain() -> None:
    messages = {**link(CLIENT, None), "exchanges_ns": [None, None]}
    score = judged(request((SERVER, 0), links=(messages,)), request((CLIENT, 500)))
    assert score == {
        "pairs": 1,
        "certain": 0,
        "decidable": 0,
        "decidable_certain": 0,
        "wrong": 0,
    }


def test_what_messages_say_of_the_rate_is_not_used() -> None:
    known = (link(CLIENT, 1.0, unsure_ms=1.0),)
    # Ten seconds from the link's moment two oscillators may have moved by 10 ms.
    for apart_ms, certain in [(10, 0), (12, 1)]:
        score = judged(request((SERVER, 10_000), links=known), request((CLIENT, 10_000 + apart_ms)))
        assert score["certain"] == certain


def test_messages_of_requests_that_were_over_before_are_used() -> None:
    # Their messages know exactly what exchanges do not.
    known = (link(CLIENT, 10.0, unsure_ms=20.0),)
    pair = [request((SERVER, 0), links=known, batch=1), request((CLIENT, 11), batch=1)]
    assert judged(*pair)["decidable_certain"] == 0
    before, beside, after = (request(links=known, batch=batch) for batch in (0, 1, 2))
    assert judged(before, *pair)["decidable_certain"] == 1
    assert judged(beside, *pair)["decidable_certain"] == 0
    assert judged(*pair, after)["decidable_certain"] == 0


def test_a_certain_verdict_that_the_counter_contradicts_is_wrong() -> None:
    lie = (link(CLIENT, 1.0, unsure_ms=1.0, says_ms=100.0),)
    stamps = [request((SERVER, 0), links=lie), request((CLIENT, 50)), request((CLIENT, 150))]
    score = judged(*stamps)
    assert (score["pairs"], score["certain"], score["wrong"]) == (2, 2, 1)


def test_of_very_many_requests_the_nearest_are_compared() -> None:
    requests = [request((SERVER, n), (CLIENT, n + 0.5)) for n in range(3000)]
    assert judged(*requests)["pairs"] == 4_000


def test_counters_that_run_backwards_along_a_request_are_not_one() -> None:
    assert demo_scoring.is_one_counter([request((CLIENT, 0), (SERVER, 5)), request((ONE, 0))])
    assert not demo_scoring.is_one_counter([request((CLIENT, 0)), request((CLIENT, 5), (ONE, 4))])
