//! The tick store.

use std::ops::Range;
use std::path::Path;

use siltstone::Durability;
use siltstone::ticks::{Names, OhlcOptions, TickBatch, TickStore, TickStoreConfig, Ticks};

use super::baseline::{Answer, Questions, Survives, TickBaseline};
use super::data::{LP, Rows};

pub(crate) struct Siltstone;

pub(crate) fn config(folder: &Path, how: Survives) -> TickStoreConfig {
    let durability = if how == Survives::Disk { Durability::Disk } else { Durability::Os };
    TickStoreConfig {
        sqlite_base_path: folder.to_owned(),
        durability,
        ..TickStoreConfig::production("default")
    }
}

/// A store that reads everything from the disk: its rings hold one tick.
pub(crate) fn disk_only(folder: &Path) -> TickStore {
    let config = TickStoreConfig { max_ticks_per_symbol: 1, ..config(folder, Survives::Os) };
    TickStore::new(config).expect("the store opens")
}

pub(crate) fn batch(rows: &Rows, range: Range<usize>) -> TickBatch<'_> {
    let r = range;
    TickBatch {
        symbol: Names::Coded(&rows.symbol[r.clone()], &rows.names),
        lp: Names::One(LP),
        ..TickBatch::new("", &rows.time_ns[r.clone()], &rows.bid[r.clone()], &rows.ask[r])
    }
}

impl TickBaseline for Siltstone {
    fn name(&self) -> &'static str {
        "siltstone"
    }

    fn ingest(&self, folder: &Path, rows: &Rows, range: Range<usize>, n: usize, how: Survives) {
        let store = TickStore::new(config(folder, how)).expect("the store opens");
        for first in range.clone().step_by(n) {
            let last = (first + n).min(range.end);
            store.store_ticks(&batch(rows, first..last)).expect("a batch is stored");
        }
        store.stop().expect("the store stops");
    }

    fn bulk(&self, folder: &Path, rows: &Rows, range: Range<usize>) {
        let n = range.len();
        self.ingest(folder, rows, range, n, Survives::Disk);
    }

    fn open(&self, folder: &Path) -> Box<dyn Questions> {
        Box::new(disk_only(folder))
    }
}

fn answer(ticks: &Ticks) -> Answer {
    let mut answer = Answer::default();
    for i in 0..ticks.len() {
        answer.tick(ticks.time_ns[i], ticks.bid[i], ticks.ask[i]);
    }
    answer
}

impl Questions for TickStore {
    fn last(&self, symbol: &str, n: usize) -> Answer {
        answer(&self.get_recent_ticks(symbol, n).expect("it reads"))
    }

    fn range(&self, symbol: &str, from_ns: i64, to_ns: i64) -> Answer {
        answer(&self.get_ticks_in_range(symbol, from_ns, to_ns).expect("it reads"))
    }

    fn bars(&self, symbols: &[&str]) -> Answer {
        let mut answer = Answer::default();
        for symbol in symbols {
            let bars = self.ohlc(symbol, 60_000_000_000, OhlcOptions::default());
            for bar in bars.expect("it reads") {
                let prices = [bar.open, bar.high, bar.low, bar.close, bar.volume as f64];
                answer.row(bar.time_ns, &prices);
            }
        }
        answer
    }
}
