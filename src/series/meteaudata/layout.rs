//! A dataset, or a signal alone, as a zip or a folder: YAML and a CSV file a series.

use arrow_array::Array;
use serde_json::Value;

use super::files::Files;
use super::record::{Beside, beside, keep, record};
use super::{Archive, ArchiveDataset, ArchiveSeries, ArchiveSignal, yaml};
use crate::error::{Error, Result};
use crate::kernel::Skipped;
use crate::series::data::{Metadata, Series};
use crate::series::index::IndexMetadata;
use crate::series::read::{FileMarks, IndexReading, PointsOptions, Profile, Role, check_index};
use crate::series::text::{
    Column, Kind, MOST_BYTES, Room, Row, Rows, find_separator, index_by, join, next_piece,
};
use crate::series::tree::{DatasetRecord, SignalRecord, parse_series_name};

const YAML: &str = "_metadata.yaml";
/// The most lines of a header.
const MAX_HEADER: usize = 8;

/// Reads what is there.
pub(super) fn read(mut files: Files) -> Result<Archive> {
    let mut found = Archive::default();
    let mut first = None;
    let names = files.names();
    let tops = names.iter().filter(|name| !name.contains('/') && name.ends_with(YAML));
    for top in tops.cloned().collect::<Vec<_>>() {
        let stem = top.trim_end_matches(YAML);
        let known = match document(&mut files, &top, &mut found) {
            Ok(Some(Value::Object(known))) => known,
            Ok(_) => {
                found.skipped.push(Skipped::new(&top, "it holds no metadata"));
                continue;
            }
            Err(error) => {
                found.skipped.push(Skipped::new(&top, &error));
                first.get_or_insert(error);
                continue;
            }
        };
        let folder = format!("{stem}_data/");
        let dataset = match known.contains_key("time_series") {
            true => ArchiveDataset {
                signals: signal(&mut files, known, &folder, &mut found).into_iter().collect(),
                ..ArchiveDataset::default()
            },
            false => {
                let read = dataset(&mut files, (stem, known), &folder, &mut found);
                let Some(dataset) = keep(&top, read, &mut found.skipped) else { continue };
                dataset
            }
        };
        found.datasets.push(dataset);
    }
    if let (true, Some(error)) = (found.datasets.is_empty(), first) {
        return Err(error);
    }
    if found.datasets.is_empty() && found.skipped.is_empty() {
        let expected = "a dataset or signal of meteaudata: NAME_metadata.yaml and NAME_data/";
        let location = files.location().display().to_string();
        let is_table = |name: &&String| {
            let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
            ["csv", "tsv", "txt", "jsonl", "parquet", "arrow"].contains(&ending)
        };
        let got = match names.iter().find(is_table) {
            Some(table) => {
                format!("tables as {table:?}; tables are imported by the names of their files")
            }
            None => "no such file".to_owned(),
        };
        return Err(Error::invalid(location, expected, got));
    }
    Ok(found)
}

fn document(files: &mut Files, name: &str, found: &mut Archive) -> Result<Option<Value>> {
    let text = files.metadata(name)?;
    text.map(|text| yaml::read(&text, name, &mut found.notes)).transpose()
}

fn dataset(
    files: &mut Files,
    (stem, mut known): (&str, Metadata),
    folder: &str,
    found: &mut Archive,
) -> Result<ArchiveDataset> {
    let mut listed = match known.remove("signals") {
        Some(Value::Object(signals)) => signals,
        _ => Metadata::new(),
    };
    // A signal that stands only in its own file.
    for name in files.names() {
        let own = name.strip_prefix(folder).and_then(|name| name.strip_suffix(YAML));
        let Some(own) = own.filter(|own| !own.contains('/') && !listed.contains_key(*own)) else {
            continue;
        };
        let read = document(files, &name, found);
        if let Some(Some(value @ Value::Object(_))) = keep(&name, read, &mut found.skipped) {
            let is_listed = listed.values().any(|known| known["name"] == value["name"]);
            if !is_listed {
                listed.insert(own.to_owned(), value);
            }
        }
    }
    let mut record: DatasetRecord = record(known, &format!("{stem}{YAML}"))?;
    if record.name.is_empty() {
        record.name = stem.to_owned();
    }
    let mut signals = Vec::new();
    for (name, value) in listed {
        let Value::Object(mut known) = value else {
            found.skipped.push(Skipped::new(name, "it has no metadata"));
            continue;
        };
        known.entry("name").or_insert_with(|| name.clone().into());
        // The folder has the name that the signal has among the signals.
        let folders =
            [format!("{folder}{}_data/", file_name(&name)), format!("{folder}{name}_data/")];
        let [safe, plain] = folders;
        let there = files.names().iter().any(|file| file.starts_with(&safe));
        signals.extend(signal(files, known, if there { &safe } else { &plain }, found));
    }
    Ok(ArchiveDataset { record, signals })
}

fn signal(
    files: &mut Files,
    mut known: Metadata,
    folder: &str,
    found: &mut Archive,
) -> Option<ArchiveSignal> {
    let listed = match known.remove("time_series") {
        Some(Value::Object(series)) => series,
        _ => Metadata::new(),
    };
    let record: SignalRecord = keep(folder, record(known, folder), &mut found.skipped)?;
    let mut all = Vec::new();
    for (name, value) in listed {
        let read = one(files, (&name, value), folder);
        let what = format!("{folder}{name}.csv");
        all.extend(keep(&what, read, &mut found.skipped));
    }
    Some(ArchiveSignal { record, series: all })
}

fn one(files: &mut Files, (name, value): (&str, Value), folder: &str) -> Result<ArchiveSeries> {
    let Value::Object(known) = value else {
        return Err(Error::invalid(name, "the metadata of a series", value.to_string()));
    };
    parse_series_name(name)?;
    let mut text = None;
    for file in [file_name(name), name.to_owned()] {
        // A name is looked up among those that were listed: it leads nowhere else.
        if text.is_none() {
            text = files.text(&format!("{folder}{file}.csv"))?;
        }
    }
    let text = text.ok_or_else(|| {
        Error::invalid(format!("the file of the series {name:?}"), "one in the layout", "none")
    })?;
    let beside = beside(known, name)?;
    let location = format!("{folder}{name}.csv");
    let known = (&beside.index, beside.values_dtype.as_deref());
    let series = of_csv(&text, known, &location, MOST_BYTES)?;
    let series = series.with_name(name);
    let Beside { record, .. } = beside;
    Ok(ArchiveSeries { name: name.to_owned(), series, record })
}

/// The name of a file of this name: what no file system takes, or takes for a path, as `%XX`.
pub(super) fn file_name(name: &str) -> String {
    let unsafe_char = |c: char| c.is_control() || "/\\:*?\"<>|%".contains(c);
    let mut out = String::new();
    for c in name.chars() {
        match unsafe_char(c) || (out.is_empty() && c == '.') {
            true => out.extend(c.to_string().bytes().map(|byte| format!("%{byte:02X}"))),
            false => out.push(c),
        }
    }
    out
}

/// A series of a CSV text: index and values, below one line of header or several.
fn of_csv(
    text: &str,
    (known, dtype): (&IndexMetadata, Option<&str>),
    location: &str,
    most: u64,
) -> Result<Series> {
    let separator = find_separator(text);
    let mut rows = Rows::new(text, separator).peekable();
    let header = rows.next();
    let is_data = |row: &Row<'_>| {
        let Some(first) = row.fields.first() else { return false };
        let one = Column { fields: vec![first.clone()], lines: vec![row.line] };
        index_by(&one, known.clone(), location).is_ok()
    };
    let texts = matches!(known.kind.as_str(), "Index" | "CategoricalIndex" | "")
        && known.dtype.as_deref().is_none_or(|d| ["object", "str", "string"].contains(&d));
    for _ in 1..MAX_HEADER {
        if texts || rows.peek().is_none_or(&is_data) {
            break;
        }
        rows.next();
    }
    let mut known = known.clone();
    if known.name.is_none() && known.kind.is_empty() {
        let name = header.and_then(|row| row.fields.into_iter().next());
        known.name = name.map(|field| field.text.into_owned()).filter(|name| !name.is_empty());
    }
    // Where nobody says what they are, the fields are looked at before they are read.
    let kind = dtype.and_then(Kind::of_dtype);
    let options = PointsOptions { time_zone: known.time_zone.clone(), ..Default::default() };
    let mut profiles = [Profile::new("", &options), Profile::new("", &options)];
    let mut first = rows.clone();
    if kind.is_none() || known.kind.is_empty() {
        while let Some(columns) = next_piece(&mut first, 2, location)? {
            profiles[0].add(&columns[0], Role::Index);
            profiles[1].add(&columns[1], Role::Values);
        }
    }
    let marks = FileMarks { comma_separated: separator == ',', ..FileMarks::default() };
    let mut found = match kind {
        Some(_) => None,
        None => Some(profiles[1].decide(Role::Values, marks, location)?),
    };
    let mut unknown = match known.kind.is_empty() {
        true => Some(IndexReading::new(profiles[0].decide(Role::Index, marks, location)?)),
        false => None,
    };
    let (mut index, mut values) = (Vec::new(), Vec::new());
    let (mut room, mut known_index) = (Room::of(location, most), known.clone());
    let mut read_index = |column: &Column<'_>| -> Result<u64> {
        if let Some(unknown) = &mut unknown {
            check_index(column, &options, location)?;
            return unknown.add(column, location);
        }
        let (array, with) = index_by(column, known.clone(), location)?;
        known_index = with;
        let bytes = array.get_array_memory_size() as u64;
        index.push(array);
        Ok(bytes)
    };
    let mut read_values = |column: &Column<'_>| match (&kind, &mut found) {
        (Some(kind), _) => kind.read_piece(column, location),
        (None, Some(found)) => found.values(column, (&options, location)),
        (None, None) => unreachable!("what has no dtype was looked at"),
    };
    let mut next = next_piece(&mut rows, 2, location)?.or_else(|| Some(vec![Column::default(); 2]));
    while let Some(columns) = next {
        room.take(read_index(&columns[0])?)?;
        let piece = read_values(&columns[1])?;
        room.take(piece.get_array_memory_size() as u64)?;
        values.push(piece);
        next = next_piece(&mut rows, 2, location)?;
    }
    let (values, dtype) = match kind {
        Some(kind) => kind.join(values, location)?,
        None => (join(&values, location)?, None),
    };
    let index = match unknown {
        Some(unknown) => {
            let found = unknown.end(known.name, &options, location)?;
            known_index = found.known;
            found.array
        }
        None => join(&index, location)?,
    };
    Ok(Series::new(index, values)?.with_index_metadata(known_index).with_dtype(dtype))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what the series of a file takes in memory is counted, and refused beyond the budget.
    #[test]
    fn a_series_of_a_text_has_a_budget() {
        let text: String = (0..1_000).map(|i| format!("{i},{i}.5\n")).collect();
        let text = format!("t,v\n{text}");
        let range = IndexMetadata { kind: "RangeIndex".into(), ..Default::default() };
        for known in [range, IndexMetadata::default()] {
            let read = |most| of_csv(&text, (&known, Some("float64")), "a.csv", most);
            assert_eq!(read(MOST_BYTES).unwrap().len(), 1_000);
            assert_eq!(read(64 << 10).unwrap().len(), 1_000);
            let error = read(10_000).unwrap_err().to_string();
            let expected = "a.csv: expected series of at most 10000 bytes in memory";
            assert!(error.contains(expected), "{error}");
        }
    }
}
