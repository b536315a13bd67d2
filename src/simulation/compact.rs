//! Compaction: arrays of one attribute, one after another, packed together.
//!
//! A small array has little to squeeze out; the same attribute at many times has much. A compacted
//! array keeps its row, its checksum and its id: only its bytes move into a block.

use super::arrays::ArrayReader;
use super::tables::{Layout, MIGRATIONS, array_table};
use crate::array::{Array, BLOCK, BlockLocation, Checksum, Codec, DType, shape_json};
use crate::error::Result;
use crate::kernel::{Database, Progress, ReadTx, WriteTx};

/// Bytes of a block before packing: what has to be unpacked to read one array.
const BLOCK_BYTES: usize = 256 << 10;
/// An array above this is large enough to be packed for itself.
const ARRAY_BYTES: usize = BLOCK_BYTES / 4;
/// Fewer arrays than this are left as they are.
const ARRAYS: usize = 4;

/// What a compaction did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct CompactReport {
    /// Arrays moved into blocks.
    pub arrays: u64,
    /// Blocks written.
    pub blocks: u64,
    /// Stored bytes of those arrays before.
    pub bytes_before: u64,
    /// Bytes of the blocks, and of what tells where each array lies.
    pub bytes_after: u64,
}

/// Arrays of one attribute and dtype that lie in their own rows, in the order of their ids.
struct Batch {
    dtype: DType,
    ids: Vec<i64>,
}

/// Compacts every attribute of a file; `progress` gets blocks done and in all.
pub(super) fn compact(db: &Database, progress: &mut Progress<'_>) -> Result<CompactReport> {
    let batches = db.read(|tx| match Layout::of(tx)? {
        Layout::Ours => batches(tx),
        _ => Ok(Vec::new()),
    })?;
    let mut report = CompactReport::default();
    let all = batches.len() as u64;
    for (done, batch) in batches.into_iter().enumerate() {
        progress(done as u64, all)?;
        // One block, one transaction: other writers wait for milliseconds.
        if let Some((before, after, n)) = db.write(move |tx| compact_batch(tx, &batch))? {
            report.arrays += n;
            report.blocks += 1;
            report.bytes_before += before;
            report.bytes_after += after;
        }
    }
    progress(all, all)?;
    Ok(report)
}

fn batches(tx: &ReadTx<'_>) -> Result<Vec<Batch>> {
    let arrays = array_table(tx)?;
    let sql = format!(
        "SELECT a.entity_group, a.attribute_name, n.dtype, n.id, n.shape \
         FROM {arrays} n JOIN attribute_data a ON a.data_id = n.id \
         WHERE n.codec IS NOT 'block' GROUP BY n.id ORDER BY 1, 2, 3, 4"
    );
    type Key = (String, String, String);
    let mut batches: Vec<(Key, usize, Batch)> = Vec::new();
    tx.query(&sql, [], |row| {
        let key: Key = (row.get(0)?, row.get(1)?, row.get(2)?);
        let shape: String = row.get(4)?;
        let size = key.2.parse().ok().zip(crate::array::parse_shape(&shape).ok());
        let size = size.and_then(|(dtype, shape): (DType, _)| {
            Some((dtype, crate::array::byte_size(dtype, &shape)?))
        });
        let Some((dtype, size)) = size.filter(|(_, size)| *size <= ARRAY_BYTES) else {
            return Ok(());
        };
        match batches.last_mut() {
            Some((last, bytes, batch)) if *last == key && *bytes + size <= BLOCK_BYTES => {
                *bytes += size;
                batch.ids.push(row.get(3)?);
            }
            _ => batches.push((key, size, Batch { dtype, ids: vec![row.get(3)?] })),
        }
        Ok(())
    })?;
    Ok(batches.into_iter().map(|(_, _, batch)| batch).filter(|b| b.ids.len() >= ARRAYS).collect())
}

/// Moves one batch into a block, if that is smaller by a tenth: bytes before, after, and arrays.
fn compact_batch(tx: &mut WriteTx<'_>, batch: &Batch) -> Result<Option<(u64, u64, u64)>> {
    tx.ensure(&MIGRATIONS)?;
    let mut reader = ArrayReader::new(tx, Layout::Ours);
    let (mut data, mut locations, mut before) = (Vec::new(), Vec::new(), 0);
    let sql = format!(
        "SELECT length(data) FROM {} WHERE id = ?1 AND codec IS NOT 'block'",
        array_table(tx)?
    );
    for &id in &batch.ids {
        // Removed or compacted by another process since the batch was made: left out.
        let Some(stored) = tx.query_one(&sql, [id], |row| Ok(row.get::<_, i64>(0)?))? else {
            continue;
        };
        before += stored as u64;
        locations.push((id, data.len() as u64));
        data.extend_from_slice(reader.read(id)?.data());
    }
    drop(reader);
    let items = data.len().checked_div(batch.dtype.item_size()).unwrap_or(0);
    let block = Array::new(batch.dtype, vec![items], data)?;
    let (codec, packed) = Codec::Auto.encode(&block);
    let after = (packed.len() + 16 * locations.len()) as u64;
    if after * 10 > before * 9 {
        return Ok(None);
    }
    let (dtype, shape) = (batch.dtype.to_string(), shape_json(block.shape()));
    let checksum = Checksum::of(&block).to_bytes();
    let sql =
        "INSERT INTO array_block (dtype, shape, codec, checksum, data) VALUES (?1, ?2, ?3, ?4, ?5)";
    let block = tx.insert(sql, (&dtype, &shape, codec, checksum, &*packed))?;
    fit_names(tx)?;
    let sql = format!("UPDATE {} SET codec = ?2, data = ?3 WHERE id = ?1", array_table(tx)?);
    for &(id, offset) in &locations {
        let location = BlockLocation { block, offset }.to_bytes();
        tx.execute(&sql, (id, BLOCK, location))?;
    }
    Ok(Some((before, after, locations.len() as u64)))
}

/// The name of the table depends on whether there are blocks.
fn fit_names(tx: &mut WriteTx<'_>) -> Result<()> {
    if tx.fit_names(&super::STORE)? {
        tx.forget();
        tx.ensure(&MIGRATIONS)?;
    }
    Ok(())
}

/// Gives each array that lies in a block its own bytes back; how many.
pub(super) fn expand(tx: &mut WriteTx<'_>) -> Result<u64> {
    if Layout::of(tx)? != Layout::Ours {
        return Ok(0);
    }
    tx.ensure(&MIGRATIONS)?;
    let arrays = array_table(tx)?;
    let sql = format!("SELECT id FROM {arrays} WHERE codec = 'block' ORDER BY data");
    let ids = tx.query(&sql, [], |row| Ok(row.get::<_, i64>(0)?))?;
    let mut reader = ArrayReader::new(tx, Layout::Ours);
    let sql = format!("UPDATE {arrays} SET codec = NULL, data = ?2 WHERE id = ?1");
    for &id in &ids {
        tx.execute(&sql, (id, reader.read(id)?.data()))?;
    }
    drop(reader);
    remove_unused_blocks(tx)?;
    Ok(ids.len() as u64)
}

/// Removes blocks in which no array lies any more.
pub(super) fn remove_unused_blocks(tx: &mut WriteTx<'_>) -> Result<()> {
    let sql = format!(
        "SELECT DISTINCT substr(data, 1, 8) FROM {} WHERE codec = 'block'",
        array_table(tx)?
    );
    let used = tx.query(&sql, [], |row| {
        let bytes: Vec<u8> = row.get(0)?;
        Ok(bytes.try_into().map(i64::from_le_bytes).unwrap_or(-1))
    })?;
    let all = tx.query("SELECT id FROM array_block", [], |row| Ok(row.get::<_, i64>(0)?))?;
    for id in all.into_iter().filter(|id| !used.contains(id)) {
        tx.execute("DELETE FROM array_block WHERE id = ?1", [id])?;
    }
    fit_names(tx)
}
