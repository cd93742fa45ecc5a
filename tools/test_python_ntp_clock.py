#!/usr/bin/env python3
"""Tries the installed Python clock against its server and shows what it finds.

Exit codes: 0 synchronised and sane, 1 not (the last line says why), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
import timeit
from typing import TYPE_CHECKING, Any

try:
    from portacode.utils.ntp_clock import NTPClock, ntp_clock
except ImportError as error:
    sys.exit(f"FAILED: portacode is not installed ({error}); run: pip install .")

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portacode.utils.ntp_clock import Reading

READINGS = 100_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs all of it and gives the exit code."""
    options = parse(arguments)
    try:
        clock = clock_of(options.server) if options.server is not None else ntp_clock
    except ValueError as error:
        print(f"{sys.argv[0]}: {error}", file=sys.stderr)
        return 2
    print(f"Asking {clock.ntp_server} ...")
    if is_malformed(clock):
        # In the environment: there is nobody to ask, and nothing to wait for.
        return failed(why_unsynchronised(clock, 0))
    started = time.perf_counter()
    if not clock.wait_synced(options.timeout):
        return failed(why_unsynchronised(clock, options.timeout))
    print(f"Synchronised after {(time.perf_counter() - started) * 1e3:.1f} ms of waiting.\n")
    show_status(clock)
    problem = show_readings(clock)
    if problem is None and options.watch:
        problem = watch(clock, options.watch)
    if problem is not None:
        return failed(problem)
    print("\nOK: synchronised and sane")
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--server",
        metavar="[nts://]HOST[:PORT]",
        help="the server to ask; by default what PORTACODE_NTP_SERVER names, or "
        "time.cloudflare.com. With nts://, or PORTACODE_NTP_NTS=required, it has to prove its "
        "replies (Network Time Security): "
        "the port is that of the key exchange then, and PORTACODE_NTP_NTS_CA names a file of "
        "certificates to trust instead of the machine's",
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=15.0,
        metavar="SECONDS",
        help="how long to wait for the first synchronisation (default: %(default)g)",
    )
    parser.add_argument(
        "--watch",
        type=seconds,
        default=0.0,
        metavar="SECONDS",
        help="then show a reading each second for this long",
    )
    return parser.parse_args(arguments)


def clock_of(server: str) -> NTPClock:
    """A clock that asks this server."""
    host = server.removeprefix("nts://")
    # A word of the environment's may be any: it is refused below.
    chosen: Any = "required" if host != server else os.environ.get("PORTACODE_NTP_NTS", "off")
    roots = os.environ.get("PORTACODE_NTP_NTS_CA") if chosen != "off" else None
    return NTPClock(host, nts=chosen, nts_ca=roots)


def seconds(text: str) -> float:
    """A number of seconds, for argparse."""
    value = float(text)
    if not (value >= 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"{text} is not 0 or more seconds")
    return value


def is_malformed(clock: NTPClock) -> bool:
    """Whether the environment names no server, or requires a proof that cannot be had."""
    return clock.get_status()["last_error_code"] in ("no_server", "no_nts")


def show_status(clock: NTPClock) -> None:
    """The status, a line for each thing."""
    print("Status")
    for key, value in clock.get_status().items():
        if isinstance(value, float):
            value = f"{value:,.3f}"
        elif isinstance(value, dict):
            value = ", ".join(f"{name}: {part}" for name, part in value.items()) or "none"
        print(f"  {key:<20} {'-' if value is None else value}")


def show_readings(clock: NTPClock) -> str | None:
    """Readings in all their forms; gives what is wrong with them, if something is."""
    print("\nReadings")
    print(f"  now_iso()            {clock.now_iso()}")
    print(f"  now_ms()             {clock.now_ms()}")
    print(f"  now()                {clock.now()}")
    print(f"  read()               {clock.read()}")
    print(f"  one now_ms() takes   {cost_ns(clock):.0f} ns")

    counter = time.perf_counter_ns()
    first = clock.read()
    dated = clock.at_perf_counter_ns(counter)
    readings = [clock.read() for _ in range(READINGS)]
    if first is None or dated is None or None in readings:
        return "a reading was missing"
    if dated.definitely_after(first):
        return f"an earlier moment was dated later: {dated} after {first}"
    problem = out_of_order([first, *(reading for reading in readings if reading)])
    if problem is None:
        print(f"  {READINGS:,} readings never went backwards")
    return problem or disagreement(clock)


def out_of_order(readings: list[Reading]) -> str | None:
    """The first reading that is earlier than the one before it in its epoch."""
    for before, after in zip(readings, readings[1:]):
        if after.epoch == before.epoch and after.time_ns < before.time_ns:
            return f"a reading went backwards: {after} after {before}"
        if after.est_error_ns > after.max_error_ns:
            return f"the probable error exceeds the hard bound: {after!r}"
    return None


def disagreement(clock: NTPClock) -> str | None:
    """Whether the forms of the time disagree."""
    before, millis, now, iso, after = (
        clock.now_ns(),
        clock.now_ms(),
        clock.now(),
        clock.now_iso(),
        clock.now_ns(),
    )
    if before is None or millis is None or now is None or iso is None or after is None:
        return "a reading was missing"
    if not before // 1_000_000 <= millis <= after // 1_000_000:
        return f"now_ms() {millis} is not between {before} ns and {after} ns"
    if not before - 1_000 <= now * 1e9 <= after + 1_000:
        return f"now() {now} is not between {before} ns and {after} ns"
    return None


def watch(clock: NTPClock, duration_s: float) -> str | None:
    """A line each second; gives what is wrong, if something is."""
    print(f"\n{'time':<34}{'max_error':>12}{'est_error':>12}{'offset':>14}  state")
    ends = time.monotonic() + duration_s
    while True:
        reading, status = clock.read(), clock.get_status()
        if reading is None:
            return why_unsynchronised(clock, 0)
        offset_ms = status["offset_ms"] or 0.0
        print(
            f"{str(reading).split(' ')[0]:<34}"
            f"{reading.max_error_ns / 1e6:>9.3f} ms"
            f"{reading.est_error_ns / 1e6:>9.3f} ms"
            f"{offset_ms:>11.3f} ms  {status['state']}",
            flush=True,
        )
        left = ends - time.monotonic()
        if left <= 0:
            return None
        time.sleep(min(1.0, left))


def cost_ns(clock: NTPClock) -> float:
    """What one now_ms() costs, at its best."""
    calls = 20_000
    return min(timeit.repeat(clock.now_ms, number=calls, repeat=5)) / calls * 1e9


def why_unsynchronised(clock: NTPClock, waited_s: float) -> str:
    """The reason in one line."""
    status = clock.get_status()
    reason = status["last_error"] or "no attempt has ended yet"
    if status["rejections"]:
        counted = ", ".join(f"{name}: {count}" for name, count in status["rejections"].items())
        reason += f" (replies not believed: {counted})"
    after = f" after {waited_s:g} s" if waited_s else ""
    explanation = f"not synchronised with {status['server']}{after}: {reason}"
    if status["last_error_code"] == "no_server":
        return f"{explanation} (it is what PORTACODE_NTP_SERVER says)"
    if status["last_error_code"] == "no_nts" or status["nts"]:
        return explanation
    if status["rejections"] or status["believed"]:
        return explanation
    return (
        f"{explanation}. A site without Internet, or whose UDP port 123 is shut, needs a server of "
        "its own: --server HOST[:PORT], or PORTACODE_NTP_SERVER for all programs"
    )


def failed(reason: str) -> int:
    """Says why, and gives the exit code."""
    print(f"\nFAILED: {reason}")
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
