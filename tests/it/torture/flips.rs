//! Flipped bits of finished files.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension};
use siltstone::Database;

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

/// Tables whose rows have no checksum: what is known of them is not of the stores' contents.
const UNCHECKED: [&str; 11] = [
    "siltstone_schema",
    "siltstone_file",
    "siltstone_backup",
    "sqlite_sequence",
    "sqlite_stat1",
    "sqlite_stat4",
    "experiment_process",
    "tick_watermark",
    "migration_log",
    "memory_change",
    "vector_stale",
];

const ITEMS: u64 = 24;

pub(super) fn flips(round: &Round<'_>) {
    let folder = tempfile::tempdir().unwrap();
    template(round.subject, folder.path(), ITEMS);
    let base = values(folder.path());
    let mut random = Random(round.seed);
    for _ in 0..round.cases {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(folder.path(), copy.path());
        let files: Vec<(std::path::PathBuf, u64)> = files_below(copy.path())
            .into_iter()
            .map(|path| (path.clone(), path.metadata().unwrap().len()))
            .filter(|(_, size)| *size > 0)
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
        let found = values(copy.path());
        let changed: Vec<&String> = base
            .iter()
            .filter(|(table, values)| found.get(*table) != Some(*values))
            .map(|(table, _)| table)
            .collect();
        round.tried(what, inspect(round, copy.path(), &changed));
    }
}

/// What plain SQL says of each table in the SQLite files of a folder: the hash of its values, or why there are none.
fn values(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for path in files_below(folder) {
        let name = path.strip_prefix(folder).unwrap().display().to_string();
        if name.ends_with(".db") {
            let tables = tables(&path).unwrap_or_else(|error| vec![("".into(), error.to_string())]);
            found.extend(
                tables.into_iter().map(|(table, values)| (format!("{name} {table}"), values)),
            );
        }
    }
    found
}

fn tables(path: &Path) -> rusqlite::Result<Vec<(String, String)>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let uri = format!("file:{}?immutable=1", path.display());
    let db = Connection::open_with_flags(uri, flags)?;
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid";
    let names =
        db.prepare(sql)?.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    let checked = names.into_iter().filter(|name| !UNCHECKED.contains(&&**name));
    let values = |table: &str| -> rusqlite::Result<u64> {
        let mut statement = db.prepare(&format!("SELECT * FROM \"{table}\" NOT INDEXED"))?;
        let columns = statement.column_count();
        // A flipped name may be no text any more, which `column_names` does not survive.
        let sum = "SELECT cid FROM pragma_table_info(?1) WHERE lower(name) = 'row_sum'";
        let sum: Option<u32> = db.query_row(sum, [table], |row| row.get(0)).optional()?;
        let mut rows = statement.query([])?;
        let mut hashes = Vec::new();
        while let Some(row) = rows.next()? {
            let mut hash = DefaultHasher::new();
            for i in (0..columns).filter(|i| sum != Some(*i as u32)) {
                format!("{:?}", row.get_ref(i)?).hash(&mut hash);
            }
            hashes.push(hash.finish());
        }
        // A table has no order: SQLite takes that of the index that its statistics speak for.
        hashes.sort_unstable();
        let mut hash = DefaultHasher::new();
        hashes.hash(&mut hash);
        Ok(hash.finish())
    };
    let values = checked.map(|table| {
        let said = values(&table).map_or_else(|error| error.to_string(), |hash| hash.to_string());
        (table, said)
    });
    Ok(values.collect())
}

/// What a child finds in a damaged folder; `changed` are the tables of which a value is another now.
fn inspect(round: &Round<'_>, folder: &Path, changed: &[&String]) -> Result<(), String> {
    let argument = Mission::new(0, ITEMS).argument(round.subject);
    let (said, status) =
        Child::from(child::command("torture::flips::inspects", folder, &argument)).end();
    let said_of = |word: &str| {
        said.iter().find_map(|line| line.rsplit_once(word).map(|(_, rest)| rest.to_owned()))
    };
    let (Some(verified), Some(read)) = (said_of("verify says "), said_of("read says ")) else {
        return Err(format!("the reader ended with {status}, having said {said:?}"));
    };
    let figure = |name| round.report.figure(round, name);
    let is_found = verified != "well";
    if !changed.is_empty() && !is_found {
        return Err(format!("{changed:?} has another value, and verify says well"));
    }
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
fn inspects() {
    let Some((folder, argument)) = mission() else { return };
    crate::syscalls::end_if_it_hangs();
    let (subject, mission): (&dyn Subject, _) = Mission::parse(&argument);
    match subject.verify(&folder) {
        Ok(findings) if findings.is_empty() => match without_sum(&folder) {
            0 => say(format_args!("verify says well")),
            // Only we wrote: a row lost its checksum together with what it says.
            n => say(format_args!("verify says {n} rows have no checksum")),
        },
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

/// The rows without a checksum in the SQLite files of a folder.
fn without_sum(folder: &Path) -> u64 {
    let files = files_below(folder);
    let files = files.iter().filter(|path| path.extension().is_some_and(|end| end == "db"));
    let reports =
        files.filter_map(|path| Database::builder(path).open_read_only().ok()?.verify().ok());
    reports.map(|report| report.rows_without_checksum).sum()
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}
