//! `import ticks`, `ticks` and `doctor`.

use std::path::Path;

use serde_json::json;

use crate::silt::{plain, silt, silt_with};

const IMPORT: &str = "import ticks --input-dir in --output-dir db";

/// Three ticks of EURUSD on 2026-01-19, the last two of one time, and a file that is none.
fn files(folder: &Path) {
    let input = folder.join("in/EURUSD");
    std::fs::create_dir_all(&input).unwrap();
    let tick = |bid: f64, second: u32| {
        format!(
            r#"{{"broker_id":"b","symbol":"EURUSD","bid":{bid},"ask":{},"spread":0.5,"timestamp":"2026-01-19T12:00:{second:02}Z","lp":"YOFX"}}"#,
            bid + 0.5
        )
    };
    let text = format!("[{},{},{}]", tick(1.0, 0), tick(2.0, 30), tick(3.0, 30));
    std::fs::write(input.join("2026-01-19.json"), text).unwrap();
    std::fs::write(input.join("2026-01-20.json"), "[{]").unwrap();
}

/// Bars by lengths and ranges as people type them.
fn ranges_are_typed_as_times(folder: &Path, bars: &serde_json::Value) {
    let ohlc = |options: &str| silt(folder, &format!("ticks ohlc db EURUSD --price bid {options}"));
    for same in ["--interval 60", "--interval 1m", "--interval 1min"] {
        assert_eq!(&ohlc(&format!("{same} --json")).json(), bars, "{same}");
    }
    let first = bars[0]["time"].as_str().unwrap();
    assert_eq!(first, "2026-01-19T12:00:00Z");
    let count = |options: &str| ohlc(&format!("{options} --json")).json().as_array().unwrap().len();
    let all = bars.as_array().unwrap().len();
    assert_eq!(count("--from 2026-01-19 --until 2026-01-19"), all, "a date is the whole day");
    assert_eq!(count("--from 2026-01-19T00:00+00:00 --until 2026-01-20T00:00:00Z"), all);
    assert_eq!(count("--until 2026-01-19T00:00:00Z"), 0, "until leaves its time out");
    assert_eq!((count(&format!("--until {first}")), count(&format!("--from {first}"))), (0, all));
    for bad in [
        "--from yesterday",
        "--from 20260119",
        "--from 1768816800",
        "--until 2026-13-01",
        "--until 2026-01",
        "--interval soon",
        "--interval 0s",
        "--interval=",
        "--interval 1M",
    ] {
        assert_eq!(ohlc(bad).code, 2, "{bad}");
    }
}

/// Goal: a tree is imported, the file that is malformed is skipped and named; the days, ticks and
/// bars can be looked at; an import can be typed again.
#[test]
fn a_tree_is_imported_and_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    files(folder.path());
    let dry = silt(folder.path(), "import ticks --input-dir in --dry-run --json");
    assert_eq!((dry.code, &dry.json()["ticks_read"]), (3, &json!(3)));
    assert!(!folder.path().join("db").exists());
    let ran = silt(folder.path(), IMPORT);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.err.contains("2026-01-20.json") && ran.err.contains("byte 2"), "{ran:?}");
    let again = silt(folder.path(), &format!("{IMPORT} --json")).json();
    assert_eq!((&again["ticks_migrated"], &again["ticks_skipped"]), (&json!(0), &json!(3)));

    let days = silt(folder.path(), "ticks stats db --json").json();
    assert_eq!((&days[0]["day"], &days[0]["rows"]), (&json!("2026-01-19"), &json!(3)));
    let recent = silt(folder.path(), "ticks recent db EURUSD -n 2").ok();
    assert_eq!(recent.lines().nth(2).unwrap(), "2026-01-19T12:00:30Z\t3.0\t3.5\t0.5\tYOFX");
    let bars = silt(folder.path(), "ticks ohlc db EURUSD --price bid --json").json();
    ranges_are_typed_as_times(folder.path(), &bars);
    assert_eq!((&bars[0]["high"], &bars[0]["volume"]), (&json!(3.0), &json!(3)));
    let sql = "SELECT symbol, count(*), min(timestamp) FROM ticks GROUP BY symbol";
    let rows = silt_with(folder.path(), "query db/2026/01/ticks_2026-01-19.db", sql).ok();
    assert_eq!(rows.lines().nth(1).unwrap(), "EURUSD\t3\t1768824000000");
    for ending in ["parquet", "csv", "jsonl", "arrow"] {
        let said = silt(folder.path(), &format!("ticks export db -o t.{ending}")).ok();
        assert!(said.contains("3 ticks"), "{said}");
    }
    let csv = std::fs::read_to_string(folder.path().join("t.csv")).unwrap();
    assert!(csv.lines().nth(1).unwrap().starts_with("EURUSD,"), "{csv}");
    assert_eq!(silt(folder.path(), "ticks export db -o t.xls").code, 2);
    assert_eq!(silt(folder.path(), "ticks recent db ../x").code, 2);
}

/// Goal: after an import SQLite alone answers the engine's own check, unless the import was to compact; its last line says
/// which days are what, and `compact` and `expand` change it.
#[test]
fn an_import_leaves_rows_for_sqlite_alone() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    files(here);
    let last = |args: &str| silt(here, args).out.lines().last().unwrap_or_default().to_owned();
    let check = |day: &str| {
        let conn = plain(here.join(day));
        let sql = "SELECT symbol, COUNT(*) FROM ticks GROUP BY symbol";
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?));
        conn.query_row(sql, [], row).map_err(|error| error.to_string())
    };
    let (day, rows) = ("db/2026/01/ticks_2026-01-19.db", Ok(("EURUSD".to_owned(), 3)));
    let said = last(IMPORT);
    assert!(said.contains("any SQLite tool: 2026-01-19; compacted: none;"), "{said}");
    assert!(said.contains("silt ticks compact db") && said.contains("silt expand db"), "{said}");
    assert_eq!(check(day), rows);
    let _ = silt(here, "ticks compact db").ok();
    let error = check(day).unwrap_err();
    assert!(error.contains("no such table: main.silt_block"), "{error}");
    let _ = silt(here, "expand db").ok();
    assert_eq!(check(day), rows);

    let compacted = IMPORT.replace("db", "packed");
    let said = last(&format!("{compacted} --compact"));
    assert!(said.contains("any SQLite tool: none; compacted: 2026-01-19;"), "{said}");
    let day = day.replace("db/", "packed/");
    assert!(check(&day).is_err());
    let report = silt(here, &format!("expand {day} --json")).json();
    assert_eq!(report["expanded"], json!(3));
    assert_eq!(check(&day), rows);
    let young = IMPORT.replace("db", "young");
    let said = last(&format!("{young} --compact=1000000"));
    assert!(said.contains("compacted: none;"), "{said}");
    assert_eq!(silt(here, "expand nothing.db").code, 2);
    assert!(!here.join("nothing.db").exists());
}

/// Goal: one bad tick is skipped by itself, of a JSON file and of a database; it is counted, its file is named once, and
/// symbols of other letters and with spaces are symbols.
#[test]
fn a_bad_tick_is_skipped_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    files(here);
    let good = std::fs::read_to_string(here.join("in/EURUSD/2026-01-19.json")).unwrap();
    let ticks = good.trim_matches(['[', ']']);
    let named = |symbol: &str| ticks.replace("EURUSD", symbol);
    let text = format!(
        "[{},{},{},{}]",
        named("6E 12-24"),
        ticks.replace("\"bid\":2", "\"bid\":NaN"),
        named("日経 225"),
        named(&"X".repeat(5_000))
    );
    std::fs::write(here.join("in/EURUSD/2026-01-20.json"), text).unwrap();
    let sql = "CREATE TABLE ticks (id INTEGER PRIMARY KEY, symbol TEXT, timestamp INTEGER, bid REAL, ask REAL, \
        spread REAL, lp_source TEXT); INSERT INTO ticks VALUES (1, 'BRK B', 1768824000000, 1.0, 1.5, 0.5, 'a'), \
        (2, 'BRK B', 1768824000001, 'x', 1.5, 0.5, 'a'), (3, 'BRK B', 1768824000002, 1.0, 1.5, 0.5, NULL)";
    let db = plain(here.join("in/ticks_2026-01-19.db"));
    db.execute_batch(sql).unwrap();
    drop(db);
    let ran = silt(here, &format!("{IMPORT} --json"));
    let report = ran.json();
    assert_eq!((ran.code, &report["files_done"]), (3, &json!(3)), "{ran:?}");
    assert_eq!(
        (&report["ticks_migrated"], &report["ticks_bad"]),
        (&json!(11), &json!(5)),
        "{ran:?}"
    );
    for part in ["4 of 12 ticks cannot be read: byte", "1 of 3 ticks cannot be read: row 2: bid"] {
        let lines: Vec<&str> = ran.err.lines().filter(|line| line.contains(part)).collect();
        let [line] = lines[..] else { panic!("{part}: {}", ran.err) };
        assert!(line.len() < 700 && line.matches("in/").count() == 1, "{line}");
    }
    let days = silt(here, "ticks recent db").err;
    assert!(!days.is_empty());
    let recent = silt_with(here, "ticks recent db", "BRK B").ok();
    assert_eq!(recent.lines().count(), 3, "{recent}");
    assert_eq!(silt_with(here, "ticks recent db", "日経 225").ok().lines().count(), 4);
}

/// Goal: a folder without a file that is known is an error that names one, and leaves nothing.
#[test]
fn a_folder_without_ticks_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("in")).unwrap();
    for got in ["no file", "EURUSD.csv"] {
        let ran = silt(folder.path(), IMPORT);
        assert!(ran.code == 2 && ran.err.contains(got), "{ran:?}");
        assert!(
            ran.err.contains("SYMBOL/YYYY-MM-DD.json") && ran.err.lines().count() == 1,
            "{ran:?}"
        );
        std::fs::write(folder.path().join("in/EURUSD.csv"), "20240101 000000000,1.1,1.2,0\n")
            .unwrap();
    }
    assert!(!folder.path().join("db").exists());
}

/// Goal: days are compacted, and removed only if --yes is given; the doctor's exit code says whether
/// anything was found.
#[test]
fn days_are_kept_small_and_examined() {
    let folder = tempfile::tempdir().unwrap();
    files(folder.path());
    silt(folder.path(), IMPORT);
    let day = folder.path().join("db/2026/01/ticks_2026-01-19.db");
    let compacted = silt(folder.path(), "ticks compact db --json").json();
    assert_eq!(compacted["rows"], 3);
    let again = silt(folder.path(), "ticks compact db --json").json();
    assert_eq!(again["rows"], 0, "it is compacted");
    assert_eq!(silt(folder.path(), "ticks compact db --day 2026-01-18").code, 2);
    assert!(
        silt(folder.path(), "verify db").ok().contains("all is well; 1 day, 3 ticks and 1 block")
    );
    let plan = silt(folder.path(), "ticks retain db --thin-after 1 --keep-one-of 2").ok();
    assert!(plan.contains("would be thinned out, 1 of 3 ticks go"), "{plan}");
    let done = silt(folder.path(), "ticks retain db --thin-after 1 --keep-one-of 2 --yes --json");
    assert_eq!(done.json()["days"][0]["removed"], 1);
    let plan = silt(folder.path(), "ticks remove db EURUSD --until 2026-01-18").ok();
    assert_eq!(plan, "", "nothing is there");
    let plan = silt(folder.path(), "ticks remove db EURUSD");
    let said =
        "the next import of a file that was imported before would bring back ticks of this symbol";
    assert!(plan.err.contains(said), "{plan:?}");
    assert_eq!(silt(folder.path(), "ticks remove db NONE").code, 2);
    silt(folder.path(), "ticks retain db --delete-after 1").ok();
    assert!(day.exists(), "without --yes nothing is done");
    std::fs::write(folder.path().join("db/ticks_2026-01-19.db"), "").unwrap();
    let found = silt(folder.path(), "verify db --json");
    assert_eq!((found.code, &found.json()["ok"]), (1, &json!(false)));
    silt(folder.path(), "ticks retain db --delete-after 1 --yes").ok();
    assert!(!day.exists());
    assert_eq!(silt(folder.path(), "verify nowhere").code, 2);
}

/// Goal: the doctor finds a time without ticks if it is asked to, and a symbol that is not there is an error.
#[test]
fn gaps_and_unknown_symbols_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    files(folder.path());
    assert_eq!(silt(folder.path(), IMPORT).code, 3);
    assert_eq!(silt(folder.path(), "verify db --gaps 30").code, 0, "none is longer");
    let ran = silt(folder.path(), "verify db --gaps 29");
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.out.contains("EURUSD: no tick from 2026-01-19T12:00:00Z to 2026-01-19T12:00:30Z"),
        "{ran:?}"
    );
    assert_eq!(silt(folder.path(), "ticks recent db EURUSD").code, 0);
    for command in ["recent db NONE", "ohlc db NONE", "export db -o t.csv --symbol NONE"] {
        let unknown = silt(folder.path(), &format!("ticks {command}"));
        assert!(unknown.code == 2 && unknown.err.contains("NONE"), "{unknown:?}");
    }
    assert!(!folder.path().join("t.csv").exists());
}

/// Goal: the verbs that take a database take a folder of ticks as well, and say what they found in it.
#[test]
fn verbs_of_databases_take_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    files(here);
    assert_eq!(silt(here, IMPORT).code, 3);
    let info = silt(here, "info db --json").json();
    assert_eq!((&info["ticks"], &info["symbols"]), (&json!(3), &json!(["EURUSD"])));
    assert!(silt(here, "info db").ok().contains("3 ticks of 1 symbol on 1 day"));
    let sql =
        "SELECT sum(bid) AS s FROM ticks WHERE symbol = 'EURUSD' AND timestamp > 1768824000000";
    let ran = silt_with(here, "query db --format csv", sql);
    assert_eq!((ran.out.as_str(), ran.code), ("s\n5.0\n", 0), "{ran:?}");
    assert!(ran.err.contains("1 of 1 day opened"), "{ran:?}");
    let ran = silt_with(here, "query db --format csv", "SELECT bid FROM ticks WHERE timestamp < 0");
    assert!(ran.err.contains("0 of 1 day opened"), "{ran:?}");
    assert_eq!(silt_with(here, "query db", "DELETE FROM ticks").code, 2);
    silt_with(here, "query db -o found.parquet", "SELECT * FROM ticks").ok();
    assert!(silt(here, "export db -o all.parquet").ok().contains("3 ticks"));
    assert!(silt(here, "compact db").ok().contains("3 ticks of 1 day compacted"));
    assert!(silt(here, "backup db copy").ok().contains("1 day copied and verified"));
    assert_eq!(silt(here, "backup db copy").code, 2, "it is there");
    assert!(silt(here, "verify copy").ok().contains("all is well; 1 day, 3 ticks and 1 block"));
}
