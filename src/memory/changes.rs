//! What is held in memory of a file, and how it follows the file.
//!
//! Triggers note in `memory_change` which rows have changed, whoever changes them; a copy in memory reads on from the entry
//! that it has seen last.

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};

use super::store::{MemoryStore, are_there};
use crate::error::Result;
use crate::kernel::ReadTx;

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Concepts = 0,
    Embeddings = 1,
    Draws = 2,
}

/// An entry: its number, and what tells it from the one of another history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Head {
    seq: i64,
    stamp: i64,
}

/// The last entry.
fn head(tx: &ReadTx<'_>) -> Result<Head> {
    let sql = "SELECT seq, stamp FROM memory_change ORDER BY seq DESC LIMIT 1";
    let found = tx.query_one(sql, [], |row| Ok(Head { seq: row.get(0)?, stamp: row.get(1)? }))?;
    Ok(found.unwrap_or_default())
}

/// The rows that have changed since an entry; `None` if that is not known any more.
fn since(tx: &ReadTx<'_>, seen: Head, kind: Kind) -> Result<Option<BTreeSet<i64>>> {
    if seen != Head::default() {
        let sql = "SELECT stamp FROM memory_change WHERE seq = ?1";
        let stamp = tx.query_one(sql, [seen.seq], |row| Ok(row.get::<_, i64>(0)?))?;
        if stamp != Some(seen.stamp) {
            return Ok(None);
        }
    } else if tx.query_one("SELECT min(seq) FROM memory_change", [], |row| {
        Ok(row.get::<_, Option<i64>>(0)?)
    })? > Some(Some(1))
    {
        return Ok(None);
    }
    let sql = "SELECT row_id FROM memory_change WHERE seq > ?1 AND kind = ?2";
    let rows = tx.query(sql, (seen.seq, kind as i64), |row| Ok(row.get(0)?))?;
    Ok(Some(rows.into_iter().collect()))
}

/// What can be held in memory.
pub(super) trait Copied: Sized + Clone {
    const KIND: Kind;
    /// What a copy is made for: another key is another copy.
    type Key: Clone + PartialEq;

    fn load(tx: &ReadTx<'_>, key: &Self::Key) -> Result<Self>;

    /// Takes over rows that have changed.
    fn follow(&mut self, tx: &ReadTx<'_>, key: &Self::Key, changed: &BTreeSet<i64>) -> Result<()>;

    /// Whether there is nothing new that no entry names.
    fn has_all(&self, _: &ReadTx<'_>) -> Result<bool> {
        Ok(true)
    }
}

/// A copy, what it was made for, and how far it has read.
pub(super) struct Held<C: Copied>(RwLock<Option<(C::Key, Head, C)>>);

impl<C: Copied> Default for Held<C> {
    fn default() -> Self {
        Held(RwLock::default())
    }
}

/// How often a copy that has seen more than the snapshot is met by a newer snapshot: then it is of a file whose history
/// has become another one, and read anew.
const TRIES: usize = 3;

impl<C: Copied> Held<C> {
    /// Lets the copy go: for a file whose whole content has become another one.
    pub(super) fn forget(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Works with a copy of what a snapshot of the file has, and with that snapshot.
    pub(super) fn with<T: Default>(
        &self,
        store: &MemoryStore,
        key: &C::Key,
        mut work: impl FnMut(&ReadTx<'_>, &C) -> Result<T>,
    ) -> Result<T> {
        for tries in 0.. {
            let done = store.database().read(|tx| match are_there(tx)? {
                true => self.attempt(store, tx, key, tries, &mut work),
                false => Ok(Some(T::default())),
            })?;
            if let Some(done) = done {
                return Ok(done);
            }
        }
        unreachable!("the loop ends by returning")
    }

    /// `None` if the copy has seen more than this snapshot has.
    fn attempt<T>(
        &self,
        store: &MemoryStore,
        tx: &ReadTx<'_>,
        key: &C::Key,
        tries: usize,
        work: &mut dyn FnMut(&ReadTx<'_>, &C) -> Result<T>,
    ) -> Result<Option<T>> {
        let now = head(tx)?;
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let known = held.as_ref().filter(|(made_for, ..)| made_for == key);
        if let Some((_, seen, copy)) = known
            && *seen == now
            && copy.has_all(tx)?
        {
            return work(tx, copy).map(Some);
        }
        if store.database().is_in_transaction() {
            // What this thread has not committed must not be seen by others.
            let known = known.map(|(_, seen, copy)| (*seen, copy.clone()));
            drop(held);
            return work(tx, &fresh(tx, key, known)?).map(Some);
        }
        drop(held);
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let beyond = |seen: &Head| seen.seq > now.seq && tries < TRIES;
        let known = match held.take() {
            Some((made_for, seen, copy)) if made_for == *key && beyond(&seen) => {
                *held = Some((made_for, seen, copy));
                return Ok(None);
            }
            Some((made_for, seen, copy)) if made_for == *key => Some((seen, copy)),
            _ => None,
        };
        let copy = fresh(tx, key, known)?;
        let (_, _, copy) = held.insert((key.clone(), now, copy));
        work(tx, copy).map(Some)
    }
}

/// A copy as the snapshot is, from an older one if that can follow.
fn fresh<C: Copied>(tx: &ReadTx<'_>, key: &C::Key, known: Option<(Head, C)>) -> Result<C> {
    if let Some((seen, mut copy)) = known
        && let Some(changed) = since(tx, seen, C::KIND)?
    {
        copy.follow(tx, key, &changed)?;
        return Ok(copy);
    }
    C::load(tx, key)
}
