//! Annotated CSV: tables one after another, each with `#datatype`, `#group` and `#default` before its header.
//!
//! # Source
//! InfluxDB's reference of annotated CSV.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use super::points::{Gathered, Identity, Value};
use crate::error::{Error, Result};
use crate::series::text::{Field, Row, Rows};

/// Whether a line is an annotation of this form.
pub(super) fn is_annotation(line: &str) -> bool {
    let name = line.trim_start_matches('"').split([',', '"']).next().unwrap_or_default();
    ["#datatype", "#group", "#default", "#constant"].contains(&name)
}

/// A type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Double,
    Long,
    UnsignedLong,
    Boolean,
    Text,
    Time,
    /// One that no point has: `duration`, `base64Binary`.
    Other,
}

impl Type {
    fn of(text: &str) -> Option<Self> {
        Some(match text {
            "double" => Type::Double,
            "long" => Type::Long,
            "unsignedLong" => Type::UnsignedLong,
            "boolean" | "bool" => Type::Boolean,
            "string" | "" => Type::Text,
            "dateTime:RFC3339" | "dateTime:RFC3339Nano" | "dateTime" => Type::Time,
            "duration" | "base64Binary" => Type::Other,
            _ => return None,
        })
    }

    fn read<'a>(self, field: &Field<'a>) -> Option<Value<'a>> {
        let text = field.text.trim();
        match self {
            Type::Double => text.parse().ok().map(Value::Float),
            Type::Long => text.parse().ok().map(Value::Signed),
            Type::UnsignedLong => text.parse().ok().map(Value::Positive),
            Type::Boolean => text.parse().ok().map(Value::Boolean),
            Type::Text => Some(Value::Text(field.text.clone())),
            Type::Time | Type::Other => None,
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Type::Double => "a number",
            Type::Long => "an integer of 64 bits",
            Type::UnsignedLong => "an unsigned integer of 64 bits",
            Type::Boolean => "true or false",
            Type::Text => "a text",
            Type::Time => "a time of RFC 3339",
            Type::Other => "nothing",
        }
    }
}

/// The annotations of the next table, as far as they were read.
#[derive(Default)]
struct Annotations {
    types: Vec<Type>,
    groups: Vec<bool>,
    defaults: Vec<String>,
}

/// What the columns of a table are.
struct Table {
    header: Vec<String>,
    annotations: Annotations,
    time: usize,
    measurement: Option<usize>,
    result: Option<usize>,
    field: Option<usize>,
    tags: Vec<usize>,
    values: Vec<usize>,
}

/// Reads all tables; what the file was taken for.
///
/// # Errors
/// [`Error::Invalid`] for annotations that are none, a table without times or values, an error of a query, and for a series
/// that has two values at a time.
pub(super) fn read(text: &str, gathered: &mut Gathered<'_>) -> Result<String> {
    let (mut table, mut next, mut tables) = (None::<Table>, None::<Annotations>, 0);
    for row in Rows::new(text, ',') {
        let line = row.line;
        if let Some(open) = row.open_quote {
            gathered.bad(open, "a quote that does not close at the end of its field")?;
            continue;
        }
        let name = row.fields[0].text.trim();
        let texts = || row.fields[1..].iter().map(|field| field.text.trim());
        let location = || format!("{}, line {line}", gathered.location());
        if name.starts_with('#') {
            let annotations = next.get_or_insert_default();
            match name {
                "#datatype" => annotations.types = types(texts(), &location)?,
                "#group" => annotations.groups = texts().map(|text| text == "true").collect(),
                "#default" => annotations.defaults = texts().map(str::to_owned).collect(),
                other => {
                    let expected = "#datatype, #group or #default, as a query writes them";
                    return Err(Error::invalid(location(), expected, format!("{other:?}")));
                }
            }
        } else if let Some(annotations) = next.take() {
            let header: Vec<String> = texts().map(str::to_owned).collect();
            tables += 1;
            if header == ["error", "reference"] {
                return Err(Error::invalid(location(), "a table", failure(text, line)));
            }
            table = Some(Table::of(header, annotations, (&location(), gathered))?);
        } else if let Some(table) = table.as_ref().filter(|table| !texts().eq(&table.header)) {
            if texts().any(|text| text == "_time") && !table.has_time(&row) {
                let expected =
                    "#datatype, #group and #default before each header that is another one";
                return Err(Error::invalid(location(), expected, "a header without #datatype"));
            }
            if let Err(why) = table.take(&row, gathered)? {
                gathered.bad(line, &why)?;
            }
        }
    }
    gathered.end()?;
    for series in &gathered.all {
        if let Some(ns) = series.contradiction() {
            let time = jiff::Timestamp::from_nanosecond(ns.into()).unwrap_or_default();
            let got = format!("two at {time}: another column tells them apart");
            let what = format!("{}, the series {:?}", gathered.location(), series.key);
            return Err(Error::invalid(what, "one value at a time", got));
        }
    }
    let tables = if tables == 1 { "1 table".to_owned() } else { format!("{tables} tables") };
    Ok(format!("annotated CSV of InfluxDB, {tables}"))
}

/// What a query that failed says.
fn failure(text: &str, line: u64) -> String {
    let row = Rows::new(text, ',').find(|row| row.line > line);
    let said = row.and_then(|row| row.fields.get(1).map(|field| field.text.to_string()));
    format!("an error of the query: {}", said.unwrap_or_default())
}

fn types<'a>(
    texts: impl Iterator<Item = &'a str>,
    location: &dyn Fn() -> String,
) -> Result<Vec<Type>> {
    let one = |text: &str| {
        Type::of(text).ok_or_else(|| {
            let expected = "types that a query writes: double, long, unsignedLong, boolean, string, dateTime:RFC3339";
            Error::invalid(location(), expected, format!("{text:?}"))
        })
    };
    texts.map(one).collect()
}

impl Table {
    fn of(
        header: Vec<String>,
        annotations: Annotations,
        (location, gathered): (&str, &mut Gathered<'_>),
    ) -> Result<Self> {
        let find = |name: &str| header.iter().position(|other| other == name);
        let types = &annotations.types;
        let refuse = |expected: &str, got: String| Err(Error::invalid(location, expected, got));
        if types.len() != header.len() {
            let got = format!("{} and {}", types.len(), header.len());
            return refuse("as many types in #datatype as columns", got);
        }
        let names = format!("{header:?}");
        let mut seen = HashSet::new();
        if let Some(twice) = header.iter().find(|name| !seen.insert(*name)) {
            return refuse("columns of different names", format!("{twice:?} twice"));
        }
        let time = find("_time").filter(|at| types[*at] == Type::Time);
        let Some(time) = time else { return refuse("a column _time of times", names) };
        let [measurement, result, field, value] =
            ["_measurement", "result", "_field", "_value"].map(find);
        let own =
            ["_measurement", "result", "_field", "_value", "_time", "_start", "_stop", "table"];
        let others = (0..header.len()).filter(|at| !own.contains(&&*header[*at]));
        let is_group = |at: &usize| annotations.groups.get(*at).copied().unwrap_or_default();
        let (tags, values): (Vec<usize>, Vec<usize>) = match value {
            Some(value) => {
                let (tags, left): (Vec<usize>, Vec<usize>) =
                    others.partition(|at| types[*at] == Type::Text || is_group(at));
                if let Some(first) = left.first() {
                    let (n, first) = (left.len(), &header[*first]);
                    let columns = if n == 1 { "column is" } else { "columns are" };
                    gathered.note(format!(
                        "{n} {columns} left out that have no texts and are no tags: {first:?}"
                    ));
                }
                (tags, vec![value])
            }
            None if annotations.groups.is_empty() => {
                return refuse(
                    "#group, which tells tags from fields where there is no column _value",
                    names,
                );
            }
            None => others.partition(is_group),
        };
        if values.is_empty() {
            return refuse("a column of values", names);
        }
        Ok(Table { time, measurement, result, field, tags, values, header, annotations })
    }

    /// Whether a row has a time where the table has its times.
    fn has_time(&self, row: &Row<'_>) -> bool {
        let cell = row.fields.get(self.time + 1);
        cell.is_some_and(|cell| cell.text.trim().parse::<jiff::Timestamp>().is_ok())
    }

    /// Takes the points of a row, or says what is wrong with it.
    fn take(
        &self,
        row: &Row<'_>,
        gathered: &mut Gathered<'_>,
    ) -> Result<std::result::Result<(), String>> {
        if row.fields.len() != self.header.len() + 1 {
            let (expected, got) = (self.header.len() + 1, row.fields.len());
            return Ok(Err(format!("{expected} fields expected, got {got}")));
        }
        // An empty cell is the default of its column; without one it has no value.
        let cell = |at: usize| -> Cow<'_, str> {
            let own = &row.fields[at + 1];
            let default = self.annotations.defaults.get(at).filter(|_| own.is_missing());
            default.map_or_else(|| own.text.as_ref().into(), |text| text.as_str().into())
        };
        let time = cell(self.time);
        let ns = time.trim().parse::<jiff::Timestamp>().ok();
        let Some(ns) = ns.and_then(|time| i64::try_from(time.as_nanosecond()).ok()) else {
            let time = time.chars().take(40).collect::<String>();
            return Ok(Err(format!(
                "_time: a time of RFC 3339 from 1677 to 2262 expected, got {time:?}"
            )));
        };
        let mut tags = BTreeMap::new();
        for at in self.tags.iter().copied().filter(|at| !cell(*at).is_empty()) {
            tags.insert(Cow::from(&self.header[at]), cell(at));
        }
        // Of a query with several results each has a name of its own.
        if let Some(result) =
            self.result.map(cell).filter(|name| !["", "_result"].contains(&&**name))
        {
            tags.insert("result".into(), result);
        }
        let text = |at: Option<usize>| at.map(cell).unwrap_or_default();
        let mut points = Vec::with_capacity(self.values.len());
        for at in self.values.iter().copied() {
            let text_of_cell = cell(at);
            let quoted = row.fields[at + 1].quoted;
            if text_of_cell.is_empty() && !quoted {
                continue;
            }
            let (kind, column) = (self.annotations.types[at], &self.header[at]);
            let Some(value) = kind.read(&Field { text: text_of_cell.clone(), quoted }) else {
                let got = text_of_cell.chars().take(40).collect::<String>();
                return Ok(Err(format!("{column}: {} expected, got {got:?}", kind.in_words())));
            };
            let field = match self.field {
                Some(_) if column == "_value" => text(self.field),
                _ => Cow::from(column),
            };
            let identity =
                Identity { measurement: text(self.measurement), tags: tags.clone(), field };
            points.push((gathered.number(&identity, &value)?, value));
        }
        for (series, value) in points {
            gathered.push(series, ns, value, row.line)?;
        }
        Ok(Ok(()))
    }
}
