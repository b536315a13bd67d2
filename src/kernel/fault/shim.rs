//! SQLite's VFS interface: each call asks the disk, then SQLite's own VFS.

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs};

use super::{Disk, Operation, disk_of};

/// Our part of an open file; SQLite's own follows it in the same allocation.
#[repr(C)]
struct File {
    base: sqlite3_file,
    watched: *mut Watched,
}

struct Watched {
    disk: Arc<Disk>,
    path: PathBuf,
    /// The first sync of a new journal or log syncs its folder too.
    new_log: bool,
}

/// Puts the shim before SQLite's own VFS, once.
pub(super) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: SQLite's default VFS lives for ever; ours is leaked and does so too. It is a copy,
        // so that every call that we do not name goes to the original functions.
        unsafe {
            let base = ffi::sqlite3_vfs_find(std::ptr::null());
            let mut ours = *base;
            ours.zName = c"faulty".as_ptr();
            ours.pNext = std::ptr::null_mut();
            ours.pAppData = base.cast();
            ours.szOsFile = size_of::<File>() as c_int + (*base).szOsFile;
            ours.iVersion = 2; // without the system calls, which are the original's
            ours.xOpen = Some(open);
            ours.xDelete = Some(delete);

            let ours = Box::leak(Box::new(ours));
            assert_eq!(ffi::sqlite3_vfs_register(ours, 1), ffi::SQLITE_OK);
        }
    });
}

/// The original VFS of a call to ours.
unsafe fn base(vfs: *mut sqlite3_vfs) -> *mut sqlite3_vfs {
    // SAFETY: `install` put it there.
    unsafe { (*vfs).pAppData.cast() }
}

unsafe fn real(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: `szOsFile` asks for room for both.
    unsafe { file.cast::<u8>().add(size_of::<File>()).cast() }
}

unsafe fn watched<'a>(file: *mut sqlite3_file) -> Option<&'a mut Watched> {
    // SAFETY: set by `open`, freed by `close`; SQLite uses a file from one thread at a time.
    unsafe { (*file.cast::<File>()).watched.as_mut() }
}

unsafe fn path_of(name: *const c_char) -> Option<PathBuf> {
    // SAFETY: SQLite's names end in NUL; a temporary file has none.
    let name = unsafe { (!name.is_null()).then(|| CStr::from_ptr(name))? };
    Some(Path::new(OsStr::from_bytes(name.to_bytes())).to_owned())
}

/// Calls a method of the original.
macro_rules! original {
    ($methods:expr, $name:ident ( $($argument:expr),* $(,)? )) => {
        ((*$methods).$name.expect("the original VFS has every method"))($($argument),*)
    };
}

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite's arguments, passed on; `file` has room for both parts.
    unsafe {
        let ours = file.cast::<File>();
        (*ours).base.pMethods = std::ptr::null();
        (*ours).watched = std::ptr::null_mut();
        let kept = ffi::SQLITE_OPEN_MAIN_DB | ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_WAL;
        let path = path_of(name).filter(|_| flags & kept != 0);
        let found = path.and_then(|path| Some((disk_of(&path)?, path)));
        // Before it is made; a known file is not touched with plain calls.
        let before = match &found {
            Some((disk, path)) if !disk.knows(path) => std::fs::read(path).ok(),
            _ => None,
        };
        let result = original!(base(vfs), xOpen(base(vfs), name, real(file), flags, out));
        if result != ffi::SQLITE_OK {
            return result;
        }
        (*ours).base.pMethods = &raw const METHODS;
        if let Some((disk, path)) = found {
            let new_log =
                before.is_none() && !disk.knows(&path) && flags & ffi::SQLITE_OPEN_MAIN_DB == 0;
            disk.opened(&path, before);
            (*ours).watched = Box::into_raw(Box::new(Watched { disk, path, new_log }));
        }
        result
    }
}

unsafe extern "C" fn delete(vfs: *mut sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: SQLite's arguments, passed on.
    let real = || unsafe { original!(base(vfs), xDelete(base(vfs), name, sync)) };
    // SAFETY: as above.
    let path = unsafe { path_of(name) };
    let Some((disk, path)) = path.and_then(|path| Some((disk_of(&path)?, path))) else {
        return real();
    };
    disk.operate(Operation::Delete, real, |state| {
        if let Some(name) = state.files.get_mut(&path) {
            let gone = name.live.take();
            name.durable.get_or_insert(gone);
        }
        if sync != 0 {
            state.sync_folder();
        }
    })
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2, // no memory-mapped reads, which nobody could watch
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// Methods that are passed on as they are.
macro_rules! pass_on {
    ($($ours:ident = $theirs:ident ( $($argument:ident : $kind:ty),* ) $(-> $result:ty)?;)*) => { $(
        unsafe extern "C" fn $ours(file: *mut sqlite3_file, $($argument: $kind),*) $(-> $result)? {
            // SAFETY: SQLite's arguments, passed on with the original's own file.
            unsafe { original!((*real(file)).pMethods, $theirs(real(file), $($argument),*)) }
        }
    )* };
}

pass_on! {
    file_size = xFileSize(size: *mut sqlite3_int64) -> c_int;
    lock = xLock(level: c_int) -> c_int;
    unlock = xUnlock(level: c_int) -> c_int;
    check_reserved_lock = xCheckReservedLock(out: *mut c_int) -> c_int;
    file_control = xFileControl(operation: c_int, argument: *mut c_void) -> c_int;
    sector_size = xSectorSize() -> c_int;
    device_characteristics = xDeviceCharacteristics() -> c_int;
    shm_map = xShmMap(page: c_int, size: c_int, extend: c_int, out: *mut *mut c_void) -> c_int;
    shm_lock = xShmLock(offset: c_int, n: c_int, flags: c_int) -> c_int;
    shm_barrier = xShmBarrier();
    shm_unmap = xShmUnmap(delete: c_int) -> c_int;
    real_close = xClose() -> c_int;
    real_read = xRead(out: *mut c_void, size: c_int, at: sqlite3_int64) -> c_int;
    real_write = xWrite(bytes: *const c_void, size: c_int, at: sqlite3_int64) -> c_int;
    real_truncate = xTruncate(size: sqlite3_int64) -> c_int;
    real_sync = xSync(flags: c_int) -> c_int;
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: made by `open`, and SQLite closes a file once.
    unsafe {
        let ours = file.cast::<File>();
        if !(*ours).watched.is_null() {
            drop(Box::from_raw((*ours).watched));
            (*ours).watched = std::ptr::null_mut();
        }
        real_close(file)
    }
}

unsafe extern "C" fn read(
    file: *mut sqlite3_file,
    out: *mut c_void,
    size: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite's arguments, passed on.
    unsafe {
        let call = || real_read(file, out, size, at);
        match watched(file) {
            Some(watched) => watched.disk.operate(Operation::Read, call, |_| {}),
            None => call(),
        }
    }
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    bytes: *const c_void,
    size: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite's arguments, passed on; `bytes` holds `size` of them.
    unsafe {
        let call = || real_write(file, bytes, size, at);
        let Some(watched) = watched(file) else { return call() };
        let slice = std::slice::from_raw_parts(bytes.cast::<u8>(), size as usize);
        watched.disk.operate(Operation::Write, call, |state| {
            if let Some(image) = state.files.get_mut(&watched.path).and_then(|n| n.live.as_mut()) {
                image.write(at as usize, slice);
            }
        })
    }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    // SAFETY: SQLite's arguments, passed on.
    unsafe {
        let call = || real_truncate(file, size);
        let Some(watched) = watched(file) else { return call() };
        watched.disk.operate(Operation::Truncate, call, |state| {
            if let Some(image) = state.files.get_mut(&watched.path).and_then(|n| n.live.as_mut()) {
                image.current.truncate(size as usize);
            }
        })
    }
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    // The disk is the model's: a real sync would only cost time.
    // SAFETY: SQLite's arguments, passed on.
    unsafe {
        let Some(watched) = watched(file) else { return real_sync(file, flags) };
        watched.disk.operate(
            Operation::Sync,
            || ffi::SQLITE_OK,
            |state| {
                if let Some(name) = state.files.get_mut(&watched.path) {
                    name.durable = None;
                    if let Some(image) = name.live.as_mut() {
                        image.sync();
                    }
                }
                if std::mem::take(&mut watched.new_log) {
                    state.sync_folder();
                }
            },
        )
    }
}
