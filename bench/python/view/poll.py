"""A file that grows while it is watched: the memory of the server, and what it costs the writer."""

import json
import subprocess
import sys
import time
from statistics import median

import data
from server import Server

#: Seconds of writing with and without a watcher, in turns.
SPAN = 8.0
#: A page asks once a second. For the memory it is asked this much faster, so that minutes are as many looks as an hour.
EVERY_S = 1.0
HOUR_LOOKS = 3_600
SERIES_WIDTH = 1_600


def writer(path, seconds, most):
    """Writes updates, runs and points until the time is over, at most so many a second; prints how many commits."""
    import numpy as np
    import pandas as pd
    import siltstone

    random = np.random.default_rng(1)
    ids = np.arange(200)
    commits = 0
    with siltstone.open(path) as db:
        context = db.experiment("live").create_simulation_context(f"run_{time.time_ns()}", {"seed": 1})
        step = max(db.simulation.get_timestamps(data.DATASET), default=-1) + 1
        begin = time.perf_counter()
        while time.perf_counter() < begin + seconds:
            time.sleep(max(0.0, begin + commits / most - time.perf_counter()))
            values = {"id": {"data": ids}, data.ATTRIBUTE: {"data": random.normal(size=200)}}
            db.simulation.store_update(step, 0, data.DATASET, {data.GROUP: values})
            context.log_metric("loss", float(random.random()), commits)
            if commits % 20 == 0:
                index = pd.date_range(pd.Timestamp.now("UTC"), periods=20, freq="us")
                db.series.append("sensor", pd.Series(random.normal(size=20), index=index), overlap="replace")
            commits += 1
            step += 1
        context.flush_all_buffers()
    print(json.dumps({"commits": commits, "seconds": seconds}))


def written(path, seconds, most=None):
    """A writer in a process of its own."""
    command = [sys.executable, __file__, str(path), str(seconds), str(most or "inf")]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def rate(process):
    out, _ = process.communicate()
    if process.returncode != 0:
        sys.exit("the writer failed")
    told = json.loads(out.splitlines()[-1])
    return told["commits"] / told["seconds"]


def look(server, known, page):
    """What a page asks for that is open: whether something was written, and then for what it shows.

    The overview is left as it is for ten times as long as it took, and of the times of updates those are asked for that
    have come since: `page` has the end of the one and the last of the others.
    """
    seen = json.loads(server.ask("changes")[0])["version"]
    if seen == known:
        return seen, False
    if time.perf_counter() >= page.get("rest", 0.0):
        took = server.ask("overview")[2]
        page["rest"] = time.perf_counter() + 10 * took
    names = {"dataset": data.DATASET, "group": data.GROUP}
    series = json.loads(server.ask("series")[0])["series"]
    for one in series:
        server.ask("series/window", key=one["key"], width=SERIES_WIDTH, format="arrow")
    server.ask("runs", brief="true")
    since = {"from": page["last"] + 1} if "last" in page else {}
    if times := json.loads(server.ask("simulation/times", **names, **since)[0])["rows"]:
        page["last"] = times[-1][0]
    server.ask("simulation/state", **names, attribute=data.ATTRIBUTE, format="arrow")
    return seen, True


def until_end(server, process, every_s, sample=lambda: None):
    """Looks at what is written until the writer ends; how often, and how often there was something."""
    known, looks, news, page = None, 0, 0, {}
    while process.poll() is None:
        began = time.perf_counter()
        known, is_new = look(server, known, page)
        looks, news = looks + 1, news + is_new
        sample()
        time.sleep(max(0.0, every_s - (time.perf_counter() - began)))
    return looks, news


def measure(options, _folder, size):
    found = memory(options, size)
    found |= cost(options)
    return found


def memory(options, size):
    path = options.scratch / "grows.db"
    rate(written(path, 1.0))
    seconds = 60 * size["minutes"]
    memory = []
    with Server(options.silt, path) as server:
        process = written(path, seconds, options.commits)
        every = seconds / HOUR_LOOKS
        looks, news = until_end(server, process, every, lambda: memory.append(server.memory_mb()))
        commits = rate(process) * seconds
        cpu = server.cpu_s()
    fourth, tenth = len(memory) // 4, max(1, len(memory) // 10)
    tenths = [max(memory[at : at + tenth]) for at in range(0, 10 * tenth, tenth) if memory[at:]]
    return {
        "minutes": seconds / 60,
        "commits a second, at most": options.commits,
        "looks": looks,
        "looks that found something": news,
        "commits": round(commits),
        "file at the end, bytes": data.size_bytes(path),
        "memory of the server, second quarter, MB": median(memory[fourth : 2 * fourth]),
        "memory of the server, last quarter, MB": median(memory[-fourth:]),
        "memory of the server, most, MB": max(memory),
        "memory of the server, most of each tenth, MB": str(tenths),
        "CPU of the server, s": cpu,
    }


def cost(options):
    """A watcher that looks once a second, as a page does, and none, in turns, each on a new file."""
    watched, alone, of_server = [], [], []
    for n in range(2 * options.repeat):
        path = options.scratch / f"cost-{n}.db"
        rate(written(path, 0.5))
        if n % 2:
            alone.append(rate(written(path, SPAN)))
            continue
        with Server(options.silt, path) as server:
            process = written(path, SPAN)
            before = server.cpu_s()
            until_end(server, process, EVERY_S)
            of_server.append((server.cpu_s() - before) / SPAN)
            watched.append(rate(process))
    return {
        "commits a second, alone": median(alone),
        "commits a second, watched": median(watched),
        "what watching costs, %": 100 * (1 - median(watched) / median(alone)),
        "least and most of pairs, %": str([round(100 * (1 - w / a), 1) for w, a in zip(watched, alone, strict=True)]),
        "CPU of the server while it watches, % of a core": 100 * median(of_server),
    }


if __name__ == "__main__":
    from pathlib import Path

    writer(Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))
