//! Memories: episodes of an agent, and backups with retention.

use std::path::{Path, PathBuf};

use siltstone::memory::{MemoryStore, NewEpisode, Payload};
use siltstone::{Array, Database, Durability, Error};

use super::faults::is_backup;
use super::found::{Found, Odd, Rows, rows_of, value_of};
use super::{Outside, Subject, Writer, verified};

/// Backups that stay.
const KEPT: usize = 2;
const NUMBERS: u64 = 40;

pub(super) struct Episodes;

fn file(folder: &Path) -> PathBuf {
    folder.join("agent.db")
}

fn vector(item: u64, row: u64) -> Array {
    let numbers: Vec<f64> = (0..NUMBERS).map(|i| value_of(item, row) + i as f64).collect();
    Array::from_slice(&numbers)
}

/// The items of one file, as plain SQL shows them.
fn items_of(file: &Path) -> Result<Found, Odd> {
    let Some(db) = Outside::open(file, "episodes")? else { return Ok(Found::default()) };
    let sql = "SELECT json_extract(metadata, '$.item'), json_extract(metadata, '$.row'), \
        performance_score, context_hash FROM episodes";
    let mut rows = Rows::default();
    for (item, row, found) in db.each(sql, |row| {
        let found: (f64, String) = (row.get(2)?, row.get(3)?);
        Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64, found))
    })? {
        rows.check("row", (item, row), found, (value_of(item, row), "c".to_owned()))?;
    }
    Ok(Found { items: rows.items(rows_of)?, packed_rows: 0 })
}

impl Subject for Episodes {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn open(
        &self,
        folder: &Path,
        durability: Durability,
        _: u64,
    ) -> Result<Box<dyn Writer>, Error> {
        let db = Database::builder(file(folder)).durability(durability).open()?;
        Ok(Box::new(MemoryStore::over(db)?))
    }

    /// Each backup is a whole file of whole items.
    fn outside(&self, folder: &Path) -> Result<Found, Odd> {
        for backup in super::files_below(folder).into_iter().filter(|path| is_backup(path)) {
            let found = items_of(&backup)?;
            if found.items.is_empty() {
                return Err(Odd::wrong("backup", format!("{} is empty", backup.display())));
            }
        }
        items_of(&file(folder))
    }

    fn inside(&self, folder: &Path) -> Result<Found, Odd> {
        let store = MemoryStore::open(file(folder))?;
        let mut rows = Rows::default();
        for episode in store.episodes_by_context("c", 1 << 40, None)? {
            let known: serde_json::Value = serde_json::from_str(&episode.metadata)
                .map_err(|error| Odd::wrong("row", error.to_string()))?;
            let number = |name: &str| known[name].as_u64().unwrap_or(u64::MAX >> 8);
            let (item, row) = (number("item"), number("row"));
            rows.check("row", (item, row), episode.performance_score, value_of(item, row))?;
            if episode.data()? != Payload::from(vector(item, row)) {
                let what = format!("the experience of row {row} of item {item}");
                return Err(Odd::wrong("array", what));
            }
        }
        Ok(Found { items: rows.items(rows_of)?, packed_rows: 0 })
    }

    fn verify(&self, folder: &Path) -> Result<Vec<String>, Error> {
        verified(&file(folder))
    }

    fn database(&self, folder: &Path) -> Option<PathBuf> {
        Some(file(folder))
    }

    /// The backup that was acknowledged last is there, with what was acknowledged before it, and not more are kept than
    /// were asked for.
    fn heard(&self, folder: &Path, said: &[String]) -> Result<(), Odd> {
        let Some(last) = said.iter().rposition(|line| line.contains("backup ")) else {
            return Ok(());
        };
        let path = said[last].split_once("backup ").expect("the line has it").1;
        let path = folder.join(Path::new(path).file_name().unwrap());
        if !path.exists() {
            return Err(Odd::wrong("backup", format!("{} is gone", path.display())));
        }
        let there = items_of(&path)?.items;
        let acknowledged = said[..last].iter().filter_map(|line| super::acknowledged(line));
        if let Some(lost) = { acknowledged }.find(|item| !there.contains(item)) {
            return Err(Odd::wrong("backup", format!("item {lost} is not in {}", path.display())));
        }
        let kept = super::files_below(folder).iter().filter(|path| is_backup(path)).count();
        match kept <= KEPT + 1 {
            true => Ok(()), // one more if it was killed before it removed one
            false => Err(Odd::wrong("backup", format!("{kept} backups are there"))),
        }
    }
}

impl Writer for MemoryStore {
    fn put(&mut self, item: u64) -> Result<(), Error> {
        let episode = |row| {
            let known = serde_json::json!({ "item": item, "row": row });
            NewEpisode::new(vector(item, row), value_of(item, row), "c")
                .embedding(Array::from_slice(&[item as f32, row as f32]))
                .metadata(known.to_string())
        };
        self.store_episodes((0..rows_of(item)).map(episode).collect()).map(drop)
    }

    fn tend(&mut self, _: u64) -> Result<Option<PathBuf>, Error> {
        self.create_backup(None, KEPT).map(|made| Some(made.path))
    }

    fn close(self: Box<Self>) -> Result<(), Error> {
        self.database().flush()
    }
}
