//! The shell lines of the pages, run as a reader types them.

use std::fs;
use std::path::{Path, PathBuf};

use siltstone::memory::MemoryStore;

use crate::silt::{command, plain};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Puts the files that pages read into a folder. Databases lie there as SQL.
fn lay_out(inputs: &Path, folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for entry in fs::read_dir(inputs).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().expect("our names are UTF-8");
        if path.is_dir() {
            lay_out(&path, &folder.join(name));
        } else if let Some(database) = name.strip_suffix(".sql") {
            let conn = plain(folder.join(database));
            conn.execute_batch(&fs::read_to_string(&path).unwrap()).unwrap();
        } else {
            fs::copy(&path, folder.join(name)).unwrap();
        }
    }
}

/// The lines of a page's shell blocks, each with its number.
fn shell_lines(page: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let (mut inside, mut begun) = (false, String::new());
    for (number, line) in page.lines().enumerate() {
        if line.starts_with("```") {
            inside = line == "```sh";
        } else if inside {
            match line.strip_suffix('\\') {
                Some(part) => begun.push_str(part),
                None => lines.push((number + 1, std::mem::take(&mut begun) + line)),
            }
        }
    }
    lines
}

/// The words of a line as a shell takes them: quotes keep spaces, and `#` begins a comment.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quote): (Option<String>, Option<char>) = (None, None);
    for c in line.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '#' && word.is_none() => break,
            None if c.is_whitespace() => words.extend(word.take()),
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                // Two quotes with nothing between them are a word.
                word = Some(word.unwrap_or_default());
            }
            _ => word.get_or_insert_with(String::new).push(c),
        }
    }
    assert!(quote.is_none(), "a quote does not end: {line}");
    words.extend(word);
    words
}

/// Goal: every shell line of a page works on the inputs that the page names.
#[test]
fn the_shell_lines_of_the_pages_run() {
    // Locks change their kind when the library is first used in a process: before other connections have some.
    let first = tempfile::tempdir().unwrap();
    drop(MemoryStore::open(first.path().join("first.db")).unwrap());
    let mut count = 0;
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let page = entry.unwrap().path();
        if page.is_dir() {
            continue; // of pictures
        }
        let lines = shell_lines(&fs::read_to_string(&page).unwrap());
        if lines.is_empty() {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        lay_out(&root().join("tests/pages"), folder.path());
        for (number, line) in lines {
            let words = words(&line);
            let Some((program, arguments)) = words.split_first() else { continue };
            assert_eq!(program, "silt", "{}, line {number}: not run", page.display());
            let output = command(folder.path()).args(arguments).output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            let location = format!("{}, line {number}: {line}", page.display());
            assert!(output.status.success(), "{location}\n{errors}");
            assert!(!output.stdout.is_empty(), "{location}: it prints nothing");
            count += 1;
        }
    }
    assert!(count >= 40, "{count} shell lines were found");
}

/// Goal: lines are taken apart as a shell does it.
#[test]
fn words_are_those_of_a_shell() {
    let found = words("silt query a.db 'SELECT \"x\", 1' --format \"json\" '' # a comment");
    assert_eq!(found, ["silt", "query", "a.db", "SELECT \"x\", 1", "--format", "json", ""]);
    let found = words("silt show 'plant/flow#1' b#1");
    assert_eq!(found, ["silt", "show", "plant/flow#1", "b#1"]);
    assert_eq!(words("  # nothing"), [""; 0]);
    let lines = shell_lines("```text\nno\n```\n```sh\none \\\n  more\ntwo\n```\nno");
    assert_eq!(lines, [(6, "one   more".to_owned()), (7, "two".to_owned())]);
}
