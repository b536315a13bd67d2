//! The time, as the documented tables have it: a text in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

use arrow_schema::TimeUnit;

use crate::array::TimeFormat;
use crate::kernel::now_ns;

/// ms since 1970-01-01 UTC.
pub(super) fn now_ms() -> i64 {
    now_ns().div_euclid(1_000_000)
}

/// `2026-01-19 12:00:00.250000`.
pub(super) fn now_text() -> String {
    text_of_ms(now_ms())
}

/// A time as such a text; one before 1970 is its beginning.
pub(super) fn text_of(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    text_of_us(i64::try_from(since).unwrap_or(i64::MAX))
}

/// A time as such a text.
pub(super) fn text_of_ms(ms: i64) -> String {
    text_of_us(ms.saturating_mul(1_000))
}

/// As [`text_of_ms`], of µs.
pub(super) fn text_of_us(us: i64) -> String {
    TimeFormat::new(TimeUnit::Microsecond, None).text(us)
}
