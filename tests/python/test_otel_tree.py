"""Whatever stamps are missing, the spans of three entities that work apart make one tree."""

from __future__ import annotations

import pytest

from portacode.otel._spans import SpanData, nearest_span, span_id, spans_of
from portacode.trace import CLIENT_KEYS, DEVICE_KEYS, KEYS, SERVER_KEYS, Trace
from portacode.traceparent import TraceParent

REQUEST_ID = "9f0c5a1e7b3d4c2f8a6e0d1b2c3f4a5e"
TRACE_ID = int(REQUEST_ID, 16)
FOREIGN = 0x00F067AA0BA902B7
FORWARD = KEYS[: KEYS.index("server_send") + 1]


def trace_of(keys: set[str]) -> Trace:
    """A trace with these stamps."""
    times = {key: 1759639032768.0 + number for number, key in enumerate(KEYS)}
    return Trace.from_message({key: times[key] for key in keys})


def all_spans(keys: set[str], caller: int) -> list[SpanData]:
    """What the three export, each with what it knows when it does.

    Args:
        keys: The stamps there are.
        caller: The span that the browser's own instrumentation sent, or 0.
    """
    context = TraceParent(TRACE_ID, caller, True)
    # The server sends its context before it stamps that.
    sent = nearest_span(
        trace_of(keys & {*FORWARD} - {"server_send"}), "server", REQUEST_ID, context
    )
    parent = context._replace(span_id=sent) if sent else context
    on_device = trace_of(keys & {*FORWARD, *DEVICE_KEYS})
    whole = trace_of(keys)
    spans = spans_of(on_device, "device", REQUEST_ID, parent, command=None, error=None)
    for entity in ("server", "browser"):
        spans += spans_of(whole, entity, REQUEST_ID, context, command=None, error=None)
    return spans


def subsets() -> list[set[str]]:
    return [
        {key for number, key in enumerate(KEYS) if bits >> number & 1}
        for bits in range(1 << len(KEYS))
    ]


@pytest.mark.parametrize("caller", [0, FOREIGN], ids=["first", "called"])
def test_every_subset_of_stamps_gives_one_tree_and_nothing_backwards(caller: int) -> None:
    for keys in subsets():
        spans = all_spans(keys, caller)
        ids = {span.span_id for span in spans}
        assert len(ids) == len(spans), keys
        above = [span.parent_id for span in spans if span.parent_id not in ids]
        assert set(above) <= {caller}, keys
        assert caller or len(above) <= 1, keys
        assert all(span.start_ns <= span.end_ns for span in spans), keys


def test_every_hop_with_both_stamps_has_a_span_and_no_other() -> None:
    for keys in subsets():
        hops = {
            (span.attributes["portacode.start"], span.attributes["portacode.end"])
            for span in all_spans(keys, 0)
            if span.kind == "internal"
        }
        assert hops == {pair for pair in zip(KEYS, KEYS[1:]) if {*pair} <= keys}


def test_an_entity_has_a_span_where_it_had_time_when_the_request_came() -> None:
    first = {"browser": {"client_send"}, "server": {"server_receive"}, "device": {*DEVICE_KEYS}}
    own = {"browser": CLIENT_KEYS, "server": SERVER_KEYS, "device": DEVICE_KEYS}
    for keys in subsets():
        spans = {span.span_id: span for span in all_spans(keys, 0)}
        for entity, early in first.items():
            span = spans.get(span_id(REQUEST_ID, entity))
            if keys & early:
                assert span is not None, keys
            if span is not None:
                missing = set(span.attributes.get("ntp_clock.missing", ()))
                assert missing == own[entity] - keys
