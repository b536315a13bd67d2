"""Ticks in, live; bars, joins and old days out.

`python examples/ticks.py`
"""

import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np

from siltstone.ticks import TickStore, TickStoreConfig, doctor

base = Path(tempfile.mkdtemp()) / "db"
config = TickStoreConfig.production("BROKER-001", sqlite_base_path=base)
start = datetime(2026, 1, 19, 12, tzinfo=timezone.utc)

with TickStore(config) as store:
    # One at a time: never waits for the disk.
    for n in range(1_000):
        bid = (108_500 + n % 17) / 1e5
        time = start + timedelta(milliseconds=250 * n)
        store.store_tick("EURUSD", bid, bid + 0.0002, 0.0002, "YOFX", time)
    print(store.flush())

    # Many at once: straight into compressed blocks.
    times = np.datetime64("2026-01-18T00:00") + np.arange(50_000) * np.timedelta64(1, "s")
    bids = np.round(1.27 + np.arange(50_000) % 101 / 1e5, 5)
    store.store_ticks("GBPUSD", times, bids, bids + 0.0003, lp="YOFX")

    ticks = store.get_ticks_in_range("EURUSD", start, start + timedelta(minutes=1))
    print(ticks, ticks.bid.mean())
    bars = store.ohlc("EURUSD", "1min", price="bid")
    print(bars.time[0], bars.open[0], bars.high[0], bars.low[0], bars.close[0], bars.volume[0])
    held = store.asof([start + timedelta(seconds=10)], "EURUSD")
    print("held at", held.tick_time[0], held.bid[0])

    (day,) = store.compact("2026-01-19")
    print(f"compacted {day.rows} ticks: {day.bytes_before} bytes became {day.bytes_after}")
    assert (len(ticks), bars.volume.sum(), len(store.get_recent_ticks("EURUSD", 10))) == (
        241,
        1_000,
        10,
    )

assert doctor(base).ok
