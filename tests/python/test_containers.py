"""What containers take away is not needed: privileges, writable files, the host's counters."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
from support import environment

# Counters of a container may stand days before or after the host's.
SHIFTED = ["--time", "--monotonic", "864000", "--boottime", "864000"]
READ_ONLY = "mount --make-rprivate / && mount -o remount,bind,ro / && ! touch /tmp/written 2>&-"
UNPRIVILEGED = ["setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
TELL = """
import json, time
from portacode.utils.ntp_clock import ntp_clock

before = time.perf_counter_ns()
synced = ntp_clock.wait_synced(60)
reading, now_ns, after = ntp_clock.read(), time.time_ns(), time.perf_counter_ns()
dated = ntp_clock.at_perf_counter_ns(before)
dated_off_ns = now_ns - dated.time_ns - (after - before)
off_ns = reading.time_ns - now_ns
print(json.dumps([synced, off_ns, reading.max_error_ns, dated_off_ns, dated.max_error_ns]))
"""


@pytest.mark.parametrize(
    ("namespaces", "first"),
    [
        (SHIFTED, "true"),
        (["--mount"], READ_ONLY),
        (["--mount", *SHIFTED], READ_ONLY),
    ],
    ids=["shifted counters", "read-only", "both"],
)
def test_a_process_without_privileges_is_synchronised(
    namespaces: list[str], first: str, time_server: str
) -> None:
    for tool in ("unshare", "setpriv"):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool}: apt-get install util-linux")
    contained = ["unshare", "--user", "--map-root-user", *namespaces, "--fork", "--"]
    if subprocess.run([*contained, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this system lets nobody make namespaces")
    inside = f'{first} && exec "$@"'
    ran = subprocess.run(
        [*contained, "bash", "-c", inside, "bash", *UNPRIVILEGED, sys.executable, "-Bc", TELL],
        env=environment(time_server),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, ""), ran
    synced, off_ns, max_error_ns, dated_off_ns, dated_error_ns = json.loads(ran.stdout)
    assert synced
    # The server tells this machine's wall clock, which no container has of its own.
    assert abs(off_ns) < max_error_ns + 50_000_000
    assert abs(dated_off_ns) < dated_error_ns + 50_000_000
