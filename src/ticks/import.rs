//! Import of what the RTX engine wrote, its JSON tree and its day files; and of files of quotes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_128;

use super::batch::pack_parts;
use super::calendar::Day;
use super::config::Duplicates;
use super::day::{Days, day_of, entries, no_folder};
use super::json::JsonError;
use super::json_days::{MAX_JSON_BYTES, read_good_rows};
use super::merge::{Added, Rule};
use super::quotes::{self, QuoteOptions, Quotes};
use super::rtx;
use super::spill::{by_day, runs};
use super::stats::{DayInfo, day_info};
use super::tick::{Origins, Row};
use super::write::{self, Arrived, DayBatch, Form, Source};
use crate::error::{Error, Result};
use crate::kernel::{Durability, Progress, Skipped, open_file, read_whole};

/// How deep folders are searched.
const MAX_DEPTH: usize = 8;
/// Bad ticks of a file that are named, and those of a dry run.
const BAD_NAMED: usize = 3;
const BAD_NAMED_DRY: usize = 1_000;
/// So long an import waits for others who write a day: a day is one transaction.
const WAIT: Duration = Duration::from_secs(600);
/// Ticks of one symbol from so many on are packed for a day that is compacted.
const PACK: usize = 1;

/// What is imported, and how.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// Folder with `SYMBOL/YYYY-MM-DD.json`, `ticks_YYYY-MM-DD.db` or `ticks_YYYY-MM-DD.db.zst`, at any
    /// depth.
    pub input_dir: PathBuf,
    /// Files of quotes, in place of the folder: delimited text, plain or packed as `.gz` or `.zst`, and Parquet.
    pub files: Vec<PathBuf>,
    /// How files of quotes are read.
    pub quotes: QuoteOptions,
    /// Folder of the day files.
    pub output_dir: PathBuf,
    /// Reads and counts only.
    pub dry_run: bool,
    /// Ticks written in one transaction of a day that is not over yet; 1,000. Of a day that is over, a file is one
    /// transaction.
    pub batch_size: usize,
    /// The ticks of a day that has been over for so many days go into blocks, which SQLite alone cannot read; 0 is every day
    /// but today. `None`: all become rows.
    pub compact_after_days: Option<u32>,
    /// What happens to a symbol and time that is there already. With
    /// [`Duplicates::KeepAll`] a tick that is there already, equal in everything, is not
    /// stored again: an import can be repeated.
    pub duplicates: Duplicates,
    /// As [`TickStoreConfig::duplicate_key_ns`](super::TickStoreConfig::duplicate_key_ns).
    pub duplicate_key_ns: i64,
    /// What an imported file survives.
    pub durability: Durability,
    /// Threads; 0: as many as there are processors.
    pub threads: usize,
}

impl ImportOptions {
    /// From one folder into another, with the defaults.
    pub fn new(input_dir: impl Into<PathBuf>, output_dir: impl Into<PathBuf>) -> Self {
        ImportOptions {
            input_dir: input_dir.into(),
            files: Vec::new(),
            quotes: QuoteOptions::default(),
            output_dir: output_dir.into(),
            dry_run: false,
            batch_size: 1_000,
            compact_after_days: None,
            duplicates: Duplicates::KeepAll,
            duplicate_key_ns: 1,
            durability: Durability::Disk,
            threads: 0,
        }
    }

    fn rule(&self) -> Rule {
        match self.duplicates {
            Duplicates::KeepAll => Rule::Missing,
            duplicates => {
                let strict = duplicates == Duplicates::Error;
                Rule::Policy { duplicates, key_ns: self.duplicate_key_ns, strict }
            }
        }
    }
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct ImportReport {
    /// Files found.
    pub files: u64,
    /// Of these, read and stored, or already stored.
    pub files_done: u64,
    /// Ticks read.
    pub ticks_read: u64,
    /// Ticks stored.
    pub ticks_migrated: u64,
    /// Ticks that were there, or left out by the rule for duplicates.
    pub ticks_skipped: u64,
    /// Ticks that could not be read; the others of their files were.
    pub ticks_bad: u64,
    /// Files that could not be read or stored, wholly or in part; the rest was.
    pub skipped: Vec<Skipped>,
    /// What each file of quotes was taken for.
    pub taken_for: Vec<(PathBuf, String)>,
    /// The days that the files have ticks of, and what is in them now; empty after a dry run.
    pub days: Vec<DayInfo>,
}

impl ImportReport {
    /// Whether everything was imported.
    pub fn is_complete(&self) -> bool {
        self.skipped.is_empty()
    }
}

/// Imports a folder. Safe to repeat and to interrupt: each file and day is stored in one transaction,
/// with a note of it, and what is there is not stored twice. A tick that is malformed is skipped by itself: its file is
/// named, with the byte or row, and the rest is imported.
///
/// - `progress`: gets files done and in all; its error stops the import after the files at work.
///
/// # Errors
/// [`Error::NotFound`] without such a folder, [`Error::Invalid`] if no file in it is one of ticks or the output is a file, and that of `progress`. What is wrong with one file is in
/// [`ImportReport::skipped`].
pub fn import(options: &ImportOptions, progress: &mut Progress<'_>) -> Result<ImportReport> {
    let (files, others) = if !options.files.is_empty() {
        options.quotes.check()?;
        for file in &options.files {
            open_file(file)?;
        }
        (options.files.clone(), Vec::new())
    } else if options.input_dir.is_dir() {
        find(options)?
    } else {
        return Err(no_folder(&options.input_dir));
    };
    if options.output_dir.is_file() {
        let output = options.output_dir.display().to_string();
        return Err(Error::invalid(output, "the folder of the day files", "a file"));
    }
    if files.is_empty() {
        let expected = "SYMBOL/YYYY-MM-DD.json, ticks_YYYY-MM-DD.db or ticks_YYYY-MM-DD.db.zst";
        let got = match others.first() {
            None => "no file".to_owned(),
            Some(first) => format!("{} others, {} among them", others.len(), first.display()),
        };
        return Err(Error::invalid(options.input_dir.display().to_string(), expected, got));
    }
    let importer = Importer {
        options,
        days: Days::new(&options.output_dir, options.durability).waiting(WAIT),
        origins: Arc::default(),
        seen: Mutex::default(),
    };
    let report = ImportReport { files: files.len() as u64, ..ImportReport::default() };
    let (next, shared) = (AtomicUsize::new(0), Mutex::new((report, 0, progress, Ok(()))));
    let work = || {
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = importer.file(file);
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let (report, done, progress, stop) = &mut *shared;
            match outcome {
                Ok(Imported { read, added, bad, named, taken_for }) => {
                    report.files_done += 1;
                    report.ticks_read += read;
                    report.ticks_migrated += added.stored;
                    report.ticks_skipped += read - added.stored.min(read);
                    report.ticks_bad += bad;
                    if bad > 0 {
                        let skipped = Skipped::new(file, importer.bad_ticks(bad, &named, read));
                        report.skipped.push(skipped.rows(bad));
                    }
                    report.taken_for.extend(taken_for.map(|said| (file.clone(), said)));
                }
                Err(error) => report.skipped.push(Skipped::new(file, error)),
            }
            *done += 1;
            if stop.is_ok() {
                *stop = progress(*done, report.files);
            }
            if stop.is_err() {
                return;
            }
        }
    };
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    };
    std::thread::scope(|scope| {
        (1..threads.min(files.len())).for_each(|_| {
            scope.spawn(work);
        });
        work();
    });
    let (mut report, _, _, stop) = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    stop?;
    report.skipped.sort_by(|a, b| a.path.cmp(&b.path));
    for day in importer.seen.into_inner().unwrap_or_else(PoisonError::into_inner) {
        report.days.extend(day_info(&importer.days, day)?);
    }
    Ok(report)
}

/// Whether a folder has files of the RTX engine, at any depth.
///
/// # Errors
/// What the disk says.
pub(crate) fn is_folder_of_rtx(folder: &Path) -> Result<bool> {
    Ok(!find(&ImportOptions::new(folder, ""))?.0.is_empty())
}

/// The files to import, in the order of their names, and what other files there are; not those that the import itself
/// writes.
fn find(options: &ImportOptions) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut found, mut others) = (Vec::new(), Vec::new());
    let mut folders = vec![(options.input_dir.clone(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for path in entries(&folder)? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with('.') {
                continue;
            }
            if path.is_dir() {
                if depth < MAX_DEPTH && path != options.output_dir && name != "spill" {
                    folders.push((path, depth + 1));
                }
            } else if name.ends_with(".json")
                && Day::parse(name.trim_end_matches(".json")).is_some()
                || day_of(&path).is_some()
                || name.strip_suffix(".zst").is_some_and(|name| day_of(Path::new(name)).is_some())
            {
                found.push(path);
            } else {
                others.push(path);
            }
        }
    }
    found.sort();
    others.sort();
    Ok((found, others))
}

/// What became of a file: how many ticks were read, what was stored, how many could not be read and why the first of them.
struct Imported {
    read: u64,
    added: Added,
    bad: u64,
    named: Vec<String>,
    /// What a file of quotes was taken for.
    taken_for: Option<String>,
}

struct Importer<'a> {
    options: &'a ImportOptions,
    days: Days,
    origins: Arc<Origins>,
    /// The days that the files have ticks of.
    seen: Mutex<BTreeSet<Day>>,
}

impl Importer<'_> {
    /// The bad ticks of a file that are named.
    fn most_named(&self) -> usize {
        if self.options.dry_run { BAD_NAMED_DRY } else { BAD_NAMED }
    }

    /// How many ticks are skipped, and why the first ones are.
    fn bad_ticks(&self, bad: u64, named: &[String], good: u64) -> String {
        let most = self.most_named();
        let shown = named[..named.len().min(most)].join("; ");
        let more = if bad > most as u64 { "; ..." } else { "" };
        format!("{bad} of {} ticks cannot be read: {shown}{more}", good + bad)
    }

    /// Imports one file.
    fn file(&self, path: &Path) -> Result<Imported> {
        if !self.options.files.is_empty() {
            return self.quotes(path);
        }
        let (digest, days, bad) = if path.extension().is_some_and(|e| e == "json") {
            let text = read_whole(path, MAX_JSON_BYTES)?;
            let mut bad = Vec::new();
            let skip = |error: JsonError| {
                bad.push(error.to_string());
                Ok(())
            };
            let (symbols, rows) = read_good_rows(path, &text, &self.origins, skip)?;
            (xxh3_128(&text).to_be_bytes(), by_day(runs(&symbols, &rows)), bad)
        } else {
            rtx::read(path, &self.origins)?
        };
        let read = days.iter().flat_map(|(_, parts)| parts).map(|p| p.rows.len() as u64).sum();
        let mut added = Added::default();
        let (bad, named, taken_for) = (bad.len() as u64, bad, None);
        if self.options.dry_run {
            added.stored = read;
            return Ok(Imported { read, added, bad, named, taken_for });
        }
        let source = path.strip_prefix(&self.options.input_dir).unwrap_or(path);
        for (day, parts) in days {
            added += self.day(day, parts, source, digest)?;
        }
        Ok(Imported { read, added, bad, named, taken_for })
    }

    /// Imports a file of quotes.
    fn quotes(&self, path: &Path) -> Result<Imported> {
        let (options, mut added) = (self.options, Added::default());
        let digest = if options.dry_run { [0; 16] } else { quotes::digest(path, &options.quotes)? };
        let mut each = |day, parts: Vec<Arrived>, part: u64| {
            if options.dry_run {
                added.stored += parts.iter().map(|part| part.rows.len() as u64).sum::<u64>();
                return Ok(());
            }
            // A day that comes again in a file whose times do not rise is another source.
            let number = u128::from_be_bytes(digest).wrapping_add(u128::from(part));
            added += self.day(day, parts, path, number.to_be_bytes())?;
            Ok(())
        };
        let Quotes { read, bad, named, taken_for } =
            quotes::read(path, (&options.quotes, self.most_named()), &self.origins, &mut each)?;
        Ok(Imported { read, added, bad, named, taken_for: Some(taken_for) })
    }

    fn day(
        &self,
        day: Day,
        mut parts: Vec<Arrived>,
        source: &Path,
        digest: [u8; 16],
    ) -> Result<Added> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(day);
        let rule = self.options.rule();
        let today = Day::today();
        let finished = |after: u32| day.0 < today.0 - i64::from(after);
        let form = match self.options.compact_after_days {
            Some(after) if finished(after) => Form::Blocks,
            _ => Form::Rows,
        };
        let target = self.days.path(day);
        let source = Source {
            file: source.display().to_string(),
            symbols: parts.iter().map(|part| part.symbol.clone()).collect(),
            target: target.display().to_string(),
            digest,
        };
        if day < today {
            // What the rule leaves out is only known beside what is there.
            if form == Form::Blocks && matches!(rule, Rule::Missing) {
                pack_parts(&mut parts, &self.origins, PACK, usize::MAX)?;
            }
            let batch = DayBatch { parts, rule, watermark: None, form, source: Some(source) };
            return self.write(day, batch);
        }
        let mut added = Added::default();
        let chunks: Vec<Arrived> =
            parts.iter().flat_map(|part| chunks(part, rule, self.options.batch_size)).collect();
        let last = chunks.len().saturating_sub(1);
        for (i, part) in chunks.into_iter().enumerate() {
            // The note comes with the last batch: what was interrupted is looked at again.
            let source = (i == last).then(|| source.clone());
            let batch = DayBatch { parts: vec![part], rule, watermark: None, form, source };
            added += self.write(day, batch)?;
        }
        Ok(added)
    }

    fn write(&self, day: Day, batch: DayBatch) -> Result<Added> {
        let db = self.days.writer(day)?;
        let origins = self.origins.clone();
        let batch = Arc::new(batch);
        db.write(move |tx| write::write(tx, &batch, &origins))
    }
}

/// A part in pieces of about so many rows. What the rule compares with each other, ticks of one time,
/// stays in one piece: a piece is compared with what the file has, and so with the pieces before.
fn chunks(part: &Arrived, rule: Rule, most: usize) -> Vec<Arrived> {
    let key = |row: &Row| rule.key(row.time_ns);
    let mut rows = part.rows.clone();
    rows.sort_by_key(key); // stable: within a key the order of arrival stays
    let (mut chunks, mut rest) = (Vec::new(), &rows[..]);
    while !rest.is_empty() {
        let n = most.clamp(1, rest.len());
        let same = rest[n..].iter().take_while(|row| key(row) == key(&rest[n - 1])).count();
        let (piece, others) = rest.split_at(n + same);
        let (symbol, rows) = (part.symbol.clone(), piece.to_vec());
        chunks.push(Arrived { symbol, rows, packed: None });
        rest = others;
    }
    chunks
}
