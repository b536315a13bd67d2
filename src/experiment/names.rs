//! The names that the rows of one simulation speak of by number.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::error::Result;
use crate::kernel::{ReadTx, WriteTx};

/// Names and their numbers: one in memory, given at once, and one in the file, given when it is written.
#[derive(Debug, Default)]
pub(super) struct Names {
    numbers: HashMap<Box<str>, u32, BuildHasherDefault<Mix>>,
    names: Vec<Box<str>>,
    /// The number in the file; of the first so many.
    stored: Vec<i64>,
}

impl Names {
    /// The number of a name in memory.
    pub(super) fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.names.len() as u32;
        self.numbers.insert(name.into(), number);
        self.names.push(name.into());
        number
    }

    pub(super) fn known(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// Numbers in the file of all names, those that it does not have yet written now.
    pub(super) fn store(&self, tx: &WriteTx<'_>, simulation: i64) -> Result<Vec<i64>> {
        let mut stored = self.stored.clone();
        if stored.len() == self.names.len() {
            return Ok(stored);
        }
        let sql = "SELECT coalesce(max(id), 0) FROM simulation_name WHERE simulation = ?1";
        let mut last: i64 = tx.query_one(sql, [simulation], |row| Ok(row.get(0)?))?.unwrap_or(0);
        // Somebody else may have written names: then each is looked for.
        let alone = last as usize == stored.len();
        for name in &self.names[stored.len()..] {
            let find = "SELECT id FROM simulation_name WHERE simulation = ?1 AND name = ?2";
            let found: Option<i64> = match alone {
                true => None,
                false => tx.query_one(find, (simulation, name), |row| Ok(row.get(0)?))?,
            };
            let id = match found {
                Some(id) => id,
                None => {
                    last += 1;
                    let sql = "INSERT INTO simulation_name (simulation, id, name, row_sum) \
                        VALUES (?1, ?2, ?3, silt_row_sum(?1, ?2, ?3))";
                    tx.execute(sql, (simulation, last, name))?;
                    last
                }
            };
            stored.push(id);
        }
        Ok(stored)
    }

    /// What [`store`](Self::store) gave is in the file for good.
    pub(super) fn stored(&mut self, stored: Vec<i64>) {
        self.stored = stored;
    }
}

/// The names of a simulation in the file, by their numbers.
pub(super) fn load(tx: &ReadTx<'_>, simulation: i64) -> Result<HashMap<i64, String>> {
    let sql = "SELECT id, name FROM simulation_name WHERE simulation = ?1";
    Ok(tx.query(sql, [simulation], |row| Ok((row.get(0)?, row.get(1)?)))?.into_iter().collect())
}

/// The number of one name in the file.
pub(super) fn find(tx: &ReadTx<'_>, simulation: i64, name: &str) -> Result<Option<i64>> {
    let sql = "SELECT id FROM simulation_name WHERE simulation = ?1 AND name = ?2";
    tx.query_one(sql, (simulation, name), |row| Ok(row.get(0)?))
}

/// The numbers of one name, by the simulations that have it.
pub(super) fn find_all(tx: &ReadTx<'_>, name: &str) -> Result<HashMap<i64, i64>> {
    let sql = "SELECT simulation, id FROM simulation_name WHERE name = ?1";
    Ok(tx.query(sql, [name], |row| Ok((row.get(0)?, row.get(1)?)))?.into_iter().collect())
}

/// A quick hash of short texts: eight bytes at a time, multiplied and folded.
#[derive(Debug, Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            let mixed = u128::from(self.0 ^ u64::from_le_bytes(word)) * u128::from(ODD);
            self.0 = (mixed as u64) ^ (mixed >> 64) as u64 ^ chunk.len() as u64;
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
