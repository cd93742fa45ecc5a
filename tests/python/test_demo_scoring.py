"""What the demo counts as decidable, certain and wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from support import ROOT

from portacode.order import Order

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import demo_scoring

MS = 1_000_000
SERVER, CLIENT, ONE, TWO = "5" * 16, "c" * 16, "device:1/" + "d" * 16, "device:2/" + "d" * 16


@pytest.fixture(autouse=True)
def _tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    # Imported by each test: the tools are no package.
    globals()["demo_scoring"] = __import__("demo_scoring")


class Said(NamedTuple):
    order: Order


class Within:
    """Says what is certain where counters agree to within some time; or the contrary."""

    def __init__(self, unsure_ms: float, lies: bool = False) -> None:
        self.unsure_ms = unsure_ms
        self.lies = lies
        self.links: list[int] = []

    def __call__(
        self, moments: Sequence[demo_scoring.Event], links: Iterable[Mapping[str, Any]]
    ) -> Within:
        self.moments = moments
        self.links.append(len(list(links)))
        return self

    def between(self, i: int, j: int, *, evidence: str) -> Said:
        assert evidence == "exchanges", "messages of the requests are no evidence here"
        apart_ns = self.moments[j].counter_ns - self.moments[i].counter_ns
        if abs(apart_ns) <= self.unsure_ms * MS:
            return Said(Order.CANNOT_TELL)
        before = (apart_ns > 0) is not self.lies
        return Said(Order.CERTAINLY_BEFORE if before else Order.CERTAINLY_AFTER)


def link(a: str, b: str, round_trip_ms: float | None) -> dict[str, Any]:
    trip_ns = None if round_trip_ms is None else round_trip_ms * MS
    return {"a": a, "b": b, "round_trip_ns": trip_ns}


def request(*stamps: tuple[str, float], batch: int = 0, **trips: float) -> demo_scoring.Request:
    links = [
        link(SERVER, {"client": CLIENT, "one": ONE, "two": TWO}[peer], ms)
        for peer, ms in trips.items()
    ]
    events = tuple(demo_scoring.Event(machine, round(ms * MS)) for machine, ms in stamps)
    return demo_scoring.Request(events, tuple(links), batch)


def test_pairs_of_one_request_and_of_one_machine_do_not_count() -> None:
    there_and_back = [(CLIENT, 0.0), (SERVER, 5.0), (ONE, 6.0), (SERVER, 7.0), (CLIENT, 12.0)]
    everything, parallel = demo_scoring.judge([request(*there_and_back)], Within(0))
    assert everything.pairs == parallel.pairs == 0
    # Two each of client and server, one of the device: 25 pairs, of which 4, 4 and 1 are of one.
    both = [request(*there_and_back), request(*there_and_back)]
    everything, parallel = demo_scoring.judge(both, Within(0))
    assert everything.pairs == parallel.pairs == 16
    apart = [request(*there_and_back), request(*there_and_back, batch=1)]
    everything, parallel = demo_scoring.judge(apart, Within(0))
    assert (everything.pairs, parallel.pairs) == (16, 0)


def test_what_is_further_apart_than_the_round_trip_is_decidable() -> None:
    for apart_ms, decidable in [(9.9, 0), (10.1, 1), (-9.9, 0), (-10.1, 1)]:
        requests = [request((SERVER, 100.0), client=10.0), request((CLIENT, 100.0 + apart_ms))]
        tally, _ = demo_scoring.judge(requests, Within(5))
        assert (tally.pairs, tally.decidable) == (1, decidable), apart_ms
        assert (tally.certain, tally.decidable_certain) == (1, decidable)
        tally, _ = demo_scoring.judge(requests, Within(20))
        assert (tally.certain, tally.decidable_certain, tally.wrong) == (0, 0, 0)


def test_between_two_devices_the_round_trips_over_the_server_add_up() -> None:
    trips = demo_scoring.RoundTrips(
        [link(SERVER, ONE, 2.5), link(ONE, SERVER, 2.0), link(SERVER, TWO, 30.0)]
    )
    assert trips.between(ONE, SERVER) == trips.between(SERVER, ONE) == 2 * MS, "the least"
    assert trips.between(ONE, TWO) == 32 * MS
    assert trips.between(ONE, ONE) == 0
    assert trips.between(ONE, CLIENT) is None
    for apart_ms, decidable in [(31, 0), (33, 1)]:
        requests = [request((ONE, 0), one=2, two=30), request((TWO, apart_ms))]
        tally, _ = demo_scoring.judge(requests, Within(0))
        assert tally.decidable == decidable


def test_a_link_without_exchanges_makes_nothing_decidable() -> None:
    requests = [request((SERVER, 0)), request((CLIENT, 1000))]
    requests[0] = requests[0]._replace(links=(link(SERVER, CLIENT, None),))
    tally, _ = demo_scoring.judge(requests, Within(0))
    assert tally.to_json() == {
        "pairs": 1,
        "certain": 1,
        "decidable": 0,
        "decidable_certain": 0,
        "wrong": 0,
    }


def test_a_certain_verdict_that_the_counter_contradicts_is_wrong() -> None:
    requests = [request((SERVER, 0), client=1), request((CLIENT, 50)), request((CLIENT, -50))]
    tally, _ = demo_scoring.judge(requests, Within(1, lies=True))
    assert (tally.pairs, tally.certain, tally.wrong) == (2, 2, 2)
    tally, _ = demo_scoring.judge(requests, Within(1))
    assert (tally.certain, tally.wrong) == (2, 0)


def test_both_requests_give_their_links() -> None:
    judge = Within(0)
    demo_scoring.judge([request((SERVER, 0), client=1), request((ONE, 0), one=1, two=1)], judge)
    assert judge.links == [3]


def test_of_very_many_requests_the_nearest_are_compared() -> None:
    requests = [request((SERVER, n), (CLIENT, n + 0.5)) for n in range(3000)]
    judge = Within(0)
    tally, _ = demo_scoring.judge(requests, judge)
    assert len(judge.links) == 2_000
    assert tally.pairs == 4_000


def test_counters_that_run_backwards_along_a_request_are_not_one() -> None:
    assert demo_scoring.is_one_counter([request((CLIENT, 0), (SERVER, 5)), request((ONE, 0))])
    assert not demo_scoring.is_one_counter([request((CLIENT, 0)), request((CLIENT, 5), (ONE, 4))])
