//! Numbers and times as trackers write them in JSON.

use serde_json::Value;

use crate::kernel::json;

/// A number: one of JSON, one that JSON does not have, as [`json`](crate::kernel::json) reads it, or a numpy scalar as an object
/// with its `value`. An integer that no float is equal to is none.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(yes) => Some(f64::from(u8::from(*yes))),
        Value::Number(number) => match number.as_i128() {
            Some(n) => Some(n as f64).filter(|x| *x as i128 == n),
            None => number.as_f64(),
        },
        Value::Object(object) if object.contains_key("dtype") => match object.get("value")? {
            Value::Object(_) => None,
            value => number(value),
        },
        other => {
            let x = json::number(other)?;
            let is_exact = |digits: &str| format!("{x:.0}") == digits;
            json::wide_integer(other).is_none_or(is_exact).then_some(x)
        }
    }
}

/// The digits of an integer, as it stands in JSON.
pub(super) fn digits(value: &Value) -> Option<String> {
    match value {
        Value::Number(n) => Some(n.to_string()),
        other => json::wide_integer(other).map(str::to_owned),
    }
}

/// µs since 1970-01-01 UTC of an ISO 8601 text; one without a zone is UTC.
pub(super) fn time_us(text: &str) -> Option<i64> {
    let time = match text.parse::<jiff::Timestamp>() {
        Ok(time) => time,
        Err(_) => {
            let local: jiff::civil::DateTime = text.parse().ok()?;
            jiff::tz::TimeZone::UTC.to_timestamp(local).ok()?
        }
    };
    Some(time.as_microsecond())
}

/// The same in ms, the nearest.
pub(super) fn time_ms(text: &str) -> Option<i64> {
    time_us(text).map(|us| (us + 500).div_euclid(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a number is what Python wrote, or none; a time has a zone or is UTC.
    #[test]
    fn numbers_and_times_are_read() {
        let read = |text: &str| number(&json::parse(text).unwrap());
        assert_eq!(read("[1]"), None);
        assert_eq!([read("7"), read("-0.5"), read("true")], [Some(7.0), Some(-0.5), Some(1.0)]);
        assert_eq!(read("-Infinity"), Some(f64::NEG_INFINITY));
        assert!(read("NaN").is_some_and(f64::is_nan));
        assert_eq!(read(r#"{"dtype": "float64", "value": 0.25}"#), Some(0.25));
        assert_eq!([read("9007199254740993"), read("\"7\""), read("{}")], [None; 3]);
        assert_eq!([read("18446744073709551615"), read("-9007199254740993")], [None; 2]);
        assert_eq!(read("36893488147419103232"), Some(2f64.powi(65)));
        assert_eq!(read("36893488147419103233"), None);
        assert_eq!(time_us("1970-01-01T00:00:01.000250"), Some(1_000_250));
        assert_eq!(time_us("1970-01-01T01:00:01+01:00"), Some(1_000_000));
        assert_eq!((time_ms("1970-01-01T00:00:00.0005"), time_us("soon")), (Some(1), None));
    }
}
