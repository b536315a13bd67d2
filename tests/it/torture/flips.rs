//! Flipped bits of finished files.

use std::path::Path;

use super::check::copy_folder;
use super::faults::template;
use super::found::Odd;
use super::{Mission, Round, Subject, files_below};
use crate::child::{self, Child, Random, mission, say};

/// Where no flipped bit may give another number without an error: store and part, as the stores name it in [`Odd`]. What is
/// not named here is counted.
pub(super) const COVERED: &[(&str, &str)] = &[
    ("simulation", "array"),
    ("experiment", "value"),
    ("memory", "array"),
    ("ticks", "value"),
    ("series", "array"),
    ("series-parquet", "array"),
];

const ITEMS: u64 = 24;

pub(super) fn flips(round: &Round<'_>) {
    let folder = tempfile::tempdir().unwrap();
    template(round.subject, folder.path(), ITEMS);
    let mut random = Random(round.seed);
    for _ in 0..round.cases {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(folder.path(), copy.path());
        let files: Vec<(std::path::PathBuf, u64)> = files_below(copy.path())
            .into_iter()
            .map(|path| (path.clone(), path.metadata().unwrap().len()))
            .filter(|(path, size)| *size > 0 && !path.to_string_lossy().contains("_backup_"))
            .collect();
        // A byte of all, so that large files get more.
        let mut at = random.below(files.iter().map(|(_, size)| size).sum());
        let (file, _) = files
            .iter()
            .find(|(_, size)| match at < *size {
                true => true,
                false => {
                    at -= size;
                    false
                }
            })
            .expect("it lies in one of them");
        let mut bytes = std::fs::read(file).unwrap();
        let bit = random.below(8);
        bytes[at as usize] ^= 1 << bit;
        std::fs::write(file, bytes).unwrap();
        let name = file.strip_prefix(copy.path()).unwrap().display();
        let what = format!("bit {bit} of byte {at} of {name}");
        round.tried(what, look(round, copy.path()));
    }
}

/// What a child finds in a damaged folder.
fn look(round: &Round<'_>, folder: &Path) -> Result<(), String> {
    let argument = Mission::new(0, ITEMS).argument(round.subject);
    let (said, status) =
        Child::from(child::command("torture::flips::looks", folder, &argument)).end();
    let said_of = |word: &str| {
        said.iter().find_map(|line| line.rsplit_once(word).map(|(_, rest)| rest.to_owned()))
    };
    let (Some(verified), Some(read)) = (said_of("verify says "), said_of("read says ")) else {
        return Err(format!("the reader ended with {status}, having said {said:?}"));
    };
    let figure = |name| round.report.figure(round, name);
    let is_found = verified != "well";
    match read.split_once(' ').unwrap_or((read.as_str(), "")) {
        ("right", _) => figure(if is_found { "found, and read right" } else { "harmless" }),
        ("refused", _) => {
            figure(if is_found { "found, and refused" } else { "refused, not found" });
        }
        (_, what) => {
            let part = what.split(':').next().unwrap_or_default();
            if COVERED.contains(&(round.subject.name(), part)) {
                return Err(format!("read as {what}; verify says {verified}"));
            }
            figure(if is_found { "found, and read wrong" } else { "read wrong, not found" });
        }
    }
    Ok(())
}

/// In the child: what `verify` and our reader say.
#[test]
#[ignore = "run by the tests of the module above"]
fn looks() {
    let Some((folder, argument)) = mission() else { return };
    crate::syscalls::end_if_it_hangs();
    let (subject, mission): (&dyn Subject, _) = Mission::parse(&argument);
    match subject.verify(&folder) {
        Ok(findings) if findings.is_empty() => say(format_args!("verify says well")),
        Ok(findings) => say(format_args!("verify says {}", one_line(&findings.join("; ")))),
        Err(error) => say(format_args!("verify says {}", one_line(&error.to_string()))),
    }
    let odd = match subject.inside(&folder) {
        Ok(found) if found.items == (0..mission.count).collect() => {
            return say(format_args!("read says right"));
        }
        Ok(found) => Odd::wrong("missing", format!("{} items are read", found.items.len())),
        Err(odd) => odd,
    };
    let word = if matches!(odd, Odd::Refused(_)) { "refused" } else { "wrong" };
    say(format_args!("read says {word} {}", one_line(&odd.to_string())));
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}
