//! The last ticks of a symbol, in memory.

use std::collections::VecDeque;

use super::config::Duplicates;
use super::tick::Row;

/// The greatest ticks of a symbol by (time, arrival), at most `capacity`: memory for what is there,
/// not for what could be.
#[derive(Debug)]
pub(super) struct Ring {
    rows: VecDeque<Row>,
    capacity: usize,
    /// Ticks below this are not in the ring, though some may exist.
    floor_ns: i64,
}

impl Ring {
    pub(super) fn new(capacity: usize) -> Self {
        Ring { rows: VecDeque::new(), capacity, floor_ns: i64::MIN }
    }

    /// Adds a tick in its place; a late one too.
    pub(super) fn push(&mut self, row: Row, duplicates: Duplicates, key_ns: i64) {
        if row.time_ns < self.floor_ns || !self.admits(&row, duplicates, key_ns) {
            return;
        }
        if self.rows.back().is_none_or(|last| last.time_ns <= row.time_ns) {
            self.rows.push_back(row);
        } else {
            let index = self.rows.partition_point(|other| other.time_ns <= row.time_ns);
            self.rows.insert(index, row);
        }
        if self.rows.len() > self.capacity
            && let Some(oldest) = self.rows.pop_front()
        {
            self.floor_ns = oldest.time_ns;
        }
    }

    /// What the rule for duplicates says; removes what the new one replaces.
    fn admits(&mut self, row: &Row, duplicates: Duplicates, key_ns: i64) -> bool {
        if duplicates == Duplicates::KeepAll {
            return true;
        }
        let key = |row: &Row| row.time_ns.div_euclid(key_ns);
        let mine = key(row);
        let first = self.rows.partition_point(|other| key(other) < mine);
        let end = self.rows.partition_point(|other| key(other) <= mine);
        match duplicates {
            Duplicates::ExactRow => !self.rows.range(first..end).any(|other| other.is_same(row)),
            Duplicates::Last => {
                self.rows.drain(first..end);
                true
            }
            _ => first == end,
        }
    }

    /// Fills an empty ring with what was on the disk, rising; `all` says that there is nothing below.
    pub(super) fn fill(&mut self, rows: impl IntoIterator<Item = Row>, all: bool) {
        self.rows.extend(rows);
        if let Some(first) = self.rows.front().filter(|_| !all) {
            self.floor_ns = first.time_ns;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The time of the tick that is the `n`th from the end, counted from 1.
    pub(super) fn time_from_end(&self, n: usize) -> Option<i64> {
        let i = self.rows.len().checked_sub(n)?;
        self.rows.get(i).map(|row| row.time_ns)
    }

    /// The time of the first.
    pub(super) fn first_ns(&self) -> Option<i64> {
        self.rows.front().map(|row| row.time_ns)
    }

    /// Those from one time to another, both inclusive, rising.
    pub(super) fn between(&self, from_ns: i64, to_ns: i64) -> impl Iterator<Item = &Row> {
        let first = self.rows.partition_point(|row| row.time_ns < from_ns);
        let end = self.rows.partition_point(|row| row.time_ns <= to_ns);
        self.rows.range(first..end.max(first))
    }

    /// The last `n`, rising.
    pub(super) fn last(&self, n: usize) -> impl Iterator<Item = &Row> {
        self.rows.range(self.rows.len().saturating_sub(n)..)
    }

    /// Bytes of memory that it takes.
    pub(super) fn size_bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Row>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(time_ns: i64, n: usize) -> Row {
        Row { time_ns, bid: n as f64, ask: 0.0, spread: 0.0, origin: 0 }
    }

    proptest! {
        /// Goal: whatever the order of arrival, the ring holds the greatest by (time, arrival).
        #[test]
        fn the_ring_holds_the_greatest(
            times in prop::collection::vec(-20i64..20, 0..60), capacity in 1usize..12,
        ) {
            let mut ring = Ring::new(capacity);
            let mut all: Vec<Row> = Vec::new();
            for (n, time) in times.into_iter().enumerate() {
                ring.push(row(time, n), Duplicates::KeepAll, 1);
                all.push(row(time, n));
                let mut sorted = all.clone();
                sorted.sort_by_key(|row| row.time_ns);
                let expected = &sorted[sorted.len().saturating_sub(capacity)..];
                prop_assert!(ring.last(capacity).eq(expected));
            }
        }
    }

    /// Goal: memory is taken for what is stored.
    #[test]
    fn an_empty_ring_takes_no_memory() {
        let mut ring = Ring::new(10_000);
        assert_eq!(ring.size_bytes(), 0);
        (0..10).for_each(|n| ring.push(row(n, 0), Duplicates::KeepAll, 1));
        assert!(ring.size_bytes() < 2_000);
    }
}
