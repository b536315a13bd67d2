//! A run, in the one shape that every tracker's is brought into.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::super::id::is_id;
use super::Found;
use super::values::{digits, number};
use crate::Array;

/// A value of a metric.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    /// The index of its name.
    pub(super) name: u32,
    pub(super) step: i64,
    /// When it was logged, in ms since 1970-01-01 UTC.
    pub(super) time_ms: Option<i64>,
    pub(super) value: f64,
}

/// A text that was logged at a step.
#[derive(Debug, Clone)]
pub(super) struct Text {
    pub(super) name: String,
    pub(super) step: i64,
    pub(super) time_ms: Option<i64>,
    pub(super) text: String,
}

/// What is known of a histogram beside its buckets, which are an array of the same name.
#[derive(Debug, Clone)]
pub(super) struct Moments {
    pub(super) name: String,
    pub(super) step: i64,
    pub(super) time_ms: Option<i64>,
    /// min, max, num, sum, sum_squares.
    pub(super) values: [f64; 5],
}

/// A run of a tracker.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) id: String,
    /// The name of its experiment, and what is known of that.
    pub(super) experiment: Option<(String, Map<String, Value>)>,
    /// In the store's words.
    pub(super) status: &'static str,
    /// Why it failed.
    pub(super) error: Option<String>,
    /// µs since 1970-01-01 UTC.
    pub(super) start_us: Option<i64>,
    pub(super) end_us: Option<i64>,
    pub(super) parameters: Map<String, Value>,
    pub(super) results: Map<String, Value>,
    pub(super) tags: Map<String, Value>,
    /// The id of the run that it belongs to.
    pub(super) parent: Option<String>,
    /// Names of its files.
    pub(super) artifacts: Vec<String>,
    /// What else is known of it.
    pub(super) facts: Map<String, Value>,
    /// What tells it from a run of the same id in another folder, where ids are not unique.
    pub(super) origin: Option<String>,
    /// The names of its metrics.
    pub(super) names: Vec<String>,
    /// The number of each name.
    pub(super) numbers: HashMap<String, u32>,
    /// In the order in which they were logged: of those of one name and step the last counts.
    pub(super) points: Vec<Point>,
    pub(super) texts: Vec<Text>,
    pub(super) moments: Vec<Moments>,
    /// Name, step and items; of those of one name and step the last counts.
    pub(super) arrays: Vec<(String, i64, Array)>,
    /// Points, texts and arrays whose names or steps the store does not take.
    pub(super) unnamed: u64,
    /// Integers that no float is equal to, and the first of them with its name.
    pub(super) inexact: (u64, Option<String>),
}

/// How deep objects may lie in what was logged.
const MAX_DEPTH: usize = 32;

impl Run {
    /// Adds what was logged by a name: a number, a text, or an object of them, whose names have dots. What is none of these goes
    /// to `other`, with its name.
    pub(super) fn log(
        &mut self,
        name: &str,
        at: (i64, Option<i64>),
        value: Value,
        other: &mut dyn FnMut(&mut Run, &str, Value),
    ) {
        self.log_within((name, 0), at, value, other);
    }

    fn log_within(
        &mut self,
        (name, depth): (&str, usize),
        at: (i64, Option<i64>),
        value: Value,
        other: &mut dyn FnMut(&mut Run, &str, Value),
    ) {
        match (number(&value), value) {
            (Some(x), _) => self.point(name, at.0, at.1, x),
            (None, Value::String(text)) => self.text(name, at.0, at.1, &text),
            (None, value) => match (digits(&value), value) {
                (Some(n), _) => {
                    self.inexact.0 += 1;
                    self.inexact.1.get_or_insert_with(|| format!("{n} of {name}"));
                }
                (None, Value::Object(parts))
                    if depth < MAX_DEPTH && !parts.contains_key("_type") =>
                {
                    for (part, value) in parts {
                        self.log_within((&format!("{name}.{part}"), depth + 1), at, value, other);
                    }
                }
                (None, value) => other(self, name, value),
            },
        }
    }
    /// Arrays that were logged again at their step: the last of each counts.
    pub(super) fn repeated_arrays(&self) -> u64 {
        let kept: HashSet<_> = self.arrays.iter().map(|(name, step, _)| (name, step)).collect();
        (self.arrays.len() - kept.len()) as u64
    }

    /// The number of a metric's name; none of what cannot be a name.
    pub(super) fn name(&mut self, name: &str) -> Option<u32> {
        if let Some(number) = self.numbers.get(name) {
            return Some(*number);
        }
        if !is_id(name) {
            return None;
        }
        let number = u32::try_from(self.names.len()).ok()?;
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        Some(number)
    }

    /// Adds a point.
    pub(super) fn point(&mut self, name: &str, step: i64, time_ms: Option<i64>, value: f64) {
        match self.name(name) {
            Some(name) => self.points.push(Point { name, step, time_ms, value }),
            None => self.unnamed += 1,
        }
    }

    /// Adds a text.
    pub(super) fn text(&mut self, name: &str, step: i64, time_ms: Option<i64>, text: &str) {
        if is_id(name) && step >= 0 {
            let (name, text) = (name.to_owned(), text.to_owned());
            self.texts.push(Text { name, step, time_ms, text });
        } else {
            self.unnamed += 1;
        }
    }

    /// Adds an array.
    pub(super) fn array(&mut self, name: &str, step: i64, array: Array) {
        match is_id(name) && step >= 0 {
            true => self.arrays.push((name.to_owned(), step, array)),
            false => self.unnamed += 1,
        }
    }

    /// Adds what is known, if it is.
    pub(super) fn fact(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.facts.insert(name.to_owned(), value.into());
        }
    }

    /// Sorts its points by name and step.
    pub(super) fn sort(&mut self) {
        self.points.sort_by_key(|point| (point.name, point.step)); // stable: the last of equals came last
    }

    /// Whether nothing more is logged to it, as far as its tracker says.
    pub(super) fn is_over(&self) -> bool {
        !matches!(self.status, "running" | "pending")
    }

    /// Puts a text in front of its id, and of its parent's.
    pub(super) fn add_prefix(&mut self, prefix: &str) {
        self.id.insert_str(0, prefix);
        if let Some(parent) = &mut self.parent {
            parent.insert_str(0, prefix);
        }
    }

    pub(super) fn count(&self) -> Found {
        Found {
            runs: 1,
            parameters: self.parameters.len() as u64,
            tags: self.tags.len() as u64,
            metrics: self.names.len() as u64,
            points: self.points.len() as u64,
            texts: self.texts.len() as u64,
            arrays: self.arrays.len() as u64,
            artifacts: self.artifacts.len() as u64,
        }
    }

    /// What the simulation's provenance says of it.
    pub(super) fn provenance(&self, kind: super::Kind) -> Map<String, Value> {
        let mut facts = Map::new();
        facts.insert("tracker".into(), kind.name().into());
        let texts = [("origin", &self.origin), ("parent", &self.parent)];
        for (name, value) in texts {
            if let Some(value) = value {
                facts.insert(name.into(), value.as_str().into());
            }
        }
        facts.extend(self.facts.clone());
        if !self.tags.is_empty() {
            facts.insert("tags".into(), Value::Object(self.tags.clone()));
        }
        if !self.artifacts.is_empty() {
            facts.insert("artifacts".into(), json!(self.artifacts));
        }
        facts
    }
}
