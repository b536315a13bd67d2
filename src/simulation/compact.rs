//! Compaction: arrays of one attribute, one after another, packed together.
//!
//! A small array has little to squeeze out; the same attribute at many times has much. A compacted
//! array keeps its row, its checksum and its id: only its bytes move into a block.

use super::arrays::ArrayReader;
use super::tables::{Layout, MIGRATIONS, array_table};
use crate::array::block::stored_checksum;
use crate::array::{BLOCK, BlockLocation, COLUMN, DType, pack_arrays, shape_json};
use crate::error::Result;
use crate::kernel::{CompactReport, Database, Part, Progress, ReadTx, WriteTx};

/// Bytes of a block before packing: what has to be unpacked to read one array.
const BLOCK_BYTES: usize = 256 << 10;
/// An array above this is large enough to be packed for itself.
const ARRAY_BYTES: usize = BLOCK_BYTES / 4;
/// Fewer arrays than this are left as they are.
const ARRAYS: usize = 4;

/// Arrays of one attribute and dtype that lie in their own rows, in the order of their ids.
struct Batch {
    dtype: DType,
    ids: Vec<i64>,
}

/// Compacts every attribute of a file; `progress` gets arrays done and in all.
pub(super) fn compact(db: &Database, progress: &mut Progress<'_>) -> Result<CompactReport> {
    let batches = db.read(|tx| match Layout::of(tx)? {
        Layout::Ours => batches(tx),
        _ => Ok(Vec::new()),
    })?;
    db.compact(batches, progress)
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

/// A block, and where the arrays lie in it.
struct Packed {
    dtype: String,
    shape: String,
    data: Vec<u8>,
    /// The id of each array, the checksum of its stored bytes, and its offset.
    arrays: Vec<(i64, u64, u64)>,
}

impl Part for Batch {
    type Packed = Packed;

    fn rows(&self) -> u64 {
        self.ids.len() as u64
    }

    /// All of them, if the block is smaller by a tenth.
    fn pack(&self, tx: &ReadTx<'_>) -> Result<Option<Packed>> {
        let mut reader = ArrayReader::new(tx, Layout::Ours);
        let (mut data, mut arrays, mut before) = (Vec::new(), Vec::new(), 0);
        let stored = stored(tx)?;
        for &id in &self.ids {
            // Removed or compacted by another process since the batch was made: left out.
            let Some((size, sum)) = tx.query_one(&stored, [id], sum_of)? else { continue };
            let array = reader.read(id)?;
            if array.dtype() != self.dtype {
                continue; // another one has the id now
            }
            before += size;
            arrays.push((id, sum, data.len() as u64));
            data.extend_from_slice(array.data());
        }
        drop(reader);
        if data.is_empty() {
            return Ok(None);
        }
        let (dtype, items, data) = pack_arrays(self.dtype, data)?;
        if (data.len() + 16 * arrays.len()) * 10 > before * 9 {
            return Ok(None);
        }
        Ok(Some(Packed { dtype: dtype.to_string(), shape: shape_json(&[items]), data, arrays }))
    }

    fn replace(&self, tx: &mut WriteTx<'_>, packed: &Packed) -> Result<Option<(u64, u64)>> {
        tx.ensure(&MIGRATIONS)?;
        let Packed { dtype, shape, data, arrays } = packed;
        let stored = stored(tx)?;
        for &(id, sum, _) in arrays {
            if tx.query_one(&stored, [id], sum_of)?.map(|(_, sum)| sum) != Some(sum) {
                return Ok(None);
            }
        }
        let sql = "INSERT INTO array_block (dtype, shape, codec, checksum, data) VALUES (?1, ?2, ?3, ?4, ?5)";
        let block = tx.insert(sql, (dtype, shape, COLUMN, stored_checksum(data), data))?;
        fit_names(tx)?;
        let sql = format!("UPDATE {} SET codec = ?2, data = ?3 WHERE id = ?1", array_table(tx)?);
        for &(id, _, offset) in arrays {
            let location = BlockLocation { block, offset }.to_bytes();
            tx.execute(&sql, (id, BLOCK, location))?;
        }
        Ok(Some((arrays.len() as u64, 1)))
    }
}

/// The query for an array that lies in its own row.
fn stored(tx: &ReadTx<'_>) -> Result<String> {
    let table = array_table(tx)?;
    Ok(format!(
        "SELECT dtype, shape, codec, data FROM {table} WHERE id = ?1 AND codec IS NOT 'block'"
    ))
}

/// Its stored bytes, and their checksum with what they mean.
fn sum_of(row: &rusqlite::Row<'_>) -> Result<(usize, u64)> {
    let mut sum = xxhash_rust::xxh3::Xxh3::new();
    for i in 0..3 {
        sum.update(row.get_ref(i)?.as_bytes_or_null().ok().flatten().unwrap_or_default());
        sum.update(&[0]);
    }
    let data = row.get_ref(3)?.as_bytes_or_null().ok().flatten().unwrap_or_default();
    sum.update(data);
    Ok((data.len(), sum.digest()))
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
