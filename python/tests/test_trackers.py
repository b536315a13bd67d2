"""Runs of other trackers, written by the trackers themselves and compared with what they read."""

import math
import struct

import pytest

import siltstone
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


def test_mlflow_is_imported_as_mlflow_reads_it(mlflow_store, tmp_path):
    client, experiment, source = mlflow_store
    write_mlflow(client, experiment)
    file = tmp_path / "runs.db"
    dry = siltstone.import_(source, "mlflow", dry_run=True)
    assert len(dry.imported) == 4
    assert not file.exists()
    report = siltstone.import_(source, "mlflow", file)
    assert report.skipped == []
    assert sorted(report.imported) == sorted(dry.imported)
    assert report.found == dry.found
    check_mlflow(client, experiment, file)
    again = siltstone.import_(source, "mlflow", file)
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


def test_kinds_are_known_and_others_refused(tmp_path):
    assert "mlflow" in siltstone.import_kinds()
    with pytest.raises(siltstone.errors.InvalidError, match="mlflow"):
        siltstone.import_(tmp_path, "mlfow", tmp_path / "runs.db")
    with pytest.raises(siltstone.errors.InvalidError, match="output"):
        siltstone.import_(tmp_path, "mlflow")
    with pytest.raises(siltstone.errors.NotFoundError):
        siltstone.import_(tmp_path / "none", "mlflow", tmp_path / "runs.db")
    assert not (tmp_path / "runs.db").exists()
