//! Ticks as other machines see them.
//!
//! A day of a bucket of symbols is one slice. Of the newest day, which still grows, a slice is an hour, and near its end five
//! minutes and fifteen seconds: what is new is sent without what came before, and slices that are over become one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use xxhash_rust::xxh3::xxh3_128;

use super::calendar::{Day, SECOND_NS};
use super::scan::{not_arrow, scan_schema};
use super::store::TickStore;
use super::tables;
use crate::error::{Error, Result};
use crate::kernel::{ReadTx, now_ns};
use crate::table::{Batches, Cut, Keeps, Published, PublishedTable, Slice, bucket, growing};

/// Of a day that grows, from its beginning to its end.
const CUTS_NS: [i64; 3] = [3_600 * SECOND_NS, 300 * SECOND_NS, 15 * SECOND_NS];
/// What was written this short a time ago may be written again without a later time in the file system.
const RECENT_NS: i64 = SECOND_NS;

/// The ticks of a store, as they are published.
pub(crate) struct PublishedTicks {
    store: TickStore,
    /// Of days that did not change since they were looked at: which buckets they have.
    days: Mutex<HashMap<Day, (u128, BTreeSet<u64>)>>,
}

fn schema() -> SchemaRef {
    let scanned = scan_schema();
    let of = |name: &str, called: &str| {
        let field = scanned.field_with_name(name).expect("a scan has it");
        field.clone().with_name(called)
    };
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        of("symbol", "symbol"),
        Field::new("time", time, false),
        Field::new("time_ns", DataType::Int64, false),
        of("bid", "bid"),
        of("ask", "ask"),
        of("spread", "spread"),
        of("lp", "lp_source"),
        of("broker_id", "broker_id"),
    ]))
}

/// A batch of a scan with the columns of [`schema`].
fn published(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch> {
    let [symbol, time, bid, ask, spread, lp, broker] = batch.columns() else {
        return Err(Error::invalid("the ticks", "seven columns", batch.num_columns().to_string()));
    };
    let ns = time.as_primitive::<TimestampNanosecondType>().values();
    let micros =
        TimestampMicrosecondArray::from_iter_values(ns.iter().map(|ns| ns.div_euclid(1_000)));
    let columns: Vec<ArrayRef> = vec![
        symbol.clone(),
        Arc::new(micros.with_timezone("UTC")),
        Arc::new(Int64Array::new(ns.clone(), None)),
        bid.clone(),
        ask.clone(),
        spread.clone(),
        lp.clone(),
        broker.clone(),
    ];
    RecordBatch::try_new(schema.clone(), columns).map_err(not_arrow)
}

impl PublishedTicks {
    pub(crate) fn new(store: &TickStore) -> Self {
        PublishedTicks { store: store.clone(), days: Mutex::default() }
    }

    /// Runs `work` on the file of a day; `None` if it has no tick.
    fn read<T>(&self, day: Day, work: impl FnOnce(&ReadTx<'_>) -> Result<T>) -> Result<Option<T>> {
        let Some(days) = &self.store.shared.days else { return Ok(None) };
        let Some(db) = days.reader(day)? else { return Ok(None) };
        db.read(|tx| if tables::are_there(tx)? { work(tx).map(Some) } else { Ok(None) })
    }

    /// The buckets that a day has.
    fn buckets(&self, day: Day, stamp: u128) -> Result<BTreeSet<u64>> {
        let mut days = self.days.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, buckets)) = days.get(&day).filter(|(known, _)| *known == stamp) {
            return Ok(buckets.clone());
        }
        let symbols = self.read(day, tables::symbols)?.unwrap_or_default();
        let buckets: BTreeSet<u64> = symbols.iter().map(|(_, symbol)| bucket(symbol)).collect();
        days.insert(day, (stamp, buckets.clone()));
        Ok(buckets)
    }

    /// The slices of a day that still grows.
    fn growing(&self, day: Day) -> Result<Vec<Slice>> {
        let seen = self.read(day, |tx| seen(tx, day))?;
        let Some(Seen { last_ns, buckets }) = seen else { return Ok(Vec::new()) };
        let ranges = growing(day.first_ns(), last_ns, &CUTS_NS);
        let mut slices = Vec::new();
        for (bucket, seen) in &buckets {
            for (first, until) in &ranges {
                // What lies in a block counts wherever the block is.
                let within = seen.iter().filter(|(range, _)| range.0 < *until && range.1 >= *first);
                let signature = within.fold(0u128, |sum, (_, hash)| sum.wrapping_add(*hash));
                if signature != 0 {
                    let partition = partition(day, *bucket);
                    slices.push(Slice { partition, first: *first, until: *until, signature });
                }
            }
        }
        Ok(slices)
    }
}

/// The first and last time of rows or a block, and what tells them from others.
type Part = ((i64, i64), u128);

/// What was seen of a day.
struct Seen {
    last_ns: i64,
    buckets: BTreeMap<u64, Vec<Part>>,
}

fn seen(tx: &ReadTx<'_>, day: Day) -> Result<Seen> {
    let symbols: HashMap<i64, Arc<str>> = tables::symbols(tx)?.into_iter().collect();
    let mut found = Seen { last_ns: day.first_ns(), buckets: BTreeMap::new() };
    let mut add = |id: i64, range: (i64, i64), hash: u128| {
        let Some(symbol) = symbols.get(&id) else { return };
        found.last_ns = found.last_ns.max(range.1);
        found.buckets.entry(bucket(symbol)).or_default().push((range, hash));
    };
    let step = CUTS_NS[2];
    let sql = "SELECT symbol_id, (time_ns - ?1) / ?2, max(time_ns), count(*), sum(coalesce(row_sum, \
        silt_row_sum(symbol_id, time_ns, arrival, bid, ask, spread, origin_id, created_ms, zeros))), sum(arrival) \
        FROM tick_rows GROUP BY 1, 2";
    tx.query(sql, (day.first_ns(), step), |row| {
        let numbers: [i64; 6] =
            [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?];
        let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        let first = day.first_ns() + numbers[1] * step;
        add(numbers[0], (first, numbers[2]), xxh3_128(&bytes));
        Ok(())
    })?;
    let sql = "SELECT symbol_id, first_ns, last_ns, checksum FROM tick_block";
    tx.query(sql, [], |row| {
        let checksum: Vec<u8> = row.get(3)?;
        add(row.get(0)?, (row.get(1)?, row.get(2)?), xxh3_128(&checksum));
        Ok(())
    })?;
    Ok(found)
}

fn partition(day: Day, bucket: u64) -> Vec<String> {
    vec![day.to_string(), bucket.to_string()]
}

/// Tells a state of a file from others by its size and time, and those of its log.
fn stamp(path: &Path) -> Result<u128> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let mut bytes = Vec::new();
    for path in [path, Path::new(&log)] {
        let found = match std::fs::metadata(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            found => found.map_err(|e| Error::io(path, "looking at its time", &e))?,
        };
        let modified = found.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let modified_ns = modified.map_or(i64::MAX, |time| time.as_nanos() as i64);
        let now = now_ns();
        if now.saturating_sub(modified_ns) < RECENT_NS {
            bytes.extend(now.to_le_bytes()); // it may change and keep its time: like no other
        }
        bytes.extend(found.len().to_le_bytes());
        bytes.extend(modified_ns.to_le_bytes());
    }
    Ok(xxh3_128(&bytes))
}

impl Published for PublishedTicks {
    fn tables(&self) -> Result<Vec<PublishedTable>> {
        if self.store.shared.days.is_none() {
            return Err(Error::invalid(
                "the store of ticks",
                "one that writes SQLite",
                "JSON files",
            ));
        }
        let partitions = &[("day", "date"), ("symbol_bucket", "integer")];
        Ok(vec![PublishedTable { name: "ticks".into(), schema: schema(), partitions }])
    }

    fn slices(&self, _: &PublishedTable, cut: Cut) -> Result<Vec<Slice>> {
        let Some(days) = &self.store.shared.days else { return Ok(Vec::new()) };
        let files = days.files()?;
        let newest = files.keys().last().copied();
        let mut slices = Vec::new();
        for (day, path) in &files {
            if cut == Cut::Fine && newest == Some(*day) {
                slices.extend(self.growing(*day)?);
                continue;
            }
            // Before its rows are read: what is written after it is seen next time.
            let signature = stamp(path)?;
            slices.extend(self.buckets(*day, signature)?.into_iter().map(|bucket| Slice {
                partition: partition(*day, bucket),
                first: day.first_ns(),
                until: day.last_ns().saturating_add(1),
                signature,
            }));
        }
        Ok(slices)
    }

    /// A day that was thinned, or removed and begun anew by a late tick, has fewer ticks than the lake.
    fn only_grows(&self) -> bool {
        true
    }

    /// A day whose file was removed, to save room: the lake is the place where it stays.
    fn keeps(&self) -> Result<Keeps> {
        let Some(days) = &self.store.shared.days else { return Ok(Box::new(|_| true)) };
        let days: BTreeSet<String> = days.files()?.into_keys().map(|day| day.to_string()).collect();
        Ok(Box::new(move |slice| !days.contains(&slice.partition[0])))
    }

    fn rows(&self, table: &PublishedTable, slice: &Slice) -> Result<Batches> {
        let mut symbols = self.store.symbols_between(slice.first, slice.until - 1)?;
        symbols.retain(|symbol| slice.partition[1] == bucket(symbol).to_string());
        let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
        let mut scan = self.store.scan(Some(&symbols), slice.first, slice.until - 1)?;
        let schema = table.schema.clone();
        Ok(Batches::new(schema.clone(), move || {
            scan.next_batch()?.map(|batch| published(&schema, &batch)).transpose()
        }))
    }
}
