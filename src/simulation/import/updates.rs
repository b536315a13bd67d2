//! The files of updates.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::ordered::in_order;
use super::{ImportOptions, ImportReport, list, read_file};
use crate::error::{Error, Result};
use crate::kernel::{Progress, Skipped};
use crate::simulation::database::SimulationDatabase;
use crate::simulation::difference::{Conflict, Identity, difference_as_json, in_words, stored};
use crate::simulation::json::{Schema, parse_file_name, parse_update};
use crate::simulation::prepare::{Prepared, check_update};
use crate::simulation::update::Update;

/// Files that one worker takes at a time, and that one transaction stores;
const CHUNK_FILES: usize = 32;
/// fewer of large ones: their bytes.
const CHUNK_BYTES: u64 = 32 << 20;
/// The most bytes of one file.
pub(in crate::simulation) const MAX_UPDATE_BYTES: u64 = 256 << 20;

struct File {
    path: PathBuf,
    key: Identity,
    bytes: u64,
}

/// What a worker made of a file: its updates, or why there are none.
struct Read<'a> {
    file: &'a File,
    bytes: u64,
    updates: Result<Vec<Found>, String>,
}

/// One update of a file.
enum Found {
    /// To be stored.
    New(Prepared),
    /// In the database, with the same content or another.
    Known(Identity, Option<String>),
    /// Good; there is no database.
    Read(Identity),
}

/// Imports the updates of a folder in the order of their timestamps.
pub(super) fn import_updates(
    db: Option<&SimulationDatabase>,
    folder: &std::path::Path,
    options: &ImportOptions,
    (schema, report): (&Schema, &mut ImportReport),
    progress: &mut Progress<'_>,
) -> Result<()> {
    let files = list_updates(folder, options, report)?;
    let workers = match options.workers {
        0 => std::thread::available_parallelism().map_or(2, |n| n.get()),
        n => n,
    };
    let known = db.map_or_else(|| Ok(HashSet::new()), SimulationDatabase::keys)?;
    let chunks = chunks(&files);
    let all = files.len() as u64;
    let mut done = 0;
    let mut storing = Storing { db, schema, report, taken: HashMap::new() };
    progress(0, all)?;
    in_order(
        &chunks,
        workers,
        |chunk| {
            let files: &[File] = chunk;
            files.iter().map(|file| read_updates(db, file, schema, &known)).collect::<Vec<_>>()
        },
        |chunk| {
            done += chunk.len() as u64;
            storing.chunk(chunk)?;
            progress(done, all)
        },
    )
}

/// Files that are read, and stored, together.
fn chunks(files: &[File]) -> Vec<&[File]> {
    let (mut chunks, mut rest) = (Vec::new(), files);
    while !rest.is_empty() {
        let mut bytes = 0u64;
        let fits = |file: &&File| {
            bytes = bytes.saturating_add(file.bytes);
            bytes <= CHUNK_BYTES
        };
        let n = rest.iter().take(CHUNK_FILES).take_while(fits).count().max(1);
        let (chunk, others) = rest.split_at(n);
        chunks.push(chunk);
        rest = others;
    }
    chunks
}

fn list_updates(
    folder: &std::path::Path,
    options: &ImportOptions,
    report: &mut ImportReport,
) -> Result<Vec<File>> {
    let parse = |name: &str| match &options.update_pattern {
        Some(pattern) => pattern.parse(name),
        None => parse_file_name(name),
    };
    let mut files = Vec::new();
    for path in list(folder)? {
        match path.file_name().and_then(|name| name.to_str()).and_then(parse) {
            Some(key) => {
                // One that cannot be looked at is named when it is read.
                let bytes = std::fs::metadata(&path).map_or(0, |known| known.len());
                files.push(File { path, key, bytes });
            }
            None => report.other_files += 1,
        }
    }
    files.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(files)
}

fn read_updates<'a>(
    db: Option<&SimulationDatabase>,
    file: &'a File,
    schema: &Schema,
    known: &HashSet<Identity>,
) -> Read<'a> {
    let mut bytes = 0;
    let mut read = || -> Result<Vec<Found>, String> {
        let mut found = Vec::new();
        for update in parse(file, schema, &mut bytes)? {
            let identity = identity(&update);
            found.push(match db {
                Some(db) if known.contains(&identity) => {
                    let why = compare(db, &identity, &update, schema);
                    Found::Known(identity, why.flatten())
                }
                Some(db) => Found::New(db.prepare(update).map_err(|error| error.to_string())?),
                None => {
                    check_update(update).map_err(|error| error.to_string())?;
                    Found::Read(identity)
                }
            });
        }
        Ok(found)
    };
    let updates = read();
    Read { file, bytes, updates }
}

/// The updates of a file, or why it holds none.
fn parse(file: &File, schema: &Schema, bytes: &mut u64) -> Result<Vec<Update>, String> {
    let text = read_file(&file.path, MAX_UPDATE_BYTES)?;
    let (timestamp, iteration, name) = &file.key;
    let parts = parse_update(&text, name, schema).map_err(|error| error.to_string())?;
    *bytes = text.len() as u64;
    let update = |(dataset, data)| {
        let (timestamp, iteration) = (*timestamp, *iteration);
        Update { timestamp, iteration, dataset, origin: None, data }
    };
    Ok(parts.into_iter().map(update).collect())
}

/// One update of a file that was read before.
fn read_one(file: &File, position: &Identity, schema: &Schema) -> Result<Update, String> {
    let found = parse(file, schema, &mut 0)?.into_iter().find(|one| identity(one) == *position);
    found.ok_or_else(|| "it changed while it was imported".to_owned())
}

fn identity(update: &Update) -> Identity {
    (update.timestamp, update.iteration, update.dataset.clone())
}

/// How an update differs from what is stored under its identity; the outer `None` if nothing is.
///
/// A stored one that cannot be read is reported as a difference: the rest of the import goes on.
fn compare(
    db: &SimulationDatabase,
    identity: &Identity,
    update: &Update,
    schema: &Schema,
) -> Option<Option<String>> {
    match stored(db, identity) {
        Ok(stored) => stored.map(|stored| difference_as_json(&stored.data, &update.data, schema)),
        Err(error) => Some(Some(format!("the stored one cannot be read: {error}"))),
    }
}

/// The end of an import's line: what the workers made is stored here.
struct Storing<'a> {
    /// Without one, what is read is counted.
    db: Option<&'a SimulationDatabase>,
    schema: &'a Schema,
    report: &'a mut ImportReport,
    /// What came earlier in this import, and its file.
    taken: HashMap<Identity, &'a File>,
}

impl<'a> Storing<'a> {
    fn chunk(&mut self, chunk: Vec<Read<'a>>) -> Result<()> {
        let (mut batch, mut owners, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
        for Read { file, bytes, updates } in chunk {
            self.report.bytes += bytes;
            let updates = match updates {
                Ok(updates) => updates,
                Err(why) => {
                    self.report.skipped.push(Skipped::new(&file.path, why));
                    continue;
                }
            };
            for found in updates {
                match found {
                    Found::Known(identity, why) => self.known(file, &identity, why),
                    Found::Read(position) => match self.taken.get(&position) {
                        Some(first) => repeated.push((file, position, *first)),
                        None => {
                            self.taken.insert(position, file);
                            self.report.updates += 1;
                        }
                    },
                    Found::New(update) => {
                        let position = (update.timestamp, update.iteration, update.dataset.clone());
                        match self.taken.get(&position) {
                            Some(first) => repeated.push((file, position, *first)),
                            None => {
                                self.taken.insert(position.clone(), file);
                                batch.push(update);
                                owners.push((file, position));
                            }
                        }
                    }
                }
            }
        }
        let Some(db) = self.db else {
            repeated
                .iter()
                .for_each(|(file, position, first)| self.repeated(file, position, first));
            return Ok(());
        };
        if !batch.is_empty() {
            match db.store_prepared(batch) {
                Ok(stored) => self.report.updates += stored.len() as u64,
                // Somebody else stored one of them meanwhile, or one is of another form than those before it (ragged
                // where they are not). Nothing of the batch is stored: singly, so that the others are.
                Err(Error::Exists { .. } | Error::Invalid { .. }) => {
                    owners
                        .into_iter()
                        .try_for_each(|(file, position)| self.again(db, file, &position))?;
                }
                Err(error) => return Err(error),
            }
        }
        repeated.into_iter().try_for_each(|(file, position, _)| self.again(db, file, &position))
    }

    /// Compares an update that came in an earlier file too, where nothing was stored.
    fn repeated(&mut self, file: &File, position: &Identity, first: &File) {
        let [first, again] = [first, file].map(|file| read_one(file, position, self.schema));
        match first.and_then(|first| Ok((first, again?))) {
            Ok((first, again)) => {
                let why = difference_as_json(&first.data, &again.data, self.schema);
                self.known(file, position, why);
            }
            Err(why) => self.report.skipped.push(Skipped::new(&file.path, why)),
        }
    }

    /// An update whose identity is stored already.
    fn known(&mut self, file: &File, identity: &Identity, why: Option<String>) {
        match why {
            None => self.report.unchanged += 1,
            Some(why) => {
                let (source, what) = (file.path.clone(), in_words(identity));
                self.report.conflicts.push(Conflict { source, what, why });
            }
        }
    }

    /// Reads one update of a file once more, and compares it with what is stored by now, or stores it.
    fn again(&mut self, db: &SimulationDatabase, file: &File, position: &Identity) -> Result<()> {
        let update = match read_one(file, position, self.schema) {
            Ok(update) => update,
            Err(why) => {
                self.report.skipped.push(Skipped::new(&file.path, why));
                return Ok(());
            }
        };
        match compare(db, position, &update, self.schema) {
            Some(why) => self.known(file, position, why),
            None => match db.store(update) {
                Ok(_) => self.report.updates += 1,
                Err(error @ Error::Invalid { .. }) => {
                    self.report.skipped.push(Skipped::new(&file.path, error));
                }
                Err(error) => return Err(error),
            },
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: an update that another process stores meanwhile is compared, and stops nothing of the rest.
    #[test]
    fn what_another_process_stores_meanwhile_is_compared() {
        let folder = tempfile::tempdir().unwrap();
        let db = SimulationDatabase::open(folder.path().join("run.db")).unwrap();
        let schema = Schema::default();
        let file = |timestamp: i64, value: f64| {
            let path = folder.path().join(format!("t{timestamp}_0_net.json"));
            let text = format!(r#"{{"net":{{"g":{{"id":[1],"x":[{value:?}]}}}}}}"#);
            std::fs::write(&path, text).unwrap();
            File { path, key: (timestamp, 0, "net".into()), bytes: 0 }
        };
        let files = [file(0, 0.5), file(1, 1.5), file(2, 2.5)];
        let chunk =
            files.iter().map(|file| read_updates(Some(&db), file, &schema, &HashSet::new()));
        let chunk: Vec<Read<'_>> = chunk.collect();
        for (at, value) in [(1, 1.5), (2, 9.5)] {
            let other = file(at + 10, value);
            let mut update = parse(&other, &schema, &mut 0).unwrap().remove(0);
            update.timestamp = at;
            db.store(update).unwrap();
        }
        let mut report = ImportReport::default();
        let taken = HashMap::new();
        let mut storing = Storing { db: Some(&db), schema: &schema, report: &mut report, taken };
        storing.chunk(chunk).unwrap();
        assert_eq!((report.updates, report.unchanged, report.conflicts.len()), (1, 1, 1));
        assert_eq!(report.conflicts[0].source, files[2].path);
        assert!(report.conflicts[0].why.contains("g/x differ"), "{:?}", report.conflicts);
        assert_eq!(db.timestamps("net").unwrap(), [0, 1, 2]);
    }

    /// Goal: one file whose attribute is ragged where those of all others are not is named, and the others are imported, be
    /// they read together with it or not.
    #[test]
    fn one_odd_file_stops_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let updates = folder.path().join("updates");
        std::fs::create_dir(&updates).unwrap();
        for timestamp in 0..100 {
            let x = if timestamp == 47 { "[[1.5, 2.5]]" } else { "[1.5]" };
            let text = format!(r#"{{"net":{{"g":{{"id":[1],"x":{x}}}}}}}"#);
            std::fs::write(updates.join(format!("t{timestamp}_0_net.json")), text).unwrap();
        }
        let db = SimulationDatabase::open(folder.path().join("run.db")).unwrap();
        let options = ImportOptions { updates_dir: Some(updates), ..ImportOptions::default() };
        let report = super::super::import(&db, &options, &mut |_, _| Ok(())).unwrap();
        assert_eq!((report.updates, report.skipped.len()), (99, 1), "{report:?}");
        let odd = &report.skipped[0];
        assert!(odd.path.ends_with("t47_0_net.json") && odd.reason.contains("net/g/x"), "{odd:?}");
        assert_eq!(db.timestamps("net").unwrap().len(), 99);
        let again = super::super::import(&db, &options, &mut |_, _| Ok(())).unwrap();
        assert_eq!((again.updates, again.unchanged, again.skipped.len()), (0, 99, 1), "{again:?}");
    }

    /// Goal: large files are read and stored by themselves, small ones together: what waits is bounded by its bytes.
    #[test]
    fn large_files_are_not_gathered() {
        let file = |bytes| File { path: PathBuf::new(), key: (0, 0, String::new()), bytes };
        let files: Vec<File> =
            [1 << 10; 40].into_iter().chain([20 << 20, 20 << 20, 100 << 20, 1]).map(file).collect();
        let counts: Vec<usize> = chunks(&files).iter().map(|chunk| chunk.len()).collect();
        assert_eq!(counts, [32, 9, 1, 1, 1]);
    }
}
