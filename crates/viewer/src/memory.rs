//! Memories: neighbours, recall, the graph of concepts, scores over time.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use arrow_array::Float64Array;
use arrow_schema::{DataType, Field, Schema};
use axum::extract::{Query, State};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use siltstone::memory::{
    Concept, Direction, Episode, MemoryStore, Payload, RecallOptions, RecallWeights, SearchOptions,
};
use siltstone::{Array, Error, Handle, Result, Value};

use crate::Shared;
use crate::answer::{Answer, LONGEST, read};
use crate::m4::M4;
use crate::simulation::table;
use crate::table::{Format, document};

/// The most neighbours, recollections, concepts of a list and contexts.
const MOST_FOUND: usize = 200;
/// Concepts of a graph unless the query says otherwise, and the most.
const NODES: usize = 60;
const MOST_NODES: usize = 400;
/// Edges of one concept that are followed: the strongest.
const MOST_EDGES: usize = 100;
/// Of an experience: characters of a text, items of a list, numbers of an array that are answered.
const TEXT_CHARACTERS: usize = 4_000;
const MOST_ITEMS: usize = 100;
const ARRAY_NUMBERS: usize = 32;

/// What has embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Of {
    #[default]
    Episodes,
    Concepts,
}

pub(crate) fn float(value: &Value) -> f64 {
    match value {
        Value::Integer(n) => *n as f64,
        Value::Real(x) => *x,
        _ => 0.0,
    }
}

/// Real numbers of an array.
pub(crate) fn numbers_of(array: &Array) -> Option<Vec<f64>> {
    if let Some(numbers) = array.to_vec::<f64>() {
        return Some(numbers);
    }
    if let Some(numbers) = array.to_vec::<f32>() {
        return Some(numbers.into_iter().map(f64::from).collect());
    }
    Some(array.to_i64s()?.into_iter().map(|n| n as f64).collect())
}

/// A query about an episode or a concept.
#[derive(Debug, Deserialize)]
pub(crate) struct One {
    #[serde(default)]
    of: Of,
    id: i64,
    /// How many neighbours.
    k: Option<usize>,
}

/// `GET /api/memory/one`: what is known of an episode or a concept, and its neighbours by the library's search.
pub(crate) async fn one(State(shared): State<Shared>, Query(asked): Query<One>) -> Answer {
    let source = shared.source.clone();
    let found = read(&shared, LONGEST, move |handle| {
        let store = source.memory()?;
        let k = asked.k.unwrap_or(10).min(MOST_FOUND);
        let vector = embedding(handle, &store, asked.of, asked.id)?;
        let mut known = match asked.of {
            Of::Episodes => listed(&episode(&store, asked.id)?),
            Of::Concepts => json!(concept_of(&concept(&store, asked.id)?)),
        };
        let Some(vector) = vector else { return Ok(known) };
        known["dimension"] = json!(vector.len());
        let options = SearchOptions::default();
        let neighbours: Vec<Json> = match asked.of {
            Of::Episodes => {
                let hits = store.search_similar_episodes(&vector, k + 1, &options)?;
                let others = hits.iter().filter(|hit| hit.item.id != asked.id).take(k);
                others
                    .map(|hit| json!({ "likeness": hit.score, "episode": summed(&hit.item) }))
                    .collect()
            }
            Of::Concepts => {
                let hits = store.search_similar(&vector, k + 1, &options)?;
                let others = hits.iter().filter(|hit| hit.item.id != asked.id).take(k);
                others
                    .map(|hit| json!({ "likeness": hit.score, "concept": concept_of(&hit.item) }))
                    .collect()
            }
        };
        known["neighbours"] = json!(neighbours);
        Ok(known)
    });
    Ok(document(&found.await?))
}

fn episode(store: &MemoryStore, id: i64) -> Result<Episode> {
    store.retrieve_episode(id)?.ok_or_else(|| missing("episode", id))
}

fn concept(store: &MemoryStore, id: i64) -> Result<Concept> {
    store.retrieve_concept(id)?.ok_or_else(|| missing("concept", id))
}

fn missing(what: &'static str, id: i64) -> Error {
    Error::NotFound { what, name: id.to_string(), location: "the memories of this file".to_owned() }
}

/// The embedding of an episode or a concept, if it is a vector.
fn embedding(handle: &Handle, store: &MemoryStore, of: Of, id: i64) -> Result<Option<Array>> {
    let is_vector = |array: &Array| array.shape().len() == 1;
    match of {
        Of::Concepts => Ok(Some(concept(store, id)?.vector()?).filter(is_vector)),
        Of::Episodes => {
            let sql = format!("SELECT embedding FROM episode_embeddings WHERE episode_id = {id}");
            let found = handle.database()?.sql(&sql)?;
            match found.rows.into_iter().flatten().next() {
                Some(Value::Blob(bytes)) => {
                    Ok(Payload::decode(bytes)?.as_array().cloned().filter(is_vector))
                }
                _ => Ok(None),
            }
        }
    }
}

/// An episode in a list.
fn summed(episode: &Episode) -> Json {
    json!({
        "id": episode.id,
        "timestamp": episode.timestamp,
        "score": finite(episode.performance_score),
        "context": episode.context_hash,
        "metadata": cut(&episode.metadata),
    })
}

/// An episode with its experience.
fn listed(episode: &Episode) -> Json {
    let mut known = summed(episode);
    known["experience"] = match episode.data() {
        Ok(payload) => plain(&payload),
        // A pickle of another program: it is never run.
        Err(error) => json!(error.to_string()),
    };
    known
}

fn concept_of(concept: &Concept) -> Json {
    json!({
        "id": concept.id,
        "name": concept.name,
        "created": concept.creation_time,
        "accesses": concept.access_count,
        "metadata": cut(&concept.metadata),
    })
}

fn finite(x: f64) -> Json {
    if x.is_finite() { json!(x) } else { json!(x.to_string()) }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARACTERS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}… ({} bytes in all)", &text[..end], text.len()),
    }
}

/// An experience to read: of what is long the beginning, and how much there is.
fn plain(payload: &Payload) -> Json {
    match payload {
        Payload::Nothing => Json::Null,
        Payload::Bool(is) => json!(is),
        Payload::Int(n) => json!(n),
        Payload::Float(x) => finite(*x),
        Payload::Text(text) => json!(cut(text)),
        Payload::Bytes(bytes) => json!(format!("{} bytes", bytes.len())),
        Payload::Array(array) => shown(array),
        Payload::List(items) | Payload::Tuple(items) => {
            let mut shown: Vec<Json> = items.iter().take(MOST_ITEMS).map(plain).collect();
            if items.len() > MOST_ITEMS {
                shown.push(json!(format!("… {} more", items.len() - MOST_ITEMS)));
            }
            Json::Array(shown)
        }
        Payload::Map(entries) => {
            let key = |key: &Payload| match key {
                Payload::Text(text) => cut(text),
                other => plain(other).to_string(),
            };
            let shown = entries.iter().take(MOST_ITEMS).map(|(k, value)| (key(k), plain(value)));
            let mut shown: serde_json::Map<String, Json> = shown.collect();
            if entries.len() > MOST_ITEMS {
                shown.insert("…".to_owned(), json!(format!("{} more", entries.len() - MOST_ITEMS)));
            }
            Json::Object(shown)
        }
        _ => json!("a value that this page does not know"),
    }
}

fn shown(array: &Array) -> Json {
    let head = format!("array {} of shape {:?}", array.dtype(), array.shape());
    match numbers_of(array) {
        None => json!(head),
        Some(numbers) => {
            let first: Vec<String> =
                numbers.iter().take(ARRAY_NUMBERS).map(|x| format!("{:.4}", x)).collect();
            let more = if numbers.len() > first.len() { ", …" } else { "" };
            json!(format!("{head}: {}{more}", first.join(", ")))
        }
    }
}

/// A query about recall: at the sight of the vector of an episode or a concept.
#[derive(Debug, Deserialize)]
pub(crate) struct Recall {
    #[serde(default)]
    of: Of,
    id: i64,
    k: Option<usize>,
    recency: Option<f64>,
    importance: Option<f64>,
    relevance: Option<f64>,
    /// Seconds.
    half_life: Option<f64>,
    /// Seconds since 1970 from which age is counted; else the time of the last episode.
    now: Option<f64>,
}

/// `GET /api/memory/recall`: what comes to mind first, with each term of its score.
pub(crate) async fn recall(State(shared): State<Shared>, Query(asked): Query<Recall>) -> Answer {
    let source = shared.source.clone();
    let found = read(&shared, LONGEST, move |handle| {
        let store = source.memory()?;
        let vector =
            embedding(handle, &store, asked.of, asked.id)?.ok_or_else(|| Error::NotFound {
                what: "the vector of",
                name: asked.id.to_string(),
                location: "what was stored with an embedding".to_owned(),
            })?;
        let mut options = RecallOptions::default();
        let known = RecallWeights::default();
        options.weights = RecallWeights {
            recency: asked.recency.unwrap_or(known.recency),
            importance: asked.importance.unwrap_or(known.importance),
            relevance: asked.relevance.unwrap_or(known.relevance),
        };
        options.half_life = asked.half_life.unwrap_or(options.half_life);
        let last = handle.database()?.sql("SELECT max(timestamp) FROM episodes")?;
        let last = last.rows.first().and_then(|row| row.first()).map_or(0.0, float);
        options.now = Some(asked.now.unwrap_or(last));
        let found = store.recall(&vector, asked.k.unwrap_or(10).min(MOST_FOUND), &options)?;
        let found = found.iter().map(|one| {
            json!({
                "episode": summed(&one.episode),
                "score": one.score,
                "recency": one.recency,
                "importance": finite(one.importance),
                "relevance": one.relevance,
            })
        });
        Ok(json!({ "now": options.now, "recalled": found.collect::<Vec<_>>() }))
    });
    Ok(document(&found.await?))
}

/// A query about concepts by their names.
#[derive(Debug, Deserialize)]
pub(crate) struct Named {
    query: Option<String>,
}

/// `GET /api/memory/concepts`: those whose name has a text in it, the most often asked for first.
pub(crate) async fn concepts(State(shared): State<Shared>, Query(asked): Query<Named>) -> Answer {
    let source = shared.source.clone();
    let found = read(&shared, LONGEST, move |_| {
        let store = source.memory()?;
        let found = store.search_concepts(asked.query.as_deref().unwrap_or(""), MOST_FOUND)?;
        Ok(found.iter().map(concept_of).collect::<Vec<_>>())
    });
    Ok(document(&json!({ "concepts": found.await?, "most": MOST_FOUND })))
}

/// A query about the graph around a concept.
#[derive(Debug, Deserialize)]
pub(crate) struct Graph {
    id: i64,
    depth: Option<usize>,
    most: Option<usize>,
}

/// `GET /api/memory/graph`: the concepts around one, to a depth, and their relationships.
pub(crate) async fn graph(State(shared): State<Shared>, Query(asked): Query<Graph>) -> Answer {
    let source = shared.source.clone();
    let found = read(&shared, LONGEST, move |_| around(&source.memory()?, &asked));
    Ok(document(&found.await?))
}

fn around(store: &MemoryStore, asked: &Graph) -> Result<Json> {
    let (depth, most) =
        (asked.depth.unwrap_or(1).min(6), asked.most.unwrap_or(NODES).clamp(1, MOST_NODES));
    let mut depths = HashMap::from([(asked.id, 0)]);
    let mut nodes = vec![(concept(store, asked.id)?, 0)];
    let mut edges = Vec::new();
    let mut seen = HashSet::new();
    let (mut left_out, mut cut_edges) = (HashSet::new(), 0);
    let mut next = VecDeque::from([asked.id]);
    while let Some(here) = next.pop_front() {
        let at = depths[&here];
        for direction in [Direction::Outgoing, Direction::Incoming] {
            let found = store.concept_relationships(here, None, direction)?;
            cut_edges += found.len().saturating_sub(MOST_EDGES);
            for edge in found.into_iter().take(MOST_EDGES) {
                let other = edge.concept_id;
                if let Entry::Vacant(place) = depths.entry(other) {
                    if at >= depth {
                        continue;
                    }
                    if nodes.len() >= most {
                        left_out.insert(other);
                        continue;
                    }
                    let Some(concept) = store.retrieve_concept(other)? else { continue };
                    place.insert(at + 1);
                    nodes.push((concept, at + 1));
                    next.push_back(other);
                }
                let (from, to) = match direction {
                    Direction::Outgoing => (here, other),
                    Direction::Incoming => (other, here),
                };
                if seen.insert((from, to, edge.relationship_type.clone())) {
                    edges.push(json!({
                        "from": from, "to": to, "type": edge.relationship_type, "strength": edge.strength,
                    }));
                }
            }
        }
    }
    let mut said =
        format!("{} concepts to a depth of {depth}, {} relationships", nodes.len(), edges.len());
    if left_out.is_empty() && cut_edges == 0 {
        said += "; all of them";
    }
    if !left_out.is_empty() {
        said += &format!(
            "; {} more concepts are left out, those with the strongest relationships first",
            left_out.len()
        );
    }
    if cut_edges > 0 {
        said += &format!(
            "; of each concept the {MOST_EDGES} strongest relationships each way, {cut_edges} are left out"
        );
    }
    let nodes: Vec<Json> = nodes
        .iter()
        .map(|(concept, depth)| json!({ "id": concept.id, "name": cut(&concept.name), "depth": depth }))
        .collect();
    Ok(json!({ "nodes": nodes, "edges": edges, "said": said }))
}

/// `GET /api/memory/contexts`: the contexts of episodes, those with the most first.
pub(crate) async fn contexts(State(shared): State<Shared>) -> Answer {
    let found = read(&shared, LONGEST, |handle| {
        let db = handle.database()?;
        let all = db.sql("SELECT count(DISTINCT context_hash) FROM episodes")?;
        let all = all.rows.first().and_then(|row| row.first()).map_or(0.0, float) as u64;
        let found = db.sql(&format!(
            "SELECT context_hash, count(*), min(timestamp), max(timestamp), avg(performance_score) FROM episodes \
             GROUP BY context_hash ORDER BY 2 DESC, 1 LIMIT {MOST_FOUND}"
        ))?;
        let context = |row: Vec<Value>| {
            let [Value::Text(name), n, first, last, mean] = &row[..] else { return None };
            Some(json!({
                "context": name, "episodes": float(n) as u64, "first": float(first), "last": float(last),
                "mean": float(mean),
            }))
        };
        let contexts: Vec<Json> = found.rows.into_iter().filter_map(context).collect();
        Ok(json!({ "contexts": contexts, "all": all }))
    });
    Ok(document(&found.await?))
}

/// A query about the scores of a context.
#[derive(Debug, Deserialize)]
pub(crate) struct Scores {
    context: String,
    /// Seconds since 1970.
    from: Option<f64>,
    until: Option<f64>,
    /// Pixels; without it every episode is answered.
    width: Option<usize>,
    #[serde(default)]
    format: Format,
}

/// `GET /api/memory/scores`: the scores of a context over time.
pub(crate) async fn scores(State(shared): State<Shared>, Query(asked): Query<Scores>) -> Answer {
    let written = read(&shared, LONGEST, move |handle| {
        // The name is compared here: it does not become part of the statement.
        const SCORES: &str = "SELECT context_hash, timestamp, performance_score FROM episodes ORDER BY timestamp, id";
        let mut points = Vec::new();
        handle.database()?.sql_each(SCORES, |_, row| {
            if let Some([Value::Text(context), time, score]) = row.as_deref()
                && *context == asked.context
            {
                points.push((float(time), float(score)));
            }
            Ok(())
        })?;
        let (Some(first), Some(last)) = (points.first(), points.last()) else {
            return Err(Error::NotFound {
                what: "context",
                name: asked.context.clone(),
                location: "the episodes of this file".to_owned(),
            });
        };
        let (first, last) = (first.0, last.0);
        let (from, until) = (asked.from.unwrap_or(first), asked.until.unwrap_or(last.next_up()));
        let mut m4 = M4::<f64, 1>::new(from, until, asked.width);
        let within = points.iter().filter(|(time, _)| (from..until).contains(time));
        within.for_each(|(time, score)| m4.push(*time, [*score]));
        let picture = m4.finish();
        let about = json!({
            "context": asked.context, "first": first, "last": last, "points": picture.points, "said": picture.said(),
        });
        let times = Float64Array::from_iter_values(picture.shown.iter().map(|point| point.x));
        let values: Float64Array =
            picture.shown.iter().map(|point| Some(point.y[0]).filter(|y| !y.is_nan())).collect();
        let schema = Schema::new(vec![
            Field::new("time", DataType::Float64, false),
            Field::new("score", DataType::Float64, true),
        ]);
        table(about, schema, vec![Arc::new(times), Arc::new(values)])?.write(asked.format)
    });
    Ok(written.await?.into_response())
}
