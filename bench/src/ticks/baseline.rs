//! What every engine in the race of ticks can do, and what its answers are compared by.

use std::ops::Range;
use std::path::Path;

use super::data::Rows;

/// What an acknowledged batch survives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Survives {
    /// A killed process.
    Os,
    /// A loss of power: one sync a batch.
    Disk,
}

/// Ticks or bars as a number of rows and the sum of their bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) rows: u64,
    pub(crate) bits: u64,
}

impl Answer {
    pub(crate) fn tick(&mut self, time_ns: i64, bid: f64, ask: f64) {
        self.row(time_ns, &[bid, ask]);
    }

    pub(crate) fn row(&mut self, time_ns: i64, prices: &[f64]) {
        self.rows += 1;
        self.bits = self.bits.wrapping_add(time_ns as u64);
        for price in prices {
            self.bits = self.bits.wrapping_add(price.to_bits());
        }
    }
}

/// An engine on a folder. Every tick is written and read by day files.
pub(crate) trait TickBaseline {
    fn name(&self) -> &'static str;

    /// Writes rows in batches of so many, each acknowledged before the next.
    fn ingest(&self, folder: &Path, rows: &Rows, range: Range<usize>, batch: usize, how: Survives);

    /// Writes the rows of one day as fast as it goes; acknowledged at `disk` at the end.
    fn bulk(&self, folder: &Path, rows: &Rows, range: Range<usize>);

    /// Opens for the questions below; what it answers with.
    fn open(&self, folder: &Path) -> Box<dyn Questions>;
}

pub(crate) trait Questions {
    fn last(&self, symbol: &str, n: usize) -> Answer;

    /// Times from one to another, both inclusive, all on one day.
    fn range(&self, symbol: &str, from_ns: i64, to_ns: i64) -> Answer;

    /// One-minute bars of the mid price of all symbols and days.
    fn bars(&self, symbols: &[&str]) -> Answer;
}

/// The length of all files in a folder.
pub(crate) fn size_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).expect("a folder lists").flatten();
    entries
        .map(|entry| {
            let about = entry.metadata().expect("a file is there");
            if about.is_dir() { size_bytes(&entry.path()) } else { about.len() }
        })
        .sum()
}
