//! Which parameters go along with a result: rank correlation over the runs that have both.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use siltstone::experiment::{At, SimulationInfo, Which};
use siltstone::{Error, Handle, Result};

use crate::Shared;
use crate::answer::{Answer, LONGEST, read};
use crate::table::document;

/// The fewest runs whose ranks say anything.
const FEWEST: usize = 3;

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
    let runs = store.simulations(which)?.into_iter().map(SimulationInfo::plain);
    let runs: Vec<SimulationInfo> = runs.collect();
    let target: Vec<Option<f64>> = match asked.target.split_once('.') {
        Some(("results", name)) => {
            let known = runs.iter().any(|run| run.results_summary.contains_key(name));
            if !known {
                return Err(no_such("the result", name));
            }
            runs.iter().map(|run| run.results_summary.get(name).and_then(number)).collect()
        }
        Some(("metrics", name)) => {
            let mut values = Vec::with_capacity(runs.len());
            let mut batches = store.compare(which, &[(name, At::Final)])?;
            while let Some(batch) = batches.next_batch()? {
                values.extend(batch.column(1).as_primitive::<Float64Type>().iter());
            }
            values.into_iter().map(|value| value.filter(|x| !x.is_nan())).collect()
        }
        _ => {
            return Err(Error::Invalid {
                what: "target".to_owned(),
                expected: "results.NAME or metrics.NAME".to_owned(),
                got: format!("{:?}", asked.target),
            });
        }
    };
    if target.len() != runs.len() {
        return Err(Error::Interrupted { action: "reading runs that another process removes" });
    }
    // The page has the results of its runs already, and of metrics no value.
    let values: Option<Vec<Json>> = asked.target.starts_with("metrics.").then(|| {
        let values = runs.iter().zip(&target);
        values.map(|(run, value)| json!([run.simulation_id, value])).collect()
    });
    let missing = target.iter().filter(|value| value.is_none()).count();
    let mut rows: Vec<(f64, Json)> =
        columns(&runs).iter().map(|(name, column)| row(name, column, &target)).collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let rows: Vec<Json> = rows.into_iter().map(|(_, row)| row).collect();
    Ok(json!({
        "target": asked.target,
        "runs": runs.len(),
        "without_target": missing,
        "parameters": rows,
        "values": values,
    }))
}

fn no_such(what: &'static str, name: &str) -> Error {
    Error::NotFound { what, name: name.to_owned(), location: "the simulations".to_owned() }
}

/// The parameters, those within objects too, by their names: a value for each run.
fn columns(runs: &[SimulationInfo]) -> BTreeMap<String, Vec<Option<&Json>>> {
    let mut columns = BTreeMap::new();
    for (i, run) in runs.iter().enumerate() {
        put("", &run.parameters, (i, runs.len()), &mut columns);
    }
    columns
}

fn put<'a>(
    prefix: &str,
    object: &'a Map<String, Json>,
    (at, runs): (usize, usize),
    columns: &mut BTreeMap<String, Vec<Option<&'a Json>>>,
) {
    for (key, value) in object {
        let name = format!("{prefix}{key}");
        match value {
            Json::Object(inner) => put(&format!("{name}."), inner, (at, runs), columns),
            Json::Null => {}
            value => columns.entry(name).or_insert_with(|| vec![None; runs])[at] = Some(value),
        }
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

/// How strong a parameter is, to sort by, and what is said of it.
fn row(name: &str, column: &[Option<&Json>], target: &[Option<f64>]) -> (f64, Json) {
    let both = column.iter().zip(target).filter_map(|(x, y)| Some((number((*x)?)?, (*y)?)));
    let (xs, ys): (Vec<f64>, Vec<f64>) = both.unzip();
    let missing = column.iter().filter(|value| value.is_none()).count();
    let others = column.iter().flatten().filter(|value| number(value).is_none()).count();
    let is_constant = |values: &[f64]| values.windows(2).all(|two| two[0] == two[1]);
    let why = match () {
        () if xs.is_empty() && others > 0 => Some("no numbers"),
        () if xs.len() < FEWEST => Some("too few runs"),
        () if is_constant(&xs) => Some("the same in all runs"),
        () if is_constant(&ys) => Some("the result is the same in all runs"),
        () => None,
    };
    let rho = if why.is_none() { spearman(&xs, &ys) } else { None };
    let said = json!({
        "parameter": name,
        "rho": rho,
        "runs": xs.len(),
        "missing": missing,
        "not_numbers": others,
        "why": why,
    });
    (rho.map_or(-1.0, f64::abs), said)
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
        let column = [Some(&one), None, Some(&text), Some(&two), Some(&three), Some(&yes)];
        let target = [Some(1.0), Some(9.0), Some(9.0), Some(2.0), Some(3.0), None];
        let (strength, said) = row("rate", &column, &target);
        assert_eq!(strength, 1.0);
        assert_eq!(
            said,
            json!({ "parameter": "rate", "rho": 1.0, "runs": 3, "missing": 1, "not_numbers": 1, "why": null })
        );
        let (strength, said) = row("mode", &[Some(&text); 6], &target);
        assert_eq!(
            (strength, &said["why"], &said["rho"]),
            (-1.0, &json!("no numbers"), &Json::Null)
        );
        assert_eq!(row("n", &[Some(&one); 6], &target).1["why"], json!("the same in all runs"));
    }
}
