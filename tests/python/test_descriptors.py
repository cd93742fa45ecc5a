"""Programs close what is not theirs, and run out of descriptors: the clock goes on, and leaves
their files alone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from support import run_python

if TYPE_CHECKING:
    from collections.abc import Callable

    from support import FaultyServer

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="Unix alone numbers descriptors")

FILES = """
import logging, os, resource, sys, tempfile, threading, time
from portacode.utils.ntp_clock import NTPClock, ntp_clock

def own_files():
    files = []
    for _ in range(64):
        file = tempfile.TemporaryFile(buffering=0)
        file.write(b"mine")
        files.append(file)
    return files

def untouched(files):
    for file in files:
        file.seek(0)
        assert file.read() == b"mine", file.fileno()
"""

CLOSES_EVERYTHING = f"""{FILES}
lines = []
class Logged(logging.Handler):
    def emit(self, record):
        lines.append(record.getMessage())

logging.getLogger("portacode").addHandler(Logged())
logging.getLogger("portacode").setLevel(logging.DEBUG)
assert ntp_clock.wait_synced(60)
os.closerange(3, 256)
files = own_files()
lines.clear()
began_s, process_s = time.monotonic(), time.process_time()
assert any(ntp_clock.sync() for _ in range(10))
deadline = began_s + 60
while not lines and time.monotonic() < deadline:
    time.sleep(0.1)
assert lines, "events are logged again"
assert time.process_time() - process_s < (time.monotonic() - began_s) / 4, "no core is burnt"
assert ntp_clock.now_ms() is not None
untouched(files)
"""

DAEMON = f"""{FILES}
assert ntp_clock.wait_synced(60)
child = os.fork()
if child == 0:
    try:
        os.closerange(3, 256)
        files = own_files()
        assert ntp_clock.now_ms() is not None
        assert any(ntp_clock.sync() for _ in range(10))
        time.sleep(0.5)
        untouched(files)
        os._exit(0)
    except BaseException as error:
        print(error, file=sys.stderr)
        os._exit(1)
assert os.waitpid(child, 0)[1] == 0
assert any(ntp_clock.sync() for _ in range(10))
"""

EXHAUSTED = f"""{FILES}
logging.getLogger("portacode").addHandler(logging.NullHandler())
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
clock = NTPClock(sys.argv[1])
began_s = time.monotonic()
assert clock.wait_synced(0.3) is False
assert clock.sync() is False
assert time.monotonic() - began_s < 14
status = clock.get_status()
assert status["last_error_code"] == "no_resources", status
assert not status["is_synced"] and status["state"] != "synchronised", status
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
assert clock.wait_synced(60) is True, clock.get_status()
assert any(clock.sync() for _ in range(10))
"""


@pytest.mark.parametrize(
    "program", [CLOSES_EVERYTHING, DAEMON, EXHAUSTED], ids=["closes", "daemon", "exhausted"]
)
def test_the_programs_files_are_left_alone_and_the_clock_recovers(
    program: str, faulty_server: Callable[..., FaultyServer]
) -> None:
    server = faulty_server("--delay", "20ms").address
    ran = run_python("-W", "ignore", "-c", program, server, server=server)
    assert (ran.code, ran.err) == (0, ""), ran
