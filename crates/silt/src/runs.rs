//! Simulations of the experiment store: a list of them, one of them, and what becomes of them.

mod change;
mod compare;
mod show;
mod tracker;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use siltstone::experiment::{ExperimentDatabase, SimulationInfo, Which};
use siltstone::{Error, Value as Sql};

use change::{Delete, Split, delete, split};
pub(crate) use change::{Import, compact, export, import, merge};
use clap::Subcommand;
use compare::{Compare, compare};
use show::{Show, show};
pub(crate) use tracker::{Tracker, import as import_tracker};

use crate::chart::sparkline;
use crate::console::Console;
use crate::exit::{Exit, Outcome};
use crate::rows::{self, Format, Rows};
use crate::terminal::escaped;

/// Cells of a sparkline.
const SPARK: usize = 16;
/// Parameters that a table has columns for.
const MOST_COLUMNS: usize = 8;

/// List, compare, split and delete simulations of experiments
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt runs list sweep.db
  silt runs compare sweep.db --metric loss")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    List(List),
    Show(Show),
    Compare(Compare),
    Split(Split),
    Delete(Delete),
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    match &args.what {
        What::List(args) => list(args, console),
        What::Show(args) => show(args, console),
        What::Compare(args) => compare(args, console),
        What::Split(args) => split(args, console),
        What::Delete(args) => delete(args, console),
    }
}

/// List the simulations of a database: status, steps, parameters, a metric as a sparkline
///
/// Parameters that are the same in all of them are left out; `silt runs show` has them. A table has columns for the first eight
/// that differ and names the others; every other format has all of them. A parameter or metric with the name of another
/// column is `params.NAME` or `metric.NAME`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt runs list sweep.db
  silt runs list sweep.db --where \"params.rate > 0.1 AND status = 'completed'\" --metric loss")]
struct List {
    /// The database
    file: PathBuf,

    /// SQL's WHERE over the columns of simulations, params.<name> and results.<name>; names are exact
    #[arg(long = "where", value_name = "FILTER")]
    filter: Option<String>,

    /// The metric to plot, with its last value (default: total_agents, or the first)
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,

    /// Output format (default: a table on a terminal, TSV in a pipe)
    #[arg(long, short, value_enum)]
    format: Option<Format>,
}

/// Which simulations are meant: by a filter, by their ids, or all.
#[derive(Debug, clap::Args)]
pub(crate) struct Chosen {
    /// The ids of the simulations; all unless given
    #[arg(value_name = "SIMULATION")]
    ids: Vec<String>,

    /// SQL's WHERE over the columns of simulations, params.<name> and results.<name>, in place of ids
    #[arg(long = "where", value_name = "FILTER", conflicts_with = "ids")]
    filter: Option<String>,
}

impl Chosen {
    fn with<T>(&self, work: impl FnOnce(Which<'_>) -> T) -> T {
        match (&self.filter, &self.ids[..]) {
            (Some(filter), _) => work(Which::Filter(filter)),
            (None, []) => work(Which::All),
            (None, ids) => work(Which::Ids(&ids.iter().map(String::as_str).collect::<Vec<_>>())),
        }
    }

    fn is_all(&self) -> bool {
        self.filter.is_none() && self.ids.is_empty()
    }
}

/// Opens a database read-only: nothing is made or changed.
pub(crate) fn open(path: &Path) -> Outcome<ExperimentDatabase> {
    Ok(ExperimentDatabase::open_read_only(path)?)
}

/// A database to change; one that is there.
fn open_to_change(path: &Path) -> Outcome<ExperimentDatabase> {
    drop(open(path)?);
    let db = siltstone::Database::builder(path).open()?;
    Ok(ExperimentDatabase::over(db, None)?)
}

/// Whether a file has simulations of the experiment store.
pub(crate) fn has_simulations(path: &Path) -> Outcome<bool> {
    let db = siltstone::Database::builder(path).open_read_only();
    let db = match db {
        Ok(db) => db,
        // A file of movici, which only its own store opens.
        Err(Error::NotOurs { .. }) => return Ok(false),
        Err(other) => return Err(other.into()),
    };
    let sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'record_table'";
    Ok(db.sql(sql)?.rows == [[Sql::Integer(1)]])
}

/// Whether a file has updates of a simulation run too.
pub(crate) fn has_updates(path: &Path) -> Outcome<bool> {
    let db = siltstone::Database::builder(path).open_read_only()?;
    let sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'update_attribute'";
    Ok(db.sql(sql)?.rows == [[Sql::Integer(1)]])
}

fn list(args: &List, console: &mut Console) -> Outcome {
    let db = open(&args.file)?;
    let which = args.filter.as_deref().map_or(Which::All, Which::Filter);
    let simulations: Vec<_> =
        db.simulations(which)?.into_iter().map(SimulationInfo::plain).collect();
    if simulations.is_empty() && args.filter.is_none() {
        report_stores(&args.file, console)?;
    }
    if console.json {
        console.document(&json!({ "simulations": simulations }))?;
        return Ok(Exit::Done);
    }
    let metric = match &args.metric {
        Some(name) => Some(name.clone()),
        None => first_metric(&db, simulations.first().map(|s| s.simulation_id.as_str()))?,
    };
    let mut names: Vec<&String> = Vec::new();
    for name in simulations.iter().flat_map(|s| s.parameters.keys()) {
        let first = simulations[0].parameters.get(name);
        let differs = simulations.iter().any(|s| s.parameters.get(name) != first);
        if (differs || simulations.len() == 1) && !names.contains(&name) {
            names.push(name);
        }
    }
    let format = Format::or_default(args.format, console);
    let mut others = Vec::new();
    if format == Format::Table {
        let is_short = |name: &&&String| {
            simulations.iter().all(|s| s.parameters.get(**name).is_none_or(is_short))
        };
        let shown: Vec<&String> =
            names.iter().filter(is_short).take(MOST_COLUMNS).copied().collect();
        others = std::mem::replace(&mut names, shown);
        others.retain(|name| !names.contains(name));
    }
    let has_names = simulations.iter().any(|s| s.provenance.contains_key("run_name"));
    let columns = columns((has_names, &names), metric.as_deref(), format);
    let mut rows = Rows::begin(console, format, columns)?;
    for simulation in &simulations {
        let mut row = vec![
            json!(simulation.simulation_id),
            json!(simulation.status),
            simulation.last_step.map_or(Value::Null, |step| json!(step.saturating_add(1))),
            json!(simulation.rows),
        ];
        if has_names {
            row.insert(1, simulation.provenance.get("run_name").cloned().unwrap_or_default());
        }
        row.extend(
            names.iter().map(|name| simulation.parameters.get(*name).cloned().unwrap_or_default()),
        );
        if let Some(metric) = &metric {
            let values: Vec<f64> =
                db.metric(&simulation.simulation_id, metric)?.into_iter().map(|(_, x)| x).collect();
            let shown = if format == Format::Table { number } else { rows::number };
            row.push(values.last().map_or(Value::Null, |x| shown(*x)));
            row.push(json!(sparkline(&values, SPARK)));
        }
        row.push(json!(simulation.start_time));
        rows.row(row)?;
    }
    rows.end()?;
    if !others.is_empty() {
        let names: Vec<String> = others.iter().map(|name| escaped((*name).clone())).collect();
        let (n, names) = (names.len(), names.join(", "));
        console.line(format!("and {n} more: {names} (--format csv has all of them)"))?;
    }
    Ok(Exit::Done)
}

/// Says what a file without simulations of experiments has.
fn report_stores(file: &Path, console: &Console) -> Outcome<()> {
    let siltstone::Info::File(info) = siltstone::open_read_only(file)?.info()? else {
        return Ok(());
    };
    let stores = info.schema.keys().filter(|store| *store != "experiment");
    let stores = stores.map(String::as_str).collect::<Vec<_>>().join(", ");
    let stores = if stores.is_empty() { "nothing yet".into() } else { stores };
    console.note(&format!("{} has no experiments; it has: {stores}", file.display()));
    Ok(())
}

/// The names of the columns, each once.
fn columns(
    (has_names, parameters): (bool, &[&String]),
    metric: Option<&str>,
    format: Format,
) -> Vec<String> {
    const BEFORE: [&str; 4] = ["simulation", "status", "steps", "rows"];
    const AFTER: [&str; 2] = ["sparkline", "started"];
    let is_own = |name: &str| {
        BEFORE.contains(&name)
            || has_names && name == "name"
            || AFTER.contains(&name)
            || ["params.", "metric."].iter().any(|space| name.starts_with(space))
    };
    let mut columns = BEFORE.map(str::to_owned).to_vec();
    if has_names {
        columns.insert(1, "name".into());
    }
    columns.extend(parameters.iter().map(|name| {
        let is_taken = is_own(name) || metric == Some(name.as_str());
        if is_taken { format!("params.{name}") } else { (*name).clone() }
    }));
    if let Some(metric) = metric {
        columns.push(if is_own(metric) { format!("metric.{metric}") } else { metric.into() });
        columns.push(if format == Format::Table { String::new() } else { AFTER[0].into() });
    }
    columns.push(AFTER[1].into());
    columns
}

/// The metric that is drawn where none is named.
fn first_metric(db: &ExperimentDatabase, simulation: Option<&str>) -> Outcome<Option<String>> {
    let Some(simulation) = simulation else { return Ok(None) };
    let names = db.metric_names(simulation)?;
    let preferred = names.iter().position(|name| name == "total_agents");
    let own = names.iter().position(|name| name != "resources_consumed");
    Ok(preferred.or(own).map(|index| names[index].clone()))
}

fn is_short(value: &Value) -> bool {
    !value.is_object() && !value.is_array() && value.to_string().len() <= 24
}

/// A number for the eye: of six digits behind the point, or six that say something.
fn number(x: f64) -> Value {
    let rounded = match x.abs() {
        1e9.. => x,
        1.0.. => (x * 1e6).round() / 1e6,
        _ => format!("{x:.5e}").parse().unwrap_or(x),
    };
    rows::number(rounded)
}
