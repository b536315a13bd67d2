//! Names are exact: those of parameters, results, columns and metrics.

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use serde_json::{Value, json};
use siltstone::experiment::{
    At, Cell, ExperimentDatabase, InMemorySimulationDatabase, RecordSchema, Selection,
    SimulationOptions, Which,
};
use siltstone::{Error, Value as Sql};

fn temporary() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn with(parameters: &Value) -> SimulationOptions {
    SimulationOptions::default().provenance(false).parameters(parameters).unwrap()
}

fn file(simulations: &[(&str, Value)]) -> (tempfile::TempDir, ExperimentDatabase) {
    let folder = temporary();
    let db = ExperimentDatabase::open(folder.path().join("a.db"), "exp").unwrap();
    for (name, parameters) in simulations {
        db.create_simulation_context(name, with(parameters)).unwrap().complete().unwrap();
    }
    (folder, db)
}

fn found(db: &ExperimentDatabase, filter: &str) -> Vec<String> {
    let found = db.simulations(Which::Filter(filter));
    let found = found.unwrap_or_else(|error| panic!("{filter}: {error}"));
    found.into_iter().map(|simulation| simulation.simulation_id).collect()
}

fn refused(db: &ExperimentDatabase, filter: &str) -> String {
    match db.simulations(Which::Filter(filter)) {
        Err(error @ Error::Invalid { .. }) => error.to_string(),
        other => panic!("{filter}: {other:?}"),
    }
}

/// Goal: parameters that differ in case, are called as columns are, lie in objects or have any letters in their names are each
/// found by their own name.
#[test]
fn each_parameter_has_its_own_name() {
    let (_folder, db) = file(&[
        (
            "a",
            json!({"N": 1000, "n": 4, "learning-rate": 0.1, "model": {"layers": 2, "a b": {"c": 1}}}),
        ),
        ("b", json!({"N": 50, "n": 20, "learning-rate": 0.5, "status": "warm", "it's": true})),
        ("c", json!({"N": 30, "n": 30, "simulation_id": "x", "error": "none", "model.layers": 3})),
    ]);
    db.update_simulation_status("a", "completed", Some(r#"{"n": 7, "status": "good"}"#)).unwrap();
    for (filter, expected) in [
        ("params.n > 40", &[][..]),
        ("params.N > 40", &["a", "b"]),
        ("params.n >= 20 AND params.N < 40", &["c"]),
        ("params.\"learning-rate\" > 0.2", &["b"]),
        ("\"learning-rate\" > 0.2", &["b"]),
        ("[learning-rate] > 0.2 OR `learning-rate` < 0.2", &["a", "b"]),
        ("status = 'completed'", &["a", "b", "c"]),
        ("\"status\" = 'completed' AND params.status = 'warm'", &["b"]),
        ("simulation_id = 'c' AND params.simulation_id = 'x' AND params.error = 'none'", &["c"]),
        ("error IS NULL", &["a", "b", "c"]),
        ("results.n = 7 AND results.status = 'good'", &["a"]),
        ("params.model.layers = 2", &["a"]),
        ("params.\"model.layers\" = 3", &["c"]),
        ("params.model.\"a b\".c = 1", &["a"]),
        ("params.\"it's\"", &["b"]),
        ("params.n IN (4, 30) -- params.nothing", &["a", "c"]),
        ("'params.nothing' <> \"simulation_id\" /* ) */", &["a", "b", "c"]),
    ] {
        assert_eq!(found(&db, filter), expected, "{filter}");
    }
}

/// Goal: a name that no simulation has is an error that lists those that are near, and never a text or nothing; a filter
/// stays the condition that it is.
#[test]
fn a_name_that_is_not_there_is_an_error() {
    let (folder, db) = file(&[
        ("a", json!({"learning-rate": 0.1, "N": 3, "nan": 1})),
        ("b", json!({"learning-rate": 0.5, "N": 4})),
    ]);
    for (filter, near) in [
        ("\"lerning-rate\" > 0.2", "params.\"learning-rate\""),
        ("params.\"lerning-rate\" > 0.2", "params.\"learning-rate\""),
        ("params.n > 1", "params.N"),
        ("N > 1", "params.N"),
        ("results.N > 1", "params.N"),
        ("statsu = 'completed'", "status"),
        ("params.N = 3 OR params.N.x = 1", "params.N"),
    ] {
        let error = refused(&db, filter);
        assert!(error.contains("near it: ") && error.contains(near), "{filter}: {error}");
    }
    for filter in ["1) OR (1", "(1", "'a", "\"a", "1 /* ", "params", "1; DELETE FROM simulations"] {
        refused(&db, filter);
    }
    // Nothing has run here yet: there is nothing to find, and no name to know.
    let empty = ExperimentDatabase::open(folder.path().join("empty.db"), "exp").unwrap();
    assert_eq!(found(&empty, "params.rate > 1"), [""; 0]);
    // A text is in single quotes, in a query too.
    let sql = |sql: &str| db.database().sql(sql);
    assert_eq!(sql("SELECT 'abc'").unwrap().rows, [[Sql::Text("abc".into())]]);
    assert!(sql("SELECT \"abc\" FROM simulations").is_err());
    let keys = "SELECT silt_value(parameters, 'N') FROM simulations ORDER BY id";
    assert_eq!(sql(keys).unwrap().rows, [[Sql::Integer(3)], [Sql::Integer(4)]]);
}

/// Goal: a metric is one by its name, wherever its values are kept: logged by the name of a column, with a table as its
/// prefix, in blocks, or beside the column of the steps.
#[test]
fn a_metric_is_one_wherever_it_is_kept() {
    let (_folder, db) = file(&[]);
    for run in 0..2 {
        let options = with(&json!({"rate": run}));
        let sim = db.create_simulation_context(&format!("run{run}"), options).unwrap();
        for k in 0..3 {
            let reward = 10.0 * f64::from(run) + f64::from(k);
            let metrics = [
                ("loss", 1.0 / f64::from(k + 1)),
                ("average_reward", reward),
                ("agents.alive", 100.0 - f64::from(k)),
            ];
            sim.log_metrics(&metrics, Some(k.into())).unwrap();
        }
    }
    let both = db.create_simulation_context("both", with(&json!({}))).unwrap();
    let none: [[Cell<'_>; 4]; 0] = [];
    let nobody: [[Cell<'_>; 10]; 0] = [];
    for step in 0..4 {
        both.log_step(step, nobody, none, &[("births", Cell::Int(step))]).unwrap();
    }
    both.log_metric("births", 9.5, Some(1)).unwrap();
    both.log_metric("births", 4.5, Some(7)).unwrap();
    for compacted in [false, true] {
        if compacted {
            ["run0", "run1", "both"].iter().for_each(|name| assert!(db.compact(name).is_ok()));
        }
        let rewards = db.metric("run1", "average_reward").unwrap();
        assert_eq!(rewards, [(0, 10.0), (1, 11.0), (2, 12.0)]);
        let values = |metric: &str, at: At| -> Vec<Value> {
            let which = Which::Ids(&["run0", "run1"]);
            let table = db.compare(which, &[(metric, at)]).unwrap().collect_batches().unwrap();
            let rows = siltstone::table::rows(&table[0]).unwrap();
            rows.into_iter().map(|mut row| row.remove(1)).collect()
        };
        assert_eq!(values("average_reward", At::Final), [json!(2.0), json!(12.0)]);
        assert_eq!(values("average_reward", At::Mean), [json!(1.0), json!(11.0)]);
        assert_eq!(values("agents.alive", At::Min), [json!(98.0), json!(98.0)]);
        assert_eq!(db.pivot(Which::All, "agents.alive").unwrap().schema().fields().len(), 4);
        let names = db.metric_names("run0").unwrap();
        assert_eq!(names, ["average_reward", "loss", "agents.alive"]);
        let less = db.difference("run0", "run1").unwrap().collect_batches().unwrap();
        assert_eq!(less[0].num_rows(), 3);
        let births = db.metric("both", "births").unwrap();
        assert_eq!(births, [(0, 0.0), (1, 9.5), (2, 2.0), (3, 3.0), (7, 4.5)]);
        let which = Which::Ids(&["both"]);
        let ats = [At::Final, At::Step(1), At::Sum, At::Count].map(|at| ("births", at));
        let table = db.compare(which, &ats).unwrap().collect_batches().unwrap();
        let row = siltstone::table::rows(&table[0]).unwrap().remove(0);
        assert_eq!(row[1..], [json!(4.5), json!(9.5), json!(19.0), json!(5.0)]);
    }
    for name in ["los", "agents.aliv", "agent_states.total_rewards"] {
        for error in [
            db.metric("run0", name).unwrap_err(),
            db.compare(Which::All, &[(name, At::Final)]).unwrap_err(),
            db.pivot(Which::All, name).unwrap_err(),
        ] {
            assert!(matches!(error, Error::NotFound { .. }), "{error}");
            assert!(error.to_string().contains("near it: "), "{error}");
        }
    }
    assert_eq!(db.metric("run0", "total_agents").unwrap(), []);
}

/// Goal: a column of which some steps have no value has as its final one the last that it has.
#[test]
fn the_final_value_is_the_last_that_there_is() {
    let (_folder, db) = file(&[]);
    let sim = db.create_simulation_context("s", with(&json!({}))).unwrap();
    let none: [[Cell<'_>; 4]; 0] = [];
    let nobody: [[Cell<'_>; 10]; 0] = [];
    for step in 0..60 {
        let mut metrics = vec![("total_agents", Cell::Int(100 + step))];
        if step % 25 == 0 {
            let values = [("average_reward", step as f64), ("score", step as f64)];
            metrics.extend(values.map(|(name, x)| (name, Cell::Float(x))));
        }
        sim.log_step(step, nobody, none, &metrics).unwrap();
    }
    let finals = |name: &str| {
        let table = db.compare(Which::All, &[(name, At::Final)]).unwrap().collect_batches();
        siltstone::table::rows(&table.unwrap()[0]).unwrap()[0][1].clone()
    };
    for compacted in [false, true] {
        if compacted {
            sim.complete().unwrap();
            db.compact("s").unwrap();
        }
        assert_eq!([finals("average_reward"), finals("score")], [json!(50.0), json!(50.0)]);
        assert_eq!(finals("total_agents"), json!(159.0));
        assert_eq!(finals("genetic_diversity"), Value::Null);
    }
}

/// Goal: NaN, infinities, -0.0 and integers come back as they were or are refused, and the JSON of the file is JSON to SQLite.
#[test]
fn numbers_come_back_as_they_were() {
    let (_folder, db) = file(&[]);
    let text = r#"{"dropout": NaN, "limit": -Infinity, "zero": -0.0, "big": 18446744073709551615}"#;
    let options = SimulationOptions::default().provenance(false).parameters_json(text).unwrap();
    let sim = db.create_simulation_context("s", options).unwrap();
    sim.log_params(r#"{"late": Infinity}"#).unwrap();
    sim.log_params(r#"{"late": Infinity, "dropout": NaN}"#).unwrap();
    sim.save_configuration(r#"{"c": NaN}"#).unwrap();
    db.update_experiment_status("running", Some(r#"{"e": NaN}"#)).unwrap();
    for (step, x) in [(0, -0.0), (1, f64::NAN), (2, f64::INFINITY)] {
        sim.log_metric("odd", x, Some(step)).unwrap();
    }
    db.update_simulation_status("s", "completed", Some(r#"{"loss": NaN}"#)).unwrap();
    let info = db.simulations(Which::All).unwrap().remove(0);
    let tagged = |value: &str| json!({"$silt": "float", "value": value});
    assert_eq!(info.parameters["dropout"], tagged("nan"));
    assert_eq!(
        (&info.parameters["limit"], &info.parameters["late"]),
        (&tagged("-inf"), &tagged("inf"))
    );
    assert!(info.parameters["zero"].as_f64().unwrap().is_sign_negative());
    assert_eq!(
        (&info.parameters["big"], &info.results_summary["loss"]),
        (&json!(u64::MAX), &tagged("nan"))
    );
    let odd: Vec<u64> =
        db.metric("s", "odd").unwrap().into_iter().map(|(_, x)| x.to_bits()).collect();
    assert_eq!(odd, [-0.0f64, f64::NAN, f64::INFINITY].map(f64::to_bits));
    assert_eq!(found(&db, "params.\"limit\" < -1e308 AND params.late > 1e308"), ["s"]);
    assert_eq!(found(&db, "params.dropout > 0 OR results.loss > 0"), [""; 0]);
    let valid = "SELECT json_valid(parameters) AND json_valid(results_summary) AND \
        (SELECT json_valid(config_data) FROM simulation_config) AND \
        (SELECT json_valid(results_summary) FROM experiments) FROM simulations";
    assert_eq!(db.database().sql(valid).unwrap().rows, [[Sql::Integer(1)]]);
    let table = db.parameters(Which::All, false).unwrap();
    let field = table.schema().field_with_name("dropout").unwrap().data_type().to_string();
    assert_eq!(field, "Float64");
    // An integer that no float is.
    sim.log_metric("n", 1.0, None).unwrap();
    let schema = RecordSchema::new("x", &[("v", "float64"), ("w", "float32")]).unwrap();
    sim.define_table(&schema).unwrap();
    let log = |name: &str, n: i64| sim.log("x", 0, &[(name, Cell::Int(n))]);
    assert!(log("v", 1 << 60).is_ok() && log("w", 1 << 40).is_ok());
    assert!(log("v", (1 << 60) + 1).is_err() && log("w", (1 << 24) + 1).is_err());
    let none: [[Cell<'_>; 4]; 0] = [];
    let nobody: [[Cell<'_>; 10]; 0] = [];
    assert!(
        sim.log_step(0, nobody, none, &[("t_ns", Cell::Int(1_709_287_200_123_456_789))]).is_err()
    );
}

/// Goal: a context that was replaced by one that resumed, whose database was closed, or whose simulation was deleted logs
/// nothing any more and says why; its rows are in the file once, or gone with the simulation.
#[test]
fn a_context_ends_with_what_it_belongs_to() {
    let (folder, db) = file(&[]);
    let log = |sim: &siltstone::experiment::SimulationContext, step: i64| {
        let action = siltstone::experiment::AgentAction {
            step_number: step,
            agent_id: "a",
            action_type: "move",
            ..Default::default()
        };
        sim.log_agent_action(&action)
    };
    let closed = |result: Result<(), Error>, why: &str| match result {
        Err(error @ Error::Closed { .. }) => assert!(error.to_string().contains(why), "{error}"),
        other => panic!("{why}: {other:?}"),
    };
    let old = db.create_simulation_context("a", with(&json!({}))).unwrap();
    (0..10).for_each(|step| log(&old, step).unwrap());
    let new = db.resume("a", Some(5), Default::default()).unwrap();
    closed(log(&old, 5), "was resumed");
    closed(old.log_params("{}"), "was resumed");
    closed(old.log_array("x", 0, &siltstone::Array::from_slice(&[1.0])), "was resumed");
    (5..10).for_each(|step| log(&new, step).unwrap());
    drop(old);
    db.flush_all_buffers().unwrap();
    assert_eq!(new.row_count("agent_actions").unwrap(), 10);

    // Deleted here, with rows that wait.
    let gone = db.create_simulation_context("gone", with(&json!({}))).unwrap();
    gone.complete().unwrap();
    log(&gone, 0).unwrap();
    db.delete_simulation("gone").unwrap();
    db.flush_all_buffers().unwrap();
    closed(log(&gone, 1), "was deleted");
    gone.flush_all_buffers().unwrap();

    // Deleted by somebody else: told once.
    let gone = db.create_simulation_context("gone", with(&json!({}))).unwrap();
    gone.complete().unwrap();
    log(&gone, 0).unwrap();
    let other = ExperimentDatabase::open(folder.path().join("a.db"), "exp").unwrap();
    other.delete_simulation("gone").unwrap();
    other.close().unwrap();
    closed(gone.flush_all_buffers(), "was deleted");
    db.flush_all_buffers().unwrap();
    closed(log(&gone, 1), "was deleted");

    log(&new, 10).unwrap();
    db.close().unwrap();
    closed(log(&new, 11), "was closed");
    closed(new.define_table(&RecordSchema::new("t", &[("x", "int64")]).unwrap()), "was closed");
    let kept = db.records("a", "agent_actions", &Selection::all()).unwrap();
    assert_eq!(kept.collect_batches().unwrap()[0].num_rows(), 11);
    assert_eq!(db.simulations(Which::All).unwrap()[0].status, "stopped");
}

/// Goal: a simulation in memory is kept with the status that it has, in the experiment that it is given to.
#[test]
fn a_simulation_in_memory_joins_an_experiment() {
    let folder = temporary();
    let path = folder.path().join("all.db");
    for (name, status) in [("runs", None), ("waits", Some("pending")), ("broke", Some("failed"))] {
        let memory = InMemorySimulationDatabase::new(name, None, with(&json!({}))).unwrap();
        memory.context().log_metric("x", 1.0, None).unwrap();
        let own = memory.context().database();
        if let Some(status) = status {
            own.update_simulation_status(name, status, None).unwrap();
        }
        memory.join_experiment("exp").unwrap();
        memory.persist_to_disk(&path).unwrap();
        assert_eq!(memory.persist_to_disk(&path).unwrap().unchanged, [name]);
    }
    let db = ExperimentDatabase::open(&path, "exp").unwrap();
    let found = db.simulations(Which::All).unwrap();
    let statuses: Vec<&str> = found.iter().map(|info| info.status.as_str()).collect();
    assert_eq!(statuses, ["running", "pending", "failed"]);
    assert_eq!(
        db.resume("runs", None, Default::default())
            .unwrap()
            .row_count("simulation_metrics")
            .unwrap(),
        1
    );
}

/// Goal: an integer of a filter that SQLite would round is refused: as a float it equals its neighbours.
#[test]
fn a_filter_takes_no_integer_that_is_rounded() {
    let big = |n: u64| json!({"big": 9_223_372_036_854_775_808 + n});
    let (_folder, db) = file(&[("a", big(0)), ("b", big(1)), ("c", json!({"big": i64::MAX}))]);
    let error = refused(&db, "params.big = 9223372036854775809");
    assert!(error.contains("64 bits") && error.contains("9223372036854775809"), "{error}");
    assert_eq!(found(&db, "params.big = 9223372036854775807"), ["c"]);
}

/// Goal: a comparison of many simulations, which reads what is known of all at once, says of each what one of it alone says: of
/// last values that are missing, NaN or -0, of steps with many values, of blocks and of names that only some have logged.
#[test]
fn many_simulations_are_compared_as_each_is() {
    let (_folder, db) = file(&[]);
    let none: [[Cell<'_>; 4]; 0] = [];
    let agent = |id: &'static str, reward: f64| -> [Cell<'static>; 10] {
        let numbers = [0.0, 1.0, 2.0, 3.0, 4.0].map(Cell::Float);
        let [x, y, level, health, start] = numbers;
        [id.into(), x, y, level, health, start, 0.into(), false.into(), reward.into(), 1.into()]
    };
    let names: Vec<String> = (0..40).map(|run| format!("run{run}")).collect();
    for (run, name) in names.iter().enumerate() {
        let sim = db.create_simulation_context(name, with(&json!({}))).unwrap();
        let last = [1.5, f64::NAN, -0.0, run as f64][run % 4];
        for step in 0..run as i64 % 3 {
            let agents = [agent("a", step as f64), agent("b", last)];
            sim.log_step(step, agents, none, &[("births", Cell::Int(step)), ("mood", last.into())])
                .unwrap();
        }
        if run % 3 == 2 {
            sim.log_step(9, [agent("c", last)], none, &[("mood", Cell::Null)]).unwrap();
            sim.log_metric("births", 7.5, Some(run as i64 % 2)).unwrap();
        }
        sim.complete().unwrap();
        if run % 5 == 0 {
            db.compact(name).unwrap();
        }
    }
    let values = |which: Which<'_>, metric: &str, at| {
        let table = db.compare(which, &[(metric, at)]).unwrap().collect_batches().unwrap();
        let column = table[0].column(1).as_primitive::<Float64Type>();
        column.iter().map(|value| value.map(f64::to_bits)).collect::<Vec<_>>()
    };
    let ats = [At::Final, At::Mean, At::Min, At::Max, At::Sum, At::Count, At::Step(1)];
    for metric in ["births", "mood", "agent_states.total_reward"] {
        for at in ats {
            let all = values(Which::All, metric, at);
            let each = names.iter().flat_map(|name| values(Which::Ids(&[name]), metric, at));
            assert_eq!(all, each.collect::<Vec<_>>(), "{metric} {at:?}");
            assert!(all.iter().any(Option::is_some));
        }
    }
}
