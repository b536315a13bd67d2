//! How a table-valued function over blocks is called: its arguments, what is asked of the column that its blocks are in
//! the order of, and where the blocks are.

use std::ffi::c_int;

use rusqlite::Result;
use rusqlite::vtab::{IndexConstraintOp as Op, IndexInfo};

/// Rows of a block, as the planner is reported.
const ROWS: i64 = 16_384;

/// A table of blocks of which an SQL function makes rows or items: it gets the id of a block and reads the bytes itself.
pub(crate) struct BlockTable {
    /// The function.
    pub(crate) function: &'static str,
    /// The table, whose key is `id`.
    pub(crate) name: &'static str,
    /// The columns that the function reads.
    pub(crate) columns: &'static str,
}

impl BlockTable {
    /// The table whose blocks a function reads.
    pub(super) fn of(function: &str) -> &'static Self {
        let mut all = crate::STORES.into_iter().filter_map(|store| store.blocks.as_ref());
        all.find(|blocks| blocks.function == function).expect("a store has blocks for the function")
    }

    /// The query for a block by its id.
    pub(super) fn sql(&self) -> String {
        format!("SELECT {} FROM main.{} WHERE id = ?1", self.columns, self.name)
    }
}

/// A plan as a text: the columns that are used, as a number, and behind a space a letter for each value that a cursor gets,
/// the digit of an argument or how the value compares with the ordered column: `=`, `>` or `<`.
///
/// The arguments are hidden columns from `first_argument` on, all of which must be given. False if one is not: then SQLite
/// looks for another way.
pub(super) fn plan(
    info: &mut IndexInfo,
    ordered: c_int,
    first_argument: c_int,
    arguments: u32,
) -> Result<bool> {
    let mut letters: Vec<Option<char>> = Vec::new();
    for (i, constraint) in info.constraints().enumerate() {
        letters.push(match (constraint.column(), constraint.operator()) {
            _ if !constraint.is_usable() => None,
            (column, op) if column == ordered => {
                comparison(op).filter(|_| info.collation(i) == Ok("BINARY"))
            }
            (column, Op::SQLITE_INDEX_CONSTRAINT_EQ) if column >= first_argument => {
                char::from_digit((column - first_argument) as u32, 10)
            }
            _ => None,
        });
    }
    if (0..arguments).any(|i| !letters.contains(&char::from_digit(i, 10))) {
        return Ok(false);
    }
    let mut plan = format!("{} ", info.col_used());
    let mut value = 0;
    for (i, letter) in letters.into_iter().enumerate() {
        let Some(letter) = letter else { continue };
        plan.push(letter);
        value += 1;
        let mut usage = info.constraint_usage(i);
        usage.set_argv_index(value);
        // What is asked of the rows is looked at once more by SQLite; the arguments have no rows.
        usage.set_omit(letter.is_ascii_digit());
    }
    info.set_idx_str(&plan);
    info.set_estimated_cost(ROWS as f64);
    info.set_estimated_rows(ROWS);
    Ok(true)
}

fn comparison(op: Op) -> Option<char> {
    match op {
        Op::SQLITE_INDEX_CONSTRAINT_EQ => Some('='),
        Op::SQLITE_INDEX_CONSTRAINT_GT | Op::SQLITE_INDEX_CONSTRAINT_GE => Some('>'),
        Op::SQLITE_INDEX_CONSTRAINT_LT | Op::SQLITE_INDEX_CONSTRAINT_LE => Some('<'),
        _ => None,
    }
}
