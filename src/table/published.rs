//! A table as other machines see it, and the parts in which it is published.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use xxhash_rust::xxh3::xxh3_64;

use super::Batches;
use crate::error::{Error, Result};

/// A table that is published.
#[derive(Debug, Clone)]
pub(crate) struct PublishedTable {
    pub(crate) name: String,
    /// The columns of its files: what it is [partitioned](Self::partitions) by is not among them.
    pub(crate) schema: SchemaRef,
    /// The columns that stand in the names of its folders, behind the store's, each with its type in a Delta schema.
    pub(crate) partitions: &'static [(&'static str, &'static str)],
}

impl PublishedTable {
    /// A table of which nothing is known but its name.
    pub(crate) fn without_rows(name: String) -> Self {
        PublishedTable { name, schema: Arc::new(Schema::empty()), partitions: &[] }
    }
}

/// A part of a table: the rows of a partition whose key lies in a range. One file is made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slice {
    /// The values of the columns that the table is partitioned by.
    pub(crate) partition: Vec<String>,
    /// The least key, and the first one behind.
    pub(crate) first: i64,
    pub(crate) until: i64,
    /// Is another if its rows may be others.
    pub(crate) signature: u128,
}

/// A table is divided by a name (a symbol, a key, a dataset) among so many files.
const BUCKETS: u64 = 8;

/// The bucket of a name: XXH3-64 of its bytes, modulo 8. By it the tables of a lake are partitioned (`symbol_bucket`, `key_bucket`,
/// `dataset_bucket`), so that a reader of one name passes over the files of most others.
pub fn bucket(name: &str) -> u64 {
    xxh3_64(name.as_bytes()) % BUCKETS
}

/// How finely what still grows is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// As what has ended: few large files.
    Coarse,
    /// So that new rows are sent without those before them.
    Fine,
}

/// Tells of a part whether it stays published.
pub(crate) type Keeps = Box<dyn Fn(&Slice) -> bool>;

/// What a store publishes.
pub(crate) trait Published: Sync {
    fn tables(&self) -> Result<Vec<PublishedTable>>;

    /// What the file has and does not publish, each in words, and how many there are.
    fn unpublished(&self) -> Result<Vec<(&'static str, u64)>> {
        Ok(Vec::new())
    }

    /// The parts of a table, which do not overlap. Of a partition, all parts are given or none.
    fn slices(&self, table: &PublishedTable, cut: Cut) -> Result<Vec<Slice>>;

    /// Tells whether a part that was published and is not among the [`slices`](Self::slices) any more stays published.
    fn keeps(&self) -> Result<Keeps> {
        Ok(Box::new(|_| false))
    }

    /// Whether rows are only added, but to save room: what was published is not replaced by fewer rows.
    fn only_grows(&self) -> bool {
        false
    }

    /// The rows of a part, with the columns of the table, ordered so that a reader of few of them passes over many.
    fn rows(&self, table: &PublishedTable, slice: &Slice) -> Result<Batches>;
}

/// What takes the rows of a lake back into a store.
pub(crate) trait Pulled {
    /// Whether it takes a table of this name.
    fn takes(&self, table: &str) -> bool;

    /// Takes rows of a table that the file of this name has published, in the order in which they were. What other rows need
    /// comes before them.
    fn take(&mut self, table: &str, file: &str, rows: &RecordBatch) -> Result<()>;

    /// After the last rows of a data file.
    fn end_of_file(&mut self) -> Result<()> {
        Ok(())
    }

    /// After the last ones.
    fn finish(&mut self) -> Result<()>;
}

/// The refusal of rows with one key that two files have published.
pub(crate) fn of_two_files(what: String, one: &str, other: &str) -> Error {
    let got = format!("those of {one} and of {other}");
    Error::invalid(what, "rows of one file (--store ID says of which)", got)
}

impl Slice {
    /// Whether they are the same part, whatever its rows.
    pub(crate) fn same_place(&self, other: &Slice) -> bool {
        (&self.partition, self.first, self.until) == (&other.partition, other.first, other.until)
    }
}

/// Ranges from `begin` on, which hold `last` in their end: as many of the longest length as fit, then of the next one, the last
/// one of the shortest.
pub(crate) fn growing(begin: i64, last: i64, lengths: &[i64]) -> Vec<(i64, i64)> {
    let (origin, mut first) = (begin, begin);
    let mut ranges = Vec::new();
    for length in lengths {
        let end = last - (last - origin) % length;
        while first < end {
            ranges.push((first, first + length));
            first += length;
        }
    }
    ranges.extend(lengths.last().map(|length| (first, first.saturating_add(*length))));
    ranges
}
