//! Updates of a file into the database, compared with what is there.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::FileReport;
use crate::error::{Error, Result};
use crate::kernel::{Progress, check_interrupted};
use crate::simulation::database::SimulationDatabase;
use crate::simulation::difference::{
    Conflict, Identity, difference, difference_in_values, in_words, is_same_value, stored,
};
use crate::simulation::json::row_values;
use crate::simulation::update::{GIVEN, Group, Update};

/// Updates of one transaction,
const CHUNK_UPDATES: usize = 256;
/// or fewer large ones: their bytes.
const CHUNK_BYTES: usize = 32 << 20;

pub(super) struct Storing<'a> {
    db: Option<&'a SimulationDatabase>,
    path: &'a Path,
    known: HashSet<Identity>,
    /// The last update of the dataset that was there before.
    last: Option<i64>,
    waiting: Vec<Update>,
    bytes: usize,
    done: u64,
    all: u64,
    report: FileReport,
}

impl<'a> Storing<'a> {
    pub(super) fn new(
        db: Option<&'a SimulationDatabase>,
        path: &'a Path,
        dataset: &str,
        all: u64,
    ) -> Result<Self> {
        let mut known = db.map_or_else(|| Ok(HashSet::new()), SimulationDatabase::keys)?;
        known.retain(|(_, _, of)| of == dataset);
        let last = known.iter().map(|(time, _, _)| *time).max();
        let report = FileReport::default();
        Ok(Storing { db, path, known, last, waiting: Vec::new(), bytes: 0, done: 0, all, report })
    }

    /// Stores an update, or compares it.
    ///
    /// # Errors
    /// What the database says; that of `progress`.
    pub(super) fn push(&mut self, update: Update, progress: &mut Progress<'_>) -> Result<()> {
        let identity = (update.timestamp, update.iteration, update.dataset.clone());
        if let Some(db) = self.db.filter(|_| self.known.contains(&identity)) {
            check_interrupted("importing")?;
            return self.compare(db, &identity, update, progress);
        }
        let arrays = update.data.iter().flat_map(|group| &group.attributes);
        self.bytes += arrays.map(|(_, attribute)| attribute.data.data().len()).sum::<usize>();
        self.waiting.push(update);
        if self.waiting.len() >= CHUNK_UPDATES || self.bytes >= CHUNK_BYTES {
            self.store(progress)?;
        }
        Ok(())
    }

    fn compare(
        &mut self,
        db: &SimulationDatabase,
        identity: &Identity,
        update: Update,
        progress: &mut Progress<'_>,
    ) -> Result<()> {
        self.done += 1;
        let found = stored(db, identity)?;
        let differ = |found: &Update| {
            difference(found, &update).and_then(|why| match found.origin == update.origin {
                true => difference_in_values(&found.data, &update.data),
                false => Some(why),
            })
        };
        let Some(why) = found.as_ref().and_then(differ) else {
            self.report.unchanged += 1;
            return progress(self.done, self.all);
        };
        let is_last = self.last == Some(update.timestamp);
        if is_last && found.is_some_and(|found| is_beginning(&found, &update)) {
            match db.store(update) {
                Ok(_) => {
                    self.report.updates += 1;
                    return progress(self.done, self.all);
                }
                Err(Error::Exists { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let what = in_words(identity);
        self.report.conflicts.push(Conflict { source: self.path.to_owned(), what, why });
        progress(self.done, self.all)
    }

    fn store(&mut self, progress: &mut Progress<'_>) -> Result<()> {
        check_interrupted("importing")?;
        let updates = std::mem::take(&mut self.waiting);
        let count = updates.len() as u64;
        self.bytes = 0;
        if let Some(db) = self.db.filter(|_| count > 0) {
            db.store_updates(updates)?;
        }
        self.report.updates += count;
        self.done += count;
        progress(self.done, self.all)
    }

    pub(super) fn finish(mut self, progress: &mut Progress<'_>) -> Result<FileReport> {
        self.store(progress)?;
        Ok(self.report)
    }
}

/// Whether what is stored is what a file said when it had fewer rows of this time.
fn is_beginning(stored: &Update, whole: &Update) -> bool {
    let mut entities = 0;
    for group in &stored.data {
        let Some(whole) = whole.data.iter().find(|other| other.name == group.name) else {
            return false;
        };
        let (Some(rows), Some(of)) = (rows(group), rows(whole)) else { return false };
        for (id, values) in &rows {
            let Some(others) = of.get(id) else { return false };
            entities += 1;
            let is_same = |(name, value): (&String, &serde_json::Value)| {
                let is_same = |other| is_same_value(value, other);
                value.is_null() || others.get(name).is_some_and(is_same)
            };
            if !values.iter().all(is_same) {
                return false;
            }
        }
    }
    entities > 0
}

type Values = HashMap<String, serde_json::Value>;

/// What a group says of each entity of which it says something.
fn rows(group: &Group) -> Option<HashMap<i64, Values>> {
    let ids = group.ids().to_i64s()?;
    let mut rows: HashMap<i64, Values> = HashMap::new();
    for (name, attribute) in group.attributes.iter().filter(|(name, _)| name != "id") {
        let values = row_values(attribute, None).ok()?;
        let mask = attribute.mask.as_ref().map(crate::array::Array::data);
        for (row, (id, value)) in ids.iter().zip(values.as_array()?).enumerate() {
            if mask.is_none_or(|mask| mask[row] == GIVEN) {
                rows.entry(*id).or_default().insert(name.clone(), value.clone());
            }
        }
    }
    Some(rows)
}
