//! Commits: whole or not at all, in their order, beside other writers.

use serde_json::json;

use super::{is_there, metadata, numbers};
use crate::error::Error;
use crate::series::{Change, Metadata, Overlap, SeriesInfo, StorageBackend, append_points};

pub(super) fn all_or_nothing(backend: &dyn StorageBackend) {
    let old = numbers(&[1], &[1.0]);
    backend.save("a", &old, &metadata(json!({"old": 1}))).unwrap();
    let save = |key: &str| Change::Save {
        key: key.into(),
        series: numbers(&[2], &[2.0]),
        metadata: Metadata::new(),
    };
    let record = Change::Record { name: "r".into(), record: Some(metadata(json!({"x": 1}))) };
    let failed =
        backend.commit(&[save("a"), save("b"), record, Change::Delete { key: "missing".into() }]);
    assert!(matches!(failed, Err(Error::NotFound { .. })), "{failed:?}");
    assert_eq!(backend.load("a").unwrap(), (old, metadata(json!({"old": 1}))));
    assert_eq!(backend.list_keys("").unwrap(), ["a"]);
    assert_eq!(backend.record("r").unwrap(), None);
}

pub(super) fn changes_in_order(backend: &dyn StorageBackend) {
    let (one, two) = (numbers(&[1], &[1.0]), numbers(&[2], &[2.0]));
    let key = |key: &str| key.to_owned();
    backend
        .commit(&[
            Change::Save { key: key("a"), series: one.clone(), metadata: Metadata::new() },
            Change::Append { key: key("a"), series: two.clone() },
            Change::Rename { from: key("a"), to: key("b") },
            Change::Copy { from: key("b"), to: key("a") },
            Change::Append { key: key("a"), series: two.clone() },
            Change::Save { key: key("c"), series: two.clone(), metadata: Metadata::new() },
            Change::Delete { key: key("c") },
        ])
        .unwrap();
    let both = one.concat(&two).unwrap();
    is_there(backend, "b", &both);
    is_there(backend, "a", &both.concat(&two).unwrap());
    assert_eq!(backend.list_keys("").unwrap(), ["a", "b"]);
    backend.commit(&[]).unwrap();
}

pub(super) fn expectations(backend: &dyn StorageBackend) {
    let expect = |key: &str, info: Option<SeriesInfo>| {
        let record = Change::Record { name: "r".into(), record: Some(metadata(json!({"x": 1}))) };
        backend.commit(&[record, Change::Expect { key: key.into(), info: info.map(Box::new) }])
    };
    expect("a", None).unwrap();
    backend.save("a", &numbers(&[1], &[1.0]), &Metadata::new()).unwrap();
    let made = backend.info("a").unwrap();
    expect("a", Some(made.clone())).unwrap();
    backend.commit(&[Change::Record { name: "r".into(), record: None }]).unwrap();
    let changes: [&dyn Fn(); 4] = [
        &|| assert_eq!(backend.append("a", &numbers(&[2], &[2.0])).unwrap(), 1),
        &|| backend.save("a", &numbers(&[1], &[1.5]), &Metadata::new()).unwrap(),
        &|| backend.save("a", &numbers(&[1], &[1.0]), &metadata(json!({"m": 1}))).unwrap(),
        &|| backend.delete("a").unwrap(),
    ];
    for change in changes {
        change();
        for info in
            [Some(made.clone()), None].iter().take(1 + usize::from(backend.exists("a").unwrap()))
        {
            let failed = expect("a", info.clone());
            assert!(matches!(failed, Err(Error::Invalid { .. })), "{failed:?}");
        }
        assert_eq!(backend.record("r").unwrap(), None, "nothing of that commit is there");
    }
}

pub(super) fn writers_at_once(backend: &dyn StorageBackend) {
    // What takes a moment to commit is met half way by another writer soon.
    let rounds = if backend.backend_type() == "memory" { 400 } else { 12 };
    let append = |key: &str, at: i64, value: f64, overlap| {
        let points = (key.to_owned(), numbers(&[at], &[value]), Metadata::new(), overlap);
        append_points(backend, &[points])
    };
    // Two copy the same points; two more correct points of a series that a third one appends to.
    let all: Vec<i64> = (0..rounds).collect();
    backend.save("b", &numbers(&all, &vec![0.0; all.len()]), &Metadata::new()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                all.iter().for_each(|at| drop(append("a", *at, 1.0, Overlap::Skip).unwrap()));
            });
        }
        for odd in 0..2 {
            let own = all.iter().filter(move |at| *at % 2 == odd);
            scope.spawn(move || {
                own.for_each(|at| drop(append("b", *at, 1.0, Overlap::Replace).unwrap()));
            });
        }
        scope.spawn(|| {
            all.iter().for_each(|at| drop(append("b", rounds + at, 1.0, Overlap::Refuse).unwrap()));
        });
    });
    is_there(backend, "a", &numbers(&all, &vec![1.0; all.len()]));
    let all: Vec<i64> = (0..2 * rounds).collect();
    is_there(backend, "b", &numbers(&all, &vec![1.0; all.len()]));
    // Two make the same series at the same moment: who comes second sees that it is there.
    for n in 0..30 {
        let key = format!("new/{n}");
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| drop(append(&key, 7, 1.0, Overlap::Skip).unwrap()));
            }
        });
        is_there(backend, &key, &numbers(&[7], &[1.0]));
    }
}

pub(super) fn rename_and_copy(backend: &dyn StorageBackend) {
    let series = numbers(&[1, 2], &[1.0, 2.0]).with_name("n");
    backend.save("a", &series, &metadata(json!({"m": 1}))).unwrap();
    backend.rename("a", "b").unwrap();
    assert!(!backend.exists("a").unwrap());
    backend.copy("b", "c").unwrap();
    backend.append("c", &numbers(&[3], &[3.0])).unwrap();
    assert_eq!(backend.load("b").unwrap(), (series, metadata(json!({"m": 1}))));
    assert_eq!(backend.load("c").unwrap().1, metadata(json!({"m": 1})));
    for (from, to) in [("b", "c"), ("b", "b")] {
        let refused = backend.copy(from, to);
        assert!(matches!(refused, Err(Error::Exists { .. })), "copy {from} {to}: {refused:?}");
        let refused = backend.rename(from, to);
        assert!(matches!(refused, Err(Error::Exists { .. })), "rename {from} {to}: {refused:?}");
    }
}
