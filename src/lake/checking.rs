//! Whether a lake has what its logs say, and what a file has published.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::action::Add;
use super::listing::{no_lake, rows};
use super::log::{Log, State};
use super::objects::Objects;
#[cfg(feature = "postgresql")]
use super::server::Server;
use super::source::{sources, store_id};
use crate::Handle;
use crate::error::{Error, Result};
use crate::kernel::{Finding, Progress, together};
use crate::simulation::StateTimes;
use crate::table::{Batches, Cut, Published, PublishedTable, RowHash, Slice, read_parquet_file};

/// Files that are read between two calls of the progress function.
const AT_ONCE: usize = 4;

/// What a verification of a lake looked at and found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LakeReport {
    /// Of each table, what was looked at.
    pub tables: BTreeMap<String, CheckedTable>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// What was looked at of a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CheckedTable {
    /// Data files that the log has.
    pub files: u64,
    /// Their rows.
    pub rows: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Files of other writers: their rows were counted, but there is no hash to hold them against.
    pub without_hash: u64,
    /// Segments that were compared with the file.
    pub compared: u64,
}

/// Reads each data file of a lake and holds it against the log of its table: size, number of rows, hash of the rows. With a
/// file, or a folder of ticks, also what that has published against what it has now: each segment whose rows differ is a
/// finding, and rows that are not published.
///
/// Of a PostgreSQL server every row is read and held against its ledger.
///
/// - `handle`: may be read only. What it gets meanwhile may be called not published.
/// - `progress`: gets files and segments done and in all of a table.
///
/// # Errors
/// [`Error::NotFound`] for a folder that is not there; [`Error::Invalid`] for an address that is none or has no table;
/// [`Error::Server`] and what the disk says. What is damaged is a finding. Nothing is changed.
pub fn verify(
    address: &str,
    handle: Option<&Handle>,
    progress: &mut Progress<'_>,
) -> Result<LakeReport> {
    #[cfg(feature = "postgresql")]
    if Server::is_meant(address) {
        return verify_server(&Server::at(address)?, handle, progress);
    }
    let lake = Objects::open_existing(address)?;
    let mut report = LakeReport::default();
    let (mut states, mut damaged) = (BTreeMap::new(), BTreeSet::new());
    for name in lake.folders()? {
        let objects = lake.folder(&name);
        match Log::new(objects.clone()).load() {
            Ok(state) if state.version.is_none() => {}
            Ok(state) => {
                report.check_table(&name, &objects, &state, progress)?;
                states.insert(name, state);
            }
            Err(error @ (Error::Corrupt { .. } | Error::Invalid { .. })) => {
                report.find(&name, error.to_string());
                damaged.insert(name.clone());
                report.tables.insert(name, CheckedTable::default());
            }
            Err(error) => return Err(error),
        }
    }
    if report.tables.is_empty() {
        return Err(no_lake(&lake));
    }
    if let Some(handle) = handle {
        let store = store_id(handle)?;
        // Each published state says itself of which time it is.
        for source in sources(handle, Some(StateTimes::default())) {
            for table in source.tables()? {
                // A damaged log is a finding already.
                if damaged.contains(&table.name) {
                    continue;
                }
                let state = states.remove(&table.name);
                let own = Own { source: &*source, table: &table };
                let segments = report.logged(store.as_deref(), &table, state.as_ref());
                report.compare(&own, segments, progress)?;
            }
        }
        for (name, state) in &states {
            let files = store.as_deref().map_or(0, |store| state.files_of(store).len());
            if files > 0 {
                report.find(name, format!("{files} files of a table that the file does not have"));
            }
        }
    }
    Ok(report)
}

/// As [`verify`], of a server: each row is read, and those of each segment are held against the ledger.
#[cfg(feature = "postgresql")]
fn verify_server(
    server: &Server,
    handle: Option<&Handle>,
    progress: &mut Progress<'_>,
) -> Result<LakeReport> {
    let mut report = LakeReport::default();
    let names: Vec<String> = server.tables()?.into_iter().map(|table| table.name).collect();
    let store = handle.map(store_id).transpose()?.flatten();
    let mut own: BTreeMap<String, Vec<Logged>> = BTreeMap::new();
    for (n, name) in names.iter().enumerate() {
        progress(n as u64, names.len() as u64)?;
        let read = server.read(name)?;
        let mut checked = CheckedTable { bytes: read.bytes, ..CheckedTable::default() };
        if read.strange_rows > 0 {
            let what =
                format!("{} of segments that the ledger does not have", plural(read.strange_rows));
            report.find(name, what);
        }
        for segment in read.segments {
            checked.files += 1;
            checked.rows += segment.there.rows;
            let (number, partition) = (segment.number.to_string(), segment.partition);
            let slice =
                Slice { partition, first: segment.first, until: segment.until, signature: 0 };
            let is_own = store.as_ref() == Some(&segment.store);
            let location = place(name, Some(&number), &slice);
            if segment.there.rows != segment.rows {
                let what = format!(
                    "{} on the server, {} by its ledger",
                    plural(segment.there.rows),
                    segment.rows
                );
                report.find(format!("{location}, store {}", segment.store), what);
            } else if segment.there.text() != segment.hash {
                let what = "its rows have another hash than the ledger says";
                report.find(format!("{location}, store {}", segment.store), what);
            }
            if is_own {
                let file = format!("segment {number}");
                let (rows, hash) = (segment.rows, segment.hash);
                own.entry(name.clone()).or_default().push(Logged {
                    file,
                    number,
                    slice,
                    rows,
                    hash,
                });
            }
        }
        report.tables.insert(name.clone(), checked);
    }
    for source in handle.into_iter().flat_map(|handle| sources(handle, Some(StateTimes::default())))
    {
        for table in source.tables()? {
            let segments = own.remove(&table.name).unwrap_or_default();
            report.compare(&Own { source: &*source, table: &table }, segments, progress)?;
        }
    }
    for (name, segments) in &own {
        report.find(
            name,
            format!("{} segments of a table that the file does not have", segments.len()),
        );
    }
    Ok(report)
}

/// A table of the file.
struct Own<'a> {
    source: &'a dyn Published,
    table: &'a PublishedTable,
}

/// A segment of the file, as the log says it.
struct Logged {
    file: String,
    number: String,
    slice: Slice,
    rows: u64,
    hash: String,
}

/// What was seen of a data file.
#[derive(Default)]
struct Seen {
    rows: u64,
    bytes: u64,
    has_hash: bool,
    wrong: Option<String>,
}

impl LakeReport {
    /// Whether nothing is wrong.
    pub fn is_ok(&self) -> bool {
        self.findings.is_empty()
    }

    fn find(&mut self, location: impl Into<String>, what: impl Into<String>) {
        self.findings.push(Finding { location: location.into(), what: what.into() });
    }

    fn check_table(
        &mut self,
        name: &str,
        objects: &Objects,
        state: &State,
        progress: &mut Progress<'_>,
    ) -> Result<()> {
        let adds: Vec<&Add> = state.files.values().collect();
        let mut checked = CheckedTable { files: adds.len() as u64, ..CheckedTable::default() };
        for (n, adds) in adds.chunks(AT_ONCE).enumerate() {
            progress((n * AT_ONCE) as u64, checked.files)?;
            for (add, seen) in adds.iter().zip(together(adds, 1, |add| check(objects, add))) {
                let seen = seen?;
                checked.rows += seen.rows;
                checked.bytes += seen.bytes;
                checked.without_hash += u64::from(!seen.has_hash);
                if let Some(wrong) = seen.wrong {
                    self.find(format!("{name}/{}", add.path), wrong);
                }
            }
        }
        progress(checked.files, checked.files)?;
        self.tables.insert(name.to_owned(), checked);
        Ok(())
    }

    /// The segments that a file has published of a table.
    fn logged(
        &mut self,
        store: Option<&str>,
        table: &PublishedTable,
        state: Option<&State>,
    ) -> Vec<Logged> {
        let mut segments = Vec::new();
        for add in state.iter().flat_map(|state| state.files.values()) {
            let own = add.partition_values.get("store_id").and_then(Option::as_deref);
            if own.is_none() || own != store {
                continue;
            }
            match logged(add, table) {
                Some(segment) => segments.push(segment),
                None => self.find(
                    format!("{}/{}", table.name, add.path),
                    "it has rows of this file, but another program wrote it: they cannot be compared",
                ),
            }
        }
        segments
    }

    /// Holds what a file has of a table against what the log says that it has published.
    fn compare(
        &mut self,
        own: &Own<'_>,
        mut segments: Vec<Logged>,
        progress: &mut Progress<'_>,
    ) -> Result<()> {
        let name = &own.table.name;
        segments.sort_by(|a, b| {
            (&a.slice.partition, a.slice.first).cmp(&(&b.slice.partition, b.slice.first))
        });
        for pair in segments.windows(2) {
            let (a, b) = (&pair[0], &pair[1]);
            if a.slice.partition == b.slice.partition && b.slice.first < a.slice.until {
                let what = format!("its keys are in {} too: rows are there twice", a.file);
                self.find(format!("{name}/{}", b.file), what);
            }
        }
        let unpublished = gaps(own.source.slices(own.table, Cut::Coarse)?, &segments);
        let keeps = own.source.keeps()?;
        let all = (segments.len() + unpublished.len()) as u64;
        let mut done = 0;
        for part in segments.chunks(AT_ONCE) {
            progress(done, all)?;
            for (segment, here) in part.iter().zip(together(part, 1, |s| own.hash(&s.slice))) {
                let here = here?;
                if here.rows == 0 && keeps(&segment.slice) {
                    continue; // the lake keeps what the file has let go
                }
                if (here.rows, here.text().as_str()) != (segment.rows, &*segment.hash) {
                    let location = place(name, Some(&segment.number), &segment.slice);
                    self.find(location, differ(here.rows, segment.rows));
                }
            }
            done += part.len() as u64;
        }
        for part in unpublished.chunks(AT_ONCE) {
            progress(done, all)?;
            for (slice, here) in part.iter().zip(together(part, 1, |slice| own.hash(slice))) {
                let rows = here?.rows;
                if rows > 0 {
                    let what = format!("{} of the file not published", plural(rows));
                    self.find(place(name, None, slice), what);
                }
            }
            done += part.len() as u64;
        }
        progress(all, all)?;
        self.tables.entry(name.clone()).or_default().compared += segments.len() as u64;
        Ok(())
    }
}

impl Own<'_> {
    /// Of the rows that the file has of a slice.
    fn hash(&self, slice: &Slice) -> Result<RowHash> {
        hash(self.source.rows(self.table, slice)?)
    }
}

pub(super) fn hash(mut batches: Batches) -> Result<RowHash> {
    let mut hash = RowHash::default();
    while let Some(batch) = batches.next_batch()? {
        hash.add(&batch)?;
    }
    Ok(hash)
}

fn place(table: &str, number: Option<&str>, slice: &Slice) -> String {
    let segment = number.map_or_else(|| "no segment".into(), |number| format!("segment {number}"));
    let partition = match slice.partition.join("/") {
        none if none.is_empty() => none,
        values => format!(", partition {values}"),
    };
    format!("{table}, {segment}{partition}, keys {} to {}", slice.first, slice.until - 1)
}

fn differ(here: u64, there: u64) -> String {
    match here == there {
        true => format!("{} in the file, as many in the lake, and they differ", plural(here)),
        false => format!("{} in the file, {there} in the lake", plural(here)),
    }
}

fn plural(rows: u64) -> String {
    if rows == 1 { "1 row".into() } else { format!("{rows} rows") }
}

/// The parts of slices that no segment has; both do not overlap among themselves, segments are in order.
fn gaps(slices: Vec<Slice>, segments: &[Logged]) -> Vec<Slice> {
    let mut gaps = Vec::new();
    for slice in slices {
        let mut first = slice.first;
        let same = segments.iter().filter(|s| s.slice.partition == slice.partition);
        for segment in same.map(|segment| &segment.slice) {
            if segment.first >= slice.until || segment.until <= first {
                continue;
            }
            if segment.first > first {
                gaps.push(Slice { first, until: segment.first, ..slice.clone() });
            }
            first = segment.until;
        }
        if first < slice.until {
            gaps.push(Slice { first, ..slice });
        }
    }
    gaps
}

/// A tag of a file.
pub(super) fn tag<'a>(add: &'a Add, name: &str) -> Option<&'a str> {
    add.tags.as_ref()?.get(name)?.as_deref()
}

fn logged(add: &Add, table: &PublishedTable) -> Option<Logged> {
    let values = table.partitions.iter().map(|(name, _)| add.partition_values.get(*name)?.clone());
    Some(Logged {
        file: add.path.clone(),
        number: tag(add, "siltstone_segment")?.to_owned(),
        slice: Slice {
            partition: values.collect::<Option<_>>()?,
            first: tag(add, "siltstone_first")?.parse().ok()?,
            until: tag(add, "siltstone_until")?.parse().ok()?,
            signature: 0,
        },
        rows: tag(add, "siltstone_rows")?.parse().ok()?,
        hash: tag(add, "siltstone_hash")?.to_owned(),
    })
}

/// Reads a data file; what is wrong with it is no error.
fn check(objects: &Objects, add: &Add) -> Result<Seen> {
    let expected = tag(add, "siltstone_rows").zip(tag(add, "siltstone_hash"));
    let has_hash = expected.is_some();
    let mut seen = Seen { has_hash, ..Seen::default() };
    let Some(file) = objects.fetch_logged(&add.path)? else {
        return Ok(Seen { wrong: Some("it is not there".into()), ..seen });
    };
    let bytes = file.metadata().map_err(|e| Error::io(std::env::temp_dir(), "reading it", &e))?;
    seen.bytes = bytes.len();
    if i64::try_from(seen.bytes) != Ok(add.size) {
        let what = format!("it has {} bytes, and {} by the log", seen.bytes, add.size);
        return Ok(Seen { wrong: Some(what), ..seen });
    }
    let path = std::path::Path::new(&add.path);
    let there = match read_parquet_file(path, file).and_then(|batches| match has_hash {
        true => hash(batches),
        // Of another writer, with types that no hash is known of.
        false => count(batches),
    }) {
        Err(Error::Corrupt { why, .. }) => return Ok(Seen { wrong: Some(why), ..seen }),
        there => there?,
    };
    seen.rows = there.rows;
    let said = match expected {
        Some((rows, _)) => rows.parse().ok(),
        None => rows(add),
    };
    if said.is_some_and(|said| said != there.rows) {
        let said = said.unwrap_or_default();
        seen.wrong = Some(format!("it has {} rows, and {said} by the log", there.rows));
    } else if expected.is_some_and(|(_, hash)| hash != there.text()) {
        seen.wrong = Some("its rows have another hash than the log says".into());
    }
    Ok(seen)
}

fn count(mut batches: Batches) -> Result<RowHash> {
    let mut counted = RowHash::default();
    while let Some(batch) = batches.next_batch()? {
        counted.rows += batch.num_rows() as u64;
    }
    Ok(counted)
}
