//! Times and numbers as text.

use std::io::Write;

use super::super::calendar::{DAY_NS, Day, SECOND_NS};

/// Writes a finite number as the RTX engine does: the shortest digits that return it, with an
/// exponent only below 1e-6 and from 1e21 on.
///
/// # Source
/// Go, package `encoding/json`: `floatEncoder`.
pub(super) fn write_number(out: &mut Vec<u8>, number: f64) {
    let size = number.abs();
    let written = if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{number:e}");
        // An exponent above zero has its sign: 1e+21.
        match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => {
                write!(out, "{digits}e+{exponent}")
            }
            _ => write!(out, "{text}"),
        }
    } else {
        write!(out, "{number}")
    };
    written.expect("a Vec takes any bytes");
}

/// Writes a time as RFC 3339 with as many digits behind the second as it needs, nine at the most.
///
/// # Source
/// Go, package `time`: the layout `RFC3339Nano`.
pub(super) fn write_time(out: &mut Vec<u8>, time_ns: i64, utc_offset_s: i32) {
    // Near the ends of the range the local time may not fit in 64 bits.
    let local = i128::from(time_ns) + i128::from(utc_offset_s) * i128::from(SECOND_NS);
    let day = Day(local.div_euclid(i128::from(DAY_NS)) as i64);
    let in_day = local.rem_euclid(i128::from(DAY_NS)) as i64;
    let (s, mut fraction) = (in_day / SECOND_NS, in_day % SECOND_NS);
    let mut push = |text: std::fmt::Arguments<'_>| {
        out.write_fmt(text).expect("a Vec takes any bytes");
    };
    push(format_args!("{day}T{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60));
    if fraction > 0 {
        let mut digits = 9;
        while fraction % 10 == 0 {
            fraction /= 10;
            digits -= 1;
        }
        push(format_args!(".{fraction:0digits$}"));
    }
    match utc_offset_s {
        0 => push(format_args!("Z")),
        offset => {
            let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.abs() / 60);
            push(format_args!("{sign}{:02}:{:02}", minutes / 60, minutes % 60));
        }
    }
}

/// A time and its offset from UTC; `None` if the text is none.
pub(super) fn parse_time(text: &[u8]) -> Option<(i64, i32)> {
    let (date, rest) = text.split_at_checked(10)?;
    let day = Day::parse(std::str::from_utf8(date).ok()?)?;
    let two = |at: usize| -> Option<i64> {
        let (a, b) = (*rest.get(at)?, *rest.get(at + 1)?);
        (a.is_ascii_digit() && b.is_ascii_digit())
            .then(|| i64::from(a - b'0') * 10 + i64::from(b - b'0'))
    };
    if rest.first() != Some(&b'T') || rest.get(3) != Some(&b':') || rest.get(6) != Some(&b':') {
        return None;
    }
    let (hour, minute, second) = (two(1)?, two(4)?, two(7)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut at = 9;
    let mut nanoseconds = 0;
    if rest.get(at) == Some(&b'.') {
        at += 1;
        let digits = rest[at..].iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 || digits > 9 {
            return None;
        }
        for digit in &rest[at..at + digits] {
            nanoseconds = nanoseconds * 10 + i64::from(digit - b'0');
        }
        nanoseconds *= 10i64.pow(9 - digits as u32);
        at += digits;
    }
    let offset = match *rest.get(at)? {
        b'Z' if rest.len() == at + 1 => 0,
        sign @ (b'+' | b'-') if rest.len() == at + 6 && rest[at + 3] == b':' => {
            let (hours, minutes) = (two(at + 1)?, two(at + 4)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 3600 + minutes * 60) * if sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let in_day = hour * 3600 + minute * 60 + second - offset;
    let time = i128::from(day.0) * i128::from(DAY_NS)
        + i128::from(in_day) * i128::from(SECOND_NS)
        + i128::from(nanoseconds);
    Some((i64::try_from(time).ok()?, offset as i32))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(x: f64) -> String {
        let mut out = Vec::new();
        write_number(&mut out, x);
        String::from_utf8(out).unwrap()
    }

    fn time(time_ns: i64, offset: i32) -> String {
        let mut out = Vec::new();
        write_time(&mut out, time_ns, offset);
        String::from_utf8(out).unwrap()
    }

    /// Goal: the RTX engine's text of numbers, by the rules of its encoder.
    #[test]
    fn numbers_read_as_rtx() {
        for (x, text) in [
            (1.0, "1"),
            (0.0, "0"),
            (-0.0, "-0"),
            (0.000260000000000038, "0.000260000000000038"),
            (1e-6, "0.000001"),
            (9.9e-7, "9.9e-7"),
            (1e-10, "1e-10"),
            (-1.5e-9, "-1.5e-9"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.25e300, "1.25e+300"),
            (5e-324, "5e-324"),
        ] {
            assert_eq!(number(x), text);
        }
    }

    /// Goal: the RTX engine's text of times: zeros at the end are cut, the offset is kept.
    #[test]
    fn times_read_as_rtx() {
        for (ns, offset, text) in [
            (1_768_823_511_894_957_600, 19_800, "2026-01-19T17:21:51.8949576+05:30"),
            (1_768_835_164_832_561_000, 19_800, "2026-01-19T20:36:04.832561+05:30"),
            (0, 0, "1970-01-01T00:00:00Z"),
            (-1, 0, "1969-12-31T23:59:59.999999999Z"),
            (0, -3_600, "1969-12-31T23:00:00-01:00"),
        ] {
            assert_eq!(time(ns, offset), text);
            assert_eq!(parse_time(text.as_bytes()), Some((ns, offset)));
        }
        for bad in [
            "",
            "2026-01-19",
            "2026-01-19T17:21:51",
            "2026-01-19T17:21:51.Z",
            "2026-01-19T25:00:00Z",
            "2026-01-19T17:21:51.1234567890Z",
            "2026-02-30T17:21:51Z",
            "2026-01-19T17:21:51+5:30",
            "2026-01-19 17:21:51Z",
            "9999-01-01T00:00:00Z",
        ] {
            assert_eq!(parse_time(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        /// Goal: every number and every time returns from its text.
        #[test]
        fn text_returns(x in any::<f64>(), ns in any::<i64>(), quarters in -56i32..57) {
            if x.is_finite() {
                prop_assert_eq!(number(x).parse::<f64>().unwrap().to_bits(), x.to_bits());
            }
            let offset = quarters * 900;
            prop_assert_eq!(parse_time(time(ns, offset).as_bytes()), Some((ns, offset)));
        }
    }
}
