"""How long a reading takes in Python: readings.py {ours|old} ROUNDS, prints JSON lines.

In each round every contender is measured in turn, in another order, so that a disturbance of the
machine meets them alike. PORTACODE_NTP_SERVER names the server.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import timeit
from typing import Any

_UNROLLED = 20
_LOOPS = 2_000
_IMPORTS = 15


def _measure(group: str, clock: Any, calls: list[str], rounds: int) -> None:
    reference = "time.time_ns()"
    timers = {
        call: timeit.Timer(f"{call}\n" * _UNROLLED, globals={"time": time, "clock": clock})
        for call in [reference, *calls]
    }
    names = list(timers)
    samples: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        for step in range(len(names)):
            name = names[(turn + step) % len(names)]
            samples[name].append(timers[name].timeit(_LOOPS) / _LOOPS / _UNROLLED * 1e9)
    print(json.dumps({"group": group, "reference": reference, "samples_ns": samples}))


def _measure_imports() -> None:
    """Each import in an interpreter of its own, timed inside it."""
    imports = ["import json", "from portacode.utils.ntp_clock import ntp_clock"]
    samples: dict[str, list[float]] = {name: [] for name in imports}
    for _ in range(_IMPORTS):
        for statement in imports:
            program = (
                "from time import perf_counter_ns as now\n"
                f"before = now()\n{statement}\nprint(now() - before)"
            )
            run = subprocess.run(
                [sys.executable, "-c", program], check=True, capture_output=True, text=True
            )
            samples[statement].append(float(run.stdout))
    print(json.dumps({"group": "import", "reference": imports[0], "samples_ns": samples}))


def _ours(rounds: int) -> None:
    from portacode.utils.ntp_clock import ntp_clock

    if not ntp_clock.wait_synced(5):
        sys.exit("not synchronised")
    time.sleep(1)
    names = ["now_ms", "now", "now_ns", "read", "now_iso"]
    _measure("Python", ntp_clock, [f"clock.{name}()" for name in names], rounds)
    _measure_imports()


def _old(rounds: int) -> None:
    import ntplib

    host, port = os.environ["PORTACODE_NTP_SERVER"].rsplit(":", 1)
    request = ntplib.NTPClient.request

    def redirected(client: Any, _host: str, **options: Any) -> Any:
        return request(client, host, port=int(port), **options)

    ntplib.NTPClient.request = redirected
    from portacode.utils.ntp_clock import ntp_clock

    if ntp_clock.now() is None:
        sys.exit("not synchronised")
    names = ["now_ms", "now", "now_iso"]
    _measure("Python, portacode 1.3.27", ntp_clock, [f"clock.{name}()" for name in names], rounds)


{"ours": _ours, "old": _old}[sys.argv[1]](int(sys.argv[2]))
