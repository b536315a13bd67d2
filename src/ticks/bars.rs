//! Bars of open, high, low and close.

use std::collections::VecDeque;

use super::calendar::SECOND_NS;

/// One bar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar {
    /// Begin of the bar, ns since 1970-01-01 UTC.
    pub time_ns: i64,
    /// Price of its first tick.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Price of its last tick.
    pub close: f64,
    /// Number of ticks; 0 in a bar that was filled in.
    pub volume: u64,
}

/// The lengths of bars that the RTX engine keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are what they are called everywhere")]
pub enum Timeframe {
    M1,
    M5,
    M15,
    H1,
    H4,
    D1,
}

impl Timeframe {
    /// All of them, the shortest first.
    pub const ALL: [Timeframe; 6] =
        [Timeframe::M1, Timeframe::M5, Timeframe::M15, Timeframe::H1, Timeframe::H4, Timeframe::D1];

    /// The length in seconds.
    pub fn seconds(self) -> i64 {
        match self {
            Timeframe::M1 => 60,
            Timeframe::M5 => 300,
            Timeframe::M15 => 900,
            Timeframe::H1 => 3_600,
            Timeframe::H4 => 14_400,
            Timeframe::D1 => 86_400,
        }
    }

    pub(super) fn ns(self) -> i64 {
        self.seconds() * SECOND_NS
    }
}

impl std::str::FromStr for Timeframe {
    type Err = crate::Error;

    fn from_str(text: &str) -> crate::Result<Self> {
        let found = Timeframe::ALL.into_iter().find(|t| format!("{t:?}") == text);
        found.ok_or_else(|| {
            crate::Error::invalid("timeframe", "M1, M5, M15, H1, H4 or D1", format!("{text:?}"))
        })
    }
}

/// The begin of the span of `interval_ns` that a time lies in; spans are counted from `origin_ns`.
/// Rounds down, before 1970 too.
pub(super) fn bucket(time_ns: i64, interval_ns: i64, origin_ns: i64) -> i64 {
    let since = i128::from(time_ns) - i128::from(origin_ns);
    let interval = i128::from(interval_ns);
    let begin = i128::from(origin_ns) + since.div_euclid(interval) * interval;
    i64::try_from(begin).unwrap_or(i64::MIN)
}

/// A bar that may still change: it knows when its first and last tick were.
#[derive(Debug, Clone, Copy)]
struct Open {
    bar: Bar,
    first_ns: i64,
    last_ns: i64,
}

impl Open {
    fn new(begin_ns: i64, time_ns: i64, price: f64) -> Self {
        let bar = Bar {
            time_ns: begin_ns,
            open: price,
            high: price,
            low: price,
            close: price,
            volume: 1,
        };
        Open { bar, first_ns: time_ns, last_ns: time_ns }
    }

    /// A tick that arrives after all that came before, whatever its time.
    fn add(&mut self, time_ns: i64, price: f64) {
        self.bar.high = self.bar.high.max(price);
        self.bar.low = self.bar.low.min(price);
        self.bar.volume += 1;
        if time_ns < self.first_ns {
            (self.first_ns, self.bar.open) = (time_ns, price);
        }
        if time_ns >= self.last_ns {
            (self.last_ns, self.bar.close) = (time_ns, price);
        }
    }
}

/// The one-minute bars of a symbol in memory, from which longer ones are put together when somebody
/// asks. A late tick changes the bar that it belongs to. At most `capacity` bars.
#[derive(Debug)]
pub(super) struct Minutes {
    bars: VecDeque<Open>,
    capacity: usize,
    /// Bars that began before are not complete.
    valid_from_ns: i64,
}

impl Minutes {
    pub(super) fn new(capacity: usize, valid_from_ns: i64) -> Self {
        Minutes { bars: VecDeque::new(), capacity, valid_from_ns }
    }

    pub(super) fn add(&mut self, time_ns: i64, price: f64) {
        const MINUTE: i64 = 60 * SECOND_NS;
        if let Some(last) = self.bars.back_mut()
            && (last.bar.time_ns..last.bar.time_ns.saturating_add(MINUTE)).contains(&time_ns)
        {
            return last.add(time_ns, price);
        }
        let begin = bucket(time_ns, MINUTE, 0);
        let index = self.bars.partition_point(|open| open.bar.time_ns < begin);
        match self.bars.get_mut(index).filter(|open| open.bar.time_ns == begin) {
            Some(open) => open.add(time_ns, price),
            None if begin < self.valid_from_ns => {}
            None => {
                self.bars.insert(index, Open::new(begin, time_ns, price));
                if self.bars.len() > self.capacity
                    && let Some(oldest) = self.bars.pop_front()
                {
                    self.valid_from_ns = oldest.bar.time_ns + MINUTE;
                }
            }
        }
    }

    /// The last `limit` bars of a length, rising, the open one too; `None` if memory does not reach back
    /// so far.
    pub(super) fn last(&self, timeframe: Timeframe, limit: usize) -> Option<Vec<Bar>> {
        let mut found: Vec<Bar> = Vec::new();
        for open in self.bars.iter().rev() {
            let begin = bucket(open.bar.time_ns, timeframe.ns(), 0);
            if begin < self.valid_from_ns {
                return None;
            }
            let full = found.len() == limit;
            match found.last_mut().filter(|bar| bar.time_ns == begin) {
                Some(bar) => {
                    // Going back in time: this minute comes before what is in the bar.
                    bar.open = open.bar.open;
                    bar.high = bar.high.max(open.bar.high);
                    bar.low = bar.low.min(open.bar.low);
                    bar.volume += open.bar.volume;
                }
                None if full => break,
                None => found.push(Bar { time_ns: begin, ..open.bar }),
            }
        }
        if found.len() < limit && self.valid_from_ns != i64::MIN {
            return None;
        }
        found.reverse();
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn minute(n: i64) -> i64 {
        n * 60 * SECOND_NS
    }

    /// Goal: a late tick changes its own bar, opens no second one, and leaves the open bar open.
    #[test]
    fn a_late_tick_changes_its_own_bar() {
        let mut minutes = Minutes::new(100, i64::MIN);
        for (time, price) in [(980, 1.0), (1_040, 2.0), (985, 9.0), (1_050, 3.0), (960, 0.5)] {
            minutes.add(time * SECOND_NS, price);
        }
        let bars = minutes.last(Timeframe::M1, 10).unwrap();
        let short: Vec<_> = bars
            .iter()
            .map(|b| (b.time_ns / SECOND_NS, b.open, b.high, b.low, b.close, b.volume))
            .collect();
        assert_eq!(short, [(960, 0.5, 9.0, 0.5, 9.0, 3), (1_020, 2.0, 3.0, 2.0, 3.0, 2)]);
    }

    /// Goal: before 1970 times are rounded down.
    #[test]
    fn times_before_1970_round_down() {
        assert_eq!(bucket(-61 * SECOND_NS, 60 * SECOND_NS, 0), -120 * SECOND_NS);
        assert_eq!(bucket(-1, 10, 0), -10);
        assert_eq!(bucket(7, 10, 5), 5);
        assert_eq!(bucket(4, 10, 5), -5);
    }

    proptest! {
        /// Goal: in whatever order ticks arrive, each length has the bars of the sorted ticks.
        #[test]
        fn bars_are_those_of_the_sorted_ticks(
            ticks in prop::collection::vec((-600i64..600, 1u32..100), 0..60), limit in 1usize..6,
        ) {
            let mut minutes = Minutes::new(1_000, i64::MIN);
            for (time, price) in &ticks {
                minutes.add(time * 7 * SECOND_NS, f64::from(*price));
            }
            let mut sorted = ticks.clone();
            sorted.sort_by_key(|t| t.0);
            for timeframe in Timeframe::ALL {
                let mut bars: Vec<Bar> = Vec::new();
                for (time, price) in &sorted {
                    let (time, price) = (time * 7 * SECOND_NS, f64::from(*price));
                    let begin = bucket(time, timeframe.ns(), 0);
                    match bars.last_mut().filter(|bar| bar.time_ns == begin) {
                        Some(bar) => {
                            bar.high = bar.high.max(price);
                            bar.low = bar.low.min(price);
                            bar.close = price;
                            bar.volume += 1;
                        }
                        None => bars.push(Open::new(begin, time, price).bar),
                    }
                }
                let expected = bars[bars.len().saturating_sub(limit)..].to_vec();
                prop_assert_eq!(minutes.last(timeframe, limit).unwrap(), expected);
            }
        }
    }

    /// Goal: memory that does not reach back far enough says so, and stays within its bounds.
    #[test]
    fn memory_says_how_far_it_reaches() {
        let mut minutes = Minutes::new(3, i64::MIN);
        (0..5).for_each(|n| minutes.add(minute(n), n as f64));
        assert_eq!(minutes.last(Timeframe::M1, 3).unwrap().len(), 3);
        assert!(minutes.last(Timeframe::M1, 4).is_none());
        assert!(minutes.last(Timeframe::M5, 1).is_none(), "the first of its minutes is gone");
        minutes.add(minute(0), 7.0);
        assert_eq!(minutes.last(Timeframe::M1, 1).unwrap()[0].time_ns, minute(4));
    }
}
