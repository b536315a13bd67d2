//! `silt_visit(...)`: rows of a query straight into the program.
//!
//! An aggregate that hands each row that it steps over to a [`RowVisitor`], and is the number of rows in the end. SQLite gives an
//! aggregate the values where they lie; to fetch a row at a time costs half as much again.

use std::cell::Cell;

use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::{Connection, Params, Result};

use super::tx::ReadTx;

/// Visits rows.
pub(crate) trait RowVisitor {
    /// Visits a row, whose values are the arguments.
    fn visit(&mut self, row: &Context<'_>) -> crate::Result<()>;
}

thread_local! {
    /// The visitor of the statement that runs in this thread.
    static VISITOR: Cell<Option<*mut (dyn RowVisitor + 'static)>> = const { Cell::new(None) };
    /// Why it stopped.
    static FAILED: Cell<Option<crate::Error>> = const { Cell::new(None) };
}

/// Takes the visitor away again, also after a panic.
struct Set;

impl Drop for Set {
    fn drop(&mut self) {
        VISITOR.set(None);
    }
}

impl ReadTx<'_> {
    /// Runs a `SELECT silt_visit(...)`, each of whose rows goes to `visitor`, in the order in which SQLite comes upon them.
    pub(crate) fn visit_rows(
        &self,
        sql: &str,
        params: impl Params,
        visitor: &mut dyn RowVisitor,
    ) -> crate::Result<()> {
        let mut statement = self.prepare(sql)?;
        let visitor: *mut (dyn RowVisitor + '_) = visitor;
        // SAFETY: only the lifetime of the pointer is changed. It is used by the statement below alone, which ends before
        // the borrow does, and `Set` takes it away.
        let visitor: *mut (dyn RowVisitor + 'static) = unsafe { std::mem::transmute(visitor) };
        VISITOR.set(Some(visitor));
        FAILED.set(None);
        let _set = Set;
        let taken = statement.query_row(params, |_| Ok(()));
        match FAILED.take() {
            Some(error) => Err(error),
            None => Ok(taken?),
        }
    }
}

struct Take;

impl Aggregate<i64, i64> for Take {
    fn init(&self, _: &mut Context<'_>) -> Result<i64> {
        Ok(0)
    }

    fn step(&self, row: &mut Context<'_>, rows: &mut i64) -> Result<()> {
        let Some(visitor) = VISITOR.get() else { return Ok(()) };
        *rows += 1;
        // SAFETY: it is there as long as the statement runs in whose course this is called, and nobody else uses it
        // meanwhile.
        unsafe { (*visitor).visit(row) }.map_err(|error| {
            FAILED.set(Some(error.clone()));
            rusqlite::Error::UserFunctionError(error.into())
        })
    }

    fn finalize(&self, _: &mut Context<'_>, rows: Option<i64>) -> Result<i64> {
        Ok(rows.unwrap_or(0))
    }
}

/// Adds the function to a connection.
pub(super) fn register(conn: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
    conn.create_aggregate_function("silt_visit", -1, flags, Take)
}
