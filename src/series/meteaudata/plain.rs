//! Metadata as other readers of the layout take them: what JSON has no word for, in the words of YAML and of meteaudata.

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Map, Value, json};

use crate::array::span_text;
use crate::kernel::json::tag;
use crate::series::process::Clock;

/// The same metadata without the objects that only this store reads.
///
/// Tuples become lists, times and time spans texts, numpy arrays what meteaudata makes of them, and complex numbers
/// texts. NaN, infinities, bytes, wide integers and keys that are no texts stay tagged: YAML has them.
pub(super) fn plain(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Object(mut map) => match tag(&map).map(str::to_owned) {
            None => Value::Object(plain_object(map)),
            Some(kind) => of_tag(&kind, map.remove("value").unwrap_or_default()),
        },
        other => other,
    }
}

/// The object with [`plain`] values.
pub(in crate::series) fn plain_object(map: Map<String, Value>) -> Map<String, Value> {
    map.into_iter().map(|(key, item)| (key, plain(item))).collect()
}

fn of_tag(kind: &str, value: Value) -> Value {
    let number = |value: &Value| value.as_i64().unwrap_or_default();
    match kind {
        "tuple" => plain(value),
        "dict" => {
            let pairs = value.as_array().into_iter().flatten().cloned().map(plain).collect();
            json!({"$silt": "dict", "value": Value::Array(pairs)})
        }
        "float" | "int" | "bytes" | "time" => json!({"$silt": kind, "value": value}),
        "complex" => {
            let part = |at: usize| match &value[at] {
                Value::Object(map) => map["value"].as_str().unwrap_or_default().to_owned(),
                part => part.to_string(),
            };
            let (real, imaginary) = (part(0), part(1));
            let sign = if imaginary.starts_with(['-', '+']) { "" } else { "+" };
            format!("({real}{sign}{imaginary}j)").into()
        }
        "Timestamp" => time(number(&value[0]), value[1].as_str(), &value[2]),
        "Timedelta" => length(number(&value[0]), &value[1]),
        "timedelta" => {
            let whole = i128::from(number(&value[0])) * 86_400 + i128::from(number(&value[1]));
            span_text((whole * 1_000_000 + i128::from(number(&value[2]))) * 1_000).into()
        }
        "scalar" => array(&value).map_or(value, |items| items[0].clone()),
        "ndarray" => match (array(&value), value[1].as_array()) {
            (Some(items), Some(shape)) => json!({
                "__numpy_array__": true,
                "data": shaped(&items, shape),
                "dtype": value[0],
                "shape": shape,
            }),
            _ => value,
        },
        // Dates, times of a day and times are texts already.
        _ => value,
    }
}

fn per_second(unit: &Value) -> Option<i64> {
    let units = [("s", 1), ("ms", 1_000), ("us", 1_000_000), ("ns", 1_000_000_000)];
    units.into_iter().find(|(name, _)| unit == name).map(|(_, number)| number)
}

fn time(value: i64, zone: Option<&str>, unit: &Value) -> Value {
    let text = per_second(unit).and_then(|unit| Clock::of(zone).ok()?.write(value, unit).ok());
    text.map_or(Value::Null, Value::String)
}

fn length(value: i64, unit: &Value) -> Value {
    let Some(unit) = per_second(unit) else { return Value::Null };
    span_text(i128::from(value) * i128::from(1_000_000_000 / unit)).into()
}

/// The items of a packed numpy array, one after the other; `None` for one that is damaged.
fn array(packed: &Value) -> Option<Vec<Value>> {
    let dtype = packed[0].as_str()?;
    let bytes = BASE64_STANDARD.decode(packed[2].as_str()?).ok()?;
    let mut code = dtype.trim_start_matches(['<', '|', '=', '>']).chars();
    let (kind, rest) = (code.next()?, code.as_str());
    let (size, unit) = rest.split_once('[').unwrap_or((rest, ""));
    let unit = Value::from(unit.trim_end_matches(']'));
    let size = size.parse::<usize>().ok()? * if kind == 'U' { 4 } else { 1 };
    if size == 0 {
        return None;
    }
    let item = |item: &[u8]| {
        let mut raw = item.to_vec();
        if dtype.starts_with('>') && kind != 'U' {
            raw.reverse();
        }
        let bits = raw.iter().take(8).rev().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        let shift = 64 - 8 * size.min(8) as u32;
        let signed = ((bits << shift) as i64) >> shift;
        Some(match (kind, size) {
            ('b', _) => (bits != 0).into(),
            ('i', _) => signed.into(),
            ('u', _) => bits.into(),
            ('f', 8) => float(f64::from_bits(bits)),
            ('f', 4) => float(f64::from(f32::from_bits(bits as u32))),
            ('M' | 'm', 8) if signed == i64::MIN => Value::Null,
            ('M', 8) => time(signed, None, &unit),
            ('m', 8) => length(signed, &unit),
            ('U', _) => {
                let letters = raw.chunks_exact(4).map(|four| {
                    let four = [four[0], four[1], four[2], four[3]];
                    let big = dtype.starts_with('>');
                    let code =
                        if big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) };
                    char::from_u32(code)
                });
                letters.collect::<Option<String>>()?.trim_end_matches('\0').into()
            }
            // Half floats, complex numbers and bytes: as their bits.
            _ => item.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into(),
        })
    };
    bytes.chunks_exact(size).map(item).collect()
}

fn float(value: f64) -> Value {
    let tagged = || json!({"$silt": "float", "value": format!("{value}").to_ascii_lowercase()});
    serde_json::Number::from_f64(value).map_or_else(tagged, Value::Number)
}

/// Items as lists in lists.
fn shaped(items: &[Value], shape: &[Value]) -> Value {
    let Some((length, inner)) = shape.split_first() else {
        return items.first().cloned().unwrap_or_default();
    };
    let length = usize::try_from(length.as_u64().unwrap_or_default()).unwrap_or_default();
    if inner.is_empty() || length == 0 || items.is_empty() {
        return Value::Array(items.to_vec());
    }
    items.chunks((items.len() / length).max(1)).map(|part| shaped(part, inner)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: nothing that only this store reads is left, and what YAML and meteaudata have is said in their words.
    #[test]
    fn tagged_metadata_become_those_of_others() {
        let given = json!({
            "pairs": [{"$silt": "tuple", "value": ["a", {"$silt": "tuple", "value": [1, 2]}]}],
            "since": {"$silt": "Timestamp", "value": [1_364_000_000_500_i64, "Europe/Paris", "ms"]},
            "span": {"$silt": "timedelta", "value": [1, 30, 5]},
            "long": {"$silt": "Timedelta", "value": [-1, "s"]},
            "z": {"$silt": "complex", "value": [1.5, {"$silt": "float", "value": "nan"}]},
            "scalar": {"$silt": "scalar", "value": ["<i2", [], "/v8="]},
            "array": {"$silt": "ndarray", "value": ["<f4", [2, 1], "AADAPwAAwH8="]},
            "text": {"$silt": "ndarray", "value": ["<U2", [1], "YQAAAAAAAAA="]},
            "keys": {"$silt": "dict", "value": [[1, {"$silt": "tuple", "value": []}]]},
            "bytes": {"$silt": "bytes", "value": "AA=="},
        });
        let expected = json!({
            "pairs": [["a", [1, 2]]],
            "since": "2013-03-23 01:53:20.500+01:00",
            "span": "1 days 00:00:30.000005",
            "long": "-1 days +23:59:59",
            "z": "(1.5+nanj)",
            "scalar": -2,
            "array": {
                "__numpy_array__": true,
                "data": [[1.5], [{"$silt": "float", "value": "nan"}]],
                "dtype": "<f4",
                "shape": [2, 1],
            },
            "text": {"__numpy_array__": true, "data": ["a"], "dtype": "<U2", "shape": [1]},
            "keys": {"$silt": "dict", "value": [[1, []]]},
            "bytes": {"$silt": "bytes", "value": "AA=="},
        });
        assert_eq!(plain(given), expected);
    }
}
