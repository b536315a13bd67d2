//! Tables of a lake, back into a file or a folder of ticks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use super::action::Add;
use super::checking::tag;
use super::filter::Filter;
use super::listing::no_lake;
use super::log::{Log, State};
use super::objects::Objects;
use crate::error::{Error, Result};
use crate::experiment::PulledRuns;
use crate::kernel::{Database, Progress, Temporary, sync_name};
use crate::memory::PulledMemories;
use crate::series::PulledSeries;
use crate::simulation::{PulledUpdates, STATES};
use crate::table::{Pulled, RowHash, read_parquet_file};
use crate::ticks::PulledTicks;

/// The table that makes a folder of ticks.
const TICKS: &str = "ticks";
/// What records belong to.
const RUNS: &str = "runs";
const SERIES: [&str; 2] = ["series", "series_points"];
const UPDATES: &str = "simulation_updates";
const MEMORIES: [&str; 4] = ["concepts", "episodes", "relationships", "learning_events"];

/// What is brought back.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct PullOptions {
    /// Only these tables; all that have rows if empty. `series` and `series_points` go together, and records with `runs`.
    pub tables: Vec<String>,
    /// Only what the file of this name published (`store_id`).
    pub store: Option<String>,
    /// Only rows with these values, each of a column that all the tables have.
    pub filters: Vec<(String, String)>,
}

/// What was brought back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PullReport {
    /// Rows of each table.
    pub tables: BTreeMap<String, u64>,
    /// Rows of the lake that are not brought back, since they are made of others: those of `simulation_states`.
    pub not_pulled: BTreeMap<String, u64>,
    /// Files of the lake that were read.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
}

impl PullReport {
    /// Refuses what has no row, and notes how many rows of states there are.
    fn of(mut self, address: &str, states: u64) -> Result<Self> {
        self.not_pulled.extend((states > 0).then(|| (STATES.to_owned(), states)));
        if self.tables.values().all(|rows| *rows == 0) { Err(nothing(address)) } else { Ok(self) }
    }
}

/// A data file that is read.
struct Source<'a> {
    add: &'a Add,
    store: &'a str,
    rows: u64,
    hash: &'a str,
    /// Files of a table are read in this order: so their rows were.
    order: (&'a str, Vec<(i64, &'a str)>, i64),
}

/// A table that is brought back.
struct Table<'a> {
    name: String,
    objects: Objects,
    filter: Filter,
    sources: Vec<Source<'a>>,
}

/// Brings tables of a lake back: `ticks` into a new folder of ticks, series, memories, updates of simulations, and runs with their
/// records into a new file. Each data file is held against its hash in the log. The target gets its name when all is there.
///
/// Of embeddings the numbers come back, as doubles in one dimension; the offset of ticks from UTC does not, nor the order of
/// attributes in an update.
///
/// - `progress`: gets rows that were read, and in all.
///
/// # Errors
/// [`Error::Exists`] for a target that is there; [`Error::NotFound`] for a lake, table, store or column that is not;
/// [`Error::Invalid`] for tables that cannot be brought back, ticks beside others, and rows of two stores with one key;
/// [`Error::Corrupt`] for a data file that is not as the log says; [`Error::Server`] and what the disk says. There is no target
/// then.
///
/// # Example
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// use siltstone::lake::{PublishOptions, PullOptions, publish, pull};
/// use siltstone::memory::NewLearningEvent;
///
/// let db = siltstone::open(folder.path().join("agent.db"))?;
/// db.memory()?.store_learning_event(NewLearningEvent::new("maze", 0.2, "explore"))?;
/// let lake = folder.path().join("lake").display().to_string();
/// publish(&db, &lake, &PublishOptions::default(), &mut |_, _| Ok(()))?;
/// let copy = folder.path().join("copy.db");
/// let report = pull(&lake, &copy, &PullOptions::default(), &mut |_, _| Ok(()))?;
/// assert_eq!(report.tables["learning_events"], 1);
/// # Ok::<(), siltstone::Error>(())
/// ```
pub fn pull(
    address: &str,
    target: impl AsRef<Path>,
    options: &PullOptions,
    progress: &mut Progress<'_>,
) -> Result<PullReport> {
    let target = target.as_ref();
    let lake = Objects::open_existing(address)?;
    if target.exists() {
        return Err(is_there(target));
    }
    let mut states = Vec::new();
    for name in lake.folders()? {
        let state = Log::new(lake.folder(&name)).load()?;
        states.extend(state.version.is_some().then_some((name, state)));
    }
    if states.is_empty() {
        return Err(no_lake(&lake));
    }
    let wanted = wanted(&lake, &states, options)?;
    let of_states = states.iter().filter(|(name, _)| name == STATES && options.tables.is_empty());
    let adds = of_states.flat_map(|(_, state)| state.files.values());
    let not_pulled = adds.filter(|add| is_of(add, options)).filter_map(super::listing::rows).sum();
    let mut tables = Vec::new();
    for (name, state) in states.iter().filter(|(name, _)| wanted.contains(name.as_str())) {
        tables.extend(table(&lake, name, state, options)?);
    }
    // What others need comes first: `series` does by its name.
    tables.sort_by_key(|table: &Table<'_>| ![RUNS, "concepts"].contains(&table.name.as_str()));
    if tables.is_empty() {
        return Err(nothing(address));
    }
    let is_of_ticks = tables.iter().any(|table| table.name == TICKS);
    if is_of_ticks && tables.len() > 1 {
        let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
        let expected =
            "ticks alone, which become a folder, or other tables, which become a file (--table)";
        return Err(Error::invalid("the tables to pull", expected, names.join(", ")));
    }
    let temporary = Temporary::folder(target)?;
    if is_of_ticks {
        let mut ticks = PulledTicks::new(temporary.path());
        let report = take(&mut [&mut ticks], &tables, progress)?.of(address, not_pulled)?;
        drop(ticks);
        if target.exists() {
            return Err(is_there(target));
        }
        temporary.rename(target)?;
        sync_name(target)?;
        return Ok(report);
    }
    let temporary = temporary.emptied();
    let db = Database::builder(temporary.path().join("pulled.db")).open()?;
    let mut series = PulledSeries::new(db.clone())?;
    let mut memories = PulledMemories::new(db.clone())?;
    let mut updates = PulledUpdates::new(db.clone())?;
    let mut runs = PulledRuns::new(db.clone());
    let takers: &mut [&mut dyn Pulled] = &mut [&mut series, &mut memories, &mut updates, &mut runs];
    let report = take(takers, &tables, progress)?.of(address, not_pulled)?;
    drop((series, memories, updates, runs));
    db.backup(target)?;
    db.close()?;
    Ok(report)
}

fn nothing(address: &str) -> Error {
    Error::invalid(
        "the rows to pull",
        "rows of these tables, of this store (`silt lake ls` lists them) and with these values",
        format!("none in {address}"),
    )
}

fn is_there(target: &Path) -> Error {
    let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let above = target.parent().map(|above| above.display().to_string());
    let location = above.filter(|above| !above.is_empty()).unwrap_or_else(|| ".".into());
    let hint = "rows are brought back into a new file or folder: choose another name; `silt merge` and `silt series copy` \
        put them into a file that exists";
    Error::Exists { what: format!("{name:?}"), location, hint }
}

/// The tables that are wanted.
fn wanted(
    lake: &Objects,
    states: &[(String, State)],
    options: &PullOptions,
) -> Result<BTreeSet<String>> {
    let mut wanted: BTreeSet<String> = options.tables.iter().cloned().collect();
    if wanted.contains(STATES) {
        let got = format!("{STATES}, which publishing makes of {UPDATES} (--states-every)");
        return Err(Error::invalid("the tables to pull", "tables that can be brought back", got));
    }
    if let Some(name) = wanted.iter().find(|name| !states.iter().any(|(own, _)| own == *name)) {
        let location = lake.address().to_owned();
        return Err(Error::NotFound { what: "table", name: name.clone(), location });
    }
    if wanted.is_empty() {
        let stores = |state: &State| state.files.values().any(|add| is_of(add, options));
        wanted.extend(states.iter().filter(|(_, s)| stores(s)).map(|(name, _)| name.clone()));
        wanted.remove(STATES);
    }
    if SERIES.iter().any(|name| wanted.contains(*name)) {
        wanted.extend(SERIES.iter().map(|name| (*name).to_owned()));
    }
    if wanted.iter().any(|name| is_of_records(name)) {
        wanted.insert(RUNS.to_owned());
    }
    Ok(wanted)
}

/// Whether a table is none of those that each lake calls so.
fn is_of_records(name: &str) -> bool {
    ![TICKS, RUNS, UPDATES].contains(&name) && !SERIES.contains(&name) && !MEMORIES.contains(&name)
}

fn store_of(add: &Add) -> Option<&str> {
    add.partition_values.get("store_id")?.as_deref()
}

fn is_of(add: &Add, options: &PullOptions) -> bool {
    options.store.as_deref().is_none_or(|store| store_of(add) == Some(store))
}

/// What is read of a table; `None` if nothing is.
fn table<'a>(
    lake: &Objects,
    name: &str,
    state: &'a State,
    options: &PullOptions,
) -> Result<Option<Table<'a>>> {
    let objects = lake.folder(name);
    let Some(metadata) = &state.metadata else { return Ok(None) };
    let filter = Filter::new(name, metadata, &options.filters)?;
    let adds = state.files.values().filter(|add| is_of(add, options) && filter.may_have(add));
    let source = |add: &'a Add| {
        let partitions = metadata.partition_columns.iter().filter(|name| *name != "store_id");
        let value = |name: &String| {
            let text = add.partition_values.get(name)?.as_deref()?;
            Some((text.parse().unwrap_or(i64::MAX), text))
        };
        let store = store_of(add)?;
        let first = tag(add, "siltstone_first")?.parse().ok()?;
        Some(Source {
            add,
            store,
            rows: tag(add, "siltstone_rows")?.parse().ok()?,
            hash: tag(add, "siltstone_hash")?,
            order: (store, partitions.map(value).collect::<Option<_>>()?, first),
        })
    };
    let sources = adds.map(|add| {
        source(add).ok_or_else(|| {
            let what = format!("{name}/{}", add.path);
            let expected = "a file as it was published";
            Error::invalid(what, expected, "one that another program has written")
        })
    });
    let mut sources = sources.collect::<Result<Vec<_>>>()?;
    sources.sort_by(|a, b| a.order.cmp(&b.order));
    let table = Table { name: name.to_owned(), objects, filter, sources };
    Ok((!table.sources.is_empty()).then_some(table))
}

/// Reads the tables, each in its order.
fn take(
    takers: &mut [&mut dyn Pulled],
    tables: &[Table<'_>],
    progress: &mut Progress<'_>,
) -> Result<PullReport> {
    let all = tables.iter().flat_map(|table| &table.sources).map(|source| source.rows).sum();
    let mut report = PullReport::default();
    let mut done = 0;
    for table in tables {
        let name = &table.name;
        let taker = takers.iter_mut().find(|taker| taker.takes(name));
        let taker = taker.expect("the last one takes what is left");
        let mut taken = 0;
        for source in &table.sources {
            report.files += 1;
            report.bytes += source.add.size as u64;
            let mut hash = RowHash::default();
            let damaged = |why: &str| Error::Corrupt {
                location: table.objects.address().to_owned(),
                what: source.add.path.clone(),
                why: why.to_owned(),
            };
            let file = table.objects.fetch_logged(&source.add.path)?;
            let file = file.ok_or_else(|| damaged("it is not there"))?;
            let mut batches = read_parquet_file(Path::new(&source.add.path), file)?;
            while let Some(batch) = batches.next_batch()? {
                progress(done, all)?;
                done += batch.num_rows() as u64;
                hash.add(&batch)?;
                let rows = table.filter.rows(batch)?;
                taken += rows.num_rows() as u64;
                if rows.num_rows() > 0 {
                    taker.take(name, source.store, &rows)?;
                }
            }
            if (hash.rows, hash.text().as_str()) != (source.rows, source.hash) {
                return Err(damaged("its rows are not those that the log says"));
            }
            taker.end_of_file()?;
        }
        report.tables.insert(name.clone(), taken);
    }
    progress(done, all)?;
    takers.iter_mut().try_for_each(|taker| taker.finish())?;
    Ok(report)
}
