//! Series: which there are, what is known of one, and its points in a window.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType, Field, Schema, TimeUnit};
use axum::extract::{Query, State};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use siltstone::series::process::parse_time;
use siltstone::series::tree::{Dataset, ProcessingStep, key_of, of_key, within};
use siltstone::series::{
    IndexRange, IndexValue, SeriesInfo, SqliteBackend, StorageBackend, type_name,
};
use siltstone::table::Batches;
use siltstone::{Error, Handle, Result};

use crate::Shared;
use crate::answer::{Answer, LONGEST, read};
use crate::m4::{M4, Picture, Position};
use crate::table::{Format, Table, document};

/// What an index counts.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Axis {
    /// Times, in units of so many ns since 1970.
    Time(i64),
    /// Spans, in units of so many ns.
    Span(i64),
    Integer,
    Float,
    /// Texts: no line can be drawn over them.
    Text,
}

impl Axis {
    fn of(index: &DataType) -> Self {
        let unit = |unit: &TimeUnit| match unit {
            TimeUnit::Second => 1_000_000_000,
            TimeUnit::Millisecond => 1_000_000,
            TimeUnit::Microsecond => 1_000,
            TimeUnit::Nanosecond => 1,
        };
        match index {
            DataType::Timestamp(of, _) => Axis::Time(unit(of)),
            DataType::Duration(of) => Axis::Span(unit(of)),
            kind if kind.is_integer() => Axis::Integer,
            kind if kind.is_floating() => Axis::Float,
            _ => Axis::Text,
        }
    }

    fn describe(self) -> Json {
        match self {
            Axis::Time(unit_ns) => json!({ "kind": "time", "unit_ns": unit_ns }),
            Axis::Span(unit_ns) => json!({ "kind": "span", "unit_ns": unit_ns }),
            Axis::Integer => json!({ "kind": "integer" }),
            Axis::Float => json!({ "kind": "float" }),
            Axis::Text => json!({ "kind": "text" }),
        }
    }

    /// A bound as it is asked for: a number of the index, or of times an ISO 8601 text too.
    fn bound(self, name: &str, text: &str) -> Result<IndexValue> {
        let invalid = |expected: &str| Error::Invalid {
            what: name.to_owned(),
            expected: expected.to_owned(),
            got: format!("{text:?}"),
        };
        match self {
            Axis::Float => {
                let number: f64 = text.parse().map_err(|_| invalid("a number"))?;
                Ok(number.into())
            }
            Axis::Time(unit_ns) => match text.parse::<i64>() {
                Ok(number) => Ok(number.into()),
                Err(_) => Ok(parse_time(text, Some("UTC"))?.div_euclid(unit_ns).into()),
            },
            _ => Ok(text.parse::<i64>().map_err(|_| invalid("an integer"))?.into()),
        }
    }
}

/// Where a series stands in its dataset.
struct Signal {
    dataset: String,
    signal: String,
    units: String,
}

/// `GET /api/series`: every series, without its points.
pub(crate) async fn list(State(shared): State<Shared>) -> Answer {
    let series = read(&shared, LONGEST, all);
    Ok(document(&json!({ "series": series.await? })))
}

/// Every series, in the order of their keys.
///
/// # Errors
/// As reading the file.
pub(crate) fn all(handle: &Handle) -> Result<Vec<Json>> {
    let backend = handle.series()?;
    let signals = signals(&backend)?;
    let mut series = Vec::new();
    for key in backend.list_keys("")? {
        match backend.info(&key) {
            Err(Error::NotFound { .. }) => {} // removed meanwhile
            info => series.push(summary(&info?, signals.get(&key))),
        }
    }
    Ok(series)
}

/// The signals of all datasets, by the keys of their series.
fn signals(backend: &SqliteBackend) -> Result<BTreeMap<String, Signal>> {
    let shared: Arc<dyn StorageBackend> = Arc::new(backend.clone());
    let mut signals = BTreeMap::new();
    for name in Dataset::list(backend)? {
        for signal in Dataset::open(shared.clone(), &name)?.signals() {
            for series in signal.series() {
                let key = key_of(&name, signal.name(), within(signal.name(), series.name()));
                let (dataset, units) = (name.clone(), signal.record().units.clone());
                signals.insert(key, Signal { dataset, signal: signal.name().to_owned(), units });
            }
        }
    }
    Ok(signals)
}

fn summary(info: &SeriesInfo, signal: Option<&Signal>) -> Json {
    let axis = Axis::of(&info.index_type);
    let is_number = info.value_type.is_numeric() || info.value_type == DataType::Boolean;
    let (first, last) = info.extent.clone().unzip();
    json!({
        "key": info.key,
        "dataset": signal.map(|of| &of.dataset),
        "signal": signal.map(|of| &of.signal),
        "units": signal.map(|of| &of.units),
        "points": info.length,
        "index": axis.describe(),
        "index_type": type_name(&info.index_type),
        "value_type": type_name(&info.value_type),
        "first": first.map(index_json),
        "last": last.map(index_json),
        "drawable": axis != Axis::Text && is_number,
    })
}

fn index_json(value: IndexValue) -> Json {
    match value {
        IndexValue::Int(n) => n.into(),
        IndexValue::Float(x) => x.into(),
        IndexValue::Text(text) => text.into(),
    }
}

/// A query about one series.
#[derive(Debug, Deserialize)]
pub(crate) struct Key {
    key: String,
}

/// `GET /api/series/info`: what is known of a series, and the steps that made it.
pub(crate) async fn info(State(shared): State<Shared>, Query(of): Query<Key>) -> Answer {
    let found = read(&shared, LONGEST, move |handle| one(handle, &of.key));
    Ok(document(&found.await?))
}

/// What is known of a series, and the steps that made it.
///
/// # Errors
/// [`Error::NotFound`] for no such series.
pub(crate) fn one(handle: &Handle, key: &str) -> Result<Json> {
    let backend = handle.series()?;
    let info = backend.info(key)?;
    let mut found = summary(&info, None);
    found["name"] = json!(info.name());
    found["dtype"] = json!(info.dtype());
    found["sorted"] = json!(info.is_sorted);
    found["metadata"] = json!(info.plain_metadata());
    let shared: Arc<dyn StorageBackend> = Arc::new(backend.clone());
    for name in Dataset::list(&backend)? {
        let Some((signal, series)) = of_key(&name, key) else { continue };
        let dataset = Dataset::open(shared.clone(), &name)?;
        let signal = dataset.signal(&signal)?;
        found["dataset"] = json!(name);
        found["signal"] = json!(signal.name());
        found["units"] = json!(signal.record().units);
        found["provenance"] = json!(signal.record().provenance);
        let series = signal.series().iter().find(|of| of.name() == series);
        let steps = series.map(|series| series.steps()).unwrap_or_default();
        found["full_name"] = json!(series.map(|series| series.name()));
        found["keys"] = json!(keys_of(&name, &dataset, steps));
        found["steps"] = json!(steps);
    }
    Ok(found)
}

/// The keys of the series that steps name, by these names; what is not in the dataset is left out.
fn keys_of(name: &str, dataset: &Dataset, steps: &[ProcessingStep]) -> BTreeMap<String, String> {
    let mut keys = BTreeMap::new();
    for signal in dataset.signals() {
        for series in signal.series() {
            let is_named = |step: &ProcessingStep| {
                step.input_series_names.iter().any(|input| input == series.name())
                    || step.output_series_name.as_deref() == Some(series.name())
            };
            if steps.iter().any(is_named) {
                let key = key_of(name, signal.name(), within(signal.name(), series.name()));
                keys.insert(series.name().to_owned(), key);
            }
        }
    }
    keys
}

/// A query about the points of a series.
#[derive(Debug, Deserialize)]
pub(crate) struct Window {
    key: String,
    from: Option<String>,
    until: Option<String>,
    /// Pixels; without it every point is answered.
    width: Option<usize>,
    /// Whether the points before and behind the window come too, so that lines reach its edges.
    #[serde(default)]
    edges: bool,
    #[serde(default)]
    format: Format,
}

impl Window {
    /// All points of a series, for a picture so many pixels wide.
    pub(crate) fn all(key: &str, width: usize) -> Self {
        let (key, width, format) = (key.to_owned(), Some(width), Format::Json);
        Window { key, from: None, until: None, width, edges: false, format }
    }
}

/// `GET /api/series/window`: the points from one index value to another, for a picture so many pixels wide.
pub(crate) async fn window(State(shared): State<Shared>, Query(asked): Query<Window>) -> Answer {
    let written = read(&shared, LONGEST, move |handle| {
        let format = asked.format;
        window_of(handle, &asked)?.write(format)
    });
    Ok(written.await?.into_response())
}

/// The points of a window.
///
/// # Errors
/// [`Error::NotFound`] for no such series, [`Error::Invalid`] for one that cannot be drawn.
pub(crate) fn window_of(handle: &Handle, asked: &Window) -> Result<Table> {
    let backend = handle.series()?;
    let info = backend.info(&asked.key)?;
    points(&backend, &info, asked)
}

fn points(backend: &SqliteBackend, info: &SeriesInfo, asked: &Window) -> Result<Table> {
    let axis = Axis::of(&info.index_type);
    let bound = |name, text: &Option<String>| -> Result<Option<IndexValue>> {
        text.as_deref().map(|text| axis.bound(name, text)).transpose()
    };
    let (from, until) = (bound("from", &asked.from)?, bound("until", &asked.until)?);
    let (least, greatest) = info.extent.clone().unzip();
    if asked.width.is_none() {
        let range = range(from, until);
        let about = json!({ "key": info.key, "said": "exact" });
        return Ok(Table { about: object(about), batches: backend.scan(&info.key, &range)? });
    }
    let (from, until) = (from.or(least), until.or(greatest.map(next)));
    let scan = Scan { backend, info, asked };
    match (axis, from, until) {
        (Axis::Text, ..) => Err(Error::Invalid {
            what: format!("the index of {:?}", info.key),
            expected: "times or numbers, to draw it".to_owned(),
            got: type_name(&info.index_type),
        }),
        (_, Some(IndexValue::Int(from)), Some(IndexValue::Int(until))) => {
            scan.picture::<i64>(from, until, axis)
        }
        (_, Some(IndexValue::Float(from)), Some(IndexValue::Float(until))) => {
            scan.picture::<f64>(from, until, axis)
        }
        // Without points there is no window.
        (Axis::Float, ..) => scan.picture::<f64>(0.0, 0.0, axis),
        _ => scan.picture::<i64>(0, 0, axis),
    }
}

fn object(document: Json) -> Map<String, Json> {
    match document {
        Json::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn range(from: Option<IndexValue>, until: Option<IndexValue>) -> IndexRange {
    use std::ops::Bound::{Excluded, Included, Unbounded};
    IndexRange { from: from.map_or(Unbounded, Included), to: until.map_or(Unbounded, Excluded) }
}

/// The first value behind one.
fn next(value: IndexValue) -> IndexValue {
    match value {
        IndexValue::Int(n) => n.saturating_add(1).into(),
        IndexValue::Float(x) => x.next_up().into(),
        text => text,
    }
}

/// An index value as a number, and back.
trait Index: Position + Into<IndexValue> + Into<Json> {
    /// The values of a column of an index.
    fn read(index: &ArrayRef) -> std::result::Result<Vec<Self>, ArrowError>;
    fn write(index: Vec<Self>) -> ArrayRef;
    /// So many spans of a window before its begin, and behind its end.
    fn around(from: Self, until: Self, spans: u32) -> (Self, Self);
}

impl Index for i64 {
    fn read(index: &ArrayRef) -> std::result::Result<Vec<Self>, ArrowError> {
        Ok(cast(index, &DataType::Int64)?.as_primitive::<Int64Type>().values().to_vec())
    }

    fn write(index: Vec<Self>) -> ArrayRef {
        Arc::new(Int64Array::from(index))
    }

    fn around(from: Self, until: Self, spans: u32) -> (Self, Self) {
        let span = until.saturating_sub(from).saturating_mul(spans.into());
        (from.saturating_sub(span), until.saturating_add(span))
    }
}

impl Index for f64 {
    fn read(index: &ArrayRef) -> std::result::Result<Vec<Self>, ArrowError> {
        Ok(cast(index, &DataType::Float64)?.as_primitive::<Float64Type>().values().to_vec())
    }

    fn write(index: Vec<Self>) -> ArrayRef {
        Arc::new(Float64Array::from(index))
    }

    fn around(from: Self, until: Self, spans: u32) -> (Self, Self) {
        let span = (until - from) * f64::from(spans);
        (from - span, until + span)
    }
}

/// How far the points before and behind a window are looked for, in its spans.
const AROUND: [u32; 3] = [1, 64, 4096];

struct Scan<'a> {
    backend: &'a SqliteBackend,
    info: &'a SeriesInfo,
    asked: &'a Window,
}

/// What is known of all points of a window.
#[derive(Debug, Default)]
struct Statistics {
    missing: u64,
    sum: f64,
    least: Option<f64>,
    greatest: Option<f64>,
}

impl Statistics {
    fn take(&mut self, y: f64) {
        if y.is_nan() {
            self.missing += 1;
            return;
        }
        self.sum += y;
        self.least = Some(self.least.map_or(y, |least| least.min(y)));
        self.greatest = Some(self.greatest.map_or(y, |greatest| greatest.max(y)));
    }

    fn describe(&self, points: u64) -> Json {
        let count = points - self.missing;
        let mean = (count > 0).then(|| self.sum / count as f64);
        json!({ "missing": self.missing, "min": self.least, "max": self.greatest, "mean": mean })
    }
}

impl Scan<'_> {
    fn picture<X: Index>(&self, from: X, until: X, axis: Axis) -> Result<Table> {
        let mut m4 = M4::<X, 1>::new(from, until, self.asked.width);
        let mut statistics = Statistics::default();
        self.each(&IndexRange::half_open(from, until), |x: X, y| {
            m4.push(x, [y]);
            statistics.take(y);
            true
        })?;
        let mut picture = m4.finish();
        let (said, points) = (picture.said(), picture.points);
        if self.asked.edges && picture.is_exact() && self.info.is_sorted {
            self.add_edges(&mut picture, from, until)?;
        }
        let about = json!({
            "key": self.info.key,
            "index": axis.describe(),
            "from": Into::<Json>::into(from),
            "until": Into::<Json>::into(until),
            "points": points,
            "said": said,
            "statistics": statistics.describe(points),
        });
        Ok(Table { about: object(about), batches: self.batches(picture)? })
    }

    /// Goes through the points of a range until `each` says stop.
    fn each<X: Index>(
        &self,
        range: &IndexRange,
        mut each: impl FnMut(X, f64) -> bool,
    ) -> Result<()> {
        let mut batches = self.backend.scan(&self.info.key, range)?;
        while let Some(batch) = batches.next_batch()? {
            let (index, values) = (batch.column(0), batch.column(1));
            let xs = X::read(index).map_err(|error| self.not_numbers(&error))?;
            let values = self.numbers(values)?;
            let ys = values.iter().map(|y| y.unwrap_or(f64::NAN));
            for (x, y) in xs.into_iter().zip(ys) {
                if !each(x, y) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn numbers(&self, values: &ArrayRef) -> Result<Float64Array> {
        let kind = values.data_type();
        if !kind.is_numeric() && *kind != DataType::Boolean {
            return Err(Error::Invalid {
                what: format!("the values of {:?}", self.info.key),
                expected: "numbers, to draw them".to_owned(),
                got: type_name(kind),
            });
        }
        let values = cast(values, &DataType::Float64).map_err(|error| self.not_numbers(&error))?;
        Ok(values.as_primitive::<Float64Type>().clone())
    }

    fn not_numbers(&self, error: &ArrowError) -> Error {
        Error::Invalid {
            what: format!("the series {:?}", self.info.key),
            expected: "numbers, to draw them".to_owned(),
            got: error.to_string(),
        }
    }

    /// Adds the last point before the window and the first one behind it.
    fn add_edges<X: Index>(&self, picture: &mut Picture<X, 1>, from: X, until: X) -> Result<()> {
        let point = |x, y| crate::m4::Point { row: 0, x, y: [y] };
        let (mut before, mut behind) = (None, None);
        for spans in AROUND {
            let (least, greatest) = X::around(from, until, spans);
            if before.is_none() {
                self.each(&IndexRange::half_open(least, from), |x, y| {
                    before = Some(point(x, y));
                    true
                })?;
            }
            if behind.is_none() {
                self.each(&IndexRange::closed(until, greatest), |x, y| {
                    behind = Some(point(x, y));
                    false
                })?;
            }
        }
        picture.shown.splice(0..0, before);
        picture.shown.extend(behind);
        Ok(())
    }

    /// The points as a table with the index as it is stored; a missing value is null.
    fn batches<X: Index>(&self, picture: Picture<X, 1>) -> Result<Batches> {
        let (xs, ys): (Vec<X>, Vec<f64>) =
            picture.shown.into_iter().map(|point| (point.x, point.y[0])).unzip();
        let index =
            cast(&X::write(xs), &self.info.index_type).map_err(|error| self.not_numbers(&error))?;
        let values: Float64Array = ys.into_iter().map(|y| (!y.is_nan()).then_some(y)).collect();
        let schema = Arc::new(Schema::new(vec![
            Field::new("index", index.data_type().clone(), false),
            Field::new("value", DataType::Float64, true),
        ]));
        let batch = RecordBatch::try_new(schema.clone(), vec![index, Arc::new(values)])
            .map_err(|error| self.not_numbers(&error))?;
        Ok(Batches::from_batches(schema, vec![batch]))
    }
}
