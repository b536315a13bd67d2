"""Zooming over the ticks of one symbol, at every level, beside the M4 query of DuckDB over the same ticks."""

import os
import random
import time
from statistics import median, quantiles

import data
import numpy as np
import pyarrow as pa
from server import Server

WIDTH = 1_600
#: Windows at each level.
TIMES = 5
#: The narrowest window.
NARROWEST_NS = 60 * 10**9

M4 = """
SELECT (time - {at} + {half}) // {pixel} AS x, count(*), min(time), max(time),
    arg_min(bid, time), arg_max(bid, time), min(bid), max(bid),
    arg_min(ask, time), arg_max(ask, time), min(ask), max(ask)
FROM ticks WHERE time >= {at} AND time < {until} GROUP BY x ORDER BY x
"""


def windows(first, last):
    """All ticks, and halves of halves down to a minute. A pixel is an even number of ns wide: its edges are exact."""
    chosen = random.Random(1)
    pixel = -(-(last + 1 - first) // (2 * WIDTH)) * 2
    levels = [[(first, pixel)]]
    while pixel * WIDTH > 2 * NARROWEST_NS:
        pixel = pixel // 4 * 2
        room = last + 1 - first - pixel * WIDTH
        levels.append([(first + chosen.randrange(room), pixel) for _ in range(TIMES)])
    return levels


def forget(path):
    """Take what was read of the files out of the page cache."""
    for file in path.rglob("*"):
        if file.is_file():
            with file.open("rb") as opened:
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read(body):
    table = pa.ipc.open_stream(body).read_all()
    time_ns = table.column("time").cast(pa.int64()).to_numpy()
    return time_ns, table.column("bid").to_numpy(), table.column("ask").to_numpy()


def summed(body, at, pixel):
    """What M4 says of each column of pixels, from the points that were answered."""
    time_ns, bid, ask = read(body)
    x = (time_ns - at + pixel // 2) // pixel
    begins = np.flatnonzero(np.r_[True, x[1:] != x[:-1]]) if len(x) else np.array([], int)
    ends = np.r_[begins[1:], len(x)] - 1
    columns = [x[begins], time_ns[begins], time_ns[ends]]
    for price in (bid, ask):
        extremes = [of.reduceat(price, begins) if len(x) else price for of in (np.minimum, np.maximum)]
        columns += [price[begins], price[ends], *extremes]
    return columns


def measure(options, folder, size):
    total, days = size["ticks"], size["days"]
    path = data.tick_folder(folder, total, days)
    found = {"ticks": total, "folder, bytes": data.size_bytes(path)}
    first = int(data.ticks(0, total // days)["time"][0])
    last = int(data.ticks(days - 1, total // days)["time"][-1])
    levels = windows(first, last)

    def parameters(at, pixel, **more):
        window = {"from": at, "until": at + pixel * WIDTH, "width": WIDTH}
        return {"symbol": data.SYMBOL, "format": "arrow"} | window | more

    for route in ("quotes", "bars"):
        cold, cpu = [], []
        for _ in range(min(options.repeat, 3)):
            forget(path)
            with Server(options.silt, path) as server:
                cold.append(server.ask(f"ticks/{route}", **parameters(*levels[0][0]))[2])
                cpu.append(server.cpu_s())
        found[f"{route}, cold: CPU, ms"] = 1e3 * median(cpu)
        found[f"{route}, cold: the first window of all ticks, ms"] = 1e3 * median(cold)
    answers = {}
    with Server(options.silt, path) as server:
        for route in ("quotes", "bars"):
            server.ask(f"ticks/{route}", **parameters(*levels[0][0]))
            took = []
            for level, asked in enumerate(levels):
                of_level, before = [], server.cpu_s()
                for at, pixel in asked * (TIMES // len(asked)):
                    body, _, seconds = server.ask(f"ticks/{route}", **parameters(at, pixel))
                    of_level.append(seconds)
                    if route == "quotes":
                        answers[at, pixel] = body
                took += of_level
                name = f"{route}, level {level:2} ({pixel * WIDTH / 1e9:,.0f} s), ms"
                found[name] = 1e3 * median(of_level)
                found[f"{name}, of CPU"] = 1e3 * (server.cpu_s() - before) / len(of_level)
            found[f"{route}, warm: p95 of all levels, ms"] = 1e3 * quantiles(took, n=20)[-1]
        found["memory of the server after it, MB"] = server.memory_mb()
    if not options.no_baselines:
        found |= duckdb_m4(options, folder, size, levels, answers)
    return found


def duckdb_m4(options, folder, size, levels, answers):
    """The same windows; each column of pixels must be that of our answer."""
    import duckdb

    path = data.tick_database(folder, size["ticks"], size["days"])
    took, equal, found = [], 0, {"DuckDB: file, bytes": data.size_bytes(path)}
    with duckdb.connect(path, read_only=True) as db:
        for level, asked in enumerate(levels):
            of_level = []
            for at, pixel in asked:
                until = at + pixel * WIDTH
                query = M4.format(at=at, half=pixel // 2, pixel=pixel, until=until)
                began = time.perf_counter()
                rows = db.sql(query).fetchnumpy()
                of_level.append(time.perf_counter() - began)
                columns = list(rows.values())
                theirs = [columns[0], *columns[2:]]
                ours = summed(answers[at, pixel], at, pixel)
                if not all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True)):
                    raise RuntimeError(f"window {at} of {pixel} ns a pixel: DuckDB's M4 is another")
                equal += len(columns[0])
            took += of_level
            found[f"DuckDB, level {level:2} ({pixel * WIDTH / 1e9:,.0f} s), ms"] = 1e3 * median(of_level)
    found["DuckDB: p95 of all levels, ms"] = 1e3 * quantiles(took, n=20)[-1]
    found["columns of pixels that are equal to DuckDB's"] = equal
    return found
