//! Ticks that come to ticks that are there: order, and the rule for duplicates.

use std::ops::Range;

use super::config::Duplicates;
use super::tick::{Row, Ticks, Wanted};
use crate::error::{Error, Result};

/// Which of the new ones are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// As configured; times within `key_ns` are one.
    Policy { duplicates: Duplicates, key_ns: i64, strict: bool },
    /// Those that are not there yet, each counted as often as it is: for what is imported again.
    Missing,
}

impl Rule {
    pub(super) fn keeps_all(self) -> bool {
        matches!(self, Rule::Policy { duplicates: Duplicates::KeepAll, .. })
    }

    fn key_ns(self) -> i64 {
        match self {
            Rule::Policy { key_ns, .. } => key_ns,
            Rule::Missing => 1,
        }
    }

    pub(super) fn key(self, time_ns: i64) -> i64 {
        time_ns.div_euclid(self.key_ns())
    }

    /// The times that count as one with `time_ns`: the first and the last.
    pub(super) fn span(self, time_ns: i64) -> (i64, i64) {
        let first = self.key(time_ns).saturating_mul(self.key_ns());
        (first, first.saturating_add(self.key_ns() - 1))
    }
}

/// What became of new ticks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Added {
    pub(super) stored: u64,
    /// Left out by the rule.
    pub(super) dropped: u64,
    /// Stored ones that gave way.
    pub(super) replaced: u64,
    /// Of the replaced ones, those that were in the file.
    pub(super) removed: u64,
    /// Refused, where the rule is to refuse and nobody waits for the answer.
    pub(super) refused: u64,
}

impl std::ops::AddAssign for Added {
    fn add_assign(&mut self, other: Self) {
        self.stored += other.stored;
        self.dropped += other.dropped;
        self.replaced += other.replaced;
        self.removed += other.removed;
        self.refused += other.refused;
    }
}

/// What there is after new ticks have come.
pub(super) struct Merged {
    pub(super) ticks: Ticks,
    /// The new ones that were taken, by their index, rising in time.
    pub(super) taken: Vec<usize>,
    pub(super) added: Added,
}

/// Adds new ticks, in the order of their arrival, to those that are there.
///
/// # Errors
/// [`Error::Exists`] for a strict rule that refuses one.
pub(super) fn merge(base: &Ticks, new: &[Row], rule: Rule) -> Result<Merged> {
    let mut order: Vec<usize> = (0..new.len()).collect();
    order.sort_by_key(|i| new[*i].time_ns); // stable: equal times stay in the order of arrival
    let mut out = Merged {
        ticks: Ticks::new(base.symbol.clone()),
        taken: Vec::with_capacity(new.len()),
        added: Added::default(),
    };
    out.ticks.origins = base.origins.clone();
    if rule.keeps_all() {
        interleave(base, 0..base.len(), new, &order, &mut out.ticks);
        out.added.stored = new.len() as u64;
        out.taken = order;
        return Ok(out);
    }
    let (mut i, mut j) = (0, 0);
    while j < order.len() {
        let key = rule.key(new[order[j]].time_ns);
        let below = i + base.time_ns[i..].partition_point(|time| rule.key(*time) < key);
        out.ticks.extend(base, i..below, Wanted::All);
        let end = below + base.time_ns[below..].partition_point(|time| rule.key(*time) <= key);
        let group = order[j..].iter().take_while(|n| rule.key(new[**n].time_ns) == key).count();
        take_group(base, below..end, new, &order[j..j + group], rule, &mut out)?;
        (i, j) = (end, j + group);
    }
    out.ticks.extend(base, i..base.len(), Wanted::All);
    Ok(out)
}

/// Ticks that count as one time: those that are there and new ones.
fn take_group(
    base: &Ticks,
    there: Range<usize>,
    new: &[Row],
    order: &[usize],
    rule: Rule,
    out: &mut Merged,
) -> Result<()> {
    let mut kept = there.clone();
    let mut taken: Vec<usize> = Vec::new();
    let mut arrivals = order.to_vec();
    arrivals.sort_unstable();
    let mut unmatched: Vec<Row> = match rule {
        Rule::Missing => there.clone().map(|i| base.row(i)).collect(),
        Rule::Policy { .. } => Vec::new(),
    };
    for n in arrivals {
        let row = &new[n];
        match rule {
            Rule::Missing => match unmatched.iter().position(|other| other.is_same(row)) {
                Some(index) => {
                    unmatched.swap_remove(index);
                    out.added.dropped += 1;
                }
                None => taken.push(n),
            },
            Rule::Policy { duplicates: Duplicates::KeepAll, .. } => taken.push(n),
            Rule::Policy { duplicates: Duplicates::Last, .. } => {
                out.added.replaced += (kept.len() + taken.len()) as u64;
                out.added.removed += kept.len() as u64;
                kept.end = kept.start;
                taken = vec![n];
            }
            Rule::Policy { duplicates: Duplicates::ExactRow, .. } => {
                let same = kept.clone().any(|i| base.row(i).is_same(row))
                    || taken.iter().any(|other| new[*other].is_same(row));
                if same { out.added.dropped += 1 } else { taken.push(n) }
            }
            Rule::Policy { .. } if kept.is_empty() && taken.is_empty() => taken.push(n),
            Rule::Policy { duplicates: Duplicates::Error, strict, .. } => {
                if strict {
                    return Err(exists(&base.symbol, row.time_ns));
                }
                out.added.refused += 1;
            }
            Rule::Policy { .. } => out.added.dropped += 1,
        }
    }
    out.added.stored += taken.len() as u64;
    taken.sort_by_key(|n| (new[*n].time_ns, *n));
    interleave(base, kept, new, &taken, &mut out.ticks);
    out.taken.extend(taken);
    Ok(())
}

/// Both in the order of time; at one time those that are there come first.
fn interleave(base: &Ticks, range: Range<usize>, new: &[Row], order: &[usize], out: &mut Ticks) {
    let mut i = range.start;
    for n in order {
        let row = &new[*n];
        let to = i + base.time_ns[i..range.end].partition_point(|time| *time <= row.time_ns);
        out.extend(base, i..to, Wanted::All);
        out.push(row);
        i = to;
    }
    out.extend(base, i..range.end, Wanted::All);
}

fn exists(symbol: &str, time_ns: i64) -> Error {
    let time = jiff::Timestamp::from_nanosecond(time_ns.into());
    let time = time.map_or_else(|_| format!("{time_ns} ns"), |time| time.to_string());
    Error::Exists {
        what: format!("a tick of {symbol} at {time}"),
        location: String::new(),
        hint: "nothing of the batch was stored; choose another rule for duplicates to keep both",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(time_ns: i64, bid: f64) -> Row {
        Row { time_ns, bid, ask: bid, spread: 0.0, origin: 0 }
    }

    fn run(base: &[Row], new: &[Row], rule: Rule) -> Result<(Vec<(i64, f64)>, Added)> {
        let mut ticks = Ticks::new("X".into());
        base.iter().for_each(|row| ticks.push(row));
        let merged = merge(&ticks, new, rule)?;
        let rows = (0..merged.ticks.len()).map(|i| (merged.ticks.time_ns[i], merged.ticks.bid[i]));
        Ok((rows.collect(), merged.added))
    }

    fn policy(duplicates: Duplicates, key_ns: i64, strict: bool) -> Rule {
        Rule::Policy { duplicates, key_ns, strict }
    }

    /// Goal: each rule takes, drops, replaces and refuses as it says.
    #[test]
    fn each_rule_does_what_it_says() {
        let base = [row(1, 1.0), row(5, 5.0)];
        let new = [row(5, 6.0), row(3, 3.0), row(5, 5.0), row(3, 4.0)];
        let all = |rule| run(&base, &new, rule).unwrap();
        let (rows, added) =
            all(Rule::Policy { duplicates: Duplicates::KeepAll, key_ns: 1, strict: false });
        assert_eq!(rows, [(1, 1.0), (3, 3.0), (3, 4.0), (5, 5.0), (5, 6.0), (5, 5.0)]);
        assert_eq!(added.stored, 4);
        let (rows, added) = all(policy(Duplicates::First, 1, false));
        assert_eq!(rows, [(1, 1.0), (3, 3.0), (5, 5.0)]);
        assert_eq!((added.stored, added.dropped), (1, 3));
        let (rows, added) = all(policy(Duplicates::Last, 1, false));
        assert_eq!(rows, [(1, 1.0), (3, 4.0), (5, 5.0)]);
        assert_eq!((added.stored, added.replaced), (2, 3));
        let (rows, added) = all(policy(Duplicates::ExactRow, 1, false));
        assert_eq!(rows, [(1, 1.0), (3, 3.0), (3, 4.0), (5, 5.0), (5, 6.0)]);
        assert_eq!((added.stored, added.dropped), (3, 1));
        let (rows, added) = all(policy(Duplicates::Error, 1, false));
        assert_eq!(rows, [(1, 1.0), (3, 3.0), (5, 5.0)]);
        assert_eq!(added.refused, 3);
        let strict = run(&base, &new, policy(Duplicates::Error, 1, true)).unwrap_err();
        assert!(matches!(strict, Error::Exists { .. }), "{strict}");
        let (rows, added) = all(Rule::Missing);
        assert_eq!(rows, [(1, 1.0), (3, 3.0), (3, 4.0), (5, 5.0), (5, 6.0)]);
        assert_eq!((added.stored, added.dropped), (3, 1));
    }

    /// Goal: with a wider key the first to arrive stays, whatever its time within the key.
    #[test]
    fn a_wider_key_goes_by_arrival() {
        let new = [row(12, 1.0), row(11, 2.0), row(20, 3.0), row(-1, 4.0), row(-9, 5.0)];
        let (rows, _) = run(&[], &new, policy(Duplicates::First, 10, false)).unwrap();
        assert_eq!(rows, [(-1, 4.0), (12, 1.0), (20, 3.0)]);
    }
}
