//! The demo's sweep: foragers on a meadow that grows back at six speeds, each a simulation of one file, logged by a
//! thread.

use std::path::Path;
use std::time::Instant;

use serde_json::json;
use siltstone::experiment::{
    AgentRow, At, Cell, ExperimentDatabase, ResourceRow, SimulationContext, SimulationOptions,
    Which,
};

use super::random::Random;
use super::show::Scene;
use crate::chart::{self, Canvas};
use crate::exit::Outcome;
use crate::human;
use crate::table::Table;

/// How much of the meadow's food grows back in a step.
const GROWTH: [f64; 6] = [0.02, 0.04, 0.06, 0.08, 0.10, 0.12];
const STEPS: i64 = 200;
/// How many foragers there are in the beginning, and at most.
const FIRST: u64 = 30;
const MOST: usize = 300;
const EXPERIMENT: &str = "demo foragers";

/// Records the sweep, compares its simulations, and compacts them.
pub(super) fn record(file: &Path, seed: u64, canvas: Canvas) -> Outcome<Scene> {
    let start = Instant::now();
    let db = ExperimentDatabase::open(file, EXPERIMENT)?;
    let simulate = |run: usize| -> siltstone::Result<()> {
        let seed = seed + run as u64;
        let parameters = json!({"growth": GROWTH[run], "seed": seed});
        let options = SimulationOptions::default().parameters(&parameters)?;
        let sim = db.create_simulation_context(&format!("foragers_{run}"), options)?;
        let summary = json!({ "population": live(&sim, GROWTH[run], seed)? }).to_string();
        db.update_simulation_status(sim.simulation_id(), "completed", Some(&summary))
    };
    std::thread::scope(|scope| {
        let runs: Vec<_> =
            (0..GROWTH.len()).map(|run| scope.spawn(move || simulate(run))).collect();
        runs.into_iter().try_for_each(|run| run.join().expect("it does not panic"))
    })?;
    let took = start.elapsed();
    db.update_experiment_status("completed", None)?;

    let start = Instant::now();
    let metrics = [("total_agents", At::Final), ("agent_states.total_reward", At::Mean)];
    let compared = db.compare(Which::Filter("params.growth > 0"), &metrics)?.collect_batches()?;
    let asked = start.elapsed();
    let rows = db.sizes()?.iter().map(|size| size.rows).sum::<u64>();
    let bytes_per_state = || -> siltstone::Result<f64> {
        let sizes = db.sizes()?.into_iter().filter(|size| size.table == "agent_states");
        let (bytes, rows) = sizes.fold((0, 0), |sum, size| (sum.0 + size.bytes, sum.1 + size.rows));
        Ok(bytes as f64 / rows.max(1) as f64)
    };
    let as_rows = bytes_per_state()?;
    for run in 0..GROWTH.len() {
        db.compact(&format!("foragers_{run}"))?;
    }
    let compacted = bytes_per_state()?;
    db.database().vacuum()?;

    let room = canvas.width.saturating_sub(56).clamp(12, 40);
    let mut table = Table::new(["simulation", "growth", "population", "mean reward", ""]);
    for batch in &compared {
        for row in siltstone::table::rows(batch)? {
            let name = row[0].as_str().unwrap_or_default();
            let growth = GROWTH[name.bytes().last().map_or(0, |digit| usize::from(digit - b'0'))];
            let [population, reward] = [1, 2].map(|i| row[i].as_f64().unwrap_or(f64::NAN));
            let series: Vec<f64> =
                db.metric(name, "total_agents")?.into_iter().map(|(_, x)| x).collect();
            table.row([
                name.to_owned(),
                format!("{growth:.2}"),
                format!("{population:.0}"),
                format!("{reward:.2}"),
                chart::sparkline(&series, room),
            ]);
        }
    }
    db.close()?;
    let simulations = human::plural(GROWTH.len() as u64, "simulation");
    let mut scene = Scene::new("A sweep: foragers on a meadow that grows back at six speeds");
    let rate = human::count((rows as f64 / took.as_secs_f64().max(1e-9)) as u64);
    let (rows, took) = (human::plural(rows, "row"), human::duration(took));
    scene.fact("recorded", format!("{rows} of {simulations} in {took}, a thread each: {rate}/s"));
    scene.fact("compared", format!("{simulations} by two metrics in {}", human::duration(asked)));
    let text = format!("{as_rows:.0} to {compacted:.1} bytes a state of an agent, every bit kept");
    scene.fact("compacted", text);
    scene.line(format!("\n{table}"));
    Ok(scene)
}

struct Forager {
    id: u64,
    at: [f64; 2],
    food: f64,
    reward: f64,
    age: i64,
}

/// Lets foragers live on a meadow of food; how many are left.
fn live(sim: &SimulationContext, growth: f64, seed: u64) -> siltstone::Result<usize> {
    let mut random = Random::new(seed);
    let forager = |id, at| Forager { id, at, food: 2.0, reward: 0.0, age: 0 };
    let mut alive: Vec<Forager> =
        (0..FIRST).map(|id| forager(id, [random.unit() * 10.0, random.unit() * 10.0])).collect();
    let mut meadow = vec![1.0_f64; 100];
    let mut born = FIRST;
    for step in 0..STEPS {
        let before = (alive.len(), born);
        for forager in &mut alive {
            forager.at = forager.at.map(|x| (x + random.unit() * 2.0 - 1.0).clamp(0.0, 9.999));
            let field = &mut meadow[forager.at[0] as usize * 10 + forager.at[1] as usize];
            let eaten = (*field).min(0.6);
            *field -= eaten;
            forager.food += eaten - 0.3;
            forager.reward += eaten;
            forager.age += 1;
        }
        alive.retain(|forager| forager.food > 0.0 && forager.age < 80);
        let deaths = before.0 - alive.len();
        let mut young = Vec::new();
        for parent in alive.iter_mut().filter(|forager| forager.food > 4.0) {
            parent.food -= 2.5;
            young.push(forager(born, parent.at));
            born += 1;
        }
        young.truncate(MOST.saturating_sub(alive.len()));
        alive.append(&mut young);
        meadow.iter_mut().for_each(|food| *food = (*food + growth).min(1.0));

        let names: Vec<String> = alive.iter().map(|forager| format!("f{}", forager.id)).collect();
        let full = Cell::Float(100.0);
        let agents = alive.iter().zip(&names).map(|(forager, name)| -> AgentRow<'_> {
            let [x, y] = forager.at.map(rounded);
            let (food, reward) = (rounded(forager.food), rounded(forager.reward));
            let (defending, age) = (Cell::Bool(false), Cell::Int(forager.age));
            [Cell::Text(name), x, y, food, full, full, Cell::Int(0), defending, reward, age]
        });
        let food = rounded(meadow.iter().sum());
        let resources: [ResourceRow<'_>; 1] =
            [["meadow".into(), food, Cell::Float(5.0), Cell::Float(5.0)]];
        let metrics = [
            ("total_agents", Cell::Int(alive.len() as i64)),
            ("total_resources", food),
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
