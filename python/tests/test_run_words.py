"""What a run says of itself, and of what it could not write."""

import glob
import os
import time

import pytest

import siltstone
from siltstone.errors import ClosedError, InvalidTypeError


def test_the_summary_has_no_texts_and_name_and_tags_stay(path):
    """Goal: what is no metric is not in the summary, by any question; what init was told is not changed in silence."""
    with siltstone.init(path, name="calm", tags=["a"]) as run:
        run.log({"t": "hello", "x": 1.5, "none": None})
        assert "t" not in run.summary and run.summary.get("t", 7) == 7
        assert run.summary["x"] == 1.5 and run.summary["none"] is None
        for name, value in (("name", "b"), ("tags", ("b",))):
            with pytest.raises(AttributeError):
                setattr(run, name, value)
        assert (run.name, run.tags) == ("calm", ("a",))


def test_a_frame_without_rows_makes_no_table(path):
    """Goal: an empty frame says no types, and stands in nobody's way."""
    pd = pytest.importorskip("pandas")
    with siltstone.init(path) as run:
        run.log({"f": pd.DataFrame({"a": []})})
        run.log({"f": pd.DataFrame({"a": [1, 2]})})
        assert run.simulation.query("SELECT a FROM f ORDER BY a").rows == [(1,), (2,)]
        run.log({"f": pd.DataFrame({"a": pd.Series([], dtype="int64")})})


def test_what_cannot_be_written_is_said_by_the_next_call(path):
    """Goal: a file that is gone is told before the end of the run, and nothing is logged as if it were kept."""
    run = siltstone.init(path, logging=siltstone.experiment.DataLoggingConfig(commit_interval=0.05))
    run.log({"x": 1})
    for name in glob.glob(f"{path}*"):
        os.remove(name)
    with pytest.raises(ClosedError, match="removed or replaced"):
        for _ in range(200):
            run.log({"x": 2})
            time.sleep(0.05)
    with pytest.raises(ClosedError):
        run.finish()


def test_an_exit_code_says_how_a_run_ended(path):
    """Goal: a code that is not 0 is a failure; what is no code is refused, and the run goes on."""
    for code in (0, None, 3):
        siltstone.init(path, id=f"code {code}").finish(exit_code=code)
    siltstone.init(path, id="both").finish("too cold", exit_code=3)
    siltstone.init(path, id="exit").finish(SystemExit(0), exit_code=4)
    with siltstone.open(path, read_only=True) as db:
        ended = [(one.status, one.error) for one in db.experiment().simulations()]
    assert ended == [
        ("completed", None),
        ("completed", None),
        ("failed", "exit code 3"),
        ("failed", "too cold"),
        ("failed", "exit code 4"),
    ]
    with siltstone.init(path, id="wrong") as run:
        for code in ("0", True, 1.5):
            with pytest.raises(InvalidTypeError, match="exit_code: expected an integer"):
                run.finish(exit_code=code)
