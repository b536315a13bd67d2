//! The loadable extension in the system's `sqlite3`: tables with column blocks as our own connections read them, and nothing
//! that a file or a statement holds ends the program.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rusqlite::types::Value;
use siltstone::memory::{MemoryStore, NewConcept};
use siltstone::series::{Metadata, Series, SqliteBackend, StorageBackend};
use siltstone::{Array, Database};
use siltstone_needs::needs;

use crate::plain_sqlite::{ARRAYS, RECORDS, Subject, TICKS, Table, open, our_rows};
use crate::sql_functions::{write_day, write_run};

fn extension() -> PathBuf {
    std::env::var_os("SILTSTONE_EXTENSION").expect("it was set when this was compiled").into()
}

/// What `sqlite3` prints of a script, and its errors; it fails if the program ends by a signal.
fn shell(file: &Path, script: &str) -> (String, String) {
    let mut child = Command::new("sqlite3")
        .args(["-batch", "-noheader", "-quote"])
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let script = format!("{script}\n");
    let writer = std::thread::spawn(move || stdin.write_all(script.as_bytes()));
    let done = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (output, errors) = (text(&done.stdout), text(&done.stderr));
    assert!(done.status.code().is_some(), "sqlite3 ended with {}: {errors}", done.status);
    (output, errors)
}

fn load() -> String {
    format!(".load {}\n", extension().display())
}

/// One line of `-quote` as values.
fn values(line: &str) -> Vec<String> {
    let (mut found, mut rest) = (Vec::new(), line);
    loop {
        let value;
        if let Some(text) = rest.strip_prefix('\'') {
            let mut end = 0;
            loop {
                end += text[end..].find('\'').unwrap_or_else(|| panic!("{line}"));
                match text[end + 1..].starts_with('\'') {
                    true => end += 2,
                    false => break,
                }
            }
            value = Value::Text(text[..end].replace("''", "'"));
            rest = &text[end + 1..];
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            let word = &rest[..end];
            value = match word.strip_prefix("X'").and_then(|hex| hex.strip_suffix('\'')) {
                Some(hex) => Value::Blob(
                    (0..hex.len() / 2)
                        .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
                        .collect(),
                ),
                None if word == "NULL" => Value::Null,
                None => match word.parse() {
                    Ok(n) => Value::Integer(n),
                    Err(_) => Value::Real(word.parse().unwrap_or_else(|_| panic!("{line}"))),
                },
            };
            rest = &rest[end..];
        }
        found.push(format!("{value:?}"));
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None => return found,
        }
    }
}

fn table(output: &str) -> Table {
    output.lines().map(values).collect()
}

/// The rows of a statement with the extension.
fn rows(file: &Path, sql: &str) -> Table {
    let (output, errors) = shell(file, &format!("{}{sql};", load()));
    assert_eq!(errors, "", "{sql}");
    table(&output)
}

/// A file of series of several kinds.
fn write_series(folder: &Path) -> PathBuf {
    let path = folder.join("plant.db");
    let backend = SqliteBackend::open(&path).unwrap();
    let times: Vec<i64> = (0..3000).map(|i| i * 1_000_000_000).collect();
    let exact: Vec<f64> = (0..3000).map(|i| f64::from(i) / 7.0).collect();
    let short: Vec<f64> = (0..3000).map(|i| f64::from(i % 100) / 4.0).collect();
    for (key, values) in [("exact", exact), ("short", short)] {
        let series = Series::from_times_ns(&times, &values).unwrap();
        backend.save(key, &series, &Metadata::new()).unwrap();
    }
    path
}

const POINTS: [&str; 2] = [
    "SELECT key, index_value, value, idx FROM time_series_data ORDER BY key, idx",
    "SELECT count(*), sum(value) FROM time_series_data \
     WHERE index_value BETWEEN '1970-01-01 00:10:00' AND '1970-01-01 00:20:00'",
];

/// Goal: what plain `sqlite3` refuses for its blocks, it reads with the extension, equal to ours row by row.
#[needs(extension)]
#[test]
fn compacted_tables_are_read_by_the_systems_sqlite() {
    for subject in [TICKS, RECORDS, ARRAYS] {
        let Subject { name, write_half, sql, lacks, .. } = subject;
        let folder = tempfile::tempdir().unwrap();
        let path = write_half(folder.path());
        let before = fs::read(&path).unwrap();
        for sql in sql {
            let (_, error) = shell(&path, &format!("{sql};"));
            assert!(error.contains(lacks), "{name}: {error}");
            let wanted = our_rows(&open(&path), sql);
            assert!(!wanted.is_empty());
            assert_eq!(rows(&path, sql), wanted, "{sql}");
        }
        assert!(fs::read(&path).unwrap() == before, "{name}: the file was written to");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = write_series(folder.path());
    for sql in POINTS {
        let (_, error) = shell(&path, &format!("{sql};"));
        assert!(error.contains("no such table: main.silt_block"), "{error}");
        assert_eq!(rows(&path, sql), our_rows(&open(&path), sql), "{sql}");
    }
}

/// Goal: the functions are ours, with the same answers.
#[needs(extension)]
#[test]
fn functions_answer_as_in_our_connections() {
    let folder = tempfile::tempdir().unwrap();
    let run = write_run(&folder.path().join("run.db"));
    run.compact(&mut |_, _| Ok(())).unwrap();
    run.close().unwrap();
    write_day(folder.path()).stop().unwrap();
    let memory = MemoryStore::open(folder.path().join("agent.db")).unwrap();
    for (name, numbers) in [("a", [0.5f32, 1.0]), ("b", [1.0, -1.0])] {
        memory.store_concept(NewConcept::new(name, Array::from_slice(&numbers))).unwrap();
    }
    drop(memory);
    for (file, sql) in [
        ("run.db", "SELECT * FROM silt_state('net', 'roads', 40)"),
        // SQLite plans the terms of an OR by themselves too.
        (
            "run.db",
            "SELECT * FROM silt_state('net', 'roads', 40) WHERE id = 1 OR attribute = 'speed'",
        ),
        ("run.db", "SELECT silt_array(dtype, shape, data) FROM numpy_array ORDER BY id"),
        ("run.db", "SELECT silt_items(dtype, shape, codec, data) FROM numpy_array ORDER BY id"),
        ("run.db", "SELECT silt_value('{\"a\": {\"b\": 7}}', 'a', 'b')"),
        ("2026/01/ticks_2026-01-19.db", "SELECT * FROM silt_ohlc('EURUSD', '1m')"),
        ("2026/01/ticks_2026-01-19.db", "SELECT * FROM ticks ORDER BY id LIMIT 100"),
        (
            "agent.db",
            "SELECT a.name, b.name, silt_similarity(a.embedding, b.embedding) FROM concepts a, concepts b",
        ),
        ("agent.db", "SELECT silt_array(embedding) FROM concepts"),
    ] {
        let path = folder.path().join(file);
        let wanted = our_rows(&open(&path), sql);
        assert!(!wanted.is_empty());
        assert_eq!(rows(&path, sql), wanted, "{sql}");
    }
}

/// Goal: the views work where the host trusts no schema, guards itself, or may only read.
#[needs(extension)]
#[test]
fn views_work_in_a_host_that_trusts_no_schema() {
    for subject in [TICKS, RECORDS, ARRAYS] {
        let folder = tempfile::tempdir().unwrap();
        let path = (subject.write_half)(folder.path());
        let sql = subject.sql[0];
        let wanted = our_rows(&open(&path), sql);
        let careful = ".dbconfig defensive on\n.dbconfig trusted_schema off\n.dbconfig dqs_dml off\nPRAGMA query_only=ON;";
        let (output, errors) = shell(&path, &format!("{}{careful}\n{sql};", load()));
        if errors.contains("unsafe use of json_extract()") {
            // Some versions, 3.40.1 among them, distrust their own JSON functions, in whatever view.
            let own = "PRAGMA trusted_schema=OFF;\nCREATE VIEW v AS SELECT json_extract('[1]', '$[0]');\nSELECT * FROM v;";
            let (_, own) = shell(Path::new(":memory:"), own);
            assert!(own.contains("unsafe use of json_extract()"), "{errors}");
            continue;
        }
        let lines: Vec<&str> = output
            .lines()
            .filter(|line| !line.trim().ends_with("on") && !line.trim().ends_with("off"))
            .collect();
        assert_eq!((table(&lines.join("\n")), errors.as_str()), (wanted, ""), "{sql}");
    }
}

/// Goal: a view in an attached database reads that database's blocks; where two have such blocks it is an error, and never
/// the rows of the other file.
#[needs(extension)]
#[test]
fn an_attached_file_gives_its_own_rows_or_an_error() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for subject in [RECORDS, ARRAYS] {
        let path = (subject.write_half)(one.path());
        let sql = subject.sql[1];
        let wanted = our_rows(&open(&path), sql);
        let second = (subject.write_half)(other.path());
        let attached = |host: &Path| {
            let sql = sql.replace("FROM ", "FROM o.").replace("JOIN ", "JOIN o.");
            shell(host, &format!("{}ATTACH '{}' AS o;\n{sql};", load(), path.display()))
        };
        let (output, errors) = attached(Path::new(":memory:"));
        assert_eq!((table(&output), errors.as_str()), (wanted.clone(), ""));
        let none = tempfile::tempdir().unwrap();
        let (output, errors) = attached(&(subject.write)(none.path()));
        assert_eq!((table(&output), errors.as_str()), (wanted, ""), "the host has no blocks");
        let (output, errors) = attached(&second);
        assert_eq!(output, "");
        assert!(errors.contains("is in several attached databases (main, o)"), "{errors}");
    }
}

/// Calls with two values each.
const ODD_CALLS: [&str; 11] = [
    "SELECT count(c0) FROM silt_block({a}, {b})",
    "SELECT count(c0) FROM silt_block({a}, {b}, {b}, {a}) WHERE ms > {b}",
    "SELECT count(c65), count(ms) FROM silt_block('record_block', {a}, {b}, {a}) WHERE c0 = {b}",
    "SELECT count(c1) FROM silt_block('record_block', 1, {a}, {b}, {a}, {b})",
    "SELECT count(c1) FROM silt_block('series_block', 1, {a}, {b}, 'i64;f64', {a})",
    "SELECT count(c0) FROM silt_block('tick_block', {a}, {b}, {b}, 'i64;' || {a}) WHERE c0 < {b}",
    "SELECT silt_similarity({a}, {b}), silt_array({a})",
    "SELECT count(value) FROM silt_state({a}, {b}, {a})",
    "SELECT count(open) FROM silt_ohlc({a}, {b}, {a}, {b}, {a})",
    "SELECT silt_row_sum({a}, {b}), silt_whole({a}, {b})",
    "SELECT silt_array({a}, {b}, {a})",
];

/// Goal: whatever is handed to a function is refused or answered, and `sqlite3` goes on.
#[needs(extension)]
#[test]
fn hostile_arguments_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = (RECORDS.write_half)(folder.path());
    let odd = [
        "NULL",
        "0",
        "-1",
        "9223372036854775807",
        "-9223372036854775808",
        "1e308",
        "9e999",
        "''",
        "'[9999999999]'",
        "'|b1'",
        "'zstd'",
        "'pco'",
        "'block'",
        "'<U999999999'",
        "'[0,18446744073709551615]'",
        "x''",
        "x'00'",
        "zeroblob(100000)",
        "randomblob(4096)",
        "CAST(x'ff00ff' AS TEXT)",
        "'iiiiiiiitttfff'",
    ];
    let mut script = load();
    let mut calls = 0;
    for function in ["silt_items", "silt_array", "silt_raw", "silt_value"] {
        for (i, a) in odd.iter().enumerate() {
            for (j, b) in odd.iter().enumerate() {
                let (c, d) = (odd[(i * 7 + j) % odd.len()], odd[(i + j * 5) % odd.len()]);
                writeln!(script, "SELECT length({function}({a}, {b}, {c}, {d}));").unwrap();
                calls += 1;
            }
        }
    }
    for sql in ODD_CALLS {
        for a in odd {
            for b in odd {
                writeln!(script, "{};", sql.replace("{a}", a).replace("{b}", b)).unwrap();
                calls += 1;
            }
        }
    }
    writeln!(script, "SELECT silt_row_sum(), silt_whole(), silt_value();").unwrap();
    writeln!(script, "SELECT count(*) FROM silt_row_source;\nSELECT silt_visit(1);").unwrap();
    // A megabyte that says it is a gigabyte, as text.
    writeln!(
        script,
        ".limit length 100000\nSELECT silt_items('|b1', '[90000]', NULL, zeroblob(90000));"
    )
    .unwrap();
    writeln!(script, "SELECT 'all are answered';").unwrap();
    let (output, errors) = shell(&path, &script);
    assert!(
        output.ends_with("'all are answered'\n"),
        "{}",
        &errors[errors.len().saturating_sub(2000)..]
    );
    assert!(!errors.contains("panicked"), "{errors}");
    assert!(
        errors.contains("an array as JSON: expected at most 100000 bytes, got more"),
        "{errors}"
    );
    assert!(calls > 6_000);
}

/// Goal: of a file whose blocks are damaged, each query gives the rows that were stored, or an error that says what is
/// damaged; and `sqlite3` goes on.
#[needs(extension)]
#[test]
fn damaged_blocks_are_errors_or_the_same_rows() {
    type Case = (&'static str, fn(&Path) -> PathBuf, &'static str, &'static [&'static str]);
    let cases: [Case; 4] = [
        ("tick_block", TICKS.write_half, TICKS.sql[1], &["data"]),
        ("record_block", RECORDS.write_half, RECORDS.sql[1], &["data"]),
        ("array_block", ARRAYS.write_half, ARRAYS.sql[0], &["data", "dtype", "shape", "codec"]),
        ("series_block", write_series, POINTS[0], &["index_data", "value_data"]),
    ];
    for (blocks, write, sql, columns) in cases {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path());
        let wanted = our_rows(&open(&path), sql);
        let (mut script, mut files) = (String::new(), 0);
        for column in columns {
            for seed in 0..40usize {
                let damaged = folder.path().join(format!("{column}-{seed}.db"));
                fs::copy(&path, &damaged).unwrap();
                damage(&damaged, blocks, column, seed);
                writeln!(script, ".open {}\n{}.print file\n{sql};", damaged.display(), load())
                    .unwrap();
                files += 1;
            }
        }
        script.push_str(".print file\n");
        let (output, errors) = shell(Path::new(":memory:"), &script);
        let answers: Vec<&str> = output.split("file\n").collect();
        assert_eq!(answers.len(), files + 2, "{blocks}: {errors}");
        let (first, inner) = (answers[0], &answers[1..=files]);
        assert_eq!(first, "");
        let mut refused = 0;
        for answer in inner {
            match table(answer) {
                rows if rows == wanted => {}
                // An error may come after some rows.
                rows => {
                    refused += 1;
                    assert!(rows.len() < wanted.len() && rows == wanted[..rows.len()], "{blocks}");
                }
            }
        }
        assert_eq!(
            errors.lines().filter(|line| line.contains("error")).count(),
            refused,
            "{errors}"
        );
        assert!(refused * 2 > files, "{blocks}: of {files} files {refused} were refused");
        assert!(!errors.contains("panicked"), "{errors}");
    }
}

/// Changes a byte of a column of one row, cuts it off, or makes it of another kind.
fn damage(path: &Path, table: &str, column: &str, seed: usize) {
    let conn = rusqlite::Connection::open(path).unwrap();
    let sql = format!(
        "SELECT id, CAST({column} AS BLOB) FROM {table} WHERE {column} IS NOT NULL ORDER BY id LIMIT 1"
    );
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let Ok((id, mut bytes)) = conn.query_row::<(i64, Vec<u8>), _, _>(&sql, [], read) else {
        return;
    };
    let at = seed * 7919 % bytes.len().max(1);
    match seed % 8 {
        0 => bytes.truncate(at),
        1 => bytes.extend([0; 9]),
        _ if bytes.is_empty() => bytes.push(1),
        n => bytes[at] ^= 1 << n,
    }
    // A table that is STRICT takes texts and blobs for themselves.
    let kind = format!("SELECT typeof({column}) FROM {table} WHERE id = ?1");
    let kind: String = conn.query_row(&kind, [id], |row| row.get(0)).unwrap();
    let value = if kind == "text" { "CAST(?2 AS TEXT)" } else { "?2" };
    let _ =
        conn.execute(&format!("UPDATE {table} SET {column} = {value} WHERE id = ?1"), (id, bytes));
}

/// Goal: each line of the page works as it stands.
#[needs(extension)]
#[test]
fn the_lines_of_the_page_run() {
    let folder = tempfile::tempdir().unwrap();
    let run = write_run(&folder.path().join("run.db"));
    run.compact(&mut |_, _| Ok(())).unwrap();
    run.close().unwrap();
    write_day(folder.path()).stop().unwrap();
    fs::rename(folder.path().join("2026/01/ticks_2026-01-19.db"), folder.path().join("day.db"))
        .unwrap();
    let memory = MemoryStore::open(folder.path().join("agent.db")).unwrap();
    memory.store_concept(NewConcept::new("maze", Array::from_slice(&[0.5, 0.25, 1.0]))).unwrap();
    drop(memory);
    let name = extension().file_name().unwrap().to_owned();
    fs::copy(extension(), folder.path().join(name)).unwrap();
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/sqlite-extension.md"))
        .unwrap();
    let lines: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("$ sqlite3 ")).collect();
    assert!(lines.len() >= 5, "{lines:?}");
    for line in lines {
        let ran = Command::new("sh")
            .args(["-c", &format!("sqlite3 {line}")])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success() && errors.is_empty(), "{line}: {errors}");
        assert!(!ran.stdout.is_empty(), "{line}: it prints nothing");
    }
    let db = Database::builder(folder.path().join("run.db")).open_read_only().unwrap();
    assert!(db.verify().unwrap().is_ok());
}
