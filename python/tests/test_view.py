"""The page of `silt view`, in Debian's Chromium."""

import itertools
import re
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import pytest

import siltstone

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import Browser, Page, Route, expect
from viewing import DAY_NS, HOSTILE, START_NS, Serve, at, drawn, points


@pytest.fixture
def plant(path: Path) -> Path:
    """Two series: one of 200,000 points with a gap and a spike of one point, one whose name is hostile."""
    times = START_NS + np.arange(200_000) * (14 * DAY_NS // 200_000)
    values = np.cumsum(np.random.default_rng(1).normal(size=200_000))
    values[50_000:60_000] = np.nan
    values[123_456] = 5_000.0
    with siltstone.open(path) as db:
        db.series.save(points(times, values), "flow")
        db.series.save(points(times[:1000], values[:1000]), HOSTILE)
    return path


@pytest.mark.parametrize("name", ["demo.db", "demo-sweep.db", "demo-agent.db", "demo-ticks"])
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_every_page_of_the_demo_shows_what_there_is(
    browser: Browser, serve: Serve, demo: Path, name: str, width: int, scheme: str
) -> None:
    """Goal: each page that is linked has content, fits the width, takes on the colours, and fails nowhere."""
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    trouble: list[str] = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda said: trouble.append(said.text) if said.type in ("error", "warning") else None)
    address = serve(demo / name)
    page.goto(address)
    page.wait_for_selector("html[data-ready='/']")
    names = page.locator("#pages a").all_inner_texts()
    assert names[0] == "Overview"
    assert names[-1] == "SQL"
    for link in names:
        page.locator("#pages a", has_text=link).click()
        path = "/" if link == "Overview" else f"/{link.lower()}"
        page.wait_for_selector(f"html[data-ready='{path}']")
        assert len(page.locator("#page").text_content() or "") > 40
        assert page.locator("#trouble").is_hidden()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{link} is too wide"
    red, green, blue = map(
        int, re.findall(r"\d+", page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))[:3]
    )
    assert (red + green + blue < 200) == (scheme == "dark")
    context.close()
    # Without a graphics card Chromium says that WebGL is slow.
    assert [line for line in trouble if "GPU stall due to ReadPixels" not in line] == []


def test_a_drag_zooms_and_a_link_brings_the_view_back(page: Page, serve: Serve, plant: Path) -> None:
    """Goal: the state is in the address, and the window says how much of it is drawn."""
    address = serve(plant)
    page.goto(at(address, "/series", s="flow"))
    drawn(page)
    assert "#token" not in page.url
    said = page.locator(".picture .said")
    expect(said).to_contain_text("points, min and max kept")
    box = page.locator(".chart .u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.700, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.702, box["y"] + 100, steps=4)
    page.mouse.move(box["x"] + box["width"] * 0.71, box["y"] + 100, steps=4)
    page.mouse.up()
    expect(said).to_have_text("exact")
    assert "from=" in page.url
    shown = page.locator("tbody tr").first.inner_text()
    page.goto(page.url)
    drawn(page)
    expect(said).to_have_text("exact")
    assert page.locator("tbody tr").first.inner_text() == shown
    page.locator(".chart").press("0")
    expect(said).to_contain_text("points, min and max kept")
    assert "from=" not in page.url


def test_a_reduced_picture_is_the_picture_of_all_points(page: Page, serve: Serve, plant: Path) -> None:
    """Goal: the points that the server keeps fill the pixels that all 200,000 fill."""
    page.goto(at(serve(plant), "/series", s="flow"))
    drawn(page)
    differing, inked = page.evaluate(
        """async () => {
            const { table } = await import("/api.js");
            const [width, height] = [900, 300];
            const picture = async (parameters) => {
                const { columns } = await table("series/window", { key: "flow", ...parameters });
                const [times, values] = Object.values(columns);
                const xs = times.map((ns) => Number(BigInt(ns) - BigInt(times[0])));
                const ctx = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
                let pen = "moveTo";
                xs.forEach((x, i) => {
                    const y = values[i];
                    if (y === null || Number.isNaN(y)) {
                        pen = "moveTo";
                        return;
                    }
                    ctx[pen](Math.round((x / xs[xs.length - 1]) * width), Math.round((1 - (y + 1000) / 2000) * height));
                    pen = "lineTo";
                });
                ctx.lineWidth = 2; // of thinner lines each segment is blended with those under it
                ctx.stroke();
                return ctx.getImageData(0, 0, width, height).data;
            };
            const [all, few] = [await picture({}), await picture({ width })];
            let [differing, inked] = [0, 0];
            for (let i = 3; i < all.length; i += 4) {
                inked += all[i] > 0;
                differing += Math.abs(all[i] - few[i]) > 32;
            }
            return [differing, inked];
        }"""
    )
    assert inked > 2_000
    assert differing <= inked * 0.005, f"{differing} of {inked} pixels differ"


def test_what_is_written_shows_without_a_click(page: Page, serve: Serve, plant: Path) -> None:
    """Goal: a page that is open follows a writer, on the overview and in a picture."""
    address = serve(plant)
    page.goto(address)
    page.wait_for_selector("html[data-ready]")
    expect(page.locator(".tiles")).to_contain_text("201,000")
    page.goto(at(address, "/series", s="flow"))
    drawn(page)
    expect(page.locator("tbody tr").first).to_contain_text("200,000")
    with siltstone.open(plant) as db:
        db.series.append("flow", points(np.array([START_NS + 15 * DAY_NS]), np.array([1.0])))
        expect(page.locator("tbody tr").first).to_contain_text("200,001", timeout=10_000)
        page.locator("#pages a", has_text="Overview").click()
        expect(page.locator(".tiles")).to_contain_text("201,001")


def test_an_overview_that_takes_long_is_read_seldom(page: Page, serve: Serve, plant: Path) -> None:
    """Goal: while a writer goes on, the overview of a large file takes a tenth of the time, and ends up to date."""
    asked = []

    def late(route: Route) -> None:
        asked.append(time.monotonic())
        time.sleep(0.5)
        route.continue_()

    page.route("**/api/overview", late)
    page.goto(serve(plant))
    page.wait_for_selector("html[data-ready]")
    with siltstone.open(plant) as db:
        for n in range(8):
            db.series.append("flow", points(np.array([START_NS + (15 + n) * DAY_NS]), np.array([1.0])))
            page.wait_for_timeout(1_000)
        expect(page.locator(".tiles")).to_contain_text("201,008", timeout=15_000)
    assert 2 <= len(asked) <= 4
    assert all(b - a > 5 for a, b in itertools.pairwise(asked))


def test_names_are_text(page: Page, serve: Serve, plant: Path) -> None:
    """Goal: a series that is called as markup is shown as that on the pages that name it, and runs nothing."""
    address = serve(plant)
    for path, parameters in [("/", {}), ("/series", {"s": HOSTILE}), ("/sql", {"q": "SELECT key FROM series"})]:
        page.goto(at(address, path, **parameters))
        page.wait_for_selector("html[data-ready]")
        if path == "/sql":
            # A link alone runs nothing.
            expect(page.locator("textarea")).to_have_value(parameters["q"])
            expect(page.locator(".grid")).to_have_count(0)
            page.get_by_role("button", name="Run", exact=True).click()
        expect(page.locator("#page")).to_contain_text(HOSTILE)
        assert page.locator("img").count() == 0
        assert page.evaluate("window.ran") is None


def test_candles_become_ticks(page: Page, serve: Serve, demo: Path) -> None:
    """Goal: the market is bars from afar and single ticks from near, several symbols under one axis."""
    page.goto(at(serve(demo / "demo-ticks"), "/market", s=["EURUSD", "GBPUSD"]))
    page.wait_for_selector("html[data-ready]")
    expect(page.locator(".chart[data-ready]")).to_have_count(2)
    said = page.locator(".picture .said").first
    expect(said).to_contain_text("bars of")
    for _ in range(10):
        page.get_by_label("Zoom in").click()
    expect(said).to_contain_text(re.compile(r"ticks?, exact"))
    page.mouse.move(640, 400)
    expect(page.locator(".legend").first).to_contain_text("spread")


@pytest.mark.parametrize("what", ["series", "ticks"])
def test_the_code_of_a_picture_gives_its_data(
    page: Page, serve: Serve, silt: str, plant: Path, demo: Path, what: str
) -> None:
    """Goal: the SQL, the Python and the shell line under a picture run as they stand."""
    bounds = {"from": START_NS // 10**9 + 3600, "until": START_NS // 10**9 + 7200}
    path, parameters = (plant, "/series?s=flow") if what == "series" else (demo / "demo-ticks", "/market?s=EURUSD")
    page.goto(serve(path).replace("/#", f"{parameters}&{urlencode(bounds)}#"))
    drawn(page)
    code = page.locator("details.code pre").first.text_content() or ""
    sql, python, shell = re.split(r"^-- SQL\n|\n# Python\n|\n# Shell.*\n", code, flags=re.MULTILINE)[1:]
    with siltstone.open(path, read_only=True) as db:
        rows = len(db.sql(sql.strip().rstrip(";")).rows)
    assert rows > 100
    *statements, last = python.strip().splitlines()
    names: dict[str, object] = {}
    exec("\n".join(statements), names)
    assert len(eval(last, names)) == rows
    ran = subprocess.run(
        shell,
        shell=True,
        cwd=plant.parent,
        env={"PATH": f"{Path(silt).parent}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    if what == "series":
        assert len(pd.read_parquet(plant.parent / "series.parquet")) == 200_000
    else:
        assert sum(int(line.split()[-1]) for line in ran.stdout.splitlines()[1:]) == rows


def test_runs_are_filtered_and_compared(page: Page, serve: Serve, demo: Path) -> None:
    """Goal: the filter of the command, an order, and chosen runs side by side, which a link brings back."""
    page.goto(at(serve(demo / "demo-sweep.db"), "/runs"))
    page.wait_for_selector("html[data-ready]")
    rows = page.locator(".grid tbody tr:not(.space)")
    expect(rows).to_have_count(6)
    expect(page.locator(".chart")).to_be_hidden()
    field = page.get_by_role("searchbox")
    field.fill("params.growth >= 0.08")
    field.press("Enter")
    expect(rows).to_have_count(3)
    for _ in range(2):
        page.get_by_role("button", name="params.growth").click()
    expect(rows.first).to_contain_text("foragers_5")
    page.get_by_label("foragers_5").check()
    page.get_by_label("foragers_3").check()
    page.wait_for_selector(".chart[data-ready]")
    compared = page.locator("tr", has_text="params.growth").last
    expect(compared).to_contain_text("0.12")
    expect(compared).to_contain_text("0.08")
    page.goto(page.url)
    drawn(page)
    expect(rows.first).to_contain_text("foragers_5")
    expect(page.get_by_label("foragers_3")).to_be_checked()
    field.fill("params.growht > 1")
    field.press("Enter")
    expect(page.locator("pre[role=alert]")).to_contain_text("near it: params.growth")


def test_sql_reads_and_is_cancelled(page: Page, serve: Serve, plant: Path) -> None:
    """Goal: rows with their limit said, a chart, a refusal as a sentence, and a statement without end that ends."""
    page.goto(at(serve(plant), "/sql"))
    page.wait_for_selector("html[data-ready]")
    editor, said = page.locator("textarea"), page.locator("[role=status].said")

    def run(statement: str) -> None:
        editor.fill(statement)
        editor.press("Control+Enter")

    run(
        "WITH RECURSIVE n(i) AS (VALUES (9007199254740993) UNION ALL SELECT i + 1 FROM n LIMIT 20000) "
        "SELECT i, i % 7 AS m FROM n"
    )
    expect(said).to_contain_text("the first 10,000 rows")
    expect(page.locator(".grid")).to_contain_text("9007199254740993")
    assert page.locator(".grid tbody tr").count() < 200
    page.locator(".grid").evaluate("grid => grid.scrollTo(0, grid.scrollHeight)")
    expect(page.locator(".grid")).to_contain_text("9007199254750992")
    page.get_by_label("Up").select_option(label="m")
    page.wait_for_selector(".chart[data-ready]")
    run("DELETE FROM series")
    expect(page.locator("pre[role=alert]")).to_contain_text("only reads")
    run("WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n")
    expect(said).to_have_text("running …")
    page.get_by_role("button", name="Cancel").click()
    expect(said).to_have_text("cancelled")
    run("SELECT 42 AS answer")
    expect(page.locator(".grid")).to_contain_text("42")


def test_trouble_is_a_sentence(page: Page, serve: Serve, plant: Path) -> None:
    """Goal: no token, a file that is gone, damaged or back again: the page says so, and goes on by itself."""
    address = serve(plant)
    page.goto(address.split("#")[0])
    expect(page.locator("#trouble")).to_contain_text("open the address that `silt view` printed")
    page.goto(address)  # the same page: only its fragment is another
    page.wait_for_selector("html[data-ready]")
    content = plant.read_bytes()
    for ending in ("", "-wal", "-shm"):
        Path(f"{plant}{ending}").unlink(missing_ok=True)
    expect(page.locator("#trouble")).to_contain_text("run.db", timeout=10_000)
    plant.write_bytes(b"no database" * 1000)
    expect(page.locator("#trouble")).to_contain_text("not an SQLite database", timeout=10_000)
    plant.unlink()
    plant.write_bytes(content)
    expect(page.locator("#trouble")).to_be_hidden(timeout=10_000)
    expect(page.locator(".tiles")).to_contain_text("201,000")


def test_another_file_in_its_place_is_shown(page: Page, serve: Serve, plant: Path, tmp_path: Path) -> None:
    """Goal: a file that is replaced while it is open, as by a job that writes under another name, is shown at once."""
    page.goto(serve(plant))
    page.wait_for_selector("html[data-ready]")
    expect(page.locator(".tiles")).to_contain_text("201,000")
    other = tmp_path / "other.db"
    with siltstone.open(other) as db:
        db.series.save(points(START_NS + np.arange(5) * DAY_NS, np.arange(5.0)), "level")
    for ending in ("-wal", "-shm"):
        Path(f"{plant}{ending}").unlink(missing_ok=True)
    other.rename(plant)
    expect(page.locator("#page")).to_contain_text("level", timeout=10_000)
    expect(page.locator(".tiles")).not_to_contain_text("201,000")
    expect(page.locator("#trouble")).to_be_hidden()


def test_a_damaged_block_is_named(page: Page, serve: Serve, plant: Path) -> None:
    """Goal: bytes that a disk has spoilt are a sentence that names the file, and no picture of what is not so."""
    with siltstone.open(plant) as db:
        db.compact()
    content = bytearray(plant.read_bytes())
    # The points; the tables and their names stay.
    begin, end = len(content) // 3, len(content) * 2 // 3
    content[begin:end] = bytes(byte ^ 0x55 for byte in content[begin:end])
    address = serve(plant)
    plant.write_bytes(content)
    page.goto(at(address, "/series", s="flow"))
    expect(page.locator("#trouble")).to_contain_text("damaged", timeout=10_000)
    expect(page.locator("#trouble")).to_contain_text("run.db")
    expect(page.locator(".chart[data-ready]")).to_have_count(0)


def test_a_locked_file_is_said(page: Page, serve: Serve, plant: Path, tmp_path: Path) -> None:
    """Goal: a file that another program holds for itself alone is said to be held, and shown once it is free."""
    page.goto(serve(plant))
    page.wait_for_selector("html[data-ready]")
    # Nobody gets a file for himself alone that the server has open: it is one that takes its place.
    other = tmp_path / "other.db"
    with siltstone.open(other) as db:
        db.series.save(points(START_NS + np.arange(5) * DAY_NS, np.arange(5.0)), "level")
    script = (
        "import sqlite3, sys\n"
        f"db = sqlite3.connect({str(other)!r}, isolation_level=None)\n"
        "db.execute('PRAGMA journal_mode=DELETE')\n"
        "db.execute('PRAGMA locking_mode=EXCLUSIVE')\n"
        "db.execute('BEGIN EXCLUSIVE')\n"
        "db.execute('CREATE TABLE held (x)')\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        for ending in ("-wal", "-shm"):
            Path(f"{plant}{ending}").unlink(missing_ok=True)
        other.rename(plant)
        # Readers wait half a minute for it.
        expect(page.locator("#trouble")).to_contain_text(re.compile("run.db.*held the file|longest"), timeout=60_000)
        holder.communicate("")
    expect(page.locator("#trouble")).to_be_hidden(timeout=45_000)
    expect(page.locator("#page")).to_contain_text("level")
