//! The series of a delimited text.

use std::path::Path;

use arrow_array::{Array, ArrayRef};

use super::column::{FileMarks, Profile, Role, check_lines};
use super::index::{Found, IndexReading, check_index};
use super::reading::Reading;
use super::records::{Records, Table, table_of, table_of_json};
use super::time::is_time_name;
use super::{Points, PointsColumn, PointsOptions, decode};
use crate::error::{Error, Result};
use crate::series::data::Series;
use crate::series::text::{Column, MOST_BYTES, Room, join, next_piece};

/// The columns of the index: one, or a date and the time of the day.
#[derive(Debug, Clone, Copy)]
struct IndexColumns {
    at: usize,
    clock: Option<usize>,
}

impl IndexColumns {
    fn contains(&self, column: usize) -> bool {
        self.at == column || self.clock == Some(column)
    }

    /// The cells of the index in some records.
    fn cells<'a>(&self, columns: &[Column<'a>]) -> Column<'a> {
        let mut cells = columns[self.at].clone();
        if let Some(clock) = self.clock {
            for (date, time) in cells.fields.iter_mut().zip(&columns[clock].fields) {
                // A date without its time is no index, and not midnight.
                date.text = match time.text.trim() {
                    "" => "".into(),
                    time => format!("{} {time}", date.text.trim()).into(),
                };
            }
        }
        cells
    }
}

/// Reads a text: the series, and the line of each point.
pub(super) fn read(path: &Path, options: &PointsOptions) -> Result<(Points, Vec<u64>)> {
    let location = path.display().to_string();
    let text = decode::text_of(path, options.encoding)?;
    let mut table = table_of(&text, options, &location)?;
    if !text.ends_with('\n') {
        table.notes.push("the last line has no newline: taken as whole, but it may be cut".into());
    }
    read_table(table, options, location, MOST_BYTES)
}

/// Reads JSON lines, in which quotes tell texts from numbers.
pub(super) fn read_json(path: &Path, options: &PointsOptions) -> Result<(Points, Vec<u64>)> {
    let location = path.display().to_string();
    let of_texts = PointsOptions {
        separator: None,
        skip_lines: None,
        header: None,
        decimal: None,
        thousands: None,
        ..options.clone()
    };
    if *options != of_texts {
        let expected = "a delimited text for options as --skip-lines, --separator and --decimal";
        return Err(Error::invalid(&location, expected, "JSON lines"));
    }
    let text = decode::text_of(path, options.encoding)?;
    read_table(table_of_json(&text, &location)?, options, location, MOST_BYTES)
}

/// Reads a sheet of an Excel workbook, whose rows are lines.
#[cfg(feature = "excel")]
pub(super) fn read_sheet(path: &Path, options: &PointsOptions) -> Result<(Points, Vec<u64>)> {
    let location = path.display().to_string();
    let sheet = super::excel::read(path, options)?;
    let of_text = PointsOptions { separator: Some(','), ..options.clone() };
    let mut table = table_of(&sheet.text, &of_text, &location)?;
    table.notes.insert(0, sheet.note);
    table.records.are_cells = true;
    read_table(table, options, location, MOST_BYTES)
}

fn read_table(
    mut table: Table<'_>,
    options: &PointsOptions,
    location: String,
    most: u64,
) -> Result<(Points, Vec<u64>)> {
    let (index, profiles) = profile_columns(&mut table, options, &location)?;
    let comma_separated = table.separator == Some(',');
    let mut file = FileMarks { comma_separated, ..FileMarks::default() };
    profiles.iter().for_each(|profile| profile.show_marks(&mut file));
    let index_reading =
        IndexReading::new(profiles[index.at].decide(Role::Index, file, &location)?);
    let mut values: Vec<(usize, Reading)> = Vec::new();
    for (at, profile) in profiles.iter().enumerate().filter(|(at, _)| !index.contains(*at)) {
        let number = at + 1;
        let has_name = ![String::new(), format!("column_{number}")].contains(&table.names[at]);
        if profile.is_empty() && !has_name {
            table.notes.push(format!("column {number}: left out: it has no name and no values"));
            continue;
        }
        values.push((at, profile.decide(Role::Values, file, &location)?));
    }
    if values.is_empty() {
        let expected = "an index and at least one column of values";
        return Err(Error::invalid(&location, expected, "one column"));
    }
    let mut name = table.names[index.at].clone();
    if let Some(clock) = index.clock {
        name = format!("{name}, {}", table.names[clock]);
        table.notes.push(format!("{name}: joined to one time"));
    }
    let name = Some(name).filter(|name| !name.is_empty());
    let with = (options, location.as_str(), most);
    let (index, arrays) = read_arrays(&table, (index, index_reading, name), &mut values, with)?;
    table.notes.extend(index.note);
    let mut columns = vec![index.reported];
    let mut series = Vec::with_capacity(values.len());
    for ((at, reading), array) in values.into_iter().zip(arrays) {
        columns.push(PointsColumn {
            units: table.units.get(at).filter(|units| !units.is_empty()).cloned(),
            missing: reading.missing,
            bad_cells: reading.bad,
            examples: reading.examples.clone(),
            ..PointsColumn::new(&table.names[at], reading.reported())
        });
        let one = Series::new(index.array.clone(), array)?;
        series.push(one.with_index_metadata(index.known.clone()).with_name(&table.names[at]));
    }
    for line in &table.records.again {
        table.notes.push(format!("line {line}: the header again, passed over"));
    }
    Ok((Points { series, columns, notes: table.notes }, index.lines))
}

/// Looks at all records once: which columns are the index, and what each column is.
fn profile_columns<'o>(
    table: &mut Table<'_>,
    options: &'o PointsOptions,
    location: &str,
) -> Result<(IndexColumns, Vec<Profile<'o>>)> {
    let names = &table.names;
    if names.len() < 2 {
        let expected = "an index and at least one column of values, with a character between that \
                        --separator can tell";
        return Err(Error::invalid(location, expected, "one column"));
    }
    let find = |name: &String| {
        names.iter().position(|other| other == name).ok_or_else(|| {
            Error::invalid(location, format!("a column {name:?}"), format!("columns {names:?}"))
        })
    };
    for name in &options.text {
        find(name)?;
    }
    let asked = options.date_column.as_ref().or(options.index.as_ref()).map(find).transpose()?;
    let clock = options.time_column.as_ref().map(find).transpose()?;
    let mut index = IndexColumns { at: asked.or(table.index).unwrap_or(0), clock };
    let mut profiles = profile_cells(&mut table.records, (names, index), (options, location))?;
    // A date and the time of the day beside it, or the other way round.
    let (first, next) = (index.at, index.at + 1);
    let beside = clock.is_none() && options.date_column.is_none() && next < names.len();
    let joined = match beside.then(|| (&profiles[first], &profiles[next])) {
        Some((one, other)) if one.is_dates() && other.is_clocks() => Some((first, next)),
        Some((one, other)) if one.is_clocks() && other.is_dates() => Some((next, first)),
        _ => None,
    };
    if joined.is_none() && beside {
        let (one, other) = (&profiles[first], &profiles[next]);
        let is_odd = one.is_dates() && is_time_name(&names[next]) && other.is_text();
        if is_odd && !options.text.contains(&names[next]) {
            let (date, time) = (&names[first], &names[next]);
            let expected = format!(
                "a time of the day in each cell of {time:?}, beside the dates of {date:?}: pass --date-column \
                 {date:?} --time-column {time:?} to find the line, or --text {time:?}"
            );
            return Err(Error::invalid(location, expected, "other texts"));
        }
    }
    if let Some((date, clock)) = joined {
        index = IndexColumns { at: date, clock: Some(clock) };
        let mut records = table.records.clone();
        profiles = profile_cells(&mut records, (names, index), (options, location))?;
    }
    // A column of row numbers or names, where another one has the times.
    let weak = asked.is_none() && table.index.is_none() && {
        let (name, first) = (&names[0], &profiles[0]);
        let has_times = || (1..names.len()).any(|at| profiles[at].is_times());
        let is_weak = name.is_empty() || name == "#" || (first.repeats && first.is_text());
        !first.is_times()
            && (is_weak
                || !first.is_text() && name != "index" && !is_time_name(name) && has_times())
    };
    let other = (1..names.len()).find(|at| profiles[*at].is_times() || is_time_name(&names[*at]));
    if let (true, Some(other)) = (weak, other) {
        let (first, other) = (&names[0], &names[other]);
        let expected = format!("an index of times: pass --index {other:?}, or --index {first:?}");
        return Err(Error::invalid(location, expected, format!("the first column {first:?}")));
    }
    Ok((index, profiles))
}

fn profile_cells<'o>(
    records: &mut Records<'_>,
    (names, index): (&[String], IndexColumns),
    (options, location): (&'o PointsOptions, &str),
) -> Result<Vec<Profile<'o>>> {
    let new = |name: &String| match records.are_json() {
        true => Profile::of_json(name, options),
        false => Profile::new(name, options).of_cells(records.are_cells),
    };
    let mut profiles: Vec<Profile<'_>> = names.iter().map(new).collect();
    let mut all = records.clone();
    while let Some(mut columns) = next_piece(&mut all, names.len(), location)? {
        columns[index.at] = index.cells(&columns);
        check_index(&columns[index.at], options, location)?;
        for (at, (profile, column)) in profiles.iter_mut().zip(&columns).enumerate() {
            check_lines(column, location)?;
            profile.add(column, if at == index.at { Role::Index } else { Role::Values });
        }
    }
    records.again = all.again;
    Ok(profiles)
}

/// Reads all records: the index of this name, and the values.
fn read_arrays(
    table: &Table<'_>,
    (index, mut reading, name): (IndexColumns, IndexReading, Option<String>),
    values: &mut [(usize, Reading)],
    (options, location, most): (&PointsOptions, &str, u64),
) -> Result<(Found, Vec<ArrayRef>)> {
    let (mut records, mut room) = (table.records.clone(), Room::of(location, most));
    let mut pieces = vec![Vec::new(); values.len()];
    let mut next = next_piece(&mut records, table.names.len(), location)?
        .or_else(|| Some(vec![Column::default(); table.names.len()]));
    while let Some(columns) = next {
        room.take(reading.add(&index.cells(&columns), location)?)?;
        for ((at, reading), pieces) in values.iter_mut().zip(&mut pieces) {
            let piece = reading.values(&columns[*at], (options, location))?;
            room.take(piece.get_array_memory_size() as u64)?;
            pieces.push(piece);
        }
        next = next_piece(&mut records, table.names.len(), location)?;
    }
    let arrays = pieces.iter().map(|pieces| join(pieces, location)).collect::<Result<_>>()?;
    Ok((reading.end(name, options, location)?, arrays))
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_schema::DataType;

    use super::super::read_points;
    use super::*;

    /// Goal: a text of several pieces is read as one: a late field decides the type of a column, a bad one is named by its
    /// line, and the index is whole.
    #[test]
    fn a_long_text_is_read_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.csv");
        let rows = 150_000;
        let read = |last: &str| {
            let mut text = String::from("t,a,b,c\n");
            for i in 0..rows {
                text.push_str(&format!("{i},{i},{},\"w{}\"\n", i % 7, i % 3));
            }
            std::fs::write(&path, text + last).unwrap();
            read_points(&path, &PointsOptions::default()).map(|read| read.series)
        };
        let all = read(&format!("{rows},1.5,,last\n")).unwrap();
        let types: Vec<String> = all.iter().map(|s| s.values().data_type().to_string()).collect();
        assert_eq!(types, ["Float64", "Int64", "Utf8"]);
        assert_eq!(all[0].len(), rows + 1);
        assert_eq!(all[1].values().null_count(), 1);
        let index = all[2].index().as_primitive::<arrow_array::types::Int64Type>();
        assert!(index.values().iter().copied().eq(0..=rows as i64));
        let texts = all[2].values().as_string::<i32>();
        assert_eq!((texts.value(65_536), texts.value(rows)), ("w1", "last"));
        let error = read(&format!("{rows},1,2\n")).unwrap_err().to_string();
        assert!(error.contains(&format!("line {}", rows + 2)), "{error}");
        assert_eq!(read("5.5,1,2,x\n").unwrap()[0].index().data_type(), &DataType::Float64);
    }

    /// Goal: what the series of a text take in memory is counted, the index and each column, and refused beyond the budget.
    #[test]
    fn series_of_a_text_have_a_budget() {
        let rows: String = (0..1_000).map(|i| format!("{i},{i}.5,word{i}\n")).collect();
        let text = format!("t,a,b\n{rows}");
        let options = PointsOptions::default();
        let read = |most| {
            let table = table_of(&text, &options, "a.csv").unwrap();
            read_table(table, &options, "a.csv".into(), most).map(|(points, _)| points.series)
        };
        let series = read(MOST_BYTES).unwrap();
        let values = series.iter().map(|s| s.values().get_array_memory_size());
        let bytes = values.sum::<usize>() + series[0].index().get_array_memory_size();
        assert_eq!(read(2 * bytes as u64).unwrap().len(), 2);
        for most in [bytes as u64 / 2, 1_000, 0] {
            let error = read(most).unwrap_err().to_string();
            let expected = format!("a.csv: expected series of at most {most} bytes in memory");
            assert!(error.contains(&expected), "{error}");
        }
    }
}
