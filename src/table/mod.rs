//! Rows and columns out of any store: Arrow is the currency, a file is one of four [`Format`]s.
//!
//! ```
//! # let folder = tempfile::tempdir().unwrap();
//! use siltstone::table::{WriteOptions, write};
//!
//! let db = siltstone::open(folder.path().join("run.db"))?;
//! let answer = db.arrow("SELECT 6 * 7 AS answer")?;
//! let path = folder.path().join("answer.parquet");
//! assert_eq!(write(&path, answer, &WriteOptions::default(), &mut |_, _| Ok(()))?.rows, 1);
//! # Ok::<(), siltstone::Error>(())
//! ```
//!
//! [`Batches`] is a table that streams: a schema, and record batches of bounded size. Whoever has
//! one can [`write`] it to a file, or hand it to any Arrow consumer. This is the only module that
//! knows Parquet.

mod batches;
mod cell;
pub(crate) mod delimited;
mod file_name;
mod format;
#[cfg(feature = "lake")]
mod json_rows;
pub(crate) mod marks;
#[cfg(feature = "lake")]
mod published;
mod read;
#[cfg(feature = "lake")]
mod row_hash;
#[cfg(feature = "lake")]
mod segment_file;
mod source;
mod sql;
#[cfg(feature = "lake")]
mod sql_table;
mod text;
mod whole;
mod write;

pub use batches::Batches;
pub(crate) use batches::{from_arrow, rounded};
pub(crate) use file_name::file_name;
pub use format::Format;
#[cfg(feature = "lake")]
pub(crate) use json_rows::{json_rows_of_parquet, json_rows_to_parquet};
#[cfg(feature = "lake")]
pub use published::bucket;
#[cfg(feature = "lake")]
pub(crate) use published::{
    Cut, Keeps, Published, PublishedTable, Pulled, Slice, growing, of_two_files,
};
pub use read::read;
#[cfg(feature = "lake")]
pub(crate) use read::read_parquet_file;
pub(crate) use read::{parquet_footer, read_parquet, read_parquet_footer, schema_of_footer};
#[cfg(feature = "lake")]
pub(crate) use row_hash::{CellHash, RowHash};
#[cfg(feature = "lake")]
pub(crate) use segment_file::SegmentFile;
pub(crate) use sql::rows_to_arrow;
#[cfg(feature = "lake")]
pub(crate) use sql_table::{Kind, SqlTable};
pub use text::{rows, without_formula};
pub(crate) use whole::read_whole;
pub use write::{WriteOptions, Written, write};
pub(crate) use write::{to_parquet, write_unsynced};
