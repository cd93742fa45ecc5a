"""The code blocks of the documents, run as a reader would run them.

Blocks under one heading belong together: they run in order, in a folder of their own. What a block
is, stands behind its fence, first the language, then words of ours, which GitHub does not show:

    ```python                 a program, run
    ```python file=app.py     a file of the folder, which its first line names in a comment
    ```c file=app.c           the same, built and run by crates/ntp-clock-c/tests/programs.rs
    ```sh                     commands, run by bash, which ends at the first that fails
    ```sh serve=8000          commands that serve on this port: started, and ended at the end
    ```sh until="ready"       the same, until a line of its output has this
    ```sh named               commands that take too long or go too far: each must exist
    ```javascript             a module, run by Node
    ```rust                   a program, or statements of one; compiled and run
    ```html                   a template of Django's, rendered where the relay's URLs are
    ```... needs=chromium     skipped where that program is missing
    ```text output            what the block before must have printed; digits stand for digits
    ```text                   no code
    ```json                   parsed

Where a document says 8000, a free port is used. A program that prints None has failed: it had no
time to tell. Installers install nothing, but fail where what they are asked for is not there.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest
from ports import free_port
from support import ROOT, environment, eventually

if TYPE_CHECKING:
    from pathlib import Path

FENCE = "```"
COMPILED = ROOT / "target" / "documents"


class Block(NamedTuple):
    """One fenced block."""

    line: int
    language: str
    words: dict[str, str]
    code: str


class Section(NamedTuple):
    """The blocks under one heading."""

    document: str
    heading: str
    blocks: list[Block]

    @property
    def is_rust(self) -> bool:
        return any(block.language == "rust" for block in self.blocks)

    def __str__(self) -> str:
        """As the test's id."""
        return f"{self.document}: {self.heading}"


def sections_of(document: str) -> list[Section]:
    """The sections that have code, by headings of the second level."""
    heading, blocks, found = "", list[Block](), list[Section]()
    lines = iter(enumerate((ROOT / document).read_text().splitlines(), start=1))
    for number, line in lines:
        if line.startswith("## "):
            heading, blocks = line[3:], []
        elif line.startswith(FENCE):
            language, *words = shlex.split(line[len(FENCE) :]) or [""]
            code = []
            for _, inside in lines:
                if inside.startswith(FENCE):
                    break
                code.append(f"{inside}\n")
            else:
                raise AssertionError(f"{document}: the block of line {number} does not end")
            if not blocks:
                found.append(Section(document, heading, blocks))
            options = dict(word.partition("=")[::2] for word in words)
            blocks.append(Block(number + 1, language, options, "".join(code)))
    return found


class Runner:
    """Runs a section's blocks."""

    def __init__(self, section: Section, folder: Path, server: str) -> None:
        self._section = section
        self._folder = folder
        self._printed = ""
        self._served: list[subprocess.Popen[bytes]] = []
        self._ports: dict[str, int] = {}
        stand_ins(folder / ".bin")
        # The checkout, as the documents call it.
        (folder / "ntp-clock").symlink_to(ROOT)
        places = [str(folder / ".bin"), os.path.dirname(sys.executable), os.environ["PATH"]]
        path = os.pathsep.join([*places, "/usr/sbin"])
        self._environment = {
            **environment(server),
            "PATH": path,
            "PYTHONPATH": str(folder),
            "PYTHONUNBUFFERED": "1",
            # What this project has fetched is not fetched again; its own target directory may be
            # locked for minutes by what is being compiled.
            "CARGO_TARGET_DIR": str(COMPILED),
            "CARGO_NET_OFFLINE": "true",
            # Nobody debugs what is compiled here, or changes it.
            "CARGO_PROFILE_DEV_DEBUG": "0",
            "CARGO_INCREMENTAL": "0",
        }

    def run(self) -> None:
        """All blocks, in order."""
        for block in self._section.blocks:
            needed = block.words.get("needs", "curl" if "curl " in block.code else "bash")
            if shutil.which(needed, path=self._environment["PATH"]) is None:
                pytest.skip(f"no {needed}: apt-get install {PACKAGES.get(needed, needed)}")
        try:
            for block in self._section.blocks:
                try:
                    self._run(block)
                except AssertionError as error:
                    where = f"{self._section.document}, line {block.line}"
                    raise AssertionError(f"{where}: {error}") from None
        finally:
            for process in reversed(self._served):
                end(process)

    def _run(self, block: Block) -> None:
        code = self._with_free_ports(block.code)
        words = block.words
        if "file" in words:
            path = self._folder / words["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(code)
            # Readers do not see what stands behind the fence.
            assert words["file"] in code.splitlines()[0], "the first line does not name the file"
            if path.suffix == ".py":
                compile(code, path.name, "exec")
            if path.name == "Cargo.toml":
                shutil.copy(ROOT / "Cargo.lock", path.parent)
        elif block.language == "text":
            if "output" in words:
                assert pattern_of(code.rstrip("\n")).fullmatch(self._printed.rstrip("\n")), (
                    f"printed\n{self._printed}\nand the document says\n{code}"
                )
        elif block.language == "json":
            json.loads(code)
        elif block.language == "sh" and "named" in words:
            check_names(code)
        elif block.language == "sh" and ("serve" in words or "until" in words):
            self._serve(code, words)
        elif block.language == "sh":
            self._finish(["bash", "-euo", "pipefail", "-c", code])
        elif block.language == "python":
            self._finish(self._script(block, code))
            self._check_options()
        elif block.language == "javascript":
            self._finish([*node(self._folder), self._module(block, code)])
        elif block.language == "rust":
            self._finish(self._compiled(block, code))
            self._check_options()
        elif block.language == "html":
            (self._folder / "page.html").write_text(code)
            self._finish(self._script(block, RENDER))
            assert self._printed.strip()
        else:
            raise AssertionError(f"a block of {block.language!r} has no way to be run")

    def _script(self, block: Block, code: str) -> list[str]:
        script = self._folder / f"block{block.line}.py"
        script.write_text(code)
        return [sys.executable, str(script)]

    def _check_options(self) -> None:
        assert self._printed.strip(), "it printed nothing"
        assert "None" not in self._printed, f"it had no time:\n{self._printed}"

    def _finish(self, command: list[str]) -> None:
        ran = subprocess.run(
            command,
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        self._printed = ran.stdout
        assert ran.returncode == 0, f"status {ran.returncode}\n{ran.stdout}\n{ran.stderr}"

    def _serve(self, code: str, words: dict[str, str]) -> None:
        log = self._folder / f"served{len(self._served)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", code],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self._served.append(process)

        def ready() -> bool:
            if process.poll() is not None:
                raise AssertionError(f"it ended by itself:\n{log.read_text()}")
            if "until" in words:
                return words["until"] in log.read_text()
            return answers(self._ports.get(words["serve"], int(words["serve"])))

        assert eventually(ready), f"nothing answers:\n{log.read_text()}"

    def _with_free_ports(self, code: str) -> str:
        def free(found: re.Match[str]) -> str:
            port = found[0]
            if port not in self._ports:
                self._ports[port] = free_port()
            return str(self._ports[port])

        return re.sub(r"\b80[0-9]{2}\b", free, code)

    def _module(self, block: Block, code: str) -> str:
        # What Django serves under this path.
        module = (ROOT / "portacode/static/js/utils/ntp-clock.js").as_uri()
        code = code.replace("'/static/js/utils/ntp-clock.js'", f"'{module}'")
        script = self._folder / f"block{block.line}.mjs"
        script.write_text(code)
        return str(script)

    def _compiled(self, block: Block, code: str) -> list[str]:
        if shutil.which("cargo") is None:
            pytest.skip("no cargo: https://rustup.rs")
        if "fn main()" not in code:
            code = f"fn main() {{\n{code}}}\n"
        name = f"block{block.line}"
        project = self._folder / name
        (project / "src").mkdir(parents=True)
        (project / "src" / "main.rs").write_text(code)
        clock = ROOT / "crates" / "ntp-clock"
        manifest = f'[package]\nname = "{name}"\nedition = "2024"\n[workspace]\n'
        manifest += f'[dependencies]\nntp-clock = {{ path = "{clock}" }}\n'
        (project / "Cargo.toml").write_text(manifest)
        shutil.copy(ROOT / "Cargo.lock", project)
        built = subprocess.run(
            ["cargo", "build", "--quiet"],
            cwd=project,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert built.returncode == 0, built.stderr
        return [str(COMPILED / "debug" / name)]


def pattern_of(output: str) -> re.Pattern[str]:
    """The output with other digits, as many or few as there are."""
    parts = re.split(r"\d+", output)
    return re.compile(r"\d+".join(re.escape(part) for part in parts))


def node(folder: Path) -> list[str]:
    """Node, from its twentieth version on."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("no node: apt-get install nodejs")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True)
    if int(version.stdout.strip().lstrip("v").split(".")[0]) < 20:
        pytest.skip(f"node is {version.stdout.strip()}, and 20 is needed")
    assert folder.exists()
    return [found]


def check_names(code: str) -> None:
    """Each command is there, with its subcommand."""
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and "=" in words[0]:
            words.pop(0)
        if not words:
            continue
        if words[:2] == ["cargo", "xtask"]:
            source = (ROOT / "xtask" / "src" / "main.rs").read_text().lower()
            assert re.search(rf"\b{words[2]}\b", source), f"xtask has no {words[2]!r}"
        elif words[:2] == ["cargo", "install"]:
            assert (ROOT / words[words.index("--path") + 1] / "Cargo.toml").exists(), line
        elif words[0] in MODULES:
            ran = subprocess.run(
                [sys.executable, "-m", MODULES[words[0]], words[1], "--help"],
                capture_output=True,
                text=True,
                check=False,
            )
            assert ran.returncode == 0, line
            unknown = {word for word in words if word.startswith("--")} - {*ran.stdout.split()}
            assert not unknown, line
        elif words[0].startswith((".", "docs/", "tools/")):
            assert (ROOT / words[0]).exists(), line
        else:
            assert shutil.which(words[0]), f"there is no {words[0]!r}"


def stand_ins(folder: Path) -> None:
    """Installers that install nothing, but fail where what they are asked for is not there."""
    folder.mkdir()
    for name in ("pip", "apt-get"):
        script = folder / name
        script.write_text(f"#!{sys.executable}\n{INSTALLER}")
        script.chmod(0o755)
    # Where the package is installed in place, commands that are newer than that have no script.
    command = folder / "portacode"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m portacode.connection.command "$@"\n')
    command.chmod(0o755)


def answers(port: int) -> bool:
    """Whether somebody listens."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends what a block has started, with all that it started."""
    import signal

    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(timeout=10)
        except ProcessLookupError:
            process.wait(timeout=10)
            return
        except subprocess.TimeoutExpired:
            continue
        time.sleep(0.05)


MODULES = {"ntp-clock": "portacode.cli", "portacode": "portacode.connection.command"}
PACKAGES = {"chronyd": "chrony"}

RENDER = """
import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["portacode"],
    ROOT_URLCONF=__name__,
    STATIC_URL="/static/",
    ALLOWED_HOSTS=["*"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": ["."]}],
)
django.setup()
from django.template.loader import render_to_string
from django.test import RequestFactory
from django.urls import include, path

urlpatterns = [path("clock/", include("portacode.relay.urls"))]
print(render_to_string("page.html", request=RequestFactory().get("/")))
"""

INSTALLER = f"""
import importlib.metadata as metadata, os, re, sys, tomllib
root = {str(ROOT)!r}
tool = os.path.basename(sys.argv[0])
verb, *wanted = sys.argv[1:]
assert verb == "install", sys.argv
for before, each in zip(["", *wanted], wanted):
    if before == "-r":
        with open(each) as file:
            for line in file:
                metadata.distribution(re.match(r"[\\w.-]+", line)[0])
    if each.startswith("-") or before == "-r":
        continue
    if tool == "pip":
        name, extras = re.fullmatch(r"([\\w./-]+)(?:\\[([\\w,-]+)\\])?", each).groups()
        if name in {{".", "./ntp-clock"}}:
            name = "portacode"
        metadata.distribution(name)
        if name == "portacode":
            with open(os.path.join(root, "pyproject.toml"), "rb") as file:
                known = tomllib.load(file)["project"]["optional-dependencies"]
            assert set((extras or "").split(",")) - {{""}} <= set(known), each
"""


def all_sections(documents: list[str]) -> list[Section]:
    """Those of all documents."""
    return [section for document in documents for section in sections_of(document)]
