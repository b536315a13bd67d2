//! `info`, `query`, `state`, `verify`, `stats`: commands that only read.

use std::process::Stdio;

use serde_json::json;

use crate::silt::{command, names, plain, silt, silt_with, small_run};

/// Goal: what is in the file is reported, in words and as JSON.
#[test]
fn info_tells_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    small_run(folder.path());
    let text = silt(folder.path(), "info run.db").ok();
    for part in [
        "simulation 5",
        "complete",
        "0 is 2020-01-01T00:00:00Z",
        "dataset transport: 3 updates at 3 timestamps, 0 to 20 (2020-01-01T00:00:00Z to 2020-01-01T20:00:00Z)",
        "road_segments: 3 updates of speed",
        "ENTITY_BASED",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let info = silt(folder.path(), "info run.db --json").json();
    assert_eq!(info["run"]["status"], "complete");
    assert_eq!(info["page_size"], 4096);
    assert_eq!(info["schema"], json!({ "simulation": 5 }));
    let dataset = &info["datasets"][0];
    assert_eq!(
        (&dataset["updates"], &dataset["first"], &dataset["last"]),
        (&json!(3), &json!(0), &json!(20))
    );
    assert_eq!(dataset["groups"][0]["attributes"], json!(["id", "speed"]));
    // Three ids arrays and one more in the initial dataset, of which two differ; four of speeds.
    let arrays = &info["arrays"];
    assert_eq!((&arrays["stored"], &arrays["references"]), (&json!(6), &json!(8)));
    assert_eq!(arrays["stored_bytes"], 8 * (3 + 1 + 3 + 3 + 1 + 3));
    assert_eq!(arrays["referenced_bytes"], 2 * 8 * (3 + 3 + 1 + 3));
    assert_eq!(arrays["codecs"]["raw"]["arrays"], 6);
}

/// Goal: rows come in each format, values unharmed.
#[test]
fn query_has_five_formats() {
    let folder = tempfile::tempdir().unwrap();
    small_run(folder.path());
    let sql = "SELECT 1 AS a, NULL AS b, 'x,\"y\"' || char(9) || 'z' AS c, 0.1 AS d, x'00ff' AS a";
    let in_format = |format: &str| {
        silt_with(folder.path(), &format!("query run.db --format {format}"), sql).ok()
    };
    assert_eq!(in_format("csv"), "a,b,c,d,a\n1,,\"x,\"\"y\"\"\tz\",0.1,x'00ff'\n");
    assert_eq!(in_format("tsv"), "a\tb\tc\td\ta\n1\t\tx,\"y\"\\tz\t0.1\tx'00ff'\n");
    let row = "{\"a\":1,\"b\":null,\"c\":\"x,\\\"y\\\"\\tz\",\"d\":0.1,\"a_2\":\"x'00ff'\"}";
    assert_eq!(in_format("jsonl"), format!("{row}\n"));
    assert_eq!(in_format("json"), format!("[\n{row}\n]\n"));
    assert!(in_format("table").contains("a  b  c"), "{}", in_format("table"));
    let piped = silt_with(folder.path(), "query run.db", sql).ok();
    assert_eq!(piped, in_format("tsv"), "a pipe gets TSV");
    assert_eq!(silt_with(folder.path(), "query run.db --json", sql).ok(), in_format("json"));
    let none = silt_with(folder.path(), "query run.db --json", "SELECT 1 WHERE 0").ok();
    assert_eq!(none, "[]\n");
}

/// Goal: rows go to a file of the form that its ending says, and replace no file by default.
#[test]
fn query_writes_a_file() {
    let folder = tempfile::tempdir().unwrap();
    small_run(folder.path());
    let sql = "SELECT timestamp, dataset_name FROM \"update\" ORDER BY 1";
    silt_with(folder.path(), "query run.db -o out.csv", sql).ok();
    let text = std::fs::read_to_string(folder.path().join("out.csv")).unwrap();
    assert_eq!(text, "timestamp,dataset_name\n0,transport\n10,transport\n20,transport\n");
    silt_with(folder.path(), "query run.db -o out.parquet --quiet", sql).ok();
    let bytes = std::fs::read(folder.path().join("out.parquet")).unwrap();
    assert_eq!(&bytes[..4], b"PAR1");
    assert_eq!(silt_with(folder.path(), "query run.db -o out.csv", "SELECT 1").code, 2);
    assert_eq!(std::fs::read_to_string(folder.path().join("out.csv")).unwrap(), text);
    silt_with(folder.path(), "query run.db --overwrite -o out.csv", "SELECT 1 AS x").ok();
    assert_eq!(std::fs::read_to_string(folder.path().join("out.csv")).unwrap(), "x\n1\n");
    let ran = silt_with(folder.path(), "query run.db -o out.xls", sql);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("parquet"), "{ran:?}");
}

/// Goal: SQL that is wrong, or would write, is refused with SQLite's reason and changes nothing.
#[test]
fn query_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = small_run(folder.path());
    let before = std::fs::read(&path).unwrap();
    for (sql, reason) in [
        ("DELETE FROM \"update\"", "which writes"),
        ("CREATE TABLE t (x)", "which writes"),
        ("SELECT * FROM nowhere", "no such table"),
        ("SELEC 1", "syntax error"),
    ] {
        let ran = silt_with(folder.path(), "query run.db", sql);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{sql}: {ran:?}");
        assert!(ran.err.contains(reason), "{sql}: {ran:?}");
        let ran = silt_with(folder.path(), "query run.db --json", sql);
        let error: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
        assert!(error["error"].as_str().unwrap().contains(reason), "{error}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

/// Goal: a reader of stdout that goes away is no failure, and nothing is said of it.
#[test]
fn a_broken_pipe_is_success() {
    let folder = tempfile::tempdir().unwrap();
    small_run(folder.path());
    let sql = "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 1000000) SELECT x FROM c";
    for format in ["tsv", "json", "table"] {
        let mut child = command(folder.path())
            .args(["query", "run.db", sql, "--format", format])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{format}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{format}");
    }
}

/// Goal: a state is what the last updates left, at any way of naming the time.
#[test]
fn state_is_what_the_updates_left() {
    let folder = tempfile::tempdir().unwrap();
    small_run(folder.path());
    let speeds = |time: &str| {
        let line = format!("state run.db transport road_segments {time} --attribute speed --json");
        silt(folder.path(), &line).json()["attributes"]["speed"].clone()
    };
    assert_eq!(speeds("--at -1"), json!([10.0, null, 30.0]));
    assert_eq!(speeds("--at 0"), json!([50.0, 60.5, 40.0]));
    assert_eq!(speeds("--at 19"), json!([50.0, 55.0, 40.0]));
    assert_eq!(speeds("--at 2020-01-01T10:00"), json!([50.0, 55.0, 40.0]));
    assert_eq!(speeds("--at 2020-01-01T21:00:00+01:00"), json!([1.0, 2.0, 3.0]));
    assert_eq!(speeds(""), json!([1.0, 2.0, 3.0]));
    let ran =
        silt(folder.path(), "state run.db transport road_segments --at -1 --limit 2 --format csv");
    assert_eq!(ran.out, "id,speed\n1,10.0\n2,\n");
    assert!(ran.err.contains("2 of 3 entities"), "{ran:?}");
    assert_eq!(silt(folder.path(), "state run.db transport road_segments --quiet").err, "");
}

/// Goal: a name that is not there is answered with those that are.
#[test]
fn state_names_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    small_run(folder.path());
    for (line, known) in [
        ("state run.db transprot road_segments", "it has transport"),
        ("state run.db transport roads", "it has road_segments"),
        ("state run.db transport road_segments --attribute sped", "it has speed"),
        ("state run.db transport road_segments --at yesterday", "an integer timestamp, or a date"),
    ] {
        let ran = silt(folder.path(), line);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.err.contains(known), "{line}: {ran:?}");
    }
}

/// Goal: damage is found, named, and exit code 1; without damage it is 0.
#[test]
fn verify_finds_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = small_run(folder.path());
    assert!(silt(folder.path(), "verify run.db").ok().contains("all is well"));
    let mut bytes = std::fs::read(&path).unwrap();
    let position = bytes.windows(8).position(|eight| eight == 60.5f64.to_le_bytes());
    bytes[position.expect("the array is stored raw") + 1] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let ran = silt(folder.path(), "verify run.db");
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.out.contains("numpy_array row") && ran.out.contains("checksum"), "{ran:?}");
    let ran = silt(folder.path(), "verify run.db --json");
    assert_eq!((ran.code, &ran.json()["ok"]), (1, &json!(false)));
    assert_eq!(ran.json()["findings"].as_array().unwrap().len(), 1);
}

/// Goal: a file that lacks its end is a finding or an error, in a sentence, never a panic.
#[test]
fn a_truncated_file_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let path = small_run(folder.path());
    let bytes = std::fs::read(&path).unwrap();
    for length in [1, 99, 100, 4095, 4096, 8192, bytes.len() - 4096, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        for line in
            ["verify run.db", "info run.db", "stats run.db", "state run.db transport road_segments"]
        {
            let ran = silt(folder.path(), line);
            assert!(!ran.err.contains("panicked"), "{length}: {ran:?}");
            if line.starts_with("verify") {
                assert!(ran.code == 1 || ran.code == 2, "{length}: {ran:?}");
            }
            if ran.code == 2 {
                assert!(ran.err.starts_with("error: "), "{length}: {ran:?}");
            }
        }
    }
}

/// Goal: each table's rows and bytes are counted, and the bytes add up to the file's.
#[test]
fn stats_add_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = small_run(folder.path());
    let stats = silt(folder.path(), "stats run.db --json").json();
    let tables = stats["tables"].as_array().unwrap();
    let rows =
        |name: &str| tables.iter().find(|table| table["name"] == name).unwrap()["rows"].clone();
    assert_eq!((rows("update"), rows("numpy_array")), (json!(3), json!(6)));
    let bytes: u64 = tables.iter().map(|table| table["bytes"].as_u64().unwrap()).sum();
    let free = stats["settings"]["freelist_count"].as_u64().unwrap() * 4096;
    let size = std::fs::metadata(&path).unwrap().len();
    // One page is the map that incremental vacuum needs.
    assert!(bytes + free <= size && size <= bytes + free + 4096, "{bytes} + {free}, {size}");
    assert!(silt(folder.path(), "stats run.db").ok().contains("journal_mode"));
}

/// Goal: commands that read leave the file's bytes and its folder as they were, and make no file of a
/// mistyped name.
#[test]
fn readers_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = small_run(folder.path());
    let before = std::fs::read(&path).unwrap();
    for line in [
        "info",
        "verify",
        "stats",
        "query SELECT/**/1",
        "state transport road_segments",
        "resume --from 0",
    ] {
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        silt(folder.path(), &format!("{name} run.db {rest}"));
        assert_eq!(names(folder.path()), ["run.db"], "after {line}");
        let ran = silt(folder.path(), &format!("{name} typo.db {rest}"));
        assert_eq!(ran.code, 2, "{line}: {ran:?}");
        assert!(ran.err.contains("\"typo.db\" is not in"), "{line}: {ran:?}");
        assert_eq!(names(folder.path()), ["run.db"], "after {line} of a mistyped name");
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

/// Goal: a file of another program, a text and a folder are refused in a sentence.
#[test]
fn foreign_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("notes.txt"),
        "not a database, but longer than a header ".repeat(20),
    )
    .unwrap();
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    std::fs::write(folder.path().join("empty.db"), "").unwrap();
    for file in ["notes.txt", "sub", "empty.db"] {
        for line in
            ["info FILE", "verify FILE", "vacuum FILE", "keyframes FILE", "backup FILE copy.db"]
        {
            let ran = silt(folder.path(), &line.replace("FILE", file));
            assert_eq!(ran.code, 2, "{line} {file}: {ran:?}");
            assert!(ran.err.starts_with("error: ") && ran.err.lines().count() == 1, "{ran:?}");
        }
    }
    assert_eq!(names(folder.path()), ["empty.db", "notes.txt", "sub"]);
}

/// Goal: no colour reaches a pipe unless it is asked for, nor a terminal's width.
#[test]
fn colour_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let plain = silt(folder.path(), "info typo.db").err;
    assert!(plain.starts_with("error: "), "{plain:?}");
    let coloured = silt(folder.path(), "info typo.db --color always").err;
    assert!(coloured.starts_with("\u{1b}[31merror:\u{1b}[0m "), "{coloured:?}");
}

/// Goal: one bad initial dataset is named and hides nothing else.
#[test]
fn a_bad_initial_dataset_hides_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = small_run(folder.path());
    let db = siltstone::simulation::SimulationDatabase::open(&path).unwrap();
    let good =
        siltstone::simulation::InitialData::Json(b"{\"data\":{\"g\":{\"id\":[1,2]}}}".to_vec());
    db.store_initial_dataset("transport", good, true).unwrap();
    db.store_update(0, 0, "other", crate::silt::roads(&[1], &[1.0]), None).unwrap();
    db.close().unwrap();
    // As another program may have written it.
    let bad = "UPDATE initial_dataset SET data = CAST('{\"data\":{\"g\":{\"id\":[1,1]}}}' AS BLOB), \
        codec = NULL, row_sum = NULL";
    plain(&path).execute_batch(bad).unwrap();
    let ran = silt(folder.path(), "info run.db");
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("initial dataset \"transport\"") && ran.err.contains("g"), "{ran:?}");
    for part in
        ["dataset transport: 3 updates", "road_segments: 3 updates", "dataset other", "arrays"]
    {
        assert!(ran.out.contains(part), "{part}: {ran:?}");
    }
    let info = silt(folder.path(), "info run.db --json").json();
    assert_eq!(info["unreadable"][0]["name"], "transport", "{info:#}");
}

/// Goal: a file of ours in which nothing is yet is called empty, and not somebody else's.
#[test]
fn an_empty_file_is_called_empty() {
    let folder = tempfile::tempdir().unwrap();
    let db = siltstone::simulation::SimulationDatabase::open(folder.path().join("new.db")).unwrap();
    db.close().unwrap();
    let text = silt(folder.path(), "info new.db").ok();
    assert!(text.contains("empty") && !text.contains("movici"), "{text}");
}

/// Goal: SQL that cannot work is answered with what to do, and prints nothing before it fails.
#[test]
fn query_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    small_run(folder.path());
    for sql in ["", "  ", ";", " -- a comment", "/* a comment */ ;"] {
        for more in ["", " --output out.csv"] {
            let mut command = command(folder.path());
            let command = command.args(["query", "run.db", sql]).args(more.split_whitespace());
            let ran: crate::silt::Ran = command.output().unwrap().into();
            assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{sql:?}: {ran:?}");
            assert!(
                ran.err.contains("the SQL statement: expected one statement without parameters"),
                "{sql:?}: {ran:?}"
            );
        }
    }
    for sql in ["SELECT * FROM update", "SELECT count(*) FROM UPDATE WHERE 1"] {
        let ran = silt_with(folder.path(), "query run.db", sql);
        assert!(ran.code == 2 && ran.err.contains("write it as \"update\""), "{ran:?}");
    }
    let ran = silt_with(folder.path(), "query run.db", "SELECT * FROM nowhere");
    assert!(!ran.err.contains("write it as"), "{ran:?}");
    for format in ["tsv", "csv", "json", "jsonl", "table"] {
        let sql = "SELECT abs(-9223372036854775807 - 1) AS x";
        let ran = silt_with(folder.path(), &format!("query run.db --format {format}"), sql);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{format}: {ran:?}");
        let none = silt_with(
            folder.path(),
            &format!("query run.db --format {format}"),
            "SELECT 1 AS x WHERE 0",
        );
        let expected = match format {
            "tsv" | "csv" => "x\n",
            "json" => "[]\n",
            "jsonl" => "",
            _ => "x\n─\n",
        };
        assert_eq!((none.code, none.out.as_str()), (0, expected), "{format}");
    }
}

/// Goal: types that the file does not keep can be given when a state is looked at.
#[test]
fn a_state_takes_attribute_types() {
    let folder = tempfile::tempdir().unwrap();
    let db = siltstone::simulation::SimulationDatabase::open(folder.path().join("run.db")).unwrap();
    let text = r#"{"name":"net","data":{"g":{"id":[1],"on":[1],"n":[2]}}}"#;
    let initial = siltstone::simulation::InitialData::Json(text.into());
    db.store_initial_dataset("net", initial, false).unwrap();
    db.close().unwrap();
    let types = r#"[{"name":"on","py_type":"bool"},{"name":"n","py_type":"float"}]"#;
    std::fs::write(folder.path().join("types.json"), types).unwrap();
    let state = |more: &str| silt(folder.path(), &format!("state run.db net g --quiet{more}"));
    assert_eq!(state("").ok(), "id\ton\tn\n1\t1\t2\n");
    assert_eq!(state(" --attributes types.json").ok(), "id\ton\tn\n1\ttrue\t2.0\n");
    assert_eq!(state(" --attributes types.json --at -1").ok(), "id\ton\tn\n1\ttrue\t2.0\n");
    std::fs::write(folder.path().join("bad.json"), "[1]").unwrap();
    for (file, part) in
        [("bad.json", "bad.json: attribute schema"), ("no.json", "no.json: cannot read")]
    {
        let ran = state(&format!(" --attributes {file}"));
        assert!(ran.code == 2 && ran.err.contains(part), "{ran:?}");
    }
}

/// Goal: a value that cannot be shown is named with its attribute.
#[test]
fn an_attribute_that_cannot_be_shown_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let db = siltstone::simulation::SimulationDatabase::open(folder.path().join("run.db")).unwrap();
    let complex = siltstone::Array::new("<c8".parse().unwrap(), vec![1], vec![0; 8]).unwrap();
    let mut data = crate::silt::roads(&[1], &[1.0]);
    data[0].attributes.push(("wave".into(), siltstone::simulation::Attribute::new(complex)));
    db.store_update(0, 0, "net", data, None).unwrap();
    db.close().unwrap();
    let ran = silt(folder.path(), "state run.db net road_segments");
    assert!(ran.code == 2 && ran.err.contains("net/road_segments/wave"), "{ran:?}");
}

/// Goal: headings are bold where colour is wanted, and only they: without the marks it is the same text.
#[test]
fn headings_are_coloured() {
    let folder = tempfile::tempdir().unwrap();
    small_run(folder.path());
    for line in [
        "info run.db",
        "state run.db transport road_segments --format table",
        "query run.db SELECT/**/1/**/AS/**/one --format table",
    ] {
        let plain = silt(folder.path(), line).ok();
        let coloured = silt(folder.path(), &format!("{line} --color always")).ok();
        assert!(!plain.contains('\u{1b}'), "{plain}");
        assert!(coloured.contains("\u{1b}[1m"), "{line}: {coloured}");
        assert_eq!(coloured.replace("\u{1b}[1m", "").replace("\u{1b}[0m", ""), plain);
    }
    let rows =
        silt(folder.path(), "state run.db transport road_segments --format csv --color always");
    assert!(!rows.out.contains('\u{1b}'), "{rows:?}");
}

/// Goal: no command waits for somebody who writes into a pipe that lies in a file's place; each says what it is.
#[test]
#[cfg(unix)]
fn no_command_waits_for_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["x.db", "x.csv", "x.zip"] {
        let made = std::process::Command::new("mkfifo").arg(folder.path().join(name)).status();
        assert!(made.unwrap().success());
    }
    small_run(folder.path());
    for line in [
        "info x.db",
        "verify x.db",
        "query x.db SELECT",
        "merge -o merged.db x.db run.db",
        "restore x.db new.db",
        "backup x.db copy.db",
        "series import x.csv --to sqlite:series.db",
        "series import x.zip --to sqlite:series.db",
        "import experiment x.db -o sweep.db",
        "import simulation --updates-dir . --attributes x.csv -o new.db",
    ] {
        let mut command = command(folder.path());
        command.args(line.split_whitespace()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let begun = std::time::Instant::now();
        while child.try_wait().unwrap().is_none() {
            if begun.elapsed().as_secs() > 60 {
                child.kill().unwrap();
                panic!("{line}: it waits");
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let ended = child.wait_with_output().unwrap();
        let error = String::from_utf8(ended.stderr).unwrap();
        // A merge goes on with what it can read.
        let expected = if line.starts_with("merge") { 3 } else { 2 };
        assert_eq!(ended.status.code(), Some(expected), "{line}: {error}");
        assert!(
            error.contains("a pipe (FIFO)") || error.contains("is not a file"),
            "{line}: {error}"
        );
    }
}
