//! `series`.

use std::path::Path;

use serde_json::json;
use siltstone::series::{self, Series, StorageBackend};

use crate::silt::silt;

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
                "key": "a/RAW#1", "points": 60, "index": "Timestamp(ns)", "values": "Float64",
                "first": "1970-01-01T00:00:00Z", "last": "1970-01-01T00:59:00Z",
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

/// Goal: a file is packed and a series removed; what is not there is an error, and nothing is made.
#[test]
fn a_store_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fill(open(here, "sqlite").as_ref());
    // A bare path is a file.
    assert_eq!(silt(here, "series settle store --json").json()["blocks"], json!(2));
    silt(here, "series rm store b").ok();
    let missing = silt(here, "series show store b");
    assert!(missing.code == 2 && missing.err.contains("\"b\""), "{missing:?}");
    assert_eq!(open(here, "sqlite").load("a/RAW#1").unwrap().0.len(), 60);
    for line in [
        "series ls none.db",
        "series ls parquet:none",
        "series settle none.db",
        "series rm none.db x",
    ] {
        let ran = silt(here, line);
        assert!(ran.code == 2 && ran.err.contains("none"), "{line}: {ran:?}");
    }
    assert!(!here.join("none.db").exists() && !here.join("none").exists());
    let secret = silt(here, "series ls ftp://me:hunter2@host/");
    assert!(secret.code == 2 && !secret.err.contains("hunter2"), "{secret:?}");
}
