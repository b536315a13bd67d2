//! JSON texts of what users tell beside their rows. A number that JSON does not have is an object in the file, which every
//! reader of JSON takes: `{"$silt": "float", "value": "nan"}`, `inf` or `-inf`; `{"$silt": "int", "value": "18446744073709551616"}`.

use std::borrow::Cow;
use std::ops::Range;

use rusqlite::types::Value as Sql;
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

/// The key of an object that stands for a number that JSON does not have.
const TAG: &str = "$silt";

/// A number of a JSON text that not every reader of JSON takes for what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Odd {
    /// `NaN`, as Python writes it.
    Nan,
    /// `Infinity`.
    Infinity,
    /// `-Infinity`.
    NegativeInfinity,
    /// An integer beyond 64 bits.
    Integer,
}

/// Reads a JSON text. `NaN` and `Infinity`, as Python writes them, and integers of any size are taken, as objects.
pub(crate) fn parse(text: &str) -> Result<Value, serde_json::Error> {
    Ok(read(text)?.0)
}

/// The value of a JSON text, and the text as it is stored.
pub(crate) fn read(text: &str) -> Result<(Value, Cow<'_, str>), serde_json::Error> {
    let text = replaced(text, |odd, digits| match odd {
        Odd::Nan => tagged("float", "nan"),
        Odd::Infinity => tagged("float", "inf"),
        Odd::NegativeInfinity => tagged("float", "-inf"),
        Odd::Integer => tagged("int", digits),
    });
    Ok((serde_json::from_str(&text)?, text))
}

/// A number as a value; one that JSON does not have as an object.
pub(crate) fn of_number(x: f64) -> Value {
    let name = match x {
        x if x.is_nan() => "nan",
        f64::INFINITY => "inf",
        f64::NEG_INFINITY => "-inf",
        x => return json!(x),
    };
    json!({TAG: "float", "value": name})
}

fn tagged(kind: &str, value: &str) -> String {
    json!({TAG: kind, "value": value}).to_string()
}

/// The text with other words in place of its odd numbers.
pub(crate) fn replaced(text: &str, word: impl Fn(Odd, &str) -> String) -> Cow<'_, str> {
    let (mut out, mut kept) = (String::new(), 0);
    let odd_numbers = OddNumbers { text: text.as_bytes(), at: 0 };
    for (odd, at) in odd_numbers {
        out.push_str(&text[kept..at.start]);
        out.push_str(&word(odd, &text[at.clone()]));
        kept = at.end;
    }
    if kept == 0 {
        return text.into();
    }
    out.push_str(&text[kept..]);
    out.into()
}

/// The odd numbers of a JSON text and where they are. What is in a text, and what is a key, is none.
struct OddNumbers<'a> {
    text: &'a [u8],
    at: usize,
}

impl Iterator for OddNumbers<'_> {
    type Item = (Odd, Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(byte) = self.text.get(self.at) {
            match byte {
                b'"' => self.pass_text(),
                b'N' | b'I' | b'-' | b'0'..=b'9' => {
                    let (odd, length) = self.number();
                    let location = self.at..self.at + length;
                    self.at = location.end;
                    if let Some(odd) = odd.filter(|_| !self.is_before_colon()) {
                        return Some((odd, location));
                    }
                }
                _ => self.at += 1,
            }
        }
        None
    }
}

impl OddNumbers<'_> {
    fn pass_text(&mut self) {
        self.at += 1;
        while let Some(byte) = self.text.get(self.at).filter(|byte| **byte != b'"') {
            self.at += if *byte == b'\\' { 2 } else { 1 };
        }
        self.at += 1;
    }

    /// What begins here, and its length.
    fn number(&self) -> (Option<Odd>, usize) {
        let rest = &self.text[self.at..];
        let words =
            [("NaN", Odd::Nan), ("Infinity", Odd::Infinity), ("-Infinity", Odd::NegativeInfinity)];
        if let Some((word, odd)) = words.iter().find(|(word, _)| rest.starts_with(word.as_bytes()))
        {
            return (Some(*odd), word.len());
        }
        let in_number = |b: &u8| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let length = rest.iter().position(|b| !in_number(b)).unwrap_or(rest.len()).max(1);
        let digits = || std::str::from_utf8(&rest[..length]).ok();
        let is_wide = length > 18
            && digits().is_some_and(|n| {
                let is_whole = n.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit());
                is_whole && n.parse::<i64>().is_err() && n.parse::<u64>().is_err()
            });
        (is_wide.then_some(Odd::Integer), length)
    }

    fn is_before_colon(&self) -> bool {
        let mut rest = self.text[self.at.min(self.text.len())..].iter();
        rest.find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
    }
}

/// A value of a file for readers of plain JSON: a text in place of each number that JSON does not have, `"NaN"`, `"Infinity"`,
/// `"-Infinity"` and the digits of an integer beyond 64 bits.
pub(crate) fn plain(value: Value) -> Value {
    let mut object = match value {
        Value::Array(items) => return items.into_iter().map(plain).collect(),
        Value::Object(object) => object,
        other => return other,
    };
    match (tag(&object), object.get("value")) {
        (Some("float"), Some(Value::String(name))) => match name.as_str() {
            "nan" => "NaN".into(),
            "inf" => "Infinity".into(),
            "-inf" => "-Infinity".into(),
            other => other.into(),
        },
        (Some("int" | "bytes" | "time"), _) => object.remove("value").unwrap_or_default(),
        (Some("dict"), Some(Value::Array(pairs))) => {
            let pair = |pair: &Value| match pair.as_array().map(Vec::as_slice) {
                Some([Value::String(key), value]) => Some((key.clone(), plain(value.clone()))),
                _ => None,
            };
            match pairs.iter().map(pair).collect::<Option<Map<_, _>>>() {
                Some(object) => Value::Object(object),
                None => plain(object.remove("value").unwrap_or_default()),
            }
        }
        _ => Value::Object(plain_object(object)),
    }
}

/// The object with [`plain`] values.
pub(crate) fn plain_object(object: Map<String, Value>) -> Map<String, Value> {
    object.into_iter().map(|(key, value)| (key, plain(value))).collect()
}

/// What an object stands for that JSON does not have.
pub(crate) fn tag(object: &Map<String, Value>) -> Option<&str> {
    (object.len() == 2 && object.contains_key("value")).then(|| object.get(TAG)?.as_str()).flatten()
}

/// The digits of an integer beyond 64 bits.
pub(crate) fn wide_integer(value: &Value) -> Option<&str> {
    let object = value.as_object()?;
    (tag(object)? == "int").then(|| object["value"].as_str()).flatten()
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
        Value::Object(object) => match tag(object)? {
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
        let plain =
            r#"{"x": -0.0, "n": 18446744073709551615, "low": -9223372036854775808, "wide": 1e30}"#;
        assert_eq!(object("parameters", plain).unwrap().1, plain);
        for bad in ["{NaN", "", "1 NaN", "{NaN: 1}", "{\"a\": \"\\", "-", "{Infinity : 1}", "N"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    /// Goal: an integer of any size is read as its digits, and readers of plain JSON get texts.
    #[test]
    fn wide_integers_keep_their_digits() {
        let text =
            r#"{"n": [18446744073709551616, -9223372036854775809], "t": "18446744073709551616"}"#;
        let value = parse(text).unwrap();
        assert_eq!(wide_integer(&value["n"][0]), Some("18446744073709551616"));
        let expected =
            r#"{"n":["18446744073709551616","-9223372036854775809"],"t":"18446744073709551616"}"#;
        assert_eq!(plain(value).to_string(), expected);
        let odd = r#"{"x": NaN, "y": [{"z": Infinity}, -Infinity],
            "own": {"$silt": "dict", "value": [["$silt", 1], ["value", NaN]]}, "d": {"$silt": 1}}"#;
        let expected = r#"{"x":"NaN","y":[{"z":"Infinity"},"-Infinity"],"own":{"$silt":1,"value":"NaN"},"d":{"$silt":1}}"#;
        assert_eq!(plain(parse(odd).unwrap()).to_string(), expected);
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
