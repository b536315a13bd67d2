"""The list of runs: shown, filtered and sorted, beside `mlflow ui` and trackio."""

import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from statistics import median

import data
import pages
from server import Server

FILTER = "params.layers = 3"

#: Clicks or types, and waits until something holds and is painted; ms.
ACT = """
async ([act, holds]) => {
    const isSo = new Function("return " + holds);
    const began = performance.now();
    new Function(act)();
    while (!isSo()) {
        if (performance.now() - began > 60_000) throw new Error(`never so: ${holds}`);
        await new Promise((resolve) => requestAnimationFrame(resolve));
    }
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0)));
    return performance.now() - began;
}
"""
TYPE = """
const input = document.querySelector("input[aria-label=Filter]");
input.value = {text!r};
input.dispatchEvent(new Event("change", {{ bubbles: true }}));
"""
SORT = "[...document.querySelectorAll('.list th button')].find((one) => one.textContent.startsWith({name!r})).click()"
#: So many are said to be listed, this one is the first row, and this is the name of the column that is sorted by.
SHOWN = """
document.querySelector('.filter .said').textContent === '{count:,} simulations'
    && document.querySelector('.list tbody a')?.textContent === 'run_{first:05}'
    && document.querySelector('.list th[title="{name}"]').textContent === '{name}{mark}'
"""
RESULT = "results.accuracy"
PICTURES = ".against[data-ready]"


def measure(options, folder, size):
    count = size["runs"]
    path = data.runs_file(folder, count)
    of_filter = [n for n in range(count) if data.parameters(n)["layers"] == 3]
    by_accuracy = sorted(range(count), key=lambda n: data.results(n)["accuracy"])
    steps = {
        "filtered": (TYPE.format(text=FILTER), len(of_filter), of_filter[0], ""),
        "filter taken away": (TYPE.format(text=""), count, 0, ""),
        "sorted": (SORT.format(name=RESULT), count, by_accuracy[0], " ↑"),
        "sorted the other way": (SORT.format(name=RESULT), count, by_accuracy[-1], " ↓"),
    }
    found = {"runs": count, "file, bytes": data.size_bytes(path)}
    took = {name: [] for name in ("list is shown", "all of the page is shown", *steps)}
    asked = {name: [] for name in ("/api/runs, the first time", "/api/runs, again", "/api/runs, filtered")}
    with pages.browser() as browser:
        for _ in range(options.repeat):
            with Server(options.silt, path) as server:
                body, _, seconds = server.ask("runs", brief="true")
                asked["/api/runs, the first time"].append(1e3 * seconds)
                listed = json.loads(body)["runs"]
                if len(listed) != count:
                    raise RuntimeError(f"{len(listed)} runs are listed, of {count}")
                found["/api/runs, bytes"] = len(body)
                asked["/api/runs, again"].append(1e3 * server.ask("runs", brief="true")[2])
                body, _, seconds = server.ask("runs", where=FILTER, brief="true")
                asked["/api/runs, filtered"].append(1e3 * seconds)
                if len(json.loads(body)["runs"]) != len(of_filter):
                    raise RuntimeError("the filter gives other runs than the data")
                page = pages.fresh(browser, pages.watching(".list tbody tr td"))
                took["list is shown"].append(pages.seen(page, server.at("/runs"), ".list tbody tr td"))
                page.wait_for_selector(PICTURES)
                took["all of the page is shown"].append(page.evaluate("performance.now()"))
                for name, (act, listed, first, mark) in steps.items():
                    # What came of the step before is drawn.
                    page.wait_for_selector(PICTURES)
                    page.wait_for_timeout(1_000)
                    shown = SHOWN.format(count=listed, first=first, name=RESULT, mark=mark)
                    took[name].append(page.evaluate(ACT, [act, shown.replace("\n", " ").strip()]))
                page.context.close()
    found |= {f"{name}, ms": median(times) for name, times in (asked | took).items()}
    if not options.no_baselines:
        if options.trackers is None:
            print("  left out: mlflow and trackio (--trackers)")
        else:
            found |= baselines(options, folder, size["baseline_runs"])
    return found


def baselines(options, folder, count):
    found = {}
    path = data.runs_file(folder, count)
    with pages.browser() as browser:
        times = []
        for _ in range(options.repeat):
            with Server(options.silt, path) as server:
                page = pages.fresh(browser, pages.watching(".list tbody tr td"))
                times.append(pages.seen(page, server.at("/runs"), ".list tbody tr td"))
                page.context.close()
        found[f"Siltstone, {count:,} runs: list is shown, ms"] = median(times)
        found |= mlflow(options, data.tracked(folder, options.trackers, "mlflow", count), count, browser)
        found |= trackio(options, data.tracked(folder, options.trackers, "trackio", count), count, browser)
    return found


class Running:
    """Another tracker's server; ends with its `with` block."""

    def __init__(self, command, environment, address=None):
        out = subprocess.PIPE if address is None else subprocess.DEVNULL
        self.process = subprocess.Popen(
            command,
            stdout=out,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | environment,
            start_new_session=True,
        )
        self.address = address or self.told()
        end = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(self.address, timeout=5).close()
                return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.3)

    def told(self):
        for line in self.process.stdout:
            if found := re.match(r"address (\S+)", line):
                return found[1]
        raise RuntimeError("the tracker's server ended")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.killpg(self.process.pid, 15)
        self.process.wait()


def mlflow(options, path, count, browser):
    """Its page shows 100 runs; its search answers all of them."""
    command = options.trackers.with_name("mlflow")
    store = f"sqlite:///{path / 'mlflow.db'}"
    asked, shown = [], []
    environment = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    command = [command, "ui", "--backend-store-uri", store, "--port", "5199", "--workers", "1"]
    with Running(command, environment, "http://127.0.0.1:5199") as server:
        api = f"{server.address}/api/2.0/mlflow"
        experiment = post(f"{api}/experiments/search", {"max_results": 10})[0]["experiments"]
        experiment = next(one["experiment_id"] for one in experiment if one["name"] == "sweep")
        for _ in range(options.repeat):
            answer, seconds = post(f"{api}/runs/search", {"experiment_ids": [experiment], "max_results": count})
            if len(answer["runs"]) != count:
                raise RuntimeError("mlflow: other runs than were made")
            asked.append(1e3 * seconds)
            page = pages.fresh(browser, pages.SEEN + TEXT % "run_")
            shown.append(pages.seen(page, f"{server.address}/#/experiments/{experiment}/runs", ""))
            page.context.close()
    return {f"mlflow, {count:,} runs: search, ms": median(asked), "mlflow: list is shown (100 runs), ms": median(shown)}


def post(url, document):
    request = urllib.request.Request(url, json.dumps(document).encode(), {"Content-Type": "application/json"})
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=120) as answer:
        body = answer.read()
    return json.loads(body), time.perf_counter() - began


#: Notes when a text is in the page, and painted.
TEXT = """
const look = () => {
  if ("it" in window.seen) return;
  const inputs = [...document.querySelectorAll("input")].map((one) => one.value);
  if ([document.body?.innerText ?? "", ...inputs].some((text) => text.includes("%s"))) {
    window.seen.it = -1;
    requestAnimationFrame(() => setTimeout(() => { window.seen.it = performance.now(); }, 0));
  } else setTimeout(look, 20);
};
look();
"""


def trackio(options, path, count, browser):
    """Its dashboard of one project."""
    shown = []
    script = data.HERE / "trackers.py"
    command = [options.trackers, script, "serve-trackio", path, "0"]
    with Running(command, {"TRACKIO_DIR": str(path), "GRADIO_ANALYTICS_ENABLED": "False"}) as server:
        for _ in range(options.repeat):
            page = pages.fresh(browser, pages.SEEN + TEXT % "run_")
            shown.append(pages.seen(page, server.address, ""))
            page.context.close()
    return {f"trackio, {count:,} runs: runs are shown, ms": median(shown)}
