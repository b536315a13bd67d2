//! Columns into a block.

use super::column::Column;
use super::{ENTRY, Form, HEAD, MAGIC, MAX_COLUMNS, MAX_ROWS, VERSION, checksum, numbers};
use crate::error::{Error, Result};

/// The bytes of a block; the same columns give the same bytes.
///
/// # Errors
/// [`Error::Invalid`] for no rows or columns, too many of them, columns of different lengths, or a
/// word number without a word.
pub(crate) fn encode(columns: &[Column<'_>]) -> Result<Vec<u8>> {
    let rows = columns.first().map_or(0, Column::rows);
    check(columns, rows)?;
    let mut out = Vec::with_capacity(HEAD + columns.len() * ENTRY + 2 * rows);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[VERSION, columns.len() as u8, 0, 0]);
    out.extend_from_slice(&(rows as u32).to_le_bytes());
    let mut data = Vec::new();
    for column in columns {
        let before = data.len();
        let (form, range) = write_column(column, &mut data);
        out.extend_from_slice(&[column.kind() as u8, form as u8, 0, 0]);
        out.extend_from_slice(&((data.len() - before) as u32).to_le_bytes());
        out.extend_from_slice(&range);
    }
    out.extend_from_slice(&data);
    let sum = checksum(&out);
    out.extend_from_slice(&sum);
    Ok(out)
}

fn check(columns: &[Column<'_>], rows: usize) -> Result<()> {
    let invalid = |expected: String, got: usize| {
        Err(Error::invalid("a column block", expected, got.to_string()))
    };
    if columns.is_empty() || columns.len() > MAX_COLUMNS {
        return invalid(format!("1 to {MAX_COLUMNS} columns"), columns.len());
    }
    if rows == 0 || rows > MAX_ROWS {
        return invalid(format!("1 to {MAX_ROWS} rows"), rows);
    }
    for column in columns {
        if column.rows() != rows {
            return invalid(format!("{rows} rows in each column"), column.rows());
        }
        if let Column::Text(codes, words) = column {
            let greatest = codes.iter().copied().max().unwrap_or(0) as usize;
            if greatest >= words.len() {
                return invalid(format!("word numbers below {}", words.len()), greatest);
            }
        }
    }
    Ok(())
}

/// Appends a column's data; its form and its least and greatest value.
fn write_column(column: &Column<'_>, data: &mut Vec<u8>) -> (Form, [u8; 16]) {
    match column {
        Column::I64(items) => {
            let (form, bytes) = numbers::encode(items, |a, b| a == b);
            data.extend_from_slice(&bytes);
            let (least, greatest) = (items.iter().min(), items.iter().max());
            (form, range(least.copied().unwrap_or(0), greatest.copied().unwrap_or(0)))
        }
        Column::F64(items) => {
            let (form, bytes) = numbers::encode(items, |a, b| a.to_bits() == b.to_bits());
            data.extend_from_slice(&bytes);
            let numbers = || items.iter().copied().filter(|x| !x.is_nan());
            let least = numbers().min_by(f64::total_cmp).unwrap_or(f64::NAN);
            let greatest = numbers().max_by(f64::total_cmp).unwrap_or(f64::NAN);
            (form, range(least.to_bits() as i64, greatest.to_bits() as i64))
        }
        Column::U8(items) => {
            let (mut form, mut bytes) = numbers::encode(items, |a, b| a == b);
            if form != Form::Constant
                && let Ok(packed) = zstd::bulk::compress(items, 3)
                && packed.len() < bytes.len()
            {
                (form, bytes) = (Form::Zstd, packed);
            }
            data.extend_from_slice(&bytes);
            let (least, greatest) = (items.iter().min(), items.iter().max());
            let wide = |item: Option<&u8>| i64::from(item.copied().unwrap_or(0));
            (form, range(wide(least), wide(greatest)))
        }
        Column::Text(codes, words) => (write_text(codes, words, data), [0; 16]),
    }
}

fn write_text(codes: &[u32], words: &[&str], data: &mut Vec<u8>) -> Form {
    let mut plain = (words.len() as u32).to_le_bytes().to_vec();
    for word in words {
        plain.extend_from_slice(&(word.len() as u32).to_le_bytes());
        plain.extend_from_slice(word.as_bytes());
    }
    let packed = zstd::bulk::compress(&plain, 3).ok().filter(|packed| packed.len() < plain.len());
    let form = if packed.is_some() { Form::Zstd } else { Form::Raw };
    let dictionary = packed.unwrap_or(plain);
    data.extend_from_slice(&(dictionary.len() as u32).to_le_bytes());
    data.extend_from_slice(&dictionary);
    let (code_form, bytes) = numbers::encode(codes, |a, b| a == b);
    data.push(code_form as u8);
    data.extend_from_slice(&bytes);
    form
}

fn range(least: i64, greatest: i64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&least.to_le_bytes());
    bytes[8..].copy_from_slice(&greatest.to_le_bytes());
    bytes
}
