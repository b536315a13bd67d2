#![doc = include_str!("../README.md")]

pub mod array;
mod describe;
mod error;
pub mod experiment;
mod kernel;
pub mod memory;
mod open;
#[cfg(all(test, unix))]
mod power_loss;
pub mod series;
pub mod simulation;
pub mod table;
pub mod ticks;

pub use array::{Array, Codec, DType};
pub use describe::{FileInfo, Info};
pub use error::{Error, Result};
pub use kernel::{
    BackupReport, Builder, Database, Durability, Executed, Finding, NewFile, Profile, Query,
    QueuePolicy, Stats, Ticket, Transaction, Value, VerifyReport, interruptible, restore,
    write_file,
};
pub use open::{Compacted, Handle, open, open_read_only};

/// Files of other programs that a store reads, and upgrades in place when it writes.
const UPGRADES: &[&kernel::Upgrade] = &[&simulation::UPGRADE];

/// The versions of each store's tables.
const ALL_MIGRATIONS: &[&kernel::Migrations] = &[
    &simulation::MIGRATIONS,
    &ticks::MIGRATIONS,
    &series::MIGRATIONS,
    &experiment::MIGRATIONS,
    &memory::MIGRATIONS,
];

/// What stores make in a file beyond their versions.
const DEFINITIONS: &[kernel::Definitions] = &[experiment::definitions];

/// Each store's own part of [`Database::verify`].
const VERIFIERS: &[kernel::Verifier] =
    &[simulation::verify, ticks::verify, series::verify, experiment::verify, memory::verify];

/// The views that [`Database::sql`] puts over the tables of a file.
const VIEWS: &[kernel::Views] = &[ticks::views, series::views, experiment::views];

/// What numbers of series stand for, in those views.
const DECODE: kernel::Decode = series::decode_stored;

/// The Rust snippets of the store's page, as documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/simulation.md")]
mod simulation_page {}
#[cfg(doctest)]
#[doc = include_str!("../docs/experiment.md")]
mod experiment_page {}
#[cfg(doctest)]
#[doc = include_str!("../docs/memory.md")]
mod memory_page {}
#[cfg(doctest)]
#[doc = include_str!("../docs/ticks.md")]
mod ticks_page {}
#[cfg(doctest)]
#[doc = include_str!("../docs/series.md")]
mod series_page {}
#[cfg(doctest)]
#[doc = include_str!("../docs/series-datasets.md")]
mod series_datasets_page {}
