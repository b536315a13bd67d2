//! What becomes of simulations: real data, comparison, merge, resume, deletion, files.

use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, RecordBatch};
use serde_json::{Value as Json, json};
use siltstone::experiment::{
    At, Cell, ExperimentDatabase, ExportOptions, InMemorySimulationDatabase, LoggingConfig,
    RecordSchema, Retention, Selection, SimulationOptions, Which, import, merge,
};
use siltstone::table::{Batches, Format};
use siltstone::{Database, Error, Value};
use siltstone_needs::needs;

use crate::shared;

fn temporary() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn one(batches: Batches) -> RecordBatch {
    let mut batches = batches.collect_batches().unwrap();
    assert_eq!(batches.len(), 1);
    batches.remove(0)
}

fn floats(batch: &RecordBatch, column: &str) -> Vec<Option<f64>> {
    batch.column_by_name(column).unwrap().as_primitive::<Float64Type>().iter().collect()
}

fn texts(batch: &RecordBatch, column: &str) -> Vec<String> {
    let column = batch.column_by_name(column).unwrap().as_string::<i32>();
    column.iter().map(|text| text.unwrap_or_default().to_owned()).collect()
}

fn with(parameters: Json) -> SimulationOptions {
    SimulationOptions::default().parameters(&parameters).unwrap()
}

/// A sweep of `n` simulations of ten steps each.
fn sweep(path: &Path, experiment: &str, n: usize) -> ExperimentDatabase {
    let db = ExperimentDatabase::open(path, experiment).unwrap();
    for i in 0..n {
        let options =
            with(json!({"rate": i as f64 / 10.0, "name": format!("run {i}"), "deep": {"x": 1}}));
        let sim = db.create_simulation_context(&format!("{experiment}_{i}"), options).unwrap();
        let none: [[Cell<'_>; 4]; 0] = [];
        for step in 0..10 {
            let agents: Vec<[Cell<'_>; 10]> = (0..3)
                .map(|agent| {
                    let mut row = [Cell::Null; 10];
                    row[0] = Cell::Int(agent);
                    row[8] = Cell::Float((agent + step) as f64 * i as f64);
                    row
                })
                .collect();
            sim.log_step(step, agents, none, &[("total_agents", Cell::Int(100 + step * i as i64))])
                .unwrap();
        }
        sim.log_metrics(&[("loss", 1.0 / (i + 1) as f64), ("accuracy", 0.5)], None).unwrap();
        let summary = json!({"final": i}).to_string();
        db.update_simulation_status(&format!("{experiment}_{i}"), "completed", Some(&summary))
            .unwrap();
    }
    db
}

/// Goal: a database of AgentFarm gives its expected facts, as rows and in blocks, by our calls and by SQL.
#[needs(shared)]
#[test]
fn the_agentfarm_database_gives_its_facts() {
    let data = shared::folder("data/experiment");
    let expected: Json =
        serde_json::from_slice(&std::fs::read(data.join("expected.json")).unwrap()).unwrap();
    let folder = temporary();
    let db = ExperimentDatabase::over(
        Database::builder(folder.path().join("all.db")).open().unwrap(),
        None,
    )
    .unwrap();
    let report = import(data.join("agents.db"), db.database()).unwrap();
    assert_eq!(report.skipped, []);
    for (table, rows) in &report.rows {
        assert_eq!(json!(rows), expected["total_rows"][table], "{table}");
    }
    assert_eq!(import(data.join("agents.db"), db.database()).unwrap().unchanged.len(), 3);
    for compacted in [false, true] {
        for (name, facts) in expected["simulations"].as_object().unwrap() {
            if compacted {
                assert!(db.compact(name).unwrap().rows > 5000);
            }
            let states = one(db.records(name, "agent_states", &Selection::all()).unwrap());
            assert_eq!(json!(states.num_rows()), facts["rows"]["agent_states"]);
            let health: Vec<f64> =
                floats(&states, "current_health").into_iter().flatten().collect();
            let mean = health.iter().sum::<f64>() / health.len() as f64;
            let close =
                |a: f64, b: &Json| (a - b.as_f64().unwrap()).abs() < 1e-9 * a.abs().max(1.0);
            assert!(close(mean, &facts["states_agg"]["avg_current_health"]));
            let agent = facts["sample_agent"]["agent_id"].as_str().unwrap();
            let own = one(db.records(name, "agent_states", &Selection::all().key(agent)).unwrap());
            assert_eq!(json!(own.num_rows()), facts["sample_agent"]["n_states"]);
            let last = own.num_rows() - 1;
            assert_eq!(
                floats(&own, "total_reward")[last],
                facts["sample_agent"]["last_state"]["total_reward"].as_f64()
            );
            let at = [
                ("total_agents", At::Final),
                ("agent_states.total_reward", At::Sum),
                ("agent_states.current_health", At::Mean),
            ];
            let found = one(db.compare(Which::Ids(&[name]), &at).unwrap());
            assert_eq!(
                floats(&found, "total_agents (final)")[0],
                facts["final_step"]["total_agents"].as_f64()
            );
            assert!(close(
                floats(&found, "agent_states.total_reward (sum)")[0].unwrap(),
                &facts["states_agg"]["sum_total_reward"]
            ));
            assert!(close(
                floats(&found, "agent_states.current_health (mean)")[0].unwrap(),
                &facts["states_agg"]["avg_current_health"]
            ));
            let sql = format!(
                "SELECT count(*), sum(reward), count(action_target_id) FROM agent_actions WHERE simulation_id = '{name}'"
            );
            let row = &db.database().sql(&sql).unwrap().rows[0];
            assert_eq!(row[0], Value::Integer(facts["rows"]["agent_actions"].as_i64().unwrap()));
            let Value::Real(sum) = row[1] else { panic!("{row:?}") };
            assert!(close(sum, &facts["actions_reward_sum"]));
            assert_eq!(row[2], Value::Integer(facts["actions_with_target"].as_i64().unwrap()));
        }
        let found = db.database().verify().unwrap();
        assert!(found.is_ok(), "{:?}", found.findings);
    }
    assert!(import(folder.path().join("all.db"), db.database()).is_err(), "it is one of ours");
}

/// Goal: simulations are found by parameters and results, and stand beside each other by any metric.
#[test]
fn simulations_are_compared() {
    let folder = temporary();
    let db = sweep(&folder.path().join("a.db"), "exp", 4);
    let found = |filter: &str| -> Vec<String> {
        db.simulations(Which::Filter(filter))
            .unwrap()
            .into_iter()
            .map(|s| s.simulation_id)
            .collect()
    };
    assert_eq!(found("params.rate >= 0.2 AND results.final < 3"), ["exp_2"]);
    assert_eq!(found("params.name = 'run 1' OR params.rate = 0.3"), ["exp_1", "exp_3"]);
    assert_eq!(found("status = 'running'"), [""; 0]);
    let error = db.simulations(Which::Filter("params.ratte > 1")).unwrap_err();
    assert!(error.to_string().contains("near it: params.rate"), "{error}");
    assert!(db.simulations(Which::Filter("1); DELETE FROM simulations; --")).is_err());
    let table = one(db
        .compare(
            Which::All,
            &[("total_agents", At::Final), ("agent_states.total_reward", At::Mean)],
        )
        .unwrap());
    assert_eq!(texts(&table, "simulation_id"), ["exp_0", "exp_1", "exp_2", "exp_3"]);
    assert_eq!(
        floats(&table, "total_agents (final)"),
        [Some(100.0), Some(109.0), Some(118.0), Some(127.0)]
    );
    assert_eq!(
        floats(&table, "agent_states.total_reward (mean)"),
        [Some(0.0), Some(5.5), Some(11.0), Some(16.5)]
    );
    let loss = one(db.compare(Which::Ids(&["exp_3", "exp_1"]), &[("loss", At::Final)]).unwrap());
    assert_eq!(floats(&loss, "loss"), [Some(0.25), Some(0.5)]);
    assert!(matches!(db.compare(Which::All, &[("lost", At::Mean)]), Err(Error::NotFound { .. })));
    let table = one(db.pivot(Which::Filter("params.rate > 0.15"), "total_agents").unwrap());
    assert_eq!(table.num_rows(), 10);
    assert_eq!(floats(&table, "exp_2")[9], Some(118.0));
    let table = one(db.parameters(Which::All, true).unwrap());
    let names: Vec<&str> = table.schema_ref().fields().iter().map(|f| f.name().as_str()).collect();
    assert_eq!(names, ["simulation_id", "rate", "name"]);
    let table = one(db.difference("exp_1", "exp_3").unwrap());
    let row = texts(&table, "metric").iter().position(|name| name == "total_agents").unwrap();
    assert_eq!(floats(&table, "final_difference")[row], Some(18.0), "the second less the first");
    assert_eq!(floats(&table, "mean_difference")[row], Some(9.0));
    assert!(texts(&table, "metric").contains(&"accuracy".to_owned()));
}

/// Goal: files of several machines become one; twice is once; what differs is reported and left alone.
#[test]
fn files_are_merged_and_split() {
    let folder = temporary();
    let [a, b, all] = ["a.db", "b.db", "all.db"].map(|name| folder.path().join(name));
    let first = sweep(&a, "exp", 2);
    first.compact("exp_1").unwrap();
    sweep(&b, "other", 2);
    let progress = &mut |_, _| Ok(());
    let report = merge(&[&a, &b], &all, progress).unwrap();
    assert_eq!(report.copied, ["exp_0", "exp_1", "other_0", "other_1"]);
    assert_eq!(report.conflicts, []);
    let again = merge(&[&a, &b], &all, progress).unwrap();
    assert_eq!((again.copied.len(), again.unchanged.len(), again.rows), (0, 4, 0));
    let whole = ExperimentDatabase::open_read_only(&all).unwrap();
    for name in ["exp_0", "exp_1"] {
        let read = |db: &ExperimentDatabase| {
            one(db.records(name, "agent_states", &Selection::all()).unwrap())
        };
        assert_eq!(read(&whole), read(&first));
    }
    assert_eq!(whole.database().verify().unwrap().findings, []);
    let sim = first.resume("exp_0", Some(5), LoggingConfig::default()).unwrap();
    sim.log_metric("loss", 0.75, Some(5)).unwrap();
    sim.complete().unwrap();
    let other = merge(&[&a], &all, progress).unwrap();
    assert_eq!(other.unchanged, ["exp_1"]);
    assert_eq!(other.conflicts[0].simulation_id, "exp_0");
    assert_eq!(
        one(whole.compare(Which::Ids(&["exp_0"]), &[("loss", At::Final)]).unwrap()).num_rows(),
        1
    );
    let part = folder.path().join("part.db");
    assert_eq!(
        whole.split(Which::Filter("experiment_id = 'other'"), &part).unwrap().copied,
        ["other_0", "other_1"]
    );
    assert_eq!(
        ExperimentDatabase::open_read_only(&part).unwrap().simulation_ids().unwrap().len(),
        2
    );
}

/// Goal: a simulation goes on from a step: what came later is gone from every table, and only that.
#[test]
fn a_simulation_is_resumed_from_a_step() {
    let folder = temporary();
    let db = sweep(&folder.path().join("a.db"), "exp", 2);
    for compacted in [false, true] {
        if compacted {
            db.compact("exp_1").unwrap();
        }
        let from = if compacted { 3 } else { 6 };
        let sim = db.resume("exp_1", Some(from), LoggingConfig::default()).unwrap();
        let states = one(sim.read("agent_states", &Selection::all()).unwrap());
        assert_eq!(states.num_rows() as i64, 3 * from);
        assert_eq!(sim.row_count("simulation_steps").unwrap() as i64, from);
        let mean = one(db.compare(Which::Ids(&["exp_1"]), &[("total_agents", At::Mean)]).unwrap());
        let expected = (0..from).map(|step| 100 + step).sum::<i64>() as f64 / from as f64;
        assert_eq!(floats(&mean, "total_agents"), [Some(expected)]);
        sim.complete().unwrap();
    }
    assert_eq!(one(db.records("exp_0", "agent_states", &Selection::all()).unwrap()).num_rows(), 30);
    assert_eq!(db.database().verify().unwrap().findings, []);
}

/// Goal: a comparison sees what another program changed, once that has set the sums of the simulation to NULL as the page
/// says, and not before; what we log then is seen too.
#[test]
fn a_comparison_sees_rows_of_another_program_whose_sums_are_null() {
    let folder = temporary();
    let path = folder.path().join("a.db");
    let db = sweep(&path, "exp", 2);
    let mean = || {
        let metric = [("total_agents", At::Mean)];
        floats(&one(db.compare(Which::Ids(&["exp_1"]), &metric).unwrap()), "total_agents")
    };
    assert_eq!(mean(), [Some(104.5)]);
    let other = rusqlite::Connection::open(&path).unwrap();
    let simulation = "simulation = (SELECT id FROM simulations WHERE simulation_id = 'exp_1')";
    let change = |sql: &str| other.execute(&format!("{sql} WHERE {simulation}"), []).unwrap();
    assert_eq!(change("UPDATE simulation_steps_rows SET total_agents = total_agents + 10"), 10);
    assert_eq!(mean(), [Some(104.5)]);
    assert!(change("UPDATE record_summary SET sums = NULL") > 0);
    assert_eq!(mean(), [Some(114.5)]);
    let sim = db.resume("exp_1", None, LoggingConfig::default()).unwrap();
    let none: [[Cell<'_>; 4]; 0] = [];
    let nobody: [[Cell<'_>; 10]; 0] = [];
    sim.log_step(10, nobody, none, &[("total_agents", Cell::Int(115))]).unwrap();
    assert_eq!(mean(), [Some((1145.0 + 115.0) / 11.0)]);
    assert_eq!(db.database().verify().unwrap().findings, []);
}

/// Goal: a simulation is deleted whole, the rest stays, and the room comes back; a dry run deletes nothing.
#[test]
fn simulations_are_deleted_and_retained() {
    let folder = temporary();
    let db = sweep(&folder.path().join("a.db"), "exp", 4);
    db.compact("exp_2").unwrap();
    let sizes = db.sizes().unwrap();
    assert!(
        sizes.iter().any(|s| s.simulation_id == "exp_2" && s.compacted_rows == 30 && s.bytes > 0)
    );
    assert_eq!(db.delete_simulation("exp_2").unwrap(), 30 + 10 + 2);
    let keep = Retention { keep_last: Some(1), ..Retention::default() };
    assert_eq!(db.retain(&keep, true).unwrap(), ["exp_0", "exp_1"]);
    assert_eq!(db.simulation_ids().unwrap().len(), 3);
    assert_eq!(db.retain(&keep, false).unwrap(), ["exp_0", "exp_1"]);
    assert_eq!(db.simulation_ids().unwrap(), ["exp_3"]);
    let left = db
        .database()
        .sql(
            "SELECT (SELECT count(*) FROM record_block), (SELECT 0), \
        (SELECT count(DISTINCT simulation) FROM agent_states_rows)",
        )
        .unwrap();
    assert_eq!(left.rows[0], [Value::Integer(0), Value::Integer(0), Value::Integer(1)]);
    let running = db.create_simulation_context("new", Default::default()).unwrap();
    assert!(matches!(db.delete_simulation("new"), Err(Error::Exists { .. })));
    drop(running);
    assert!(matches!(db.delete_simulation("none"), Err(Error::NotFound { .. })));
    assert!(matches!(db.retain(&Retention::default(), true), Err(Error::Invalid { .. })));
}

/// Goal: what a run logs in memory is in the file that keeps it, also where it spilled; a second file can hold others.
#[test]
fn a_simulation_in_memory_is_kept() {
    let folder = temporary();
    let all = folder.path().join("all.db");
    for (name, limit) in [("roomy", None), ("tight", Some(20_000))] {
        let memory =
            InMemorySimulationDatabase::new(name, limit, with(json!({"seed": 7}))).unwrap();
        let none: [[Cell<'_>; 4]; 0] = [];
        for step in 0..100 {
            let agents = (0..10).map(|agent| {
                let mut row = [Cell::Null; 10];
                (row[0], row[1]) = (Cell::Int(agent), Cell::Float(f64::NAN));
                row
            });
            memory.context().log_step(step, agents, none, &[]).unwrap();
        }
        assert!(limit.is_none_or(|limit| memory.memory().0 <= limit), "{:?}", memory.memory());
        let report = memory.persist_to_disk(&all).unwrap();
        assert_eq!((report.copied.as_slice(), report.rows), (&[name.to_owned()][..], 1100));
        assert_eq!(memory.persist_to_disk(&all).unwrap().unchanged, [name]);
        let read = |db: &ExperimentDatabase| {
            one(db.records(name, "agent_states", &Selection::all()).unwrap())
        };
        let kept = ExperimentDatabase::open_read_only(&all).unwrap();
        assert_eq!(read(&kept).num_rows(), 1000);
        assert_eq!(read(&kept).to_owned().column(2).null_count(), 0, "NaN is a number");
        memory.context().log_metric("late", 1.0, None).unwrap();
        assert!(matches!(memory.persist_to_disk(&all), Err(Error::Exists { .. })));
    }
}

/// Goal: a table that a user defines is typed, shared by all simulations of the file, and is compacted like any other.
#[test]
fn a_table_of_ones_own() {
    let folder = temporary();
    let db = ExperimentDatabase::open(folder.path().join("a.db"), "exp").unwrap();
    let columns = [
        ("sensor", "category"),
        ("celsius", "float32"),
        ("count", "uint8"),
        ("note", "text"),
        ("at", "datetime64[ns]"),
    ];
    let schema = RecordSchema::new("temperature", &columns).unwrap().with_key("sensor").unwrap();
    let sims =
        ["a", "b"].map(|name| db.create_simulation_context(name, Default::default()).unwrap());
    for sim in &sims {
        sim.define_table(&schema).unwrap();
        for step in 0..3 {
            for sensor in ["north", "south"] {
                let values = [
                    ("sensor", Cell::Text(sensor)),
                    ("celsius", Cell::Float(0.1)),
                    ("at", Cell::Int(step)),
                ];
                sim.log("temperature", step, &values).unwrap();
            }
        }
    }
    sims[0]
        .log(
            "temperature",
            1,
            &[("sensor", "north".into()), ("count", Cell::Int(255)), ("note", "é".into())],
        )
        .unwrap();
    for compacted in [false, true] {
        if compacted {
            db.compact("a").unwrap();
        }
        let table = one(sims[0].read("temperature", &Selection::all()).unwrap());
        assert_eq!(table.num_rows(), 6, "the key replaces");
        let found = db
            .database()
            .sql("SELECT simulation_id, sensor, note FROM temperature WHERE \"count\" = 255")
            .unwrap();
        let text = |text: &str| Value::Text(text.into());
        assert_eq!(found.rows, [[text("a"), text("north"), text("é")]]);
    }
    let refused = |values: &[(&str, Cell<'_>)]| {
        sims[0].log("temperature", 9, values).unwrap_err().to_string()
    };
    assert!(
        refused(&[("sensor", "x".into()), ("count", Cell::Int(256))])
            .contains("count of temperature: expected a value that uint8 holds, got 256")
    );
    assert!(
        refused(&[("sensor", "x".into()), ("cels", Cell::Int(1))])
            .contains("a column of temperature")
    );
    assert!(refused(&[("celsius", Cell::Float(1.0))]).contains("it is the key"));
    assert!(
        refused(&[("sensor", "x".into()), ("note", Cell::Float(1.5))])
            .contains("note of temperature")
    );
    let other = RecordSchema::new("temperature", &[("x", "float64")]).unwrap();
    assert!(matches!(sims[1].define_table(&other), Err(Error::Exists { .. })));
    for name in ["simulations", "agents", "tick_rows", "sqlite_x", "a b", "", "own"] {
        let taken = RecordSchema::new(name, &[("x", "float64")]);
        let made = taken.and_then(|schema| sims[0].define_table(&schema));
        assert_eq!(made.is_ok(), name == "own", "{name}");
    }
    assert_eq!(sims[0].row_count("temperature").unwrap(), 6, "nothing of what was refused is kept");
}

/// Goal: a folder of files by experiment and simulation holds what the file holds.
#[test]
fn simulations_are_exported_by_folders() {
    let folder = temporary();
    let db = sweep(&folder.path().join("a.db"), "exp/1", 2);
    let out = folder.path().join("out");
    let options = ExportOptions {
        format: Format::Parquet,
        tables: vec!["agent_states".into(), "simulation_steps".into()],
        selection: Selection::all().steps(5..=9),
        overwrite: false,
        escape_formulas: false,
    };
    let files = db.export(Which::All, &out, &options, &mut |_, _| Ok(())).unwrap();
    assert_eq!(files.len(), 4);
    let location = "agent_states/experiment_id=exp%2F1/simulation_id=exp%2F1_0/part-0.parquet";
    assert_eq!(files[0].path, out.join(location));
    let read = one(siltstone::table::read(out.join(location)).unwrap());
    assert_eq!(read.num_rows(), 15);
    assert!(matches!(
        db.export(Which::All, &out, &options, &mut |_, _| Ok(())),
        Err(Error::Exists { .. })
    ));
}

/// Goal: the last step that is safe is one that was logged as a step, not one of which only a metric is there.
#[test]
fn a_metric_alone_makes_no_step_safe() {
    let folder = temporary();
    let db = sweep(&folder.path().join("a.db"), "exp", 1);
    let sim = db.resume("exp_0", None, LoggingConfig::default()).unwrap();
    sim.log_metric("loss", 0.5, Some(50)).unwrap();
    sim.flush_all_buffers().unwrap();
    let last = |name: &str| db.simulations(Which::Ids(&[name])).unwrap()[0].last_step;
    assert_eq!(last("exp_0"), Some(9));
    let only = db.create_simulation_context("metrics", Default::default()).unwrap();
    only.log_metric("loss", 0.5, Some(7)).unwrap();
    only.flush_all_buffers().unwrap();
    assert_eq!(last("metrics"), Some(7), "where there are no steps, it is that of all records");
}

/// Goal: simulations come in the order in which they are asked for, as often as they are, each with its own last step and
/// rows; a brief list is the same without provenance, and the room of each is told, of one experiment alone if that is asked.
#[test]
fn simulations_are_listed() {
    let folder = temporary();
    let path = folder.path().join("runs.db");
    let db = ExperimentDatabase::open(&path, "first").unwrap();
    for n in 0..12 {
        let run = db.create_simulation_context(&format!("run_{n}"), with(json!({ "n": n })));
        let run = run.unwrap();
        for step in 0..=n {
            run.log_metric("loss", step as f64, Some(step)).unwrap();
        }
        run.complete().unwrap();
    }
    let names = ["run_7", "run_2", "run_11", "run_2"];
    let found = db.simulations(Which::Ids(&names)).unwrap();
    assert!(found.iter().map(|run| run.simulation_id.as_str()).eq(names), "{found:?}");
    for (run, n) in found.iter().zip([7, 2, 11, 2]) {
        assert_eq!((run.last_step, run.rows), (Some(n), n as u64 + 1), "{run:?}");
        assert_eq!((&run.parameters["n"], run.status.as_str()), (&json!(n), "completed"));
        assert!(run.provenance["host"].is_string(), "{run:?}");
    }
    let mut all = db.simulations(Which::All).unwrap();
    assert!(all.iter().enumerate().all(|(n, run)| run.simulation_id == format!("run_{n}")));
    all.iter_mut().for_each(|run| run.provenance.clear());
    let listed = |which, most| db.simulations_brief(which, most).unwrap();
    assert_eq!(listed(Which::All, usize::MAX), (all.len(), all.clone()));
    assert_eq!(listed(Which::All, 2), (all.len(), all[..2].to_vec()));
    let filter = Which::Filter("params.n > 8");
    assert_eq!(listed(filter, 100), (all.len() - 9, all[9..].to_vec()));
    let sizes = db.sizes().unwrap();
    assert!(sizes.is_sorted_by(|a, b| a.bytes >= b.bytes), "{sizes:?}");
    let rows: Vec<u64> = all.iter().map(|run| run.rows).collect();
    assert_eq!(sizes.iter().map(|size| size.rows).sum::<u64>(), rows.iter().sum::<u64>());
    let other = ExperimentDatabase::open(&path, "second").unwrap();
    assert_eq!(other.sizes().unwrap(), []);
}
