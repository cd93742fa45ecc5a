"""Replays exchange logs: the readings of a recorded clock again, from its log alone.

    from portacode.replay import replay

    for answer in replay("day.log"):
        print(answer.local_ns, answer.time_ns, answer.max_error_ns)

A log is written by `ntp-clock record`; `ntp-clock replay --help` describes the format. The same
code answers there and here, with the same integers on every machine. The module itself can be
called like its function: `portacode.replay("day.log")`.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from portacode._native import Replay

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Union

    _Log = Union[str, os.PathLike[str], Iterable[Union[str, bytes]]]

__all__ = ["Answer", "replay"]


class Answer(NamedTuple):
    """The time of one moment; None in place of what an unsynchronised clock cannot say."""

    local_ns: int
    """The moment asked for, nanoseconds of the local counter."""
    time_ns: int | None
    """True time, nanoseconds since the Unix epoch."""
    max_error_ns: int | None
    """Hard bound on the distance of time_ns from the truth, nanoseconds."""
    est_error_ns: int | None
    """One standard deviation of time_ns, nanoseconds."""


def replay(log: _Log) -> Iterator[Answer]:
    """The answers of a log, one for each of its reads, as they are asked for.

    Args:
        log: Path of a log, or its lines as text or bytes: an open file, a list, a generator.

    Raises:
        ValueError: A line is malformed; the message has its number, from 1, and the reason.
        OSError: The file cannot be read.
    """
    if isinstance(log, (str, os.PathLike)):
        with open(log, "rb") as file:
            # A longer line is refused, and need not be read to its end.
            yield from _answers(iter(lambda: file.readline(_LONGEST), b""))
    else:
        yield from _answers(log)


def _answers(lines: Iterable[str | bytes]) -> Iterator[Answer]:
    clock = Replay()
    for line in lines:
        encoded = line.encode("utf-8", "surrogateescape") if isinstance(line, str) else line
        answer = clock.line(encoded)
        if answer is not None:
            yield Answer._make(answer)


class _Callable(ModuleType):
    def __call__(self, log: _Log) -> Iterator[Answer]:
        return replay(log)


_LONGEST = 65_536 + 2
sys.modules[__name__].__class__ = _Callable
