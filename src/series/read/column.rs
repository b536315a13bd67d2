//! What the cells of a column are.

use std::collections::HashSet;

use super::number::Marks;
use super::reading::{Form, Reading};
use super::time::{
    Cell, TimeProfile, is_digit_clock, is_digit_date, is_time_name, looks_like_time,
};
use super::{BadCells, PointsOptions};
use crate::error::Result;
use crate::series::process::parse_timespan;
use crate::series::text::{Column, Field, bad_line, boolean, is_missing};

/// What a column is to the series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::series) enum Role {
    Index,
    Values,
}

/// The cells that are numbers by one set of marks.
#[derive(Debug, Clone)]
struct NumberProfile {
    marks: Marks,
    fits: u64,
    /// Those that are none by the other marks.
    alone: u64,
    integers: bool,
    positive: bool,
    first_other: Option<Cell>,
    /// Integers that a float rounds.
    rounded: u64,
    first_rounded: Option<Cell>,
}

impl NumberProfile {
    fn note_other(&mut self, line: u64, text: &str) {
        self.first_other = self.first_other.take().or_else(|| Some(Cell::new(line, text)));
    }
}

/// The decimal mark that the numbers of a file show.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::series) struct FileMarks {
    pub(in crate::series) points: bool,
    pub(in crate::series) commas: bool,
    /// Whether commas stand between the fields.
    pub(in crate::series) comma_separated: bool,
}

/// The cells of a column, as far as they were looked at.
#[derive(Debug, Clone)]
pub(in crate::series) struct Profile<'o> {
    options: &'o PointsOptions,
    name: String,
    /// Whether what stands in quotes is no number and no boolean.
    is_json: bool,
    /// Whether they are cells of a sheet; and whether a text of it is one as `007`, which is no number.
    are_cells: bool,
    has_codes: bool,
    cells: u64,
    missing: u64,
    /// Whether an empty text stands in quotes.
    empty_texts: bool,
    numbers: Vec<NumberProfile>,
    /// A number that is another one by the other marks, and whether such ones have commas, or points.
    first_ambiguous: Option<Cell>,
    ambiguous_commas: bool,
    ambiguous_points: bool,
    booleans: u64,
    spans: u64,
    pub(super) times: TimeProfile,
    /// Cells that are meant as times, read or not.
    timelike: u64,
    /// Cells as `20240131`, and as `153000`.
    digit_dates: u64,
    digit_clocks: u64,
    seen: HashSet<String>,
    pub(super) repeats: bool,
}

/// The distinct texts that are kept to see whether one repeats.
const MOST_SEEN: usize = 1_000;

impl<'o> Profile<'o> {
    pub(in crate::series) fn new(name: &str, options: &'o PointsOptions) -> Self {
        let number = |marks| NumberProfile {
            marks,
            fits: 0,
            alone: 0,
            integers: true,
            positive: true,
            first_other: None,
            rounded: 0,
            first_rounded: None,
        };
        Profile {
            options,
            name: name.to_owned(),
            is_json: false,
            are_cells: false,
            has_codes: false,
            cells: 0,
            missing: 0,
            empty_texts: false,
            numbers: marks_of(options).into_iter().map(number).collect(),
            first_ambiguous: None,
            ambiguous_commas: false,
            ambiguous_points: false,
            booleans: 0,
            spans: 0,
            times: TimeProfile::default(),
            timelike: 0,
            digit_dates: 0,
            digit_clocks: 0,
            seen: HashSet::new(),
            repeats: false,
        }
    }

    /// Of JSON lines: a text is a text there, or a time or span, and a number has a decimal point.
    pub(super) fn of_json(name: &str, options: &'o PointsOptions) -> Self {
        let mut profile = Profile { is_json: true, ..Profile::new(name, options) };
        profile.numbers.retain(|profile| profile.marks == Marks::POINT);
        profile
    }

    pub(super) fn of_cells(self, are_cells: bool) -> Self {
        Profile { are_cells, ..self }
    }

    pub(in crate::series) fn add(&mut self, column: &Column<'_>, role: Role) {
        for (field, line) in column.fields.iter().zip(&column.lines) {
            self.cells += 1;
            let text = field.text.trim();
            let is_text = self.is_json && field.quoted;
            let is_left_out = match is_text {
                true => self.options.is_missing_mark(text),
                false => is_left_out(field, self.options),
            };
            if is_left_out {
                self.missing += 1;
                self.empty_texts |= field.quoted && text.is_empty();
                continue;
            }
            self.has_codes |= self.are_cells && field.quoted && is_code(text);
            if is_text {
                self.numbers.iter_mut().for_each(|profile| profile.note_other(*line, text));
            } else {
                self.add_number(*line, text);
                self.booleans += u64::from(boolean(text).is_some());
            }
            // A column of values is one of times if each cell is.
            let is_index = role == Role::Index;
            let before = self.present() - 1;
            if is_index || self.times.fits + self.times.clocks == before {
                self.times.add(*line, text, is_index.then_some(self.options));
            }
            if self.digit_dates == before {
                self.digit_dates += u64::from(is_digit_date(text));
            }
            if self.digit_clocks == before {
                self.digit_clocks += u64::from(is_digit_clock(text));
            }
            if is_index || self.spans == before {
                self.spans += u64::from(span_ns(text, role).is_some());
            }
            if is_index {
                self.timelike += u64::from(looks_like_time(text));
                if !self.repeats && self.seen.len() < MOST_SEEN {
                    self.repeats = !self.seen.insert(text.to_owned());
                }
            }
        }
    }

    fn add_number(&mut self, line: u64, text: &str) {
        // Most numbers have no mark: they are the same by all marks.
        let is_short = text.len() <= 15; // a float holds it
        if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() && is_short {
            return self.numbers.iter_mut().for_each(|profile| profile.fits += 1);
        }
        let mut fits = [None; 2];
        for (profile, fit) in self.numbers.iter_mut().zip(&mut fits) {
            let plain = profile.marks.plain(text);
            let is_signed = plain.as_ref().is_some_and(|plain| plain.parse::<i64>().is_ok());
            if !is_signed && profile.marks.float(text).is_none() {
                profile.note_other(line, text);
                continue;
            }
            *fit = Some(());
            profile.fits += 1;
            if !is_short && profile.marks.exact_float(text).is_none() {
                profile.rounded += 1;
                profile.first_rounded =
                    profile.first_rounded.take().or_else(|| Some(Cell::new(line, text)));
            }
            profile.integers &= is_signed;
            profile.positive &= plain.is_some_and(|plain| plain.parse::<u64>().is_ok());
        }
        match fits {
            [Some(()), None] => self.numbers[0].alone += 1,
            [None, Some(())] => self.numbers[1].alone += 1,
            [Some(()), Some(())] if text.contains(['.', ',']) => {
                self.ambiguous_commas |= text.contains(',');
                self.ambiguous_points |= text.contains('.');
                self.first_ambiguous =
                    self.first_ambiguous.take().or_else(|| Some(Cell::new(line, text)));
            }
            _ => {}
        }
    }

    fn present(&self) -> u64 {
        self.cells - self.missing
    }

    /// Whether half of the cells are numbers, or more.
    fn is_numeric(&self) -> bool {
        self.numbers.iter().any(|profile| profile.fits > 0 && profile.fits * 2 >= self.present())
    }

    /// Whether each cell is a time.
    pub(super) fn is_times(&self) -> bool {
        self.present() > 0 && self.times.fits == self.present()
    }

    /// Whether each cell is a date, and whether each is the time of a day. Digits alone are if the column is called so.
    pub(super) fn is_dates(&self) -> bool {
        let digits = self.digit_dates == self.cells && is_time_name(&self.name);
        self.cells > 0 && (self.times.dates == self.cells || digits)
    }

    pub(super) fn is_clocks(&self) -> bool {
        let digits = self.digit_clocks == self.cells && is_time_name(&self.name);
        self.cells > 0 && (self.times.clocks == self.cells || digits)
    }

    /// Whether more than half of the cells are no number.
    pub(super) fn is_text(&self) -> bool {
        !self.is_numeric()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.present() == 0
    }

    /// Adds what the numbers of the column show of the marks of the file.
    pub(super) fn show_marks(&self, file: &mut FileMarks) {
        for profile in self.numbers.iter().filter(|profile| self.is_numeric() && profile.alone > 0)
        {
            file.points |= profile.marks.decimal == '.';
            file.commas |= profile.marks.decimal == ',';
        }
    }

    /// The marks of the numbers of this column.
    fn marks(&self, file: FileMarks, location: &str) -> Result<&NumberProfile> {
        let [point, comma] = &self.numbers[..] else { return Ok(&self.numbers[0]) };
        if point.alone != comma.alone {
            return Ok(if point.alone > comma.alone { point } else { comma });
        }
        let undecided = match &self.first_ambiguous {
            // As many by the one as by the other.
            _ if point.alone > 0 => comma.first_other.as_ref(),
            None => return Ok(point),
            // Other columns tell a decimal mark, and never one between thousands: that would be a factor of 1,000.
            Some(_) if file.points && !file.commas && !self.ambiguous_commas => return Ok(point),
            Some(_) if file.commas && !file.points && !self.ambiguous_points => return Ok(comma),
            // Where commas stand between the fields, a point is a decimal point.
            Some(_) if file.comma_separated && !file.commas && !self.ambiguous_commas => {
                return Ok(point);
            }
            some => some.as_ref(),
        };
        let cell = undecided.cloned().unwrap_or_else(|| Cell::new(0, ""));
        let expected = format!(
            "a number of which the column {:?} tells the decimal mark: pass --decimal \".\" or --decimal \",\"",
            self.name
        );
        Err(bad_line(location, cell.line, &expected, &cell.text))
    }

    /// How the column is read.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is ambiguous and for a cell that does not fit, naming its line.
    pub(in crate::series) fn decide(
        &self,
        role: Role,
        file: FileMarks,
        location: &str,
    ) -> Result<Reading> {
        let options = self.options;
        let present = self.present();
        let form = if options.text.contains(&self.name) {
            Form::Text
        } else {
            match role {
                Role::Index => self.index_form(file, location)?,
                Role::Values if self.has_codes || present == 0 && self.empty_texts => Form::Text,
                Role::Values if present == 0 || self.is_numeric() => {
                    self.number_form(file, location)?
                }
                Role::Values if self.booleans == present => Form::Boolean,
                Role::Values if self.is_times() && self.times.is_plain() => {
                    Form::Times(self.times.decide(&PointsOptions::default(), location)?)
                }
                Role::Values if self.spans == present => Form::Spans,
                Role::Values => Form::Text,
            }
        };
        let mut reading = Reading {
            form,
            is_json: self.is_json,
            has_offsets: self.times.has_offsets(),
            missing: self.missing,
            bad: 0,
            examples: Vec::new(),
        };
        if let Form::Text = reading.form {
            reading.missing = 0;
        }
        if let (Form::Float(marks) | Form::Signed(marks) | Form::Positive(marks), Role::Values) =
            (&reading.form, role)
        {
            let profile = self.numbers.iter().find(|profile| profile.marks == *marks);
            let profile = profile.expect("the marks are of one of them");
            let is_float = matches!(reading.form, Form::Float(_));
            reading.bad = present - profile.fits + if is_float { profile.rounded } else { 0 };
            let rounded = profile.first_rounded.as_ref().filter(|_| is_float);
            let first = profile.first_other.iter().chain(rounded).min_by_key(|cell| cell.line);
            if let (BadCells::Refuse, Some(cell)) = (options.bad_cells, first) {
                let cells = match reading.bad {
                    1 => "1 cell".to_owned(),
                    n => format!("{n} cells"),
                };
                let number = match marks.plain(&cell.text).map(|text| text.parse::<f64>()) {
                    Some(Ok(_)) => "a number that a float of 64 bits holds",
                    _ => "a number",
                };
                let expected = format!(
                    "{number} in the column {:?} (--bad-cells missing leaves out {cells}, --text {:?} \
                     keeps all as texts)",
                    self.name, self.name,
                );
                return Err(bad_line(location, cell.line, &expected, &cell.text));
            }
        }
        Ok(reading)
    }

    fn number_form(&self, file: FileMarks, location: &str) -> Result<Form> {
        let profile = self.marks(file, location)?;
        Ok(match profile {
            NumberProfile { fits: 1.., integers: true, .. } => Form::Signed(profile.marks),
            NumberProfile { fits: 1.., positive: true, .. } => Form::Positive(profile.marks),
            _ => Form::Float(profile.marks),
        })
    }

    /// What an index is: times, numbers or spans if half of its cells are, and then all of them have to be.
    fn index_form(&self, file: FileMarks, location: &str) -> Result<Form> {
        let (options, cells) = (self.options, self.present());
        let asked = options.time_format.is_some() || options.time_unit.is_some();
        let refuse = |cell: &Option<Cell>, expected: &str| {
            let cell = cell.clone().unwrap_or_else(|| Cell::new(0, ""));
            Err(bad_line(location, cell.line, expected, &cell.text))
        };
        if cells == 0 {
            return Ok(Form::Float(Marks::POINT));
        }
        let half = |count: u64| count * 2 >= cells;
        if asked || half(self.times.fits) || (half(self.timelike) && self.spans < cells) {
            if self.times.fits < cells {
                let expected = match (&options.time_format, options.time_unit) {
                    (Some(format), _) => format!("a time as {format}"),
                    (_, Some(unit)) => format!("a number of {unit} since 1970"),
                    _ => format!(
                        "a time that can be read: pass --time-format, or --text {:?} to take all \
                         as texts",
                        self.name
                    ),
                };
                return refuse(&self.times.first_other, &expected);
            }
            return Ok(Form::Times(self.times.decide(options, location)?));
        }
        if options.time_zone.is_some() {
            let expected = "times in the index for --tz: pass --time-unit s, ms, us or ns for numbers \
                            since 1970, or --time-format";
            return refuse(&self.times.first_other, expected);
        }
        if self.is_numeric() && !self.has_codes {
            let profile = self.marks(file, location)?;
            if profile.fits < cells {
                return refuse(&profile.first_other, "a number, as the index has elsewhere");
            }
            // A float can say that it is missing.
            let form = match self.missing {
                0 => self.number_form(file, location)?,
                _ => Form::Float(profile.marks),
            };
            if matches!(form, Form::Float(_)) && profile.rounded > 0 {
                return refuse(&profile.first_rounded, "a number that a float of 64 bits holds");
            }
            return Ok(form);
        }
        if half(self.spans) {
            return Ok(Form::Spans);
        }
        if is_time_name(&self.name) {
            let expected = format!(
                "a time in the index {:?}: pass --time-format, or --text {:?} to take it as texts",
                self.name, self.name
            );
            return refuse(&self.times.first_other, &expected);
        }
        Ok(Form::Text)
    }
}

/// Whether a text is of digits that a number would lose zeros of.
fn is_code(text: &str) -> bool {
    text.len() > 1 && text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn marks_of(options: &PointsOptions) -> Vec<Marks> {
    let mut all = vec![Marks::POINT, Marks::COMMA];
    if let Some(thousands) = options.thousands {
        all.retain(|marks| marks.decimal != thousands);
        all.iter_mut().for_each(|marks| marks.thousands = thousands);
    }
    all.retain(|marks| options.decimal.is_none_or(|decimal| marks.decimal == decimal));
    all
}

/// Whether a cell says that nothing was measured.
pub(super) fn is_left_out(field: &Field<'_>, options: &PointsOptions) -> bool {
    let text = field.text.trim();
    is_missing(text) || options.is_missing_mark(text)
}

/// A time span, in ns. An index may have it as people write it (`2 h`); `1 m` is a length. Values are spans where they are
/// as pandas, ISO 8601 and our own CSV write them.
pub(super) fn span_ns(text: &str, role: Role) -> Option<i64> {
    let plain = ["ns", "us", "ms", "s"].iter().find_map(|unit| text.strip_suffix(unit));
    let written = text.contains(" days")
        || text.trim_start_matches('-').starts_with('P')
        || plain.is_some_and(|count| count.parse::<i64>().is_ok());
    let units = || text.split(|c: char| !c.is_alphabetic()).filter(|unit| !unit.is_empty());
    const LOWER: [&str; 10] = ["d", "h", "min", "s", "ms", "us", "µs", "μs", "ns", "sec"];
    let is_unit = |unit: &str| {
        LOWER.contains(&unit)
            || unit == "D"
            || (unit.len() > 3 && unit.bytes().all(|byte| byte.is_ascii_lowercase()))
            || (unit == "m" && units().count() > 1)
            || unit == "day"
            || unit == "hr"
    };
    let said = written || (role == Role::Index && units().all(is_unit));
    let bare = !written && !text.contains(':') && units().next().is_none();
    if said && !bare { parse_timespan(text).ok() } else { None }
}

/// Refuses a carriage return in a field without quotes: the lines of such a file end in several ways.
///
/// # Errors
/// [`Error::Invalid`](crate::Error::Invalid), naming its line.
pub(super) fn check_lines(column: &Column<'_>, location: &str) -> Result<()> {
    let mut cells = column.fields.iter().zip(&column.lines);
    let odd = cells.find(|(field, _)| !field.quoted && field.text.trim().contains('\r'));
    odd.map_or(Ok(()), |(field, line)| {
        let expected = "lines that all end in the same way, and no carriage return within one";
        Err(bad_line(location, *line, expected, &field.text))
    })
}
