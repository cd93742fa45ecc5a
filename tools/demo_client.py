#!/usr/bin/env python3
"""A client without a browser: logs in, sends traced requests to devices, shows what traces say.

Exit codes: 0 every trace is complete, synchronised and in causal order within its errors, 1 not so
(the last line says what), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.cookiejar
import json
import os
import secrets
import shutil
import statistics
import sys
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

from demo_summary import Summary
from demo_waterfall import Paint, distance_from_utc, draw, raw_marks, synchronised_marks

from portacode.connection.messages import clock_summary
from portacode.exchanges import REPLY, Asking, keep_asking
from portacode.trace import Stamp, Trace
from portacode.utils.ntp_clock import ntp_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from websockets.asyncio.client import ClientConnection


_COMMANDS: list[tuple[str, Any]] = [
    ("echo", {"text": "hello"}),
    ("system_info", None),
    ("slow_task", {"seconds": 0.05, "steps": 2}),
]
_ENTITY = "client"
_PATIENCE_S = 30.0
# After each batch, as long as it takes the server to store it.
_PAUSE_S = 0.03


class Failure(Exception):  # noqa: N818
    """It could not be shown; the message says why."""


class _TooLate(Failure):
    """It has not happened in time."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs all of it and gives the exit code."""
    options = parse(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        summary = asyncio.run(converse(options))
    except Failure as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(summary.to_json(), indent=2))
    else:
        show(summary, options.colour)
    return 0 if summary.is_good else 1


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--server", required=True, metavar="URL", help="http://127.0.0.1:8000")
    parser.add_argument("--user", required=True)
    parser.add_argument(
        "--password",
        default=os.environ.get("DEMO_PASSWORD"),
        help="by default what DEMO_PASSWORD in the environment says",
    )
    parser.add_argument("--requests", type=int, default=50, metavar="N")
    parser.add_argument("--devices", type=int, default=2, metavar="N", help="to wait for")
    parser.add_argument(
        "--settle",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="wait up to this long for the clocks' second round, which narrows their errors",
    )
    parser.add_argument(
        "--skewed",
        action="store_true",
        help="system clocks are known to be wrong, and every trace has to show it",
    )
    parser.add_argument(
        "--path", metavar="KIND", help="how far all are from one another, for the figures"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument(
        "--colour",
        action=argparse.BooleanOptionalAction,
        default=sys.stdout.isatty() and "NO_COLOR" not in os.environ,
    )
    options = parser.parse_args(arguments)
    if not options.password:
        parser.error("no password: give --password or DEMO_PASSWORD")
    if options.requests < 1:
        parser.error("--requests: at least one")
    return options


async def converse(options: argparse.Namespace) -> Summary:
    """All requests, each batch after the one before."""
    from websockets.asyncio.client import connect
    from websockets.exceptions import WebSocketException

    if not await ntp_clock.wait_synced_async(_PATIENCE_S):
        status = ntp_clock.get_status()
        raise Failure(f"no time from {status['server']}: {status['last_error'] or 'no reply yet'}")
    if options.settle:
        await settle(options.settle)
    cookie = await asyncio.to_thread(log_in, options.server, options.user, options.password)
    url = urllib.parse.urlsplit(options.server)
    socket_url = f"{'wss' if url.scheme == 'https' else 'ws'}://{url.netloc}/ws/dashboard/"
    headers = {"Cookie": cookie}
    try:
        async with connect(
            socket_url,
            origin=f"{url.scheme}://{url.netloc}",  # type: ignore[arg-type]
            additional_headers=headers,
            compression=None,
        ) as socket:
            conversation = Conversation(socket)
            summary = await conversation.ask_all(options)
    except (OSError, WebSocketException) as error:
        raise Failure(f"{socket_url}: {error or type(error).__name__}") from error
    summary.judge(conversation.batches)
    return summary


async def settle(within_s: float) -> None:
    """Waits for this clock's second round, and a while longer.

    The others' clocks are older than this one, and so through with it soon if not before. And the
    server has compared its counter with the devices' for long enough to know their rates.
    """
    first, loop = ntp_clock.last_sync or 0.0, asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while (ntp_clock.last_sync or 0.0) <= first + 5 and loop.time() < deadline:
        await asyncio.sleep(0.1)
    await asyncio.sleep(2)


class Conversation:
    """What goes over the socket."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._asking = Asking()
        self._summary = Summary()
        self._devices: list[dict[str, Any]] = []
        self._server_clock: dict[str, Any] = {}
        self._waiting: dict[str, asyncio.Future[tuple[dict[str, Any], Stamp]]] = {}
        self.batches: list[int] = []
        """Of each trace, with which others it was sent."""
        self._answered: set[str] = set()
        self._stored: set[str] = set()
        self._news = asyncio.Event()

    async def ask_all(self, options: argparse.Namespace) -> Summary:
        """Asks all devices at once, for each command in turn."""
        requests, devices = options.requests, options.devices
        self._summary.skewed, self._summary.path = options.skewed, options.path
        reading = asyncio.ensure_future(self._read())
        comparing = asyncio.ensure_future(keep_asking(self._asking, ntp_clock, self._socket.send))
        # Where the connection ends, reading says so.
        comparing.add_done_callback(lambda task: task.cancelled() or task.exception())
        try:
            clock = {"event": "clock", "clock": clock_summary(ntp_clock)}
            await self._socket.send(json.dumps(clock))
            await self._until(
                lambda: bool(self._server_clock.get("is_synced")), reading, "the server has no time"
            )
            await self._until(
                lambda: len(self._ready()) >= devices,
                reading,
                f"fewer than {devices} devices are connected and synchronised",
            )
            ready = self._ready()[:devices]
            for batch, first in enumerate(range(0, requests, devices)):
                command, payload = _COMMANDS[batch % len(_COMMANDS)]
                asked = ready[: requests - first]
                await asyncio.gather(
                    *(self._ask(device["id"], command, payload, batch, reading) for device in asked)
                )
                await asyncio.sleep(_PAUSE_S)
            with contextlib.suppress(_TooLate):
                await self._until(lambda: self._answered <= self._stored, reading, "", 10)
            self._summary.stored = len(self._answered & self._stored)
        finally:
            reading.cancel()
            comparing.cancel()
        return self._summary

    async def _ask(
        self,
        device_id: str,
        command: str,
        payload: object,
        batch: int,
        reading: asyncio.Future[None],
    ) -> None:
        request_id = secrets.token_hex(16)
        answer = self._waiting[request_id] = asyncio.get_running_loop().create_future()
        self._summary.requests += 1
        trace = Trace()
        trace.stamp("client_send", ntp_clock, _ENTITY)
        message = {
            "event": "command",
            "request_id": request_id,
            "device_id": device_id,
            "command": command,
            "payload": payload,
            "trace": trace.to_message(),
        }
        await self._socket.send(json.dumps(message))
        either: set[asyncio.Future[Any]] = {answer, reading}
        await asyncio.wait(either, timeout=_PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            if reading.done():
                raise Failure(f"the connection ended: {reading.exception()}")
            self._summary.errors["no answer"] += 1
            return
        response, received = answer.result()
        if response.get("status") != "ok":
            self._summary.errors[str(response.get("error", {}).get("code"))] += 1
            return
        whole = Trace.from_message(response.get("trace"))
        # What this one stamped itself it knows best.
        trace.merge(whole)
        trace.put("client_receive", received, _ENTITY)
        self._summary.traces.append(trace)
        self.batches.append(batch)
        done = {"event": "trace_complete", "request_id": request_id, "trace": trace.to_message()}
        await self._socket.send(json.dumps(done))
        self._answered.add(request_id)

    async def _read(self) -> None:
        async for frame in self._socket:
            came = ntp_clock.stamp()
            received = Stamp.of(came, ntp_clock)
            message = json.loads(frame)
            event = message.get("event")
            if event == "devices":
                self._devices = message["devices"]
            elif event == "device_clock":
                for device in self._devices:
                    if device["id"] == message["device_id"]:
                        device["clock"] = message["clock"]
            elif event == "server_clock":
                self._server_clock = message["clock"]
            elif event == REPLY:
                self._asking.take(message.get("request_id"), came)
            elif event == "response":
                self._take(message, received)
            elif event == "trace":
                self._stored.add(message["trace_record"]["request_id"])
            elif event == "error":
                self._summary.errors[str(message["error"]["code"])] += 1
            self._news.set()
        raise Failure("closed by the server")

    def _take(self, message: dict[str, Any], received: Stamp) -> None:
        answer = self._waiting.get(message["request_id"])
        if answer is None or answer.done():
            self._summary.duplicates += 1
        else:
            answer.set_result((message, received))

    def _ready(self) -> list[dict[str, Any]]:
        return [
            device
            for device in self._devices
            if device["online"] and (device["clock"] or {}).get("is_synced")
        ]

    async def _until(
        self,
        ready: Callable[[], bool],
        reading: asyncio.Future[None],
        otherwise: str,
        within_s: float = _PATIENCE_S,
    ) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while not ready():
            if reading.done():
                raise Failure(f"the connection ended: {reading.exception()}")
            if loop.time() > deadline:
                raise _TooLate(f"{otherwise}, after {within_s:g} s")
            self._news.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._news.wait(), 0.5)


def log_in(server: str, user: str, password: str) -> str:
    """Logs in as a browser does; gives the session's cookie."""
    jar = http.cookiejar.CookieJar()
    # Straight to the server: a proxy of the environment is for other places.
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(jar)
    )
    page = urllib.parse.urljoin(server, "/login/")
    parts = urllib.parse.urlsplit(server)
    origin = f"{parts.scheme}://{parts.netloc}"
    try:
        with opener.open(page, timeout=_PATIENCE_S):
            pass
        cookies = {cookie.name: cookie.value or "" for cookie in jar}
        fields = {
            "username": user,
            "password": password,
            "csrfmiddlewaretoken": cookies.get("csrftoken", ""),
        }
        request = urllib.request.Request(
            page, urllib.parse.urlencode(fields).encode(), {"Referer": page, "Origin": origin}
        )
        with opener.open(request, timeout=_PATIENCE_S):
            pass
    except urllib.error.URLError as error:
        raise Failure(f"cannot log in at {page}: {error}") from error
    cookies = {cookie.name: cookie.value or "" for cookie in jar}
    if "sessionid" not in cookies:
        raise Failure(f"{page} does not take this user and password")
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def show(summary: Summary, colour: bool) -> None:
    """For people: one trace drawn, then what all say."""
    paint = Paint(colour)
    columns = min(shutil.get_terminal_size((120, 24)).columns, 160)
    trace = typical(summary.traces)
    if trace is not None:
        print("One request, milliseconds from its first stamp\n")
        print(paint("by the system clocks of those it passed", "bold"))
        print("\n".join(draw(raw_marks(trace), columns, paint)))
        heading = "by their synchronised clocks, each with where it can be beside the first one"
        print(paint(f"\n{heading}", "bold"))
        print("\n".join(draw(synchronised_marks(trace), columns, paint)))
        utc = distance_from_utc(trace)
        if utc is not None:
            print(f"  {utc}")
        print()
    print("\n".join(summary.lines()))
    if summary.is_good:
        print(
            paint("\nGood: every trace is whole, and in causal order within its errors.", "green")
        )
    else:
        print(paint("\nBAD: " + "; ".join(reasons(summary)), "red"))


def typical(traces: list[Trace]) -> Trace | None:
    """Of the complete ones, the one whose way took the time of a short request's."""
    complete = [trace for trace in traces if not trace.missing()]
    if not complete:
        return traces[0] if traces else None
    pings = {id(trace): trace.ping_ms or 0.0 for trace in complete}
    shorter = statistics.quantiles(pings.values(), n=4)[0] if len(pings) > 1 else 0.0
    return min(complete, key=lambda trace: abs(pings[id(trace)] - shorter))


def reasons(summary: Summary) -> list[str]:
    """What is not good."""
    totals = summary.to_json()
    wanted, found = totals["requests"], []
    for name in ("answered", "complete", "stored"):
        if totals[name] != wanted:
            found.append(f"{totals[name]} of {wanted} {name}")
    if totals["errors"]:
        found.append(f"errors {totals['errors']}")
    if totals["duplicates"]:
        found.append(f"{totals['duplicates']} answered twice")
    if totals["synchronised"]["traces_out_of_order"]:
        found.append(f"{totals['synchronised']['traces_out_of_order']} traces out of order")
    if summary.skewed and totals["raw"]["traces_out_of_order"] != wanted:
        found.append("system clocks are wrong, and not all traces show it")
    across = totals["across_machines"]
    if across and across["wrong"]:
        found.append(f"{across['wrong']} pairs said to be certain, in the wrong order")
    if not summary.one_counter:
        found.append("counters that must be one machine's run backwards along a request")
    for trace in summary.traces:
        for key, reason in trace.unsynced.items():
            found.append(f"{key} without time: {reason}")
    return found[:10]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
