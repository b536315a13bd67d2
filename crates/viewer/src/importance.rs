//! Which parameters go along with a result: rank correlation over the runs that have both.

use std::collections::{BTreeMap, HashMap};

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use siltstone::experiment::{At, SimulationInfo, Which};
use siltstone::{Error, Handle, Result};

use crate::Shared;
use crate::answer::{Answer, LONGEST, read};
use crate::groups::MOST_RUNS;
use crate::report::count;
use crate::table::document;

/// The fewest runs whose ranks say anything.
const FEWEST: usize = 3;
/// The most parameters of one answer: the strongest.
const MOST_ROWS: usize = 500;

/// A query about parameters.
#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    /// `results.NAME`, or `metrics.NAME`, whose last value it is.
    target: String,
    /// Only the runs for which this holds.
    #[serde(rename = "where")]
    filter: Option<String>,
}

/// `GET /api/runs/importance`: each parameter with Spearman's rank correlation to a result, the strongest first.
pub(crate) async fn importance(State(shared): State<Shared>, Query(asked): Query<Asked>) -> Answer {
    let found = read(&shared, LONGEST, move |handle| of(handle, &asked));
    Ok(document(&found.await?))
}

fn of(handle: &Handle, asked: &Asked) -> Result<Json> {
    let store = handle.experiment(None)?;
    let filter = asked.filter.as_deref().filter(|filter| !filter.trim().is_empty());
    let which = filter.map_or(Which::All, Which::Filter);
    let mut runs = store.simulations(which)?;
    let all = runs.len();
    runs.truncate(MOST_RUNS);
    let mut runs: Vec<SimulationInfo> = runs.into_iter().map(SimulationInfo::plain).collect();
    let target: Vec<Option<f64>> = match asked.target.split_once('.') {
        Some(("results", name)) => {
            let known = runs.iter().any(|run| run.results_summary.contains_key(name));
            if !known {
                return Err(no_such("the result", name));
            }
            runs.iter().map(|run| run.results_summary.get(name).and_then(number)).collect()
        }
        Some(("metrics", name)) => {
            let mut values = HashMap::new();
            let mut batches = store.compare(which, &[(name, At::Final)])?;
            while let Some(batch) = batches.next_batch()? {
                let finals = batch.column(1).as_primitive::<Float64Type>().iter();
                values.extend(named(batch.column(0)).zip(finals));
            }
            // By their ids: other processes add and remove runs between the two queries.
            runs.retain(|run| values.contains_key(&run.simulation_id));
            let finals = runs.iter().map(|run| values.get(&run.simulation_id).copied().flatten());
            finals.map(|value| value.filter(|x| !x.is_nan())).collect()
        }
        _ => {
            return Err(Error::Invalid {
                what: "target".to_owned(),
                expected: "results.NAME or metrics.NAME".to_owned(),
                got: format!("{:?}", asked.target),
            });
        }
    };
    // The page has the results of its runs already, and of metrics no value.
    let values: Option<Vec<Json>> = asked.target.starts_with("metrics.").then(|| {
        let values = runs.iter().zip(&target);
        values.map(|(run, value)| json!([run.simulation_id, value])).collect()
    });
    let missing = target.iter().filter(|value| value.is_none()).count();
    let columns = columns(&runs);
    let mut rows: Vec<Row<'_>> =
        columns.iter().map(|(name, column)| row(name, column, &target)).collect();
    rows.sort_by(|a, b| b.strength().total_cmp(&a.strength()));
    let mut said = Vec::new();
    if all > MOST_RUNS {
        said.push(format!("the first {} of {} runs", count(MOST_RUNS as u64), count(all as u64)));
    }
    if rows.len() > MOST_ROWS {
        let rest = count((rows.len() - MOST_ROWS) as u64);
        said.push(format!("the {MOST_ROWS} strongest parameters, {rest} are left out"));
    }
    rows.truncate(MOST_ROWS);
    Ok(json!({
        "target": asked.target,
        "runs": runs.len(),
        "without_target": missing,
        "parameters": rows.iter().map(Row::said).collect::<Vec<_>>(),
        "values": values,
        "said": said.join("; "),
    }))
}

/// The ids of a column of texts.
fn named(column: &dyn Array) -> impl Iterator<Item = String> {
    column.as_string::<i32>().iter().map(|id| id.unwrap_or_default().to_owned())
}

fn no_such(what: &'static str, name: &str) -> Error {
    Error::NotFound { what, name: name.to_owned(), location: "the simulations".to_owned() }
}

/// The values of a parameter, of those runs that have it: each with the run's number, rising.
type Column<'a> = Vec<(usize, &'a Json)>;

/// The parameters, those within objects too, by their names.
fn columns(runs: &[SimulationInfo]) -> BTreeMap<String, Column<'_>> {
    let mut columns = BTreeMap::new();
    for (i, run) in runs.iter().enumerate() {
        put("", &run.parameters, i, &mut columns);
    }
    columns
}

fn put<'a>(
    prefix: &str,
    object: &'a Map<String, Json>,
    run: usize,
    columns: &mut BTreeMap<String, Column<'a>>,
) {
    for (key, inner) in object.iter().filter_map(|(key, value)| Some((key, value.as_object()?))) {
        put(&format!("{prefix}{key}."), inner, run, columns);
    }
    for (key, value) in object.iter().filter(|(_, value)| !value.is_object() && !value.is_null()) {
        let column = columns.entry(format!("{prefix}{key}")).or_default();
        // A name with a dot goes before that of a value within an object, as where runs are grouped.
        column.pop_if(|(last, _)| *last == run);
        column.push((run, value));
    }
}

/// A value that has an order: a number, or yes and no as 1 and 0.
fn number(value: &Json) -> Option<f64> {
    match value {
        Json::Number(n) => n.as_f64(),
        Json::Bool(yes) => Some(f64::from(u8::from(*yes))),
        // As plain JSON has them.
        Json::String(text) if text == "Infinity" => Some(f64::INFINITY),
        Json::String(text) if text == "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// A parameter against the result.
#[derive(Debug)]
struct Row<'a> {
    name: &'a str,
    rho: Option<f64>,
    /// Runs that have both as numbers.
    runs: usize,
    missing: usize,
    /// Runs in which the parameter is no number.
    others: usize,
    /// Why there is no correlation.
    why: Option<&'static str>,
}

impl Row<'_> {
    /// What rows are sorted by.
    fn strength(&self) -> f64 {
        self.rho.map_or(-1.0, f64::abs)
    }

    fn said(&self) -> Json {
        json!({
            "parameter": self.name,
            "rho": self.rho,
            "runs": self.runs,
            "missing": self.missing,
            "not_numbers": self.others,
            "why": self.why,
        })
    }
}

fn row<'a>(name: &'a str, column: &[(usize, &Json)], target: &[Option<f64>]) -> Row<'a> {
    let both = column.iter().filter_map(|(run, x)| Some((number(x)?, target[*run]?)));
    let (xs, ys): (Vec<f64>, Vec<f64>) = both.unzip();
    let missing = target.len() - column.len();
    let others = column.iter().filter(|(_, value)| number(value).is_none()).count();
    let is_constant = |values: &[f64]| values.windows(2).all(|two| two[0] == two[1]);
    let why = match () {
        () if xs.is_empty() && others > 0 => Some("no numbers"),
        () if xs.len() < FEWEST => Some("too few runs"),
        () if is_constant(&xs) => Some("the same in all runs"),
        () if is_constant(&ys) => Some("the result is the same in all runs"),
        () => None,
    };
    let rho = if why.is_none() { spearman(&xs, &ys) } else { None };
    Row { name, rho, runs: xs.len(), missing, others, why }
}

/// Spearman's rank correlation: Pearson's of the ranks, equal values sharing the mean of theirs. `None` where one side does
/// not vary.
fn spearman(xs: &[f64], ys: &[f64]) -> Option<f64> {
    let (xs, ys) = (ranks(xs), ranks(ys));
    // The mean of all ranks, shared or not.
    let mean = (xs.len() as f64 + 1.0) / 2.0;
    let product = |a: &[f64], b: &[f64]| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum()
    };
    let spread = product(&xs, &xs) * product(&ys, &ys);
    (spread > 0.0).then(|| (product(&xs, &ys) / spread.sqrt()).clamp(-1.0, 1.0))
}

/// The rank of each value, from 1.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    // 0 and -0 are equal, and there is no NaN.
    order.sort_by(|a, b| values[*a].partial_cmp(&values[*b]).unwrap_or(std::cmp::Ordering::Equal));
    let mut ranks = vec![0.0; values.len()];
    let mut begin = 0;
    while begin < order.len() {
        let same =
            order[begin..].iter().take_while(|i| values[**i] == values[order[begin]]).count();
        let rank = begin as f64 + (same as f64 + 1.0) / 2.0;
        order[begin..begin + same].iter().for_each(|i| ranks[*i] = rank);
        begin += same;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: ranks, ties among them, as SciPy has them.
    #[test]
    fn rank_correlation_is_spearmans() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, -0.0, 0.0]), [4.5, 3.0, 4.5, 1.5, 1.5]);
        let rho = |xs: &[f64], ys: &[f64]| spearman(xs, ys);
        assert_eq!(rho(&[1.0, 2.0, 3.0], &[10.0, 100.0, f64::INFINITY]), Some(1.0));
        assert_eq!(rho(&[1.0, 2.0, 3.0], &[3.0, 2.0, -1e300]), Some(-1.0));
        assert_eq!(rho(&[1.0, 2.0, 3.0], &[7.0, 7.0, 7.0]), None);
        // scipy.stats.spearmanr([1, 2, 2, 4, 5], [5, 6, 7, 8, 7])
        let known = rho(&[1.0, 2.0, 2.0, 4.0, 5.0], &[5.0, 6.0, 7.0, 8.0, 7.0]).unwrap();
        assert!((known - 0.763_157_894_736_842).abs() < 1e-12, "{known}");
    }

    /// Goal: a parameter is judged by the runs that have it as a number, and the rest are counted.
    #[test]
    fn missing_values_are_counted() {
        let (one, text, yes) = (json!(1), json!("fast"), json!(true));
        let (two, three) = (json!(2.5), json!(3));
        let column = [(0, &one), (2, &text), (3, &two), (4, &three), (5, &yes)];
        let target = [Some(1.0), Some(9.0), Some(9.0), Some(2.0), Some(3.0), None];
        let found = row("rate", &column, &target);
        assert_eq!(found.strength(), 1.0);
        assert_eq!(
            found.said(),
            json!({ "parameter": "rate", "rho": 1.0, "runs": 3, "missing": 1, "not_numbers": 1, "why": null })
        );
        let texts: Vec<(usize, &Json)> = (0..6).map(|run| (run, &text)).collect();
        let found = row("mode", &texts, &target);
        assert_eq!((found.strength(), found.why, found.rho), (-1.0, Some("no numbers"), None));
        let ones: Vec<(usize, &Json)> = (0..6).map(|run| (run, &one)).collect();
        assert_eq!(row("n", &ones, &target).why, Some("the same in all runs"));
    }
}
