//! The tick that held at a time: an as-of join.

use super::calendar::DAY_NS;
use super::read::Target;
use super::store::TickStore;
use super::tick::{Row, Ticks, Wanted};
use super::writer::Shared;
use crate::error::{Error, Result};

/// In which direction the tick of a time is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Direction {
    /// The last one at or before the time.
    #[default]
    Backward,
    /// The last one before the time.
    Before,
    /// The first one at or after the time.
    Forward,
    /// The nearest one; of two equally near ones the earlier.
    Nearest,
}

impl std::str::FromStr for Direction {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "backward" => Ok(Direction::Backward),
            "before" => Ok(Direction::Before),
            "forward" => Ok(Direction::Forward),
            "nearest" => Ok(Direction::Nearest),
            _ => {
                let expected = "backward, before, forward or nearest";
                Err(Error::invalid("direction", expected, format!("{text:?}")))
            }
        }
    }
}

/// The tick of each time that was asked for.
#[derive(Debug, Clone)]
pub struct AsOf {
    /// The ticks that were found, rising; one that answers several times is there once.
    pub ticks: Ticks,
    /// For each time the index of its tick in [`ticks`](Self::ticks); `None` if there is none within
    /// the tolerance.
    pub indices: Vec<Option<usize>>,
}

impl TickStore {
    /// For each time, in any order, the tick of a symbol that held then. Of several ticks at one time the
    /// last arrived is taken going back, the first going forward.
    ///
    /// Memory is taken for what is found, not for what lies between the times.
    ///
    /// - `tolerance_ns`: how far away the tick may be; `None`: any distance.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a negative tolerance; as
    /// [`get_ticks_in_range`](Self::get_ticks_in_range).
    pub fn asof(
        &self,
        symbol: &str,
        times_ns: &[i64],
        tolerance_ns: Option<i64>,
        direction: Direction,
    ) -> Result<AsOf> {
        if tolerance_ns.is_some_and(|tolerance| tolerance < 0) {
            let got = format!("{tolerance_ns:?}");
            return Err(Error::invalid("tolerance", "0 ns or more", got));
        }
        let target = self.shared.target(symbol)?;
        let mut order: Vec<usize> = (0..times_ns.len()).collect();
        order.sort_by_key(|i| times_ns[*i]);
        // A time before is a time at or before the nanosecond before.
        let is_before = direction == Direction::Before;
        let sorted: Vec<i64> =
            order.iter().map(|i| times_ns[*i].saturating_sub(i64::from(is_before))).collect();
        let join = Join {
            shared: &self.shared,
            target: &target,
            back: direction != Direction::Forward,
            onward: matches!(direction, Direction::Forward | Direction::Nearest),
        };
        let mut found = Ticks::new(target.name.clone());
        let mut indices = vec![None; times_ns.len()];
        let mut done = 0;
        for times in sorted.chunk_by(|a, b| b.saturating_sub(*a) <= DAY_NS) {
            let pairs = join.neighbours(times)?;
            for (i, (back, onward)) in order[done..].iter().zip(pairs) {
                let time = times_ns[*i];
                // Nothing is before the first of all times.
                let back = back.filter(|_| !is_before || time != i64::MIN);
                let row = match (back, onward) {
                    (Some(back), Some(onward)) => {
                        let closer = time.abs_diff(onward.time_ns) < time.abs_diff(back.time_ns);
                        Some(if closer { onward } else { back })
                    }
                    (one, other) => one.or(other),
                };
                let near = |row: &Row| {
                    tolerance_ns.is_none_or(|most| time.abs_diff(row.time_ns) <= most as u64)
                };
                let Some(row) = row.filter(near) else { continue };
                let last = found.len().checked_sub(1);
                if last.is_none_or(|last| !found.row(last).is_same(&row)) {
                    found.push(&row);
                }
                indices[*i] = Some(found.len() - 1);
            }
            done += times.len();
        }
        found.origins = self.shared.origins.all();
        Ok(AsOf { ticks: found, indices })
    }
}

/// The last tick at or before a time, and the first at or after it.
type Neighbours = (Option<Row>, Option<Row>);

struct Join<'a> {
    shared: &'a Shared,
    target: &'a Target,
    back: bool,
    onward: bool,
}

impl Join<'_> {
    /// The neighbours of times, which rise, on the sides that are wanted. The ticks between the first
    /// and the last of the times are read in steps, and none is kept that is no neighbour.
    fn neighbours(&self, times: &[i64]) -> Result<Vec<Neighbours>> {
        let mut found: Vec<Neighbours> = vec![(None, None); times.len()];
        let (first, last) = (times[0], times[times.len() - 1]);
        let mut before = None;
        if self.back && first > i64::MIN {
            let ticks = self.shared.last(self.target, 1, first - 1)?;
            before = (!ticks.is_empty()).then(|| ticks.row(ticks.len() - 1));
        }
        // How many times have theirs: a tick behind a time decides what is at or before it.
        let (mut backs, mut onwards) = (0, 0);
        self.shared.for_each(self.target, first, last, Wanted::All, |ticks| {
            let end = ticks.time_ns[ticks.len() - 1];
            while backs < times.len() && times[backs] < end {
                let through = ticks.time_ns.partition_point(|time| *time <= times[backs]);
                found[backs].0 = through.checked_sub(1).map(|i| ticks.row(i)).or(before);
                backs += 1;
            }
            while onwards < times.len() && times[onwards] <= end {
                let below = ticks.time_ns.partition_point(|time| *time < times[onwards]);
                found[onwards].1 = Some(ticks.row(below));
                onwards += 1;
            }
            before = Some(ticks.row(ticks.len() - 1));
            Ok(true)
        })?;
        found[backs..].iter_mut().for_each(|pair| pair.0 = before);
        if self.onward && onwards < times.len() && last < i64::MAX {
            let mut next = None;
            self.shared.for_each(self.target, last + 1, i64::MAX, Wanted::All, |ticks| {
                next = Some(ticks.row(0));
                Ok(false)
            })?;
            found[onwards..].iter_mut().for_each(|pair| pair.1 = next);
        }
        for pair in &mut found {
            *pair = (pair.0.filter(|_| self.back), pair.1.filter(|_| self.onward));
        }
        Ok(found)
    }
}
