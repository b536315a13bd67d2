//! What stands in a file's schema that Siltstone did not make: read as text, and never run.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::OnceLock;

use rusqlite::Connection;

use super::connect;
use super::documented_name;
use super::failure::At;
// What is not ours is known by what is; a schema that others changed is refused before it is upgraded.
use super::schema::{KERNEL_TABLES, Migrations, Step, version};
use super::{Finding, ReadTx, row_sum};
use crate::error::{Error, Result};

/// The statements that made what a store made beyond its migrations: tables of the user's naming, and their views.
pub(crate) type Definitions = fn(&ReadTx<'_>) -> Result<Vec<String>>;

/// A row of `sqlite_schema`; names in lower case, as SQLite compares them.
struct Item {
    kind: String,
    name: String,
    table: String,
    words: Vec<String>,
}

/// The schema of a connection, by name.
type Schema = HashMap<String, Item>;

/// What the schema of a file is found to be, before any row is read.
#[derive(Default)]
pub(super) struct Compared {
    pub(super) findings: Vec<Finding>,
    /// Whether every table of ours is a table of ours, with its columns.
    pub(super) is_ours: bool,
    /// Tables that would make SQLite compute what others wrote.
    pub(super) computing: Vec<String>,
}

fn schema(conn: &Connection) -> Result<Schema> {
    items(conn, "true")
}

/// The part of the schema for which a condition holds.
fn items(conn: &Connection, condition: &str) -> Result<Schema> {
    let sql = format!("SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE {condition}");
    let mut statement = conn.prepare(&sql)?;
    let rows = statement.query_map([], |row| {
        let lower = |i| row.get::<_, String>(i).map(|name| name.to_ascii_lowercase());
        let sql: Option<String> = row.get(3)?;
        let words = without_sum(words(sql.as_deref().unwrap_or_default()));
        Ok(Item { kind: row.get(0)?, name: lower(1)?, table: lower(2)?, words })
    })?;
    let mut items = rows.collect::<Result<Vec<_>, _>>()?;
    for at in (0..items.len()).rev() {
        // Made by the program, from the columns of the table.
        if items[at].kind == "trigger" && row_sum::is_own_trigger(conn, &items[at].name)? {
            items.remove(at);
        }
    }
    Ok(items.into_iter().map(|item| (item.name.clone(), item)).collect())
}

/// A table as it was made: without the column of [row sums](super::row_sum), which comes later.
fn without_sum(mut words: Vec<String>) -> Vec<String> {
    let added = [",", "ROW_SUM", "INTEGER"];
    if let Some(at) = words.windows(added.len()).position(|found| found == added) {
        words.drain(at..at + added.len());
    }
    words
}

/// The words of a statement without its comments: what is not quoted in upper case.
fn words(sql: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = sql.trim_start();
    while let Some(first) = rest.chars().next() {
        let behind = |end: &str, from: usize| {
            rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len())
        };
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        let length = match first {
            '-' if rest.starts_with("--") => behind("\n", 2),
            '/' if rest.starts_with("/*") => behind("*/", 2),
            '\'' | '"' | '`' => behind(&first.to_string(), 1),
            '[' => behind("]", 1),
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let word = &rest[..length];
        if is_word(first) {
            words.push(word.to_uppercase());
        } else if !word.starts_with("--") && !word.starts_with("/*") {
            words.push(word.to_owned());
        }
        rest = rest[length..].trim_start();
    }
    words
}

impl Item {
    /// Whether SQLite computes something when it checks or reads the rows: a generated column, a CHECK, the code
    /// of a virtual table.
    fn computes(&self) -> bool {
        let has = |word: &str| self.words.iter().any(|known| known == word);
        self.kind == "table" && (has("CHECK") || has("AS") || has("VIRTUAL"))
    }
}

/// What the migrations make, up to the versions of the file or the newest.
fn made(versions: impl Fn(&str) -> Result<usize>) -> Result<Connection> {
    let conn = with_kernel_tables()?;
    for migrations in crate::STORES.map(|store| store.migrations) {
        let version = versions(migrations.store)?.min(migrations.steps.len());
        make(&conn, &migrations.steps[..version])?;
    }
    Ok(conn)
}

fn with_kernel_tables() -> Result<Connection> {
    let conn = Connection::open_in_memory()?;
    row_sum::register(&conn)?;
    conn.execute_batch(KERNEL_TABLES)?;
    Ok(conn)
}

fn make(conn: &Connection, steps: &[Step]) -> Result<()> {
    for step in steps {
        if let Step::Sql(sql) = step {
            conn.execute_batch(sql)?;
        }
    }
    Ok(())
}

/// Whether a table of a user's naming cannot have this name: some store makes one of it in the file, now or later, or it
/// would hide a function of ours or of SQLite's whose results are rows.
pub(crate) fn is_reserved(name: &str) -> bool {
    /// The last is of the feature `lake`, whose tables are made by builds that have it.
    const FAMILIES: [&str; 5] = ["sqlite_", "siltstone_", "silt_", "pragma_", "publish_"];
    static NAMES: OnceLock<HashSet<String>> = OnceLock::new();
    let names = NAMES.get_or_init(|| {
        let find = || -> Result<HashSet<String>> {
            let conn = made(|_| Ok(usize::MAX))?;
            // Also the names that a table has while its rows are in blocks.
            documented_name::hide_all(&conn)?;
            let mut names: HashSet<String> = schema(&conn)?.into_keys().collect();
            // Those of SQLite that are listed only once they are used.
            let late = ["json_each", "json_tree", "jsonb_each", "jsonb_tree"];
            names.extend(late.map(str::to_owned));
            let conn = connect::in_memory()?;
            let mut functions = conn.prepare("SELECT lower(name) FROM pragma_module_list")?;
            for name in functions.query_map([], |row| row.get(0))? {
                names.insert(name?);
            }
            Ok(names)
        };
        find().expect("the migrations of this build run")
    });
    let name = name.to_ascii_lowercase();
    FAMILIES.iter().any(|family| name.starts_with(family)) || names.contains(&name)
}

/// The names of a connection's schema, in lower case.
pub(super) fn names(conn: &Connection) -> Result<HashSet<String>> {
    let mut statement = conn.prepare_cached("SELECT lower(name) FROM sqlite_schema")?;
    let names = statement.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// Which of the names that a file had are in the way of a store's steps from this version on, if any is.
pub(super) fn in_the_way(
    there: &HashSet<String>,
    migrations: &Migrations,
    version: usize,
) -> Result<Option<String>> {
    let conn = with_kernel_tables()?;
    make(&conn, &migrations.steps[..version])?;
    let before = names(&conn)?;
    make(&conn, &migrations.steps[version..])?;
    let new = names(&conn)?;
    Ok(new.into_iter().filter(|name| there.contains(name) && !before.contains(name)).min())
}

/// What Siltstone makes in a file of these versions, the stores' own definitions included, and a database that has it. Of
/// a file of another program, which has no versions: the tables that it has by the names of ours.
fn expected(conn: &Connection, found: &Schema) -> Result<(Schema, Connection)> {
    if !has_versions(found) {
        let ours = made(|_| Ok(usize::MAX))?;
        let mut tables = schema(&ours)?;
        tables.retain(|name, item| item.kind == "table" && found.contains_key(name));
        return Ok((tables, ours));
    }
    let versions = |store: &str| Ok(version(conn, store)?.max(0) as usize);
    let ours = made(versions)?;
    // A table that is a view while there are blocks: no row is read before one of the two is known to be there.
    let hidden = || -> Result<Schema> {
        let hidden = made(versions)?;
        documented_name::hide_all(&hidden)?;
        schema(&hidden)
    };
    if findings(&schema(&ours)?, found).1 || findings(&hidden()?, found).1 {
        for definitions in crate::STORES.iter().filter_map(|store| store.definitions) {
            definitions(&ReadTx::new(conn))?.iter().try_for_each(|sql| ours.execute_batch(sql))?;
        }
        documented_name::expect(conn, &ours)?;
    }
    Ok((schema(&ours)?, ours))
}

/// The columns that tables of ours lack in a file which has all of them. A damaged name of a column is one, and nothing
/// else shows it: SQLite reads the column by the other name, and the rows lose their checksum with theirs.
fn missing_columns(
    conn: &Connection,
    ours: &Connection,
    expected: &Schema,
) -> Result<Vec<Finding>> {
    for migrations in crate::STORES.map(|store| store.migrations) {
        // Tables of an earlier version get their sums with the next one.
        if version(conn, migrations.store)? == migrations.steps.len() as i64 {
            row_sum::cover_all(conn, ours, migrations.summed)?;
        }
    }
    let mut findings = Vec::new();
    // The kernel's newest column comes with the first store that writes it.
    let is_young = !documented_name::says_needs(conn)?;
    for table in expected.values().filter(|item| item.kind == "table") {
        let there = row_sum::columns(conn, &table.name)?;
        // Without any it is a table of the kernel that is younger than the file.
        if there.is_empty() || is_young && is_kernel(&table.name) {
            continue;
        }
        let missing = row_sum::columns(ours, &table.name)?.into_iter();
        for column in missing.filter(|column| !there.iter().any(|c| c.is_like(column))) {
            let what = format!("has no column {} as Siltstone makes it", column.name);
            findings.push(Finding { location: format!("table {}", table.name), what });
        }
    }
    Ok(findings)
}

/// Whether the versions can be read: from a table that computes nothing.
fn has_versions(found: &Schema) -> bool {
    let versions = found.get("siltstone_schema");
    versions.is_some_and(|item| item.kind == "table" && !item.computes())
}

/// What differs, and whether every table of ours is one.
fn findings(expected: &Schema, found: &Schema) -> (Vec<Finding>, bool) {
    let (mut findings, mut is_ours) = (Vec::new(), true);
    let mut find = |item: &Item, what: String| {
        findings.push(Finding { location: format!("{} {}", item.kind, item.name), what });
    };
    for item in expected.values() {
        let is_table = item.kind == "table";
        match found.get(&item.name) {
            // An index that SQLite makes of a constraint; a table of the kernel that is younger than the file.
            None if item.words.is_empty() || is_kernel(&item.name) => {}
            None => {
                is_ours &= !is_table;
                find(item, "is not there".into());
            }
            Some(there) if there.kind != item.kind => {
                is_ours &= !is_table;
                find(there, format!("is in place of a {} of Siltstone", item.kind));
            }
            Some(there) if there.words == item.words => {}
            Some(there) if !is_table => find(there, "is not the one that Siltstone makes".into()),
            Some(there) if there.computes() => {
                is_ours = false;
                find(there, "has a generated column or a CHECK that is not Siltstone's".into());
            }
            // A table of another program that was upgraded in place, or one that has more columns.
            Some(_) => {}
        }
    }
    for item in found.values().filter(|item| !expected.contains_key(&item.name)) {
        if item.kind == "trigger" && expected.contains_key(&item.table) {
            find(item, format!("on {} is not Siltstone's; it runs with each write", item.table));
        }
    }
    (findings, is_ours)
}

fn is_kernel(name: &str) -> bool {
    name.starts_with("siltstone_")
}

/// Compares the schema of a file with what Siltstone makes.
pub(super) fn compare(conn: &Connection) -> Result<Compared> {
    let found = schema(conn)?;
    let (expected, ours) = expected(conn, &found)?;
    let (mut findings, mut is_ours) = findings(&expected, &found);
    if is_ours && has_versions(&found) {
        let missing = missing_columns(conn, &ours, &expected)?;
        is_ours = missing.is_empty();
        findings.extend(missing);
    }
    findings.sort_by(|a, b| a.location.cmp(&b.location));
    let is_known =
        |item: &Item| expected.get(&item.name).is_some_and(|ours| ours.words == item.words);
    let computing = found.values().filter(|item| item.computes() && !is_known(item));
    let computing = computing.map(|item| item.name.clone()).collect();
    Ok(Compared { findings, is_ours, computing })
}

/// Refuses a file whose versions would come from something that others made.
pub(super) fn check_versions(conn: &Connection, path: &Path) -> Result<()> {
    let found = items(conn, "name = 'siltstone_schema'").at(path, "reading its schema")?;
    if has_versions(&found) {
        return Ok(());
    }
    let why = "its siltstone_schema is not the table that Siltstone makes".into();
    Err(Error::NotOurs { path: path.to_owned(), why })
}

/// Refuses a file in which triggers that are not ours would run with our writes.
pub(super) fn refuse_triggers(conn: &Connection, path: &Path) -> Result<()> {
    let mut unknown = items(conn, "type = 'trigger'").at(path, "reading its schema")?;
    unknown.retain(|_, item| !is_of_migration(item) && !known_triggers().contains(&item.words));
    if unknown.is_empty() {
        return Ok(());
    }
    let expected = schema(conn).and_then(|found| expected(conn, &found));
    let (expected, _) = expected.at(path, "reading its schema")?;
    match unknown.values().find(|item| expected.contains_key(&item.table)) {
        None => Ok(()),
        Some(Item { name, table, .. }) => {
            let why = format!(
                "the trigger {name:?} on {table:?} is not Siltstone's and would run with each write; drop it, or open \
                 the file for reading"
            );
            Err(Error::NotOurs { path: path.to_owned(), why })
        }
    }
}

/// Whether a trigger stands in a migration as it is, which takes no time to find out.
fn is_of_migration(trigger: &Item) -> bool {
    static TEXTS: OnceLock<String> = OnceLock::new();
    let spaced = |words: &[String]| format!(" {} ", words.join(" "));
    let texts = TEXTS.get_or_init(|| {
        let steps = crate::STORES.iter().flat_map(|store| store.migrations.steps);
        let sql = steps.filter_map(|step| match step {
            Step::Sql(sql) => Some(spaced(&words(sql))),
            Step::Code(_) => None,
        });
        sql.collect()
    });
    trigger.words.len() > 2 && texts.contains(&spaced(&trigger.words))
}

/// The triggers of every version of every store, which takes a while to find out.
fn known_triggers() -> &'static HashSet<Vec<String>> {
    static KNOWN: OnceLock<HashSet<Vec<String>>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let versions = crate::STORES.iter().map(|store| store.migrations.steps.len());
        let most = versions.max().unwrap_or(0);
        let triggers = |version: usize| {
            let made = made(|_| Ok(version)).and_then(|conn| {
                // Of every version: the names of files of before are made to fit with the next one.
                documented_name::hide_all(&conn)?;
                schema(&conn)
            });
            made.expect("the migrations of this build run").into_values()
        };
        let all = (1..=most).flat_map(triggers);
        all.filter(|item| item.kind == "trigger").map(|item| item.words).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: comments and spaces make no difference, what is quoted does, and a quoted word computes nothing.
    #[test]
    fn statements_are_compared_by_their_words() {
        let ours = words("CREATE TABLE t (a INTEGER, -- the first\n \"as\" TEXT /* as\n is */)");
        assert_eq!(ours, words("create table t(a integer,\"as\" text)"));
        assert_ne!(ours, words("CREATE TABLE t (a INTEGER, \"AS\" TEXT)"));
        let computes = |sql: &str| {
            let (kind, name) = ("table".to_owned(), String::new());
            Item { kind, name, table: String::new(), words: words(sql) }.computes()
        };
        assert!(!computes("CREATE TABLE t (\"as\" TEXT DEFAULT 'check it')"));
        assert!(computes("CREATE TABLE t (a, b AS (a + 1))"));
        assert!(computes("CREATE TABLE t (a CHECK (a > 1))"));
        assert!(computes("CREATE VIRTUAL TABLE t USING fts5(a)"));
        assert!(words("'never ends").len() == 1 && words("/* never ends").is_empty());
    }
}
