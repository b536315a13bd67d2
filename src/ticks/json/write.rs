//! Ticks into text.

use super::super::tick::Tick;
use super::number::{write_number, write_time};

/// The bytes of a file of these ticks: one array, without a newline behind it.
///
/// # Source
/// Go, package `encoding/json`, for the RTX engine's fields in their order.
pub fn write_ticks<'a>(ticks: impl IntoIterator<Item = Tick<'a>>) -> Vec<u8> {
    let mut out = vec![b'['];
    for tick in ticks {
        if out.len() > 1 {
            out.push(b',');
        }
        write_tick(&mut out, &tick);
    }
    out.push(b']');
    out
}

/// Appends one object.
pub(in crate::ticks) fn write_tick(out: &mut Vec<u8>, tick: &Tick<'_>) {
    out.extend_from_slice(b"{\"broker_id\":");
    write_text(out, tick.broker_id);
    out.extend_from_slice(b",\"symbol\":");
    write_text(out, tick.symbol);
    out.extend_from_slice(b",\"bid\":");
    write_number(out, tick.bid);
    out.extend_from_slice(b",\"ask\":");
    write_number(out, tick.ask);
    out.extend_from_slice(b",\"spread\":");
    write_number(out, tick.spread);
    out.extend_from_slice(b",\"timestamp\":\"");
    write_time(out, tick.time_ns, tick.utc_offset_s);
    out.extend_from_slice(b"\",\"lp\":");
    write_text(out, tick.lp);
    out.push(b'}');
}

/// A string; `<`, `>`, `&` and the two line separators of JavaScript are escaped too.
fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                out.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes());
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}
