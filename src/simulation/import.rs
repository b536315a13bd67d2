//! The described system's folders of JSON files into a database.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

use super::database::SimulationDatabase;
use super::initial::InitialData;
use super::json::{Schema, parse_file_name, parse_initial, parse_update};
use super::prepare::Prepared;
use super::results::FilePattern;
use super::update::Update;
use crate::error::{Error, Result};

/// Files that one worker takes at a time, and that one transaction stores.
const CHUNK_FILES: usize = 32;

/// What to import, and how.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Folder of `<dataset>.json` files: the initial state. All are kept byte for byte.
    pub init_dir: Option<PathBuf>,
    /// Folder of `t<timestamp>_<iteration>_<dataset>.json` files.
    pub updates_dir: Option<PathBuf>,
    /// The names of update files, if they are not the documented ones.
    pub update_pattern: Option<FilePattern>,
    /// Attribute types; kept with the file. Without them types are inferred from the values.
    pub schema: Schema,
    /// Threads that parse; 0: as many as there are cores.
    pub workers: usize,
}

/// A file that could not be read, and why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Malformed {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it, and where.
    pub why: String,
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct ImportReport {
    /// Updates stored now.
    pub updates: u64,
    /// Updates that were in the database already, of an import that was interrupted.
    pub skipped: u64,
    /// Initial datasets stored now.
    pub initial_datasets: u64,
    /// Bytes of JSON read.
    pub bytes: u64,
    /// Files in the updates folder whose names are not those of updates; they were not opened.
    pub other_files: u64,
    /// Files that were left behind.
    pub malformed: Vec<Malformed>,
}

struct File {
    path: PathBuf,
    key: (i64, i64, String),
}

/// Imports initial data and updates. A file that is malformed is named in the report, and the rest
/// goes on; what is in the database already is skipped, so that an interrupted import is taken up by
/// calling it again.
///
/// `progress` gets files done and in all, and stops the import by returning an error; what was
/// stored until then stays.
///
/// # Errors
/// [`Error::Io`] if a folder cannot be listed or the database not be written; the error of
/// `progress`.
pub fn import(
    db: &SimulationDatabase,
    options: &ImportOptions,
    mut progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<ImportReport> {
    let mut report = ImportReport::default();
    let schema = &options.schema;
    if !schema.specs().is_empty() {
        db.set_schema(schema)?;
    }
    if let Some(folder) = &options.init_dir {
        import_initial(db, folder, schema, &mut report)?;
    }
    if let Some(folder) = &options.updates_dir {
        let files = list_updates(db, folder, options, &mut report)?;
        import_updates(db, options, files, &mut report, &mut progress)?;
    }
    Ok(report)
}

fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder, "listing it", &e))?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(|e| Error::io(folder, "listing it", &e))?;
    paths.sort();
    Ok(paths)
}

fn import_initial(
    db: &SimulationDatabase,
    folder: &Path,
    schema: &Schema,
    report: &mut ImportReport,
) -> Result<()> {
    let known: HashSet<String> = db.initial_datasets()?.into_iter().collect();
    for path in list(folder)? {
        let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        if path.extension().is_none_or(|e| e != "json") || known.contains(name) {
            continue;
        }
        let text = std::fs::read(&path).map_err(|e| Error::io(&path, "reading it", &e))?;
        report.bytes += text.len() as u64;
        match parse_initial(&text, name, schema) {
            Ok(_) => {
                db.store_initial_dataset(name, InitialData::Json(text), false)?;
                report.initial_datasets += 1;
            }
            Err(error) => report.malformed.push(Malformed { path, why: error.to_string() }),
        }
    }
    Ok(())
}

/// The update files that are not stored yet, in the order of their timestamps.
fn list_updates(
    db: &SimulationDatabase,
    folder: &Path,
    options: &ImportOptions,
    report: &mut ImportReport,
) -> Result<Vec<File>> {
    let parse = |name: &str| match &options.update_pattern {
        Some(pattern) => pattern.parse(name),
        None => parse_file_name(name),
    };
    let stored = db.keys()?;
    let mut files = Vec::new();
    for path in list(folder)? {
        let key = path.file_name().and_then(|name| name.to_str()).and_then(parse);
        match key {
            Some(key) if stored.contains(&key) => report.skipped += 1,
            Some(key) => files.push(File { path, key }),
            None => report.other_files += 1,
        }
    }
    files.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(files)
}

/// What a worker made of one chunk of files.
struct Chunk {
    updates: Vec<Prepared>,
    files: u64,
    bytes: u64,
    malformed: Vec<Malformed>,
}

fn import_updates(
    db: &SimulationDatabase,
    options: &ImportOptions,
    files: Vec<File>,
    report: &mut ImportReport,
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<()> {
    let workers = match options.workers {
        0 => std::thread::available_parallelism().map_or(2, |n| n.get()),
        n => n,
    };
    let chunks: Vec<&[File]> = files.chunks(CHUNK_FILES).collect();
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    // Few chunks ahead of the writer: memory is bounded by them.
    let (sender, receiver) = sync_channel::<(usize, Chunk)>(workers);
    progress(0, files.len() as u64)?;
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let (sender, next, stop, chunks) = (sender.clone(), &next, &stop, &chunks);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(files) = chunks.get(at) else { return };
                    if sender.send((at, read_chunk(db, files, &options.schema))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut store_all = || -> Result<()> {
            let (mut waiting, mut due, mut done) = (BTreeMap::new(), 0, 0);
            for (at, chunk) in receiver.iter() {
                waiting.insert(at, chunk);
                while let Some(chunk) = waiting.remove(&due) {
                    due += 1;
                    done += chunk.files;
                    report.bytes += chunk.bytes;
                    report.malformed.extend(chunk.malformed);
                    report.updates += db.store_prepared(chunk.updates)?.len() as u64;
                    progress(done, files.len() as u64)?;
                }
            }
            Ok(())
        };
        let result = store_all();
        stop.store(true, Ordering::Relaxed);
        drop(receiver); // a worker that waits to send gives up
        result
    })
}

fn read_chunk(db: &SimulationDatabase, files: &[File], schema: &Schema) -> Chunk {
    let mut chunk = Chunk { updates: Vec::new(), files: 0, bytes: 0, malformed: Vec::new() };
    for file in files {
        chunk.files += 1;
        match read_file(db, file, schema) {
            Ok((bytes, updates)) => {
                chunk.bytes += bytes;
                chunk.updates.extend(updates);
            }
            Err(error) => {
                let (path, why) = (file.path.clone(), error.to_string());
                chunk.malformed.push(Malformed { path, why });
            }
        }
    }
    chunk
}

fn read_file(
    db: &SimulationDatabase,
    file: &File,
    schema: &Schema,
) -> Result<(u64, Vec<Prepared>)> {
    let text = std::fs::read(&file.path).map_err(|e| Error::io(&file.path, "reading it", &e))?;
    let (timestamp, iteration, name) = &file.key;
    let parts = parse_update(&text, name, schema)?;
    let prepare = |(dataset, data)| {
        let (timestamp, iteration) = (*timestamp, *iteration);
        db.prepare(Update { timestamp, iteration, dataset, origin: None, data })
    };
    Ok((text.len() as u64, parts.into_iter().map(prepare).collect::<Result<_>>()?))
}
