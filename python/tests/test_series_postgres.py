"""Series in a PostgreSQL server: a real one, started here from the system's package."""

import os
import pickle
import pwd
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from siltstone import errors, series
from siltstone.series import Dataset, Signal, SQLDatabaseAdapter, StorageConfig, resample


def programs():
    """The folder of the server's programs, the newest one."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    found = debian[-1] if debian else shutil.which("initdb")
    if not found:
        pytest.skip("no PostgreSQL is installed: its tests are passed over (make postgresql)")
    return Path(found).parent


@pytest.fixture(scope="module")
def server():
    """The folder of a server's socket; it is gone after the tests."""
    bin, folder = programs(), Path(tempfile.mkdtemp(prefix="silt-pg"))
    other = {}
    if os.geteuid() == 0:  # the server refuses to run as root
        names = {entry.pw_name: entry for entry in pwd.getpwall()}
        user = names.get("postgres") or names["nobody"]
        os.chown(folder, user.pw_uid, user.pw_gid)
        other = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
    init = [bin / "initdb", "-D", folder / "data", "-U", "siltstone", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run([*init, "--locale=C"], check=True, **other, **quiet)
    run = [bin / "postgres", "-D", folder / "data", "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"]
    process = subprocess.Popen(run, **other, **quiet)
    try:
        for _ in range(600):
            if subprocess.run([bin / "pg_isready", "-q", "-h", folder]).returncode == 0:
                break
            time.sleep(0.1)
        yield folder
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder)


@pytest.fixture
def url(server, request):
    """The address of an empty schema."""
    schema = f"t{abs(hash(request.node.name))}"
    psql = [programs() / "psql", "-q", "-h", server, "-U", "siltstone", "-d", "postgres", "-c"]
    subprocess.run([*psql, f"CREATE SCHEMA {schema}"], check=True)
    return f"postgresql://siltstone:hunter2@/postgres?host={server}&options=-csearch_path%3D{schema}"


def points(n=1_000):
    index = pd.date_range("2026-03-28", periods=n, freq="h", tz="Europe/Paris", name="t")
    return pd.Series(np.arange(n) / 3.0, index, name="flow")


def test_the_meteaudata_adapter_keeps_series_in_a_server(url):
    """Goal: any SQLAlchemy address; values, index, zone, frequency and metadata come back equal."""
    address = url.replace("postgresql://", "postgresql+psycopg2://")
    backend = StorageConfig(backend_type="sql", connection_string=address).create_backend()
    assert isinstance(backend, SQLDatabaseAdapter) and backend.get_backend_type() == "postgresql"
    metadata = {"unit": "m3/h", "at": pd.Timestamp("2026-01-01"), "pair": (1, np.float32(0.5))}
    backend.save(points(), "plant/flow#1/RAW#1", metadata)
    found, kept = backend.load("plant/flow#1/RAW#1")
    pd.testing.assert_series_equal(found, points(), check_exact=True, check_freq=True)
    assert kept == metadata and type(kept["pair"][1]) is np.float32
    day = backend.load_range("plant/flow#1/RAW#1", "2026-03-29", "2026-03-30", closed="left")
    assert len(day) == 23
    assert backend.append("plant/flow#1/RAW#1", points(5), overlap="keep") == 5
    assert backend.info("plant/flow#1/RAW#1").length == 1_005
    assert backend.checksum("plant/flow#1/RAW#1")[0] == 1_005


def test_a_dataset_is_kept_in_a_server_and_copied_to_one(url, tmp_path):
    """Goal: from a file to the server with its tree; typed again, nothing is written."""
    file, there = series.open(f"sqlite:{tmp_path}/a.db"), series.open(url)
    dataset = Dataset(name="plant", backend=file)
    dataset.add(Signal(points().rename("RAW"), name="flow", units="m3/h"))
    dataset["flow#1"].process(["flow#1_RAW#1"], resample, "D")
    told = []
    report = series.transfer(file, there, progress=lambda done, all: told.append((done, all)))
    assert (report["series"], report["conflicts"]) == (2, 0) and told[-1][0] == told[-1][1]
    assert series.transfer(file, there)["unchanged"] == 2
    again = Dataset.open(there, "plant")
    assert again == dataset
    again["flow#1"].process(["flow#1_RAW#1"], resample, "W")
    assert Dataset.open(there, "plant")["flow#1"].all_time_series[-1] == "flow#1_RESAMPLED#2"

    def stop(done, all):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        series.transfer(there, series.open("memory:"), progress=stop)


def test_no_secret_is_shown(url):
    """Goal: neither a backend, nor a configuration, nor an error tells the password."""
    config = StorageConfig(backend_type="sql", connection_string=url)
    shown = [repr(config), str(config), repr(config.create_backend())]
    for bad in (url.replace("/postgres?", "/nowhere?"), "postgresql://me:hunter2@localhost:1/db"):
        with pytest.raises(errors.ServerError) as error:
            series.open(bad)
        shown.append(str(error.value))
    with pytest.raises(errors.InvalidError) as error:
        series.open("postgresql://me:hunter2@localhost:1/db?sslmode=maybe")
    assert "hunter2" not in " ".join([*shown, str(error.value)])


def test_no_secret_is_kept(url):
    """Goal: a backend keeps and pickles no password; one that is opened anew takes it from the environment."""
    backend = series.open(url)
    pickled = pickle.dumps(backend)
    kept = [str(vars(backend)).encode(), pickled]
    assert all(b"hunter2" not in text for text in kept) and b"siltstone" in pickled
    backend.save(pd.Series([1.0]), "a")
    again = pickle.loads(pickled)
    assert list(again.load("a")[0]) == [1.0]


def test_threads_share_a_backend(url):
    """Goal: each thread's points are there, once."""
    backend = series.open(url)

    def work(own):
        for n in range(10):
            backend.append("both", pd.Series([own, own]), overlap="keep")
            backend.save(pd.Series([float(n)]), f"of {own}")

    threads = [threading.Thread(target=work, args=[float(i)]) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(backend.load("both")[0]) == sorted([float(i) for i in range(4)] * 20)
    assert backend.list_keys("of ") == [f"of {float(i)}" for i in range(4)]


def test_operations_on_real_data_give_the_meteaudata_results(url, shared):
    """Goal: each operation of the shared data, in a server."""
    from test_series_tree import run_operations

    run_operations(series.open(url), shared)
