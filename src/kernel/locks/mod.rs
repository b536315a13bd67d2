//! SQLite's locks, made immune to a second SQLite library in the same process (Linux only).
//!
//! A Python process often holds two SQLite libraries: ours, and that of `import sqlite3`. POSIX
//! locks belong to the process and the inode: when either library closes any descriptor of a file,
//! the locks of both are gone, a second process may write at the same time, and acknowledged rows
//! vanish. [`install`] replaces these system calls of our copy's `unix` VFS:
//!
//! - `fcntl`: a POSIX lock becomes an open-file-description lock, which no `close` elsewhere
//!   cancels. SQLite counts locks per inode and may release through one descriptor what it took
//!   through another, so all locks of an inode go through one description, its *lock holder*. The
//!   two kinds of lock conflict with each other: stock SQLite is kept out as ever.
//! - `close`: our `close` would cancel the locks of the *other* library, so the descriptor is
//!   parked instead, even if we never locked the file. When our last descriptor of an inode goes,
//!   the holder's locks are released, as a real close would have done: SQLite leaves the lock of
//!   the `-shm` file to it.
//! - `open`: a parked descriptor of the same inode and access mode is handed out again, so the
//!   parked ones of a file never exceed the most that were ever open at once.
//! - `pread`: not for the locks. A read that fails is told as such, where SQLite would call the file
//!   damaged.
//!
//! **Lock holder.** A description of its own (`/proc/self/fd/N` opened again, with the access of
//! the descriptor that locks first); without `/proc` a duplicate of that descriptor. It is not
//! opened for writing before someone writes: on an overlay file system that would copy the file,
//! and watchers would report a write. When a writer comes to an inode whose holder is read-only,
//! the holder is replaced: the new one first takes the same read locks, which cannot fail, since
//! nobody else can hold a write lock there. A write lock through a read-only descriptor stays
//! `EBADF`.
//!
//! **What is closed after all.** Files without a name, looked for a few at a time whenever a file
//! is opened or closed; until then their disk space is not given back. Also, past [`IDLE_FILES`]
//! files that we have no longer open, those which nobody locks: while a lock on the whole file is
//! ours, no other lock exists that the close could cancel. Another process may see that as busy
//! for some microseconds. A file that we opened only for reading cannot be locked so: there a read
//! lock that the other library takes in the very microseconds between check and close is lost.
//! Journals and `-wal` files carry no locks and are closed as ever.
//!
//! **Fork.** A child would share the descriptions, and with them the locks. So it drops holders and
//! parked descriptors at once, through `pthread_atfork`: it can neither release the parent's locks
//! nor keep them alive, and a database that it opens anew has locks of its own. A connection
//! that was open at the fork must not be used in the child, and no other be opened to
//! its file there, since SQLite's own lists still count the parent's locks as held. (Without
//! `/proc` the holder shares its description with a connection, and closing that connection in the
//! child releases the parent's locks.)
//!
//! Elsewhere than on 64-bit Linux, and on a kernel without such locks, nothing is replaced.
//!
//! # Source
//! <https://sqlite.org/howtocorrupt.html>, 2.2; `F_OFD_SETLK` in fcntl(2).

#[cfg(all(target_os = "linux", target_pointer_width = "64", not(feature = "extension")))]
#[allow(unused_imports, reason = "`counts` is for statistics and tests")]
pub(crate) use linux::{Counts, IDLE_FILES, counts, install, is_inherited};

/// Does nothing on this system, nor to the SQLite of a program that has loaded us: our locks are SQLite's own, and a second SQLite library in this
/// process that closes the file cancels them.
#[cfg(not(all(target_os = "linux", target_pointer_width = "64", not(feature = "extension"))))]
pub(crate) fn install() {}

/// Not known on this system: nothing here sees a fork.
#[cfg(not(all(target_os = "linux", target_pointer_width = "64", not(feature = "extension"))))]
pub(crate) fn is_inherited(_path: &std::path::Path) -> bool {
    false
}

#[cfg(all(target_os = "linux", target_pointer_width = "64", not(feature = "extension")))]
mod linux;
#[cfg(all(target_os = "linux", target_pointer_width = "64", not(feature = "extension")))]
mod reads;

#[cfg(all(test, target_os = "linux", target_pointer_width = "64"))]
mod tests;
