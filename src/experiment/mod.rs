//! The experiment store: many simulations in one file, compared in one query.
//!
//! ```
//! # let folder = tempfile::tempdir().unwrap();
//! use siltstone::experiment::{ExperimentDatabase, SimulationOptions};
//!
//! #[derive(serde::Serialize)]
//! struct Parameters { rate: f64 }
//!
//! let db = ExperimentDatabase::open(folder.path().join("sweep.db"), "rates")?;
//! for rate in [0.1, 0.5] {
//!     let options = SimulationOptions::default().parameters(&Parameters { rate })?;
//!     let run = db.create_simulation_context(&format!("rate {rate}"), options)?;
//!     (0..10).try_for_each(|step| run.log_metric("loss", rate / (1.0 + f64::from(step)), None))?;
//!     run.complete()?;
//! }
//! let compared = db.database().sql("SELECT simulation_id, min(value) FROM simulation_metrics GROUP BY 1")?;
//! assert_eq!(compared.rows.len(), 2);
//! # Ok::<(), siltstone::Error>(())
//! ```
//!
//! An [`ExperimentDatabase`] holds simulations; a [`SimulationContext`] logs one. What it logs are records: rows of a
//! table, each of a simulation and, as a rule, a step. The documented tables of agents are built in, others are
//! [defined](SimulationContext::define_table). Rows wait in memory by columns, and are plain SQLite rows behind views of
//! the documented names once they are written; those of a simulation that has ended can be [compacted](ExperimentDatabase::compact)
//! into column blocks.

mod arrow_in;
mod buffer;
mod builtin;
mod cell;
mod clock;
mod compact;
mod compare;
mod config;
mod context;
mod database;
mod describe;
mod edit;
#[cfg(feature = "tracing")]
mod events;
mod export;
mod filter;
mod git;
mod id;
mod import;
mod in_memory;
mod log;
mod merge;
mod metric;
mod names;
mod process;
mod provenance;
#[cfg(feature = "lake")]
mod publish;
#[cfg(feature = "lake")]
mod pull;
mod read;
mod record_table;
mod records;
mod retention;
mod runs;
mod schema;
mod stored;
mod struct_rows;
mod summary;
pub mod trackers;
mod verify;
mod write;

use crate::kernel::{BlockTable, DocumentedNames, Migrations, Step, Store};

pub use cell::Cell;
pub use config::LoggingConfig;
pub use context::SimulationContext;
pub use database::{ExperimentDatabase, SimulationOptions};
pub use describe::{ExperimentSummary, ExperimentsSummary};
pub use edit::RecordUpdate;
#[cfg(feature = "tracing")]
pub use events::{RunEvents, RunLayer};
pub use export::{ExportOptions, Exported};
pub(crate) use import::DATABASE as AGENTFARM;
pub use import::{ImportReport, import, inspect};
pub use in_memory::InMemorySimulationDatabase;
pub use log::{Agent, AgentAction, AgentRow, AgentState, HealthIncident, ResourceRow, StepTables};
pub use merge::{MergeConflict, MergeReport, merge};
pub use metric::At;
#[cfg(feature = "lake")]
pub(crate) use publish::PublishedRuns;
#[cfg(feature = "lake")]
pub(crate) use pull::PulledRuns;
pub use read::Selection;
pub use records::ArraySummary;
pub use retention::{Retention, TableSize};
pub use runs::{SimulationInfo, Which};
pub use schema::{ColumnType, RecordSchema};

/// The store in a file.
pub(crate) static STORE: Store = Store {
    definitions: Some(record_table::definitions),
    names: Some(DocumentedNames { since: 4, of: record_table::documented_names }),
    expand: Some(compact::expand_all),
    blocks: Some(BlockTable { name: "record_block", data: "data" }),
    ..Store::new(&MIGRATIONS, verify::verify)
};

/// The versions of the store's tables.
static MIGRATIONS: Migrations = Migrations {
    store: "experiment",
    steps: &[
        Step::Sql(include_str!("migrations/0001_experiment.sql")),
        Step::Sql(include_str!("migrations/0002_block_table.sql")),
        Step::Sql("-- 3: rows have checksums"),
        Step::Sql("-- 4: a table with blocks is a view over rows and blocks"),
        Step::Code(compact::renew_blocks),
        Step::Sql("-- 6: one table function"),
    ],
    summed: &[
        "experiments",
        "simulations",
        "simulation_name",
        "record_table",
        "record_summary",
        "record_block(simulation, record_table, first_step, last_step, rows)",
        "simulation_array(simulation, name, step, dtype, shape, codec, checksum)",
        "SELECT name || '_rows' FROM record_table",
    ],
};
