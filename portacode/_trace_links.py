"""What a trace carries of the links between its counters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from portacode._trace_parts import TraceError, counter_ns, number, scoped_counter

if TYPE_CHECKING:
    from collections.abc import Mapping

    Link = dict[str, Any]

LINKS_MAX = 8


def links_of(value: object) -> list[Link]:
    """The links of a trace's message."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise TraceError("trace.links is not a list")
    if len(value) > LINKS_MAX:
        raise TraceError(f"trace has {len(value)} links, and {LINKS_MAX} are the most")
    links: list[Link] = []
    for place, link in enumerate(value):
        put_link(links, link_of(link, f"trace.links[{place}]"))
    return links


def put_link(links: list[Link], link: Link) -> None:
    """Adds one in the place of an earlier one of the same two counters."""
    between = {link["a"], link["b"]}
    links[:] = [other for other in links if {other["a"], other["b"]} != between]
    if len(links) >= LINKS_MAX:
        raise TraceError(f"a trace has {LINKS_MAX} links at the most")
    links.append(link)


def link_of(value: object, where: str) -> Link:
    """A link as docs/TRACE.md has it, of nothing but what is known; sound, or a TraceError."""
    if not isinstance(value, dict):
        raise TraceError(f"{where} is not an object")
    link: Link = {name: scoped_counter(value.get(name), where, name, None) for name in "ab"}
    if link["a"] == link["b"]:
        raise TraceError(f"{where} is between a counter and itself")
    for name in ("a_ns", "b_ns"):
        link[name] = str(counter_ns(value.get(name), where, name))
    for name in ("lower_ns", "upper_ns", "est_ns"):
        link[name] = number(value.get(name), where, name, _SPAN_NS, -_SPAN_NS)
    for name in ("est_error_ns", "round_trip_ns"):
        link[name] = number(value.get(name), where, name, _SPAN_NS)
    _check_sides(link["lower_ns"], link["upper_ns"], where)
    for pair in ((link["lower_ns"], link["est_ns"]), (link["est_ns"], link["upper_ns"])):
        if None not in pair and pair[0] > pair[1]:
            raise TraceError(f"{where}.est_ns is not between its bounds")
    if link["lower_ns"] is None and link["upper_ns"] is None:
        raise TraceError(f"{where} has neither lower_ns nor upper_ns")
    if (link["est_ns"] is None) != (link["est_error_ns"] is None):
        raise TraceError(f"{where} has one of est_ns and est_error_ns alone")
    link["rate_ppb"] = _pair(value, "rate_ppb", where, _RATE_PPB)
    if None in link["rate_ppb"]:
        raise TraceError(f"{where}.rate_ppb is not two numbers")
    link["exchanges_ns"] = _pair(value, "exchanges_ns", where, _SPAN_NS)
    return link


def _pair(value: Mapping[str, Any], name: str, where: str, most: float) -> list[float | None]:
    pair = value.get(name)
    if pair is None:
        return [None, None]
    if not isinstance(pair, list) or len(pair) != 2:
        raise TraceError(f"{where}.{name} is not two numbers")
    lower, upper = (number(side, where, name, most, -most) for side in pair)
    _check_sides(lower, upper, f"{where}.{name}")
    return [lower, upper]


def _check_sides(lower: float | None, upper: float | None, where: str) -> None:
    if lower is not None and upper is not None and lower > upper:
        raise TraceError(f"{where} has a lower bound above its upper one")


# What 63 bits hold; what is more than a quarter is no rate of a counter.
_SPAN_NS = 2.0**63
_RATE_PPB = 2.5e8
