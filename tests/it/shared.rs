//! The data that lives beside the project: `SILTSTONE_SHARED`, or `../shared`.

use std::path::PathBuf;

/// A folder of the shared data; `None`, said in a line, if it is not there.
pub(crate) fn folder(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SILTSTONE_SHARED")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"));
    let folder = root.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: {} is not there (SILTSTONE_SHARED says where to look)", folder.display());
    None
}

/// A small file system in memory; gone when dropped.
#[cfg(target_os = "linux")]
pub(crate) struct Mounted(std::path::PathBuf);

#[cfg(target_os = "linux")]
impl Mounted {
    /// `None`, said in a line, where this process may not mount.
    pub(crate) fn small(at: &std::path::Path) -> Option<Self> {
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(at);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("skipped: a small file system cannot be mounted here");
        }
        mounted.then(|| Mounted(at.to_owned()))
    }
}

#[cfg(target_os = "linux")]
impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).output();
    }
}
