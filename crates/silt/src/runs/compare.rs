//! `silt runs compare`: simulations beside each other.

use std::path::PathBuf;

use serde_json::{Value, json};
use siltstone::experiment::At;
use siltstone::table::Batches;

use super::{Chosen, SPARK, first_metric, number, open};
use crate::chart::sparkline;
use crate::console::Console;
use crate::exit::{Exit, Failure, Outcome};
use crate::rows::{Format, Rows};

/// Compare simulations by metrics, beside the parameters in which they differ
///
/// A metric is a column of simulation_steps, the name of a logged metric, or TABLE.COLUMN. Of two simulations
/// and no metric: all metrics that either has, and the differences, the second less the first.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt runs compare sweep.db --metric total_agents --metric agent_states.total_reward --at mean
  silt runs compare sweep.db sim_000 sim_003
  silt runs compare sweep.db --where \"params.rate < 0.5\" --metric loss --json")]
pub(crate) struct Compare {
    /// The database
    file: PathBuf,

    #[command(flatten)]
    chosen: Chosen,

    /// A metric; may be given several times
    #[arg(long, value_name = "NAME")]
    metric: Vec<String>,

    /// Which value: final, mean, min, max, sum, count, or that of a step
    #[arg(long, default_value = "final", value_parser = at)]
    at: At,

    /// Output format (default: a table on a terminal, TSV in a pipe)
    #[arg(long, short, value_enum)]
    format: Option<Format>,
}

fn at(text: &str) -> Result<At, String> {
    text.parse::<At>().map_err(|error| error.to_string())
}

pub(crate) fn compare(args: &Compare, console: &mut Console) -> Outcome {
    let db = open(&args.file)?;
    let format = Format::or_default(args.format, console);
    if let ([first, second], []) = (&args.chosen.ids[..], &args.metric[..]) {
        let (columns, found) = values(db.difference(first, second)?)?;
        let mut rows = Rows::begin(console, format, columns)?;
        for row in found {
            rows.row(row)?;
        }
        rows.end()?;
        return Ok(Exit::Done);
    }
    let metrics = match &args.metric[..] {
        [] => {
            let first = args.chosen.with(|which| db.simulations(which))?;
            let first = first.first().map(|s| s.simulation_id.clone());
            let name = first_metric(&db, first.as_deref())?;
            vec![name.ok_or_else(|| Failure::said("there is no metric to compare"))?]
        }
        names => names.to_vec(),
    };
    let ats: Vec<(&str, At)> = metrics.iter().map(|name| (name.as_str(), args.at)).collect();
    let parameters = args.chosen.with(|which| db.parameters(which, true))?;
    let compared = args.chosen.with(|which| db.compare(which, &ats))?;
    let (mut columns, mut found) = values(parameters)?;
    let (more, compared) = values(compared)?;
    for name in columns.iter_mut().skip(1).filter(|name| more.contains(name)) {
        *name = format!("params.{name}");
    }
    columns.extend(more.into_iter().skip(1));
    for (row, more) in found.iter_mut().zip(compared) {
        row.extend(more.into_iter().skip(1));
    }
    // What is for the eye alone.
    let is_drawn = format == Format::Table;
    if is_drawn {
        columns.push(String::new());
        for row in &mut found {
            let name = row[0].as_str().unwrap_or_default().to_owned();
            let series = db.metric(&name, &metrics[0])?;
            let series: Vec<f64> = series.into_iter().map(|(_, x)| x).collect();
            row.push(json!(sparkline(&series, SPARK)));
        }
    }
    let mut rows = Rows::begin(console, format, columns)?;
    for row in found {
        rows.row(row.into_iter().map(|value| rounded(value, is_drawn)).collect())?;
    }
    rows.end()?;
    Ok(Exit::Done)
}

/// A number as the eye wants it.
fn rounded(value: Value, is_drawn: bool) -> Value {
    match value.as_f64() {
        Some(x) if is_drawn && value.is_f64() => number(x),
        _ => value,
    }
}

/// The names of the columns, and the rows.
fn values(batches: Batches) -> Outcome<(Vec<String>, Vec<Vec<Value>>)> {
    let columns = batches.schema().fields().iter().map(|field| field.name().clone()).collect();
    let mut rows = Vec::new();
    for batch in batches.collect_batches()? {
        rows.extend(siltstone::table::rows(&batch)?);
    }
    Ok((columns, rows))
}
