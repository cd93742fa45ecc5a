"""The system's clock is wrong by an hour, and it does not matter."""

from __future__ import annotations

import importlib.util
import json
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import run_python

if TYPE_CHECKING:
    from collections.abc import Callable

    from support import FaultyServer

READ = """
import json, time
from portacode.utils.ntp_clock import ntp_clock
synced = ntp_clock.wait_synced(60)
ends = time.monotonic() + 60
# The first reply may have been kept waiting; later ones tell more.
while ntp_clock.get_status()["max_error_ms"] >= 100 and time.monotonic() < ends:
    time.sleep(0.05)
print(json.dumps([synced, ntp_clock.now_ns(), time.time_ns(), ntp_clock.get_status()]))
"""


def faketime_library() -> str:
    package = importlib.util.find_spec("libfaketime")
    origin = package.origin if package else None
    packaged = Path(origin or "").parent / "vendor/libfaketime/src/libfaketime.so.1"
    debian = Path(f"/usr/lib/{platform.machine()}-linux-gnu/faketime/libfaketime.so.1")
    for library in (debian, packaged):
        if library.exists():
            return str(library)
    pytest.skip("no libfaketime: pip install libfaketime, or apt-get install faketime")


@pytest.mark.parametrize("hours", [1, -1])
def test_readings_are_true_while_the_system_clock_is_off_by_an_hour(
    time_server: str, hours: int
) -> None:
    before = time.time_ns()
    ran = run_python(
        "-c",
        READ,
        server=time_server,
        LD_PRELOAD=faketime_library(),
        FAKETIME=f"{3600 * hours:+d}",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
        FAKETIME_DISABLE_SHM="1",
    )
    after = time.time_ns()
    assert (ran.code, ran.err) == (0, "")
    synced, now_ns, system_ns, status = json.loads(ran.out)
    assert synced is True
    assert before <= now_ns <= after, "true time"
    assert abs(system_ns - now_ns - hours * 3600e9) < 5e9, "the system's clock was off"
    assert status["offset_ms"] == pytest.approx(-3_600_000 * hours, abs=1_000)
    assert status["max_error_ms"] < 100


BOUND = """
import json, time
from portacode.utils.ntp_clock import ntp_clock
assert ntp_clock.wait_synced(60), ntp_clock.get_status()
before = time.time_ns()
reading = ntp_clock.read()
print(json.dumps([before, reading.time_ns, reading.max_error_ns, time.time_ns()]))
"""


@pytest.mark.parametrize("wrong_ms", [5, -5, 1])
def test_the_bound_holds_where_the_system_clock_is_off_by_less_than_the_round_trip(
    faulty_server: Callable[..., FaultyServer], wrong_ms: int
) -> None:
    # Only the way back tells when a reply arrived too early.
    server = faulty_server("--delay-to-server", "20ms")
    ran = run_python(
        "-c",
        BOUND,
        server=server.address,
        LD_PRELOAD=faketime_library(),
        FAKETIME=f"{wrong_ms / 1000:+.3f}",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
        FAKETIME_DISABLE_SHM="1",
    )
    assert (ran.code, ran.err) == (0, "")
    before, read_ns, max_error_ns, after = json.loads(ran.out)
    truth = range(before - wrong_ms * 1_000_000, after - wrong_ms * 1_000_000 + 1)
    assert truth.start - max_error_ns <= read_ns <= truth.stop + max_error_ns
