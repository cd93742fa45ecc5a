"""Forks again and again under readers; each child must read at once and synchronise by itself."""

from __future__ import annotations

import json
import os
import sys
import threading
import time

from portacode.utils.ntp_clock import ntp_clock

FORKS = 60
#: Children that live at once: each waits up to a second for its first round.
AT_ONCE = 10


def child() -> int:
    first = ntp_clock.now_ns()
    if first is None or abs(first - time.time_ns()) > 1_000_000_000:
        return 1
    deadline = time.monotonic() + 60
    while ntp_clock.get_status()["believed"] == 0:
        if time.monotonic() > deadline:
            return 2
        time.sleep(0.001)
    second = ntp_clock.now_ns()
    if second is None or second < first:
        return 3
    return 0 if ntp_clock.wait_synced(60) else 4


def main() -> None:
    if not ntp_clock.wait_synced(60):
        sys.exit("not synchronised")
    stop = threading.Event()

    def read() -> None:
        newest = 0
        while not stop.is_set():
            now = ntp_clock.now_ns()
            if now is None or now < newest:
                os._exit(9)
            newest = now
            ntp_clock.get_status()

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    codes: list[int] = []
    while len(codes) < FORKS:
        pids = []
        for _ in range(AT_ONCE):
            pids.append(os.fork())
            if pids[-1] == 0:
                code = 99
                try:
                    code = child()
                finally:
                    os._exit(code)
        codes += [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    stop.set()
    for reader in readers:
        reader.join()
    print(json.dumps({"codes": codes, "synced": ntp_clock.sync()}))


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore", DeprecationWarning)
    main()
