"""The experiment store as its users use it."""

import math
import pickle
import sqlite3
import threading
import time

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from experiment_world import agent

from siltstone._siltstone import import_detect
from siltstone.errors import (
    ExistsError,
    InvalidError,
    NotFoundError,
    SiltstoneError,
)
from siltstone.experiment import (
    DataLoggingConfig,
    ExperimentDatabase,
    InMemorySimulationDatabase,
    SimulationDatabase,
    export_data,
    import_agentfarm,
    merge,
)


@pytest.fixture
def db(tmp_path):
    with ExperimentDatabase(tmp_path / "sweep.db", "exp_001") as db:
        yield db


@pytest.fixture
def sim(db):
    return db.create_simulation_context("sim_000", {"seed": 7})


# -- logging -----------------------------------------------------------------------------------------


def test_rows_in_all_documented_shapes_are_rows_of_the_documented_tables(db, sim):
    metrics = {"total_agents": 2, "agent_type_counts": {"system": 2}, "mood": 0.5, "weather": "rain"}
    sim.logger.log_step(0, [agent("a"), agent("b", is_defending=True)], [("r1", 5.0, 1.0, 2.0)], metrics)
    assert metrics == {"total_agents": 2, "agent_type_counts": {"system": 2}, "mood": 0.5, "weather": "rain"}
    sim.logger.log_agent("a", 0, "system", (1.0, 2.0), 5.0, 100.0, genome_id="g:1", action_weights={"move": 0.5})
    one = {"agent_id": "b", "birth_time": 0, "agent_type": "system", "position": (1.0, 2.0)}
    sim.logger.log_agents_batch(
        [one | {"initial_resources": 5.0, "starting_health": 100.0, "simulation_id": "sim_000"}]
    )
    sim.logger.log_agent_action(0, "a", "share", "b", 0.5, {"amount": 1}, "dqn", 139882, action_taken=2)
    sim.logger.log_health_incident(0, "a", 100.0, 90.0, "combat", {"by": "b"})
    sim.logger.log_resource("r2", 7.0, (0.0, 0.0))
    sim.logger.log_learning_experience(0, "a", "dqn", "m1", 3, "move", 0.25)
    sim.flush_all_buffers()
    rows = lambda sql: db.query(sql).rows  # noqa: E731
    assert rows("SELECT agent_id, is_defending FROM agent_states") == [("a", 0), ("b", 1)]
    assert rows("SELECT id FROM agent_states") == [("sim_000:a-0",), ("sim_000:b-0",)]
    assert rows("SELECT agent_id, genome_id, action_weights FROM agents") == [
        ("a", "g:1", '{"move": 0.5}'),
        ("b", None, None),
    ]
    assert rows("SELECT action_id, action_type, action_target_id, details, module_id FROM agent_actions") == [
        (1, "share", "b", '{"amount": 1, "action_taken": 2}', "139882"),
        (2, "move", None, '{"action_taken": 3, "action_taken_mapped": "move"}', "m1"),
    ]
    assert rows("SELECT cause, details FROM health_incidents") == [("combat", '{"by": "b"}')]
    assert rows("SELECT resource_id, amount FROM resource_states") == [("r1", 5.0), ("r2", 7.0)]
    assert rows("SELECT total_agents, agent_type_counts, resources_consumed, other_metrics FROM simulation_steps") == [
        (2, '{"system": 2}', 0.0, '{"weather":"rain"}')
    ]
    assert rows("SELECT name, step_number, value FROM simulation_metrics") == [("mood", 0, 0.5)]


def test_columns_and_arrow_are_the_same_as_tuples(db):
    names, x = ["a", "b", "c"], np.array([1.0, np.nan, -0.0])
    columns = {
        "agent_id": names,
        "position_x": x,
        "age": np.array([1, 2, 3], np.int32),
        "is_defending": np.array([True, False, True]),
    }
    sims = [db.create_simulation_context(name) for name in "xyz"]
    sims[0].log_step(
        0,
        [
            agent(n, position_x=v, age=i + 1, is_defending=i % 2 == 0)
            for i, (n, v) in enumerate(zip(names, x, strict=True))
        ],
    )
    sims[1].log_step(0, columns)
    sims[2].log_step(0, pa.table(columns))
    parts = ["agent_id", "position_x", "age", "is_defending"]
    found = [sim.records("agent_states", columns=parts).to_arrow() for sim in sims]
    assert repr(found[0].to_pylist()) == repr(found[1].to_pylist()) == repr(found[2].to_pylist())
    back = found[0]["position_x"].to_numpy()
    assert back.tobytes() == x.tobytes()


def test_numpy_scalars_are_numbers_and_floats_come_back_as_they_went_in(db, sim):
    row = (
        np.int64(7),
        np.float32(0.5),
        np.float64(1.5),
        np.int32(3),
        90,
        True,
        np.uint8(2),
        np.bool_(True),
        math.inf,
        np.array(4),
    )
    sim.log_step(np.int64(3), [row], metrics={"total_agents": np.int64(1), "loss": np.nan})
    state = sim.agent_states().to_pandas().iloc[0]
    assert (state.step_number, state.agent_id, state.position_x, state.resource_level) == (3, "7", 0.5, 3.0)
    assert (state.starvation_counter, state.is_defending, state.total_reward, state.age) == (2, True, math.inf, 4)
    assert db.query("SELECT typeof(agent_id), typeof(age), typeof(position_x) FROM agent_states").rows == [
        ("text", "integer", "real")
    ]
    assert math.isnan(db.metric("sim_000", "loss")[0][1])


def test_a_bad_row_is_refused_at_its_own_call_and_nothing_of_it_is_kept(db, sim):
    sim.logger.log_agent_action(0, "a", "move")
    bad = [
        (lambda: sim.log_step(1, [agent("a"), agent("b")[:9]]), "10 values a row"),
        (lambda: sim.log_step(1, [agent("a"), agent("b", position_x="left")]), "position_x of agent_states"),
        (lambda: sim.log_step(1, [agent("a"), agent(None)]), "it is the key"),
        (lambda: sim.log_step(1, [agent("x" * 256)]), "1 to 255 characters"),
        (lambda: sim.log_step(1, [agent("a", age=1.5)]), "age of agent_states"),
        (lambda: sim.log_step(-1, [agent("a")]), "the step"),
        (lambda: sim.log_step(1, [agent("a")], [("r", 1.0)]), "4 values a row"),
        (lambda: sim.log_step(1, {"agent_id": ["a", "b"], "age": [1]}), "2 values, as many as agent_id"),
        (lambda: sim.log_step(1, {"agent_id": ["a"], "mass": [1.0]}), "a column of agent_states"),
        (lambda: sim.log_step(1, [agent("a")], metrics={"total_agents": 1.5}), "total_agents"),
        (lambda: sim.log_agent_action(0, "", "move"), "1 to 255 characters"),
        (lambda: sim.log_agent_action(0, "a", "move", reward="much"), "reward"),
        (lambda: sim.log_agent_action(0, "a", "move", details={"f": object()}), "details"),
        (lambda: sim.log_agent_action(-1, "a", "move"), "the step"),
        (lambda: sim.log_metric("loss", "low"), "loss"),
        (lambda: sim.log_metric("loss", (1 << 70) + 1), "64 bits"),
        (lambda: sim.update_agent_death("nobody", 3), "agent"),
        (lambda: sim.log("nowhere", step=0, x=1), "nowhere"),
    ]
    for call, text in bad:
        with pytest.raises((SiltstoneError, ValueError, TypeError), match=text):
            call()
    sim.flush_all_buffers()
    counts = [
        sim.get_table_row_count(t) for t in ("agent_states", "simulation_steps", "agent_actions", "simulation_metrics")
    ]
    assert counts == [0, 0, 1, 0]


def test_a_step_that_is_logged_again_replaces_and_equal_ids_of_two_simulations_are_two(db, sim):
    other = db.create_simulation_context("sim_001")
    for context in (sim, other):
        context.log_step(0, [agent("a"), agent("b")], [("r", 1.0, 0.0, 0.0)])
        context.log_step(1, [agent("a", 1)])
    sim.log_step(0, [agent("a", total_reward=9.0), agent("a", total_reward=8.0)])
    states = db.query("SELECT simulation_id, step_number, agent_id, total_reward FROM agent_states").rows
    assert sorted(states) == [
        ("sim_000", 0, "a", 8.0), ("sim_000", 1, "a", 0.5),
        ("sim_001", 0, "a", 0.5), ("sim_001", 0, "b", 0.5), ("sim_001", 1, "a", 0.5),
    ]  # fmt: skip
    assert db.query("SELECT simulation_id FROM resource_states").rows == [("sim_001",)]


def test_an_agent_dies_and_its_state_is_changed(db, sim):
    sim.log_agent("a", 0, "system", np.array([1.0, 2.0, 3.0]), np.float32(5.0), 100)
    sim.log_resource("r", 1, [3, 4])
    assert db.query("SELECT position_y FROM agents UNION ALL SELECT position_y FROM resource_states").rows == [
        (2.0,),
        (4.0,),
    ]
    with pytest.raises(SiltstoneError, match="position"):
        sim.log_agent("a", 0, "system", (1.0,), 5.0, 100.0)
    sim.update_agent_death("a", 12, "combat")
    sim.update_agent_state("a", 3, {"position": (4.0, 5.0), "current_health": 7.0})
    sim.flush_all_buffers()
    assert db.query("SELECT death_time FROM agents").rows == [(12,)]
    assert db.query("SELECT step_number, cause, details FROM health_incidents").rows == [
        (12, "combat", '{"final_state": "dead"}')
    ]
    assert db.query("SELECT position_y, current_health, age FROM agent_states").rows == [(5.0, 7.0, 3)]
    sim.save_configuration({"a": 1})
    sim.save_configuration({"a": 2, "b": [1.5, None]})
    assert sim.get_configuration() == {"a": 2, "b": [1.5, None]}


def test_records_of_ones_own(db, sim):
    sim.define_table("temperature", {"x": "float64", "celsius": "float32", "label": "category"})
    sim.log("temperature", step=0, x=0.5, celsius=20.0, label="north")
    sim.log("temperature", step=1, x=np.arange(3.0), celsius=[1.0, None, 3.0], label="south")
    sim.log(
        "temperature", pd.DataFrame({"step": [2, 3], "x": [0.0, 1.0]}).pipe(pa.Table.from_pandas, preserve_index=False)
    )
    sim.log("temperature", {"x": [7.0]}, step=4)
    frame = sim.records("temperature").to_pandas()
    assert list(frame.columns) == ["step", "x", "celsius", "label"]
    assert frame.step.tolist() == [0, 1, 1, 1, 2, 3, 4]
    assert frame.label.tolist()[:4] == ["north", "south", "south", "south"]
    assert frame.celsius.isna().tolist() == [False, False, True, False, True, True, True]
    assert isinstance(sim.records("temperature").to_polars(), pl.DataFrame)
    db.compact("sim_000")
    assert sim.records("temperature").to_pandas().equals(frame)
    assert len(db.query("SELECT * FROM temperature WHERE step BETWEEN 1 AND 2")) == 4
    with pytest.raises(InvalidError, match="the step"):
        sim.log("temperature", x=1.0)
    with pytest.raises(SiltstoneError, match="category"):
        sim.define_table("other", {"x": "complex128"})
    with pytest.raises(InvalidError, match="digit first"):
        sim.define_table('x"; DROP TABLE simulations; --', {"x": "int64"})


def test_metrics_parameters_and_arrays(db, sim):
    for loss in (3.0, 2.0, 1.0):
        sim.log_metric("loss", loss)
    sim.log_metric("loss", 2.5, step=1)
    sim.log_metrics({"accuracy": 0.5, "f1": np.float32(0.25)}, step=10)
    assert db.metric("sim_000", "loss") == [(0, 3.0), (1, 2.5), (2, 1.0)]
    assert set(db.metric_names("sim_000")) == {"loss", "accuracy", "f1"}
    sim.log_params({"rate": 0.1, "layers": [1, 2]})
    sim.log_params({"rate": 0.1})
    with pytest.raises(ExistsError, match="rate"):
        sim.log_params({"rate": 0.2})
    assert db.simulations()[0].parameters == {"seed": 7, "rate": 0.1, "layers": [1, 2]}
    weights = np.arange(12, dtype=">f4").reshape(3, 4)
    sim.log_array("weights", weights, step=1)
    sim.log_array("weights", weights + 1, step=5)
    assert np.array_equal(sim.array("weights"), weights + 1)
    assert sim.array("weights", 1).dtype == weights.dtype
    with pytest.raises(NotFoundError):
        sim.array("weights", 2)
    resumed = db.resume("sim_000")
    resumed.log_metric("loss", 0.5)
    assert db.metric("sim_000", "loss")[-1] == (3, 0.5)


# -- buffers -----------------------------------------------------------------------------------------


def test_many_threads_log_exactly(db, sim):
    def work(n):
        for i in range(2000):
            sim.log_agent_action(i, f"agent_{n}", "move", reward=1.0)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    sim.flush_all_buffers()
    sql = "SELECT agent_id, count(*), count(DISTINCT step_number) FROM agent_actions GROUP BY 1"
    assert db.query(sql).rows == [(f"agent_{n}", 2000, 2000) for n in range(4)]


def test_rows_are_written_by_size_by_time_and_when_a_context_goes(db, tmp_path):
    def count():
        with sqlite3.connect(tmp_path / "sweep.db") as plain:
            return plain.execute("SELECT count(*) FROM agent_actions").fetchone()[0]

    sim = db.create_simulation_context("s", logging_config=DataLoggingConfig(buffer_size=10, commit_interval=0.3))
    for i in range(9):
        sim.log_agent_action(i, "a", "move")
    assert count() == 0
    sim.log_agent_action(9, "a", "move")
    assert count() == 10
    sim.log_agent_action(10, "a", "move")
    deadline = time.monotonic() + 10
    while count() < 11 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert count() == 11
    sim.log_agent_action(11, "a", "move")
    del sim
    assert count() == 12


def test_an_exception_marks_the_simulation_failed_and_keeps_its_rows(db):
    with pytest.raises(ZeroDivisionError), db.create_simulation_context("bad") as sim:
        sim.log_agent_action(0, "a", "move")
        1 / 0
    with db.create_simulation_context("good") as sim:
        sim.log_metric("loss", 1.0)
    bad, good = db.simulations()
    assert (bad.status, bad.error, bad.rows) == ("failed", "ZeroDivisionError: division by zero", 1)
    assert (good.status, good.error, good.rows) == ("completed", None, 1)
    assert good.end_time >= good.start_time


def test_statuses_and_summaries(db, sim):
    db.update_simulation_status("sim_000", "completed", {"final_agents": 100, "loss": float("nan")})
    db.update_simulation_status("sim_000", "completed")
    db.update_experiment_status("completed", results_summary={"total_simulations": 1})
    info = db.simulations()[0]
    assert (info.status, str(info.results_summary)) == ("completed", "{'final_agents': 100, 'loss': nan}")
    assert db.query("SELECT status, results_summary FROM experiments").rows == [
        ("completed", '{"total_simulations": 1}')
    ]
    for call in (
        lambda: db.update_simulation_status("nobody", "completed"),
        lambda: db.records("sim_000", "nothing").to_arrow(),
        lambda: db.resume("nobody"),
        lambda: db.compare(["nobody"]).to_arrow(),
    ):
        with pytest.raises(NotFoundError):
            call()
    with pytest.raises(ExistsError, match="resume it"):
        db.create_simulation_context("sim_000")


def test_a_validation_is_about_one_simulation(tmp_path):
    from siltstone.experiment import compare_simulations, validate_simulation_database

    with ExperimentDatabase(tmp_path / "a.db", "e") as db:
        for name in ("whole", "holed"):
            with db.create_simulation_context(name, {"name": name}) as sim:
                sim.log_agent("a", 0, "system", (0.0, 0.0), 5.0, 100.0)
                for step in range(6):
                    if name == "whole" or step not in (2, 3):
                        sim.log_step(step, [agent("a", step)], [], {"total_agents": 1 if name == "whole" else 7})
        less = compare_simulations(db, "whole", "holed")
        assert less["metrics"]["total_agents"]["mean_difference"] == 6
        assert less["parameters"] == {"name": ("whole", "holed")}
    assert validate_simulation_database(tmp_path / "a.db", "whole").is_clean
    report = validate_simulation_database(tmp_path / "a.db", "holed")
    assert [r.name for r in report.results if not r.passed] == ["population_consistency", "step_continuity"]
    assert (report.error_count, report.warning_count) == (0, 2)
    assert "first holed, 1" in report.get_summary()
    assert not validate_simulation_database(tmp_path / "a.db").is_clean
    with pytest.raises(NotFoundError):
        validate_simulation_database(tmp_path / "a.db", "nobody")


def test_a_completed_simulation_is_compacted_if_asked(tmp_path):
    with ExperimentDatabase(tmp_path / "a.db", "e", compact_when_completed=True) as db:
        with db.create_simulation_context("s") as sim:
            sim.log_step(0, [agent("a")])
        assert db.query("SELECT count(*) FROM agent_states_rows").rows == [(0,)]
        assert len(sim.agent_states().to_pandas()) == 1


# -- reading, comparing, files -----------------------------------------------------------------------


@pytest.fixture
def sweep(db):
    for run in range(4):
        with db.create_simulation_context(f"sim_{run}", {"rate": run / 10, "kind": "ab"[run % 2]}) as sim:
            for step in range(5):
                sim.log_step(step, [agent("a", total_reward=float(run * step))], [], {"total_agents": 10 + run * step})
    return db


def test_simulations_are_compared_filtered_and_pivoted(sweep):
    frame = sweep.compare(metric=["total_agents", "agent_states.total_reward"]).to_pandas()
    assert frame["total_agents"].tolist() == [10, 14, 18, 22]
    assert frame["agent_states.total_reward"].tolist() == [0, 4, 8, 12]
    where = "params.kind = 'b' AND params.rate < 0.2"
    assert sweep.compare(where, "agent_states.total_reward", "mean").to_arrow()[
        "agent_states.total_reward"
    ].to_pylist() == [2.0]
    assert sweep.compare(["sim_2"], at=1).to_polars()["total_agents"].to_list() == [12]
    assert sweep.pivot(["sim_1", "sim_3"]).to_pandas()["sim_3"].tolist() == [10, 13, 16, 19, 22]
    assert sweep.parameters(only_differing=True).to_pandas()["kind"].tolist() == ["a", "b", "a", "b"]
    less = sweep.difference("sim_1", "sim_3").to_pandas().set_index("metric")
    assert less.loc["total_agents", "final_difference"] == 8
    with pytest.raises(InvalidError, match="final, mean"):
        sweep.compare(at="middle")
    with pytest.raises(InvalidError, match='got "speed"; there are:'):
        sweep.simulations("speed > 1")


def test_a_list_of_simulations_is_a_table(sweep):
    """Goal: a terminal shows a line a simulation, a notebook a table without the markup of a name, programs a list."""
    found = sweep.simulations()
    lines = repr(found).splitlines()
    assert lines[0].split()[:3] == ["simulation_id", "status", "start_time"] and len(lines) == 5
    assert lines[1].startswith("sim_0 ") and "'rate': 0.0" in lines[1]
    assert found == list(found) and found[1].simulation_id == "sim_1" and pickle.loads(pickle.dumps(found)) == found
    sweep.create_simulation_context("<b>", {"n": "long " * 30})
    assert "<td>&lt;b&gt;</td>" in sweep.simulations()._repr_html_()
    assert max(map(len, repr(sweep.simulations()).splitlines())) < 160
    for i in range(30):
        sweep.create_simulation_context(f"more_{i}")
    assert repr(sweep.simulations()).endswith("and 15 more")


def test_a_compacted_simulation_reads_as_before_and_room_comes_back(sweep):
    before = sweep.agent_states("sim_1").to_pandas()
    by_sql = "SELECT * FROM agent_states WHERE simulation_id = 'sim_1' AND step_number > 2"
    rows = sweep.query(by_sql).rows
    assert sweep.compact("sim_1").rows == 10
    assert sweep.agent_states("sim_1").to_pandas().equals(before)
    assert sweep.query(by_sql).rows == rows and len(rows) == 2
    assert sweep.agent_states("sim_1", steps=(1, 2), agent_id="a").to_arrow()["step_number"].to_pylist() == [1, 2]
    assert sweep.vacuum() >= 0
    assert sweep.retain(keep_last=1, dry_run=True) == ["sim_0", "sim_1", "sim_2"]
    assert sweep.retain(where="params.rate > 0.25") == ["sim_3"]
    assert sweep.delete_simulation("sim_1") == 10
    assert sweep.get_simulation_ids() == ["sim_0", "sim_2"]
    assert sweep.verify().ok


def test_a_database_of_agentfarm_is_imported(tmp_path, shared):
    source = shared / "data" / "experiment" / "agents.db"
    assert import_detect(source) == "experiment"
    seen = []
    tried = import_agentfarm([source], None, progress=lambda done, all: seen.append((done, all)))[0]
    report = import_agentfarm([source], tmp_path / "new.db")[0]
    assert tried == report and seen == [(0, 1), (1, 1)]
    assert report.rows["agent_states"] == 15145 and report.skipped == []
    with (
        ExperimentDatabase(tmp_path / "new.db", read_only=True) as db,
        sqlite3.connect(f"file:{source}?mode=ro", uri=True) as old,
    ):
        for table in (
            "agent_states",
            "resource_states",
            "simulation_steps",
            "agent_actions",
            "health_incidents",
            "agents",
        ):
            columns = [
                row[1]
                for row in old.execute(f"PRAGMA table_info({table})")
                if row[1] not in ("id", "action_id", "incident_id")
            ]
            sql = f"SELECT {', '.join(columns)} FROM {table}"
            assert sorted(db.query(sql).rows, key=repr) == sorted(old.execute(sql).fetchall(), key=repr), table
    assert import_agentfarm([source], tmp_path / "new.db")[0].unchanged == ["sim_000", "sim_001", "sim_002"]


def test_plain_sqlite_reads_the_documented_tables(tmp_path, shared):
    import json

    expected = json.loads((shared / "data" / "experiment" / "expected.json").read_text())
    import_agentfarm([shared / "data" / "experiment" / "agents.db"], tmp_path / "new.db")
    with sqlite3.connect(tmp_path / "new.db") as plain:
        for name, facts in expected["simulations"].items():

            def one(sql, name=name):
                return plain.execute(sql, {"sim": name}).fetchone()

            for table, rows in facts["rows"].items():
                assert one(f"SELECT count(*) FROM {table} WHERE simulation_id = :sim") == (rows,)
            states = facts["states_agg"]
            found = one(
                "SELECT avg(current_health), min(resource_level), max(resource_level), sum(total_reward), max(age) "
                "FROM agent_states WHERE simulation_id = :sim"
            )
            named = ("avg_current_health", "min_resource_level", "max_resource_level", "sum_total_reward", "max_age")
            assert found == pytest.approx([states[name] for name in named])
            last = one(
                "SELECT total_agents, agent_type_counts FROM simulation_steps WHERE simulation_id = :sim "
                "ORDER BY step_number DESC LIMIT 1"
            )
            assert last == (facts["final_step"]["total_agents"], facts["final_step"]["agent_type_counts"])
            kinds = plain.execute(
                "SELECT action_type, count(*) FROM agent_actions WHERE simulation_id = ? GROUP BY 1", (name,)
            )
            assert dict(kinds) == facts["actions_by_type"]
            causes = plain.execute(
                "SELECT cause, count(*) FROM health_incidents WHERE simulation_id = ? GROUP BY 1", (name,)
            )
            assert dict(causes) == facts["health_causes"]
        plan = plain.execute(
            "EXPLAIN QUERY PLAN SELECT * FROM agent_states WHERE simulation_id = 'sim_001' AND step_number = 5"
        ).fetchall()
        assert any("SEARCH h USING PRIMARY KEY (simulation=? AND step=?)" in row[-1] for row in plan), plan


def test_files_are_merged_split_and_exported(sweep, tmp_path):
    sweep.flush_all_buffers()
    report = merge([sweep.db_path], tmp_path / "all.db")
    assert report.copied == [f"sim_{i}" for i in range(4)] and report.conflicts == []
    assert merge([sweep.db_path], tmp_path / "all.db").unchanged == report.copied
    assert sweep.split(tmp_path / "part.db", "params.rate > 0.15").copied == ["sim_2", "sim_3"]
    files = sweep.export(tmp_path / "out", tables=["agent_states"])
    whole = pl.read_parquet(tmp_path / "out" / "agent_states" / "**" / "*.parquet", hive_partitioning=True)
    assert len(files) == 4 and len(whole) == 20
    assert set(whole["simulation_id"]) == {f"sim_{i}" for i in range(4)}
    for format, count in (("csv", 5), ("parquet", 5), ("json", 1)):
        made = export_data(sweep, "sim_1", tmp_path / f"one_{format}", format, start_step=2, end_step=3)
        assert len(made) == count
    table = pd.read_csv(tmp_path / "one_csv_agents.csv")
    assert table.step_number.tolist() == [2, 3]
    assert pd.read_csv(tmp_path / "one_csv_metrics.csv").step_number.tolist() == [2, 3]
    with pytest.raises(InvalidError, match="csv, excel"):
        export_data(sweep, "sim_1", tmp_path / "x", "hdf")


def test_one_simulation_a_file_and_one_in_memory(tmp_path):
    with SimulationDatabase(tmp_path / "run.db", simulation_id="run") as db:
        db.logger.log_step(0, [agent("a")], [], {"total_agents": 1})
        assert db.get_table_row_count("agent_states") == 1
        assert db.get_current_pragmas()["journal_mode"] == "wal"
    with SimulationDatabase(tmp_path / "run.db") as db:
        assert (db.simulation_id, len(db.agent_states().to_pandas())) == ("run", 1)
        db.log_step(1, [agent("a", 1)])
        assert [path.name for path in db.export_data(tmp_path / "data", "parquet", ["agents"])] == [
            "data_agents.parquet",
            "data_metadata.json",
        ]
    memory = InMemorySimulationDatabase(memory_limit_mb=50, simulation_id="mem", parameters={"seed": 1})
    thread = threading.Thread(target=lambda: memory.logger.log_step(0, [agent("a", position_x=math.nan)], [], {}))
    thread.start()
    thread.join()
    assert memory.get_memory_usage()["usage_percent"] < 1
    assert memory.query("SELECT count(*) FROM agent_states").rows == [(1,)]
    assert memory.persist_to_disk(tmp_path / "deep" / "all.db").rows_copied == 2
    assert memory.persist_to_disk(tmp_path / "run.db").rows_copied == 2
    with ExperimentDatabase(tmp_path / "run.db", read_only=True) as db:
        assert db.get_simulation_ids() == ["run", "mem"]
        assert math.isnan(db.agent_states("mem").to_arrow()["position_x"][0].as_py())


def test_profiles_and_other_configurations(tmp_path):
    class Config:
        database = {"db_pragma_profile": "safety", "db_custom_pragmas": {"busy_timeout": 500}}

    with ExperimentDatabase(tmp_path / "a.db", "e", Config()) as db:
        assert db._settings == ("balanced", 0.5, "disk")
    with ExperimentDatabase(tmp_path / "a.db", "e", {"db_pragma_profile": "performance"}) as db:
        assert db._settings.profile == "throughput"
    with pytest.raises(InvalidError, match="db_pragma_profile"):
        ExperimentDatabase(tmp_path / "a.db", "e", {"db_pragma_profile": "fastest"})


def test_a_read_only_file_and_files_of_others(tmp_path, shared):
    with pytest.raises(NotFoundError):
        ExperimentDatabase(tmp_path / "none.db", read_only=True)
    (tmp_path / "text.db").write_text("this is no database, but long enough to be looked at" * 20)
    with pytest.raises(SiltstoneError, match="not an SQLite database"):
        ExperimentDatabase(tmp_path / "text.db", "e")
    with pytest.raises(SiltstoneError, match="left as it is"):
        ExperimentDatabase(shared / "data" / "experiment" / "agents.db", read_only=True)
    with ExperimentDatabase(tmp_path / "a.db", "e") as db:
        db.create_simulation_context("s")
    with ExperimentDatabase(tmp_path / "a.db", read_only=True) as db:
        with pytest.raises(SiltstoneError, match="reading only"):
            db.create_simulation_context("t")
        assert db.get_simulation_ids() == ["s"]
    with pytest.raises(SiltstoneError, match="closed"):
        db.get_simulation_ids()
