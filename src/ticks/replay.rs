//! The history once more, at its own pace or another.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::calendar::Day;
use super::read::{Cursor, Target};
use super::store::TickStore;
use super::tick::{Tick, Ticks, Wanted};
use super::writer::Shared;
use crate::error::{Error, Result};
use crate::kernel::pause;

/// One symbol's ticks, read in steps.
struct Source {
    target: Target,
    /// Days still to come, the next one last.
    days: Vec<Day>,
    cursor: Option<Cursor>,
    ticks: Ticks,
    next: usize,
}

impl Source {
    /// Whether its next tick is in memory, or there is none.
    fn is_read(&self) -> bool {
        self.next < self.ticks.len() || self.days.is_empty()
    }

    /// The time of the next tick; reads on where that is needed.
    fn time(&mut self, shared: &Shared, from_ns: i64, to_ns: i64) -> Result<Option<i64>> {
        while self.next == self.ticks.len() {
            let Some(day) = self.days.last().copied() else { return Ok(None) };
            let begin = Cursor { time_ns: from_ns.max(day.first_ns()), skip: 0 };
            let at = self.cursor.unwrap_or(begin);
            let before = std::mem::replace(&mut self.ticks, Ticks::new(self.target.name.clone()));
            self.next = 0;
            let (ticks, cursor) = shared.step(&self.target, day, at, to_ns, Wanted::All, before)?;
            (self.ticks, self.cursor) = (ticks, cursor);
            self.ticks.origins = shared.origins.all();
            if cursor.is_none() {
                self.days.pop();
            }
        }
        Ok(Some(self.ticks.time_ns[self.next]))
    }
}

/// A replay under way; see [`TickStore::start_replay`].
pub struct Replay {
    store: TickStore,
    sources: Vec<Source>,
    from_ns: i64,
    to_ns: i64,
    speed: f64,
    /// When it began, and the time of its first tick.
    start: Option<(Instant, i64)>,
    /// The source of the next tick, if it is known.
    next: Option<usize>,
}

impl std::fmt::Debug for Replay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let symbols: Vec<&str> = self.sources.iter().map(|s| &*s.target.name).collect();
        f.debug_struct("Replay").field("symbols", &symbols).field("speed", &self.speed).finish()
    }
}

impl Replay {
    /// Whether the next tick can be had without reading and without waiting, or there is none.
    pub fn is_ready(&self) -> bool {
        match self.next {
            Some(_) => true,
            None => self.speed == 0.0 && self.sources.iter().all(Source::is_read),
        }
    }

    /// Reads on, and waits until the next tick is due; false if there is none.
    ///
    /// # Errors
    /// [`Error::Interrupted`] if the call was cancelled ([`interruptible`](crate::interruptible)): a later
    /// one goes on where it was. What the disk says.
    pub fn wait(&mut self) -> Result<bool> {
        if self.next.is_some() {
            return Ok(true);
        }
        let mut next: Option<(i64, usize)> = None;
        for (i, source) in self.sources.iter_mut().enumerate() {
            if let Some(time) = source.time(&self.store.shared, self.from_ns, self.to_ns)?
                && next.is_none_or(|(earliest, _)| time < earliest)
            {
                next = Some((time, i));
            }
        }
        let Some((time, i)) = next else { return Ok(false) };
        let (start, first) = *self.start.get_or_insert_with(|| (Instant::now(), time));
        if self.speed > 0.0 {
            let after = time.abs_diff(first) as f64 / self.speed;
            let due = Duration::from_nanos(after as u64);
            pause(due.saturating_sub(start.elapsed()), "replaying")?;
        }
        self.next = Some(i);
        Ok(true)
    }

    /// The next tick, when it is due; `None` at the end.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn next_tick(&mut self) -> Result<Option<Tick<'_>>> {
        if !self.wait()? {
            return Ok(None);
        }
        Ok(self.next.take().map(|i| {
            let source = &mut self.sources[i];
            source.next += 1;
            source.ticks.get(source.next - 1)
        }))
    }
}

/// Which ticks are replayed, and how fast; all of them as fast as it goes, by default.
#[derive(Debug, Clone, Copy)]
pub struct ReplayOptions {
    /// The first time.
    pub from_ns: i64,
    /// The last time.
    pub to_ns: i64,
    /// 1 is the pace at which they came, 10 ten times that; 0 is as fast as it goes.
    pub speed: f64,
}

impl Default for ReplayOptions {
    fn default() -> Self {
        ReplayOptions { from_ns: i64::MIN, to_ns: i64::MAX, speed: 0.0 }
    }
}

impl TickStore {
    /// Calls `each` for the ticks of some symbols in the order of time over all symbols; of one time in the order in which
    /// the symbols are given. `each` may break off.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a speed that is negative or no number; as
    /// [`get_ticks_in_range`](Self::get_ticks_in_range).
    pub fn replay(
        &self,
        symbols: &[&str],
        options: ReplayOptions,
        mut each: impl FnMut(Tick<'_>) -> ControlFlow<()>,
    ) -> Result<u64> {
        let mut replay = self.start_replay(symbols, options)?;
        let mut n = 0;
        while let Some(tick) = replay.next_tick()? {
            n += 1;
            if each(tick).is_break() {
                break;
            }
        }
        Ok(n)
    }

    /// As [`replay`](Self::replay), for a caller that asks for one tick after the other.
    ///
    /// # Errors
    /// As [`replay`](Self::replay).
    pub fn start_replay(&self, symbols: &[&str], options: ReplayOptions) -> Result<Replay> {
        let ReplayOptions { from_ns, to_ns, speed } = options;
        if !(speed >= 0.0 && speed.is_finite()) {
            return Err(Error::invalid("speed", "0 or more", speed.to_string()));
        }
        let mut sources = Vec::new();
        for symbol in symbols {
            let target = self.shared.target(symbol)?;
            let mut days = self.shared.days_between(&target, from_ns, to_ns)?;
            days.reverse();
            let ticks = Ticks::new(target.name.clone());
            sources.push(Source { target, days, cursor: None, ticks, next: 0 });
        }
        let store = self.clone();
        Ok(Replay { store, sources, from_ns, to_ns, speed, start: None, next: None })
    }
}
