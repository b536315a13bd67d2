//! Items: what a workload writes, and what is found of it.

use std::collections::BTreeSet;

use siltstone::Error;

use crate::child::Random;

/// Items of one writer; those of the next begin behind them.
pub(super) const ITEMS_OF_A_WRITER: u64 = 1_000_000;

/// Which writer made an item.
pub(super) fn writer_of(item: u64) -> u64 {
    item / ITEMS_OF_A_WRITER
}

/// The number of an item among those of its writer.
pub(super) fn number_of(item: u64) -> u64 {
    item % ITEMS_OF_A_WRITER
}

/// Rows of an item where an item may have several: all of them are there or none.
pub(super) fn rows_of(item: u64) -> u64 {
    1 + item % 4
}

/// A number of a row: exact as text, and as a float of 64 bits.
pub(super) fn value_of(item: u64, row: u64) -> f64 {
    Random(item << 3 | row).below(1 << 50) as f64 / 1024.0
}

/// Why a folder does not say what was written.
#[derive(Debug)]
pub(super) enum Odd {
    /// A call was refused: damage that is seen.
    Refused(Error),
    /// Something else than what was written.
    Wrong {
        /// Where it is, for [`super::flips::COVERED`].
        part: &'static str,
        what: String,
    },
}

impl Odd {
    pub(super) fn wrong(part: &'static str, what: impl Into<String>) -> Self {
        Odd::Wrong { part, what: what.into() }
    }
}

impl From<Error> for Odd {
    fn from(error: Error) -> Self {
        Odd::Refused(error)
    }
}

impl std::fmt::Display for Odd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Odd::Refused(error) => write!(f, "{error}"),
            Odd::Wrong { part, what } => write!(f, "{part}: {what}"),
        }
    }
}

/// What is in a folder.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Found {
    /// Items that are whole and right, each once.
    pub(super) items: BTreeSet<u64>,
    /// Rows that another program can count and not read: they are packed.
    pub(super) packed_rows: u64,
}

/// Rows as they are read, until they are items.
#[derive(Default)]
pub(super) struct Rows(BTreeSet<(u64, u64)>);

impl Rows {
    /// A row that is as it was made.
    pub(super) fn add(&mut self, item: u64, row: u64) -> Result<(), Odd> {
        match self.0.insert((item, row)) {
            true => Ok(()),
            false => Err(Odd::wrong("row", format!("row {row} of item {item} is there twice"))),
        }
    }

    /// A row, if its numbers are those that it was made with.
    pub(super) fn check<T: PartialEq + std::fmt::Debug>(
        &mut self,
        part: &'static str,
        (item, row): (u64, u64),
        found: T,
        made: T,
    ) -> Result<(), Odd> {
        if found != made {
            let what = format!("row {row} of item {item} is {found:?} and was {made:?}");
            return Err(Odd::wrong(part, what));
        }
        self.add(item, row)
    }

    /// The items that have any row.
    pub(super) fn seen(&self) -> BTreeSet<u64> {
        self.0.iter().map(|(item, _)| *item).collect()
    }

    /// The items, each of which must have all of its rows.
    pub(super) fn items(self, rows_of: impl Fn(u64) -> u64) -> Result<BTreeSet<u64>, Odd> {
        let items = self.seen();
        for item in &items {
            let there = self.0.range((*item, 0)..(item + 1, 0)).count() as u64;
            if there != rows_of(*item) {
                let what = format!("{there} of {} rows of item {item}", rows_of(*item));
                return Err(Odd::wrong("row", what));
            }
        }
        Ok(items)
    }
}
