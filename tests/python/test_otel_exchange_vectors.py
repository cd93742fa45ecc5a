"""The vectors of the exchange beside OpenTelemetry's context obey the document's grammar."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from support import ROOT

FILE = ROOT / "tests/vectors/otel-exchange.json"
CASES = json.loads(FILE.read_text("utf-8"))["cases"]
DOCUMENT = (ROOT / "docs/OPENTELEMETRY.md").read_text("utf-8")
LARGEST_NS = 2**63 - 1
MOST_CHARACTERS = 512
MOST_MEMBERS = 32


def rule(name: str) -> re.Pattern[str]:
    """A rule of the document's grammar, with the rules that it names put in."""
    written = re.search(rf"^{name} += (.+)$", DOCUMENT, re.MULTILINE)
    assert written, f"docs/OPENTELEMETRY.md has no rule {name}"
    named = re.sub(r"<([a-z]+)>", lambda inner: f"(?:{rule(inner[1]).pattern})", written[1])
    return re.compile(named)


def pick(kind: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in CASES if kind in case]


def moments(outcome: dict[str, Any]) -> list[int]:
    return [int(value) for name, value in outcome.items() if name.endswith("_ns")]


@pytest.mark.parametrize("case", pick("member"))
def test_a_member_is_read_where_grammar_and_order_allow_it(case: dict[str, Any]) -> None:
    text, outcome = case["member"], case["outcome"]
    matched = rule("member").fullmatch(text) is not None
    if outcome is None:
        parts = text.split(".")
        assert not (matched and sound(parts))
        return
    assert matched
    assert len(text) <= 256
    exchange = outcome["exchange"]
    written = ["1", outcome["counter"], outcome["sent_ns"], *(exchange or {}).values()]
    assert ".".join(written) == text
    assert sound(written)


def sound(parts: list[str]) -> bool:
    """What the grammar cannot say."""
    sent = int(parts[2])
    if len(parts) == 3:
        return sent <= LARGEST_NS
    t1, t2, t3, t4 = map(int, parts[4:])
    in_order = t1 <= t4 <= sent and t2 <= t3
    return parts[1] != parts[3] and in_order and max(sent, t3) <= LARGEST_NS


@pytest.mark.parametrize("case", pick("header"))
def test_a_header_is_read_where_grammar_and_order_allow_it(case: dict[str, Any]) -> None:
    text, outcome = case["header"], case["outcome"]
    matched = rule("header").fullmatch(text) is not None
    if outcome is None:
        t2, t3 = map(int, text.split(".")[3:]) if matched else (1, 0)
        assert not t2 <= t3 <= LARGEST_NS
        return
    assert matched
    assert ".".join(["1", *outcome.values()]) == text
    # T1 is by another counter.
    received, answered = moments(outcome)[1:]
    assert received <= answered


@pytest.mark.parametrize("case", pick("tracestate"))
def test_the_member_is_read_where_it_stands_once(case: dict[str, Any]) -> None:
    members = [member.strip(" \t") for member in case["tracestate"].split(",")]
    ours = [member[len("ntpclock=") :] for member in members if member.startswith("ntpclock=")]
    assert case["member_of_it"] == (ours[0] if len(ours) == 1 else None)


@pytest.mark.parametrize("case", pick("becomes"))
def test_the_longest_member_is_written_that_leaves_the_others_whole(case: dict[str, Any]) -> None:
    members = case["before"].split(",") if case["before"] else []
    others = [member for member in members if not member.startswith("ntpclock=")]
    options = [["ntpclock=" + case[form], *others] for form in ("long", "short")]
    fits = [
        ",".join(option)
        for option in options
        if len(option) <= MOST_MEMBERS and len(",".join(option)) <= MOST_CHARACTERS
    ]
    assert case["becomes"] == (fits[0] if fits else ",".join(others))
