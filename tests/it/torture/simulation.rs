//! Simulations: updates in SQLite, and results as JSON files.

use std::path::{Path, PathBuf};

use siltstone::simulation::{
    Attribute, CollectorConfig, Group, JsonStrategy, Options, Results, ResultsOptions, Settings,
    SimulationDatabase, StorageStrategy, Update,
};
use siltstone::{Array, Durability, Error};

use super::found::{Found, ITEMS_OF_A_WRITER, Odd, Rows, number_of, rows_of, value_of, writer_of};
use super::{Outside, Subject, Writer, verified};

const GROUP: &str = "roads";
const ENTITIES: u64 = 3;
/// Timestamps of an item.
const SPAN: u64 = 8;

/// Row `row` of an item: an update whose timestamp tells which it is.
fn update(item: u64, row: u64) -> Update {
    let ids: Vec<i64> = (0..ENTITIES as i64).collect();
    let speeds: Vec<f64> = (0..ENTITIES).map(|i| value_of(item, row * ENTITIES + i)).collect();
    let column = |name: &str, array| (name.to_owned(), Attribute::new(array));
    let attributes =
        vec![column("id", Array::from_slice(&ids)), column("speed", Array::from_slice(&speeds))];
    Update {
        timestamp: (number_of(item) * SPAN + row) as i64,
        iteration: 0,
        dataset: format!("d{}", writer_of(item)),
        origin: Some(item.to_string()),
        data: vec![Group { name: GROUP.into(), attributes }],
    }
}

/// The item and row of an update; `None` for a dataset that no item is in.
fn named(dataset: &str, timestamp: i64) -> Option<(u64, u64)> {
    let writer: u64 = dataset.strip_prefix('d')?.parse().ok()?;
    let timestamp = u64::try_from(timestamp).ok()?;
    let (number, row) = (timestamp / SPAN, timestamp % SPAN);
    (number < ITEMS_OF_A_WRITER).then_some((writer * ITEMS_OF_A_WRITER + number, row))
}

fn slot_of(dataset: &str, timestamp: i64) -> Result<(u64, u64), Odd> {
    let no_item = || Odd::wrong("row", format!("{dataset:?} at {timestamp} is no item"));
    named(dataset, timestamp).ok_or_else(no_item)
}

/// What our reader says of the updates.
fn read(db: &SimulationDatabase, rows: &mut Rows) -> Result<(), Odd> {
    for dataset in db.datasets()? {
        for found in db.updates(&dataset)? {
            let (item, row) = slot_of(&dataset, found.timestamp)?;
            let made = update(item, row);
            let speed = |update: &Update| -> Option<Vec<f64>> {
                let group = update.data.iter().find(|group| group.name == GROUP)?;
                let (_, speed) = group.attributes.iter().find(|a| a.0 == "speed")?;
                speed.data.to_vec()
            };
            if let (Some(is), Some(was)) = (speed(&found), speed(&made))
                && is != was
            {
                let what = format!("row {row} of item {item} is {is:?} and was {was:?}");
                return Err(Odd::wrong("array", what));
            }
            // JSON files do not say where an update came from.
            let origin = found.origin.clone().or_else(|| made.origin.clone());
            let found = (found.iteration, origin, found.data);
            rows.check("row", (item, row), found, (made.iteration, made.origin, made.data))?;
        }
    }
    Ok(())
}

pub(super) struct InSqlite;

fn file(folder: &Path) -> PathBuf {
    folder.join("run.db")
}

impl Subject for InSqlite {
    fn name(&self) -> &'static str {
        "simulation"
    }

    fn open(
        &self,
        folder: &Path,
        durability: Durability,
        _: u64,
    ) -> Result<Box<dyn Writer>, Error> {
        let options = Options { durability, no_keyframes: true, ..Options::default() };
        Ok(Box::new(SimulationDatabase::open_with(file(folder), options)?))
    }

    fn outside(&self, folder: &Path) -> Result<Found, Odd> {
        let Some(db) = Outside::open(&file(folder), "update")? else { return Ok(Found::default()) };
        let sql = "SELECT u.dataset_name, u.timestamp, u.origin, a.min_val, a.max_val, \
            (SELECT count(*) FROM update_attribute WHERE update_id = u.id) FROM \"update\" u \
            JOIN update_attribute l ON l.update_id = u.id \
            JOIN attribute_data a ON a.id = l.attribute_data_id AND a.attribute_name = 'speed'";
        let mut rows = Rows::default();
        db.each(sql, |row| {
            let (dataset, timestamp): (String, i64) = (row.get(0)?, row.get(1)?);
            let found: (String, f64, f64, i64) =
                (row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?);
            Ok(((dataset, timestamp), found))
        })?
        .into_iter()
        .try_for_each(|((dataset, timestamp), found)| {
            let (item, row) = slot_of(&dataset, timestamp)?;
            let speeds = (0..ENTITIES).map(|i| value_of(item, row * ENTITIES + i));
            let least = speeds.clone().fold(f64::MAX, f64::min);
            let made = (item.to_string(), least, speeds.fold(f64::MIN, f64::max), 2);
            rows.check("row", (item, row), found, made)
        })?;
        Ok(Found { items: rows.items(rows_of)?, packed_rows: 0 })
    }

    fn inside(&self, folder: &Path) -> Result<Found, Odd> {
        let mut rows = Rows::default();
        read(&SimulationDatabase::open(file(folder))?, &mut rows)?;
        Ok(Found { items: rows.items(rows_of)?, packed_rows: 0 })
    }

    fn verify(&self, folder: &Path) -> Result<Vec<String>, Error> {
        verified(&file(folder))
    }

    fn database(&self, folder: &Path) -> Option<PathBuf> {
        Some(file(folder))
    }
}

impl Writer for SimulationDatabase {
    fn put(&mut self, item: u64) -> Result<(), Error> {
        self.store_updates((0..rows_of(item)).map(|row| update(item, row)).collect()).map(drop)
    }

    fn tend(&mut self, item: u64) -> Result<Option<PathBuf>, Error> {
        match item / 4 % 3 {
            0 => drop(self.build_keyframes()?),
            1 => drop(self.compact(&mut |_, _| Ok(()))?),
            _ => self.database().checkpoint()?,
        }
        Ok(None)
    }

    fn close(self: Box<Self>) -> Result<(), Error> {
        SimulationDatabase::close(*self)
    }
}

pub(super) struct InJson;

fn updates_folder(folder: &Path) -> PathBuf {
    folder.join("updates")
}

impl Subject for InJson {
    fn name(&self) -> &'static str {
        "simulation-json"
    }

    fn open(
        &self,
        folder: &Path,
        durability: Durability,
        _: u64,
    ) -> Result<Box<dyn Writer>, Error> {
        let storage_dir = Some(updates_folder(folder));
        let config = CollectorConfig { storage_dir, append: true, ..CollectorConfig::default() };
        let settings = Settings { durability, ..Settings::default() };
        let strategy = JsonStrategy::choose(&config, &settings)?;
        strategy.initialize()?;
        Ok(Box::new(strategy))
    }

    /// Each update is a file of its own.
    fn outside(&self, folder: &Path) -> Result<Found, Odd> {
        let mut rows = Rows::default();
        for path in super::files_below(&updates_folder(folder)) {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if name.starts_with('.') {
                continue; // a writer that was killed
            }
            let text = std::fs::read(&path).unwrap();
            let parsed: serde_json::Value = serde_json::from_slice(&text)
                .map_err(|error| Odd::wrong("text", format!("{name}: {error}")))?;
            let stem = name.strip_suffix(".json").and_then(|stem| stem.strip_prefix('t'));
            let mut parts = stem.unwrap_or_default().split('_');
            let timestamp = parts.next().and_then(|number| number.parse().ok()).unwrap_or(-1);
            let dataset = parts.nth(1).unwrap_or_default();
            let (item, row) = slot_of(dataset, timestamp)?;
            let speeds: Vec<f64> = (0..ENTITIES).map(|i| value_of(item, i)).collect();
            let ids: Vec<u64> = (0..ENTITIES).collect();
            let made = serde_json::json!({ dataset: { GROUP: { "id": ids, "speed": speeds } } });
            rows.check("text", (item, row), parsed, made)?;
        }
        Ok(Found { items: rows.items(|_| 1)?, packed_rows: 0 })
    }

    fn inside(&self, folder: &Path) -> Result<Found, Odd> {
        let folder = updates_folder(folder);
        let mut rows = Rows::default();
        let is_update = |path: &PathBuf| path.extension().is_some_and(|end| end == "json");
        if super::files_below(&folder).iter().any(is_update) {
            let results = Results::open_json(&folder, ResultsOptions::default())?;
            read(results.database(), &mut rows)?;
        }
        Ok(Found { items: rows.items(|_| 1)?, packed_rows: 0 })
    }
}

impl Writer for JsonStrategy {
    fn put(&mut self, item: u64) -> Result<(), Error> {
        self.store(update(item, 0))
    }

    fn close(self: Box<Self>) -> Result<(), Error> {
        StorageStrategy::close(&*self, None)
    }
}
