//! What a file holds, seen before anything of it is stored.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::Missing;
use super::rows::{
    Bad, Cell, Clock, Columns, NoTime, Row, Source, Type, What, counted, float, integer,
    marked_integer, short,
};
use crate::array::DType;
use crate::error::{Error, Result};
use crate::kernel::{Progress, check_interrupted};
use crate::table::marks::Marks;

/// The most cells of a file whose rows are not in the order of their times, which are sorted in memory.
const MOST_UNSORTED: u64 = 1 << 27;
/// Rows between two looks at whether to stop.
const CHECK_ROWS: u64 = 1 << 14;

/// What the values of a column can be.
#[derive(Debug, Clone)]
struct Values {
    any: bool,
    missing: bool,
    integers: bool,
    floats: bool,
    booleans: bool,
    /// How many have the form of numbers with other marks, and the first of these, with its line.
    marked: u64,
    first_marked: Option<(u64, String)>,
    /// How many texts are numbers and are none, and the first of these, with its line.
    numbers: u64,
    /// Whether some of the numbers are no integers.
    decimals: bool,
    others: u64,
    other: Option<(u64, String)>,
}

/// A truth value, as programs write it.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

impl Values {
    const NONE: Self = Values {
        any: false,
        missing: false,
        integers: true,
        floats: true,
        booleans: true,
        marked: 0,
        first_marked: None,
        numbers: 0,
        decimals: false,
        others: 0,
        other: None,
    };

    fn add(&mut self, line: u64, cell: Cell<'_>, marks: Marks) {
        match cell {
            Cell::Missing => self.missing = true,
            Cell::Text(text) => {
                self.any = true;
                let is_integer = marked_integer(text, marks).is_some();
                let is_float = float(text, marks).is_some();
                self.integers &= is_integer;
                self.decimals |= is_float && !is_integer;
                self.floats &= is_float;
                if is_integer || is_float {
                    self.numbers += 1;
                } else {
                    self.others += 1;
                    self.other.get_or_insert_with(|| (line, short(text)));
                    if marks.are_others(text) {
                        self.marked += 1;
                        self.first_marked.get_or_insert_with(|| (line, short(text)));
                    }
                }
                self.booleans = self.booleans && boolean(text).is_some();
            }
            Cell::Int(_) | Cell::Float(_) | Cell::Item(_) => self.any = true,
        }
    }

    /// Whether most are numbers if some have other marks.
    fn is_marked(&self) -> bool {
        self.marked > 0 && self.numbers + self.marked >= self.others - self.marked
    }

    /// What makes a column of numbers one of texts.
    fn odd(&self) -> Option<&(u64, String)> {
        self.other.as_ref().filter(|_| self.numbers > self.others)
    }

    /// The dtype of texts that are all of one; `None` for those that are texts.
    fn dtype(&self) -> Type {
        match self {
            Values { integers: true, .. } => Some(DType::I64),
            Values { floats: true, .. } => Some(DType::F64),
            Values { booleans: true, .. } => Some(DType::BOOL),
            _ => None,
        }
    }
}

/// One group.
#[derive(Debug, Default)]
struct GroupProfile {
    values: Vec<Values>,
    /// The first time of each entity.
    first: HashMap<String, i64>,
    /// Entities at each time.
    counts: BTreeMap<i64, u64>,
    has_text_ids: bool,
}

/// What a file holds.
pub(super) struct Profile {
    groups: Vec<GroupProfile>,
    pub(super) missing: Option<Missing>,
    rows: u64,
    times: BTreeMap<i64, ()>,
    pub(super) is_sorted: bool,
}

impl Profile {
    /// Reads all of a source.
    ///
    /// # Errors
    /// [`Error::Invalid`] where an option has to say more, or for a file most of which is none of rows.
    pub(super) fn of(
        path: &Path,
        source: &mut dyn Source,
        (clock, missing): (Clock, Option<Missing>),
        progress: &mut Progress<'_>,
    ) -> Result<Self> {
        let mut profile = Profile {
            groups: Vec::new(),
            missing,
            rows: 0,
            times: BTreeMap::new(),
            is_sorted: true,
        };
        let (mut bad, mut last, mut seen, mut cells) =
            (Bad::new(path, false), i64::MIN, 0u64, 0u64);
        let mut latest = None;
        source.read(&mut |found| {
            seen += 1;
            if seen.is_multiple_of(CHECK_ROWS) {
                check_interrupted("importing")?;
                progress(0, 0)?;
            }
            let taken = match &found.what {
                What::Bad(why) => Err(NoTime::Bad(why.clone())),
                What::Row(row) => profile.add(found.line, row, clock),
                What::Cut(time) => {
                    let known = time.and_then(|time| clock.timestamp(time).ok());
                    let time = known.or(latest);
                    let is_latest = known.map_or(profile.is_sorted, |time| time >= last);
                    if !is_latest && !profile.times.is_empty() {
                        let location = format!("{}: line {}", path.display(), found.line);
                        let expected = "rows in the order of their times before a last line that may be cut, or --finished \
                            if it is whole";
                        let got = "no newline at its end, and a time that others follow";
                        return Err(Error::invalid(location, expected, got));
                    }
                    time.into_iter().for_each(|time| profile.leave_out(time));
                    if profile.times.is_empty() {
                        let why = "it is the last one and has no newline (--finished if it is whole)";
                        bad.push(found.line, why);
                    }
                    return Ok(());
                }
            };
            match taken {
                Ok(time) => {
                    latest = Some(time);
                    profile.is_sorted &= time >= last;
                    last = last.max(time);
                }
                Err(NoTime::Bad(why)) => bad.push(found.line, &why),
                Err(NoTime::Unclear(error)) => return Err(in_file(path, error)),
            }
            if let What::Row(row) = &found.what {
                cells += 1 + row.cells.len() as u64;
            }
            bad.check(profile.rows, false)
        })?;
        // A simulation in which nobody is at any time is one, too.
        let good = if bad.rows() == 0 { profile.times.len() as u64 } else { profile.rows };
        bad.check(good, true)?;
        if !profile.is_sorted && cells > MOST_UNSORTED {
            let expected =
                format!("rows in the order of their times, or at most {MOST_UNSORTED} cells");
            return Err(Error::invalid(path.display().to_string(), expected, cells.to_string()));
        }
        profile.check_marks(path, source)?;
        profile.check_missing(path, source)?;
        Ok(profile)
    }

    fn add(&mut self, line: u64, row: &Row<'_>, clock: Clock) -> Result<i64, NoTime> {
        let time = clock.timestamp(row.time)?;
        let id = entity(row)?;
        self.times.insert(time, ());
        let Some(id) = id else { return Ok(time) };
        self.rows += 1;
        while self.groups.len() <= row.group {
            self.groups.push(GroupProfile::default());
        }
        let group = &mut self.groups[row.group];
        while group.values.len() < row.cells.len() {
            // It was in no row before.
            group.values.push(Values { missing: !group.counts.is_empty(), ..Values::NONE });
        }
        for (values, cell) in group.values.iter_mut().zip(row.cells) {
            values.add(line, *cell, clock.marks);
        }
        for values in group.values.iter_mut().skip(row.cells.len()) {
            values.missing = true;
        }
        *group.counts.entry(time).or_default() += 1;
        let first = match id {
            Cell::Text(text) => {
                group.has_text_ids |= integer(text).is_none();
                match group.first.get_mut(text) {
                    Some(first) => first,
                    None => group.first.entry(text.to_owned()).or_insert(time),
                }
            }
            Cell::Int(n) => group.first.entry(n.to_string()).or_insert(time),
            _ => return Ok(time),
        };
        *first = time.min(*first);
        Ok(time)
    }

    /// Leaves out the rows of a time.
    fn leave_out(&mut self, time: i64) {
        self.times.remove(&time);
        for group in &mut self.groups {
            self.rows -= group.counts.remove(&time).unwrap_or(0);
            group.first.retain(|_, first| *first != time);
        }
    }

    /// Refuses a text with numbers that may have other marks, if nobody says which they have.
    fn check_marks(&self, path: &Path, source: &dyn Source) -> Result<()> {
        if !source.asks_for_marks() {
            return Ok(());
        }
        for (group, columns) in self.groups.iter().zip(source.groups()) {
            let columns = group.values.iter().zip(&columns.columns);
            let asked =
                columns.filter(|(values, (_, known))| known.is_none() && values.is_marked());
            for (values, (name, _)) in asked {
                let Some((line, text)) = &values.first_marked else { continue };
                let expected = source.marks().expected();
                let got = format!("{text:?} for {name} in line {line}");
                return Err(Error::invalid(path.display().to_string(), expected, got));
            }
        }
        Ok(())
    }

    /// Refuses a file where something has no value, and nobody says what that means.
    fn check_missing(&self, path: &Path, source: &dyn Source) -> Result<()> {
        if self.missing.is_some() {
            return Ok(());
        }
        for (group, columns) in self.groups.iter().zip(source.groups()) {
            let missing = group.values.iter().zip(&columns.columns);
            let empty =
                missing.filter(|(values, _)| values.missing && values.any).map(|(_, c)| &c.0);
            let mut firsts: Vec<i64> = group.first.values().copied().collect();
            firsts.sort_unstable();
            let known = |time: i64| firsts.partition_point(|first| *first <= time) as u64;
            let absent = group.counts.iter().find(|(time, count)| **count < known(**time));
            let got = match (empty.into_iter().next(), absent) {
                (Some(column), _) => format!("empty cells in {column:?}"),
                (None, Some((time, count))) => {
                    format!("{count} of {} entities at time {time}", known(*time))
                }
                (None, None) => continue,
            };
            let expected = "a value of each entity at each time, or what none means (--missing): \
                keep the one before, or clear it";
            return Err(Error::invalid(path.display().to_string(), expected, got));
        }
        Ok(())
    }

    /// How many updates there are.
    pub(super) fn updates(&self) -> u64 {
        self.times.len() as u64
    }

    pub(super) fn has_text_ids(&self, group: usize, columns: &Columns) -> bool {
        columns.has_text_ids || self.groups.get(group).is_some_and(|group| group.has_text_ids)
    }

    /// The type of a column; `None` if it has no value.
    pub(super) fn dtype(&self, group: usize, column: usize, known: Option<Type>) -> Option<Type> {
        let values = self.groups.get(group)?.values.get(column)?;
        values.any.then(|| known.unwrap_or_else(|| values.dtype()))
    }

    /// Whether some of the numbers of a column are no integers.
    pub(super) fn has_decimals(&self, group: usize, column: usize) -> bool {
        let values = self.groups.get(group).and_then(|group| group.values.get(column));
        values.is_some_and(|values| values.decimals)
    }

    /// What the file was taken for, and the types that its columns get.
    pub(super) fn in_words(
        &self,
        source: &dyn Source,
        clock: Clock,
        dtype: impl Fn(usize, usize) -> Option<Type>,
    ) -> String {
        let span = match (self.times.first_key_value(), self.times.last_key_value()) {
            (Some((first, _)), Some((last, _))) => format!("{first} to {last}"),
            _ => "none".into(),
        };
        let mut text = format!(
            "{}: {}, {} {span}{}{}",
            source.taken_for(),
            counted(self.rows, "row"),
            counted(self.updates(), "timestamp"),
            clock.in_words(),
            if self.is_sorted { "" } else { ", not in their order" },
        );
        for (at, (group, columns)) in self.groups.iter().zip(source.groups()).enumerate() {
            if group.first.is_empty() {
                continue;
            }
            let ids = if self.has_text_ids(at, columns) {
                "named by texts, numbered"
            } else {
                "by their ids"
            };
            let entities = counted(group.first.len() as u64, "entity");
            text += &format!("; {}: {entities} {ids}", columns.group);
            for (column, (name, _)) in columns.columns.iter().enumerate() {
                text += &match dtype(at, column) {
                    None => format!(", {name} (empty, left out)"),
                    Some(None) => match group.values[column].odd() {
                        Some((line, other)) => {
                            format!(", {name} (text, for {other:?} in line {line} is no number)")
                        }
                        None => format!(", {name} (text)"),
                    },
                    Some(Some(dtype)) => format!(", {name} ({dtype})"),
                };
            }
        }
        text
    }
}

/// The entity of a row; `None` for a row that only says that there is a time.
pub(super) fn entity<'a>(row: &Row<'a>) -> Result<Option<Cell<'a>>, NoTime> {
    match row.id {
        Cell::Missing if row.cells.iter().all(|cell| matches!(cell, Cell::Missing)) => Ok(None),
        Cell::Missing => Err(NoTime::Bad("id: expected one, got nothing".into())),
        Cell::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
            Ok(Some(Cell::Int(number as i64)))
        }
        Cell::Float(number) => Err(NoTime::Bad(format!("id: expected an integer, got {number}"))),
        id => Ok(Some(id)),
    }
}

fn in_file(path: &Path, error: Error) -> Error {
    match error {
        Error::Invalid { what, expected, got } => {
            Error::invalid(format!("{}: {what}", path.display()), expected, got)
        }
        other => other,
    }
}
