"""Logs replayed from Python: the same code, and so the same answers, as the command's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support import run_python

import portacode.replay
from portacode.replay import Answer, replay

if TYPE_CHECKING:
    from collections.abc import Callable

EXCHANGE = json.dumps(
    {
        "type": "exchange",
        "t1_local_ns": 1_000,
        "t2_ns": 1_800_000_000_000_000_500,
        "t3_ns": 1_800_000_000_000_000_500,
        "t4_local_ns": 2_000,
        "root_delay_ns": 0,
        "root_dispersion_ns": 0,
        "precision_log2_s": -30,
        "stratum": 1,
        "leap": 0,
    }
)


def read(local_ns: int) -> str:
    return json.dumps({"type": "read", "local_ns": local_ns})


def recorded(server: str, folder: Path) -> tuple[Path, Path]:
    log, answers = folder / "log", folder / "answers"
    options = ["--reads", "2ms", "--duration", "2s", "--answers", str(answers)]
    ran = run_python("-m", "portacode.cli", "record", str(log), *options, server=server)
    assert ran.code == 0, ran
    return log, answers


def test_a_recorded_session_replays_to_exactly_what_the_live_clock_said(
    time_server: str, tmp_path: Path
) -> None:
    log, answers = recorded(time_server, tmp_path)
    live = [json.loads(line) for line in answers.read_text().splitlines()]
    assert [answer._asdict() for answer in replay(log)] == live
    # A busy machine reads less often.
    assert sum(answer["time_ns"] is not None for answer in live) > 50
    ran = run_python("-m", "portacode.cli", "replay", str(log), server=time_server)
    assert (ran.code, ran.out) == (0, answers.read_text())


def test_a_log_may_be_a_path_an_open_file_or_any_lines(tmp_path: Path) -> None:
    lines = [read(5), EXCHANGE, "", read(2_000)]
    log = tmp_path / "log"
    log.write_text("\n".join(lines))
    expected = list(replay(lines))
    assert expected[0] == Answer(5, None, None, None)
    assert expected[1][:2] == (2_000, 1_800_000_000_000_001_000)
    with log.open() as text, log.open("rb") as binary:
        ways: list[Any] = [log, str(log), text, binary, (line.encode() for line in lines)]
        for way in ways:
            assert list(replay(way)) == expected
    as_function: Callable[[Any], Any] = vars(portacode)["replay"]
    assert list(as_function(log)) == expected


def test_answers_come_one_by_one() -> None:
    def lines() -> Any:
        yield read(1)
        yield read(2)
        raise AssertionError("asked for too much")

    answers = replay(lines())
    assert [next(answers).local_ns, next(answers).local_ns] == [1, 2]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"type":"read"', "cut off"),
        ('{"type":"read"}', 'member "local_ns" is missing'),
        ('{"type":"read","local_ns":1.5}', 'member "local_ns" must be whole nanoseconds'),
        ('{"type":"sneeze"}', 'unknown type "sneeze"'),
        ("[]", "not a JSON object"),
        (b"\xff", "not valid UTF-8"),
        ("\udcff", "not valid UTF-8"),
        ("x" * 70_000, "longer than 65536 bytes"),
    ],
)
def test_a_malformed_line_raises_with_its_number_and_reason(line: Any, reason: str) -> None:
    answers = replay([read(1), "", line])
    assert next(answers).local_ns == 1
    with pytest.raises(ValueError, match=f"line 3: {reason}"):
        next(answers)


def test_a_gigantic_line_of_a_file_is_refused_without_being_read_to_its_end() -> None:
    with pytest.raises(ValueError, match="line 1: longer than 65536 bytes"):
        list(replay("/dev/zero"))


def test_a_file_that_cannot_be_read_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(replay(tmp_path / "missing"))
    with pytest.raises(IsADirectoryError):
        list(replay(tmp_path))


def test_the_package_alone_is_enough_to_import(silent: str) -> None:
    code = f"import portacode; print(next(portacode.replay([{read(7)!r}])).local_ns)"
    ran = run_python("-c", code, server=silent)
    assert (ran.code, ran.out) == (0, "7\n"), ran
    ran = run_python("-c", "import portacode; portacode.nonsense", server=silent)
    assert "has no attribute 'nonsense'" in ran.err
