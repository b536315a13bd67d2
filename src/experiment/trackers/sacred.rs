//! Sacred's file store: a folder a run, with `run.json`, `config.json` and `metrics.json`.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::files::{list, text, text_if_there};
use super::run::Run;
use super::values::{number, time_ms, time_us};
use super::{Report, Source};
use crate::error::{Error, Result};
use crate::kernel::{Skipped, json};

/// The runs of a folder, by their ids.
struct Runs(Vec<(String, PathBuf)>);

/// Opens a folder of runs.
pub(super) fn open(path: &Path, report: &mut Report) -> Result<Box<dyn Source>> {
    let listing = list(path)?;
    report.skipped.extend(listing.skipped);
    let mut runs = Vec::new();
    for (name, folder) in listing.folders {
        match name.as_str() {
            _ if folder.join("run.json").exists() => runs.push((name, folder)),
            "_sources" => report.leave_out("source files", list(&folder)?.files.len() as u64),
            "_resources" => report.leave_out("resources", list(&folder)?.files.len() as u64),
            _ => report.leave_out("folders without a run.json", 1),
        }
    }
    if runs.is_empty() {
        let expected = "a folder of Sacred's file store: folders with a run.json";
        return Err(Error::invalid(path.display().to_string(), expected, "a folder without"));
    }
    // Its ids are numbers as a rule.
    runs.sort_by_cached_key(|(name, _)| (name.parse::<u64>().unwrap_or(u64::MAX), name.clone()));
    report.understood = format!("a file store of Sacred, {}", path.display());
    Ok(Box::new(Runs(runs)))
}

impl Source for Runs {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn location(&self, run: usize) -> PathBuf {
        self.0[run].1.clone()
    }

    fn read(&self, i: usize, report: &mut Report) -> Result<Option<Run>> {
        let (id, folder) = &self.0[i];
        let path = folder.join("run.json");
        let mut entry = object(&path, &text(&path)?)?;
        let mut optional = |name: &str| -> Result<Map<String, Value>> {
            let path = folder.join(name);
            let read = text_if_there(&path)
                .and_then(|text| text.map(|text| object(&path, &text)).transpose());
            match read {
                Ok(found) => Ok(found.unwrap_or_default()),
                // The rest of the run is read all the same.
                Err(error) if error.concerns(&path) => {
                    report.skipped.push(Skipped::new(path, error));
                    Ok(Map::new())
                }
                Err(other) => Err(other),
            }
        };
        let (parameters, info) = (optional("config.json")?, optional("info.json")?);
        let metrics = optional("metrics.json")?;
        let mut run = Run { id: id.clone(), parameters, ..Run::default() };
        run.status = match entry.get("status").and_then(Value::as_str) {
            Some("QUEUED") => "pending",
            Some("RUNNING") => "running",
            Some("COMPLETED") => "completed",
            Some("FAILED") => "failed",
            Some("INTERRUPTED" | "TIMED_OUT") => "stopped",
            Some("DIED") => "crashed",
            _ => "unknown",
        };
        let time = |name: &str| entry.get(name).and_then(Value::as_str);
        (run.start_us, run.end_us) =
            (time("start_time").and_then(time_us), time("stop_time").and_then(time_us));
        run.origin = time("start_time").map(str::to_owned);
        run.error = entry.get("fail_trace").and_then(Value::as_array).map(|lines| {
            lines.iter().filter_map(Value::as_str).collect::<String>().trim_end().to_owned()
        });
        if let Some(result) = entry.remove("result").filter(|result| !result.is_null()) {
            run.results.insert("result".into(), result);
        }
        let experiment = entry.get("experiment");
        let name = experiment.and_then(|experiment| experiment["name"].as_str());
        run.experiment = name.map(|name| (name.to_owned(), Map::new()));
        let artifacts = entry.remove("artifacts");
        run.artifacts = (artifacts.as_ref().and_then(Value::as_array).into_iter().flatten())
            .filter_map(|name| name.as_str().or_else(|| name["name"].as_str()).map(str::to_owned))
            .collect();
        for key in ["command", "experiment", "host", "meta", "resources"] {
            run.fact(key, entry.remove(key));
        }
        run.fact("info", Some(info).filter(|info| !info.is_empty()).map(Value::Object));
        report.leave_out("captured outputs", u64::from(folder.join("cout.txt").exists()));
        let wrong = metrics.iter().map(|(name, metric)| points(&mut run, name, metric)).sum();
        if wrong > 0 {
            let why = "a value that is no number, a step that is no integer, or lists of different lengths";
            let path = folder.join("metrics.json");
            report.skipped.push(Skipped::new(path, why).table("points").rows(wrong));
        }
        Ok(Some(run))
    }
}

/// The object that a file of JSON is; a live one may have been read while it was written.
fn object(path: &Path, text: &str) -> Result<Map<String, Value>> {
    let damaged = |why: String| Error::Corrupt {
        location: path.display().to_string(),
        what: "the JSON".into(),
        why: format!("{why}; if the run goes on, it may just be written: import again"),
    };
    match json::parse(text).map_err(|e| damaged(e.to_string()))? {
        Value::Object(object) => Ok(object),
        _ => Err(damaged("it is not an object".into())),
    }
}

/// Takes the points of a metric; how many are none.
fn points(run: &mut Run, name: &str, metric: &Value) -> u64 {
    let list = |key: &str| metric[key].as_array().map(Vec::as_slice).unwrap_or_default();
    let (values, steps, times) = (list("values"), list("steps"), list("timestamps"));
    let mut wrong = values.len().abs_diff(steps.len()) as u64;
    for (i, (value, step)) in values.iter().zip(steps).enumerate() {
        let time = times.get(i).and_then(Value::as_str).and_then(time_ms);
        match (number(value), step.as_i64()) {
            (Some(value), Some(step)) => run.point(name, step, time, value),
            _ => wrong += 1,
        }
    }
    wrong
}
