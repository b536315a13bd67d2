//! The experiment store: many simulations in one file.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use siltstone::experiment::{
    AgentAction, AgentState, Cell, ExperimentDatabase, Selection, SimulationContext,
};
use siltstone::{Database, Error, Value};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn agent(id: &str, step: i64) -> AgentState<'_> {
    AgentState {
        agent_id: id,
        position_x: step as f64,
        position_y: 0.25,
        resource_level: 3.5,
        current_health: 90.0,
        starting_health: 100.0,
        starvation_counter: 1,
        is_defending: step % 2 == 0,
        total_reward: 0.5 * step as f64,
        age: step,
    }
}

fn log_steps(sim: &SimulationContext, steps: std::ops::Range<i64>) {
    for step in steps {
        let agents = [agent("a", step), agent("b", step + 1)];
        let resources = [["spring".into(), 7.5.into(), 0.0.into(), 1.0.into()]];
        let metrics = [("total_agents", Cell::Int(2)), ("mood", Cell::Float(0.5))];
        sim.log_step(step, agents, resources, &metrics).unwrap();
        sim.log_agent_action(&AgentAction {
            step_number: step,
            agent_id: "a",
            action_type: "move",
            reward: Some(1.0),
            ..AgentAction::default()
        })
        .unwrap();
    }
}

fn rows(db: &Database, sql: &str) -> Vec<Vec<Value>> {
    db.sql(sql).unwrap().rows
}

/// Goal: what a simulation logs is rows of the documented tables, in SQL and in Arrow, and stays so when it is compacted.
#[test]
fn a_simulation_is_logged_read_and_compacted() {
    let folder = folder();
    let path = folder.path().join("sweep.db");
    let db = ExperimentDatabase::open(&path, "exp_001").unwrap();
    let sim = db.create_simulation_context("sim_000", Default::default()).unwrap();
    let other = db.create_simulation_context("sim_001", Default::default()).unwrap();
    log_steps(&sim, 0..5);
    log_steps(&other, 0..3);
    db.flush_all_buffers().unwrap();
    let snapshot = || {
        let batches =
            sim.read("agent_states", &Selection::all()).unwrap().collect_batches().unwrap();
        assert_eq!(batches.len(), 1);
        let sql = "SELECT id, step_number, agent_id, position_x, is_defending FROM agent_states \
            WHERE simulation_id = 'sim_000' AND step_number >= 3 ORDER BY step_number, agent_id";
        let actions = "SELECT count(*), sum(reward), min(agent_id) FROM agent_actions";
        let steps =
            "SELECT count(*), sum(total_agents), sum(resources_consumed) FROM simulation_steps";
        (
            batches[0].clone(),
            rows(db.database(), sql),
            rows(db.database(), actions),
            rows(db.database(), steps),
        )
    };
    let before = snapshot();
    assert_eq!(before.0.num_rows(), 10);
    assert_eq!(before.0.column_by_name("agent_id").unwrap().as_string::<i32>().value(1), "b");
    assert_eq!(
        before.0.column_by_name("position_x").unwrap().as_primitive::<Float64Type>().value(1),
        1.0
    );
    assert_eq!(before.1.len(), 4);
    assert_eq!(before.1[0][0], Value::Text("sim_000:a-3".into()));
    assert_eq!(before.2[0][..2], [Value::Integer(8), Value::Real(8.0)]);
    assert_eq!(before.3[0], [Value::Integer(8), Value::Integer(16), Value::Real(0.0)]);
    sim.complete().unwrap();
    assert!(db.compact("sim_000").unwrap().rows >= 20);
    assert_eq!(
        rows(db.database(), "SELECT count(*) FROM agent_states_rows")[0][0],
        Value::Integer(6)
    );
    assert_eq!(snapshot(), before);
    let steps = sim.read("agent_states", &Selection::all().steps(2..=3).columns(&["age"])).unwrap();
    let batches = steps.collect_batches().unwrap();
    assert_eq!(batches[0].column(0).as_primitive::<Int64Type>().values(), &[2, 2, 3, 3]);
    assert_eq!(batches[0].column(1).as_primitive::<Int64Type>().values(), &[2, 3, 3, 4]);
    let again = db.create_simulation_context("sim_000", Default::default());
    assert!(matches!(again, Err(Error::Exists { .. })), "{again:?}");
}

/// Goal: a step that is logged again replaces what was logged of it, before and after it is committed and compacted.
#[test]
fn a_step_that_is_logged_again_replaces() {
    let folder = folder();
    let db = ExperimentDatabase::open(folder.path().join("sweep.db"), "exp").unwrap();
    let sim = db.create_simulation_context("s", Default::default()).unwrap();
    let none: [[Cell<'_>; 4]; 0] = [];
    log_steps(&sim, 0..4);
    for compacted in [false, true] {
        if compacted {
            db.compact("s").unwrap();
        }
        sim.log_step(2, [agent("c", 7)], none, &[("total_agents", Cell::Int(9))]).unwrap();
        let sql =
            "SELECT step_number, agent_id, age FROM agent_states ORDER BY step_number, agent_id";
        let found = rows(db.database(), sql);
        assert_eq!(found.len(), 7);
        assert_eq!(found[4], [Value::Integer(2), Value::Text("c".into()), Value::Integer(7)]);
        let count = "SELECT count(*), sum(total_agents) FROM simulation_steps";
        assert_eq!(rows(db.database(), count)[0], [Value::Integer(4), Value::Integer(15)]);
        assert_eq!(
            rows(db.database(), "SELECT count(*) FROM resource_states")[0][0],
            Value::Integer(3)
        );
        assert_eq!(sim.row_count("agent_states").unwrap(), 7);
    }
}

/// Goal: floats that SQLite cannot hold come back bit for bit, from rows and from blocks.
#[test]
fn every_float_comes_back() {
    let folder = folder();
    let db = ExperimentDatabase::open(folder.path().join("sweep.db"), "exp").unwrap();
    let sim = db.create_simulation_context("s", Default::default()).unwrap();
    let odd = f64::from_bits(0x7FF8_0000_0000_1234);
    let values = [odd, -0.0, f64::INFINITY, f64::NEG_INFINITY, 0.0, 5e-324, 1.0];
    for (step, value) in values.into_iter().enumerate() {
        sim.log_metric("loss", value, Some(step as i64)).unwrap();
    }
    let bits = || {
        let batches = sim.read("simulation_metrics", &Selection::all().key("loss")).unwrap();
        let batches = batches.collect_batches().unwrap();
        let column = batches[0].column_by_name("value").unwrap().clone();
        column
            .as_primitive::<Float64Type>()
            .values()
            .iter()
            .map(|x| x.to_bits())
            .collect::<Vec<_>>()
    };
    let expected: Vec<u64> = values.iter().map(|x| x.to_bits()).collect();
    assert_eq!(bits(), expected);
    db.compact("s").unwrap();
    assert_eq!(bits(), expected);
}

/// Goal: a metric that is logged again at a step replaces the one that is compacted, and only that.
#[test]
fn a_compacted_metric_is_replaced() {
    let folder = folder();
    let db = ExperimentDatabase::open(folder.path().join("sweep.db"), "exp").unwrap();
    let sim = db.create_simulation_context("s", Default::default()).unwrap();
    for step in 0..4 {
        sim.log_metrics(&[("loss", step as f64), ("mood", 0.5)], Some(step)).unwrap();
    }
    assert_eq!(db.compact("s").unwrap().rows, 8);
    sim.log_metric("loss", 9.0, Some(2)).unwrap();
    assert_eq!(db.metric("s", "loss").unwrap(), [(0, 0.0), (1, 1.0), (2, 9.0), (3, 3.0)]);
    assert_eq!(sim.row_count("simulation_metrics").unwrap(), 8);
    assert_eq!(db.database().verify().unwrap().findings, []);
}

/// Goal: actions of one step stay in the order in which they came, whichever blocks they are in.
#[test]
fn blocks_that_share_a_step_keep_its_order() {
    let folder = folder();
    let db = ExperimentDatabase::open(folder.path().join("sweep.db"), "exp").unwrap();
    let sim = db.create_simulation_context("s", Default::default()).unwrap();
    let act = |step_number, agent_id| {
        let action =
            AgentAction { step_number, agent_id, action_type: "move", ..AgentAction::default() };
        sim.log_agent_action(&action).unwrap();
    };
    act(6, "first");
    db.compact("s").unwrap();
    act(0, "early");
    act(6, "second");
    db.compact("s").unwrap();
    act(6, "third");
    let batches = sim.read("agent_actions", &Selection::all()).unwrap().collect_batches().unwrap();
    let names: Vec<&str> = (batches.iter())
        .flat_map(|batch| {
            batch.column_by_name("agent_id").unwrap().as_string::<i32>().iter().flatten()
        })
        .collect();
    assert_eq!(names, ["early", "first", "second", "third"]);
}
