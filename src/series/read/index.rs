//! The index of a text, read some records at a time.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, DurationNanosecondArray, Float64Array, Int64Array, StringArray,
    TimestampNanosecondArray, UInt64Array,
};

use super::column::{FileMarks, Profile, Role, span_ns};
use super::local::{Local, instants};
use super::reading::{Form, Reading};
use super::time::{TimeReading, is_time_name};
use super::{PointsColumn, PointsOptions};
use crate::error::Result;
use crate::series::index::IndexMetadata;
use crate::series::text::{Column, Field, bad_line, join, zone_name};

/// Refuses an empty cell of an index.
///
/// # Errors
/// [`Error::Invalid`](crate::Error::Invalid), naming its line.
pub(in crate::series) fn check_index(
    column: &Column<'_>,
    options: &PointsOptions,
    location: &str,
) -> Result<()> {
    let mut cells = column.fields.iter().zip(&column.lines);
    let missing =
        cells.find(|(field, _)| field.is_missing() || options.is_missing_mark(field.text.trim()));
    missing.map_or(Ok(()), |(field, line)| {
        Err(bad_line(location, *line, "a value of the index", &field.text))
    })
}

/// The index of texts of which nobody wrote down what they are, and the metadata that go with it.
///
/// # Errors
/// [`Error::Invalid`](crate::Error::Invalid) for what is ambiguous and for a cell that does not fit, naming its line.
pub(in crate::series) fn index_of(
    column: &Column<'_>,
    known: IndexMetadata,
    location: &str,
) -> Result<(ArrayRef, IndexMetadata)> {
    let options = PointsOptions { time_zone: known.time_zone.clone(), ..Default::default() };
    check_index(column, &options, location)?;
    let mut profile = Profile::new("", &options);
    profile.add(column, Role::Index);
    let mut index =
        IndexReading::new(profile.decide(Role::Index, FileMarks::default(), location)?);
    index.add(column, location)?;
    let found = index.end(known.name, &options, location)?;
    Ok((found.array, found.known))
}

/// An index as far as it was read.
#[derive(Debug)]
pub(in crate::series) struct IndexReading {
    reading: Reading,
    lines: Vec<u64>,
    times: Vec<Local>,
    pieces: Vec<ArrayRef>,
}

/// An index.
#[derive(Debug)]
pub(in crate::series) struct Found {
    pub(in crate::series) array: ArrayRef,
    pub(in crate::series) known: IndexMetadata,
    /// What it was taken for.
    pub(super) reported: PointsColumn,
    /// What else should be known.
    pub(super) note: Option<String>,
    /// The line of each value.
    pub(super) lines: Vec<u64>,
}

impl IndexReading {
    pub(in crate::series) fn new(reading: Reading) -> Self {
        IndexReading { reading, lines: Vec::new(), times: Vec::new(), pieces: Vec::new() }
    }

    /// Reads some cells; the bytes that they take.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a cell that does not fit, naming its line.
    pub(in crate::series) fn add(&mut self, column: &Column<'_>, location: &str) -> Result<u64> {
        self.lines.extend(&column.lines);
        if let Form::Times(times) = &self.reading.form {
            let expected = format!("a time{}", times.reported());
            let read = |text: &str| times.read(text);
            for (stamp, line) in all(column, (location, &expected), read)?.iter().zip(&column.lines)
            {
                if let (TimeReading::Epoch(unit), Err(_)) = (times, i64::try_from(stamp.wall)) {
                    return Err(unit.too_far(stamp.wall, &format!("{location}, line {line}")));
                }
                self.times.push(Local::of(stamp, *line, location)?);
            }
            return Ok(column.lines.len() as u64 * size_of::<(Local, u64)>() as u64);
        }
        let number = (location, "a number");
        let piece: ArrayRef = match &self.reading.form {
            Form::Signed(marks) => {
                Arc::new(Int64Array::from_iter_values(all(column, number, |text| {
                    marks.integer(text)
                })?))
            }
            Form::Positive(marks) => {
                Arc::new(UInt64Array::from_iter_values(all(column, number, |text| {
                    marks.integer(text)
                })?))
            }
            Form::Float(marks) => {
                Arc::new(Float64Array::from(all(column, number, |text| marks.float(text))?))
            }
            Form::Spans => {
                let read = |text: &str| span_ns(text, Role::Index);
                Arc::new(DurationNanosecondArray::from(all(
                    column,
                    (location, "a time span"),
                    read,
                )?))
            }
            Form::Text | Form::Boolean | Form::Times(_) => {
                let texts = column.fields.iter().map(|field| Some(&*field.text));
                Arc::new(texts.collect::<StringArray>())
            }
        };
        let bytes = piece.get_array_memory_size() as u64 + column.lines.len() as u64 * 8;
        self.pieces.push(piece);
        Ok(bytes)
    }

    /// The whole of it, with this name.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a local time that is ambiguous or skipped, naming its line.
    pub(in crate::series) fn end(
        mut self,
        name: Option<String>,
        options: &PointsOptions,
        location: &str,
    ) -> Result<Found> {
        if self.lines.is_empty() {
            self.add(&Column::default(), location)?;
        }
        let known = |kind: &str, time_zone: Option<String>| IndexMetadata {
            kind: kind.into(),
            name: name.clone(),
            time_zone,
            ..IndexMetadata::default()
        };
        let label = name.clone().unwrap_or_default();
        let Form::Times(times) = &self.reading.form else {
            let kind = match self.reading.form {
                Form::Spans => "TimedeltaIndex",
                _ => "Index",
            };
            let number =
                matches!(self.reading.form, Form::Signed(_) | Form::Positive(_) | Form::Float(_));
            let note = (number && is_time_name(&label)).then(|| {
                format!(
                    "{label}: numbers stay numbers: pass --time-unit if they count from 1970, or \
                     --time-format"
                )
            });
            return Ok(Found {
                array: join(&self.pieces, location)?,
                known: known(kind, None),
                reported: PointsColumn::new(&label, self.reading.reported()),
                note,
                lines: self.lines,
            });
        };
        let own = || self.reading.has_offsets.then(|| "UTC".to_owned());
        let asked = options.time_zone.as_deref().map(zone_name).or_else(own);
        let named = if asked.is_none() { zone_in(&label) } else { None };
        let mut note =
            named.as_ref().map(|zone| format!("{label}: the zone {zone} is in the name"));
        let zone = asked.or(named);
        let ns = instants(&self.times, &self.lines, (zone.as_deref(), options, location))?;
        if let TimeReading::Epoch(unit) = times {
            let suspicion = unit.suspicion(ns.iter().map(|ns| i128::from(*ns)));
            note = suspicion.map(|text| format!("{label}: {text}")).or(note);
        }
        let array = TimestampNanosecondArray::from(ns);
        let of_zone = zone.as_ref().map_or("without a zone".into(), |zone| format!("of {zone}"));
        Ok(Found {
            array: Arc::new(array.with_timezone_opt(zone.as_deref().map(Arc::from))),
            note,
            known: known("DatetimeIndex", zone),
            reported: PointsColumn::new(
                &label,
                format!("timestamps {of_zone}{}", times.reported()),
            ),
            lines: self.lines,
        })
    }
}

/// The zone that the name of a column says: `Date Time, GMT+01:00`, `time (UTC)`.
fn zone_in(name: &str) -> Option<String> {
    let (at, _) = ["GMT", "UTC"].iter().find_map(|zone| name.match_indices(zone).next())?;
    let rest = &name[at + 3..];
    let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    if is_part(name[..at].chars().next_back()) || is_part(rest.chars().next()) {
        return None;
    }
    let Some(sign) = rest.chars().next().filter(|c| ['+', '-'].contains(c)) else {
        return Some("UTC".into());
    };
    let digit = |c: char| c.is_ascii_digit() || c == ':';
    let offset = &rest[1..];
    let offset = &offset[..offset.find(|c| !digit(c)).unwrap_or(offset.len())];
    let digits = offset.replace(':', "");
    let (hours, minutes) = match digits.len() {
        1 | 2 => (&digits[..], "00"),
        3 | 4 => digits.split_at(digits.len() - 2),
        _ => return None,
    };
    let is_offset = hours.parse().is_ok_and(|n: u8| n <= 14) && minutes < "60";
    is_offset.then(|| format!("{sign}{hours:0>2}:{minutes}"))
}

/// The value of each cell.
fn all<V>(
    column: &Column<'_>,
    (location, expected): (&str, &str),
    read: impl Fn(&str) -> Option<V>,
) -> Result<Vec<V>> {
    let value = |(field, line): (&Field<'_>, &u64)| {
        read(field.text.trim()).ok_or_else(|| bad_line(location, *line, expected, &field.text))
    };
    column.fields.iter().zip(&column.lines).map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the name of a column says a zone where it says one, and no word that holds these letters is taken for it.
    #[test]
    fn a_name_says_a_zone() {
        for (name, zone) in [
            ("Date Time, GMT+01:00", Some("+01:00")),
            ("Date Time, GMT-0730", Some("-07:30")),
            ("UTC+2", Some("+02:00")),
            ("time (UTC)", Some("UTC")),
            ("time_UTC", Some("UTC")),
            ("TIMEUTC", None),
            ("UTC+99", None),
            ("time", None),
        ] {
            assert_eq!(zone_in(name).as_deref(), zone, "{name}");
        }
    }
}
