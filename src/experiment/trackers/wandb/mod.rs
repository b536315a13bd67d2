//! Weights & Biases: the files of runs that were logged offline, `run-ID.wandb`. Files of one id are one run, resumed.

mod log;
mod record;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::files::walk;
use super::run::Run;
use super::{Report, Source};
use crate::error::{Error, Result};
use crate::kernel::{Skipped, check_interrupted, folder_of, read_whole};
use record::Records;

/// The most bytes of a file, which is read as a whole.
const MOST_BYTES: u64 = 4 << 30;

/// Whether a file that begins so is the log of a run.
pub(super) fn is_log(begin: &[u8]) -> bool {
    begin.starts_with(log::HEADER)
}

/// Ids and files, in their order.
struct Runs(Vec<(String, Vec<PathBuf>)>);

/// Opens a folder with files of runs in it or below it, or one such file.
pub(super) fn open(path: &Path, report: &mut Report) -> Result<Box<dyn Source>> {
    let mut runs: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let files = match path.is_file() {
        true => {
            vec![(path.file_name().unwrap_or_default().to_string_lossy().into_owned(), path.into())]
        }
        // Links are wandb's own: to the latest run, and to its logs.
        false => walk(path, &mut Vec::new())?,
    };
    for (within, file) in files {
        let name = within.rsplit_once('/').map_or(within.as_str(), |(_, name)| name);
        let id = name.strip_suffix(".wandb").map(|stem| stem.strip_prefix("run-").unwrap_or(stem));
        if let Some(id) = id {
            runs.entry(id.to_owned()).or_default().push(file);
        }
    }
    if runs.is_empty() {
        let expected =
            "the folder wandb with runs that were logged offline, or a file run-ID.wandb";
        return Err(Error::invalid(path.display().to_string(), expected, "none"));
    }
    report.understood = format!("offline runs of wandb, {}", path.display());
    for files in runs.values_mut().filter(|files| files.len() > 1) {
        leave_out_copies(files, report)?;
    }
    let mut runs: Vec<_> = runs.into_iter().collect();
    // Their folders have the time in their names.
    runs.sort_by(|a, b| a.1[0].cmp(&b.1[0]));
    Ok(Box::new(Runs(runs)))
}

/// Of files of one run those that are another one's copy, or its beginning, are left out: a run is logged once.
fn leave_out_copies(files: &mut Vec<PathBuf>, report: &mut Report) -> Result<()> {
    let mut known: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    for file in std::mem::take(files) {
        check_interrupted("comparing files")?;
        let bytes = read_whole(&file, MOST_BYTES)?;
        let copied = known
            .iter()
            .position(|(_, other)| other.starts_with(&bytes) || bytes.starts_with(other));
        match copied {
            None => known.push((file, bytes)),
            Some(at) => {
                let (longer, shorter) = match bytes.len() > known[at].1.len() {
                    true => (file.clone(), std::mem::replace(&mut known[at], (file, bytes)).0),
                    false => (known[at].0.clone(), file),
                };
                report.notes.push(format!(
                    "{}: left out, its records are those of {}",
                    shorter.display(),
                    longer.display()
                ));
            }
        }
    }
    files.extend(known.into_iter().map(|(file, _)| file));
    Ok(())
}

impl Source for Runs {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn location(&self, run: usize) -> PathBuf {
        let files = &self.0[run].1;
        if files.len() == 1 { files[0].clone() } else { folder_of(folder_of(&files[0])).to_owned() }
    }

    fn read(&self, i: usize, report: &mut Report) -> Result<Option<Run>> {
        let files = &self.0[i].1;
        let mut records = Records::default();
        for path in files {
            check_interrupted("reading records")?;
            let bytes = read_whole(path, MOST_BYTES)?;
            records.begin_file();
            let ended = log::each(&bytes, |record| records.take(record));
            let Some(ended) = ended else {
                report
                    .skipped
                    .push(Skipped::new(path, "it does not begin as a file of wandb does"));
                continue;
            };
            if ended.is_partial {
                report.notes.push(format!(
                    "{}: its last record is not complete yet; import again when it is",
                    path.display()
                ));
            }
            if ended.damaged > 0 {
                let why = format!("the record at byte {} is damaged", ended.first);
                report.skipped.push(Skipped::new(path, why).table("records").rows(ended.damaged));
            }
        }
        let wrong = records.wrong;
        let Some(run) = records.finish(report) else {
            let location = self.location(i);
            report
                .notes
                .push(format!("{}: what the run is was not written yet", location.display()));
            return Ok(None);
        };
        if wrong > 0 {
            let why = "a record that is no message of wandb";
            report.skipped.push(Skipped::new(self.location(i), why).table("records").rows(wrong));
        }
        Ok(Some(run))
    }
}
