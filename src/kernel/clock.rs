//! The time of the system's clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in ns since 1970-01-01 UTC.
pub fn now_ns() -> i64 {
    let (sign, time) = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => (1, after),
        Err(before) => (-1, before.duration()),
    };
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX) * sign
}
