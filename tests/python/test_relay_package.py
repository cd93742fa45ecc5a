"""The package as others install it: the wheel alone has to make a Django application."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from servers import project_environment
from support import PACKAGE, ROOT

CODE = """
import sys
sys.path.insert(0, {wheel!r})
import django, portacode
assert portacode.__file__.startswith({wheel!r}), portacode.__file__
django.setup()
from django.core.management import call_command
call_command("check", fail_level="WARNING")
call_command("collectstatic", interactive=False, verbosity=0)
from django.template import engines
print(engines["django"].from_string("{{% load ntp_clock %}}{{% ntp_clock_url %}}").render())
from django.test import Client
print(Client().get("/clock/?request_id=a7").status_code)
"""


def wheels(folder: Path) -> Path:
    """A folder with the wheel: what `cargo xtask test` has built, or else a new one."""
    if built := os.environ.get("PORTACODE_WHEELS"):
        return Path(built)
    pytest.importorskip("maturin", reason="no maturin: pip install maturin")
    ran = subprocess.run(
        [sys.executable, "-m", "maturin", "build", "--out", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return folder


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_wheel_brings_all_that_django_needs(tmp_path: Path) -> None:
    (wheel,) = wheels(tmp_path).glob("*.whl")
    unpacked = tmp_path / "wheel"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    names = {path.relative_to(unpacked / "portacode") for path in unpacked.rglob("*.*")
             if path.is_relative_to(unpacked / "portacode")}  # fmt: skip
    for folder in ("relay", "templatetags", "static"):
        for path in (PACKAGE / folder).rglob("*.*"):
            if path.suffix != ".pyc":
                assert path.relative_to(PACKAGE) in names
    static_root = tmp_path / "static"
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", CODE.format(wheel=str(unpacked))],
        env=project_environment(
            "127.0.0.1:1",
            INSTALLED_APPS=["django.contrib.staticfiles", "portacode"],
            STATIC_ROOT=str(static_root),
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-2:] == ["/static/js/utils/ntp-clock.js", "503"]
    assert "Service Unavailable" not in ran.stderr, "the clock has logged it itself"
    module = static_root / "js" / "utils" / "ntp-clock.js"
    assert module.read_bytes() == (PACKAGE / "static/js/utils/ntp-clock.js").read_bytes()
    assert (static_root / "js" / "test-ntp-clock.html").is_file()
