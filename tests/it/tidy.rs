//! The rules of the code base, checked on the files themselves.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex_lite::Regex;

/// The stores that the design names; those that are built have a folder in `src`.
const STORES: [&str; 5] = ["simulation", "experiment", "memory", "ticks", "series"];
/// The modules below the stores.
const LOWER: [&str; 5] = ["array", "kernel", "postgresql", "table", "error.rs"];
/// What stands over the stores: the list of all, and tests of all.
const UPPER: [&str; 6] = ["lib.rs", "describe.rs", "import.rs", "lake", "open.rs", "power_loss.rs"];
/// Lines that a file may have.
const MOST_LINES: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below a folder of the project that end in one of these ways, what is built or
/// downloaded left out.
pub(crate) fn files(folder: &str, endings: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        // A folder that was renamed fails here, and is not silently passed over.
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().expect("our names are ASCII").to_owned();
            let made = name.starts_with('.') || ["target", "corpus", "artifacts"].contains(&&*name);
            if path.is_dir() && !made {
                folders.push(path);
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} holds no {endings:?}");
    found
}

/// The code of a Rust file: its lines without comments.
fn code(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether the code names a module or crate: as `name::`, or in a list of imports.
fn names(code: &str, module: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(module).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + module.len()..]);
        let listed = before.ends_with("crate::") || before.ends_with("super::super::");
        !before.ends_with(is_word)
            && !after.starts_with(is_word)
            && (after.starts_with("::") || listed)
    })
}

fn built_stores() -> Vec<&'static str> {
    let built = STORES.into_iter().filter(|store| root().join("src").join(store).is_dir());
    built.collect()
}

/// Goal: a module that the other rules do not know is noticed, so that none of them rots.
#[test]
fn every_module_of_the_library_is_known() {
    assert!(built_stores().contains(&"simulation"));
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let known = [&STORES[..], &LOWER, &UPPER].concat().contains(&&*name);
        assert!(known, "src/{name} is neither a store nor a module beneath them");
    }
}

/// Goal: a store can be read, changed and removed by itself.
#[test]
fn stores_never_import_each_other() {
    for store in built_stores() {
        for (path, text) in files(&format!("src/{store}"), &[".rs"]) {
            for other in STORES.iter().filter(|other| **other != store) {
                assert!(!names(&code(&text), other), "{} names the store {other}", path.display());
            }
        }
    }
}

/// Goal: imports go down only: error, array, kernel, then table and the stores.
#[test]
fn lower_modules_do_not_know_higher_ones() {
    let above = [
        ("src/array", vec!["kernel", "table"]),
        ("src/kernel", vec!["table"]),
        ("src/table", vec![]),
    ];
    for (folder, mut higher) in above {
        higher.extend(STORES);
        for (path, text) in files(folder, &[".rs"]) {
            for module in &higher {
                assert!(!names(&code(&text), module), "{} names {module}", path.display());
            }
        }
    }
}

/// The texts between the quotes of a Rust file, without those of its tests and comments.
fn literals(text: &str) -> Vec<String> {
    let literal = Regex::new(r#"//[^\n]*|'"'|"((?:[^"\\]|\\[\s\S])*)""#).unwrap();
    let product = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    literal
        .captures_iter(product)
        .filter_map(|found| found.get(1))
        .map(|m| m.as_str().into())
        .collect()
}

/// The tables and views that the migrations of the stores make.
fn tables_of_stores() -> BTreeSet<String> {
    let made = Regex::new(r#"CREATE (?:TABLE|VIEW) (?:IF NOT EXISTS )?"?(\w+)"#).unwrap();
    let mut tables = BTreeSet::new();
    for store in built_stores() {
        for (_, sql) in files(&format!("src/{store}"), &[".sql"]) {
            tables.extend(made.captures_iter(&sql).map(|table| table[1].to_owned()));
        }
    }
    tables
}

/// Whether an SQL text names a table. A name that is an English word counts only where a table is named.
fn names_table(sql: &str, table: &str) -> bool {
    let before = match table.contains('_') {
        true => r"(?:^|\W)",
        false => r"(?i:\b(?:FROM|INTO|UPDATE|JOIN|TABLE|VIEW|EXISTS|ON)\s+)",
    };
    let name = format!(r#"{before}(?:main\.)?"?{table}(?:\W|$)"#);
    Regex::new(&name).unwrap().is_match(sql)
}

/// Goal: what the kernel knows of a store's tables, the store hands in.
#[test]
fn the_kernel_names_no_table_of_a_store() {
    let tables = tables_of_stores();
    for known in ["array_block", "update", "record_block", "series_block", "episodes", "tick_rows"]
    {
        assert!(tables.contains(known), "{known} is not among {tables:?}");
    }
    let is_test = |path: &Path| path.ends_with("tests.rs");
    for (path, text) in files("src/kernel", &[".rs", ".sql"]) {
        let is_sql = path.extension().is_some_and(|e| e == "sql");
        let texts = if is_sql { vec![text] } else { literals(&text) };
        for text in texts.iter().filter(|_| !is_test(&path)) {
            let named = tables.iter().find(|table| names_table(text, table));
            assert!(named.is_none(), "{} names the table {named:?}: {text}", path.display());
        }
    }
}

/// Goal: SQLite's connections stay in the kernel; command and package see the public API alone.
#[test]
fn only_the_kernel_names_connections() {
    for (path, text) in files("src", &[".rs"]) {
        let named = code(&text).contains("Connection");
        assert!(!named || path.starts_with("src/kernel"), "{} names it", path.display());
    }
    for folder in ["crates", "python"] {
        for (path, text) in files(folder, &[".rs", "Cargo.toml"]) {
            // Tests may make the file of another program, as that program would.
            let is_test = path.components().any(|part| part.as_os_str() == "tests");
            let text = text.split("[dev-dependencies]").next().unwrap_or_default();
            assert!(is_test || !text.contains("rusqlite"), "{} names rusqlite", path.display());
        }
    }
}

/// Goal: Parquet can be taken out or replaced in one place.
#[test]
fn only_the_tables_name_parquet() {
    for folder in ["src", "crates", "python"] {
        for (path, text) in files(folder, &[".rs"]) {
            let named = names(&code(&text), "parquet");
            assert!(!named || path.starts_with("src/table"), "{} names it", path.display());
        }
    }
}

/// The packages of a lock file, each with its version.
fn locked(path: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(path)).unwrap();
    let packages = text.split("[[package]]").skip(1);
    packages.map(|package| package.trim().lines().take(2).collect::<Vec<_>>().join(" ")).collect()
}

/// Goal: the SQLite extension decodes with the very versions that the library encodes with, and `make extension` compiles none
/// of them a second time.
#[test]
fn the_extension_has_the_versions_of_the_library() {
    let (ours, of_extension) = (locked("Cargo.lock"), locked("crates/sqlite-extension/Cargo.lock"));
    let missing: Vec<_> = of_extension.difference(&ours).collect();
    let own =
        format!("name = \"siltstone-sqlite-extension\" version = {:?}", env!("CARGO_PKG_VERSION"));
    assert_eq!(missing, [&own], "cp Cargo.lock crates/sqlite-extension/ and build it");
    assert!(of_extension.len() > 50);
}

/// Goal: no file becomes one that nobody reads to the end.
#[test]
fn no_file_is_too_long() {
    for folder in ["src", "crates", "python", "tests", "bench", "examples", "fuzz"] {
        for (path, text) in files(folder, &[".rs", ".py", ".sql"]) {
            let lines = text.lines().count();
            assert!(lines <= MOST_LINES, "{} has {lines} lines: split it", path.display());
        }
    }
}

/// Goal: a reader of the README finds every page, and no link of a page is dead.
#[test]
fn every_page_is_linked_and_every_link_leads_somewhere() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let pages = files("docs", &[".md"]);
    for (path, _) in &pages {
        let path = path.display();
        assert!(readme.contains(&format!("]({path})")), "README.md has no link to {path}");
    }
    for (path, text) in pages.into_iter().chain([(PathBuf::from("README.md"), readme)]) {
        let folder = root().join(&path).parent().unwrap().to_owned();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let outside = target.contains("://") || target.contains(char::is_whitespace);
            let found = outside || folder.join(target).exists();
            assert!(found, "{} links to {target:?}, which is not there", path.display());
        }
    }
}

/// Goal: the project says nothing of the machine that it was written on.
#[test]
fn no_file_names_a_path_on_one_machine() {
    // In pieces, so that this file does not break its own rule.
    let locations = ["work", "root", "home", "Users", "tmp"].map(|name| format!("/{name}/"));
    let endings = [".rs", ".py", ".pyi", ".toml", ".md", ".sql", ".sh", "Makefile", "LICENSE"];
    for (path, text) in files(".", &endings) {
        for location in &locations {
            let line = text.lines().position(|line| line.contains(location));
            let line = line.map(|n| n + 1);
            assert!(line.is_none(), "{}, line {line:?} names {location}", path.display());
        }
    }
}
