"""The Python snippets of README.md and docs/*.md: each page runs from top to bottom."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SNIPPET = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def snippets(page: Path) -> list[str]:
    """The snippets of a page, each behind as many empty lines as a traceback needs to be right."""
    text = page.read_text(encoding="utf-8")
    return [
        "\n" * text.count("\n", 0, found.start(1)) + found[1] for found in SNIPPET.finditer(text)
    ]


def test_pages_have_snippets() -> None:
    """Goal: a renamed page or another fence does not leave the snippets unread."""
    with_snippets = {page.name for page in PAGES if snippets(page)}
    assert {"README.md", "simulation.md", "format.md", "ticks.md", "series.md"} <= with_snippets


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
