"""The loadable extension of the wheel, in Python's own sqlite3 and in Datasette."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_docs import ROOT, snippets

import siltstone
from siltstone.errors import NotFoundError
from siltstone.simulation import SimulationDatabase

LOADS = "import sqlite3; sqlite3.connect(':memory:').enable_load_extension(True)"


@pytest.fixture(scope="module")
def extension() -> str:
    """The extension, where the wheel was built with it."""
    try:
        return siltstone.sqlite_extension_path()
    except NotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def python() -> str:
    """A Python of this version whose sqlite3 loads extensions: this one or the system's."""
    version = "{}.{}".format(*sys.version_info)
    for candidate in (sys.executable, "/usr/bin/python3", shutil.which(f"python{version}")):
        code = f"import sys; assert '{{}}.{{}}'.format(*sys.version_info) == '{version}'; {LOADS}"
        if candidate and subprocess.run([candidate, "-c", code], capture_output=True, check=False).returncode == 0:
            return candidate
    return pytest.skip(f"no Python {version} here has an sqlite3 that loads extensions")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that is compacted."""
    with SimulationDatabase(tmp_path / "run.db") as db:
        for time in range(100):
            speeds = {"id": {"data": np.arange(20)}, "speed": {"data": np.arange(20) / 7 + time}}
            db.store_update(time, 0, "net", {"roads": speeds})
        db.compact()
    return tmp_path / "run.db"


def run_python(python: str, code: str, folder: Path, *paths: str) -> str:
    """What a program prints that has the packages of this one."""
    packages = [str(Path(siltstone.__file__).parents[1]), *(path for path in sys.path if "-packages" in path)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([*paths, *packages])}
    ran = subprocess.run([python, "-c", code], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_snippet_of_the_page_runs(extension: str, python: str, run: Path) -> None:
    """Goal: the lines of the page read a compacted run with Python's sqlite3, beside our own library."""
    [snippet] = snippets(ROOT / "docs" / "sqlite-extension.md")
    printed = run_python(python, f"{snippet}\nimport json\nprint(json.dumps(speeds))", run.parent)
    assert list(json.loads(printed).values()) == (np.arange(20) / 7 + 10).tolist()


def test_rows_are_those_of_our_connections(extension: str, python: str, run: Path) -> None:
    """Goal: each array of a compacted run comes to Python's sqlite3 byte for byte, and no write gets through a view."""
    code = f"""
import sqlite3
db = sqlite3.connect("file:run.db?mode=ro", uri=True)
try:
    db.execute("SELECT data FROM numpy_array").fetchall()
    raise SystemExit("it was read without the extension")
except sqlite3.OperationalError as error:
    assert "no such function: silt_raw" in str(error), error
db.enable_load_extension(True)
db.load_extension({extension!r})
for row in db.execute("SELECT id, dtype, shape, hex(data) FROM numpy_array ORDER BY id"):
    print(row)
# A second connection, after the first was closed: the library stays loaded.
db.close()
db = sqlite3.connect("run.db")
db.enable_load_extension(True)
db.load_extension({extension!r})
print(db.execute("SELECT count(*) FROM silt_state('net', 'roads', 50)").fetchone())
"""
    printed = run_python(python, code, run.parent).splitlines()
    with siltstone.open(run) as db:
        wanted = db.sql("SELECT id, dtype, shape, hex(data) FROM numpy_array ORDER BY id").rows
    assert printed == [*(repr(tuple(row)) for row in wanted), "(20,)"]


def test_threads_share_the_extension(extension: str, python: str, run: Path) -> None:
    """Goal: connections of several threads load it and read at once."""
    code = f"""
import sqlite3, threading
def read(found):
    for _ in range(20):
        db = sqlite3.connect("run.db")
        db.enable_load_extension(True)
        db.load_extension({extension!r})
        found.append(db.execute("SELECT count(*), sum(length(data)) FROM numpy_array").fetchone())
        db.close()
found = []
threads = [threading.Thread(target=read, args=(found,)) for _ in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
assert len(found) == 80 and len(set(found)) == 1, set(found)
"""
    run_python(python, code, run.parent)


def test_a_second_sqlite_library_is_refused(extension: str, python: str, run: Path) -> None:
    """Goal: of two SQLite libraries in one process the second gets an error, and no call of it goes to the first."""
    folder = os.environ.get("SILTSTONE_DATASETTE", "")
    if not (Path(folder) / "apsw").is_dir():
        pytest.skip("SILTSTONE_DATASETTE names no folder with apsw, which has an SQLite of its own (make extension)")
    code = f"""
import sqlite3, apsw
own = sqlite3.connect("run.db")
own.enable_load_extension(True)
own.load_extension({extension!r})
other = apsw.Connection("run.db")
other.enable_load_extension(True)
try:
    other.load_extension({extension!r})
    raise SystemExit("it was loaded")
except apsw.ExtensionLoadingError as error:
    assert "another SQLite library of this program" in str(error), error
print(own.execute("SELECT count(*) FROM silt_state('net', 'roads', 50)").fetchone())
"""
    assert run_python(python, code, run.parent, folder) == "(20,)\n"


def test_datasette_shows_a_compacted_table(extension: str, python: str, run: Path) -> None:
    """Goal: Datasette reads a table with blocks, and the functions answer in its SQL."""
    folder = os.environ.get("SILTSTONE_DATASETTE")
    if not folder:
        pytest.skip("SILTSTONE_DATASETTE names no folder with Datasette (make extension)")

    def get(path: str) -> dict:
        arguments = ["datasette", "run.db", "--load-extension", extension, "--get", path]
        code = f"import sys; sys.argv = {arguments!r}; from datasette.cli import cli; cli()"
        return json.loads(run_python(python, code, run.parent, folder))

    rows = get("/run/numpy_array.json?_shape=array&_size=5")
    assert [row["dtype"] for row in rows][:2] == ["<i8", "<f8"]
    sql = "SELECT+value+FROM+silt_state('net','roads',10)+WHERE+attribute='speed'"
    assert [row["value"] for row in get(f"/run.json?sql={sql}&_shape=array")] == (np.arange(20) / 7 + 10).tolist()
