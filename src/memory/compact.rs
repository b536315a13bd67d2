//! Embeddings in column blocks: what a first search reads in place of all rows.
//!
//! A block is a copy: the rows stay where they are. Triggers note rows that change under a block, whoever changes them, in
//! `vector_stale`: such a row is read itself. What lies behind the blocks or between them is in no block, and read itself too.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::{ArrayRef, FixedSizeBinaryArray, Float32Array, Int64Array};
use arrow_buffer::Buffer;

use super::MIGRATIONS;
use super::changes::{Copied, Head, Kind, head, since};
use super::store::MemoryStore;
use super::vectors::{Group, Vectors, gaps};
use crate::array::block::{self, Block, Effort};
use crate::error::{Error, Result};
use crate::kernel::{CompactReport, Part, Progress, ReadTx, WriteTx, table_exists};

/// Rows whose blocks are made together.
const RUN_ROWS: usize = 1 << 12;

/// The ids from the first to the last one.
pub(super) type Range = (i64, i64);

/// A block of the file.
pub(super) struct Stored {
    id: i64,
    range: Range,
    dimension: i64,
    pub(super) rows: i64,
}

impl Stored {
    pub(super) fn name(&self) -> String {
        format!("vector_block row {}", self.id)
    }

    fn damaged(&self, why: impl Into<String>) -> Error {
        Error::Corrupt { location: String::new(), what: self.name(), why: why.into() }
    }

    /// Puts its vectors behind those that are there.
    pub(super) fn read<const EPISODES: bool>(
        &self,
        data: &[u8],
        all: &mut Vectors<EPISODES>,
    ) -> Result<()> {
        let damaged = |error: Error| match error {
            Error::Corrupt { why, .. } => self.damaged(why),
            other => other,
        };
        let numbers = usize::try_from(self.rows).ok().zip(usize::try_from(self.dimension).ok());
        let (rows, dimension) = numbers.ok_or_else(|| self.damaged("a negative number"))?;
        let block = Block::of_rows(data, rows).map_err(damaged)?;
        let is_new = all.extend(dimension, |group| {
            let before = group.ids.len();
            block.read(0, 0..rows, &mut group.ids)?;
            block.read_signed(1, dimension, &mut group.coded)?;
            for (column, to) in
                [(2, &mut group.steps), (3, &mut group.lengths), (4, &mut group.lost)]
            {
                block.read(column, 0..rows, to)?;
            }
            let ids = &group.ids[before..];
            let is_within = self.range.0 <= ids[0] && ids[rows - 1] <= self.range.1;
            match is_within && ids.is_sorted_by(|a, b| a < b) {
                true => Ok(()),
                false => Err(self.damaged("its ids do not rise in its range")),
            }
        });
        match is_new.map_err(damaged)? {
            true => Ok(()),
            false => Err(self.damaged("an id is in another block too")),
        }
    }
}

/// Calls with each block of a kind for which a condition holds, by range.
pub(super) fn each_block(
    tx: &ReadTx<'_>,
    kind: Kind,
    whole: &str,
    mut take: impl FnMut(Stored, &[u8]) -> Result<()>,
) -> Result<()> {
    if !table_exists(tx, "vector_block")? {
        return Ok(()); // a file of an earlier version, opened for reading
    }
    let sql = format!(
        "SELECT id, first_id, last_id, dimension, rows, data FROM vector_block b \
         WHERE kind = ?1 AND {whole} ORDER BY last_id, dimension"
    );
    let mut statement = tx.prepare(&sql)?;
    let mut rows = statement.query([kind as i64])?;
    while let Some(row) = rows.next()? {
        let stored = Stored {
            id: row.get(0)?,
            range: (row.get(1)?, row.get(2)?),
            dimension: row.get(3)?,
            rows: row.get(4)?,
        };
        let data = row.get_ref(5)?.as_blob().map_err(|_| stored.damaged("it is no blob"))?;
        take(stored, data)?;
        crate::kernel::check_interrupted("reading vectors")?;
    }
    Ok(())
}

/// The next range, if it is not the last one again.
pub(super) fn add_range(ranges: &mut Vec<Range>, stored: &Stored) -> Result<()> {
    let range = stored.range;
    match ranges.last() {
        Some(last) if *last == range => Ok(()),
        Some((_, last)) if range.0 <= *last => Err(stored.damaged("its range meets another one")),
        _ if range.0 > range.1 => Err(stored.damaged("its range ends before it begins")),
        _ => {
            ranges.push(range);
            Ok(())
        }
    }
}

/// Reads all blocks; the ranges of ids that they are of, which rise. Rows that are [`stale`] are among them.
pub(super) fn read<const EPISODES: bool>(
    tx: &ReadTx<'_>,
    all: &mut Vectors<EPISODES>,
) -> Result<Vec<Range>> {
    let (mut ranges, kind) = (Vec::new(), Vectors::<EPISODES>::KIND);
    if table_exists(tx, "vector_block")? {
        // What the blocks have bounds what they claim.
        let sql = "SELECT dimension, sum(min(rows * dimension, length(data))) FROM vector_block \
            WHERE kind = ?1 AND rows > 0 AND dimension > 0 GROUP BY dimension";
        let claimed = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        for (dimension, items) in tx.query(sql, [kind as i64], claimed)? {
            all.reserve(dimension as usize, items as usize);
        }
    }
    let whole = tx.whole("vector_block", "b")?;
    each_block(tx, kind, &whole, |stored, data| {
        add_range(&mut ranges, &stored)?;
        stored.read(data, all)
    })?;
    Ok(ranges)
}

/// Rows that are not what a block says of them.
pub(super) fn stale(tx: &ReadTx<'_>, kind: Kind) -> Result<BTreeSet<i64>> {
    let sql = "SELECT row_id FROM vector_stale WHERE kind = ?1";
    Ok(tx.query(sql, [kind as i64], |row| Ok(row.get(0)?))?.into_iter().collect())
}

/// A run of rows of which blocks are to be made.
struct Run<const EPISODES: bool> {
    range: Range,
    rows: u64,
}

/// Blocks of a run, and what they are a copy of.
struct Packed {
    head: Head,
    /// Dimension, rows, and the block.
    blocks: Vec<(i64, i64, Vec<u8>)>,
}

/// The runs of rows that have no blocks, or blocks of which a row is stale, or that are small or damaged.
fn runs<const EPISODES: bool>(tx: &ReadTx<'_>) -> Result<Vec<Run<EPISODES>>> {
    let kind = Vectors::<EPISODES>::KIND;
    let (mut known, mut stale) = (Vec::<(Range, i64, bool)>::new(), BTreeSet::new());
    if table_exists(tx, "vector_stale")? {
        stale = self::stale(tx, kind)?;
    }
    let (whole, mut of_range) = (tx.is_whole("vector_block", "b")?, Vectors::<EPISODES>::default());
    each_block(tx, kind, &whole, |stored, data| {
        if known.last().is_none_or(|(range, ..)| *range != stored.range) {
            of_range = Vectors::default();
        }
        let mut is_sound = stored.read(data, &mut of_range).is_ok()
            && stale.range(stored.range.0..=stored.range.1).next().is_none();
        match known.last_mut() {
            Some((range, rows, are_sound)) if *range == stored.range => {
                *rows += stored.rows;
                *are_sound &= is_sound;
                return Ok(());
            }
            Some((range, _, are_sound)) if range.1 >= stored.range.0 => {
                (*are_sound, is_sound) = (false, false);
            }
            _ => {}
        }
        known.push((stored.range, stored.rows, is_sound));
        Ok(())
    })?;
    known.retain(|(_, _, is_sound)| *is_sound);
    let large = known.iter().filter(|(_, rows, _)| *rows >= RUN_ROWS as i64 / 2);
    let large: Vec<Range> = large.map(|(range, ..)| *range).collect();
    let (table, id) = Vectors::<EPISODES>::TABLE;
    let sql = format!("SELECT {id} FROM {table} WHERE {id} BETWEEN ?1 AND ?2 ORDER BY {id}");
    let mut runs = Vec::new();
    for (first, last) in gaps(&large) {
        let ids = tx.query(&sql, [first, last], |row| Ok(row.get::<_, i64>(0)?))?;
        runs.extend(
            ids.chunks(RUN_ROWS)
                .map(|ids| Run { range: (ids[0], ids[ids.len() - 1]), rows: ids.len() as u64 }),
        );
    }
    runs.retain(|run| !known.iter().any(|(range, ..)| *range == run.range));
    Ok(runs)
}

impl<const EPISODES: bool> Part for Run<EPISODES> {
    type Packed = Packed;

    fn rows(&self) -> u64 {
        self.rows
    }

    fn pack(&self, tx: &ReadTx<'_>) -> Result<Option<Packed>> {
        let (mut run, head) = (Vectors::<EPISODES>::default(), head(tx)?);
        Vectors::<EPISODES>::each_row(tx, self.range.0, self.range.1, |row| {
            run.add(&row);
            Ok(())
        })?;
        let encoded = run
            .groups
            .values()
            .map(|group| Ok((group.dimension as i64, group.ids.len() as i64, encode(group)?)));
        let blocks = encoded.collect::<Result<Vec<_>>>()?;
        Ok((!blocks.is_empty()).then_some(Packed { head, blocks }))
    }

    fn replace(&self, tx: &mut WriteTx<'_>, packed: &Packed) -> Result<Option<(u64, u64)>> {
        tx.ensure(&MIGRATIONS)?;
        let (kind, (first, last)) = (Vectors::<EPISODES>::KIND, self.range);
        let changed = since(tx, packed.head, kind)?;
        if changed.is_none_or(|ids| ids.range(first..=last).next().is_some()) {
            return Ok(None);
        }
        let kind = kind as i64;
        let sql = "DELETE FROM vector_block WHERE kind = ?1 AND last_id >= ?2 AND first_id <= ?3";
        tx.execute(sql, (kind, first, last))?;
        let sql = "DELETE FROM vector_stale WHERE kind = ?1 AND row_id BETWEEN ?2 AND ?3";
        tx.execute(sql, (kind, first, last))?;
        let sql = "INSERT INTO vector_block (kind, first_id, last_id, dimension, rows, data, row_sum) \
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, silt_row_sum(?1, ?2, ?3, ?4, ?5))";
        for (dimension, rows, data) in &packed.blocks {
            tx.insert(sql, (kind, first, last, dimension, rows, data))?;
        }
        Ok(Some((self.rows, packed.blocks.len() as u64)))
    }
}

/// The block of a group.
fn encode(group: &Group) -> Result<Vec<u8>> {
    let coded: Vec<u8> = group.coded.iter().map(|item| *item as u8).collect();
    let coded =
        FixedSizeBinaryArray::try_new(group.dimension as i32, Buffer::from_vec(coded), None)
            .map_err(|e| {
                Error::invalid("the vectors of a block", "fewer dimensions", e.to_string())
            })?;
    let numbers = |items: &[f32]| Arc::new(Float32Array::from(items.to_vec())) as ArrayRef;
    let columns = [
        Arc::new(Int64Array::from(group.ids.clone())) as ArrayRef,
        Arc::new(coded),
        numbers(&group.steps),
        numbers(&group.lengths),
        numbers(&group.lost),
    ];
    block::encode(&columns, Effort::Fast)
}

impl MemoryStore {
    /// Copies what a first search reads of the embeddings into column blocks: then the first search of a process reads
    /// a byte a number, one after another, in place of all rows. The rows stay, and every answer is the same; a row that is
    /// changed later is read itself until the next call. `progress` gets rows done and in all.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for an embedding that is damaged; what the disk says, and whatever `progress` returns. Blocks that were
    /// made stay.
    ///
    /// # Example
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// use siltstone::Array;
    /// use siltstone::memory::{MemoryStore, NewConcept};
    /// let store = MemoryStore::open(folder.path().join("agent.db"))?;
    /// store.store_concept(NewConcept::new("up", Array::from_slice(&[0.0, 1.0])))?;
    /// assert_eq!(store.compact(&mut |_, _| Ok(()))?.rows, 1);
    /// # Ok::<(), siltstone::Error>(())
    /// ```
    pub fn compact(&self, progress: &mut Progress<'_>) -> Result<CompactReport> {
        self.remove_damaged_blocks()?;
        let before = self.rows_in_blocks()?;
        let concepts = self.read(runs::<false>)?;
        let episodes = self.read(runs::<true>)?;
        let reports = [self.db.compact(concepts, progress)?, self.db.compact(episodes, progress)?];
        self.remove_dead::<false>().and_then(|()| self.remove_dead::<true>())?;
        let rows = self.rows_in_blocks()?.saturating_sub(before);
        Ok(CompactReport { rows, ..CompactReport::of_one_file(reports) })
    }

    /// If what a row of a block says is damaged, its range may be any: then all are made anew.
    fn remove_damaged_blocks(&self) -> Result<()> {
        let count = |tx: &ReadTx<'_>| {
            let whole = tx.is_whole("vector_block", "b")?;
            let sql = format!("SELECT count(*) FROM vector_block b WHERE NOT {whole}");
            match table_exists(tx, "vector_block")? {
                true => tx.query_one(&sql, [], |row| Ok(row.get::<_, i64>(0)?)),
                false => Ok(None),
            }
        };
        match self.read(count)? {
            None | Some(0) => Ok(()),
            Some(_) => self.write(|tx| tx.execute("DELETE FROM vector_block", []).map(drop)),
        }
    }

    /// Removes blocks of which no row is left, and notes of rows that are in no block.
    fn remove_dead<const EPISODES: bool>(&self) -> Result<()> {
        let ((table, id), kind) = (Vectors::<EPISODES>::TABLE, Vectors::<EPISODES>::KIND as i64);
        let blocks = format!(
            "FROM vector_block AS b WHERE b.kind = {kind} AND NOT EXISTS \
             (SELECT 1 FROM {table} WHERE {id} BETWEEN b.first_id AND b.last_id)"
        );
        let notes = format!(
            "FROM vector_stale AS s WHERE s.kind = {kind} AND NOT EXISTS (SELECT 1 FROM vector_block b \
             WHERE b.kind = s.kind AND s.row_id BETWEEN b.first_id AND b.last_id)"
        );
        let found = self.read(|tx| match table_exists(tx, "vector_stale")? {
            true => {
                let sql = format!(
                    "SELECT 1 WHERE EXISTS (SELECT 1 {blocks}) OR EXISTS (SELECT 1 {notes})"
                );
                tx.query_one(&sql, [], |_| Ok(()))
            }
            false => Ok(None),
        })?;
        match found {
            Some(()) => self.write(move |tx| {
                tx.execute(&format!("DELETE {blocks}"), [])?;
                tx.execute(&format!("DELETE {notes}"), []).map(drop)
            }),
            None => Ok(()),
        }
    }

    fn rows_in_blocks(&self) -> Result<u64> {
        self.read(|tx| match table_exists(tx, "vector_block")? {
            true => {
                let sql = "SELECT sum(rows) FROM vector_block";
                let rows = tx.query_one(sql, [], |row| Ok(row.get::<_, Option<i64>>(0)?))?;
                Ok(rows.flatten().unwrap_or(0) as u64)
            }
            false => Ok(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{NewConcept, NewEpisode, SearchOptions};
    use super::*;
    use crate::array::Array;
    use crate::kernel::Database;

    const ROWS: usize = RUN_ROWS + 500;

    fn vector(i: usize) -> [f64; 3] {
        [i as f64, 1.0 + (i % 7) as f64, (i % 11) as f64 - 5.0]
    }

    fn compact(store: &MemoryStore) -> CompactReport {
        store.compact(&mut |_, _| Ok(())).unwrap()
    }

    /// A file of concepts and episodes with embeddings, more than a run of each.
    fn filled() -> (tempfile::TempDir, MemoryStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = MemoryStore::open(folder.path().join("agent.db")).unwrap();
        let concept = |i| NewConcept::new(format!("c{i}"), Array::from_slice(&vector(i)));
        store.store_concepts((0..ROWS).map(concept).collect()).unwrap();
        let episode =
            |i| NewEpisode::new(1, 0.5, "c").embedding(Array::from_slice(&vector(i)[..2 + i % 2]));
        store.store_episodes((0..ROWS).map(episode).collect()).unwrap();
        (folder, store)
    }

    fn sql(store: &MemoryStore, sql: &str) {
        let db = store.database();
        db.transaction(|| db.execute(sql, &[])).unwrap();
    }

    fn number(store: &MemoryStore, sql: &str) -> i64 {
        store.database().sql(sql).unwrap().rows[0][0].to_integer()
    }

    /// Ids of the nearest concepts and episodes, as a new handle finds them, and by the rows alone.
    fn found(store: &MemoryStore) -> [Vec<(i64, f64)>; 2] {
        let path = store.database().path();
        let search = |store: &MemoryStore| {
            let options = SearchOptions { metric: crate::memory::Metric::L2, ..Default::default() };
            let mut all = Vec::new();
            for at in [0.0, 1000.5, ROWS as f64] {
                let query = Array::from_slice(&[at, 3.0, 1.0]);
                let hits = store.search_similar(&query, 4, &options).unwrap();
                all.extend(hits.iter().map(|hit| (hit.item.id, hit.score)));
                for query in [query, Array::from_slice(&[at, 3.0])] {
                    let hits = store.search_similar_episodes(&query, 4, &options).unwrap();
                    all.extend(hits.iter().map(|hit| (hit.item.id, hit.score)));
                }
            }
            all
        };
        let by_blocks = search(&MemoryStore::open_read_only(path).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy.db");
        store.database().backup(&copy).unwrap();
        let copy = MemoryStore::open(copy).unwrap();
        sql(&copy, "DELETE FROM vector_block");
        [by_blocks, search(&copy)]
    }

    fn agree(store: &MemoryStore) {
        let [by_blocks, by_rows] = found(store);
        assert_eq!(by_blocks, by_rows);
        assert_eq!(by_blocks.len(), 36);
        let mut findings = store.database().verify().unwrap().findings;
        findings.retain(|found| !found.what.contains("are of no row of episodes"));
        assert!(findings.is_empty(), "{findings:?}");
    }

    /// Goal: with blocks, whatever rows become by plain SQL, a new handle finds what the rows say; what is changed is in blocks again
    /// after the next compaction, and what has not been changed is left as it is.
    #[test]
    fn blocks_give_what_the_rows_say() {
        let (_folder, store) = filled();
        let report = compact(&store);
        // Episodes have two and three dimensions in turn.
        assert_eq!((report.rows, report.blocks), (2 * ROWS as u64, 6));
        assert_eq!(compact(&store).blocks, 0);
        agree(&store);
        for change in [
            "UPDATE concepts SET embedding = (SELECT embedding FROM concepts WHERE id = 7) WHERE id = 1001",
            "UPDATE concepts SET embedding = (SELECT embedding FROM concepts WHERE id = 8) WHERE id = 1001",
            "UPDATE OR ROLLBACK concepts SET embedding = (SELECT embedding FROM concepts WHERE id = 9) WHERE id = 1001",
            "DELETE FROM concepts WHERE id IN (1, 3, 1002)",
            "INSERT INTO concepts (id, name, embedding, creation_time) \
             SELECT 3, 'new', embedding, 1.0 FROM concepts WHERE id = 1003",
            "INSERT OR REPLACE INTO concepts (id, name, embedding, creation_time) \
             SELECT 2, 'other', embedding, 1.0 FROM concepts WHERE id = 998",
            "DELETE FROM vector_block WHERE kind = 1 AND id % 2 = 0",
            // Without a trigger for the row that goes.
            "INSERT OR REPLACE INTO concepts (name, embedding, creation_time) \
             SELECT 'c1003', embedding, 1.0 FROM concepts WHERE id = 5",
            "UPDATE concepts SET id = 1000000 WHERE id = 1000",
            "UPDATE concepts SET rowid = -5 WHERE id = 999",
            "UPDATE episode_embeddings SET embedding = (SELECT embedding FROM concepts WHERE id = 9) \
             WHERE episode_id IN (1000, 1001)",
            "DELETE FROM episodes WHERE id IN (1002, 4000)",
            "UPDATE episode_embeddings SET episode_id = 4000 WHERE episode_id = 1003",
            "INSERT INTO episodes (id, timestamp, experience_data, performance_score, context_hash) \
             SELECT 4000, 1.0, experience_data, 0.5, 'c' FROM episodes WHERE id = 1",
        ] {
            sql(&store, change);
            agree(&store);
        }
        assert_eq!(
            number(&store, "SELECT count(*) FROM vector_stale WHERE kind = 0 AND row_id = 1001"),
            1
        );
        assert_eq!(compact(&store).blocks, 6);
        assert_eq!(number(&store, "SELECT count(*) FROM vector_stale"), 0);
        agree(&store);
        // In the range of a block, and in no block.
        let between = "INSERT INTO concepts (id, name, embedding, creation_time) \
            SELECT 1002, 'between', embedding, 1.0 FROM concepts WHERE id = 998";
        sql(&store, between);
        agree(&store);
        sql(&store, "DELETE FROM concepts WHERE id = 1002");
        compact(&store);
        store.store_concept(NewConcept::new("behind", Array::from_slice(&vector(1000)))).unwrap();
        assert_eq!(
            number(&store, "SELECT count(*) FROM vector_stale"),
            0,
            "it is behind all blocks"
        );
        agree(&store);
        let report = compact(&store);
        assert_eq!((report.rows, report.blocks), (1, 1), "the large blocks stay");
        agree(&store);
    }

    /// Goal: a row that is changed between the packing and the exchange makes what was packed void.
    #[test]
    fn what_was_changed_meanwhile_is_packed_again() {
        let (_folder, store) = filled();
        let exchange = |meanwhile: &str| {
            let (run, packed) = store
                .read(|tx| {
                    let run = runs::<false>(tx)?.into_iter().next();
                    let packed = run.as_ref().map(|run| run.pack(tx)).transpose()?.flatten();
                    Ok(run.zip(packed))
                })
                .unwrap()
                .unwrap();
            if !meanwhile.is_empty() {
                sql(&store, meanwhile);
            }
            store.write(move |tx| run.replace(tx, &packed)).unwrap()
        };
        let update = "UPDATE concepts SET embedding = (SELECT embedding FROM concepts WHERE id = 7) WHERE id = 12";
        assert_eq!(exchange(update), None);
        assert_eq!(exchange("DELETE FROM concepts WHERE id = 13"), None);
        assert_eq!(exchange("DELETE FROM memory_change WHERE seq % 2 = 0"), None);
        let behind = format!("DELETE FROM concepts WHERE id = {ROWS}");
        assert_eq!(exchange(&behind), Some((RUN_ROWS as u64, 1)));
        agree(&store);
    }

    /// Goal: a block that is damaged, or is of other rows, is never an answer: a search and a verification say so, and the next
    /// compaction makes it anew.
    #[test]
    fn damaged_blocks_are_found_and_made_anew() {
        let (_folder, store) = filled();
        compact(&store);
        let flip = |at: usize| {
            format!(
                "UPDATE vector_block SET data = CAST(substr(data, 1, {at}) || \
                 CASE substr(data, {at} + 1, 1) WHEN x'55' THEN x'54' ELSE x'55' END || substr(data, {at} + 2) AS BLOB) \
                 WHERE id = (SELECT min(id) FROM vector_block)"
            )
        };
        let last = "(SELECT max(id) FROM vector_block)";
        for damage in [
            flip(5),
            flip(300),
            flip(9000),
            format!(
                "UPDATE vector_block SET last_id = last_id + 64, row_sum = 5 WHERE id = {last}"
            ),
            format!("UPDATE vector_block SET first_id = 5 WHERE id = {last}"),
            format!("UPDATE vector_block SET last_id = first_id WHERE id = {last}"),
            format!("UPDATE vector_block SET rows = 12 WHERE id = {last}"),
            "UPDATE vector_block SET dimension = 2 WHERE kind = 0 AND id = (SELECT min(id) FROM vector_block)".to_owned(),
            // Ids of another block of the same range.
            "UPDATE vector_block SET data = (SELECT data FROM vector_block WHERE kind = 0 ORDER BY rows DESC), rows = 4096 \
             WHERE kind = 1 AND dimension = 3 AND first_id = 1".to_owned(),
        ] {
            sql(&store, &damage);
            let path = store.database().path();
            let search = |store: MemoryStore| {
                let query = Array::from_slice(&[1.0, 3.0, 1.0]);
                store.search_similar(&query, 4, &Default::default())?;
                store.search_similar_episodes(&query, 4, &Default::default())
            };
            let error = search(MemoryStore::open(path).unwrap()).expect_err(&damage);
            assert!(matches!(error, Error::Corrupt { .. }), "{damage}: {error}");
            assert!(!store.database().verify().unwrap().is_ok(), "{damage}");
            assert!(compact(&store).blocks > 0, "{damage}");
            agree(&store);
        }
        // A sound block of other vectors, which only the verification can see.
        for other in [
            "UPDATE vector_block SET data = (SELECT data FROM vector_block b WHERE b.kind = 1 AND b.dimension = 3 \
             AND b.rows = (SELECT max(rows) FROM vector_block c WHERE c.kind = 1)), rows = 2048 \
             WHERE kind = 0 AND first_id = (SELECT min(first_id) FROM vector_block WHERE kind = 0)",
            "UPDATE episode_embeddings SET embedding = (SELECT embedding FROM concepts WHERE id = 9) WHERE episode_id = 1002",
        ] {
            sql(&store, other);
            sql(&store, "DELETE FROM vector_stale");
            let findings = store.database().verify().unwrap().findings;
            let is_found = findings.iter().any(|found| found.what.contains("of another vector"));
            assert!(is_found, "{findings:?}");
            sql(&store, "DELETE FROM vector_block");
            compact(&store);
        }
    }

    /// Goal: a file of version 2 that is opened for reading is searched by its rows.
    #[test]
    fn a_file_without_blocks_is_read_by_its_rows() {
        let (folder, store) = filled();
        let path = folder.path().join("agent.db");
        let before = found(&store)[0].clone();
        drop(store);
        let db = Database::builder(&path).open().unwrap();
        db.write(|tx| {
            tx.execute("DROP TABLE vector_block", [])?;
            tx.execute("DROP TABLE vector_stale", [])?;
            Ok(())
        })
        .unwrap();
        drop(db);
        let store = MemoryStore::open_read_only(&path).unwrap();
        let query = Array::from_slice(&[0.0, 3.0, 1.0]);
        let options = SearchOptions { metric: crate::memory::Metric::L2, ..Default::default() };
        let hits = store.search_similar(&query, 4, &options).unwrap();
        let hits: Vec<_> = hits.iter().map(|hit| (hit.item.id, hit.score)).collect();
        assert_eq!(hits, before[..4]);
    }
}
