"""Each process forks the next one; the last tells how many descriptors and threads it has."""

from __future__ import annotations

import json
import os
import sys
import time
import warnings

from portacode.utils.ntp_clock import ntp_clock

warnings.simplefilter("ignore", DeprecationWarning)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def main() -> None:
    generations = int(sys.argv[1])
    counts: list[int] = []
    for _ in range(generations):
        if not (ntp_clock.wait_synced(60) and ntp_clock.sync()):
            os._exit(3)
        # After the round, of which the last requests are late, its socket is closed.
        time.sleep(2.5)
        deadline = time.monotonic() + 60
        while counts and open_descriptors() > counts[0] and time.monotonic() < deadline:
            time.sleep(0.05)
        counts.append(open_descriptors())
        pid = os.fork()
        if pid != 0:
            os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    main()
