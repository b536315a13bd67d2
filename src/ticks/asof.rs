//! The tick that held at a time: an as-of join.

use super::store::TickStore;
use super::tick::Ticks;
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
    /// The ticks around the times.
    pub ticks: Ticks,
    /// For each time the place of its tick in [`ticks`](Self::ticks); `None` if there is none within
    /// the tolerance.
    pub places: Vec<Option<usize>>,
}

impl TickStore {
    /// For each time, in any order, the tick of a symbol that held then. Of several ticks at one time the
    /// last arrived is taken going back, the first going forward.
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
        let (Some(first), Some(last)) = (times_ns.iter().min(), times_ns.iter().max()) else {
            let ticks = self.shared.range(&target, 1, 0)?;
            return Ok(AsOf { ticks, places: Vec::new() });
        };
        let back = direction != Direction::Forward;
        let forward = matches!(direction, Direction::Forward | Direction::Nearest);
        let mut from = if back { first.saturating_sub(tolerance_ns.unwrap_or(0)) } else { *first };
        let mut to = if forward { last.saturating_add(tolerance_ns.unwrap_or(0)) } else { *last };
        if tolerance_ns.is_none() {
            // The one tick beyond the times that the outermost of them may need.
            if back {
                let before = self.shared.last(&target, 1, first.saturating_sub(1))?;
                from = before.time_ns.first().copied().unwrap_or(from);
            }
            if forward {
                self.shared.for_each(
                    &target,
                    *last,
                    i64::MAX,
                    super::packed::Wanted::Times,
                    |t| {
                        to = t.time_ns[0];
                        Ok(false)
                    },
                )?;
            }
        }
        let ticks = self.shared.range(&target, from, to)?;
        let near = |time: i64, place: Option<usize>| {
            let distance = |place: usize| time.abs_diff(ticks.time_ns[place]);
            place.filter(|p| tolerance_ns.is_none_or(|most| distance(*p) <= most as u64))
        };
        let places = times_ns.iter().map(|time| {
            let below = ticks.time_ns.partition_point(|t| t < time);
            let through = below + ticks.time_ns[below..].partition_point(|t| t <= time);
            let backward = through.checked_sub(1);
            let onward = Some(below).filter(|place| *place < ticks.len());
            let place = match direction {
                Direction::Backward => backward,
                Direction::Before => below.checked_sub(1),
                Direction::Forward => onward,
                Direction::Nearest => match (backward, onward) {
                    (Some(b), Some(f)) => {
                        let closer =
                            time.abs_diff(ticks.time_ns[f]) < time.abs_diff(ticks.time_ns[b]);
                        Some(if closer { f } else { b })
                    }
                    (one, other) => one.or(other),
                },
            };
            near(*time, place)
        });
        let places = places.collect();
        Ok(AsOf { ticks, places })
    }
}
