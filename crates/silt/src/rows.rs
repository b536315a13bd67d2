//! Rows of a result, in the form that the reader wants.

use std::io::{self, Write};

use clap::ValueEnum;
use serde_json::Value;

use crate::console::Console;
use crate::table::{Table, cells};
use crate::terminal::{self, escaped};

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns in line, for the eye
    Table,
    /// Values between tabs; \t, \n and \\ stand for tab, newline and backslash
    Tsv,
    /// Comma-separated values as in RFC 4180
    Csv,
    /// One JSON list of objects
    Json,
    /// One JSON object a line
    Jsonl,
}

impl Format {
    /// What was typed, else JSON if all results are, a table on a terminal, and TSV into a pipe.
    pub(crate) fn or_default(typed: Option<Format>, console: &Console) -> Format {
        typed.unwrap_or(match (console.json, console.is_terminal) {
            (true, _) => Format::Json,
            (false, true) => Format::Table,
            (false, false) => Format::Tsv,
        })
    }
}

/// A number as a value of JSON; what JSON does not have is a text.
pub(crate) fn number(x: f64) -> Value {
    match x {
        f64::INFINITY => "Infinity".into(),
        f64::NEG_INFINITY => "-Infinity".into(),
        x => serde_json::Number::from_f64(x).map_or_else(|| "NaN".into(), Value::Number),
    }
}

/// Writes rows one after another. A table is written at the end, since its widths are known then.
pub(crate) struct Rows<'a> {
    out: &'a mut dyn Write,
    is_terminal: bool,
    /// The width of a table, and whether its headings are bold.
    screen: (usize, bool),
    format: Format,
    columns: Vec<String>,
    /// The cells of a table.
    cells: Vec<Vec<String>>,
    written: u64,
}

impl<'a> Rows<'a> {
    /// Writes the header, where the format has one, to stdout.
    pub(crate) fn begin(
        console: &'a mut Console,
        format: Format,
        columns: Vec<String>,
    ) -> io::Result<Self> {
        let screen = (console.table_width(), console.color);
        Rows::new(&mut console.out, (console.is_terminal, screen), format, columns)
    }

    /// The same to anything else.
    pub(crate) fn begin_file(
        out: &'a mut dyn Write,
        format: Format,
        columns: Vec<String>,
    ) -> io::Result<Self> {
        Rows::new(out, (false, (usize::MAX, false)), format, columns)
    }

    fn new(
        out: &'a mut dyn Write,
        (is_terminal, screen): (bool, (usize, bool)),
        format: Format,
        columns: Vec<String>,
    ) -> io::Result<Self> {
        let header = columns.iter().map(|name| Value::from(name.as_str())).collect::<Vec<_>>();
        match format {
            Format::Csv | Format::Tsv => write_separated(out, is_terminal, format, &header)?,
            Format::Json => write!(out, "[")?,
            Format::Table | Format::Jsonl => {}
        }
        // Two columns of one name would be one key of an object.
        let columns = if matches!(format, Format::Json | Format::Jsonl) {
            distinct(columns)
        } else {
            columns
        };
        Ok(Rows { out, is_terminal, screen, format, columns, cells: Vec::new(), written: 0 })
    }

    /// Writes one row, a value a column.
    pub(crate) fn row(&mut self, values: Vec<Value>) -> io::Result<()> {
        match self.format {
            Format::Table => self.cells.push(values.iter().map(shown).collect()),
            Format::Csv | Format::Tsv => {
                write_separated(self.out, self.is_terminal, self.format, &values)?;
            }
            Format::Json | Format::Jsonl => {
                let object: serde_json::Map<_, _> =
                    self.columns.iter().cloned().zip(values).collect();
                let object = terminal::json(&Value::Object(object), false);
                let out = &mut self.out;
                match (self.format, self.written) {
                    (Format::Jsonl, _) => writeln!(out, "{object}")?,
                    (_, 0) => write!(out, "\n{object}")?,
                    _ => write!(out, ",\n{object}")?,
                }
            }
        }
        self.written += 1;
        Ok(())
    }

    /// Writes what comes after the last row; the number of rows.
    pub(crate) fn end(self) -> io::Result<u64> {
        match self.format {
            Format::Table => {
                let text = tables(&self.columns, &self.cells, self.screen);
                writeln!(self.out, "{}", terminal::line(&text))?;
            }
            Format::Json if self.written == 0 => writeln!(self.out, "]")?,
            Format::Json => writeln!(self.out, "\n]")?,
            _ => {}
        }
        Ok(self.written)
    }
}

/// The rows as one table or, where they are wider than the terminal, as several, one below the other:
/// each begins with the first column, which names the row.
fn tables(columns: &[String], rows: &[Vec<String>], (width, bold): (usize, bool)) -> String {
    let wide = |column: usize| {
        let texts = rows.iter().filter_map(|row| row.get(column)).chain([&columns[column]]);
        texts.map(|text| cells(&escaped(text.clone()))).max().unwrap_or(0) + 2
    };
    let mut blocks: Vec<Vec<usize>> = Vec::new();
    let mut room = 0;
    for column in 1..columns.len() {
        let needed = wide(column);
        match blocks.last_mut().filter(|_| needed <= room) {
            Some(block) => {
                block.push(column);
                room -= needed;
            }
            None => {
                blocks.push(vec![0, column]);
                room = width.saturating_add(2).saturating_sub(wide(0) + needed);
            }
        }
    }
    if blocks.is_empty() {
        blocks.push((0..columns.len()).collect());
    }
    let table = |block: Vec<usize>| {
        let mut table =
            Table::new(block.iter().map(|column| columns[*column].clone())).width(width);
        table = table.bold_headers(bold);
        for row in rows {
            table.row(block.iter().map(|column| row[*column].clone()));
        }
        table.to_string()
    };
    blocks.into_iter().map(table).collect::<Vec<_>>().join("\n\n")
}

fn distinct(columns: Vec<String>) -> Vec<String> {
    let mut seen: Vec<String> = Vec::with_capacity(columns.len());
    for column in columns {
        let mut name = column.clone();
        for n in 2.. {
            if !seen.contains(&name) {
                break;
            }
            name = format!("{column}_{n}");
        }
        seen.push(name);
    }
    seen
}

/// A line of CSV or TSV. A terminal gets no cell that would steer it; a file or pipe gets each as it is.
fn write_separated(
    out: &mut dyn Write,
    is_terminal: bool,
    format: Format,
    cells: &[Value],
) -> io::Result<()> {
    let separator = if format == Format::Csv { "," } else { "\t" };
    for (i, value) in cells.iter().enumerate() {
        let cell = match (format, value) {
            // An empty text is not nothing.
            (Format::Csv, Value::String(text)) if text.is_empty() => "\"\"".to_owned(),
            (Format::Csv, value) => csv(&text(value)),
            (_, value) => tsv(&text(value)),
        };
        let cell = if is_terminal { escaped(cell) } else { cell };
        write!(out, "{}{cell}", if i == 0 { "" } else { separator })?;
    }
    writeln!(out)
}

/// A value without quotes; nothing for `null`.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A value in a table, where an empty cell would be taken for an empty text.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        other => text(other),
    }
}

fn csv(text: &str) -> String {
    let has_edge = text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace);
    match has_edge || text.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

fn tsv(text: &str) -> String {
    match text.contains(['\\', '\t', '\n', '\r']) {
        true => text
            .replace('\\', "\\\\")
            .replace('\t', "\\t")
            .replace('\n', "\\n")
            .replace('\r', "\\r"),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: separators, quotes and newlines in a value do not break a line.
    #[test]
    fn values_are_quoted() {
        assert_eq!(
            ["a", "a,b", "a\"b", "a\nb", " a"].map(csv),
            ["a", "\"a,b\"", "\"a\"\"b\"", "\"a\nb\"", "\" a\""]
        );
        assert_eq!(["a,b", "a\tb", "a\\n\nb\r"].map(tsv), ["a,b", "a\\tb", "a\\\\n\\nb\\r"]);
    }

    /// Goal: a table that is too wide for the terminal loses no column and cuts none.
    #[test]
    fn a_wide_table_goes_on_below() {
        let columns = ["id", "first", "second", "third"].map(str::to_owned);
        let rows = [["1", "aaaaaaaa", "bbbbbbbb", "cccccccc"].map(str::to_owned).to_vec()];
        let at = |width| tables(&columns, &rows, (width, false));
        let first = "id  first     second\n──  ────────  ────────\n 1  aaaaaaaa  bbbbbbbb";
        assert_eq!(at(22), format!("{first}\n\nid  third\n──  ────────\n 1  cccccccc"));
        assert_eq!(at(32).lines().count(), 3);
        assert_eq!(at(21).matches("id").count(), 3, "{}", at(21));
        assert_eq!(at(5).matches("id").count(), 3, "{}", at(5));
        assert_eq!(tables(&columns[..1], &[vec!["7".into()]], (1, false)), "id\n──\n 7");
        assert_eq!(tables(&[], &[vec![]], (10, false)), "\n\n");
    }

    /// Goal: no value of an object is lost to another column of the same name.
    #[test]
    fn columns_of_one_name_get_numbers() {
        let names = ["a", "a", "b", "a", "a_2"].map(str::to_owned).to_vec();
        assert_eq!(distinct(names), ["a", "a_2", "b", "a_3", "a_2_2"]);
    }
}
