//! The RTX engine's JSON files: one array, one line, a tick an object.
//!
//! What is written has the bytes that the RTX engine would have written, and what it wrote
//! comes back exactly. The text of a file is never trusted: an error says at which byte it went wrong.

mod number;
mod parse;
mod write;

pub use parse::{JsonError, JsonTick, parse, parse_rows};
pub use write::write_ticks;

pub(super) use write::write_tick;
