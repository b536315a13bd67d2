//! Which process a temporary folder belongs to, and whether it still lives.

use std::path::Path;

use super::PREFIX;
use crate::kernel::Process;

/// The file that names the owner.
const FILE: &str = "owner";

/// Notes that a folder is this process's.
pub(super) fn sign(folder: &Path) {
    let own = Process::own();
    // Where its start is not known, a later process of its number would be taken for it.
    if own.started > 0
        && let Err(error) = std::fs::write(folder.join(FILE), text_of(&own))
    {
        // Nobody removes it then if this process is killed.
        tracing::debug!(path = %folder.display(), %error, "a temporary folder is not signed");
    }
}

/// Removes the folders of processes that are gone.
pub(super) fn remove_abandoned(parent: &Path, ours: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let named = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if named && path != ours && is_same_users(&path, ours) && is_abandoned(&path) {
            match std::fs::remove_dir_all(&path) {
                Ok(()) => tracing::debug!(path = %path.display(), "an abandoned folder is removed"),
                Err(error) => tracing::debug!(path = %path.display(), %error, "it stays behind"),
            }
        }
    }
}

/// Whether the folder, no link to one, belongs to the user that a folder of ours belongs to.
#[cfg(unix)]
fn is_same_users(path: &Path, ours: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let owner = |path| std::fs::symlink_metadata(path).ok().filter(|found| found.is_dir());
    matches!((owner(path), owner(ours)), (Some(a), Some(b)) if a.uid() == b.uid())
}

#[cfg(not(unix))]
fn is_same_users(_: &Path, _: &Path) -> bool {
    false
}

/// Whether the folder is signed by a process that could be seen from here, and is not there: of another machine or
/// container nobody here can say whether it lives.
fn is_abandoned(folder: &Path) -> bool {
    let text = std::fs::read_to_string(folder.join(FILE));
    text.ok().as_deref().and_then(owner).and_then(|owner| owner.lives()) == Some(false)
}

/// A line for the place of a process, and one for its number and its start.
fn text_of(process: &Process) -> String {
    format!("{}\n{} {}\n", process.place, process.pid, process.started)
}

fn owner(text: &str) -> Option<Process> {
    let (place, numbers) = text.trim_end().split_once('\n')?;
    let (pid, started) = numbers.split_once(' ')?;
    Some(Process { place: place.into(), pid: pid.parse().ok()?, started: started.parse().ok()? })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Goal: only what a process of this system left that is gone is removed, and nothing else.
    #[test]
    fn only_abandoned_folders_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let folder = |name: &str, text: Option<String>| {
            let path = parent.path().join(name);
            std::fs::create_dir(&path).unwrap();
            std::fs::write(path.join("results.db"), "x").unwrap();
            text.into_iter().for_each(|text| std::fs::write(path.join(FILE), text).unwrap());
            path
        };
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let signature = |pid| Some(text_of(&Process::of(pid)));
        let of_child = signature(child.id());
        let alive = folder("siltstone-alive", of_child.clone());
        let ours = folder("siltstone-ours", signature(std::process::id()));
        let unsigned = folder("siltstone-unsigned", None);
        let foreign = folder("other", of_child.clone());
        let elsewhere = folder("siltstone-elsewhere", Some("boot pid:[1]\n1 1\n".into()));
        let link = parent.path().join("siltstone-link");
        std::os::unix::fs::symlink(&foreign, &link).unwrap();
        remove_abandoned(parent.path(), &ours);
        assert!(alive.exists());
        child.kill().unwrap();
        child.wait().unwrap();
        remove_abandoned(parent.path(), &ours);
        assert!(!alive.exists());
        for kept in [ours.clone(), unsigned, foreign, elsewhere, link] {
            assert!(kept.join("results.db").exists(), "{}", kept.display());
        }
        // The number was given to another process.
        let again = folder(
            "siltstone-again",
            signature(std::process::id())
                .map(|text| format!("{} 1\n", text.trim_end().rsplit_once(' ').unwrap().0)),
        );
        remove_abandoned(parent.path(), &ours);
        assert!(!again.exists() && ours.exists());
    }
}
