"""Names and numbers of the experiment store, by Python: exact, and as they were."""

from __future__ import annotations

import datetime as dt
import json
import math
import sqlite3
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from siltstone.errors import ExistsError, InvalidError, SiltstoneError
from siltstone.experiment import (
    DataLogger,
    DataLoggingConfig,
    ExperimentDatabase,
    InMemorySimulationDatabase,
    SimulationDatabase,
    import_agentfarm,
    merge,
    setup_db,
)
from siltstone.experiment.models import Simulation


@pytest.fixture
def db(tmp_path):
    with ExperimentDatabase(tmp_path / "a.db", "e") as db:
        yield db


def ids(db, where):
    return [info.simulation_id for info in db.simulations(where)]


def test_a_filter_matches_by_exact_names(db):
    """Goal: parameters that differ in case, are mistyped, or are called as a column is."""
    for i, (big, small, rate) in enumerate([(1000, 4, 0.1), (50, 20, 0.5), (30, 30, 0.1)]):
        db.create_simulation_context(f"run{i}", {"N": big, "n": small, "learning-rate": rate}).complete(
            {"error": "none"}
        )
    with db.create_simulation_context("warm", {"status": "warm", "model": {"layers": [1], "depth": 2}}):
        pass
    assert ids(db, "params.n > 40") == []
    assert ids(db, '"learning-rate" > 0.2') == ids(db, 'params."learning-rate" > 0.2') == ["run1"]
    assert len(ids(db, "status = 'completed'")) == 4 and ids(db, "params.status = 'warm'") == ["warm"]
    assert ids(db, "params.model.depth = 2") == ["warm"] and len(ids(db, "results.error = 'none'")) == 3
    for wrong, near in [('"lerning-rate" > 0.2', "learning-rate"), ("params.M > 1", "params.N"), ("n > 1", "params.n")]:
        for call in (db.simulations, db.compare, db.parameters, lambda where: db.retain(where=where, all=True)):
            with pytest.raises(InvalidError, match=f"near it: .*{near}"):
                call(wrong).to_pandas() if call in (db.compare, db.parameters) else call(wrong)
    assert len(db.get_simulation_ids()) == 4


def test_numbers_come_back_as_they_were(db, tmp_path):
    """Goal: NaN, infinities, -0.0 and large integers, at any depth, and JSON that Python's SQLite takes."""
    given = {
        "nan": math.nan,
        "inf": [math.inf, {"x": -math.inf}],
        "zero": -0.0,
        "big": 2**70,
        "u64": 2**64 - 1,
        "np": np.float32(np.nan),
        "$silt": "mine",
        "deep": {"$silt": "float", "value": "nan"},
        "t": "NaN",
    }
    with db.create_simulation_context("s", given) as sim:
        sim.log_params({"late": -math.inf})
        sim.save_configuration({"c": math.nan})
        sim.log_agent_action(0, "a", "move", details={"x": math.inf})
        sim.log_step(0, metrics={"odd": -0.0, "note": {"why": math.nan}})
        sim.log_metrics({"odd": math.nan}, 1)
    db.update_simulation_status("s", "completed", {"loss": math.nan})
    info = db.simulations(["s"])[0]
    assert str({**info.parameters, "np": math.nan}) == str({**given, "np": math.nan, "late": -math.inf})
    assert str(info.results_summary) == str({"loss": math.nan})
    assert str(sim.get_configuration()) == str({"c": math.nan})
    assert [str(x) for _, x in db.metric("s", "odd")] == ["-0.0", "nan"]
    assert db.parameters().to_pandas()["nan"].dtype == "float64"
    assert ids(db, "params.late < -1e308") == ["s"] and ids(db, "params.nan = 'nan' OR params.nan > 0") == []
    plain = sqlite3.connect(tmp_path / "a.db")
    columns = [
        ("simulations", "parameters"),
        ("simulations", "results_summary"),
        ("simulation_config", "config_data"),
        ("agent_actions", "details"),
        ("simulation_steps", "other_metrics"),
    ]
    for table, column in columns:
        (text,) = plain.execute(f"SELECT {column} FROM {table}").fetchone()
        assert plain.execute("SELECT json_valid(?)", [text]).fetchone() == (1,), text
        json.loads(text, parse_constant=pytest.fail)
    plain.close()
    session = db.Session()
    assert str(session.query(Simulation).one().results_summary) == str({"loss": math.nan})
    session.close()


def test_a_table_of_parameters_keeps_every_number(db):
    """Goal: integers beyond 2**53 and 2**63 stay integers, NaN and infinities floats, and what no column type holds is
    its digits.
    """
    for i, given in enumerate(
        [
            {"odd": 2**53 + 1, "u64": 2**63 + 5, "x": math.nan, "wide": 2**70 + 1, "mix": 0.5, "fits": 2**60},
            {"odd": -1, "u64": 0, "x": -math.inf, "wide": 1, "mix": 2**53 + 1, "fits": 0.25},
        ]
    ):
        db.create_simulation_context(f"r{i}", given)
    table = db.parameters().to_arrow()
    assert table["odd"].to_pylist() == [2**53 + 1, -1] and table["u64"].to_pylist() == [2**63 + 5, 0]
    assert str(table["x"].to_pylist()) == "[nan, -inf]"
    assert table["wide"].to_pylist() == [str(2**70 + 1), "1"] and table["mix"].to_pylist() == ["0.5", str(2**53 + 1)]
    assert table["fits"].to_pylist() == [2.0**60, 0.25]


def test_json_of_another_program_keeps_wide_integers(tmp_path):
    """Goal: digits that Python's json wrote into a file come back."""
    with ExperimentDatabase(tmp_path / "b.db", "e") as db:
        db.create_simulation_context("s", {"n": 1})
        plain = sqlite3.connect(tmp_path / "b.db")
        with plain:
            plain.execute("UPDATE simulations SET parameters = ?", [json.dumps({"n": 2**70 + 1, "x": math.inf})])
        plain.close()
        assert db.simulations(["s"])[0].parameters == {"n": 2**70 + 1, "x": math.inf}


def test_what_json_does_not_have_is_refused_by_its_path(db):
    """Goal: sets, times and arrays in parameters, results and configurations; tuples are lists."""
    sim = db.create_simulation_context("ok", {"shape": (2, (3,)), "np": np.float32(0.5), "kind": np.str_("a")})
    assert db.simulations(["ok"])[0].parameters == {"shape": [2, [3]], "np": 0.5, "kind": "a"}
    odd = [
        {1, 2},
        frozenset(),
        dt.datetime(2024, 1, 1),
        dt.date(2024, 1, 1),
        dt.timedelta(1),
        np.arange(2),
        pd.Series([1]),
        pd.Timestamp("2024-01-01"),
        np.datetime64("2024-01-01"),
        np.timedelta64(1, "s"),
        np.array(["2024"], "M8[s]"),
        b"x",
        object(),
        1j,
        pd.NaT,
    ]
    for value in odd:
        with pytest.raises(InvalidError, match=r"parameters\.model\.layers\[1\]: expected a "):
            db.create_simulation_context("no", {"model": {"layers": [1, value]}})
        with pytest.raises(InvalidError, match=r"parameters\.x: expected a "):
            sim.log_params({"x": value})
        with pytest.raises(InvalidError, match=r"results_summary\.x: expected a "):
            db.update_simulation_status("ok", "completed", {"x": value})
        with pytest.raises(InvalidError, match=r"configuration\.x: expected a "):
            sim.save_configuration({"x": value})
        with pytest.raises(InvalidError, match=r"parameters\.x: expected a "):
            InMemorySimulationDatabase(parameters={"x": value}).log_step(0)
    assert db.get_simulation_ids() == ["ok"] and "x" not in db.simulations(["ok"])[0].parameters
    with pytest.raises(InvalidError, match=r"details\.seen: expected a "):
        sim.log_agent_action(0, "a", "move", details={"seen": {1}})


def test_a_text_in_double_quotes_is_told_of_single_ones(db):
    db.create_simulation_context("r1", {"rate": 1})
    for where in ('simulation_id = "r1"', 'params.rate = "r1"'):
        with pytest.raises(InvalidError, match="a text stands in single quotes, 'r1'"):
            db.simulations(where)
    with pytest.raises(InvalidError, match="near it: params.rate") as raised:
        db.simulations("params.rat > 1")
    assert "single quotes" not in str(raised.value)


def test_all_simulations_go_only_when_it_is_said(db):
    """Goal: a filter, and a retention, that takes every simulation of the file."""
    for run in range(2):
        db.create_simulation_context(f"r{run}", {"rate": run}).complete()
    for how in ({"where": "params.rate >= 0"}, {"keep_last": 0}, {"keep_for": 0}):
        with pytest.raises(InvalidError, match="2 of 2 simulations; nothing was removed"):
            db.retain(**how)
        assert db.retain(**how, dry_run=True) == ["r0", "r1"] == db.get_simulation_ids()
    with pytest.raises(InvalidError, match="which may go"):
        db.retain(all=True)
    assert db.retain(where="params.rate >= 1") == ["r1"]
    assert db.retain(where="params.rate >= 0", all=True) == ["r0"] and db.get_simulation_ids() == []


def test_a_failed_merge_or_split_leaves_no_file(db, tmp_path):
    """Goal: where nothing could be copied no file is made; what was there stays."""
    target, empty, broken = (tmp_path / name for name in ("target.db", "empty.db", "broken.db"))
    ExperimentDatabase(empty, "e").close()
    broken.write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    with db.create_simulation_context("r") as sim:
        for step in range(20):
            sim.log_step(step, [(f"a{i}", *[0.0] * 5, 0, False, 0.0, 0) for i in range(50)])
    assert db.compact("r").rows > 0
    plain = sqlite3.connect(tmp_path / "a.db")
    with plain:
        plain.execute("UPDATE record_block SET data = x'00'")
    plain.close()
    left = lambda: list(tmp_path.glob("target.db*"))  # noqa: E731
    assert [conflict.source for conflict in merge([empty, broken], target).conflicts] == [str(broken)]
    assert left() == []
    for copy in (lambda: merge([tmp_path / "a.db"], target), lambda: db.split(target)):
        report = copy()
        assert (report.copied, len(report.conflicts)) == ([], 1) and left() == []
    for make in (merge, import_agentfarm):
        with pytest.raises(SiltstoneError):
            make([broken], target)
        assert left() == []
    assert merge([empty, broken], empty).copied == [] and empty.exists()


def test_a_number_that_no_float_is_is_refused(db):
    sim = db.create_simulation_context("t")
    sim.define_table("x", {"v": "float64"})
    odd = 1709287200123456789
    for call in (
        lambda: sim.log_metric("t_ns", odd, 0),
        lambda: sim.log_metrics({"t_ns": odd}, 0),
        lambda: sim.log_step(0, metrics={"t_ns": odd}),
        lambda: sim.log("x", step=0, v=np.array([2**60 + 1])),
        lambda: sim.log("x", step=0, v=[2**60 + 1, None]),
        lambda: sim.log("x", step=0, v=2**60 + 1),
        lambda: sim.log_agent_action(0, "a", "move", reward=odd),
    ):
        with pytest.raises(SiltstoneError, match="float64 holds|value that"):
            call()
    sim.log_metric("t_ns", 2**60, 0)
    assert db.metric("t", "t_ns") == [(0, float(2**60))]


def test_times_of_python_and_pandas_are_times(db):
    sim = db.create_simulation_context("t")
    sim.define_table("ev", {"when": "datetime64[ns]"})
    utc = dt.timezone.utc
    noon = "2024-01-01 12:00:00"
    singles = [
        pd.Timestamp(noon),
        pd.Timestamp(noon, tz="UTC"),
        pd.Timestamp(noon).as_unit("s"),
        np.datetime64(noon),
        dt.datetime(2024, 1, 1, 12),
        dt.datetime(2024, 1, 1, 12, tzinfo=utc),
        pd.Timestamp("2024-01-01 13:00", tz="Europe/Paris"),
    ]
    for when in singles:
        sim.log("ev", step=0, when=when)
    zoned = pd.DatetimeIndex([noon, noon], tz="UTC")
    for many in (
        singles[:2],
        [dt.datetime(2024, 1, 1, 12), None],
        zoned.to_numpy(),
        np.array([noon, "NaT"], "datetime64[s]"),
        zoned,
    ):
        sim.log("ev", step=1, when=many)
    for missing in (pd.NaT, np.datetime64("NaT"), None):
        sim.log("ev", step=2, when=missing)
    found = sim.records("ev").to_pandas()
    known = found["when"].dropna()
    assert (known == pd.Timestamp(noon)).all() and len(known) == len(singles) + 8
    assert found[found.step == 2]["when"].isna().all()
    with pytest.raises(InvalidError, match="when"):
        sim.log("ev", step=0, when=dt.datetime(3000, 1, 1))


@pytest.mark.parametrize("where", ["memory", "file"])
def test_agentfarms_environment_finds_its_database(tmp_path, where):
    """Goal: the calls of run_simulation and its environment, in their order, as AgentFarm makes them."""
    models = pytest.importorskip("siltstone.experiment.models")
    path = ":memory:" if where == "memory" else tmp_path / "runs" / "sim.db"
    config = {"width": 10, "nested": {"spawn": (1, 2)}}
    assert setup_db(None, "s", config) is None
    db = setup_db(path, "s", config)
    db.add_simulation_record(
        simulation_id="s", start_time=dt.datetime.now(dt.timezone.utc), status="running", parameters=config
    )
    db.save_configuration(config)
    db.logger.flush_all_buffers()

    def genomes(session):
        asked = session.query(models.AgentModel.genome_id).filter(models.AgentModel.simulation_id == "s")
        return [row.genome_id for row in asked.all()]

    assert db._execute_in_transaction(genomes) == []
    agent = {
        "simulation_id": "s",
        "agent_id": "a",
        "birth_time": 0,
        "agent_type": "system",
        "position": (1.0, 2.0),
        "initial_resources": 5.0,
        "starting_health": 100.0,
        "starvation_counter": 0,
        "genome_id": "g1",
        "generation": 0,
    }
    db.logger.log_agents_batch([agent])
    assert db._execute_in_transaction(genomes) == ["g1"]
    for step in range(3):
        db.logger.log_step(step, [("a", *[0.0] * 5, 0, False, 0.0, 0)], [("r", 1.0, 0.0, 0.0)], {"total_agents": 1})
        db.logger.log_agent_action(step_number=step, agent_id="a", action_type="move", details={"x": 1})
    db.update_agent_death(agent_id="a", death_time=2, cause="starvation")
    db.logger.flush_all_buffers()
    summary = {"total_steps": 3, "termination_reason": "completed"}
    db.update_simulation_record(
        "s", status="completed", end_time=dt.datetime.now(dt.timezone.utc), results_summary=summary
    )
    kept = tmp_path / "kept.db" if where == "memory" else path
    if where == "memory":
        assert db.persist_to_disk(db_path=kept, tables=None, show_progress=True)["rows_copied"] > 0
    db.update_simulation_record("s", simulation_db_path=str(kept))
    db.close()
    with ExperimentDatabase(kept, read_only=True) as file:
        (info,) = file.simulations()
        assert (info.status, info.results_summary["total_steps"], info.parameters["nested"]) == (
            "completed",
            3,
            {"spawn": [1, 2]},
        )
    with pytest.raises(ExistsError, match="s"):
        setup_db(kept, "s", config)
    other = setup_db(kept, "t", config)
    other.close()
    with ExperimentDatabase(kept, read_only=True) as file:
        assert [info.simulation_id for info in file.simulations()] == ["s", "t"]


def test_a_command_line_that_is_no_text(tmp_path):
    code = (
        "import sys; from siltstone.experiment import ExperimentDatabase as E\n"
        f"db = E({str(tmp_path / 'argv.db')!r}, 'e'); db.create_simulation_context('s', {{}}); db.close()"
    )
    subprocess.run([sys.executable, "-c", code, b"caf\xe9"], check=True)
    with ExperimentDatabase(tmp_path / "argv.db", read_only=True) as db:
        assert db.simulations()[0].provenance["command_line"][1:] == ["caf\\xe9"]
    with ExperimentDatabase(tmp_path / "argv.db", "e") as db:
        for half in ({"a": "\udce9"}, {"\udce9": 1}):
            with pytest.raises(InvalidError, match="UTF-8"):
                db.create_simulation_context("t", half)


def test_a_context_logs_nothing_after_its_database_is_closed(tmp_path):
    db = ExperimentDatabase(tmp_path / "a.db", "e")
    sim = db.create_simulation_context("s")
    sim.log_agent_action(0, "a", "move")
    again = db.resume("s", from_step=0)
    with pytest.raises(SiltstoneError, match="was resumed"):
        sim.log_agent_action(0, "a", "move")
    again.log_agent_action(0, "a", "move")
    assert again.get_table_row_count("agent_actions") == 1
    gone = db.create_simulation_context("gone")
    gone.complete()
    gone.log_metric("x", 1.0)
    db.delete_simulation("gone")
    db.flush_all_buffers()
    db.close()
    for call in (
        lambda: again.log_metric("x", 1.0),
        lambda: again.log_step(0),
        lambda: again.log_params({"a": 1}),
        lambda: again.define_table("t", {"x": "int64"}),
        lambda: again.log_array("x", [1.0]),
    ):
        with pytest.raises(SiltstoneError, match="was closed"):
            call()


def test_a_context_has_the_interface_of_a_database(tmp_path):
    """Goal: AgentFarm's "it has the same interface", for a context, a file of one simulation, and one in memory."""
    experiment = ExperimentDatabase(tmp_path / "a.db", "e")
    handles = [
        experiment.create_simulation_context("s", {"seed": 1}),
        SimulationDatabase(tmp_path / "b.db", simulation_id="s", parameters={"seed": 1}),
        InMemorySimulationDatabase(simulation_id="s", parameters={"seed": 1}),
    ]
    for db in handles:
        db.add_simulation_record("s", dt.datetime.now(dt.timezone.utc), "pending", {"seed": 1})
        assert isinstance(db.db_path, str) and db.get_current_pragmas()["journal_mode"] == "wal"
        logger = DataLogger(db, "s", DataLoggingConfig(buffer_size=2))
        assert isinstance(db.logger, DataLogger) and logger.simulation_id == "s"
        for step in range(3):
            logger.log_agent_action(step, "a", "move")
        assert logger.buffered()[0] == 1, "its own buffer of two"
        logger.flush_all_buffers()
        assert db.get_table_row_count("agent_actions") == 3
        end = dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.timezone.utc)
        db.update_simulation_record("s", status="completed", end_time=end, results_summary={"n": math.nan})
        db.update_simulation_record("s", simulation_db_path=tmp_path / "x.db")
        info = db._database.simulations(["s"])[0]
        assert (info.status, info.end_time) == ("completed", "2026-01-02 03:04:05.000006")
        assert math.isnan(info.results_summary["n"])
        (path,) = db.query("SELECT simulation_db_path FROM simulations").rows[0]
        assert path == str(tmp_path / "x.db")
        files = db.export_data(tmp_path / "out", "json", ["actions"])
        assert [file.name for file in files] == ["out.json"]
        for call in (
            lambda db=db: db.update_simulation_record("t", status="failed"),
            lambda db=db: DataLogger(db, "t"),
        ):
            with pytest.raises(InvalidError, match="simulation_id"):
                call()
        if isinstance(db, InMemorySimulationDatabase):
            kept = db.persist_to_disk(tmp_path / "all.db", experiment_id="e")
            assert kept["rows_copied"] == kept.rows_copied == kept[1] == 3 and kept["duration"] >= 0
        db.cleanup() if hasattr(db, "cleanup") else db.close()
    assert DataLogger(experiment, "new").simulation_id == "new"
    for wrong in (3, object()):
        with pytest.raises(SiltstoneError, match="database"):
            DataLogger(wrong, "s")
    experiment.close()
    with ExperimentDatabase(tmp_path / "all.db", "e") as db:
        assert [(info.simulation_id, info.status) for info in db.simulations()] == [("s", "completed")]


def test_a_metric_is_one_wherever_it_is_kept(db):
    for r in range(2):
        with db.create_simulation_context(f"run{r}", {"rate": r}) as sim:
            for k in range(10):
                sim.log_metrics({"loss": 1.0 / (k + 1), "average_reward": 10.0 * r + k, "agents.alive": 100 - k}, k)
                sim.log_step(
                    k, metrics={"total_agents": 100 + k} | ({"births": k, "score": float(k)} if k % 5 == 0 else {})
                )
    assert db.metric("run1", "average_reward")[:2] == [(0, 10.0), (1, 11.0)]
    assert db.compare(None, "average_reward").to_pandas()["average_reward"].tolist() == [9.0, 19.0]
    assert db.compare(["run0"], ["births", "score", "agents.alive"]).to_pandas().to_dict("records") == [
        {"simulation_id": "run0", "births": 5.0, "score": 5.0, "agents.alive": 91.0}
    ]
    assert set(db.difference("run0", "run1").to_pandas()["metric"]) >= {
        "loss",
        "average_reward",
        "agents.alive",
        "births",
    }
    with pytest.raises(SiltstoneError, match="near it: .*loss"):
        db.metric("run0", "los")


def test_keys_that_are_no_texts_are_as_json_makes_them(tmp_path):
    """Goal: numbers, booleans and None as keys are what `json.dumps` makes of them; two that become one, and others,
    are refused.
    """
    given = {
        1: "a",
        2.5: "b",
        False: "c",
        None: "d",
        2**70: "e",
        math.inf: "f",
        "x": {0: np.uint64(2**63 + 5), -1: np.uint64(7)},
    }
    with ExperimentDatabase(tmp_path / "e.db", "e") as db:
        with db.create_simulation_context("s", given) as sim:
            sim.log_params({"later": {None: 1}})
        expected = json.loads(json.dumps({**given, "x": {0: 2**63 + 5, -1: 7}, "later": {None: 1}}))
        assert db.simulations()[0].parameters == expected
        for wrong in ({1: "a", "1": "b"}, {"deep": {None: 1, "null": 2}}):
            with pytest.raises(InvalidError, match="parameters.*each key once"):
                db.create_simulation_context("t", wrong)
        for key in ((1, 2), b"x", np.datetime64("2020"), frozenset()):
            with pytest.raises(TypeError, match="parameters.*keys that are texts"):
                db.create_simulation_context("t", {"deep": {key: 1}})
        assert len(db.simulations()) == 1
