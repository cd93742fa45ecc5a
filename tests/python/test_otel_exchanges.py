"""Which of two services' spans came first, by exchanges between their counters."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from ports import free_port
from support import PROGRAMS, ROOT, environment, eventually

from portacode import otel
from portacode.otel._exchanges import Asked, Exchanges, asked
from portacode.otel._member import Answer, Member, member_of, with_member
from portacode.utils.ntp_clock import ManualClock, NTPClock

pytest.importorskip("opentelemetry.sdk", reason="no SDK: pip install 'portacode[otel]'")
pytest.importorskip("httpx")
import httpx
from opentelemetry import propagate, trace
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import TextMapPropagator, default_setter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from portacode.otel._propagator import Propagator

if TYPE_CHECKING:
    from collections.abc import Iterator

CASES = json.loads((ROOT / "tests/vectors/otel-exchange.json").read_text("utf-8"))["cases"]


@pytest.fixture(autouse=True)
def _uninstalled() -> Iterator[None]:
    yield
    otel.uninstall()


def pick(kind: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in CASES if kind in case]


def members(read: Member | Answer | None) -> dict[str, Any] | None:
    if read is None:
        return None
    if isinstance(read, Answer):
        return {name: str(value) for name, value in read._asdict().items()}
    exchange: dict[str, str] | None = None
    if read.exchange is not None:
        peer, *stamps = read.exchange
        names = ("sent_ns", "received_ns", "answered_ns", "returned_ns")
        exchange = {"counter": peer, **dict(zip(names, map(str, stamps)))}
    return {"counter": read.counter, "sent_ns": str(read.sent_ns), "exchange": exchange}


@pytest.mark.parametrize("case", pick("member"))
def test_a_member_is_read_as_every_language_reads_it(case: dict[str, Any]) -> None:
    read = Member.parse(case["member"])
    assert members(read) == case["outcome"]
    assert read is None or str(read) == case["member"]


@pytest.mark.parametrize("case", pick("header"))
def test_a_header_is_read_as_every_language_reads_it(case: dict[str, Any]) -> None:
    read = Answer.parse(case["header"])
    assert members(read) == case["outcome"]
    assert read is None or str(read) == case["header"]


@pytest.mark.parametrize("case", pick("tracestate"))
def test_our_member_is_found_among_others(case: dict[str, Any]) -> None:
    assert member_of(case["tracestate"]) == case["member_of_it"]


@pytest.mark.parametrize("case", pick("before"))
def test_our_member_goes_first_and_others_stay(case: dict[str, Any]) -> None:
    assert with_member(case["before"], case["long"], case["short"]) == case["becomes"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_programs_propagator_writes_our_member_whenever_it_was_set(when: str) -> None:
    before = propagate.get_global_textmap()
    own = CompositePropagator([TraceContextTextMapPropagator()])
    try:
        if when == "before":
            propagate.set_global_textmap(own)
        otel.install(ManualClock())
        if when == "after":
            propagate.set_global_textmap(own)
        carrier: dict[str, str] = {}
        provider = TracerProvider(shutdown_on_exit=False)
        with trace.use_span(provider.get_tracer("tests").start_span("asks")):
            propagate.inject(carrier)
        assert Member.parse(member_of(carrier["tracestate"])) is not None
        otel.uninstall()
        assert propagate.get_global_textmap() is own
    finally:
        propagate.set_global_textmap(before)


def test_without_exchanges_the_programs_propagator_is_left_alone() -> None:
    before = propagate.get_global_textmap()
    try:
        otel.install(ManualClock(), exchanges=False)
        assert propagate.get_global_textmap() is before
        own = CompositePropagator([TraceContextTextMapPropagator()])
        propagate.set_global_textmap(own)
        assert propagate.get_global_textmap() is own
    finally:
        otel.uninstall()
        propagate.set_global_textmap(before)


def test_what_a_liar_says_bounds_nothing_and_is_no_error() -> None:
    clock = ManualClock()
    exchanges = Exchanges(clock)
    own = clock.counter_id
    # In no time to a peer that needed an hour.
    lie = f"1.0f3a6c5d9be2714f.400.{own}.100.0.3600000000000.300"
    member = exchanges.received(lie)
    assert member is not None
    started = ((500, own), (500, own), False)
    assert exchanges.order(member, started) == {"ntp_clock.parent_order": "unknown"}
    assert exchanges.received("1.0f3a") is None
    request = Asked("mail")
    assert not request.answered({})
    sent_ns = exchanges.member(request).sent_ns
    assert not request.answered({"ntp-clock-exchange": f"1.{own}.{sent_ns}.1.2"})
    assert not request.answered({"ntp-clock-exchange": "nonsense"})


def test_peers_and_links_are_bounded() -> None:
    exchanges = Exchanges(ManualClock())
    for number in range(1100):
        request = Asked(f"peer {number}")
        sent_ns = exchanges.member(request).sent_ns
        assert request.answered({"ntp-clock-exchange": f"1.{number:016x}.{sent_ns}.7.7"})
    assert len(exchanges._peers) == 1024


def test_a_cached_answer_of_another_request_teaches_nothing() -> None:
    clock = ManualClock()
    exchanges = Exchanges(clock)
    earlier, request = Asked("mail"), Asked("mail")
    earlier_ns = exchanges.member(earlier).sent_ns
    clock.advance(0.001)
    sent_ns = exchanges.member(request).sent_ns
    assert not request.answered({"ntp-clock-exchange": f"1.0f3a6c5d9be2714f.{earlier_ns}.7.7"})
    assert exchanges.member(None).exchange is exchanges.member(Asked("mail")).exchange is None
    answer = {"ntp-clock-exchange": f"1.0f3a6c5d9be2714f.{sent_ns}.7.7"}
    assert request.answered(answer)
    learned = exchanges.member(Asked("mail")).exchange
    assert learned is not None
    assert learned.sent_ns == sent_ns
    # It waits no longer.
    assert not request.answered(answer)


def test_each_answer_in_a_block_belongs_to_the_request_that_it_repeats() -> None:
    clock = ManualClock()
    exchanges = Exchanges(clock)
    request = Asked("mail")
    sent_ns = []
    for _ in range(3):
        sent_ns.append(exchanges.member(request).sent_ns)
        clock.advance(0.001)
    # The first one's answer comes after two others were sent.
    for this_ns in (sent_ns[0], sent_ns[2]):
        assert request.answered({"ntp-clock-exchange": f"1.0f3a6c5d9be2714f.{this_ns}.7.7"})
        learned = exchanges.member(Asked("mail")).exchange
        assert learned is not None
        assert learned.sent_ns == this_ns


def test_requests_that_wait_for_an_answer_are_bounded() -> None:
    clock = ManualClock()
    exchanges, request = Exchanges(clock), Asked("mail")
    for _ in range(1100):
        exchanges.member(request)
        clock.advance(0.000001)
    assert len(request._waiting) == 1024


@pytest.mark.parametrize("state", [None, b"rojo=1", b"ntpclock=1.5e884898da280471.1000", b"both"])
def test_a_server_answers_only_requests_that_carry_a_member(state: bytes | None) -> None:
    clock = ManualClock()
    member = b"ntpclock=1.5e884898da280471.1000"
    lines = [member, b"rojo=1"] if state == b"both" else [state] if state else []
    carries = member in lines
    answers: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001
        clock.advance(0.001)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})

    async def send(message: Any) -> None:
        answers.append(message)

    scope = {"type": "http", "headers": [(b"tracestate", line) for line in lines]}
    before = clock.stamp()
    asyncio.run(otel.ExchangeMiddleware(app, clock)(scope, None, send))
    headers = [(b"a", b"b")]
    if carries:
        said = f"1.{before.counter}.1000.{before.counter_ns}.{before.counter_ns + 1_000_000}"
        headers.append((b"ntp-clock-exchange", said.encode()))
    assert answers[0]["headers"] == headers


class ReadsTheSpan(TextMapPropagator):
    """As B3's: reads the span itself, and writes no W3C context."""

    def extract(self, carrier: Any, context: Any = None, getter: Any = None) -> Any:  # noqa: ARG002
        return context

    def inject(self, carrier: Any, context: Any = None, setter: Any = default_setter) -> None:
        parent = getattr(trace.get_current_span(context), "parent", None)
        if parent is not None:
            setter.set(carrier, "x-b3-parentspanid", f"{parent.span_id:016x}")

    @property
    def fields(self) -> set[str]:
        return {"x-b3-parentspanid"}


def test_the_programs_propagator_sees_the_span_itself() -> None:
    exchanges = Exchanges(ManualClock())
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("tests")
    both = CompositePropagator([ReadsTheSpan(), TraceContextTextMapPropagator()])
    with tracer.start_as_current_span("outer") as outer, tracer.start_as_current_span("inner"):
        alone: dict[str, str] = {}
        Propagator(ReadsTheSpan(), exchanges).inject(alone)
        carrier: dict[str, str] = {}
        Propagator(both, exchanges).inject(carrier)
    parent = f"{outer.get_span_context().span_id:016x}"
    # Where no W3C context goes, `tracestate` would say nothing.
    assert alone == {"x-b3-parentspanid": parent}
    assert carrier["x-b3-parentspanid"] == parent
    assert sorted(carrier) == ["traceparent", "tracestate", "x-b3-parentspanid"]
    assert Member.parse(member_of(carrier["tracestate"])) is not None


def test_members_of_others_go_on_behind_ours() -> None:
    exchanges = Exchanges(ManualClock())
    came = {
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "rojo=1,ntpclock=1.0f3a6c5d9be2714f.5,congo=2",
    }
    propagator = Propagator(TraceContextTextMapPropagator(), exchanges)
    carrier: dict[str, str] = {}
    propagator.inject(carrier, propagator.extract(came))
    ours, *others = carrier["tracestate"].split(",")
    assert others == ["rojo=1", "congo=2"]
    assert Member.parse(ours.removeprefix("ntpclock=")) == exchanges.member(None)


def test_a_service_says_that_its_span_is_after_what_its_client_sent(time_server: str) -> None:
    port = free_port()
    # As on another machine: its counter has another name.
    service = subprocess.Popen(
        [sys.executable, str(PROGRAMS / "otel_exchanges.py"), str(port)],
        env={**environment(time_server), "PORTACODE_MACHINE": "another"},
    )
    clock = NTPClock(time_server)
    otel.install(clock)
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("tests")
    url = f"http://127.0.0.1:{port}/"

    def ask() -> tuple[dict[str, Any], int]:
        carrier: dict[str, str] = {}
        with tracer.start_as_current_span("asks"), otel.asking("service") as request:
            propagate.inject(carrier)
            begun_ns = time.monotonic_ns()
            response = httpx.get(url, headers=carrier)
            took_ns = time.monotonic_ns() - begun_ns
            assert request.answered(response.headers)
        said = response.json()
        assert said["state"] == carrier["tracestate"]
        return said["attributes"], took_ns

    try:
        assert eventually(lambda: answers(port))
        first, _ = ask()
        assert first["ntp_clock.parent_order"] == "unknown"
        assert "ntp_clock.parent_gap_ns" not in first
        # The first request made the second's exchange, the link's bound is as wide as that took.
        gaps = [ask() for _ in range(5)]
    finally:
        service.terminate()
        service.wait(120)
    for said, took_ns in gaps:
        gap_ns, error_ns = (
            said["ntp_clock.parent_gap_ns"],
            said["ntp_clock.parent_gap_max_error_ns"],
        )
        # The span truly began between the sending and the answer.
        assert gap_ns + error_ns >= 0
        assert gap_ns - error_ns <= took_ns
        assert said["ntp_clock.parent_order"] in ("after", "unknown")
    assert asked.get() is None


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
