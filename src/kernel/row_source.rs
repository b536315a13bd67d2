//! `silt_row_source`: rows that the program has, as a table, so that one statement inserts them all.
//!
//! `INSERT INTO t SELECT c0, c1 FROM silt_row_source` costs a third of an `INSERT` a row: binding, starting and resetting a
//! statement cost more than the row. The table has rows only while [`WriteTx::insert_all`] runs, in its thread; to
//! everyone else it is empty.

use std::borrow::Cow;
use std::cell::Cell;
use std::ffi::{CStr, c_int};
use std::marker::PhantomData;

use rusqlite::vtab::{
    Context, Filters, IndexInfo, Module, VTab, VTabConfig, VTabConnection, VTabCursor,
};
use rusqlite::{Connection, Result, ffi};

use super::guarded::Guarded;
use super::tx::WriteTx;

/// Columns that a row can have.
const MOST_COLUMNS: usize = 72;

/// Rows to insert.
pub(crate) trait RowSource {
    /// How many.
    fn rows(&self) -> usize;

    /// Gives the value of a column of a row to SQLite.
    fn give(&self, row: usize, column: usize, to: &mut Context) -> Result<()>;
}

thread_local! {
    /// The rows of the statement that runs in this thread.
    static SOURCE: Cell<Option<*const (dyn RowSource + 'static)>> = const { Cell::new(None) };
}

/// Takes the source away again, also after a panic.
struct Set;

impl Drop for Set {
    fn drop(&mut self) {
        SOURCE.set(None);
    }
}

impl WriteTx<'_> {
    /// Runs an `INSERT` that selects from `silt_row_source`; the number of rows changed.
    pub(crate) fn insert_all(&self, sql: &str, source: &dyn RowSource) -> crate::Result<usize> {
        let mut statement = self.prepare(sql)?;
        let source: *const (dyn RowSource + '_) = source;
        // SAFETY: only the lifetime of the pointer is changed. It is read by the statement below alone, which ends
        // before the borrow does, and `Set` takes it away.
        let source: *const (dyn RowSource + 'static) = unsafe { std::mem::transmute(source) };
        SOURCE.set(Some(source));
        let _set = Set;
        Ok(statement.execute([])?)
    }
}

/// Adds the table to a connection.
pub(super) fn register(conn: &Connection) -> Result<()> {
    const MODULE: Module<Guarded<Fields>> = Module::eponymous_only_module();
    conn.create_module(c"silt_row_source", &MODULE, None)
}

#[repr(C)]
struct Fields {
    /// SQLite's part, which must come first.
    base: ffi::sqlite3_vtab,
}

// SAFETY: `repr(C)`, and SQLite's part comes first.
unsafe impl<'vtab> VTab<'vtab> for Fields {
    type Aux = ();
    type Cursor = Cursor<'vtab>;

    fn connect(
        db: &mut VTabConnection,
        _: Option<&()>,
        _: &[u8],
        _: &[u8],
        _: &[u8],
        _: &[&[u8]],
    ) -> Result<(Cow<'static, CStr>, Self)> {
        db.config(VTabConfig::DirectOnly)?;
        let columns: Vec<String> = (0..MOST_COLUMNS).map(|i| format!("c{i}")).collect();
        let schema = format!("CREATE TABLE x({})\0", columns.join(", "));
        let schema = CStr::from_bytes_with_nul(schema.as_bytes()).expect("it ends with a NUL");
        Ok((Cow::Owned(schema.to_owned()), Fields { base: ffi::sqlite3_vtab::default() }))
    }

    fn best_index(&self, info: &mut IndexInfo) -> Result<bool> {
        info.set_estimated_cost(1_000.0);
        Ok(true)
    }

    fn open(&mut self) -> Result<Cursor<'_>> {
        Ok(Cursor {
            base: ffi::sqlite3_vtab_cursor::default(),
            source: None,
            rows: 0,
            row: 0,
            table: PhantomData,
        })
    }
}

#[repr(C)]
struct Cursor<'vtab> {
    /// SQLite's part, which must come first.
    base: ffi::sqlite3_vtab_cursor,
    source: Option<*const (dyn RowSource + 'static)>,
    rows: usize,
    row: usize,
    table: PhantomData<&'vtab Fields>,
}

// SAFETY: `repr(C)`, and SQLite's part comes first.
unsafe impl VTabCursor for Cursor<'_> {
    fn filter(&mut self, _: c_int, _: Option<&str>, _: &Filters<'_>) -> Result<()> {
        self.source = SOURCE.get();
        // SAFETY: it is there as long as the statement runs in whose course this is called.
        self.rows = self.source.map_or(0, |source| unsafe { (*source).rows() });
        self.row = 0;
        Ok(())
    }

    fn next(&mut self) -> Result<()> {
        self.row += 1;
        Ok(())
    }

    fn eof(&self) -> bool {
        self.row >= self.rows
    }

    fn column(&self, context: &mut Context, i: c_int) -> Result<()> {
        match self.source {
            // SAFETY: as in `filter`.
            Some(source) => unsafe { (*source).give(self.row, i as usize, context) },
            None => Ok(()),
        }
    }

    fn rowid(&self) -> Result<i64> {
        Ok(self.row as i64)
    }
}
