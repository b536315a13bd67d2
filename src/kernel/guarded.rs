//! Virtual tables whose panics are errors of the statement.
//!
//! SQLite calls a virtual table through C, where a panic would end the program. Scalar functions and aggregates are guarded by
//! rusqlite itself.

use std::borrow::Cow;
use std::cell::Cell;
use std::ffi::{CStr, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::vtab::{Context, Filters, IndexInfo, VTab, VTabConnection, VTabCursor};
use rusqlite::{Error, Result};

/// A virtual table, or its cursor, of which no panic gets out.
#[repr(transparent)]
pub(super) struct Guarded<T>(T);

fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    // What panicked is closed by SQLite after the error; nothing of it is read before.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Error::ModuleError("a fault of Siltstone: its table function panicked".into()))
    })
}

thread_local! {
    static IS_INNER: Cell<bool> = const { Cell::new(false) };
}

/// Runs the query of a function's own for a table. In a file that is made so the table may be a view over the function, which would
/// call itself until the stack ends.
pub(super) fn inner<T, E: From<Error>>(
    table: &str,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    struct Ended;
    impl Drop for Ended {
        fn drop(&mut self) {
            IS_INNER.set(false);
        }
    }
    if IS_INNER.replace(true) {
        return Err(Error::ModuleError(format!("{table} is a view over itself")).into());
    }
    let _ended = Ended;
    work()
}

// SAFETY: it is laid out as the table, which begins with SQLite's part.
unsafe impl<'vtab, T: VTab<'vtab>> VTab<'vtab> for Guarded<T> {
    type Aux = T::Aux;
    type Cursor = Guarded<T::Cursor>;

    fn connect(
        db: &mut VTabConnection,
        aux: Option<&T::Aux>,
        module: &[u8],
        database: &[u8],
        table: &[u8],
        arguments: &[&[u8]],
    ) -> Result<(Cow<'static, CStr>, Self)> {
        guarded(|| T::connect(db, aux, module, database, table, arguments))
            .map(|(schema, table)| (schema, Guarded(table)))
    }

    fn best_index(&self, info: &mut IndexInfo) -> Result<bool> {
        guarded(|| self.0.best_index(info))
    }

    fn open(&'vtab mut self) -> Result<Self::Cursor> {
        guarded(|| self.0.open().map(Guarded))
    }
}

// SAFETY: it is laid out as the cursor, which begins with SQLite's part.
unsafe impl<C: VTabCursor> VTabCursor for Guarded<C> {
    fn filter(&mut self, index: c_int, plan: Option<&str>, values: &Filters<'_>) -> Result<()> {
        guarded(|| self.0.filter(index, plan, values))
    }

    fn next(&mut self) -> Result<()> {
        guarded(|| self.0.next())
    }

    fn eof(&self) -> bool {
        catch_unwind(AssertUnwindSafe(|| self.0.eof())).unwrap_or(true)
    }

    fn column(&self, context: &mut Context, column: c_int) -> Result<()> {
        guarded(|| self.0.column(context, column))
    }

    fn rowid(&self) -> Result<i64> {
        guarded(|| self.0.rowid())
    }
}

#[cfg(test)]
mod tests {
    use std::marker::PhantomData;

    use rusqlite::vtab::Module;
    use rusqlite::{Connection, ffi};

    use super::*;

    /// A table that panics where its name says.
    #[repr(C)]
    struct Panics {
        base: ffi::sqlite3_vtab,
        at: &'static str,
    }

    #[repr(C)]
    struct Cursor<'vtab> {
        base: ffi::sqlite3_vtab_cursor,
        at: &'static str,
        rows: i64,
        table: PhantomData<&'vtab Panics>,
    }

    // SAFETY: `repr(C)`, and SQLite's part comes first.
    unsafe impl<'vtab> VTab<'vtab> for Panics {
        type Aux = &'static str;
        type Cursor = Cursor<'vtab>;

        fn connect(
            _: &mut VTabConnection,
            at: Option<&&'static str>,
            _: &[u8],
            _: &[u8],
            _: &[u8],
            _: &[&[u8]],
        ) -> Result<(Cow<'static, CStr>, Self)> {
            let at = at.expect("it is given");
            assert_ne!(*at, "connect");
            let schema = Cow::Borrowed(c"CREATE TABLE x(a)");
            Ok((schema, Panics { base: ffi::sqlite3_vtab::default(), at }))
        }

        fn best_index(&self, _: &mut IndexInfo) -> Result<bool> {
            assert_ne!(self.at, "best_index");
            Ok(true)
        }

        fn open(&mut self) -> Result<Cursor<'_>> {
            assert_ne!(self.at, "open");
            let base = ffi::sqlite3_vtab_cursor::default();
            Ok(Cursor { base, at: self.at, rows: 0, table: PhantomData })
        }
    }

    // SAFETY: `repr(C)`, and SQLite's part comes first.
    unsafe impl VTabCursor for Cursor<'_> {
        fn filter(&mut self, _: c_int, _: Option<&str>, _: &Filters<'_>) -> Result<()> {
            assert_ne!(self.at, "filter");
            self.rows = 3;
            Ok(())
        }

        fn next(&mut self) -> Result<()> {
            assert_ne!(self.at, "next");
            self.rows -= 1;
            Ok(())
        }

        fn eof(&self) -> bool {
            assert_ne!(self.at, "eof");
            self.rows == 0
        }

        fn column(&self, context: &mut Context, _: c_int) -> Result<()> {
            assert_ne!(self.at, "column");
            context.set_result(&self.rows)
        }

        fn rowid(&self) -> Result<i64> {
            assert_ne!(self.at, "rowid");
            Ok(self.rows)
        }
    }

    /// Goal: a panic of a table function is an error of the statement; the connection and the program go on.
    #[test]
    fn a_panic_is_an_error_of_the_statement() {
        const MODULE: Module<Guarded<Panics>> = Module::eponymous_only_module();
        let conn = Connection::open_in_memory().unwrap();
        for at in ["connect", "best_index", "open", "filter", "next", "column", "rowid", "eof", ""]
        {
            let name = format!("panics_at_{at}");
            conn.create_module(name.as_str(), &MODULE, Some(at)).unwrap();
            let sql = format!("SELECT sum(a), sum(rowid) FROM {name}");
            let sums = conn.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?)));
            match at {
                // It has no way to fail: there are no rows.
                "eof" => assert_eq!(sums, Ok((None, None))),
                "" => assert_eq!(sums, Ok((Some(6), Some(6)))),
                _ => {
                    let error = sums.unwrap_err().to_string();
                    assert!(error.contains("its table function panicked"), "{at}: {error}");
                }
            }
        }
    }
}
