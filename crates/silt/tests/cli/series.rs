//! `series`.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{Int32Array, Int64Array};
use serde_json::json;
use siltstone::series::{self, IndexMetadata, Series, StorageBackend};

use crate::silt::{silt, silt_with};

/// A store with an hour of two series, one of them falling.
fn fill(store: &dyn StorageBackend) {
    let times: Vec<i64> = (0..60).map(|i| i * 60_000_000_000).collect();
    let rising: Vec<f64> = (0..60).map(f64::from).collect();
    let falling: Vec<f64> = rising.iter().rev().copied().collect();
    let metadata = json!({"unit": "mg/l"}).as_object().unwrap().clone();
    store.save("a/RAW#1", &Series::from_times_ns(&times, &rising).unwrap(), &metadata).unwrap();
    store.save("b", &Series::from_times_ns(&times, &falling).unwrap(), &metadata).unwrap();
}

fn open(folder: &Path, scheme: &str) -> Box<dyn StorageBackend> {
    series::open(&format!("{scheme}:{}", folder.join("store").display())).unwrap()
}

/// Goal: a file and a folder are looked at alike: list, facts, picture, export.
#[test]
fn a_store_is_looked_at() {
    for scheme in ["sqlite", "parquet"] {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        fill(open(here, scheme).as_ref());
        let listed = silt(here, &format!("series ls {scheme}:store --json --prefix a/")).json();
        assert_eq!(
            listed,
            json!([{
                "key": "a/RAW#1", "points": 60, "index": "datetime64[ns]", "values": "float64",
                "first": "1970-01-01T00:00:00", "last": "1970-01-01T00:59:00",
            }])
        );
        let shown = silt(here, &format!("series show {scheme}:store b --json")).json();
        assert_eq!((&shown["points"], &shown["metadata"]["unit"]), (&json!(60), &json!("mg/l")));
        assert!(silt(here, &format!("series show {scheme}:store b")).ok().contains("mg/l"));
        let drawn = silt(here, &format!("series plot {scheme}:store a/RAW#1 b")).ok();
        assert!(drawn.contains("a/RAW#1") && drawn.lines().count() >= 8, "{drawn}");
        silt(here, &format!("series export {scheme}:store b -o b.csv")).ok();
        let text = std::fs::read_to_string(here.join("b.csv")).unwrap();
        assert_eq!(text.lines().count(), 61, "{text}");
        let twice = silt(here, &format!("series export {scheme}:store b -o b.csv"));
        assert_eq!(twice.code, 2, "{twice:?}");
    }
}

/// Goal: categories and periods leave as what they stand for, in every format and by SQL, alone and side by side; Parquet
/// and Arrow of one series come back by import.
#[test]
fn numbers_leave_as_what_they_stand_for() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let months = Arc::new(Int64Array::from(vec![647, 648]));
    let codes = Arc::new(Int32Array::from(vec![Some(1), None]));
    let known = IndexMetadata {
        kind: "PeriodIndex".into(),
        dtype: Some("period[M]".into()),
        ..IndexMetadata::default()
    };
    let dtype = r#"category:{"categories": ["wet", "dry"], "dtype": "object", "ordered": false}"#;
    let series = Series::new(months, codes).unwrap().with_name("sky");
    let series = series.with_index_metadata(known).with_dtype(Some(dtype.into()));
    let store = open(here, "sqlite");
    store.save("k", &series, &Default::default()).unwrap();
    store.save("l", &series.slice(1, 1), &Default::default()).unwrap();
    let read = |name: &str| std::fs::read_to_string(here.join(name)).unwrap();
    silt(here, "series export store k -o k.csv").ok();
    assert_eq!(read("k.csv"), "index,sky\n2023-12,dry\n2024-01,\n");
    silt(here, "series export store k l -o kl.csv").ok();
    assert_eq!(read("kl.csv"), "index,k,l\n2023-12,dry,\n2024-01,,\n");
    let sql = "SELECT index_value, value FROM time_series_data WHERE key = 'k' ORDER BY idx";
    assert_eq!(
        silt_with(here, "query store --format csv", sql).ok().lines().nth(1),
        Some("2023-12,dry")
    );
    let shown = silt(here, "series show store k --json").json();
    assert_eq!((&shown["first"], &shown["last"]), (&json!("2023-12"), &json!("2024-01")));
    let drawn = silt(here, "series plot store k");
    assert!(drawn.code == 2 && drawn.err.contains("cannot be drawn"), "{drawn:?}");
    for ending in ["parquet", "arrow"] {
        silt(here, &format!("series export store k -o k.{ending}")).ok();
        silt(here, &format!("series import k.{ending} --to {ending}.db --key k")).ok();
        let back = series::open(&format!("sqlite:{}", here.join(format!("{ending}.db")).display()));
        assert_eq!(back.unwrap().load("k").unwrap().0, series, "{ending}");
        silt(here, &format!("series export store k l -o kl.{ending}")).ok();
        let table = siltstone::table::read(here.join(format!("kl.{ending}"))).unwrap();
        let rows = siltstone::table::rows(&table.collect_batches().unwrap()[0]).unwrap();
        assert_eq!(rows[0], [json!("2023-12"), json!("dry"), json!(null)], "{ending}");
    }
}

/// Goal: a file is packed and a series removed; what is not there is an error, and nothing is made.
#[test]
fn a_store_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fill(open(here, "sqlite").as_ref());
    // A bare path is a file.
    assert_eq!(silt(here, "series compact store --json").json()["blocks"], json!(2));
    silt(here, "series rm store b").ok();
    let missing = silt(here, "series show store b");
    assert!(missing.code == 2 && missing.err.contains("\"b\""), "{missing:?}");
    assert_eq!(open(here, "sqlite").load("a/RAW#1").unwrap().0.len(), 60);
    for line in [
        "series ls none.db",
        "series ls parquet:none",
        "series compact none.db",
        "series rm none.db x",
    ] {
        let ran = silt(here, line);
        assert!(ran.code == 2 && ran.err.contains("none"), "{line}: {ran:?}");
    }
    assert!(!here.join("none.db").exists() && !here.join("none").exists());
    let secret = silt(here, "series ls ftp://me:hunter2@host/");
    assert!(secret.code == 2 && !secret.err.contains("hunter2"), "{secret:?}");
}

/// Goal: a dataset is exported as meteaudata reads it, and imported from there; monthly files of a logger are
/// put behind each other by a rule, and a bad row is named by its line.
#[test]
fn points_are_imported() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let write = |name: &str, text: &str| std::fs::write(here.join(name), text).unwrap();
    write("jan.csv", "time;flow;note\n2010-01-01 00:00;1,5;a\n2010-01-01 01:00;;\"\"\n");
    let reported =
        silt(here, "series import jan.csv --to sqlite:p.db --tz Europe/Berlin --json").json();
    assert_eq!(reported["files"][0]["series"][0]["key"], json!("jan/flow"), "{reported}");
    let shown = silt(here, "series show p.db jan/flow --json").json();
    assert_eq!((&shown["points"], &shown["first"]), (&json!(2), &json!("2009-12-31T23:00:00Z")));
    assert_eq!(silt(here, "series import jan.csv --to sqlite:p.db").code, 2, "it is there");

    let import = "--to sqlite:p.db --key flow --append";
    write("a.csv", "t,v\n2010-01-01,1\n2010-01-02,2\n");
    write("b.csv", "t,v\n2010-01-02,20\n2010-01-03,30\n");
    silt(here, &format!("series import a.csv {import}")).ok();
    let refused = silt(here, &format!("series import b.csv {import}"));
    assert!(refused.code == 2 && refused.err.contains("not"), "{refused:?}");
    let reported =
        silt(here, &format!("series import b.csv {import} --overlap skip --json")).json();
    let series = &reported["files"][0]["series"][0];
    assert_eq!((&series["points"], &series["skipped"]), (&json!(1), &json!(1)), "{reported}");
    assert_eq!(series["values"], json!("int64"), "integers stay integers");
    let reported =
        silt(here, &format!("series import b.csv {import} --overlap replace --json")).json();
    assert_eq!(reported["files"][0]["series"][0]["replaced"], json!(2), "{reported}");
    write("c.csv", "t,v\n2010-01-04,1\n2010-01-05,2,3\n");
    let bad = silt(here, &format!("series import c.csv {import}"));
    assert!(bad.code == 2 && bad.err.contains("line 3"), "{bad:?}");

    let none = silt(here, "series export p.db --dataset jan -o jan.zip");
    assert!(
        none.code == 2 && !here.join("jan.zip").exists(),
        "its keys are no dataset's: {none:?}"
    );
    let none = silt(here, "series import none.zip --to sqlite:q.db");
    assert!(none.code == 2 && none.err.contains("none.zip"), "{none:?}");
}

/// The index and the values of a series of an exported file.
fn lines(here: &Path, key: &str) -> Vec<String> {
    silt(here, &format!("series export p.db {key} -o out.csv --overwrite")).ok();
    let text = std::fs::read_to_string(here.join("out.csv")).unwrap();
    text.lines().skip(1).map(str::to_owned).collect()
}

/// Goal: several files to one key are one series, whatever was there before; two files that only share a name are not.
#[test]
fn several_files_to_one_key_are_one_series() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    std::fs::create_dir(here.join("b")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(here.join(name), text).unwrap();
    write("mar.csv", "t,v\n2010-03-01,3\n");
    write("apr.csv", "t,v\n2010-04-01,4\n");
    write("b/mar.csv", "t,v\n2010-05-01,5\n");
    for more in ["", "--overwrite", "--overwrite"] {
        silt(here, &format!("series import mar.csv apr.csv --to sqlite:p.db --key m {more}")).ok();
        assert_eq!(lines(here, "m"), ["2010-03-01T00:00:00,3", "2010-04-01T00:00:00,4"]);
    }
    // In the wrong order the second is refused, and named.
    let ran = silt(here, "series import apr.csv mar.csv --to sqlite:p.db --key m --overwrite");
    assert!(ran.code == 3 && ran.err.contains("mar.csv"), "{ran:?}");
    let ran = silt(here, "series import mar.csv b/mar.csv --to sqlite:p.db --overwrite");
    assert!(ran.code == 3 && ran.err.contains("--append"), "{ran:?}");
    assert_eq!(lines(here, "mar/v"), ["2010-03-01T00:00:00,3"]);
}

/// Goal: a corrected month replaces that month and nothing else.
#[test]
fn a_corrected_month_replaces_that_month() {
    for store in ["sqlite:p.db", "parquet:p"] {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        let write = |name: &str, text: &str| std::fs::write(here.join(name), text).unwrap();
        write(
            "base.csv",
            "t,v\n2010-01-01,1\n2010-02-01,2\n2010-02-02,3\n2010-03-01,4\n2010-04-01,5\n",
        );
        write("feb.csv", "t,v\n2010-02-01,20\n2010-02-02,30\n2010-02-03,31\n");
        let import = |file: &str| {
            let line = format!(
                "series import {file} --to {store} --key k --append --overlap replace --json"
            );
            silt(here, &line).json()["files"][0]["series"][0]["replaced"].clone()
        };
        assert_eq!((import("base.csv"), import("feb.csv")), (json!(0), json!(2)));
        let (series, _) = series::open(&store.replace(':', &format!(":{}/", here.display())))
            .unwrap()
            .load("k")
            .unwrap();
        assert_eq!(series.to_f64s().unwrap(), [1.0, 20.0, 30.0, 31.0, 4.0, 5.0]);
    }
}

/// Goal: a file is imported wholly or not at all, decimals after whole numbers widen the series and it is said, and an
/// import that failed can be typed again.
#[test]
fn a_file_is_imported_wholly_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let write = |name: &str, text: &str| std::fs::write(here.join(name), text).unwrap();
    let import = "--to sqlite:p.db --key k --append";
    write("jan.csv", "t,level,temp,note\n2010-01-01,1,2,a\n2010-01-02,2,3,b\n");
    silt(here, &format!("series import jan.csv {import}")).ok();
    write("feb.csv", "t,level,temp,note\n2010-02-01,4,2.5,1\n2010-02-02,5,3.5,2\n");
    let ran = silt(here, &format!("series import feb.csv {import}"));
    assert!(
        ran.code == 2 && ran.err.contains("expected text, or"),
        "numbers are no notes: {ran:?}"
    );
    for key in ["k/level", "k/temp", "k/note"] {
        assert_eq!(lines(here, key).len(), 2, "{key}");
    }
    write("feb.csv", "t,level,temp,note\n2010-02-01,4,2.5,c\n2010-02-02,5,3.5,d\n");
    let reported = silt(here, &format!("series import feb.csv {import}")).ok();
    assert!(reported.contains("k/temp: widened: values int64 to float64"), "{reported}");
    assert_eq!(reported.matches("widened").count(), 1, "{reported}");
    assert_eq!(lines(here, "k/temp")[0], "2010-01-01T00:00:00,2.0");
    assert_eq!(lines(here, "k/level")[3], "2010-02-02T00:00:00,5");
    let again = silt(here, &format!("series import feb.csv {import} --overlap skip --json")).json();
    for series in again["files"][0]["series"].as_array().unwrap() {
        assert_eq!((&series["points"], &series["skipped"]), (&json!(0), &json!(2)), "{again}");
    }
}

/// Goal: times of a zone and time spans leave as text that says so, and come back as the same instants and lengths; a time
/// without a zone has none in a list either.
#[test]
fn zones_and_spans_come_back() {
    use arrow_array::{DurationMillisecondArray, Float64Array, TimestampMicrosecondArray};
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let store = open(here, "sqlite");
    let times = vec![1_729_980_000_000_000, 1_729_987_200_500_000];
    let values = || std::sync::Arc::new(Float64Array::from(vec![1.0, 2.0]));
    let zoned = TimestampMicrosecondArray::from(times.clone()).with_timezone("Europe/Berlin");
    let naive = TimestampMicrosecondArray::from(times);
    let spans = DurationMillisecondArray::from(vec![-1_500, 90_000]);
    let save = |key: &str, index: arrow_array::ArrayRef| {
        store.save(key, &Series::new(index, values()).unwrap(), &Default::default()).unwrap();
    };
    save("zoned", std::sync::Arc::new(zoned));
    save("naive", std::sync::Arc::new(naive));
    save("spans", std::sync::Arc::new(spans));
    for (key, first) in
        [("zoned", "2024-10-26T22:00:00Z"), ("naive", "2024-10-26T22:00:00"), ("spans", "-1500ms")]
    {
        for ending in ["csv", "jsonl"] {
            silt(here, &format!("series export store {key} -o {key}.{ending}")).ok();
            let text = std::fs::read_to_string(here.join(format!("{key}.{ending}"))).unwrap();
            let quote = if ending == "csv" { "\n" } else { "\"" };
            let end = if ending == "csv" { "," } else { "\"" };
            assert!(text.contains(&format!("{quote}{first}{end}")), "{text}");
        }
        let zone = if key == "zoned" { "--tz Europe/Berlin" } else { "" };
        silt(here, &format!("series import {key}.csv --to store --key back {zone} --overwrite"))
            .ok();
        let (own, back) = (store.load(key).unwrap().0, store.load("back").unwrap().0);
        // In nanoseconds, as a text does not say its unit: equal once they are joined.
        assert_eq!(own.concat(&back).unwrap().len(), 4, "{key}");
        let ends = |key: &str| store.info(key).unwrap().extent.unwrap();
        let factor = if key == "spans" { 1_000_000 } else { 1_000 };
        let wide = |value: series::IndexValue| match value {
            series::IndexValue::Int(n) => n,
            other => panic!("{other:?}"),
        };
        let (own, back) = (ends(key), ends("back"));
        assert_eq!(wide(own.0) * factor, wide(back.0), "{key}");
        assert_eq!(wide(own.1) * factor, wide(back.1), "{key}");
    }
    let listed = silt(here, "series ls store --json").json();
    let first = |key: &str| {
        let all = listed.as_array().unwrap();
        all.iter().find(|row| row["key"] == key).unwrap()["first"].clone()
    };
    assert_eq!(first("zoned"), json!("2024-10-26T22:00:00Z"));
    assert_eq!(first("naive"), json!("2024-10-26T22:00:00"));
}

/// Goal: what meteaudata wrote is imported by one command, and once more without a change.
#[test]
fn a_meteaudata_zip_is_imported() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let yaml = "name: A#1\nunits: m\ntime_series:\n  A#1_RAW#1:\n    index_metadata: {type: Index, dtype: int64, \
                name: year}\n    processing_steps: []\n    values_dtype: float64\n";
    std::fs::create_dir_all(here.join("s/A#1_data")).unwrap();
    std::fs::write(here.join("s/A#1_metadata.yaml"), yaml).unwrap();
    std::fs::write(here.join("s/A#1_data/A#1_RAW#1.csv"), "year,A#1_RAW#1\n1871,1.5\n1872,\n")
        .unwrap();
    let import = "series import s --to sqlite:p.db --dataset plant --json";
    let reported = silt(here, import).json();
    assert_eq!(
        (&reported["files"][0]["series"], &reported["files"][0]["points"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(silt(here, import).json()["files"][0]["unchanged"], json!(1));
    silt(here, "series export p.db --dataset plant -o out.zip").ok();
    let again = silt(here, "series import out.zip --to sqlite:q.db --json").json();
    assert_eq!(again["files"][0]["points"], json!(2), "{again}");
    std::fs::write(here.join("s/A#1_data/A#1_RAW#1.csv"), "year,A#1_RAW#1\n1871,x\n").unwrap();
    let bad = silt(here, "series import s --to sqlite:r.db --dataset plant");
    assert!(bad.code == 3 && bad.out.contains("line 2"), "{bad:?}");
}

/// Goal: series stand side by side in one file, with their units; a copy is compared, passed over the next time, and what
/// is another one stays and is named.
#[test]
fn series_are_joined_and_copied() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let store = open(here, "sqlite");
    fill(store.as_ref());
    let reported = silt(here, "series export store --prefix= -o wide.csv --json").json();
    assert_eq!(reported["points"], 60);
    let text = std::fs::read_to_string(here.join("wide.csv")).unwrap();
    assert!(text.starts_with("index,a/RAW#1,b\n"), "{text}");
    assert_eq!(text.lines().count(), 61);
    silt(here, "series export store a/RAW#1 b -o wide.parquet").ok();
    let read = siltstone::table::read(here.join("wide.parquet")).unwrap();
    assert_eq!(read.schema().field(2).metadata()["units"], "mg/l");

    let reported = silt(here, "series copy store --to parquet:folder --json").json();
    assert_eq!((&reported["series"], &reported["points"]), (&json!(2), &json!(120)));
    let reported = silt(here, "series copy parquet:folder --to sqlite:back.db --json").json();
    assert_eq!((&reported["series"], &reported["unchanged"]), (&json!(2), &json!(0)));
    let reported = silt(here, "series copy store --to back.db --json").json();
    assert_eq!((&reported["series"], &reported["unchanged"]), (&json!(0), &json!(2)));
    store.append("b", &Series::from_times_ns(&[1], &[1.0]).unwrap()).unwrap();
    let ran = silt(here, "series copy store --to back.db");
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.err.contains("\"b\": skipped"), "{ran:?}");
    silt(here, "series copy store --to back.db --overwrite --prefix b").ok();
    assert_eq!(silt(here, "series show back.db b --json").json()["points"], 61);
    let ran = silt(here, "series copy store --to postgresql://me:hunter2@localhost:1/db");
    assert!(ran.code == 2 && !ran.err.contains("hunter2"), "{ran:?}");
}

/// Goal: counts of milliseconds that are read as microseconds are all of 1970: a note says so, and which unit gives usual years.
/// Counts from 0, and of the year that is meant, have no note.
#[test]
fn a_unit_that_gives_1970_is_noted() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let note = "note: t: the times are of 1970: --time-unit ms gives 2024";
    for (text, unit, noted) in [
        ("t,v\n1709287200123,1\n1709287201123,2\n", "us", true),
        ("t,v\n1709287200123,1\n1709287201123,2\n", "ns", true),
        ("t,v\n1709287200123,1\n1709287201123,2\n", "ms", false),
        ("t,v\n0,1\n1709287201123,2\n", "us", false),
        ("t,v\n5,1\n6,2\n", "us", false),
    ] {
        std::fs::write(here.join("a.csv"), text).unwrap();
        let ran = silt(
            here,
            &format!("series import a.csv --to sqlite:x.db --key k --overwrite --time-unit {unit}"),
        );
        assert_eq!((ran.code, ran.err.contains(note)), (0, noted), "{text} {unit} {ran:?}");
    }
}

/// Goal: a folder of tables is no dataset, and the error says how tables are imported.
#[test]
fn a_folder_of_tables_is_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("f")).unwrap();
    std::fs::write(folder.path().join("f/a.csv"), "t,v\n1,1\n").unwrap();
    let ran = silt(folder.path(), "series import f --to sqlite:x.db --key k");
    assert!(ran.code == 2 && ran.err.contains("tables as \"a.csv\""), "{ran:?}");
    assert!(ran.err.contains("by the names of their files"), "{ran:?}");
}
