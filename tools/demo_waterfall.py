"""One trace drawn in the terminal: a line for each stamp, in the order of what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from portacode.trace import KEYS

if TYPE_CHECKING:
    from portacode.trace import Trace


class Mark(NamedTuple):
    """Where a stamp stands, in milliseconds from the first one."""

    who: str
    key: str
    ms: float
    low_ms: float
    high_ms: float
    """Between these it is, for certain, relative to the first one."""
    wrong: bool
    """Something that came before it has a later time."""


class Paint:
    """Colours, where there are any."""

    def __init__(self, on: bool) -> None:
        self._on = on

    def __call__(self, text: str, colour: str) -> str:
        """The text in that colour."""
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self._on else text


def raw_marks(trace: Trace) -> list[Mark]:
    """The stamps by the system's clocks, which know no errors."""
    wrong = {problem.later for problem in trace.raw_problems()}
    times = [
        (key, stamp.raw_ms)
        for key in KEYS
        if (stamp := trace.get(key)) is not None and stamp.raw_ms is not None
    ]
    first = times[0][1] if times else 0.0
    apart = [(key, ms - first) for key, ms in times]
    return [Mark(_who(trace, key), key, ms, ms, ms, key in wrong) for key, ms in apart]


def synchronised_marks(trace: Trace) -> list[Mark]:
    """The stamps as the clocks relate them to the first one, each with where it can be."""
    wrong = {problem.later for problem in trace.problems()}
    marks: list[Mark] = []
    for key in KEYS:
        if trace.get(key) is None:
            continue
        relation = trace.relation(marks[0].key if marks else key, key)
        ms = relation.est_ms if marks else 0.0
        if ms is None:
            continue
        low_ms = ms if relation.lower_ms is None else relation.lower_ms
        high_ms = ms if relation.upper_ms is None else relation.upper_ms
        if not marks:
            low_ms = high_ms = 0.0
        marks.append(Mark(_who(trace, key), key, ms, low_ms, high_ms, key in wrong))
    return marks


def distance_from_utc(trace: Trace) -> str | None:
    """How far the whole picture may be off, in words; None where no stamp has a time.

    One stamp of which the time is known says when all others were.
    """
    errors = [
        stamp.max_error_ms + max(mark.high_ms - mark.ms, mark.ms - mark.low_ms)
        for mark in synchronised_marks(trace)
        if (stamp := trace.get(mark.key)) is not None and stamp.max_error_ms is not None
    ]
    if not errors:
        return None
    return f"all of it together: off from UTC by at most ±{min(errors):.3f} ms"


def draw(marks: list[Mark], columns: int, paint: Paint) -> list[str]:
    """The lines; `columns` is the width of all."""
    if not marks:
        return ["  (no stamps)"]
    width = max(columns - _TEXT_COLUMNS, 10)
    low = min(mark.low_ms for mark in marks)
    high = max(mark.high_ms for mark in marks)
    scale = (width - 1) / (high - low) if high > low else 0.0

    def column(ms: float) -> int:
        return round((ms - low) * scale)

    lines = []
    before: Mark | None = None
    for mark in marks:
        cells = [" "] * width
        if before is not None:
            # The way from the stamp before, which for a wrong one leads back.
            start, end = sorted((column(before.ms), column(mark.ms)))
            cells[start : end + 1] = "·" * (end + 1 - start)
        half_ms = (mark.high_ms - mark.low_ms) / 2
        if half_ms:
            for index in range(column(mark.low_ms), column(mark.high_ms) + 1):
                cells[index] = "─"
        cells[column(mark.ms)] = "●"
        error = f"±{half_ms:.3f}" if half_ms else ""
        colour = "red" if mark.wrong else _colour(mark.who)
        text = f"  {mark.who:<11}{mark.key:<24}{mark.ms:>11.3f} {error:>8}  "
        lines.append(text + paint("".join(cells).rstrip(), colour))
        before = mark
    return lines


def _who(trace: Trace, key: str) -> str:
    entity = trace.entity(key) or "unknown"
    return entity.partition(":")[0][:10]


def _colour(who: str) -> str:
    return {"server": "yellow", "device": "green"}.get(who, "cyan")


_COLOURS = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "bold": "1", "dim": "2"}
_TEXT_COLUMNS = 60
