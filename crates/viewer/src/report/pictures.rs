//! The parts of a report that have pictures: a series, simulations side by side, a symbol.

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType, UInt64Type};
use arrow_cast::cast;
use arrow_schema::DataType;
use serde_json::{Map, Value as Json};
use siltstone::experiment::{SimulationInfo, Which};
use siltstone::ticks::Outlines;
use siltstone::{Error, Handle, Result};

use super::axis::{self, Mark};
use super::html::{count, escaped, facts, name, number, plain, section, table};
use super::svg::{Body, Candle, Line, MARKS, PIXELS, Picture};
use super::{MOST_RUNS, Report};
use crate::table::Table;

/// The most metrics that are drawn of simulations.
const MOST_METRICS: usize = 12;

/// All rows of a table, which is as small as a picture.
fn rows(mut table: Table) -> Result<(Map<String, Json>, Vec<RecordBatch>)> {
    let mut batches = Vec::new();
    while let Some(batch) = table.batches.next_batch()? {
        batches.push(batch);
    }
    Ok((table.about, batches))
}

fn numbers(batch: &RecordBatch, column: usize) -> Result<Vec<Option<f64>>> {
    let values =
        cast(batch.column(column), &DataType::Float64).map_err(|error| Error::Invalid {
            what: "the values of a picture".to_owned(),
            expected: "numbers".to_owned(),
            got: error.to_string(),
        })?;
    Ok(values.as_primitive::<Float64Type>().iter().collect())
}

fn integers(batch: &RecordBatch, column: usize) -> Result<Vec<i64>> {
    let values = cast(batch.column(column), &DataType::Int64).map_err(|error| Error::Invalid {
        what: "the index of a picture".to_owned(),
        expected: "integers".to_owned(),
        got: error.to_string(),
    })?;
    Ok(values.as_primitive::<Int64Type>().values().to_vec())
}

/// Where an integer stands between two; in the middle of none.
fn share(x: i64, from: i64, until: i64) -> f64 {
    let span = i128::from(until) - i128::from(from);
    match span {
        0 => 0.5,
        _ => (i128::from(x) - i128::from(from)) as f64 / span as f64,
    }
}

/// What an x axis is made of.
struct Axis {
    marks: Vec<Mark>,
    /// The begin and the end, for people.
    ends: String,
}

/// The axis of a series, and where its points stand on it.
fn of_series(index: &Json, batches: &[RecordBatch]) -> Result<(Axis, Vec<f64>)> {
    if index["kind"] == "float" {
        let mut xs = Vec::new();
        for batch in batches {
            xs.extend(numbers(batch, 0)?.into_iter().map(|x| x.unwrap_or(f64::NAN)));
        }
        let (from, until) = (xs.first().copied().unwrap_or(0.0), xs.last().copied().unwrap_or(1.0));
        let share = |x: f64| match until > from {
            true => (x / 2.0 - from / 2.0) / (until / 2.0 - from / 2.0),
            false => 0.5,
        };
        let ends = format!("{} to {}", number(from), number(until));
        let marks = axis::numbers(from, until, MARKS);
        return Ok((Axis { marks, ends }, xs.into_iter().map(share).collect()));
    }
    let mut xs = Vec::new();
    for batch in batches {
        xs.extend(integers(batch, 0)?);
    }
    let (from, until) = (xs.first().copied().unwrap_or(0), xs.last().copied().unwrap_or(1));
    let unit_ns = i128::from(index["unit_ns"].as_i64().unwrap_or(1));
    let [begin, end] = [from, until].map(|x| i128::from(x) * unit_ns);
    let axis = match index["kind"].as_str() {
        Some("time") => Axis {
            marks: axis::times(begin, end.max(begin + 1), MARKS),
            ends: format!("{} to {}", axis::time(begin), axis::time(end)),
        },
        Some("span") => {
            let [begin, end] = [begin, end].map(|ns| ns as f64 / 1e9);
            let mut marks = axis::numbers(begin, end, MARKS);
            marks.iter_mut().for_each(|mark| mark.label.push_str(" s"));
            Axis { marks, ends: format!("{} s to {} s", number(begin), number(end)) }
        }
        _ => Axis { marks: axis::integers(from, until, MARKS), ends: format!("{from} to {until}") },
    };
    Ok((axis, xs.into_iter().map(|x| share(x, from, until)).collect()))
}

/// The curve of a series, its statistics, and the steps that made it.
pub(super) fn series(handle: &Handle, key: &str, report: &mut Report) -> Result<()> {
    let known = crate::series::one(handle, key)?;
    let asked = crate::series::Window::all(key, PIXELS);
    let (about, batches) = rows(crate::series::window_of(handle, &asked)?)?;
    let (axis, xs) = of_series(&about["index"], &batches)?;
    let mut ys = Vec::new();
    for batch in &batches {
        ys.extend(numbers(batch, 1)?);
    }
    let units = plain(&known["units"]);
    let mut body = String::new();
    let mut note = "no points".to_owned();
    if !xs.is_empty() {
        let picture = Picture {
            marks: axis.marks,
            units: &units,
            body: Body::Lines(vec![Line { points: xs.into_iter().zip(ys).collect(), color: 1 }]),
            title: key,
        };
        picture.write(&mut body);
        report.pictures += 1;
        note = plain(&about["said"]);
    }
    let statistics = &about["statistics"];
    let of = |value: &Json| match value.as_f64() {
        Some(x) => escaped(&format!("{} {units}", number(x))),
        None => "none".to_owned(),
    };
    let mut known_facts = vec![
        ("Points", count(known["points"].as_u64().unwrap_or(0))),
        ("Missing", count(statistics["missing"].as_u64().unwrap_or(0))),
        ("Extent", escaped(&axis.ends)),
        ("Min, mean, max", ["min", "mean", "max"].map(|key| of(&statistics[key])).join(", ")),
    ];
    if let Some(provenance) = known["provenance"].as_object() {
        let texts = provenance
            .iter()
            .filter(|(_, value)| value.as_str().is_some_and(|text| !text.is_empty()));
        known_facts.extend(texts.map(|(title, value)| (title.as_str(), name(&plain(value)))));
    }
    body += &facts(&known_facts);
    if let Some(steps) = known["steps"].as_array().filter(|steps| !steps.is_empty()) {
        body += "<h3>How it was made</h3>\n";
        body += &table(&["Step", "From", "What"], &steps.iter().map(step).collect::<Vec<_>>());
    }
    report.html += &section(&name(key), &escaped(&note), &body);
    Ok(())
}

fn step(step: &Json) -> Vec<String> {
    let function = plain(&step["function_info"]["name"]);
    let inputs = step["input_series_names"].as_array().into_iter().flatten().map(plain);
    let inputs = inputs.collect::<Vec<_>>().join(", ");
    let title = if function.is_empty() { plain(&step["type"]) } else { function };
    vec![name(&title), name(&inputs), name(&plain(&step["description"]))]
}

/// The candles of a symbol.
pub(super) fn ticks(handle: &Handle, symbol: &str, report: &mut Report) -> Result<()> {
    let asked = crate::ticks::Window::all(symbol, PIXELS);
    let (about, batches) = rows(crate::ticks::bars_of(handle, &asked, &Outlines::default())?)?;
    let end = |key: &str| about[key].as_i64().unwrap_or(0);
    let (first, last, interval) = (end("first"), end("last"), end("interval_ns").max(1));
    let mut candles = Vec::new();
    let from = first.saturating_sub(first.rem_euclid(interval));
    let until = last.saturating_add(interval - last.rem_euclid(interval));
    for batch in &batches {
        let times = batch.column(0).as_primitive::<TimestampNanosecondType>().values();
        let price = |i: usize| batch.column(i).as_primitive::<Float64Type>().values();
        let [open, high, low, close] = [1, 2, 3, 4].map(price);
        let volume = batch.column(5).as_primitive::<UInt64Type>().values();
        candles.extend((0..batch.num_rows()).map(|i| Candle {
            share: share(times[i].saturating_add(interval / 2), from, until),
            open: open[i],
            high: high[i],
            low: low[i],
            close: close[i],
            volume: volume[i] as f64,
        }));
    }
    let mut body = String::new();
    let marks = axis::times(from.into(), until.into(), MARKS);
    let wide = interval as f64 / (i128::from(until) - i128::from(from)).max(1) as f64;
    Picture { marks, units: "", body: Body::Candles(candles, wide), title: symbol }
        .write(&mut body);
    report.pictures += 1;
    body += &facts(&[
        ("Ticks", count(about["points"].as_u64().unwrap_or(0))),
        ("From", axis::time(first.into())),
        ("To", axis::time(last.into())),
    ]);
    let length = number(interval as f64 / 1e9);
    let note = format!(
        "bars of {length} s of the mid price, hollow where it rose, over their number of ticks; times of UTC"
    );
    report.html += &section(&name(symbol), &note, &body);
    Ok(())
}

/// Simulations side by side: what they were given, what came of them, and a picture of each metric.
pub(super) fn runs(handle: &Handle, ids: &[&str], report: &mut Report) -> Result<()> {
    if ids.len() > MOST_RUNS {
        return Err(Error::Invalid {
            what: "the simulations of a report".to_owned(),
            expected: format!("at most {MOST_RUNS}, whose curves can be told apart"),
            got: ids.len().to_string(),
        });
    }
    let store = handle.experiment(None)?;
    let runs: Vec<SimulationInfo> =
        store.simulations(Which::Ids(ids))?.into_iter().map(SimulationInfo::plain).collect();
    let colored = |i: usize, id: &str| format!("<i class=\"c{}\"></i>{}", i + 1, name(id));
    let headings: Vec<String> =
        runs.iter().enumerate().map(|(i, run)| colored(i, &run.simulation_id)).collect();
    let mut titles = vec![""];
    titles.extend(headings.iter().map(String::as_str));
    report.html += &section("Simulations", "side by side", &table(&titles, &compared(&runs)));

    let mut metrics: Vec<String> = Vec::new();
    let mut of_run = Vec::new();
    for run in &runs {
        let names = store.metric_names(&run.simulation_id)?;
        metrics.extend(
            names.iter().filter(|name| !metrics.contains(name)).cloned().collect::<Vec<_>>(),
        );
        of_run.push(names);
    }
    if metrics.len() > MOST_METRICS {
        let left = metrics[MOST_METRICS..].join(", ");
        report.left_out.push(format!("Metrics that are not drawn: {left}."));
    }
    for metric in metrics.iter().take(MOST_METRICS) {
        let (mut curves, mut said) = (Vec::new(), Vec::<String>::new());
        for (i, run) in runs.iter().enumerate().filter(|(i, _)| of_run[*i].contains(metric)) {
            let asked = crate::runs::Metric::all(&run.simulation_id, metric, PIXELS);
            let (about, batches) = rows(crate::runs::steps_of(handle, &asked)?)?;
            let (mut steps, mut values) = (Vec::new(), Vec::new());
            for batch in &batches {
                steps.extend(integers(batch, 0)?);
                values.extend(numbers(batch, 1)?);
            }
            let one = plain(&about["said"]);
            if !said.contains(&one) {
                said.push(one);
            }
            curves.push((i, steps, values));
        }
        let all = || curves.iter().flat_map(|(_, steps, _)| steps);
        let (Some(from), Some(until)) = (all().min().copied(), all().max().copied()) else {
            continue;
        };
        let mut legend = String::from("<ul>");
        let mut lines = Vec::new();
        for (i, steps, values) in &curves {
            legend += &format!("<li>{}</li>", headings[*i]);
            let xs = steps.iter().map(|step| share(*step, from, until));
            lines.push(Line { points: xs.zip(values.iter().copied()).collect(), color: i + 1 });
        }
        legend += "</ul>\n";
        let marks = axis::integers(from, until, MARKS);
        let mut body = String::new();
        Picture { marks, units: "", body: Body::Lines(lines), title: metric }.write(&mut body);
        report.pictures += 1;
        let note = format!("by step, {}", escaped(&said.join("; ")));
        report.html += &section(&name(metric), &note, &(body + &legend));
    }
    Ok(())
}

/// A row a field of the simulations; what none of them has is left out.
fn compared(runs: &[SimulationInfo]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut row = |title: String, of: &dyn Fn(&SimulationInfo) -> Json| {
        let values: Vec<Json> = runs.iter().map(of).collect();
        if values.iter().any(|value| !value.is_null()) {
            let cells = values.iter().map(|value| name(&plain(value)));
            rows.push([title].into_iter().chain(cells).collect());
        }
    };
    row("status".into(), &|run| run.status.clone().into());
    row("error".into(), &|run| run.error.clone().into());
    row("started".into(), &|run| run.start_time.clone().into());
    row("ended".into(), &|run| run.end_time.clone().into());
    row("last step".into(), &|run| run.last_step.into());
    for (prefix, of) in [
        ("params", (|run| &run.parameters) as fn(&SimulationInfo) -> &Map<String, Json>),
        ("results", |run| &run.results_summary),
    ] {
        let mut keys: Vec<&String> = runs.iter().flat_map(|run| of(run).keys()).collect();
        keys.sort();
        keys.dedup();
        for key in keys {
            row(name(&format!("{prefix}.{key}")), &|run| {
                of(run).get(key).cloned().unwrap_or(Json::Null)
            });
        }
    }
    rows
}
