//! The series store: time series behind one protocol, in memory, in files and in databases.
//!
//! ```
//! # let folder = tempfile::tempdir().unwrap();
//! use siltstone::series::{IndexRange, Series, SqliteBackend, StorageBackend};
//!
//! let store = SqliteBackend::open(folder.path().join("plant.db"))?;
//! let minutes: Vec<i64> = (0..1440).map(|minute| minute * 60_000_000_000).collect();
//! let flow = Series::from_times_ns(&minutes, &vec![1.5; 1440])?;
//! store.save("plant/flow", &flow, &Default::default())?;
//! assert_eq!(store.load_range("plant/flow", &IndexRange::all())?.len(), 1440);
//! # Ok::<(), siltstone::Error>(())
//! ```
//!
//! A [`Series`] is an index, values and what is known of both. A [`StorageBackend`] keeps series by key, and
//! gives them back equal by bits and by metadata, whichever backend it is.

mod append;
mod backend;
mod codes;
pub mod conformance;
mod container;
mod data;
mod dry_run;
mod import;
mod in_memory;
mod index;
mod influx;
pub mod meteaudata;
mod parquet_folder;
mod period;
#[cfg(feature = "postgresql")]
mod postgresql;
pub mod process;
#[cfg(feature = "lake")]
mod publish;
#[cfg(feature = "lake")]
mod pull;
mod read;
mod sqlite;
mod text;
mod transfer;
pub mod tree;
mod url;
mod wide;
mod widen;

pub use append::{Appended, Overlap, append_points};
pub use backend::{Change, SeriesInfo, StorageBackend};
pub use codes::decoded;
pub use container::SeriesContainer;
pub use data::{Metadata, SCHEMA_KEY, Series};
pub use dry_run::DryRunBackend;
pub(crate) use import::is_logger;
pub use import::{ImportPointsOptions, ImportedSeries, import_points, is_table};
pub use in_memory::MemoryBackend;
pub use index::{IndexMetadata, IndexRange, IndexValue};
pub(crate) use influx::is_influx;
pub use influx::{InfluxOptions, InfluxReport, import_influx};
pub use parquet_folder::ParquetBackend;
#[cfg(feature = "postgresql")]
pub use postgresql::PostgresBackend;
#[cfg(feature = "lake")]
pub(crate) use publish::PublishedSeries;
#[cfg(feature = "lake")]
pub(crate) use pull::PulledSeries;
#[cfg(feature = "lake")]
pub use pull::series_of;
pub use read::{
    Ambiguous, BadCells, Encoding, Nonexistent, Points, PointsColumn, PointsOptions, TimeUnit,
    read_points,
};
pub use sqlite::{SeriesSummary, SqliteBackend};
pub use transfer::{SeriesChecksum, TransferOptions, TransferReport, checksum, transfer};
#[cfg(feature = "postgresql")]
pub use url::open_asking;
pub use url::{open, without_password};
pub use wide::{WideColumn, wide};
pub use widen::type_name;

use crate::kernel::{BlockTable, DocumentedNames, Store};

/// The store in a file.
pub(crate) static STORE: Store = Store {
    names: Some(DocumentedNames { since: 4, of: sqlite::documented_names }),
    decode: Some(codes::decode_stored),
    blocks: Some(BlockTable { name: "series_block", data: "index_data, value_data" }),
    ..Store::new(&sqlite::MIGRATIONS, sqlite::verify)
};
