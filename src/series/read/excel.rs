//! A sheet of an Excel workbook as a comma-separated text: a line a row, so that lines are the sheet's row numbers.

use std::fmt::Write;
use std::io::{BufReader, Read};
use std::path::Path;

use calamine::{DataRef, Reader, SheetType, Xlsx, XlsxError};
use jiff::ToSpan;
use jiff::civil::{Date, date};

use super::PointsOptions;
use crate::error::{Error, Result};
use crate::kernel::open_file;

/// The bytes that a workbook may be when it is unpacked, for each of its own, and those that any may.
const BYTES_A_BYTE: u64 = 512;
const SOME_BYTES: u64 = 256 << 20;
const MOST_BYTES: u64 = 4 << 30;
/// Cells of a sheet, those between others that are empty too.
const MOST_CELLS: u64 = 1 << 28;
/// What Excel has at most.
const MOST_ROWS: u32 = 1_048_576;
const MOST_COLUMNS: u32 = 16_384;
const DAY_MS: f64 = 86_400_000.0;

/// A sheet as a text.
pub(super) struct Sheet {
    pub(super) text: String,
    pub(super) note: String,
}

type Workbook = Xlsx<BufReader<std::fs::File>>;

/// Reads the one sheet that has cells, or the one that is asked for.
///
/// # Errors
/// [`Error::Invalid`] for several sheets of which nobody names one, and for options that a workbook has no use for;
/// [`Error::Corrupt`] for a damaged one.
pub(super) fn read(path: &Path, options: &PointsOptions) -> Result<Sheet> {
    let location = path.display().to_string();
    let of_texts = PointsOptions {
        separator: None,
        encoding: None,
        decimal: None,
        thousands: None,
        ..options.clone()
    };
    if *options != of_texts {
        let expected = "a delimited text for --separator, --encoding, --decimal and --thousands";
        return Err(Error::invalid(&location, expected, "an Excel workbook"));
    }
    check_size(path, &location)?;
    let damaged = |error: XlsxError| Error::Corrupt {
        location: location.clone(),
        what: "the workbook".into(),
        why: error.to_string(),
    };
    let mut workbook: Workbook = Xlsx::new(BufReader::new(open_file(path)?)).map_err(damaged)?;
    let name = choose(&mut workbook, options, &location)?;
    let is_1904 = workbook.has_1904_epoch();
    let mut cells = workbook.worksheet_cells_reader(&name).map_err(damaged)?;
    let mut rows = Rows::default();
    // Of formulas that no program has calculated.
    let (mut formulas, mut first, skip) = (0_u64, None, options.skip_lines.unwrap_or(0));
    while let Some(cell) = cells.next_cell_with_formula_metadata().map_err(damaged)? {
        let is_empty = matches!(cell.value, DataRef::Empty);
        if cell.formula.is_some() && is_empty && u64::from(cell.pos.0) >= skip {
            formulas += 1;
            first.get_or_insert(cell.pos);
        }
        rows.push(cell.pos, &cell.value, is_1904, &location)?;
    }
    if let Some((row, column)) = first {
        let cell = format!("{location}, cell {}{}", letters(column), u64::from(row) + 1);
        let n = if formulas == 1 { "1 formula".to_owned() } else { format!("{formulas} formulas") };
        let expected = "values of formulas: open the workbook in Excel or LibreOffice and save it";
        return Err(Error::invalid(cell, expected, format!("{n} without a value")));
    }
    let mut note = format!("the sheet {name:?} of an Excel workbook");
    if is_1904 {
        note.push_str(", dates since 1904");
    }
    if rows.breaks > 0 {
        write!(note, ", cells whose line breaks became spaces: {}", rows.breaks).expect("a String");
    }
    if options.header.is_none() {
        rows.check_header(options.skip_lines.unwrap_or(0), &location)?;
    }
    Ok(Sheet { text: rows.text(), note })
}

/// Refuses what unpacks to far more than it is, whatever it says of itself.
fn check_size(path: &Path, location: &str) -> Result<()> {
    let file = open_file(path)?;
    let bytes = file.metadata().map_err(|e| Error::io(path, "reading it", &e))?.len();
    let most = bytes.saturating_mul(BYTES_A_BYTE).saturating_add(SOME_BYTES).min(MOST_BYTES);
    let damaged = |why: String| Error::Corrupt {
        location: location.to_owned(),
        what: "the workbook".into(),
        why,
    };
    let mut archive =
        zip::ZipArchive::new(BufReader::new(file)).map_err(|e| damaged(e.to_string()))?;
    let mut left = most;
    for at in 0..archive.len() {
        let part = archive.by_index(at).map_err(|e| damaged(e.to_string()))?;
        let mut limited = part.take(left + 1);
        let read = std::io::copy(&mut limited, &mut std::io::sink());
        let read = read.map_err(|e| damaged(e.to_string()))?;
        left = left.checked_sub(read).ok_or_else(|| {
            let expected = format!("a workbook of at most {most} bytes for a file of this size");
            Error::invalid(location, expected, "a larger one")
        })?;
    }
    Ok(())
}

/// The name of the sheet to read.
fn choose(workbook: &mut Workbook, options: &PointsOptions, location: &str) -> Result<String> {
    let sheets = workbook.sheets_metadata().iter();
    let sheets = sheets.filter(|sheet| sheet.typ == SheetType::WorkSheet);
    let names: Vec<String> = sheets.map(|sheet| sheet.name.clone()).collect();
    if let Some(asked) = &options.sheet {
        let found = names.iter().find(|name| *name == asked).cloned();
        let got = || format!("sheets {names:?}");
        return found.ok_or_else(|| Error::invalid(location, format!("a sheet {asked:?}"), got()));
    }
    let has_cells = |name: &&String| {
        let cells = workbook.worksheet_cells_reader(name);
        !matches!(cells.and_then(|mut cells| Ok(cells.next_cell()?.is_none())), Ok(true))
    };
    match &names.iter().filter(has_cells).collect::<Vec<_>>()[..] {
        [one] => Ok((*one).clone()),
        [] => Err(Error::invalid(location, "a sheet with cells", format!("{names:?}, all empty"))),
        several => {
            let expected = "one sheet: pass --sheet with the name of the one to take";
            Err(Error::invalid(location, expected, format!("{several:?}")))
        }
    }
}

/// The rows of a sheet as far as they were read.
#[derive(Default)]
struct Rows {
    /// Each row without its end: its cells, and of how many columns.
    rows: Vec<(String, u32)>,
    /// The first rows that have something, and in which columns.
    head: Vec<(usize, Vec<u32>)>,
    width: u32,
    /// Cells with line breaks.
    breaks: u64,
}

/// The rows that tell a header.
const HEAD: usize = 50;

impl Rows {
    /// Takes the next cell; they come row by row.
    fn push(
        &mut self,
        (row, column): (u32, u32),
        value: &DataRef<'_>,
        is_1904: bool,
        location: &str,
    ) -> Result<()> {
        if matches!(value, DataRef::Empty) {
            return Ok(());
        }
        if row >= MOST_ROWS || column >= MOST_COLUMNS {
            let expected = format!("at most {MOST_ROWS} rows and {MOST_COLUMNS} columns");
            let got = format!("a cell {}{}", letters(column), u64::from(row) + 1);
            return Err(Error::invalid(location, expected, got));
        }
        self.width = self.width.max(column + 1);
        if (u64::from(row) + 1) * u64::from(self.width) > MOST_CELLS {
            let expected = format!("a sheet of at most {MOST_CELLS} cells");
            return Err(Error::invalid(location, expected, "a larger one"));
        }
        let row = row as usize;
        self.rows.resize_with(self.rows.len().max(row + 1), Default::default);
        let is_earlier = row + 1 < self.rows.len();
        let (text, columns) = &mut self.rows[row];
        if *columns > column || is_earlier {
            return Err(Error::Corrupt {
                location: location.to_owned(),
                what: "the sheet".into(),
                why: format!("its cells are not in order at row {}", row + 1),
            });
        }
        let commas = column + 1 - (*columns).max(1);
        text.extend(std::iter::repeat_n(',', commas as usize));
        *columns = column + 1;
        self.breaks += u64::from(write_cell(text, value, is_1904));
        let heads = self.head.len();
        match self.head.last_mut() {
            Some((last, filled)) if *last == row => filled.push(column),
            _ if heads < HEAD => self.head.push((row, vec![column])),
            _ => {}
        }
        Ok(())
    }

    /// Refuses a first row that has nothing over a column which has something below: it is a title.
    fn check_header(&self, skip: u64, location: &str) -> Result<()> {
        let mut rows = self.head.iter().skip_while(|(row, _)| (*row as u64) < skip);
        let Some((first, names)) = rows.next() else { return Ok(()) };
        // The index may be without a name.
        let is_bare = |column: &&u32| **column > 0 && names.binary_search(column).is_err();
        let Some(bare) = rows.flat_map(|(_, filled)| filled).find(is_bare) else { return Ok(()) };
        let (row, column) = (first + 1, letters(*bare));
        let expected = format!(
            "a name over the column {column}: pass --skip-lines with the rows before the header, or --header if \
             row {row} is the header"
        );
        Err(Error::invalid(format!("{location}, row {row}"), expected, "none"))
    }

    fn text(self) -> String {
        let mut text = String::new();
        for (row, columns) in self.rows {
            text.push_str(&row);
            let commas = if columns == 0 { 0 } else { self.width - columns };
            text.extend(std::iter::repeat_n(',', commas as usize));
            text.push('\n');
        }
        text
    }
}

/// The letters of a column, counted from 0: `A`, `AB`.
fn letters(column: u32) -> String {
    let last = char::from(b'A' + (column % 26) as u8).to_string();
    match column / 26 {
        0 => last,
        before => letters(before - 1) + &last,
    }
}

/// Writes a cell; whether it had line breaks.
fn write_cell(text: &mut String, value: &DataRef<'_>, is_1904: bool) -> bool {
    let mut quoted = |own: &str| {
        let has_breaks = own.contains(['\n', '\r']);
        let own = own.replace("\r\n", " ").replace(['\n', '\r'], " ").replace('"', "\"\"");
        write!(text, "\"{own}\"").expect("a String");
        has_breaks
    };
    let plain = match value {
        DataRef::String(own) | DataRef::DateTimeIso(own) | DataRef::DurationIso(own) => {
            return quoted(own);
        }
        DataRef::SharedString(own) => return quoted(own),
        DataRef::Int(n) => n.to_string(),
        DataRef::Float(x) => number(*x),
        DataRef::Bool(yes) => yes.to_string(),
        DataRef::DateTime(time) if time.is_duration() => {
            format!("{}ms", (time.as_f64() * DAY_MS).round() as i64)
        }
        DataRef::DateTime(time) => {
            moment(time.as_f64(), is_1904).unwrap_or_else(|| number(time.as_f64()))
        }
        DataRef::Error(error) => return quoted(&error.to_string()),
        DataRef::Empty => String::new(),
    };
    text.push_str(&plain);
    false
}

/// A number as a text that is the same number when it is read, and an integer as one.
fn number(x: f64) -> String {
    let is_integer = x.fract() == 0.0 && x.abs() < 1e15 && x.to_bits() != (-0.0f64).to_bits();
    if is_integer { format!("{x:.0}") } else { format!("{x:?}") }
}

/// A serial number as a time, to the ms, which is what Excel keeps: the days since the epoch of the workbook. Less than a day
/// is the time of a day.
///
/// # Source
/// ECMA-376 part 1, 18.17.4: in the system of 1900 there is a day 60, 1900-02-29, which never was.
fn moment(serial: f64, is_1904: bool) -> Option<String> {
    const LAST: f64 = 2_958_466.0; // 10000-01-01
    if !(0.0..LAST).contains(&serial) {
        return None;
    }
    let ms = (serial * DAY_MS).round() as i64;
    let (day, ms) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let (seconds, ms) = (ms / 1_000, ms % 1_000);
    let mut clock = format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if ms > 0 {
        write!(clock, ".{ms:03}").expect("a String");
    }
    if serial < 1.0 {
        return Some(clock);
    }
    let epoch: Date = match (is_1904, day) {
        (true, _) => date(1904, 1, 1),
        (false, 60) => return Some(format!("1900-02-29 {clock}")),
        (false, ..60) => date(1899, 12, 31),
        (false, _) => date(1899, 12, 30),
    };
    let day = epoch.checked_add(day.days()).ok()?;
    Some(if serial.fract() == 0.0 { day.to_string() } else { format!("{day} {clock}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: serial numbers are the times that Excel shows, in both systems, and those that are none stay numbers.
    #[test]
    fn serial_numbers_are_times() {
        for (serial, is_1904, expected) in [
            (45_352.0, false, Some("2024-03-01")),
            (45_352.006_944_444_44, false, Some("2024-03-01 00:10:00")),
            (45_352.006_944_450_23, false, Some("2024-03-01 00:10:00.001")),
            (43_890.0, true, Some("2024-03-01")),
            (1.0, false, Some("1900-01-01")),
            (59.0, false, Some("1900-02-28")),
            (60.5, false, Some("1900-02-29 12:00:00")),
            (61.0, false, Some("1900-03-01")),
            (0.5, false, Some("12:00:00")),
            (0.0, true, Some("00:00:00")),
            (45_351.999_999_999_9, false, Some("2024-03-01 00:00:00")),
            (2_958_465.5, false, Some("9999-12-31 12:00:00")),
            (2_958_466.0, false, None),
            (2_958_465.5, true, None),
            (-1.0, false, None),
            (f64::NAN, false, None),
        ] {
            assert_eq!(moment(serial, is_1904).as_deref(), expected, "{serial} {is_1904}");
        }
        let numbers = [0.1, -7.0, 1e300, 1e15, -0.0].map(number);
        assert_eq!(numbers, ["0.1", "-7", "1e300", "1000000000000000.0", "-0.0"]);
        assert_eq!([0, 25, 26, 701, 702].map(letters), ["A", "Z", "AA", "ZZ", "AAA"]);
    }
}
