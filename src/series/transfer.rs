//! Series from one backend into another: resumable, and verified by count and checksum.

use arrow_array::Array;
use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType;
use xxhash_rust::xxh3::Xxh3;

use super::backend::{Change, SeriesInfo, StorageBackend};
use super::data::{Head, Series};
use super::index::IndexRange;
use crate::error::{Error, Result};
use crate::kernel::Progress;

/// The most points that are in memory at once, if nobody says otherwise.
const MOST_POINTS: u64 = 1 << 22;
/// The most series of one commit.
const MOST_SERIES: usize = 256;
/// Conflicts that the report holds in full.
const MOST_CONFLICTS: usize = 100;
/// Where a series stands until all of it is there and was verified.
const PART: &str = "\u{0}part";

/// The number of points of a series, and a hash of all that it is: index and values by bits, what is missing, the
/// types, the name, what is known of the index. The same in every backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesChecksum {
    /// The number of points.
    pub points: u64,
    /// XXH3-128.
    pub hash: u128,
}

/// What to copy.
#[derive(Debug, Clone)]
pub struct TransferOptions {
    /// Only series whose keys begin so, and the records of datasets that they belong to.
    pub prefix: String,
    /// Whether a series of that key at the target that is another one is replaced, or left as it is.
    pub overwrite: bool,
    /// The most points that are in memory at once, about.
    pub most_points: u64,
}

impl Default for TransferOptions {
    fn default() -> Self {
        TransferOptions { prefix: String::new(), overwrite: false, most_points: MOST_POINTS }
    }
}

/// What was copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransferReport {
    /// Series that were written.
    pub series: u64,
    /// Their points.
    pub points: u64,
    /// Series that the target had, equal in everything.
    pub unchanged: u64,
    /// Records that were written.
    pub records: u64,
    /// Series and records that are others at the target, and were left as they are there.
    pub conflicts: u64,
    /// The keys of the first of them.
    pub first_conflicts: Vec<String>,
}

impl TransferReport {
    fn conflict(&mut self, what: &str) {
        self.conflicts += 1;
        if self.first_conflicts.len() < MOST_CONFLICTS {
            self.first_conflicts.push(what.to_owned());
        }
    }
}

/// Copies series and records from one backend into another.
///
/// A series is there whole or not at all: it is written under a name of its own, read back and compared by count and
/// checksum, and gets its key then, together with its metadata. What the target has already, equal in
/// everything, is passed over, so that a copy that was interrupted is taken up by calling this again; of a
/// long series too. `progress` is told how many points are done, of
/// how many; its error ends the copy.
///
/// # Errors
/// What the backends say; [`Error::Corrupt`] if what was read back is not what was written. What was copied by then
/// stays.
///
/// # Example
/// ```
/// use siltstone::series::{self, MemoryBackend, Series, StorageBackend, TransferOptions};
/// let (here, there) = (MemoryBackend::new(), MemoryBackend::new());
/// here.save("line#1", &Series::from_times_ns(&[0, 10], &[20.5, 21.0])?, &Default::default())?;
/// let report = series::transfer(&here, &there, &TransferOptions::default(), &mut |_, _| Ok(()))?;
/// assert_eq!((report.series, report.points), (1, 2));
/// assert_eq!(series::checksum(&here, "line#1")?, series::checksum(&there, "line#1")?);
/// # Ok::<(), siltstone::Error>(())
/// ```
pub fn transfer(
    source: &dyn StorageBackend,
    target: &dyn StorageBackend,
    options: &TransferOptions,
    progress: &mut Progress<'_>,
) -> Result<TransferReport> {
    let mut infos = Vec::new();
    for key in source.list_keys(&options.prefix)? {
        if key.ends_with(PART) {
            continue; // of a copy into the source that was interrupted
        }
        match source.info(&key) {
            Err(Error::NotFound { .. }) => {} // removed meanwhile
            info => infos.push(info?),
        }
    }
    let all = infos.iter().map(|info| info.length).sum();
    let (mut report, mut done) = (TransferReport::default(), 0);
    let mut small = Vec::new();
    progress(0, all)?;
    for info in &infos {
        let is_there = match target.info(&info.key) {
            Ok(there) if is_equal(source, target, info, &there)? => {
                report.unchanged += 1;
                done += info.length;
                progress(done, all)?;
                continue;
            }
            Ok(_) if !options.overwrite => {
                report.conflict(&info.key);
                done += info.length;
                continue;
            }
            Ok(_) => true,
            Err(Error::NotFound { .. }) => false,
            Err(error) => return Err(error),
        };
        if info.length > options.most_points {
            let most = (options.most_points / 4).max(1);
            long(source, target, info, is_there, most, &mut |points, _| {
                progress(done + points, all)
            })?;
            report.series += 1;
            report.points += info.length;
            done += info.length;
        } else {
            small.push((info, is_there));
            let waiting: u64 = small.iter().map(|(info, _)| info.length).sum();
            if waiting >= options.most_points / 2 || small.len() >= MOST_SERIES {
                done += short(source, target, &std::mem::take(&mut small), &mut report)?;
            }
        }
        progress(done, all)?;
    }
    done += short(source, target, &small, &mut report)?;
    records(source, target, options, &mut report)?;
    progress(done, all)?;
    Ok(report)
}

fn is_equal(
    source: &dyn StorageBackend,
    target: &dyn StorageBackend,
    here: &SeriesInfo,
    there: &SeriesInfo,
) -> Result<bool> {
    Ok(here == there && checksum(source, &here.key)? == checksum(target, &there.key)?)
}

fn broken(target: &dyn StorageBackend, key: &str) -> Error {
    Error::Corrupt {
        location: target.location(),
        what: format!("the copy of the series {key:?}"),
        why: "what was read back is not what was written".into(),
    }
}

/// Copies series that fit into memory together, in one commit; how many points.
fn short(
    source: &dyn StorageBackend,
    target: &dyn StorageBackend,
    series: &[(&SeriesInfo, bool)],
    report: &mut TransferReport,
) -> Result<u64> {
    let (mut changes, mut sums) = (Vec::new(), Vec::new());
    for (info, is_there) in series {
        let (series, metadata) = source.load(&info.key)?;
        let (key, part) = (info.key.clone(), format!("{}{PART}", info.key));
        sums.push((key.clone(), sum_of(&series)?));
        if target.exists(&part)? {
            changes.push(Change::Delete { key: part.clone() });
        }
        changes.push(Change::Save { key: part.clone(), series, metadata });
        if *is_there {
            changes.push(Change::Delete { key: key.clone() });
        }
        // Refused if another one took the key meanwhile.
        changes.push(Change::Rename { from: part, to: key });
    }
    target.commit(&changes)?;
    let mut points = 0;
    for (key, sum) in sums {
        if checksum(target, &key)? != sum {
            return Err(broken(target, &key));
        }
        report.series += 1;
        points += sum.points;
    }
    report.points += points;
    Ok(series.iter().map(|(info, _)| info.length).sum())
}

/// Copies a series piece by piece, and goes on behind the pieces that are there.
fn long(
    source: &dyn StorageBackend,
    target: &dyn StorageBackend,
    info: &SeriesInfo,
    is_there: bool,
    most: u64,
    progress: &mut Progress<'_>,
) -> Result<()> {
    let (key, part) = (&info.key, format!("{}{PART}", info.key));
    let mut have = match target.info(&part) {
        Ok(there) => there.length,
        Err(Error::NotFound { .. }) => 0,
        Err(error) => return Err(error),
    };
    let begun = if have > 0 { Some(hash_of_points(target, &part)?) } else { None };
    let mut hasher = PointHasher::default();
    let mut waiting: Vec<Series> = Vec::new();
    let mut written = 0;
    let mut batches = source.scan(key, &IndexRange::all())?;
    while let Some(batch) = batches.next_batch()? {
        let mut points = Series::from_batch(&batch)?;
        if hasher.points < have {
            let old = (have - hasher.points).min(points.len() as u64) as usize;
            hasher.add(&points.slice(0, old))?;
            points = points.slice(old, points.len() - old);
            if hasher.points == have && begun != Some(hasher.clone().finish()) {
                // What is there is of another series: from the beginning.
                target.delete(&part)?;
                return long(source, target, info, is_there, most, progress);
            }
        }
        hasher.add(&points)?;
        waiting.push(points);
        if waiting.iter().map(|points| points.len() as u64).sum::<u64>() >= most {
            written = flush(target, &part, &mut waiting, &mut have)?;
            progress(written, info.length)?;
        }
    }
    if hasher.points < have {
        target.delete(&part)?;
        return long(source, target, info, is_there, most, progress);
    }
    written = written.max(flush(target, &part, &mut waiting, &mut have)?);
    progress(written, info.length)?;
    if hash_of_points(target, &part)? != hasher.finish() {
        return Err(broken(target, key));
    }
    let (metadata, index) = (info.metadata.clone(), info.index_metadata().clone());
    let mut changes = Vec::new();
    if is_there {
        changes.push(Change::Delete { key: key.clone() });
    }
    changes.push(Change::SetMetadata { key: part.clone(), metadata });
    changes.push(Change::SetIndexMetadata { key: part.clone(), index });
    changes.push(Change::Rename { from: part, to: key.clone() });
    target.commit(&changes)?;
    if checksum(target, key)? != checksum(source, key)? {
        return Err(broken(target, key));
    }
    Ok(())
}

/// Appends what waits; how many points are there.
fn flush(
    target: &dyn StorageBackend,
    part: &str,
    waiting: &mut Vec<Series>,
    have: &mut u64,
) -> Result<u64> {
    let mut all = std::mem::take(waiting).into_iter();
    if let Some(first) = all.next() {
        let whole = all.try_fold(first, |whole, next| whole.concat(&next))?;
        *have += target.append(part, &whole)?;
    }
    Ok(*have)
}

/// Copies records: all, or those of datasets that the prefix belongs to, and the texts of functions.
fn records(
    source: &dyn StorageBackend,
    target: &dyn StorageBackend,
    options: &TransferOptions,
    report: &mut TransferReport,
) -> Result<()> {
    let prefix = &options.prefix;
    let mut changes = Vec::new();
    for name in source.list_records("")? {
        let (kind, rest) = name.split_once('/').unwrap_or(("", &name));
        let belongs = kind == "function"
            || rest.starts_with(prefix.as_str())
            || (!rest.is_empty() && prefix.starts_with(&format!("{rest}/")));
        if !belongs {
            continue;
        }
        let Some(record) = source.record(&name)? else { continue };
        match target.record(&name)? {
            Some(there) if there == record => {}
            Some(_) if !options.overwrite => report.conflict(&name),
            _ => changes.push(Change::Record { name, record: Some(record) }),
        }
    }
    report.records += changes.len() as u64;
    target.commit(&changes)
}

/// The number of points of a stored series and a hash of all that it is, read piece by piece.
///
/// # Errors
/// What the backend says.
pub fn checksum(backend: &dyn StorageBackend, key: &str) -> Result<SeriesChecksum> {
    let mut batches = backend.scan(key, &IndexRange::all())?;
    let schema = batches.schema().clone();
    let mut hasher = PointHasher::default();
    let empty = arrow_array::RecordBatch::new_empty(schema.clone());
    let head = Series::from_batch(&empty)?;
    while let Some(batch) = batches.next_batch()? {
        hasher.add(&Series::from_batch(&batch)?)?;
    }
    Ok(whole(&head, hasher))
}

fn sum_of(series: &Series) -> Result<SeriesChecksum> {
    let mut hasher = PointHasher::default();
    hasher.add(series)?;
    Ok(whole(series, hasher))
}

fn hash_of_points(backend: &dyn StorageBackend, key: &str) -> Result<SeriesChecksum> {
    let mut batches = backend.scan(key, &IndexRange::all())?;
    let mut hasher = PointHasher::default();
    while let Some(batch) = batches.next_batch()? {
        hasher.add(&Series::from_batch(&batch)?)?;
    }
    Ok(hasher.finish())
}

fn whole(series: &Series, hasher: PointHasher) -> SeriesChecksum {
    let points = hasher.finish();
    let types = (series.index().data_type().to_string(), series.values().data_type().to_string());
    let head: &Head = series.head();
    let text = serde_json::to_string(&(types, head)).expect("names and numbers are JSON");
    let mut all = Xxh3::new();
    all.update(&points.hash.to_be_bytes());
    all.update(text.as_bytes());
    SeriesChecksum { points: points.points, hash: all.digest128() }
}

/// Hashes points piece by piece; the pieces do not matter.
#[derive(Clone, Default)]
struct PointHasher {
    points: u64,
    columns: [Column; 2],
}

#[derive(Clone, Default)]
struct Column {
    valid: Xxh3,
    values: Xxh3,
}

impl PointHasher {
    fn add(&mut self, series: &Series) -> Result<()> {
        self.points += series.len() as u64;
        self.columns[0].add(series.index())?;
        self.columns[1].add(series.values())
    }

    fn finish(self) -> SeriesChecksum {
        let mut all = Xxh3::new();
        all.update(&self.points.to_be_bytes());
        for column in &self.columns {
            all.update(&column.valid.digest128().to_be_bytes());
            all.update(&column.values.digest128().to_be_bytes());
        }
        SeriesChecksum { points: self.points, hash: all.digest128() }
    }
}

impl Column {
    fn add(&mut self, array: &dyn Array) -> Result<()> {
        use DataType as T;
        let data = array.to_data();
        let (from, n) = (data.offset(), data.len());
        let is_missing = |row: usize| data.is_null(row);
        if data.null_count() == 0 {
            self.valid.update(&vec![1; n]);
        } else {
            self.valid.update(&(0..n).map(|row| u8::from(!is_missing(row))).collect::<Vec<_>>());
        }
        let width = match data.data_type() {
            T::Boolean => {
                let bits = BooleanBuffer::new(data.buffers()[0].clone(), from, n);
                let bits =
                    bits.iter().enumerate().map(|(row, bit)| u8::from(bit && !is_missing(row)));
                self.values.update(&bits.collect::<Vec<_>>());
                return Ok(());
            }
            T::Utf8 | T::Binary => {
                let ends = data.buffers()[0].typed_data::<i32>();
                let bytes = data.buffers()[1].as_slice();
                for row in 0..n {
                    let (start, end) = (ends[from + row] as usize, ends[from + row + 1] as usize);
                    let item = if is_missing(row) { &[][..] } else { &bytes[start..end] };
                    self.values.update(&(item.len() as u64).to_be_bytes());
                    self.values.update(item);
                }
                return Ok(());
            }
            T::FixedSizeBinary(size) => *size as usize,
            other => other.primitive_width().ok_or_else(|| {
                Error::invalid("a series", "types that a series can have", other.to_string())
            })?,
        };
        let bytes = &data.buffers()[0].as_slice()[from * width..(from + n) * width];
        if data.null_count() == 0 {
            self.values.update(bytes);
        } else {
            // What lies beneath a missing value is nobody's.
            let mut plain = bytes.to_vec();
            for row in (0..n).filter(|row| is_missing(*row)) {
                plain[row * width..(row + 1) * width].fill(0);
            }
            self.values.update(&plain);
        }
        Ok(())
    }
}
