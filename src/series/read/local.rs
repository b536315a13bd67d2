//! Local times as instants, where clocks go back and forward.

use super::time::Stamp;
use super::{Ambiguous, Nonexistent, PointsOptions};
use crate::error::Result;
use crate::series::process::{Clock, Shown};
use crate::series::text::bad_line;

const NS: i64 = 1_000_000_000;

/// A time of the calendar: what clocks show, in ns since 1970, and the offset from UTC in seconds if it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Local {
    pub(super) wall: i64,
    pub(super) offset: Option<i32>,
}

impl Local {
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid), naming the line, for a time that ns cannot hold.
    pub(super) fn of(stamp: &Stamp, line: u64, location: &str) -> Result<Self> {
        let wall = i64::try_from(stamp.wall).map_err(|_| {
            let second = i64::try_from(stamp.wall.div_euclid(NS.into())).unwrap_or(i64::MAX);
            too_far(second, line, location)
        })?;
        Ok(Local { wall, offset: stamp.offset })
    }
}

/// The instants of times in the order of their rows, in ns since 1970 UTC. A time without an offset is local time of
/// the zone.
///
/// # Errors
/// [`Error::Invalid`](crate::Error::Invalid), naming the line, for a time that clocks show twice where nothing tells which is
/// meant, for one that they skip, and for one that ns cannot hold.
pub(super) fn instants(
    times: &[Local],
    lines: &[u64],
    (zone, options, location): (Option<&str>, &PointsOptions, &str),
) -> Result<Vec<i64>> {
    let clock = Clock::of(zone)?;
    let name = zone.unwrap_or_default();
    let second = |row: usize| {
        let second = times[row].wall.div_euclid(NS);
        clock.shown(second).map_err(|_| too_far(second, lines[row], location))
    };
    let mut out = Vec::with_capacity(times.len());
    let mut put = |row: usize, second: i64| -> Result<()> {
        let ns =
            second.checked_mul(NS).and_then(|ns| ns.checked_add(times[row].wall.rem_euclid(NS)));
        out.push(ns.ok_or_else(|| too_far(second, lines[row], location))?);
        Ok(())
    };
    let mut row = 0;
    while row < times.len() {
        if let Some(offset) = times[row].offset {
            put(row, times[row].wall.div_euclid(NS) - i64::from(offset))?;
            row += 1;
            continue;
        }
        match second(row)? {
            Shown::Once(second) => put(row, second)?,
            Shown::Never(change) if options.nonexistent == Nonexistent::Shift => put(row, change)?,
            Shown::Never(_) => {
                let expected = format!(
                    "a time that clocks of {name} show, and not one that they skip: pass another \
                     --tz, or --nonexistent shift"
                );
                return Err(bad_line(
                    location,
                    lines[row],
                    &expected,
                    &show(times[row].wall.div_euclid(NS)),
                ));
            }
            Shown::Twice(..) => {
                let first = row;
                let mut both = Vec::new();
                while row < times.len() && times[row].offset.is_none() {
                    let Shown::Twice(early, late) = second(row)? else { break };
                    both.push((early, late));
                    row += 1;
                }
                let split = match options.ambiguous {
                    Ambiguous::Earliest => both.len(),
                    Ambiguous::Latest => 0,
                    Ambiguous::Infer => change_of(times, first..row)
                        .ok_or_else(|| shown_twice(name, times[first], lines[first], location))?,
                    Ambiguous::Refuse => {
                        return Err(shown_twice(name, times[first], lines[first], location));
                    }
                };
                let falls = options.ambiguous == Ambiguous::Infer && falls(times, &(first..row));
                for (i, (early, late)) in both.into_iter().enumerate() {
                    put(first + i, if (i < split) != falls { early } else { late })?;
                }
                continue;
            }
        }
        row += 1;
    }
    Ok(out)
}

/// Whether rows go back in time.
fn falls(times: &[Local], rows: &std::ops::Range<usize>) -> bool {
    let before = times[rows.start.saturating_sub(1)].wall;
    let after = times[rows.end.min(times.len() - 1)].wall;
    if before != after {
        return before > after;
    }
    let pairs = times[rows.clone()].windows(2);
    let (mut up, mut down) = (0, 0);
    for pair in pairs {
        up += usize::from(pair[1].wall > pair[0].wall);
        down += usize::from(pair[1].wall < pair[0].wall);
    }
    down > up
}

/// The one of these rows, counted from the first, at which clocks were set: where the times turn back once, or where an hour
/// stands twice. `None` where the rows do not tell it.
fn change_of(times: &[Local], rows: std::ops::Range<usize>) -> Option<usize> {
    let back = falls(times, &rows);
    let walls: Vec<i64> = times[rows].iter().map(|time| time.wall).collect();
    let turns = |pair: &[i64]| if back { pair[1] > pair[0] } else { pair[1] < pair[0] };
    let mut turned = walls.windows(2).enumerate().filter(|(_, pair)| turns(pair));
    match (turned.next(), turned.next()) {
        (Some((at, _)), None) => Some(at + 1),
        (None, _) if walls.len() == 2 && walls[0] == walls[1] => Some(1),
        _ => None,
    }
}

fn show(second: i64) -> String {
    let year = || format!("the year {}", 1970 + second.div_euclid(31_556_952));
    Clock::default().write(second, 1).unwrap_or_else(|_| year())
}

fn shown_twice(zone: &str, time: Local, line: u64, location: &str) -> crate::Error {
    let expected = format!(
        "a time that clocks of {zone} show once, or rows that tell which one is meant: pass \
         --ambiguous earliest or latest"
    );
    bad_line(location, line, &expected, &show(time.wall.div_euclid(NS)))
}

fn too_far(second: i64, line: u64, location: &str) -> crate::Error {
    bad_line(location, line, "a time from 1677 to 2262", &show(second))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::process::parse_time;

    fn hours(texts: &[&str], ambiguous: Ambiguous) -> Result<Vec<i64>> {
        let time = |text: &&str| {
            let wall = parse_time(&format!("2022-11-06 {text}"), None).unwrap();
            Local { wall, offset: None }
        };
        let times: Vec<Local> = texts.iter().map(time).collect();
        let lines: Vec<u64> = (2..).take(texts.len()).collect();
        let options = PointsOptions { ambiguous, ..PointsOptions::default() };
        let zone = Some("America/New_York");
        let begin = parse_time("2022-11-06", zone).unwrap();
        let all = instants(&times, &lines, (zone, &options, "a.csv"))?;
        Ok(all.into_iter().map(|ns| (ns - begin) / 60_000_000_000).collect())
    }

    /// Goal: the order of rows tells the two passes of a repeated hour apart, forward and backward; where it does not,
    /// the line is named.
    #[test]
    fn the_order_of_rows_tells_a_repeated_hour() {
        let infer = |texts: &[&str]| hours(texts, Ambiguous::Infer);
        let rows = ["00:30", "01:00", "01:30", "01:00", "01:30", "02:00"];
        let forward = [30, 60, 90, 120, 150, 180];
        assert_eq!(infer(&rows).unwrap(), forward);
        let backward: Vec<&str> = rows.into_iter().rev().collect();
        assert!(infer(&backward).unwrap().into_iter().rev().eq(forward));
        assert_eq!(infer(&["00:00", "01:00", "01:00", "02:00"]).unwrap(), [0, 60, 120, 180]);
        for rows in [
            &["00:00", "01:00", "02:00"][..],
            &["01:00", "01:30"],
            &["00:00", "01:00", "01:15", "01:15", "01:30", "02:00"],
            &["00:00", "01:30", "01:00", "01:30", "01:00", "02:00"],
        ] {
            let refused = infer(rows).unwrap_err().to_string();
            assert!(refused.contains(", line ") && refused.contains("--ambiguous"), "{refused}");
        }
        let rows = &["00:00", "01:00", "02:00"];
        assert_eq!(hours(rows, Ambiguous::Earliest).unwrap(), [0, 60, 180]);
        assert_eq!(hours(rows, Ambiguous::Latest).unwrap(), [0, 120, 180]);
        assert!(hours(&["00:30", "01:00", "01:00", "02:00"], Ambiguous::Refuse).is_err());
    }
}
