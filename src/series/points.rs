//! Files of points that a user's logger wrote: CSV, Parquet or Arrow, a column an index and each other a series.

use std::path::Path;

use arrow_array::ArrayRef;
use arrow_cast::cast;
use arrow_schema::DataType;

use super::data::Series;
use super::index::IndexMetadata;
use super::text::{IndexLook, Kind, Look, Room, Rows, find_separator, next_piece};
use crate::error::{Error, Result};
use crate::kernel::read_whole;
use crate::table::{self, Format, from_arrow};

/// The most bytes of a text that is read.
const MAX_TEXT_BYTES: u64 = 4 << 30;

/// How a file of points is read.
#[derive(Debug, Clone, Default)]
pub struct PointsOptions {
    /// The column of the index; the first one if nobody says.
    pub index: Option<String>,
    /// The zone of times that say no offset.
    pub time_zone: Option<String>,
    /// What stands between the fields of a text; found if nobody says.
    pub separator: Option<char>,
}

/// Reads the series of a file: one for each column beside the index, named by its column.
///
/// The types of a text are found from its fields: integers stay integers, then floats, booleans, and else
/// texts; an index may be of numbers, times, time spans or texts.
///
/// # Errors
/// [`Error::Invalid`] for a row that does not fit, naming its line, and for an index column that is not there;
/// [`Error::Corrupt`] for a file that is damaged.
///
/// # Example
/// ```
/// use siltstone::series::read_points;
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.csv");
/// std::fs::write(&path, "time;flow\n2010-01-01 00:00;1,5\n2010-01-01 01:00;\n")?;
/// let series = read_points(&path, &Default::default())?;
/// assert_eq!((series[0].name(), series[0].len()), (Some("flow"), 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_points(path: impl AsRef<Path>, options: &PointsOptions) -> Result<Vec<Series>> {
    let path = path.as_ref();
    match Format::of_path(path) {
        Some(Format::Parquet | Format::Arrow) => of_table(path, options),
        _ => of_text(path, options),
    }
}

fn of_text(path: &Path, options: &PointsOptions) -> Result<Vec<Series>> {
    let place = path.display().to_string();
    let text = String::from_utf8(read_whole(path, MAX_TEXT_BYTES)?).map_err(|e| {
        Error::invalid(
            &place,
            "a text in UTF-8",
            format!("another byte at {}", e.utf8_error().valid_up_to()),
        )
    })?;
    let separator = options.separator.or_else(|| find_separator(&text)).unwrap_or(',');
    let mut rows = Rows::new(&text, separator);
    let header = rows.next().ok_or_else(|| Error::invalid(&place, "a header", "no line"))?;
    let names: Vec<String> = header.fields.iter().map(|f| f.text.trim().to_owned()).collect();
    let at = index_of(&names, options, &place)?;
    let (index, known, values) = read_columns(rows, (&names, at), (separator, options), &place)?;
    let mut all = Vec::new();
    for ((values, dtype), name) in values.into_iter().zip(others(&names, at)) {
        let series = Series::new(index.clone(), values)?.with_dtype(dtype);
        all.push(series.with_index_metadata(known.clone()).with_name(name));
    }
    Ok(all)
}

/// All but the one that is the index.
fn others<T>(all: &[T], index: usize) -> impl Iterator<Item = &T> {
    all.iter().enumerate().filter(move |(i, _)| *i != index).map(|(_, item)| item)
}

type Columns = (ArrayRef, IndexMetadata, Vec<(ArrayRef, Option<String>)>);

/// The index, and the values of each other column. The records are gone through twice: first what the columns are, then
/// what they hold, some records at a time.
fn read_columns(
    rows: Rows<'_>,
    (names, at): (&[String], usize),
    (separator, options): (char, &PointsOptions),
    place: &str,
) -> Result<Columns> {
    let mut index = IndexLook::new(options.time_zone.as_deref());
    let mut looks = vec![Look::new(separator != ','); names.len() - 1];
    let mut first = rows.clone();
    while let Some(columns) = next_piece(&mut first, names.len(), place)? {
        index.add(&columns[at], place)?;
        looks.iter_mut().zip(others(&columns, at)).for_each(|(look, column)| look.add(column));
    }
    let name = Some(names[at].clone()).filter(|name| !name.is_empty());
    let (kind, known) = index.kind(IndexMetadata { name, ..IndexMetadata::default() })?;
    let kinds: Vec<Kind> = looks.iter().map(Look::kind).collect();
    let (mut room, mut rows) = (Room::of(place), rows);
    let (mut index, mut values) = (Vec::new(), vec![Vec::new(); kinds.len()]);
    while let Some(columns) = next_piece(&mut rows, names.len(), place)? {
        index.push(kind.read_piece(&columns[at], place)?);
        room.take(&index[index.len() - 1])?;
        for ((kind, pieces), column) in kinds.iter().zip(&mut values).zip(others(&columns, at)) {
            let piece = kind.read_piece(column, place)?;
            room.take(&piece)?;
            pieces.push(piece);
        }
    }
    let index = kind.join(index, place)?.0;
    let values = kinds.iter().zip(values).map(|(kind, pieces)| kind.join(pieces, place));
    Ok((index, known, values.collect::<Result<_>>()?))
}

fn index_of(names: &[String], options: &PointsOptions, place: &str) -> Result<usize> {
    for name in names {
        if names.iter().filter(|other| *other == name).count() > 1 {
            return Err(Error::invalid(
                place,
                "columns of different names",
                format!("{name:?} twice"),
            ));
        }
    }
    if names.len() < 2 {
        return Err(Error::invalid(
            place,
            "an index and at least one column of values",
            "one column",
        ));
    }
    match &options.index {
        None => Ok(0),
        Some(index) => names.iter().position(|name| name == index).ok_or_else(|| {
            Error::invalid(place, format!("a column {index:?}"), format!("columns {names:?}"))
        }),
    }
}

fn of_table(path: &Path, options: &PointsOptions) -> Result<Vec<Series>> {
    let place = path.display().to_string();
    let whole = table::read_whole(path)?;
    let schema = whole.schema();
    if whole.num_columns() == 2 && options.index.is_none() {
        return Ok(vec![Series::from_batch(&whole)?]);
    }
    let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let at = index_of(&names, options, &place)?;
    let plain = |array: &ArrayRef| -> Result<ArrayRef> {
        match array.data_type() {
            DataType::Dictionary(..) | DataType::LargeUtf8 | DataType::Utf8View => {
                cast(array, &DataType::Utf8).map_err(|e| from_arrow(&place, e))
            }
            _ => Ok(array.clone()),
        }
    };
    let index = plain(whole.column(at))?;
    let known = IndexMetadata { name: Some(names[at].clone()), ..IndexMetadata::default() };
    let mut all = Vec::new();
    for (i, column) in whole.columns().iter().enumerate().filter(|(i, _)| *i != at) {
        let series = Series::new(index.clone(), plain(column)?)?;
        all.push(series.with_index_metadata(known.clone()).with_name(&names[i]));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;
    use arrow_array::cast::AsArray;

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
            read_points(&path, &PointsOptions::default())
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
}
