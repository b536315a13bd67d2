"""The picture of a reduced series is that of all its points, pixel by pixel, at several zooms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import siltstone

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import Page
from viewing import DAY_NS, START_NS, Serve, at, drawn, points

N = 200_000
SPAN = 14 * DAY_NS // 10**9
#: The last row of the picture above the strokes that mark missing values.
STROKES = 8

#: Draws all points of the window, with those before and behind it, by the page's own charts; how many pixels differ by
#: more than edges that overlap do (32 of 255).
DIFFERING = """async ([from, until, strokes]) => {
    const [{ Chart }, { table }] = [await import("/chart.js"), await import("/api.js")];
    const { columns } = await table("series/window", { key: "flow" });
    const [times, values] = Object.values(columns);
    const seconds = times.map((ns) => Number(ns) / 1e9);
    const first = Math.max(0, seconds.findIndex((x) => x >= from) - 1);
    const behind = seconds.findIndex((x) => x >= until);
    const last = behind < 0 ? seconds.length : behind + 1;
    const shown = document.querySelector(".chart");
    // Of dense points uPlot draws fewer, in columns that are not those of the pixels: here every one is drawn.
    const { default: uPlot } = await import("/vendor/uPlot.esm.js");
    const { linear } = uPlot.paths;
    uPlot.paths.linear = () => (u, line, first, last) => {
        const paths = linear()(u, line, first, last);
        const stroke = new Path2D();
        for (let i = first; i <= last; i += 1) {
            const y = u.data[line][i];
            const [x, up] = [u.valToPos(u.data[0][i], "x", true), u.valToPos(y, "y ", true)];
            if (y != null) stroke.lineTo(Math.round(x), Math.round(up));
        }
        return { ...paths, stroke };
    };
    const chart = new Chart({ height: 380, onWindow: () => {} });
    shown.after(chart.element);
    chart.draw({
        kind: "time",
        window: { from, until },
        data: [seconds.slice(first, last), values.slice(first, last).map((y) => (Number.isNaN(y) ? null : y))],
        lines: [{ label: "flow", color: "--line-1", scale: "y " }],
        scales: { "y ": { label: "", side: "left" } },
    });
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    const { bbox } = chart.plot;
    const data = (element) => {
        const canvas = element.querySelector("canvas");
        return canvas.getContext("2d").getImageData(bbox.left, 0, bbox.width, bbox.top + bbox.height - strokes).data;
    };
    const [few, all] = [data(shown), data(chart.element)];
    const line = getComputedStyle(document.documentElement).getPropertyValue("--line-1");
    let [differing, inked] = [0, 0];
    for (let i = 0; i < all.length; i += 4) {
        inked += all[i + 3] > 0 && all[i + 2] > all[i] + 60;
        differing += [0, 1, 2, 3].some((k) => Math.abs(all[i + k] - few[i + k]) > 32);
    }
    uPlot.paths.linear = linear;
    chart.close();
    chart.element.remove();
    return [differing, inked, last - first];
}"""


@pytest.fixture
def plant(path: Path) -> Path:
    """A walk of 200,000 points with a gap, single points in it, and spikes of one point."""
    times = START_NS + np.arange(N) * (SPAN * 10**9 // N)
    values = np.cumsum(np.random.default_rng(1).normal(size=N))
    values[50_000:60_000] = np.nan
    values[55_000] = 100.0
    values[123_456] = 700.0
    values[123_458] = -700.0
    with siltstone.open(path) as db:
        db.series.save(points(times, values), "flow")
    return path


@pytest.mark.parametrize(
    ("share", "about"), [(1.0, 0.5), (0.1, 0.61), (0.1, 0.25), (0.01, 0.6172), (0.01, 0.3), (0.0002, 0.61728)]
)
def test_a_reduced_picture_is_that_of_all_points(
    page: Page, serve: Serve, plant: Path, share: float, about: float
) -> None:
    """Goal: at the whole, a tenth, a hundredth and single points no pixel differs, with gaps and spikes."""
    begin = START_NS / 10**9
    parameters = {}
    ends = [begin, begin + (N - 1) * (SPAN / N)]
    if share < 1:
        ends = [begin + SPAN * (about - share / 2) + 0.37, begin + SPAN * (about + share / 2) + 0.37]
        parameters = dict(zip(("from", "until"), ends, strict=True))
    page.goto(at(serve(plant), "/series", s="flow", **parameters))
    drawn(page)
    page.wait_for_load_state("networkidle")
    differing, inked, count = page.evaluate(DIFFERING, [*ends, STROKES])
    assert inked > 300
    assert count > 10
    assert differing == 0, f"{differing} pixels differ, of {inked} with ink"
