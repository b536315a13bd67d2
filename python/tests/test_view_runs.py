"""The page Runs of `silt view`: small curves, groups, and parameters against results."""

import json
import re
import time
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest

from siltstone.experiment import ExperimentDatabase

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import Page, expect
from viewing import HOSTILE, Serve, at


@pytest.fixture
def sweep(path: Path) -> Path:
    """Forty runs, of which one has a hostile id, and all a hostile parameter, metric and result."""
    with ExperimentDatabase(path, "sweep") as db:
        for run in range(40):
            parameters = {"rate": run % 4, "seed": (run * 7) % 40, HOSTILE: HOSTILE, "mode": ["slow", "fast"][run % 2]}
            if run == 39:
                del parameters["rate"]
            with db.create_simulation_context(HOSTILE if run == 0 else f"run_{run}", parameters=parameters) as sim:
                for step in range(200):
                    sim.log_metric("loss", (run % 4) * 10 + run / 100 + step / 50, step=step)
                    sim.log_metric(HOSTILE, step, step=step)
                id = sim.simulation_id
            db.update_simulation_status(id, "completed", {"score": (run % 4) * 100 + run, HOSTILE: run})
    return path


def shown(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_selector("html[data-ready='/runs']")


def test_rows_have_a_small_curve_and_groups_a_band(page: Page, serve: Serve, sweep: Path) -> None:
    """Goal: each row in sight has its curve; runs in groups are means and ranges, whose values the cursor tells."""
    shown(page, at(serve(sweep), "/runs"))
    expect(page.locator(".spark path")).to_have_count(40)
    assert page.get_by_label("Curve", exact=True).input_value() == "loss"
    page.get_by_label("Group by").select_option("params.rate")
    bands = page.locator(".picture", has_text="loss by params.rate")
    bands.locator(".chart[data-ready]").wait_for()
    expect(bands.locator(".said")).to_contain_text("1 run has no such parameter")
    expect(bands.locator(".legend > span")).to_have_count(5)
    expect(bands.locator(".legend")).to_contain_text("3, 9 runs")
    box = bands.locator(".u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 100)
    expect(bands.locator(".legend")).to_contain_text(" to ")
    link = page.url
    assert "group=params.rate" in link
    shown(page, link)
    expect(page.locator(".picture", has_text="loss by params.rate").locator(".chart[data-ready]")).to_have_count(1)


def test_parameters_are_held_against_a_result(page: Page, serve: Serve, sweep: Path) -> None:
    """Goal: the strongest parameter stands first, with the runs that count; a click in a picture chooses a run."""
    shown(page, at(serve(sweep), "/runs", target="results.score"))
    card = page.locator(".against[data-ready]")
    expect(card).to_contain_text("over 40 runs")
    rows = card.locator("tbody tr")
    expect(rows.first).to_contain_text("rate")
    expect(rows.first).to_contain_text("39")
    expect(rows.first).to_contain_text("1 missing")
    expect(card.locator("tr", has_text="mode")).to_contain_text("not numeric")
    expect(card).to_contain_text("1 run not drawn")
    for canvas in card.locator("canvas").all():
        inked = canvas.evaluate(
            "c => { const { data } = c.getContext('2d').getImageData(0, 0, c.width, c.height);"
            " return data.filter((v, i) => i % 4 === 3 && v).length; }"
        )
        assert inked > 500
    scatter = card.locator("canvas").first
    # Where a run of rate 3 and the highest score is.
    box = scatter.bounding_box()
    assert box is not None
    scatter.click(position={"x": box["width"] - 12, "y": 12})
    expect(page.locator(".comparison")).to_contain_text("run_3")
    expect(page.locator(".grid input:checked")).to_have_count(1)
    page.get_by_label("Result").select_option("metrics.loss")
    expect(card.locator("h3").first).to_contain_text("metrics.loss against")
    assert "target=metrics.loss" in page.url


def test_hostile_names_of_runs_are_text(page: Page, serve: Serve, sweep: Path) -> None:
    """Goal: ids, parameters, metrics and results that are called as markup are shown as that, and run nothing."""
    address = at(
        serve(sweep),
        "/runs",
        s=HOSTILE,
        metric=HOSTILE,
        group=f"params.{HOSTILE}",
        target=f"results.{HOSTILE}",
        x=HOSTILE,
    )
    shown(page, address)
    page.locator(".against[data-ready]").wait_for()
    expect(page.locator(".chart[data-ready]")).to_have_count(2)
    for part in (".grid", ".comparison", ".against", ".picture h2"):
        expect(page.locator(part).first).to_contain_text(HOSTILE)
    assert page.locator("img").count() == 0
    assert page.evaluate("window.ran") is None


def test_ten_thousand_runs_are_listed(page: Page, serve: Serve, path: Path) -> None:
    """Goal: the list of 10,000 runs has few elements, and is filtered and sorted at once."""
    with ExperimentDatabase(path, "many") as db:
        for run in range(10_000):
            db.create_simulation_context(f"run_{run:05}", parameters={"rate": run % 100 / 100, "seed": run}).complete()
    shown(page, at(serve(path), "/runs"))
    expect(page.get_by_role("status").filter(has_text="10,000 simulations")).to_be_visible()
    assert page.locator(".grid tbody tr").count() < 200
    began = time.monotonic()
    for _ in range(2):
        page.get_by_role("button", name="params.seed").click()
    expect(page.locator(".grid tbody tr:not(.space)").first).to_contain_text("run_09999")
    page.locator(".grid").evaluate("grid => grid.scrollTo(0, grid.scrollHeight)")
    expect(page.locator(".grid")).to_contain_text("run_00000")
    field = page.get_by_role("searchbox")
    field.fill("params.rate >= 0.99")
    field.press("Enter")
    expect(page.get_by_role("status").filter(has_text="100 simulations")).to_be_visible()
    # Far above what it takes: a loaded machine must not fail it, a list that is no longer virtual must.
    assert time.monotonic() - began < 20


def test_a_filter_stays_when_the_whole_list_comes_late(page: Page, serve: Serve, path: Path) -> None:
    """Goal: the first runs are shown before all have come, and what is asked for meanwhile is not undone by these."""
    with ExperimentDatabase(path, "many") as db:
        for run in range(300):
            db.create_simulation_context(f"run_{run:03}", parameters={"seed": run}).complete()
    held = []
    page.route(re.compile(r"/api/runs\?brief=true$"), lambda route: held.append(route))
    page.goto(at(serve(path), "/runs"))
    expect(page.get_by_role("status").filter(has_text="300 simulations")).to_be_visible()
    expect(page.locator(".grid tbody tr:not(.space)").first).to_contain_text("run_000")
    field = page.get_by_role("searchbox")
    field.fill("params.seed >= 298")
    field.press("Enter")
    few = page.get_by_role("status").filter(has_text="2 simulations")
    expect(few).to_be_visible()
    with page.expect_response(re.compile(r"/api/runs\?brief=true$")):
        held[0].continue_()
    page.wait_for_timeout(300)
    expect(few).to_be_visible()
    expect(page.locator(".grid tbody tr:not(.space)")).to_have_count(2)


def test_a_link_to_a_run_that_is_gone_opens_the_page(page: Page, serve: Serve, sweep: Path) -> None:
    """Goal: a run of the address that is not there is named and left out, and so is one that is removed meanwhile."""
    shown(page, at(serve(sweep), "/runs", s=["run_3", "gone_run"], metric="gone_metric"))
    expect(page.get_by_text("Not in the file: gone_run.")).to_be_visible()
    expect(page.locator(".grid input:checked")).to_have_count(1)
    expect(page.locator(".comparison")).to_contain_text("run_3")
    page.wait_for_selector(".chart[data-ready]")
    expect(page.locator("#trouble")).to_be_hidden()
    assert "gone_run" not in page.url
    page.get_by_label("run_2", exact=True).check()
    expect(page.get_by_text("Not in the file")).to_be_hidden()
    expect(page.locator(".comparison")).to_contain_text("run_2")
    with ExperimentDatabase(sweep, "sweep") as db:
        db.delete_simulation("run_3")
        expect(page.get_by_text("Not in the file: run_3.")).to_be_visible(timeout=10_000)
    expect(page.locator(".comparison")).not_to_contain_text("run_3")
    expect(page.locator("#trouble")).to_be_hidden()


def test_groups_of_no_run_are_said_and_undone(page: Page, serve: Serve, sweep: Path) -> None:
    """Goal: where no run matches, the groups are a sentence, and the select that undoes them stays."""
    shown(page, at(serve(sweep), "/runs", group="params.rate"))
    bands = page.locator(".picture", has=page.locator("h2", has_text="loss by params.rate"))
    expect(bands.locator(".legend > span")).to_have_count(5)
    field = page.get_by_role("searchbox")
    field.fill("params.rate > 1000")
    field.press("Enter")
    expect(page.locator(".list")).to_contain_text("No simulation matches.")
    expect(bands.locator(".legend")).to_have_text("No run has a value of this metric here.")
    # Two looks for what was written: the trouble came with each.
    page.wait_for_timeout(2500)
    expect(page.locator("#trouble")).to_be_hidden()
    shown(page, page.url)
    expect(bands.locator(".legend")).to_have_text("No run has a value of this metric here.")
    page.get_by_label("Group by").select_option("nothing")
    expect(bands).to_be_hidden()
    field.fill("")
    field.press("Enter")
    expect(page.locator(".spark path")).to_have_count(40)
    expect(page.locator("#trouble")).to_be_hidden()


def test_the_focus_stays_while_runs_are_written(page: Page, serve: Serve, sweep: Path) -> None:
    """Goal: the box of a run, and the name of a column, keep the focus when the list is made anew."""
    shown(page, at(serve(sweep), "/runs"))
    expect(page.locator(".spark path")).to_have_count(40)
    box = page.get_by_label("run_30", exact=True)
    box.scroll_into_view_if_needed()
    box.focus()
    with ExperimentDatabase(sweep, "sweep") as db:
        with db.create_simulation_context("late", parameters={"rate": 1}):
            pass
        expect(page.get_by_role("status").filter(has_text="41 simulations")).to_be_visible(timeout=10_000)
        expect(page.get_by_label("run_30", exact=True)).to_be_focused()
        page.keyboard.press("Space")
        expect(page.locator(".comparison")).to_contain_text("run_30")
        expect(page.get_by_label("run_30", exact=True)).to_be_focused()
        header = page.get_by_role("button", name="params.seed")
        header.press("Enter")
        expect(header).to_be_focused()


def test_zooms_are_in_the_address_and_an_unknown_metric_is_not(page: Page, serve: Serve, sweep: Path) -> None:
    """Goal: the windows of the comparison and the groups come back by a link; a metric of no run is said, not kept."""
    address = serve(sweep)
    shown(page, at(address, "/runs", s=["run_1", "run_2"], group="params.rate"))
    chosen = page.locator(".picture", has=page.get_by_label("Metric"))
    bands = page.locator(".picture", has_text="loss by params.rate")
    chosen.locator(".chart[data-ready]").press("+")
    expect(page).to_have_url(re.compile(r"zoom=49\.75%2C149\.25"))
    bands.locator(".chart[data-ready]").press("ArrowRight")
    expect(page).to_have_url(re.compile(r"gzoom=49\.75%2C248\.75"))
    shown(page, page.url)
    for picture, step in ((chosen, "100"), (bands, "149")):
        picture.locator(".chart[data-ready]").wait_for()
        picture.locator(".u-over").hover()
        expect(picture.locator(".legend")).to_contain_text(re.compile(f"step ({step}|{int(step) - 1})"))
    assert "zoom=49.75%2C149.25" in page.url
    assert "gzoom=49.75%2C248.75" in page.url
    shown(page, at(address, "/runs", metric="lost"))
    expect(page.get_by_text("No run here has a metric lost.")).to_be_visible()
    assert "lost" not in page.url
    assert page.get_by_label("Curve", exact=True).input_value() == "loss"
    page.get_by_label("Curve", exact=True).select_option(HOSTILE)
    expect(page.get_by_text("No run here has")).to_be_hidden()


def test_only_curves_that_changed_are_asked_for_again(page: Page, serve: Serve, sweep: Path) -> None:
    """Goal: while one run logs, its small curve alone is asked for again, every few seconds at most."""
    with ExperimentDatabase(sweep, "sweep") as db, db.create_simulation_context("live") as sim:
        sim.log_metric("loss", 1.0, step=0)
        db.flush_all_buffers()
        shown(page, at(serve(sweep), "/runs"))
        expect(page.locator(".spark path")).to_have_count(41)
        asked: list[tuple[float, list[str]]] = []

        def note(request) -> None:
            if "runs/sparks" in request.url:
                asked.append((time.monotonic(), json.loads(parse_qs(urlparse(request.url).query)["ids"][0])))

        page.on("request", note)
        for step in range(1, 41):
            sim.log_metric("loss", float(step), step=step)
            db.flush_all_buffers()
            page.wait_for_timeout(200)
        page.wait_for_timeout(3500)
        assert asked
        assert all(ids == ["live"] for _, ids in asked), asked
        assert len(asked) <= 6, "each write is asked for"
        curve = page.locator("tr", has=page.get_by_label("live", exact=True)).locator(".spark path")
        assert (curve.get_attribute("d") or "").count("L") > 20
