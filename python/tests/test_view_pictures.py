"""The pictures of the README and of docs/viewer.md, of the demo's data: `make pictures` writes them anew."""

import os
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import Browser, Page, expect
from viewing import Serve, at

#: Where they go; unset, they are only taken and looked at.
FOLDER = os.environ.get("SILTSTONE_PICTURES")
#: The most bytes of one.
MOST = 150_000


def runs(page: Page) -> None:
    page.get_by_label("foragers_1").check()
    page.get_by_label("foragers_5").check()
    expect(page.locator(".chart[data-ready]")).to_have_count(1)
    expect(page.locator(".spark path")).to_have_count(6)


def market(page: Page) -> None:
    expect(page.locator(".picture[data-marked]")).to_have_count(1)


def series(page: Page) -> None:
    page.wait_for_selector(".chart[data-ready]")
    expect(page.locator(".graph .step")).to_have_count(2)


KEYS = ["demo plant/ammonium#1/RAW#1", "demo plant/ammonium#1/LIN-INT#1"]


@pytest.mark.parametrize(
    ("name", "file", "path", "parameters", "height", "scheme", "prepare"),
    [
        ("runs", "demo-sweep.db", "/runs", {"metric": "total_agents"}, 752, "light", runs),
        ("market", "demo-ticks", "/market", {"s": "EURUSD"}, 632, "dark", market),
        ("series", "demo.db", "/series", {"s": KEYS}, 1200, "light", series),
    ],
)
def test_a_picture_is_made(
    browser: Browser,
    serve: Serve,
    demo: Path,
    tmp_path: Path,
    name: str,
    file: str,
    path: str,
    parameters: dict,
    height: int,
    scheme: str,
    prepare,
) -> None:
    """Goal: each page is complete within a screen of 1,280 pixels, and its picture small enough for a README."""
    context = browser.new_context(viewport={"width": 1280, "height": height}, color_scheme=scheme)
    page = context.new_page()
    page.goto(at(serve(demo / file), path, **parameters))
    page.wait_for_selector(f"html[data-ready='{path}']")
    prepare(page)
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement?.blur(); scrollTo(0, 0)")
    expect(page.locator("#trouble")).to_be_hidden()
    folder = Path(FOLDER) if FOLDER else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"{name}.png"
    page.screenshot(path=made)
    context.close()
    size = made.stat().st_size
    assert 20_000 < size < MOST, f"{size} bytes"
    head = made.read_bytes()[16:24]
    assert (int.from_bytes(head[:4], "big"), int.from_bytes(head[4:], "big")) == (1280, height)
