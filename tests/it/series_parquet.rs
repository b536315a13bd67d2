//! Series in a folder of Parquet files: whole after a crash, and nobody else's files are touched.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{Int32Array, Int64Array};
use siltstone::series::{
    Change, IndexMetadata, IndexRange, Metadata, ParquetBackend, Series, SeriesInfo,
    StorageBackend, conformance,
};
use siltstone::{Error, Result};

use crate::child::Random;

fn points(n: i64, value: f64) -> Series {
    let times: Vec<i64> = (0..n).map(|i| i * 1_000_000_000).collect();
    Series::from_times_ns(&times, &vec![value; n as usize]).unwrap()
}

/// The files of series in a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "parquet")).collect();
    files.sort();
    files
}

/// Goal: the folder passes the suite that every backend passes.
#[test]
fn a_folder_does_what_a_backend_must() {
    let folder = tempfile::tempdir().unwrap();
    let made = std::cell::Cell::new(0);
    conformance::check(&|| {
        made.set(made.get() + 1);
        Box::new(ParquetBackend::open(folder.path().join(made.get().to_string())).unwrap())
    });
}

/// Two years of months and a kind of weather for each.
fn months() -> Series {
    let known = IndexMetadata {
        kind: "PeriodIndex".into(),
        dtype: Some("period[M]".into()),
        ..IndexMetadata::default()
    };
    let codes = Int32Array::from_iter((0..24).map(|i| (i != 3).then_some(i % 2)));
    let series = Series::new(Arc::new(Int64Array::from_iter_values(640..664)), Arc::new(codes));
    let dtype = r#"category:{"categories": ["wet", "dry"], "dtype": "object", "ordered": false}"#;
    series.unwrap().with_index_metadata(known).with_dtype(Some(dtype.into()))
}

/// Goal: other programs see categories as their values and periods as their texts; the series comes back by bits, by range
/// and after an append, and its types are those of its numbers.
#[test]
fn other_programs_see_what_numbers_stand_for() {
    let folder = tempfile::tempdir().unwrap();
    let backend = ParquetBackend::open(&folder).unwrap();
    backend.save("k", &months().slice(0, 20), &Metadata::new()).unwrap();
    backend.append("k", &months().slice(20, 4)).unwrap();
    assert_eq!(backend.load("k").unwrap().0, months());
    assert_eq!(backend.info("k").unwrap().schema(), months().schema());
    let some = backend.load_range("k", &IndexRange::closed(641, 643)).unwrap();
    assert_eq!(some, months().slice(1, 3));
    let table = siltstone::table::read(&files(folder.path())[0]).unwrap();
    let rows = siltstone::table::rows(&table.collect_batches().unwrap()[0]).unwrap();
    let seen = serde_json::to_string(&rows[2..4]).unwrap();
    assert_eq!(seen, r#"[["2023-07","wet"],["2023-08",null]]"#);
    // A code that stands for nothing stays the number that it is.
    let odd = Series::new(months().index().clone(), Arc::new(Int32Array::from(vec![7; 24])));
    let odd = odd.unwrap().with_dtype(months().dtype().map(str::to_owned));
    backend.save("k", &odd, &Metadata::new()).unwrap();
    assert_eq!(backend.load("k").unwrap().0, odd);
}

/// Goal: another handle, as of another process, sees each commit, and an old file is removed.
#[test]
fn another_handle_sees_each_commit() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (ParquetBackend::open(&folder).unwrap(), ParquetBackend::open(&folder).unwrap());
    for n in 1..5 {
        a.save("k", &points(n, 1.0), &Metadata::new()).unwrap();
        assert_eq!(b.load("k").unwrap().0.len(), n as usize);
        b.append("k", &points(1, 2.0)).unwrap();
        assert_eq!(a.info("k").unwrap().length, n as u64 + 1);
    }
    assert_eq!(files(folder.path()).len(), 1);
}

/// Goal: two writers at once lose nothing, while a reader never fails.
#[test]
fn two_writers_and_a_reader_get_along() {
    let folder = tempfile::tempdir().unwrap();
    ParquetBackend::open(&folder).unwrap().save("k", &points(0, 0.0), &Metadata::new()).unwrap();
    std::thread::scope(|scope| {
        let write = || {
            let backend = ParquetBackend::open(&folder).unwrap();
            for _ in 0..20 {
                backend.append("k", &points(3, 1.0)).unwrap();
            }
        };
        let writers = [scope.spawn(write), scope.spawn(write)];
        let backend = ParquetBackend::open(&folder).unwrap();
        let mut seen = 0;
        while !writers.iter().all(|writer| writer.is_finished()) {
            let now = backend.load("k").unwrap().0.len();
            assert!(now >= seen && now.is_multiple_of(3), "{now} after {seen}");
            seen = now;
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        assert_eq!(backend.load("k").unwrap().0.len(), 120);
    });
}

/// Goal: files of others stay, are not listed, and survive `clear`.
#[test]
fn files_of_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let foreign = ["notes.txt", "data.parquet", "silt-short.parquet", "k_meta.yaml"];
    for name in foreign {
        fs::write(folder.path().join(name), "mine").unwrap();
    }
    let backend = ParquetBackend::open(&folder).unwrap();
    backend.save("k", &points(2, 1.0), &Metadata::new()).unwrap();
    assert_eq!(backend.list_keys("").unwrap(), ["k"]);
    backend.clear().unwrap();
    for name in foreign {
        assert_eq!(fs::read_to_string(folder.path().join(name)).unwrap(), "mine", "{name}");
    }
    assert_eq!(files(folder.path()).len(), 2);
}

/// Goal: a damaged file is named, and every other series can be read.
#[test]
fn a_damaged_file_is_named_and_the_rest_is_readable() {
    let folder = tempfile::tempdir().unwrap();
    let backend = ParquetBackend::open(&folder).unwrap();
    backend.save("bad", &points(1000, 1.0), &Metadata::new()).unwrap();
    let file = files(folder.path()).remove(0);
    backend.save("good", &points(1000, 2.0), &Metadata::new()).unwrap();
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let error = backend.load("bad").unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(error.to_string().contains(name), "{error}");
    assert_eq!(backend.load("good").unwrap().0, points(1000, 2.0));
    assert_eq!(backend.list_keys("").unwrap(), ["bad", "good"]);
}

/// Goal: a list that names a file outside of the folder is refused.
#[test]
fn a_list_does_not_lead_out_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("silt-series.json"),
        r#"{"version":1,"series":{"k":"../../etc/passwd"}}"#,
    )
    .unwrap();
    let error = ParquetBackend::open(&folder).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

/// Goal: what a writer that died had written but not named is removed by the next commit, and a commit of
/// several series that fails in the middle leaves no file.
#[test]
fn nothing_half_written_stays() {
    let folder = tempfile::tempdir().unwrap();
    let backend = ParquetBackend::open(&folder).unwrap();
    let save = |key: &str| Change::Save {
        key: key.into(),
        series: points(10, 1.0),
        metadata: Metadata::new(),
    };
    backend.commit(&[save("a")]).unwrap();
    let own = files(folder.path());
    let failed = backend.commit(&[save("a"), save("b"), Change::Delete { key: "none".into() }]);
    assert!(matches!(failed, Err(Error::NotFound { .. })), "{failed:?}");
    assert_eq!(files(folder.path()), own);
    let orphan = folder.path().join("silt-0123456789abcdef-0123456789abcdef0000.parquet");
    fs::write(&orphan, "").unwrap();
    assert_eq!(backend.list_keys("").unwrap(), ["a"]);
    backend.commit(&[save("b")]).unwrap();
    assert!(!orphan.exists());
}

/// All that a folder says.
type Said = (Vec<String>, Vec<(Series, Metadata)>, Vec<SeriesInfo>, Option<Metadata>);

fn read_all(folder: &Path) -> Result<Said> {
    let backend = ParquetBackend::open(folder)?;
    let keys = backend.list_keys("")?;
    let series = keys.iter().map(|key| backend.load(key)).collect::<Result<_>>()?;
    let infos = keys.iter().map(|key| backend.info(key)).collect::<Result<_>>()?;
    Ok((keys, series, infos, backend.record("r")?))
}

fn folder_of_series(folder: &Path) {
    let backend = ParquetBackend::open(folder).unwrap();
    let mut random = Random(1);
    let values: Vec<f64> = (0..400).map(|_| random.below(1 << 40) as f64 / 3.0).collect();
    let times: Vec<i64> = (0..400).map(|n| n * 1_000_000_000).collect();
    let metadata: Metadata = serde_json::from_str(r#"{"unit":"C","n":[1,2.5]}"#).unwrap();
    let odd = Series::from_times_ns(&times, &values).unwrap().with_name("odd");
    backend.save("odd", &odd, &metadata).unwrap();
    backend.save("even", &points(3_000, 0.5), &Metadata::new()).unwrap();
    backend.commit(&[Change::Record { name: "r".into(), record: Some(metadata) }]).unwrap();
}

/// Flips in a run of the test.
const FLIPS: u64 = 3_000;

/// Goal: whatever bit of a folder's files is another one, a read says what was written or fails, and `verify` finds it.
#[test]
fn no_flipped_bit_of_a_folder_gives_other_numbers() {
    let folder = tempfile::tempdir().unwrap();
    folder_of_series(folder.path());
    let written = read_all(folder.path()).unwrap();
    let verify = || ParquetBackend::open(&folder).and_then(|backend| backend.verify());
    let report = verify().unwrap();
    assert_eq!((report.checksums, report.without_checksum, report.is_ok()), (2, 0, true));
    let mut all = files(folder.path());
    all.push(folder.path().join("silt-series.json"));
    let mut random = Random(7);
    let mut refused = 0;
    for n in 0..FLIPS {
        let path = &all[n as usize % all.len()];
        let bytes = fs::read(path).unwrap();
        let (at, bit) = (random.below(bytes.len() as u64) as usize, random.below(8));
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << bit;
        fs::write(path, flipped).unwrap();
        let location = || format!("bit {bit} of byte {at} of {}", path.display());
        match read_all(folder.path()) {
            Ok(read) => assert_eq!(read, written, "{}", location()),
            Err(Error::Corrupt { .. }) => refused += 1,
            Err(other) => panic!("{}: {other}", location()),
        }
        assert!(!verify().is_ok_and(|report| report.is_ok()), "{} is not found", location());
        fs::write(path, bytes).unwrap();
    }
    assert_eq!(refused, FLIPS);
    assert_eq!(read_all(folder.path()).unwrap(), written);
}

/// Goal: a folder of the first version, which had no hashes, is read as it is; what is written anew has one.
#[test]
fn a_folder_without_hashes_is_read_and_gets_them_file_by_file() {
    let folder = tempfile::tempdir().unwrap();
    folder_of_series(folder.path());
    let written = read_all(folder.path()).unwrap();
    let list = folder.path().join("silt-series.json");
    let mut old: serde_json::Value = serde_json::from_slice(&fs::read(&list).unwrap()).unwrap();
    old["version"] = 1.into();
    old.as_object_mut().unwrap().remove("hash");
    for entry in old["series"].as_object_mut().unwrap().values_mut() {
        *entry = entry["file"].take();
    }
    fs::write(&list, old.to_string()).unwrap();
    assert_eq!(read_all(folder.path()).unwrap(), written);
    let backend = ParquetBackend::open(&folder).unwrap();
    let counts = || {
        let report = backend.verify().unwrap();
        (report.checksums, report.without_checksum, report.findings)
    };
    assert_eq!(counts(), (0, 2, vec![]));
    backend.append("even", &points(1, 9.0)).unwrap();
    assert_eq!(counts(), (1, 1, vec![]));
    assert_eq!(backend.load("odd").unwrap(), written.1[1]);
}

/// Goal: `verify` names a file that is gone, and goes on with the others.
#[test]
fn a_missing_file_is_a_finding() {
    let folder = tempfile::tempdir().unwrap();
    folder_of_series(folder.path());
    fs::remove_file(&files(folder.path())[0]).unwrap();
    let report = ParquetBackend::open(&folder).unwrap().verify().unwrap();
    assert_eq!((report.checksums, report.findings.len()), (2, 1), "{:?}", report.findings);
}
