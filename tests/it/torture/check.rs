//! The comparison of a folder with what was acknowledged.

use std::collections::BTreeSet;
use std::path::Path;

use siltstone::Durability;

use super::found::{Found, ITEMS_OF_A_WRITER, Odd, writer_of};
use super::{Subject, acknowledged};

/// What is known of a folder.
#[derive(Default, Clone)]
pub(super) struct Known {
    /// Items that must be there.
    pub(super) acked: BTreeSet<u64>,
}

impl Known {
    /// The next item of a writer.
    pub(super) fn next(&self, writer: u64) -> u64 {
        let own = writer * ITEMS_OF_A_WRITER..(writer + 1) * ITEMS_OF_A_WRITER;
        let last = self.acked.range(own.clone()).next_back();
        last.map_or(own.start, |last| last + 1)
    }

    pub(super) fn hear(&mut self, said: &[String]) {
        self.acked.extend(said.iter().filter_map(|line| acknowledged(line)));
    }
}

/// Copies files and folders.
pub(super) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        match path.is_dir() {
            true => copy_folder(&path, &target),
            // The memory that readers and writers share is made anew.
            false if path.to_string_lossy().ends_with("-shm") => {}
            false => {
                std::fs::copy(&path, &target).unwrap();
            }
        }
    }
}

/// Compares a folder with what was acknowledged, as plain programs see it and as our reader does, and goes on writing.
/// After it all that is there is known.
pub(super) fn check(
    subject: &dyn Subject,
    folder: &Path,
    known: &mut Known,
    said: &[String],
) -> Result<(), String> {
    known.hear(said);
    let of = |who: &'static str| move |odd: Odd| format!("{who}: {odd}");
    // On a copy: to look at it as another program must not repair it before we do.
    let copy = tempfile::tempdir().unwrap();
    copy_folder(folder, copy.path());
    let outside = subject.outside(copy.path()).map_err(of("from outside"))?;
    let waiting = subject.waiting(copy.path()).map_err(of("from outside"))?;
    subject.heard(copy.path(), said).map_err(of("from outside"))?;
    covers(subject, &outside, known.acked.difference(&waiting).copied().collect())
        .map_err(|odd| format!("from outside: {odd}"))?;
    let inside = subject.inside(folder).map_err(of("by our reader"))?;
    covers(subject, &inside, known.acked.clone()).map_err(|odd| format!("by our reader: {odd}"))?;
    // Of each writer one item more may be there, which was in the making.
    for item in inside.items.difference(&known.acked) {
        if *item != known.next(writer_of(*item)) {
            return Err(format!("by our reader: item {item}, which nobody has made"));
        }
    }
    let findings = subject.verify(folder).map_err(|error| format!("verify: {error}"))?;
    if !findings.is_empty() {
        return Err(format!("verify: {}", findings.join("; ")));
    }
    known.acked = inside.items;
    goes_on(subject, folder, known)
}

/// Whether the items are there, those that an outsider can only count by their number.
fn covers(subject: &dyn Subject, found: &Found, items: BTreeSet<u64>) -> Result<(), String> {
    let missing: Vec<u64> = items.difference(&found.items).copied().collect();
    let rows: u64 = missing.iter().map(|item| subject.rows_of(*item)).sum();
    if rows > found.packed_rows {
        let first = &missing[..missing.len().min(5)];
        return Err(format!("{} items were acknowledged and are lost: {first:?}", missing.len()));
    }
    Ok(())
}

/// Another process could write the next item.
fn goes_on(subject: &dyn Subject, folder: &Path, known: &mut Known) -> Result<(), String> {
    let item = known.next(0);
    let write = || {
        let mut writer = subject.open(folder, Durability::Os, item)?;
        writer.put(item)?;
        writer.close()
    };
    write().map_err(|error| format!("the next item cannot be written: {error}"))?;
    known.acked.insert(item);
    let inside = subject.inside(folder).map_err(|odd| format!("with the next item: {odd}"))?;
    if inside.items != known.acked {
        let differ: Vec<_> = inside.items.symmetric_difference(&known.acked).take(5).collect();
        return Err(format!("with the next item, {differ:?} are there or not"));
    }
    let outside = subject.outside(folder).map_err(|odd| format!("with the next item: {odd}"))?;
    let rows = |items: &BTreeSet<u64>| items.iter().map(|item| subject.rows_of(*item)).sum::<u64>();
    let unread = rows(&known.acked.difference(&outside.items).copied().collect());
    // Rows of one item may be packed in part, so that an outsider sees it and counts it.
    if unread > outside.packed_rows || outside.items.difference(&known.acked).next().is_some() {
        return Err(format!("from outside {outside:?}, by our reader {:?}", known.acked));
    }
    Ok(())
}
