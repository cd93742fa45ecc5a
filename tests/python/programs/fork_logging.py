"""Logs with the process id, forks, and has the child synchronise."""

from __future__ import annotations

import logging
import os
import sys
import time
import warnings

from portacode.utils.ntp_clock import ntp_clock

logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, format="%(process)d %(message)s")
warnings.simplefilter("ignore", DeprecationWarning)

if not ntp_clock.wait_synced(30):
    sys.exit("not synchronised")
pid = os.fork()
ended = ntp_clock.sync() if sys.argv[1] == "sync" else ntp_clock.now_ms() is not None
time.sleep(2)  # A forked child holds its first round within a second.
sys.stdout.flush()
if pid == 0:
    print(f"{os.getpid()} child", flush=True)
    os._exit(0 if ended else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
