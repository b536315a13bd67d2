"""The page of one run of `silt view`, and the code that Runs shows."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import siltstone
from siltstone.experiment import ExperimentDatabase

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import Page, expect
from viewing import HOSTILE, Serve, at

IDS = ["alpha", "run_2", "run_10", HOSTILE, "it's"]


@pytest.fixture
def sweep(path: Path) -> Path:
    """Five runs of names that are hard to sort and to quote: one failed, one logged an array and 21 metrics."""
    with ExperimentDatabase(path, "sweep") as db:
        for i, name in enumerate(IDS):
            parameters = {"rate": [0.3, 0.1, 0.2, 0.5, 0.4][i], "a b": i, "deep": {"er": i}, "mode": ["x", "y"][i % 2]}
            if i == 4:
                del parameters["mode"]
            with db.create_simulation_context(name, parameters=parameters) as sim:
                for step in range(50):
                    sim.log_metric("loss", 10 * i + step / 50, step=step)
                if name == "alpha":
                    for n in range(20):
                        sim.log_metric(f"more.{n:02}", n, step=0)
                    sim.log_array("weights", np.arange(6.0), step=3)
            outcome = ("failed", None) if name == "it's" else ("completed", {"score": 100 - i})
            db.update_simulation_status(name, *outcome)
    return path


def shown(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_selector("html[data-ready='/runs']")


def card(page: Page, title: str) -> Any:
    return page.locator(".card", has=page.locator("h2", has_text=re.compile(f"^{title}$")))


def parts(page: Page, n: int = 0) -> tuple[str, str, str]:
    """The SQL, the Python and the shell line of a block of code."""
    code = page.locator("details.code pre").nth(n).text_content() or ""
    sql, python, shell = re.split(r"^-- SQL.*\n|\n# Python.*\n|\n# Shell.*\n", code, flags=re.MULTILINE)[1:]
    return sql.strip().rstrip(";"), python.strip(), shell.strip()


def evaluated(python: str) -> Any:
    *statements, last = python.splitlines()
    names: dict[str, Any] = {}
    exec("\n".join(statements), names)
    return eval(last, names)


def ran(silt: str, shell: str) -> str:
    env = {"PATH": f"{Path(silt).parent}:/usr/bin:/bin"}
    done = subprocess.run(shell, shell=True, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def listed(page: Page) -> list[str]:
    return page.locator(".grid tbody td a").all_inner_texts()


def test_a_run_has_a_page(page: Page, serve: Serve, sweep: Path) -> None:
    """Goal: from the list by click and by key, with what the store knows of the run, and back to the list as it was."""
    shown(page, at(serve(sweep), "/runs", where="params.rate < 0.45", by="params.rate", order="falling", s="run_2"))
    assert listed(page) == ["it's", "alpha", "run_10", "run_2"]
    page.get_by_role("link", name="alpha").click()
    page.wait_for_selector("html[data-ready='/runs']")
    expect(page.locator("h1")).to_have_text("alpha")
    expect(page.locator(".head-of-run .pill")).to_have_text("completed")
    expect(card(page, "Parameters")).to_contain_text("0.3")
    expect(card(page, "Results")).to_contain_text("score")
    expect(card(page, "Run")).to_contain_text("sweep")
    with siltstone.open(sweep, read_only=True) as db:
        provenance = db.experiment().simulations(["alpha"])[0].provenance
    assert {"host", "platform", "command_line", "packages"} <= provenance.keys()
    for text in (provenance["host"], provenance["platform"]):
        expect(card(page, "Provenance")).to_contain_text(text)
    expect(card(page, "Provenance")).to_contain_text(provenance["packages"]["numpy"])
    # Twelve of 21 metrics, and all of them.
    expect(page.locator(".curve .chart[data-ready]")).to_have_count(12)
    expect(page.locator(".curve").first).to_contain_text("loss")
    expect(page.locator(".curve").first).to_contain_text("0.98 at step 49")
    page.get_by_label("Find a metric").fill("more.1")
    expect(page.locator(".curve .chart[data-ready]")).to_have_count(10)
    page.get_by_label("Find a metric").fill("")
    page.get_by_role("button", name="9 more").click()
    expect(page.locator(".curve .chart[data-ready]")).to_have_count(21)
    expect(card(page, "Tables").locator("tr", has_text="weights")).to_contain_text("<f8")
    # A window of all curves, which is in the address.
    page.locator(".curve .chart").first.press("+")
    expect(page).to_have_url(re.compile(r"run=alpha&from=12\.25&until=36\.75&"))
    shown(page, page.url)
    expect(page.locator(".curve").first).to_contain_text("at step 37")  # the one behind the window
    page.locator(".head-of-run a").first.press("Enter")
    expect(page.locator(".grid")).to_be_visible()
    assert listed(page) == ["it's", "alpha", "run_10", "run_2"]
    expect(page.get_by_label("run_2", exact=True)).to_be_checked()


def test_a_run_is_reached_by_keys_and_compared(page: Page, serve: Serve, sweep: Path) -> None:
    """Goal: Tab and Enter open a run; from there it goes into the comparison, and its tables into SQL."""
    shown(page, at(serve(sweep), "/runs"))
    page.get_by_label("run_2", exact=True).focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="run_2")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("run_2")
    page.get_by_role("link", name="Compare with others").click()
    expect(page.locator(".comparison")).to_contain_text("run_2")
    page.locator(".comparison").get_by_role("link", name="run_2").click()
    expect(page.locator("h1")).to_have_text("run_2")
    page.go_back()
    expect(page.locator(".comparison")).to_be_visible()
    page.go_forward()
    card(page, "Tables").locator("tr", has_text="metric").first.get_by_role("link", name="SQL").click()
    page.wait_for_selector("html[data-ready='/sql']")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("[role=status].said")).to_contain_text("50 rows")


def test_a_run_that_is_gone_or_hostile(page: Page, serve: Serve, sweep: Path) -> None:
    """Goal: an id that is not there is said, also of a run that is removed; one that is called as markup is text."""
    address = serve(sweep)
    shown(page, at(address, "/runs", run="nobody"))
    expect(page.locator("#page")).to_contain_text("There is no run of this id")
    for name in (HOSTILE, "it's"):
        shown(page, at(address, "/runs", run=name))
        expect(page.locator("h1")).to_have_text(name)
        page.wait_for_selector(".curve .chart[data-ready]")
    assert page.locator("img").count() == 0
    expect(page.locator(".pill").first).to_have_text("failed")
    expect(page.locator("#trouble")).to_be_hidden()
    with ExperimentDatabase(sweep, "sweep") as db:
        db.delete_simulation("it's")
        expect(page.locator("#page")).to_contain_text("There is no run of this id", timeout=10_000)


def test_a_running_run_is_followed(page: Page, serve: Serve, sweep: Path) -> None:
    """Goal: what a run logs while its page is open shows there."""
    with ExperimentDatabase(sweep, "sweep") as db, db.create_simulation_context("live") as sim:
        sim.log_metric("loss", 1.0, step=0)
        db.flush_all_buffers()
        shown(page, at(serve(sweep), "/runs", run="live"))
        expect(page.locator(".pill").first).to_have_text("running")
        sim.log_metric("loss", 42.5, step=7)
        db.flush_all_buffers()
        expect(page.locator(".curve").first).to_contain_text("42.5 at step 7", timeout=15_000)
        expect(card(page, "Run")).to_contain_text("7")


@pytest.mark.parametrize(
    ("filter", "by", "order"),
    [
        ("", "simulation", ""),
        ("params.rate >= 0.2 AND status = 'completed'", "params.rate", ""),
        ('params."a b" < 4 -- params.rate', "params.rate", "falling"),
        ('"a b" > 0 AND params.deep.er < 4', "results.score", ""),
        ("", "simulation", "falling"),
        ("", "params.mode", "falling"),
        ("", "seconds", ""),
        ("results.score > 0", "rows", "falling"),
        ("simulation_id <> 'params.rate'", "last step", ""),
    ],
)
def test_the_code_of_the_list_gives_it(
    page: Page, serve: Serve, silt: str, sweep: Path, filter: str, by: str, order: str
) -> None:
    """Goal: SQL and Python as they are shown give the list in its order, and the line of the shell the same runs."""
    if by == "seconds":  # SQLite's times are milliseconds: runs that took nearly as long have no order
        with sqlite3.connect(sweep) as plain:
            plain.execute(
                "UPDATE simulations SET start_time = '2026-01-01T00:00:00.000000Z', "
                "end_time = printf('2026-01-01T00:00:%02d.500000Z', id * 7 % 53) WHERE end_time IS NOT NULL"
            )
        plain.close()
    shown(page, at(serve(sweep), "/runs", where=filter, by=by, order=order))
    expect(page.locator("pre[role=alert]")).to_be_hidden()
    wanted = listed(page)
    assert len(wanted) > 2
    sql, python, shell = parts(page)
    assert [run.simulation_id for run in evaluated(python)] == wanted
    with siltstone.open(sweep, read_only=True) as db:
        rows = db.sql(sql).rows
        infos = {run.simulation_id: run for run in db.experiment().simulations()}
    is_text = "bytes" in (page.locator("details.code pre").first.text_content() or "").splitlines()[0]
    assert is_text == (by in ("simulation", "params.mode") and (order or by) != "simulation")
    if is_text:
        assert sorted(row[0] for row in rows) == sorted(wanted)
    else:
        assert [row[0] for row in rows] == wanted
    assert [row[4:6] for row in rows] == [(infos[row[0]].last_step, infos[row[0]].rows) for row in rows]
    out = ran(silt, f"{shell} --format json")
    assert sorted(run["simulation"] for run in json.loads(out)) == sorted(wanted)


def test_the_code_of_a_comparison_and_of_a_run_gives_them(page: Page, serve: Serve, silt: str, sweep: Path) -> None:
    """Goal: what is shown beside chosen runs and on the page of one runs as it stands."""
    chosen = ["run_10", HOSTILE, "it's"]
    address = serve(sweep)
    shown(page, at(address, "/runs", s=chosen))
    page.wait_for_selector(".chart[data-ready]")
    sql, python, shell = parts(page, 1)
    with siltstone.open(sweep, read_only=True) as db:
        result = db.sql(sql)
        assert {row[0] for row in result.rows} == set(chosen)
        column = result.columns.index("params.rate")
        rates = {row[0]: row[column] for row in result.rows}
        assert rates == {"run_10": 0.2, HOSTILE: 0.5, "it's": 0.4}
    table = evaluated(python).to_pandas()
    assert table["loss"].tolist() == [20.98, 30.98, 40.98]
    assert "40.98" in ran(silt, shell)
    for name in chosen:
        shown(page, at(address, "/runs", run=name))
        sql, python, shell = parts(page)
        with siltstone.open(sweep, read_only=True) as db:
            assert [row[0] for row in db.sql(sql).rows] == [name]
        assert evaluated(python).simulation_id == name
        assert json.loads(ran(silt, f"{shell} --json"))["simulation"]["simulation_id"] == name
