"""Runs of other trackers, written by the trackers themselves and compared with what they read."""

import contextlib
import json
import math
import os
import sqlite3
import struct
import subprocess
import sys

import pytest

import siltstone
from siltstone._siltstone import import_detect
from siltstone.experiment import ExperimentDatabase

VALUES = [0.1, -0.0, 1e-320, 1e308, 3.0, 1 / 3, math.nan, math.inf, -math.inf, 2.5]


def bits(x):
    return struct.pack("<d", math.nan if math.isnan(x) else x)


def points(file, run):
    """All points of a run: name, step, bits and time, those that share a step among them."""
    found = []
    with ExperimentDatabase(file, read_only=True) as db:
        tables = [("simulation_metrics", "step_number")]
        if db.query("SELECT count(*) FROM sqlite_schema WHERE name = 'metric_points'").rows[0][0]:
            tables.append(("metric_points", "point_step"))
        for table, step in tables:
            read = db.records(run, table).to_pandas()
            for row in read.to_dict("records"):
                found.append((row["name"], row[step], bits(row["value"]), row["time_ms"]))
    return sorted(found)


def nearest_ms(seconds):
    """Half a millisecond is rounded up."""
    return math.floor(seconds * 1000 + 0.5)


def is_plain(file):
    """Whether SQLite alone reads the points."""
    with contextlib.closing(sqlite3.connect(file)) as db:
        try:
            return db.execute("SELECT count(*) FROM simulation_metrics").fetchone()[0] > 0
        except sqlite3.OperationalError:
            return False


def infos(file):
    with ExperimentDatabase(file, read_only=True) as db:
        return {info.simulation_id: info for info in db.simulations()}


def statuses(status):
    return {
        "FINISHED": "completed",
        "FAILED": "failed",
        "KILLED": "stopped",
        "RUNNING": "running",
        "SCHEDULED": "pending",
    }[status]


@pytest.fixture(params=["folder", "database"])
def mlflow_store(request, tmp_path, monkeypatch):
    """A store of each kind with three runs, and the client that wrote it."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("GIT_PYTHON_REFRESH", "quiet")
    mlflow = pytest.importorskip("mlflow")
    if request.param == "database":
        pytest.importorskip("sqlalchemy")
        source, uri = tmp_path / "mlflow.db", f"sqlite:///{tmp_path}/mlflow.db"
    else:
        source, uri = tmp_path / "mlruns", f"file://{tmp_path}/mlruns"
    try:
        client = mlflow.MlflowClient(tracking_uri=uri)
        experiment = client.create_experiment("a sweep", str(tmp_path / "mlruns" / "1"), tags={"team": "blue"})
    except Exception as error:  # a skinny MLflow without what a database needs
        pytest.skip(f"MLflow cannot make its store here: {error}")
    return client, experiment, source


def write_mlflow(client, experiment):
    from mlflow.entities import Metric, Param, RunTag

    parent = client.create_run(experiment, run_name="parent").info.run_id
    for number, status in enumerate(["FINISHED", "FAILED", "RUNNING"]):
        tags = {"mlflow.parentRunId": parent, "note": "ünï\nzwei"}
        run = client.create_run(experiment, tags=tags, run_name=f"run {number}").info.run_id
        metrics = [Metric("loss", x, 1_700_000_000_000 + 7 * i, i) for i, x in enumerate(VALUES)]
        metrics += [Metric("val/acc", 0.25, 5, 3), Metric("val/acc", 0.75, 9, 3), Metric("val/acc", 0.5, 7, 3)]
        metrics += [Metric("below", 1.5, 3, -4)]
        client.log_batch(run, metrics, [Param("lr", "0.10"), Param("opt/name", "adam")], [RunTag("k", "v")])
        if status != "RUNNING":
            client.set_terminated(run, status)
    return parent


def check_mlflow(client, experiment, file):
    """Compare every value of every run with what MLflow reads."""
    known = infos(file)
    runs = client.search_runs([experiment])
    assert len(runs) == len(known)
    for run in runs:
        info = known[run.info.run_id]
        assert info.parameters == run.data.params
        assert info.provenance["tags"] == run.data.tags
        assert info.provenance["run_name"] == run.info.run_name
        assert info.experiment_id == "a sweep"
        assert info.status == statuses(run.info.status)
        assert info.provenance.get("parent") == run.data.tags.get("mlflow.parentRunId")
        wanted = []
        for name in run.data.metrics:
            for m in client.get_metric_history(run.info.run_id, name):
                wanted.append((name, m.step, bits(m.value), m.timestamp))
        assert points(file, run.info.run_id) == sorted(wanted)
        for name, value in run.data.metrics.items():
            if name != "below":  # its step is before the first
                with ExperimentDatabase(file, read_only=True) as db:
                    assert bits(db.metric(run.info.run_id, name)[-1][1]) == bits(value)


@pytest.mark.parametrize("compact", [False, True])
def test_mlflow_is_imported_as_mlflow_reads_it(mlflow_store, tmp_path, compact):
    client, experiment, source = mlflow_store
    write_mlflow(client, experiment)
    file = tmp_path / "runs.db"
    assert import_detect(source) == "mlflow"
    dry = siltstone.import_(source, "mlflow", dry_run=True)
    assert len(dry.imported) == 4
    assert not file.exists()
    report = siltstone.import_(source, "mlflow", file, compact=compact)
    assert report.skipped == []
    assert sorted(report.imported) == sorted(dry.imported)
    assert report.found == dry.found
    check_mlflow(client, experiment, file)
    assert is_plain(file) is not compact
    again = siltstone.import_(source, "mlflow", file, compact=compact)
    assert (len(again.unchanged), again.rows, again.imported) == (4, 0, [])


def test_a_run_of_mlflow_that_goes_on_is_continued(mlflow_store, tmp_path):
    client, experiment, source = mlflow_store
    write_mlflow(client, experiment)
    file = tmp_path / "runs.db"
    siltstone.import_(source, "mlflow", file)
    live = next(run.info.run_id for run in client.search_runs([experiment]) if run.info.status == "RUNNING")
    client.log_metric(live, "loss", 7.5, 1_800_000_000_000, 100)
    client.log_metric(live, "loss", 8.5, 1_800_000_000_000, 2)  # a step that was there
    client.log_param(live, "late", 1)
    client.set_terminated(live, "KILLED")
    report = siltstone.import_(source, "mlflow", file)
    assert live in report.continued
    check_mlflow(client, experiment, file)


def test_what_mlflow_lets_change_is_no_conflict(mlflow_store, tmp_path):
    client, experiment, source = mlflow_store
    write_mlflow(client, experiment)
    file = tmp_path / "runs.db"
    siltstone.import_(source, "mlflow", file)
    runs = client.search_runs([experiment])
    client.rename_experiment(experiment, "the final sweep")
    client.update_run(runs[0].info.run_id, name="best")
    client.set_tag(runs[0].info.run_id, "mlflow.note.content", "seen")
    report = siltstone.import_(source, "mlflow", file)
    assert (report.skipped, report.changed) == ([], {"experiment": len(runs), "provenance": 1})
    known = infos(file)
    assert {info.experiment_id for info in known.values()} == {"the final sweep"}
    assert known[runs[0].info.run_id].provenance["run_name"] == "best"
    assert len(siltstone.import_(source, "mlflow", file).unchanged) == len(runs)


def test_kinds_are_known_and_others_refused(tmp_path):
    assert "mlflow" in siltstone.import_kinds()
    with pytest.raises(siltstone.errors.InvalidError, match="mlflow"):
        siltstone.import_(tmp_path, "mlfow", tmp_path / "runs.db")
    with pytest.raises(siltstone.errors.InvalidError, match="output"):
        siltstone.import_(tmp_path, "mlflow")
    with pytest.raises(siltstone.errors.NotFoundError):
        siltstone.import_(tmp_path / "none", "mlflow", tmp_path / "runs.db")
    assert not (tmp_path / "runs.db").exists()


# -- TensorBoard -----------------------------------------------------------------------------------


def write_tensorboard(logs):
    writer_of = pytest.importorskip("tensorboardX").SummaryWriter
    for name, offset in [("train", 0.0), ("eval/deep", 1.0)]:
        with writer_of(str(logs / name)) as writer:
            for step, value in enumerate(VALUES):
                writer.add_scalar("loss", value + offset, step, walltime=1.7e9 + step / 8)
            writer.add_scalar("loss", 7.0, 3, walltime=1.7e9 + 99)  # a step once more
            writer.add_text("note", "grüezi *mitenand*", 2)
            writer.add_histogram("weights", [0.5, 1.0, 1.0, 7.0], 4)
    with writer_of(str(logs / "tuned")) as writer:
        writer.add_hparams({"lr": 0.1, "opt": "adam", "big": True}, {"best": 0.25}, name="one")


def accumulated(folder):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    everything = dict.fromkeys((accumulator.SCALARS, accumulator.HISTOGRAMS, accumulator.TENSORS), 0)
    events = accumulator.EventAccumulator(str(folder), everything, purge_orphaned_data=False)
    return events.Reload()


def check_tensorboard(logs, file):
    """Compare every value of every run with what TensorBoard reads."""
    tensor_util = pytest.importorskip("tensorboard.util.tensor_util")
    known = infos(file)
    folders = {path.parent for path in logs.rglob("*tfevents*")}
    assert {str(folder.relative_to(logs)) for folder in folders} == set(known)
    for folder in folders:
        run, events = str(folder.relative_to(logs)), accumulated(folder)
        wanted = []
        for tag in events.Tags()["scalars"]:
            wanted += [(tag, e.step, bits(e.value), nearest_ms(e.wall_time)) for e in events.Scalars(tag)]
        assert points(file, run) == sorted(wanted)
        with ExperimentDatabase(file, read_only=True) as db:
            for tag in events.Tags()["histograms"]:
                for event in events.Histograms(tag):
                    value = event.histogram_value
                    buckets = db.array(run, tag, event.step)
                    pairs = zip(value.bucket_limit, value.bucket, strict=True)
                    assert buckets.tolist() == [list(pair) for pair in pairs]
                    rows = db.records(run, "histograms").to_pandas().to_dict("records")
                    [row] = [row for row in rows if (row["name"], row["step"]) == (tag, event.step)]
                    for part in ("min", "max", "num", "sum", "sum_squares"):
                        assert row[part] == getattr(value, part)
            for tag in events.Tags()["tensors"]:
                for event in events.Tensors(tag):
                    tensor = tensor_util.make_ndarray(event.tensor_proto)
                    texts = [text.decode() for text in tensor.ravel()]
                    rows = db.records(run, "texts").to_pandas().to_dict("records")
                    assert [row["text"] for row in rows if (row["name"], row["step"]) == (tag, event.step)] == texts


@pytest.mark.parametrize("compact", [False, True])
def test_tensorboard_is_imported_as_tensorboard_reads_it(tmp_path, compact):
    logs, file = tmp_path / "logs", tmp_path / "runs.db"
    write_tensorboard(logs)
    assert import_detect(logs) == "tensorboard"
    copy = tmp_path / "copy"
    copy.write_bytes(next(logs.rglob("*tfevents*")).read_bytes())
    assert import_detect(copy) == "tensorboard"
    report = siltstone.import_(logs, "tensorboard", file, compact=compact)
    assert report.skipped == [] and report.notes == []
    assert is_plain(file) is not compact
    assert report.found["texts"] == 2 and report.found["arrays"] == 2
    check_tensorboard(logs, file)
    tuned = infos(file)["tuned/one"]
    assert tuned.parameters == {"lr": 0.1, "opt": "adam", "big": True}
    assert tuned.status == "completed"
    again = siltstone.import_(logs, "tensorboard", file)
    assert (again.rows, again.imported, again.continued) == (0, [], [])


def test_a_file_of_tensorboard_that_is_still_written_is_continued(tmp_path):
    logs, file = tmp_path / "logs", tmp_path / "runs.db"
    writer = pytest.importorskip("tensorboardX").SummaryWriter(str(logs))
    for step in range(100):
        writer.add_scalar("loss", step / 3, step)
        if step % 30 == 20:
            writer.flush()
            [path] = logs.glob("*tfevents*")
            whole = path.read_bytes()
            os.truncate(path, len(whole) - 5)  # in the middle of a record
            cut = siltstone.import_(logs, "tensorboard", file)
            assert len(cut.notes) == 1 and cut.skipped == []
            os.truncate(path, len(whole) - 5)
            with path.open("ab") as rest:
                rest.write(whole[-5:])
            assert siltstone.import_(logs, "tensorboard", file).rows == 1
    writer.close()
    siltstone.import_(logs, "tensorboard", file)
    events = accumulated(logs)
    wanted = [("loss", e.step, bits(e.value), nearest_ms(e.wall_time)) for e in events.Scalars("loss")]
    assert points(file, "logs") == sorted(wanted)


# -- Sacred ----------------------------------------------------------------------------------------


def test_sacred_is_imported_as_it_was_logged(tmp_path):
    sacred = pytest.importorskip("sacred")
    from sacred.observers import FileStorageObserver

    store, file = tmp_path / "store", tmp_path / "runs.db"
    experiment = sacred.Experiment("a study", interactive=True, save_git_info=False)
    experiment.observers.append(FileStorageObserver(store))
    (tmp_path / "plot.txt").write_text("x")

    @experiment.config
    def config():
        lr = 0.1  # noqa: F841
        layers = [1, {"units": 2}]  # noqa: F841
        fails = False  # noqa: F841

    @experiment.main
    def main(_run, fails):
        for step, value in enumerate(VALUES):
            _run.log_scalar("loss", value, step)
        _run.add_artifact(str(tmp_path / "plot.txt"))
        _run.info["seen"] = 3
        if fails:
            raise RuntimeError("it was told to")
        return 0.25

    run = experiment.run()
    with pytest.raises(RuntimeError):
        experiment.run(config_updates={"fails": True})
    assert import_detect(store) == "sacred"
    report = siltstone.import_(store, "sacred", file)
    assert report.imported == ["1", "2"] and report.skipped == []
    known = infos(file)
    assert known["1"].parameters == {**run.config}
    assert (known["1"].status, known["2"].status) == ("completed", "failed")
    assert known["1"].results_summary == {"result": 0.25}
    assert "it was told to" in known["2"].error
    assert known["1"].experiment_id == "a study"
    assert known["1"].provenance["artifacts"] == ["plot.txt"]
    assert known["1"].provenance["info"]["seen"] == 3
    found = [(name, step, value) for name, step, value, _ in points(file, "1")]
    assert found == sorted(("loss", step, bits(value)) for step, value in enumerate(VALUES))
    assert siltstone.import_(store, "sacred", file).rows == 0


# -- trackio ---------------------------------------------------------------------------------------

TRACKIO = """
import math, sys, trackio
values = [0.1, -0.0, 1e-320, 1e308, 3.0, 1 / 3, math.nan, math.inf, -math.inf, 2.5]
for name in ("first", "second"):
    trackio.init(project="study", name=name, config={"lr": 0.1, "layers": [1, 2]}, embed=False)
    for step, value in enumerate(values):
        trackio.log({"loss": value, "note": f"step {step}"}, step=step)
    trackio.finish()
"""

TRACKIO_RESUMED = """
import trackio
config = {"lr": 0.2, "deep": {"a": 1}}
trackio.init(project="study", name="first", resume="must", config=config, embed=False)
trackio.log({"loss": 9.5, "note": "resumed"}, step=100)
trackio.finish()
"""


def test_trackio_is_imported_as_trackio_reads_it(tmp_path):
    pytest.importorskip("trackio")
    folder, file = tmp_path / "trackio", tmp_path / "runs.db"
    environment = {**os.environ, "TRACKIO_DIR": str(folder), "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    done = subprocess.run(
        [sys.executable, "-c", TRACKIO], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode != 0 or not (folder / "study.db").exists():
        pytest.skip(f"trackio cannot log here: {done.stderr[-300:]}")
    assert import_detect(folder / "study.db") == "trackio"
    report = siltstone.import_(folder / "study.db", "trackio", file)
    assert report.skipped == [] and len(report.imported) == 2
    read = "import json, trackio.sqlite_storage as s; S = s.SQLiteStorage\n"
    read += "print(json.dumps([S.get_logs('study', run) for run in ('first', 'second')], default=str))"
    done = subprocess.run(
        [sys.executable, "-c", read], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    logs = dict(zip(("first", "second"), json.loads(done.stdout.splitlines()[-1]), strict=True))
    for run, info in infos(file).items():
        assert info.parameters == {"lr": 0.1, "layers": [1, 2]}
        assert info.experiment_id == "study"
        wanted = logs[info.provenance["run_name"]]
        found = [(step, value) for name, step, value, _ in points(file, run) if name == "loss"]
        assert sorted(found) == sorted((log["step"], bits(log["loss"])) for log in wanted)
        with ExperimentDatabase(file, read_only=True) as db:
            texts = {row["step"]: row["text"] for row in db.records(run, "texts").to_pandas().to_dict("records")}
        assert texts == {log["step"]: log["note"] for log in wanted}
    assert siltstone.import_(folder / "study.db", "trackio", file).rows == 0
    # A run that is resumed may change its config.
    subprocess.run(
        [sys.executable, "-c", TRACKIO_RESUMED], env=environment, capture_output=True, timeout=120, check=True
    )
    report = siltstone.import_(folder / "study.db", "trackio", file)
    assert (report.skipped, report.rows, len(report.continued)) == ([], 2, 1)
    [run] = [info for info in infos(file).values() if info.provenance["run_name"] == "first"]
    assert (run.parameters, report.changed["parameters"]) == ({"lr": 0.2, "layers": [1, 2], "deep": {"a": 1}}, 1)


# -- Weights & Biases ------------------------------------------------------------------------------

WANDB = """
import math, os, sys, wandb
values = [0.1, -0.0, 1e-320, 1e308, 3.0, 1 / 3, math.nan, math.inf, -math.inf, 2.5]
settings = wandb.Settings(x_disable_stats=True, console="off")
for number, code in (("one", 0), ("two", 3), ("three", None)):
    run = wandb.init(mode="offline", dir=sys.argv[1], project="study", name=f"run {number}", id=number, group="g",
                     config={"lr": 0.1, "layers": [1, {"u": 2}], "deep": {"a": 1}}, tags=["a", "b"], notes="hello",
                     settings=settings)
    for i, value in enumerate(values):
        run.log({"loss": value, "deep": {"x": i, "text": f"t{i}"}, "flag": i % 2 == 0})
    run.log({"long": "x" * 100_000, "h": wandb.Histogram(np_histogram=([3, 5], [0.0, 0.5, 2.0]))})
    run.summary["best"] = 0.25
    run.config.update({"deep": {"b": 2}, "late": 1}, allow_val_change=True)
    if code is None:
        import time
        time.sleep(3)  # until its other process has written
        os._exit(0)
    run.finish(exit_code=code)
"""


def test_wandb_is_imported_as_it_was_logged(tmp_path):
    pytest.importorskip("wandb")
    file = tmp_path / "runs.db"
    environment = {**os.environ, "WANDB_SILENT": "true", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", WANDB, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode != 0 or len(list((tmp_path / "wandb").rglob("*.wandb"))) != 3:
        pytest.skip(f"wandb cannot log here: {done.stderr[-300:]}")
    assert import_detect(tmp_path / "wandb") == import_detect(next(tmp_path.rglob("run-*.wandb"))) == "wandb"
    report = siltstone.import_(tmp_path / "wandb", "wandb", file)
    assert report.skipped == [] and sorted(report.imported) == ["one", "three", "two"]
    known = infos(file)
    assert [known[run].status for run in ("one", "two", "three")] == ["completed", "failed", "running"]
    for number, info in known.items():
        # What the killed one has of the change depends on when.
        if number != "three":
            assert info.parameters == {"lr": 0.1, "layers": [1, {"u": 2}], "deep": {"b": 2}, "late": 1}
        assert info.provenance["run_name"] == f"run {number}"
        assert info.provenance["tags"] == {"a": True, "b": True}
        assert (info.provenance["notes"], info.experiment_id) == ("hello", "study")
        logged = points(file, number)
        if number == "three":
            continue  # it was killed: as much as was written is there
        assert info.results_summary["best"] == 0.25
        for name, values in (
            ("loss", VALUES),
            ("deep.x", range(len(VALUES))),
            ("flag", [i % 2 == 0 for i in range(len(VALUES))]),
        ):
            found = [(step, value) for key, step, value, _ in logged if key == name]
            assert found == [(step, bits(float(value))) for step, value in enumerate(values)]
        with ExperimentDatabase(file, read_only=True) as db:
            texts = {
                (row["name"], row["step"]): row["text"]
                for row in db.records(number, "texts").to_pandas().to_dict("records")
            }
            assert db.array(number, "h", len(VALUES)).tolist() == [[0.0, 0.5, 3.0], [0.5, 2.0, 5.0]]
        assert texts.pop(("long", len(VALUES))) == "x" * 100_000
        assert texts == {("deep.text", i): f"t{i}" for i in range(len(VALUES))}
    assert siltstone.import_(tmp_path / "wandb", "wandb", file).unchanged == report.imported


def test_wandb_files_that_are_cut_are_read_as_far_as_they_are(tmp_path):
    pytest.importorskip("wandb")
    environment = {**os.environ, "WANDB_SILENT": "true", "HOME": str(tmp_path)}
    subprocess.run(
        [sys.executable, "-c", WANDB, str(tmp_path)], env=environment, capture_output=True, timeout=120, check=False
    )
    paths = list((tmp_path / "wandb").rglob("run-one.wandb"))
    if not paths:
        pytest.skip("wandb cannot log here")
    whole = paths[0].read_bytes()
    cut, file = tmp_path / "cut" / "run-one.wandb", tmp_path / "runs.db"
    cut.parent.mkdir()
    for size in (3, 100, 2000, 5000, len(whole) - 1, len(whole)):
        cut.write_bytes(whole[:size])
        report = siltstone.import_(cut, "wandb", file)
        assert report.skipped == []
        assert bool(report.notes) == (size < len(whole))
    assert report.rows == 0 and report.continued == ["one"]  # its end alone was missing
    # A backup beside it, whole or as it was earlier, is the same run once.
    twice, other = tmp_path / "twice", tmp_path / "other.db"
    for name, size in (("a", 5000), ("b", len(whole)), ("c", len(whole))):
        (twice / name).mkdir(parents=True)
        (twice / name / "run-one.wandb").write_bytes(whole[:size])
    copied = siltstone.import_(twice, "wandb", other)
    assert sum("left out, its records are those of" in note for note in copied.notes) == 2
    assert points(other, "one") == points(file, "one")
    with ExperimentDatabase(file, read_only=True) as db, ExperimentDatabase(other, read_only=True) as copy:
        assert len(db.records("one", "texts").to_pandas()) == len(copy.records("one", "texts").to_pandas())
