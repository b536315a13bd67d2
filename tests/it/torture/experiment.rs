//! Experiments: steps of a simulation, each with its agents.

use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use siltstone::experiment::{
    Cell, ExperimentDatabase, LoggingConfig, Selection, SimulationContext, SimulationOptions, Which,
};
use siltstone::{Database, Durability, Error};

use super::found::{Found, Odd, Rows, rows_of, value_of};
use super::{Outside, Subject, Writer, verified};

/// Steps of one file; the name of a simulation says which item its first step is.
pub(super) struct Steps;

fn file(folder: &Path) -> PathBuf {
    folder.join("sweep.db")
}

/// The first item of a simulation.
fn first_of(simulation: &str) -> Result<u64, Odd> {
    let first = simulation.split('_').nth(1).and_then(|number| number.parse().ok());
    first.ok_or_else(|| Odd::wrong("row", format!("{simulation:?} is no simulation of ours")))
}

impl Subject for Steps {
    fn name(&self) -> &'static str {
        "experiment"
    }

    fn open(
        &self,
        folder: &Path,
        durability: Durability,
        first: u64,
    ) -> Result<Box<dyn Writer>, Error> {
        let db = Database::builder(file(folder)).durability(durability).open()?;
        let db = ExperimentDatabase::over(db, Some("sweep"))?;
        let logging = LoggingConfig { durability, ..LoggingConfig::default() };
        let options = SimulationOptions::default().logging(logging).provenance(false);
        // A process that could not make it tries again under another name.
        let tries = db.simulations(Which::Filter("1"))?.len();
        let name = format!("s_{first}_{}_{tries}", std::process::id());
        let simulation = db.create_simulation_context(&name, options)?;
        Ok(Box::new(Sweep { db, simulation, first }))
    }

    fn outside(&self, folder: &Path) -> Result<Found, Odd> {
        let Some(db) = Outside::open(&file(folder), "agent_states_rows")? else {
            return Ok(Found::default());
        };
        let sql = "SELECT s.simulation_id, h.step, h.total_reward FROM agent_states_rows h \
            JOIN simulations s ON s.id = h.simulation ORDER BY h.simulation, h.step, h.row";
        let mut rows = Rows::default();
        let mut last = (u64::MAX, 0);
        for (simulation, step, reward) in db.each(sql, |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, f64>(2)?))
        })? {
            let item = first_of(&simulation)? + step as u64;
            last = if last.0 == item { (item, last.1 + 1) } else { (item, 0) };
            rows.check("row", last, reward, value_of(last.0, last.1))?;
        }
        let sql = "SELECT coalesce(sum(b.rows), 0) FROM record_block b JOIN record_table t \
            ON t.id = b.record_table WHERE t.name = 'agent_states'";
        let packed_rows = db.each(sql, |row| row.get::<_, i64>(0))?[0] as u64;
        Ok(Found { items: rows.items(rows_of)?, packed_rows })
    }

    fn inside(&self, folder: &Path) -> Result<Found, Odd> {
        let db = ExperimentDatabase::open(file(folder), "sweep")?;
        let mut rows = Rows::default();
        for simulation in db.simulations(Which::Filter("1"))? {
            let name = simulation.simulation_id;
            let first = first_of(&name)?;
            let all = db.records(&name, "agent_states", &Selection::all());
            let batches = match all {
                Err(Error::NotFound { .. }) => continue, // nothing was logged
                all => all?.collect_batches()?,
            };
            let mut last = (u64::MAX, 0);
            for batch in batches {
                let steps = batch.column(0).as_primitive::<Int64Type>();
                let column = |name| batch.column_by_name(name).expect("a column of the schema");
                let agents = column("agent_id").as_string::<i32>();
                let rewards = column("total_reward").as_primitive::<Float64Type>();
                for i in 0..batch.num_rows() {
                    let item = first + steps.value(i) as u64;
                    last = if last.0 == item { (item, last.1 + 1) } else { (item, 0) };
                    let (reward, made) = (rewards.value(i), value_of(last.0, last.1));
                    if reward != made {
                        let what = format!("item {item} has {reward} and had {made}");
                        return Err(Odd::wrong("value", what));
                    }
                    rows.check("row", last, agents.value(i).to_owned(), last.1.to_string())?;
                }
            }
        }
        Ok(Found { items: rows.items(rows_of)?, packed_rows: 0 })
    }

    fn verify(&self, folder: &Path) -> Result<Vec<String>, Error> {
        verified(&file(folder))
    }

    fn database(&self, folder: &Path) -> Option<PathBuf> {
        Some(file(folder))
    }
}

struct Sweep {
    db: ExperimentDatabase,
    simulation: SimulationContext,
    first: u64,
}

impl Writer for Sweep {
    /// Logged again, a step replaces itself.
    fn put(&mut self, item: u64) -> Result<(), Error> {
        let agents = (0..rows_of(item)).map(|agent| {
            let mut row = [Cell::Null; 10];
            (row[0], row[8]) = (Cell::Int(agent as i64), Cell::Float(value_of(item, agent)));
            row
        });
        let none: [[Cell<'_>; 4]; 0] = [];
        let step = (item - self.first) as i64;
        self.simulation.log_step(step, agents, none, &[("mood", Cell::Float(item as f64))])
    }

    fn tend(&mut self, item: u64) -> Result<Option<PathBuf>, Error> {
        match item / 4 % 2 {
            0 => drop(self.db.compact(self.simulation.simulation_id())?),
            _ => self.db.database().checkpoint()?,
        }
        Ok(None)
    }

    fn close(self: Box<Self>) -> Result<(), Error> {
        self.simulation.complete()?;
        self.db.close()
    }
}
