//! What the file knows of its run: whether it ended, and how.

use rusqlite::ToSql;
use rusqlite::types::FromSql;

use super::tables::Layout;
use super::timeline::Timeline;
use crate::error::Result;
use crate::kernel::{ReadTx, WriteTx, now_ns};

/// How far a run got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// Nothing says: a file of movici, or one without updates.
    Unknown,
    /// Updates were written and the run did not end: it goes on, or it was killed.
    Running,
    /// The run said that it ended.
    Complete,
    /// The run said that it failed.
    Failed,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Status::Unknown => "unknown",
            Status::Running => "running",
            Status::Complete => "complete",
            Status::Failed => "failed",
        })
    }
}

/// What the file knows of its run.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Run {
    /// How far it got.
    pub status: Status,
    /// First write, in ns since 1970-01-01 UTC.
    pub started_ns: Option<i64>,
    /// The end, in ns since 1970-01-01 UTC.
    pub finished_ns: Option<i64>,
    /// Why it failed.
    pub error: Option<String>,
    /// What timestamps mean in calendar time.
    pub timeline: Option<Timeline>,
}

pub(super) fn set(tx: &WriteTx<'_>, key: &str, value: impl ToSql) -> Result<()> {
    let sql = "INSERT INTO simulation_run (key, value, row_sum) VALUES (?1, ?2, silt_row_sum(?1, ?2)) \
        ON CONFLICT (key) DO UPDATE SET value = excluded.value, row_sum = excluded.row_sum";
    tx.execute(sql, (key, value)).map(drop)
}

pub(super) fn get<T: FromSql>(tx: &ReadTx<'_>, key: &str) -> Result<Option<T>> {
    let sql = "SELECT value FROM simulation_run WHERE key = ?1";
    tx.query_one(sql, [key], |row| Ok(row.get(0)?))
}

/// Says that what was held of the run's states is no longer true.
pub(super) fn next_epoch(tx: &WriteTx<'_>) -> Result<()> {
    let sql = "UPDATE simulation_run SET value = value + 1, row_sum = silt_row_sum(key, value + 1) \
        WHERE key = 'keyframe_epoch'";
    tx.execute(sql, []).map(drop)
}

/// The run goes on: what an earlier end said holds no longer.
pub(super) fn mark_running(tx: &WriteTx<'_>) -> Result<()> {
    if get::<String>(tx, "status")?.as_deref() == Some("running") {
        return Ok(());
    }
    set(tx, "status", "running")?;
    tx.execute("DELETE FROM simulation_run WHERE key IN ('finished_ns', 'error')", [])?;
    tx.execute(
        "INSERT OR IGNORE INTO simulation_run (key, value, row_sum) \
         VALUES ('started_ns', ?1, silt_row_sum('started_ns', ?1))",
        [now_ns()],
    )?;
    Ok(())
}

/// The run ended, with an error or without.
pub(super) fn mark_ended(tx: &mut WriteTx<'_>, error: Option<&str>) -> Result<()> {
    tx.ensure(&super::tables::MIGRATIONS)?;
    set(tx, "status", if error.is_some() { "failed" } else { "complete" })?;
    set(tx, "finished_ns", now_ns())?;
    if let Some(error) = error {
        set(tx, "error", error)?;
    }
    tx.forget(); // the next write marks it as running again
    Ok(())
}

pub(super) fn read(tx: &ReadTx<'_>) -> Result<Run> {
    let nothing = Run {
        status: Status::Unknown,
        started_ns: None,
        finished_ns: None,
        error: None,
        timeline: None,
    };
    if Layout::of(tx)? != Layout::Ours {
        return Ok(nothing);
    }
    let status = match get::<String>(tx, "status")?.as_deref() {
        Some("running") => Status::Running,
        Some("complete") => Status::Complete,
        Some("failed") => Status::Failed,
        _ => Status::Unknown,
    };
    Ok(Run {
        status,
        started_ns: get(tx, "started_ns")?,
        finished_ns: get(tx, "finished_ns")?,
        error: get(tx, "error")?,
        timeline: get::<String>(tx, "timeline")?.and_then(|text| serde_json::from_str(&text).ok()),
    })
}
