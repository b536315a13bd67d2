//! What a file has published: its segments, in the file itself.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::action::Action;
use super::id::uuid;
use crate::error::{Error, Result};
use crate::kernel::{Database, Durability, Migrations, Step, WriteTx};
use crate::table::Slice;

/// The versions of the ledger's tables.
static MIGRATIONS: Migrations = Migrations {
    store: "publish",
    steps: &[Step::Sql(include_str!("ledger.sql")), Step::Sql(include_str!("ledger_2.sql"))],
    summed: &["publish_store", "publish_table", "publish_segment"],
};

/// How far a segment has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Stage {
    /// Its file is in the lake.
    Sent,
    /// The log of its table has it.
    Confirmed,
}

impl Stage {
    const ALL: [(Stage, &'static str); 2] =
        [(Stage::Sent, "sent"), (Stage::Confirmed, "confirmed")];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(stage, _)| *stage == self).map_or("", |(_, name)| name)
    }
}

/// A piece of a table as it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) number: i64,
    pub(super) version: i64,
    pub(super) stage: Stage,
    pub(super) slice: Slice,
    pub(super) rows: u64,
    /// Of its rows, as text.
    pub(super) hash: String,
    /// Below the folder of the table.
    pub(super) file: String,
    pub(super) bytes: u64,
    pub(super) statistics: String,
}

/// A commit of which it is not known whether the log has it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Pending {
    /// What the commit is called.
    pub(super) plan: String,
    pub(super) actions: Vec<Action>,
    /// Segments, each by its number and version.
    pub(super) added: Vec<(i64, i64)>,
    pub(super) removed: Vec<(i64, i64)>,
}

/// What is known of a table in a lake.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) commits: i64,
    pub(super) pending: Option<Pending>,
    pub(super) segments: Vec<Segment>,
}

impl Known {
    /// The segments that the lake has.
    pub(super) fn confirmed(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(|segment| segment.stage == Stage::Confirmed)
    }
}

/// The ledger, for one lake.
pub(super) struct Ledger {
    db: Database,
    target: String,
    /// The file's own name among all that publish.
    pub(super) store: String,
    /// What it is called on its machine, without the folders above.
    pub(super) file: String,
    /// It was given lately, and not all was sent under it.
    is_renamed: bool,
}

impl Ledger {
    /// The ledger of a file.
    pub(super) fn of_file(db: Database, target: &str) -> Result<Self> {
        // What the lake is told must not be forgotten by a loss of power.
        let db = db.with_durability(Durability::Disk);
        let (store, is_renamed) = db.write(|tx| {
            tx.ensure(&MIGRATIONS)?;
            let sql = "SELECT store_id, EXISTS (SELECT 1 FROM publish_renamed) FROM publish_store";
            if let Some(found) = tx.query_one(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))? {
                return Ok(found);
            }
            let store: String = uuid();
            tx.execute("INSERT INTO publish_store (store_id) VALUES (?1)", [&store])?;
            Ok((store, false))
        })?;
        let file = name_of(db.path());
        Ok(Ledger { db, target: target.to_owned(), store, file, is_renamed })
    }

    /// The ledger of a folder of ticks.
    pub(super) fn of_folder(folder: &Path, target: &str) -> Result<Self> {
        let ledger = Database::builder(folder.join(crate::ticks::LEDGER)).open()?;
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        Ok(Ledger { file: name_of(&folder), ..Self::of_file(ledger, target)? })
    }

    /// Takes what was published under another address, if that is the same: a lake that was moved, or has two names. Whether it
    /// did.
    pub(super) fn copy_published(
        &self,
        table: &str,
        is_same: impl Fn(&Known) -> bool,
    ) -> Result<bool> {
        let sql = "SELECT target FROM publish_table WHERE name = ?1 AND target <> ?2 AND pending IS NULL ORDER BY 1";
        let key = (table, &self.target);
        let others: Vec<String> = self.db.read(|tx| tx.query(sql, key, |row| Ok(row.get(0)?)))?;
        for other in others {
            if !is_same(&self.known_of(&other, table)?) {
                continue;
            }
            let table = table.to_owned();
            self.change(move |tx, target| {
                let sql = "INSERT OR REPLACE INTO publish_segment (target, name, number, version, state, partition, first, \
                    until, signature, rows, hash, file, bytes, statistics) SELECT ?1, name, number, version, state, partition, \
                    first, until, signature, rows, hash, file, bytes, statistics FROM publish_segment \
                    WHERE target = ?2 AND name = ?3 AND state = 'confirmed'";
                tx.execute(sql, (target, &other, &table))?;
                let sql = "INSERT OR REPLACE INTO publish_table (target, name, commits, pending) \
                    SELECT ?1, name, commits, NULL FROM publish_table WHERE target = ?2 AND name = ?3";
                tx.execute(sql, (target, &other, &table)).map(drop)
            })?;
            return Ok(true);
        }
        Ok(false)
    }

    /// What is known of a table.
    pub(super) fn known(&self, table: &str) -> Result<Known> {
        self.known_of(&self.target, table)
    }

    fn known_of(&self, target: &str, table: &str) -> Result<Known> {
        self.db.read(|tx| {
            let key = (target, table);
            let sql = "SELECT commits, pending FROM publish_table WHERE target = ?1 AND name = ?2";
            let found = tx.query_one(sql, key, |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?))
            })?;
            let (commits, pending) = found.unwrap_or_default();
            let pending = pending.map(|text| serde_json::from_str(&text)).transpose();
            let pending = pending.map_err(|error| damaged(table, error.to_string()))?;
            let sql = "SELECT number, version, state, partition, first, until, signature, rows, hash, file, bytes, \
                statistics FROM publish_segment WHERE target = ?1 AND name = ?2 ORDER BY number, version";
            let segments = tx.query(sql, key, |row| {
                let (state, partition): (String, String) = (row.get(2)?, row.get(3)?);
                let stage = Stage::ALL.iter().find(|(_, name)| *name == state);
                let stage = stage.ok_or_else(|| damaged(table, format!("state {state:?}")))?.0;
                let partition = serde_json::from_str(&partition);
                let partition = partition.map_err(|error| damaged(table, error.to_string()))?;
                let signature: Vec<u8> = row.get(6)?;
                let signature = <[u8; 16]>::try_from(signature.as_slice());
                let signature =
                    signature.map_err(|_| damaged(table, "a signature is not of 16 bytes"))?;
                Ok(Segment {
                    number: row.get(0)?,
                    version: row.get(1)?,
                    stage,
                    slice: Slice {
                        partition,
                        first: row.get(4)?,
                        until: row.get(5)?,
                        signature: u128::from_le_bytes(signature),
                    },
                    rows: row.get::<_, i64>(7)? as u64,
                    hash: row.get(8)?,
                    file: row.get(9)?,
                    bytes: row.get::<_, i64>(10)? as u64,
                    statistics: row.get(11)?,
                })
            })?;
            Ok(Known { commits, pending, segments })
        })
    }

    fn change<F>(&self, work: F) -> Result<()>
    where
        F: Fn(&WriteTx<'_>, &str) -> Result<()> + Send + 'static,
    {
        let target = self.target.clone();
        self.db.write(move |tx| {
            tx.ensure(&MIGRATIONS)?;
            work(tx, &target)
        })
    }

    /// The tables that were published.
    pub(super) fn tables(&self) -> Result<Vec<String>> {
        let sql = "SELECT name FROM publish_table WHERE target = ?1 ORDER BY name";
        self.db.read(|tx| tx.query(sql, [&self.target], |row| Ok(row.get(0)?)))
    }

    /// Writes segments down, in place of those of their number and version.
    pub(super) fn put(&self, table: &str, segments: Vec<Segment>) -> Result<()> {
        let table = table.to_owned();
        self.change(move |tx, target| put(tx, target, &table, &segments))
    }

    /// Takes what a log says in place of what was known of a table.
    pub(super) fn replace(&self, table: &str, commits: i64, segments: Vec<Segment>) -> Result<()> {
        let table = table.to_owned();
        self.change(move |tx, target| {
            let sql = "DELETE FROM publish_segment WHERE target = ?1 AND name = ?2";
            tx.execute(sql, (target, &table))?;
            let sql = "INSERT OR REPLACE INTO publish_table (target, name, commits, pending) VALUES (?1, ?2, ?3, NULL)";
            tx.execute(sql, (target, &table, commits))?;
            put(tx, target, &table, &segments)
        })
    }

    /// Gives the file another name, under which nothing of it is published in any lake. A name that was given and under which
    /// not all was sent yet stays.
    pub(super) fn rename(&mut self) -> Result<()> {
        if self.is_renamed {
            return Ok(());
        }
        let store = uuid();
        let new = store.clone();
        self.change(move |tx, _| {
            for table in ["publish_store", "publish_table", "publish_segment"] {
                tx.execute(&format!("DELETE FROM {table}"), [])?;
            }
            tx.execute("INSERT INTO publish_store (store_id) VALUES (?1)", [&new])?;
            tx.execute("INSERT INTO publish_renamed (store_id) VALUES (?1)", [&new]).map(drop)
        })?;
        (self.store, self.is_renamed) = (store, true);
        Ok(())
    }

    /// All was sent under the name that [`rename`](Self::rename) gave.
    pub(super) fn keep_name(&mut self) -> Result<()> {
        if !self.is_renamed {
            return Ok(());
        }
        self.is_renamed = false;
        self.change(|tx, _| tx.execute("DELETE FROM publish_renamed", []).map(drop))
    }

    /// Removes segments that no log has.
    pub(super) fn forget(&self, table: &str, segments: Vec<(i64, i64)>) -> Result<()> {
        let table = table.to_owned();
        self.change(move |tx, target| {
            segments.iter().try_for_each(|segment| forget(tx, target, &table, *segment))
        })
    }

    /// Writes down what is about to be committed: from now on the log may have it.
    pub(super) fn begin(&self, table: &str, commits: i64, pending: &Pending) -> Result<()> {
        let text = serde_json::to_string(pending);
        let text = text.map_err(|error| damaged(table, error.to_string()))?;
        let table = table.to_owned();
        self.change(move |tx, target| {
            tx.execute(
                "INSERT INTO publish_table (target, name, commits, pending) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (target, name) DO UPDATE SET commits = excluded.commits, pending = excluded.pending",
                (target, &table, commits, &text),
            )?;
            Ok(())
        })
    }

    /// The log has what was pending, as commit `commits`.
    pub(super) fn confirm(&self, table: &str, commits: i64, pending: Pending) -> Result<()> {
        let table = table.to_owned();
        self.change(move |tx, target| {
            let sql = "UPDATE publish_table SET commits = ?3, pending = NULL WHERE target = ?1 AND name = ?2";
            tx.execute(sql, (target, &table, commits))?;
            pending.removed.iter().try_for_each(|segment| forget(tx, target, &table, *segment))?;
            for (number, version) in &pending.added {
                tx.execute(
                    "UPDATE publish_segment SET state = 'confirmed' \
                     WHERE target = ?1 AND name = ?2 AND number = ?3 AND version = ?4",
                    (target, &table, number, version),
                )?;
            }
            Ok(())
        })
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn put(tx: &WriteTx<'_>, target: &str, table: &str, segments: &[Segment]) -> Result<()> {
    for s in segments {
        let partition = serde_json::to_string(&s.slice.partition);
        let partition = partition.map_err(|error| damaged(table, error.to_string()))?;
        tx.execute(
            "INSERT OR REPLACE INTO publish_segment (target, name, number, version, state, partition, first, until, \
             signature, rows, hash, file, bytes, statistics) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            (
                target,
                table,
                s.number,
                s.version,
                s.stage.name(),
                partition,
                s.slice.first,
                s.slice.until,
                s.slice.signature.to_le_bytes(),
                s.rows as i64,
                &s.hash,
                &s.file,
                s.bytes as i64,
                &s.statistics,
            ),
        )?;
    }
    Ok(())
}

fn forget(
    tx: &WriteTx<'_>,
    target: &str,
    table: &str,
    (number, version): (i64, i64),
) -> Result<()> {
    let sql = "DELETE FROM publish_segment WHERE target = ?1 AND name = ?2 AND number = ?3 AND version = ?4";
    tx.execute(sql, (target, table, number, version))?;
    Ok(())
}

fn damaged(table: &str, why: impl Into<String>) -> Error {
    let what = format!("what was published of {table}");
    Error::Corrupt { location: String::new(), what, why: why.into() }
}
