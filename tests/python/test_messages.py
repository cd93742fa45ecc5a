"""Keeps `docs/messages` up to date: what the package, the server and the tools can show to anybody.

Every text of at least two words counts, so that no message is missed because it is made in another
way. `xtask/src/messages.rs` and `js/test/messages.test.mjs` do the same for the other languages.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("component", "folders", "ending"),
    [
        ("python", ["portacode"], ".py"),
        ("server", ["server/portacode_django"], ".py"),
        ("tools", ["tools"], ".py"),
        ("pages", ["js/page", "server/portacode_django"], ".html"),
    ],
)
def test_the_lists_of_messages_are_those_of_the_code(
    component: str, folders: list[str], ending: str
) -> None:
    read = _of_python if ending == ".py" else _of_html
    lines = [f"Messages of {' and '.join(folders)}. A test writes this file from the code."]
    for path in sorted(path for folder in folders for path in (ROOT / folder).rglob(f"*{ending}")):
        messages = [text for text in read(path.read_text()) if _has_words(text)]
        if messages and "node_modules" not in path.parts:
            lines += ["", str(path.relative_to(ROOT))]
            lines += [f"    {line}".rstrip() for text in messages for line in text.splitlines()]
    listed = ROOT / "docs/messages" / f"{component}.txt"
    text = "\n".join([*lines, ""])
    before = listed.read_text() if listed.exists() else ""
    listed.write_text(text)
    assert before == text, f"{listed} is written again: read what changed, and commit it"


def _has_words(text: str) -> bool:
    return len([word for word in text.split() if len(re.findall(r"[^\W\d_]", word)) > 1]) > 1


def _of_python(code: str) -> Iterator[str]:
    tree = ast.parse(code)
    yield from _texts(tree)


def _texts(node: ast.AST) -> Iterator[str]:
    """In the order of the code, without docstrings."""
    if isinstance(node, ast.JoinedStr):
        yield "".join(
            str(part.value) if isinstance(part, ast.Constant) else "{…}" for part in node.values
        )
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    else:
        for child in ast.iter_child_nodes(node):
            yield from _texts(child)


def _of_html(code: str) -> Iterator[str]:
    page = _Page()
    page.feed(re.sub(r"{#.*?#}|{%.*?%}", "", code, flags=re.DOTALL))
    return iter(page.texts)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        shown = ("aria-label", "title", "placeholder", "alt", "content")
        self.texts += [value for name, value in attrs if name in shown and value]

    def handle_data(self, data: str) -> None:
        if self._inside not in ("script", "style"):
            self.texts.append(" ".join(data.split()))

    def handle_endtag(self, _tag: str) -> None:
        self._inside = ""
