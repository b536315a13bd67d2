//! `silt state`: an entity group at a time.

use std::path::PathBuf;

use serde_json::{Value, json};
use siltstone::Error;
use siltstone::array::Kind;
use siltstone::simulation::json::{Schema, row_values};
use siltstone::simulation::{
    GroupState, Results, ResultsOptions, SimulationDatabase, Time, Timeline,
};

use crate::console::Console;
use crate::exit::{Exit, Failure, Outcome};
use crate::human;
use crate::import::schema_of;
use crate::rows::{self, Format, Rows};

/// Print the state of an entity group at a time
///
/// For each entity and attribute the last value given at or before the time. Before the first update
/// that is the initial state, after the last one the last. The cost does not grow with the run.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt state run.db transport_network road_segments --at 3600
  silt state run.db transport_network road_segments --at 2020-01-01T01:00 --attribute speed")]
pub(crate) struct Args {
    /// The database
    file: PathBuf,

    /// The dataset
    dataset: String,

    /// The entity group
    group: String,

    /// An integer timestamp, or a date and time where the run has a timeline (default: the end)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    at: Option<String>,

    /// Print only this attribute; may be given several times
    #[arg(long, value_name = "NAME")]
    attribute: Vec<String>,

    /// The attributes' types, a JSON list, in place of those that the file keeps
    #[arg(long, value_name = "FILE")]
    attributes: Option<PathBuf>,

    /// Print only the first entities
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// Output format (default: a table on a terminal, TSV in a pipe)
    #[arg(long, short, value_enum)]
    format: Option<Format>,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    let db = SimulationDatabase::open_read_only(&args.file)?;
    let timeline = db.run()?.timeline;
    let timestamp = match &args.at {
        Some(text) => Timeline::parse(timeline.as_ref(), text)?,
        None => db.timestamps(&args.dataset)?.last().copied().unwrap_or(-1),
    };
    let given = args.attributes.as_deref().map(schema_of).transpose()?;
    let Some(state) = state_at(args, &db, given.clone(), timestamp)? else {
        return Err(not_there(args, &db)?);
    };
    let schema = given.map_or_else(|| db.schema(), Ok)?;
    let chosen = columns(args, &state, &schema)?;
    let entities = state.ids.len().min(args.limit.unwrap_or(usize::MAX));
    let moment = timeline.map(|line| human::moment(line.seconds_of(timestamp)));
    if console.json && args.format.is_none() {
        return document(args, console, &state, chosen, entities, moment);
    }
    let when = moment.map_or(String::new(), |moment| format!(" ({moment})"));
    let shown = match entities < state.ids.len() {
        true => format!("{} of ", human::count(entities as u64)),
        false => String::new(),
    };
    console.note(&format!(
        "{} of {} at {timestamp}{when}: {shown}{}",
        args.group,
        args.dataset,
        human::plural(state.ids.len() as u64, "entity"),
    ));
    let names = std::iter::once("id".to_owned()).chain(chosen.iter().map(|c| c.0.clone()));
    let format = Format::or_default(args.format, console);
    let mut rows = Rows::begin(console, format, names.collect())?;
    for (i, id) in state.ids.iter().take(entities).enumerate() {
        let values = chosen.iter().map(|(_, values)| values[i].clone());
        rows.row(std::iter::once(Value::from(*id)).chain(values).collect())?;
    }
    rows.end()?;
    Ok(Exit::Done)
}

/// The state; `None` if there is no such dataset or group. Types that were given decide how initial
/// data are read too.
fn state_at(
    args: &Args,
    db: &SimulationDatabase,
    given: Option<Schema>,
    timestamp: i64,
) -> Outcome<Option<GroupState>> {
    let Some(schema) = given else {
        return match db.state_at(&args.dataset, &args.group, timestamp) {
            Err(Error::NotFound { .. }) => Ok(None),
            other => Ok(Some(other?)),
        };
    };
    let options = ResultsOptions { schema, ..ResultsOptions::default() };
    match Results::open(&args.file, options)?.dataset(&args.dataset) {
        Err(Error::NotFound { .. }) => Ok(None),
        dataset => Ok(dataset?.state_at(&args.group, &Time::Timestamp(timestamp))?),
    }
}

/// Name and values of the attributes that were asked for, or of all.
fn columns(args: &Args, state: &GroupState, schema: &Schema) -> Outcome<Vec<(String, Vec<Value>)>> {
    let names: Vec<&str> = match args.attribute.is_empty() {
        true => state.columns.iter().map(|column| column.name.as_str()).collect(),
        false => args.attribute.iter().map(String::as_str).filter(|name| *name != "id").collect(),
    };
    let column = |name: &str| {
        let column = state.column(name).ok_or_else(|| {
            let known: Vec<&str> = state.columns.iter().map(|c| c.name.as_str()).collect();
            let group = &args.group;
            Failure::said(format!(
                "attribute {name:?} is not in {group}; it has {}",
                known.join(", ")
            ))
        })?;
        let values = row_values(&column.attribute, schema.get(name)).map_err(|error| {
            let location = format!("{}/{}/{name}", args.dataset, args.group);
            match error {
                Error::Invalid { expected, got, .. } => {
                    Error::Invalid { what: location, expected, got }
                }
                other => other,
            }
        });
        let mut values = match values? {
            Value::Array(values) => values,
            other => vec![other],
        };
        // Infinities, which JSON does not have.
        let data = &column.attribute.data;
        let floats = match (data.dtype().kind(), data.shape().len(), &column.attribute.row_ptr) {
            (Kind::Float, 1, None) => data
                .to_vec::<f64>()
                .or_else(|| Some(data.to_vec::<f32>()?.into_iter().map(f64::from).collect())),
            _ => None,
        };
        for (i, value) in values.iter_mut().enumerate() {
            if !column.is_defined(i) {
                *value = Value::Null;
            } else if let (Value::Null, Some(x)) = (&*value, floats.as_ref().and_then(|x| x.get(i)))
            {
                *value = rows::number(*x);
            }
        }
        Ok((name.to_owned(), values))
    };
    names.into_iter().map(column).collect()
}

fn document(
    args: &Args,
    console: &mut Console,
    state: &GroupState,
    chosen: Vec<(String, Vec<Value>)>,
    entities: usize,
    moment: Option<String>,
) -> Outcome {
    let attributes: serde_json::Map<_, _> = (chosen.into_iter())
        .map(|(name, mut values)| {
            values.truncate(entities);
            (name, Value::Array(values))
        })
        .collect();
    console.document(&json!({
        "dataset": args.dataset,
        "entity_group": args.group,
        "timestamp": state.timestamp,
        "moment": moment,
        "entities": state.ids.len(),
        "id": &state.ids[..entities],
        "attributes": attributes,
    }))?;
    Ok(Exit::Done)
}

/// The sentence for a dataset or group that is not there: it names those that are.
fn not_there(args: &Args, db: &SimulationDatabase) -> Outcome<Failure> {
    let mut datasets = db.datasets()?;
    datasets.extend(db.initial_datasets()?);
    datasets.sort();
    datasets.dedup();
    let file = args.file.display();
    if !datasets.contains(&args.dataset) {
        let known = datasets.join(", ");
        return Ok(Failure::said(format!(
            "dataset {:?} is not in {file}; it has {known}",
            args.dataset
        )));
    }
    let known = db.groups(&args.dataset)?.join(", ");
    let (group, dataset) = (&args.group, &args.dataset);
    Ok(Failure::said(format!(
        "entity group {group:?} is not in dataset {dataset} of {file}; it has {known}"
    )))
}
