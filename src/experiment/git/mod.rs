//! The state of the code in a folder, out of the files that git keeps. No program is run and no configuration is
//! read: whoever fills a folder chooses what they say, and nothing that they do.
//!
//! # Source
//! `gitrepository-layout`, `gitformat-index` and `gitformat-pack` of git's documentation.

mod index;
mod object;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The most bytes of one file of git that are read.
const MAX_BYTES: u64 = 256 << 20;
/// The most references that lead from `HEAD` to a commit.
const MAX_LINKS: usize = 5;

/// What is known of the code.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct State {
    /// The commit, in hex.
    pub(super) commit: String,
    /// Whether each tracked file is as it was committed; `None` where sizes and times do not tell it.
    pub(super) clean: Option<bool>,
    /// The branch, or `HEAD` where none is checked out.
    pub(super) branch: String,
}

/// The state of the code in the repository around a folder; `None` where there is none, or no commit yet.
pub(super) fn state(folder: &Path) -> Option<State> {
    let repository = Repository::around(folder)?;
    let (branch, commit) = repository.head()?;
    let clean = index::clean(&repository, &commit);
    Some(State { commit, clean, branch })
}

/// The folders of a repository.
struct Repository {
    /// The files that are worked on.
    work: PathBuf,
    /// What belongs to these files alone: `HEAD`, the index.
    own: PathBuf,
    /// What all work trees of the repository share: objects, branches.
    common: PathBuf,
}

impl Repository {
    fn around(folder: &Path) -> Option<Self> {
        folder.ancestors().find_map(|work| {
            let entry = work.join(".git");
            let own = match entry.is_dir() {
                true => entry,
                // A work tree beside the first one, or a submodule.
                false => work.join(text(&entry)?.strip_prefix("gitdir:")?.trim()),
            };
            text(&own.join("HEAD"))?;
            let common = text(&own.join("commondir"));
            let common = common.map_or_else(|| own.clone(), |path| own.join(path.trim()));
            Some(Repository { work: work.to_owned(), own, common })
        })
    }

    /// The branch and the commit that are checked out.
    fn head(&self) -> Option<(String, String)> {
        let (mut name, mut branch) = ("HEAD".to_owned(), None);
        for _ in 0..MAX_LINKS {
            let loose = [&self.own, &self.common].map(|folder| folder.join(&name));
            let found = loose.iter().find_map(|path| text(path));
            let link = found.as_deref().and_then(|found| found.trim().strip_prefix("ref:"));
            let Some(next) = link.map(str::trim) else {
                let commit = match &found {
                    Some(found) => hash(found.trim()),
                    None => self.packed(&name),
                };
                return Some((branch.unwrap_or(name), commit?));
            };
            if !is_reference(next) {
                return None;
            }
            // Where a branch leads to another one, the first is the one that is checked out.
            branch
                .get_or_insert_with(|| next.strip_prefix("refs/heads/").unwrap_or(next).to_owned());
            name = next.to_owned();
        }
        None
    }

    /// The commit of a reference that has no file of its own.
    fn packed(&self, name: &str) -> Option<String> {
        let packed = text(&self.common.join("packed-refs"))?;
        let line = packed.lines().find_map(|line| line.split_once(' ').filter(|(_, n)| *n == name));
        line.and_then(|(commit, _)| hash(commit))
    }
}

/// Whether a name is one of a reference, and leads out of no folder.
fn is_reference(name: &str) -> bool {
    let plain = |c: char| !c.is_control() && !" \\:?*[~^".contains(c);
    name.starts_with("refs/")
        && name.chars().all(plain)
        && name.split('/').all(|part| !part.is_empty() && !part.starts_with('.'))
}

/// The hash of an object, in hex.
fn hash(text: &str) -> Option<String> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    ([40, 64].contains(&text.len()) && text.bytes().all(is_hex)).then(|| text.to_owned())
}

/// The content of a plain file, if it is text and not too long. A pipe, into which nobody may ever write, is none.
fn text(path: &Path) -> Option<String> {
    String::from_utf8(bytes(path)?).ok()
}

fn bytes(path: &Path) -> Option<Vec<u8>> {
    let known = std::fs::metadata(path).ok()?;
    if !known.is_file() || known.len() > MAX_BYTES {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests;
