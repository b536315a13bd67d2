//! What meteaudata wrote: zips, folders and databases of it, read, imported and written.

use std::fs;
use std::io::Write;
use std::path::Path;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use serde_json::Value;
use sha2::{Digest, Sha256};
use siltstone::series::meteaudata::{self, ImportOptions, Limits, read_dataset, write_dataset};
use siltstone::series::{MemoryBackend, Series, StorageBackend};
use siltstone_needs::needs;

use crate::shared;

fn sha256(items: impl Iterator<Item = [u8; 8]>) -> String {
    let bytes: Vec<u8> = items.flatten().collect();
    Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The hashes of index and values as the expected facts have them.
fn hashes(series: &Series) -> (String, String) {
    let index = arrow_cast::cast(series.index(), &arrow_schema::DataType::Int64).unwrap();
    let index = index.as_primitive::<Int64Type>().values().to_vec();
    assert_eq!(series.values().null_count(), 0, "NaN is no missing value in float64");
    let values = series.values().as_primitive::<Float64Type>().values().to_vec();
    (sha256(index.iter().map(|i| i.to_le_bytes())), sha256(values.iter().map(|x| x.to_le_bytes())))
}

/// The facts of the five series that meteaudata wrote into each of its stores.
fn expected(folder: &Path) -> Vec<(&'static str, String, String)> {
    let facts = fs::read_to_string(folder.join("expected.json")).unwrap();
    let facts: Value = serde_json::from_str(&facts).unwrap();
    let of = |name: &'static str, fact: &Value| {
        let hash = |what: &str| fact[what].as_str().unwrap().to_owned();
        (name, hash("sha256_index_le8"), hash("sha256_values_le8"))
    };
    let op = |file: &str| {
        let ops = facts["ops"].as_array().unwrap();
        ops.iter().find(|op| op["file"] == file).unwrap_or_else(|| panic!("{file}"))
    };
    vec![
        of("acc/co2#1/RAW#1", &facts["series"]["co2"]),
        of("acc/co2#1/LIN-INT#1", op("out/co2__linear_interpolation_.csv")),
        of("acc/nile#1/RAW#1", &facts["series"]["nile"]),
        of("acc/seattle#1/RAW#1", &facts["series"]["seattle"]),
        of("acc/seattle#1/RESAMPLED#1", op("out/seattle__resample_1D.csv")),
    ]
}

fn import(backend: &dyn StorageBackend, path: &Path) -> meteaudata::ImportReport {
    meteaudata::import(backend, path, &ImportOptions::default(), &mut |_, _| Ok(())).unwrap()
}

/// Goal: every file that meteaudata wrote gives the points that it had, bit for bit, with their histories;
/// to import it once more changes nothing and says so.
#[needs(shared)]
#[test]
fn each_meteaudata_store_is_imported_as_it_was() {
    let folder = shared::folder("data/series");
    for store in ["acc.zip", "disk", "polars", "sql/acc.db"] {
        let path = folder.join("described_store").join(store);
        let backend = MemoryBackend::new();
        let report = import(&backend, &path);
        let counted = (report.series, report.points, report.unchanged);
        // Its database holds three of the five.
        let is_sql = store.ends_with(".db");
        let seattle = if is_sql { (0, 0) } else { (2, 8759 + 365) };
        let all = 3 + seattle.0;
        assert_eq!(counted, (all, 2284 * 2 + 100 + seattle.1, 0), "{store}: {report:?}");
        assert!(report.skipped.is_empty() && report.conflicts.is_empty(), "{report:?}");
        assert_eq!(report.datasets, ["acc"]);
        let missing = |key: &str| is_sql && key.contains("seattle");
        for (key, index, values) in expected(&folder) {
            if missing(key) {
                continue;
            }
            let (series, metadata) = backend.load(key).unwrap();
            assert_eq!(hashes(&series), (index, values), "{store}: {key}");
            let steps = metadata["processing_steps"].as_array().unwrap();
            assert_eq!(steps.len(), usize::from(!key.ends_with("RAW#1")), "{store}: {key}");
            let known = series.index_metadata();
            let name = if key.contains("nile") { "year" } else { "t" };
            assert_eq!(known.name.as_deref(), Some(name), "{store}: {key}");
            let weekly = key.contains("co2").then_some("W-SAT");
            assert!(weekly.is_none() || known.frequency.as_deref() == weekly, "{store}: {key}");
        }
        let again = import(&backend, &path);
        assert_eq!((again.series, again.unchanged), (0, all), "{store}: {again:?}");
        assert!(again.conflicts.is_empty(), "{store}: {again:?}");
    }
}

/// Goal: of a dataset everything is there: fields, units, provenance, steps with their source text.
#[needs(shared)]
#[test]
fn a_meteaudata_dataset_is_read_whole() {
    let folder = shared::folder("data/series/described_store");
    let dataset = read_dataset(folder.join("acc.zip")).unwrap();
    let record = &dataset.record;
    assert_eq!((record.name.as_str(), record.owner.as_deref()), ("acc", Some("o")));
    assert_eq!(record.created_on, "2026-11-21T00:25:38.005469");
    let names: Vec<_> = dataset.signals.iter().map(|s| s.record.name.as_str()).collect();
    assert_eq!(names, ["co2#1", "nile#1", "seattle#1"]);
    let co2 = &dataset.signals[0];
    assert_eq!((co2.record.units.as_str(), co2.series.len()), ("ppm", 2));
    assert_eq!(co2.record.provenance.location.as_deref(), Some("co2"));
    assert_eq!(dataset.signals[1].record.units, "1e8 m3");
    let step = &co2.series[0].record.processing_steps[0];
    assert_eq!(step.input_series_names, ["co2#1_RAW#1"]);
    assert_eq!(step.function_info.version, "0.1");
    let source = step.function_info.source_code.as_deref().unwrap();
    assert!(source.starts_with("def linear_interpolation(\n    input_series"), "{source}");
}

fn write_zip(path: &Path, files: &[(&str, &str)]) {
    let mut zip = zip::ZipWriter::new(fs::File::create(path).unwrap());
    for (name, text) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap();
}

/// The metadata of a signal alone, with one series.
fn signal_of(series: &str, index: &str, dtype: &str) -> String {
    format!(
        "name: A#1\nunits: m\ntime_series:\n  {series}:\n    created_on: 2020-01-01\n    \
         index_metadata: {{{index}}}\n    metadata_id: 42\n    processing_steps: []\n    values_dtype: {dtype}\n"
    )
}

/// Goal: no name in a file leads out of it, a bomb is refused, code is not run, and one bad series does not stop
/// the rest.
#[test]
fn a_hostile_zip_reads_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::write(here.join("secret.csv"), "t,v\n1,7\n").unwrap();
    let path = here.join("s.zip");
    let known = signal_of("\"A#1_../../secret\"", "type: RangeIndex", "int64");
    write_zip(&path, &[("A#1_metadata.yaml", &known), ("../secret.csv", "t,v\n1,7\n")]);
    let found = meteaudata::read(&path, Limits::default()).unwrap();
    assert_eq!(found.skipped.len(), 1, "{found:?}");
    assert!(found.datasets[0].signals[0].series.is_empty());

    let known = signal_of("A#1_RAW#1", "type: RangeIndex", "int64");
    let long = format!("t,v\n{}", "1,1\n".repeat(100_000));
    write_zip(&path, &[("A#1_metadata.yaml", &known), ("A#1_data/A#1_RAW#1.csv", &long)]);
    let small = Limits { file_bytes: 10_000, ..Limits::default() };
    let found = meteaudata::read(&path, small).unwrap();
    assert!(found.skipped[0].reason.contains("10000 bytes"), "{found:?}");

    let trap = here.join("trap");
    let code = format!("x: !!python/object/apply:os.mkdir ['{}']\n", trap.display());
    write_zip(
        &path,
        &[
            ("A#1_metadata.yaml", &(known.clone() + &code)),
            ("A#1_data/A#1_RAW#1.csv", "t,v\n1,1\n2,x\n"),
        ],
    );
    let found = meteaudata::read(&path, Limits::default()).unwrap();
    assert!(found.skipped[0].reason.contains("line 3"), "{found:?}");
    assert!(found.notes[0].contains("os.mkdir") && !trap.exists(), "{found:?}");
    assert!(read_dataset(&path).is_err(), "one series is asked for and cannot be read");
    let names: Vec<_> = fs::read_dir(here).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

/// Goal: an index and values of any kind come back equal through a zip and a folder, and so does the whole dataset.
#[test]
fn what_is_written_is_read_as_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for (i, (index, dtype, csv)) in [
        (
            "type: DatetimeIndex, time_zone: America/Los_Angeles, dtype: \"datetime64[ns, America/Los_Angeles]\"",
            "float64",
            "t,v\n2010-11-07 01:30:00-07:00,0.1\n2010-11-07 01:30:00-08:00,\n2010-11-07 02:00:00.5-08:00,1e300\n",
        ),
        ("type: TimedeltaIndex, dtype: \"timedelta64[ns]\"", "int64", "t,v\n-1 days +23:00:00,1\n0 days 00:00:01,2\n"),
        ("type: RangeIndex, start: 0, end: 4, step: 2", "object", "t,v\n0,NA\n2,\"\"\n"),
        ("type: Index, dtype: float64", "Int64", "t,v\n0.5,9007199254740993\n1.5,\n"),
        ("type: Index, dtype: object", "bool", "\"a,b\",v\n\"x;\"\"y\",True\nz,False\n"),
        ("type: DatetimeIndex, frequency: -1h, dtype: \"datetime64[s]\"", "category", "t;v\n1600-01-01;b\n1500-01-01;a\n"),
        ("type: Index, dtype: int64", "float32", "(t)\tv\nunit\tm\n1\t1.5\n1\t2.5\n"),
        ("type: Index, dtype: bool", "datetime64[us]", "t,v\nTrue,2010-01-01\nFalse,\n"),
        ("type: DatetimeIndex, frequency: h", "float64", "t,v\n"),
    ]
    .into_iter()
    .enumerate()
    {
        let path = folder.path().join(format!("{i}.zip"));
        let known = signal_of("A#1_RAW#1", index, &format!("\"{dtype}\""));
        write_zip(&path, &[("A#1_metadata.yaml", &known), ("A#1_data/A#1_RAW#1.csv", csv)]);
        let first = MemoryBackend::new();
        let options = ImportOptions { name: Some("d/../é".into()), ..ImportOptions::default() };
        let report = meteaudata::import(&first, &path, &options, &mut |_, _| Ok(())).unwrap();
        assert!(report.skipped.is_empty(), "{i}: {report:?}");
        let keys = first.list_keys("").unwrap();
        let (series, metadata) = first.load(&keys[0]).unwrap();
        assert_eq!(metadata["metadata_id"], "42", "{i}");
        if dtype == "object" {
            let texts: Vec<_> = series.values().as_string::<i32>().iter().collect();
            assert_eq!(texts, [Some("NA"), Some("")], "texts stay texts");
        }
        for out in ["out.zip", "out"] {
            let out = folder.path().join(format!("{i}{out}"));
            write_dataset(&first, "d/../é", &out, &Default::default()).unwrap();
            let second = MemoryBackend::new();
            let report = import(&second, &out);
            assert!(report.skipped.is_empty(), "{i}: {report:?}");
            assert_eq!(second.load(&keys[0]).unwrap(), (series.clone(), metadata.clone()), "{i}");
            let records = first.list_records("").unwrap();
            assert_eq!(second.list_records("").unwrap(), records);
            for name in records {
                assert_eq!(second.record(&name).unwrap(), first.record(&name).unwrap(), "{name}");
            }
            let refused = write_dataset(&first, "d/../é", &out, &Default::default());
            assert!(matches!(refused, Err(siltstone::Error::Exists { .. })), "{refused:?}");
        }
    }
}

/// Goal: another content under a key that is in use is named and not replaced, unless that is asked for.
#[test]
fn a_conflict_is_named_and_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.zip");
    let known = signal_of("A#1_RAW#1", "type: RangeIndex", "int64");
    let backend = MemoryBackend::new();
    for csv in ["t,v\n0,1\n", "t,v\n0,2\n"] {
        write_zip(&path, &[("A#1_metadata.yaml", &known), ("A#1_data/A#1_RAW#1.csv", csv)]);
        backend.exists("default/A#1/RAW#1").unwrap();
        if csv.ends_with("1\n") {
            assert_eq!(import(&backend, &path).series, 1);
        }
    }
    let before = backend.load("default/A#1/RAW#1").unwrap();
    let report = import(&backend, &path);
    assert_eq!((report.series, report.conflicts.len()), (0, 1), "{report:?}");
    assert_eq!(backend.load("default/A#1/RAW#1").unwrap(), before);
    let strict = ImportOptions { strict: true, ..ImportOptions::default() };
    assert!(meteaudata::import(&backend, &path, &strict, &mut |_, _| Ok(())).is_err());
    let over = ImportOptions { overwrite: true, ..ImportOptions::default() };
    assert_eq!(meteaudata::import(&backend, &path, &over, &mut |_, _| Ok(())).unwrap().series, 1);
    assert_ne!(backend.load("default/A#1/RAW#1").unwrap(), before);
}
