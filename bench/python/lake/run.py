"""Publishing ticks to a lake in a folder, beside what others write: `python lake/run.py --help`.

Every phase runs in a process of its own, on the same rows; counts and sums of what is read back
must be those of what was written. `silt publish` reads day files and writes 8 files a day; pyarrow
and deltalake write a frame that is in their memory already, a file a day, and sort nothing. The
compression is zstd everywhere, at level 3.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
sys.path.insert(1, str(HERE.parent))

import kept
import machine


def arguments():
    parser = argparse.ArgumentParser(description="Measure publishing to a lake.")
    parser.add_argument("--silt", type=Path, required=True, help="the command, optimized")
    parser.add_argument(
        "--rows",
        type=int,
        nargs="*",
        default=[5_000_000, 20_000_000],
        help="ticks, a million a day",
    )
    parser.add_argument(
        "--repeat", type=int, default=3, help="publishes to a new lake; the median counts"
    )
    parser.add_argument(
        "--pace", type=int, default=50_000, help="rows a second of the folder that is synced"
    )
    parser.add_argument(
        "--seconds", type=int, default=40, help="how long it is written; 0 leaves it out"
    )
    parser.add_argument("--every", default="1s", help="between two turns of `silt sync`")
    parser.add_argument("--name", default="lake-python", help="kept as RESULTS/<date>-NAME.json")
    parser.add_argument("--results", type=Path, default=HERE.parent.parent / "results")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()))
    return parser.parse_args()


def child(phase, rows, folder):
    done = subprocess.run(
        [sys.executable, HERE / "worker.py", phase, str(rows), folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(f"{phase}: {done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[-1])


def measured(command):
    """Run a command; its answer in JSON, and what it took."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command}: {process.returncode}")
    took = {"wall_s": time.perf_counter() - start, "cpu_s": usage.ru_utime + usage.ru_stime}
    return json.loads(said), took | {"peak_bytes": usage.ru_maxrss * 1024}


def publish(options, rows, folder):
    """All the phases of a number of rows."""
    record = {"fill": child("fill", rows, folder), "publish": []}
    time.sleep(2)  # a file that was written just now would be looked at again
    for run in range(options.repeat):
        lake = folder / ("lake" if run == 0 else f"lake-{run}")
        command = [options.silt, "--json", "publish", folder / "ticks", "--to", lake]
        said, took = measured(command)
        assert said["tables"]["ticks"]["rows"] == rows, said
        record["publish"].append(took)
        if run > 0:
            subprocess.run(["rm", "-r", lake], check=True)
    command = [options.silt, "--json", "publish", folder / "ticks", "--to", folder / "lake"]
    said, record["again"] = measured(command)
    assert said["tables"] == {}, said
    record["lake"] = child("check", rows, folder)
    record["deltalake"] = child("deltalake", rows, folder)
    subprocess.run(["rm", "-r", folder / "deltalake"], check=True)
    record["sorted"] = child("sorted", rows, folder)
    record["hour"] = child("query", rows, folder)
    return record


def newest_ns(table):
    """The latest tick that the log of a table has, and its rows: by the statistics of its files."""
    files = {}
    for commit in sorted((table / "_delta_log").glob("*.json")):
        for action in map(json.loads, commit.read_text().splitlines()):
            if remove := action.get("remove"):
                files.pop(remove["path"], None)
            if add := action.get("add"):
                files[add["path"]] = json.loads(add["stats"])
    newest = max((stats["maxValues"]["time_ns"] for stats in files.values()), default=0)
    return newest, sum(stats["numRecords"] for stats in files.values()), len(files)


def write(options, folder):
    command = [sys.executable, HERE / "writer.py", folder, str(options.pace), str(options.seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def sync(options, folder):
    """The lag of a lake behind a folder that is written, and what that costs the writer."""
    writer = write(options, folder / "alone")
    alone = json.loads(writer.communicate()[0].splitlines()[-1])
    ticks, lake = folder / "written", folder / "synced"
    writer, lags = write(options, ticks), []
    while not list(ticks.rglob("*.db")):
        time.sleep(0.01)
    command = [options.silt, "--quiet", "sync", ticks, "--to", lake, "--every", options.every]
    syncing = subprocess.Popen(command)
    begun = time.monotonic()
    while writer.poll() is None:
        time.sleep(0.2)
        if time.monotonic() - begun > 5 and (lake / "ticks/_delta_log").exists():
            lags.append(time.time() - newest_ns(lake / "ticks")[0] / 1e9)
    # The last lags are of a folder that is not written any more.
    lags = lags[:-3]
    written = json.loads(writer.stdout.read().splitlines()[-1])
    deadline = time.monotonic() + 60
    while newest_ns(lake / "ticks")[1] != written["rows"]:
        assert time.monotonic() < deadline, f"{newest_ns(lake / 'ticks')} of {written['rows']} rows"
        time.sleep(0.1)
    syncing.send_signal(signal.SIGINT)
    _, _, usage = os.wait4(syncing.pid, 0)
    syncing.returncode = 0
    _, rows, files = newest_ns(lake / "ticks")
    return {
        "pace": options.pace,
        "every": options.every,
        "alone": alone,
        "synced": written,
        "lag_s": {"median": median(lags), "max": max(lags), "samples": len(lags)},
        "sync": {"cpu_s": usage.ru_utime + usage.ru_stime, "peak_bytes": usage.ru_maxrss * 1024},
        "rows": rows,
        "files": files,
    }


def main():
    options = arguments()
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        record = {"machine": machine.facts(Path(scratch)), "publish": {}}
        record["machine"]["packages"]["deltalake"] = machine.version_of("deltalake")
        for rows in options.rows:
            folder = Path(scratch) / str(rows)
            folder.mkdir()
            record["publish"][rows] = publish(options, rows, folder)
            told(rows, record["publish"][rows])
            subprocess.run(["rm", "-r", folder], check=True)
        if options.seconds:
            record["sync"] = sync(options, Path(scratch))
            print(json.dumps(record["sync"], indent=1))
    print(f"kept as {kept.keep(record, options.results, options.name)}")


def told(rows, record):
    """One line a measure."""
    took, other = median(run["wall_s"] for run in record["publish"]), record["deltalake"]
    peak = max(run["peak_bytes"] for run in record["publish"])
    lake = record["lake"]
    print(f"{rows:,} ticks: {rows / took:,.0f} rows/s with {peak / 1e6:.0f} MB")
    print(f"  nothing new: {record['again']['wall_s']:.2f} s")
    print(f"  pyarrow and deltalake: {rows / other['wall_s']:,.0f} rows/s", end=" ")
    print(f"with {other['peak_bytes'] / 1e6:.0f} MB, the frame {other['frame_bytes'] / 1e6:.0f}")
    print(f"  bytes: lake {lake['bytes']:,} in {lake['files']} files, deltalake {other['bytes']:,}")
    for name, table in record["sorted"].items():
        print(f"  bytes, {name}: {table['bytes']:,}; lake {lake['bytes'] / table['bytes']:.2f}")
    for name, seconds in record["hour"]["wall_s"].items():
        print(f"  a symbol's hour, {name}: {1e3 * seconds:.1f} ms")


if __name__ == "__main__":
    main()
