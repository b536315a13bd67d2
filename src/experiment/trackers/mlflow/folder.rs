//! The folder `mlruns`: a folder an experiment, in it a folder a run, in that a file a parameter, tag and metric.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::super::files::{Listing, list, text, text_if_there, walk_within};
use super::super::run::Run;
use super::super::{Report, Source};
use super::{Experiment, finish, status, yaml};
use crate::error::{Error, Result};
use crate::kernel::{Skipped, check_interrupted, open_file};

/// The longest line of a metric, in bytes.
const LONGEST: u64 = 4 << 10;

/// The runs of a folder.
pub(super) struct Runs {
    experiments: Vec<Experiment>,
    /// The index of the experiment, the folder, what its `meta.yaml` says.
    runs: Vec<(usize, PathBuf, HashMap<String, String>)>,
}

impl Runs {
    /// The runs of a folder; nothing if no experiment of MLflow is in it.
    pub(super) fn open(path: &Path, report: &mut Report) -> Result<Option<Self>> {
        let mut runs = Runs { experiments: Vec::new(), runs: Vec::new() };
        let Listing { folders, skipped, .. } = list(path)?;
        let (mut is_store, mut others) = (false, skipped);
        for (name, folder) in folders {
            match name.as_str() {
                ".trash" => {
                    let n = list(&folder)?.folders.len() as u64;
                    report.leave_out("deleted experiments", n);
                }
                "models" => {
                    report.leave_out("registered models", list(&folder)?.folders.len() as u64);
                }
                _ => match meta(&folder) {
                    Ok(None) if has_runs(&folder)? => {
                        others.push(Skipped::new(
                            folder,
                            "it has runs, and no meta.yaml of an experiment",
                        ));
                    }
                    Ok(None) => {}
                    Ok(Some(meta)) if id(&meta).is_some() => {
                        let expected = "a folder of MLflow with its experiments, as mlruns";
                        let got = format!(
                            "one experiment of it, with the run {name}: import the folder above it"
                        );
                        return Err(Error::invalid(path.display().to_string(), expected, got));
                    }
                    Ok(Some(meta)) => {
                        is_store = true;
                        runs.add(&name, &folder, meta, report)?;
                    }
                    Err(error) => {
                        report.skipped.push(Skipped::new(folder.join("meta.yaml"), error))
                    }
                },
            }
        }
        if !is_store {
            return Ok(None);
        }
        report.understood = format!("a folder of MLflow, {}", path.display());
        report.skipped.extend(others);
        Ok(Some(runs))
    }

    /// Leaves out the runs of some ids; how many those were.
    pub(super) fn leave_out(&mut self, ids: &HashSet<String>) -> usize {
        let n = self.runs.len();
        self.runs.retain(|(.., meta)| id(meta).is_none_or(|id| !ids.contains(id)));
        n - self.runs.len()
    }

    fn add(
        &mut self,
        name: &str,
        folder: &Path,
        meta: HashMap<String, String>,
        report: &mut Report,
    ) -> Result<()> {
        let mut experiment = Experiment {
            id: meta.get("experiment_id").map_or(name, String::as_str).to_owned(),
            name: meta.get("name").map_or(name, String::as_str).to_owned(),
            facts: Map::new(),
        };
        experiment.facts.insert("experiment_id".into(), experiment.id.as_str().into());
        for key in ["artifact_location", "lifecycle_stage", "creation_time", "last_update_time"] {
            if let Some(value) = meta.get(key) {
                experiment.facts.insert(key.into(), value.as_str().into());
            }
        }
        let tags = texts(folder, "tags", &mut report.skipped)?;
        if !tags.is_empty() {
            experiment.facts.insert("tags".into(), Value::Object(tags));
        }
        let at = self.experiments.len();
        self.experiments.push(experiment);
        let Listing { folders, skipped, .. } = list(folder)?;
        report.skipped.extend(skipped);
        for (name, folder) in folders {
            check_interrupted("listing runs")?;
            match name.as_str() {
                "tags" => continue,
                "traces" | "datasets" | "models" => {
                    let n = list(&folder)?.folders.len() as u64;
                    report.leave_out(if name == "models" { "logged models" } else { &name }, n);
                    continue;
                }
                _ => {}
            }
            match meta_of(&folder) {
                Ok(Some(meta)) if meta.get("lifecycle_stage").is_some_and(|s| s == "deleted") => {
                    report.leave_out("deleted runs", 1);
                }
                Ok(Some(meta)) => self.runs.push((at, folder, meta)),
                Ok(None) => {
                    let why = "it has no meta.yaml, so that it is not known to be a run";
                    report.skipped.push(Skipped::new(folder, why));
                }
                Err(error) => report.skipped.push(Skipped::new(folder, error)),
            }
        }
        Ok(())
    }
}

fn meta(folder: &Path) -> Result<Option<HashMap<String, String>>> {
    let path = folder.join("meta.yaml");
    text_if_there(&path)?.map(|text| yaml::flat(&text, &path)).transpose()
}

/// As [`meta`], of a run.
fn meta_of(folder: &Path) -> Result<Option<HashMap<String, String>>> {
    let found = meta(folder)?;
    match found {
        Some(meta) if id(&meta).is_none() => Err(Error::invalid(
            folder.join("meta.yaml").display().to_string(),
            "a run_id",
            "none: it may not be written yet",
        )),
        found => Ok(found),
    }
}

/// Whether a folder has folders of runs.
fn has_runs(folder: &Path) -> Result<bool> {
    Ok(list(folder)?.folders.iter().any(|(_, run)| run.join("meta.yaml").is_file()))
}

/// The files of a folder of a run as texts by their names: parameters and tags. A name may have `/`, as folders.
fn texts(run: &Path, folder: &str, skipped: &mut Vec<Skipped>) -> Result<Map<String, Value>> {
    let mut found = Map::new();
    for (name, path) in walk_within(run, &[folder], skipped)? {
        match text(&path) {
            Ok(text) => {
                found.insert(name, text.into());
            }
            Err(error) if error.concerns(&path) => skipped.push(Skipped::new(path, error)),
            Err(other) => return Err(other),
        }
    }
    Ok(found)
}

/// The id of a run; earlier versions wrote it as `run_uuid`.
fn id(meta: &HashMap<String, String>) -> Option<&String> {
    meta.get("run_id").or_else(|| meta.get("run_uuid"))
}

impl Source for Runs {
    fn len(&self) -> usize {
        self.runs.len()
    }

    fn location(&self, run: usize) -> PathBuf {
        self.runs[run].1.clone()
    }

    fn read(&self, i: usize, report: &mut Report) -> Result<Option<Run>> {
        let (experiment, folder, meta) = &self.runs[i];
        let get = |key: &str| meta.get(key).cloned();
        let mut run = Run {
            id: id(meta).cloned().unwrap_or_default(),
            experiment: Some(self.experiments[*experiment].of_run()),
            status: status(meta.get("status").map(String::as_str)),
            parameters: texts(folder, "params", &mut report.skipped)?,
            tags: texts(folder, "tags", &mut report.skipped)?,
            ..Run::default()
        };
        for key in ["user_id", "source_name", "source_version", "artifact_uri"] {
            run.fact(key, get(key).filter(|text| !text.is_empty()));
        }
        for (name, path) in walk_within(folder, &["metrics"], &mut report.skipped)? {
            match metric(&mut run, &name, &path, report) {
                Err(error) if error.concerns(&path) => {
                    report.skipped.push(Skipped::new(path, error))
                }
                read => read?,
            }
        }
        let artifacts = walk_within(folder, &["artifacts"], &mut report.skipped)?;
        run.artifacts = artifacts.into_iter().map(|(name, _)| name).collect();
        for (name, what) in [("inputs", "inputs of runs"), ("outputs", "outputs of runs")] {
            report.leave_out(what, list(&folder.join(name))?.folders.len() as u64);
        }
        let time = |key: &str| meta.get(key).and_then(|text| text.parse().ok());
        finish(&mut run, [time("start_time"), time("end_time")], get("run_name"));
        Ok(Some(run))
    }
}

/// The points of a metric: lines of `time_ms value step`, behind them at times the name and digest of a dataset.
fn metric(run: &mut Run, name: &str, path: &Path, report: &mut Report) -> Result<()> {
    let mut file = BufReader::new(open_file(path)?);
    let (mut line, mut number) = (Vec::new(), 0);
    let (mut wrong, mut first, mut datasets) = (0, 0, 0);
    loop {
        line.clear();
        let read = file.by_ref().take(LONGEST).read_until(b'\n', &mut line);
        if read.map_err(|e| Error::io(path, "reading it", &e))? == 0 {
            break;
        }
        number += 1;
        if line.len() as u64 == LONGEST {
            let got = format!("one of more than {LONGEST} bytes");
            let location = format!("{}: line {number}", path.display());
            return Err(Error::invalid(location, "a line of a metric", got));
        }
        if line.last() != Some(&b'\n') {
            report.notes.push(format!(
                "{}: its last line is not complete yet; import again when it is",
                path.display()
            ));
            break;
        }
        match point(&line) {
            Some((time_ms, value, step, has_dataset)) => {
                datasets += u64::from(has_dataset);
                run.point(name, step, Some(time_ms), value);
            }
            None if line.trim_ascii().is_empty() => {}
            None => {
                wrong += 1;
                first = if wrong == 1 { number } else { first };
            }
        }
    }
    report.leave_out("datasets of points", datasets);
    if wrong > 0 {
        let why = format!("line {first} is not `time value step`");
        report.skipped.push(Skipped::new(path, why).table("lines").rows(wrong));
    }
    Ok(())
}

/// A line: time, value, step, whether it names a dataset.
fn point(line: &[u8]) -> Option<(i64, f64, i64, bool)> {
    let text = std::str::from_utf8(line).ok()?.trim_ascii();
    let mut parts = text.split(' ');
    let (time, value) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let step = parts.next().map_or(Some(0), |step| step.parse().ok())?;
    match parts.count() {
        0 => Some((time, value, step, false)),
        2 => Some((time, value, step, true)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::point;

    /// Goal: a line is what MLflow writes, in this version or an earlier one, or it is none.
    #[test]
    fn lines_are_read() {
        assert_eq!(point(b"5 0.25 7"), Some((5, 0.25, 7, false)));
        assert_eq!(point(b"5 -inf"), Some((5, f64::NEG_INFINITY, 0, false)));
        assert_eq!(point(b"5 1e-05 -3 train 1a2b\r"), Some((5, 1e-5, -3, true)));
        assert!(point(b"5 nan 0").is_some_and(|(_, value, ..)| value.is_nan()));
        for wrong in ["", "5", "5 x 0", "5 1 0.5", "5 1 0 a", "5 1 0 a b c", "a 1 0", "5  1 0"] {
            assert_eq!(point(wrong.as_bytes()), None, "{wrong:?}");
        }
    }
}
