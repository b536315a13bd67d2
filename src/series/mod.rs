//! The series store: time series behind one protocol, in memory, in files and in databases.
//!
//! A [`Series`] is an index, values and what is known of both. A [`StorageBackend`] keeps series by key, and
//! gives them back equal by bits and by metadata, whichever backend it is.

mod backend;
pub mod conformance;
mod data;
mod in_memory;
mod index;
mod parquet_folder;
pub mod process;
mod sqlite;
mod url;

pub use backend::{Change, SeriesInfo, StorageBackend};
pub use data::{Metadata, SCHEMA_KEY, Series};
pub use in_memory::MemoryBackend;
pub use index::{IndexMetadata, IndexRange, IndexValue};
pub use parquet_folder::ParquetBackend;
pub use sqlite::SqliteBackend;
pub(crate) use sqlite::verify;
pub use url::open;
