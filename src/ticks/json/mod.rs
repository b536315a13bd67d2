//! The RTX engine's JSON files: one array, one line, a tick an object.
//!
//! ```
//! use siltstone::ticks::json::parse;
//!
//! let text = br#"[{"broker_id":"b","symbol":"EURUSD","bid":1.5,"ask":1.75,"spread":0.25,"timestamp":"2026-01-19T12:00:00Z","lp":"LP"}]"#;
//! let mut bids = Vec::new();
//! let parsed = parse(text, |tick| Ok(bids.push(tick.bid)));
//! assert_eq!((parsed.unwrap(), bids), (1, vec![1.5]));
//! ```
//!
//! What is written has the bytes that the RTX engine would have written, and what it wrote
//! comes back exactly. The text of a file is never trusted: an error says at which byte it went wrong.

mod number;
mod parse;
mod write;

pub use parse::{JsonError, JsonTick, parse, parse_rows};
pub use write::write_ticks;

pub(super) use write::write_tick;
