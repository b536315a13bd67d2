//! The points of a file, by series.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampNanosecondArray,
    UInt64Array,
};
use serde_json::json;

use super::InfluxOptions;
use crate::error::{Error, Result};
use crate::kernel::Skipped;
use crate::series::data::{Metadata, Series};
use crate::series::index::IndexMetadata;
use crate::series::text::{MOST_BYTES, Room};

/// Lines that are named.
const NAMED: usize = 3;
/// And those of a dry run.
const NAMED_DRY: usize = 1_000;
/// So many bad lines, and more than good ones, are a file that is none.
const MOST_BAD: u64 = 100;

/// A value of a field.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    Float(f64),
    Signed(i64),
    Positive(u64),
    Boolean(bool),
    Text(Cow<'a, str>),
}

#[derive(Debug)]
enum Values {
    Float(Vec<f64>),
    Signed(Vec<i64>),
    Positive(Vec<u64>),
    Boolean(Vec<bool>),
    Text(Vec<String>),
}

impl Values {
    fn of(value: &Value<'_>) -> Self {
        match value {
            Value::Float(_) => Values::Float(Vec::new()),
            Value::Signed(_) => Values::Signed(Vec::new()),
            Value::Positive(_) => Values::Positive(Vec::new()),
            Value::Boolean(_) => Values::Boolean(Vec::new()),
            Value::Text(_) => Values::Text(Vec::new()),
        }
    }

    fn in_words(&self) -> &'static str {
        match self {
            Values::Float(_) => "floats",
            Values::Signed(_) => "integers",
            Values::Positive(_) => "unsigned integers",
            Values::Boolean(_) => "booleans",
            Values::Text(_) => "texts",
        }
    }

    /// Whether the value is of its type, and is taken.
    fn push(&mut self, value: Value<'_>) -> bool {
        match (self, value) {
            (Values::Float(all), Value::Float(value)) => all.push(value),
            (Values::Signed(all), Value::Signed(value)) => all.push(value),
            (Values::Positive(all), Value::Positive(value)) => all.push(value),
            (Values::Boolean(all), Value::Boolean(value)) => all.push(value),
            (Values::Text(all), Value::Text(value)) => all.push(value.into_owned()),
            _ => return false,
        }
        true
    }

    /// Those of these rows.
    fn array(&self, rows: &[usize]) -> ArrayRef {
        let rows = rows.iter();
        match self {
            Values::Float(all) => Arc::new(Float64Array::from_iter_values(rows.map(|i| all[*i]))),
            Values::Signed(all) => Arc::new(Int64Array::from_iter_values(rows.map(|i| all[*i]))),
            Values::Positive(all) => Arc::new(UInt64Array::from_iter_values(rows.map(|i| all[*i]))),
            Values::Boolean(all) => Arc::new(rows.map(|i| Some(all[*i])).collect::<BooleanArray>()),
            Values::Text(all) => Arc::new(StringArray::from_iter_values(rows.map(|i| &all[*i]))),
        }
    }
}

/// What tells a series: its measurement, tags and field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity<'a> {
    pub(super) measurement: Cow<'a, str>,
    pub(super) tags: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    pub(super) field: Cow<'a, str>,
}

/// A text with a backslash before each of these marks, and before each one that stands before a mark or the end.
fn escaped(text: &str, marks: &[char]) -> String {
    let (mut escaped, mut before) = (String::with_capacity(text.len()), 0);
    for c in text.chars() {
        if marks.contains(&c) {
            escaped.extend(std::iter::repeat_n('\\', before + 1));
        }
        before = if c == '\\' { before + 1 } else { 0 };
        escaped.push(c);
    }
    escaped.extend(std::iter::repeat_n('\\', before));
    escaped
}

impl Identity<'_> {
    /// Its key; different ones have different keys.
    fn key(&self, prefix: &str) -> String {
        let mut key = prefix.to_owned();
        key.push_str(&escaped(&self.measurement, &[',']));
        for (name, value) in &self.tags {
            let (name, value) = (escaped(name, &[',', '=']), escaped(value, &[',', '=']));
            key.push_str(&format!(",{name}={value}"));
        }
        key + "/" + &escaped(&self.field, &['/'])
    }

    fn is_of(&self, head: &Head) -> bool {
        let tags = head.tags.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let own = self.tags.iter().map(|(name, value)| (&**name, &**value));
        self.measurement == head.measurement && own.eq(tags)
    }

    fn head(&self) -> Head {
        let text = |text: &Cow<'_, str>| text.clone().into_owned();
        let tags = self.tags.iter().map(|(name, value)| (text(name), text(value)));
        Head { measurement: text(&self.measurement), tags: tags.collect() }
    }
}

/// A measurement and its tags, which the series of a line share.
#[derive(Debug)]
struct Head {
    measurement: String,
    tags: Vec<(String, String)>,
}

impl Head {
    fn bytes(&self) -> u64 {
        let tags = self.tags.iter().map(|(name, value)| 96 + name.len() + value.len());
        (64 + self.measurement.len() + tags.sum::<usize>()) as u64
    }
}

/// The points of one series, in the order of the file.
#[derive(Debug)]
pub(super) struct Gathering {
    pub(super) key: String,
    head: Arc<Head>,
    field: String,
    times: Vec<i64>,
    values: Values,
}

impl Gathering {
    pub(super) fn metadata(&self) -> Metadata {
        let tags = self.head.tags.iter().map(|(name, value)| (name.clone(), json!(value)));
        let mut metadata = Metadata::new();
        metadata.insert("measurement".into(), json!(self.head.measurement));
        metadata.insert("tags".into(), tags.collect::<Metadata>().into());
        metadata.insert("field".into(), json!(self.field));
        metadata
    }

    /// The series, and the points that are not in it since a later one is of the same time.
    pub(super) fn series(&self) -> Result<(Series, u64)> {
        let mut rows: Vec<usize> = (0..self.times.len()).collect();
        rows.sort_by_key(|row| self.times[*row]);
        let all = rows.len();
        let (mut kept, mut rest) = (Vec::with_capacity(all), rows.iter().peekable());
        while let Some(row) = rest.next() {
            if rest.peek().is_none_or(|next| self.times[**next] != self.times[*row]) {
                kept.push(*row);
            }
        }
        let times = kept.iter().map(|row| self.times[*row]);
        let index = TimestampNanosecondArray::from_iter_values(times).with_timezone("UTC");
        let series = Series::new(Arc::new(index), self.values.array(&kept))?;
        let known = IndexMetadata {
            kind: "DatetimeIndex".into(),
            name: Some("time".into()),
            time_zone: Some("UTC".into()),
            ..IndexMetadata::default()
        };
        Ok((series.with_index_metadata(known).with_name(&self.field), (all - kept.len()) as u64))
    }

    /// A time at which two points have different values.
    pub(super) fn contradiction(&self) -> Option<i64> {
        let mut rows: Vec<usize> = (0..self.times.len()).collect();
        rows.sort_by_key(|row| self.times[*row]);
        let mut pairs = rows.iter().zip(rows.iter().skip(1));
        let pair = pairs.find(|(one, other)| {
            self.times[**one] == self.times[**other]
                && self.values.array(&[**one]).to_data() != self.values.array(&[**other]).to_data()
        });
        pair.map(|(row, _)| self.times[*row])
    }
}

/// All series of a file, and the lines that could not be read.
pub(super) struct Gathered<'p> {
    pub(super) path: &'p Path,
    prefix: String,
    by_key: HashMap<String, usize>,
    pub(super) all: Vec<Gathering>,
    points: u64,
    bad: u64,
    named: Vec<String>,
    most_named: usize,
    pub(super) notes: Vec<String>,
    location: String,
    bytes: u64,
}

impl<'p> Gathered<'p> {
    pub(super) fn new(path: &'p Path, options: &InfluxOptions) -> Self {
        let prefix = options.key.as_ref().map(|prefix| format!("{prefix}/"));
        Gathered {
            path,
            prefix: prefix.unwrap_or_default(),
            most_named: if options.names_all { NAMED_DRY } else { NAMED },
            by_key: HashMap::new(),
            all: Vec::new(),
            points: 0,
            bad: 0,
            named: Vec::new(),
            notes: Vec::new(),
            location: path.display().to_string(),
            bytes: 0,
        }
    }

    /// The number of a series, which begins with values like this one if it is new.
    ///
    /// # Errors
    /// [`Error::Invalid`] if memory for all of them runs out.
    pub(super) fn number(&mut self, identity: &Identity<'_>, like: &Value<'_>) -> Result<usize> {
        let key = identity.key(&self.prefix);
        if let Some(at) = self.by_key.get(&key) {
            return Ok(*at);
        }
        let at = self.all.len();
        let field = identity.field.clone().into_owned();
        let last = self.all.last().map(|last| &last.head).filter(|head| identity.is_of(head));
        let head = last.cloned().unwrap_or_else(|| {
            let head = identity.head();
            self.bytes += head.bytes();
            Arc::new(head)
        });
        self.bytes += 3 * key.len() as u64 + 256;
        Room::of(&self.location, MOST_BYTES).take(self.bytes)?;
        self.by_key.insert(key.clone(), at);
        let (times, values) = (Vec::new(), Values::of(like));
        self.all.push(Gathering { key, head, field, times, values });
        Ok(at)
    }

    /// Takes a point.
    ///
    /// # Errors
    /// [`Error::Invalid`] if memory for all of them runs out.
    pub(super) fn push(
        &mut self,
        series: usize,
        time: i64,
        value: Value<'_>,
        line: u64,
    ) -> Result<()> {
        self.bytes += match &value {
            Value::Text(text) => 32 + text.len() as u64,
            _ => 16,
        };
        Room::of(&self.location, MOST_BYTES).take(self.bytes)?;
        let series = &mut self.all[series];
        if series.values.push(value) {
            series.times.push(time);
            self.points += 1;
            return Ok(());
        }
        let why = format!("{:?} has {} before", series.key, series.values.in_words());
        self.bad(line, &why)
    }

    /// Notes something, once.
    pub(super) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// The times of all points.
    pub(super) fn times(&self) -> impl Iterator<Item = i64> + Clone {
        self.all.iter().flat_map(|series| series.times.iter().copied())
    }

    /// The times of all points, changed by one function.
    pub(super) fn map_times(&mut self, map: impl Fn(i64) -> Result<i64>) -> Result<()> {
        let mut times = self.all.iter_mut().flat_map(|series| &mut series.times);
        times.try_for_each(|time| map(*time).map(|mapped| *time = mapped))
    }

    /// Notes a line that could not be read.
    ///
    /// # Errors
    /// [`Error::Invalid`] if most lines are such.
    pub(super) fn bad(&mut self, line: u64, why: &str) -> Result<()> {
        self.note_bad(line, why);
        self.check(self.bad >= MOST_BAD && self.bad > self.points)
    }

    pub(super) fn note_bad(&mut self, line: u64, why: &str) {
        self.bad += 1;
        if self.named.len() < self.most_named {
            self.named.push(format!("line {line}: {why}"));
        }
    }

    /// At the end of the file.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it has no point.
    pub(super) fn end(&self) -> Result<()> {
        self.check(self.points == 0)
    }

    fn check(&self, is_hopeless: bool) -> Result<()> {
        let first = &self.named[..self.named.len().min(NAMED)];
        let got = if first.is_empty() { "none".into() } else { first.join("; ") };
        match is_hopeless {
            true => Err(Error::invalid(&self.location, "points that can be read", got)),
            false => Ok(()),
        }
    }

    pub(super) fn location(&self) -> &str {
        &self.location
    }

    pub(super) fn skipped(&self) -> Option<Skipped> {
        let more = if self.bad > self.most_named as u64 { "; ..." } else { "" };
        let lines = if self.bad == 1 { "line" } else { "lines" };
        let reason = format!("{} {lines}: {}{more}", self.bad, self.named.join("; "));
        (self.bad > 0).then(|| Skipped::new(PathBuf::from(self.path), reason).rows(self.bad))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: series that differ have keys that differ, whatever their names.
    #[test]
    fn keys_tell_series_apart() {
        let key = |measurement: &'static str,
                   tags: &[(&'static str, &'static str)],
                   field: &'static str| {
            let tags = tags.iter().map(|(name, value)| ((*name).into(), (*value).into()));
            let (measurement, field) = (measurement.into(), field.into());
            Identity { measurement, tags: tags.collect(), field }.key("")
        };
        for (key, expected) in [
            (key("a", &[], "b"), "a/b"),
            (key("a,h=x", &[], "b"), r"a\,h=x/b"),
            (key(r"a\", &[("h", "x")], "b"), r"a\\,h=x/b"),
            (key(r"a\,h=x", &[], "b"), r"a\\\,h=x/b"),
            (key("a", &[("h", r"C:\d\"), ("k=", ",")], "b"), r"a,h=C:\d\\,k\==\,/b"),
            (key("a", &[], "b/c"), r"a/b\/c"),
            (key("a/b", &[], "c"), "a/b/c"),
        ] {
            assert_eq!(key, expected);
        }
    }
    /// Goal: the tags of a line are in memory once for all of its fields, and count.
    #[test]
    fn the_series_of_a_line_share_its_tags() {
        let mut gathered = Gathered::new(Path::new("file"), &InfluxOptions::default());
        let of = |field: &'static str, value: &str| {
            let tags = (0..3_000).map(|n| (format!("t{n}").into(), value.to_owned().into()));
            Identity { measurement: "m".into(), tags: tags.collect(), field: field.into() }
        };
        let mut grown = Vec::new();
        for identity in [of("a", "v"), of("b", "v"), of("b", "w"), of("b", "w")] {
            let before = gathered.bytes;
            gathered.number(&identity, &Value::Float(1.0)).unwrap();
            grown.push(gathered.bytes - before);
        }
        let key = 3 * gathered.all[0].key.len() as u64 + 256;
        assert_eq!((grown[1], grown[3]), (key, 0));
        assert!(grown[0] > key + 3_000 * 96 && grown[2] == grown[0], "{grown:?}");
        assert!(Arc::ptr_eq(&gathered.all[0].head, &gathered.all[1].head));
        assert_eq!(gathered.all[1].metadata()["tags"]["t7"], "v");
    }
}
