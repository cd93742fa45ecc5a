"""A pool of workers by each start method; each worker reads and synchronises."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
import warnings

from bounds import beyond_its_bound_ms

from portacode.utils.ntp_clock import ntp_clock

warnings.simplefilter("ignore", DeprecationWarning)


def probe(_task: int) -> tuple[int, bool, bool, float, bool]:
    reading_at_once = ntp_clock.now_ms() is not None
    waited = ntp_clock.wait_synced(60)
    off_ms = beyond_its_bound_ms(ntp_clock)
    time.sleep(0.05)
    return os.getpid(), reading_at_once, waited, off_ms, ntp_clock.sync()


def main() -> None:
    method = sys.argv[1]
    synced = ntp_clock.wait_synced(60)
    context = multiprocessing.get_context(method)
    with context.Pool(3) as pool:
        probes = pool.map(probe, range(3), chunksize=1)
        pool.close()
        pool.join()
    print(json.dumps({"synced": synced, "probes": probes, "still": ntp_clock.now_ms()}))


if __name__ == "__main__":
    main()
