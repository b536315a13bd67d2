"""The Python snippets of README.md and docs/*.md, and of the docstrings: each page runs from top to bottom."""

import doctest
import importlib
import pkgutil
import re
import shutil
import sqlite3
from pathlib import Path

import pytest

import siltstone

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
#: The files that the shell lines of pages read; databases lie there as SQL. `crates/silt/tests/cli/pages.rs` runs those
#: lines.
INPUTS = ROOT / "tests" / "pages"
#: Whatever is fenced as Python, in any spelling and at any indentation.
FENCE = re.compile(r"^[ \t>]*(?:```+|~~~+)\s*(?:py|python3?|pycon)\b", re.MULTILINE | re.IGNORECASE)
SNIPPET = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def snippets(page: Path) -> list[str]:
    """The snippets of a page, each behind as many empty lines as a traceback needs to be right."""
    text = page.read_text(encoding="utf-8")
    return ["\n" * text.count("\n", 0, found.start(1)) + found[1] for found in SNIPPET.finditer(text)]


def lay_out(folder: Path) -> None:
    """Put the files that pages read into a folder."""
    shutil.copytree(INPUTS, folder, dirs_exist_ok=True)
    for script in sorted(folder.rglob("*.db.sql")):
        db = sqlite3.connect(script.with_suffix(""))
        db.executescript(script.read_text(encoding="utf-8"))
        db.close()
        script.unlink()


def modules() -> list[str]:
    """The modules of the package that are Python."""
    folder = Path(siltstone.__file__).parent
    found = pkgutil.walk_packages([str(folder)], "siltstone.")
    return ["siltstone", *(module.name for module in found if module.name != "siltstone._siltstone")]


@pytest.mark.parametrize("name", modules())
def test_the_examples_of_the_docstrings_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_the_readme_is_short() -> None:
    """Goal: whoever opens the README reads it to the end."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 150


def anchors(page: Path) -> set[str]:
    """What a link into a page may name: its headings, as GitHub makes anchors of them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_headings_that_are_there(page: Path) -> None:
    """Goal: a renamed heading leaves no link that leads to the top of a page."""
    for target, anchor in re.findall(r"\]\(([^)\s#:]*)#([^)\s]+)\)", page.read_text(encoding="utf-8")):
        leads_to = (page.parent / target).resolve() if target else page
        assert anchor in anchors(leads_to), f"{page.name} links to {target}#{anchor}"


#: `test_sqlite_extension.py` runs its snippet, in a Python whose sqlite3 loads extensions.
ELSEWHERE = {"sqlite-extension.md"}


@pytest.mark.parametrize(
    "page", [page for page in PAGES if snippets(page) and page.name not in ELSEWHERE], ids=lambda page: page.name
)
def test_the_snippets_of_a_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Goal: what a reader copies works, one snippet after the other, in an empty folder; where a page has shell lines,
    on their inputs.
    """
    if page.parent != ROOT and "\n```sh\n" in page.read_text(encoding="utf-8"):
        lay_out(tmp_path)
    monkeypatch.chdir(tmp_path)
    for _ in range(2 if page.parent == ROOT else 1):  # whoever tries the README again has its file there
        names: dict[str, object] = {"__name__": page.stem}
        for snippet in snippets(page):
            exec(compile(snippet, page, "exec"), names)
