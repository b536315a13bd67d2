//! Which tracker wrote a source, by its content.

use std::path::Path;

use super::{Kind, Report, open, tensorboard, wandb};
use crate::error::{Error, Result};

/// The trackers whose folder it is: those that find runs in it.
///
/// # Errors
/// What the disk says.
pub(crate) fn in_folder(path: &Path) -> Result<Vec<Kind>> {
    let mut found = Vec::new();
    for kind in [Kind::Mlflow, Kind::Tensorboard, Kind::Sacred, Kind::Wandb] {
        match open(path, &mut Report::new(kind)) {
            Ok(_) => found.push(kind),
            Err(Error::Invalid { .. } | Error::NotOurs { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// The trackers whose file begins so; databases are known by their tables.
pub(crate) fn in_file(path: &Path, begin: &[u8]) -> Vec<Kind> {
    let found = [
        (tensorboard::is_event_file(path, begin), Kind::Tensorboard),
        (wandb::is_log(begin), Kind::Wandb),
        (is_netlogo(begin), Kind::Netlogo),
    ];
    found.into_iter().filter_map(|(is_it, kind)| is_it.then_some(kind)).collect()
}

/// Whether results of BehaviorSpace begin so.
pub(crate) fn is_netlogo(begin: &[u8]) -> bool {
    let text = begin.strip_prefix(b"\xef\xbb\xbf").unwrap_or(begin);
    text.strip_prefix(b"\"").unwrap_or(text).starts_with(b"BehaviorSpace results (")
}
