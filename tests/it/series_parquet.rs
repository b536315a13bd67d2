//! Series in a folder of Parquet files: whole after a crash, and nobody else's files are touched.

use std::fs;
use std::path::{Path, PathBuf};

use siltstone::Error;
use siltstone::series::{Change, Metadata, ParquetBackend, Series, StorageBackend, conformance};

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

/// Goal: another handle, as of another process, sees each commit, and an old file is not left behind.
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
