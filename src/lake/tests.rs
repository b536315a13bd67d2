//! Publishing to a store that fails.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetResult, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result as StoreResult,
};

use super::budget::Budget;
use super::log::Log;
use super::objects::Objects;
use super::{PublishOptions, PublishReport, Target, publish_to};
use crate::kernel::threads;
use crate::memory::NewLearningEvent;
use crate::table::json_rows_of_parquet;
use crate::ticks::{TickStore, TickStoreConfig};
use crate::{Handle, Result};

/// A store of which one call fails: before it did something, or after it, as when the answer is lost.
#[derive(Debug, Default)]
struct Failing {
    inner: InMemory,
    calls: AtomicUsize,
    /// The call that fails; 0 for none.
    fails: AtomicUsize,
    after: AtomicBool,
    /// Each write of a data file takes a while, and how many there are at once: now, and at most.
    is_slow: bool,
    writes: [AtomicUsize; 2],
}

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a store that fails")
    }
}

impl Failing {
    async fn call<T>(&self, work: impl Future<Output = StoreResult<T>> + Send) -> StoreResult<T> {
        let fails =
            self.calls.fetch_add(1, Ordering::SeqCst) + 1 == self.fails.load(Ordering::SeqCst);
        let lost =
            || StoreError::Generic { store: "test", source: "the connection is gone".into() };
        if fails && !self.after.load(Ordering::SeqCst) {
            return Err(lost());
        }
        let done = work.await;
        if fails { Err(lost()) } else { done }
    }

    /// From now on the call `n` fails.
    fn fail(&self, n: usize, after: bool) {
        self.calls.store(0, Ordering::SeqCst);
        self.after.store(after, Ordering::SeqCst);
        self.fails.store(n, Ordering::SeqCst);
    }

    /// Whether it did; no call fails any more.
    fn failed(&self) -> bool {
        let n = self.fails.swap(0, Ordering::SeqCst);
        self.calls.load(Ordering::SeqCst) >= n
    }
}

#[async_trait::async_trait]
impl ObjectStore for Failing {
    async fn put_opts(
        &self,
        at: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> StoreResult<PutResult> {
        if self.is_slow && at.extension() == Some("parquet") {
            let [now, most] = &self.writes;
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(30)).await;
            now.fetch_sub(1, Ordering::SeqCst);
        }
        self.call(self.inner.put_opts(at, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> StoreResult<GetResult> {
        self.call(self.inner.get_opts(at, options)).await
    }

    fn delete_stream(
        &self,
        at: BoxStream<'static, StoreResult<Path>>,
    ) -> BoxStream<'static, StoreResult<Path>> {
        self.inner.delete_stream(at)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

fn send(handle: &Handle, lake: &Objects) -> Result<PublishReport> {
    publish_to(handle, &Target::Lake(lake.clone()), &PublishOptions::default(), &mut |_, _| Ok(()))
}

/// The numbers of the events of a lake; that no commit of the file is there twice, and no file that no commit has.
fn events(lake: &Objects) -> Vec<i64> {
    let table = lake.folder("learning_events");
    let (mut commits, mut sent) = (Vec::new(), BTreeSet::new());
    for object in table.list("", None).unwrap() {
        if object.name.ends_with(".json") {
            let text = table.get(&object.name).unwrap().unwrap();
            for line in std::str::from_utf8(&text).unwrap().lines() {
                let action: serde_json::Value = serde_json::from_str(line).unwrap();
                commits.extend(action["txn"]["version"].as_i64());
                sent.extend(action["add"]["path"].as_str().map(str::to_owned));
            }
        }
    }
    let rising: Vec<i64> = (1..=commits.len() as i64).collect();
    assert_eq!(commits, rising);
    for object in table.list("", None).unwrap() {
        let is_log = object.name.starts_with("_delta_log/");
        assert!(is_log || sent.contains(&object.name), "{} is in no commit", object.name);
    }
    rows(lake)
}

/// The numbers of the events of a lake.
fn rows(lake: &Objects) -> Vec<i64> {
    let table = lake.folder("learning_events");
    let state = Log::new(table.clone()).load().unwrap();
    let mut ids = Vec::new();
    for file in state.files.keys() {
        let rows = json_rows_of_parquet(table.get(file).unwrap().unwrap()).unwrap();
        ids.extend(rows.iter().map(|row| row["id"].as_i64().unwrap()));
    }
    ids.sort_unstable();
    ids
}

/// Goal: whichever call fails, before it did something or after, the next publishing leads to each row once.
#[test]
fn each_row_is_there_once_whichever_call_fails() {
    for after in [false, true] {
        for n in 1.. {
            let folder = tempfile::tempdir().unwrap();
            let db = crate::open(folder.path().join("agent.db")).unwrap();
            let memory = db.memory().unwrap();
            let store = Arc::new(Failing::default());
            let lake = Objects::over(store.clone());
            let mut expected = Vec::new();
            let mut add = |count: usize| {
                for _ in 0..count {
                    let event = NewLearningEvent::new("maze", 0.5, "explore");
                    expected.push(memory.store_learning_event(event).unwrap());
                }
                expected.clone()
            };
            let expected = add(3);
            store.fail(n, after);
            let first = send(&db, &lake);
            let failed = store.failed();
            assert_eq!(first.is_err(), failed && first.is_err(), "call {n}");
            // The same rows, sent again.
            send(&db, &lake).unwrap();
            assert_eq!(events(&lake), expected, "call {n} failed, after it: {after}");
            let expected = add(2);
            store.fail(n, after);
            let _ = send(&db, &lake); // it may fail, or not
            let failed_again = store.failed();
            send(&db, &lake).unwrap();
            assert_eq!(events(&lake), expected, "call {n} failed, after it: {after}");
            assert_eq!(send(&db, &lake).unwrap(), PublishReport::default());
            if !failed && !failed_again {
                break;
            }
        }
    }
}

/// The names under which files published.
fn stores(lake: &Objects) -> BTreeSet<String> {
    let state = Log::new(lake.folder("learning_events")).load().unwrap();
    let values = state.files.values().map(|add| add.partition_values["store_id"].clone());
    values.flatten().collect()
}

/// Goal: a rebuilt ledger and a new name, whichever call fails on the way, lead to each row once under each name.
#[test]
fn the_ways_out_may_fail_anywhere() {
    for is_renamed in [false, true] {
        for n in 1.. {
            let folder = tempfile::tempdir().unwrap();
            let db = crate::open(folder.path().join("agent.db")).unwrap();
            let memory = db.memory().unwrap();
            let store = Arc::new(Failing::default());
            let lake = Objects::over(store.clone());
            let add = || memory.store_learning_event(NewLearningEvent::new("maze", 0.5, "explore"));
            add().unwrap();
            send(&db, &lake).unwrap();
            let backup = folder.path().join("backup.db");
            db.backup(&backup).unwrap();
            add().unwrap();
            send(&db, &lake).unwrap();
            db.close().unwrap();

            let db = crate::open(&backup).unwrap();
            let memory = db.memory().unwrap();
            memory.store_learning_event(NewLearningEvent::new("maze", 0.5, "explore")).unwrap();
            assert!(!send(&db, &lake).unwrap().failed.is_empty());
            let mut options = PublishOptions::default();
            (options.new_identity, options.rebuild_ledger) = (is_renamed, !is_renamed);
            let out =
                |_| publish_to(&db, &Target::Lake(lake.clone()), &options, &mut |_, _| Ok(()));
            store.fail(n, n % 2 == 0);
            let first = out(());
            let failed = store.failed();
            if first.is_err() {
                out(()).unwrap();
            }
            assert_eq!(send(&db, &lake).unwrap(), PublishReport::default(), "call {n}");
            let (ids, names) = if is_renamed { (vec![1, 1, 2, 2], 2) } else { (vec![1, 2], 1) };
            assert_eq!(rows(&lake), ids, "call {n}");
            assert_eq!(stores(&lake).len(), names, "call {n}");
            if !failed {
                break;
            }
        }
    }
}

/// Goal: of a first publish several segments are made and sent at once, as many as there is memory for, and none is there twice.
#[test]
fn segments_of_a_first_publish_are_sent_at_once() {
    for (max_memory, most) in [(None, threads()), (Some(64 << 20), 1)] {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().to_owned();
        let config = TickStoreConfig { sqlite_base_path: base, ..TickStoreConfig::production("b") };
        let ticks = TickStore::new(config).unwrap();
        for n in 0..60_i64 {
            let (symbol, time_ns) = (format!("S{}", n % 7), n / 20 * 86_400_000_000_000 + n);
            let _ = ticks.store_tick(&symbol, n as f64, n as f64, 0.0, "LP", time_ns).unwrap();
        }
        ticks.stop().unwrap();
        let store = Arc::new(Failing { is_slow: true, ..Failing::default() });
        let lake = Objects::over(store.clone()).within(Budget::of(max_memory).unwrap());
        let report = send(&crate::open_read_only(folder.path()).unwrap(), &lake).unwrap();
        let ticks = report.tables["ticks"];
        assert_eq!((ticks.rows, ticks.commits), (60, 1));
        assert!(ticks.segments > 6, "{ticks:?}");
        assert_eq!(store.writes[1].load(Ordering::SeqCst), most, "{max_memory:?}");
    }
}
