//! Trouble at system calls: each call of a small run in turn, counted first.

use std::path::Path;
use std::process::{Command, Stdio};

use siltstone::Durability;

use super::check::{Known, check, copy_folder};
use super::{Mission, Round, Subject, Trouble, WORKS, acknowledged};
use crate::child::{self, Child};
use crate::syscalls::{self, Call, Run};

/// Items of a run.
const ITEMS: u64 = 6;

/// A store with some items, closed; or an empty folder, in which the run makes the files.
pub(super) fn template(subject: &dyn Subject, folder: &Path, items: u64) -> Known {
    let mut known = Known::default();
    if items > 0 {
        let work = || {
            let mut writer = subject.open(folder, Durability::Os, 0)?;
            for item in 0..items {
                writer.put(item)?;
            }
            // Everything that is done now and then, once.
            (0..3).try_for_each(|n| writer.tend(n * 4).map(drop))?;
            writer.close()
        };
        work().unwrap_or_else(|error| panic!("{}: {error}", subject.name()));
        known.acked = (0..items).collect();
    }
    // What is copied has no backups of its own: those of the template would be counted with them.
    for backup in super::files_below(folder).iter().filter(|path| is_backup(path)) {
        std::fs::remove_file(backup).unwrap();
    }
    known
}

pub(super) fn is_backup(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.contains("_backup_") && name.ends_with(".db")
}

/// The troubles that a call can meet.
fn troubles(trouble: Trouble, call: &Call) -> Vec<syscalls::Trouble> {
    use syscalls::Trouble::{Fail, FailFrom, KillAfter, KillBefore, Short};
    if trouble == Trouble::KillAtCall {
        return vec![KillBefore, KillAfter];
    }
    let all = [Fail(libc::EIO), FailFrom(libc::EIO), FailFrom(libc::ENOSPC), Fail(libc::EINTR)];
    let can = |trouble: &syscalls::Trouble| match trouble {
        Fail(errno) | FailFrom(errno) => call.can_meet(*errno),
        _ => true,
    };
    let short = (call.name == "write").then_some(Short);
    all.into_iter().filter(can).chain(short).collect()
}

pub(super) fn calls(round: &Round<'_>) {
    for items in [0, 5] {
        let folder = tempfile::tempdir().unwrap();
        let known = template(round.subject, folder.path(), items);
        let mission = Mission { arms_early: true, ..Mission::new(known.next(0), ITEMS) };
        let argument = mission.argument(round.subject);
        let copy = || {
            let copy = tempfile::tempdir().unwrap();
            copy_folder(folder.path(), copy.path());
            copy
        };
        let run =
            |folder: &Path, nth, trouble| syscalls::run(WORKS, folder, &argument, nth, trouble);
        let counted = run(copy().path(), 0, syscalls::Trouble::Nothing);
        if !counted.status.success() {
            let last = counted.said().last().unwrap_or_default().to_owned();
            round.tried("without trouble", Err(format!("the child failed: {last}")));
            continue;
        }
        let cases: Vec<_> = counted
            .calls()
            .flat_map(|call| troubles(round.trouble, call).into_iter().map(move |t| (call, t)))
            .collect();
        let most = round.cases.div_ceil(2);
        for i in 0..most.min(cases.len()) {
            // A prime steps through all of them, round after round, and far apart within one.
            let n = (round.seed as usize * most + i) * 7919 % cases.len();
            let (call, trouble) = &cases[n];
            let folder = copy();
            let run = run(folder.path(), call.nth, *trouble);
            let Some(struck) = run.struck() else {
                round.report.figure(round, "runs that ended before the call");
                continue;
            };
            let name = struck.path.file_name().unwrap_or_default().display().to_string();
            let what =
                format!("{items} items, call {} ({} {name}), {trouble:?}", call.nth, struck.name);
            let outcome = after(round.subject, folder.path(), known.clone(), &run);
            round.tried(what, outcome);
        }
    }
}

/// What a run has left.
fn after(subject: &dyn Subject, folder: &Path, mut known: Known, run: &Run) -> Result<(), String> {
    let said: Vec<String> = run.said().map(str::to_owned).collect();
    if !run.is_ended_well() {
        return Err(format!("the child ended with {}, having said {said:?}", run.status));
    }
    check(subject, folder, &mut known, &said).map_err(|odd| format!("{odd}; it said {said:?}"))
}

/// A store that was asked for `disk` has synced the bytes and the name of each file when it acknowledges.
pub(super) fn unsynced(round: &Round<'_>) {
    // With upkeep the log may have bytes of a compaction, which nobody was told of: the log is left out then.
    for (items, count, is_tended) in [(0, 3, false), (4, 3, false), (0, ITEMS, true)] {
        let folder = tempfile::tempdir().unwrap();
        let known = template(round.subject, folder.path(), items);
        let first = known.next(0);
        let durability = Durability::Disk;
        let mission = Mission { arms_early: true, durability, ..Mission::new(first, count) };
        let argument = mission.argument(round.subject);
        let run = syscalls::run(WORKS, folder.path(), &argument, 0, syscalls::Trouble::Nothing);
        let is_told = |line: &str| acknowledged(line).is_some() || line.contains("backup ");
        let matters = |path: &Path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_left_out = name.ends_with("-shm") || name.ends_with("lock");
            !(is_left_out || is_tended && name.ends_with("-wal"))
        };
        let mut outcome = after(round.subject, folder.path(), known, &run);
        if let Some(first) = run.unsynced(is_told, matters).first() {
            outcome = outcome.and(Err(first.clone()));
        }
        round.tried(format!("{items} items and {count} more"), outcome);
    }
}

/// The second opinion: `strace` lets a sync fail, in a process without our filter.
pub(super) fn strace(round: &Round<'_>) {
    let found = Command::new("strace").arg("-V").stdout(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        round.report.figure(round, "skipped: strace is not installed");
        return;
    }
    for i in 0..round.cases.div_ceil(4) {
        let folder = tempfile::tempdir().unwrap();
        let known = template(round.subject, folder.path(), 5);
        let when = 1 + (round.seed as usize * 3 + i) % 12;
        let durability = Durability::Disk;
        let mission = Mission { durability, ..Mission::new(known.next(0), ITEMS) };
        let own = child::command(WORKS, folder.path(), &mission.argument(round.subject));
        let mut command = Command::new("strace");
        command
            .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e"])
            .arg(format!("inject=fsync,fdatasync:error=EIO:when={when}"))
            .arg(own.get_program())
            .args(own.get_args())
            .envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let (said, status) = Child::from(command).end();
        let outcome = match status.success() {
            true => check(round.subject, folder.path(), &mut known.clone(), &said),
            false => Err(format!("the child ended with {status}")),
        };
        let outcome = outcome.map_err(|odd| format!("{odd}; it said {said:?}"));
        round.tried(format!("sync {when} of a thread fails"), outcome);
    }
}
