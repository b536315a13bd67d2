//! JSON texts of what users tell beside their rows. A number that JSON does not have is an object in the file, which every
//! reader of JSON takes: `{"$silt": "float", "value": "nan"}`, `inf` or `-inf`; `{"$silt": "int", "value": "18446744073709551616"}`.

use std::borrow::Cow;

use rusqlite::types::Value as Sql;
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

/// The key of an object that stands for a number that JSON does not have.
const TAG: &str = "$silt";

/// Reads a JSON text; `NaN` and `Infinity` as Python writes them are taken.
pub(crate) fn parse(text: &str) -> Result<Value, serde_json::Error> {
    Ok(read(text)?.0)
}

/// The value of a JSON text, and the text as it is stored.
pub(crate) fn read(text: &str) -> Result<(Value, Cow<'_, str>), serde_json::Error> {
    match serde_json::from_str(text) {
        Ok(value) => Ok((value, text.into())),
        Err(error) => {
            let tagged = tag_bare(text);
            let read = if tagged == text { Err(error) } else { serde_json::from_str(&tagged) };
            Ok((read?, tagged.into()))
        }
    }
}

/// The text of an object, looked at, and as it is stored.
pub(crate) fn object(what: &str, text: &str) -> Result<(Map<String, Value>, String)> {
    match read(text) {
        Ok((Value::Object(object), text)) => Ok((object, text.into_owned())),
        Ok((other, _)) => Err(Error::invalid(what, "a JSON object", short(&other.to_string()))),
        Err(error) => Err(Error::invalid(what, "a JSON object", error.to_string())),
    }
}

/// Whether an object stands for a number that JSON does not have.
pub(crate) fn is_number(value: &Value) -> bool {
    value.is_number() || number(value).is_some()
}

/// The number that a value is.
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Object(object) if object.len() == 2 => match object.get(TAG)?.as_str()? {
            "float" | "int" => object.get("value")?.as_str()?.parse().ok(),
            _ => None,
        },
        value => value.as_f64(),
    }
}

/// The value behind a path of keys, as SQL has it; NaN, which SQL does not have, is NULL, and lists and objects are texts.
pub(super) fn sql_value(text: Option<&str>, path: &[String]) -> Sql {
    let object = Value::Object(stored_object(text));
    let Some(value) = find(&object, path) else { return Sql::Null };
    match value {
        Value::Null => Sql::Null,
        Value::Bool(yes) => Sql::Integer((*yes).into()),
        Value::String(text) => Sql::Text(text.clone()),
        value => match (value.as_i64(), number(value)) {
            (Some(n), _) => Sql::Integer(n),
            (None, Some(x)) => Sql::Real(x),
            (None, None) => Sql::Text(value.to_string()),
        },
    }
}

/// The value behind a path of keys.
pub(crate) fn find<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.as_object()?.get(key))
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

/// Puts objects in the place of numbers that JSON does not have, outside of texts.
fn tag_bare(text: &str) -> String {
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
        let bare = [("NaN", "nan"), ("Infinity", "inf"), ("-Infinity", "-inf")];
        match bare.into_iter().find(|(bare, _)| rest.starts_with(bare)) {
            Some((bare, name)) => {
                out.push_str(&json!({TAG: "float", "value": name}).to_string());
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

    /// Goal: what Python's `json` writes of NaN and infinities is stored as JSON that everybody reads, and read as the
    /// numbers that they were; texts and numbers that JSON has stay as they are.
    #[test]
    fn numbers_that_json_lacks_are_objects() {
        let text = r#"{"a": NaN, "b": [-Infinity, Infinity, -1], "c": "NaN \" NaN \\", "é": 1}"#;
        let (value, kept) = object("parameters", text).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&kept).unwrap(), Value::Object(value.clone()));
        assert!(number(&value["a"]).unwrap().is_nan());
        assert_eq!(number(&value["b"][0]), Some(f64::NEG_INFINITY));
        assert_eq!(number(&value["b"][1]), Some(f64::INFINITY));
        assert_eq!((&value["b"][2], &value["c"]), (&json!(-1), &json!("NaN \" NaN \\")));
        let plain = r#"{"x": -0.0, "n": 18446744073709551616}"#;
        assert_eq!(object("parameters", plain).unwrap().1, plain);
        assert!(parse("{NaN").is_err() && parse("").is_err() && parse("1 NaN").is_err());
    }

    /// Goal: SQL sees the value of a path of exact names as it is.
    #[test]
    fn sql_sees_values_by_paths() {
        let text = r#"{"n": 1, "N": 2.5, "a": {"b": {"$silt": "float", "value": "inf"}}, "no": false, "l": [1]}"#;
        let value = |path: &[&str]| {
            sql_value(Some(text), &path.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(value(&["n"]), Sql::Integer(1));
        assert_eq!(value(&["N"]), Sql::Real(2.5));
        assert_eq!(value(&["a", "b"]), Sql::Real(f64::INFINITY));
        assert_eq!(value(&["no"]), Sql::Integer(0));
        assert_eq!(value(&["l"]), Sql::Text("[1]".into()));
        assert_eq!(value(&["a", "c"]), Sql::Null);
        assert_eq!(sql_value(None, &["n".into()]), Sql::Null);
    }
}
