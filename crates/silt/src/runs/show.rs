//! `silt runs show`: one simulation.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};
use siltstone::experiment::{ArraySummary, Which};

use super::{number, open};
use crate::chart::sparkline;
use crate::console::Console;
use crate::exit::{Exit, Outcome};
use crate::human;
use crate::rows;
use crate::table::{Table, bold};
use crate::terminal::escaped;

/// Show one simulation: its status, parameters, metrics as sparklines, arrays, and tables
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  silt runs show sweep.db sim_003")]
pub(crate) struct Show {
    /// The database
    file: PathBuf,

    /// The id of the simulation
    simulation: String,
}

pub(crate) fn show(args: &Show, console: &mut Console) -> Outcome {
    let db = open(&args.file)?;
    let info = db.simulations(Which::Ids(&[&args.simulation]))?.remove(0).plain();
    let mut metrics = Vec::new();
    for name in db.metric_names(&args.simulation)? {
        let series = db.metric(&args.simulation, &name)?;
        metrics.push((name, series));
    }
    let arrays = db.arrays(&args.simulation)?;
    let mut sizes = db.sizes()?;
    sizes.retain(|size| size.simulation_id == args.simulation);
    if console.json {
        let metrics: serde_json::Map<String, Value> = metrics
            .into_iter()
            .map(|(name, series)| {
                let (steps, values): (Vec<i64>, Vec<Value>) =
                    series.into_iter().map(|(step, x)| (step, rows::number(x))).unzip();
                (name, json!({ "steps": steps, "values": values }))
            })
            .collect();
        console.document(
            &json!({ "simulation": info, "metrics": metrics, "arrays": arrays, "tables": sizes }),
        )?;
        return Ok(Exit::Done);
    }
    let color = console.color;
    console.line(bold(format!("simulation {}", escaped(info.simulation_id.clone())), color))?;
    let mut fact = |name: &str, value: Option<String>| match value {
        Some(value) => console.line(format!("  {name:<11} {}", escaped(value))),
        None => Ok(()),
    };
    fact("experiment", info.experiment_id.clone())?;
    fact("status", Some(info.status.clone()))?;
    fact("error", info.error.clone())?;
    fact("started", info.start_time.clone())?;
    fact("ended", info.end_time.clone())?;
    fact("steps", info.last_step.map(|step| human::count(step.max(0) as u64 + 1)))?;
    for (name, value) in &info.results_summary {
        fact("result", Some(format!("{name} = {}", shown(value))))?;
    }
    for (name, value) in &info.provenance {
        if !value.is_null() && name != "seed" {
            fact(name, Some(shown(value)))?;
        }
    }
    if !info.parameters.is_empty() {
        console.line("")?;
        console.line(bold("parameters".into(), color))?;
        for (name, value) in &info.parameters {
            let mut text = shown(value);
            if text.chars().count() > 60 {
                text = text.chars().take(59).collect::<String>() + "…";
            }
            console.line(format!("  {} = {}", escaped(name.clone()), escaped(text)))?;
        }
    }
    if !metrics.is_empty() {
        let mut table = Table::new(["metric", "steps", "first", "last", "mean", ""]);
        table = table.width(console.table_width()).bold_headers(color);
        for (name, series) in &metrics {
            let values: Vec<f64> = series.iter().map(|(_, x)| *x).collect();
            let known: Vec<f64> = values.iter().copied().filter(|x| !x.is_nan()).collect();
            let mean = (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64);
            let text = |x: Option<&f64>| x.map_or("-".into(), |x| shown(&number(*x)));
            table.row([
                name.clone(),
                human::count(values.len() as u64),
                text(values.first()),
                text(values.last()),
                text(mean.as_ref()),
                sparkline(&values, 24),
            ]);
        }
        console.line("")?;
        console.line(table.to_string())?;
    }
    if !arrays.is_empty() {
        let mut table = Table::new(["array", "count", "dtype", "shape", "first", "last"]);
        table = table.width(console.table_width()).bold_headers(color);
        // A line a name: of one whose shape changes each step there may be thousands.
        for same in arrays.chunk_by(|a, b| a.name == b.name) {
            let all = |text: fn(&ArraySummary) -> String, what| {
                let texts: BTreeSet<String> = same.iter().map(text).collect();
                match texts.len() {
                    1 => texts.into_iter().collect(),
                    n => format!("{} {what}", human::count(n as u64)),
                }
            };
            let steps = same.iter().flat_map(|array| [array.first_step, array.last_step]);
            table.row([
                same[0].name.clone(),
                human::count(same.iter().map(|array| array.count).sum()),
                all(|array| array.dtype.clone(), "dtypes"),
                all(|array| format!("{:?}", array.shape), "shapes"),
                steps.clone().min().unwrap_or_default().to_string(),
                steps.max().unwrap_or_default().to_string(),
            ]);
        }
        console.line("")?;
        console.line(table.to_string())?;
    }
    if !sizes.is_empty() {
        let mut table = Table::new(["table", "rows", "compacted", "size", "a row"]);
        table = table.width(console.table_width()).bold_headers(color);
        for size in &sizes {
            table.row([
                size.table.clone(),
                human::count(size.rows),
                human::count(size.compacted_rows),
                human::size(size.bytes),
                format!("{} B", size.bytes / size.rows.max(1)),
            ]);
        }
        console.line("")?;
        console.line(table.to_string())?;
    }
    Ok(Exit::Done)
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
