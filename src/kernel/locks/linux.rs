//! The replaced system calls.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::mem::MaybeUninit;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use libc::{O_CLOEXEC, flock};
use rusqlite::ffi;

use super::reads; // among the calls that are replaced here; errors are set as here

/// Files that nobody has open any more and whose descriptors are kept all the same.
pub(crate) const IDLE_FILES: usize = 64;
/// Idle files looked at per opened or closed file: bounds the cost of a call.
const SWEPT_PER_CALL: usize = 4;
/// Descriptors below this number have the short way to their lock holder.
const CACHED: usize = 1024;
/// 0, 1 and 2 are never ours: what a program prints must not land in a database.
const LOWEST: c_int = 3;

static INSTALLED: AtomicBool = AtomicBool::new(false);
static REGISTRY: Mutex<Registry> = Mutex::new(Registry::new());
/// Writable descriptor -> writable lock holder, or -1. Such a holder is neither replaced nor
/// closed while a descriptor of its inode is in use, so an entry stays true until `close`.
static HOLDER_OF: [AtomicI32; CACHED] = [const { AtomicI32::new(-1) }; CACHED];

thread_local! {
    /// The registry, locked from before a fork until after it.
    static ACROSS_FORK: Cell<Option<MutexGuard<'static, Registry>>> = const { Cell::new(None) };
}

/// Replaces the system calls, once per process, for every connection of our copy of SQLite.
///
/// To be called before the first connection is opened: a lock taken earlier stays a POSIX lock.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| INSTALLED.store(replace_system_calls(), Ordering::Relaxed));
}

/// What the replaced system calls hold at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "for statistics and tests")]
pub(crate) struct Counts {
    /// Whether the system calls are replaced: false on a kernel without such locks.
    pub(crate) installed: bool,
    /// Inodes that have an entry.
    pub(crate) files: usize,
    /// Descriptors that SQLite uses.
    pub(crate) in_use: usize,
    /// Descriptors that SQLite closed and that are kept.
    pub(crate) parked: usize,
    /// Descriptors that carry the locks, at most one an inode.
    pub(crate) holders: usize,
}

/// Counts descriptors, for statistics and tests.
#[allow(dead_code, reason = "for statistics and tests")]
pub(crate) fn counts() -> Counts {
    let registry = registry();
    Counts {
        installed: INSTALLED.load(Ordering::Relaxed),
        files: registry.files.len(),
        in_use: registry.in_use.len(),
        parked: registry.files.values().map(|file| file.parked.len()).sum(),
        holders: registry.files.values().filter(|file| file.holder.is_some()).count(),
    }
}

fn replace_system_calls() -> bool {
    if !kernel_has_description_locks() {
        return false;
    }
    type Call = unsafe extern "C" fn();
    // SAFETY: SQLite calls each function with the arguments of the system call it stands for;
    // `fcntl` is called as variadic, which on 64-bit Linux passes three words as usual.
    let calls: [(&CStr, Call); 4] = unsafe {
        [
            (c"fcntl", std::mem::transmute::<unsafe extern "C" fn(_, _, _) -> _, Call>(fcntl)),
            (c"close", std::mem::transmute::<unsafe extern "C" fn(_) -> _, Call>(close)),
            (c"open", std::mem::transmute::<unsafe extern "C" fn(_, _, _) -> _, Call>(open)),
            (
                c"pread",
                std::mem::transmute::<unsafe extern "C" fn(_, _, _, _) -> _, Call>(reads::pread),
            ),
        ]
    };
    // SAFETY: the VFS lives for ever once SQLite is initialized, which the lookup sees to; the
    // names end in NUL; the fork handlers are functions of this library.
    unsafe {
        let vfs = ffi::sqlite3_vfs_find(c"unix".as_ptr());
        let Some(set) = vfs.as_ref().and_then(|vfs| vfs.xSetSystemCall) else { return false };
        if libc::pthread_atfork(Some(before_fork), Some(parent), Some(child)) != 0 {
            return false;
        }
        let done =
            calls.iter().all(|(name, call)| set(vfs, name.as_ptr(), Some(*call)) == ffi::SQLITE_OK);
        if !done {
            calls.iter().for_each(|(name, _)| {
                set(vfs, name.as_ptr(), None);
            });
        }
        done
    }
}

/// Linux before 3.15 and some sandboxes have only the locks that a close cancels.
fn kernel_has_description_locks() -> bool {
    // SAFETY: a descriptor of our own, made and closed here.
    unsafe {
        let fd = libc::memfd_create(c"siltstone-locks".as_ptr(), libc::MFD_CLOEXEC);
        let known = fd >= 0 && lock(fd, libc::F_OFD_SETLK, libc::F_WRLCK, WHOLE) == 0;
        if fd >= 0 {
            libc::close(fd);
        }
        known
    }
}

/// Stands for `fcntl(2)`: locks go to the lock holder of the inode.
unsafe extern "C" fn fcntl(fd: c_int, command: c_int, argument: *mut c_void) -> c_int {
    let ours = match command {
        libc::F_SETLK => libc::F_OFD_SETLK,
        libc::F_SETLKW => libc::F_OFD_SETLKW,
        libc::F_GETLK => libc::F_OFD_GETLK,
        // SAFETY: passed on as it came.
        _ => return unsafe { libc::fcntl(fd, command, argument) },
    };
    let request = argument.cast::<flock>();
    // SAFETY: with these commands SQLite passes its own `struct flock`, valid for the call. It
    // may hold bytes never written, so no reference is made; the kernel wants `l_pid` 0.
    let kind = unsafe {
        (*request).l_pid = 0;
        c_int::from((*request).l_type)
    };
    if let Some(holder) = short_way(fd) {
        // SAFETY: the holder is open while `fd` is (see `HOLDER_OF`); `request` as above.
        return unsafe { libc::fcntl(holder, ours, request) };
    }
    let mut registry = registry();
    let Some((file, access)) = registry.lockable(fd) else {
        drop(registry);
        // SAFETY: passed on as it came.
        return unsafe { libc::fcntl(fd, command, argument) };
    };
    if kind == libc::F_WRLCK && ours != libc::F_OFD_GETLK && access == libc::O_RDONLY {
        drop(registry);
        set_error(libc::EBADF);
        return -1;
    }
    let Some(holder) = file.holder_for(fd, access) else {
        let error = last_error();
        drop(registry);
        set_error(error);
        return -1;
    };
    if holder.writable {
        if access != libc::O_RDONLY {
            remember_short_way(fd, holder.fd);
        }
        drop(registry);
        // SAFETY: as above: `fd` is in use, so its holder stays open.
        return unsafe { libc::fcntl(holder.fd, ours, request) };
    }
    // A read-only holder may be replaced, so its locks change only under the registry's mutex.
    // SAFETY: as above.
    let result = unsafe { libc::fcntl(holder.fd, ours, request) };
    let error = last_error();
    if result == 0 && ours != libc::F_OFD_GETLK {
        // SAFETY: as above; both fields were set by SQLite.
        let (start, length) = unsafe { ((*request).l_start, (*request).l_len) };
        file.note_read_lock(kind, start, length);
    }
    drop(registry);
    set_error(error);
    result
}

/// Stands for `close(2)`: parks what may carry somebody's locks.
unsafe extern "C" fn close(fd: c_int) -> c_int {
    if registry().park(fd) {
        return 0;
    }
    // SAFETY: passed on as it came; nothing here knows this descriptor.
    unsafe { libc::close(fd) }
}

/// Stands for `open(2)`: a parked descriptor first.
unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: c_int) -> c_int {
    let fresh = libc::O_EXCL | libc::O_TRUNC | libc::O_DIRECTORY | libc::O_PATH;
    // SAFETY: SQLite passes a path that ends in NUL and is valid for the call.
    let name = unsafe { CStr::from_ptr(path) };
    if flags & fresh == 0
        && let Some(fd) = registry().hand_out(name, flags)
    {
        return fd;
    }
    // SAFETY: passed on as it came.
    let fd = unsafe { libc::open(path, flags, mode) };
    // A journal has no locks to lose, and is deleted after its close: kept, it would fill disk.
    let journal = [&b"-wal"[..], b"-journal"].iter().any(|end| name.to_bytes().ends_with(end));
    if fd >= LOWEST && !journal {
        let mut registry = registry();
        registry.sweep();
        registry.enter(fd, Some(flags));
    }
    fd
}

/// Whether the parent had this file open when it forked us. SQLite's own lists then count the
/// parent's locks as held here, so a connection of ours would write without any.
pub(crate) fn is_inherited(path: &Path) -> bool {
    let Ok(found) = std::fs::metadata(path) else { return false };
    let inode = Inode { device: found.dev(), number: found.ino() };
    registry().in_use.values().any(|known| known.inherited && known.inode == inode)
}

/// What a descriptor stands for. An inode number is used again only after every descriptor of
/// the old file is closed, hence never while the registry holds one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Inode {
    device: libc::dev_t,
    number: libc::ino_t,
}

struct InUse {
    inode: Inode,
    mode: c_int,
    /// Came over a fork: its file offset is shared with the parent, so nobody may use it again.
    inherited: bool,
}

#[derive(Clone, Copy)]
struct Parked {
    fd: c_int,
    mode: c_int,
    reusable: bool,
}

#[derive(Clone, Copy)]
struct Holder {
    fd: c_int,
    writable: bool,
}

/// One inode. Invariant: `holder` outlives every descriptor in use; with none in use it
/// holds no lock.
#[derive(Default)]
struct File {
    holder: Option<Holder>,
    /// Ranges `start..end` that a read-only holder has locked, to hand over to a writable one.
    read_locks: Vec<(i64, i64)>,
    parked: Vec<Parked>,
    in_use: usize,
    in_idle: bool,
}

struct Registry {
    files: BTreeMap<Inode, File>,
    in_use: BTreeMap<c_int, InUse>,
    /// Files to look at in turn, each at most once; may name files that are in use again.
    idle: VecDeque<Inode>,
}

impl Registry {
    const fn new() -> Self {
        Registry { files: BTreeMap::new(), in_use: BTreeMap::new(), idle: VecDeque::new() }
    }

    /// Takes up a descriptor that SQLite uses; `None` if it is no regular file.
    fn enter(&mut self, fd: c_int, flags: Option<c_int>) -> Option<()> {
        // SAFETY: asks for flags, no memory involved.
        let flags = flags.unwrap_or_else(|| unsafe { libc::fcntl(fd, libc::F_GETFL) });
        let (inode, _) = regular_file(fd)?;
        self.leave(fd); // Somebody closed that number behind our back.
        self.files.entry(inode).or_default().in_use += 1;
        self.in_use.insert(fd, InUse { inode, mode: mode(flags), inherited: false });
        Some(())
    }

    fn leave(&mut self, fd: c_int) -> Option<InUse> {
        let known = self.in_use.remove(&fd)?;
        forget_short_way(fd);
        if let Some(file) = self.files.get_mut(&known.inode) {
            file.in_use -= 1;
        }
        Some(known)
    }

    /// The file of a descriptor about to be locked, and the descriptor's access.
    fn lockable(&mut self, fd: c_int) -> Option<(&mut File, c_int)> {
        if !self.in_use.contains_key(&fd) {
            self.enter(fd, None)?;
        }
        let known = self.in_use.get(&fd)?;
        let file = self.files.get_mut(&known.inode)?;
        Some((file, known.mode & libc::O_ACCMODE))
    }

    /// Keeps `fd` instead of closing it; false if it is not ours to keep.
    fn park(&mut self, fd: c_int) -> bool {
        let Some(InUse { inode, mode, inherited }) = self.leave(fd) else { return false };
        let Some(file) = self.files.get_mut(&inode) else { return false };
        file.parked.push(Parked { fd, mode, reusable: !inherited });
        if file.in_use == 0 {
            file.release_all();
            if file.is_deleted(inode) {
                self.forget(inode);
            } else if !std::mem::replace(&mut file.in_idle, true) {
                self.idle.push_back(inode);
            }
            self.sweep();
        }
        true
    }

    /// A parked descriptor for that path, as `open` would have returned it.
    fn hand_out(&mut self, path: &CStr, flags: c_int) -> Option<c_int> {
        if self.files.is_empty() {
            return None;
        }
        let inode = inode_at(path, flags)?;
        let file = self.files.get_mut(&inode)?;
        let fits = |parked: &Parked| parked.reusable && parked.mode == mode(flags);
        let at = file.parked.iter().position(fits)?;
        if !may_open(path, flags) {
            return None; // `open` shall say why.
        }
        let Parked { fd, mode, .. } = file.parked.swap_remove(at);
        if regular_file(fd)?.0 != inode {
            return None; // Somebody closed it behind our back.
        }
        file.in_use += 1;
        self.in_use.insert(fd, InUse { inode, mode, inherited: false });
        Some(fd)
    }

    /// Looks at some idle files: deleted ones go, and of too many those which nobody locks.
    fn sweep(&mut self) {
        for _ in 0..SWEPT_PER_CALL.min(self.idle.len()) {
            let too_many = self.idle.len() > IDLE_FILES;
            let Some(inode) = self.idle.pop_front() else { return };
            let Some(file) = self.files.get_mut(&inode) else { continue };
            if file.in_use > 0 {
                file.in_idle = false;
            } else if file.is_deleted(inode) || (too_many && file.lock_out_everybody()) {
                self.forget(inode);
            } else {
                self.idle.push_back(inode);
            }
        }
    }

    /// Closes all that is kept of an inode.
    fn forget(&mut self, inode: Inode) {
        if let Some(file) = self.files.remove(&inode) {
            file.close_all(inode);
        }
    }
}

impl File {
    /// The lock holder, made or replaced if need be; `None`, with `errno`, if none can be made.
    fn holder_for(&mut self, fd: c_int, access: c_int) -> Option<Holder> {
        let writable = access != libc::O_RDONLY;
        match self.holder {
            Some(holder) if holder.writable || !writable => return Some(holder),
            old => {
                let new = Holder { fd: open_again(fd, access)?, writable };
                if let Some(old) = old {
                    self.hand_over(old, new)?;
                }
                self.holder = Some(new);
            }
        }
        self.holder
    }

    /// Moves the read locks from one holder to the next, without a gap. The old one is parked,
    /// not closed: that would cancel the other library's locks.
    fn hand_over(&mut self, old: Holder, new: Holder) -> Option<()> {
        let taken = self
            .read_locks
            .iter()
            .all(|&range| lock(new.fd, libc::F_OFD_SETLK, libc::F_RDLCK, range) == 0);
        let (kept, mode) = if taken { (old, libc::O_RDONLY) } else { (new, libc::O_RDWR) };
        let error = last_error();
        lock(kept.fd, libc::F_OFD_SETLK, libc::F_UNLCK, WHOLE);
        self.parked.push(Parked { fd: kept.fd, mode, reusable: false });
        set_error(error);
        if taken {
            self.read_locks.clear();
        }
        taken.then_some(())
    }

    /// Keeps the book of a read-only holder's locks.
    fn note_read_lock(&mut self, kind: c_int, start: i64, length: i64) {
        let end = if length == 0 { i64::MAX } else { start.saturating_add(length) };
        let rest = |&(from, to): &(i64, i64)| [(from, to.min(start)), (from.max(end), to)];
        self.read_locks = self.read_locks.iter().flat_map(rest).filter(|r| r.0 < r.1).collect();
        if kind == libc::F_RDLCK {
            self.read_locks.push((start, end));
        }
    }

    /// What closing the last descriptor does to POSIX locks.
    fn release_all(&mut self) {
        if let Some(holder) = self.holder {
            lock(holder.fd, libc::F_OFD_SETLK, libc::F_UNLCK, WHOLE);
        }
        self.read_locks.clear();
    }

    /// Whether no name leads to the file any more.
    fn is_deleted(&self, inode: Inode) -> bool {
        let kept = self.holder.map(|h| h.fd).or(self.parked.first().map(|p| p.fd));
        match kept.and_then(regular_file) {
            Some((found, links)) => found != inode || links == 0,
            None => true,
        }
    }

    /// True if nobody holds a lock and, as far as we may write, nobody can take one until the
    /// holder is closed.
    fn lock_out_everybody(&mut self) -> bool {
        let Some(holder) = self.holder.or_else(|| {
            let writable = |parked: &Parked| parked.mode & libc::O_ACCMODE != libc::O_RDONLY;
            let at = self.parked.iter().position(writable).unwrap_or(0);
            let parked = (at < self.parked.len()).then(|| self.parked.swap_remove(at))?;
            Some(Holder { fd: parked.fd, writable: writable(&parked) })
        }) else {
            return true;
        };
        self.holder = Some(holder);
        if holder.writable {
            return lock(holder.fd, libc::F_OFD_SETLK, libc::F_WRLCK, WHOLE) == 0;
        }
        let alone = lock(holder.fd, libc::F_OFD_SETLK, libc::F_RDLCK, WHOLE) == 0
            && is_unlocked_by_others(holder.fd);
        if !alone {
            lock(holder.fd, libc::F_OFD_SETLK, libc::F_UNLCK, WHOLE);
        }
        alone
    }

    /// Closes the descriptors that are still those of `inode`, the holder and its lock last.
    fn close_all(self, inode: Inode) {
        let parked = self.parked.iter().map(|parked| parked.fd);
        for fd in parked.chain(self.holder.map(|holder| holder.fd)) {
            if regular_file(fd).is_some_and(|(found, _)| found == inode) {
                // SAFETY: the descriptor is ours, and SQLite has given it back.
                unsafe { libc::close(fd) };
            }
        }
    }
}

/// A range `start..end`; `i64::MAX` stands for "and all that may be appended".
const WHOLE: (i64, i64) = (0, i64::MAX);

fn request(kind: c_int, (start, end): (i64, i64)) -> flock {
    flock {
        l_type: kind as libc::c_short, // F_RDLCK, F_WRLCK or F_UNLCK: 0, 1, 2
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: start,
        l_len: if end == i64::MAX { 0 } else { end - start },
        l_pid: 0,
    }
}

fn lock(fd: c_int, command: c_int, kind: c_int, range: (i64, i64)) -> c_int {
    let mut asked = request(kind, range);
    // SAFETY: the kernel reads and writes a `flock` of our own.
    unsafe { libc::fcntl(fd, command, &raw mut asked) }
}

fn is_unlocked_by_others(fd: c_int) -> bool {
    let mut asked = request(libc::F_WRLCK, WHOLE);
    // SAFETY: the kernel reads and writes a `flock` of our own.
    let result = unsafe { libc::fcntl(fd, libc::F_OFD_GETLK, &raw mut asked) };
    result == 0 && c_int::from(asked.l_type) == libc::F_UNLCK
}

/// A second description of an open file, or else a second descriptor of its description.
fn open_again(fd: c_int, access: c_int) -> Option<c_int> {
    let (inode, _) = regular_file(fd)?;
    let path = CString::new(format!("/proc/self/fd/{fd}")).ok()?;
    // SAFETY: a path of our own, ending in NUL; what is closed here was opened here.
    unsafe {
        let again = libc::open(path.as_ptr(), access | O_CLOEXEC);
        if again >= LOWEST && regular_file(again).is_some_and(|(found, _)| found == inode) {
            return Some(again);
        }
        if again >= 0 {
            libc::close(again);
        }
        let double = libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, LOWEST);
        (double >= 0).then_some(double)
    }
}

/// Inode and number of names of a regular file.
fn regular_file(fd: c_int) -> Option<(Inode, libc::nlink_t)> {
    let mut found = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the kernel fills the structure, and it is read only if it did.
    let found = unsafe { (libc::fstat(fd, found.as_mut_ptr()) == 0).then(|| found.assume_init())? };
    let regular = found.st_mode & libc::S_IFMT == libc::S_IFREG;
    regular.then_some((Inode { device: found.st_dev, number: found.st_ino }, found.st_nlink))
}

/// The inode that `open` with these flags would reach.
fn inode_at(path: &CStr, flags: c_int) -> Option<Inode> {
    let follow = if flags & libc::O_NOFOLLOW == 0 { 0 } else { libc::AT_SYMLINK_NOFOLLOW };
    let mut found = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the path ends in NUL; the structure is read only if the kernel filled it.
    let found = unsafe {
        (libc::fstatat(libc::AT_FDCWD, path.as_ptr(), found.as_mut_ptr(), follow) == 0)
            .then(|| found.assume_init())?
    };
    Some(Inode { device: found.st_dev, number: found.st_ino })
}

/// Whether `open` would still allow it: permissions may have changed since.
fn may_open(path: &CStr, flags: c_int) -> bool {
    let wanted = match flags & libc::O_ACCMODE {
        libc::O_RDONLY => libc::R_OK,
        libc::O_WRONLY => libc::W_OK,
        _ => libc::R_OK | libc::W_OK,
    };
    // SAFETY: the path ends in NUL.
    unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), wanted, libc::AT_EACCESS) == 0 }
}

/// The flags that two descriptors must share for one to stand for the other.
fn mode(flags: c_int) -> c_int {
    flags & (libc::O_ACCMODE | libc::O_APPEND | libc::O_SYNC | libc::O_DIRECT | libc::O_NONBLOCK)
}

fn short_way(fd: c_int) -> Option<c_int> {
    let holder = HOLDER_OF.get(usize::try_from(fd).ok()?)?.load(Ordering::Acquire);
    (holder >= 0).then_some(holder)
}

fn remember_short_way(fd: c_int, holder: c_int) {
    if let Some(slot) = usize::try_from(fd).ok().and_then(|fd| HOLDER_OF.get(fd)) {
        slot.store(holder, Ordering::Release);
    }
}

fn forget_short_way(fd: c_int) {
    remember_short_way(fd, -1);
}

/// A panic under the mutex leaves nothing half done that matters more than going on.
fn registry() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn last_error() -> c_int {
    // SAFETY: the C library's own variable of this thread.
    unsafe { *libc::__errno_location() }
}

pub(super) fn set_error(error: c_int) {
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = error }
}

/// No other thread is in the middle of a change when the child copies the registry.
unsafe extern "C" fn before_fork() {
    let guard = registry();
    let _ = ACROSS_FORK.try_with(|slot| slot.set(Some(guard)));
}

unsafe extern "C" fn parent() {
    let _ = ACROSS_FORK.try_with(Cell::take);
}

/// Nothing that carries the parent's locks or file offsets stays for use in the child. Closing
/// is safe: a new process has no POSIX locks to lose.
unsafe extern "C" fn child() {
    let Ok(Some(mut registry)) = ACROSS_FORK.try_with(Cell::take) else { return };
    let registry = &mut *registry;
    registry.idle.clear();
    for (&fd, known) in &mut registry.in_use {
        forget_short_way(fd);
        known.inherited = true;
    }
    registry.files.retain(|&inode, file| {
        let in_use = file.in_use;
        std::mem::take(file).close_all(inode);
        file.in_use = in_use;
        in_use > 0
    });
}
