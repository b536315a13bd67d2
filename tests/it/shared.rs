//! The data that lives beside the project: `SILTSTONE_SHARED`, or `../shared`.

use std::path::PathBuf;

/// A folder of the shared data, for a test that has `#[needs(shared)]`.
pub(crate) fn folder(name: &str) -> PathBuf {
    let root = std::env::var_os("SILTSTONE_SHARED")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"));
    let folder = root.join(name);
    assert!(
        folder.is_dir(),
        "{} is not there (SILTSTONE_SHARED says where to look)",
        folder.display()
    );
    folder
}

/// A small file system in memory; gone when dropped.
#[cfg(target_os = "linux")]
pub(crate) struct Mounted(std::path::PathBuf);

#[cfg(target_os = "linux")]
impl Mounted {
    /// For a test that has `#[needs(small_disk)]`.
    pub(crate) fn small(at: &std::path::Path) -> Self {
        Mounted::try_small(at).expect("this process may mount a small file system")
    }

    /// `None` where this process may not mount.
    pub(crate) fn try_small(at: &std::path::Path) -> Option<Self> {
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(at);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then(|| Mounted(at.to_owned()))
    }
}

#[cfg(target_os = "linux")]
impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).output();
    }
}
