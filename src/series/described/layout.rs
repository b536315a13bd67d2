//! A dataset, or a signal alone, as a zip or a folder: YAML and a CSV file a series.

use serde_json::Value;

use super::files::Files;
use super::record::{Beside, beside, keep, record};
use super::{Described, DescribedDataset, DescribedSeries, DescribedSignal, LeftBehind, yaml};
use crate::error::{Error, Result};
use crate::series::data::{Metadata, Series};
use crate::series::index::IndexMetadata;
use crate::series::text::{Column, Field, Kind, Row, Rows, detect, find_separator, index_by};
use crate::series::tree::{DatasetRecord, SignalRecord, parse_series_name};

const YAML: &str = "_metadata.yaml";
/// The most lines of a header.
const MAX_HEADER: usize = 8;

/// Reads what is there.
pub(super) fn read(mut files: Files) -> Result<Described> {
    let mut found = Described::default();
    let names = files.names();
    let tops = names.iter().filter(|name| !name.contains('/') && name.ends_with(YAML));
    for top in tops.cloned().collect::<Vec<_>>() {
        let stem = top.trim_end_matches(YAML);
        let Some(Value::Object(known)) = document(&mut files, &top, &mut found)? else {
            found.left_behind.push(LeftBehind::new(&top, "it holds no metadata"));
            continue;
        };
        let folder = format!("{stem}_data/");
        let dataset = match known.contains_key("time_series") {
            true => DescribedDataset {
                signals: signal(&mut files, known, &folder, &mut found).into_iter().collect(),
                ..DescribedDataset::default()
            },
            false => dataset(&mut files, (stem, known), &folder, &mut found)?,
        };
        found.datasets.push(dataset);
    }
    if found.datasets.is_empty() && found.left_behind.is_empty() {
        let expected =
            "a dataset or signal of the described system: NAME_metadata.yaml and NAME_data/";
        let place = files.place().display().to_string();
        return Err(Error::invalid(place, expected, "no such file"));
    }
    Ok(found)
}

fn document(files: &mut Files, name: &str, found: &mut Described) -> Result<Option<Value>> {
    let text = files.text(name)?;
    text.map(|text| yaml::read(&text, name, &mut found.notes)).transpose()
}

fn dataset(
    files: &mut Files,
    (stem, mut known): (&str, Metadata),
    folder: &str,
    found: &mut Described,
) -> Result<DescribedDataset> {
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
        if let Some(value @ Value::Object(_)) = document(files, &name, found)? {
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
            found.left_behind.push(LeftBehind::new(name, "it has no metadata"));
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
    Ok(DescribedDataset { record, signals })
}

fn signal(
    files: &mut Files,
    mut known: Metadata,
    folder: &str,
    found: &mut Described,
) -> Option<DescribedSignal> {
    let listed = match known.remove("time_series") {
        Some(Value::Object(series)) => series,
        _ => Metadata::new(),
    };
    let record: SignalRecord = keep(folder, record(known, folder), &mut found.left_behind)?;
    let mut all = Vec::new();
    for (name, value) in listed {
        let read = one(files, (&name, value), folder);
        let what = format!("{folder}{name}.csv");
        all.extend(keep(&what, read, &mut found.left_behind));
    }
    Some(DescribedSignal { record, series: all })
}

fn one(files: &mut Files, (name, value): (&str, Value), folder: &str) -> Result<DescribedSeries> {
    let Value::Object(known) = value else {
        return Err(Error::invalid(name, "the metadata of a series", value.to_string()));
    };
    parse_series_name(name)?;
    let mut text = None;
    for file in [file_name(name), name.to_owned()] {
        // A name is looked up among those that were listed: it leads nowhere else.
        text = text.or(files.text(&format!("{folder}{file}.csv"))?);
    }
    let text = text.ok_or_else(|| {
        Error::invalid(format!("the file of the series {name:?}"), "one in the layout", "none")
    })?;
    let beside = beside(known, name)?;
    let place = format!("{folder}{name}.csv");
    let series = of_csv(&text, (&beside.index, beside.values_dtype.as_deref()), &place)?;
    let series = series.with_name(name);
    let Beside { record, .. } = beside;
    Ok(DescribedSeries { name: name.to_owned(), series, record })
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
    place: &str,
) -> Result<Series> {
    let separator = find_separator(text).unwrap_or(',');
    let mut rows = Rows::new(text, separator).peekable();
    let header = rows.next();
    let (mut index, mut values) = (Column::default(), Column::default());
    let is_data = |row: &Row<'_>| {
        let Some(first) = row.fields.first() else { return false };
        let one = Column { fields: vec![first.clone()], lines: vec![row.line] };
        index_by(&one, known.clone(), place).is_ok()
    };
    let texts = matches!(known.kind.as_str(), "Index" | "CategoricalIndex" | "")
        && known.dtype.as_deref().is_none_or(|d| ["object", "str", "string"].contains(&d));
    for _ in 1..MAX_HEADER {
        if texts || rows.peek().is_none_or(&is_data) {
            break;
        }
        rows.next();
    }
    for row in rows {
        let line = row.line;
        let Ok([first, second]) = <[Field<'_>; 2]>::try_from(row.fields) else {
            return Err(super::super::text::bad_line(place, line, "two fields", "another number"));
        };
        index.fields.push(first);
        index.lines.push(line);
        values.fields.push(second);
        values.lines.push(line);
    }
    let mut known = known.clone();
    if known.name.is_none() && known.kind.is_empty() {
        let name = header.and_then(|row| row.fields.into_iter().next());
        known.name = name.map(|field| field.text.into_owned()).filter(|name| !name.is_empty());
    }
    let (index, known) = index_by(&index, known, place)?;
    let kind = dtype.and_then(Kind::of_dtype).unwrap_or_else(|| detect(&values, separator == ';'));
    let (values, dtype) = kind.read(&values, place)?;
    Ok(Series::new(index, values)?.with_index_metadata(known).with_dtype(dtype))
}
