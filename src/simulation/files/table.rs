//! Tables of states: delimited text, Parquet and Arrow.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array as _, ArrayRef, StringArray};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, TimeUnit};

use super::delimited::Records;
use super::rows::{Cell, Columns, Each, Found, Row, Source, Type, What, no_end};
use super::{Layout, StatesOptions};
use crate::array::DType;
use crate::error::{Error, Result};
use crate::table::marks::Marks;
use crate::table::{self, Batches, Format, from_arrow};

/// Where in the rows of a table the parts are.
struct Places {
    time: usize,
    /// The column of ids; `None` if each column is an entity.
    id: Option<usize>,
    /// The columns of attributes, or of entities.
    values: Vec<usize>,
    names: Vec<String>,
}

impl Places {
    fn find(path: &Path, names: Vec<String>, options: &StatesOptions) -> Result<Self> {
        let what = || format!("{}: columns", path.display());
        let mut seen = HashSet::new();
        for name in &names {
            if !seen.insert(name) {
                return Err(Error::invalid(what(), "each name once", format!("{name:?} twice")));
            }
        }
        let at = |name: &String, option: &str| {
            names.iter().position(|own| own == name).ok_or_else(|| {
                let shown: Vec<&str> = names.iter().take(20).map(|name| short_name(name)).collect();
                let more = if names.len() > 20 { ", ..." } else { "" };
                let got = format!("{}{more}", shown.join(", "));
                Error::invalid(what(), format!("one named {name:?} ({option})"), got)
            })
        };
        let time = at(&options.time, "--time")?;
        let id = match &options.layout {
            Layout::Long(id) => Some(at(id, "--id")?),
            Layout::Wide(_) => None,
        };
        if id == Some(time) {
            return Err(Error::invalid(what(), "a column of times and one of ids", "one of both"));
        }
        let mut values: Vec<usize> = match options.columns.is_empty() {
            true => (0..names.len()).collect(),
            false => {
                options.columns.iter().map(|name| at(name, "--columns")).collect::<Result<_>>()?
            }
        };
        values.retain(|column| *column != time && Some(*column) != id);
        if values.is_empty() {
            return Err(Error::invalid(what(), "some beside times and ids", "none"));
        }
        if id.is_some() && values.iter().any(|column| names[*column] == "id") {
            let expected = "none named id beside that of the ids: take others (--columns)";
            return Err(Error::invalid(what(), expected, "one named id"));
        }
        Ok(Places { time, id, values, names })
    }

    /// The columns of the group; `dtype` says which are known.
    fn columns(
        &self,
        options: &StatesOptions,
        dtype: impl Fn(usize) -> Result<Option<Type>>,
    ) -> Result<Columns> {
        let of = |column: &usize| Ok((self.names[*column].clone(), dtype(*column)?));
        let (columns, id) = match &options.layout {
            Layout::Long(id) => (self.values.iter().map(of).collect::<Result<_>>()?, id.to_owned()),
            Layout::Wide(name) => {
                let dtypes: Vec<_> =
                    self.values.iter().map(|column| dtype(*column)).collect::<Result<_>>()?;
                if let Some(other) = dtypes.iter().position(|dtype| *dtype != dtypes[0]) {
                    let expected = format!("the type of {:?} in all", self.names[self.values[0]]);
                    let got = format!("another one in {:?}", self.names[self.values[other]]);
                    return Err(Error::invalid("the columns of entities", expected, got));
                }
                (vec![(name.clone(), dtypes[0])], "name".to_owned())
            }
        };
        Ok(Columns { group: options.group.clone(), columns, id, has_text_ids: false })
    }

    /// Hands on the rows of a row of the table.
    fn hand_on(&self, line: u64, time: Cell<'_>, row: HandOn<'_>, each: Each<'_>) -> Result<()> {
        let group = 0;
        let mut send = |id, cells: &[Cell<'_>]| {
            each(Found { line, what: What::Row(Row { group, time, id, cells }) })
        };
        match row.id {
            Some(id) => send(id, row.cells),
            None => self.values.iter().zip(row.cells).try_for_each(|(column, cell)| {
                send(Cell::Text(&self.names[*column]), std::slice::from_ref(cell))
            }),
        }
    }
}

struct HandOn<'a> {
    id: Option<Cell<'a>>,
    cells: &'a [Cell<'a>],
}

fn short_name(name: &str) -> &str {
    name.char_indices().nth(40).map_or(name, |(end, _)| &name[..end])
}

/// Opens a table.
pub(super) fn open(
    path: &Path,
    options: &StatesOptions,
    finished: bool,
) -> Result<Box<dyn Source>> {
    Ok(match Format::of_path(path) {
        Some(Format::Parquet | Format::Arrow) => Box::new(Typed::open(path, options)?),
        _ => Box::new(Text::open(path, options, finished)?),
    })
}

/// A table of delimited text.
struct Text {
    path: PathBuf,
    separator: Option<char>,
    marks: Marks,
    /// Whether numbers may have other marks, and nobody says which.
    asks: bool,
    finished: bool,
    found: char,
    places: Places,
    groups: [Columns; 1],
}

impl Text {
    fn open(path: &Path, options: &StatesOptions, finished: bool) -> Result<Self> {
        let StatesOptions { separator, decimal, thousands, .. } = *options;
        let marks = Marks::new(decimal, thousands)?;
        let asks = thousands.is_none() && decimal != Some('.');
        let records = Records::open(path, (separator, marks), finished)?;
        let names = records.fields().map(str::to_owned).collect();
        let places = Places::find(path, names, options)?;
        let groups = [places.columns(options, |_| Ok(None))?];
        let found = records.separator();
        Ok(Text { path: path.to_owned(), separator, marks, asks, finished, found, places, groups })
    }
}

impl Source for Text {
    fn taken_for(&self) -> String {
        let separator = match self.found {
            '\t' => "tabs".to_owned(),
            mark => format!("{mark:?}"),
        };
        let mark = if self.marks.has_comma() { " and decimal commas" } else { "" };
        format!("text with {separator} between fields{mark}")
    }

    fn marks(&self) -> Marks {
        self.marks
    }

    fn asks_for_marks(&self) -> bool {
        self.asks
    }

    fn groups(&self) -> &[Columns] {
        &self.groups
    }

    fn read(&mut self, each: Each<'_>) -> Result<Option<String>> {
        let mut records = Records::open(&self.path, (self.separator, self.marks), self.finished)?;
        let expected = self.places.names.len();
        if !records.fields().eq(self.places.names.iter().map(String::as_str)) {
            let got = "another one than a moment ago";
            return Err(Error::invalid(self.path.display().to_string(), "its first line", got));
        }
        while records.next()? {
            let line = records.line();
            if let Some(time) = records.cut(self.places.time) {
                each(Found { line, what: What::Cut(time.map(Cell::Text)) })?;
                return Ok(Some(no_end(line)));
            }
            let fields: Vec<&str> = records.fields().collect();
            if fields.len() != expected {
                let why = format!("{expected} fields expected, got {}", fields.len());
                each(Found { line, what: What::Bad(why) })?;
                continue;
            }
            let cell = |column: usize| match fields[column] {
                "" => Cell::Missing,
                text => Cell::Text(text),
            };
            let cells: Vec<Cell<'_>> = self.places.values.iter().map(|at| cell(*at)).collect();
            let row = HandOn { id: self.places.id.map(cell), cells: &cells };
            self.places.hand_on(line, cell(self.places.time), row, each)?;
        }
        Ok(None)
    }
}

/// A table whose columns have types.
struct Typed {
    path: PathBuf,
    places: Places,
    groups: [Columns; 1],
}

impl Typed {
    fn open(path: &Path, options: &StatesOptions) -> Result<Self> {
        let schema = table::read(path)?.schema().clone();
        let names = schema.fields().iter().map(|field| field.name().clone()).collect();
        let places = Places::find(path, names, options)?;
        for (column, option) in [(Some(places.time), "--time"), (places.id, "--id")] {
            let Some(field) = column.map(|column| schema.field(column)) else { continue };
            let is_text = matches!(plain(field.data_type()), DataType::Utf8);
            let is_number = field.data_type().is_integer() || field.data_type().is_floating();
            if !(is_number || is_text && column == places.id) {
                let what = format!("{}: column {:?}", path.display(), field.name());
                let expected = format!("numbers, or of ids integers or texts ({option})");
                return Err(Error::invalid(what, expected, field.data_type().to_string()));
            }
        }
        let groups = [places.columns(options, |column| type_of(path, schema.field(column)))?];
        Ok(Typed { path: path.to_owned(), places, groups })
    }
}

/// The type in which a column is read: texts of all kinds as texts.
fn plain(of: &DataType) -> DataType {
    match of {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Dictionary(_, values) => plain(values),
        other => other.clone(),
    }
}

/// The type that a column becomes.
pub(super) fn type_of(path: &Path, field: &Field) -> Result<Option<Type>> {
    dtype_of(&plain(field.data_type())).map(Some).ok_or_else(|| {
        let what = format!("{}: column {:?}", path.display(), field.name());
        let expected = "numbers, booleans, times or texts: take other columns (--columns)";
        Error::invalid(what, expected, field.data_type().to_string())
    })
}

/// The type that a column becomes; `None` if it cannot be one.
fn dtype_of(of: &DataType) -> Option<Type> {
    let unit = |unit: &TimeUnit| match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    };
    let text = match of {
        DataType::Utf8 => return Some(None),
        DataType::Boolean => return Some(Some(DType::BOOL)),
        DataType::Int8 => "|i1".to_owned(),
        DataType::Int16 => "<i2".to_owned(),
        DataType::Int32 => "<i4".to_owned(),
        DataType::Int64 => "<i8".to_owned(),
        DataType::UInt8 => "|u1".to_owned(),
        DataType::UInt16 => "<u2".to_owned(),
        DataType::UInt32 => "<u4".to_owned(),
        DataType::UInt64 => "<u8".to_owned(),
        DataType::Float16 => "<f2".to_owned(),
        DataType::Float32 => "<f4".to_owned(),
        DataType::Float64 => "<f8".to_owned(),
        DataType::Timestamp(of, _) => format!("<M8[{}]", unit(of)),
        DataType::Duration(of) => format!("<m8[{}]", unit(of)),
        _ => return None,
    };
    text.parse().ok().map(Some)
}

/// The cells of a column.
struct Cells {
    column: ArrayRef,
    width: usize,
}

impl Cells {
    fn at(&self, row: usize) -> Cell<'_> {
        if self.column.is_null(row) {
            return Cell::Missing;
        }
        match self.column.data_type() {
            DataType::Utf8 => Cell::Text(self.texts().value(row)),
            DataType::Boolean => {
                Cell::Item(if self.column.as_boolean().value(row) { &[1] } else { &[0] })
            }
            _ => {
                let data = self.column.as_any();
                let from = row * self.width;
                Cell::Item(&bytes_of(data, self.column.data_type())[from..from + self.width])
            }
        }
    }

    fn texts(&self) -> &StringArray {
        self.column.as_string()
    }
}

/// The bytes of a column of numbers, as they are in memory: low byte first, as every machine has them that this runs on.
fn bytes_of<'a>(column: &'a dyn std::any::Any, data_type: &DataType) -> &'a [u8] {
    macro_rules! primitive {
        ($($pattern:pat => $t:ident),* $(,)?) => {
            match data_type {
                $($pattern => column
                    .downcast_ref::<arrow_array::PrimitiveArray<arrow_array::types::$t>>()
                    .map(|array| array.values().inner().as_slice()),)*
                _ => None,
            }
        };
    }
    let bytes = primitive! {
        DataType::Int8 => Int8Type,
        DataType::Int16 => Int16Type,
        DataType::Int32 => Int32Type,
        DataType::Int64 => Int64Type,
        DataType::UInt8 => UInt8Type,
        DataType::UInt16 => UInt16Type,
        DataType::UInt32 => UInt32Type,
        DataType::UInt64 => UInt64Type,
        DataType::Float16 => Float16Type,
        DataType::Float32 => Float32Type,
        DataType::Float64 => Float64Type,
        DataType::Timestamp(TimeUnit::Second, _) => TimestampSecondType,
        DataType::Timestamp(TimeUnit::Millisecond, _) => TimestampMillisecondType,
        DataType::Timestamp(TimeUnit::Microsecond, _) => TimestampMicrosecondType,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => TimestampNanosecondType,
        DataType::Duration(TimeUnit::Second) => DurationSecondType,
        DataType::Duration(TimeUnit::Millisecond) => DurationMillisecondType,
        DataType::Duration(TimeUnit::Microsecond) => DurationMicrosecondType,
        DataType::Duration(TimeUnit::Nanosecond) => DurationNanosecondType,
    };
    bytes.expect("a type that dtype_of has")
}

impl Source for Typed {
    fn taken_for(&self) -> String {
        "a table of Parquet or Arrow".into()
    }

    fn groups(&self) -> &[Columns] {
        &self.groups
    }

    fn read(&mut self, each: Each<'_>) -> Result<Option<String>> {
        let keys: Vec<usize> = [self.places.time].into_iter().chain(self.places.id).collect();
        each_row(&self.path, &keys, &self.places.values, &mut |line, keys, cells| {
            let row = HandOn { id: keys.get(1).copied(), cells };
            self.places.hand_on(line, keys[0], row, each)
        })?;
        Ok(None)
    }
}

/// What takes the number of a row, its keys and its values.
type EachRow<'a> = &'a mut dyn FnMut(u64, &[Cell<'_>], &[Cell<'_>]) -> Result<()>;

/// Hands on the rows of a table of Parquet or Arrow: times and ids, the keys, as numbers or texts, all others as the bytes
/// that they are.
pub(super) fn each_row(
    path: &Path,
    keys: &[usize],
    values: &[usize],
    each: EachRow<'_>,
) -> Result<()> {
    let mut batches: Batches = table::read(path)?;
    let mut line = 0;
    while let Some(batch) = batches.next_batch()? {
        let column = |column: usize, to: &DataType| {
            let found = cast(batch.column(column), to);
            found.map_err(|e| from_arrow(&path.display().to_string(), e))
        };
        let type_of = |at: usize| batch.column(at).data_type();
        let key = |at: &usize| match type_of(*at) {
            own if own.is_integer() => column(*at, &DataType::Int64),
            own if own.is_floating() => column(*at, &DataType::Float64),
            _ => column(*at, &DataType::Utf8),
        };
        let value = |at: &usize| {
            let to = plain(type_of(*at));
            let column = column(*at, &to)?;
            Ok(Cells { width: to.primitive_width().unwrap_or(1), column })
        };
        let keys: Vec<ArrayRef> = keys.iter().map(key).collect::<Result<_>>()?;
        let values: Vec<Cells> = values.iter().map(value).collect::<Result<_>>()?;
        for row in 0..batch.num_rows() {
            line += 1;
            let keys: Vec<Cell<'_>> = keys.iter().map(|keys| key_at(keys, row)).collect();
            let cells: Vec<Cell<'_>> = values.iter().map(|column| column.at(row)).collect();
            each(line, &keys, &cells)?;
        }
    }
    Ok(())
}

fn key_at(keys: &ArrayRef, row: usize) -> Cell<'_> {
    match keys.data_type() {
        _ if keys.is_null(row) => Cell::Missing,
        DataType::Int64 => Cell::Int(keys.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => Cell::Float(keys.as_primitive::<Float64Type>().value(row)),
        _ => match keys.as_string::<i32>().value(row) {
            "" => Cell::Missing,
            text => Cell::Text(text),
        },
    }
}
