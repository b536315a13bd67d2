//! The files of initial datasets.

use std::path::Path;

use super::{ImportReport, InitialFiles, list, read_file};
use crate::array::Array;
use crate::error::{Error, Result};
use crate::kernel::Skipped;
use crate::simulation::database::SimulationDatabase;
use crate::simulation::difference::{Conflict, difference_as_json};
use crate::simulation::initial::InitialData;
use crate::simulation::json::{
    BINARY_ENDING, Initial, InitialName, Schema, parse_any, parse_initial, parse_initial_file_name,
};

/// Imports the datasets of a folder: `<dataset>.json`, and files with any other ending as bytes.
pub(super) fn import_initial(
    db: Option<&SimulationDatabase>,
    (folder, wanted): (&Path, InitialFiles),
    schema: &Schema,
    report: &mut ImportReport,
) -> Result<()> {
    for path in list(folder)? {
        let Some((name, is_json)) = dataset_of(&path) else { continue };
        // A folder of another name is nobody's dataset.
        if !is_json && (wanted == InitialFiles::OnlyJson || path.is_dir()) {
            continue;
        }
        let read = name.and_then(|name| Ok((read_initial(&path, &name, is_json, schema)?, name)));
        let (data, name) = match read {
            Ok(read) => read,
            Err(why) => {
                report.skipped.push(Skipped::new(path, why));
                continue;
            }
        };
        report.bytes += size(&data) as u64;
        let Some(db) = db else {
            report.initial_datasets += 1;
            continue;
        };
        match db.initial_dataset(&name)? {
            Some(stored) => {
                if let Some(why) = difference(&stored, &data, &name, schema) {
                    let what = format!("the initial dataset {name:?}");
                    report.conflicts.push(Conflict { source: path, what, why });
                }
            }
            None => match db.store_initial_dataset(&name, data, false) {
                Ok(_) => report.initial_datasets += 1,
                Err(error @ Error::Invalid { .. }) => {
                    report.skipped.push(Skipped::new(path, error));
                }
                Err(error) => return Err(error),
            },
        }
    }
    Ok(())
}

/// The dataset that a file is of, and whether it is JSON; `None` for what is no file of a dataset: one
/// that is hidden, unless an export made it. The name is an error where it is no text.
fn dataset_of(path: &Path) -> Option<(Result<String, String>, bool)> {
    let name = path.file_name()?.to_string_lossy();
    let InitialName { dataset, is_json } = parse_initial_file_name(&name);
    if name.starts_with('.') && !is_json && !name.ends_with(BINARY_ENDING) {
        return None;
    }
    let is_text = path.file_name()?.to_str().is_some();
    let dataset = if is_text { Ok(dataset) } else { Err("its name is no UTF-8 text".to_owned()) };
    Some((dataset, is_json))
}

fn read_initial(
    path: &Path,
    name: &str,
    is_json: bool,
    schema: &Schema,
) -> Result<InitialData, String> {
    let bytes = read_file(path, Array::MAX_STORED_BYTES as u64)?;
    if !is_json {
        return Ok(InitialData::Binary(bytes));
    }
    match parse_initial(&bytes, name, schema) {
        Ok(_) => Ok(InitialData::Json(bytes)),
        Err(error) => Err(error.to_string()),
    }
}

fn size(data: &InitialData) -> usize {
    match data {
        InitialData::Json(bytes) | InitialData::Binary(bytes) => bytes.len(),
        InitialData::Entities(_) => 0,
    }
}

/// How what is stored differs from what a file says.
fn difference(
    stored: &InitialData,
    here: &InitialData,
    name: &str,
    schema: &Schema,
) -> Option<String> {
    let same = match (stored, here) {
        (InitialData::Json(ours), InitialData::Json(theirs)) => {
            let value = |text: &Vec<u8>| parse_any(text).ok();
            ours == theirs || value(ours).is_some_and(|ours| value(theirs) == Some(ours))
        }
        (InitialData::Entities(ours), InitialData::Json(theirs)) => {
            return match parse_initial(theirs, name, schema) {
                Ok(Initial::Entities(theirs)) => difference_as_json(ours, &theirs.data, schema),
                _ => Some("the target has entities, the file none".into()),
            };
        }
        (ours, theirs) => ours == theirs,
    };
    (!same).then(|| "the target has another content".into())
}
