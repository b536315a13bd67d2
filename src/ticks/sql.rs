//! A user's own SQL over all days of a folder.

use std::collections::{BTreeSet, HashMap};
use std::ffi::CStr;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::vtab::Context;

use super::calendar::Day;
use super::scan::Scan;
use super::store::TickStore;
use super::tick::{Ticks, check_symbol};
use crate::error::Result;
use crate::kernel::{
    Bounds, Chunks, Query, RowSource, StreamedRows, StreamedTable, Value, query_streamed,
};
use crate::table::{Batches, rows_to_arrow};

const NS_PER_MS: i64 = 1_000_000;

/// How much of a folder a query has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct DaysRead {
    /// Day files that were opened.
    pub opened: u64,
    /// Day files that there are.
    pub days: u64,
}

impl TickStore {
    /// Runs one SQL statement that only reads over the table `ticks`, which has the ticks of all days: `symbol`, `timestamp`
    /// (ms since 1970-01-01 UTC), `time_ns`, `bid`, `ask`, `spread`, `lp_source`, `broker_id`.
    ///
    /// Conditions on `symbol` (`=`, `IN`), `timestamp` and `time_ns` choose the days that are opened and the blocks that are
    /// unpacked. Without `ORDER BY`, rows come symbol by symbol, rising in time.
    ///
    /// # Errors
    /// As [`Database::sql`](crate::Database::sql).
    ///
    /// # Example
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// use siltstone::ticks::{TickStore, TickStoreConfig};
    /// let config = TickStoreConfig {
    ///     sqlite_base_path: folder.path().join("ticks"),
    ///     ..TickStoreConfig::production("BROKER-001")
    /// };
    /// let store = TickStore::new(config)?;
    /// let _ = store.store_tick("EURUSD", 1.0850, 1.0852, 0.0002, "LP", 1_000_000_000)?;
    /// store.flush()?;
    /// let found = store.sql("SELECT symbol, count(*) FROM ticks WHERE timestamp < 2000 GROUP BY symbol")?;
    /// assert_eq!(found.rows.len(), 1);
    /// # Ok::<(), siltstone::Error>(())
    /// ```
    pub fn sql(&self, sql: &str) -> Result<Query> {
        let mut found = Query::default();
        self.sql_each(sql, |columns, row| {
            if found.columns.is_empty() {
                found.columns = columns.to_vec();
            }
            found.rows.extend(row);
            Ok(())
        })?;
        Ok(found)
    }

    /// As [`sql`](Self::sql), a row at a time: `each` gets the column names and the row, and once `None` before the first
    /// row. Returns how many days were opened.
    ///
    /// # Errors
    /// As [`sql`](Self::sql), and whatever `each` returns.
    pub fn sql_each(
        &self,
        sql: &str,
        each: impl FnMut(&[String], Option<Vec<Value>>) -> Result<()>,
    ) -> Result<DaysRead> {
        let known = match &self.shared.days {
            Some(days) => days.list()?.into_iter().collect(),
            None => BTreeSet::new(),
        };
        let opened = Arc::<Mutex<BTreeSet<Day>>>::default();
        let table =
            TicksTable { store: self.clone(), opened: opened.clone(), symbols: Arc::default() };
        query_streamed(&self.shared.config.sqlite_base_path, c"ticks", table, sql, each)?;
        let opened = opened.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(DaysRead {
            opened: opened.intersection(&known).count() as u64,
            days: known.len() as u64,
        })
    }

    /// As [`sql`](Self::sql), as an Arrow table; see [`Database::arrow`](crate::Database::arrow). Returns how many days were
    /// opened too.
    ///
    /// # Errors
    /// As [`Database::arrow`](crate::Database::arrow).
    pub fn arrow(&self, sql: &str) -> Result<(Batches, DaysRead)> {
        rows_to_arrow(|each| self.sql_each(sql, each))
    }
}

/// The ticks of all days.
struct TicksTable {
    store: TickStore,
    /// The days that were looked into.
    opened: Arc<Mutex<BTreeSet<Day>>>,
    /// Numbers of symbols.
    symbols: Arc<Mutex<HashMap<String, i64>>>,
}

impl StreamedTable for TicksTable {
    fn schema(&self) -> &'static CStr {
        c"CREATE TABLE x(symbol TEXT, timestamp INTEGER, time_ns INTEGER, bid REAL, ask REAL, spread REAL, \
            lp_source TEXT, broker_id TEXT)"
    }

    fn rows(&self, bounds: &Bounds) -> Result<Chunks> {
        let [(from_ms, until_ms), (from_ns, until_ns)] = bounds.ranges;
        let from_ns = from_ns.max(from_ms.saturating_mul(NS_PER_MS));
        let last_of_ms = until_ms.saturating_mul(NS_PER_MS).saturating_add(NS_PER_MS - 1);
        let symbols = match &bounds.word {
            Some(word) if check_symbol(word).is_err() => Vec::new(),
            Some(word) => vec![word.clone()],
            None => self.store.symbols_between(from_ns, until_ns.min(last_of_ms))?,
        };
        let mut scan = Scan::new(&self.store, symbols, from_ns, until_ns.min(last_of_ms));
        let (opened, symbols) = (self.opened.clone(), self.symbols.clone());
        let (mut last, mut ordinal) = (None, 0);
        Ok(Box::new(move || {
            let ticks = scan.next()?;
            opened.lock().unwrap_or_else(PoisonError::into_inner).extend(scan.take_days());
            let Some(ticks) = ticks else { return Ok(None) };
            let mut symbols = symbols.lock().unwrap_or_else(PoisonError::into_inner);
            let next = symbols.len() as i64;
            let symbol = *symbols.entry(ticks.symbol().to_owned()).or_insert(next);
            // Bounds are of symbol and time, so all ticks of one time come, or none.
            let ordinals = ticks.time_ns.iter().map(|time| {
                ordinal = if last == Some((symbol, *time)) { ordinal + 1 } else { 0 };
                last = Some((symbol, *time));
                ordinal
            });
            let ordinals = ordinals.collect();
            Ok(Some(Box::new(Rows { ticks, symbol, ordinals }) as Box<dyn StreamedRows>))
        }))
    }
}

/// Some ticks of a symbol, as rows.
struct Rows {
    ticks: Ticks,
    /// The number of the symbol in this query.
    symbol: i64,
    /// The number of each among those of its time.
    ordinals: Vec<i64>,
}

impl StreamedRows for Rows {
    fn key(&self, row: usize) -> [i64; 3] {
        [self.symbol, self.ticks.time_ns[row], self.ordinals[row]]
    }
}

impl RowSource for Rows {
    fn rows(&self) -> usize {
        self.ticks.len()
    }

    fn give(&self, row: usize, column: usize, to: &mut Context) -> rusqlite::Result<()> {
        let ticks = &self.ticks;
        let origin = || &ticks.origins()[ticks.origin[row] as usize];
        match column {
            0 => to.set_result(&ticks.symbol()),
            1 => to.set_result(&ticks.time_ns[row].div_euclid(NS_PER_MS)),
            2 => to.set_result(&ticks.time_ns[row]),
            3 => to.set_result(&ticks.bid[row]),
            4 => to.set_result(&ticks.ask[row]),
            5 => to.set_result(&ticks.spread[row]),
            6 => to.set_result(&origin().lp),
            _ => to.set_result(&origin().broker_id),
        }
    }
}
