//! Runs: the simulations of experiments, and their metrics.

use std::sync::Arc;

use arrow_array::{Float64Array, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use siltstone::experiment::{SimulationInfo, Which};
use siltstone::table::Batches;
use siltstone::{Error, Handle, Result};

use crate::Shared;
use crate::answer::{Answer, Fault, LONGEST, read};
use crate::m4::{M4, Point};
use crate::table::{Format, Table, document};

/// A query about all runs.
#[derive(Debug, Deserialize)]
pub(crate) struct Filter {
    /// As `--where` of the command: SQL over the columns, `params.<name>` and `results.<name>`.
    #[serde(rename = "where")]
    filter: Option<String>,
    /// The `version` of a list that the asker has: of one that is remembered only what differs is sent.
    known: Option<String>,
    /// Whether the runs come without their provenance, which is half of them and no list shows.
    #[serde(default)]
    brief: bool,
    /// So many runs of the list, and how many there are.
    first: Option<usize>,
}

/// `GET /api/runs`: the runs for which a filter holds, or how their list differs from one that was sent before.
pub(crate) async fn list(State(shared): State<Shared>, Query(asked): Query<Filter>) -> Answer {
    let source = shared.source.clone();
    let written = read(&shared, LONGEST, move |handle| {
        let filter = asked.filter.as_deref().filter(|filter| !filter.trim().is_empty());
        let which = filter.map_or(Which::All, Which::Filter);
        let store = handle.experiment(None)?;
        let most = asked.first.unwrap_or(usize::MAX);
        let (count, runs) = if asked.brief {
            let (count, found) = store.simulations_brief(which, most)?;
            let brief = |run: SimulationInfo| json_text(&Brief::of(&run.plain()));
            (count, found.into_iter().map(brief).collect::<Result<Vec<_>>>()?)
        } else {
            let found = store.simulations(which)?;
            let count = found.len();
            let whole = |run: SimulationInfo| json_text(&run.plain());
            (count, found.into_iter().take(most).map(whole).collect::<Result<Vec<_>>>()?)
        };
        Ok(match asked.first {
            Some(_) => format!(r#"{{"count":{count},"runs":[{}]}}"#, runs.join(",")),
            None => source.lists.answer(&runs, asked.known.as_deref()),
        })
    });
    Ok(([(header::CONTENT_TYPE, "application/json")], written.await?).into_response())
}

/// A run without its provenance.
#[derive(Serialize)]
struct Brief<'a> {
    simulation_id: &'a str,
    experiment_id: Option<&'a str>,
    status: &'a str,
    start_time: Option<&'a str>,
    end_time: Option<&'a str>,
    error: Option<&'a str>,
    parameters: &'a Map<String, Json>,
    results_summary: &'a Map<String, Json>,
    last_step: Option<i64>,
    rows: u64,
}

impl<'a> Brief<'a> {
    fn of(run: &'a SimulationInfo) -> Self {
        Brief {
            simulation_id: &run.simulation_id,
            experiment_id: run.experiment_id.as_deref(),
            status: &run.status,
            start_time: run.start_time.as_deref(),
            end_time: run.end_time.as_deref(),
            error: run.error.as_deref(),
            parameters: &run.parameters,
            results_summary: &run.results_summary,
            last_step: run.last_step,
            rows: run.rows,
        }
    }
}

fn json_text(run: &impl Serialize) -> Result<String> {
    serde_json::to_string(run).map_err(|error| Error::Invalid {
        what: "a run".to_owned(),
        expected: "what JSON can say".to_owned(),
        got: error.to_string(),
    })
}

/// A query about one run.
#[derive(Debug, Deserialize)]
pub(crate) struct Run {
    id: String,
}

/// `GET /api/runs/metrics`: what a run has logged over its steps.
pub(crate) async fn metrics(State(shared): State<Shared>, Query(of): Query<Run>) -> Answer {
    let names = read(&shared, LONGEST, move |handle| handle.experiment(None)?.metric_names(&of.id));
    Ok(document(&json!({ "metrics": names.await? })))
}

/// A query about a metric of a run.
#[derive(Debug, Deserialize)]
pub(crate) struct Metric {
    id: String,
    metric: String,
    /// From this step on.
    from: Option<i64>,
    /// Before this step.
    until: Option<i64>,
    /// Pixels; without it every step is answered.
    width: Option<usize>,
    /// Whether the steps before and behind the window come too.
    #[serde(default)]
    edges: bool,
    #[serde(default)]
    format: Format,
}

impl Metric {
    /// All steps, for a picture so many pixels wide.
    pub(crate) fn all(id: &str, metric: &str, width: usize) -> Self {
        let (id, metric) = (id.to_owned(), metric.to_owned());
        let (from, until, width, format) = (None, None, Some(width), Format::Json);
        Metric { id, metric, from, until, width, edges: false, format }
    }
}

/// `GET /api/runs/metric`: its value at each step, for a picture so many pixels wide.
pub(crate) async fn metric(State(shared): State<Shared>, Query(asked): Query<Metric>) -> Answer {
    let written = read(&shared, LONGEST, move |handle| {
        let format = asked.format;
        steps_of(handle, &asked)?.write(format)
    });
    Ok(written.await?.into_response())
}

/// The values of a metric by step.
///
/// # Errors
/// [`Error::NotFound`] for no such simulation or metric.
pub(crate) fn steps_of(handle: &Handle, asked: &Metric) -> Result<Table> {
    let points = handle.experiment(None)?.metric(&asked.id, &asked.metric)?;
    let (first, last) = (points.first().map_or(0, |p| p.0), points.last().map_or(0, |p| p.0));
    let from = asked.from.unwrap_or(first);
    let until = asked.until.unwrap_or(last.saturating_add(1));
    let mut m4 = M4::<i64, 1>::new(from, until, asked.width);
    let within = points.iter().filter(|(step, _)| (from..until).contains(step));
    within.for_each(|(step, value)| m4.push(*step, [*value]));
    let mut picture = m4.finish();
    let about = json!({
        "id": asked.id,
        "metric": asked.metric,
        "points": picture.points,
        "said": picture.said(),
    });
    if asked.edges && asked.width.is_some() {
        let point = |(step, value): &(i64, f64)| Point { row: 0, x: *step, y: [*value] };
        let before = points.iter().rev().find(|(step, _)| *step < from).map(point);
        picture.shown.splice(0..0, before);
        picture.shown.extend(points.iter().find(|(step, _)| *step >= until).map(point));
    }
    let steps = Int64Array::from_iter_values(picture.shown.iter().map(|point| point.x));
    let values = picture.shown.iter().map(|point| Some(point.y[0]).filter(|y| !y.is_nan()));
    let values: Float64Array = values.collect();
    let schema = Arc::new(Schema::new(vec![
        Field::new("step", DataType::Int64, false),
        Field::new("value", DataType::Float64, true),
    ]));
    let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(steps), Arc::new(values)])
        .map_err(|error| Error::Invalid {
            what: format!("the metric {:?}", asked.metric),
            expected: "a table that Arrow takes".to_owned(),
            got: error.to_string(),
        })?;
    let batches = Batches::from_batches(schema, vec![batch]);
    Ok(Table { about: about.as_object().cloned().unwrap_or_default(), batches })
}

/// The most small curves of one answer: as many as rows of a list are in sight.
const MOST_SPARKS: usize = 200;
/// Pixels of a small curve.
const SPARK_WIDTH: usize = 60;

/// A query about small curves.
#[derive(Debug, Deserialize)]
pub(crate) struct Sparks {
    metric: String,
    /// Ids of runs, as a list of JSON.
    ids: String,
}

/// `GET /api/runs/sparks`: a metric of several runs as small curves; null for a run that does not have it.
pub(crate) async fn sparks(State(shared): State<Shared>, Query(asked): Query<Sparks>) -> Answer {
    let ids: Vec<String> = serde_json::from_str(&asked.ids).map_err(|error| Error::Invalid {
        what: "ids".to_owned(),
        expected: r#"a list of JSON as ["run_1", "run_2"]"#.to_owned(),
        got: error.to_string(),
    })?;
    if ids.len() > MOST_SPARKS {
        return Err(Fault::from(Error::Invalid {
            what: "ids".to_owned(),
            expected: format!("at most {MOST_SPARKS}"),
            got: ids.len().to_string(),
        }));
    }
    let curves = read(&shared, LONGEST, move |handle| {
        let store = handle.experiment(None)?;
        let one = |id: &String| -> Result<Json> {
            let points = match store.metric(id, &asked.metric) {
                // Removed meanwhile.
                Err(Error::NotFound { what: "simulation", .. }) => Vec::new(),
                points => points?,
            };
            let (Some((from, _)), Some((until, _))) = (points.first(), points.last()) else {
                return Ok(Json::Null);
            };
            let mut m4 = M4::<i64, 1>::new(*from, *until, Some(SPARK_WIDTH));
            points.iter().for_each(|(step, value)| m4.push(*step, [*value]));
            let shown = m4.finish().shown;
            let steps: Vec<i64> = shown.iter().map(|point| point.x).collect();
            let values: Vec<f64> = shown.iter().map(|point| point.y[0]).collect();
            Ok(json!([steps, values]))
        };
        ids.iter().map(one).collect::<Result<Vec<Json>>>()
    });
    Ok(document(&json!({ "sparks": curves.await? })))
}
