//! The table `numpy_array`: each array once.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hash, Hasher};

use bytes::Bytes;
use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::tables::{Layout, array_table};
use crate::array::{Array, BLOCK, Checksum, Codec, DType, array_in_block, parse_shape, shape_json};
use crate::error::{Error, Result};
use crate::kernel::{ReadTx, WriteTx, array_block};

/// Unpacked blocks that a reader keeps: one an attribute, mostly.
const KEPT_BLOCKS: usize = 16;

/// How many of the latest distinct things are remembered, at least.
const REMEMBERED: usize = 32_768;

/// Keys are hashes or row numbers already: their last eight bytes serve as they are.
#[derive(Clone, Copy, Default)]
pub(super) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        // The table takes its buckets from the low bits and its tags from the high ones.
        self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut last = [0; 8];
        let n = bytes.len().min(8);
        last[..n].copy_from_slice(&bytes[bytes.len() - n..]);
        self.0 ^= u64::from_le_bytes(last);
    }
}

type Map<K, V> = HashMap<K, V, BuildHasherDefault<AsIs>>;

/// A map that forgets the oldest half when it is full. Its keys are hashes or row numbers.
pub(super) struct Recent<K, V> {
    young: Map<K, V>,
    old: Map<K, V>,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Recent { young: Map::default(), old: Map::default() }
    }
}

impl<K: Hash + Eq + Copy, V: Clone> Recent<K, V> {
    pub(super) fn get(&mut self, key: &K) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        // What is used stays.
        let value = self.old.remove(key)?;
        self.put(*key, value.clone());
        Some(value)
    }

    pub(super) fn put(&mut self, key: K, value: V) {
        if self.young.len() >= REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

/// An array on its way into the file.
pub(super) struct NewArray {
    pub(super) array: Array,
    pub(super) checksum: Checksum,
    dtype: String,
    shape: String,
    /// Packed already, by a thread that is not the writer.
    packed: Option<(Option<&'static str>, Bytes)>,
}

impl NewArray {
    pub(super) fn new(array: Array) -> Self {
        let (dtype, shape) = (array.dtype().to_string(), shape_json(array.shape()));
        let checksum = Checksum::of_parts(&dtype, &shape, array.data());
        NewArray { array, checksum, dtype, shape, packed: None }
    }

    /// Bytes of its row, nearly.
    pub(super) fn stored_bytes(&self) -> usize {
        self.packed.as_ref().map_or(self.array.data().len(), |(_, data)| data.len())
    }

    pub(super) fn pack(&mut self, codec: Codec) {
        let (name, data) = codec.encode(&self.array);
        self.packed = name.map(|name| (Some(name), Bytes::from(data.into_owned())));
        if self.packed.is_none() {
            self.packed = Some((None, self.array.clone().into_data()));
        }
    }
}

/// Ids of arrays that are in the file, by content.
#[derive(Default)]
pub(super) struct KnownArrays {
    ids: Recent<Checksum, i64>,
    /// Where they are, once they are loaded.
    table: &'static str,
    loaded: bool,
}

impl KnownArrays {
    /// The id of an equal array, or of a new row. The flag says whether it is new.
    pub(super) fn store(
        &mut self,
        tx: &WriteTx<'_>,
        new: &NewArray,
        codec: Codec,
    ) -> Result<(i64, bool)> {
        self.load(tx)?;
        if let Some(id) = self.ids.get(&new.checksum) {
            return Ok((id, false));
        }
        let packed;
        let (name, data): (Option<&str>, &[u8]) = match &new.packed {
            Some((name, data)) => (*name, data),
            None if codec == Codec::Raw => (None, new.array.data()),
            None => {
                packed = codec.encode(&new.array);
                (packed.0, &packed.1)
            }
        };
        let sql = match self.table {
            "numpy_array" => {
                "INSERT INTO numpy_array (dtype, shape, codec, checksum, data) VALUES (?1, ?2, ?3, ?4, ?5)"
            }
            _ => {
                "INSERT INTO numpy_array_rows (dtype, shape, codec, checksum, data) VALUES (?1, ?2, ?3, ?4, ?5)"
            }
        };
        let id = tx.insert(sql, (&new.dtype, &new.shape, name, new.checksum.to_bytes(), data))?;
        self.ids.put(new.checksum, id);
        Ok((id, true))
    }

    /// After an open the latest arrays of the file are known again.
    fn load(&mut self, tx: &WriteTx<'_>) -> Result<()> {
        if self.loaded {
            return Ok(());
        }
        self.table = array_table(tx)?;
        let sql = format!("SELECT id, checksum FROM {} ORDER BY id DESC LIMIT 4096", self.table);
        tx.query(&sql, [], |row| {
            let checksum: Option<Vec<u8>> = row.get(1)?;
            if let Some(checksum) = checksum.as_deref().and_then(Checksum::from_bytes) {
                self.ids.put(checksum, row.get(0)?);
            }
            Ok(())
        })?;
        self.loaded = true;
        Ok(())
    }
}

/// Reads arrays of one snapshot.
pub(super) struct ArrayReader<'t, 'c> {
    tx: &'t ReadTx<'c>,
    layout: Layout,
    /// How an array is found, once one was.
    sql: Option<String>,
    /// The dtype of the last array: most are alike.
    last: Option<(String, DType)>,
    kept: Recent<i64, Array>,
    /// Unpacked blocks, the latest last.
    blocks: VecDeque<(i64, Bytes)>,
}

impl<'t, 'c> ArrayReader<'t, 'c> {
    pub(super) fn new(tx: &'t ReadTx<'c>, layout: Layout) -> Self {
        ArrayReader {
            tx,
            layout,
            sql: None,
            last: None,
            kept: Recent::default(),
            blocks: VecDeque::new(),
        }
    }

    /// The array of a row, its checksum compared.
    pub(super) fn read(&mut self, id: i64) -> Result<Array> {
        let sql = match self.sql.take() {
            Some(sql) => sql,
            None => self.layout.array_sql(self.tx)?,
        };
        let mut statement = self.tx.prepare(self.sql.insert(sql))?;
        let mut rows = statement.query([id])?;
        match rows.next()? {
            Some(row) => self.unpack(id, row, 0),
            None => Err(corrupt(id, "the row is missing")),
        }
    }

    /// The array of a row that has dtype, shape, codec, checksum and data from column `at` on.
    pub(super) fn unpack(&mut self, id: i64, row: &Row<'_>, at: usize) -> Result<Array> {
        let corrupt = |why: &str| corrupt(id, why);
        let (dtype, shape) = self.dtype_and_shape(id, row, at)?;
        let codec =
            row.get_ref(at + 2)?.as_str_or_null().map_err(|_| corrupt("codec must be text"))?;
        let data = row.get_ref(at + 4)?.as_blob().map_err(|_| corrupt("data must be a blob"))?;
        let array = match codec {
            Some(BLOCK) => array_in_block(dtype, shape, data, |block| self.block(block)),
            codec => Codec::decode(codec, dtype, &shape, data),
        };
        let array = array.map_err(|error| match error {
            Error::Corrupt { .. } | Error::Invalid { .. } => corrupt(&error.to_string()),
            other => other,
        })?;
        if let Ok(Some(stored)) = row.get_ref(at + 3)?.as_blob_or_null() {
            let text = |i| row.get_ref(i).map(|text| text.as_str().unwrap_or_default());
            let found = Checksum::of_parts(text(at)?, text(at + 1)?, array.data());
            if stored != found.to_bytes() {
                return Err(corrupt("the checksum differs from the one it was stored with"));
            }
        }
        Ok(array)
    }

    /// An array without rows, of the dtype and the row shape that stand from column `at` on.
    pub(super) fn form(&mut self, id: i64, row: &Row<'_>, at: usize) -> Result<Array> {
        let (dtype, mut shape) = self.dtype_and_shape(id, row, at)?;
        match shape.first_mut() {
            Some(rows) => *rows = 0,
            None => return Err(corrupt(id, "it is a single value")),
        }
        Array::new(dtype, shape, Vec::new())
    }

    fn dtype_and_shape(
        &mut self,
        id: i64,
        row: &Row<'_>,
        at: usize,
    ) -> Result<(DType, Vec<usize>)> {
        let corrupt = |why: &str| corrupt(id, why);
        let text = |i| -> Result<&str> {
            match row.get_ref(i)? {
                ValueRef::Null => Err(corrupt("the row is missing")),
                value => value.as_str().map_err(|_| corrupt("dtype and shape must be text")),
            }
        };
        let dtype_text = text(at)?;
        let dtype = match &self.last {
            Some((text, dtype)) if text == dtype_text => *dtype,
            _ => {
                let dtype = dtype_text.parse().map_err(|e: Error| corrupt(&e.to_string()))?;
                self.last = Some((dtype_text.to_owned(), dtype));
                dtype
            }
        };
        let shape = parse_shape(text(at + 1)?).map_err(|e| corrupt(&e.to_string()))?;
        Ok((dtype, shape))
    }

    /// The unpacked bytes of a block; the last few are kept.
    fn block(&mut self, id: i64) -> Result<Bytes> {
        if let Some((_, block)) = self.blocks.iter().find(|(known, _)| *known == id) {
            return Ok(block.clone());
        }
        let block = array_block(self.tx, id, None)?;
        if self.blocks.len() == KEPT_BLOCKS {
            self.blocks.pop_front();
        }
        self.blocks.push_back((id, block.clone()));
        Ok(block)
    }

    /// As [`read`](Self::read), for arrays that are likely to be asked for again (ids, row pointers).
    pub(super) fn read_shared(&mut self, id: i64) -> Result<Array> {
        if let Some(array) = self.kept.get(&id) {
            return Ok(array);
        }
        let array = self.read(id)?;
        self.kept.put(id, array.clone());
        Ok(array)
    }
}

fn corrupt(id: i64, why: &str) -> Error {
    let what = format!("numpy_array row {id}");
    Error::Corrupt { location: String::new(), what, why: why.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: as the guarantees page says: what was among the last 32,768 is known, what has twice as many behind it is not,
    /// and what is used counts as new.
    #[test]
    fn the_latest_things_are_remembered() {
        let n = REMEMBERED as i64;
        let mut known = Recent::<i64, ()>::default();
        (0..3 * n).for_each(|key| known.put(key, ()));
        assert!((2 * n..3 * n).all(|key| known.get(&key).is_some()));
        assert!((0..n).all(|key| known.get(&key).is_none()));
        let mut known = Recent::<i64, ()>::default();
        known.put(-1, ());
        for key in 0..5 * n {
            known.put(key, ());
            assert!(key % 1_000 > 0 || known.get(&-1).is_some(), "it was used {key} ago");
        }
    }
}
