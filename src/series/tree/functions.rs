//! The functions of [`process`](crate::series::process) as a signal or a dataset runs them: each result with
//! the step that says what was done.
//!
//! ```
//! use siltstone::series::Series;
//! use siltstone::series::tree::{Output, Signal, functions};
//!
//! let mut flow = Signal::new("flow", "m3/h")?;
//! let raw = flow.add(Series::from_times_ns(&[0, 1_800_000_000_000], &[1.0, 3.0])?)?;
//! let hourly = flow.process(&[&raw], functions::resample("h", "mean"), &Output::next())?;
//! assert_eq!(flow.get(&hourly[0])?.steps().len(), 1);
//! # Ok::<(), siltstone::Error>(())
//! ```

use serde_json::{Value, json};

use super::dataset::{Input, NewSignal};
use super::record::SignalRecord;
use super::signal::Made;
use super::step::{FunctionInfo, ProcessingStep, ProcessingType};
use crate::error::{Error, Result};
use crate::series::data::{Metadata, Series};
use crate::series::index::IndexValue;
use crate::series::process::{self, Aggregation, By, Frequency, Replacement};

/// The version of these functions.
const VERSION: &str = "0.1";

fn step(kind: ProcessingType, name: &str, suffix: &str, parameters: Value) -> ProcessingStep {
    let step = ProcessingStep::new(kind, FunctionInfo::new(name, VERSION), suffix);
    let parameters = parameters.as_object().cloned().unwrap_or_else(Metadata::new);
    step.describe(name).with_parameters(parameters)
}

/// Runs a function over each series: each output was made of its own input and of no other.
fn each(
    inputs: &[Series],
    step: &ProcessingStep,
    work: impl Fn(&Series) -> Result<Series>,
) -> Result<Vec<Made>> {
    let one = |series: &Series| {
        let input_series_names = series.name().map(str::to_owned).into_iter().collect();
        Ok((work(series)?, vec![ProcessingStep { input_series_names, ..step.clone() }]))
    };
    inputs.iter().map(one).collect()
}

fn label(value: Option<&IndexValue>) -> Value {
    match value {
        None => Value::Null,
        Some(IndexValue::Int(n)) => json!(n),
        Some(IndexValue::Float(x)) => json!(x),
        Some(IndexValue::Text(text)) => json!(text),
    }
}

/// One value for each hour, day, week, month: see [`process::resample`].
///
/// # Example
/// ```
/// use siltstone::series::Series;
/// use siltstone::series::tree::{Output, Signal, functions};
/// let mut flow = Signal::new("flow", "m3/h")?;
/// flow.add(Series::from_times_ns(&[0, 1_800_000_000_000, 3_600_000_000_000], &[1.0, 3.0, 5.0])?)?;
/// let made = flow.process(&["flow#1_RAW#1"], functions::resample("h", "mean"), &Output::next())?;
/// assert_eq!(flow.get(&made[0])?.series()?.to_f64s(), Some(vec![2.0, 5.0]));
/// # Ok::<(), siltstone::Error>(())
/// ```
pub fn resample(frequency: &str, how: &str) -> impl Fn(&[Series]) -> Result<Vec<Made>> {
    let (frequency, how) = (frequency.to_owned(), how.to_owned());
    move |inputs| {
        let (every, how) = (Frequency::parse(&frequency)?, Aggregation::parse(&how)?);
        let mut given = json!({ "frequency": frequency });
        if how != Aggregation::Mean {
            given["how"] = json!(format!("{how:?}").to_lowercase());
        }
        let step = step(ProcessingType::Resampling, "resample", "RESAMPLED", given);
        each(inputs, &step, |series| process::resample(series, &every, how))
    }
}

/// Missing values on the line between their neighbours: see [`process::interpolate`].
pub fn linear_interpolation(by: By) -> impl Fn(&[Series]) -> Result<Vec<Made>> {
    move |inputs| {
        let given = if by == By::Time { json!({"by": "time"}) } else { json!({}) };
        let step = step(ProcessingType::GapFilling, "linear interpolation", "LIN-INT", given);
        each(inputs, &step, |series| process::interpolate(series, by))
    }
}

/// The points from one label to another, both included: see [`process::subset`].
pub fn subset(
    from: Option<IndexValue>,
    to: Option<IndexValue>,
) -> impl Fn(&[Series]) -> Result<Vec<Made>> {
    move |inputs| {
        let (from, to) = (from.as_ref(), to.as_ref());
        let given = json!({
            "start_position": label(from), "end_position": label(to), "rank_based": false,
        });
        let step = step(ProcessingType::Resampling, "subset", "SLICE", given);
        each(inputs, &step, |series| process::subset(series, from, to))
    }
}

/// The points from one rank to another, the second excluded: see [`process::subset_rank`].
pub fn subset_rank(from: Option<i64>, to: Option<i64>) -> impl Fn(&[Series]) -> Result<Vec<Made>> {
    move |inputs| {
        let given = json!({ "start_position": from, "end_position": to, "rank_based": true });
        let step = step(ProcessingType::Resampling, "subset", "SLICE", given);
        each(inputs, &step, |series| process::subset_rank(series, from, to))
    }
}

/// Another value in place of those in some ranges: see [`process::replace_ranges`].
pub fn replace_ranges(
    ranges: Vec<(Option<IndexValue>, Option<IndexValue>)>,
    reason: &str,
    with: Replacement,
) -> impl Fn(&[Series]) -> Result<Vec<Made>> {
    let reason = reason.to_owned();
    move |inputs| {
        let pairs =
            ranges.iter().map(|(from, to)| json!([label(from.as_ref()), label(to.as_ref())]));
        let given = json!({ "index_pairs": pairs.collect::<Vec<_>>(), "reason": reason });
        let step = step(ProcessingType::Filtering, "replace_ranges", "REPLACED-RANGES", given);
        each(inputs, &step, |series| process::replace_ranges(series, &ranges, &with))
    }
}

/// Numbers in place of times: see [`process::normalize_index`].
pub fn normalize_index(
    unit: &str,
    reference: Option<IndexValue>,
) -> impl Fn(&[Series]) -> Result<Vec<Made>> {
    let unit = unit.to_owned();
    move |inputs| {
        let given = json!({ "unit": unit, "reference_time": label(reference.as_ref()) });
        let step = step(ProcessingType::Transformation, "normalize index", "NORM", given);
        each(inputs, &step, |series| process::normalize_index(series, &unit, reference.as_ref()))
    }
}

/// Each point as the prediction of the next one: the copy, with a step distance of 1.
pub fn predict_from_previous_point() -> impl Fn(&[Series]) -> Result<Vec<Made>> {
    move |inputs| {
        let name = "predict from previous point";
        let step = ProcessingStep {
            step_distance: 1,
            ..step(ProcessingType::Prediction, name, "PREV-PRED", json!({}))
        };
        each(inputs, &step, process::predict_from_previous_point)
    }
}

/// The mean of series of several signals of one unit, as the signal `AVERAGE`: see [`process::average`].
///
/// # Errors
/// [`Error::Invalid`] for signals of several units, or none; what [`process::average`] says.
pub fn average(inputs: &[Input]) -> Result<Vec<NewSignal>> {
    let Some(first) = inputs.first() else {
        return Err(Error::invalid("the signals to average", "one at least", "none"));
    };
    if let Some(other) = inputs.iter().find(|input| input.signal.units != first.signal.units) {
        let got = format!("{} and {}", first.signal.units, other.signal.units);
        return Err(Error::invalid("the signals to average", "signals of one unit", got));
    }
    let series: Vec<&Series> = inputs.iter().map(|input| &input.series).collect();
    let step = step(ProcessingType::DimensionalityReduction, "average signals", "RAW", json!({}));
    let mut record = SignalRecord::new("AVERAGE", first.signal.units.clone());
    record.provenance = first.signal.provenance.clone();
    if inputs.len() > 1 {
        // The number of a description names one source, and this is of several.
        record.provenance.metadata_id = None;
    }
    Ok(vec![NewSignal { record, series: vec![(process::average(&series)?, vec![step])] }])
}
