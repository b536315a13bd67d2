//! JSON texts of what users tell beside their rows, as Python writes them: `NaN` and `Infinity` are in there too.

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// Reads a JSON text; numbers that JSON does not have become the texts `NaN`, `Infinity` and `-Infinity`.
pub(crate) fn parse(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text).or_else(|error| {
        let quoted = quote_bare(text);
        if quoted == text { Err(error) } else { serde_json::from_str(&quoted) }
    })
}

/// The text of an object, looked at.
pub(crate) fn object(what: &str, text: &str) -> Result<Map<String, Value>> {
    match parse(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(Error::invalid(what, "a JSON object", short(&other.to_string()))),
        Err(error) => Err(Error::invalid(what, "a JSON object", error.to_string())),
    }
}

/// What the file has; an empty object where it is none.
pub(crate) fn stored_object(text: Option<&str>) -> Map<String, Value> {
    match text.and_then(|text| parse(text).ok()) {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    }
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

/// Puts quotes around numbers that JSON does not have, outside of texts.
fn quote_bare(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    let mut in_text = false;
    while let Some(c) = rest.chars().next() {
        if in_text {
            let n = if c == '\\' {
                1 + rest[1..].chars().next().map_or(0, char::len_utf8)
            } else {
                c.len_utf8()
            };
            in_text = c != '"';
            out.push_str(&rest[..n]);
            rest = &rest[n..];
            continue;
        }
        let bare = ["NaN", "Infinity", "-Infinity"].into_iter().find(|bare| rest.starts_with(bare));
        match bare {
            Some(bare) => {
                out.push_str(&format!("\"{bare}\""));
                rest = &rest[bare.len()..];
            }
            None => {
                in_text = c == '"';
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what Python's `json` writes of NaN and infinities can be read, and texts stay as they are.
    #[test]
    fn numbers_that_json_lacks_are_texts() {
        let text = r#"{"a": NaN, "b": [-Infinity, Infinity, -1], "c": "NaN \" NaN \\", "é": 1}"#;
        let value = parse(text).unwrap();
        assert_eq!(value["a"], "NaN");
        assert_eq!(value["b"], serde_json::json!(["-Infinity", "Infinity", -1]));
        assert_eq!(value["c"], "NaN \" NaN \\");
        assert!(parse("{NaN").is_err() && parse("").is_err());
    }
}
