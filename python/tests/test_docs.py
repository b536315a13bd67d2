"""The Python snippets of README.md and docs/*.md, and of the docstrings: each page runs from top to bottom."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import siltstone

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
#: Whatever is fenced as Python, in any spelling and at any indentation.
FENCE = re.compile(r"^[ \t>]*(?:```+|~~~+)\s*(?:py|python3?|pycon)\b", re.MULTILINE | re.IGNORECASE)
SNIPPET = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def snippets(page: Path) -> list[str]:
    """The snippets of a page, each behind as many empty lines as a traceback needs to be right."""
    text = page.read_text(encoding="utf-8")
    return [
        "\n" * text.count("\n", 0, found.start(1)) + found[1] for found in SNIPPET.finditer(text)
    ]


def modules() -> list[str]:
    """The modules of the package that are Python."""
    folder = Path(siltstone.__file__).parent
    found = pkgutil.walk_packages([str(folder)], "siltstone.")
    return ["siltstone", *(module.name for module in found if module.name != "siltstone._siltstone")]


@pytest.mark.parametrize("name", modules())
def test_the_examples_of_the_docstrings_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Goal: what help() shows works, in every module."""
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert not found.failed


def test_pages_have_snippets() -> None:
    """Goal: a renamed page or another fence does not leave the snippets unread."""
    with_snippets = {page.name for page in PAGES if snippets(page)}
    assert {"README.md", "simulation.md", "format.md", "ticks.md", "series.md"} <= with_snippets
    for page in PAGES:
        fenced = FENCE.findall(page.read_text(encoding="utf-8"))
        assert len(fenced) == len(snippets(page)), f"{page.name}: a fence that no test reads"


@pytest.mark.parametrize(
    "page", [page for page in PAGES if snippets(page)], ids=lambda page: page.name
)
def test_the_snippets_of_a_page_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Goal: what a reader copies works, one snippet after the other, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": page.stem}
    for snippet in snippets(page):
        exec(compile(snippet, page, "exec"), names)
