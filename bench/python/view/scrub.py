"""Scrubbing a simulation, from the slider to the picture, and playing it."""

from statistics import median, quantiles

import data
import pages
from server import Server

#: Steps that are scrubbed to: far apart, near, back.
STEPS = 40

#: Moves the slider, and waits until the step is painted.
SCRUB = """
async (index) => {
    const slider = document.querySelector("input[aria-label=Time]");
    const plane = document.querySelector(".plane");
    const began = performance.now();
    slider.value = String(index);
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    while (!("ready" in plane.dataset)) await new Promise((resolve) => {
        const seen = new MutationObserver(() => { seen.disconnect(); resolve(); });
        seen.observe(plane, { attributes: true });
    });
    const drawn = performance.now() - began;
    // The picture of WebGL is drawn once it can be read; and then it is shown with the next frame.
    const canvas = plane.querySelector("canvas");
    const gl = canvas.getContext("webgl2");
    if (gl) gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0)));
    return { at: plane.dataset.at, drawn, shown: performance.now() - began, fast: gl !== null };
}
"""

#: Plays, and notes when each step is painted.
PLAY = """
async (seconds) => {
    const plane = document.querySelector(".plane");
    const steps = new Map();
    let isOver = false;
    const look = () => {
        if (isOver) return;
        const { at } = plane.dataset;
        if (!steps.has(at)) steps.set(at, performance.now());
        requestAnimationFrame(look);
    };
    const pace = document.querySelector("select[aria-label='Steps a second']");
    pace.value = "30";
    pace.dispatchEvent(new Event("change", { bubbles: true }));
    document.querySelector("button[aria-label=Play]").click();
    await new Promise((resolve) => setTimeout(resolve, 500));
    look();
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    isOver = true;
    document.querySelector("button[aria-label=Pause]").click();
    const times = [...steps.values()];
    return { frames: times.length - 1, ms: times[times.length - 1] - times[0], at: [...steps.keys()].map(Number) };
}
"""


def open_page(browser, server, **more):
    page = pages.fresh(browser)
    page.goto(server.at("/simulation", d=data.DATASET, g=data.GROUP, **more))
    page.wait_for_selector(".plane[data-ready]:visible", timeout=120_000)
    return page


def order(steps):
    """Steps in the order in which a hand might go: on, far away, back a little."""
    return [(n * 7919 + (n % 3) * 5) % (steps - 1) + 1 for n in range(STEPS // 2)] + list(
        range(steps // 2, steps // 2 + STEPS // 4)
    ) + list(range(steps // 3, steps // 3 - STEPS // 4, -1))


def measure(options, folder, size):
    entities, steps = size["entities"], size["steps"]
    path = data.mixed_file(folder, entities, steps, size["series"], size["points"])
    found = {"entities": entities, "steps": steps}
    with pages.browser() as browser, Server(options.silt, path) as server:
        names = {"dataset": data.DATASET, "group": data.GROUP, "attribute": data.ATTRIBUTE}
        near, far = [], []
        for at in order(steps):
            took = server.ask("simulation/state", **names, at=at, format="arrow")[2]
            (far if len(near) + len(far) < STEPS // 2 else near).append(took)
        found["/api/simulation/state, far, ms"] = 1e3 * median(far)
        found["/api/simulation/state, a step, ms"] = 1e3 * median(near)
        one = names | {"id": entities // 2, "width": 1600, "format": "arrow"}
        history = [server.ask("simulation/history", **one)[2] for _ in range(3)]
        found["history of an entity, the first time, ms"] = 1e3 * history[0]
        found["history of an entity, again, ms"] = 1e3 * median(history[1:])
        page = open_page(browser, server, t=0)
        shown, drawn, fast = {"far": [], "a step": []}, [], False
        for n, index in enumerate(order(steps)):
            # The slider's first place is the initial state, the next one the first step, of time 0.
            one = page.evaluate(SCRUB, index + 1)
            if one["at"] != str(index):
                raise RuntimeError(f"step {index} was asked for, and {one['at']} is shown")
            shown["far" if n < STEPS // 2 else "a step"].append(one["shown"])
            drawn.append(one["drawn"])
            fast = one["fast"]
        found["WebGL2"] = fast
        for way, times in shown.items():
            found[f"from slider to picture, {way}, median, ms"] = median(times)
            found[f"from slider to picture, {way}, p95, ms"] = quantiles(times, n=20)[-1]
        found["of it until it is drawn, median, ms"] = median(drawn)
        page.context.close()
        found["memory of the server after it, MB"] = server.memory_mb()
    few = max(entities // 10, 10)
    path = data.simulation_file(folder, few, steps)
    with pages.browser() as browser, Server(options.silt, path) as server:
        rates, passed = [], []
        for _ in range(min(options.repeat, 3)):
            page = open_page(browser, server, t=0, table=0)
            seconds = min(10.0, steps / 60)
            played = page.evaluate(PLAY, seconds)
            if played["at"] != sorted(played["at"]) or not played["frames"]:
                raise RuntimeError(f"the steps that were shown do not rise: {played['at']}")
            rates.append(1e3 * played["frames"] / played["ms"])
            passed.append(played["at"][-1] - played["at"][0] - played["frames"])
            page.context.close()
        found[f"frames a second with another step, playing {few:,} entities"] = median(rates)
        found["steps that no frame showed, of one run"] = median(passed)
    return found
