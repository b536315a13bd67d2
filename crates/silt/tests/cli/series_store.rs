//! What `series import` does to a store: keys, dry runs, several files, and files of our own export.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, DurationMillisecondArray, Float64Array, Int64Array, StringArray,
    TimestampNanosecondArray, UInt64Array,
};
use siltstone::series::{self, Series};

use crate::silt::silt;

fn write(here: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        std::fs::write(here.join(name), text).unwrap();
    }
}

fn keys(here: &Path) -> Vec<String> {
    let store = format!("sqlite:{}", here.join("p.db").display());
    series::open(&store).unwrap().list_keys("").unwrap()
}

/// Goal: one file does not decide the keys of another one: where one has several columns and the other one alone, the
/// second is refused with the option that decides, in one import and by `--append`.
#[test]
fn keys_do_not_depend_on_another_file() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let (one, two) = ("t,w\n2024-01-02,3\n", "t,v,w\n2024-01-01,1,2\n");
    write(here, &[("one.csv", one), ("two.csv", two), ("late.csv", "t,v,w\n2024-01-03,1,2\n")]);
    let to = "--to p.db --key k";
    let ran = silt(here, &format!("series import two.csv one.csv {to}"));
    assert!(ran.code == 3 && ran.err.contains("\"k/v\": pass --key"), "{ran:?}");
    assert_eq!(keys(here), ["k/v", "k/w"]);
    let ran = silt(here, &format!("series import one.csv {to} --append"));
    assert!(ran.code == 2 && ran.err.contains("one.csv: expected the columns"), "{ran:?}");
    silt(here, "series import one.csv --to p.db --key k/w --append").ok();
    silt(here, &format!("series import late.csv {to} --append")).ok();
    assert_eq!(keys(here), ["k/v", "k/w"]);
    std::fs::remove_file(here.join("p.db")).unwrap();
    let ran = silt(here, &format!("series import one.csv late.csv {to}"));
    assert!(ran.code == 3 && ran.err.contains("one column for the series \"k\""), "{ran:?}");
    let ran = silt(here, &format!("series import late.csv {to} --append"));
    assert!(ran.code == 2 && ran.err.contains("another --key"), "{ran:?}");
    assert_eq!(keys(here), ["k"]);
}

/// Goal: a dry run ends as the import would, of tables, zips and folders, and nothing is made or changed.
#[test]
fn a_dry_run_ends_as_the_import_would() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    write(here, &[("jan.csv", "t,v\n2024-01-01,1\n"), ("feb.csv", "t,v\n2024-02-01,2\n")]);
    let import = |rest: &str| silt(here, &format!("series import {rest} --to sqlite:p.db"));
    assert!(import("jan.csv --key k --dry-run").ok().contains("k: 1 point"));
    assert!(!here.join("p.db").exists());
    import("jan.csv --key k").ok();
    let before = std::fs::read(here.join("p.db")).unwrap();
    for (rest, code, says) in [
        ("jan.csv --key k --append", 2, "--overlap"),
        ("jan.csv --key k", 0, "k: unchanged"),
        ("feb.csv --key k", 2, "--append or --overwrite"),
        ("feb.csv feb.csv --key k --append", 3, "feb.csv"),
        ("jan.csv --key k --append --overlap skip", 0, "k: unchanged"),
        ("feb.csv --key k --append", 0, "k: 1 point"),
        ("jan.csv --key k --overwrite", 0, "k: 1 point"),
    ] {
        let ran = import(&format!("{rest} --dry-run"));
        let reported = format!("{}{}", ran.out, ran.err);
        assert!(ran.code == code && reported.contains(says), "{rest}: {ran:?}");
    }
    assert_eq!(std::fs::read(here.join("p.db")).unwrap(), before);
    dataset(here, "s", "1.5");
    silt(here, "series import s --to sqlite:q.db").ok();
    silt(here, "series export q.db --dataset plant -o s.zip").ok();
    for source in ["s", "s.zip"] {
        assert!(import(&format!("{source} --dry-run")).ok().contains("1 series"), "{source}");
        let again = silt(here, &format!("series import {source} --to q.db --dry-run")).ok();
        assert!(again.contains("0 series") && again.contains("1 unchanged"), "{again}");
    }
    assert_eq!(keys(here), ["k"]);
    dataset(here, "t", "2.5");
    let other = silt(here, "series import t --to q.db --dry-run");
    assert!(other.code == 3 && other.out.contains("--overwrite"), "{other:?}");
}

/// A dataset `plant` of one series of one point.
fn dataset(here: &Path, folder: &str, value: &str) {
    let data = here.join(folder).join("plant_data/A#1_data");
    std::fs::create_dir_all(&data).unwrap();
    let series = "A#1_RAW#1: {index_metadata: {type: Index, dtype: int64}, values_dtype: float64}";
    let yaml =
        format!("name: plant\nsignals:\n  A#1:\n    name: A#1\n    time_series:\n      {series}\n");
    std::fs::write(here.join(folder).join("plant_metadata.yaml"), yaml).unwrap();
    std::fs::write(data.join("A#1_RAW#1.csv"), format!("t,v\n1,{value}\n")).unwrap();
}

/// Goal: of two datasets of one name in one import the first stays, with `--overwrite` too, and the second is named.
#[test]
fn of_two_datasets_of_one_name_none_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    dataset(here, "a", "1.5");
    dataset(here, "b", "2.5");
    let first = || {
        let store = format!("sqlite:{}", here.join("p.db").display());
        let store = series::open(&store).unwrap();
        let key = store.list_keys("").unwrap().remove(0);
        store.load(&key).unwrap().0.to_f64s().unwrap()
    };
    for _ in 0..2 {
        let ran = silt(here, "series import a b --to sqlite:p.db --overwrite");
        assert!(ran.code == 3 && ran.out.contains("--dataset"), "{ran:?}");
        assert_eq!(first(), [1.5]);
    }
    silt(here, "series import b --to sqlite:p.db --overwrite").ok();
    assert_eq!(first(), [2.5]);
}

/// Goal: JSON lines of our own export come back equal, texts that look like numbers and integers of 64 bits too; others are
/// understood as a table, and what is none is named by its line.
#[test]
fn json_lines_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let times = TimestampNanosecondArray::from(vec![0, 1, 86_400_000_000_000]);
    let index: ArrayRef = Arc::new(times.with_timezone("UTC"));
    let values: [ArrayRef; 7] = [
        Arc::new(Float64Array::from(vec![1.0, f64::NAN, -0.1])),
        Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some((1 << 53) + 1)])),
        Arc::new(UInt64Array::from(vec![u64::MAX, 0, 1])),
        Arc::new(StringArray::from(vec![Some("007"), None, Some("a\n\"b\"")])),
        Arc::new(StringArray::from(vec!["", "NaN", "true"])),
        Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
        Arc::new(DurationMillisecondArray::from(vec![1, -2, 3])),
    ];
    let store = series::open(&format!("sqlite:{}", here.join("p.db").display())).unwrap();
    for (i, values) in values.iter().enumerate() {
        let series = Series::new(index.clone(), values.clone()).unwrap().with_name("v");
        store.save(&i.to_string(), &series, &Default::default()).unwrap();
        silt(here, &format!("series export p.db {i} -o {i}.jsonl")).ok();
        silt(here, &format!("series import {i}.jsonl --to q.db --key {i}")).ok();
    }
    let back = series::open(&format!("sqlite:{}", here.join("q.db").display())).unwrap();
    for (i, values) in values.iter().enumerate() {
        let (series, _) = back.load(&i.to_string()).unwrap();
        assert_eq!(series.index().to_data(), index.to_data(), "{i}");
        // A span comes back in ns.
        if i < 6 {
            assert_eq!(series.values().to_data(), values.to_data(), "{i}");
        } else {
            assert_eq!(rows(series.values())[1][1], "-2000000ns");
        }
    }
    let text = "{\"t\":\"2024-01-01\",\"v\":1,\"s\":\"a\"}\n\n{\"v\":null,\"t\":\"2024-01-02\"}\n{\"t\":\"2024-01-03\",\"v\":2.5}\n";
    write(
        here,
        &[
            ("a.jsonl", text),
            ("b.ndjson", "{\"t\":1,\"v\":[1]}\n"),
            ("c.jsonl", "{\"t\":1,\"v\":1}\n{\"v\":1}\n"),
        ],
    );
    let reported = silt(here, "series import a.jsonl --to q.db --key a");
    assert!(
        reported.err.contains("t: timestamps without a zone")
            && reported.err.contains("s: texts, 2 missing"),
        "{reported:?}"
    );
    let (v, _) = back.load("a/v").unwrap();
    assert_eq!((v.to_f64s().unwrap()[2], v.values().null_count(), v.len()), (2.5, 0, 3));
    for (rest, says) in [
        ("b.ndjson --key b", "line 1"),
        ("c.jsonl --key c", "line 2"),
        ("a.jsonl --key d --skip-lines 1", "--skip-lines"),
    ] {
        let ran = silt(here, &format!("series import {rest} --to q.db"));
        assert!(ran.code == 2 && ran.err.contains(says), "{ran:?}");
    }
}

fn rows(array: &ArrayRef) -> Vec<Vec<serde_json::Value>> {
    let index: ArrayRef = Arc::new(Int64Array::from_iter_values(0..array.len() as i64));
    siltstone::table::rows(&Series::new(index, array.clone()).unwrap().to_batch()).unwrap()
}

/// Goal: options that contradict each other, an empty key and a file that is there say so.
#[test]
fn options_that_mean_nothing_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    write(
        here,
        &[("a.csv", "t,v\n2024-01-01,1\n2024-01-01,2\n"), ("b.csv", "t,v\n2024-01-02,1\n")],
    );
    for (rest, says) in [
        ("--append --overwrite", "cannot be used with"),
        ("--key=", "--key"),
        ("--dataset=", "--dataset"),
    ] {
        let ran = silt(here, &format!("series import a.csv --to p.db {rest}"));
        assert!(ran.code == 2 && ran.err.contains(says), "{rest}: {ran:?}");
    }
    silt(here, "series import a.csv --to p.db --key a").ok();
    silt(here, "series import b.csv --to p.db --key b").ok();
    let twice = silt(here, "series export p.db a b -o ab.csv");
    let says = "the index of \"a\"";
    assert!(
        twice.code == 2
            && twice.err.contains(says)
            && twice.err.contains("2024-01-01T00:00:00 twice"),
        "{twice:?}"
    );
    silt(here, "series export p.db a -o a2.csv").ok();
    let there = silt(here, "series export p.db a -o a2.csv");
    assert!(there.code == 2 && there.err.contains("--overwrite"), "{there:?}");
}

/// Goal: the same file once more changes nothing; one that differs is refused without an option that says what becomes of it.
#[test]
fn the_same_file_once_more_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let line = "import series log.csv -o p.db";
    for (text, code, said) in [
        ("t,a,b\n2024-01-01,1,u\n2024-01-02,NaN,x\n", 0, "log/a: 2 points"),
        ("t,a,b\n2024-01-01,1,u\n2024-01-02,NaN,x\n", 0, "log/a: unchanged"),
        ("t,a,b\n2024-01-01,1,u\n2024-01-02,NaN,y\n", 2, "--append or --overwrite"),
        ("t,a,b\n2024-01-01,1,u\n2024-01-02,NaN,x\n2024-01-03,1,z\n", 2, "--append"),
    ] {
        std::fs::write(here.join("log.csv"), text).unwrap();
        let ran = silt(here, line);
        assert!(ran.code == code && (ran.out.clone() + &ran.err).contains(said), "{ran:?}");
    }
    // An index that falls too; the same numbers of another unit are no such file.
    let toa5 = |unit: &str| {
        let head = format!(
            "\"TOA5\",\"s\",\"CR1000\"\n\"TIMESTAMP\",\"T\"\n\"TS\",\"{unit}\"\n\"\",\"\"\n"
        );
        let rows = "\"2024-01-02 00:00:00\",1\n\"2024-01-01 00:00:00\",2\n";
        std::fs::write(here.join("toa5.dat"), head + rows).unwrap();
        silt(here, "import series toa5.dat -o p.db")
    };
    assert_eq!([toa5("degC").code, toa5("degC").code, toa5("K").code], [0, 0, 2]);
}

/// Goal: a number of the row before the times is no index that anybody meant: which column is one has to be said.
#[test]
fn an_index_is_not_guessed_beside_times() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    std::fs::write(here.join("log.csv"), "id,time,v\n7,2024-01-01,1\n8,2024-01-02,2\n").unwrap();
    let refused = silt(here, "import series log.csv -o p.db");
    assert!(refused.code == 2 && refused.err.contains("--index \"time\""), "{refused:?}");
    for (index, keys) in [("time", "log/id"), ("id", "log/time")] {
        let line = format!("import series log.csv -o {index}.db --index {index}");
        assert!(silt(here, &line).ok().contains(keys));
    }
}

/// Goal: a dry run into a store says what the import then does: points before, between and behind the stored ones.
#[test]
fn a_dry_run_takes_points_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let point = |at: &str| format!("cpu v=3 17152014{at}\n");
    std::fs::write(here.join("a.lp"), point("00000000000") + &point("02000000000")).unwrap();
    silt(here, "import influx a.lp -o d.db").ok();
    std::fs::write(here.join("b.lp"), point("01000000000") + &point("03000000000")).unwrap();
    let dry = silt(here, "import influx b.lp -o d.db --dry-run").ok();
    assert!(dry.contains("2 points of 1 series would be added"), "{dry}");
    assert!(silt(here, "import influx b.lp -o d.db").ok().contains("2 points of 1 series added"));
    std::fs::write(here.join("one.csv"), "t,v\n2024-01-01,1\n2024-01-02,2\n").unwrap();
    silt(here, "import series one.csv --key k -o d.db").ok();
    std::fs::write(here.join("one.csv"), "t,v\n2024-01-02,5\n2024-01-03,6\n").unwrap();
    for overlap in ["replace", "skip"] {
        let line = format!("import series one.csv --key k -o d.db --append --overlap {overlap}");
        let (dry, real) = (silt(here, &format!("{line} --dry-run")), silt(here, &line));
        assert_eq!((dry.code, dry.out.lines().last()), (real.code, real.out.lines().last()));
    }
}
