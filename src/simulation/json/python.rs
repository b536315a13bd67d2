//! What Python's `json` writes beyond JSON: `NaN`, `Infinity`, integers of any size, and a byte order mark.

use std::borrow::Cow;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::kernel::json::{self, replaced};

/// How a number that JSON does not have begins in a text that [`python_numbers`] made: as a string that no other program
/// writes.
const BEGINNING: &str = "\0siltstone\0";

/// The word of a string of [`python_numbers`]: `NaN`, `Infinity`, `-Infinity`, or the digits of an integer beyond 64 bits.
pub(super) fn odd_number(text: &str) -> Option<&str> {
    text.strip_prefix(BEGINNING)
}

/// The text as JSON: without the mark, and with strings that [`odd_number`] knows in place of numbers that JSON does not
/// have. What else is no JSON stays as it is.
pub(super) fn python_numbers(text: &[u8]) -> Cow<'_, [u8]> {
    let text = without_mark(text);
    let Ok(known) = std::str::from_utf8(text) else { return text.into() };
    match replaced(known, |_, word| format!("\"\\u0000siltstone\\u0000{word}\"")) {
        Cow::Borrowed(_) => text.into(),
        Cow::Owned(made) => made.into_bytes().into(),
    }
}

/// The value that our files have for such a number: an object.
pub(super) fn stored(word: &str) -> Value {
    json::parse(word).expect("a number as Python writes it")
}

/// Whether a text is JSON, or would be without what Python writes beyond it.
pub(in crate::simulation) fn check(text: &[u8]) -> Result<(), serde_json::Error> {
    serde_json::from_slice::<serde::de::IgnoredAny>(&python_numbers(text)).map(drop)
}

fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// Reads any JSON text as Python writes it: `NaN`, `Infinity` and integers of any size are objects, as in
/// [`SimulationInfo`](crate::experiment::SimulationInfo), and a byte order mark is nothing.
///
/// # Errors
/// [`Error::Corrupt`] if it is no JSON.
///
/// # Example
/// ```
/// let value = siltstone::simulation::json::parse_any(b"{\"limit\": Infinity}")?;
/// assert_eq!(value["limit"]["value"], "inf");
/// # Ok::<(), siltstone::Error>(())
/// ```
pub fn parse_any(text: &[u8]) -> Result<Value> {
    let text = without_mark(text);
    let read = match std::str::from_utf8(text) {
        Ok(text) => json::parse(text).map_err(|e| e.to_string()),
        Err(error) => Err(error.to_string()),
    };
    read.map_err(|why| Error::Corrupt {
        location: String::new(),
        what: "the JSON text".into(),
        why,
    })
}

#[cfg(test)]
mod tests {
    use crate::simulation::json::{Schema, parse_update};

    /// Goal: an update reads as Python wrote it: a mark before it, NaN as undefined, infinities as numbers; texts stay.
    #[test]
    fn an_update_is_read_as_python_writes_it() {
        let text = "\u{feff}{\"d\":{\"g\":{\"id\":[1,2,3,4],\"x\":[NaN,-Infinity,Infinity,-2.5],\
            \"s\":[\"NaN\",\"a\\\"Infinity\",\"-Infinity\",null]}}}";
        let groups = parse_update(text.as_bytes(), "d", &Schema::default()).unwrap().remove(0).1;
        let column = |name: &str| {
            groups[0].attributes.iter().find(|(known, _)| known == name).unwrap().1.clone()
        };
        let x = column("x").data.to_vec::<f64>().unwrap();
        assert!(x[0].is_nan() && x[1..] == [f64::NEG_INFINITY, f64::INFINITY, -2.5], "{x:?}");
        let s = column("s").data.to_strings().unwrap();
        assert_eq!(s[..3], ["NaN", "a\"Infinity", "-Infinity"]);
        for bad in [
            "{\"d\":{\"g\":{\"id\":[1],\"x\":[Nan]}}}",
            "{\"d\":{\"g\":{\"id\":[NaN]}}}",
            "{\"d\":{NaN:{\"id\":[1]}}}",
            "{\"d",
            "\"\\",
        ] {
            assert!(parse_update(bad.as_bytes(), "d", &Schema::default()).is_err(), "{bad}");
        }
    }
}
