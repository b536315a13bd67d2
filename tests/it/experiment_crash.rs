//! Sweeps of many processes that are killed, and disks that are full: what was acknowledged is there, and the statuses are
//! right.

use std::path::Path;
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use siltstone::experiment::{
    AgentAction, Cell, ExperimentDatabase, LoggingConfig, Selection, SimulationContext, Which,
};
use siltstone::{Database, Durability, Error, Value};
use siltstone_needs::needs;

use crate::child::{self, Random, mission, say};

const KILLS: usize = 100;
/// Files that are written in turn.
const FILES: usize = 10;
const PROCESSES: usize = 8;
const AGENTS: i64 = 5;

/// The reward of an agent at a step of a simulation.
fn reward(simulation: &str, step: i64, agent: i64) -> f64 {
    let seed = simulation.bytes().fold(7u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
    Random(seed ^ (step as u64) << 20 ^ agent as u64).below(1 << 50) as f64 / 1024.0
}

fn log_step(sim: &SimulationContext, step: i64) -> Result<(), Error> {
    let none: [[Cell<'_>; 4]; 0] = [];
    let agents = (0..AGENTS).map(|agent| {
        let mut row = [Cell::Null; 10];
        (row[0], row[8]) =
            (Cell::Int(agent), Cell::Float(reward(sim.simulation_id(), step, agent)));
        row
    });
    sim.log_agent_action(&AgentAction {
        step_number: step,
        agent_id: "0",
        action_type: "move",
        ..AgentAction::default()
    })?;
    sim.log_step(
        step,
        agents,
        none,
        &[("total_agents", Cell::Int(AGENTS)), ("mood", Cell::Float(step as f64))],
    )
}

/// Logs steps until it is killed, and says each when it is acknowledged.
#[test]
#[ignore = "run by a_killed_sweep_loses_nothing_that_was_acknowledged"]
fn logs_until_it_is_killed() {
    let Some((file, name)) = mission() else { return };
    let db = ExperimentDatabase::open(file, "sweep").unwrap();
    let sim = db.create_simulation_context(&name, Default::default()).unwrap();
    say(format_args!("made"));
    for step in 0.. {
        log_step(&sim, step).unwrap();
        say(format_args!("step {step}"));
    }
}

/// Goal: of 8 processes that log into one file and are killed at any instant, 100 times over, every acknowledged step is
/// there and whole, and each simulation is marked as crashed with its last step.
#[test]
fn a_killed_sweep_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random(5);
    let mut acknowledged_in_all = 0;
    for kill in 0..KILLS {
        let file = folder.path().join(format!("{}.db", kill % FILES));
        let names: Vec<String> = (0..PROCESSES).map(|i| format!("s{kill}_{i}")).collect();
        let test = "experiment_crash::logs_until_it_is_killed";
        let mut children: Vec<_> =
            names.iter().map(|name| child::start(test, &file, name)).collect();
        for child in &mut children {
            assert!(child.wait_for("made"));
        }
        let steps = random.below(32);
        let mut said: Vec<Vec<String>> =
            children.iter_mut().map(|child| child.hear("step ", steps)).collect();
        std::thread::sleep(Duration::from_micros(random.below(10_000)));
        said.iter_mut().zip(children).for_each(|(said, child)| said.extend(child.kill()));
        let db = ExperimentDatabase::open(&file, "sweep").unwrap();
        for (name, said) in names.iter().zip(said) {
            let steps =
                said.iter().filter_map(|line| line.strip_prefix("step ")?.parse::<i64>().ok());
            let acknowledged = steps.max();
            acknowledged_in_all += acknowledged.map_or(0, |step| step + 1);
            check(&db, name, acknowledged);
        }
        if kill >= KILLS - FILES {
            assert_eq!(db.database().verify().unwrap().findings, []);
            let running = db.simulations(Which::Filter("status <> 'crashed'")).unwrap();
            assert_eq!(running.len(), 0);
        }
    }
    assert!(acknowledged_in_all > 10_000, "only {acknowledged_in_all} steps were acknowledged");
}

fn check(db: &ExperimentDatabase, name: &str, acknowledged: Option<i64>) {
    let info = db.simulations(Which::Ids(&[name])).unwrap().remove(0);
    assert_eq!(info.status, "crashed", "{name}");
    assert!(info.last_step >= acknowledged, "{name}: {:?} of {acknowledged:?}", info.last_step);
    let error = info.error.unwrap();
    let last = match info.last_step {
        None => {
            assert!(error.contains("before a step was safe"), "{error}");
            return;
        }
        Some(last) => last,
    };
    assert!(error.contains(&format!("step {last} is the last one that is safe")), "{error}");
    let batches =
        db.records(name, "agent_states", &Selection::all()).unwrap().collect_batches().unwrap();
    let mut n = 0;
    for batch in batches {
        let steps = batch.column(0).as_primitive::<Int64Type>();
        let agents = batch.column_by_name("agent_id").unwrap().as_string::<i32>();
        let rewards = batch.column_by_name("total_reward").unwrap().as_primitive::<Float64Type>();
        for row in 0..batch.num_rows() {
            let (step, agent) = (n / AGENTS, n % AGENTS);
            assert_eq!((steps.value(row), agents.value(row)), (step, agent.to_string().as_str()));
            assert_eq!(rewards.value(row), reward(name, step, agent));
            n += 1;
        }
    }
    assert_eq!(n, (last + 1) * AGENTS, "{name}: every safe step is whole, and there is no other");
    let sql = format!(
        "SELECT (SELECT count(*) FROM agent_actions WHERE simulation_id = '{name}'), \
         (SELECT count(*) FROM simulation_steps WHERE simulation_id = '{name}'), \
         (SELECT count(*) FROM simulation_metrics WHERE simulation_id = '{name}')"
    );
    let found = &db.database().sql(&sql).unwrap().rows[0];
    assert_eq!(
        found,
        &vec![Value::Integer(last + 1); 3],
        "a step and what waited before it are one transaction"
    );
}

/// Goal: on a full disk the call says so, nothing is half written, nothing that waits is lost, and once there is room it is
/// written.
#[needs(small_disk)]
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let _mounted = crate::shared::Mounted::small(folder.path());
    let ballast = folder.path().join("ballast");
    std::fs::write(&ballast, vec![0u8; 1 << 20]).unwrap();
    let db = ExperimentDatabase::open(folder.path().join("a.db"), "exp").unwrap();
    let logging = LoggingConfig { durability: Durability::Os, ..LoggingConfig::default() };
    let sim = db
        .create_simulation_context(
            "s",
            siltstone::experiment::SimulationOptions::default().logging(logging),
        )
        .unwrap();
    let mut acknowledged = 0;
    let error = loop {
        match log_step(&sim, acknowledged) {
            Ok(()) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 100_000);
    };
    assert!(matches!(error, Error::Io { .. } | Error::Sqlite { .. }), "{error}");
    assert!(error.to_string().contains("full") || error.to_string().contains("space"), "{error}");
    assert!(sim.buffered().0 > 0, "the step waits in memory");
    let count =
        |db: &Database| db.sql("SELECT count(*) FROM simulation_steps").unwrap().rows[0][0].clone();
    assert_eq!(count(db.database()), Value::Integer(acknowledged));
    std::fs::remove_file(ballast).unwrap();
    sim.flush_all_buffers().unwrap();
    assert_eq!(count(db.database()), Value::Integer(acknowledged + 1));
    let states = "SELECT count(*) FROM agent_states";
    assert_eq!(
        db.database().sql(states).unwrap().rows[0][0],
        Value::Integer((acknowledged + 1) * AGENTS)
    );
    assert_eq!(db.database().verify().unwrap().findings, []);
}

/// Goal: a context that goes out of scope on a full disk loses what waits in it, and a log message with the number of rows alone
/// says so; a flush before gives the error. What was acknowledged stays, and the next context goes on.
#[needs(small_disk)]
#[test]
#[cfg(target_os = "linux")]
fn a_context_that_is_dropped_on_a_full_disk_is_told_by_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let _mounted = crate::shared::Mounted::small(folder.path());
    let ballast = folder.path().join("ballast");
    std::fs::write(&ballast, vec![0u8; 1 << 20]).unwrap();
    let db = ExperimentDatabase::open(folder.path().join("a.db"), "exp").unwrap();
    let sim = db.create_simulation_context("s", Default::default()).unwrap();
    let acknowledged = (0..).find(|step| log_step(&sim, *step).is_err()).unwrap();
    let error = sim.flush_all_buffers().unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
    let waiting = sim.buffered().0;
    assert!(waiting > 0);
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || drop(sim));
    let logged = log.0.lock().unwrap().join("\n");
    let rows = format!("rows={waiting} ");
    assert!(logged.contains("rows were lost") && logged.contains(&rows), "{logged}");
    std::fs::remove_file(ballast).unwrap();
    let sim = db.create_simulation_context("t", Default::default()).unwrap();
    log_step(&sim, 0).unwrap();
    drop(sim);
    let steps = "SELECT count(*) FROM simulation_steps GROUP BY simulation_id ORDER BY 1 DESC";
    let steps = db.database().sql(steps).unwrap().rows;
    assert_eq!(steps, [[Value::Integer(acknowledged)], [Value::Integer(1)]]);
    db.close().unwrap();
    let db = Database::builder(folder.path().join("a.db")).open().unwrap();
    assert_eq!(db.verify().unwrap().findings, []);
}

/// What is logged as an error, each with its fields.
#[cfg(target_os = "linux")]
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

#[cfg(target_os = "linux")]
impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::ERROR
    }

    fn event(&self, event: &tracing::Event<'_>) {
        struct Fields(String);
        impl tracing::field::Visit for Fields {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 += &format!("{field}={value:?} ");
            }
        }
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// Goal: another process that holds the file for a while delays a step, and neither loses nor doubles it; one that holds it
/// for too long is an error that says so, and the rows wait.
#[test]
fn a_file_that_is_held_delays_or_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let db = Database::builder(&path).busy_timeout(Duration::from_millis(300)).open().unwrap();
    let db = ExperimentDatabase::over(db, Some("exp")).unwrap();
    let sim = db.create_simulation_context("s", Default::default()).unwrap();
    log_step(&sim, 0).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let start = Instant::now();
    let error = log_step(&sim, 1).unwrap_err();
    assert!(matches!(error, Error::Busy { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(10));
    assert!(sim.buffered().0 > 0);
    other.execute_batch("ROLLBACK").unwrap();
    log_step(&sim, 1).unwrap(); // the caller tries again: it replaces
    log_step(&sim, 2).unwrap();
    let sql = "SELECT step_number, count(*) FROM agent_states GROUP BY 1";
    let rows: Vec<Vec<Value>> =
        (0..3).map(|step| vec![Value::Integer(step), Value::Integer(AGENTS)]).collect();
    assert_eq!(db.database().sql(sql).unwrap().rows, rows);
}

/// Goal: a newer file, a schema of another program and a damaged block are refused by name, and left as they are.
#[test]
fn files_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let db = ExperimentDatabase::open(&path, "exp").unwrap();
    let sim = db.create_simulation_context("s", Default::default()).unwrap();
    (0..50).for_each(|step| log_step(&sim, step).unwrap());
    sim.complete().unwrap();
    db.compact("s").unwrap();
    let edit = |path: &Path, sql: &str| {
        rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
    };
    let copy = |name: &str| {
        let copy = folder.path().join(name);
        drop(db.database().backup(&copy).unwrap());
        copy
    };
    let newer = copy("newer.db");
    edit(&newer, "UPDATE siltstone_schema SET version = 99 WHERE store = 'experiment'");
    assert!(matches!(ExperimentDatabase::open(&newer, "exp"), Err(Error::TooNew { .. })));
    let damaged = copy("damaged.db");
    edit(
        &damaged,
        "UPDATE record_block SET data = CAST(substr(data, 1, 20) || x'FF' || substr(data, 22) AS BLOB) \
        WHERE record_table = (SELECT id FROM record_table WHERE name = 'agent_states')",
    );
    let bad = ExperimentDatabase::open_read_only(&damaged).unwrap();
    let read = bad.records("s", "agent_states", &Selection::all());
    assert!(
        matches!(&read, Err(Error::Corrupt { what, .. }) if what.contains("block")),
        "{read:?}"
    );
    let found = bad.database().verify().unwrap();
    assert!(found.findings.iter().any(|f| f.location.contains("\"agent_states\"")), "{found:?}");
    assert!(bad.database().sql("SELECT sum(age) FROM agent_states").is_err());
    let hostile = copy("hostile.db");
    edit(
        &hostile,
        "UPDATE record_table SET definition = \
        replace(definition, '\"total_reward\"', '\"x\\\"; DROP TABLE simulations; --\"')",
    );
    assert!(
        ExperimentDatabase::open_read_only(&hostile)
            .unwrap()
            .records("s", "agent_states", &Selection::all())
            .is_err()
    );
    for (n, loss) in [
        "DELETE FROM record_block WHERE id = 1",
        "DELETE FROM simulation_name WHERE name = '3'",
        "UPDATE record_block SET data = substr(data, 1, 60) WHERE id = 2",
        "UPDATE record_block SET last_step = 3 WHERE id = 1",
        "UPDATE record_summary SET rows = 7 WHERE rows = 50",
    ]
    .into_iter()
    .enumerate()
    {
        let lost = copy(&format!("lost_{n}.db"));
        edit(&lost, loss);
        let found = ExperimentDatabase::open_read_only(&lost).unwrap().database().verify().unwrap();
        assert!(!found.is_ok(), "{loss}");
    }
}
