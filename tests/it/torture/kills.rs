//! Processes that are killed at random instants, that write beside each other, that get signals, and that find a full disk.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::check::{Known, check};
use super::{Mission, Round, Special, WORKS, tells_failure};
use crate::child::{self, Child, Random};
use crate::shared::Mounted;

fn start(round: &Round<'_>, folder: &Path, mission: Mission) -> Child {
    child::start(WORKS, folder, &mission.argument(round.subject))
}

/// One folder; each case goes on with what the last one left.
pub(super) fn kills(round: &Round<'_>) {
    let folder = tempfile::tempdir().unwrap();
    let (mut known, mut random) = (Known::default(), Random(round.seed));
    for case in 0..round.cases {
        let mut child = start(round, folder.path(), Mission::new(known.next(0), 0));
        // Else it is killed while it makes, opens or repairs the files.
        let opened = random.below(5) == 0 || child.wait_for("open");
        let delay = Duration::from_micros(random.below(150) * random.below(1_000));
        std::thread::sleep(delay);
        let said = child.kill();
        let outcome = match opened {
            true => check(round.subject, folder.path(), &mut known, &said),
            false => Err("the child could not open what the last one left".into()),
        };
        let is_lost = outcome.is_err();
        round.tried(format!("kill {case}, after {delay:?}"), outcome);
        if is_lost {
            return; // the next ones would say the same
        }
    }
}

/// Three processes write into one folder; one of them is killed.
pub(super) fn processes(round: &Round<'_>) {
    const WRITERS: u64 = 3;
    if !round.subject.is_shared() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (mut known, mut random) = (Known::default(), Random(round.seed));
    for case in 0..round.cases.div_ceil(3) {
        let mission = |writer| Mission::new(known.next(writer), 12);
        let children = (0..WRITERS).map(|writer| start(round, folder.path(), mission(writer)));
        let mut children: Vec<Child> = children.collect();
        let mut killed = children.remove(random.below(WRITERS) as usize);
        killed.wait_for("open");
        std::thread::sleep(Duration::from_micros(random.below(100_000)));
        let (mut said, mut outcome) = (killed.kill(), Ok(()));
        for child in children {
            let (lines, status) = child.end();
            if !status.success() || lines.iter().any(|line| tells_failure(line)) {
                outcome = Err(format!("a process that was not killed: {status}, {lines:?}"));
            }
            said.extend(lines);
        }
        // A backup of one may have been removed by a later one of another: the lines are in no order.
        said.retain(|line| !line.contains("backup "));
        let outcome = outcome.and_then(|()| check(round.subject, folder.path(), &mut known, &said));
        let is_lost = outcome.is_err();
        round.tried(format!("{WRITERS} processes, case {case}"), outcome);
        if is_lost {
            return;
        }
    }
}

/// A process that gets a signal all the time loses nothing and fails nowhere.
pub(super) fn signals(round: &Round<'_>) {
    let folder = tempfile::tempdir().unwrap();
    let mut known = Known::default();
    for case in 0..round.cases.div_ceil(4) {
        let special = Special::Signals;
        let mission = Mission { special, ..Mission::new(known.next(0), 12) };
        let (said, status) = start(round, folder.path(), mission).end();
        let fails = said.iter().any(|line| tells_failure(line));
        let outcome = match status.success() && !fails {
            true => check(round.subject, folder.path(), &mut known, &said),
            false => Err(format!("{status}, {said:?}")),
        };
        round.tried(format!("signals, case {case}"), outcome);
    }
}

/// In the child: a thread that sends signals to the process, whose handler does nothing and restarts no call.
pub(super) fn send_signals() {
    extern "C" fn ignore(_: libc::c_int) {}
    // SAFETY: the handler does nothing, and the action is whole.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = ignore as *const () as usize;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()), 0);
    }
    std::thread::spawn(|| {
        loop {
            std::thread::sleep(Duration::from_micros(200));
            // SAFETY: a signal that the process handles.
            unsafe { libc::kill(libc::getpid(), libc::SIGUSR1) };
        }
    });
}

/// A small file system becomes full after some items; when an error has come there is room again.
pub(super) fn full_disk(round: &Round<'_>) {
    let folder = tempfile::tempdir().unwrap();
    let Some(_mounted) = Mounted::try_small(folder.path()) else {
        round.report.figure(round, "skipped: nothing can be mounted here");
        return;
    };
    let mut known = Known::default();
    for case in 0..round.cases.div_ceil(8) {
        let special = Special::Fills;
        let mission = Mission { special, ..Mission::new(known.next(0), 12) };
        let (said, status) = start(round, folder.path(), mission).end();
        if !said.iter().any(|line| tells_failure(line)) {
            round.report.figure(round, "runs that the full disk did not hinder");
        }
        let outcome = match status.success() {
            true => check(round.subject, folder.path(), &mut known, &said),
            false => Err(format!("the child ended with {status}")),
        };
        round.tried(format!("full disk, case {case}; it said {said:?}"), outcome);
    }
}

/// In the child: takes all the room that is left.
pub(super) fn fill(ballast: &Path) {
    let mut file = File::create(ballast).unwrap();
    for size in [1 << 16, 1 << 12, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}
