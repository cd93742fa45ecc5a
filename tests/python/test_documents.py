"""What the documents say works: every code block in them is run."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from documents import Runner, Section, all_sections, sections_of
from support import ROOT

if TYPE_CHECKING:
    from pathlib import Path

RUN = [
    "README.md",
    "docs/DEVICE.md",
    "docs/INTEGRATION.md",
    "docs/OPERATIONS.md",
    "docs/THREATS.md",
]
PLACES = ["*.md", "docs/**/*.md", "[a-z]*/README.md", "[a-z]*/*/README.md"]
ALL = sorted({str(path.relative_to(ROOT)) for place in PLACES for path in ROOT.glob(place)})


def sections() -> list[Any]:
    """All that have code; Rust's first block compiles what it depends on."""
    slow = [pytest.mark.slow]
    return [
        pytest.param(section, id=str(section), marks=slow if section.is_rust else [])
        for section in all_sections(RUN)
    ]


@pytest.mark.timeout(700)
@pytest.mark.parametrize("section", sections())
def test_the_blocks_of_each_section_run(section: Section, tmp_path: Path, time_server: str) -> None:
    Runner(section, tmp_path, time_server).run()


@pytest.mark.parametrize("document", sorted(set(ALL) - set(RUN)))
def test_json_in_other_documents_is_json(document: str) -> None:
    for section in sections_of(document):
        for block in section.blocks:
            if block.language == "json":
                # Some show one message a line.
                try:
                    json.loads(block.code)
                except ValueError:
                    for line in block.code.splitlines():
                        json.loads(line)


@pytest.mark.parametrize("document", ALL)
def test_links_between_documents_lead_somewhere(document: str) -> None:
    text = re.sub(r"```.*?```", "", (ROOT / document).read_text(), flags=re.DOTALL)
    pictures = re.findall(r'(?:src|srcset)="([^"]+)"', text)
    for link in [*re.findall(r"\]\(([^)\s]+)\)", text), *pictures]:
        if link.startswith(("http:", "https:", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / document).parent / path if path else ROOT / document
        assert target.exists(), f"{link} in {document}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), flags=re.MULTILINE)
            assert anchor in {anchor_of(heading) for heading in headings}, f"{link} in {document}"


def test_the_table_of_settings_has_every_variable_and_its_number() -> None:
    table = (ROOT / "docs" / "OPERATIONS.md").read_text().split("## Settings")[1]
    source = (ROOT / "server/portacode_django/config/settings.py").read_text()
    settings = re.findall(r'(?:number|rate|flag|names)\("([A-Z_]+)", ("?[^,)]*"?)', source)
    settings += [(name, "") for name in re.findall(r'environ\.get\("([A-Z_]+)"', source)]
    assert len(settings) > 15
    for name, default in settings:
        row = next((row for row in table.splitlines() if f"`{name}`" in row), None)
        assert row is not None, f"docs/OPERATIONS.md has no {name}"
        if default.strip('"')[:1].isdigit():
            number = default.strip('"').replace("_", "")
            assert number in re.split(r"[`, |]+", row), f"{name} is {number} by itself"


def anchor_of(heading: str) -> str:
    """As GitHub makes it."""
    kept = re.sub(r"[^\w\- ]", "", heading.lower())
    return kept.strip().replace(" ", "-")
