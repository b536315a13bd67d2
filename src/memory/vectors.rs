//! All embeddings of a file in memory, one after another, as a search wants them first: with 8 bits a number.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::OnceLock;

use rusqlite::Row;

use super::changes::{Copied, Kind};
use super::compact;
use super::facts::{Fact, Facts};
use super::scan;
use super::vector;
use crate::array::large;
use crate::error::{Error, Result};
use crate::kernel::ReadTx;

/// The vectors of concepts, or of episodes.
#[derive(Debug, Clone, Default)]
pub(super) struct Vectors<const EPISODES: bool> {
    /// By the number of dimensions.
    pub(super) groups: BTreeMap<usize, Group>,
    positions: HashMap<i64, (usize, usize)>,
}

/// Vectors of one number of dimensions, and what is known of each, by its position.
#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    pub(super) dimension: usize,
    pub(super) ids: Vec<i64>,
    /// Lengths.
    pub(super) lengths: Vec<f32>,
    /// The vectors with 8 bits an item.
    pub(super) coded: Vec<i8>,
    pub(super) steps: Vec<f32>,
    /// The length of what `coded` lost, at most.
    pub(super) lost: Vec<f32>,
    /// Once somebody has asked for them.
    facts: OnceLock<Facts>,
}

/// An embedding of the file.
pub(super) struct Parsed {
    pub(super) id: i64,
    /// In single precision, and whether that is all of it; none if it is no vector.
    pub(super) items: Vec<f32>,
    is_single: bool,
}

/// Rows, or numbers of them, that are handed over at once, and how often before the reader waits.
const HANDED: usize = 256;
const HANDED_NUMBERS: usize = 1 << 18;
const WAITING: usize = 8;

/// The part of a sum that single precision may lose, whatever the number of dimensions.
const SINGLE: f64 = 1.2e-7;

impl Group {
    fn push(&mut self, row: &Parsed) {
        let length = scan::square(&row.items).sqrt() as f32;
        let (step, mut lost) = scan::code(&row.items, &mut self.coded);
        if !row.is_single {
            // Beyond these, single precision does not say what the numbers are.
            lost = match (1e-15..1e15).contains(&length) {
                true => lost + length * SINGLE as f32,
                false => f32::INFINITY,
            };
        }
        self.ids.push(row.id);
        self.lengths.push(length);
        self.steps.push(step);
        self.lost.push(lost);
    }

    fn remove(&mut self, at: usize) {
        let (last, n) = (self.ids.len() - 1, self.dimension);
        self.coded.copy_within(last * n.., at * n);
        self.coded.truncate(last * n);
        self.ids.swap_remove(at);
        self.lengths.swap_remove(at);
        self.steps.swap_remove(at);
        self.lost.swap_remove(at);
        if let Some(facts) = self.facts.get_mut() {
            facts.remove(at);
        }
    }

    /// Whether what is known of a row holds for these numbers: its length, and what its code lost.
    pub(super) fn is_of(&self, at: usize, row: &[f64]) -> bool {
        let step = f64::from(self.steps[at]);
        let rest = row.iter().zip(self.row(at)).map(|(x, code)| x - f64::from(*code) * step);
        let (lost, length) = (f64::from(self.lost[at]), f64::from(self.lengths[at]));
        let rest = vector::length(&rest.collect::<Vec<f64>>());
        // Beyond what single precision can hold, nothing is said of it.
        lost == f64::INFINITY
            || rest <= lost * 1.0001
                && (vector::length(row) - length).abs() <= length * LINEAR + 1e-40
    }

    fn row(&self, at: usize) -> &[i8] {
        &self.coded[at * self.dimension..][..self.dimension]
    }
}

/// How near a row is to a query: the larger the nearer.
pub(super) trait Measure {
    /// It is `slope` times the product of row and query, and an offset; both right to a hundred-thousandth, the offset
    /// of the third.
    fn linear(&self, group: &Group, at: usize) -> (f64, f64, f64);

    /// The most that `exact` can be of a row of which `linear` is so much at the most: where they are not of one scale.
    fn at_most(&self, most: f64) -> f64 {
        most
    }

    /// The exact one, for the row's numbers.
    fn exact(&self, at: usize, row: &[f64]) -> f64;
}

/// The part of a measure by which `linear` may be wrong.
const LINEAR: f64 = 1e-5;

/// Rows that are read before what is known of the others decides: at least, and for each that is wanted.
const FIRST_ROWS: usize = 24;
const ROWS_EACH: usize = 2;

impl<const EPISODES: bool> Vectors<EPISODES> {
    /// The table of embeddings, and its id.
    pub(super) const TABLE: (&str, &str) = match EPISODES {
        true => ("episode_embeddings", "episode_id"),
        false => ("concepts", "id"),
    };
    /// An embedding with the id before it, and the name of the id.
    const SELECT: &str = if EPISODES {
        "SELECT v.episode_id, v.embedding FROM episode_embeddings v"
    } else {
        "SELECT v.id, v.embedding FROM concepts v"
    };
    const ID: &str = if EPISODES { "v.episode_id" } else { "v.id" };
    /// The embedding of an id, unless it is of an episode that is not there.
    const STORED: &str = if EPISODES {
        "SELECT v.episode_id, v.embedding FROM episode_embeddings v JOIN episodes e ON e.id = v.episode_id \
         WHERE v.episode_id = ?1"
    } else {
        "SELECT v.id, v.embedding FROM concepts v WHERE v.id = ?1"
    };

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

    /// The facts of a group of these, read when they are asked for first.
    pub(super) fn facts<'a>(&'a self, tx: &ReadTx<'_>, group: &'a Group) -> Result<&'a Facts> {
        if group.facts.get().is_none() {
            let made =
                |(dimension, group): (&usize, &Group)| (*dimension, Facts::new(group.ids.len()));
            let mut all: BTreeMap<usize, Facts> = self.groups.iter().map(made).collect();
            tx.query(Fact::select(EPISODES).0, [], |row| {
                let fact = Fact::read(row)?;
                if let Some((dimension, at)) = self.positions.get(&fact.id)
                    && let Some(facts) = all.get_mut(dimension)
                {
                    facts.set(*at, fact);
                }
                Ok(())
            })?;
            for (dimension, facts) in all {
                let _ = self.groups[&dimension].facts.set(facts); // another search may have been faster
            }
        }
        Ok(group.facts.get().expect("they were set just now"))
    }

    /// What a row says.
    pub(super) fn parse(row: &Row<'_>) -> Result<Parsed> {
        let id: i64 = row.get(0)?;
        let bytes = row.get_ref(1)?.as_bytes().map_err(rusqlite::Error::from)?;
        if let Some(items) = vector::single(bytes) {
            let number = |b: &[u8]| f32::from_le_bytes(b.try_into().expect("four bytes"));
            let items = items.chunks_exact(4).map(number).collect();
            return Ok(Parsed { id, items, is_single: true });
        }
        let items = Self::numbers(id, bytes)?;
        let is_single = items.iter().all(|x| f64::from(*x as f32) == *x);
        Ok(Parsed { id, items: items.into_iter().map(|x| x as f32).collect(), is_single })
    }

    /// The numbers of an embedding; none of one that has more dimensions: it is no vector, and a search passes over it.
    pub(super) fn numbers(id: i64, bytes: &[u8]) -> Result<Vec<f64>> {
        if let Some(items) = vector::single(bytes) {
            let number = |b: &[u8]| f32::from_le_bytes(b.try_into().expect("four bytes"));
            return Ok(items.chunks_exact(4).map(|b| f64::from(number(b))).collect());
        }
        let table = Self::TABLE.0;
        let array = vector::decode(bytes).map_err(|error| match error {
            Error::Corrupt { location, why, .. } => {
                Error::Corrupt { location, what: format!("the embedding of {table} row {id}"), why }
            }
            other => other,
        })?;
        Ok(if array.shape().len() == 1 { vector::numbers(&array) } else { Vec::new() })
    }

    pub(super) fn add(&mut self, row: &Parsed) {
        let dimension = row.items.len();
        if dimension == 0 {
            return;
        }
        let group = self.groups.entry(dimension).or_default();
        group.dimension = dimension;
        group.push(row);
        self.positions.insert(row.id, (dimension, group.ids.len() - 1));
    }

    /// Makes room for so many items of vectors of a dimension, if there is memory; they come next.
    pub(super) fn reserve(&mut self, dimension: usize, items: usize) {
        let _ = large::reserve(&mut self.groups.entry(dimension).or_default().coded, items);
    }

    /// Adds what `fill` puts behind a group; false, and it is of no use then, if one of the ids was there.
    pub(super) fn extend(
        &mut self,
        dimension: usize,
        fill: impl FnOnce(&mut Group) -> Result<()>,
    ) -> Result<bool> {
        let group = self.groups.entry(dimension).or_default();
        group.dimension = dimension;
        let before = group.ids.len();
        fill(group)?;
        self.positions.reserve(group.ids.len() - before);
        let new = group.ids.iter().enumerate().skip(before);
        Ok(new.fold(true, |is_new, (at, id)| {
            self.positions.insert(*id, (dimension, at)).is_none() && is_new
        }))
    }

    /// The group that has an id, and where.
    pub(super) fn position(&self, id: i64) -> Option<(&Group, usize)> {
        let (dimension, at) = self.positions.get(&id)?;
        Some((&self.groups[dimension], *at))
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

    /// The numbers of rows of a group as they are stored; those of a row that is not there are left out.
    pub(super) fn stored(
        tx: &ReadTx<'_>,
        group: &Group,
        rows: impl IntoIterator<Item = usize>,
        mut take: impl FnMut(usize, &[f64]),
    ) -> Result<()> {
        let mut statement = tx.prepare(Self::STORED)?;
        for at in rows {
            let mut found = statement.query([group.ids[at]])?;
            let Some(row) = found.next()? else { continue };
            let id = row.get(0)?;
            let numbers =
                Self::numbers(id, row.get_ref(1)?.as_bytes().map_err(rusqlite::Error::from)?)?;
            if numbers.len() != group.dimension {
                return Err(Error::Corrupt {
                    location: String::new(),
                    what: format!("the embedding of id {id}"),
                    why: format!(
                        "it has {} numbers where {} were noted",
                        numbers.len(),
                        group.dimension
                    ),
                });
            }
            take(at, &numbers);
        }
        Ok(())
    }

    /// The `k` nearest rows of a group, of those that `allowed` names if it is given: exact, the nearest first, of equals
    /// that of the lowest id.
    ///
    /// A first pass takes 8 bits an item and knows how near a row can be at most. The rows that can be nearest are read as they
    /// are stored, until no other can be as near as the `k` that were found.
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
        let mut rows = bounds(group, query, allowed, measure);
        let mut rest = rows.as_mut_slice();
        let mut found: Vec<(usize, f64)> = Vec::new();
        let mut wanted = k.saturating_mul(ROWS_EACH).saturating_add(FIRST_ROWS);
        while !rest.is_empty() {
            let n = wanted.min(rest.len());
            if n < rest.len() {
                rest.select_nth_unstable_by(n, |a, b| b.1.total_cmp(&a.1));
            }
            let (some, others) = rest.split_at_mut(n);
            let bar = if found.len() < k { f64::NEG_INFINITY } else { found[k - 1].1 };
            let can_be = |most: f64| most.partial_cmp(&bar) != Some(Ordering::Less);
            let near = some.iter().filter(|(_, most)| can_be(*most)).map(|(at, _)| *at);
            let mut near: Vec<usize> = near.collect();
            if near.is_empty() {
                break;
            }
            near.sort_unstable(); // in the order in which they lie
            Self::stored(tx, group, near, |at, row| found.push((at, measure.exact(at, row))))?;
            found.sort_by(|a, b| b.1.total_cmp(&a.1).then(group.ids[a.0].cmp(&group.ids[b.0])));
            found.truncate(k);
            (rest, wanted) = (others, wanted.saturating_mul(4));
        }
        Ok(found)
    }
}

/// The rows, and how near each is at most.
fn bounds(
    group: &Group,
    query: &[f64],
    allowed: Option<&[usize]>,
    measure: &impl Measure,
) -> Vec<(usize, f64)> {
    let length = vector::length(query);
    let (coded, step) = scan::code_query(query);
    let query_lost = step * 0.5 * (query.len() as f64).sqrt();
    let most = |at: usize, product: i32| {
        let (lost, length_of) = (f64::from(group.lost[at]), f64::from(group.lengths[at]));
        let product = f64::from(product) * f64::from(group.steps[at]) * step;
        let wrong = (lost * length + (length_of + lost) * query_lost) * 1.0001;
        let (slope, offset, offset_wrong) = measure.linear(group, at);
        let most = slope * product
            + offset
            + slope.abs() * (wrong + product.abs() * LINEAR)
            + offset_wrong;
        // Anything, if it cannot be said.
        (at, if most.is_finite() { measure.at_most(most) } else { f64::INFINITY })
    };
    let mut products = Vec::with_capacity(allowed.map_or(group.ids.len(), <[usize]>::len));
    match allowed {
        Some(rows) => {
            rows.iter().for_each(|at| scan::coded_products(group.row(*at), &coded, &mut products));
            rows.iter().zip(products).map(|(at, product)| most(*at, product)).collect()
        }
        None => {
            scan::coded_products(&group.coded, &coded, &mut products);
            products.into_iter().enumerate().map(|(at, product)| most(at, product)).collect()
        }
    }
}

impl<const EPISODES: bool> Copied for Vectors<EPISODES> {
    const KIND: Kind = if EPISODES { Kind::Embeddings } else { Kind::Concepts };
    type Key = ();

    fn load(tx: &ReadTx<'_>, (): &()) -> Result<Self> {
        let mut all = Self::default();
        let ranges = compact::read(tx, &mut all)?;
        for (first, last) in gaps(&ranges) {
            all = all.with_rows(tx, first, last)?;
        }
        if !ranges.is_empty() {
            all.follow(tx, &(), &compact::stale(tx, Self::KIND)?)?;
        }
        Ok(all)
    }

    fn follow(&mut self, tx: &ReadTx<'_>, (): &(), changed: &BTreeSet<i64>) -> Result<()> {
        let sql = format!("{} WHERE {} = ?1", Self::SELECT, Self::ID);
        let (facts, id) = Fact::select(EPISODES);
        let fact = format!("{facts} WHERE {id} = ?1");
        for id in changed {
            self.remove(*id);
            if let Some(row) = tx.query_one(&sql, [id], Self::parse)? {
                self.add(&row);
                let group = self.groups.get_mut(&row.items.len());
                if let Some(facts) = group.and_then(|group| group.facts.get_mut()) {
                    facts.push();
                    if let Some(fact) = tx.query_one(&fact, [id], Fact::read)? {
                        facts.set(facts.times.len() - 1, fact);
                    }
                }
            }
            crate::kernel::check_interrupted("reading vectors")?;
        }
        Ok(())
    }
}

/// What lies between ranges of ids, which rise.
pub(super) fn gaps(ranges: &[(i64, i64)]) -> Vec<(i64, i64)> {
    let mut gaps = Vec::new();
    let mut next = Some(i64::MIN);
    for (first, last) in ranges {
        if let Some(next) = next.filter(|next| next < first) {
            gaps.push((next, first - 1));
        }
        next = last.checked_add(1);
    }
    gaps.extend(next.map(|next| (next, i64::MAX)));
    gaps
}

impl<const EPISODES: bool> Vectors<EPISODES> {
    /// With the rows from an id to another.
    fn with_rows(mut self, tx: &ReadTx<'_>, first: i64, last: i64) -> Result<Self> {
        // To read them and to prepare them takes about as long: each in a thread of its own.
        let (hand, handed) = std::sync::mpsc::sync_channel::<Vec<Parsed>>(WAITING);
        std::thread::scope(|scope| {
            let prepared = scope.spawn(move || {
                handed.iter().flatten().for_each(|row| self.add(&row));
                self
            });
            let read = || -> Result<()> {
                let (mut part, mut numbers) = (Vec::with_capacity(HANDED), 0);
                Self::each_row(tx, first, last, |row| {
                    numbers += row.items.len();
                    part.push(row);
                    if part.len() == HANDED || numbers >= HANDED_NUMBERS {
                        let full = std::mem::replace(&mut part, Vec::with_capacity(HANDED));
                        numbers = 0;
                        hand.send(full).expect("the other thread takes all");
                    }
                    Ok(())
                })?;
                hand.send(part).expect("the other thread takes all");
                Ok(())
            };
            let outcome = read();
            drop(hand); // ends the other thread
            let all = prepared.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            outcome.map(|()| all)
        })
    }

    /// The embeddings from an id to another.
    pub(super) fn each_row(
        tx: &ReadTx<'_>,
        first: i64,
        last: i64,
        mut take: impl FnMut(Parsed) -> Result<()>,
    ) -> Result<()> {
        let (select, id) = (Self::SELECT, Self::ID);
        let mut statement =
            tx.prepare(&format!("{select} WHERE {id} BETWEEN ?1 AND ?2 ORDER BY {id}"))?;
        let mut rows = statement.query([first, last])?;
        let mut n = 0;
        while let Some(row) = rows.next()? {
            take(Self::parse(row)?)?;
            n += 1;
            if n % HANDED == 0 {
                crate::kernel::check_interrupted("reading vectors")?;
            }
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
        let mut vectors = Vectors::<true>::default();
        let row = |id: i64| Parsed { id, items: vec![id as f32, 127.0], is_single: true };
        (0..4).for_each(|id| vectors.add(&row(id)));
        vectors.groups[&2].facts.set(Facts::new(4)).unwrap();
        vectors.groups.get_mut(&2).unwrap().facts.get_mut().unwrap().scores[3] = 0.5;
        vectors.remove(1);
        let group = &vectors.groups[&2];
        assert_eq!(group.ids, [0, 3, 2]);
        assert_eq!(group.row(1), [3, 127]);
        assert_eq!(group.facts.get().unwrap().scores, [0.0, 0.5, 0.0]);
        assert_eq!(vectors.position(3).map(|(_, at)| at), Some(1));
        vectors.remove(2);
        vectors.remove(0);
        let group = &vectors.groups[&2];
        assert_eq!((group.ids.as_slice(), group.row(0)), (&[3][..], &[3, 127][..]));
        assert_eq!((group.coded.len(), group.lost.len(), group.steps.len()), (2, 1, 1));
        vectors.remove(3);
        assert!(vectors.groups.is_empty() && vectors.positions.is_empty());
    }

    /// Goal: every id is in a range or in a gap, to both ends of the numbers.
    #[test]
    fn gaps_lie_between_ranges() {
        let all = (i64::MIN, i64::MAX);
        assert_eq!(gaps(&[]), [all]);
        assert_eq!(gaps(&[all]), []);
        let found = gaps(&[(1, 5), (6, 6), (9, 12)]);
        assert_eq!(found, [(i64::MIN, 0), (7, 8), (13, i64::MAX)]);
    }
}
