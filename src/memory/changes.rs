//! What is held in memory of a file, and how it follows the file.
//!
//! Triggers note in `memory_change` which rows have changed, whoever changes them; a copy in memory reads on from the entry
//! that it has seen last.

use std::cmp::Ordering;
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
    Priorities = 2,
}

/// An entry: its number, and what tells it from the one of another history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Head {
    seq: i64,
    stamp: i64,
}

/// The last entry.
pub(super) fn head(tx: &ReadTx<'_>) -> Result<Head> {
    let sql = "SELECT seq, stamp FROM memory_change ORDER BY seq DESC LIMIT 1";
    let found = tx.query_one(sql, [], |row| Ok(Head { seq: row.get(0)?, stamp: row.get(1)? }))?;
    Ok(found.unwrap_or_default())
}

/// The rows that have changed since an entry; `None` if that is not known any more.
pub(super) fn since(tx: &ReadTx<'_>, seen: Head, kind: Kind) -> Result<Option<BTreeSet<i64>>> {
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

    /// Copies rows that have changed.
    fn follow(&mut self, tx: &ReadTx<'_>, key: &Self::Key, changed: &BTreeSet<i64>) -> Result<()>;

    /// How the copy stands to a snapshot with the same last entry, by what no entry names: less if it lacks something, greater
    /// if it has seen more.
    fn stand(&self, _: &ReadTx<'_>) -> Result<Ordering> {
        Ok(Ordering::Equal)
    }
}

/// A copy, what it was made for, and how far it has read.
struct Seen<C: Copied> {
    key: C::Key,
    head: Head,
    copy: C,
}

/// Copies of a file, one for each thing that they are made for, the one that was made last at the end.
pub(super) struct Held<C: Copied>(RwLock<Vec<Seen<C>>>);

impl<C: Copied> Default for Held<C> {
    fn default() -> Self {
        Held(RwLock::default())
    }
}

/// The most copies of a kind.
const MOST: usize = 8;

/// How often a copy that has seen more than the snapshot is met by a newer snapshot: then it is of a file whose history
/// has become another one, and read anew.
const TRIES: usize = 3;

impl<C: Copied> Held<C> {
    /// Lets the copies go: for a file whose whole content has become another one.
    pub(super) fn forget(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clear();
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
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let seen = all.iter().find(|seen| seen.key == *key);
        if let Some(seen) = seen
            && seen.head == now
            && seen.copy.stand(tx)?.is_eq()
        {
            return work(tx, &seen.copy).map(Some);
        }
        if store.database().is_in_transaction() {
            // What this thread has not committed must not be seen by others.
            let known = seen.map(|seen| (seen.head, seen.copy.clone()));
            drop(all);
            return work(tx, &fresh(tx, key, known)?).map(Some);
        }
        drop(all);
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let known = match all.iter().position(|seen| seen.key == *key) {
            None => None,
            Some(at) => {
                let Seen { head, copy, .. } = &all[at];
                let beyond = head.seq > now.seq || *head == now && copy.stand(tx)?.is_gt();
                if beyond && tries < TRIES {
                    return Ok(None);
                }
                // Until it is put back, so that what fails half way is not kept.
                let seen = all.remove(at);
                (!beyond).then_some((seen.head, seen.copy))
            }
        };
        let copy = fresh(tx, key, known)?;
        if all.len() == MOST {
            all.remove(0);
        }
        all.push(Seen { key: key.clone(), head: now, copy });
        work(tx, &all[all.len() - 1].copy).map(Some)
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
