//! Times without a tick.

use super::asof::Direction;
use super::store::TickStore;
use super::tick::Wanted;
use crate::error::{Error, Result};

/// A time without a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Gap {
    /// Time of the tick before.
    pub from_ns: i64,
    /// Time of the tick after.
    pub to_ns: i64,
}

impl Gap {
    /// The length in ns.
    pub fn length_ns(&self) -> i64 {
        self.to_ns.saturating_sub(self.from_ns)
    }
}

impl TickStore {
    /// The gaps between neighbouring ticks of a symbol that are longer than `min_ns` and of which some lies within a range, both
    /// ends inclusive: a gap at an end of the range begins or ends beyond it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a negative length; as [`get_ticks_in_range`](Self::get_ticks_in_range).
    pub fn gaps(&self, symbol: &str, min_ns: i64, from_ns: i64, to_ns: i64) -> Result<Vec<Gap>> {
        if min_ns < 0 {
            return Err(Error::invalid("min", "0 ns or more", min_ns.to_string()));
        }
        if from_ns > to_ns {
            return Ok(Vec::new());
        }
        let target = self.shared.target(symbol)?;
        let mut gaps = Vec::new();
        let mut before = self.neighbour(symbol, from_ns, Direction::Before)?;
        let next = |time, gaps: &mut Vec<Gap>, before: &mut Option<i64>| {
            let gap = before.replace(time).map(|last| Gap { from_ns: last, to_ns: time });
            gaps.extend(gap.filter(|gap| gap.length_ns() > min_ns && gap.to_ns > from_ns));
        };
        self.shared.for_each(&target, from_ns, to_ns, Wanted::Times, |ticks| {
            ticks.time_ns.iter().for_each(|time| next(*time, &mut gaps, &mut before));
            Ok(true)
        })?;
        // A tick at the end of the range begins a gap beyond it, of which only that instant lies within.
        if before != Some(to_ns)
            && let Some(after) = to_ns.checked_add(1)
            && let Some(time) = self.neighbour(symbol, after, Direction::Forward)?
        {
            next(time, &mut gaps, &mut before);
        }
        Ok(gaps)
    }

    /// The time of the nearest tick in a direction.
    fn neighbour(&self, symbol: &str, time_ns: i64, direction: Direction) -> Result<Option<i64>> {
        let found = self.asof(symbol, &[time_ns], None, direction)?;
        Ok(found.ticks.time_ns.last().copied())
    }
}
