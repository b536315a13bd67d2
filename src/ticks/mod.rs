//! The tick store: quotes of symbols as they come in, and their history by day.
//!
//! ```
//! # let folder = tempfile::tempdir().unwrap();
//! use siltstone::ticks::{OhlcOptions, TickStore, TickStoreConfig};
//!
//! let config = TickStoreConfig {
//!     sqlite_base_path: folder.path().join("ticks"),
//!     ..TickStoreConfig::production("broker")
//! };
//! let store = TickStore::new(config)?;
//! for second in 0..90 {
//!     let time_ns = 1_768_824_000_000_000_000 + second * 1_000_000_000;
//!     store.store_tick("EURUSD", 1.0850, 1.0852, 0.0002, "LP", time_ns)?;
//! }
//! store.flush()?;
//! let minutes = store.ohlc("EURUSD", 60_000_000_000, OhlcOptions::default())?;
//! assert_eq!(minutes.len(), 2);
//! # Ok::<(), siltstone::Error>(())
//! ```
//!
//! [`TickStore`] takes ticks without waiting for the disk: each goes into the ring of its symbol and
//! a bounded queue; one thread writes what waits. The history is one SQLite file a UTC day, whose
//! ticks are rows while the day is young and become column blocks when it is compacted. Reads see ring,
//! queue, rows and blocks as one.

mod arrow_in;
mod arrow_out;
mod asof;
mod bars;
mod batch;
mod calendar;
mod compact;
mod config;
mod day;
mod doctor;
mod functions;
mod gaps;
mod import;
pub mod json;
mod json_days;
mod merge;
mod ohlc;
mod outline;
mod packed;
mod part;
mod pause;
mod plan;
#[cfg(feature = "lake")]
mod publish;
#[cfg(feature = "lake")]
mod pull;
mod queue;
mod quotes;
mod read;
mod replay;
mod retention;
mod ring;
mod rtx;
mod scan;
mod spill;
mod sql;
mod stats;
mod store;
mod symbols;
mod tables;
mod throttle;
mod tick;
mod verify;
mod write;
mod writer;

pub use crate::kernel::now_ns;
pub use arrow_in::ArrowDefaults;
pub use arrow_out::{bars_to_arrow, gaps_to_arrow};
pub use asof::{AsOf, Direction};
pub use bars::{Bar, Timeframe};
pub use batch::{Names, TickBatch};
pub use calendar::suspect_unit;
pub use compact::CompactedDay;
pub use config::{Duplicates, QueueFull, StorageBackend, TickStoreConfig};
pub use doctor::{DoctorReport, doctor};
pub use gaps::Gap;
pub(crate) use import::is_folder_of_rtx;
pub use import::{ImportOptions, ImportReport, import};
pub use ohlc::{Fill, OhlcOptions, Price, ohlc_of};
pub use outline::{Drawn, Outline, Outlines, Quote, Stretch};
pub(crate) use quotes::is_quotes;
pub use quotes::{EpochUnit, QuoteColumns, QuoteFormat, QuoteOptions, ShownTwice};
pub use replay::{Replay, ReplayOptions};
pub use retention::{RetainedDay, RetentionAction, RetentionPolicy};
pub use scan::{into_arrow, scan_schema, to_arrow};
pub use sql::DaysRead;
pub use stats::{DayInfo, DayTicks, QualityCounts, SqliteStats, StorageStats, TicksSummary};
pub use store::{FlushReport, Outcome, TickStore};
pub use throttle::Throttle;
pub use tick::{LastTick, Origin, Tick, Ticks, quality};

#[cfg(feature = "lake")]
pub(crate) use publish::PublishedTicks;
#[cfg(feature = "lake")]
pub(crate) use pull::PulledTicks;
pub(crate) use stats::{day_ticks, has_ticks};

use crate::kernel::{BlockTable, DocumentedNames, Store};

/// Beside the days of a folder: what was published of it.
pub(crate) const LEDGER: &str = "publish.db";

/// The store in a file.
pub(crate) static STORE: Store = Store {
    names: Some(DocumentedNames { since: 3, of: tables::documented_names }),
    expand: Some(write::expand),
    blocks: Some(BlockTable { name: "tick_block", data: "data" }),
    tables: functions::TABLES,
    ..Store::new(&tables::MIGRATIONS, verify::verify)
};
