//! Events: values of metrics, histograms, texts, hyperparameters.

use std::collections::{BTreeMap, HashMap};

use super::super::message::{Fields, Value};
use super::super::run::{Moments, Run};
use super::hparams;
use super::tensor::{self, Tensor};
use crate::array::{Array, Kind};

/// The events of a run, as far as they were read.
#[derive(Default)]
pub(super) struct Events {
    pub(super) run: Run,
    /// How many there were.
    pub(super) n: u64,
    /// The plugin of a tag: only the first event of it has one.
    plugins: HashMap<String, String>,
    /// What was passed over, and how often.
    pub(super) left_out: BTreeMap<String, u64>,
}

/// When a value was logged.
#[derive(Clone, Copy)]
struct At {
    step: i64,
    time_ms: Option<i64>,
}

impl Events {
    /// Takes an event; `None` for what is none, of which nothing is taken.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Option<()> {
        let (mut wall_s, mut step, mut summary) = (0.0, 0, None);
        for field in Fields(bytes) {
            match field? {
                (1, value) => wall_s = value.float(),
                (2, value) => step = value.int(),
                (5, value) => summary = Some(value.bytes()),
                (4, _) => self.leave_out("graphs"),
                (6, _) => self.leave_out("messages of a log"),
                (7, _) => self.leave_out("starts and ends of sessions"),
                (8 | 9, _) => self.leave_out("metadata of runs and graphs"),
                _ => {}
            }
        }
        // Each rounded once: the nearest ms is not always that of the nearest µs.
        let nearest = |unit: f64| (wall_s * unit).round() as i64;
        let is_time = wall_s > 0.0 && wall_s < 9e12;
        if self.run.start_us.is_none() {
            self.run.start_us = is_time.then(|| nearest(1e6));
        }
        let at = At { step, time_ms: is_time.then(|| nearest(1e3)) };
        // The whole of it is looked at before any of it is taken.
        let Some(summary) = summary else { return Some(()) };
        if Fields(summary).any(|field| field.is_none()) {
            return None;
        }
        for (number, value) in Fields(summary).flatten() {
            if number == 1 && self.value(value.bytes(), at).is_none() {
                self.leave_out("values that are none");
            }
        }
        Some(())
    }

    fn leave_out(&mut self, what: &str) {
        match self.left_out.get_mut(what) {
            Some(n) => *n += 1,
            None => drop(self.left_out.insert(what.to_owned(), 1)),
        }
    }

    /// Takes a value of a summary.
    fn value(&mut self, bytes: &[u8], at: At) -> Option<()> {
        let (mut tag, mut node, mut plugin, mut value) = (None, None, None, None);
        for field in Fields(bytes) {
            match field? {
                (1, field) => tag = Some(field.bytes()),
                (7, field) => node = Some(field.bytes()),
                (9, field) => plugin = plugin_of(field.bytes())?,
                field @ (2..=6 | 8, _) => value = Some(field),
                _ => {}
            }
        }
        let tag = String::from_utf8_lossy(tag.or(node)?);
        if let Some((name, content)) = plugin {
            if name == hparams::PLUGIN {
                if !hparams::take(&mut self.run, content)? {
                    self.leave_out("declarations of hyperparameters");
                }
                return Some(());
            }
            if !self.plugins.contains_key(&*tag) {
                self.plugins.insert(tag.clone().into_owned(), name);
            }
        }
        match value {
            Some((2, value)) => self.run.point(&tag, at.step, at.time_ms, value.float()),
            Some((5, value)) => self.histogram(&tag, value, at)?,
            Some((8, value)) => self.tensor(&tag, value.bytes(), at)?,
            Some((4, _)) => self.leave_out("images"),
            Some((6, _)) => self.leave_out("audio"),
            Some(_) => self.leave_out("histograms of an old form"),
            None => self.leave_out("values without a value"),
        }
        Some(())
    }

    fn tensor(&mut self, tag: &str, bytes: &[u8], at: At) -> Option<()> {
        let plugin = self.plugins.get(tag).map_or("", String::as_str);
        match tensor::read(bytes) {
            Some(Tensor::Numbers(array)) => {
                let is_scalar = array.len() == 1 && matches!(plugin, "scalars" | "");
                let is_float = matches!(array.dtype().kind(), Kind::Float);
                match scalar(&array).filter(|_| is_scalar && is_float) {
                    Some(value) => self.run.point(tag, at.step, at.time_ms, value),
                    None => self.array(tag, at, array),
                }
            }
            Some(Tensor::Texts(texts)) if matches!(plugin, "text" | "") => {
                for text in texts {
                    match std::str::from_utf8(text) {
                        Ok(text) => self.run.text(tag, at.step, at.time_ms, text),
                        Err(_) => self.leave_out("texts that are not UTF-8"),
                    }
                }
            }
            Some(Tensor::Texts(_)) => {
                let what = format!("values of the plugin {plugin:?}");
                self.leave_out(&what);
            }
            None => self.leave_out("tensors without a numpy dtype"),
        }
        Some(())
    }

    fn array(&mut self, tag: &str, at: At, array: Array) {
        let fits = array.data().len() <= Array::MAX_STORED_BYTES;
        if fits {
            self.run.array(tag, at.step, array);
        } else {
            self.leave_out("arrays of more than a gigabyte");
        }
    }

    /// `HistogramProto`: its buckets are an array of two columns, the upper limit and the count of each.
    fn histogram(&mut self, tag: &str, value: Value<'_>, at: At) -> Option<()> {
        let (mut values, mut limits, mut counts) = ([0.0; 5], Vec::new(), Vec::new());
        for field in Fields(value.bytes()) {
            match field? {
                (number @ 1..=5, value) => values[number as usize - 1] = value.float(),
                (6, value) => doubles(value, &mut limits)?,
                (7, value) => doubles(value, &mut counts)?,
                _ => {}
            }
        }
        if limits.len() != counts.len() {
            return None;
        }
        if !is_name(tag) || at.step < 0 {
            self.run.unnamed += 1;
            return Some(());
        }
        let name = tag.to_owned();
        self.run.moments.push(Moments { name, step: at.step, time_ms: at.time_ms, values });
        let n = limits.len();
        let buckets: Vec<f64> = limits.into_iter().zip(counts).flat_map(|(l, c)| [l, c]).collect();
        let array = Array::from_slice(&buckets).reshape(vec![n, 2]).expect("two numbers a bucket");
        self.array(tag, at, array);
        Some(())
    }
}

fn is_name(tag: &str) -> bool {
    crate::experiment::id::is_id(tag)
}

/// The one item of an array of floats.
fn scalar(array: &Array) -> Option<f64> {
    match array.dtype().item_size() {
        8 => array.to_vec::<f64>()?.first().copied(),
        4 => array.to_vec::<f32>()?.first().map(|x| f64::from(*x)),
        _ => None,
    }
}

/// The name of the plugin in a value's metadata, and what it keeps there.
fn plugin_of(metadata: &[u8]) -> Option<Option<(String, &[u8])>> {
    let (mut name, mut content) = (None, &[][..]);
    for field in Fields(metadata) {
        if let (1, plugin) = field? {
            for field in Fields(plugin.bytes()) {
                match field? {
                    (1, value) => name = Some(value.text()),
                    (2, value) => content = value.bytes(),
                    _ => {}
                }
            }
        }
    }
    Some(name.map(|name| (name, content)))
}

/// Doubles that stand packed, or one by one.
fn doubles(value: Value<'_>, into: &mut Vec<f64>) -> Option<()> {
    match value {
        Value::Fixed64(bits) => into.push(f64::from_bits(bits)),
        Value::Bytes(bytes) => {
            let (items, rest) = bytes.as_chunks::<8>();
            if !rest.is_empty() {
                return None;
            }
            into.extend(items.iter().map(|item| f64::from_le_bytes(*item)));
        }
        _ => return None,
    }
    Some(())
}
