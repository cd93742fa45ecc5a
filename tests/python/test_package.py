"""The package around the clock: what it costs to import, what it says about itself."""

from __future__ import annotations

import ast
import inspect
import shutil
import statistics
from importlib import metadata, resources
from typing import TYPE_CHECKING, Any

import pytest
from support import PACKAGE, run_python

import portacode
from portacode import _native
from portacode.utils import ntp_clock as module

if TYPE_CHECKING:
    from pathlib import Path

IMPORT_MS = """
import time
start = time.process_time()
import {}
print((time.process_time() - start) * 1e3)
"""


def test_the_import_costs_less_than_that_of_asyncio(
    silent: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def import_ms(name: str) -> float:
        runs = [run_python("-c", IMPORT_MS.format(name), server=silent) for _ in range(7)]
        return statistics.median(float(run.out) for run in runs)

    clock, asyncio = import_ms("portacode.utils.ntp_clock"), import_ms("asyncio")
    with capsys.disabled():
        print(f"\nimport of the clock: {clock / asyncio:.2f} of asyncio's processor time")
    assert clock < asyncio


def test_the_import_brings_neither_logging_nor_asyncio_nor_typing(silent: str) -> None:
    code = (
        "import sys, portacode.utils.ntp_clock\n"
        "print(sorted({'logging', 'asyncio', 'typing', 'socket', 'weakref'} & set(sys.modules)))"
    )
    # Without the site module, which may import anything.
    ran = run_python(
        "-S",
        "-c",
        f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r})\n{code}",
        server=silent,
    )
    assert (ran.out, ran.err) == ("[]\n", "")


def test_the_version_is_that_of_the_distribution() -> None:
    assert portacode.__version__ == metadata.version("portacode")
    assert int(portacode.__version__.split(".")[0]) >= 2


def test_the_clock_alone_requires_no_other_package() -> None:
    required = metadata.requires("portacode") or []
    assert [line for line in required if "extra ==" not in line] == []
    assert set(metadata.metadata("portacode").get_all("Provides-Extra") or []) == {
        "device",
        "otel",
        "server",
    }


def test_types_and_stubs_are_shipped() -> None:
    files = resources.files("portacode")
    assert files.joinpath("py.typed").is_file()
    assert files.joinpath("_native.pyi").is_file()


@pytest.mark.parametrize(
    "name", ["now", "now_ms", "now_ns", "now_iso", "read", "get_status", "sync", "wait_synced"]
)
def test_the_modules_functions_are_the_shared_clocks(name: str) -> None:
    assert getattr(module, name).__self__ is module.ntp_clock
    assert name in module.__all__


def test_the_modules_functions_answer_as_the_clock_does() -> None:
    assert module.get_status()["server"] == module.ntp_clock.ntp_server
    assert (module.now_ms(), module.read()) == (None, None), "the tests' shared clock asks nobody"


def test_a_clock_that_asks_a_server_cannot_be_set_by_hand() -> None:
    ours = set(dir(module.ManualClock)) - set(dir(module.NTPClock))
    assert ours == {"_hand", "set", "advance", "fail"}
    assert module.NTPClock.__module__ == module.ManualClock.__module__ == module.__name__


def source_without_its_native_part(folder: Path) -> Path:
    kept = shutil.ignore_patterns("_native*.so", "_native*.pyd", "__pycache__", "static")
    shutil.copytree(PACKAGE, folder / "portacode", ignore=kept)
    (folder / "pyproject.toml").touch()
    return folder


@pytest.mark.parametrize(
    "imported", ["portacode.utils.ntp_clock", "portacode.replay", "portacode.cli"]
)
def test_a_checkout_that_stands_before_what_is_installed_says_so(
    imported: str, silent: str, tmp_path: Path
) -> None:
    checkout = source_without_its_native_part(tmp_path)
    ran = run_python("-c", f"import {imported}", server=silent, cwd=checkout)
    assert ran.code == 1
    assert "ModuleNotFoundError" not in ran.err
    last_line = ran.err.splitlines()[-1]
    assert last_line.startswith("ImportError: ")
    assert "without its native part, and stands before the installed" in last_line
    assert str(PACKAGE) in last_line
    assert last_line.endswith(f'pip install -e "{checkout}"')


def test_a_checkout_from_which_nothing_was_installed_says_what_to_type(
    silent: str, tmp_path: Path
) -> None:
    checkout = source_without_its_native_part(tmp_path)
    code = "import portacode.utils.ntp_clock"
    # Without what is installed.
    ran = run_python("-S", "-c", code, server=silent, cwd=checkout)
    assert ran.code == 1
    last_line = ran.err.splitlines()[-1]
    assert last_line.endswith(f'compiled when it is installed: pip install -e "{checkout}"')


def test_a_package_without_its_native_part_says_how_to_get_it(silent: str, tmp_path: Path) -> None:
    package = source_without_its_native_part(tmp_path)
    (package / "pyproject.toml").unlink()
    ran = run_python("-S", "-c", "import portacode.cli", server=silent, cwd=package)
    assert ran.err.splitlines()[-1].endswith("pip install --force-reinstall portacode")


def test_everything_public_is_described() -> None:
    for name in module.__all__:
        value = getattr(module, name)
        assert inspect.getdoc(value), name
        # What exceptions have is Python's to describe.
        for member in (m for m in dir(value) if not m.startswith("_") and m not in dir(Exception)):
            assert inspect.getdoc(getattr(type(value), member, getattr(value, member))), member


def test_the_stub_describes_everything_in_the_words_of_the_module() -> None:
    tree = ast.parse((PACKAGE / "_native.pyi").read_text())
    compared = 0
    for described in tree.body:
        if not isinstance(described, ast.ClassDef) or described.name.endswith("Status"):
            continue
        runtime: Any = getattr(_native, described.name)
        assert ast.get_docstring(described) == inspect.getdoc(runtime)
        for member in described.body:
            if isinstance(member, ast.FunctionDef) and not member.name.startswith("__"):
                setter = any(isinstance(d, ast.Attribute) for d in member.decorator_list)
                if not setter:
                    words = inspect.getdoc(getattr(runtime, member.name))
                    assert ast.get_docstring(member) == words, member.name
                    compared += 1
    assert compared > 25


def test_repr_tells_what_a_person_wants_to_know(synced: Any, unsynced: Any) -> None:
    shown = repr(synced)
    assert shown.startswith(f"<NTPClock '{synced.ntp_server}' synchronised: 2")
    assert shown.endswith(" ms>")
    assert " ± " in shown
    assert repr(unsynced) == f"<NTPClock '{unsynced.ntp_server}' unsynchronised: no reading>"
