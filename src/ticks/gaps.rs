//! Times without a tick.

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
    /// The gaps between neighbouring ticks of a symbol that are longer than `min_ns`, within a range.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a negative length; as [`get_ticks_in_range`](Self::get_ticks_in_range).
    pub fn gaps(&self, symbol: &str, min_ns: i64, from_ns: i64, to_ns: i64) -> Result<Vec<Gap>> {
        if min_ns < 0 {
            return Err(Error::invalid("min", "0 ns or more", min_ns.to_string()));
        }
        let target = self.shared.target(symbol)?;
        let (mut gaps, mut before) = (Vec::new(), None::<i64>);
        self.shared.for_each(&target, from_ns, to_ns, Wanted::Times, |ticks| {
            for time in &ticks.time_ns {
                if let Some(last) = before.replace(*time) {
                    let gap = Gap { from_ns: last, to_ns: *time };
                    if gap.length_ns() > min_ns {
                        gaps.push(gap);
                    }
                }
            }
            Ok(true)
        })?;
        Ok(gaps)
    }
}
