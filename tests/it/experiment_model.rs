//! The experiment store against plain maps, whatever is done in whatever order.

use std::collections::BTreeMap;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use proptest::prelude::*;
use siltstone::Error;
use siltstone::experiment::{
    AgentAction, At, Cell, ExperimentDatabase, LoggingConfig, Selection, SimulationContext,
    SimulationOptions, Which, merge,
};

const NAMES: [&str; 3] = ["one", "two", "'three\""];
const AGENTS: [&str; 4] = ["a", "b", "ß", "4"];
const VALUES: [f64; 6] = [1.5, -0.0, f64::NAN, f64::INFINITY, 0.1, 1e300];

#[derive(Debug, Clone)]
enum Act {
    /// Steps of a simulation: agents by number, each with a value.
    Step(usize, i64, Vec<(usize, usize)>),
    Action(usize, i64, usize),
    Metric(usize, usize, i64, usize),
    Flush(usize),
    Compact(usize),
    Resume(usize, i64),
    Delete(usize),
    Reopen,
    Merge,
    Check,
}

fn act() -> impl Strategy<Value = Act> {
    let (sim, step) = (0..NAMES.len(), 0i64..8);
    let agents = prop::collection::vec((0..AGENTS.len(), 0..VALUES.len()), 0..5);
    prop_oneof![
        6 => (sim.clone(), step.clone(), agents).prop_map(|(s, t, a)| Act::Step(s, t, a)),
        3 => (sim.clone(), step.clone(), 0..AGENTS.len()).prop_map(|(s, t, a)| Act::Action(s, t, a)),
        3 => (sim.clone(), 0..2usize, step.clone(), 0..VALUES.len()).prop_map(|(s, m, t, v)| Act::Metric(s, m, t, v)),
        1 => sim.clone().prop_map(Act::Flush),
        2 => sim.clone().prop_map(Act::Compact),
        1 => (sim.clone(), step).prop_map(|(s, t)| Act::Resume(s, t)),
        1 => sim.prop_map(Act::Delete),
        1 => Just(Act::Reopen),
        1 => Just(Act::Merge),
        2 => Just(Act::Check),
    ]
}

/// What a simulation should hold.
#[derive(Debug, Clone, Default)]
struct Model {
    /// The agents of a step, in the order of their first appearance.
    steps: BTreeMap<i64, BTreeMap<usize, u64>>,
    /// Rows of `simulation_steps`.
    totals: BTreeMap<i64, i64>,
    actions: Vec<(i64, usize)>,
    metrics: BTreeMap<(usize, i64), u64>,
}

struct Run {
    folder: tempfile::TempDir,
    db: Option<ExperimentDatabase>,
    contexts: Vec<Option<SimulationContext>>,
    models: Vec<Option<Model>>,
    buffered: bool,
    merges: usize,
}

impl Run {
    fn db(&self) -> &ExperimentDatabase {
        self.db.as_ref().unwrap()
    }

    fn logging(&self) -> LoggingConfig {
        let durability = match self.buffered {
            true => siltstone::Durability::Buffered,
            false => siltstone::Durability::Os,
        };
        LoggingConfig { durability, buffer_size: 7, ..LoggingConfig::default() }
    }

    fn open(&mut self) {
        self.db =
            Some(ExperimentDatabase::open(self.folder.path().join("run.db"), "model").unwrap());
    }

    fn context(&mut self, sim: usize) -> SimulationContext {
        if self.contexts[sim].is_none() {
            let context = if self.models[sim].is_some() {
                self.db().resume(NAMES[sim], None, self.logging()).unwrap()
            } else {
                let options =
                    SimulationOptions::default().logging(self.logging()).provenance(false);
                self.models[sim] = Some(Model::default());
                self.db().create_simulation_context(NAMES[sim], options).unwrap()
            };
            self.contexts[sim] = Some(context);
        }
        self.contexts[sim].clone().unwrap()
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Step(sim, step, agents) => {
                let context = self.context(*sim);
                let rows = agents.iter().map(|(agent, value)| {
                    let mut row = [Cell::Null; 10];
                    (row[0], row[8]) = (Cell::Text(AGENTS[*agent]), Cell::Float(VALUES[*value]));
                    row
                });
                let none: [[Cell<'_>; 4]; 0] = [];
                let total = agents.len() as i64;
                context.log_step(*step, rows, none, &[("total_agents", Cell::Int(total))]).unwrap();
                let model = self.models[*sim].as_mut().unwrap();
                let own = agents.iter().map(|(agent, value)| (*agent, VALUES[*value].to_bits()));
                model.steps.insert(*step, own.collect());
                model.totals.insert(*step, total);
            }
            Act::Action(sim, step, agent) => {
                let action = AgentAction {
                    step_number: *step,
                    agent_id: AGENTS[*agent],
                    action_type: "move",
                    ..AgentAction::default()
                };
                self.context(*sim).log_agent_action(&action).unwrap();
                self.models[*sim].as_mut().unwrap().actions.push((*step, *agent));
            }
            Act::Metric(sim, metric, step, value) => {
                let name = ["loss", "mood"][*metric];
                self.context(*sim).log_metric(name, VALUES[*value], Some(*step)).unwrap();
                let model = self.models[*sim].as_mut().unwrap();
                model.metrics.insert((*metric, *step), VALUES[*value].to_bits());
            }
            Act::Flush(sim) => self.context(*sim).flush_all_buffers().unwrap(),
            Act::Compact(sim) if self.models[*sim].is_some() => {
                let _rows = self.db().compact(NAMES[*sim]).unwrap();
            }
            Act::Resume(sim, from) if self.models[*sim].is_some() => {
                self.contexts[*sim] = None;
                let context = self.db().resume(NAMES[*sim], Some(*from), self.logging()).unwrap();
                self.contexts[*sim] = Some(context);
                let model = self.models[*sim].as_mut().unwrap();
                model.steps.retain(|step, _| step < from);
                model.totals.retain(|step, _| step < from);
                model.actions.retain(|(step, _)| step < from);
                model.metrics.retain(|(_, step), _| step < from);
            }
            Act::Delete(sim) if self.models[*sim].is_some() => {
                let context = self.context(*sim);
                assert!(matches!(
                    self.db().delete_simulation(NAMES[*sim]),
                    Err(Error::Exists { .. })
                ));
                context.complete().unwrap();
                self.contexts[*sim] = None;
                drop(context);
                self.db().delete_simulation(NAMES[*sim]).unwrap();
                self.models[*sim] = None;
            }
            Act::Reopen => {
                self.contexts = vec![None; NAMES.len()];
                self.db().close().unwrap();
                self.db = None;
                self.open();
            }
            Act::Merge => {
                self.contexts = vec![None; NAMES.len()];
                self.db().close().unwrap();
                self.merges += 1;
                let target = self.folder.path().join(format!("merge_{}.db", self.merges));
                let source = self.folder.path().join("run.db");
                let report = merge(&[&source], &target, &mut |_, _| Ok(())).unwrap();
                assert_eq!(report.copied.len(), self.models.iter().flatten().count());
                self.check(&ExperimentDatabase::open_read_only(&target).unwrap());
                let again = merge(&[&source], &target, &mut |_, _| Ok(())).unwrap();
                assert_eq!((again.unchanged.len(), again.rows), (report.copied.len(), 0));
            }
            Act::Check => self.check(self.db()),
            _ => {}
        }
    }

    fn check(&self, db: &ExperimentDatabase) {
        for (name, model) in NAMES.iter().zip(&self.models) {
            match model {
                Some(model) => check_one(db, name, model),
                None => assert!(db.records(name, "agents", &Selection::all()).is_err()),
            }
        }
        assert_eq!(db.database().verify().unwrap().findings, []);
    }
}

/// Step, text of a column, bits of another.
fn rows(
    db: &ExperimentDatabase,
    name: &str,
    table: &str,
    columns: [&str; 2],
) -> Vec<(i64, String, Option<u64>)> {
    let batches = db.records(name, table, &Selection::all()).unwrap().collect_batches().unwrap();
    let mut out = Vec::new();
    for batch in batches {
        let [text, number] = columns.map(|column| batch.column_by_name(column).unwrap());
        let (text, number) = (text.as_string::<i32>(), number.as_primitive::<Float64Type>());
        for row in 0..batch.num_rows() {
            let bits = number.is_valid(row).then(|| number.value(row).to_bits());
            out.push((
                batch.column(0).as_primitive::<Int64Type>().value(row),
                text.value(row).to_owned(),
                bits,
            ));
        }
    }
    out
}

fn check_one(db: &ExperimentDatabase, name: &str, model: &Model) {
    let mut states = rows(db, name, "agent_states", ["agent_id", "total_reward"]);
    assert!(states.is_sorted_by_key(|(step, ..)| *step));
    states.sort();
    let mut expected: Vec<_> = (model.steps.iter())
        .flat_map(|(step, agents)| {
            agents.iter().map(|(agent, bits)| (*step, AGENTS[*agent].to_owned(), Some(*bits)))
        })
        .collect();
    expected.sort();
    assert_eq!(states, expected);
    let actions = rows(db, name, "agent_actions", ["agent_id", "reward"]);
    let mut expected: Vec<_> = model
        .actions
        .iter()
        .map(|(step, agent)| (*step, AGENTS[*agent].to_owned(), None))
        .collect();
    expected.sort_by_key(|(step, ..)| *step); // stable: in the order in which they came
    assert_eq!(actions, expected);
    let mut metrics = rows(db, name, "simulation_metrics", ["name", "value"]);
    metrics.sort();
    let mut expected: Vec<_> = (model.metrics.iter())
        .map(|((metric, step), bits)| (*step, ["loss", "mood"][*metric].to_owned(), Some(*bits)))
        .collect();
    expected.sort();
    assert_eq!(metrics, expected);
    let value = |metric: &str, at| {
        let batch = db
            .compare(Which::Ids(&[name]), &[(metric, at)])
            .unwrap()
            .collect_batches()
            .unwrap()
            .remove(0);
        let column = batch.column(1).as_primitive::<Float64Type>();
        column.is_valid(0).then(|| column.value(0))
    };
    let last = model.totals.last_key_value().map(|(_, total)| *total as f64);
    assert_eq!(value("total_agents", At::Final), last);
    let sum = (!model.totals.is_empty()).then(|| model.totals.values().sum::<i64>() as f64);
    assert_eq!(value("total_agents", At::Sum), sum);
    let rewards = model.steps.values().flat_map(BTreeMap::values).map(|bits| f64::from_bits(*bits));
    let count = rewards.filter(|x| !x.is_nan()).count() as f64;
    assert_eq!(value("agent_states.total_reward", At::Count), Some(count));
    let sql = format!(
        "SELECT count(*) FROM agent_states WHERE simulation_id = '{}' AND step_number BETWEEN 2 AND 5",
        name.replace('\'', "''")
    );
    let within: usize = model.steps.range(2..=5).map(|(_, agents)| agents.len()).sum();
    assert_eq!(
        db.database().sql(&sql).unwrap().rows[0][0],
        siltstone::Value::Integer(within as i64)
    );
}

fn run(acts: &[Act], buffered: bool) {
    let mut run = Run {
        folder: tempfile::tempdir().unwrap(),
        db: None,
        contexts: vec![None; NAMES.len()],
        models: vec![None; NAMES.len()],
        buffered,
        merges: 0,
    };
    run.open();
    acts.iter().for_each(|act| run.act(act));
    run.check(run.db());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Goal: whatever is logged, flushed, compacted, resumed, deleted, merged and opened again, in whatever order, the file holds
    /// what plain maps hold.
    #[test]
    fn the_store_holds_what_plain_maps_hold(acts in prop::collection::vec(act(), 1..60), buffered: bool) {
        run(&acts, buffered);
    }
}
