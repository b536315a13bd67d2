//! `silt_take(...)`: rows of a query straight into the program.
//!
//! An aggregate that hands each row that it steps over to a [`Sink`], and is the number of rows in the end. SQLite gives an
//! aggregate the values where they lie; to fetch a row at a time costs half as much again.

use std::cell::Cell;

use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::{Connection, Params, Result};

use super::tx::ReadTx;

/// Takes rows.
pub(crate) trait Sink {
    /// Takes a row, whose values are the arguments.
    fn take(&mut self, row: &Context<'_>) -> crate::Result<()>;
}

thread_local! {
    /// Who takes the rows of the statement that runs in this thread.
    static SINK: Cell<Option<*mut (dyn Sink + 'static)>> = const { Cell::new(None) };
    /// Why it took no more.
    static FAILED: Cell<Option<crate::Error>> = const { Cell::new(None) };
}

/// Takes the sink away again, also after a panic.
struct Set;

impl Drop for Set {
    fn drop(&mut self) {
        SINK.set(None);
    }
}

impl ReadTx<'_> {
    /// Runs a `SELECT silt_take(...)`, each of whose rows goes to `sink`, in the order in which SQLite comes upon them.
    pub(crate) fn take_rows(
        &self,
        sql: &str,
        params: impl Params,
        sink: &mut dyn Sink,
    ) -> crate::Result<()> {
        let mut statement = self.prepare(sql)?;
        let sink: *mut (dyn Sink + '_) = sink;
        // SAFETY: only the lifetime of the pointer is changed. It is used by the statement below alone, which ends before
        // the borrow does, and `Set` takes it away.
        let sink: *mut (dyn Sink + 'static) = unsafe { std::mem::transmute(sink) };
        SINK.set(Some(sink));
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
        let Some(sink) = SINK.get() else { return Ok(()) };
        *rows += 1;
        // SAFETY: it is there as long as the statement runs in whose course this is called, and nobody else uses it
        // meanwhile.
        unsafe { (*sink).take(row) }.map_err(|error| {
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
    conn.create_aggregate_function("silt_take", -1, flags, Take)
}
