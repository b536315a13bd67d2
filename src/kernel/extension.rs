//! Our SQL functions in a connection of another program.

use std::ffi::{CStr, c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use rusqlite::{Connection, ffi};

use super::functions;

/// The routines of the SQLite that has loaded this copy of the library.
static HOST: AtomicPtr<ffi::sqlite3_api_routines> = AtomicPtr::new(ptr::null_mut());

/// Adds the SQL functions of our connections to a connection of another program: what SQLite calls when it loads an extension.
///
/// All calls of SQLite in this copy of the library go to the program's own from then on, which has to be 3.34.1 or newer. A
/// second SQLite library in the same program is refused. The functions read, and change nothing: neither the file nor a
/// setting of the connection.
///
/// The result is one of SQLite's codes; `message` is set where it is an error.
///
/// # Safety
/// The arguments are those that SQLite gives to `sqlite3_extension_init`.
///
/// # Source
/// <https://sqlite.org/loadext.html>
pub unsafe extern "C" fn sqlite_extension_init(
    db: *mut ffi::sqlite3,
    message: *mut *mut c_char,
    routines: *mut ffi::sqlite3_api_routines,
) -> c_int {
    // Each SQLite library has one table of routines. Calls of one with a connection of the other would damage memory.
    let set = HOST.compare_exchange(ptr::null_mut(), routines, Ordering::AcqRel, Ordering::Acquire);
    if set.is_err_and(|host| host != routines) {
        let text = c"another SQLite library of this program has loaded Siltstone's extension; load a copy of the file";
        // SAFETY: message and routines are SQLite's.
        unsafe { tell(message, routines, text) };
        return ffi::SQLITE_ERROR;
    }
    let init = |conn: Connection| match functions::register(&conn) {
        // Code of the library may be about to run in other connections when this one is closed.
        Ok(()) => Ok(true),
        Err(error) => Err(functions::user(error)),
    };
    // SAFETY: the caller's arguments are SQLite's; `init` only registers functions.
    let load = || unsafe { Connection::extension_init2(db, message, routines, init) };
    catch_unwind(AssertUnwindSafe(load)).unwrap_or(ffi::SQLITE_ERROR)
}

/// Sets the message in memory of the SQLite that asks, which will free it.
///
/// # Safety
/// `message` and `routines` are those of SQLite.
unsafe fn tell(message: *mut *mut c_char, routines: *mut ffi::sqlite3_api_routines, text: &CStr) {
    let bytes = text.to_bytes_with_nul();
    // SAFETY: the caller's promise; what is written is as long as what was asked for.
    unsafe {
        let Some(malloc) = routines.as_ref().and_then(|routines| routines.malloc) else { return };
        let copy = malloc(bytes.len() as c_int).cast::<c_char>();
        if !copy.is_null() && !message.is_null() {
            ptr::copy_nonoverlapping(text.as_ptr(), copy, bytes.len());
            *message = copy;
        }
    }
}
