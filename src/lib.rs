#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod array;
mod describe;
mod error;
pub mod experiment;
mod import;
mod kernel;
#[cfg(feature = "lake")]
pub mod lake;
pub mod memory;
mod open;
#[cfg(feature = "postgresql")]
mod postgresql;
#[cfg(all(test, unix))]
mod power_loss;
pub mod series;
pub mod simulation;
pub mod table;
pub mod ticks;

pub use array::{Array, Codec, DType};
pub use describe::{FileInfo, Info};
pub use error::{Error, Result};
pub use import::ImportKind;
#[cfg(feature = "extension")]
pub use kernel::sqlite_extension_init;
pub use kernel::{
    BackupReport, Builder, CompactReport, Database, Durability, Executed, Finding, NewFile,
    Profile, Progress, Query, QueuePolicy, Skipped, Stats, Ticket, Transaction, Value,
    VerifyReport, Watch, interruptible, restore, with_value_limit, write_file, write_file_with,
};
pub use open::{Handle, open, open_read_only};

#[cfg(all(feature = "bundled", feature = "extension"))]
compile_error!(
    "the feature `extension` takes SQLite from the program that loads it: leave out `bundled` (default-features = false)"
);

/// The stores of a file.
const STORES: [&kernel::Store; 5] =
    [&simulation::STORE, &ticks::STORE, &series::STORE, &experiment::STORE, &memory::STORE];

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
