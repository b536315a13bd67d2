//! Ticks: day files in SQLite, and JSON files; both with spill files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use siltstone::ticks::{Names, QueueFull, TickBatch, TickStore, TickStoreConfig, doctor, json};
use siltstone::{Durability, Error};

use super::found::{Found, Odd, Rows, number_of, rows_of, value_of};
use super::{Outside, Subject, Writer, files_below};

const NOON: i64 = 1_768_824_000_000_000_000;
const SECOND: i64 = 1_000_000_000;
const SYMBOLS: [&str; 2] = ["EURUSD", "USD/JPY"];
const LP: &str = "YOFX";

/// The tick of a row: of three days and two symbols, so that an item is of one day and symbol.
fn tick(item: u64, row: u64) -> (&'static str, i64, f64, f64) {
    let number = number_of(item) as i64;
    let time =
        NOON + (number % 3) * 86_400 * SECOND + (number / 3 % 5_000 * 8 + row as i64) * SECOND;
    // The ask tells the row, and, in its fraction, that no bit of it has changed.
    (
        SYMBOLS[(item % 2) as usize],
        time,
        item as f64,
        row as f64 + value_of(item, row).fract() / 2.0,
    )
}

/// Ticks of even items come in one call, those of odd ones one by one.
fn comes_at_once(item: u64) -> bool {
    item.is_multiple_of(2)
}

fn ticks_of(item: u64) -> u64 {
    if comes_at_once(item) { rows_of(item) } else { 1 }
}

fn add(
    rows: &mut Rows,
    symbol: &str,
    time_ns: i64,
    [bid, ask, spread]: [f64; 3],
) -> Result<(), Odd> {
    let (item, row) = (bid as u64, ask.clamp(0.0, 7.0) as u64);
    let (own, time, own_bid, own_ask) = tick(item, row);
    if (bid, ask, spread) != (own_bid, own_ask, 0.5) {
        return Err(Odd::wrong(
            "value",
            format!("{bid}, {ask}, {spread} of {symbol} at {time_ns}"),
        ));
    }
    rows.check("row", (item, row), (symbol.to_owned(), time_ns), (own.to_owned(), time))
}

/// The ticks of a JSON file, as another program reads them.
fn add_json(rows: &mut Rows, path: &Path) -> Result<(), Odd> {
    let text = std::fs::read(path).unwrap();
    let wrong = |what: String| Odd::wrong("text", format!("{}: {what}", path.display()));
    let parsed: Vec<serde_json::Value> =
        serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    for tick in parsed {
        let number = |name: &str| tick[name].as_f64().unwrap_or(-1.0);
        let time: jiff::Timestamp = tick["timestamp"]
            .as_str()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| wrong(tick.to_string()))?;
        let prices = [number("bid"), number("ask"), number("spread")];
        add(rows, tick["symbol"].as_str().unwrap_or(""), time.as_nanosecond() as i64, prices)?;
    }
    Ok(())
}

fn is_json(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_string_lossy();
    name.ends_with(".json") && !name.starts_with('.')
}

/// Items that wait in spill files, which may be in the day's file too.
fn spilled(folder: &Path) -> Result<BTreeSet<u64>, Odd> {
    let mut items = BTreeSet::new();
    for path in files_below(folder).into_iter().filter(|path| is_json(path)) {
        if path.components().any(|part| part.as_os_str().to_string_lossy().starts_with("spill")) {
            let mut rows = Rows::default();
            add_json(&mut rows, &path)?;
            items.extend(rows.seen());
        }
    }
    Ok(items)
}

fn config(folder: &Path, durability: Durability, is_sqlite: bool) -> TickStoreConfig {
    let base = match is_sqlite {
        true => TickStoreConfig {
            sqlite_base_path: folder.to_owned(),
            ..TickStoreConfig::production("b")
        },
        false => TickStoreConfig {
            json_base_path: folder.to_owned(),
            ..TickStoreConfig::json("b", 10_000)
        },
    };
    let (queue_full, compact_every) = (QueueFull::Block, None);
    TickStoreConfig { queue_full, compact_every, batch_size: 20, durability, ..base }
}

struct Ticks {
    store: TickStore,
    /// Whether what an error leaves waits in memory, so that it must not be stored again.
    keeps_batches: bool,
}

fn open(folder: &Path, durability: Durability, is_sqlite: bool) -> Result<Box<dyn Writer>, Error> {
    let store = TickStore::new(config(folder, durability, is_sqlite))?;
    Ok(Box::new(Ticks { store, keeps_batches: !is_sqlite }))
}

pub(super) struct InSqlite;
pub(super) struct InJson;

impl Subject for InSqlite {
    fn name(&self) -> &'static str {
        "ticks"
    }

    fn open(
        &self,
        folder: &Path,
        durability: Durability,
        _: u64,
    ) -> Result<Box<dyn Writer>, Error> {
        open(folder, durability, true)
    }

    fn outside(&self, folder: &Path) -> Result<Found, Odd> {
        let (mut rows, mut packed_rows) = (Rows::default(), 0);
        let is_day = |path: &PathBuf| path.extension().is_some_and(|end| end == "db");
        for path in files_below(folder).into_iter().filter(is_day) {
            let Some(db) = Outside::open(&path, "tick_rows")? else { continue };
            // The view ticks has blocks too, and SQLite alone refuses it then.
            let sql = "SELECT s.symbol, r.time_ns, r.bid, r.ask, coalesce(r.spread, r.ask - r.bid) \
                FROM tick_rows r JOIN tick_symbol s ON s.id = r.symbol_id";
            for (symbol, time_ns, prices) in db.each(sql, |row| {
                let prices = [row.get(2)?, row.get(3)?, row.get(4)?];
                Ok((row.get::<_, String>(0)?, row.get(1)?, prices))
            })? {
                add(&mut rows, &symbol, time_ns, prices)?;
            }
            let sql = "SELECT coalesce(sum(rows), 0) FROM tick_block";
            packed_rows += db.each(sql, |row| row.get::<_, i64>(0))?[0] as u64;
        }
        // Of an item some rows may be packed and some not: that it is whole the reader says.
        Ok(Found { items: rows.seen(), packed_rows })
    }

    fn waiting(&self, folder: &Path) -> Result<BTreeSet<u64>, Odd> {
        spilled(folder)
    }

    fn inside(&self, folder: &Path) -> Result<Found, Odd> {
        let store = TickStore::new(config(folder, Durability::Os, true))?;
        store.flush()?; // what was spilled is written
        let mut rows = Rows::default();
        for symbol in SYMBOLS {
            for tick in store.get_ticks_in_range(symbol, i64::MIN, i64::MAX)?.iter() {
                let part = if tick.lp == LP { "row" } else { "source" };
                let prices = [tick.bid, tick.ask, tick.spread];
                match part {
                    "row" => add(&mut rows, tick.symbol, tick.time_ns, prices)?,
                    _ => return Err(Odd::wrong(part, tick.lp)),
                }
            }
        }
        store.stop()?;
        Ok(Found { items: rows.items(ticks_of)?, packed_rows: 0 })
    }

    fn rows_of(&self, item: u64) -> u64 {
        ticks_of(item)
    }

    fn verify(&self, folder: &Path) -> Result<Vec<String>, Error> {
        let report = doctor(folder)?;
        Ok(report.findings.iter().map(|found| format!("{found:?}")).collect())
    }
}

impl Subject for InJson {
    fn name(&self) -> &'static str {
        "ticks-json"
    }

    fn open(
        &self,
        folder: &Path,
        durability: Durability,
        _: u64,
    ) -> Result<Box<dyn Writer>, Error> {
        open(folder, durability, false)
    }

    fn outside(&self, folder: &Path) -> Result<Found, Odd> {
        let mut rows = Rows::default();
        for path in files_below(folder).into_iter().filter(|path| is_json(path)) {
            if !path.starts_with(folder.join("spill-json")) {
                add_json(&mut rows, &path)?;
            }
        }
        Ok(Found { items: rows.items(ticks_of)?, packed_rows: 0 })
    }

    fn waiting(&self, folder: &Path) -> Result<BTreeSet<u64>, Odd> {
        spilled(folder)
    }

    /// The files as our own parser reads them.
    fn inside(&self, folder: &Path) -> Result<Found, Odd> {
        TickStore::new(config(folder, Durability::Os, false))?.stop()?; // what was spilled is written
        let mut rows = Rows::default();
        for path in files_below(folder).into_iter().filter(|path| is_json(path)) {
            let text = std::fs::read(&path).unwrap();
            let parsed = json::parse(&text, |found| {
                let prices = [found.bid, found.ask, found.spread];
                let added = add(&mut rows, &found.symbol, found.time_ns, prices);
                added.map_err(|odd| odd.to_string())
            });
            parsed.map_err(|error| Odd::wrong("text", format!("{}: {error}", path.display())))?;
        }
        Ok(Found { items: rows.items(ticks_of)?, packed_rows: 0 })
    }

    fn rows_of(&self, item: u64) -> u64 {
        ticks_of(item)
    }

    /// One store writes a folder of JSON files.
    fn is_shared(&self) -> bool {
        false
    }
}

impl Writer for Ticks {
    fn put(&mut self, item: u64) -> Result<(), Error> {
        if !comes_at_once(item) {
            let (symbol, time, bid, ask) = tick(item, 0);
            let _ = self.store.store_tick(symbol, bid, ask, 0.5, LP, time)?;
            return self.store.flush().map(drop);
        }
        let ticks: Vec<_> = (0..rows_of(item)).map(|row| tick(item, row)).collect();
        let time: Vec<i64> = ticks.iter().map(|t| t.1).collect();
        let bid: Vec<f64> = ticks.iter().map(|t| t.2).collect();
        let ask: Vec<f64> = ticks.iter().map(|t| t.3).collect();
        let spread = vec![0.5; ticks.len()];
        let batch = TickBatch {
            lp: Names::One(LP),
            spread: Some(&spread),
            ..TickBatch::new(ticks[0].0, &time, &bid, &ask)
        };
        self.store.store_ticks(&batch).map(drop)
    }

    /// What was accepted waits in memory or in a spill file.
    fn again(&mut self, item: u64) -> Result<(), Error> {
        match comes_at_once(item) && !self.keeps_batches {
            true => self.put(item),
            false => self.store.flush().map(drop),
        }
    }

    fn tend(&mut self, _: u64) -> Result<Option<PathBuf>, Error> {
        self.store.compact_all().map(|_| None)
    }

    fn close(self: Box<Self>) -> Result<(), Error> {
        self.store.stop().map(drop)
    }
}
