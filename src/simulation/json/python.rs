//! What Python's `json` writes beyond JSON: `NaN`, `Infinity`, and a byte order mark.

use std::borrow::Cow;

/// How an infinity stands in a text that [`python_numbers`] made: a string that no other program writes.
const INFINITY: &str = "\0siltstone\0inf";
const NEGATIVE_INFINITY: &str = "\0siltstone\0-inf";
const TOKENS: [(&[u8], &[u8]); 3] = [
    (b"NaN", b"null"),
    (b"Infinity", b"\"\\u0000siltstone\\u0000inf\""),
    (b"-Infinity", b"\"\\u0000siltstone\\u0000-inf\""),
];

/// The number that a string of [`python_numbers`] stands for.
pub(super) fn infinity(text: &str) -> Option<f64> {
    match text {
        INFINITY => Some(f64::INFINITY),
        NEGATIVE_INFINITY => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// The text as JSON: without the mark, `NaN` as `null`, and infinities so that [`infinity`] knows them. What else is no
/// JSON stays as it is.
pub(super) fn python_numbers(text: &[u8]) -> Cow<'_, [u8]> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut made: Option<Vec<u8>> = None;
    let (mut at, mut kept) = (0, 0);
    while at < text.len() {
        match text[at] {
            b'"' => {
                at += 1;
                while at < text.len() && text[at] != b'"' {
                    at += if text[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            b'N' | b'I' | b'-' => {
                match TOKENS.iter().find(|(token, _)| text[at..].starts_with(token)) {
                    Some((token, json)) => {
                        let made = made.get_or_insert_default();
                        made.extend_from_slice(&text[kept..at]);
                        made.extend_from_slice(json);
                        at += token.len();
                        kept = at;
                    }
                    None => at += 1,
                }
            }
            _ => at += 1,
        }
    }
    match made {
        None => Cow::Borrowed(text),
        Some(mut made) => {
            made.extend_from_slice(&text[kept..]);
            Cow::Owned(made)
        }
    }
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
            "{\"d",
            "\"\\",
        ] {
            assert!(parse_update(bad.as_bytes(), "d", &Schema::default()).is_err(), "{bad}");
        }
    }
}
