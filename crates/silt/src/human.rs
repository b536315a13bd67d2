//! Numbers as a person reads them.

use std::time::Duration;

use jiff::Timestamp;

/// `1234567` as `1,234,567`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and its noun: `1 file`, `2 files`, `3 entities`.
pub(crate) fn plural(n: u64, noun: &str) -> String {
    match noun.strip_suffix("ty") {
        _ if n == 1 => format!("1 {noun}"),
        Some(stem) => format!("{} {stem}ties", count(n)),
        None => format!("{} {noun}s", count(n)),
    }
}

/// Bytes in units of a thousand: `999 B`, `1.23 kB`, `45.6 MB`.
pub(crate) fn size(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    for unit in ["kB", "MB", "GB"] {
        let digits = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
        if value < 999.5 {
            return format!("{value:.digits$} {unit}");
        }
        value /= 1000.0;
    }
    format!("{value:.2} TB")
}

/// A length of time with three digits: `12.3 µs`, `456 ms`, `7.89 s`.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (value, unit) = match seconds {
        ..1e-3 => (seconds * 1e6, "µs"),
        ..1.0 => (seconds * 1e3, "ms"),
        _ => (seconds, "s"),
    };
    let digits = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.digits$} {unit}")
}

/// Seconds since 1970-01-01 UTC as `2020-01-01T12:30:00Z`, with milliseconds where there are some.
pub(crate) fn moment(seconds: f64) -> String {
    let millis = (seconds * 1000.0).round();
    match Timestamp::from_millisecond(millis as i64) {
        Ok(time) if !seconds.is_nan() && millis % 1000.0 == 0.0 => time.to_string(),
        Ok(time) if !seconds.is_nan() => format!("{time:.3}"),
        _ => format!("{seconds} s"),
    }
}

/// Nanoseconds since 1970-01-01 UTC, with as many digits of a fraction as there are.
pub(crate) fn moment_ns(ns: i64) -> String {
    let mut text = moment(ns.div_euclid(1_000_000_000) as f64);
    let fraction = ns.rem_euclid(1_000_000_000);
    if fraction != 0 {
        let digits = format!("{fraction:09}");
        text.insert_str(text.len() - 1, &format!(".{}", digits.trim_end_matches('0')));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: each step from one unit to the next, to the character.
    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        let nouns = [(1, "file"), (2000, "file"), (1, "entity"), (0, "entity")];
        let texts = ["1 file", "2,000 files", "1 entity", "0 entities"];
        assert_eq!(nouns.map(|(n, noun)| plural(n, noun)), texts);
        let sizes = [0, 999, 1000, 9_994, 9_996, 99_949, 999_499, 999_500, 12_345_678, 1 << 50];
        let texts = [
            "0 B",
            "999 B",
            "1.00 kB",
            "9.99 kB",
            "10.0 kB",
            "99.9 kB",
            "999 kB",
            "1.00 MB",
            "12.3 MB",
            "1125.90 TB",
        ];
        assert_eq!(sizes.map(size), texts);
        let times = [0, 1_500, 999_000, 1_000_000, 1_500_000_000, 75_000_000_000];
        let texts = ["0.00 µs", "1.50 µs", "999 µs", "1.00 ms", "1.50 s", "75.0 s"];
        assert_eq!(times.map(|ns| duration(Duration::from_nanos(ns))), texts);
    }

    /// Goal: moments before and after 1970, leap days and fractions.
    #[test]
    fn moments_read_as_iso_text() {
        for (seconds, text) in [
            (0.0, "1970-01-01T00:00:00Z"),
            (-1.0, "1969-12-31T23:59:59Z"),
            (951_782_400.0, "2000-02-29T00:00:00Z"),
            (1_577_840_400.5, "2020-01-01T01:00:00.500Z"),
            (4_107_542_399.0, "2100-02-28T23:59:59Z"),
            (4_107_542_400.0, "2100-03-01T00:00:00Z"),
            (f64::NAN, "NaN s"),
            (1e16, "10000000000000000 s"),
        ] {
            assert_eq!(moment(seconds), text);
        }
        assert_eq!(moment_ns(1_577_836_800_000_000_000), "2020-01-01T00:00:00Z");
        assert_eq!(moment_ns(1_577_836_800_250_000_001), "2020-01-01T00:00:00.250000001Z");
        assert_eq!(moment_ns(-500_000_000), "1969-12-31T23:59:59.5Z");
    }
}
