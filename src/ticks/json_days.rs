//! The JSON files of a store: `BASE/SYMBOL/YYYY-MM-DD.json`, by the tick's own UTC day.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::calendar::Day;
use super::day::entries;
use super::json::{self, JsonError, JsonTick};
use super::tick::{Origins, Row, Tick, Ticks, check_prices, check_symbol};
use crate::error::{Error, Result};
use crate::kernel::{
    check_is_file, check_writable, create_folder, open_lock, read_if_there, try_lock, unlock,
    write_atomically,
};

/// The most bytes of a JSON file of ticks.
pub(super) const MAX_JSON_BYTES: u64 = 2 << 30;

/// The folder of JSON files, and what waits to be written there.
#[derive(Debug)]
pub(super) struct JsonDays {
    base: PathBuf,
    durable: bool,
    waiting: Mutex<Waiting>,
    /// Held as long as the store lives: two writers would lose each other's ticks.
    lock: File,
}

#[derive(Debug, Default)]
struct Waiting {
    rows: BTreeMap<(Arc<str>, Day), Vec<Row>>,
    /// The ordinal of the last tick that came here.
    watermark: u64,
}

impl JsonDays {
    pub(super) fn open(base: &Path, durable: bool) -> Result<Self> {
        check_writable(base)?;
        let path = base.join(".lock");
        check_is_file(&path)?;
        let lock = open_lock(&path);
        let lock = lock.map_err(|e| Error::io(&path, "opening it", &e))?;
        lock_whole(&lock, &path)?;
        let waiting = Mutex::default();
        Ok(JsonDays { base: base.to_owned(), durable, waiting, lock })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn path(&self, symbol: &str, day: Day) -> PathBuf {
        self.base.join(folder_name(symbol)).join(format!("{day}.json"))
    }

    /// Takes ticks, to be written with the next flush.
    pub(super) fn add(&self, rows: Vec<(Arc<str>, Row)>, last: u64) {
        let mut waiting = self.lock();
        for (symbol, row) in rows {
            waiting.rows.entry((symbol, Day::of(row.time_ns))).or_default().push(row);
        }
        waiting.watermark = waiting.watermark.max(last);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().rows.is_empty()
    }

    /// Lets another store have the folder, unless something waits that only this one can write.
    pub(super) fn release(&self) {
        let waiting = self.lock();
        if waiting.rows.is_empty() {
            unlock(&self.lock);
        }
    }

    /// Writes what waits; what cannot be written goes on waiting. How many were written.
    ///
    /// # Errors
    /// The first error; the other files are written.
    pub(super) fn flush(&self, origins: &Origins) -> (u64, Result<()>) {
        let mut waiting = self.lock();
        let (mut written, mut outcome) = (0, Ok(()));
        let all = origins.all();
        waiting.rows.retain(|(symbol, day), rows| {
            let ticks = rows.iter().map(|row| tick(symbol, row, &all[row.origin as usize]));
            let appended = self.append(&self.path(symbol, *day), ticks);
            // They are in the file: written again they would be there twice.
            let is_there = matches!(appended, Ok(()) | Err(Error::DurabilityUnknown { .. }));
            if is_there {
                written += rows.len() as u64;
            }
            outcome = std::mem::replace(&mut outcome, Ok(())).and(appended);
            !is_there
        });
        (written, outcome)
    }

    /// How many ticks the file of a symbol and day has, and whether these are in it from the index `at` on.
    pub(super) fn has_at(
        &self,
        symbol: &str,
        day: Day,
        at: Option<usize>,
        rows: &[Row],
        origins: &Origins,
    ) -> Result<(usize, bool)> {
        let path = self.path(symbol, day);
        let there = match read_if_there(&path, MAX_JSON_BYTES)? {
            Some(text) => read_rows(&path, &text, origins)?.1,
            None => Vec::new(),
        };
        let found = at.and_then(|at| there.get(at..at.checked_add(rows.len())?));
        let same = |found: &[Row]| found.iter().zip(rows).all(|(a, b)| a.is_same(b));
        Ok((there.len(), found.is_some_and(same)))
    }

    /// Writes ticks at once, behind those that are there.
    pub(super) fn append_now(
        &self,
        symbol: &str,
        day: Day,
        rows: &[Row],
        origins: &Origins,
    ) -> Result<()> {
        let _waiting = self.lock(); // one writer at a time
        let all = origins.all();
        let ticks = rows.iter().map(|row| tick(symbol, row, &all[row.origin as usize]));
        self.append(&self.path(symbol, day), ticks)
    }

    /// Takes out what waits.
    pub(super) fn take_waiting(&self) -> Vec<(Arc<str>, Day, Vec<Row>)> {
        let waiting = std::mem::take(&mut self.lock().rows);
        waiting.into_iter().map(|((symbol, day), rows)| (symbol, day, rows)).collect()
    }

    /// Adds ticks to a file; a file that is not such a list is left as it is.
    fn append<'a>(&self, path: &Path, ticks: impl Iterator<Item = Tick<'a>>) -> Result<()> {
        let text = read_if_there(path, MAX_JSON_BYTES)?;
        let mut text = text.unwrap_or_else(|| b"[]".to_vec());
        while text.last().is_some_and(u8::is_ascii_whitespace) {
            text.pop();
        }
        let inner = text.trim_ascii_start();
        if inner.first() != Some(&b'[') || text.pop() != Some(b']') {
            return Err(malformed(path, text.len(), "it is not a whole list of ticks"));
        }
        let mut first = text.trim_ascii().len() == 1;
        for tick in ticks {
            if !std::mem::take(&mut first) {
                text.push(b',');
            }
            json::write_tick(&mut text, &tick);
        }
        text.push(b']');
        if let Some(folder) = path.parent() {
            create_folder(folder, self.durable)?;
        }
        write_atomically(path, &text, self.durable)
    }

    /// The ticks of a symbol and day, in the order of their arrival, and up to which ordinal.
    pub(super) fn read(
        &self,
        symbol: &str,
        day: Day,
        origins: &Origins,
    ) -> Result<(Vec<Row>, u64)> {
        let waiting = self.lock();
        let path = self.path(symbol, day);
        let mut rows = match read_if_there(&path, MAX_JSON_BYTES)? {
            Some(text) => read_rows(&path, &text, origins)?.1,
            None => Vec::new(),
        };
        if let Some(more) = waiting.rows.get(&(symbol.into(), day)) {
            rows.extend_from_slice(more);
        }
        Ok((rows, waiting.watermark))
    }

    /// The days that a symbol has files or waiting ticks of, rising.
    pub(super) fn days(&self, symbol: &str) -> Result<Vec<Day>> {
        let mut days: Vec<Day> = entries(&self.base.join(folder_name(symbol)))?
            .iter()
            .filter_map(|p| day_of(p))
            .collect();
        let waiting = self.lock();
        days.extend(waiting.rows.keys().filter(|(s, _)| **s == *symbol).map(|(_, day)| *day));
        days.sort();
        days.dedup();
        Ok(days)
    }

    /// The symbols that have a folder with day files.
    pub(super) fn symbols(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for folder in entries(&self.base)?.into_iter().filter(|folder| folder.is_dir()) {
            let name = folder.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            let symbol = name.replace("%2F", "/");
            if check_symbol(&symbol).is_ok()
                && entries(&folder)?.iter().any(|p| day_of(p).is_some())
            {
                found.push(symbol);
            }
        }
        Ok(found)
    }
}

/// The folder of a symbol: a symbol has letters only that a name may have, the slash excepted.
fn folder_name(symbol: &str) -> String {
    symbol.replace('/', "%2F")
}

/// The day that the name of a JSON file says.
pub(super) fn day_of(path: &Path) -> Option<Day> {
    Day::parse(path.file_name()?.to_str()?.strip_suffix(".json")?)
}

/// Symbols, each with the index of the first row that is of it.
pub(super) type Runs = Vec<(Arc<str>, usize)>;

/// The ticks of a file as rows, each with its symbol.
pub(super) fn read_rows(path: &Path, text: &[u8], origins: &Origins) -> Result<(Runs, Vec<Row>)> {
    read_good_rows(path, text, origins, Err)
}

/// As [`read_rows`], where `bad` is told of a tick that does not fit.
pub(super) fn read_good_rows(
    path: &Path,
    text: &[u8],
    origins: &Origins,
    bad: impl FnMut(JsonError) -> Result<(), JsonError>,
) -> Result<(Runs, Vec<Row>)> {
    let mut rows = Vec::new();
    let mut symbols = Runs::new();
    let mut last: Option<(String, String, i32, u32)> = None;
    let each = |tick: JsonTick<'_>| {
        let one_line = |error: Error| error.to_string();
        check_prices(tick.bid, tick.ask, tick.spread).map_err(one_line)?;
        if symbols.last().is_none_or(|(symbol, _)| **symbol != *tick.symbol) {
            check_symbol(&tick.symbol).map_err(one_line)?;
            symbols.push((tick.symbol.as_ref().into(), rows.len()));
        }
        let key = (&*tick.lp, &*tick.broker_id, tick.utc_offset_s);
        let origin = match &last {
            Some((lp, broker, offset, number)) if (&**lp, &**broker, *offset) == key => *number,
            _ => {
                let number = origins.number(key.0, key.1, key.2).map_err(one_line)?;
                last = Some((key.0.to_owned(), key.1.to_owned(), key.2, number));
                number
            }
        };
        let (time_ns, bid, ask, spread) = (tick.time_ns, tick.bid, tick.ask, tick.spread);
        rows.push(Row { time_ns, bid, ask, spread, origin });
        Ok(())
    };
    let parsed = json::parse_rows(text, each, bad);
    parsed.map_err(|error| malformed(path, error.offset, &error.why))?;
    Ok((symbols, rows))
}

fn malformed(path: &Path, offset: usize, why: &str) -> Error {
    Error::Corrupt {
        location: path.display().to_string(),
        what: "the JSON file".into(),
        why: format!("at byte {offset}: {why}"),
    }
}

/// A row with its words.
pub(super) fn tick<'a>(symbol: &'a str, row: &Row, origin: &'a super::Origin) -> Tick<'a> {
    Tick {
        symbol,
        time_ns: row.time_ns,
        bid: row.bid,
        ask: row.ask,
        spread: row.spread,
        lp: &origin.lp,
        broker_id: &origin.broker_id,
        utc_offset_s: origin.utc_offset_s,
    }
}

/// Rows in the order of arrival as ticks rising in time, within a range.
pub(super) fn sorted(symbol: &Arc<str>, mut rows: Vec<Row>, from_ns: i64, to_ns: i64) -> Ticks {
    rows.retain(|row| (from_ns..=to_ns).contains(&row.time_ns));
    rows.sort_by_key(|row| row.time_ns);
    let mut ticks = Ticks::new(symbol.clone());
    rows.iter().for_each(|row| ticks.push(row));
    ticks
}

fn lock_whole(file: &File, path: &Path) -> Result<()> {
    if try_lock(file).map_err(|e| Error::io(path, "locking it", &e))? {
        return Ok(());
    }
    Err(Error::Busy {
        path: path.to_owned(),
        waited_ms: 0,
        action: "taking the folder of JSON files, which one store at a time may write",
    })
}
