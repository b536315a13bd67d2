//! The experiment store from Rust: `siltstone-bench experiment [log|read|memory]`.
//!
//! 100 agents x 1,000 steps of random floats, as rows and as tables; 100,000 actions one by one; ten and a thousand simulations
//! compared; a run in memory that is kept. Row counts and sums of what is read are compared with what was logged.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use siltstone::Durability;
use siltstone::experiment::{
    AgentAction, AgentRow, At, Cell, ExperimentDatabase, InMemorySimulationDatabase, LoggingConfig,
    ResourceRow, Selection, SimulationContext, SimulationOptions, StepTables, Which,
};

const AGENTS: usize = 100;
const STEPS: usize = 1_000;
const NONE: [ResourceRow<'static>; 0] = [];

pub(crate) fn run(part: Option<&str>) {
    let wanted = |name: &str| part.is_none_or(|part| part == name);
    println!("\nexperiments: medians of {}; rows a second, or ms", crate::runs());
    let world = World::new();
    if wanted("log") {
        log(&world);
    }
    if wanted("read") {
        read(&world);
    }
    if wanted("memory") {
        memory(&world);
    }
}

/// What the agents are at every step.
struct World {
    names: Vec<String>,
    numbers: Vec<f64>,
}

impl World {
    fn new() -> Self {
        let mut random = 0x2545_f491_4f6c_dd1du64;
        let mut next = move || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 11) as f64 / (1u64 << 53) as f64
        };
        World {
            names: (0..AGENTS).map(|i| format!("a{i:04}")).collect(),
            numbers: (0..AGENTS * STEPS * 5).map(|_| next()).collect(),
        }
    }

    fn number(&self, step: usize, agent: usize, index: usize) -> f64 {
        self.numbers[(step * AGENTS + agent) * 5 + index]
    }

    fn rows(&self, step: usize) -> Vec<AgentRow<'_>> {
        let row = |agent: usize| {
            let number = |index| Cell::Float(self.number(step, agent, index));
            [
                Cell::Text(&self.names[agent]),
                number(0),
                number(1),
                number(2),
                number(3),
                Cell::Float(100.0),
                Cell::Int(1),
                Cell::Bool(false),
                number(4),
                Cell::Int(step as i64),
            ]
        };
        (0..AGENTS).map(row).collect()
    }

    fn table(&self, step: usize) -> RecordBatch {
        let number = |index| -> ArrayRef {
            Arc::new(Float64Array::from_iter_values(
                (0..AGENTS).map(|a| self.number(step, a, index)),
            ))
        };
        RecordBatch::try_from_iter([
            ("agent_id", Arc::new(StringArray::from_iter_values(&self.names)) as ArrayRef),
            ("position_x", number(0)),
            ("position_y", number(1)),
            ("resource_level", number(2)),
            ("current_health", number(3)),
            ("starting_health", Arc::new(Float64Array::from(vec![100.0; AGENTS]))),
            ("starvation_counter", Arc::new(Int64Array::from(vec![1; AGENTS]))),
            ("is_defending", Arc::new(BooleanArray::from(vec![false; AGENTS]))),
            ("total_reward", number(4)),
            ("age", Arc::new(Int64Array::from(vec![step as i64; AGENTS]))),
        ])
        .expect("columns of one length")
    }

    fn rewards(&self) -> f64 {
        (0..STEPS)
            .flat_map(|s| (0..AGENTS).map(move |a| (s, a)))
            .map(|(s, a)| self.number(s, a, 4))
            .sum()
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// The median time of `work`, each time on a new file.
fn measure(mut work: impl FnMut(&ExperimentDatabase) -> Duration) -> Duration {
    let times = (0..crate::runs()).map(|_| {
        let folder = tempfile::tempdir().expect("a folder");
        let db = ExperimentDatabase::open(folder.path().join("a.db"), "bench").expect("a file");
        work(&db)
    });
    median(times.collect())
}

fn context(db: &ExperimentDatabase, name: &str, logging: LoggingConfig) -> SimulationContext {
    let options = SimulationOptions::default().logging(logging).provenance(false);
    db.create_simulation_context(name, options).expect("a simulation")
}

fn buffered(rows: usize) -> LoggingConfig {
    LoggingConfig {
        buffer_size: rows,
        durability: Durability::Buffered,
        ..LoggingConfig::default()
    }
}

/// Whether every row is there.
fn check(db: &ExperimentDatabase, world: &World) {
    let found = db.records("s", "agent_states", &Selection::all()).expect("records");
    let (mut rows, mut sum) = (0, 0.0);
    for batch in found.collect_batches().expect("batches") {
        rows += batch.num_rows();
        let rewards = batch.column_by_name("total_reward").expect("a column");
        sum += rewards.as_primitive::<Float64Type>().values().iter().sum::<f64>();
    }
    assert_eq!(rows, AGENTS * STEPS);
    assert!((sum - world.rewards()).abs() < 1e-6);
}

fn log(world: &World) {
    let per_second = |rows: usize, time: Duration| rows as f64 / time.as_secs_f64();
    let steps = (AGENTS * STEPS) as f64;
    for (title, logging) in [
        ("each step safe when it returns", LoggingConfig::default()),
        ("written by 1,000 rows", buffered(1_000)),
        ("written by 10,000 rows", buffered(10_000)),
    ] {
        let rows = measure(|db| {
            let sim = context(db, "s", logging.clone());
            let start = Instant::now();
            for step in 0..STEPS {
                let metrics = [("total_agents", Cell::Int(AGENTS as i64))];
                sim.log_step(step as i64, world.rows(step), NONE, &metrics).expect("a step");
            }
            sim.flush_all_buffers().expect("a flush");
            let took = start.elapsed();
            check(db, world);
            took
        });
        let tables: Vec<RecordBatch> = (0..STEPS).map(|step| world.table(step)).collect();
        let columns = measure(|db| {
            let sim = context(db, "s", logging.clone());
            let start = Instant::now();
            for (step, table) in tables.iter().enumerate() {
                let metrics = [("total_agents", Cell::Int(AGENTS as i64))];
                let tables = StepTables { agents: Some(table), resources: None };
                sim.log_step_tables(step as i64, tables, &metrics).expect("a step");
            }
            sim.flush_all_buffers().expect("a flush");
            let took = start.elapsed();
            check(db, world);
            took
        });
        let [rows, columns] = [rows, columns].map(|time| steps / time.as_secs_f64());
        println!("log_step, {title}: {rows:>10.0} rows/s from rows, {columns:>10.0} from tables");
    }
    let actions = measure(|db| {
        let sim = context(db, "s", LoggingConfig::default());
        let start = Instant::now();
        for i in 0..100_000 {
            let agent_id = &world.names[i % AGENTS];
            let action = AgentAction {
                step_number: (i / AGENTS) as i64,
                agent_id,
                action_type: "move",
                reward: Some(0.5),
                ..AgentAction::default()
            };
            sim.log_agent_action(&action).expect("an action");
        }
        sim.flush_all_buffers().expect("a flush");
        let took = start.elapsed();
        assert_eq!(sim.row_count("agent_actions").expect("a count"), 100_000);
        took
    });
    println!("log_agent_action one by one: {:.0} rows/s", per_second(100_000, actions));
    let metrics = measure(|db| {
        let sim = context(db, "s", LoggingConfig::default());
        let start = Instant::now();
        for i in 0..10_000 {
            sim.log_metric("loss", i as f64, Some(i)).expect("a metric");
        }
        sim.flush_all_buffers().expect("a flush");
        start.elapsed()
    });
    println!("log_metric: {:.0}/s", per_second(10_000, metrics));
}

fn read(world: &World) {
    for (simulations, steps) in [(10, 200), (1_000, 2)] {
        let folder = tempfile::tempdir().expect("a folder");
        let db = ExperimentDatabase::open(folder.path().join("a.db"), "bench").expect("a file");
        for i in 0..simulations {
            let sim = context(&db, &format!("s{i}"), buffered(100_000));
            for step in 0..steps {
                let metrics = [("total_agents", Cell::Int(AGENTS as i64))];
                sim.log_step(step as i64, world.rows(step), NONE, &metrics).expect("a step");
            }
        }
        let ask = || {
            let start = Instant::now();
            let metrics = [("total_agents", At::Final), ("agent_states.total_reward", At::Mean)];
            let found = db.compare(Which::All, &metrics).expect("a table");
            let rows: usize =
                found.collect_batches().expect("batches").iter().map(RecordBatch::num_rows).sum();
            assert_eq!(rows, simulations);
            start.elapsed()
        };
        let compared = median((0..crate::runs()).map(|_| ask()).collect());
        println!(
            "final population and mean reward of {simulations} simulations: {:.2} ms",
            ms(compared)
        );
        if steps == 200 {
            for compacted in [false, true] {
                if compacted {
                    db.compact("s5").expect("it is compacted");
                }
                let ask = || {
                    let start = Instant::now();
                    let found =
                        db.records("s5", "agent_states", &Selection::all()).expect("records");
                    let batches = found.collect_batches().expect("batches");
                    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 20_000);
                    start.elapsed()
                };
                let took = median((0..crate::runs()).map(|_| ask()).collect());
                let how = if compacted { "compacted" } else { "rows" };
                println!("20,000 of 200,000 agent_states as Arrow, {how}: {:.2} ms", ms(took));
            }
        }
    }
}

fn memory(world: &World) {
    let mut times = (Vec::new(), Vec::new());
    for _ in 0..crate::runs() {
        let folder = tempfile::tempdir().expect("a folder");
        let memory =
            InMemorySimulationDatabase::new("s", None, Default::default()).expect("memory");
        let start = Instant::now();
        for step in 0..STEPS {
            let metrics = [("total_agents", Cell::Int(AGENTS as i64))];
            let logged = memory.context().log_step(step as i64, world.rows(step), NONE, &metrics);
            logged.expect("a step");
        }
        times.0.push(start.elapsed());
        let start = Instant::now();
        let path = folder.path().join("all.db");
        assert_eq!(
            memory.persist_to_disk(&path).expect("it is kept").rows,
            (AGENTS * STEPS + STEPS) as u64
        );
        times.1.push(start.elapsed());
        check(&ExperimentDatabase::open_read_only(&path).expect("a file"), world);
    }
    let (logged, kept) = (median(times.0), median(times.1));
    println!("in memory, 101,000 rows: {:.0} ms, and {:.0} ms to keep them", ms(logged), ms(kept));
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
