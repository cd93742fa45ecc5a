"""Order between clocks: links, and relations of moments."""

from __future__ import annotations

import json
from typing import Any

import pytest

from portacode.order import Links, Moment, Order, Relations

MS = 1_000_000


def exchange(links: Links, at_ns: int, ahead_ns: int, a: str = "a", b: str = "b") -> str:
    """`b` is so much ahead of `a`, and each way takes 0.1 ms."""
    return links.exchange(
        a,
        b,
        sent_a_ns=at_ns,
        received_b_ns=at_ns + MS // 10 + ahead_ns,
        sent_b_ns=at_ns + MS // 10 + ahead_ns,
        received_a_ns=at_ns + MS // 5,
    )


def test_moments_of_two_counters_are_ordered_by_an_exchange() -> None:
    links = Links()
    assert exchange(links, 5 * MS, 70 * MS) == "kept"
    relation = links.difference(("a", 6 * MS), ("b", 77 * MS))
    assert relation.order is Order.CERTAINLY_BEFORE
    assert relation.by == "clock"
    assert relation.rests_on == ("link a-b",)
    assert relation.lower_ms is not None
    assert relation.upper_ms is not None
    assert relation.est_ms is not None
    assert 0.85 < relation.lower_ms < relation.est_ms < relation.upper_ms < 1.15
    assert relation.est_ms == pytest.approx(1.0, abs=0.01)
    assert links.difference(("b", 77 * MS), ("a", 6 * MS)).order is Order.CERTAINLY_AFTER
    assert links.difference(("a", 6 * MS), ("b", 76 * MS)).order is Order.CANNOT_TELL
    assert links.difference(("a", 6 * MS), ("c", 0)).order is Order.CANNOT_TELL


def test_a_message_is_half_of_an_exchange() -> None:
    links = Links()
    links.message("shop", "mail", 1_000, 5_000)
    relation = links.difference(("shop", 1_000), ("mail", 5_001))
    assert relation.order is Order.CERTAINLY_BEFORE
    assert relation.upper_ms is relation.est_ms is None
    assert links.difference(("shop", 2_000), ("mail", 5_000)).order is Order.CANNOT_TELL


def test_a_snapshot_crosses_as_json_and_says_the_same_to_relations() -> None:
    links = Links()
    exchange(links, 5 * MS, 70 * MS)
    links.message("a", "b", 8 * MS, 78 * MS + 20_000)
    link = links.snapshot("b", "a", 80 * MS)
    assert link is not None
    assert link == json.loads(json.dumps(link, allow_nan=False))
    assert link["a"] == "b"
    assert int(link["a_ns"]) == pytest.approx(80 * MS, abs=MS)
    assert link["round_trip_ns"] == 200_000
    moments = [Moment("a", 9 * MS), Moment("b", 80 * MS)]
    relations = Relations(moments, [link])
    found = relations.between(0, 1)
    direct = links.difference(("a", 9 * MS), ("b", 80 * MS))
    assert found.order is direct.order is Order.CERTAINLY_BEFORE
    assert found.lower_ms == pytest.approx(direct.lower_ms, abs=3e-3)
    assert found.upper_ms == pytest.approx(direct.upper_ms, abs=3e-3)
    by_exchanges = relations.between(0, 1, evidence="exchanges")
    assert by_exchanges.lower_ms is not None
    assert found.lower_ms is not None
    assert by_exchanges.lower_ms < found.lower_ms - 0.05


def test_links_without_evidence_are_none() -> None:
    links = Links()
    assert links.snapshot("a", "b", 5) is None
    assert links.pairs() == []


def test_pairs_say_how_each_link_stands() -> None:
    links = Links()
    exchange(links, 5 * MS, 70 * MS, "hub", "b")
    exchange(links, 9 * MS, 3 * MS, "a", "hub")
    first, second = links.pairs(("hub", 80 * MS))
    assert (first["a"], first["b"]) == ("hub", "a")
    assert (second["a"], second["b"]) == ("hub", "b")
    for pair, age_ms in ((first, 80 - 12.2), (second, 80 - 5.2)):
        assert (pair["exchanges"], pair["messages"], pair["restarts"]) == (1, 0, 0)
        assert pair["age_ns"] / MS == pytest.approx(age_ms, abs=0.2)
        assert pair["lower_ns"] < pair["est_ns"] < pair["upper_ns"]
    assert [pair["age_ns"] for pair in links.pairs()] == [None, None]
    assert len(links) == 2
    assert links.state(first["a"], first["b"], 80 * MS) == first
    turned = links.state(first["b"], first["a"], int(first["b_ns"]))
    assert turned is not None
    assert turned["exchanges"] == first["exchanges"]
    assert abs(turned["age_ns"] - first["age_ns"]) <= 80_000, "of counters that may differ by 1 ‰"
    assert links.state("hub", "nobody", 80 * MS) is None


def test_a_full_table_forgets_the_link_that_was_fed_longest_ago() -> None:
    links = Links(most=2)
    for peer in ("x", "y", "x", "z"):
        links.message("a", peer, 1, 2)
    assert [pair["b"] for pair in links.pairs()] == ["z", "x"]
    with pytest.raises(ValueError, match="most must be 1 or more"):
        Links(most=0)


def test_a_contradiction_restarts_a_link() -> None:
    links = Links()
    exchange(links, 5 * MS, 70 * MS)
    assert exchange(links, 6 * MS, 90 * MS) == "restarted"
    assert links.pairs()[0]["restarts"] == 1


def test_causes_order_what_no_clock_can() -> None:
    moments = [Moment("a", 700), Moment("b", 100), Moment("b", 150)]
    names = ["client_send", "server_receive", "server_send"]
    relations = Relations(moments, causes=[(0, 1)], names=names)
    relation = relations.between(0, 2)
    assert (relation.order, relation.by) == (Order.CERTAINLY_BEFORE, "cause")
    assert relation.rests_on == ("message client_send -> server_receive",)
    assert relations.between(0, 2, evidence="exchanges").order is Order.CANNOT_TELL
    assert relations.between(1, 2).rests_on == ("own counter",)


def test_a_coarse_counter_that_stood_still_is_no_excuse_for_a_wrong_order() -> None:
    moments = [Moment("a~500", 100), Moment("a~500", 100), Moment("a~500", 100)]
    relations = Relations(moments, causes=[(0, 1), (1, 2)])
    relation = relations.between(0, 2)
    assert (relation.order, relation.by) == (Order.CERTAINLY_BEFORE, "cause")
    assert relation.rests_on == ("message 0 -> 1", "message 1 -> 2")
    assert relations.between(2, 0).order is Order.CERTAINLY_AFTER
    assert Relations(moments).between(0, 2).order is Order.CANNOT_TELL


def test_synchronised_time_alone_orders_what_is_further_apart_than_its_errors() -> None:
    moments = [
        Moment("a", 5, 1_759_639_032_000_000_000, 4 * MS),
        Moment("b", 9, 1_759_639_032_010_000_000, 5 * MS),
        Moment("c", 9, 1_759_639_032_009_000_000, None),
    ]
    relations = Relations(moments)
    relation = relations.between(0, 1)
    assert (relation.order, relation.by) == (Order.CERTAINLY_BEFORE, "clock")
    assert relation.rests_on == ("synchronised time",)
    assert relation.lower_ms == pytest.approx(1.0, abs=0.1)
    assert relation.upper_ms == 19.0
    assert relations.between(0, 2).lower_ms is None


def test_evidence_that_contradicts_itself_is_void_and_shown() -> None:
    links = Links()
    exchange(links, 5 * MS, 70 * MS)
    link = links.snapshot("a", "b", 6 * MS)
    assert link is not None
    # The link says that it was received 30 ms before it was sent.
    moments = [Moment("a", 50 * MS), Moment("b", 90 * MS), Moment("a", 60 * MS)]
    relations = Relations(moments, [link], [(0, 1)], names=["sent", "received", "later"])
    assert relations.contradictions == [("link a-b", "message sent -> received")]
    assert relations.between(0, 1).order is Order.CANNOT_TELL
    assert relations.between(0, 2).order is Order.CERTAINLY_BEFORE
    # Clocks alone do not know of the message, and say what they think of it.
    assert Relations(moments, [link]).between(0, 1).order is Order.CERTAINLY_AFTER


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"a": ""}, "links[0].a is not text of 1 to 256 characters"),
        ({"b": 5}, "links[0].b is not text"),
        ({"a_ns": 5}, "links[0].a_ns is not text of a whole number"),
        ({"a_ns": "-5"}, "links[0].a_ns is not text of a whole number"),
        (
            {"b_ns": "9999999999999999999"},
            "links[0].b_ns is not a whole number of nanoseconds from 0",
        ),
        ({"lower_ns": "5"}, "links[0].lower_ns is not a number"),
        ({"lower_ns": True}, "links[0].lower_ns is not a number"),
        ({"upper_ns": float("nan")}, "links[0].upper_ns is out of range"),
        ({"upper_ns": 10**400}, "links[0].upper_ns is out of range"),
        ({"upper_ns": -1e9}, "link 0 has numbers that no link has"),
        ({"rate_ppb": [5.0]}, "links[0].rate_ppb is not two numbers"),
        ({"rate_ppb": None}, "links[0].rate_ppb is not two numbers"),
        ({"rate_ppb": [1e9, 2e9]}, "link 0 has numbers that no link has"),
        ({"exchanges_ns": 5}, "links[0].exchanges_ns is not two numbers"),
        ({"b": "a"}, "link 0 is between clock 0 and itself"),
    ],
)
def test_what_is_no_link_is_refused(change: dict[str, Any], says: str) -> None:
    links = Links()
    exchange(links, 5 * MS, 70 * MS)
    link = links.snapshot("a", "b", 6 * MS)
    assert link is not None
    with pytest.raises(ValueError, match="^" + says.replace("[", r"\[").replace("]", r"\]")):
        Relations([], [{**link, **change}])


def test_what_is_no_moment_and_no_cause_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^moments\[0\].counter_ns is not a whole number"):
        Relations([Moment("a", -1)])
    with pytest.raises(ValueError, match=r"^moments\[0\].max_error_ns is not a whole number"):
        Relations([Moment("a", 1, 1, -1)])
    with pytest.raises(ValueError, match=r"^cause 0 is of moments 0 and 1, and there are 1"):
        Relations([Moment("a", 1)], causes=[(0, 1)])
    with pytest.raises(ValueError, match=r"^cause 0 is of stamps 0 and 0"):
        Relations([Moment("a", 1)], causes=[(0, 0)])
    with pytest.raises(IndexError, match=r"^there is no moment"):
        Relations([Moment("a", 1)]).between(0, 1)
    with pytest.raises(IndexError, match=r"^there is no moment -1"):
        Relations([Moment("a", 1)]).between(0, -1)
    with pytest.raises(ValueError, match="evidence must be"):
        Relations([Moment("a", 1)]).between(0, 0, evidence="some")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="run backwards"):
        Links().exchange("a", "b", sent_a_ns=9, received_b_ns=1, sent_b_ns=1, received_a_ns=5)
    with pytest.raises(ValueError, match="both names are the same"):
        Links().message("a", "a", 1, 2)
