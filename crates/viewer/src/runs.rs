//! Runs: the simulations of experiments, and their metrics.

use std::sync::Arc;

use arrow_array::{Float64Array, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use axum::extract::{Query, State};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::json;
use siltstone::Error;
use siltstone::experiment::Which;
use siltstone::table::Batches;

use crate::Shared;
use crate::answer::{Answer, LONGEST, read};
use crate::m4::{M4, Point};
use crate::table::{Format, Table, document};

/// A query about all runs.
#[derive(Debug, Deserialize)]
pub(crate) struct Filter {
    /// As `--where` of the command: SQL over the columns, `params.<name>` and `results.<name>`.
    #[serde(rename = "where")]
    filter: Option<String>,
}

/// `GET /api/runs`: the runs for which a filter holds.
pub(crate) async fn list(State(shared): State<Shared>, Query(asked): Query<Filter>) -> Answer {
    let runs = read(&shared, LONGEST, move |handle| {
        let filter = asked.filter.as_deref().filter(|filter| !filter.trim().is_empty());
        let which = filter.map_or(Which::All, Which::Filter);
        let found = handle.experiment(None)?.simulations(which)?;
        Ok(found.into_iter().map(|run| run.plain()).collect::<Vec<_>>())
    });
    Ok(document(&json!({ "runs": runs.await? })))
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

/// `GET /api/runs/metric`: its value at each step, for a picture so many pixels wide.
pub(crate) async fn metric(State(shared): State<Shared>, Query(asked): Query<Metric>) -> Answer {
    let written = read(&shared, LONGEST, move |handle| {
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
        Table { about: about.as_object().cloned().unwrap_or_default(), batches }.write(asked.format)
    });
    Ok(written.await?.into_response())
}
