//! `silt_block(data)`: a column block as rows, in our connections.
//!
//! A table-valued function with the columns `row` (0, 1, ...) and `c0` to `c7`. It reads nothing but
//! its argument, so a view may use it.

use std::borrow::Cow;
use std::ffi::{CStr, c_int};
use std::marker::PhantomData;

use rusqlite::vtab::{
    Context, Filters, IndexConstraintOp, IndexInfo, Module, VTab, VTabConfig, VTabConnection,
    VTabCursor,
};
use rusqlite::{Connection, Error, Result, ffi};

use crate::array::block::{Block, Kind, Words};

/// Columns of a block that can be seen.
const COLUMNS: usize = 8;
const ARGUMENT: c_int = 1 + COLUMNS as c_int;

/// Adds the function to a connection.
pub(super) fn register(conn: &Connection) -> Result<()> {
    const MODULE: Module<Rows> = Module::eponymous_only_module();
    conn.create_module(c"silt_block", &MODULE, None)
}

#[repr(C)]
struct Rows {
    /// SQLite's part, which must come first.
    base: ffi::sqlite3_vtab,
}

// SAFETY: `repr(C)`, and SQLite's part comes first.
unsafe impl<'vtab> VTab<'vtab> for Rows {
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
        db.config(VTabConfig::Innocuous)?;
        let schema = c"CREATE TABLE x(row, c0, c1, c2, c3, c4, c5, c6, c7, data HIDDEN)";
        Ok((Cow::Borrowed(schema), Rows { base: ffi::sqlite3_vtab::default() }))
    }

    fn best_index(&self, info: &mut IndexInfo) -> Result<bool> {
        let argument = info.constraints().position(|constraint| {
            constraint.column() == ARGUMENT
                && constraint.is_usable()
                && constraint.operator() == IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_EQ
        });
        let Some(argument) = argument else { return Ok(false) };
        let mut usage = info.constraint_usage(argument);
        usage.set_argv_index(1);
        usage.set_omit(true);
        info.set_estimated_cost(4_096.0);
        info.set_estimated_rows(4_096);
        Ok(true)
    }

    fn open(&mut self) -> Result<Cursor<'_>> {
        Ok(Cursor::default())
    }
}

#[repr(C)]
#[derive(Default)]
struct Cursor<'vtab> {
    /// SQLite's part, which must come first.
    base: ffi::sqlite3_vtab_cursor,
    columns: Vec<Items>,
    rows: usize,
    row: usize,
    table: PhantomData<&'vtab Rows>,
}

enum Items {
    Integers(Vec<i64>),
    Reals(Vec<f64>),
    Bytes(Vec<u8>),
    Texts(Words),
}

// SAFETY: `repr(C)`, and SQLite's part comes first.
unsafe impl VTabCursor for Cursor<'_> {
    fn filter(&mut self, _: c_int, _: Option<&str>, args: &Filters<'_>) -> Result<()> {
        let data: Option<Vec<u8>> = args.get(0)?;
        (self.columns, self.rows, self.row) = (Vec::new(), 0, 0);
        let Some(data) = data else { return Ok(()) };
        let (columns, rows) = unpack(&data).map_err(|e| Error::UserFunctionError(e.into()))?;
        (self.columns, self.rows) = (columns, rows);
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
        if i == 0 {
            return context.set_result(&(self.row as i64));
        }
        match self.columns.get(i as usize - 1) {
            Some(Items::Integers(items)) => context.set_result(&items[self.row]),
            Some(Items::Reals(items)) => context.set_result(&items[self.row]),
            Some(Items::Bytes(items)) => context.set_result(&items[self.row]),
            Some(Items::Texts(text)) => {
                context.set_result(&text.words[text.codes[self.row] as usize])
            }
            None => context.set_result(&rusqlite::types::Null),
        }
    }

    fn rowid(&self) -> Result<i64> {
        Ok(self.row as i64)
    }
}

fn unpack(data: &[u8]) -> crate::Result<(Vec<Items>, usize)> {
    let block = Block::open(data)?;
    let kinds: Vec<Kind> = block.kinds().take(COLUMNS).collect();
    let columns = kinds.into_iter().enumerate().map(|(i, kind)| {
        Ok(match kind {
            Kind::I64 => {
                let mut items = Vec::new();
                block.read_i64(i, &mut items)?;
                Items::Integers(items)
            }
            Kind::F64 => {
                let mut items = Vec::new();
                block.read_f64(i, &mut items)?;
                Items::Reals(items)
            }
            Kind::U8 => {
                let mut items = Vec::new();
                block.read_u8(i, &mut items)?;
                Items::Bytes(items)
            }
            Kind::Text => Items::Texts(block.text(i)?),
        })
    });
    Ok((columns.collect::<crate::Result<_>>()?, block.rows()))
}
