//! The map of memories: embeddings as points.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray};
use arrow_schema::{DataType, Field, Schema};
use axum::extract::{Query, State};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::json;
use siltstone::memory::Payload;
use siltstone::{Handle, Result, Value};

use crate::Shared;
use crate::answer::{Answer, LONGEST, read};
use crate::memory::{Of, float, numbers_of};
use crate::pca;
use crate::simulation::table;
use crate::table::Format;

/// Vectors of a map unless the query says otherwise, and the most that it may ask for.
const MAPPED: usize = 2_000;
const MOST_MAPPED: usize = 10_000;
/// Numbers of all vectors of a map together.
const MOST_NUMBERS: usize = 8 << 20;
/// A query about a map.
#[derive(Debug, Deserialize)]
pub(crate) struct Map {
    #[serde(default)]
    of: Of,
    /// How many of the most recent.
    most: Option<usize>,
    #[serde(default)]
    format: Format,
}

/// What is known of a vector that is mapped.
struct Mapped {
    id: i64,
    time: f64,
    score: f64,
    label: String,
    vector: Vec<f32>,
}

/// `GET /api/memory/map`: the most recent embeddings in the two directions in which they differ most.
pub(crate) async fn map(State(shared): State<Shared>, Query(asked): Query<Map>) -> Answer {
    let written = read(&shared, LONGEST, move |handle| {
        let most = asked.most.unwrap_or(MAPPED).clamp(1, MOST_MAPPED);
        let Recent { rows, left_out, all } = recent(handle, asked.of, most)?;
        let mut dimensions: BTreeMap<usize, usize> = BTreeMap::new();
        rows.iter().for_each(|row| *dimensions.entry(row.vector.len()).or_default() += 1);
        let common =
            dimensions.iter().max_by_key(|(_, n)| **n).map_or(0, |(dimension, _)| *dimension);
        let read = rows.len();
        let not_used: u64 = left_out.values().sum();
        let rows: Vec<Mapped> = rows.into_iter().filter(|row| row.vector.len() == common).collect();
        let numbers: Vec<f32> = rows.iter().flat_map(|row| row.vector.iter().copied()).collect();
        let found = pca::project(&numbers, common);
        let name = if asked.of == Of::Episodes { "episodes" } else { "concepts" };
        let mut said = match rows.len() as u64 == all {
            true => format!("PCA of all {all} {name} with an embedding"),
            false => format!("PCA of {} of {all} {name} with an embedding", rows.len()),
        };
        if read as u64 + not_used < all {
            said += ", the most recent";
        }
        let others = (read - rows.len()) as u64;
        if others > 0 {
            said += &format!("; left out: {others} of another dimension than {common}");
        }
        for (reason, n) in &left_out {
            let lead = if said.contains("; left out: ") { ", " } else { "; left out: " };
            said += &format!("{lead}{n} {}", reason.said());
        }
        let about = json!({
            "of": name,
            "dimension": common,
            "used": rows.len(),
            "all": all,
            "shares": found.shares,
            "said": said,
        });
        let floats = |of: Vec<f64>| -> ArrayRef { Arc::new(Float64Array::from(of)) };
        let labels = StringArray::from_iter_values(rows.iter().map(|row| row.label.as_str()));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.id))),
            floats(found.places.iter().map(|place| place[0]).collect()),
            floats(found.places.iter().map(|place| place[1]).collect()),
            floats(rows.iter().map(|row| row.score).collect()),
            Arc::new(labels),
            floats(rows.iter().map(|row| row.time).collect()),
        ];
        let (label, score) = match asked.of {
            Of::Episodes => ("context", "score"),
            Of::Concepts => ("name", "accesses"),
        };
        let float = |name: &str| Field::new(name, DataType::Float64, false);
        let schema = Schema::new(vec![
            Field::new("id", DataType::Int64, false),
            float("x"),
            float("y"),
            float(score),
            Field::new(label, DataType::Utf8, false),
            float("time"),
        ]);
        table(about, schema, columns)?.write(asked.format)
    });
    Ok(written.await?.into_response())
}

/// Why an embedding is not on the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum LeftOut {
    /// No number, or an array of more than one dimension.
    NoVector,
    /// NaN, or a number beyond 32 bits.
    NotFinite,
    /// Bytes that were not stored so.
    Damaged,
}

impl LeftOut {
    fn said(self) -> &'static str {
        match self {
            LeftOut::NoVector => "not a vector",
            LeftOut::NotFinite => "with a number that is not finite in 32 bits",
            LeftOut::Damaged => "damaged",
        }
    }
}

/// The most recent embeddings.
struct Recent {
    rows: Vec<Mapped>,
    left_out: BTreeMap<LeftOut, u64>,
    /// How many there are in the file.
    all: u64,
}

/// The most recent rows that have an embedding.
fn recent(handle: &Handle, of: Of, most: usize) -> Result<Recent> {
    let (rows_sql, count_sql) = match of {
        Of::Episodes => (
            "SELECT e.id, e.timestamp, e.performance_score, e.context_hash, v.embedding FROM episode_embeddings v \
             JOIN episodes e ON e.id = v.episode_id ORDER BY v.episode_id DESC LIMIT ",
            "SELECT count(*) FROM episode_embeddings v JOIN episodes e ON e.id = v.episode_id",
        ),
        Of::Concepts => (
            "SELECT id, creation_time, access_count, name, embedding FROM concepts ORDER BY id DESC LIMIT ",
            "SELECT count(*) FROM concepts",
        ),
    };
    let db = handle.database()?;
    let (mut rows, mut left_out, mut numbers) = (Vec::new(), BTreeMap::new(), 0);
    db.sql_each(&format!("{rows_sql}{most}"), |_, row| {
        let Some([id, time, score, label, embedding]) = row.as_deref() else { return Ok(()) };
        if numbers >= MOST_NUMBERS {
            return Ok(()); // those that are more recent are there
        }
        let Value::Integer(id) = id else { return Ok(()) };
        let vector = match embedding {
            Value::Blob(bytes) => vector_of(bytes.clone()),
            _ => Err(LeftOut::NoVector),
        };
        let vector = match vector {
            Ok(vector) => vector,
            Err(reason) => {
                *left_out.entry(reason).or_default() += 1;
                return Ok(());
            }
        };
        numbers += vector.len();
        rows.push(Mapped {
            id: *id,
            time: float(time),
            score: float(score),
            label: match label {
                Value::Text(text) => text.clone(),
                _ => String::new(),
            },
            vector,
        });
        Ok(())
    })?;
    let all = db.sql(count_sql)?;
    let all = all.rows.first().and_then(|row| row.first()).map_or(0.0, float);
    Ok(Recent { rows, left_out, all: all as u64 })
}

/// The numbers of an embedding.
fn vector_of(bytes: Vec<u8>) -> std::result::Result<Vec<f32>, LeftOut> {
    let payload = Payload::decode(bytes).map_err(|_| LeftOut::Damaged)?;
    let array = payload.as_array().filter(|array| array.shape().len() == 1);
    let numbers = array.and_then(numbers_of).filter(|numbers| !numbers.is_empty());
    // What 32 bits cannot hold would leave no vector a place.
    let numbers: Vec<f32> =
        numbers.ok_or(LeftOut::NoVector)?.into_iter().map(|x| x as f32).collect();
    if numbers.iter().all(|x| x.is_finite()) { Ok(numbers) } else { Err(LeftOut::NotFinite) }
}
