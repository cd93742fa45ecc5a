"""A process with a clock ends as it would without one: at once, in silence, with its own code."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
from support import Ran, environment, quickest_s, run_python, without_attempts

#: Shorter than any attempt to reach a server, and long enough for a busy machine.
AT_ONCE_S = 4
IMPORT = "from portacode.utils.ntp_clock import NTPClock, ntp_clock\n"
WAIT_IN_DAEMONS = """
import threading, time, asyncio
for wait in (ntp_clock.wait_synced, ntp_clock.sync, lambda: asyncio.run(
        ntp_clock.wait_synced_async())):
    threading.Thread(target=wait, daemon=True).start()
time.sleep(0.2)
"""
ENDINGS = {
    "after the import": "",
    "by sys.exit": "import sys; sys.exit(7)",
    "by os._exit": "import os; os._exit(7)",
    "while daemon threads wait": WAIT_IN_DAEMONS,
    "while daemon threads read": """
import threading, time
def read():
    while True: ntp_clock.read(), ntp_clock.get_status(), ntp_clock.now_iso()
for _ in range(4): threading.Thread(target=read, daemon=True).start()
time.sleep(0.2)
""",
    "with clocks of its own": "clocks = [NTPClock('127.0.0.1:9') for _ in range(10)]",
    "with logging at full detail": """
import logging, io
logging.basicConfig(level=logging.DEBUG, stream=io.StringIO())
clocks = [NTPClock('127.0.0.1:1') for _ in range(10)]
""",
    "reading in atexit": "import atexit; atexit.register(ntp_clock.now_ms)",
    "waiting in atexit": "import atexit; atexit.register(ntp_clock.wait_synced, 0.1)",
    "making a clock in atexit": "import atexit; atexit.register(NTPClock, '127.0.0.1:9')",
    "reading in a finaliser": """
class Last:
    def __del__(self, read=ntp_clock.now_ms): read()
last = Last()
import sys; sys.modules["last"] = last
""",
    "forking in atexit": """
import atexit, os, warnings
warnings.simplefilter("ignore", DeprecationWarning)
def fork():
    child = os.fork()
    if child == 0: os._exit(0)
    os.waitpid(child, 0)
atexit.register(fork)
""",
}


def after(preparing: str, ending: str, server: str) -> Ran:
    """How a program ends; its seconds are those of the ending alone, not of starting Python."""
    program = f"{preparing}print('ready', flush=True)\n{ending}"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment(server),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        began_s = time.monotonic()
        out, err = process.communicate(timeout=120)
        return Ran(
            process.returncode, out, without_attempts(err, server), time.monotonic() - began_s
        )


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_process_ends_at_once_and_in_silence(ending: str, silent: str) -> None:
    def ending_s() -> float:
        ran = after(IMPORT, ENDINGS[ending], silent)
        assert (ran.code, ran.out, ran.err) == (7 if "exit(7)" in ENDINGS[ending] else 0, "", "")
        return ran.seconds

    assert quickest_s(ending_s, AT_ONCE_S) < AT_ONCE_S


@pytest.mark.parametrize("ending", ["after the import", "while daemon threads read"])
def test_a_synchronised_process_ends_so_too(ending: str, time_server: str) -> None:
    def ending_s() -> float:
        ran = after(IMPORT + "assert ntp_clock.wait_synced(60)\n", ENDINGS[ending], time_server)
        assert (ran.code, ran.out, ran.err) == (0, "", "")
        return ran.seconds

    assert quickest_s(ending_s, AT_ONCE_S) < AT_ONCE_S


def test_ending_while_warnings_pour_out_is_no_fatal_error() -> None:
    code = IMPORT + "clocks = [NTPClock('127.0.0.1:1') for _ in range(20)]\n"
    for delay_ms in range(0, 40, 4):
        ran = run_python(
            "-c", f"{code}import time; time.sleep({delay_ms / 1e3})", server="127.0.0.1:1"
        )
        assert ran.code == 0, ran
        noise = [line for line in ran.err.splitlines() if "127.0.0.1:1" not in line]
        assert noise == []


@pytest.mark.parametrize("call", ["wait_synced()", "sync()"])
def test_control_c_interrupts_a_waiting_caller(call: str, silent: str) -> None:
    code = f"{IMPORT}print('ready', flush=True)\nwhile True: ntp_clock.{call}"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment(silent),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.2)
    interrupted = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert time.monotonic() - interrupted < AT_ONCE_S
    assert process.returncode == -signal.SIGINT
    assert errors.rstrip().endswith("KeyboardInterrupt")


def test_another_interpreter_of_the_process_gets_a_clear_error(silent: str) -> None:
    code = f"""
{IMPORT}
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
inner = '''
try:
    import portacode.utils.ntp_clock
except ImportError as error:
    assert "subinterpreters" in str(error), error
else:
    raise AssertionError("imported")
'''
error = interpreters.run_string(interpreters.create(), inner)
assert error is None, error
"""
    ran = run_python("-c", code, server=silent)
    assert (ran.code, ran.err) == (0, "")
