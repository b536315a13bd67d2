//! Tables and their versions: one list of migrations a store.

use std::collections::HashSet;
use std::path::Path;
use std::str::from_utf8;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};

// An old file is backed up before it changes; a backup asks for the version of what it copied.
use super::backup;
use super::documented_name;
use super::failure::At;
// Why a store's tables cannot be made.
use super::foreign;
// A step in code sees the transaction that a store does.
use super::tx::{Memory, WriteTx};
use crate::error::{Error, Result};

/// `SILT`, in the file's header.
pub(super) const APPLICATION_ID: i32 = 0x5349_4c54;
/// The kernel's own tables, made with the file.
pub(super) const KERNEL_TABLES: &str = include_str!("schema.sql");

/// What makes a version of a store's tables from the one before.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    Sql(&'static str),
    /// Changes rows and no schema.
    Code(fn(&WriteTx<'_>) -> Result<()>),
}

/// Every schema change that a store ever shipped, in order. Append only: never edit, never reorder.
#[derive(Debug)]
pub(crate) struct Migrations {
    /// The store's name in `siltstone_schema`.
    pub(crate) store: &'static str,
    /// Version 1, 2, ...
    pub(crate) steps: &'static [Step],
    /// Tables whose rows carry a [checksum](super::row_sum): each by its name, `name(column, column)`, or a query for names.
    pub(crate) summed: &'static [&'static str],
}

/// Tables of another program that a store upgrades in place.
#[derive(Debug)]
pub(crate) struct Upgrade {
    /// The migrations of the store that they become.
    pub(crate) migrations: &'static Migrations,
    /// Tables that must all be there.
    pub(crate) tables: &'static [&'static str],
    /// Brings them to version 1 of the migrations.
    pub(crate) sql: &'static str,
}

/// Whether a file has our application id.
pub(super) fn is_ours(conn: &Connection) -> Result<bool> {
    let id: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    Ok(id == APPLICATION_ID)
}

/// Refuses names that are not UTF-8: SQLite takes them, and nothing that is made of a `SELECT *` could say them.
pub(super) fn check_names(conn: &Connection) -> Result<()> {
    let mut statement = conn.prepare("SELECT type, name, sql FROM sqlite_schema")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let texts = [row.get_ref(1)?, row.get_ref(2)?];
        if texts.iter().any(|text| matches!(text, ValueRef::Text(text) if from_utf8(text).is_err()))
        {
            let name = row.get_ref(1)?.as_bytes_or_null().ok().flatten().unwrap_or_default();
            return Err(Error::Corrupt {
                location: String::new(),
                what: format!("the schema of {:?}", String::from_utf8_lossy(name)),
                why: "it is not valid UTF-8".into(),
            });
        }
    }
    Ok(())
}

/// The version of a store's tables in this file; 0 if it has none.
pub(super) fn version(conn: &Connection, store: &str) -> Result<i64> {
    let sql = "SELECT version FROM siltstone_schema WHERE store = ?1";
    let found = conn.prepare_cached(sql)?.query_row([store], |row| row.get(0)).optional()?;
    Ok(found.unwrap_or(0))
}

/// Refuses a file whose tables are newer than this build.
pub(super) fn check_not_newer(
    conn: &Connection,
    path: &Path,
    migrations: &Migrations,
) -> Result<i64> {
    let file_version = version(conn, migrations.store).at(path, "reading its versions")?;
    let known_version = migrations.steps.len() as i64;
    if file_version > known_version {
        let (path, store) = (path.to_owned(), migrations.store.to_owned());
        return Err(Error::TooNew { path, store, file_version, known_version });
    }
    Ok(file_version)
}

/// Applies the steps that are missing, inside the transaction that is open.
pub(super) fn apply(conn: &Connection, path: &Path, migrations: &Migrations) -> Result<()> {
    let done = check_not_newer(conn, path, migrations)?;
    let pending = &migrations.steps[done as usize..];
    if pending.is_empty() {
        return Ok(());
    }
    let there = foreign::names(conn)?;
    for step in pending {
        let made = match step {
            Step::Sql(sql) => conn.execute_batch(sql).map_err(Error::from),
            Step::Code(change) => change(&WriteTx::new(conn, &mut Memory::default(), path)),
        };
        made.map_err(|error| taken(&there, path, migrations, done).unwrap_or(error))?;
    }
    super::row_sum::cover_all(conn, conn, migrations.summed)?;
    conn.execute(
        "INSERT INTO siltstone_schema (store, version) VALUES (?1, ?2) \
         ON CONFLICT (store) DO UPDATE SET version = excluded.version",
        (migrations.store, migrations.steps.len() as i64),
    )?;
    let stores = crate::STORES.iter();
    if let Some(store) = { stores }.find(|store| store.migrations.store == migrations.store)
        && store.names.is_some()
    {
        documented_name::add_needs(conn)?;
        documented_name::fit(conn, store)?;
    }
    tracing::debug!(store = migrations.store, from = done, to = migrations.steps.len(), "schema");
    Ok(())
}

/// The error of a file in which something else has a name that a store needs; `None` if nothing has.
fn taken(
    there: &HashSet<String>,
    path: &Path,
    migrations: &Migrations,
    done: i64,
) -> Option<Error> {
    let name = foreign::in_the_way(there, migrations, done as usize).ok().flatten()?;
    Some(Error::Exists {
        what: format!("something else named {name:?}, which the {} store needs,", migrations.store),
        location: path.display().to_string(),
        hint: "use another file for that store",
    })
}

/// Brings an old file up to date when it is opened: backup first, then one transaction. A file
/// without the store's tables stays without them until the first write.
pub(super) fn migrate(conn: &Connection, path: &Path, migrations: &Migrations) -> Result<()> {
    let done = check_not_newer(conn, path, migrations)?;
    if done == 0 || done == migrations.steps.len() as i64 {
        return Ok(());
    }
    backup::before_migration(conn, path, migrations.store, done)?;
    in_transaction(conn, || apply(conn, path, migrations)).at(path, "migrating its tables")
}

/// Upgrades another program's tables in place: backup first, then one transaction.
pub(super) fn upgrade(conn: &Connection, path: &Path, upgrade: &Upgrade) -> Result<()> {
    backup::before_migration(conn, path, upgrade.migrations.store, 0)?;
    in_transaction(conn, || {
        if is_ours(conn)? {
            return Ok(()); // another process was faster
        }
        conn.execute_batch(KERNEL_TABLES)?;
        conn.execute_batch(upgrade.sql)?;
        conn.execute(
            "INSERT INTO siltstone_schema (store, version) VALUES (?1, 1)",
            [upgrade.migrations.store],
        )?;
        apply(conn, path, upgrade.migrations)?;
        super::foreign::refuse_triggers(conn, path)?;
        Ok(conn.pragma_update(None, "application_id", APPLICATION_ID)?)
    })
    .at(path, "upgrading its tables")
}

/// Brings the table of backups to its form of today, inside the transaction that is open.
pub(super) fn ensure_backup_table(conn: &Connection) -> Result<()> {
    let known = "SELECT 1 FROM sqlite_schema WHERE name = 'siltstone_file' AND type = 'table'";
    if conn.prepare_cached(known)?.exists([])? {
        return Ok(());
    }
    conn.execute_batch("ALTER TABLE siltstone_backup RENAME TO siltstone_backup_by_path")?;
    conn.execute_batch(KERNEL_TABLES)?;
    Ok(conn.execute_batch(include_str!("backup_table.sql"))?)
}

pub(super) fn in_transaction(conn: &Connection, work: impl FnOnce() -> Result<()>) -> Result<()> {
    conn.execute_batch("BEGIN IMMEDIATE")?;
    match work().and_then(|()| Ok(conn.execute_batch("COMMIT")?)) {
        Ok(()) => Ok(()),
        Err(error) => {
            let _ = conn.execute_batch("ROLLBACK"); // the first error is the one to report
            Err(error)
        }
    }
}

/// Whether the file has a table or view of that name, which SQLite compares without case.
pub(crate) fn table_exists(conn: &super::ReadTx<'_>, name: &str) -> Result<bool> {
    let sql = "SELECT 1 FROM sqlite_schema \
               WHERE name = ?1 COLLATE NOCASE AND type IN ('table', 'view')";
    Ok(conn.query_one(sql, [name], |_| Ok(()))?.is_some())
}
