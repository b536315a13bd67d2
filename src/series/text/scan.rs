//! The records of a delimited text by columns, and the separator.

use super::column::Column;
use super::{Row, Rows};
use crate::error::Result;

/// The most records whose fields are held as texts at a time: each takes many times what it becomes.
const PIECE_ROWS: usize = 65_536;

/// The columns of the next records, `width` fields each; `None` behind the last.
///
/// # Errors
/// [`Error::Invalid`], naming `location` and the line, for a record of another number of fields.
pub(in crate::series) fn next_piece<'a>(
    rows: &mut impl Iterator<Item = Row<'a>>,
    width: usize,
    location: &str,
) -> Result<Option<Vec<Column<'a>>>> {
    let mut columns = vec![Column::default(); width];
    for row in rows.take(PIECE_ROWS) {
        if let Some(line) = row.open_quote {
            return Err(super::open_quote(location, line));
        }
        if row.fields.len() != width {
            let (expected, got) = (format!("{width} fields"), row.fields.len().to_string());
            return Err(super::bad_line(location, row.line, &expected, &got));
        }
        for (column, field) in columns.iter_mut().zip(row.fields) {
            column.fields.push(field);
            column.lines.push(row.line);
        }
    }
    Ok(columns.first().is_some_and(|column| !column.lines.is_empty()).then_some(columns))
}

/// The records that tell the separator.
const HEAD: usize = 50;

/// The separator of a text: the one by which most of its first records have the same number of fields, two or more. Of
/// several, the one that a decimal comma is not taken for.
pub(in crate::series) fn find_separator(text: &str) -> char {
    let mut best = (',', 0);
    for separator in [';', '\t', '|', ','] {
        let counts: Vec<usize> =
            Rows::new(text, separator).take(HEAD).map(|row| row.fields.len()).collect();
        let same = |count: &usize| counts.iter().filter(|other| *other == count).count();
        let most = counts.iter().filter(|count| **count > 1).map(same).max();
        if most.unwrap_or(0) > best.1 {
            best = (separator, most.unwrap_or(0));
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a decimal comma is not taken for a separator.
    #[test]
    fn a_separator_is_found() {
        for (text, separator) in [
            ("t,v\n1,2\n", ','),
            ("t;v\n1;2,5\n", ';'),
            ("t\tv w\n1\t2\n", '\t'),
            ("t|v\n1|2\n", '|'),
            ("\"a;b\",v\n1,2\n", ','),
            ("title\nt;v\n1;2,5\n2;3,5\n", ';'),
            ("t\n1\n", ','),
            ("", ','),
        ] {
            assert_eq!(find_separator(text), separator, "{text:?}");
        }
    }
}
