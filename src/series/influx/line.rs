//! Line protocol: `measurement,tag=value field=1.5,other=2i 1715201400000000000`.
//!
//! # Source
//! InfluxDB's reference of line protocol: a mark is escaped by a backslash right before it, in texts `"` and `\` are.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::points::{Gathered, Identity, Value};
use crate::error::Result;
use crate::series::read::TimeUnit;

/// Comments, and the commands at the head of an export of `influx_inspect`.
pub(super) fn is_passed_over(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#') || line.starts_with("CREATE DATABASE ")
}

/// Whether a text begins with a point, which may have several lines.
pub(super) fn is_point(text: &str) -> bool {
    let mut rest = text.trim_start_matches(' ');
    Parts::take(&mut rest).is_ok_and(|parts| parts.identity().is_ok())
}

type Parsed<T> = std::result::Result<T, String>;

/// The parts of a point, still escaped.
struct Parts<'a> {
    /// Measurement and tags.
    head: &'a str,
    fields: Vec<(&'a str, Value<'a>)>,
    time: i64,
}

/// The text up to the first of these marks that no backslash stands before.
fn until<'a>(rest: &mut &'a str, marks: &[u8]) -> &'a str {
    let bytes = rest.as_bytes();
    let is_end = |at: &usize| marks.contains(&bytes[*at]) && (*at == 0 || bytes[at - 1] != b'\\');
    let at = (0..bytes.len()).find(is_end).unwrap_or(bytes.len());
    let (text, after) = rest.split_at(at);
    *rest = after;
    text
}

/// A text without the backslashes that escape these marks.
fn plain<'a>(text: &'a str, marks: &[char]) -> Cow<'a, str> {
    if !text.contains('\\') {
        return text.into();
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(next) if c == '\\' && marks.contains(next) => plain.extend(chars.next()),
            _ => plain.push(c),
        }
    }
    plain.into()
}

fn short(text: &str) -> String {
    format!("{:?}", text.chars().take(40).collect::<String>())
}

impl<'a> Parts<'a> {
    /// Takes a point off the text, up to the end of its line; a text within quotes may have several lines.
    fn take(rest: &mut &'a str) -> Parsed<Self> {
        let head = until(rest, b" \n");
        if !rest.starts_with(' ') {
            return Err(format!("a measurement and fields expected, got {}", short(head)));
        }
        *rest = rest.trim_start_matches(' ');
        let mut fields: Vec<(&str, Value<'_>)> = Vec::new();
        loop {
            let name = until(rest, b"=, \n");
            let Some(after) = rest.strip_prefix('=').filter(|_| !name.is_empty()) else {
                return Err(format!("a field as name=value expected, got {}", short(name)));
            };
            *rest = after;
            fields.push((name, value(rest)?));
            match rest.strip_prefix(',') {
                Some(after) => *rest = after,
                None => break,
            }
        }
        let mut names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("the field {} twice", short(pair[0])));
        }
        let line = until_line(rest);
        let time = line.trim_end_matches('\r').trim();
        if time.is_empty() {
            return Err("it has no timestamp".into());
        }
        let time =
            time.parse().map_err(|_| format!("a timestamp expected, got {}", short(time)))?;
        Ok(Parts { head, fields, time })
    }

    /// What its series have in common.
    fn identity(&self) -> Parsed<Identity<'a>> {
        let mut rest = self.head;
        let measurement = plain(until(&mut rest, b","), &[',', ' ']);
        if measurement.is_empty() {
            return Err("a measurement expected, got nothing".into());
        }
        let mut tags = BTreeMap::new();
        while let Some(after) = rest.strip_prefix(',') {
            rest = after;
            let tag = until(&mut rest, b",");
            let mut value = tag;
            let name = until(&mut value, b"=");
            let value = value.strip_prefix('=').unwrap_or_default();
            if name.is_empty() || value.is_empty() {
                return Err(format!("a tag as name=value expected, got {}", short(tag)));
            }
            let marks = [',', '=', ' '];
            if tags.insert(plain(name, &marks), plain(value, &marks)).is_some() {
                return Err(format!("the tag {} twice", short(name)));
            }
        }
        Ok(Identity { measurement, tags, field: Cow::default() })
    }
}

/// The rest of the line, whose end is taken too.
fn until_line<'a>(rest: &mut &'a str) -> &'a str {
    let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
    *rest = after;
    line
}

fn value<'a>(rest: &mut &'a str) -> Parsed<Value<'a>> {
    if let Some(inside) = rest.strip_prefix('"') {
        let mut is_escaped = false;
        let end = inside.bytes().position(|byte| {
            let ends = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            ends
        });
        let Some(end) = end else { return Err("a text whose quote is not closed".into()) };
        *rest = &inside[end + 1..];
        if !rest.is_empty() && !rest.starts_with([',', ' ', '\n', '\r']) {
            return Err(format!("an end of the text {} expected", short(&inside[..end])));
        }
        return Ok(Value::Text(plain(&inside[..end], &['"', '\\'])));
    }
    let word = until(rest, b", \n").trim_end_matches('\r');
    let number = |text: &str| text.bytes().all(|c| c.is_ascii_digit() || b"+-.eE".contains(&c));
    let (digits, unit) = word.split_at(word.len() - usize::from(word.ends_with(['i', 'u'])));
    let value = match (word, unit) {
        ("t" | "T" | "true" | "True" | "TRUE", _) => Some(Value::Boolean(true)),
        ("f" | "F" | "false" | "False" | "FALSE", _) => Some(Value::Boolean(false)),
        (_, "i") => digits.parse().ok().map(Value::Signed),
        (_, "u") => digits.parse().ok().map(Value::Positive),
        _ if number(word) => word.parse().ok().filter(|x: &f64| x.is_finite()).map(Value::Float),
        _ => None,
    };
    value.ok_or_else(|| {
        format!("a number, a text in quotes or a boolean expected, got {}", short(word))
    })
}

/// Reads all lines; what the file was taken for.
///
/// # Errors
/// [`Error::Invalid`](crate::Error::Invalid) if most lines are no points, or the times need a unit.
pub(super) fn read<'a>(
    text: &'a str,
    unit: Option<TimeUnit>,
    gathered: &mut Gathered<'_>,
) -> Result<String> {
    // As a rule the heads of lines come again as they are written.
    let mut known: HashMap<(&'a str, &'a str), usize> = HashMap::new();
    let (mut rest, mut number) = (text, 1);
    while !rest.is_empty() {
        let (begin, line) = (rest, number);
        let end = begin.find('\n').unwrap_or(begin.len());
        if is_passed_over(&begin[..end]) {
            until_line(&mut rest);
            number += 1;
            continue;
        }
        rest = rest.trim_start_matches(' ');
        let taken = Parts::take(&mut rest).and_then(|parts| {
            let is_known = known.contains_key(&(parts.head, parts.fields[0].0));
            let identity = if is_known { None } else { Some(parts.identity()?) };
            Ok((parts, identity))
        });
        match taken {
            Ok((mut parts, mut identity)) => {
                for (field, value) in std::mem::take(&mut parts.fields) {
                    let at = match known.get(&(parts.head, field)) {
                        Some(at) => *at,
                        None => {
                            let again = || parts.identity().expect("its first field was read");
                            let identity = identity.get_or_insert_with(again);
                            identity.field = plain(field, &[',', '=', ' ']);
                            let at = gathered.number(identity, &value)?;
                            known.insert((parts.head, field), at);
                            at
                        }
                    };
                    gathered.push(at, parts.time, value, line)?;
                }
                number += begin[..begin.len() - rest.len()].matches('\n').count() as u64;
            }
            Err(why) => {
                gathered.bad(line, &why)?;
                rest = begin;
                until_line(&mut rest);
                number += 1;
            }
        }
    }
    gathered.end()?;
    let (unit, said) = in_ns(unit, gathered)?;
    Ok(format!("line protocol of InfluxDB, timestamps in {unit}{said}"))
}

/// Makes ns of all times.
fn in_ns(unit: Option<TimeUnit>, gathered: &mut Gathered<'_>) -> Result<(TimeUnit, &'static str)> {
    let times = gathered.times().map(i128::from);
    if let (None, Some(why)) = (unit, TimeUnit::Ns.suspicion(times)) {
        let expected = "times of which --time-unit says the unit";
        return Err(crate::Error::invalid(gathered.location(), expected, why));
    }
    let said = if unit.is_some() { "" } else { ", as the protocol has it" };
    let (unit, location) = (unit.unwrap_or(TimeUnit::Ns), gathered.location().to_owned());
    gathered.map_times(|time| {
        let ns = i128::from(time) * i128::from(unit.ns());
        i64::try_from(ns).map_err(|_| unit.too_far(ns, &location))
    })?;
    Ok((unit, said))
}
