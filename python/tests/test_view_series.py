"""The page Series of `silt view`: the history of a series as a graph."""

from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import Page, expect
from viewing import Serve, at, drawn


def test_a_step_of_the_history_shows_its_function(page: Page, serve: Serve, demo: Path) -> None:
    """Goal: a series has the graph of what made it; a step shows its function, and what was before and after."""
    key = "demo plant/ammonium#1/RESAMPLED#2"
    page.goto(at(serve(demo / "demo.db"), "/series", s=key))
    drawn(page)
    graph = page.locator(".graph")
    expect(graph.locator(".step")).to_have_text(["replace_ranges", "linear interpolation", "resample"])
    expect(graph.locator(".made")).to_have_count(4)
    expect(graph.locator(".made[aria-pressed='true']")).to_have_text(["ammonium#1_RESAMPLED#2"])
    assert graph.locator("path").count() == 6
    step = graph.get_by_role("button", name="replace_ranges")
    step.click()
    panel = page.locator(".panel")
    expect(panel).to_contain_text("the electrode was stuck")
    expect(panel).to_contain_text("ammonium#1_RAW#1")
    panel.get_by_role("button", name="Before and after").click()
    legend = page.locator(".picture .legend > span b")
    expect(legend).to_have_count(2)
    assert page.url.count("s=") == 2
    assert "RAW%231" in page.url
    assert "REPLACED-RANGES%231" in page.url
    # A series of the graph is drawn beside them by a click.
    page.goto(page.url)
    drawn(page)
    made = page.locator(".graph .made", has_text="RAW#1").first
    expect(made).to_have_attribute("aria-pressed", "true")
    made.click()
    expect(legend).to_have_count(1)
    assert page.url.count("s=") == 1
