//! A process, told from all others, and whether it still lives.

#[cfg(target_os = "linux")]
use std::path::Path;

/// A process, told from all others of its machine, also from a later one with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    /// The machine since it was started, and the set of process numbers; empty where that is not known.
    pub(crate) boot_id: String,
    pub(crate) pid: i64,
    /// When it was started, in the clock of the machine; 0 where that is not known.
    pub(crate) started: i64,
}

impl Process {
    /// This one.
    pub(crate) fn own() -> Self {
        Process::of(std::process::id())
    }

    /// The one that has this number now.
    pub(crate) fn of(pid: u32) -> Self {
        let (boot_id, pid) = (boot_id(), i64::from(pid));
        // Without a boot id the system's list of processes may be that of other numbers.
        let started = if boot_id.is_empty() { 0 } else { started(pid) };
        Process { boot_id, pid, started }
    }

    /// Whether it lives; `None` if that cannot be seen from here: it is of another machine, start of the machine or
    /// container, or the system hides it.
    pub(crate) fn lives(&self) -> Option<bool> {
        if self.boot_id.is_empty() || self.boot_id != boot_id() {
            return None;
        }
        lives(self.pid, self.started)
    }
}

#[cfg(target_os = "linux")]
const PROCESSES: &str = "/proc";

/// # Source
/// proc_sys_kernel(5), namespaces(7).
#[cfg(target_os = "linux")]
fn boot_id() -> String {
    let processes = Path::new(PROCESSES);
    // A container may have kept the list of its host, in which our number is somebody else.
    let own = std::fs::read_link(processes.join("self"));
    if own.ok().as_deref().and_then(Path::to_str) != Some(&std::process::id().to_string()) {
        return String::new();
    }
    let boot = std::fs::read_to_string(processes.join("sys/kernel/random/boot_id"));
    let numbers = std::fs::read_link(processes.join("self/ns/pid"));
    match (boot, numbers) {
        (Ok(boot), Ok(numbers)) => format!("{} {}", boot.trim(), numbers.display()),
        _ => String::new(),
    }
}

#[cfg(target_os = "linux")]
fn started(pid: i64) -> i64 {
    state(Path::new(PROCESSES), pid).map_or(0, |(_, started)| started)
}

#[cfg(target_os = "linux")]
fn lives(pid: i64, started: i64) -> Option<bool> {
    lives_in(Path::new(PROCESSES), pid, started)
}

#[cfg(target_os = "linux")]
fn lives_in(processes: &Path, pid: i64, begun: i64) -> Option<bool> {
    match state(processes, pid) {
        // One that has ended and that nobody has asked for yet writes no more.
        Some((state, started)) => {
            Some(!matches!(state, 'Z' | 'X') && (begun == 0 || begun == started))
        }
        // The list may leave out those of other users (`hidepid`). A signal tells whether there is one of that number,
        // not whether it is this one.
        None => (!has_number(pid)).then_some(false),
    }
}

/// The state of a process that the list shows, and the tick of the machine's clock at which it was started: the 20th
/// field behind the name, which may hold anything.
#[cfg(target_os = "linux")]
fn state(processes: &Path, pid: i64) -> Option<(char, i64)> {
    let text = std::fs::read_to_string(processes.join(format!("{pid}/stat"))).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(not(target_os = "linux"))]
fn boot_id() -> String {
    host()
}

#[cfg(not(target_os = "linux"))]
fn started(_: i64) -> i64 {
    0
}

#[cfg(all(unix, not(target_os = "linux")))]
fn lives(pid: i64, _: i64) -> Option<bool> {
    Some(has_number(pid))
}

#[cfg(not(unix))]
fn lives(_: i64, _: i64) -> Option<bool> {
    None
}

/// Whether some process has that number now.
#[cfg(unix)]
fn has_number(pid: i64) -> bool {
    let Ok(pid) = libc::pid_t::try_from(pid) else { return false };
    // SAFETY: the signal 0 is sent to nobody; it only asks.
    let sent = pid > 0 && unsafe { libc::kill(pid, 0) } == 0;
    sent || std::io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
}

/// The machine's name; empty where it has none.
pub(crate) fn host() -> String {
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Goal: a number proves life, or death, only where the process can be seen: one that the list of processes hides is
    /// not taken for dead, nor is one of other numbers.
    #[test]
    fn a_process_that_is_hidden_is_not_dead() {
        let hidden = tempfile::tempdir().unwrap();
        let (shown, hidden) = (Path::new(PROCESSES), hidden.path());
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i64::from(child.id());
        let begun = started(pid);
        assert!(begun > 0);
        assert_eq!(lives_in(shown, pid, begun), Some(true));
        assert_eq!(lives_in(shown, pid, begun - 1), Some(false), "its number was given away");
        assert_eq!(lives_in(hidden, pid, begun), None);
        child.kill().unwrap();
        // It is gone, also while nobody has asked for it yet.
        while lives_in(shown, pid, begun) == Some(true) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert_eq!(lives_in(shown, pid, begun), Some(false));
        assert_eq!(lives_in(hidden, pid, begun), Some(false), "no process has that number");
        let own = Process::own();
        assert_eq!(own.lives(), Some(true));
        assert_eq!(Process { boot_id: "boot pid:[1]".into(), ..own.clone() }.lives(), None);
        assert_eq!(Process { boot_id: String::new(), ..own }.lives(), None);
    }
}
