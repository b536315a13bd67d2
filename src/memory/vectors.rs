//! All embeddings of a file in memory, one after another, as a search wants them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::Row;

use super::changes::{Copied, Kind};
use super::scan;
use super::vector;
use crate::error::{Error, Result};
use crate::kernel::ReadTx;

/// The vectors of concepts, or of episodes.
#[derive(Debug, Clone, Default)]
pub(super) struct Vectors<const EPISODES: bool> {
    /// By the number of dimensions.
    pub(super) groups: BTreeMap<usize, Group>,
    positions: HashMap<i64, (usize, usize)>,
    /// Names of contexts, each once.
    contexts: HashMap<String, u32>,
}

/// Vectors of one number of dimensions, and what is known of each, by its position.
#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    pub(super) dimension: usize,
    pub(super) ids: Vec<i64>,
    /// The vectors in single precision.
    pub(super) data: Vec<f32>,
    /// Whether that is all of it.
    pub(super) is_single: Vec<bool>,
    /// Lengths.
    pub(super) lengths: Vec<f32>,
    /// The vectors with 8 bits an item.
    pub(super) coded: Vec<i8>,
    pub(super) steps: Vec<f32>,
    /// The length of what `coded` lost.
    pub(super) lost: Vec<f32>,
    /// Seconds since 1970-01-01 UTC.
    pub(super) times: Vec<f64>,
    pub(super) scores: Vec<f64>,
    pub(super) contexts: Vec<u32>,
    pub(super) metadata: Vec<Box<str>>,
}

/// A row of the file.
struct Parsed {
    id: i64,
    /// In single precision, and whether that is all of it; none if it is no vector.
    items: Vec<f32>,
    is_single: bool,
    time: f64,
    score: f64,
    context: Box<str>,
    metadata: Box<str>,
}

/// Rows, or numbers of them, that are handed over at once, and how often before the reader waits.
const HANDED: usize = 256;
const HANDED_NUMBERS: usize = 1 << 18;
const WAITING: usize = 8;

/// The part of a sum that single precision may lose, whatever the number of dimensions.
const SINGLE: f64 = 1.2e-7;

impl Group {
    fn push(&mut self, id: i64, is_single: bool, known: (f64, f64, u32, Box<str>)) {
        let row = &self.data[self.data.len() - self.dimension..];
        let length = scan::square(row).sqrt() as f32;
        let (step, mut lost) = scan::code(row, &mut self.coded);
        if !is_single {
            // Beyond these, single precision does not say what the numbers are.
            lost = match (1e-15..1e15).contains(&length) {
                true => lost + length * SINGLE as f32,
                false => f32::INFINITY,
            };
        }
        self.ids.push(id);
        self.is_single.push(is_single);
        self.lengths.push(length);
        self.steps.push(step);
        self.lost.push(lost);
        self.times.push(known.0);
        self.scores.push(known.1);
        self.contexts.push(known.2);
        self.metadata.push(known.3);
    }

    fn remove(&mut self, at: usize) {
        let (last, n) = (self.ids.len() - 1, self.dimension);
        self.data.copy_within(last * n.., at * n);
        self.data.truncate(last * n);
        self.coded.copy_within(last * n.., at * n);
        self.coded.truncate(last * n);
        self.ids.swap_remove(at);
        self.is_single.swap_remove(at);
        self.lengths.swap_remove(at);
        self.steps.swap_remove(at);
        self.lost.swap_remove(at);
        self.times.swap_remove(at);
        self.scores.swap_remove(at);
        self.contexts.swap_remove(at);
        self.metadata.swap_remove(at);
    }

    pub(super) fn row(&self, at: usize) -> &[f32] {
        &self.data[at * self.dimension..][..self.dimension]
    }
}

/// How near a row is to a query: the larger the nearer.
pub(super) trait Measure {
    /// It is `slope` times the product of row and query, and an offset; both right to a hundred-thousandth, the offset
    /// of the third.
    fn linear(&self, group: &Group, at: usize) -> (f64, f64, f64);

    /// The exact one, for the row's numbers.
    fn exact(&self, group: &Group, at: usize, row: &[f64]) -> f64;
}

/// The part of a measure by which `linear` may be wrong.
const LINEAR: f64 = 1e-5;

impl<const EPISODES: bool> Vectors<EPISODES> {
    const SELECT: &str = if EPISODES {
        "SELECT v.episode_id, v.embedding, e.timestamp, e.performance_score, e.context_hash, e.metadata \
         FROM episode_embeddings v JOIN episodes e ON e.id = v.episode_id"
    } else {
        "SELECT c.id, c.embedding, c.creation_time, 0.0, '', c.metadata FROM concepts c"
    };
    const ID: &str = if EPISODES { "v.episode_id" } else { "c.id" };

    pub(super) fn context(&self, name: &str) -> Option<u32> {
        self.contexts.get(name).copied()
    }

    /// The group of a query; an error names the dimensions that there are. `None` if there are no vectors.
    pub(super) fn group(&self, query: &[f64]) -> Result<Option<&Group>> {
        if let Some(group) = self.groups.get(&query.len()) {
            return Ok(Some(group));
        }
        if self.groups.is_empty() {
            return Ok(None);
        }
        let known: Vec<String> = self.groups.keys().map(usize::to_string).collect();
        let expected = format!("{} dimensions, as what is stored has", known.join(" or "));
        Err(Error::invalid("vector", expected, query.len().to_string()))
    }

    /// What a row says.
    fn parse(row: &Row<'_>) -> Result<Parsed> {
        let id: i64 = row.get(0)?;
        let bytes = row.get_ref(1)?.as_bytes().map_err(rusqlite::Error::from)?;
        let table = if EPISODES { "episode_embeddings" } else { "concepts" };
        let named = |error| match error {
            Error::Corrupt { location, why, .. } => {
                Error::Corrupt { location, what: format!("the embedding of {table} row {id}"), why }
            }
            other => other,
        };
        let (items, is_single) = match vector::single(bytes) {
            Some(items) => {
                let number = |b: &[u8]| f32::from_le_bytes(b.try_into().expect("four bytes"));
                (items.chunks_exact(4).map(number).collect::<Vec<f32>>(), true)
            }
            None => {
                let array = vector::decode(bytes).map_err(named)?;
                // An embedding of more dimensions is no vector: a search passes over it.
                let is_vector = array.shape().len() == 1;
                let items = if is_vector { vector::numbers(&array) } else { Vec::new() };
                let is_single = items.iter().all(|x| f64::from(*x as f32) == *x);
                (items.into_iter().map(|x| x as f32).collect(), is_single)
            }
        };
        let context = row.get_ref(4)?.as_str().map_err(rusqlite::Error::from)?;
        let metadata = row.get_ref(5)?.as_str_or_null().map_err(rusqlite::Error::from)?;
        Ok(Parsed {
            id,
            items,
            is_single,
            time: row.get(2)?,
            score: row.get(3)?,
            context: context.into(),
            metadata: metadata.unwrap_or("{}").into(),
        })
    }

    fn add(&mut self, row: Parsed) {
        if row.items.is_empty() {
            return;
        }
        let next = self.contexts.len() as u32;
        let context = match self.contexts.get(&*row.context) {
            Some(number) => *number,
            None => *self.contexts.entry(row.context.into()).or_insert(next),
        };
        let dimension = row.items.len();
        let group = self.groups.entry(dimension).or_default();
        group.dimension = dimension;
        group.data.extend_from_slice(&row.items);
        group.push(row.id, row.is_single, (row.time, row.score, context, row.metadata));
        self.positions.insert(row.id, (dimension, group.ids.len() - 1));
    }

    fn remove(&mut self, id: i64) {
        let Some((dimension, at)) = self.positions.remove(&id) else { return };
        let group = self.groups.get_mut(&dimension).expect("a position is in a group");
        group.remove(at);
        match group.ids.get(at) {
            Some(moved) => drop(self.positions.insert(*moved, (dimension, at))),
            None if group.ids.is_empty() => drop(self.groups.remove(&dimension)),
            None => {}
        }
    }

    /// The numbers of a row as they are stored.
    pub(super) fn numbers(tx: &ReadTx<'_>, group: &Group, at: usize) -> Result<Vec<f64>> {
        if group.is_single[at] {
            return Ok(group.row(at).iter().map(|x| f64::from(*x)).collect());
        }
        let id = group.ids[at];
        let sql = format!("{} WHERE {} = ?1", Self::SELECT, Self::ID);
        let found = tx.query_one(&sql, [id], |row| {
            let bytes = row.get_ref(1)?.as_bytes().map_err(rusqlite::Error::from)?;
            Ok(vector::numbers(&vector::decode(bytes)?))
        })?;
        Ok(found.unwrap_or_default())
    }

    /// The `k` nearest rows of a group, of those that `allowed` names if it is given: exact, the nearest first, of equals
    /// that of the lowest id.
    ///
    /// A first pass takes 8 bits an item and knows by how much it may be wrong; whatever could be among the nearest is
    /// looked at again in single precision, and then as it is stored.
    pub(super) fn nearest(
        tx: &ReadTx<'_>,
        group: &Group,
        query: &[f64],
        k: usize,
        allowed: Option<&[usize]>,
        measure: &impl Measure,
    ) -> Result<Vec<(usize, f64)>> {
        if k == 0 {
            return Ok(Vec::new());
        }
        let length = vector::length(query);
        let (coded, step) = scan::code_query(query);
        let query_lost = step * 0.5 * (query.len() as f64).sqrt();
        let rows = match allowed {
            Some(rows) if rows.len() < group.ids.len() / 4 => rows.to_vec(),
            _ => {
                let mut products = Vec::with_capacity(group.ids.len());
                scan::coded_products(&group.coded, &coded, &mut products);
                let ranged = |at: usize| {
                    let (lost, length_of) =
                        (f64::from(group.lost[at]), f64::from(group.lengths[at]));
                    let product = f64::from(products[at]) * f64::from(group.steps[at]) * step;
                    let wrong = (lost * length + (length_of + lost) * query_lost) * 1.0001;
                    range(measure, group, at, product, wrong)
                };
                match allowed {
                    None => candidates((0..group.ids.len()).map(|at| (at, ranged(at))), k),
                    Some(rows) => candidates(rows.iter().map(|at| (*at, ranged(*at))), k),
                }
            }
        };
        let rows = if rows.len() > k {
            let ranged = rows.into_iter().map(|at| {
                let pairs = group.row(at).iter().zip(query);
                let product = pairs.map(|(x, y)| f64::from(*x) * y).sum();
                let length_of = f64::from(group.lengths[at]);
                let wrong = match (group.is_single[at], group.lost[at].is_finite()) {
                    (true, _) => length_of * length * 1e-12,
                    (false, true) => length_of * length * SINGLE,
                    (false, false) => f64::INFINITY,
                };
                (at, range(measure, group, at, product, wrong))
            });
            candidates(ranged, k)
        } else {
            rows
        };
        let mut found = Vec::with_capacity(rows.len());
        for at in rows {
            found.push((at, measure.exact(group, at, &Self::numbers(tx, group, at)?)));
        }
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then(group.ids[a.0].cmp(&group.ids[b.0])));
        found.truncate(k);
        Ok(found)
    }
}

/// Between what a measure lies; anywhere, if it cannot be said.
fn range(measure: &impl Measure, group: &Group, at: usize, product: f64, wrong: f64) -> (f64, f64) {
    let (slope, offset, offset_wrong) = measure.linear(group, at);
    let middle = slope * product + offset;
    let wrong = slope.abs() * (wrong + product.abs() * LINEAR) + offset_wrong;
    match middle.is_finite() && wrong.is_finite() {
        true => (middle - wrong, middle + wrong),
        false => (f64::NEG_INFINITY, f64::INFINITY),
    }
}

/// The rows that may be among the `k` nearest.
fn candidates(ranges: impl Iterator<Item = (usize, (f64, f64))>, k: usize) -> Vec<usize> {
    let ranges: Vec<(usize, (f64, f64))> = ranges.collect();
    if ranges.len() <= k {
        return ranges.into_iter().map(|(at, _)| at).collect();
    }
    let mut least: Vec<f64> = ranges.iter().map(|(_, (least, _))| *least).collect();
    let (_, bar, _) = least.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
    let bar = *bar;
    ranges.into_iter().filter(|(_, (_, most))| *most >= bar).map(|(at, _)| at).collect()
}

impl<const EPISODES: bool> Copied for Vectors<EPISODES> {
    const KIND: Kind = if EPISODES { Kind::Embeddings } else { Kind::Concepts };
    type Key = ();

    fn load(tx: &ReadTx<'_>, (): &()) -> Result<Self> {
        // To read them and to prepare them takes about as long: each in a thread of its own.
        let (hand, handed) = std::sync::mpsc::sync_channel::<Vec<Parsed>>(WAITING);
        std::thread::scope(|scope| {
            let prepared = scope.spawn(move || {
                let mut all = Vectors::default();
                handed.iter().flatten().for_each(|row| all.add(row));
                all
            });
            let read = || -> Result<()> {
                let mut statement = tx.prepare(Self::SELECT)?;
                let mut rows = statement.query([])?;
                let (mut part, mut numbers) = (Vec::with_capacity(HANDED), 0);
                while let Some(row) = rows.next()? {
                    let row = Self::parse(row)?;
                    numbers += row.items.len();
                    part.push(row);
                    if part.len() == HANDED || numbers >= HANDED_NUMBERS {
                        crate::kernel::check_interrupted("reading vectors")?;
                        let full = std::mem::replace(&mut part, Vec::with_capacity(HANDED));
                        numbers = 0;
                        hand.send(full).expect("the other thread takes all");
                    }
                }
                hand.send(part).expect("the other thread takes all");
                Ok(())
            };
            let outcome = read();
            drop(hand); // ends the other thread
            let all = prepared.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            outcome.map(|()| all)
        })
    }

    fn follow(&mut self, tx: &ReadTx<'_>, (): &(), changed: &BTreeSet<i64>) -> Result<()> {
        let sql = format!("{} WHERE {} = ?1", Self::SELECT, Self::ID);
        for id in changed {
            self.remove(*id);
            let row = tx.query_one(&sql, [id], Self::parse)?;
            row.into_iter().for_each(|row| self.add(row));
            crate::kernel::check_interrupted("reading vectors")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a row that is removed takes nothing of the others with it.
    #[test]
    fn the_last_row_takes_the_place_of_one_that_goes() {
        let mut group = Group { dimension: 2, ..Group::default() };
        for id in 0..4i64 {
            group.data.extend([id as f32, 1.0]);
            group.push(id, true, (id as f64, 0.5, id as u32, "{}".into()));
        }
        group.remove(1);
        assert_eq!(group.ids, [0, 3, 2]);
        assert_eq!((group.row(1), group.times[1], group.contexts[1]), (&[3.0, 1.0][..], 3.0, 3));
        group.remove(2);
        group.remove(0);
        assert_eq!((group.ids.as_slice(), group.row(0)), (&[3][..], &[3.0, 1.0][..]));
        assert_eq!((group.data.len(), group.coded.len(), group.lost.len()), (2, 2, 1));
    }
}
