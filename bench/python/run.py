"""Siltstone beside its peers from Python: `python run.py --help`.

Every phase of every repetition runs in a fresh process on a fresh folder, the peers taking
turns. What is read back is compared with what was written, by bits; a difference ends the run.
The page cache is warm: what is measured is work, not the disk, but for the `fsync`s of a peer.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path

import machine
import report
from gen import WORKLOADS, Workload
from peer import PEERS
from worker import MISSING

HERE = Path(__file__).resolve().parent
LENGTHS = (1_000, 10_000, 100_000)
QUICK = 10  # how much smaller a quick run is
# numpy starts threads for linear algebra that spin at first: CPU time that no peer has used.
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class PeerFailed(Exception):
    """A peer broke off, or gave back something else than it was given."""


class PeerMissing(Exception):
    """What a peer runs on is not installed."""


def main():
    options = arguments()
    options.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        scratch = Path(scratch)
        record = {"machine": machine.facts(scratch), "repeat": options.repeat}
        print(json.dumps(record["machine"], indent=1))
        try:
            record["peers"] = peers = dict(installed(options.only))
            if not peers:
                sys.exit("None of the peers asked for is installed: nothing was measured.")
            record["workloads"] = {
                name: bench(name, peers, options, scratch) for name in options.workload
            }
        except PeerFailed as failure:
            sys.exit(str(failure))
    print(f"\n{report.notes(peers)}")
    if options.name or not options.quick:
        print(f"kept as {keep(record, options)}")


def arguments():
    parser = argparse.ArgumentParser(description="Measure Siltstone and its peers from Python.")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=PEERS,
        default=list(PEERS),
        metavar="PEER",
        help="these peers only: " + ", ".join(PEERS),
    )
    parser.add_argument("--workload", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--repeat", type=int, default=5, help="repetitions; the median counts")
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"a trial: {QUICK} times fewer updates, once; its figures mean little",
    )
    parser.add_argument(
        "--name",
        help="keep the result as RESULTS/<date>-NAME.json (python; a quick run: only if named)",
    )
    parser.add_argument("--results", type=Path, default=HERE.parent / "results")
    parser.add_argument(
        "--scratch",
        type=Path,
        default=Path(tempfile.gettempdir()),
        help="where the peers write: a disk, not a memory file system",
    )
    options = parser.parse_args()
    if options.quick:
        options.repeat = 1
    return options


def bench(name: str, peers: dict, options, scratch: Path) -> dict:
    """Run one workload, print its tables, and return all its measures."""
    workload = WORKLOADS[name]
    if options.quick:
        workload = replace(workload, updates=workload.updates // QUICK)
    if name == "flat":
        return flat(workload, peers, options, scratch)
    results = {peer: {} for peer in peers}
    for _ in range(options.repeat):
        for peer, about in peers.items():
            for phase, measure in once(peer, about, workload, scratch):
                results[peer].setdefault(phase, []).append(measure)
    print(f"\n{report.tables(workload, peers, results)}", flush=True)
    return results


def once(peer: str, about: dict, workload: Workload, scratch: Path):
    """Yield `(phase, measure)` of one repetition: written, read and asked for a state."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        yield "write", child("write", peer, workload, folder)
        if about["reads"]:
            yield "read", child("read", peer, workload, folder)
            yield "state", child("state", peer, workload, folder)
    if about["batches"]:
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            yield "batch", child("batch", peer, workload, folder)
            if about["reads"]:
                child("read", peer, workload, folder)  # for its check only


def flat(workload: Workload, peers: dict, options, scratch: Path) -> dict:
    """Ask Siltstone for the state in the middle of ever longer runs."""
    runs = {}
    if report.US not in peers:
        return runs
    for updates in LENGTHS[:-1] if options.quick else LENGTHS:
        longer = replace(workload, updates=updates)
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            grown = child("grow", report.US, longer, folder)
            states = [child("state", report.US, longer, folder) for _ in range(options.repeat)]
        runs[updates] = {"grow": [grown], "state": states}
    print(f"\n{report.flatness(workload, runs)}", flush=True)
    return runs


def installed(names: list[str]):
    """Yield `(peer, what it says about itself)`, and say which ones cannot run and why."""
    for name in names:
        try:
            yield name, child("about", name, WORKLOADS["small"], "-")
        except PeerMissing as missing:
            print(f"left out: {missing}", file=sys.stderr)


def child(phase: str, peer: str, workload: Workload, folder: str) -> dict:
    """Run one phase in a process of its own, and return what it measured."""
    command = [sys.executable, HERE / "worker.py", phase, peer, workload.name]
    command += [str(workload.updates), folder]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | ENVIRONMENT
    )
    if done.returncode != 0:
        kind = PeerMissing if done.returncode == MISSING else PeerFailed
        raise kind(f"{peer}, {phase} of {workload.name!r}: {done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[-1])


def keep(record: dict, options) -> Path:
    """Write the record beside the earlier ones, with a number if its name is taken."""
    options.results.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    stem = f"{now:%Y-%m-%d}-{options.name or 'python'}"
    names = (f"{stem}{number}.json" for number in chain([""], (f"-{n}" for n in count(2))))
    file = next(file for file in map(options.results.joinpath, names) if not file.exists())
    with file.open("x") as out:
        json.dump({"time": f"{now:%Y-%m-%dT%H:%M:%SZ}"} | record, out, indent=1)
    return file


if __name__ == "__main__":
    main()
