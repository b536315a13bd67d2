//! The sum tree of prioritized sampling: each episode with the mass that its priority gives it.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::changes::{Copied, Kind};
use crate::error::Result;
use crate::kernel::{ReadTx, check_interrupted};

/// The episodes of one context, or of all, and their masses, in a tree of sums.
#[derive(Debug, Clone)]
pub(super) struct SumTree {
    /// In rising order. What was removed keeps its place, without mass.
    ids: Vec<i64>,
    is_there: Vec<bool>,
    count: usize,
    /// The sums of masses: node 1 is the root, node `i` has the children `2 i` and `2 i + 1`.
    sums: Vec<f64>,
    /// The least masses above 0, in the same tree.
    least: Vec<f64>,
    leaves: usize,
    last_id: i64,
}

/// For what context, and by what power of the priority.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SumTreeOf {
    pub(super) context_hash: Option<String>,
    pub(super) alpha: f64,
}

const SELECT: &str = "SELECT id, coalesce((SELECT priority FROM episode_priorities WHERE episode_id = id), 1.0) \
    FROM episodes";

impl SumTree {
    /// How many episodes there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The mass of all.
    pub(super) fn total(&self) -> f64 {
        self.sums[1]
    }

    /// The least mass of one that can be sampled.
    pub(super) fn least(&self) -> f64 {
        self.least[1]
    }

    /// Whose mass lies at an offset from 0 to the mass of all: the id and the mass.
    pub(super) fn at(&self, mut offset: f64) -> (i64, f64) {
        let mut node = 1;
        while node < self.leaves {
            node *= 2;
            // A rounded sum must not lead to one that cannot be sampled.
            if offset >= self.sums[node] && self.sums[node + 1] > 0.0 {
                offset -= self.sums[node];
                node += 1;
            }
        }
        (self.ids[node - self.leaves], self.sums[node])
    }

    /// The ids of all, in rising order.
    pub(super) fn ids(&self) -> Vec<i64> {
        let there = self.ids.iter().zip(&self.is_there).filter(|(_, there)| **there);
        there.map(|(id, _)| *id).collect()
    }

    fn of(rows: impl IntoIterator<Item = (i64, f64)>, last_id: i64) -> Self {
        let (ids, masses): (Vec<i64>, Vec<f64>) = rows.into_iter().unzip();
        let leaves = (ids.len() + ids.len() / 4 + 1024).next_power_of_two();
        let mut sum_tree = SumTree {
            is_there: vec![true; ids.len()],
            count: ids.len(),
            ids,
            sums: vec![0.0; 2 * leaves],
            least: vec![f64::INFINITY; 2 * leaves],
            leaves,
            last_id,
        };
        masses.iter().enumerate().for_each(|(at, mass)| sum_tree.leaf(at, *mass));
        (1..leaves).rev().for_each(|node| sum_tree.add_up(node));
        sum_tree
    }

    fn leaf(&mut self, at: usize, mass: f64) {
        self.sums[self.leaves + at] = mass;
        self.least[self.leaves + at] = if mass > 0.0 { mass } else { f64::INFINITY };
    }

    fn add_up(&mut self, node: usize) {
        self.sums[node] = self.sums[2 * node] + self.sums[2 * node + 1];
        self.least[node] = self.least[2 * node].min(self.least[2 * node + 1]);
    }

    /// Sets the mass of an episode; `None` for one that is not there any more. False if there is no place for it.
    fn set(&mut self, id: i64, mass: Option<f64>) -> bool {
        let at = match (self.ids.binary_search(&id), mass) {
            (Ok(at), _) => at,
            (Err(_), None) => return true,
            (Err(at), Some(_)) => {
                // An older one that came from another context has no place in the order.
                if at < self.ids.len() || at == self.leaves {
                    return false;
                }
                self.ids.push(id);
                self.is_there.push(false);
                at
            }
        };
        self.count = self.count + usize::from(mass.is_some()) - usize::from(self.is_there[at]);
        self.is_there[at] = mass.is_some();
        self.leaf(at, mass.unwrap_or(0.0));
        let mut node = (self.leaves + at) / 2;
        while node > 0 {
            self.add_up(node);
            node /= 2;
        }
        true
    }
}

pub(super) fn last_id(tx: &ReadTx<'_>) -> Result<i64> {
    let sql = "SELECT coalesce(max(id), 0) FROM episodes";
    Ok(tx.query_one(sql, [], |row| Ok(row.get(0)?))?.unwrap_or(0))
}

impl SumTreeOf {
    fn rows(&self, tx: &ReadTx<'_>, sql: &str, id: i64) -> Result<Vec<(i64, f64)>> {
        let context = self.context_hash.as_deref();
        tx.query(sql, (id, context), |row| {
            Ok((row.get(0)?, row.get::<_, f64>(1)?.max(0.0).powf(self.alpha)))
        })
    }
}

impl Copied for SumTree {
    const KIND: Kind = Kind::Priorities;
    type Key = SumTreeOf;

    fn load(tx: &ReadTx<'_>, key: &SumTreeOf) -> Result<Self> {
        let sql = match &key.context_hash {
            Some(_) => format!("{SELECT} WHERE id > ?1 AND context_hash = ?2"),
            None => format!("{SELECT} WHERE id > ?1 AND ?2 IS NULL"),
        };
        let mut rows = key.rows(tx, &sql, i64::MIN)?;
        rows.sort_unstable_by_key(|(id, _)| *id);
        check_interrupted("reading priorities")?;
        Ok(SumTree::of(rows, last_id(tx)?))
    }

    fn follow(&mut self, tx: &ReadTx<'_>, key: &SumTreeOf, changed: &BTreeSet<i64>) -> Result<()> {
        let one = format!("{SELECT} WHERE id = ?1 AND (?2 IS NULL OR context_hash = ?2)");
        let new =
            format!("{SELECT} WHERE id > ?1 AND (?2 IS NULL OR context_hash = ?2) ORDER BY id");
        let mut fits = true;
        for id in changed.range(..=self.last_id) {
            let found = key.rows(tx, &one, *id)?;
            fits &= self.set(*id, found.first().map(|(_, mass)| *mass));
        }
        for (id, mass) in key.rows(tx, &new, self.last_id)? {
            fits &= self.set(id, Some(mass));
        }
        self.last_id = last_id(tx)?;
        if !fits || self.count * 2 < self.ids.len() {
            *self = SumTree::load(tx, key)?;
        }
        Ok(())
    }

    fn stand(&self, tx: &ReadTx<'_>) -> Result<Ordering> {
        Ok(self.last_id.cmp(&last_id(tx)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: each offset leads to the episode whose mass lies there, also after masses have changed and some have gone.
    #[test]
    fn an_offset_leads_to_the_episode_whose_mass_lies_there() {
        let mut sum_tree = SumTree::of([(1, 1.0), (3, 0.0), (4, 2.0), (9, 0.5)], 9);
        let at = |sum_tree: &SumTree, offset: f64| sum_tree.at(offset).0;
        assert_eq!((sum_tree.total(), sum_tree.least(), sum_tree.len()), (3.5, 0.5, 4));
        assert_eq!([0.0, 0.99, 1.0, 2.99, 3.0, 3.49].map(|x| at(&sum_tree, x)), [1, 1, 4, 4, 9, 9]);
        assert_eq!(at(&sum_tree, 3.5), 9, "an offset that rounding pushed over the end");
        assert!(sum_tree.set(4, None) && sum_tree.set(12, Some(4.0)) && sum_tree.set(3, Some(1.0)));
        assert_eq!((sum_tree.total(), sum_tree.len()), (6.5, 4));
        assert_eq!([0.5, 1.5, 2.1, 2.6].map(|x| at(&sum_tree, x)), [1, 3, 9, 12]);
        assert_eq!(sum_tree.ids(), [1, 3, 9, 12]);
        assert!(!sum_tree.set(5, Some(1.0)), "there is no place between others");
    }
}
