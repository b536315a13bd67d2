//! YAML as meteaudata writes it, as JSON: nothing that it names is ever run.
//!
//! Plain texts mean what they mean to its reader (YAML 1.1). Tuples and numpy scalars become what
//! the Python side of this store reads as such; any other tag of Python is kept as inert data, and noted.

use std::collections::HashMap;
use std::fmt::Write;

use saphyr_parser::{Event, Parser, ScalarStyle, StrInput, Tag};
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

/// Deeper than any metadata; a text that nests deeper is refused.
const MAX_DEPTH: usize = 64;
/// What a value takes in memory beside its text, as a key too.
const VALUE_BYTES: usize = 96;
/// The bytes in memory that any document may become, those that an alias repeats counted each time;
const SOME_BYTES: usize = 64 << 20;
/// so many more for each byte of its text;
const BYTES_A_BYTE: usize = 64;
/// and no document more than these.
const MOST_BYTES: usize = 1 << 30;

/// Reads a document. `notes` gets the names of tags that were not read.
///
/// # Errors
/// [`Error::Corrupt`] for a text that is no YAML, nests too deep or would become too much.
pub(super) fn read(text: &str, location: &str, notes: &mut Vec<String>) -> Result<Value> {
    let bytes = text.len().saturating_mul(BYTES_A_BYTE).saturating_add(SOME_BYTES);
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        left: bytes.min(MOST_BYTES),
        location,
        notes,
    };
    loop {
        match reader.next()? {
            Event::StreamEnd => return Ok(Value::Null),
            Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
            event => return Ok(reader.node(event, 0)?.0),
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    /// What an anchor stands for, and the bytes that it takes.
    anchors: HashMap<usize, (Value, usize)>,
    /// The bytes that may still be taken.
    left: usize,
    location: &'a str,
    notes: &'a mut Vec<String>,
}

impl<'a> Reader<'a> {
    fn damaged(&self, why: impl Into<String>) -> Error {
        Error::Corrupt { location: self.location.into(), what: "the YAML".into(), why: why.into() }
    }

    fn next(&mut self) -> Result<Event<'a>> {
        match self.parser.next_event() {
            Some(Ok((event, _))) => Ok(event),
            Some(Err(error)) => Err(self.damaged(error.to_string())),
            None => Err(self.damaged("it ends too early")),
        }
    }

    fn spend(&mut self, bytes: usize) -> Result<()> {
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or_else(|| self.damaged("it would become too large in memory"))?;
        Ok(())
    }

    /// The bytes of the object around a value that JSON does not have.
    fn spend_wrapped(&mut self, is_wrapped: bool) -> Result<usize> {
        let bytes = if is_wrapped { 5 * VALUE_BYTES } else { 0 };
        self.spend(bytes)?;
        Ok(bytes)
    }

    /// A value, and the bytes that it takes.
    fn node(&mut self, event: Event<'a>, depth: usize) -> Result<(Value, usize)> {
        if depth > MAX_DEPTH {
            return Err(self.damaged("it nests too deep"));
        }
        self.spend(VALUE_BYTES)?;
        let (anchor, value, size) = match event {
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor).map(|(_, size)| *size);
                let size = known.ok_or_else(|| self.damaged("an alias of nothing"))?;
                self.spend(size)?;
                return Ok((self.anchors[&anchor].0.clone(), size));
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.spend(text.len())?;
                let tag = tag.as_deref().map(tag_name);
                let plain = style == ScalarStyle::Plain;
                let value = self.scalar(&text, plain, tag.as_deref());
                let wrapped = self.spend_wrapped(value.is_object())?;
                (anchor, value, VALUE_BYTES + text.len() + wrapped)
            }
            Event::SequenceStart(anchor, tag) => {
                let (mut items, mut size) = (Vec::new(), VALUE_BYTES);
                loop {
                    match self.next()? {
                        Event::SequenceEnd => break,
                        event => {
                            let (item, of_item) = self.node(event, depth + 1)?;
                            size += of_item;
                            items.push(item);
                        }
                    }
                }
                let value = Value::Array(items);
                size += self.spend_wrapped(tag.is_some())?;
                (anchor, self.tagged(value, tag.as_deref().map(tag_name)), size)
            }
            Event::MappingStart(anchor, tag) => {
                let (mut pairs, mut size) = (Vec::new(), VALUE_BYTES);
                loop {
                    let key = match self.next()? {
                        Event::MappingEnd => break,
                        event => self.node(event, depth + 1)?,
                    };
                    let event = self.next()?;
                    let value = self.node(event, depth + 1)?;
                    size += key.1 + value.1;
                    pairs.push((key.0, value.0));
                }
                let is_plain = pairs.iter().all(|(key, _)| key.is_string());
                let lists = if is_plain { 0 } else { pairs.len() * VALUE_BYTES };
                self.spend(lists)?;
                size += lists + self.spend_wrapped(tag.is_some() || !is_plain)?;
                (anchor, self.tagged(mapping(pairs), tag.as_deref().map(tag_name)), size)
            }
            _ => return Err(self.damaged("a value is missing")),
        };
        if anchor > 0 {
            self.spend(size)?; // it is kept twice
            self.anchors.insert(anchor, (value.clone(), size));
        }
        Ok((value, size))
    }

    fn scalar(&mut self, text: &str, plain: bool, tag: Option<&str>) -> Value {
        match tag {
            None if plain => resolve(text),
            None | Some("str" | "python/str" | "python/unicode" | "timestamp" | "!") => text.into(),
            Some("int" | "float" | "bool" | "null" | "python/int" | "python/long")
            | Some("python/float" | "python/bool" | "python/none") => resolve(text),
            Some("binary" | "python/bytes") => {
                let packed: String = text.split_whitespace().collect();
                json!({"$silt": "bytes", "value": packed})
            }
            Some(other) => self.inert(other, text.into()),
        }
    }

    fn tagged(&mut self, value: Value, tag: Option<String>) -> Value {
        match tag.as_deref() {
            None | Some("seq" | "map" | "omap" | "python/list" | "python/dict") => value,
            Some("python/tuple") => json!({"$silt": "tuple", "value": value}),
            Some("python/object/apply:numpy.dtype") => dtype(&value).unwrap_or(value),
            Some(name)
                if name.starts_with("python/object/apply:numpy") && name.ends_with(".scalar") =>
            {
                match (&value[0], &value[1]["value"]) {
                    (Value::String(dtype), Value::String(bytes)) => {
                        json!({"$silt": "scalar", "value": [dtype, [], bytes]})
                    }
                    _ => self.inert(name, value),
                }
            }
            Some(other) => self.inert(other, value),
        }
    }

    /// What a tag says that nobody here reads: it is kept, and nothing of it is carried out.
    fn inert(&mut self, tag: &str, value: Value) -> Value {
        let note = format!("a value with the tag {tag:?} is kept as it stands, and was not run");
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
        json!({"yaml_tag": tag, "value": value})
    }
}

/// The name of a tag without the prefix that all of YAML's own have.
fn tag_name(tag: &Tag) -> String {
    let whole = format!("{}{}", tag.handle, tag.suffix);
    let own = ["tag:yaml.org,2002:", "!!"].into_iter().find_map(|own| whole.strip_prefix(own));
    own.unwrap_or(&whole).to_owned()
}

/// `<f8` of the arguments `[f8, false, true]` and the state `(3, '<', ...)`.
fn dtype(value: &Value) -> Option<Value> {
    let args = value.get("args").unwrap_or(value);
    let code = args.get(0)?.as_str()?;
    let state = value.get("state").and_then(|state| state["value"].get(1)).and_then(Value::as_str);
    let order = state.filter(|order| ["<", ">", "="].contains(order)).unwrap_or("|");
    Some(format!("{}{code}", if order == "=" { "<" } else { order }).into())
}

/// A mapping; one whose keys are not all texts keeps their types.
fn mapping(pairs: Vec<(Value, Value)>) -> Value {
    if pairs.iter().all(|(key, _)| key.is_string()) {
        let text = |key: Value| key.as_str().unwrap_or_default().to_owned();
        return Value::Object(pairs.into_iter().map(|(key, value)| (text(key), value)).collect());
    }
    let items: Vec<Value> = pairs.into_iter().map(|(key, value)| json!([key, value])).collect();
    json!({"$silt": "dict", "value": items})
}

/// What a plain text means in YAML 1.1.
fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
            return true.into();
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            return false.into();
        }
        ".nan" | ".NaN" | ".NAN" => return json!({"$silt": "float", "value": "nan"}),
        ".inf" | ".Inf" | ".INF" | "+.inf" => return json!({"$silt": "float", "value": "inf"}),
        "-.inf" | "-.Inf" | "-.INF" => return json!({"$silt": "float", "value": "-inf"}),
        _ => {}
    }
    integer(text).or_else(|| float(text)).unwrap_or_else(|| text.into())
}

fn integer(text: &str) -> Option<Value> {
    let (sign, digits) = match text.as_bytes() {
        [b'-', ..] => ("-", &text[1..]),
        [b'+', ..] => ("", &text[1..]),
        _ => ("", text),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let plain = digits.replace('_', "");
    let radix = |prefix: &str, radix: u32| {
        let digits = plain.strip_prefix(prefix)?;
        i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
    };
    let based = radix("0b", 2).or_else(|| radix("0x", 16));
    let based = based.or_else(|| if plain == "0" { None } else { radix("0", 8) });
    if let Some(number) = based {
        return Some(number.into());
    }
    if !plain.bytes().all(|b| b.is_ascii_digit()) || (plain.len() > 1 && plain.starts_with('0')) {
        return None;
    }
    let signed = format!("{sign}{plain}");
    let small = signed.parse::<i64>().ok().map(Value::from);
    let small = small.or_else(|| signed.parse::<u64>().ok().map(Value::from));
    Some(small.unwrap_or_else(|| json!({"$silt": "int", "value": signed})))
}

fn float(text: &str) -> Option<Value> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let numeric = digits.bytes().all(|b| b.is_ascii_digit() || b".eE+-_".contains(&b));
    let begins = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if !numeric || !begins || !digits.contains('.') || !digits.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: f64 = text.replace('_', "").parse().ok()?;
    serde_json::Number::from_f64(number).map(Value::Number)
}

/// Writes a value as a document that meteaudata, and any reader of YAML, takes for the same.
pub(super) fn write(value: &Value) -> String {
    let mut out = String::new();
    block(&mut out, value, 0);
    out
}

fn block(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) if is_block(value) => match crate::kernel::json::tag(map) {
            Some("dict") => {
                for pair in map["value"].as_array().into_iter().flatten() {
                    let _ = write!(out, "{:indent$}{}:", "", key(&pair[0]));
                    under(out, &pair[1], indent + 2);
                }
            }
            _ => {
                for (key, item) in map {
                    let _ = write!(out, "{:indent$}{}:", "", text(key));
                    under(out, item, indent + 2);
                }
            }
        },
        Value::Array(items) if is_block(value) => {
            for item in items {
                let _ = write!(out, "{:indent$}-", "");
                under(out, item, indent + 2);
            }
        }
        other => {
            let _ = writeln!(out, "{:indent$}{}", "", scalar(other));
        }
    }
}

fn under(out: &mut String, item: &Value, indent: usize) {
    if is_block(item) {
        out.push('\n');
        block(out, item, indent);
    } else {
        let _ = writeln!(out, " {}", scalar(item));
    }
}

/// Whether a value takes lines of its own.
fn is_block(value: &Value) -> bool {
    match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => match crate::kernel::json::tag(map) {
            Some("dict") => map["value"].as_array().is_some_and(|pairs| !pairs.is_empty()),
            _ => !map.is_empty() && tagged(map).is_none(),
        },
        _ => false,
    }
}

/// A key that is no text: a scalar is itself, anything else is its JSON.
fn key(value: &Value) -> String {
    if is_block(value) { text(&value.to_string()) } else { scalar(value) }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(string) => text(string),
        Value::Object(map) => tagged(map).unwrap_or_else(|| "{}".into()),
        Value::Array(_) => "[]".into(),
        // YAML 1.1 wants a point in a float, and a sign in its exponent.
        Value::Number(number) if number.is_f64() => {
            let number = number.to_string();
            let (digits, exponent) = number.split_once('e').unwrap_or((&number, ""));
            let point = if digits.contains('.') { "" } else { ".0" };
            match exponent {
                "" => format!("{digits}{point}"),
                e if e.starts_with(['-', '+']) => format!("{digits}{point}e{e}"),
                e => format!("{digits}{point}e+{e}"),
            }
        }
        other => other.to_string(),
    }
}

/// What JSON has no word for, in YAML.
fn tagged(map: &Map<String, Value>) -> Option<String> {
    match (crate::kernel::json::tag(map)?, map["value"].as_str()?) {
        ("float", "nan") => Some(".nan".into()),
        ("float", "inf") => Some(".inf".into()),
        ("float", "-inf") => Some("-.inf".into()),
        ("int", digits) => Some(digits.to_owned()),
        ("time", time) if is_time(time) => Some(time.to_owned()),
        ("time", other) => Some(text(other)),
        ("bytes", packed) => Some(format!("!!binary \"{packed}\"")),
        _ => None,
    }
}

/// Whether YAML takes this text for a time: `2026-01-01T00:00:00.5+00:00`.
fn is_time(text: &str) -> bool {
    let form = "dddd-dd-ddTdd:dd:dd";
    text.len() >= form.len()
        && text.bytes().zip(form.bytes()).all(|(byte, form)| match form {
            b'd' => byte.is_ascii_digit(),
            form => byte == form,
        })
        && text
            .bytes()
            .skip(form.len())
            .all(|byte| byte.is_ascii_digit() || b".+-:".contains(&byte))
}

/// A text: as it is if no reader can take it for anything else, else in double quotes.
fn text(string: &str) -> String {
    let plain = string.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && string.bytes().all(|b| b.is_ascii_alphanumeric() || b" _-./".contains(&b))
        && !string.ends_with(' ')
        && string.len() < 70
        && resolve(string).is_string()
        && !["y", "n", "Y", "N"].contains(&string);
    if plain {
        return string.to_owned();
    }
    let mut out = String::from("\"");
    for c in string.chars() {
        let _ = match c {
            '"' => write!(out, "\\\""),
            '\\' => write!(out, "\\\\"),
            '\n' => write!(out, "\\n"),
            '\t' => write!(out, "\\t"),
            ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' => {
                write!(out, "{c}")
            }
            c if u32::from(c) <= 0xff => write!(out, "\\x{:02x}", u32::from(c)),
            c if u32::from(c) <= 0xffff => write!(out, "\\u{:04x}", u32::from(c)),
            c => write!(out, "\\U{:08x}", u32::from(c)),
        };
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (Value, Vec<String>) {
        let mut notes = Vec::new();
        (read(text, "a test", &mut notes).unwrap(), notes)
    }

    /// Goal: plain texts mean what they mean to meteaudata, and quoted ones are texts.
    #[test]
    fn plain_texts_are_resolved() {
        let text = "a: 1\nb: '1'\nc: 1.5\nd: yes\ne: null\nf: 2020-01-01\ng: 1e5\nh: 0x1F\ni: .inf\n\
                    j: 010\nk: 08\nl: 99999999999999999999\nm: 1_000\nn: {}\no: []\n";
        let expected = json!({
            "a": 1, "b": "1", "c": 1.5, "d": true, "e": null, "f": "2020-01-01", "g": "1e5", "h": 31,
            "i": {"$silt": "float", "value": "inf"}, "j": 8, "k": "08",
            "l": {"$silt": "int", "value": "99999999999999999999"}, "m": 1000, "n": {}, "o": [],
        });
        assert_eq!(parse(text), (expected, vec![]));
    }

    /// Goal: tuples and numpy scalars are read as what they are; code is kept as data, named and never run.
    #[test]
    fn tags_of_python_are_values_or_inert() {
        let text = "t: !!python/tuple [a, 1]\n\
            s: !!python/object/apply:numpy._core.multiarray.scalar\n\
            - &id001 !!python/object/apply:numpy.dtype\n  args:\n  - f8\n  - false\n  - true\n  \
            state: !!python/tuple\n  - 3\n  - <\n  - null\n- !!binary |\n  AAAAAAAA8D8=\n\
            x: !!python/object/apply:os.system ['touch never']\n";
        let (value, notes) = parse(text);
        assert_eq!(value["t"], json!({"$silt": "tuple", "value": ["a", 1]}));
        let scalar = json!({"$silt": "scalar", "value": ["<f8", [], "AAAAAAAA8D8="]});
        assert_eq!(value["s"], scalar);
        assert_eq!(value["x"]["yaml_tag"], "python/object/apply:os.system");
        assert!(notes.len() == 1 && notes[0].contains("os.system"), "{notes:?}");
    }

    /// Goal: a text that would fill the memory, or the stack, is refused.
    #[test]
    fn bombs_are_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..12 {
            let alias = format!("*a{}", i - 1);
            text.push_str(&format!("a{i}: &a{i} [{}]\n", vec![alias; 10].join(", ")));
        }
        let deep = "[".repeat(100_000);
        for text in [text.as_str(), deep.as_str(), "a: *b", "a: [", "\"open"] {
            let refused = read(text, "a test", &mut Vec::new());
            assert!(matches!(refused, Err(Error::Corrupt { .. })), "{:.40}: {refused:?}", text);
        }
    }

    /// Goal: a short text that repeats itself is refused by what it would take, before it takes it; one that repeats little,
    /// or is long by itself, is read.
    #[test]
    fn what_a_text_may_become_is_counted_in_bytes() {
        let word = "w".repeat(500);
        let mut bomb = format!("a0: &a0 [{word}, {word}]\n");
        for i in 1..6 {
            bomb.push_str(&format!(
                "a{i}: &a{i} [{}]\n",
                vec![format!("*a{}", i - 1); 10].join(", ")
            ));
        }
        assert!(bomb.len() < 2_000);
        let refused = read(&bomb, "a test", &mut Vec::new()).unwrap_err();
        assert!(refused.to_string().contains("too large in memory"), "{refused}");
        let steps = "steps: &s [a, b, {c: d}]\n".to_owned();
        let series: String = (0..1_000).map(|i| format!("s{i}: *s\n")).collect();
        assert_eq!(parse(&(steps + &series)).0["s999"][2]["c"], "d");
        let long = "- 1\n".repeat(1_000_000);
        assert_eq!(parse(&long).0[999_999], 1);
    }

    /// Goal: what is written is read as the same, whatever the texts look like.
    #[test]
    fn what_is_written_is_read() {
        let value = json!({
            "plain": "text of words", "yes": "no", "1": "1", "f": 1e300, "g": 0.1, "h": -3, "i": 1.0,
            "j": "line\nline\ttab \\ \" 'x' \u{7f}\u{85}\u{2028}\u{feff}é😀", "k": null, "l": [[], {}, [1, [2]]],
            "m": {"n": [{"o": "p", "q": []}, 1]}, "": "", " x ": "- a", "time": "2020-01-01", "n": "12:30",
            "inf": {"$silt": "float", "value": "-inf"}, "tuple": {"$silt": "tuple", "value": [1]},
            "bytes": {"$silt": "bytes", "value": "AA=="}, "none": {"$silt": "bytes", "value": ""},
            "keys": {"$silt": "dict", "value": [[1, {"a": 2}], [null, [3]]]},
        });
        assert_eq!(parse(&write(&value)).0, value);
    }
}
