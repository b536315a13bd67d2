"""Pictures of the pages, held against those that are kept in `pictures`: `make references` renews them.

Compared are means of blocks of pixels, without texts: of a page those of its cards, lines, curves, buttons and colours.
Where the fonts of the machine have other widths than those of the pictures, everything stands elsewhere, and nothing is
compared.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import Page, expect
from viewing import Serve, at, watched

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FOLDER = Path(__file__).parent / "pictures"
#: `write` renews what is kept.
IS_WRITING = os.environ.get("SILTSTONE_REFERENCES") == "write"
#: Pixels of a block in each direction, and how far its mean may be off, of 255.
BLOCK = 4
TOLERANCE = 20
#: The share of blocks that may be further off: curves and edges that a rasterizer rounds otherwise.
MOST = 0.004
#: Pixels of a text by which fonts are told apart.
NEAR = 0.5

#: No text is seen, nor what tells the time.
WITHOUT_TEXTS = """() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(`* { color: transparent !important; -webkit-text-fill-color: transparent !important;
        caret-color: transparent !important; transition: none !important; } #live { visibility: hidden; }`);
    document.adoptedStyleSheets = [sheet];
}"""
WIDTH_OF_TEXT = """() => {
    const ctx = document.createElement("canvas").getContext("2d");
    const wide = (font) => {
        ctx.font = font;
        return ctx.measureText("Runs 0123456789 of the sweep, params.growth >= 0.06").width;
    };
    return [wide(`14px ${getComputedStyle(document.body).fontFamily}`), wide("13px monospace")];
}"""
#: The means of blocks as a PNG; and, held against another one, the share of blocks that differ and where they are.
BLOCKS = """async ([taken, kept, block, tolerance]) => {
    const pixels = async (text) => {
        const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
        const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
        const { width, height } = image;
        const ctx = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
        ctx.drawImage(image, 0, 0);
        return ctx.getImageData(0, 0, image.width, image.height);
    };
    const png = ({ data, width, height }) => {
        const canvas = Object.assign(document.createElement("canvas"), { width, height });
        canvas.getContext("2d").putImageData(new ImageData(data, width, height), 0, 0);
        return canvas.toDataURL("image/png").split(",")[1];
    };
    const from = await pixels(taken);
    const [width, height] = [Math.floor(from.width / block), Math.floor(from.height / block)];
    const means = new ImageData(width, height);
    for (let y = 0; y < height; y += 1) for (let x = 0; x < width; x += 1) for (let k = 0; k < 4; k += 1) {
        let sum = 0;
        for (let j = y * block; j < (y + 1) * block; j += 1) {
            for (let i = x * block; i < (x + 1) * block; i += 1) sum += from.data[4 * (j * from.width + i) + k];
        }
        means.data[4 * (y * width + x) + k] = Math.round(sum / block ** 2);
    }
    if (kept === null) return { png: png(means) };
    const known = await pixels(kept);
    if (known.width !== width || known.height !== height) return { png: png(means), share: 1, differing: png(means) };
    const differing = new ImageData(width, height);
    let n = 0;
    for (let i = 0; i < means.data.length; i += 4) {
        const differs = [0, 1, 2].some((k) => Math.abs(means.data[i + k] - known.data[i + k]) > tolerance);
        n += differs;
        differing.data.set(differs ? [255, 0, 0, 255] : [...means.data.subarray(i, i + 3), 90], i);
    }
    return { png: png(means), share: n / (width * height), differing: png(differing) };
}"""


def runs(page: Page) -> None:
    page.wait_for_selector(".chart[data-ready]")
    expect(page.locator(".spark path")).to_have_count(6)


def curves(page: Page) -> None:
    expect(page.locator(".curve .chart[data-ready]")).to_have_count(5)


def chart(page: Page) -> None:
    page.wait_for_selector(".chart[data-ready]")


def marked(page: Page) -> None:
    expect(page.locator(".picture[data-marked]")).to_have_count(1)


def plane(page: Page) -> None:
    page.wait_for_selector(".plane[data-ready]")


SERIES = "demo plant/ammonium#1/RAW#1"
PAGES: dict[str, tuple[str, str, dict[str, Any], Callable[[Page], None]]] = {
    "overview": ("demo-sweep.db", "/", {}, lambda page: None),
    "runs": ("demo-sweep.db", "/runs", {"s": ["foragers_1", "foragers_5"], "by": "params.growth"}, runs),
    "run": ("demo-sweep.db", "/runs", {"run": "foragers_3"}, curves),
    "series": ("demo.db", "/series", {"s": SERIES}, chart),
    "market": ("demo-ticks", "/market", {"s": "EURUSD"}, marked),
    "simulation": ("demo.db", "/simulation", {"t": 40, "table": 0}, plane),
}


@pytest.fixture
def shots(browser: Browser) -> Iterator[Callable[[int, str], Page]]:
    """Pages of a width and a scheme of colours."""
    contexts = []

    def make(width: int, scheme: str) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        contexts.append((context, watched(context, "GPU stall due to ReadPixels")))
        return next(contexts[-1][1])

    yield make
    for context, page in contexts:
        next(page, None)
        context.close()


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_page_looks_as_it_did(
    shots: Callable[[int, str], Page], serve: Serve, demo: Path, tmp_path: Path, name: str, width: int, scheme: str
) -> None:
    """Goal: a page that looks otherwise than the picture that is kept of it is noticed."""
    file, path, parameters, prepare = PAGES[name]
    page = shots(width, scheme)
    page.goto(at(serve(demo / file), path, **parameters))
    page.wait_for_selector(f"html[data-ready='{path}']")
    prepare(page)
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement?.blur(); scrollTo(0, 0)")
    widths = page.evaluate(WIDTH_OF_TEXT)
    kept, about = FOLDER / f"{name}-{width}-{scheme}.png", FOLDER / "fonts.json"
    if not IS_WRITING:
        known = json.loads(about.read_text())["widths"]
        if any(abs(a - b) > NEAR for a, b in zip(widths, known, strict=True)):
            pytest.skip(f"the fonts here are others than those of the pictures ({widths} pixels, not {known})")
    page.evaluate(WITHOUT_TEXTS)
    taken = base64.b64encode(page.screenshot(animations="disabled")).decode()
    blank = page.context.new_page()
    against = None if IS_WRITING else base64.b64encode(kept.read_bytes()).decode()
    found = blank.evaluate(BLOCKS, [taken, against, BLOCK, TOLERANCE])
    if IS_WRITING:
        FOLDER.mkdir(exist_ok=True)
        kept.write_bytes(base64.b64decode(found["png"]))
        about.write_text(json.dumps({"widths": widths}) + "\n")
        return
    for what in ("png", "differing"):
        (tmp_path / f"{what}.png").write_bytes(base64.b64decode(found[what]))
    (tmp_path / "taken.png").write_bytes(base64.b64decode(taken))
    assert found["share"] <= MOST, f"{found['share']:.2%} of the blocks differ from {kept.name}: see {tmp_path}"
