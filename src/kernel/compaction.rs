//! Compaction: rows into column blocks, packed with nothing locked, exchanged in one transaction.
//!
//! A store says in which [parts](Part) its rows are compacted. A part is packed from a snapshot; the transaction looks whether what was
//! packed is still there, and puts the blocks in the place of the rows. Whatever ends a compaction, the parts before it stay
//! compacted, and the next one goes on.

use std::sync::Arc;

use super::progress::Progress;
use super::tx::{ReadTx, WriteTx};
use super::{Database, check_interrupted};
use crate::error::Result;

/// So often is a part packed again that was changed meanwhile; then it is packed while others wait.
const TRIES: usize = 3;

/// What a compaction did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct CompactReport {
    /// Rows that are in blocks now and were not before: arrays of updates, records, points, ticks, embeddings.
    pub rows: u64,
    /// Blocks written.
    pub blocks: u64,
    /// Bytes of the file that were in use before.
    pub bytes_before: u64,
    /// Bytes of the file that are in use now: what [`Database::vacuum`] leaves.
    pub bytes_after: u64,
}

impl CompactReport {
    /// Compactions of one file, one after another.
    pub fn of_one_file(reports: impl IntoIterator<Item = Self>) -> Self {
        let reports: Vec<Self> = reports.into_iter().collect();
        CompactReport {
            bytes_before: reports.first().map_or(0, |first| first.bytes_before),
            bytes_after: reports.last().map_or(0, |last| last.bytes_after),
            ..reports.into_iter().sum()
        }
    }
}

impl std::iter::Sum for CompactReport {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| CompactReport {
            rows: sum.rows + one.rows,
            blocks: sum.blocks + one.blocks,
            bytes_before: sum.bytes_before + one.bytes_before,
            bytes_after: sum.bytes_after + one.bytes_after,
        })
    }
}

/// Rows that are compacted one after another, some in a transaction.
pub(crate) trait Part: Send + Sync + 'static {
    type Packed: Send + Sync + 'static;

    /// How many rows it had when it was found. What others add meanwhile is left for the next compaction.
    fn rows(&self) -> u64;

    /// Packs some rows; `None` if there are none to pack.
    fn pack(&self, tx: &ReadTx<'_>) -> Result<Option<Self::Packed>>;

    /// Puts the blocks in the place of what was packed; how many rows that were in no block, and how many blocks. `None`, and nothing is
    /// done, if something else is there now.
    fn replace(&self, tx: &mut WriteTx<'_>, packed: &Self::Packed) -> Result<Option<(u64, u64)>>;
}

impl Database {
    /// Compacts these parts; `progress` gets rows done and in all.
    pub(crate) fn compact<P: Part>(
        &self,
        parts: Vec<P>,
        progress: &mut Progress<'_>,
    ) -> Result<CompactReport> {
        let mut report = CompactReport { bytes_before: self.bytes_in_use()?, ..Default::default() };
        let all = parts.iter().map(Part::rows).sum();
        let mut done = 0;
        for part in parts {
            let (part, mut moved) = (Arc::new(part), 0);
            while moved < part.rows() {
                progress(done + moved, all)?;
                let Some((rows, blocks)) = self.compact_some(&part)? else { break };
                moved += rows;
                report.rows += rows;
                report.blocks += blocks;
            }
            done += part.rows();
        }
        progress(all, all)?;
        report.bytes_after = self.bytes_in_use()?;
        Ok(report)
    }

    fn compact_some<P: Part>(&self, part: &Arc<P>) -> Result<Option<(u64, u64)>> {
        for _ in 0..TRIES {
            check_interrupted("compacting")?;
            let Some(packed) = self.read(|tx| part.pack(tx))? else { return Ok(None) };
            let part = part.clone();
            let replaced = self.write(move |tx| part.replace(tx, &packed))?;
            if replaced.is_some() {
                return Ok(replaced);
            }
        }
        let part = part.clone();
        self.write(move |tx| match part.pack(tx)? {
            Some(packed) => part.replace(tx, &packed),
            None => Ok(None),
        })
    }

    /// Bytes of the pages that hold something.
    pub(crate) fn bytes_in_use(&self) -> Result<u64> {
        let sql = "SELECT (page_count - freelist_count) * page_size \
            FROM pragma_page_count, pragma_freelist_count, pragma_page_size";
        let bytes = self.read(|tx| tx.query_one(sql, [], |row| Ok(row.get::<_, i64>(0)?)))?;
        Ok(bytes.unwrap_or(0).max(0) as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Three rows, packed one by one; the first four times someone else is faster.
    #[derive(Default)]
    struct Contended {
        packed: AtomicUsize,
        refused: AtomicUsize,
    }

    impl Part for Contended {
        type Packed = usize;

        fn rows(&self) -> u64 {
            3
        }

        fn pack(&self, _: &ReadTx<'_>) -> Result<Option<usize>> {
            Ok(Some(self.packed.fetch_add(1, Ordering::Relaxed)))
        }

        fn replace(&self, _: &mut WriteTx<'_>, packed: &usize) -> Result<Option<(u64, u64)>> {
            if *packed < TRIES {
                self.refused.fetch_add(1, Ordering::Relaxed);
                return Ok(None);
            }
            Ok(Some((1, 1)))
        }
    }

    /// Goal: what is changed again and again meanwhile is packed in the transaction at last; a part is done when as many rows have moved
    /// as it had; progress is in rows.
    #[test]
    fn a_part_ends_however_others_write() {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::builder(folder.path().join("x.db")).open().unwrap();
        let mut told = Vec::new();
        let report =
            db.compact(vec![Contended::default(), Contended::default()], &mut |done, all| {
                told.push((done, all));
                Ok(())
            });
        let report = report.unwrap();
        assert_eq!((report.rows, report.blocks), (6, 6));
        assert_eq!(told, [(0, 6), (1, 6), (2, 6), (3, 6), (4, 6), (5, 6), (6, 6)]);
        assert!(report.bytes_before > 0 && report.bytes_after > 0);
        let stopped = db.compact(vec![Contended::default()], &mut |done, _| match done {
            0 => Ok(()),
            _ => Err(crate::Error::Interrupted { action: "compacting" }),
        });
        assert!(matches!(stopped, Err(crate::Error::Interrupted { .. })));
    }
}
