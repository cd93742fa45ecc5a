"""The vectors that Rust and JavaScript read too."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from portacode.order import Moment, Relations

FILE = Path(__file__).parent.parent / "vectors" / "order-relations.json"
CASES = json.loads(FILE.read_text("utf-8"))["cases"]


def moment(value: dict[str, str]) -> Moment:
    time_ns, max_error_ns = value.get("time_ns"), value.get("max_error_ns")
    return Moment(
        value["counter"],
        int(value["counter_ns"]),
        None if time_ns is None else int(time_ns),
        None if max_error_ns is None else int(max_error_ns),
    )


def relations(case: dict[str, Any]) -> Relations:
    causes = [(earlier, later) for earlier, later in case["causes"]]
    moments = [moment(value) for value in case["moments"]]
    return Relations(moments, case["links"], causes, names=case.get("names", ()))


def close(found: float | None, expected: float | None) -> bool:
    """Within what is rounded on the way, nanoseconds."""
    if found is None or expected is None:
        return found is expected
    return abs(found - expected) <= 5e-6


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_relations_are_those_of_the_vectors(case: dict[str, Any]) -> None:
    if "error" in case:
        with pytest.raises(ValueError, match="^" + re.escape(case["error"])):
            relations(case)
        return
    found = relations(case)
    assert [list(reasons) for reasons in found.contradictions] == case["contradictions"]
    for expected in case["relations"]:
        relation = found.between(expected["i"], expected["j"], evidence=expected["evidence"])
        assert (relation.order.value, relation.by) == (expected["order"], expected["by"]), expected
        assert list(relation.rests_on) == expected["rests_on"], expected
        assert close(relation.lower_ms, expected["lower_ms"]), (relation, expected)
        assert close(relation.upper_ms, expected["upper_ms"]), (relation, expected)
