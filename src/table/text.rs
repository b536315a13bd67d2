//! CSV and JSON lines.

use std::borrow::Cow;
use std::io::{self, Write};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Schema};

use super::cell::{is_nested, looked_up, push_json};
use crate::error::{Error, Result};

/// A text as a spreadsheet takes it for a text: what it would run as a formula gets a `'` before it.
///
/// A formula begins with `=`, `+`, `-`, `@`, a tab or a line end. A text that is a plain number stays as it is.
pub fn without_formula(text: &str) -> Cow<'_, str> {
    let runs = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    if runs && text.parse::<f64>().is_err() { format!("'{text}").into() } else { text.into() }
}

/// Texts as they are written: as they are, or so that no spreadsheet runs them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Texts {
    pub(super) without_formulas: bool,
}

impl Texts {
    fn push(self, line: &mut Vec<u8>, text: &str) {
        match self.without_formulas {
            true => push_field(line, without_formula(text).as_bytes()),
            false => push_field(line, text.as_bytes()),
        }
    }
}

/// The first line of a CSV file: the columns' names.
pub(super) fn write_csv_header(
    out: &mut impl Write,
    schema: &Schema,
    texts: Texts,
) -> io::Result<()> {
    let mut line = Vec::new();
    for (i, field) in schema.fields().iter().enumerate() {
        if i > 0 {
            line.push(b',');
        }
        texts.push(&mut line, field.name());
    }
    line.push(b'\n');
    out.write_all(&line)
}

/// Rows as comma-separated text (RFC 4180, lines end in LF).
///
/// Null is an empty field and an empty text is `""`, so that they stay apart. A float is the
/// shortest text that reads as the same float, or `NaN`, `inf`, `-inf`; a list is its JSON text.
pub(super) fn write_csv(out: &mut impl Write, batch: &RecordBatch, texts: Texts) -> io::Result<()> {
    let mut line = Vec::new();
    let mut cell = Vec::new();
    for row in 0..batch.num_rows() {
        line.clear();
        for (i, column) in batch.columns().iter().enumerate() {
            if i > 0 {
                line.push(b',');
            }
            let (column, row) = looked_up(column, row);
            if column.is_null(row) || *column.data_type() == DataType::Null {
                continue;
            }
            match column.data_type() {
                DataType::Utf8 => texts.push(&mut line, column.as_string::<i32>().value(row)),
                DataType::LargeUtf8 => texts.push(&mut line, column.as_string::<i64>().value(row)),
                data_type => match special(column, row) {
                    Some(text) => line.extend_from_slice(text.as_bytes()),
                    None => {
                        cell.clear();
                        push_json(&mut cell, column, row);
                        // What JSON quotes here (times, bytes) holds nothing that CSV would quote.
                        let quoted = !is_nested(data_type) && cell.first() == Some(&b'"');
                        let text = if quoted { &cell[1..cell.len() - 1] } else { &cell[..] };
                        push_field(&mut line, text);
                    }
                },
            }
        }
        line.push(b'\n');
        out.write_all(&line)?;
    }
    Ok(())
}

/// A float that JSON cannot say.
fn special(column: &dyn Array, row: usize) -> Option<&'static str> {
    let value = match column.data_type() {
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row),
        DataType::Float32 => f64::from(column.as_primitive::<Float32Type>().value(row)),
        DataType::Float16 => f64::from(column.as_primitive::<Float16Type>().value(row).to_f32()),
        _ => return None,
    };
    match value {
        _ if value.is_nan() => Some("NaN"),
        f64::INFINITY => Some("inf"),
        f64::NEG_INFINITY => Some("-inf"),
        _ => None,
    }
}

fn push_field(line: &mut Vec<u8>, text: &[u8]) {
    let is_plain = |byte: &u8| !matches!(byte, b',' | b'"' | b'\n' | b'\r');
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_whitespace);
    if !text.is_empty() && text.iter().all(is_plain) && !edge(text.first()) && !edge(text.last()) {
        return line.extend_from_slice(text);
    }
    line.push(b'"');
    for byte in text {
        line.extend(std::iter::repeat_n(*byte, if *byte == b'"' { 2 } else { 1 }));
    }
    line.push(b'"');
}

/// The rows of a batch as JSON values, one a column: for whoever shows or sends a few of them. NaN and infinities
/// are the texts `NaN`, `Infinity` and `-Infinity`; in lists and structs they are null, as in JSON lines.
///
/// # Errors
/// [`Error::Invalid`] for a column of a type that text cannot hold.
pub fn rows(batch: &RecordBatch) -> Result<Vec<Vec<serde_json::Value>>> {
    super::cell::check(batch.schema_ref())?;
    let mut text = Vec::new();
    let mut value = |column: &ArrayRef, row| {
        match special(column, row).filter(|_| column.is_valid(row)) {
            Some("inf") => return Ok("Infinity".into()),
            Some("-inf") => return Ok("-Infinity".into()),
            Some(nan) => return Ok(nan.into()),
            None => text.clear(),
        }
        push_json(&mut text, column, row);
        serde_json::from_slice(&text)
            .map_err(|error| Error::invalid("a cell", "what JSON can say", error.to_string()))
    };
    (0..batch.num_rows())
        .map(|row| batch.columns().iter().map(|column| value(column, row)).collect())
        .collect()
}

/// Rows as JSON objects, one a line; a null is written too.
pub(super) fn write_jsonl(out: &mut impl Write, batch: &RecordBatch) -> io::Result<()> {
    let schema = batch.schema();
    let name = |name: &String| serde_json::to_vec(name).expect("a text always serializes");
    let names: Vec<Vec<u8>> = schema.fields().iter().map(|field| name(field.name())).collect();
    let mut line = Vec::new();
    for row in 0..batch.num_rows() {
        line.clear();
        line.push(b'{');
        for (i, column) in batch.columns().iter().enumerate() {
            if i > 0 {
                line.push(b',');
            }
            line.extend_from_slice(&names[i]);
            line.push(b':');
            push_json(&mut line, column, row);
        }
        line.extend_from_slice(b"}\n");
        out.write_all(&line)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what a spreadsheet would run is a text to it, and nothing else is touched: no number, also where it is a text.
    #[test]
    fn formulas_become_texts() {
        for text in
            ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "＝1", "-", "+49 30"]
        {
            assert_eq!(without_formula(text), format!("'{text}"));
        }
        for text in ["", "a=1", "-1.5", "+3", "-1e-7", "-inf", "2020-01-01", " =1", "'=1", "é"] {
            assert_eq!(without_formula(text), text);
        }
    }
}
