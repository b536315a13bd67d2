//! Table-valued functions of stores: `SELECT * FROM silt_state('net', 'roads', 10)`.
//!
//! A store hands in the name, the columns, the arguments and a function that reads the rows in one snapshot. They need nothing of
//! a [`Database`](super::Database), so that they work in any connection to the file.

use std::borrow::Cow;
use std::ffi::{CStr, CString, c_int};
use std::marker::PhantomData;

use rusqlite::types::Value;
use rusqlite::vtab::{
    Context, Filters, IndexConstraintOp as Op, IndexInfo, Module, VTab, VTabConfig, VTabConnection,
    VTabCursor,
};
use rusqlite::{Connection, Error, Result, ffi};

use super::attached::schema_of;
use super::functions::user;
use super::guarded::{Guarded, inner};
use super::row_source::RowSource;
use super::tx::ReadTx;

/// Bytes of a text that an error repeats.
const SHOWN: usize = 100;

/// A table-valued function.
pub(crate) struct TableFunction {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [&'static str],
    /// At most ten.
    pub(crate) arguments: &'static [&'static str],
    /// How many of the arguments must be given; there are no rows where one of these is NULL.
    pub(crate) required: usize,
    /// A table that the rows are read from: of several attached files one may have rows in it.
    pub(crate) table: &'static str,
    /// Reads the rows, in one snapshot.
    pub(crate) rows: fn(&ReadTx<'_>, &Arguments) -> crate::Result<Box<dyn RowSource>>,
}

/// What a statement gives to a table-valued function; NULL for what is left out.
pub(crate) struct Arguments {
    function: &'static TableFunction,
    values: Vec<Value>,
}

impl Arguments {
    /// The error of an argument that is not what it should be.
    pub(crate) fn wrong(&self, i: usize, expected: &str) -> crate::Error {
        let got = match &self.values[i] {
            Value::Null => "NULL".to_owned(),
            Value::Integer(n) => n.to_string(),
            Value::Real(x) => format!("{x:?}"),
            Value::Text(text) if text.len() > SHOWN => format!("a text of {} bytes", text.len()),
            Value::Text(text) => format!("{text:?}"),
            Value::Blob(bytes) => format!("a blob of {} bytes", bytes.len()),
        };
        let what = format!("{} of {}", self.function.arguments[i], self.function.name);
        crate::Error::invalid(what, expected, got)
    }

    /// A text.
    pub(crate) fn text(&self, i: usize) -> crate::Result<&str> {
        match &self.values[i] {
            Value::Text(text) => Ok(text),
            _ => Err(self.wrong(i, "a text")),
        }
    }

    /// An integer, also as a float; `None` if it is left out.
    pub(crate) fn integer(&self, i: usize) -> crate::Result<Option<i64>> {
        match &self.values[i] {
            Value::Null => Ok(None),
            Value::Integer(n) => Ok(Some(*n)),
            Value::Real(x) if x.trunc() == *x && x.abs() < 9e18 => Ok(Some(*x as i64)),
            _ => Err(self.wrong(i, "an integer")),
        }
    }

    /// A value that may be of several kinds.
    pub(crate) fn value(&self, i: usize) -> &Value {
        &self.values[i]
    }
}

/// Adds the functions of all stores to a connection.
pub(super) fn register(conn: &Connection) -> Result<()> {
    const MODULE: Module<Guarded<Computed>> = Module::eponymous_only_module();
    for function in crate::STORES.iter().flat_map(|store| store.tables) {
        conn.create_module(function.name, &MODULE, Some(function))?;
    }
    Ok(())
}

#[repr(C)]
struct Computed {
    /// SQLite's part, which must come first.
    base: ffi::sqlite3_vtab,
    db: *mut ffi::sqlite3,
    function: &'static TableFunction,
}

// SAFETY: `repr(C)`, and SQLite's part comes first.
unsafe impl<'vtab> VTab<'vtab> for Computed {
    type Aux = &'static TableFunction;
    type Cursor = Cursor<'vtab>;

    fn connect(
        db: &mut VTabConnection,
        function: Option<&Self::Aux>,
        _: &[u8],
        _: &[u8],
        _: &[u8],
        _: &[&[u8]],
    ) -> Result<(Cow<'static, CStr>, Self)> {
        // It reads tables of the file and nothing else, so a view may use it.
        db.config(VTabConfig::Innocuous)?;
        let function = function.expect("the module is made with its function");
        let hidden = function.arguments.iter().map(|name| format!("\"{name}\" HIDDEN"));
        let columns = function.columns.iter().map(|name| format!("\"{name}\"")).chain(hidden);
        let schema = format!("CREATE TABLE x({})", columns.collect::<Vec<_>>().join(", "));
        let schema = CString::new(schema).expect("names without NUL");
        // SAFETY: it is used in calls of this connection alone, which outlives its tables.
        let db = unsafe { db.handle() };
        Ok((Cow::Owned(schema), Computed { base: ffi::sqlite3_vtab::default(), db, function }))
    }

    /// The plan is a text: the number of an argument for each value of [`Cursor::filter`].
    fn best_index(&self, info: &mut IndexInfo) -> Result<bool> {
        let function = self.function;
        let first = function.columns.len() as c_int;
        let mut plan = String::new();
        let mut seen = [false; 10];
        let found: Vec<(c_int, bool, bool)> = info
            .constraints()
            .map(|c| (c.column(), c.operator() == Op::SQLITE_INDEX_CONSTRAINT_EQ, c.is_usable()))
            .collect();
        for (i, (column, is_equal, is_usable)) in found.into_iter().enumerate() {
            let Ok(argument) = usize::try_from(column - first) else { continue };
            if !is_equal {
                continue;
            }
            let digit = b'0' + argument as u8;
            if is_usable && !plan.as_bytes().contains(&digit) {
                plan.push(char::from(digit));
                let mut usage = info.constraint_usage(i);
                usage.set_argv_index(plan.len() as c_int);
                usage.set_omit(true);
            }
            seen[argument] = true;
        }
        if let Some(missing) = seen[..function.required].iter().position(|seen| !seen) {
            // Terms of an OR are planned by themselves too: this plan is taken if there is no other.
            info.set_idx_str(&format!("?{missing}"));
            info.set_estimated_cost(1e99);
            return Ok(true);
        }
        if (0..function.arguments.len())
            .any(|i| seen[i] && !plan.as_bytes().contains(&(b'0' + i as u8)))
        {
            return Ok(false); // an argument of another table, which has to come first
        }
        info.set_idx_str(&plan);
        info.set_estimated_cost(10_000.0);
        info.set_estimated_rows(10_000);
        Ok(true)
    }

    fn open(&mut self) -> Result<Cursor<'_>> {
        Ok(Cursor {
            base: ffi::sqlite3_vtab_cursor::default(),
            db: self.db,
            function: self.function,
            arguments: Vec::new(),
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
    db: *mut ffi::sqlite3,
    function: &'static TableFunction,
    arguments: Vec<Value>,
    source: Option<Box<dyn RowSource>>,
    rows: usize,
    row: usize,
    table: PhantomData<&'vtab Computed>,
}

// SAFETY: `repr(C)`, and SQLite's part comes first.
unsafe impl VTabCursor for Cursor<'_> {
    fn filter(&mut self, _: c_int, plan: Option<&str>, values: &Filters<'_>) -> Result<()> {
        (self.source, self.rows, self.row) = (None, 0, 0);
        let function = self.function;
        self.arguments = vec![Value::Null; function.arguments.len()];
        if let Some(missing) = plan.and_then(|plan| plan.strip_prefix('?')) {
            let missing = missing.parse().ok().and_then(|i: usize| function.arguments.get(i));
            return Err(Error::ModuleError(format!(
                "{}({}): {} is missing",
                function.name,
                function.arguments.join(", "),
                missing.unwrap_or(&"an argument")
            )));
        }
        for (i, digit) in plan.unwrap_or_default().bytes().enumerate() {
            self.arguments[usize::from(digit - b'0')] = values.get(i)?;
        }
        if self.arguments[..function.required].contains(&Value::Null) {
            return Ok(());
        }
        let arguments = Arguments { function, values: self.arguments.clone() };
        // SAFETY: SQLite calls us within a call of this connection.
        let conn = unsafe { Connection::from_handle(self.db)? };
        // A statement that is not at its end holds the snapshot that the others read.
        let mut holder = conn.prepare("SELECT count(*) FROM main.sqlite_schema")?;
        let mut held = holder.query([])?;
        held.next()?;
        schema_of(&conn, function.table)?; // several would be a wrong answer
        let rows = || (function.rows)(&ReadTx::new(&conn), &arguments).map_err(user);
        let source = inner(function.table, rows)?;
        self.rows = source.rows();
        self.source = Some(source);
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
        let i = i as usize;
        match (&self.source, i.checked_sub(self.function.columns.len())) {
            (_, Some(argument)) => context.set_result(&self.arguments[argument]),
            (Some(source), None) => source.give(self.row, i, context),
            (None, None) => Ok(()),
        }
    }

    fn rowid(&self) -> Result<i64> {
        Ok(self.row as i64)
    }
}
