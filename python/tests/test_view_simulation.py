"""The page Simulation of `silt view`: a group at a time on a plane and as a table, and the history of an entity."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import siltstone
from siltstone.simulation import SimulationDatabase

sync_api = pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect
from viewing import HOSTILE, Serve, at, watched

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

N = 400
STEPS = 30


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that must not complain; of WebGL without a graphics card Chromium says that it is slow."""
    yield from watched(context, "GPU stall due to ReadPixels")


def sensors(t: int) -> np.ndarray:
    """The values at a time: of every seventh sensor none."""
    return np.where(np.arange(N) % 7 == 0, np.nan, np.arange(N) + 1000.0 * t)


@pytest.fixture
def town(path: Path) -> Path:
    """Sensors on a grid of 20 by 20 with a value that changes, and roads with shapes and ends; one name is hostile."""
    ids = np.arange(N)
    x, y = 155_000.0 + ids % 20, 463_000.0 + ids // 20
    roads = np.arange(1000, 1010)
    shapes = np.array([[[155_000.0, 463_000.0 + i], [155_019.0, 463_000.0 + i]] for i in range(10)]).reshape(-1, 2)
    with SimulationDatabase(path) as db:
        columns = {"id": ids, "geometry.x": x, "geometry.y": y, HOSTILE: np.array([HOSTILE, "b"])[ids % 2]}
        sensor = {name: {"data": values} for name, values in columns.items()}
        road = {
            "id": {"data": roads},
            "geometry.linestring_2d": {"data": shapes, "row_ptr": np.arange(11) * 2},
            "topology.from_node_id": {"data": np.arange(10) * 20},
            "topology.to_node_id": {"data": np.arange(10) * 20 + 19},
        }
        db.store_update(0, 0, "town", {"sensors": sensor, "roads": road})
        for t in range(1, STEPS):
            value = {"id": {"data": ids}, "value": {"data": sensors(t)}}
            flow = {"id": {"data": roads}, "flow": {"data": np.arange(10.0) * t}}
            db.store_update(t, 0, "town", {"sensors": value, "roads": flow})
        db.store_update(0, 0, HOSTILE, {HOSTILE: {"id": {"data": [1]}, HOSTILE: {"data": [1.5]}}})
    return path


def drawn(page: Page, planes: int = 1) -> None:
    page.wait_for_selector("html[data-ready='/simulation']")
    expect(page.locator(".plane[data-ready]:visible")).to_have_count(planes)


def shown_at(page: Page, timestamp: int) -> None:
    expect(page.locator(f".plane[data-ready][data-at='{timestamp}']").first).to_be_visible()


def colors_of(page: Page, plane: int = 0) -> int:
    """How many different colours the picture has."""
    return page.evaluate(
        """async (i) => {
            const { Plane } = await import("/plane.js");
            const from = document.querySelectorAll(".plane")[i].querySelector("canvas");
            const box = document.createElement("canvas");
            [box.width, box.height] = [from.width, from.height];
            await new Promise((resolve) => requestAnimationFrame(resolve));
            dispatchEvent(new Event("theme")); // draws at once: what was drawn is gone with its frame
            const ctx = box.getContext("2d");
            ctx.drawImage(from, 0, 0);
            const seen = new Set(new Uint32Array(ctx.getImageData(0, 0, box.width, box.height).data.buffer));
            return seen.size;
        }""",
        plane,
    )


def has_color(page: Page, rgb: list[int]) -> bool:
    """Whether the first picture has pixels of a colour."""
    return page.evaluate(
        """async (rgb) => {
            const from = document.querySelector(".plane canvas");
            const box = Object.assign(document.createElement("canvas"), { width: from.width, height: from.height });
            dispatchEvent(new Event("theme")); // draws at once
            const ctx = box.getContext("2d");
            ctx.drawImage(from, 0, 0);
            const { data } = ctx.getImageData(0, 0, box.width, box.height);
            for (let i = 0; i < data.length; i += 4) {
                if (rgb.every((value, k) => Math.abs(data[i + k] - value) < 3)) return true;
            }
            return false;
        }""",
        rgb,
    )


def click_entity(page: Page, entity: int) -> None:
    """Clicks where a sensor is drawn."""
    box = page.locator(".plane").first.bounding_box()
    assert box is not None
    scale = box["height"] / (19 * 1.12)
    x, y = entity % 20 - 9.5, entity // 20 - 9.5
    page.mouse.click(box["x"] + box["width"] / 2 + x * scale, box["y"] + box["height"] / 2 - y * scale)


def test_the_slider_goes_through_time(page: Page, serve: Serve, town: Path) -> None:
    """Goal: picture, legend and table are of the step that the slider, a key, a button or the address says."""
    page.goto(at(serve(town), "/simulation", d="town", g="sensors"))
    drawn(page)
    shown_at(page, STEPS - 1)
    assert page.get_by_label("Coloured by").first.input_value() == "value"
    expect(page.locator(".places")).to_contain_text("taken for coordinates by their names")
    expect(page.locator(".key-of-colors").first).to_contain_text("undefined: 58")
    expect(page.locator(".key-of-colors").first).to_contain_text("range of the whole run")
    expect(page.locator(".key-of-colors").first).to_contain_text("1,00129,398")
    assert colors_of(page) > 20
    slider = page.get_by_label("Time", exact=True)
    slider.fill("11")
    shown_at(page, 10)
    expect(page.locator(".grid")).to_contain_text("10001")
    expect(page.locator(".when").first).to_contain_text("step 11 of 30")
    slider.press("ArrowLeft")
    shown_at(page, 9)
    page.get_by_label("Step on").click()
    shown_at(page, 10)
    expect(page).to_have_url(re.compile(r"[?&]t=10(&|$)"))
    page.goto(page.url)
    drawn(page)
    shown_at(page, 10)
    expect(page.locator(".grid")).to_contain_text("10001")
    page.get_by_label("Begin").click()
    expect(page.locator(".when").first).to_have_text("initial state")
    expect(page.locator(".key-of-colors").first).to_contain_text("undefined: 400")
    page.get_by_label("Steps a second").press("Space")
    expect(page.get_by_label("Play")).to_be_visible()
    page.get_by_label("Steps a second").press("Escape")
    page.get_by_label("Steps a second").select_option("30")
    page.get_by_label("Play").click()
    shown_at(page, STEPS - 1)
    expect(page.get_by_label("Play")).to_be_visible()


def test_what_did_not_change_is_not_sent_again(page: Page, serve: Serve, town: Path) -> None:
    """Goal: one query at a time, the last of those that were wished for meanwhile, and only columns that changed."""
    page.goto(at(serve(town), "/simulation", d="town", g="sensors", table=0))
    drawn(page)
    asked: list[int] = []
    page.on("response", lambda got: asked.append(len(got.body())) if "simulation/state" in got.url else None)
    page.evaluate(
        """(steps) => {
            const slider = document.querySelector(".clock input");
            for (let i = 5; i < steps; i += 1) {
                slider.value = String(i);
                slider.dispatchEvent(new Event("input"));
            }
        }""",
        20,
    )
    shown_at(page, 18)
    page.wait_for_load_state("networkidle")
    assert 1 <= len(asked) <= 3, "all that was wished for is asked for"
    # Values and where they are undefined of 400 sensors, and not their ids and coordinates.
    assert all(size < 400 * 8 * 2 for size in asked), asked


def test_a_click_shows_a_history(page: Page, serve: Serve, town: Path) -> None:
    """Goal: the clicked entity has its curve, which a link brings back, and goes when nothing is clicked."""
    page.goto(at(serve(town), "/simulation", d="town", g="sensors", table=0))
    drawn(page)
    click_entity(page, 205)
    expect(page.locator("h2", has_text="value of entity 205")).to_be_visible()
    page.wait_for_selector(".chart[data-ready]")
    box = page.locator(".chart .u-over").bounding_box()
    assert box is not None
    page.locator(".chart .u-over").hover(position={"x": box["width"] - 2, "y": 50})
    expect(page.locator(".picture", has_text="value of entity 205").locator(".legend")).to_contain_text("29,205")
    page.goto(page.url)
    drawn(page)
    page.wait_for_selector(".chart[data-ready]")
    expect(page.locator("h2", has_text="value of entity 205")).to_be_visible()
    page.get_by_label("Close the history").click()
    expect(page.locator(".chart")).to_be_hidden()
    assert "id=" not in page.url


def test_two_pictures_stand_side_by_side(page: Page, serve: Serve, town: Path) -> None:
    """Goal: another attribute of the same time, or the same of another time, in one view."""
    page.goto(at(serve(town), "/simulation", d="town", g="sensors", table=0, t=20))
    drawn(page)
    page.get_by_label("Beside it").select_option("attribute")
    drawn(page, 2)
    page.get_by_label("Coloured by").nth(1).select_option("geometry.x")
    expect(page.locator(".key-of-colors").nth(1)).to_contain_text("155,000155,019")
    page.get_by_label("Beside it").select_option("time")
    page.get_by_role("slider", name="The other time").fill("6")
    expect(page.locator(".plane[data-ready]").nth(1)).to_have_attribute("data-at", "5")
    expect(page.locator(".plane").nth(0)).to_have_attribute("data-at", "20")
    page.locator(".plane").first.press("+")
    expect(page).to_have_url(re.compile("view=155"))
    page.goto(page.url)
    drawn(page, 2)
    expect(page.locator(".plane").nth(1)).to_have_attribute("data-at", "5")


@pytest.mark.parametrize("kind", ["shapes", "ends"])
def test_lines_are_drawn(page: Page, serve: Serve, town: Path, kind: str) -> None:
    """Goal: entities that are lines, by their points or by the entities at their ends, have a colour each."""
    page.goto(at(serve(town), "/simulation", d="town", g="roads", table=0, **{"as": kind}))
    drawn(page)
    assert page.get_by_label("Drawn as").input_value() == kind
    expect(page.locator(".said").first).to_contain_text("10 entities, exact")
    assert "without" not in page.locator(".said").first.inner_text()
    assert colors_of(page) > 8


def test_coordinates_are_chosen(page: Page, serve: Serve, town: Path) -> None:
    """Goal: any numbers can be the coordinates, which the page says; without some there is the table."""
    address = serve(town)
    page.goto(at(address, "/simulation", d="town", g="sensors"))
    drawn(page)
    page.get_by_label("x", exact=True).select_option("value")
    expect(page.locator(".places")).to_contain_text("chosen")
    expect(page.locator(".said").first).to_contain_text("58 without coordinates")
    assert "x=value" in page.url
    page.goto(at(address, "/simulation", d=HOSTILE))
    page.wait_for_selector("html[data-ready]")
    expect(page.locator(".empty:visible")).to_contain_text("No attribute is called as a coordinate is")
    expect(page.locator(".grid")).to_contain_text("1.5")


def test_names_of_a_simulation_are_text(page: Page, serve: Serve, town: Path) -> None:
    """Goal: a dataset, group, attribute and value that are called as markup are shown as that, and run nothing."""
    address = serve(town)
    page.goto(at(address, "/simulation", d="town", g="sensors", c=HOSTILE))
    drawn(page)
    expect(page.locator(".key-of-colors").first).to_contain_text(HOSTILE)
    click_entity(page, 200)
    expect(page.locator("h2", has_text="of entity 200")).to_contain_text(HOSTILE)
    for path in ["/", "/simulation"]:
        page.goto(at(address, path, d=HOSTILE, g=HOSTILE))
        page.wait_for_selector("html[data-ready]")
        expect(page.locator("#page")).to_contain_text(HOSTILE)
    assert page.locator("img").count() == 0
    assert page.evaluate("window.ran") is None


def test_a_run_is_followed(page: Page, serve: Serve, town: Path) -> None:
    """Goal: at the last step the picture goes along with the writer; elsewhere it stays where it is."""
    page.goto(at(serve(town), "/simulation", d="town", g="sensors", table=0))
    drawn(page)
    with SimulationDatabase(town) as db:
        value = {"id": {"data": np.arange(N + 1)}, "value": {"data": np.arange(N + 1.0)}}
        db.store_update(100, 0, "town", {"sensors": value})
        expect(page.locator(".plane[data-ready]").first).to_have_attribute("data-at", "100", timeout=10_000)
        expect(page.locator(".said").first).to_contain_text("401 entities, exact; 1 without coordinates")
        page.get_by_label("Step back").click()
        shown_at(page, STEPS - 1)
        db.store_update(101, 0, "town", {"sensors": value})
        expect(page.locator(".when").first).to_contain_text("of 32", timeout=10_000)
        shown_at(page, STEPS - 1)


def test_the_code_of_a_state_gives_it(page: Page, serve: Serve, silt: str, town: Path) -> None:
    """Goal: the SQL, the Python and the shell line run as they stand."""
    page.goto(at(serve(town), "/simulation", d="town", g="sensors", t=10))
    drawn(page)
    code = page.locator("details.code pre").last.text_content() or ""
    sql, python, shell = re.split(r"^-- SQL.*\n|\n# Python\n|\n# Shell.*\n", code, flags=re.MULTILINE)[1:]
    with siltstone.open(town, read_only=True) as db:
        rows = db.sql(sql.strip().rstrip(";")).rows
    assert rows[0][0] == 10
    *statements, last = python.strip().splitlines()
    names: dict[str, object] = {}
    exec("\n".join(statements), names)
    state = eval(last, names)
    assert state["value"]["data"][1] == 10_001.0
    env = {"PATH": f"{Path(silt).parent}:/usr/bin:/bin"}
    ran = subprocess.run(shell, shell=True, env=env, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "10001" in ran.stdout


@pytest.mark.parametrize("id", ["4000", "gone"])
def test_a_link_to_an_entity_that_is_gone_opens_the_page(page: Page, serve: Serve, town: Path, id: str) -> None:
    """Goal: an entity of the address that the group does not have is said in place; another one can be clicked."""
    page.goto(at(serve(town), "/simulation", d="town", g="sensors", table=0, id=id))
    drawn(page)
    history = page.locator(".picture", has=page.locator("h2", has_text=f"value of entity {id}"))
    expect(history.locator("p.soft")).to_contain_text(id)
    expect(page.locator("#trouble")).to_be_hidden()
    click_entity(page, 205)
    expect(page.locator("h2", has_text="value of entity 205")).to_be_visible()
    page.wait_for_selector(".chart[data-ready]")
    expect(page.locator("#trouble")).to_be_hidden()


@pytest.mark.parametrize("view", ["155010,463010,1e-12", "1e300,463010,1e-300", "155010,463010,1e300"])
def test_a_link_to_any_view_is_drawn(page: Page, serve: Serve, town: Path, view: str) -> None:
    """Goal: a view of a link that floats cannot tell apart, or that is beyond all, is drawn and left again."""
    page.set_default_timeout(15_000)
    page.goto(at(serve(town), "/simulation", d="town", g="sensors", table=0, view=view))
    drawn(page)
    page.get_by_role("button", name="All", exact=True).first.click()
    expect(page).not_to_have_url(re.compile("view="))
    click_entity(page, 205)
    expect(page.locator("h2", has_text="value of entity 205")).to_be_visible()
    expect(page.locator("#trouble")).to_be_hidden()


def test_keyframes_are_marked_and_stepped_through(page: Page, serve: Serve, town: Path) -> None:
    """Goal: keyframes have marks under the slider, and `[` and `]` go from one to the next."""
    with SimulationDatabase(town) as db:
        value = {"id": {"data": np.arange(N)}, "value": {"data": np.arange(N) * 1.0}}
        for t in range(100, 900):
            db.store_update(t, 0, "town", {"sensors": value})
        db.build_keyframes()
    with siltstone.open(town, read_only=True) as db:
        sql = "SELECT DISTINCT timestamp FROM simulation_keyframe WHERE entity_group = 'sensors' ORDER BY 1"
        frames = [row[0] for row in db.sql(sql).rows]
    assert len(frames) > 2
    page.goto(at(serve(town), "/simulation", d="town", g="sensors", table=0))
    drawn(page)
    expect(page.locator(".keyframes path")).to_have_attribute("d", re.compile(f"^(M[0-9]+ 0V6){{{len(frames)}}}$"))
    slider = page.get_by_label("Time", exact=True)
    slider.press("[")
    shown_at(page, [at for at in frames if at < 899][-1])
    slider.press("[")
    shown_at(page, [at for at in frames if at < 899][-2])
    expect(page.locator(".when").first).to_contain_text(", keyframe")
    slider.press("ArrowLeft")
    expect(page.locator(".when").first).not_to_contain_text("keyframe")
    page.get_by_label("Next keyframe").click()
    shown_at(page, [at for at in frames if at < 899][-2])
    page.get_by_label("Group").select_option("roads")
    expect(page.locator(".keyframes")).to_be_hidden()
    expect(page.get_by_label("Next keyframe")).to_be_hidden()


@pytest.fixture
def pumps(path: Path) -> Path:
    """Two groups of four, of whose values -9999 stands for none; one is undefined, and x is special for one entity."""
    general = {"special": {"pumps.power": -9999.0, "pumps.mode": -1, "pumps.geometry.x": -9999.0}}
    values = {
        "id": [0, 1, 2, 3],
        "geometry.x": [0.0, 1.0, 2.0, -9999.0],
        "geometry.y": [0.0, 1.0, 2.0, 3.0],
        "power": [10.0, -9999.0, None, 20.0],
        "mode": [-1, 1, 2, 2],
    }
    with SimulationDatabase(path) as db:
        db.store_initial_dataset("plant", {"name": "plant", "general": general, "data": {"pumps": values}})
        for t, power in enumerate([11.0, -9999.0, 13.0]):
            db.store_update(t, 0, "plant", {"pumps": {"id": {"data": [0]}, "power": {"data": [power]}}})
    return path


def test_special_values_are_none(page: Page, serve: Serve, pumps: Path) -> None:
    """Goal: the value that stands for none is said so in scale, legend, categories, table, history and as a place."""
    page.goto(at(serve(pumps), "/simulation", d="plant", g="pumps", t=2, c="power", table=1))
    drawn(page)
    key = page.locator(".key-of-colors").first
    expect(key).to_contain_text("1320")
    expect(key).to_contain_text("undefined: 1")
    expect(key).to_contain_text("special (-9999): 1")
    expect(page.locator(".said").first).to_contain_text("4 entities, exact; 1 without coordinates")
    expect(page.locator(".grid td.special")).to_have_text(["special (-1)", "special (-9999)", "special (-9999)"])
    rgb = page.evaluate(
        "getComputedStyle(document.querySelector('td.special')).color.match(/[0-9]+/g).slice(0, 3).map(Number)"
    )
    assert has_color(page, rgb)
    page.get_by_label("Coloured by").first.select_option("mode")
    expect(key).to_contain_text("special (-1): 1")
    expect(key).not_to_contain_text("-1undefined")
    page.goto(at(page.url.split("/simulation")[0] + "/#", "/simulation", d="plant", g="pumps", c="power", id=0))
    drawn(page)
    page.wait_for_selector(".chart[data-ready]")
    history = page.locator(".picture", has=page.locator("h2", has_text="power of entity 0"))
    expect(history.locator(".said")).to_contain_text("1 special")
    history.locator(".u-over").hover()
    expect(history.locator(".legend")).to_contain_text("special (-9999)")


def test_an_entity_is_chosen_by_keys(page: Page, serve: Serve, town: Path) -> None:
    """Goal: an id and Enter show a history, the arrows the next one; its zoom is in the address and comes back."""
    page.goto(at(serve(town), "/simulation", d="town", g="sensors", table=0))
    drawn(page)
    field = page.get_by_label("Entity", exact=True)
    field.fill("205")
    field.press("Enter")
    expect(page.locator("h2", has_text="value of entity 205")).to_be_visible()
    field.press("ArrowDown")
    expect(page.locator("h2", has_text="value of entity 206")).to_be_visible()
    field.press("ArrowUp")
    expect(page.locator("h2", has_text="value of entity 205")).to_be_visible()
    expect(field).to_have_value("205")
    chart = page.locator(".chart[data-ready]")
    chart.press("+")
    expect(page).to_have_url(re.compile(r"zoom=7\.25%2C21\.75"))
    page.goto(page.url)
    drawn(page)
    page.wait_for_selector(".chart[data-ready]")
    expect(field).to_have_value("205")
    assert "zoom=7.25%2C21.75" in page.url
    first = page.evaluate("document.querySelector('.u-over').getBoundingClientRect().width") / 2
    page.locator(".chart .u-over").hover(position={"x": first, "y": 30})
    expect(page.locator(".picture", has_text="value of entity 205").locator(".legend")).to_contain_text("at 1")


def test_names_of_an_address_that_are_not_there_are_said(page: Page, serve: Serve, town: Path) -> None:
    """Goal: an attribute, group or coordinate of an old link is said, and goes from the address."""
    page.goto(
        at(serve(town), "/simulation", d="town", g="sensers", c="valu", **{"as": "points", "x": "lon", "y": "value"})
    )
    drawn(page)
    said = page.get_by_text("The address names what is not here")
    for text in ("the group sensers", "the attribute valu", "the number lon"):
        expect(said).to_contain_text(text)
    assert not re.search("sensers|valu(&|$)|lon", page.url)
    page.goto(page.url)
    drawn(page)
    expect(said).to_be_hidden()
