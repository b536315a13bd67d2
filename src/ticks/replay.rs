//! The history once more, at its own pace or another.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::calendar::Day;
use super::packed::Wanted;
use super::read::{Place, Target};
use super::store::TickStore;
use super::tick::{Tick, Ticks};
use super::writer::Shared;
use crate::error::{Error, Result};

/// One symbol's ticks, read in steps.
struct Source {
    target: Target,
    /// Days still to come, the next one last.
    days: Vec<Day>,
    place: Option<Place>,
    ticks: Ticks,
    next: usize,
}

impl Source {
    /// The time of the next tick; reads on where that is needed.
    fn time(&mut self, shared: &Shared, from_ns: i64, to_ns: i64) -> Result<Option<i64>> {
        while self.next == self.ticks.len() {
            let Some(day) = self.days.last().copied() else { return Ok(None) };
            let begin = Place { time_ns: from_ns.max(day.first_ns()), skip: 0 };
            let at = self.place.unwrap_or(begin);
            let (ticks, place) = shared.step(&self.target, day, at, to_ns, Wanted::All)?;
            (self.ticks, self.next, self.place) = (ticks, 0, place);
            self.ticks.origins = shared.origins.all();
            if place.is_none() {
                self.days.pop();
            }
        }
        Ok(Some(self.ticks.time_ns[self.next]))
    }
}

impl TickStore {
    /// Calls `each` for the ticks of some symbols in a range, both ends inclusive, in the order of time
    /// over all symbols; of one time in the order in which the symbols are given.
    ///
    /// - `speed`: 1 is the pace at which they came, 10 ten times that; 0 is as fast as it goes.
    /// - `each` may break off.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a speed that is negative or no number; as
    /// [`get_ticks_in_range`](Self::get_ticks_in_range).
    pub fn replay(
        &self,
        symbols: &[&str],
        from_ns: i64,
        to_ns: i64,
        speed: f64,
        mut each: impl FnMut(Tick<'_>) -> ControlFlow<()>,
    ) -> Result<u64> {
        if !(speed >= 0.0 && speed.is_finite()) {
            return Err(Error::invalid("speed", "0 or more", speed.to_string()));
        }
        let shared = &*self.shared;
        let mut sources = Vec::new();
        for symbol in symbols {
            let target = shared.target(symbol)?;
            let mut days = shared.days_between(&target, from_ns, to_ns)?;
            days.reverse();
            let ticks = Ticks::new(target.name.clone());
            sources.push(Source { target, days, place: None, ticks, next: 0 });
        }
        let start = Instant::now();
        let (mut first, mut n) = (None, 0);
        loop {
            let mut next: Option<(i64, usize)> = None;
            for (i, source) in sources.iter_mut().enumerate() {
                if let Some(time) = source.time(shared, from_ns, to_ns)?
                    && next.is_none_or(|(earliest, _)| time < earliest)
                {
                    next = Some((time, i));
                }
            }
            let Some((time, i)) = next else { return Ok(n) };
            let first = *first.get_or_insert(time);
            if speed > 0.0 {
                let after = time.abs_diff(first) as f64 / speed;
                let due = Duration::from_nanos(after as u64);
                std::thread::sleep(due.saturating_sub(start.elapsed()));
            }
            let source = &mut sources[i];
            source.next += 1;
            n += 1;
            if each(source.ticks.get(source.next - 1)).is_break() {
                return Ok(n);
            }
        }
    }
}
