//! Which processes write to a file, and which of them have died.

use super::clock::{now_ms, text_of_ms};
use crate::error::Result;
use crate::kernel::{ReadTx, WriteTx};

/// A process on another machine that was not heard of for so long is taken to be dead.
const LEASE_MS: i64 = 60_000;

/// A process, told from all others of its machine, also from a later one with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) host: String,
    /// The machine since it was started, and the set of process numbers.
    pub(super) place: String,
    pub(super) pid: i64,
    /// When it was started, in the clock of the machine; 0 where that is not known.
    pub(super) started: i64,
}

impl Process {
    /// This one.
    pub(super) fn own() -> Self {
        let pid = i64::from(std::process::id());
        Process { host: host(), place: place(), pid, started: started(pid).unwrap_or(0) }
    }

    /// Whether it lives, as far as can be seen from here.
    fn is_alive(&self, heartbeat_ms: i64) -> bool {
        if self.place != place() || self.place.is_empty() {
            return now_ms().saturating_sub(heartbeat_ms) < LEASE_MS;
        }
        is_running(self.pid) && (self.started == 0 || started(self.pid) == Some(self.started))
    }

    /// Writes it down; its number in the file.
    pub(super) fn register(&self, tx: &WriteTx<'_>) -> Result<i64> {
        let sql = "INSERT INTO experiment_process (host, place, pid, started, heartbeat_ms) \
            VALUES (?1, ?2, ?3, ?4, ?5)";
        tx.insert(sql, (&self.host, &self.place, self.pid, self.started, now_ms()))
    }
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
    tx.execute(sql, (id, text_of_ms(now)))?;
    Ok(())
}

/// Simulations that run in the file's eyes though their process has died: id, name, last sign of life.
pub(super) fn dead(tx: &ReadTx<'_>) -> Result<Vec<(i64, String, i64)>> {
    let sql = "SELECT s.id, s.simulation_id, p.heartbeat_ms, p.host, p.place, p.pid, p.started, p.closed_ms \
        FROM simulations s JOIN experiment_process p ON p.id = s.process_id WHERE s.status = 'running'";
    let found = tx.query(sql, [], |row| {
        let process = Process {
            host: row.get(3)?,
            place: row.get(4)?,
            pid: row.get(5)?,
            started: row.get(6)?,
        };
        let closed: Option<i64> = row.get(7)?;
        Ok((
            row.get(0)?,
            row.get(1)?,
            row.get(2)?,
            closed.is_none() && process.is_alive(row.get(2)?),
        ))
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
        names.push(name);
    }
    Ok(names)
}

/// The last step of which all is in the file: of the steps that were logged as such; without any, of all records.
pub(super) fn safe_step(tx: &ReadTx<'_>, simulation: i64) -> Result<Option<i64>> {
    let sql = "SELECT coalesce(max(CASE t.name WHEN 'simulation_steps' THEN r.last_step END), max(r.last_step)) \
        FROM record_summary r JOIN record_table t ON t.id = r.record_table \
        WHERE r.simulation = ?1 AND t.name NOT IN ('agents', 'simulation_config')";
    Ok(tx.query_one(sql, [simulation], |row| Ok(row.get(0)?))?.flatten())
}

fn host() -> String {
    #[cfg(unix)]
    {
        let mut name = [0u8; 256];
        // SAFETY: the buffer is as long as is said, and what is written ends with a NUL within it.
        let failed = unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1) } != 0;
        if !failed {
            let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
            return String::from_utf8_lossy(&name[..end]).into_owned();
        }
    }
    String::new()
}

#[cfg(target_os = "linux")]
fn place() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let numbers = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{} {}", boot.trim(), numbers.display())
}

#[cfg(not(target_os = "linux"))]
fn place() -> String {
    host()
}

/// The tick of the machine's clock at which a process was started: the 22nd field, counted from behind the name.
#[cfg(target_os = "linux")]
fn started(pid: i64) -> Option<i64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(not(target_os = "linux"))]
fn started(_: i64) -> Option<i64> {
    None
}

#[cfg(target_os = "linux")]
fn is_running(pid: i64) -> bool {
    let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // One that has ended and that nobody has asked for yet writes no more.
    let state = text.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().next());
    !matches!(state, Some("Z" | "X"))
}

#[cfg(all(unix, not(target_os = "linux")))]
fn is_running(pid: i64) -> bool {
    let Ok(pid) = libc::pid_t::try_from(pid) else { return false };
    // SAFETY: the signal 0 is sent to nobody; it only asks.
    let sent = unsafe { libc::kill(pid, 0) } == 0;
    sent || std::io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
}

#[cfg(not(unix))]
fn is_running(_: i64) -> bool {
    true // only its heartbeat can tell
}
