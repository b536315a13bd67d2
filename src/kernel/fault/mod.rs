//! A disk that loses power and one that fails, for tests.
//!
//! [`install`] puts a shim before SQLite's own VFS, for the whole test process; it passes on
//! what it does not know. In a folder that a [`Disk`] watches it keeps beside each file what the
//! disk would hold:
//!
//! - an image of each file as of its last `xSync`, and the 512-byte sectors written since. After a
//!   loss of power any subset of these may be there.
//! - names: a new file's name survives once the file is synced, or the folder is (SQLite syncs it
//!   with the first sync of a new journal or log). A removed file may come back until then.
//!
//! With each write, truncation, sync and removal it may cut: it copies what the disk could hold at that
//! instant into a folder of its own, and notes how many writes had been acknowledged.
//!
//! The shared-memory file is memory, and is gone with the power.

mod shim;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::c_int;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shim::install;

/// What a disk writes as a whole.
const SECTOR: usize = 512;

/// The disks that are watched, by folder.
static DISKS: Mutex<BTreeMap<PathBuf, Arc<Disk>>> = Mutex::new(BTreeMap::new());

/// What is done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Read,
    Write,
    Truncate,
    Sync,
    Delete,
}

/// How many seeds the losses of power are tried with; `SILTSTONE_FAULT_SEEDS` asks for more.
pub(crate) fn seeds() -> u64 {
    let asked = std::env::var("SILTSTONE_FAULT_SEEDS").ok();
    asked.map_or(6, |text| text.parse().expect("SILTSTONE_FAULT_SEEDS is a number"))
}

/// A folder whose writes are watched, and may fail.
pub(crate) struct Disk {
    folder: PathBuf,
    /// Writes that the test was told are stored.
    acknowledged: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<PathBuf, Name>,
    random: u64,
    /// One operation in so many is followed by a loss of power; 0: none.
    cut_every: u64,
    cuts: Vec<Cut>,
    fault: Option<Fault>,
    /// Operations that failed as asked.
    failed: u64,
}

/// The disk after a loss of power.
pub(crate) struct Cut {
    pub(crate) folder: PathBuf,
    pub(crate) acknowledged: u64,
}

/// Operations that fail from one moment on.
#[derive(Debug, Clone, Copy)]
struct Fault {
    operation: Operation,
    /// How many of them still go well, and how many fail then.
    after: u64,
    times: u64,
    code: c_int,
}

/// A name in the folder, in memory and on the disk.
#[derive(Default)]
struct Name {
    live: Option<Image>,
    /// What the disk has under that name, if that is another file or none.
    durable: Option<Option<Image>>,
}

#[derive(Default, Clone)]
struct Image {
    synced: Vec<u8>,
    current: Vec<u8>,
    /// Sectors that differ, by number.
    dirty: BTreeSet<usize>,
}

impl Image {
    fn write(&mut self, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        if self.current.len() < end {
            self.current.resize(end, 0);
        }
        self.current[at..end].copy_from_slice(bytes);
        self.dirty.extend(at / SECTOR..end.div_ceil(SECTOR));
    }

    fn sync(&mut self) {
        self.synced.clone_from(&self.current);
        self.dirty.clear();
    }

    /// What the disk may hold when the power goes.
    fn after_power_loss(&self, random: &mut dyn FnMut(u64) -> u64) -> Vec<u8> {
        let mut left = self.synced.clone();
        if left.len() > self.current.len() && random(2) == 0 {
            left.truncate(self.current.len());
        }
        // Nothing, everything, most or few of what was not synced.
        let odds = [0, 100, 90, 10][random(4) as usize];
        for sector in &self.dirty {
            let from = sector * SECTOR;
            let to = (from + SECTOR).min(self.current.len());
            if from < to && random(100) < odds {
                if left.len() < to {
                    left.resize(to, 0);
                }
                left[from..to].copy_from_slice(&self.current[from..to]);
            }
        }
        left
    }
}

impl State {
    fn random(&mut self, below: u64) -> u64 {
        self.random =
            self.random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.random >> 33) % below
    }

    /// The failure that is due for an operation.
    fn fails(&mut self, operation: Operation) -> Option<c_int> {
        let fault = self.fault.as_mut().filter(|fault| fault.operation == operation)?;
        if fault.after > 0 {
            fault.after -= 1;
            return None;
        }
        if fault.times == 0 {
            return None;
        }
        fault.times -= 1;
        self.failed += 1;
        Some(fault.code)
    }

    /// The names of the folder reach the disk.
    fn sync_folder(&mut self) {
        self.files.values_mut().for_each(|name| name.durable = None);
    }
}

impl Disk {
    /// Watches a folder; its files so far are on the disk.
    pub(crate) fn watch(folder: &Path, seed: u64) -> Arc<Self> {
        install();
        let folder = folder.canonicalize().expect("the test's own folder");
        let state = State { random: seed, ..State::default() };
        let acknowledged = AtomicU64::new(0);
        let disk =
            Arc::new(Disk { folder: folder.clone(), acknowledged, state: Mutex::new(state) });
        disks().insert(folder, disk.clone());
        disk
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One operation in `every` is followed by a loss of power.
    pub(crate) fn cut_every(&self, every: u64) {
        self.state().cut_every = every;
    }

    /// Says that `n` writes were acknowledged.
    pub(crate) fn acknowledge(&self, n: u64) {
        self.acknowledged.store(n, Ordering::SeqCst);
    }

    /// The cuts so far.
    pub(crate) fn take_cuts(&self) -> Vec<Cut> {
        std::mem::take(&mut self.state().cuts)
    }

    fn set_fault(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    fn failed(&self) -> u64 {
        self.state().failed
    }

    /// An operation on a file: `change` is applied to its image, unless it fails.
    fn operate(
        &self,
        operation: Operation,
        real: impl FnOnce() -> c_int,
        change: impl FnOnce(&mut State),
    ) -> c_int {
        let mut state = self.state();
        if let Some(code) = state.fails(operation) {
            return code;
        }
        let result = real();
        if result == rusqlite::ffi::SQLITE_OK && operation != Operation::Read {
            change(&mut state);
            self.maybe_cut(&mut state);
        }
        result
    }

    fn maybe_cut(&self, state: &mut State) {
        if state.cut_every == 0 || state.random(state.cut_every) > 0 {
            return;
        }
        // Read first: what is acknowledged from now on is not in the copy.
        let acknowledged = self.acknowledged.load(Ordering::SeqCst);
        let folder = self.folder.with_extension(format!("cut-{}", state.cuts.len()));
        fs::create_dir_all(&folder).expect("a folder beside the test's own");
        let files = std::mem::take(&mut state.files);
        for (path, name) in &files {
            let old = name.durable.as_ref().filter(|_| state.random(2) == 0);
            let Some(image) = old.unwrap_or(&name.live) else { continue };
            let bytes = image.after_power_loss(&mut |below| state.random(below));
            let file = folder.join(path.file_name().expect("a file has a name"));
            fs::write(file, bytes).expect("space for the test");
        }
        state.files = files;
        state.cuts.push(Cut { folder, acknowledged });
    }

    fn opened(&self, path: &Path, before: Option<Vec<u8>>) {
        let mut state = self.state();
        let name = state.files.entry(path.to_owned()).or_default();
        if name.live.is_some() {
            return;
        }
        match before {
            Some(bytes) => {
                let synced = bytes.clone();
                name.live = Some(Image { synced, current: bytes, dirty: BTreeSet::new() });
            }
            None => {
                name.durable.get_or_insert(None); // the disk has what it had, or nothing
                name.live = Some(Image::default());
            }
        }
    }

    fn knows(&self, path: &Path) -> bool {
        self.state().files.get(path).is_some_and(|name| name.live.is_some())
    }
}

fn disks() -> MutexGuard<'static, BTreeMap<PathBuf, Arc<Disk>>> {
    DISKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The disk of a file, if it is watched; not for the shared memory.
fn disk_of(path: &Path) -> Option<Arc<Disk>> {
    disks().get(path.parent()?).cloned()
}
