//! Simulations: datasets and groups, the state of a group at a time, the history of an entity.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Schema};
use axum::extract::{Query, State};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use siltstone::array::Kind;
use siltstone::simulation::json::PyType;
use siltstone::simulation::{
    AttributeInfo, ColumnState, GroupState, ResultDataset, Results, ResultsOptions,
};
use siltstone::table::Batches;
use siltstone::{Error, Handle, Result, Value};

use crate::Shared;
use crate::answer::{Answer, LONGEST, read};
use crate::cursors;
use crate::m4::{M4, Point};
use crate::plane;
use crate::table::{Format, Table, document};

fn results(handle: &Handle) -> Result<Results> {
    Results::over(handle.simulation()?, ResultsOptions::default())
}

/// `GET /api/simulation`: the datasets of entities with their groups, and what timestamps mean.
pub(crate) async fn list(State(shared): State<Shared>) -> Answer {
    let found = read(&shared, LONGEST, |handle| {
        let results = results(handle)?;
        let mut datasets = Vec::new();
        for name in results.datasets()? {
            let groups = results.dataset(&name)?.groups()?;
            datasets.push(json!({ "name": name, "groups": groups }));
        }
        Ok(json!({ "datasets": datasets, "timeline": results.timeline() }))
    });
    Ok(document(&found.await?))
}

/// A query about a group.
#[derive(Debug, Deserialize)]
pub(crate) struct Group {
    dataset: String,
    group: String,
    /// Times from this one on.
    from: Option<i64>,
    #[serde(default)]
    format: Format,
}

/// `GET /api/simulation/group`: the attributes of a group, and what it may be drawn as.
pub(crate) async fn group(State(shared): State<Shared>, Query(asked): Query<Group>) -> Answer {
    let found = read(&shared, LONGEST, move |handle| {
        let results = results(handle)?;
        let attributes = results.dataset(&asked.dataset)?.attributes(&asked.group)?;
        let is_bool = |name: &str| {
            results.schema().get(name).is_some_and(|spec| spec.py_type == PyType::Bool)
        };
        let listed: Vec<Json> =
            attributes.iter().map(|of| describe(of, is_bool(&of.name))).collect();
        let plane = plane::proposals(&attributes);
        Ok(json!({ "attributes": listed, "plane": plane }))
    });
    Ok(document(&found.await?))
}

fn describe(of: &AttributeInfo, is_bool: bool) -> Json {
    let kind = match of.dtype.kind() {
        Kind::Bool => "bool",
        Kind::Int if is_bool => "bool",
        Kind::Int | Kind::UInt => "integer",
        Kind::Float => "number",
        Kind::Str => "text",
        Kind::DateTime => "time",
        Kind::TimeDelta => "span",
        _ => "other",
    };
    json!({
        "name": of.name,
        "kind": kind,
        "dtype": of.dtype.to_string(),
        "shape": of.unit_shape,
        "ragged": of.is_ragged,
        "is_shape": plane::is_shape(of),
        "enum": of.enum_values,
        "special": of.special,
    })
}

/// `GET /api/simulation/times`: the timestamps at which a group has updates.
pub(crate) async fn times(State(shared): State<Shared>, Query(asked): Query<Group>) -> Answer {
    let written = read(&shared, LONGEST, move |handle| {
        let results = results(handle)?;
        let times = results.dataset(&asked.dataset)?.timestamps(Some(&asked.group))?;
        if times.is_empty() {
            return Err(no_group(&asked.dataset, &asked.group));
        }
        // How many there are in all says to one who knows the earlier ones whether these are all that are new.
        let about = json!({ "timeline": results.timeline(), "times": times.len() });
        let first = asked.from.map_or(0, |from| times.partition_point(|time| *time < from));
        let times: ArrayRef = Arc::new(Int64Array::from(times[first..].to_vec()));
        let schema = Schema::new(vec![Field::new("timestamp", DataType::Int64, false)]);
        table(about, schema, vec![times])?.write(asked.format)
    });
    Ok(written.await?.into_response())
}

fn no_group(dataset: &str, group: &str) -> Error {
    Error::NotFound {
        what: "entity group",
        name: group.to_owned(),
        location: format!("the dataset {dataset:?}"),
    }
}

/// A table of columns, and what is said about it.
pub(crate) fn table(about: Json, schema: Schema, columns: Vec<ArrayRef>) -> Result<Table> {
    let schema = Arc::new(schema);
    let batch = RecordBatch::try_new(schema.clone(), columns).map_err(|error| Error::Invalid {
        what: "the answer".to_owned(),
        expected: "a table that Arrow takes".to_owned(),
        got: error.to_string(),
    })?;
    let about = about.as_object().cloned().unwrap_or_default();
    Ok(Table { about, batches: Batches::from_batches(schema, vec![batch]) })
}

/// A query about the state of a group: `attribute` and `known` may be there several times.
#[derive(Debug, Default)]
struct At {
    dataset: String,
    group: String,
    at: Option<String>,
    /// All, if none is named.
    attributes: Vec<String>,
    /// Columns that the asker has, by their hash: they are left out where they are the same.
    known: Vec<String>,
    format: Format,
}

impl At {
    fn of(pairs: Vec<(String, String)>) -> Result<Self> {
        let mut asked = At::default();
        for (name, value) in pairs {
            match name.as_str() {
                "dataset" => asked.dataset = value,
                "group" => asked.group = value,
                "at" => asked.at = Some(value),
                "attribute" => asked.attributes.push(value),
                "known" => asked.known.push(value),
                "format" => {
                    asked.format =
                        serde_json::from_value(Json::from(value.as_str())).map_err(|_| {
                            Error::Invalid {
                                what: "format".to_owned(),
                                expected: "json, arrow, csv or parquet".to_owned(),
                                got: format!("{value:?}"),
                            }
                        })?
                }
                _ => {}
            }
        }
        Ok(asked)
    }
}

/// `GET /api/simulation/state`: a group at a time, an entity a row, undefined as null.
pub(crate) async fn state(
    State(shared): State<Shared>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Answer {
    let asked = At::of(pairs)?;
    let source = shared.source.clone();
    let written = read(&shared, LONGEST, move |_| {
        let names = (asked.dataset.as_str(), asked.group.as_str());
        let table = cursors::at(&source, names, asked.at.as_deref(), |place| {
            let cursor = &place.cursor;
            let all: Vec<String> = cursor.attributes().into_iter().map(str::to_owned).collect();
            let wanted = if asked.attributes.is_empty() { &all } else { &asked.attributes };
            let mut hashes = Map::new();
            let mut columns = Vec::new();
            let mut left_out = Vec::new();
            for name in wanted {
                let column = cursor.column(name).ok_or_else(|| Error::NotFound {
                    what: "attribute",
                    name: name.clone(),
                    location: format!("{}/{}", asked.dataset, asked.group),
                })?;
                let hash = hash_of(&column);
                if asked.known.contains(&hash) {
                    left_out.push(Json::from(name.as_str()));
                } else {
                    columns.push(column);
                }
                hashes.insert(name.clone(), hash.into());
            }
            let of_ids = hash_of_ids(cursor.ids());
            let state =
                GroupState { timestamp: cursor.timestamp(), ids: cursor.ids().to_vec(), columns };
            let mut batch = state.to_arrow(&place.schema)?;
            if asked.known.contains(&of_ids) {
                left_out.push("id".into());
                let others: Vec<usize> = (1..batch.num_columns()).collect();
                batch = batch.project(&others).map_err(|error| Error::Invalid {
                    what: "the state".to_owned(),
                    expected: "columns beside the id".to_owned(),
                    got: error.to_string(),
                })?;
            }
            hashes.insert("id".to_owned(), of_ids.into());
            let about = json!({
                "dataset": asked.dataset,
                "group": asked.group,
                "at": asked.at,
                "entities": state.ids.len(),
                "attributes": all,
                "hashes": hashes,
                "left_out": left_out,
                "said": "exact",
            });
            let about = about.as_object().cloned().unwrap_or_default();
            Ok(Table { about, batches: Batches::from_batches(batch.schema(), vec![batch]) })
        })?;
        table.write(asked.format)
    });
    Ok(written.await?.into_response())
}

/// What tells a column's values from others.
fn hash_of(column: &ColumnState) -> String {
    let mut hasher = DefaultHasher::new();
    let parts = [Some(&column.attribute.data), column.attribute.row_ptr.as_ref()];
    for array in parts.into_iter().chain([column.attribute.mask.as_ref()]).flatten() {
        (array.dtype(), array.shape(), array.data()).hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

fn hash_of_ids(ids: &[i64]) -> String {
    let mut hasher = DefaultHasher::new();
    ("id", ids).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// A query about the range of an attribute.
#[derive(Debug, Deserialize)]
pub(crate) struct Attribute {
    dataset: String,
    group: String,
    attribute: String,
}

/// `GET /api/simulation/range`: the least and the greatest number that an attribute has in the run, by what is stored beside
/// the arrays; null where another program stored none.
pub(crate) async fn range(State(shared): State<Shared>, Query(asked): Query<Attribute>) -> Answer {
    let source = shared.source.clone();
    let found = read(&shared, LONGEST, move |handle| {
        let names = (asked.dataset.as_str(), asked.group.as_str());
        let initial = cursors::at(&source, names, Some(&i64::MIN.to_string()), |place| {
            let column = place.cursor.column(&asked.attribute).ok_or_else(|| Error::NotFound {
                what: "attribute",
                name: asked.attribute.clone(),
                location: format!("{}/{}", asked.dataset, asked.group),
            })?;
            let numbers = numbers(&column, 0, &place.schema);
            Ok(numbers.unwrap_or_default())
        })?;
        let initial: Vec<f64> = initial.into_iter().flatten().filter(|x| x.is_finite()).collect();
        let least = initial.iter().copied().reduce(f64::min);
        let greatest = initial.iter().copied().reduce(f64::max);
        let updates = stored_range(handle, &asked)?;
        let (least, greatest) = match updates {
            Stored::None => (least, greatest),
            Stored::Unknown => (None, None),
            Stored::Range(low, high) => (
                Some(least.map_or(low, |x: f64| x.min(low))),
                Some(greatest.map_or(high, |x: f64| x.max(high))),
            ),
        };
        Ok(json!({ "min": least, "max": greatest }))
    });
    Ok(document(&found.await?))
}

/// What updates say of the range of an attribute.
enum Stored {
    /// No update gives it.
    None,
    /// An update that does not say gives it.
    Unknown,
    Range(f64, f64),
}

/// Names are compared here: none becomes part of the statement.
fn stored_range(handle: &Handle, asked: &Attribute) -> Result<Stored> {
    const RANGES: &str = "SELECT u.dataset_name, a.entity_group, a.attribute_name, min(a.min_val), max(a.max_val), \
        count(*) > count(a.min_val) FROM \"update\" u JOIN update_attribute l ON l.update_id = u.id \
        JOIN attribute_data a ON a.id = l.attribute_data_id GROUP BY 1, 2, 3";
    let wanted = [&asked.dataset, &asked.group, &asked.attribute];
    let is_it = |row: &[Value]| {
        row.iter().zip(wanted).all(|(cell, name)| matches!(cell, Value::Text(text) if text == name))
    };
    let mut found = Stored::None;
    handle.database()?.sql_each(RANGES, |_, row| {
        match row.as_deref() {
            Some([names @ .., low, high, lacks]) if is_it(names) => {
                found = match (low, high, lacks) {
                    (Value::Real(low), Value::Real(high), Value::Integer(0)) => {
                        Stored::Range(*low, *high)
                    }
                    _ => Stored::Unknown,
                };
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(found)
}

/// One part of the values of an attribute as floats; `None` for texts, lists and what else is no number.
fn numbers(
    column: &ColumnState,
    part: usize,
    schema: &siltstone::simulation::json::Schema,
) -> Option<Vec<Option<f64>>> {
    let rows = column.attribute.entities();
    let name = "value".to_owned();
    let columns = vec![ColumnState { name, attribute: column.attribute.clone() }];
    let state = GroupState { timestamp: 0, ids: (0..rows as i64).collect(), columns };
    let batch = state.to_arrow(schema).ok()?;
    let mut values = batch.column(1).clone();
    let mut stride = 1;
    if let DataType::FixedSizeList(_, n) = values.data_type() {
        stride = usize::try_from(*n).ok()?.max(1);
        let list = values.as_fixed_size_list().clone();
        let items = list.values().clone();
        if part >= stride || items.len() != rows * stride {
            return None;
        }
        let items = floats(&items)?;
        let of_row =
            |row: usize| (!list.is_null(row)).then(|| items[row * stride + part]).flatten();
        return Some((0..rows).map(of_row).collect());
    }
    if part >= stride {
        return None;
    }
    values = match values.data_type() {
        DataType::Boolean => cast(&values, &DataType::UInt8).ok()?,
        _ => values,
    };
    floats(&values)
}

fn floats(values: &ArrayRef) -> Option<Vec<Option<f64>>> {
    let is_number = values.data_type().is_numeric();
    let floats = cast(values, &DataType::Float64).ok().filter(|_| is_number)?;
    Some(floats.as_primitive::<Float64Type>().iter().collect())
}

/// A query about the history of an entity.
#[derive(Debug, Deserialize)]
pub(crate) struct History {
    dataset: String,
    group: String,
    id: i64,
    attribute: String,
    /// Which part of a value that has several.
    #[serde(default)]
    part: usize,
    /// From this timestamp on.
    from: Option<i64>,
    /// Before this timestamp.
    until: Option<i64>,
    /// Pixels; without it every timestamp is answered.
    width: Option<usize>,
    /// Whether the values before and behind the window come too.
    #[serde(default)]
    edges: bool,
    #[serde(default)]
    format: Format,
}

/// `GET /api/simulation/history`: an attribute of one entity at the timestamps of its group.
pub(crate) async fn history(State(shared): State<Shared>, Query(asked): Query<History>) -> Answer {
    let written = read(&shared, LONGEST, move |handle| {
        let results = results(handle)?;
        let dataset = results.dataset(&asked.dataset)?;
        let points = points(&dataset, &asked, &results)?;
        let (first, last) = (points.first().map_or(0, |p| p.0), points.last().map_or(0, |p| p.0));
        let from = asked.from.unwrap_or(first);
        let until = asked.until.unwrap_or(last.saturating_add(1));
        // Special values are a line of their own: none of them is the least or the greatest of a column of pixels.
        let special = special(&dataset, &asked);
        let is_special = |value: &Option<f64>| value.is_some() && *value == special;
        let lines = |value: &Option<f64>| {
            let y = value.unwrap_or(f64::NAN);
            if is_special(value) { [f64::NAN, y] } else { [y, f64::NAN] }
        };
        let mut m4 = M4::<i64, 2>::new(from, until, asked.width);
        let within = points.iter().filter(|(time, _)| (from..until).contains(time));
        within.clone().for_each(|(time, value)| m4.push(*time, lines(value)));
        let mut picture = m4.finish();
        let about = json!({
            "id": asked.id,
            "attribute": asked.attribute,
            "first": first,
            "last": last,
            "points": picture.points,
            "special": within.filter(|(_, value)| is_special(value)).count(),
            "said": picture.said(),
        });
        if asked.edges && asked.width.is_some() {
            let point =
                |(time, value): &(i64, Option<f64>)| Point { row: 0, x: *time, y: lines(value) };
            let before = points.iter().rev().find(|(time, _)| *time < from).map(point);
            picture.shown.splice(0..0, before);
            picture.shown.extend(points.iter().find(|(time, _)| *time >= until).map(point));
        }
        let times = Int64Array::from_iter_values(picture.shown.iter().map(|point| point.x));
        let values = picture.shown.iter().map(|point| point.y.into_iter().find(|y| !y.is_nan()));
        let schema = Schema::new(vec![
            Field::new("timestamp", DataType::Int64, false),
            Field::new("value", DataType::Float64, true),
        ]);
        let values: Float64Array = values.collect();
        table(about, schema, vec![Arc::new(times), Arc::new(values)])?.write(asked.format)
    });
    Ok(written.await?.into_response())
}

/// The number that the dataset says stands for none in the attribute.
fn special(dataset: &ResultDataset, asked: &History) -> Option<f64> {
    let general = dataset.metadata().get("general")?;
    let name = format!("{}.{}", asked.group, asked.attribute);
    let value = ["special", "no_data"].iter().find_map(|of| general.get(of)?.get(&name))?;
    value.as_f64().or_else(|| value.as_bool().map(f64::from))
}

/// The values of the history, undefined ones as `None`.
fn points(
    dataset: &ResultDataset,
    asked: &History,
    results: &Results,
) -> Result<Vec<(i64, Option<f64>)>> {
    let history = dataset.value_history(&asked.group, asked.id, &asked.attribute)?;
    let values = history.attributes.first();
    let values = values.and_then(|column| numbers(column, asked.part, results.schema()));
    let values = values.ok_or_else(|| Error::Invalid {
        what: format!("the attribute {:?}", asked.attribute),
        expected: "numbers, of which a curve can be drawn".to_owned(),
        got: "texts, lists, or a part that a value does not have".to_owned(),
    })?;
    Ok(history.timestamps.into_iter().zip(values).collect())
}
