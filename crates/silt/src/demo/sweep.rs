//! The demo's sweep: foragers on a meadow that grows back at six speeds, each a simulation of one file, logged by two
//! threads.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use siltstone::experiment::{
    AgentRow, At, Cell, ExperimentDatabase, ResourceRow, SimulationContext, SimulationOptions,
    Which,
};

use super::counts_none;
use super::random::Random;
use crate::exit::Outcome;

/// How much of the meadow's food grows back in a step.
const GROWTH: [f64; 6] = [0.02, 0.04, 0.06, 0.08, 0.10, 0.12];
const STEPS: i64 = 200;
const FIRST: usize = 30;
const MOST: usize = 300;
const EXPERIMENT: &str = "demo foragers";

/// What was recorded.
pub(super) struct Sweep {
    pub(super) file: PathBuf,
    pub(super) rows: u64,
    pub(super) took: Duration,
    /// Id, growth, last population, mean reward, and the population of every step.
    pub(super) runs: Vec<(String, f64, f64, f64, Vec<f64>)>,
    /// From the question to the answer, of all simulations.
    pub(super) compared: Duration,
    /// Bytes a state of an agent takes: as a row, and compacted.
    pub(super) bytes: [f64; 2],
}

/// Whether a file is the sweep of an earlier demo, and nothing else.
pub(super) fn is_demo(file: &Path) -> bool {
    let sql = "SELECT count(*) FROM experiments WHERE experiment_id <> 'demo foragers'";
    ExperimentDatabase::open_read_only(file)
        .and_then(|db| counts_none(db.database(), sql))
        .unwrap_or(false)
}

/// Records the sweep, compares, and compacts it.
pub(super) fn record(file: PathBuf, seed: u64) -> Outcome<Sweep> {
    let start = Instant::now();
    let db = ExperimentDatabase::open(&file, EXPERIMENT)?;
    let next = Mutex::new(0..GROWTH.len());
    let work = || -> siltstone::Result<()> {
        loop {
            let Some(run) = next.lock().unwrap_or_else(|e| e.into_inner()).next() else {
                return Ok(());
            };
            let parameters = json!({"growth": GROWTH[run], "seed": seed + run as u64});
            let options = SimulationOptions::default().parameters(&parameters)?;
            let sim = db.create_simulation_context(&format!("foragers_{run}"), options)?;
            let left = live(&sim, GROWTH[run], seed + run as u64)?;
            let summary = json!({ "population": left }).to_string();
            db.update_simulation_status(sim.simulation_id(), "completed", Some(&summary))?;
        }
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(work);
        work().and(other.join().expect("it does not panic"))
    })?;
    let took = start.elapsed();
    db.update_experiment_status("completed", None)?;

    let start = Instant::now();
    let metrics = [("total_agents", At::Final), ("agent_states.total_reward", At::Mean)];
    let compared = db.compare(Which::Filter("params.growth > 0"), &metrics)?.collect_batches()?;
    let asked = start.elapsed();
    let mut runs = Vec::new();
    for batch in &compared {
        for row in siltstone::table::rows(batch)? {
            let name = row[0].as_str().unwrap_or_default().to_owned();
            let growth = GROWTH[name.bytes().last().map_or(0, |b| usize::from(b - b'0'))];
            let series = db.metric(&name, "total_agents")?.into_iter().map(|(_, x)| x).collect();
            let number = |i: usize| row[i].as_f64().unwrap_or(f64::NAN);
            runs.push((name, growth, number(1), number(2), series));
        }
    }
    runs.sort_by(|a, b| a.1.total_cmp(&b.1));
    let rows = db.sizes()?.iter().map(|size| size.rows).sum();
    let of_states = |db: &ExperimentDatabase| -> siltstone::Result<f64> {
        let sizes = db.sizes()?.into_iter().filter(|size| size.table == "agent_states");
        let [bytes, rows] =
            sizes.fold([0, 0], |sum, size| [sum[0] + size.bytes, sum[1] + size.rows]);
        Ok(bytes as f64 / rows.max(1) as f64)
    };
    let as_rows = of_states(&db)?;
    for (name, ..) in &runs {
        db.compact(name)?;
    }
    let bytes = [as_rows, of_states(&db)?];
    db.database().vacuum()?;
    db.close()?;
    Ok(Sweep { file, rows, took, runs, compared: asked, bytes })
}

impl Sweep {
    pub(super) fn document(&self) -> Value {
        let runs = self.runs.iter().map(|(name, growth, population, reward, _)| {
            json!({"simulation_id": name, "growth": growth, "population": population, "mean_reward": reward})
        });
        json!({
            "path": self.file.display().to_string(),
            "rows": self.rows,
            "seconds": self.took.as_secs_f64(),
            "compare_seconds": self.compared.as_secs_f64(),
            "bytes_per_state": self.bytes,
            "simulations": runs.collect::<Vec<_>>(),
        })
    }
}

struct Forager {
    id: u64,
    position: [f64; 2],
    food: f64,
    reward: f64,
    age: i64,
}

/// Lets foragers live on a meadow of food; how many are left.
fn live(sim: &SimulationContext, growth: f64, seed: u64) -> siltstone::Result<usize> {
    let mut random = Random::new(seed);
    let mut born = FIRST as u64;
    let mut meadow = vec![1.0f64; 100];
    let mut alive: Vec<Forager> = (0..FIRST as u64)
        .map(|id| Forager {
            id,
            position: [random.unit() * 10.0, random.unit() * 10.0],
            food: 2.0,
            reward: 0.0,
            age: 0,
        })
        .collect();
    for step in 0..STEPS {
        let before = (alive.len(), born);
        for forager in &mut alive {
            for x in &mut forager.position {
                *x = (*x + random.unit() * 2.0 - 1.0).clamp(0.0, 9.999);
            }
            let field = forager.position[0] as usize * 10 + forager.position[1] as usize;
            let eaten = meadow[field].min(0.6);
            meadow[field] -= eaten;
            forager.food += eaten - 0.3;
            forager.reward += eaten;
            forager.age += 1;
        }
        alive.retain(|forager| forager.food > 0.0 && forager.age < 80);
        let deaths = before.0 - alive.len();
        let mut young = Vec::new();
        for forager in alive.iter_mut().filter(|forager| forager.food > 4.0) {
            forager.food -= 2.5;
            young.push(Forager {
                id: born,
                position: forager.position,
                food: 2.0,
                reward: 0.0,
                age: 0,
            });
            born += 1;
        }
        young.truncate(MOST.saturating_sub(alive.len()));
        alive.append(&mut young);
        meadow.iter_mut().for_each(|food| *food = (*food + growth).min(1.0));
        let names: Vec<String> = alive.iter().map(|forager| format!("f{}", forager.id)).collect();
        let agents = alive.iter().zip(&names).map(|(forager, name)| -> AgentRow<'_> {
            [
                Cell::Text(name),
                rounded(forager.position[0]),
                rounded(forager.position[1]),
                rounded(forager.food),
                Cell::Float(100.0),
                Cell::Float(100.0),
                Cell::Int(0),
                Cell::Bool(false),
                rounded(forager.reward),
                Cell::Int(forager.age),
            ]
        });
        let food: f64 = meadow.iter().sum();
        let resources: [ResourceRow<'_>; 1] =
            [["meadow".into(), rounded(food), Cell::Float(5.0), Cell::Float(5.0)]];
        let metrics = [
            ("total_agents", Cell::Int(alive.len() as i64)),
            ("total_resources", rounded(food)),
            ("births", Cell::Int((born - before.1) as i64)),
            ("deaths", Cell::Int(deaths as i64)),
        ];
        sim.log_step(step, agents, resources, &metrics)?;
    }
    Ok(alive.len())
}

/// A reading of two digits behind the point.
fn rounded<'a>(x: f64) -> Cell<'a> {
    Cell::Float((x * 100.0).round() / 100.0)
}
