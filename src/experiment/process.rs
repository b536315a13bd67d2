//! Which processes write to a file, and which of them have died.

use super::clock::{now_ms, text_of_ms};
use crate::error::Result;
use crate::kernel::{Process, ReadTx, WriteTx, host};

/// A process that cannot be seen from here and was not heard of for so long is taken to be dead.
const LEASE_MS: i64 = 60_000;

/// Whether a process lives: what can be seen of it decides, else its last sign of life.
fn is_alive(process: &Process, heartbeat_ms: i64) -> bool {
    process.lives().unwrap_or_else(|| now_ms().saturating_sub(heartbeat_ms) < LEASE_MS)
}

/// Writes this process down; its number in the file.
pub(super) fn register(tx: &WriteTx<'_>) -> Result<i64> {
    let Process { boot_id, pid, started } = Process::own();
    let sql = "INSERT INTO experiment_process (host, boot_id, pid, started, heartbeat_ms) \
        VALUES (?1, ?2, ?3, ?4, ?5)";
    tx.insert(sql, (host(), boot_id, pid, started, now_ms()))
}

/// Says that a process lives.
pub(super) fn beat(tx: &WriteTx<'_>, id: i64) -> Result<()> {
    let sql = "UPDATE experiment_process SET heartbeat_ms = ?2 WHERE id = ?1";
    tx.execute(sql, (id, now_ms()))?;
    Ok(())
}

/// Says that a process has let the file go; its simulations that still run have stopped.
pub(super) fn close(tx: &WriteTx<'_>, id: i64) -> Result<()> {
    let now = now_ms();
    tx.execute("UPDATE experiment_process SET closed_ms = ?2 WHERE id = ?1", (id, now))?;
    let sql = "UPDATE simulations SET status = 'stopped', end_time = ?2, process_id = NULL \
        WHERE process_id = ?1 AND status = 'running'";
    match tx.execute(sql, (id, text_of_ms(now)))? {
        0 => Ok(()),
        _ => tx.seal("simulations", "row_sum IS NULL", []).map(drop),
    }
}

/// Simulations that run in the file's eyes though their process has died: id, name, last sign of life.
pub(super) fn dead(tx: &ReadTx<'_>) -> Result<Vec<(i64, String, i64)>> {
    let sql = "SELECT s.id, s.simulation_id, p.heartbeat_ms, p.boot_id, p.pid, p.started, p.closed_ms \
        FROM simulations s JOIN experiment_process p ON p.id = s.process_id WHERE s.status = 'running'";
    let found = tx.query(sql, [], |row| {
        let process = Process { boot_id: row.get(3)?, pid: row.get(4)?, started: row.get(5)? };
        let (heartbeat_ms, closed): (i64, Option<i64>) = (row.get(2)?, row.get(6)?);
        let alive = closed.is_none() && is_alive(&process, heartbeat_ms);
        Ok((row.get(0)?, row.get(1)?, heartbeat_ms, alive))
    })?;
    Ok(found
        .into_iter()
        .filter(|(.., alive)| !alive)
        .map(|(id, name, beat, _)| (id, name, beat))
        .collect())
}

/// Marks simulations whose process has died as crashed; their names.
pub(super) fn mark_dead(tx: &WriteTx<'_>) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for (id, name, heartbeat_ms) in dead(tx)? {
        let safe = safe_step(tx, id)?;
        let error = match safe {
            Some(step) => format!(
                "its process ended without closing it; step {step} is the last one that is safe"
            ),
            None => "its process ended without closing it, before a step was safe".to_owned(),
        };
        let sql = "UPDATE simulations SET status = 'crashed', end_time = ?2, error = ?3, safe_step = ?4, \
            process_id = NULL WHERE id = ?1";
        tx.execute(sql, (id, text_of_ms(heartbeat_ms), error, safe))?;
        tx.seal("simulations", "id = ?1", [id])?;
        names.push(name);
    }
    Ok(names)
}

/// The last step of which all is in the file, of a simulation that is given as SQL: of the steps that were logged as such;
/// without any, of all records.
pub(super) fn safe_step_sql(simulation: &str) -> String {
    format!(
        "SELECT coalesce(max(CASE t.name WHEN 'simulation_steps' THEN r.last_step END), max(r.last_step)) \
         FROM record_summary r JOIN record_table t ON t.id = r.record_table \
         WHERE r.simulation = {simulation} AND t.name NOT IN ('agents', 'simulation_config')"
    )
}

/// As [`safe_step_sql`].
pub(super) fn safe_step(tx: &ReadTx<'_>, simulation: i64) -> Result<Option<i64>> {
    Ok(tx.query_one(&safe_step_sql("?1"), [simulation], |row| Ok(row.get(0)?))?.flatten())
}
