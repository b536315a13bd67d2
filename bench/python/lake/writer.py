"""Ticks at a steady pace: `writer.py FOLDER ROWS_A_SECOND SECONDS`. Prints its cost as JSON."""

import json
import resource
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl
from data import SYMBOLS
from siltstone.ticks import TickStore, TickStoreConfig

BATCHES = 20  # a second


def main():
    folder, pace, seconds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    n = pace // BATCHES
    symbol = pl.Series(SYMBOLS).gather(np.arange(n) % len(SYMBOLS))
    took, late = [], 0.0
    config = TickStoreConfig.production("default", sqlite_base_path=folder, max_ticks_per_symbol=1)
    with TickStore(config) as store:
        begin = time.monotonic()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        for batch in range(seconds * BATCHES):
            due = begin + batch / BATCHES
            time.sleep(max(0.0, due - time.monotonic()))
            late = max(late, time.monotonic() - due)
            now = time.time_ns()
            bid = 1.0 + np.arange(n) % 1_000 / 1e5
            times = now - (n - np.arange(n)) * 1_000
            frame = pl.DataFrame({"symbol": symbol, "time": times, "bid": bid, "ask": bid + 1e-5})
            frame = frame.with_columns(
                pl.from_epoch("time", time_unit="ns").dt.replace_time_zone("UTC")
            )
            start = time.perf_counter()
            store.store_ticks(frame, lp="YOFX")
            took.append(time.perf_counter() - start)
        after = resource.getrusage(resource.RUSAGE_SELF)
        wall = time.monotonic() - begin
    cpu = after.ru_utime + after.ru_stime - usage.ru_utime - usage.ru_stime
    record = {
        "rows": n * seconds * BATCHES,
        "wall_s": wall,
        "cpu_s": cpu,
        "call_ms": 1e3 * median(took),
    }
    print(
        json.dumps(record | {"call_p99_ms": 1e3 * float(np.quantile(took, 0.99)), "latest_s": late})
    )


if __name__ == "__main__":
    main()
