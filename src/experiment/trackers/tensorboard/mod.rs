//! TensorBoard: folders with event files, `events.out.tfevents.*`; a folder that has some is a run.

mod crc;
mod event;
mod hparams;
mod records;
mod tensor;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Map;

use super::files::walk;
use super::run::Run;
use super::{Report, Source};
use crate::error::{Error, Result};
use crate::kernel::{Skipped, check_interrupted};
use event::Events;
use records::{Next, Records};

/// What the name of an event file has in it.
const EVENTS: &str = "tfevents";

/// Whether a file that begins so is one of events: by its name, or by the checksum of its first length.
pub(super) fn is_event_file(path: &Path, begin: &[u8]) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.contains(EVENTS)
        || begin.len() >= 12 && crc::masked(&begin[..8]).to_le_bytes() == begin[8..12]
}

/// The runs of a folder.
struct Runs {
    experiment: String,
    /// Id and event files, in their order.
    runs: Vec<(String, Vec<PathBuf>)>,
}

/// Opens a folder with event files in it or below it, or one event file.
pub(super) fn open(path: &Path, report: &mut Report) -> Result<Box<dyn Source>> {
    let whole = std::fs::canonicalize(path).map_err(|e| Error::io(path, "looking for it", &e))?;
    let name = |path: &Path| {
        path.file_name().map_or("runs".into(), |name| name.to_string_lossy().into_owned())
    };
    let mut runs: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let folder = if path.is_dir() { whole.as_path() } else { crate::kernel::folder_of(&whole) };
    let experiment = name(folder);
    if path.is_file() {
        runs.insert(experiment.clone(), vec![path.to_owned()]);
    } else {
        for (within, file) in walk(path, &mut report.skipped)? {
            let (run, file_name) = within.rsplit_once('/').unwrap_or(("", &within));
            if file_name.contains(EVENTS) {
                let id = if run.is_empty() { &experiment } else { run };
                runs.entry(id.to_owned()).or_default().push(file);
            } else {
                report.leave_out("other files", 1);
            }
        }
    }
    if runs.is_empty() {
        let expected =
            "an event file of TensorBoard (events.out.tfevents...) or a folder with some";
        return Err(Error::invalid(path.display().to_string(), expected, "a folder without"));
    }
    report.understood = format!("event files of TensorBoard, {}", path.display());
    Ok(Box::new(Runs { experiment, runs: runs.into_iter().collect() }))
}

impl Source for Runs {
    fn len(&self) -> usize {
        self.runs.len()
    }

    fn location(&self, run: usize) -> PathBuf {
        let files = &self.runs[run].1;
        crate::kernel::folder_of(&files[0]).to_owned()
    }

    fn read(&self, i: usize, report: &mut Report) -> Result<Option<Run>> {
        let (id, files) = &self.runs[i];
        let mut events = Events::default();
        for file in files {
            match read(file, &mut events, report) {
                Err(error) if error.concerns(file) => {
                    report.skipped.push(Skipped::new(file, error));
                }
                other => other?,
            }
        }
        if events.n == 0 {
            let location = self.location(i);
            report.notes.push(format!("{}: no event is there yet", location.display()));
            return Ok(None);
        }
        for (what, n) in &events.left_out {
            report.leave_out(what, *n);
        }
        let mut run = events.run;
        run.id = id.clone();
        run.experiment = Some((self.experiment.clone(), Map::new()));
        run.origin = files[0].file_name().map(|name| name.to_string_lossy().into_owned());
        if run.status.is_empty() {
            run.status = "unknown";
        }
        Ok(Some(run))
    }
}

/// Reads the events of a file.
fn read(path: &Path, events: &mut Events, report: &mut Report) -> Result<()> {
    let mut records = Records::open(path)?;
    let (mut damaged, mut first, mut n) = (0, 0, 0u64);
    loop {
        let next = records.next()?;
        let is_read = match next {
            Next::Record => events.take(records.bytes()).is_some(),
            Next::Damaged => false,
            Next::End | Next::Partial | Next::Lost => {
                let (at, path) = (records.offset(), path.display());
                if next == Next::Lost {
                    let why =
                        format!("no record is at byte {at}: it and what follows cannot be read");
                    if n == 0 {
                        return Err(Error::Corrupt {
                            location: path.to_string(),
                            what: "the event file".into(),
                            why: "it does not begin with a record".into(),
                        });
                    }
                    report.skipped.push(Skipped::new(records.path(), why));
                } else if next == Next::Partial {
                    report.notes.push(format!(
                        "{path}: its last record, at byte {at}, is not complete yet; import again when it is"
                    ));
                }
                break;
            }
        };
        n += 1;
        events.n += 1;
        if !is_read {
            damaged += 1;
            first = if damaged == 1 { records.offset() } else { first };
        }
        if n.is_multiple_of(4096) {
            check_interrupted("reading events")?;
        }
    }
    if damaged > 0 {
        let why = format!("the record at byte {first} is damaged");
        report.skipped.push(Skipped::new(path, why).table("records").rows(damaged));
    }
    Ok(())
}
