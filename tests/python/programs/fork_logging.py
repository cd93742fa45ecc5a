"""Logs with the process id, forks, and has the child synchronise."""

from __future__ import annotations

import logging
import os
import sys
import time
import warnings
from typing import ClassVar

from portacode.utils.ntp_clock import ntp_clock


class Synchronised(logging.Handler):
    """Notes the processes in which the clock has said that it is synchronised."""

    processes: ClassVar[set[int]] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Whose record it is."""
        if "synchronised with" in record.getMessage():
            self.processes.add(os.getpid())


logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, format="%(process)d %(message)s")
logging.getLogger().addHandler(Synchronised())
warnings.simplefilter("ignore", DeprecationWarning)

if not ntp_clock.wait_synced(60):
    sys.exit("not synchronised")
pid = os.fork()
ended = ntp_clock.sync() if sys.argv[1] == "sync" else ntp_clock.now_ms() is not None
# A forked child holds its first round within a second.
deadline = time.monotonic() + 60
while os.getpid() not in Synchronised.processes and time.monotonic() < deadline:
    time.sleep(0.01)
sys.stdout.flush()
if pid == 0:
    print(f"{os.getpid()} child", flush=True)
    os._exit(0 if ended else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
