"""One of the two programs of ``cargo xtask demo``.

Answers each line on standard input with its system clock and the shared clock's reading, as a
line of JSON, and ends with its input.
"""

from __future__ import annotations

import json
import signal
import sys
import time

from portacode.utils.ntp_clock import ntp_clock


def main() -> None:
    """Answers until standard input ends."""
    # Ctrl-C ends the demo and all its programs; a traceback would only hide its table.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for _ in sys.stdin:
        # All clocks at one moment, bracketed by the counter that all programs of the machine share.
        before_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        system_ns = time.time_ns()
        reading = ntp_clock.read()
        after_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        sample: dict[str, object] = {
            "before_ns": before_ns,
            "after_ns": after_ns,
            "system_ns": system_ns,
        }
        if reading is None:
            reason = ntp_clock.get_status()["last_error"]
            sample.update(time_ns=None, error=reason or "no reply yet")
        else:
            sample.update(time_ns=reading.time_ns, max_error_ns=reading.max_error_ns)
        print(json.dumps(sample), flush=True)


if __name__ == "__main__":
    main()
