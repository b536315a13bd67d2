//! The only module that knows SQLite and the file system.
//!
//! A [`Database`] is one `.db` file. Writes are jobs: whoever holds the writer gathers the waiting
//! ones into one transaction and acknowledges each after the commit, at the [`Durability`] that it
//! asked for. Reads take a pooled read-only connection and see one snapshot. Stores hand in their
//! tables as [`Migrations`] and speak SQL through [`WriteTx`] and [`ReadTx`].

mod attached;
mod authorize;
mod backup;
mod backup_records;
mod block_cells;
mod block_rows;
mod clock;
mod compaction;
mod connect;
mod database;
mod deferred;
mod documented_name;
#[cfg(feature = "extension")]
mod extension;
mod failure;
#[cfg(all(test, unix))]
pub(crate) mod fault;
mod file_lock;
mod files;
mod findings;
mod foreign;
mod functions;
mod guarded;
mod interruption;
mod items;
pub(crate) mod json;
mod lease;
mod locks;
mod log_files;
pub(crate) mod near;
mod new_file;
mod node;
mod options;
mod packed;
mod pages;
mod paths;
mod process;
mod progress;
mod query;
mod reading;
mod row_source;
mod row_sum;
mod row_visitor;
mod schema;
mod skipped;
mod stats;
mod store;
mod streamed_table;
mod table_function;
mod temporary;
mod threads;
mod ticket;
mod transaction;
mod tx;
mod value_limit;
mod verify;
mod watch;
mod writer;

pub use backup::{BackupReport, restore};
pub use clock::now_ns;
pub use compaction::CompactReport;
pub use database::Database;
#[cfg(feature = "extension")]
pub use extension::sqlite_extension_init;
pub use files::{write_file, write_file_with};
pub use findings::{Finding, VerifyReport};
pub use interruption::interruptible;
pub use new_file::NewFile;
pub use options::{Builder, Durability, Profile, QueuePolicy};
pub use progress::Progress;
pub(crate) use query::value;
pub use query::{Query, Value};
pub use skipped::Skipped;
pub use stats::Stats;
pub use ticket::Ticket;
pub use transaction::{Executed, Transaction};
pub use value_limit::with_value_limit;
pub use watch::Watch;

pub(crate) use block_rows::BlockTable;
pub(crate) use compaction::Part;
pub(crate) use documented_name::{DocumentedName, DocumentedNames, Rows};
pub(crate) use file_lock::{FileLock, open_lock, try_lock, unlock};
pub(crate) use files::{
    check_writable, create_folder, sync_folder, sync_name, sync_names_in, write_atomically,
};
pub(crate) use foreign::is_reserved;
pub(crate) use functions::{ScalarFunction, array_block};
#[cfg(feature = "postgresql")]
pub(crate) use interruption::cancellable;
pub(crate) use interruption::{
    CHECK_EVERY, check as check_interrupted, join, lock, pause, receive, uninterrupted,
};
pub(crate) use items::Items;
pub(crate) use node::Node;
pub(crate) use packed::{Packing, open_text, reading_text};
pub(crate) use paths::folder_of;
pub(crate) use process::{Process, host};
pub(crate) use reading::{check_is_file, open_file, read_if_there, read_whole};
pub(crate) use row_source::RowSource;
pub(crate) use row_sum::row_sum;
pub(crate) use row_visitor::RowVisitor;
pub(crate) use schema::{Migrations, Step, Upgrade, table_exists};
pub(crate) use store::{Store, upgrades};
pub(crate) use streamed_table::{Bounds, Chunks, StreamedRows, StreamedTable, query_streamed};
pub(crate) use table_function::{Arguments, TableFunction};
pub(crate) use temporary::{Temporary, is_temporary, remove_leftovers};
pub(crate) use threads::{both, threads, together};
pub(crate) use tx::{ReadTx, WriteTx};

/// For tests: makes a database as another program does.
#[cfg(test)]
pub(crate) fn write_foreign(path: &std::path::Path, sql: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
}
