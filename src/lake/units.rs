//! What has to be done so that a table has what the file has.

use std::collections::{BTreeMap, BTreeSet};

use super::ledger::{Known, Segment};
use crate::error::{Error, Result};
use crate::table::{Cut, Published, PublishedTable, Slice};

/// Slices that a commit adds, and the segments that they stand for.
#[derive(Debug, Default)]
pub(super) struct Unit {
    pub(super) add: Vec<Slice>,
    pub(super) remove: Vec<Segment>,
}

impl Unit {
    /// The segment that a slice replaces.
    pub(super) fn replaced(&self, slice: &Slice) -> Option<&Segment> {
        self.remove.iter().find(|old| old.slice.same_place(slice))
    }

    /// Whether what was published stays in place of what there is now, which has so many rows.
    pub(super) fn stays(&self, source: &dyn Published, rows: u64) -> bool {
        source.only_grows() && rows < self.remove.iter().map(|old| old.rows).sum()
    }

    /// What is counted while it is done.
    pub(super) fn steps(&self) -> u64 {
        self.add.len().max(1) as u64
    }
}

/// What has to be done so that a table has what its source has. What the source keeps elsewhere stays, unless the table is to
/// become the same.
pub(super) fn to_do(
    source: &dyn Published,
    table: &PublishedTable,
    known: &Known,
    cut: Cut,
    is_rebuilding: bool,
) -> Result<Vec<Unit>> {
    let slices = source.slices(table, cut)?;
    let mut confirmed: Vec<&Segment> = known.confirmed().collect();
    if !is_rebuilding {
        let partitions: BTreeSet<&Vec<String>> =
            slices.iter().map(|slice| &slice.partition).collect();
        let keeps = source.keeps()?;
        confirmed.retain(|old| partitions.contains(&old.slice.partition) || !keeps(&old.slice));
    }
    Ok(units(slices, &confirmed))
}

/// Units that are done at once: as many as have so many slices together, one at least.
pub(super) fn groups(units: &[Unit], slices: usize) -> impl Iterator<Item = &[Unit]> {
    let mut rest = units;
    std::iter::from_fn(move || {
        let mut all = 0;
        let fits = |unit: &&Unit| {
            all += unit.steps();
            all <= slices as u64
        };
        let n = rest.iter().take_while(fits).count().max(1).min(rest.len());
        let (group, others) = rest.split_at(n);
        rest = others;
        (n > 0).then_some(group)
    })
}

/// The number of the next segment that is new.
pub(super) fn next_number(known: &Known) -> i64 {
    known.segments.iter().map(|segment| segment.number).max().unwrap_or(0) + 1
}

/// Why a table that has more or fewer commits of a file than the file knows of is refused.
pub(super) fn refused(table: &str, address: &str, known: i64, there: i64) -> Error {
    let expected = format!("{known} commits of this file");
    let why = if there > known {
        "the file was copied, restored from an older backup, or removed from the lake: publish a copy under a name of its own \
         (--new-identity), or let the lake become what the file is (--rebuild-ledger)"
    } else {
        "the lake was emptied, or restored from an older backup: compare the file with it and send what it lacks \
         (--rebuild-ledger)"
    };
    let got = format!("{there} in {address}; {why}");
    Error::invalid(format!("table {table} of the lake"), expected, got)
}

/// What has to be done so that the log has `slices` in place of what it has: slices that overlap are one unit. What is the
/// same is no unit.
fn units(slices: Vec<Slice>, confirmed: &[&Segment]) -> Vec<Unit> {
    type Ranges = (Vec<Slice>, Vec<usize>);
    let mut partitions: BTreeMap<Vec<String>, Ranges> = BTreeMap::new();
    for slice in slices {
        partitions.entry(slice.partition.clone()).or_default().0.push(slice);
    }
    for (i, segment) in confirmed.iter().enumerate() {
        partitions.entry(segment.slice.partition.clone()).or_default().1.push(i);
    }
    let mut units = Vec::new();
    for (_, (mut new, mut old)) in partitions {
        new.sort_by_key(|slice| slice.first);
        old.sort_by_key(|i| confirmed[*i].slice.first);
        let (mut new, mut old) = (new.into_iter().peekable(), old.into_iter().peekable());
        loop {
            // Grows as long as what comes next begins inside.
            let mut unit = Unit::default();
            let mut until = i64::MIN;
            loop {
                let starts_in = |first: i64| until == i64::MIN || first < until;
                let next_new = new.peek().map(|slice| slice.first);
                let next_old = old.peek().map(|i| confirmed[*i].slice.first);
                let new_is_first = match (next_new, next_old) {
                    (None, None) => break,
                    (Some(n), Some(o)) => n <= o,
                    (n, _) => n.is_some(),
                };
                if new_is_first && next_new.is_some_and(starts_in) {
                    let slice = new.next().expect("it was looked at");
                    until = until.max(slice.until);
                    unit.add.push(slice);
                } else if !new_is_first && next_old.is_some_and(starts_in) {
                    let i = old.next().expect("it was looked at");
                    until = until.max(confirmed[i].slice.until);
                    unit.remove.push(confirmed[i].clone());
                } else {
                    break;
                }
            }
            let is_same = unit.add.len() == 1
                && unit.remove.len() == 1
                && unit.remove[0].slice == unit.add[0];
            match (unit.add.is_empty(), unit.remove.is_empty()) {
                (true, true) => break,
                _ if is_same => {}
                _ => units.push(unit),
            }
        }
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: each unit is in one group, in their order, and no group has more slices than asked for, but for a unit alone.
    #[test]
    fn groups_have_no_more_slices_than_asked_for() {
        let unit = |n: usize| {
            let (partition, signature) = (Vec::new(), 0);
            let slice = Slice { partition, first: 0, until: 1, signature };
            Unit { add: vec![slice; n], remove: Vec::new() }
        };
        let sizes = [1, 1, 3, 0, 5, 0, 1, 2, 1, 1];
        let units: Vec<Unit> = sizes.into_iter().map(unit).collect();
        let of = |slices| {
            let sizes = |group: &[Unit]| group.iter().map(|unit| unit.add.len()).collect();
            groups(&units, slices).map(sizes).collect::<Vec<Vec<usize>>>()
        };
        assert_eq!(of(3), [vec![1, 1], vec![3], vec![0], vec![5], vec![0, 1], vec![2, 1], vec![1]]);
        assert_eq!(of(1).concat(), sizes);
        assert!(groups(&[], 4).next().is_none());
    }
}
