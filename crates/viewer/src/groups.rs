//! Runs in groups by a parameter: of each group the mean of a metric, and its range, step by step.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{Float64Array, Int64Array, RecordBatch, UInt32Array};
use arrow_schema::{DataType, Field, Schema};
use axum::extract::{Query, State};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use siltstone::experiment::{SimulationInfo, Which};
use siltstone::table::Batches;
use siltstone::{Error, Handle, Result};

use crate::Shared;
use crate::answer::{Answer, LONGEST, read};
use crate::m4::Position;
use crate::report::count;
use crate::table::{Format, Table};

/// The most groups in one picture: more cannot be told apart.
const MOST: usize = 7;
/// Groups of numbers of which there are more than that.
const BINS: usize = 5;
/// The most runs that are read for one picture.
pub(crate) const MOST_RUNS: usize = 10_000;
/// Steps of a picture whose width is not said.
const WIDTH: usize = 1_000;

/// A query about groups.
#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    metric: String,
    /// The parameter, `a.b` for one within an object.
    by: String,
    #[serde(rename = "where")]
    filter: Option<String>,
    /// From this step on.
    from: Option<i64>,
    /// Before this step.
    until: Option<i64>,
    /// Pixels.
    width: Option<usize>,
    #[serde(default)]
    format: Format,
}

/// `GET /api/runs/groups`: a row for each group and step.
pub(crate) async fn groups(State(shared): State<Shared>, Query(asked): Query<Asked>) -> Answer {
    let format = asked.format;
    let written = read(&shared, LONGEST, move |handle| of(handle, &asked)?.write(format));
    Ok(written.await?.into_response())
}

/// A group: what it is called, and its runs.
#[derive(Debug, PartialEq)]
struct Group {
    label: String,
    runs: Vec<usize>,
}

/// The values of a group at a step, or at the steps of a pixel.
#[derive(Debug, Clone, Copy)]
struct Band {
    step: i64,
    sum: f64,
    values: u64,
    least: f64,
    greatest: f64,
}

fn of(handle: &Handle, asked: &Asked) -> Result<Table> {
    let store = handle.experiment(None)?;
    let filter = asked.filter.as_deref().filter(|filter| !filter.trim().is_empty());
    let all = store.simulations(filter.map_or(Which::All, Which::Filter))?;
    let all: Vec<SimulationInfo> = all.into_iter().map(SimulationInfo::plain).collect();
    let runs = &all[..all.len().min(MOST_RUNS)];
    let values: Vec<Option<&Json>> =
        runs.iter().map(|run| within(&run.parameters, &asked.by)).collect();
    let (groups, left_out) = grouped(&values);
    if groups.is_empty() {
        check_parameter(&store.simulations(Which::All)?, &asked.by)?;
    }
    let mut series = Vec::new();
    let (mut first, mut last) = (i64::MAX, i64::MIN);
    for group in &groups {
        // One run at a time: only the steps of one group are in memory.
        let mut steps = Steps::default();
        for run in &group.runs {
            let points = match store.metric(&runs[*run].simulation_id, &asked.metric) {
                // Removed meanwhile.
                Err(Error::NotFound { what: "simulation", .. }) => Vec::new(),
                points => points?,
            };
            // Steps rise.
            first = points.first().map_or(first, |point| first.min(point.0));
            last = points.last().map_or(last, |point| last.max(point.0));
            steps.add(&points, asked);
        }
        series.push(steps.finish(asked));
    }
    let steps: u64 = series.iter().map(|(_, steps)| steps).sum();
    let shown: usize = series.iter().map(|(bands, _)| bands.len()).sum();
    let mut said = match steps == shown as u64 {
        true if runs.is_empty() => "no run matches".to_owned(),
        true if groups.is_empty() => "no run to group".to_owned(),
        true => "every step".to_owned(),
        false => {
            format!("{:.0} steps a point, their ranges kept", steps as f64 / shown.max(1) as f64)
        }
    };
    if all.len() > runs.len() {
        let [first, all] = [runs.len(), all.len()].map(|n| count(n as u64));
        said += &format!("; the first {first} of {all} runs");
    }
    if let Some(sentence) = left_out {
        said += &format!("; {sentence}");
    }
    let about = json!({
        "metric": asked.metric,
        "by": asked.by,
        "groups": groups.iter().map(|group| json!({ "label": group.label, "runs": group.runs.len() })).collect::<Vec<_>>(),
        // Without a step there are no ends.
        "first": (first <= last).then_some(first),
        "last": (first <= last).then_some(last),
        "said": said,
    });
    let series: Vec<Vec<Band>> = series.into_iter().map(|(bands, _)| bands).collect();
    Ok(Table { about: about.as_object().cloned().unwrap_or_default(), batches: batches(&series)? })
}

/// Refuses a name that no simulation of the file has; a filter may leave none of those that have it.
fn check_parameter(all: &[SimulationInfo], name: &str) -> Result<()> {
    // Tagged values are objects: their inner names are no parameters.
    let has = |run: &SimulationInfo| within(&run.clone().plain().parameters, name).is_some();
    if all.is_empty() || all.iter().any(has) {
        return Ok(());
    }
    Err(Error::NotFound {
        what: "the parameter",
        name: name.to_owned(),
        location: "the simulations".to_owned(),
    })
}

/// A parameter by its name, or by the names on the way to it.
fn within<'a>(parameters: &'a Map<String, Json>, name: &str) -> Option<&'a Json> {
    if let Some(value) = parameters.get(name) {
        return Some(value).filter(|value| !value.is_null());
    }
    let (outer, inner) = name.split_once('.')?;
    within(parameters.get(outer)?.as_object()?, inner)
}

/// What makes values equal: 1 is 1.0, and is not "1".
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Integer(i128),
    /// The bits of a number that is no integer.
    Float(u64),
    /// JSON of any other value.
    Other(String),
}

impl Key {
    fn of(value: &Json) -> Self {
        let Json::Number(number) = value else { return Key::Other(value.to_string()) };
        match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(n), _, _) => Key::Integer(n.into()),
            (_, Some(n), _) => Key::Integer(n.into()),
            // A float without a fraction is that integer exactly; -0 is 0.
            (_, _, Some(x)) if x.fract() == 0.0 && x.abs() < 18_446_744_073_709_551_616.0 => {
                Key::Integer(x as i128)
            }
            (_, _, Some(x)) => Key::Float(x.to_bits()),
            _ => Key::Other(value.to_string()),
        }
    }
}

/// A value as a group is called; a text that reads as another value is in quotes.
fn label(value: &Json) -> String {
    match value.as_str().filter(|text| serde_json::from_str::<Json>(text).is_err()) {
        Some(text) => text.to_owned(),
        None => value.to_string(),
    }
}

/// The runs by their values, numbers by their size before others. Of more values than can be told apart numbers, if most
/// runs have one, are put into ranges of as many runs each, and else the most frequent values count. With a sentence about
/// what is left out.
fn grouped(values: &[Option<&Json>]) -> (Vec<Group>, Option<String>) {
    let mut known: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
    for (run, value) in values.iter().enumerate() {
        if let Some(value) = value {
            known.entry(Key::of(value)).or_default().push(run);
        }
    }
    let missing = values.iter().filter(|value| value.is_none()).count();
    let mut left_out = Vec::new();
    if missing > 0 {
        left_out.push(match missing {
            1 => "1 run has no such parameter".to_owned(),
            n => format!("{n} runs have no such parameter"),
        });
    }
    let value = |runs: &[usize]| runs.first().and_then(|run| values[*run]);
    let group = |(_, runs): (Key, Vec<usize>)| Group {
        label: value(&runs).map(label).unwrap_or_default(),
        runs,
    };
    let (others, numbers): (Vec<_>, Vec<_>) =
        known.into_iter().partition(|(key, _)| matches!(key, Key::Other(_)));
    let mut numbers: Vec<Group> = numbers.into_iter().map(group).collect();
    let others: Vec<Group> = others.into_iter().map(group).collect();
    let size = |group: &Group| value(&group.runs).and_then(Json::as_f64).unwrap_or(f64::NAN);
    numbers.sort_by(|a, b| size(a).total_cmp(&size(b)));
    let runs = |groups: &[Group]| groups.iter().map(|group| group.runs.len()).sum::<usize>();
    if numbers.len() + others.len() <= MOST {
        numbers.extend(others);
    } else if runs(&numbers) > runs(&others) {
        match runs(&others) {
            0 => {}
            1 => left_out.push("1 run, whose value is no number, is not drawn".to_owned()),
            n => left_out.push(format!("{n} runs, whose values are no numbers, are not drawn")),
        }
        if numbers.len() > MOST {
            numbers = ranges(numbers);
        }
    } else {
        numbers.extend(others);
        numbers.sort_by_key(|group| std::cmp::Reverse(group.runs.len()));
        let rest = numbers.split_off(MOST);
        left_out.push(format!("{} rarer values are not drawn", rest.len()));
    }
    (numbers, Some(left_out.join("; ")).filter(|text| !text.is_empty()))
}

/// Neighbouring values as one group, so that each has about as many runs.
fn ranges(groups: Vec<Group>) -> Vec<Group> {
    let all: usize = groups.iter().map(|group| group.runs.len()).sum();
    let mut bins: Vec<(String, String, Vec<usize>)> = Vec::new();
    let mut before = 0;
    for group in groups {
        let bin = before * BINS / all;
        before += group.runs.len();
        match bins.get_mut(bin) {
            Some((_, last, runs)) => {
                *last = group.label;
                runs.extend(group.runs);
            }
            // One that is larger than a bin leaves the next ones empty.
            None => bins.push((group.label.clone(), group.label, group.runs)),
        }
    }
    let labelled = |(first, last, runs): (String, String, Vec<usize>)| {
        let label = if first == last { first } else { format!("{first} to {last}") };
        Group { label, runs }
    };
    bins.into_iter().map(labelled).collect()
}

/// The steps of a group.
#[derive(Default)]
struct Steps(BTreeMap<i64, Band>);

impl Steps {
    /// Adds the values of a run.
    fn add(&mut self, points: &[(i64, f64)], asked: &Asked) {
        let (from, until) = (asked.from.unwrap_or(i64::MIN), asked.until);
        let is_within = |step: i64| step >= from && until.is_none_or(|until| step < until);
        for (step, value) in points.iter().filter(|(step, y)| is_within(*step) && !y.is_nan()) {
            let empty = Band { step: *step, sum: 0.0, values: 0, least: *value, greatest: *value };
            let band = self.0.entry(*step).or_insert(empty);
            band.sum += value;
            band.values += 1;
            band.least = band.least.min(*value);
            band.greatest = band.greatest.max(*value);
        }
    }

    /// The bands, no more than fit into a picture, and of how many steps they are.
    fn finish(self, asked: &Asked) -> (Vec<Band>, u64) {
        let steps = self.0.len();
        let width = asked.width.unwrap_or(WIDTH).max(1);
        let ends = (self.0.first_key_value(), self.0.last_key_value());
        let (from, until) = match ends {
            (Some((first, _)), Some((last, _))) if steps > width => (*first, *last),
            _ => return (self.0.into_values().collect(), steps as u64),
        };
        let mut bands: Vec<(usize, Band)> = Vec::new();
        for band in self.0.into_values() {
            let pixel = band.step.pixel(from, until, width);
            match bands.last_mut() {
                Some((at, known)) if *at == pixel => {
                    known.sum += band.sum;
                    known.values += band.values;
                    known.least = known.least.min(band.least);
                    known.greatest = known.greatest.max(band.greatest);
                }
                _ => bands.push((pixel, band)),
            }
        }
        (bands.into_iter().map(|(_, band)| band).collect(), steps as u64)
    }
}

fn batches(series: &[Vec<Band>]) -> Result<Batches> {
    let all = || series.iter().flatten();
    let groups = series.iter().enumerate();
    let groups = groups.flat_map(|(i, bands)| std::iter::repeat_n(i as u32, bands.len()));
    let floats = |of: fn(&Band) -> f64| Arc::new(Float64Array::from_iter_values(all().map(of)));
    let schema = Arc::new(Schema::new(vec![
        Field::new("group", DataType::UInt32, false),
        Field::new("step", DataType::Int64, false),
        Field::new("mean", DataType::Float64, false),
        Field::new("min", DataType::Float64, false),
        Field::new("max", DataType::Float64, false),
    ]));
    let batch = RecordBatch::try_new(
        schema.clone(),
        vec![
            Arc::new(UInt32Array::from_iter_values(groups)),
            Arc::new(Int64Array::from_iter_values(all().map(|band| band.step))),
            floats(|band| band.sum / band.values as f64),
            floats(|band| band.least),
            floats(|band| band.greatest),
        ],
    );
    let batch = batch.map_err(|error| Error::Invalid {
        what: "the groups".to_owned(),
        expected: "a table that Arrow takes".to_owned(),
        got: error.to_string(),
    })?;
    Ok(Batches::from_batches(schema, vec![batch]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(groups: &[Group]) -> Vec<&str> {
        groups.iter().map(|group| group.label.as_str()).collect()
    }

    /// Goal: few values are a group each, many numbers are ranges, of many texts the most frequent count; nothing is left
    /// out unsaid.
    #[test]
    fn runs_are_grouped_by_value() {
        let values: Vec<Json> = [10, 9, 10].map(Json::from).to_vec();
        let given: Vec<Option<&Json>> = values.iter().map(Some).chain([None]).collect();
        let (groups, said) = grouped(&given);
        assert_eq!((labels(&groups), &groups[1].runs), (vec!["9", "10"], &vec![0, 2]));
        assert_eq!(said.unwrap(), "1 run has no such parameter");

        let values: Vec<Json> = (0..100).map(|i| json!(f64::from(i) / 10.0)).collect();
        let (groups, said) = grouped(&values.iter().map(Some).collect::<Vec<_>>());
        assert_eq!(
            labels(&groups),
            ["0.0 to 1.9", "2.0 to 3.9", "4.0 to 5.9", "6.0 to 7.9", "8.0 to 9.9"]
        );
        assert_eq!((groups.iter().map(|group| group.runs.len()).sum::<usize>(), said), (100, None));

        let values: Vec<Json> = (0..30).map(|i| json!(format!("mode {}", i % 9))).collect();
        let (groups, said) = grouped(&values.iter().map(Some).collect::<Vec<_>>());
        assert_eq!((groups.len(), said.unwrap()), (7, "2 rarer values are not drawn".to_owned()));
    }

    /// Goal: the band of a group has the mean and the range of all its runs, also where many steps are one pixel.
    #[test]
    fn a_band_has_the_range_of_its_runs() {
        let run = |offset: f64| {
            (0..1_000).map(|i| (i, if i == 777 { 1e6 } else { i as f64 + offset })).collect()
        };
        let runs: Vec<Vec<(i64, f64)>> = vec![run(0.0), run(10.0), vec![(5, f64::NAN)]];
        let asked = |width| Asked {
            metric: String::new(),
            by: String::new(),
            filter: None,
            from: None,
            until: None,
            width: Some(width),
            format: Format::Json,
        };
        let of = |width| {
            let mut steps = Steps::default();
            runs.iter().for_each(|points| steps.add(points, &asked(width)));
            steps.finish(&asked(width))
        };
        let (exact, steps) = of(2_000);
        assert_eq!((exact.len(), steps), (1_000, 1_000));
        let at = exact[5];
        assert_eq!(
            (at.step, at.sum / at.values as f64, at.least, at.greatest),
            (5, 10.0, 5.0, 15.0)
        );
        let (few, steps) = of(50);
        assert!(few.len() <= 51 && steps == 1_000, "{}", few.len());
        assert_eq!(few.iter().map(|band| band.greatest).fold(0.0, f64::max), 1e6);
        assert_eq!(few.iter().map(|band| band.values).sum::<u64>(), 2_000);
    }
}
