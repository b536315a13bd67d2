//! A text table for the terminal, and how wide a text stands there.

use std::fmt;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::terminal::escaped;

/// Between two columns.
const GAP: &str = "  ";
/// Narrower than this no column is cut.
const NARROWEST: usize = 3;

/// Rows of text under headers: columns of numbers stand right, all others left.
///
/// Control characters and marks of writing direction come out escaped, so that text from a file
/// cannot steer the terminal. Lines end without spaces, and the last one without a newline.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    headers: Vec<String>,
    rows: Vec<Vec<String>>,
    width: Option<usize>,
    bold: bool,
}

impl Table {
    /// An empty table.
    pub(crate) fn new<T: Into<String>>(headers: impl IntoIterator<Item = T>) -> Self {
        Table { headers: printable(headers), ..Table::default() }
    }

    /// Whether the headers are bold.
    pub(crate) fn bold_headers(mut self, bold: bool) -> Self {
        self.bold = bold;
        self
    }

    /// Cuts the widest columns until a line has at most `width` terminal cells.
    ///
    /// Columns are never cut below three cells, so that very many columns may still be wider.
    pub(crate) fn width(mut self, width: usize) -> Self {
        self.width = Some(width);
        self
    }

    /// Adds a row. Cells that it lacks stay empty; those beyond the headers get an empty header.
    pub(crate) fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) -> &mut Self {
        self.rows.push(printable(cells));
        self
    }

    /// The width of each column.
    fn widths(&self) -> Vec<usize> {
        let lines = || std::iter::once(&self.headers).chain(&self.rows);
        let mut widths = vec![0; lines().map(Vec::len).max().unwrap_or(0)];
        for line in lines() {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = cells(cell).max(*width);
            }
        }
        let gaps = GAP.len() * widths.len().saturating_sub(1);
        let room = self.width.map_or(usize::MAX, |width| width.saturating_sub(gaps));
        // One limit for all: columns below it keep their width, the others share what is left.
        let total = |limit: usize| widths.iter().map(|width| *width.min(&limit)).sum::<usize>();
        let widest = widths.iter().copied().max().unwrap_or(0);
        if total(widest) <= room {
            return widths;
        }
        let limit = (NARROWEST..widest).rev().find(|limit| total(*limit) <= room);
        let limit = limit.unwrap_or(NARROWEST);
        let mut spare = room.saturating_sub(total(limit));
        for width in widths.iter_mut().filter(|width| **width > limit) {
            let extra = spare.min(1);
            spare -= extra;
            *width = limit + extra;
        }
        widths
    }

    /// Whether each cell of a column that says something is a number.
    fn is_numeric(&self, column: usize) -> bool {
        let mut said = self.rows.iter().filter_map(|row| row.get(column)).filter(|cell| {
            let cell = cell.trim();
            !cell.is_empty() && cell != "-" && cell != "–"
        });
        let first = said.next();
        first.is_some_and(|cell| is_number(cell)) && said.all(|cell| is_number(cell))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        let right: Vec<bool> = (0..widths.len()).map(|column| self.is_numeric(column)).collect();
        let line = |row: &[String]| {
            let mut line = String::new();
            for (column, width) in widths.iter().enumerate() {
                let cell = cut(row.get(column).map_or("", String::as_str), *width);
                let pad = " ".repeat(width.saturating_sub(cells(&cell)));
                let gap = if column == 0 { "" } else { GAP };
                match right[column] {
                    true => line.extend([gap, &pad, &cell]),
                    false => line.extend([gap, &cell, &pad]),
                }
            }
            line.truncate(line.trim_end().len());
            line
        };
        let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
        write!(f, "{}\n{}", bold(line(&self.headers), self.bold), line(&rule))?;
        self.rows.iter().try_for_each(|row| write!(f, "\n{}", line(row)))
    }
}

/// The text, bold if so wished.
pub(crate) fn bold(text: String, wished: bool) -> String {
    if wished { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text }
}

/// Whether a text reads as a number, perhaps with commas between thousands, a sign and a unit:
/// `-1,234.5`, `1e-9`, `12 ms`, `3.4 MB`, `87%`, `2.5x`, `NaN`.
fn is_number(text: &str) -> bool {
    let text = text.trim();
    let unit_at = text.find(|c: char| c.is_whitespace() || matches!(c, '%' | 'x' | '×'));
    let (number, unit) = text.split_at(unit_at.unwrap_or(text.len()));
    let short = unit.trim().chars().count() <= 5 && !unit.contains(|c: char| c.is_ascii_digit());
    short && number.replace(',', "").parse::<f64>().is_ok()
}

fn printable<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Vec<String> {
    texts.into_iter().map(|text| escaped(text.into())).collect()
}

/// The terminal cells that a text takes.
pub(crate) fn cells(text: &str) -> usize {
    text.width()
}

/// The text, cut to at most `width` cells; the last one is then `…`.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if cells(text) <= width {
        return text.to_owned();
    }
    let Some(room) = width.checked_sub(1) else { return String::new() };
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = ends.take_while(|end| cells(&text[..*end]) <= room).last().unwrap_or(0);
    format!("{}…", &text[..end])
}

/// The terminal cells of one character: 0 for marks that join the one before, 2 for the wide scripts and emoji.
pub(crate) fn cells_of(c: char) -> usize {
    c.width().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the layout, to the character: numbers right, text left, gaps, rule, no trailing space.
    #[test]
    fn numbers_stand_right_and_text_left() {
        let mut table = Table::new(["name", "rows", "size", "note"]);
        table.row(["people", "4,000", "1.5 MB", "-"]).row(["towns", "-12", "87 kB", "x1"]);
        table.row(["z", "-", "", ""]);
        let expected = "name     rows    size  note\n\
                        ──────  ─────  ──────  ────\n\
                        people  4,000  1.5 MB  -\n\
                        towns     -12   87 kB  x1\n\
                        z           -";
        assert_eq!(table.to_string(), expected);
    }

    /// Goal: dates, versions, hashes and words are no numbers; what a report prints is one.
    #[test]
    fn numbers_are_told_from_text() {
        for text in ["0", "-1.5", "1,234,567", "1e-9", "NaN", "12 ms", "87%", "2.5x", "3 days"] {
            assert!(is_number(text), "{text}");
        }
        for text in ["2024-01-05", "1.2.3", "", "-", "a1", "0x1f", "12:30", "1 2", "5 10 15"] {
            assert!(!is_number(text), "{text}");
        }
    }

    /// Goal: a table fits its width, by cutting the widest columns and no narrow one.
    #[test]
    fn the_widest_columns_are_cut() {
        let mut table = Table::new(["id", "first", "second"]).width(30);
        table.row(["17", &"a".repeat(40), &"b".repeat(50)]);
        let text = table.to_string();
        let last = text.lines().last().unwrap();
        assert_eq!(last, format!("17  {}…  {}…", "a".repeat(11), "b".repeat(11)));
        assert!(text.lines().all(|line| cells(line) <= 30), "{text}");
        let mut narrow = Table::new(["abcdef"; 4]).width(0);
        narrow.row(["abcdef"; 4]);
        assert!(narrow.to_string().ends_with("ab…  ab…  ab…  ab…"));
    }

    /// Goal: wide characters take two cells, joined ones none, and columns stay in line.
    #[test]
    fn wide_characters_keep_the_columns_in_line() {
        assert_eq!(
            ["é", "e\u{301}", "日本", "🚰", "👍🏽", "❤\u{fe0f}", "…"].map(cells),
            [1, 1, 4, 2, 2, 2, 1]
        );
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("日本語", 6), "日本語");
        assert_eq!(cut("abc", 0), "");
        assert_eq!(cut("❤\u{fe0f}❤\u{fe0f}❤\u{fe0f}", 5), "❤\u{fe0f}❤\u{fe0f}…");
        let mut table = Table::new(["town", "n"]);
        table.row(["東京", "1"]).row(["Bern", "22"]);
        assert!(table.to_string().ends_with("東京   1\nBern  22"), "{table}");
    }

    /// Goal: text from a file cannot steer the terminal or break a line.
    #[test]
    fn control_characters_are_escaped() {
        let mut table = Table::new(["a\nb"]);
        table.row(["\u{1b}[31mred\t\u{202e}"]);
        let text = table.to_string();
        assert_eq!(text.lines().count(), 3);
        assert!(text.starts_with("a\\nb\n"));
        assert!(text.ends_with("\\u{1b}[31mred\\t\\u{202e}"), "{text}");
    }

    /// Goal: rows longer or shorter than the headers, and no rows or headers at all, are printed.
    #[test]
    fn ragged_and_empty_tables_are_printed() {
        assert_eq!(Table::default().to_string(), "\n");
        assert_eq!(Table::new(["a"]).to_string(), "a\n─");
        let mut table = Table::new(["a"]);
        table.row(["1", "two"]).row(Vec::<String>::new());
        assert_eq!(table.to_string(), "a\n─  ───\n1  two\n");
    }
}
