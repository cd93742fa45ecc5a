"""One clock for all processes of a machine: who asks, who reads, and what the status says."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from support import PROGRAMS, environment, eventually

from portacode.utils.ntp_clock import NTPClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="clocks are shared on Linux")


class Sharer:
    """A process whose shared clock is the machine's."""

    def __init__(self, server: str, word: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAMS / "shared_clock.py")],
            env={**environment(server), "PORTACODE_NTP_SHARED": word},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def says(self, line: str = "status") -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(line, file=self.process.stdin, flush=True)
        report: dict[str, Any] = json.loads(self.process.stdout.readline())
        return report


@pytest.fixture
def meeting() -> Iterator[Path]:
    """A directory in which processes meet; sockets have short names only."""
    with TemporaryDirectory() as folder:
        yield Path(folder) / "clock"


@pytest.fixture
def sharer(time_server: str, meeting: Path) -> Iterator[Callable[..., Sharer]]:
    """Starts processes that share a clock by a directory, or as the word says."""
    with ExitStack() as ends:

        @contextmanager
        def ending(sharer: Sharer) -> Iterator[Sharer]:
            yield sharer
            sharer.process.kill()
            sharer.process.communicate()

        def start(word: str = str(meeting)) -> Sharer:
            return ends.enter_context(ending(Sharer(time_server, word)))

        yield start


def test_one_process_asks_others_read_and_one_of_them_goes_on_when_it_is_killed(
    sharer: Callable[..., Sharer],
) -> None:
    first = sharer()
    writer = first.says()
    assert (writer["part"], writer["writer"]) == ("writer", writer["pid"])
    others = [sharer(), sharer()]
    for report in [other.says() for other in others]:
        assert (report["part"], report["writer"], report["epoch"], report["requests"]) == (
            "reader",
            writer["pid"],
            writer["epoch"],
            0,
        )
    assert others[0].says("sync")["synced"] is False, "a reader asks nobody"
    first.process.kill()
    assert eventually(lambda: any(it.says()["part"] == "writer" for it in others), 60)
    assert eventually(lambda: len({it.says()["writer"] for it in others}) == 1, 60)
    assert {it.says()["epoch"] for it in others} == {writer["epoch"]}


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("yes", '"yes" does not say how to share a clock: write 1, 0, or the absolute path'),
        ("/proc/self", "/proc/self is not a directory"),
    ],
)
def test_a_clock_that_cannot_be_shared_is_one_of_its_own_and_says_why(
    sharer: Callable[..., Sharer], word: str, reason: str
) -> None:
    report = sharer(word).says()
    assert (report["part"], report["writer"]) == ("alone", None)
    assert report["reason"].startswith(reason)


def test_clocks_of_one_program_share_the_directory_that_they_name(
    time_server: str, meeting: Path
) -> None:
    clocks = [NTPClock(time_server, shared=meeting) for _ in range(2)]
    assert all(clock.wait_synced(60) for clock in clocks)

    def parts() -> list[str]:
        parts = [clock.get_status()["sharing"] for clock in clocks]
        return sorted(sharing["part"] for sharing in parts if sharing)

    assert eventually(lambda: parts() == ["reader", "writer"], 60), parts()
    assert NTPClock(time_server).get_status()["sharing"] is None
