//! Tables of updates back into a database.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array as _, RecordBatch};

use super::column::DTYPE;
use super::decode::{Decoder, integers};
use super::plan::OWN;
use super::{DATASET, GROUP, KIND};
use crate::array::DType;
use crate::error::{Error, Result};
use crate::kernel::{Progress, Skipped, read_if_there};
use crate::simulation::database::SimulationDatabase;
use crate::simulation::import::{ImportOptions, ImportReport, import};
use crate::simulation::json::Schema;
use crate::simulation::update::{Attribute, Group, Update};
use crate::table::{self, Batches, Format};

/// Updates of one transaction.
const CHUNK_UPDATES: usize = 256;

/// Imports a folder that [`export`](crate::simulation::export) made with Parquet or Arrow tables of
/// updates: the tables, `init_data` and `attributes.json`. Updates that are in the database already
/// are unchanged.
///
/// `progress` gets tables done and in all, and stops the import by returning an error.
///
/// # Errors
/// [`Error::Invalid`] for a folder without such tables, or a table without the metadata that say
/// what it holds; [`Error::Corrupt`] for a damaged file; [`Error::Io`]: all tables are opened before anything is stored,
/// since an update is in several. A dataset whose tables turn out to be damaged further on is named in the report, and the
/// others go on.
pub fn import_tables(
    db: &SimulationDatabase,
    folder: impl AsRef<Path>,
    progress: &mut Progress<'_>,
) -> Result<ImportReport> {
    let folder = folder.as_ref();
    let mut datasets: BTreeMap<String, Vec<Table>> = BTreeMap::new();
    let mut all = 0;
    for path in paths(folder)? {
        if let Some((dataset, table)) = Table::open(&path)? {
            datasets.entry(dataset).or_default().push(table);
            all += 1;
        }
    }
    if all == 0 {
        let expected = "a folder with .parquet or .arrow tables of updates";
        return Err(Error::invalid(folder.display().to_string(), expected, "none"));
    }
    let attributes = folder.join("attributes.json");
    let schema = match read_if_there(&attributes, Schema::MAX_BYTES)? {
        Some(text) => Schema::parse(&text)?,
        None => Schema::default(),
    };
    let init_dir = Some(folder.join("init_data")).filter(|folder| folder.is_dir());
    let options = ImportOptions { init_dir, schema, ..ImportOptions::default() };
    let mut report = import(db, &options, &mut |_, _| Ok(()))?;
    let stored = db.keys()?;
    let mut done = 0;
    progress(0, all)?;
    for (dataset, mut tables) in datasets {
        let reported = (&mut *progress, done, all);
        let read = import_dataset(db, &dataset, &mut tables, &stored, &mut report, reported);
        if let Err(error) = read {
            if !error.concerns(folder) {
                return Err(error);
            }
            // What was stored of it stays; the other datasets go on.
            let reason = format!("the rest of dataset {dataset:?}: {error}");
            report.skipped.push(Skipped::new(folder, reason));
        }
        done += tables.len() as u64;
        progress(done, all)?;
    }
    Ok(report)
}

fn paths(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder, "listing it", &e))?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(|e| Error::io(folder, "listing it", &e))?;
    paths.retain(|path| matches!(Format::of_path(path), Some(Format::Parquet | Format::Arrow)));
    paths.sort();
    Ok(paths)
}

/// All groups of a dataset side by side, the earliest update first.
fn import_dataset(
    db: &SimulationDatabase,
    dataset: &str,
    tables: &mut [Table],
    stored: &HashSet<(i64, i64, String)>,
    report: &mut ImportReport,
    (progress, done, all): (&mut Progress<'_>, u64, u64),
) -> Result<()> {
    let mut waiting = Vec::new();
    loop {
        let mut first = None;
        for table in tables.iter_mut() {
            first = [first, table.position()?].into_iter().flatten().min();
        }
        let Some(position) = first else { break };
        let (timestamp, iteration) = position;
        let mut update =
            Update { timestamp, iteration, dataset: dataset.to_owned(), ..Update::default() };
        for table in tables.iter_mut() {
            if table.position()? == Some(position) {
                update.data.push(table.take(position, &mut update.origin)?);
            }
        }
        if stored.contains(&(timestamp, iteration, dataset.to_owned())) {
            report.unchanged += 1;
            continue;
        }
        waiting.push(update);
        if waiting.len() >= CHUNK_UPDATES {
            report.updates += db.store_updates(std::mem::take(&mut waiting))?.len() as u64;
            progress(done, all)?;
        }
    }
    if !waiting.is_empty() {
        report.updates += db.store_updates(waiting)?.len() as u64;
    }
    Ok(())
}

/// One group's table, read update by update.
struct Table {
    what: String,
    group: String,
    batches: Batches,
    batch: Option<RecordBatch>,
    row: usize,
    id: DType,
    columns: Vec<(usize, Decoder)>,
}

impl Table {
    /// The table and its dataset; `None` if it does not hold updates.
    fn open(path: &Path) -> Result<Option<(String, Self)>> {
        let what = path.display().to_string();
        let batches = table::read(path)?;
        let schema = batches.schema().clone();
        let says = |key| schema.metadata().get(key).cloned();
        if says(KIND).as_deref() != Some("updates") {
            return Ok(None);
        }
        let (Some(dataset), Some(group)) = (says(DATASET), says(GROUP)) else {
            return Err(Error::invalid(what, "a dataset and a group in its metadata", "none"));
        };
        for name in &OWN[..3] {
            let field = schema.field_with_name(name).ok();
            if field.is_none_or(|f| *f.data_type() != arrow_schema::DataType::Int64) {
                return Err(Error::invalid(what, format!("a column {name} of Int64"), "none"));
            }
        }
        let id = schema.field_with_name("id").ok().and_then(|id| id.metadata().get(DTYPE));
        let id = id.map_or(Ok(DType::I64), |dtype| dtype.parse())?;
        let fields = schema.fields().iter().enumerate();
        let fields = fields.filter(|(_, field)| !OWN.contains(&&**field.name()));
        let columns = fields.map(|(i, field)| Ok((i, Decoder::new(&what, field)?)));
        let columns = columns.collect::<Result<_>>()?;
        let table = Table { what, group, batches, batch: None, row: 0, id, columns };
        Ok(Some((dataset, table)))
    }

    /// Timestamp and iteration of the next row.
    fn position(&mut self) -> Result<Option<(i64, i64)>> {
        while self.batch.as_ref().is_none_or(|batch| self.row >= batch.num_rows()) {
            self.batch = self.batches.next_batch()?;
            self.row = 0;
            if self.batch.is_none() {
                return Ok(None);
            }
        }
        let batch = self.batch.as_ref().expect("one was just found");
        Ok(Some((number(batch, "timestamp", self.row), number(batch, "iteration", self.row))))
    }

    /// The rows of one update.
    fn take(&mut self, position: (i64, i64), origin: &mut Option<String>) -> Result<Group> {
        let mut ids = Vec::new();
        let mut cleared: Vec<(String, usize)> = Vec::new();
        let mut rows = 0;
        // A reader may have cut the update in two.
        while self.position()? == Some(position) {
            let batch = self.batch.as_ref().expect("a row of it was just looked at");
            let at = |row| (number(batch, "timestamp", row), number(batch, "iteration", row));
            let length =
                (self.row..batch.num_rows()).take_while(|row| at(*row) == position).count();
            let part = batch.slice(self.row, length);
            self.row += length;
            let id = part.column_by_name("id").expect("checked when it was opened");
            ids.extend(id.as_primitive::<Int64Type>().iter());
            for (i, decoder) in &mut self.columns {
                decoder.push(part.column(*i))?;
            }
            if let Some(column) =
                part.column_by_name("origin").and_then(|c| c.as_string_opt::<i32>())
                && column.is_valid(0)
            {
                *origin = Some(column.value(0).to_owned());
            }
            if let Some(column) =
                part.column_by_name("cleared").and_then(|c| c.as_list_opt::<i32>())
            {
                for row in (0..length).filter(|row| column.is_valid(*row)) {
                    let names = column.value(row);
                    let names = names.as_string::<i32>().iter().flatten();
                    cleared.extend(names.map(|name| (name.to_owned(), rows + row)));
                }
            }
            rows += length;
        }
        let mut group = Group { name: self.group.clone(), attributes: Vec::new() };
        match ids.iter().copied().collect::<Option<Vec<i64>>>() {
            Some(ids) => {
                let ids = Attribute::new(integers(self.id, &ids)?);
                group.attributes.push(("id".into(), ids));
            }
            None if ids.iter().any(Option::is_some) => {
                let what = format!("{} at timestamp {}", self.what, position.0);
                return Err(Error::invalid(what, "an id in each row, or in none", "some"));
            }
            None => {}
        }
        // An attribute of two types has two columns, and only one of them speaks.
        let speaking: Vec<String> = self
            .columns
            .iter()
            .filter(|(_, decoder)| decoder.says_anything())
            .map(|(_, decoder)| decoder.attribute.clone())
            .collect();
        for (_, decoder) in &mut self.columns {
            let name = decoder.attribute.clone();
            let mine = cleared.iter().filter(|(attribute, _)| *attribute == name);
            let mine: Vec<usize> = mine.map(|(_, row)| *row).collect();
            let speaks = decoder.says_anything();
            let clears = !mine.is_empty() && !speaking.contains(&name);
            decoder.clear_rows(mine.into_iter());
            let attribute = decoder.take()?;
            if (speaks || clears) && !group.attributes.iter().any(|(known, _)| *known == name) {
                group.attributes.push((name, attribute));
            }
        }
        Ok(group)
    }
}

fn number(batch: &RecordBatch, name: &str, row: usize) -> i64 {
    let column = batch.column_by_name(name).expect("checked when it was opened");
    column.as_primitive::<Int64Type>().value(row)
}
