"""A run in three lines, as users of wandb and trackio begin one."""

import argparse
import contextlib
import dataclasses
import gc
import glob
import os
import signal
import subprocess
import sys
import threading
import time
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import siltstone
from siltstone.errors import ClosedError, ExistsError, InvalidError, NotFoundError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sweep.db"


def runs(path):
    with siltstone.open(path, read_only=True) as db:
        return db.experiment().simulations()


def child(code, *arguments, **options):
    """A process of its own that runs code."""
    command = [sys.executable, "-c", "import sys, siltstone\n" + code, *map(str, arguments)]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def test_numbers_of_every_kind_are_metrics_by_their_names(path):
    run = siltstone.init(path, {"lr": 0.1})
    run.log({"loss": 1.5, "n": 3, "ok": True, "val": {"loss": np.float32(0.5), "deep": {"er": np.int64(-2)}}})
    run.log({"loss": np.array(0.25), "gone": float("nan"), "most": float("inf")})
    run.flush()
    metric = run.simulation.parent_db.metric
    assert metric(run.id, "loss") == [(0, 1.5), (1, 0.25)]
    assert metric(run.id, "val.loss") == [(0, 0.5)] and metric(run.id, "val.deep.er") == [(0, -2.0)]
    assert metric(run.id, "ok") == [(0, 1.0)]
    assert np.isnan(metric(run.id, "gone")[0][1]) and metric(run.id, "most") == [(1, np.inf)]
    run.finish()


def test_steps_go_on_by_themselves_and_replace_when_given_again(path):
    with siltstone.init(path) as run:
        run.log({"a": 1})
        run.log({"b": 2}, commit=False)
        run.log({"a": 3})
        run.log({"a": 4}, step=10)
        run.log({"a": 5})
        run.log({"a": 9}, step=0)
        assert run.step == 12
        run.flush()
        metric = run.simulation.parent_db.metric
        assert metric(run.id, "a") == [(0, 9.0), (1, 3.0), (10, 4.0), (11, 5.0)]
        assert metric(run.id, "b") == [(1, 2.0)]


def test_texts_arrays_images_and_histograms_are_kept_whole(path):
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)

    class Image:  # as PIL's
        __array_interface__ = image.__array_interface__

    class Tensor:  # as one of torch that has a gradient and is elsewhere
        def detach(self):
            return self

        def cpu(self):
            return np.array([1.5, 2.5], np.float32)

    with siltstone.init(path) as run:
        histogram = siltstone.Histogram([0.0, 0.1, 1.0, np.nan], bins=2)
        run.log({"note": "began", "image": Image(), "weights": Tensor(), "h": histogram, "one": np.array([7])}, step=3)
        run.log({"note": "went on"})
        arrays = run.simulation.array
        assert (arrays("image", 3) == image).all() and arrays("image").dtype == np.uint8
        assert arrays("one").tolist() == [7]  # an array whatever its length
        assert arrays("weights").tolist() == [1.5, 2.5] and arrays("weights").dtype == np.float32
        assert arrays("h.counts").tolist() == [2, 1] and arrays("h.edges").tolist() == [0.0, 0.5, 1.0]
        run.flush()
        assert run.simulation.parent_db.metric(run.id, "h.not_finite") == [(3, 1.0)]
        rows = run.simulation.query("SELECT step, name, text FROM texts ORDER BY step").rows
        assert rows == [(3, "note", "began"), (4, "note", "went on")]


GREATEST = np.finfo(np.float64).max
NEAR_AND_FAR = [
    *([1.0, 1.0 + 6e-16], [-1.0, -1.0 - 6e-16], [1e300] * 3, [-1e308, 0.0, 1e308], [-GREATEST, GREATEST]),
    *([GREATEST], [-GREATEST], [0.0, 5e-324], [5e-324 * 1001, 0.0], [0.0, 1e-310], [2.0**53, 2.0**53 + 2]),
]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("values", NEAR_AND_FAR)
def test_a_histogram_has_its_bins_however_near_or_far_values_are(values):
    for bins in (1, 2, 64, 1000):
        made = siltstone.Histogram(values, bins=bins)
        assert made.counts.sum() == len(values) and len(made.counts) == bins
        assert np.isfinite(made.edges).all() and (made.edges[:-1] < made.edges[1:]).all()
        assert made.edges[0] <= min(values) and max(values) <= made.edges[-1]
    with pytest.raises(InvalidError, match="bins"):
        siltstone.Histogram(values, bins=0)


def test_a_histogram_of_other_values_is_numpys():
    for values in ([], [3.0], np.random.default_rng(1).normal(size=1_000)):
        made, (counts, edges) = siltstone.Histogram(values), np.histogram(values, bins=64)
        assert made.counts.tolist() == counts.tolist() and made.edges.tolist() == edges.tolist()


MASKED = np.ma.array([1, 2], mask=[False, True])


@pytest.mark.parametrize("value", [object(), {1, 2}, [None], [[1], [1, 2]], MASKED, b"a\0", 10**30])
def test_a_value_of_another_kind_is_refused_by_name_and_nothing_of_the_call_is_kept(path, value):
    with siltstone.init(path) as run:
        with pytest.raises(InvalidError, match=r"net\.x: expected a number, a text, an array"):
            run.log({"loss": 1.0, "note": "text", "net": {"x": value}})
        assert run.step == 0 and dict(run.summary) == {}
        with pytest.raises(InvalidError, match="expected names, which are texts, got 3"):
            run.log({3: 1.0})
        for bad in ({"a": 1.0, "x" * 300: np.zeros(3)}, {"a": 1.0, "t": "\ud800"}, {"a.b": 1, "a": {"b": 2}}, {"": 1}):
            with pytest.raises(InvalidError):
                run.log(bad)
        with pytest.raises(InvalidError, match="data: expected a dict of names and values, got 1.5"):
            run.log(1.5)
    assert runs(path)[0].rows == 0


def test_none_is_a_metric_without_a_value_and_a_reader_finds_it_so(path):
    with siltstone.init(path) as run:
        run.log({"loss": 1.0})
        run.log({"loss": None, "val": {"loss": None}})
        run.log({"acc": 2.0}, step=0)
        run.log({"acc": None}, step=0)  # replaces, as a number does
        run.flush()
        assert run.step == 2 and run.simulation.parent_db.metric(run.id, "loss") == [(0, 1.0)]
        rows = run.simulation.query("SELECT step_number, name, value FROM simulation_metrics ORDER BY 1, 2").rows
        assert rows == [(0, "acc", None), (0, "loss", 1.0), (1, "loss", None), (1, "val.loss", None)]
        assert run.summary["loss"] == 1.0
    with siltstone.init(path, id=run.id, resume="must") as run:
        assert dict(run.summary) == {"acc": None, "loss": 1.0, "val.loss": None}
        run.summary["best"] = None
    assert runs(path)[0].results_summary == {"best": None}


@pytest.mark.parametrize(
    "exact", [Decimal("0.5"), Fraction(-3, 4), Decimal("NaN"), Decimal("-Infinity"), Decimal(2**60)]
)
def test_a_decimal_that_a_float_has_exactly_is_a_number(path, exact):
    with siltstone.init(path) as run:
        run.log({"price": exact})
        run.flush()
        np.testing.assert_equal(run.simulation.parent_db.metric(run.id, "price"), [(0, float(exact))])
        run.summary["best"] = {"prices": [exact]}
        np.testing.assert_equal(run.summary["best"], {"prices": [float(exact)]})


@pytest.mark.parametrize(
    "rounded", [Decimal("0.1"), Fraction(1, 3), Decimal("1e400"), Decimal("sNaN"), Fraction(10**400)]
)
def test_a_decimal_that_would_be_rounded_is_refused_with_what_keeps_it(path, rounded):
    with siltstone.init(path) as run:
        with pytest.raises(InvalidError, match=r"price: expected a number that a float has exactly.*float\(.*str\("):
            run.log({"loss": 1.0, "price": rounded})
        with pytest.raises(InvalidError, match=r"best\.prices\[0\]: expected a number that a float has exactly"):
            run.summary["best"] = {"prices": [rounded]}
        assert dict(run.summary) == {}


def frames():
    columns = {"n": [1, 2], "x": [0.5, None], "word": ["a", None], "ok": [True, False]}
    made = {
        "pandas": lambda: pytest.importorskip("pandas").DataFrame(columns),
        "polars": lambda: pytest.importorskip("polars").DataFrame(columns),
    }
    return made | {"pyarrow": lambda: pytest.importorskip("pyarrow").table(columns)}


@pytest.mark.parametrize("library", frames())
def test_a_frame_is_records_of_a_table_of_its_name(path, library):
    frame = frames()[library]()
    with siltstone.init(path) as run:
        run.log({"loss": 1.0, "predictions": frame})
        run.log({"predictions": frame})
        sql = "SELECT step, n, x, word, ok FROM predictions WHERE simulation_id = '{}'"
        run.flush()
        once = [(1, 0.5, "a", 1), (2, None, None, 0)]
        assert run.simulation.query(sql.format(run.id)).rows == [(step, *row) for step in (0, 1) for row in once]
        with pytest.raises(
            ExistsError, match=r'table "predictions" with other columns \(x is float64 there, and missing here\)'
        ):
            run.log({"loss": 2.0, "predictions": frame[["n"]] if library == "pandas" else frame.select(["n"])})
        with pytest.raises(InvalidError, match="the name of a table"):
            run.log({"loss": 2.0, "val": {"predictions": frame}})
        with pytest.raises(InvalidError, match=r"run\.log\(\{'best': table\}\) keeps it"):
            run.summary["best"] = frame
        run.flush()
        assert run.simulation.parent_db.metric(run.id, "loss") == [(0, 1.0)] and run.step == 2


def test_a_frame_whose_columns_have_no_such_type_is_refused_by_the_column(path):
    pa = pytest.importorskip("pyarrow")
    with siltstone.init(path) as run:
        for values, kind in (([[1]], "list<item: int64>"), ([None], "null"), ([Decimal("0.1")], "decimal128")):
            with pytest.raises(InvalidError, match=rf"t\.y: expected a column of integers.*, got {kind}"):
                run.log({"loss": 1.0, "t": pa.table({"x": [1], "y": values})})
        table = pa.table({"at": pa.array([0], pa.timestamp("us")), "kind": pa.array(["a"]).dictionary_encode()})
        run.log({"t": table})
        rows = run.simulation.records("t").to_pandas()
        assert rows.to_dict("list")["kind"] == ["a"] and rows["at"][0].value == 0
    assert runs(path)[0].rows == 1


def refusals():
    """What the store would refuse, beside what the checks of the values find."""
    pa = pytest.importorskip("pyarrow")
    name = "x" * 250
    return {
        "numbers": {"n": 2**53 + 1},
        "arrays": {"a": np.broadcast_to(np.float64(0), 125_000_000)},
        "names": {"a\0b": "text"},
        "histograms": {name: siltstone.Histogram([1.0])},
        "categories": {"c": pa.table({"c": pa.array([1, 2]).dictionary_encode()})},
        "empty categories": {"c": pa.table({"c": pa.array(["a", ""]).dictionary_encode()})},
        "long categories": {"c": pa.table({"c": pa.array(["a" * 256]).dictionary_encode()})},
        "times": {"t": pa.table({"t": pa.array([2**62], pa.timestamp("s"))})},
        "columns": {"t": pa.table([[1], [2]], names=["x", "x"])},
        "no columns": {"t": pa.table({})},
        "taken columns": {"t": pa.table({"step": [1]})},
        "names of tables": {"net.t": pa.table({"x": [1]})},
        "a table of rows": {"first_rows": pa.table({"x": [1]})},
        "the store's tables": {"agents": pa.table({"x": [1]})},
        "another store's tables": {"concepts": pa.table({"x": [1]})},
        "other columns": {"known": pa.table({"y": [1]})},
    }


@pytest.mark.parametrize("what", list(refusals()))
def test_of_a_call_of_which_one_value_is_refused_nothing_is_kept_and_no_table_is_made(path, what):
    pa = pytest.importorskip("pyarrow")
    with siltstone.init(path, id="other") as run:
        run.log({"known": pa.table({"x": [1]})})
    with siltstone.init(path, id="a") as run:
        names = run.simulation.query("SELECT name FROM sqlite_master").rows
        good = {"m": 1.0, "none": None, "note": "text", "w": np.zeros(2), "first": pa.table({"x": [1]})}
        for data in (good | refusals()[what], refusals()[what] | good):
            with pytest.raises((InvalidError, ExistsError)):
                run.log(data)
        for step in (-1, 1.5, "x"):
            with pytest.raises(InvalidError, match="step"):
                run.log(good, step=step)
        assert dict(run.summary) == {} and run.step == 0
        assert run.simulation.query("SELECT name FROM sqlite_master").rows == names
        assert run.simulation.query("SELECT count(*) FROM simulation_arrays WHERE simulation_id = 'a'").rows == [(0,)]
        run.log(good, step=np.float64(2))
    assert [one.rows for one in runs(path)] == [1, 4]


@pytest.mark.parametrize("name", ["texts", "Texts", "texts_rows"])
def test_a_frame_does_not_take_the_name_of_the_table_of_texts(path, name):
    pa = pytest.importorskip("pyarrow")
    with siltstone.init(path) as run:
        with pytest.raises(InvalidError, match=f"{name}: expected another name of a table"):
            run.log({name: pa.table({"x": [1]})})
        run.log({"note": "text"})
        assert run.simulation.query("SELECT text FROM texts").rows == [("text",)]


def test_categories_of_frames_are_kept_however_they_are_coded(path):
    pa, pl = pytest.importorskip("pyarrow"), pytest.importorskip("polars")
    words = [f"word {i}" for i in range(200)]
    kind = pa.dictionary(pa.int8(), pa.string())
    chunks = [pa.array(part).dictionary_encode().cast(kind) for part in (words[:100], words[100:])]
    coded = {"arrow": pa.table({"c": pa.chunked_array(chunks)})}
    coded["categorical"] = pl.DataFrame({"c": pl.Series(words, dtype=pl.Categorical)})
    coded["enum"] = pl.DataFrame({"c": pl.Series(words, dtype=pl.Enum(words))})
    with siltstone.init(path) as run:
        run.log(coded)
        for name in coded:
            assert run.simulation.records(name).to_pandas()["c"].tolist() == words


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="a long double is a float here")
def test_a_long_double_is_never_rounded_in_silence(path):
    with siltstone.init(path) as run:
        for value in (np.longdouble("0.1"), np.array(np.longdouble("0.1")), np.longdouble("1e400")):
            for data in ({"x": value}, {"x": value, "note": "text"}, {"net": {"x": value}}):
                with pytest.raises(InvalidError, match="x: expected a number that a float has exactly"):
                    run.log(data)
        with pytest.raises(InvalidError, match="best: expected a number that a float has exactly"):
            run.summary["best"] = np.longdouble("0.1")
        for kind in (np.longdouble, np.clongdouble):
            with pytest.raises(InvalidError, match="x: expected floats of 64 bits or fewer, got dtype"):
                run.log({"m": 1.0, "x": np.zeros(3, kind)})
        run.log({"x": np.longdouble("0.5"), "y": np.array(0.25, np.longdouble), "z": np.longdouble("nan")})
        np.testing.assert_equal(dict(run.summary), {"x": 0.5, "y": 0.25, "z": np.nan})


@dataclasses.dataclass
class Parameters:
    lr: float = 0.5


@pytest.mark.parametrize("given", [{"lr": 0.5}, Parameters(), argparse.Namespace(lr=0.5)])
def test_parameters_are_a_dict_a_dataclass_or_a_namespace(path, given):
    with siltstone.init(path, given) as run:
        assert run.config.lr == run.config["lr"] == 0.5 and dict(run.config) == {"lr": 0.5}
        run.config.depth = 3
        run.config.update(argparse.Namespace(seed=1))
        run.config["lr"] = 0.5  # the same again
        with pytest.raises(ExistsError):
            run.config.lr = 0.25
        with pytest.raises(AttributeError, match="no parameter 'width'"):
            run.config.width
    assert runs(path)[0].parameters == {"lr": 0.5, "depth": 3, "seed": 1}


@pytest.mark.parametrize("given", [3, "lr=1", [1]])
def test_other_parameters_are_refused_and_make_no_run(path, given):
    with pytest.raises(InvalidError, match="config: expected a dict of parameters"):
        siltstone.init(path, given)


def test_the_summary_has_what_is_set_and_the_last_value_of_each_metric(path):
    with siltstone.init(path) as run:
        run.log({"loss": 2.0})
        run.log({"loss": 1.0})
        run.summary["best"] = {"loss": 0.5}
        run.summary["extra"] = 1
        del run.summary["extra"]
        assert dict(run.summary) == {"best": {"loss": 0.5}, "loss": 1.0} and len(run.summary) == 2
        with pytest.raises(KeyError):
            run.summary["none"]
    assert runs(path)[0].results_summary == {"best": {"loss": 0.5}}


def test_a_run_says_how_it_ended(path):
    with siltstone.init(path, id="good", tags=["a", "b"], notes="first"):
        pass
    with pytest.raises(RuntimeError), siltstone.init(path, id="bad") as run:
        raise RuntimeError("too hot")
    run = siltstone.init(path, id="worse")
    run.finish("too cold")
    with pytest.raises(ClosedError):
        run.log({"x": 1})
    good, bad, worse = runs(path)
    assert (good.status, good.error) == ("completed", None)
    assert good.provenance["tags"] == ["a", "b"] and good.provenance["notes"] == "first"
    assert good.provenance["command_line"]
    assert (bad.status, bad.error) == ("failed", "RuntimeError: too hot")
    assert (worse.status, worse.error) == ("failed", "too cold")


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads are counted where Linux lists them")
def test_a_finished_run_holds_no_thread_and_is_read_from_its_file(path):
    def threads():
        found = set()
        for task in glob.glob("/proc/self/task/*"):
            with contextlib.suppress(OSError):  # it has ended
                if Path(task, "comm").read_text().startswith("siltstone-"):
                    found.add(task)
        return found

    def ended():
        deadline = time.monotonic() + 20
        while threads() - before:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    gc.collect()  # what tests before have let go
    before = threads()
    held = []
    for n in range(3):
        run = siltstone.init(path, {"n": n}, id=f"run {n}")
        run.log({"loss": float(n), "w": np.zeros(2)})
        run.summary["best"] = n
        run.finish()
        held.append(run)
    ended()
    assert [dict(run.summary) for run in held] == [{"best": n, "loss": float(n)} for n in range(3)]
    assert run.config["n"] == 2 and run.simulation.simulation_id == "run 2"
    for call in (run.log, run.simulation.log_metrics, lambda data: run.simulation.log("texts", step=0, name="a")):
        with pytest.raises(ClosedError, match="the simulation 'run 2' belongs to a database that was closed"):
            call({"loss": 1.0})
    with pytest.raises(ClosedError):
        run.summary["best"] = 3
    ended()


def test_an_id_that_is_there_is_refused_gone_on_with_or_expected(path):
    with siltstone.init(path, {"lr": 1}, id="a", tags="x") as run:
        run.log({"loss": 3.0}, step=4)
    with pytest.raises(ExistsError) as caught:
        siltstone.init(path, id="a")
    if sys.version_info >= (3, 11):
        assert 'resume="allow" goes on with it' in caught.value.__notes__
    with pytest.raises(NotFoundError):
        siltstone.init(path, id="b", resume="must")
    with pytest.raises(InvalidError, match="expected one of never, allow, must, got 'yes'"):
        siltstone.init(path, resume="yes")
    with pytest.raises(InvalidError, match="expected the id"):
        siltstone.init(path, resume="must")
    with siltstone.init(path, {"lr": 1, "more": 2}, id="a", resume="must") as run:
        assert run.step == 5 and run.tags == ("x",) and run.config.more == 2
        run.log({"loss": 2.0})
    with siltstone.init(path, id="b", resume="allow") as run:
        assert run.step == 0
    found = runs(path)
    assert [one.simulation_id for one in found] == ["a", "b"] and found[0].last_step == 5


def test_what_is_refused_at_resume_changes_nothing_and_what_it_does_not_take_is_said(path):
    with pytest.raises(RuntimeError), siltstone.init(path, {"lr": 0.1}, id="x", tags=["one"]) as run:
        run.log({"w": np.zeros(3)}, step=2)  # arrays count as steps
        raise RuntimeError("boom")
    before = runs(path)
    with pytest.raises(ExistsError, match=r"config: expected lr as the run 'x' has it, 0.1, got 0.2"):
        siltstone.init(path, {"lr": 0.2}, id="x", resume="allow")
    assert runs(path) == before and before[0].error == "RuntimeError: boom"
    with pytest.warns(UserWarning, match=r"keeps what it has, not tags=\['two'\]"):
        run = siltstone.init(path, {"lr": 0.1}, id="x", resume="allow", tags=["two"])
    assert run.tags == ("one",) and run.step == 3
    run.finish()


def test_threads_have_a_step_each(path):
    with siltstone.init(path) as run:
        threads = [threading.Thread(target=lambda: [run.log({"m": 1.0}) for _ in range(2_000)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert run.step == 16_000
    assert runs(path)[0].rows == 16_000


def test_a_reader_sees_what_was_logged_a_moment_ago(path):
    with siltstone.init(path) as run:
        run.log({"loss": 1.0})
        deadline = time.monotonic() + 20
        while runs(path)[0].rows == 0:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_second_finish_does_nothing_and_an_exit_without_a_code_is_no_failure(path):
    with siltstone.init(path, id="a") as run:
        run.finish("broken")
    for code in (0, None, 3):
        with pytest.raises(SystemExit), siltstone.init(path, id=f"exit {code}"):
            sys.exit(code)
    assert [one.status for one in runs(path)] == ["failed", "completed", "completed", "failed"]


def test_a_decorator_refuses_what_has_not_run_when_it_returns(path):
    async def later():
        pass

    with pytest.raises(InvalidError, match="has run when it returns"):
        siltstone.track(path)(later)
    with pytest.raises(InvalidError, match=r"expected @track\(path\)"):
        siltstone.track(later)

    class Model:
        @siltstone.track(path)
        def fit(self, data, run=None):
            return run.id

    assert Model().fit(np.zeros(2)) == runs(path)[0].simulation_id
    assert runs(path)[0].parameters == {"data": "array([0., 0.])"}


def test_a_decorated_function_is_a_run_a_call(path):
    @siltstone.track(path, project="sweep", tags=["t"])
    def train(lr, depth=2, run=None):
        run.log({"loss": lr})
        return {"best": lr / depth}

    @siltstone.track(path)
    def plain(lr):
        return lr

    assert train(0.5) == {"best": 0.25} and train(1.0, depth=4) == {"best": 0.25} and plain(3) == 3
    with pytest.raises(TypeError):
        train()
    found = runs(path)
    assert [one.parameters for one in found][:3] == [{"lr": 0.5, "depth": 2}, {"lr": 1.0, "depth": 4}, {"lr": 3}]
    assert found[0].results_summary == {"best": 0.25} and found[0].experiment_id == "sweep"
    assert train.__name__ == "train"


class Unshown:
    def __repr__(self):
        raise RuntimeError("no repr")


def test_a_decorated_function_gives_its_result_whatever_a_summary_takes(path):
    cycle = {}
    cycle["again"] = cycle
    odd = [np.zeros(2), {1}, cycle, np.datetime64("2026-01-01"), "\ud800", Decimal("0.1"), Unshown(), [np.ones(1)]]
    result = {f"odd {i}": value for i, value in enumerate(odd)} | {(1, 2): "tuple", "\ud800": 1, "good": 0.5}
    result |= {"frame": pytest.importorskip("pandas").DataFrame({"x": [1]})}

    @siltstone.track(path)
    def train(argument):
        return result

    for argument in odd:
        assert train(argument) is result
    found = runs(path)
    assert [one.status for one in found] == ["completed"] * len(odd)
    summary = found[0].results_summary
    assert summary["odd 0"] == found[0].parameters["argument"] == "array([0., 0.])" and summary["good"] == 0.5
    assert summary["odd 1"] == "{1}" and summary["(1, 2)"] == "'tuple'" and len(summary) == len(result)


def test_a_process_that_ends_without_finish_leaves_a_run_that_says_so(path):
    code = "run = siltstone.init(sys.argv[1], id=sys.argv[2]); run.log({'loss': 1.0})\n"
    assert child(code, path, "quiet").wait(60) == 0
    assert child(code + "raise ValueError('no luck')", path, "raised").wait(60) == 1
    quiet, raised = runs(path)
    assert (quiet.status, quiet.rows) == ("stopped", 1)
    assert (raised.status, raised.error, raised.rows) == ("failed", "ValueError: no luck", 1)


def test_a_killed_run_is_crashed_keeps_what_was_written_and_can_be_gone_on_with(path):
    code = """
run = siltstone.init(sys.argv[1], {"seed": 1}, id="a")
for i in range(10**9):
    run.log({"loss": 1 / (i + 1)})
    if i == 1000:
        run.flush()
        print("written", flush=True)
"""
    process = child(code, path)
    assert process.stdout.readline() == "written\n"
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    with siltstone.init(path, id="other"):
        pass
    killed = runs(path)[0]
    assert killed.status == "crashed" and killed.last_step >= 1000
    with siltstone.init(path, id="a", resume="must") as run:
        assert run.step == killed.last_step + 1
        run.log({"loss": 0.0})
        run.flush()
        found = run.simulation.parent_db.metric("a", "loss")
    assert found[:1001] == [(i, 1 / (i + 1)) for i in range(1001)] and found[-1] == (run.step - 1, 0.0)
    assert runs(path)[0].status == "completed"


def test_many_processes_and_threads_have_runs_in_one_file_at_once(path):
    code = """
with siltstone.init(sys.argv[1], {"n": int(sys.argv[2])}) as run:
    for i in range(500):
        run.log({"loss": i * int(sys.argv[2])})
"""
    processes = [child(code, path, n) for n in range(6)]
    with siltstone.init(path, {"n": 99}) as run:
        threads = [
            threading.Thread(target=lambda k=k: [run.log({f"m{k}": i}, step=i) for i in range(300)]) for k in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for process in processes:
        assert process.wait(120) == 0, process.stderr.read()
    found = runs(path)
    assert {one.status for one in found} == {"completed"} and len({one.simulation_id for one in found}) == 7
    assert sorted(one.rows for one in found) == [500] * 6 + [1200]
    assert {one.parameters["n"] for one in found} == {*range(6), 99}
