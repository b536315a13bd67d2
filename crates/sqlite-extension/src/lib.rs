//! Compacted tables of Siltstone in any SQLite: `sqlite3 run.db -cmd '.load ./libsiltstone'`.
//!
//! See `docs/sqlite-extension.md`. The functions are the library's; here is only what SQLite looks for.

use std::ffi::{c_char, c_int, c_void};

/// What SQLite calls when it loads the extension.
///
/// # Safety
/// The arguments are SQLite's: a connection, where to put a message, and its routines.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sqlite3_extension_init(
    db: *mut c_void,
    message: *mut *mut c_char,
    routines: *const c_void,
) -> c_int {
    // SAFETY: the caller's arguments are those that the library expects.
    unsafe { library::sqlite_extension_init(db.cast(), message, routines.cast_mut().cast()) }
}
