"""The three lines of a run in a notebook, whose kernel is killed in mid-run."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import siltstone

nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
import nbformat
from nbclient.exceptions import DeadKernelError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def execute(folder, *cells, allow_errors=False):
    """The outputs of a notebook's cells, executed by a kernel of its own."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    resources = {"metadata": {"path": str(folder)}}
    client = nbclient.NotebookClient(
        notebook,
        timeout=300,
        startup_timeout=300,
        kernel_name="python3",
        resources=resources,
        allow_errors=allow_errors,
    )
    client.execute()
    return ["".join(out.get("text", "") for out in cell.outputs) for cell in notebook.cells]


def run_of(path):
    with siltstone.open(path, read_only=True) as db:
        (run,) = db.experiment().simulations(["a"])
        return run, db.experiment().metric("a", "loss")


def test_a_notebook_whose_kernel_is_killed_loses_nothing_that_was_written_and_is_resumed(tmp_path):
    path, marker = tmp_path / "sweep.db", tmp_path / "written"

    def kill():
        deadline = time.monotonic() + 280
        while not (marker.exists() and (text := marker.read_text()).endswith("\n")):
            if time.monotonic() > deadline:
                return
            time.sleep(0.01)
        os.kill(int(text), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(DeadKernelError):
        execute(
            tmp_path,
            "import os, siltstone\nrun = siltstone.init('sweep.db', config={'lr': 0.1}, id='a')",
            """for i in range(10**9):
    run.log({'loss': 1 / (i + 1)}, step=i)
    if i == 1000:
        run.flush()
        print(os.getpid(), file=open('written', 'w'), flush=True)""",
            "run.finish()",
        )
    killer.join()
    last = execute(
        tmp_path,
        "import siltstone\nrun = siltstone.init('sweep.db', config={'lr': 0.1}, id='a', resume='must')",
        "print(run.step)\nrun.log({'loss': 0.0})",
        "run.finish()",
    )
    run, loss = run_of(path)
    assert run.status == "completed" and run.parameters == {"lr": 0.1} and run.last_step == int(last[1]) > 1000
    assert loss == [*((i, 1 / (i + 1)) for i in range(run.last_step)), (run.last_step, 0.0)]


def test_a_cell_that_raises_leaves_the_run_going_and_fails_it_if_nothing_is_logged_afterwards(tmp_path):
    cells = (
        "import siltstone\nrun = siltstone.init('sweep.db', id='a')",
        "run.log({'loss': 1.0})\nraise ValueError('diverged')",
    )
    for name, more, status, error in (
        ("last", (), "failed", "ValueError: diverged"),
        ("logged", ("run.log({'loss': 0.5})",), "stopped", None),
        ("counted", ("run.simulation.log_metric('loss', 0.5, 1)",), "stopped", None),
        ("counted twice", ("run.simulation.log_metrics({'loss': 0.5}, 1)",), "stopped", None),
        ("looked at", ("run.summary['loss']\nrun.flush()",), "failed", "ValueError: diverged"),
        ("finished", ("run.log({'loss': 0.5})\nrun.finish()",), "completed", None),
        ("again", ("run.log({'loss': 0.5})", "1 / 0"), "failed", "ZeroDivisionError: division by zero"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        execute(folder, *cells, *more, allow_errors=True)
        run, loss = run_of(folder / "sweep.db")
        assert loss == [(0, 1.0), (1, 0.5)][: 1 + any("0.5" in cell for cell in more)]
        assert (run.status, run.error) == (status, error), name


def test_an_exception_at_a_prompt_is_not_kept_by_the_run_that_goes_on(tmp_path):
    code = """
import sys, siltstone
import gc, weakref
sys.ps1 = ">>> "
run = siltstone.init(sys.argv[1], id="a")

class Large:
    pass

def fails():
    large = Large()
    large.itself = weakref.ref(large)
    raise ValueError(large.itself)

try:
    fails()
except ValueError as error:
    sys.last_exc = sys.last_value = error
    itself = error.args[0]
assert itself() is not None
run.log({"loss": 1.0})
run.simulation.log_metric("y", 1.0)
del sys.last_exc, sys.last_value
gc.collect()
assert itself() is None
"""
    path = tmp_path / "sweep.db"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=60)
    assert run_of(path)[0].status == "stopped"
