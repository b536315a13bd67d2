//! How signals and their series are named and numbered, and the keys that follow from the names.
//!
//! A signal is `NAME#N`, a series of it `SIGNAL_BASE#N`: `flow#1_RAW#1`. Its key in a backend is
//! `DATASET/SIGNAL/BASE#N`, each part with `%` and `/` escaped, so that no two names share a key.

use crate::error::{Error, Result};

/// A name and its number: `RAW#2` is `RAW` and 2. A name without a number has none.
pub fn split_number(name: &str) -> (&str, Option<u64>) {
    let numbered = name.rsplit_once('#').and_then(|(base, number)| {
        let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        (plain && !base.is_empty()).then(|| Some((base, number.parse().ok()?))).flatten()
    });
    match numbered {
        Some((base, number)) => (base, Some(number)),
        None => (name, None),
    }
}

/// The name of a signal: as it is if it has a number, else with the number 1.
///
/// # Errors
/// [`Error::Invalid`] for an empty name.
///
/// # Example
/// ```
/// use siltstone::series::tree::signal_name;
/// assert_eq!(signal_name("flow")?, "flow#1");
/// assert_eq!(signal_name("flow#7")?, "flow#7");
/// # Ok::<(), siltstone::Error>(())
/// ```
pub fn signal_name(name: &str) -> Result<String> {
    if name.is_empty() {
        return Err(Error::invalid("the name of a signal", "a text that is not empty", "\"\""));
    }
    Ok(match split_number(name) {
        (_, Some(_)) => name.to_owned(),
        (base, None) => format!("{base}#1"),
    })
}

/// What a series is called within its signal, with its number if it has one: `RAW#1` of `flow#1_RAW#1`.
///
/// The name of the signal, with or without its number, may stand before it; any other text belongs to the
/// base, underscores too.
pub fn within<'a>(signal: &str, series: &'a str) -> &'a str {
    let base = split_number(signal).0;
    let strip = |name: &str| series.strip_prefix(name)?.strip_prefix('_').filter(|s| !s.is_empty());
    strip(signal).or_else(|| strip(base)).unwrap_or(series)
}

/// Which of the series of a signal a name means: the one of this full name, or of this name within the signal, or
/// the only one of this base. `None` if there is none.
///
/// # Errors
/// [`Error::Invalid`] for a base that several series have.
///
/// # Example
/// ```
/// use siltstone::series::tree::find_series;
/// let names = ["flow#1_RAW#1", "flow#1_SLICE#1", "flow#1_SLICE#2"];
/// assert_eq!(find_series("flow#1", &names, "RAW")?, Some(0));
/// assert_eq!(find_series("flow#1", &names, "SLICE#2")?, Some(2));
/// assert!(find_series("flow#1", &names, "SLICE").is_err());
/// # Ok::<(), siltstone::Error>(())
/// ```
pub fn find_series(signal: &str, names: &[&str], name: &str) -> Result<Option<usize>> {
    let wanted = within(signal, name);
    let own = || names.iter().map(|full| within(signal, full)).enumerate();
    if let Some((found, _)) = own().find(|(_, own)| *own == wanted) {
        return Ok(Some(found));
    }
    let of_base: Vec<usize> =
        own().filter(|(_, own)| split_number(own).0 == wanted).map(|(i, _)| i).collect();
    if of_base.len() > 1 {
        let all: Vec<&str> = of_base.iter().map(|i| names[*i]).collect();
        let (expected, got) = ("the name of one", format!("one of {}", all.join(", ")));
        return Err(Error::invalid(format!("the series {name:?}"), expected, got));
    }
    Ok(of_base.first().copied())
}

/// The full name of the series of this base and number.
pub fn series_name(signal: &str, base: &str, number: u64) -> String {
    format!("{signal}_{base}#{number}")
}

/// The signal, the base and the number that a full name of a series says; without a number it is 1.
///
/// # Errors
/// [`Error::Invalid`] for a name that is no `SIGNAL#N_BASE`.
///
/// # Example
/// ```
/// use siltstone::series::tree::parse_series_name;
/// assert_eq!(parse_series_name("flow#1_by_hand#2")?, ("flow#1", "by_hand", 2));
/// # Ok::<(), siltstone::Error>(())
/// ```
pub fn parse_series_name(name: &str) -> Result<(&str, &str, u64)> {
    let mut from = 0;
    while let Some(at) = name[from..].find('_').map(|at| from + at) {
        let (signal, rest) = (&name[..at], &name[at + 1..]);
        if split_number(signal).1.is_some() && !rest.is_empty() {
            let (base, number) = split_number(rest);
            return Ok((signal, base, number.unwrap_or(1)));
        }
        from = at + 1;
    }
    Err(Error::invalid("the name of a series", "SIGNAL#N_BASE#N", format!("{name:?}")))
}

/// The highest number of this base among the names, 0 if none has it.
pub fn last_number<'a>(base: &str, names: impl IntoIterator<Item = &'a str>) -> u64 {
    let numbers = names.into_iter().map(split_number).filter(|(name, _)| *name == base);
    numbers.map(|(_, number)| number.unwrap_or(1)).max().unwrap_or(0)
}

/// The numbers of `bases.len()` new names among those that are there: each the next of its base, or, if they
/// replace, the last of its base that are there.
///
/// # Example
/// ```
/// use siltstone::series::tree::numbers;
/// assert_eq!(numbers(&["RAW", "SLICE"], &["RAW#1", "RAW#2"], false), [3, 1]);
/// assert_eq!(numbers(&["RAW", "SLICE"], &["RAW#1", "RAW#2"], true), [2, 1]);
/// ```
pub fn numbers(bases: &[&str], names: &[&str], replace: bool) -> Vec<u64> {
    let number = |(i, base): (usize, &&str)| {
        let last = last_number(base, names.iter().copied());
        let same = |bases: &[&str]| bases.iter().filter(|other| *other == base).count() as u64;
        let (before, all) = (same(&bases[..i]), same(bases));
        let first = if replace { last.saturating_sub(all) + 1 } else { last.saturating_add(1) };
        first.saturating_add(before)
    };
    bases.iter().enumerate().map(number).collect()
}

/// A part of a key: `%` and `/` are escaped.
pub fn escape(part: &str) -> String {
    part.replace('%', "%25").replace('/', "%2F")
}

/// The text that [`escape`] made this part of.
pub fn unescape(part: &str) -> String {
    part.replace("%2F", "/").replace("%25", "%")
}

/// The key of a series: `DATASET/SIGNAL/BASE#N`.
///
/// # Example
/// ```
/// use siltstone::series::tree::key_of;
/// assert_eq!(key_of("plant", "NH4/N#1", "NH4/N#1_RAW#1"), "plant/NH4%2FN#1/RAW#1");
/// ```
pub fn key_of(dataset: &str, signal: &str, series: &str) -> String {
    format!("{}/{}/{}", escape(dataset), escape(signal), escape(within(signal, series)))
}

/// The signal and the full name of the series of a key of this dataset; `None` for another key.
pub fn of_key(dataset: &str, key: &str) -> Option<(String, String)> {
    let rest = key.strip_prefix(&escape(dataset))?.strip_prefix('/')?;
    let (signal, series) = rest.split_once('/')?;
    if signal.is_empty() || series.is_empty() || series.contains('/') {
        return None;
    }
    let (signal, series) = (unescape(signal), unescape(series));
    let name = format!("{signal}_{series}");
    Some((signal, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: any name of a signal and of a series has a key of its own, and is found by it.
    #[test]
    fn a_key_gives_its_names_back() {
        let parts = ["a", "a/b", "a%2Fb", "a%b", "a_b", "#", "a#1_b", "../..", "%252F"];
        let mut keys = Vec::new();
        for dataset in parts {
            for signal in parts {
                let signal = signal_name(signal).unwrap();
                for base in parts {
                    let name = series_name(&signal, base, 3);
                    let key = key_of(dataset, &signal, &name);
                    assert_eq!(of_key(dataset, &key), Some((signal.clone(), name)), "{key}");
                    keys.push(key);
                }
            }
        }
        let all = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), all, "two names share a key");
    }

    /// Goal: meteaudata's names are read as in meteaudata, and longer ones without a loss.
    #[test]
    fn names_are_read() {
        assert_eq!(within("A#1", "A#1_RAW#1"), "RAW#1");
        assert_eq!(within("A#1", "A_RAW"), "RAW");
        assert_eq!(within("A#1", "flow_rate"), "flow_rate");
        assert_eq!(parse_series_name("A#1_RAW").unwrap(), ("A#1", "RAW", 1));
        assert_eq!(parse_series_name("a_b#2_c_d#3").unwrap(), ("a_b#2", "c_d", 3));
        assert!(parse_series_name("RAW#1").is_err());
        assert_eq!(split_number("line#A"), ("line#A", None));
        assert_eq!(split_number("#1"), ("#1", None));
        assert_eq!(split_number("x#99999999999999999999"), ("x#99999999999999999999", None));
        assert_eq!(numbers(&["S", "S"], &["S#1", "S#2", "S#5"], true), [4, 5]);
        assert_eq!(numbers(&["S", "S", "T"], &["S#1"], false), [2, 3, 1]);
    }
}
