//! Records of a run: what it is, its config, history, summary and end.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::super::Report;
use super::super::message::{Fields, Value};
use super::super::run::Run;
use super::super::values::number;
use crate::array::Array;
use crate::kernel::json;

/// Objects in one another; deeper ones are passed over.
const MAX_DEPTH: usize = 32;

/// The records of a run, as far as they were read.
#[derive(Default)]
pub(super) struct Records {
    run: Run,
    config: Map<String, Json>,
    summary: Map<String, Json>,
    /// Records of measures of the machine, which have no step of their own.
    measures: i64,
    /// The exit code, of the last file.
    exit: Option<i64>,
    left_out: BTreeMap<&'static str, u64>,
    /// Records that are none.
    pub(super) wrong: u64,
}

impl Records {
    /// A run that was resumed goes on until the file says otherwise.
    pub(super) fn begin_file(&mut self) {
        self.exit = None;
    }

    /// Takes a record.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        if self.try_take(bytes).is_none() {
            self.wrong += 1;
        }
    }

    fn try_take(&mut self, bytes: &[u8]) -> Option<()> {
        for field in Fields(bytes) {
            let (number, value) = field?;
            let what = match number {
                2 => {
                    self.history(value)?;
                    continue;
                }
                3 => {
                    update(&mut self.summary, value)?;
                    continue;
                }
                5 => {
                    update(&mut self.config, value)?;
                    continue;
                }
                6 => {
                    self.files(value)?;
                    continue;
                }
                7 => {
                    self.measure(value)?;
                    continue;
                }
                17 => {
                    self.head(value)?;
                    continue;
                }
                18 => {
                    self.exit = Some(0);
                    for field in Fields(value.bytes()) {
                        if let (1, code) = field? {
                            self.exit = Some(code.int());
                        }
                    }
                    continue;
                }
                4 | 13 | 27 => "lines of output",
                8 | 25 => "artifacts",
                9 => "links to TensorBoard",
                10 => "alerts",
                12 => "definitions of metrics",
                26 => "environments",
                _ => continue, // numbers, headers, telemetry
            };
            *self.left_out.entry(what).or_default() += 1;
        }
        Some(())
    }

    /// `RunRecord`.
    fn head(&mut self, value: Value<'_>) -> Option<()> {
        let mut tags = Vec::new();
        for field in Fields(value.bytes()) {
            let (number, value) = field?;
            let name = match number {
                1 => {
                    self.run.id = value.text();
                    continue;
                }
                3 => {
                    self.run.experiment = Some((value.text(), Map::new()));
                    "project"
                }
                4 => {
                    update(&mut self.config, value)?;
                    continue;
                }
                5 => {
                    update(&mut self.summary, value)?;
                    continue;
                }
                10 => {
                    tags.push(json!(value.text()));
                    continue;
                }
                17 => {
                    self.run.start_us = self.run.start_us.or(timestamp_us(value)?);
                    continue;
                }
                2 => "entity",
                6 => "group",
                7 => "job_type",
                8 => "run_name",
                9 => "notes",
                12 => "sweep_id",
                13 => "host",
                _ => continue,
            };
            self.run.fact(name, Some(value.text()).filter(|text| !text.is_empty()));
        }
        if !tags.is_empty() {
            // Its tags are words without values.
            self.run.tags = tags
                .iter()
                .filter_map(Json::as_str)
                .map(|tag| (tag.to_owned(), Json::Bool(true)))
                .collect();
        }
        Some(())
    }

    /// `HistoryRecord`: what was logged in one call.
    fn history(&mut self, value: Value<'_>) -> Option<()> {
        let (mut items, mut step) = (Map::new(), None);
        for field in Fields(value.bytes()) {
            match field? {
                (1, field) => item(&mut items, field)?,
                (2, field) => {
                    step = Some(0);
                    for field in Fields(field.bytes()) {
                        if let (1, n) = field? {
                            step = Some(n.int());
                        }
                    }
                }
                _ => {}
            }
        }
        let own = items.remove("_step").and_then(|step| step.as_i64());
        let time = items.remove("_timestamp").and_then(|time| number(&time));
        let time_ms =
            time.map(|s| (s * 1e3).round()).filter(|ms| ms.abs() < 9e15).map(|ms| ms as i64);
        let at = (step.or(own)?, time_ms);
        for (name, value) in items {
            self.log(&name, at, value);
        }
        Some(())
    }

    /// A value of a name: a number, a text, a histogram, or an object of them, whose names have dots.
    fn log(&mut self, name: &str, at: (i64, Option<i64>), value: Json) {
        let left_out = &mut self.left_out;
        self.run.log(name, at, value, &mut |run, name, value| {
            let what = match value {
                Json::Null => "values that are null",
                Json::Object(object)
                    if object.get("_type").is_some_and(|kind| kind == "histogram") =>
                {
                    match histogram(&object) {
                        Some(array) => return run.array(name, at.0, array),
                        None => "histograms of another form",
                    }
                }
                Json::Object(object) if object.contains_key("_type") => "media and tables",
                _ => "lists among values",
            };
            *left_out.entry(what).or_default() += 1;
        });
    }

    /// `StatsRecord`: measures of the machine.
    fn measure(&mut self, value: Value<'_>) -> Option<()> {
        let (mut items, mut us) = (Map::new(), None);
        for field in Fields(value.bytes()) {
            match field? {
                (2, field) => us = timestamp_us(field)?,
                (3, field) => item(&mut items, field)?,
                _ => {}
            }
        }
        let at = (self.measures, us.map(|us| (us + 500).div_euclid(1_000)));
        self.measures += 1;
        for (name, value) in items {
            self.log(&format!("system/{name}"), at, value);
        }
        Some(())
    }

    /// `FilesRecord`: names of files.
    fn files(&mut self, value: Value<'_>) -> Option<()> {
        for field in Fields(value.bytes()) {
            if let (1, file) = field? {
                for field in Fields(file.bytes()) {
                    if let (1, path) = field? {
                        let path = path.text();
                        if !self.run.artifacts.contains(&path) {
                            self.run.artifacts.push(path);
                        }
                    }
                }
            }
        }
        Some(())
    }

    /// The run; nothing if no record said yet what it is.
    pub(super) fn finish(self, report: &mut Report) -> Option<Run> {
        let Records { mut run, mut config, mut summary, .. } = self;
        if run.id.is_empty() {
            return None;
        }
        for (what, n) in self.left_out {
            report.leave_out(what, n);
        }
        run.status = match self.exit {
            Some(0) => "completed",
            Some(_) => "failed",
            None => "running",
        };
        if self.exit.is_none() {
            let id = &run.id;
            report.notes.push(format!("run {id}: it has no end: it still runs, or was killed"));
        }
        run.error = self.exit.filter(|code| *code != 0).map(|code| format!("exit code {code}"));
        config.remove("_wandb");
        summary.remove("_wandb");
        (run.parameters, run.results) = (config, summary);
        run.origin = run.facts.get("project").and_then(Json::as_str).map(str::to_owned);
        Some(run)
    }
}

/// Takes the updates and removals of a config or a summary.
fn update(into: &mut Map<String, Json>, value: Value<'_>) -> Option<()> {
    for field in Fields(value.bytes()) {
        match field? {
            (1, field) => item(into, field)?,
            (2, field) => {
                let (path, _) = parts(field)?;
                remove(into, &path);
            }
            _ => {}
        }
    }
    Some(())
}

/// Puts an item where its key says: a name, or a path of names.
fn item(into: &mut Map<String, Json>, value: Value<'_>) -> Option<()> {
    let (path, value) = parts(value)?;
    let (last, before) = path.split_last()?;
    let mut object = into;
    for name in before.iter().take(MAX_DEPTH) {
        let next = object.entry(name.clone()).or_insert_with(|| Json::Object(Map::new()));
        if !next.is_object() {
            *next = Json::Object(Map::new());
        }
        object = next.as_object_mut()?;
    }
    object.insert(last.clone(), value?);
    Some(())
}

fn remove(from: &mut Map<String, Json>, path: &[String]) {
    let Some((last, before)) = path.split_last() else { return };
    let mut object = from;
    for name in before {
        match object.get_mut(name).and_then(Json::as_object_mut) {
            Some(next) => object = next,
            None => return,
        }
    }
    object.remove(last);
}

/// The path and the value of an item.
fn parts(item: Value<'_>) -> Option<(Vec<String>, Option<Json>)> {
    let (mut path, mut value) = (Vec::new(), None);
    for field in Fields(item.bytes()) {
        match field? {
            (1, key) if !key.bytes().is_empty() => path = vec![key.text()],
            (2, key) => path.push(key.text()),
            (3, _) => value = Some(Json::Null),
            (4, yes) => value = Some(json!(yes.int() != 0)),
            // ZigZag: the sign is the last bit.
            (5, n) => value = Some(json!((n.int() as u64 >> 1) as i64 ^ -(n.int() & 1))),
            (6, x) => value = Some(json::of_number(x.float())),
            (7, text) => value = Some(json!(text.text())),
            (8 | 16, text) => {
                value = Some(json::parse(std::str::from_utf8(text.bytes()).ok()?).ok()?)
            }
            _ => {}
        }
    }
    Some((path, value))
}

/// `Timestamp`, in µs; nothing of one beyond them.
fn timestamp_us(value: Value<'_>) -> Option<Option<i64>> {
    let (mut seconds, mut nanos) = (0, 0);
    for field in Fields(value.bytes()) {
        match field? {
            (1, n) => seconds = n.int(),
            (2, n) => nanos = n.int(),
            _ => {}
        }
    }
    Some(seconds.checked_mul(1_000_000).and_then(|us| us.checked_add(nanos / 1_000)))
}

/// A histogram of n buckets: the lower limit, the upper limit and the count of each.
fn histogram(object: &Map<String, Json>) -> Option<Array> {
    let list = |name: &str| -> Option<Vec<f64>> {
        object.get(name)?.as_array()?.iter().map(number).collect()
    };
    let (bins, values) = (list("bins")?, list("values")?);
    if bins.len() != values.len() + 1 {
        return None;
    }
    let buckets: Vec<f64> =
        values.iter().enumerate().flat_map(|(i, n)| [bins[i], bins[i + 1], *n]).collect();
    Array::from_slice(&buckets).reshape(vec![values.len(), 3]).ok()
}
