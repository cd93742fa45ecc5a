"""The command ntp-clock, as the package installs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest
from support import comes_to_wait, environment, eventually, run_python

import portacode

COMMAND = Path(sys.executable).parent / "ntp-clock"


def start(*arguments: str, server: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(COMMAND), *arguments],
        env=environment(server),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments: str, server: str) -> tuple[int, str, str]:
    with start(*arguments, server=server) as process:
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err


def test_it_is_installed_and_tells_the_package_s_version(silent: str) -> None:
    scripts = metadata.distribution("portacode").entry_points
    assert [point.value for point in scripts if point.name == "ntp-clock"] == ["portacode.cli:main"]
    version = f"ntp-clock {portacode.__version__}\n"
    assert run("--version", server=silent) == (0, version, "")
    ran = run_python("-m", "portacode.cli", "--version", server=silent)
    assert (ran.code, ran.out) == (0, version)


def test_it_tells_the_time_of_the_server_that_the_variable_names(time_server: str) -> None:
    code, out, err = run("now", "--format", "json", server=time_server)
    assert (code, err) == (0, "")
    printed = json.loads(out)
    assert abs(printed["time_ns"] - time.time_ns()) < 2e9
    assert printed["server"] == time_server


def test_its_exit_status_tells_why_it_failed(silent: str, tmp_path: Path) -> None:
    code, out, err = run("now", "--timeout", "0.5s", server=silent)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: not synchronised with {silent}: ")
    code, _, err = run("now", server="http://x")
    assert code == 2
    assert "PORTACODE_NTP_SERVER" in err
    log = tmp_path / "log"
    log.write_text("{}\n")
    code, _, err = run("replay", str(log), server=silent)
    assert (code, err) == (2, f'error: {log}: line 1: member "type" is missing\n')


def test_arguments_that_are_no_text_are_refused(silent: str) -> None:
    code, _, err = run("now", "--format", os.fsdecode(b"\xff"), server=silent)
    assert code == 2
    assert "'--format <FORMAT>'" in err


@pytest.mark.parametrize("arguments", [["now"], ["replay", "/dev/stdin"], ["test-server"]])
def test_ctrl_c_ends_it_by_the_signal_and_without_a_traceback(
    arguments: list[str], silent: str
) -> None:
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [str(COMMAND), *arguments],
        env=environment(silent),
        stdin=reading,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    os.close(reading)
    with process:
        comes_to_wait(process.pid)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    os.close(writing)
    assert (process.returncode, err) == (-signal.SIGINT, b"")


def test_ctrl_c_ends_a_recording_well(time_server: str, tmp_path: Path) -> None:
    log = tmp_path / "log"

    def has_recorded() -> bool:
        text = log.read_text() if log.exists() else ""
        return text.count('"read"') > 60 and '"exchange"' in text

    with start("record", str(log), "--reads", "5ms", server=time_server) as process:
        assert eventually(has_recorded)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert (process.returncode, "exchanges" in err) == (0, True), err
    code, out, _ = run("replay", str(log), server=time_server)
    assert (code, out.count("\n") > 50) == (0, True)


def test_a_closed_pipe_is_no_error(time_server: str) -> None:
    with start("watch", "--interval", "1ms", server=time_server) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(timeout=120) == 0
