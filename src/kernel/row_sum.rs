//! `row_sum`: a checksum in each row of a table.
//!
//! A column of the rows themselves, and not of the pages, since any program may write the file: what plain SQLite
//! inserts has no sum, and a trigger takes the sum of what it changes. So a row is as it was written (its sum is right),
//! another program's (it has none), or damaged.
//!
//! The sum of a row covers the columns that its trigger names: all of the store's, but an `INTEGER PRIMARY KEY`, whose value is
//! not known before the insert. Indexes and foreign keys hold that a second time, and `integrity_check` compares them.

use std::ffi::c_int;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Params, ffi};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::{ReadTx, VerifyReport, WriteTx, interruption};
use crate::error::Result;

const COLUMN: &str = "row_sum";

/// Findings that are written out for one table.
const MOST_FINDINGS: usize = 20;

/// The checksum of a row's values, in the order of its columns.
///
/// Numbers count by their value, since SQLite stores a whole REAL as an integer and -0.0 as 0; NaN is NULL there.
///
/// # Source
/// XXH3-64 of the values one after another, each as a byte for its kind and a number of 8 bytes, low byte first, a text or blob
/// with its bytes behind them; the low 32 bits, as a number with sign.
pub(crate) fn row_sum<'a>(values: impl IntoIterator<Item = ValueRef<'a>>) -> i64 {
    const WHOLE: f64 = 9_007_199_254_740_992.0; // 2^53
    let mut row = RowBytes { start: [0; 128], length: 0, hash: None };
    for value in values {
        match value {
            ValueRef::Null => row.add(0, 0),
            ValueRef::Integer(n) => row.add(1, n as u64),
            ValueRef::Real(x) if x.is_nan() => row.add(0, 0),
            ValueRef::Real(x) if x.trunc() == x && x.abs() < WHOLE => row.add(1, x as i64 as u64),
            ValueRef::Real(x) => row.add(2, x.to_bits()),
            ValueRef::Text(bytes) => row.add_bytes(3, bytes),
            ValueRef::Blob(bytes) => row.add_bytes(4, bytes),
        }
    }
    i64::from(row.hash() as u32 as i32)
}

/// The bytes of a row: few in one piece, which is hashed at once; of a long row the hash goes along.
struct RowBytes {
    start: [u8; 128],
    length: usize,
    hash: Option<Box<Xxh3>>,
}

impl RowBytes {
    fn add(&mut self, kind: u8, number: u64) {
        if self.length + 9 > self.start.len() {
            self.move_on();
        }
        let slot = &mut self.start[self.length..][..9];
        slot[0] = kind;
        slot[1..].copy_from_slice(&number.to_le_bytes());
        self.length += 9;
    }

    fn add_bytes(&mut self, kind: u8, bytes: &[u8]) {
        self.add(kind, bytes.len() as u64);
        if let Some(slot) = self.start[self.length..].get_mut(..bytes.len()) {
            slot.copy_from_slice(bytes);
            self.length += bytes.len();
        } else {
            self.move_on().update(bytes);
        }
    }

    fn move_on(&mut self) -> &mut Xxh3 {
        let hash = self.hash.get_or_insert_default();
        hash.update(&self.start[..self.length]);
        self.length = 0;
        hash
    }

    fn hash(&mut self) -> u64 {
        match self.hash {
            None => xxh3_64(&self.start[..self.length]),
            Some(_) => self.move_on().digest(),
        }
    }
}

/// Adds the functions `silt_row_sum(...)` and `silt_whole(sum, ...)`, by SQLite's own interface: they are called for each
/// row that is written.
pub(super) fn register(conn: &Connection) -> Result<()> {
    let flags = ffi::SQLITE_UTF8 | ffi::SQLITE_DETERMINISTIC | ffi::SQLITE_INNOCUOUS;
    type Function =
        unsafe extern "C" fn(*mut ffi::sqlite3_context, c_int, *mut *mut ffi::sqlite3_value);
    let functions: [(_, Function); 2] = [(c"silt_row_sum", sum), (c"silt_whole", whole)];
    for (name, function) in functions {
        // SAFETY: the connection is open; the name ends in NUL; the function needs no data of its own.
        let code = unsafe {
            ffi::sqlite3_create_function_v2(
                conn.handle(),
                name.as_ptr(),
                -1,
                flags,
                std::ptr::null_mut(),
                Some(function),
                None,
                None,
                None,
            )
        };
        if code != ffi::SQLITE_OK {
            return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into());
        }
    }
    Ok(())
}

/// The sum of SQLite's values.
///
/// # Safety
/// They live as long as the call.
unsafe fn sum_of(values: &[*mut ffi::sqlite3_value]) -> i64 {
    row_sum(values.iter().map(|&value| {
        // SAFETY: as above; bytes are asked for after the text, as SQLite wants it, and none are read where it has none.
        unsafe {
            let bytes = |start: *const u8| match ffi::sqlite3_value_bytes(value) {
                n if n > 0 && !start.is_null() => std::slice::from_raw_parts(start, n as usize),
                _ => &[],
            };
            match ffi::sqlite3_value_type(value) {
                ffi::SQLITE_INTEGER => ValueRef::Integer(ffi::sqlite3_value_int64(value)),
                ffi::SQLITE_FLOAT => ValueRef::Real(ffi::sqlite3_value_double(value)),
                ffi::SQLITE_TEXT => ValueRef::Text(bytes(ffi::sqlite3_value_text(value))),
                ffi::SQLITE_BLOB => ValueRef::Blob(bytes(ffi::sqlite3_value_blob(value).cast())),
                _ => ValueRef::Null,
            }
        }
    }))
}

unsafe extern "C" fn sum(
    context: *mut ffi::sqlite3_context,
    count: c_int,
    values: *mut *mut ffi::sqlite3_value,
) {
    if count == 0 {
        // SAFETY: SQLite's own context.
        return unsafe { ffi::sqlite3_result_null(context) };
    }
    // SAFETY: SQLite hands in `count` values, which live as long as the call.
    unsafe {
        let values = std::slice::from_raw_parts(values, count as usize);
        ffi::sqlite3_result_int64(context, sum_of(values));
    }
}

/// 1 if the first value is the sum of the others, or NULL; else the statement fails, as one that meets a damaged page does.
unsafe extern "C" fn whole(
    context: *mut ffi::sqlite3_context,
    count: c_int,
    values: *mut *mut ffi::sqlite3_value,
) {
    // SAFETY: as in `sum`.
    unsafe {
        let values = match count {
            0 => &[],
            n => std::slice::from_raw_parts(values, n as usize),
        };
        let Some((&sum, rest)) = values.split_first() else {
            return ffi::sqlite3_result_null(context);
        };
        let is_whole = match ffi::sqlite3_value_type(sum) {
            ffi::SQLITE_NULL => true,
            ffi::SQLITE_INTEGER => ffi::sqlite3_value_int64(sum) == sum_of(rest),
            _ => false,
        };
        if is_whole {
            return ffi::sqlite3_result_int64(context, 1);
        }
        let text = c"a row does not have the checksum that it was stored with";
        ffi::sqlite3_result_error(context, text.as_ptr(), -1);
        ffi::sqlite3_result_error_code(context, ffi::SQLITE_CORRUPT);
    }
}

/// A table with sums.
struct Covered {
    /// Its name, as SQL.
    table: String,
    /// The columns that the sum covers, as SQL.
    columns: Vec<String>,
    /// What tells a row from all others, as SQL.
    key: Vec<String>,
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A column of a table.
pub(super) struct Column {
    pub(super) name: String,
    /// Whether it is the `INTEGER PRIMARY KEY`.
    is_rowid: bool,
    /// Whether it is a part of another key, in a table without rowids.
    is_key: bool,
}

impl Column {
    /// Whether it replaces the other: its name, as SQLite compares names, and whether it is the rowid. Other keys
    /// of a file of another program may be made otherwise.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.name.eq_ignore_ascii_case(&other.name) && self.is_rowid == other.is_rowid
    }
}

/// The columns of a table; none if there is no such table.
pub(super) fn columns(conn: &Connection, table: &str) -> Result<Vec<Column>> {
    let sql = "SELECT wr FROM pragma_table_list(?1) WHERE schema = 'main'";
    let kind = conn.prepare_cached(sql)?.query_row([table], |row| row.get(0)).optional()?;
    let without_rowid = kind.unwrap_or(false);
    let sql = "SELECT name, type, pk, max(pk) OVER () FROM pragma_table_info(?1) ORDER BY cid";
    let mut statement = conn.prepare_cached(sql)?;
    let found = statement.query_map([table], |row| {
        let (kind, is_key) = (row.get::<_, String>(1)?, row.get::<_, i64>(2)? > 0);
        let is_only = row.get::<_, i64>(3)? == 1;
        let is_rowid = is_key && is_only && !without_rowid && kind.eq_ignore_ascii_case("INTEGER");
        Ok(Column { name: row.get(0)?, is_rowid, is_key: is_key && without_rowid })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

impl Covered {
    fn new(table: &str, all: &[Column], columns: Vec<String>) -> Self {
        let key = all.iter().filter(|column| column.is_key).map(|column| quoted(&column.name));
        let mut key: Vec<String> = key.collect();
        if key.is_empty() {
            key.push("rowid".into());
        }
        Covered { table: quoted(table), columns, key }
    }

    /// The table as its trigger has it, which names the columns; `None` without one.
    fn read(conn: &Connection, table: &str) -> Result<Option<Self>> {
        let sql =
            "SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND name = ?1 AND tbl_name = ?2";
        let trigger = format!("{table}_row_changed");
        let text: Option<String> =
            conn.prepare_cached(sql)?.query_row([&trigger, table], |row| row.get(0)).optional()?;
        let list = text.as_deref().and_then(|text| {
            let (_, rest) = text.split_once(" AFTER UPDATE OF ")?;
            Some(rest.split_once(" ON ")?.0)
        });
        let Some(list) = list else { return Ok(None) };
        let all = columns(conn, table)?;
        // Only names of columns: the text is the file's.
        let column =
            |text: &str| all.iter().map(|column| quoted(&column.name)).find(|name| name == text);
        let names: Option<Vec<String>> = list.split(", ").map(column).collect();
        Ok(names.map(|names| Covered::new(table, &all, names)))
    }

    fn sum(&self) -> String {
        format!("silt_row_sum({})", self.columns.join(", "))
    }

    /// What takes the sum of a row that another program changes.
    fn trigger(&self, table: &str) -> String {
        let list = |part: &dyn Fn(&String) -> String, between: &str, of: &[String]| {
            of.iter().map(part).collect::<Vec<_>>().join(between)
        };
        let changed =
            list(&|column| format!("new.{column} IS NOT old.{column}"), " OR ", &self.columns);
        let same = list(&|key| format!("{key} = new.{key}"), " AND ", &self.key);
        format!(
            "CREATE TRIGGER {} AFTER UPDATE OF {} ON {} WHEN new.{COLUMN} IS old.{COLUMN} AND ({changed}) \
             BEGIN UPDATE {} SET {COLUMN} = NULL WHERE {same}; END;",
            quoted(&format!("{table}_row_changed")),
            self.columns.join(", "),
            self.table,
            self.table
        )
    }

    /// The columns where a statement calls the table `name`.
    fn of(&self, name: &str) -> String {
        let columns = self.columns.iter().map(|column| format!("{name}.{column}"));
        columns.collect::<Vec<_>>().join(", ")
    }
}

/// Gives a table sums, if it has none: the column, the trigger, and the sums of the rows that are there. What is covered
/// is `table` or `table(column, column)`, without the columns all but an `INTEGER PRIMARY KEY`; values go into
/// `silt_row_sum` in that order.
fn cover(conn: &Connection, what: &str) -> Result<()> {
    let (table, list) = what.split_once('(').unwrap_or((what, ""));
    let all = columns(conn, table)?;
    if all.is_empty() || all.iter().any(|column| column.name.eq_ignore_ascii_case(COLUMN)) {
        return Ok(());
    }
    let names: Vec<String> = match list.strip_suffix(')') {
        Some(list) => list.split(", ").map(quoted).collect(),
        None => all
            .iter()
            .filter(|column| !column.is_rowid)
            .map(|column| quoted(&column.name))
            .collect(),
    };
    let covered = Covered::new(table, &all, names);
    let (name, sum) = (&covered.table, covered.sum());
    conn.execute_batch(&format!(
        "ALTER TABLE {name} ADD COLUMN {COLUMN} INTEGER; UPDATE {name} SET {COLUMN} = {sum}; {}",
        covered.trigger(table)
    ))?;
    Ok(())
}

/// Whether a trigger is the one that takes the sum of a changed row, as it is made here, and no other.
pub(super) fn is_own_trigger(conn: &Connection, name: &str) -> Result<bool> {
    let sql = "SELECT tbl_name, sql FROM sqlite_schema WHERE type = 'trigger' AND lower(name) = ?1";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
    let found = conn.prepare_cached(sql)?.query_row([name], read).optional()?;
    let Some((table, sql)) = found.filter(|(table, _)| {
        name.strip_suffix("_row_changed").is_some_and(|own| table.eq_ignore_ascii_case(own))
    }) else {
        return Ok(false);
    };
    Ok(Covered::read(conn, &table)?.is_some_and(|covered| covered.trigger(&table) == sql + ";"))
}

/// Gives the tables of a store sums, where they are there: each is named, with its columns or without, or comes from a query
/// on `names`, which is `conn` or another connection.
pub(super) fn cover_all(names: &Connection, conn: &Connection, summed: &[&str]) -> Result<()> {
    for what in summed {
        if !what.starts_with("SELECT") {
            cover(conn, what)?;
            continue;
        }
        let mut statement = names.prepare(what)?;
        let tables = statement.query_map([], |row| row.get::<_, String>(0))?;
        for table in tables.collect::<Result<Vec<_>, _>>()? {
            cover(conn, &table)?;
        }
    }
    Ok(())
}

impl ReadTx<'_> {
    /// A condition on the rows of `table`, which the statement calls `name`: true, but that the statement fails at a row
    /// which does not have its sum. In a file whose tables have none yet it is true of every row.
    ///
    /// The statement must ask for values by `IS`: of an `=`, SQLite puts the value in place of the column in every other
    /// condition, and may look at this one first.
    pub(crate) fn whole(&self, table: &str, name: &str) -> Result<String> {
        let Some(covered) = Covered::read(self.connection(), table)? else { return Ok("1".into()) };
        Ok(format!("silt_whole({name}.{COLUMN}, {})", covered.of(name)))
    }

    /// The same for what can be computed again: true of the rows that are whole, and of no other.
    pub(crate) fn is_whole(&self, table: &str, name: &str) -> Result<String> {
        let Some(covered) = Covered::read(self.connection(), table)? else { return Ok("1".into()) };
        Ok(format!("coalesce({name}.{COLUMN} = silt_row_sum({}), 1)", covered.of(name)))
    }
}

impl WriteTx<'_> {
    /// Gives a table sums that was made just now.
    pub(crate) fn cover(&self, table: &str) -> Result<()> {
        cover(self.connection(), table)
    }

    /// Gives rows their sums anew, after a statement that changed some of their columns.
    pub(crate) fn seal(&self, table: &str, condition: &str, params: impl Params) -> Result<usize> {
        let Some(covered) = Covered::read(self.connection(), table)? else { return Ok(0) };
        let (name, sum) = (&covered.table, covered.sum());
        self.execute(&format!("UPDATE {name} SET {COLUMN} = {sum} WHERE {condition}"), params)
    }
}

/// A part of a key as a person reads it.
fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Integer(n) => n.to_string(),
        ValueRef::Real(x) => x.to_string(),
        ValueRef::Text(text) => format!("{:?}", String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => format!("{} bytes", bytes.len()),
        ValueRef::Null => "NULL".into(),
    }
}

/// Computes the sum of each row again.
pub(super) fn verify(tx: &ReadTx<'_>, report: &mut VerifyReport) -> Result<()> {
    let sql = "SELECT m.name FROM sqlite_schema m, pragma_table_info(m.name) c \
        WHERE m.type = 'table' AND c.name = ?1 COLLATE NOCASE ORDER BY m.rowid";
    for table in tx.query(sql, [COLUMN], |row| Ok(row.get::<_, String>(0)?))? {
        let Some(covered) = Covered::read(tx.connection(), &table)? else {
            report.find(
                table,
                "the trigger that marks changed rows is not there, so that rows cannot be checked",
            );
            continue;
        };
        let (name, key, sum) = (&covered.table, covered.key.join(", "), covered.sum());
        let mut found = 0;
        let mut check = |row: &rusqlite::Row<'_>| -> Result<()> {
            interruption::check("verifying")?;
            match row.get::<_, Option<bool>>(0)? {
                None => report.rows_without_checksum += 1,
                Some(right) => {
                    report.checksums += 1;
                    if !right {
                        found += 1;
                        if found <= MOST_FINDINGS {
                            let parts = (1..=covered.key.len()).map(|i| Ok(shown(row.get_ref(i)?)));
                            let row = parts.collect::<Result<Vec<_>>>()?.join(", ");
                            let what = "it does not have the checksum that it was stored with";
                            report.find(format!("{table} row {row}"), what);
                        }
                    }
                }
            }
            Ok(())
        };
        let sql = format!("SELECT {COLUMN} = {sum}, {key} FROM {name} NOT INDEXED");
        let mut statement = tx.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            check(row)?;
        }
        if found > MOST_FINDINGS {
            report.find(
                table,
                format!(
                    "{found} rows do not have their checksum; the first {MOST_FINDINGS} are named"
                ),
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::kernel::Database;

    fn file() -> (tempfile::TempDir, Database) {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::builder(folder.path().join("x.db")).open().unwrap();
        (folder, db)
    }

    /// Goal: what SQLite makes of a value on its way into a column does not change the sum: whole REALs, -0.0, NaN.
    #[test]
    fn a_value_has_one_sum_before_and_after_it_was_stored() {
        let (_folder, db) = file();
        db.write(|tx| {
            tx.execute(
                "CREATE TABLE t(id INTEGER PRIMARY KEY, a REAL, b ANY, c TEXT, d BLOB) STRICT",
                [],
            )?;
            tx.cover("t")?;
            let numbers =
                [0.0, -0.0, 1.0, -7.5, 1e300, 9_007_199_254_740_993.0, f64::NAN, f64::INFINITY];
            for x in numbers {
                for text in ["", "ä", "x\0y"] {
                    tx.execute(
                        "INSERT INTO t VALUES (NULL, ?1, ?2, ?3, ?4, silt_row_sum(?1, ?2, ?3, ?4))",
                        (x, x, text, text.as_bytes()),
                    )?;
                }
            }
            Ok(())
        })
        .unwrap();
        let report = db.verify().unwrap();
        assert_eq!((report.findings, report.checksums), (vec![], 24));
    }

    /// Goal: the sum is the documented hash of all bytes of the row, however long it is and wherever the piece in hand ends.
    #[test]
    fn a_sum_is_one_hash_of_the_whole_row() {
        use rusqlite::types::ValueRef;
        for length in (0..300).chain([5_000, 100_000]) {
            let text: Vec<u8> = (0..length).map(|i| b'a' + (i % 26) as u8).collect();
            let values = [ValueRef::Integer(-2), ValueRef::Text(&text), ValueRef::Null];
            let mut bytes = vec![1];
            bytes.extend((-2i64).to_le_bytes());
            bytes.push(3);
            bytes.extend((length as u64).to_le_bytes());
            bytes.extend(&text);
            bytes.extend([0; 9]);
            let expected = xxhash_rust::xxh3::xxh3_64(&bytes) as u32 as i32;
            assert_eq!(super::row_sum(values), i64::from(expected), "{length} letters");
        }
    }

    /// Goal: a row that another program writes or changes is not damage, and has no sum until we write it again; one
    /// whose bytes change beneath SQLite is.
    #[test]
    fn rows_of_other_programs_are_told_from_damage() {
        let (_folder, db) = file();
        db.write(|tx| {
            for (table, kind) in [("a", ""), ("b", "WITHOUT ROWID")] {
                let sql =
                    format!("CREATE TABLE {table}(k TEXT NOT NULL PRIMARY KEY, n INTEGER) {kind}");
                tx.execute(&sql, [])?;
                tx.cover(table)?;
                for k in ["x", "y", "z"] {
                    let sql = format!("INSERT INTO {table} VALUES (?1, 5, silt_row_sum(?1, 5))");
                    tx.execute(&sql, [k])?;
                }
            }
            Ok(())
        })
        .unwrap();
        let other = rusqlite::Connection::open(db.path()).unwrap();
        for table in ["a", "b"] {
            other.execute(&format!("UPDATE {table} SET n = 6 WHERE k = 'x'"), []).unwrap();
            other.execute(&format!("INSERT INTO {table}(k, n) VALUES ('new', 1)"), []).unwrap();
        }
        let report = db.verify().unwrap();
        let counts = (report.checksums, report.rows_without_checksum);
        assert_eq!((report.findings, counts), (vec![], (4, 4)));
        db.write(|tx| tx.seal("a", "k = ?1", ["x"])).unwrap();
        // A sum that does not fit, as after damage.
        for table in ["a", "b"] {
            let sql = format!("UPDATE {table} SET n = 4, row_sum = row_sum + 1 WHERE k = 'y'");
            other.execute(&sql, []).unwrap();
        }
        let report = db.verify().unwrap();
        assert_eq!((report.checksums, report.rows_without_checksum), (5, 3));
        let locations: Vec<_> = report.findings.iter().map(|finding| &*finding.location).collect();
        assert_eq!(locations, ["a row 2", "b row \"y\""]);
    }
}
