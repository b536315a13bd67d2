//! The collector, its strategies and the driver, end to end.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::array::Array;
use crate::error::{Error, Result};
use crate::simulation::database::SimulationDatabase;
use crate::simulation::initial::InitialData;
use crate::simulation::run::Status;
use crate::simulation::update::{Attribute, EntityData, Group, Update};

fn values(ids: &[i64], values: &[f64]) -> EntityData {
    let id = ("id".to_owned(), Attribute::new(Array::from_slice(ids)));
    let x = ("x".to_owned(), Attribute::new(Array::from_slice(values)));
    vec![Group { name: "g".into(), attributes: vec![id, x] }]
}

/// What a strategy does beside keeping an update.
type Act = dyn Fn(&Update) -> Result<()> + Send + Sync;

/// Keeps updates in memory; `act` may fail, wait or panic.
struct Memory {
    stored: Mutex<Vec<Update>>,
    act: Box<Act>,
    closed_with: Mutex<Option<Option<String>>>,
}

impl Memory {
    fn new(act: impl Fn(&Update) -> Result<()> + Send + Sync + 'static) -> Arc<Self> {
        let (stored, closed_with) = (Mutex::default(), Mutex::default());
        Arc::new(Memory { stored, act: Box::new(act), closed_with })
    }

    /// (timestamp, iteration, dataset), sorted.
    fn keys(&self) -> Vec<(i64, i64, String)> {
        let stored = self.stored.lock().unwrap();
        let key = |u: &Update| (u.timestamp, u.iteration, u.dataset.clone());
        let mut keys: Vec<_> = stored.iter().map(key).collect();
        keys.sort();
        keys
    }
}

impl StorageStrategy for Memory {
    fn initialize(&self) -> Result<()> {
        Ok(())
    }

    fn store(&self, update: Update) -> Result<()> {
        (self.act)(&update)?;
        self.stored.lock().unwrap().push(update);
        Ok(())
    }

    fn close(&self, failure: Option<&Error>) -> Result<()> {
        *self.closed_with.lock().unwrap() = Some(failure.map(Error::to_string));
        Ok(())
    }
}

fn collector(strategy: &Arc<Memory>, config: serde_json::Value) -> DataCollector {
    let config = CollectorConfig::parse(&config).unwrap();
    let mut collector = DataCollector::with_strategy(strategy.clone(), config);
    collector.initialize().unwrap();
    collector
}

fn key(timestamp: i64, iteration: i64, dataset: &str) -> (i64, i64, String) {
    (timestamp, iteration, dataset.to_owned())
}

/// Goal: one counter a timestamp over all datasets, in the order given; what changes nothing takes
/// no number.
#[test]
fn iterations_count_changes_over_all_datasets() {
    let memory = Memory::new(|_| Ok(()));
    let mut collector = collector(&memory, json!({}));
    collector.new_time(0).unwrap();
    let both =
        || vec![("b".to_owned(), values(&[1], &[1.0])), ("a".to_owned(), values(&[1], &[1.0]))];
    collector.update_all(both(), Some("m")).unwrap();
    collector.update_all(both(), None).unwrap();
    collector.new_time(0).unwrap(); // announced again: goes on counting
    collector.update("b", values(&[1], &[2.0]), None).unwrap();
    collector.new_time(5).unwrap();
    collector.update("a", values(&[1, 2], &[1.0, 3.0]), None).unwrap();
    assert!(collector.new_time(4).is_err());
    collector.close().unwrap();
    collector.close().unwrap();
    let expected = [key(0, 0, "b"), key(0, 1, "a"), key(0, 2, "b"), key(5, 0, "a")];
    assert_eq!(memory.keys(), expected);
    let stored = memory.stored.lock().unwrap();
    let of = |t: i64, i: i64| stored.iter().find(|u| (u.timestamp, u.iteration) == (t, i)).unwrap();
    assert_eq!(of(0, 0).origin.as_deref(), Some("m"));
    assert_eq!(of(5, 0).data, values(&[2], &[3.0]));
    assert_eq!(*memory.closed_with.lock().unwrap(), Some(None));
    assert!(matches!(collector.new_time(6), Err(Error::Closed { .. })));
}

/// Goal: with aggregation a timestamp is one update a dataset, and what came back did not change.
#[test]
fn aggregation_stores_one_update_a_timestamp() {
    let memory = Memory::new(|_| Ok(()));
    let mut collector = collector(&memory, json!({"aggregate_updates": true}));
    for (time, steps) in [(0, [1.0, 2.0]), (10, [5.0, 2.0]), (20, [2.5, 3.0])] {
        collector.new_time(time).unwrap();
        collector.update("b", values(&[1], &[9.0]), None).unwrap();
        for step in steps {
            collector.update("a", values(&[1, 2], &[step, 0.5]), Some("m")).unwrap();
        }
    }
    collector.close().unwrap();
    assert_eq!(memory.keys(), [key(0, 0, "b"), key(0, 1, "a"), key(20, 0, "a")]);
    let stored = memory.stored.lock().unwrap();
    let of = |t: i64| &stored.iter().find(|u| u.timestamp == t && u.dataset == "a").unwrap().data;
    assert_eq!((of(0), of(20)), (&values(&[1, 2], &[2.0, 0.5]), &values(&[1], &[3.0])));
    assert!(stored.iter().all(|u| u.origin.is_none()));
}

/// Goal: the filter is applied before anything is compared or stored.
#[test]
fn only_what_is_gathered_is_stored() {
    let memory = Memory::new(|_| Ok(()));
    let mut collector = collector(&memory, json!({"gather_filter": {"a": {"g": ["x"]}}}));
    collector.new_time(0).unwrap();
    let mut data = values(&[1], &[1.0]);
    data[0].attributes.push(("y".into(), Attribute::new(Array::from_slice(&[2.0]))));
    collector.update("b", data.clone(), None).unwrap();
    collector.update("a", data, None).unwrap();
    collector.close().unwrap();
    assert_eq!(memory.keys(), [key(0, 0, "a")]);
    assert_eq!(memory.stored.lock().unwrap()[0].data, values(&[1], &[1.0]));
}

fn refuse(update: &Update, timestamp: i64) -> Result<()> {
    match update.timestamp == timestamp {
        true => Err(Error::invalid("disk", "room", "none")),
        false => Ok(()),
    }
}

/// Goal: the error of the very last write reaches the caller, and the storage knows of it.
#[test]
fn an_error_of_the_last_write_is_raised_on_close() {
    let memory = Memory::new(|update| {
        std::thread::sleep(Duration::from_millis(20));
        refuse(update, 3)
    });
    let mut collector = collector(&memory, json!({}));
    for time in 0..4 {
        collector.new_time(time).unwrap();
        collector.update("a", values(&[1], &[time as f64]), None).unwrap();
    }
    let error = collector.close().unwrap_err().to_string();
    assert_eq!(error, "disk: expected room, got none");
    assert_eq!(memory.keys().len(), 3);
    assert_eq!(*memory.closed_with.lock().unwrap(), Some(Some(error)));
    assert_eq!(collector.errors().len(), 1);
}

/// Goal: an earlier error is raised by the next call and every later one, all else that was handed in
/// is stored, and a worker that panics is an error too.
#[test]
fn an_error_of_a_worker_is_raised_and_the_rest_is_stored() {
    let memory = Memory::new(|update| match update.timestamp {
        2 => panic!("on purpose"),
        1 => refuse(update, 1),
        _ => {
            std::thread::sleep(Duration::from_millis(50));
            Ok(())
        }
    });
    let mut collector = collector(&memory, json!({}));
    for time in 0..4 {
        if collector.new_time(time).is_ok() {
            let _ = collector.update("a", values(&[1], &[time as f64]), None);
        }
    }
    while collector.errors().is_empty() {
        std::thread::yield_now();
    }
    assert!(collector.new_time(9).is_err());
    assert!(collector.update("a", values(&[1], &[9.0]), None).is_err());
    assert!(collector.close().is_err());
    assert!(memory.keys().contains(&key(0, 0, "a")), "{:?}", memory.keys());
    assert!(memory.keys().iter().all(|(time, ..)| *time != 9));
}

/// Goal: what a call that was cancelled has taken is stored, once; to say it again adds nothing, and a close that was cancelled
/// can be repeated.
#[test]
fn what_was_taken_outlives_a_call_that_is_cancelled() {
    for aggregate in [false, true] {
        let gate = Arc::new(std::sync::RwLock::new(()));
        let behind = gate.clone();
        let memory = Memory::new(move |_| behind.read().map(drop).map_err(|_| unreachable!()));
        let mut collector = collector(&memory, json!({"aggregate_updates": aggregate}));
        let closed = gate.write().unwrap();
        let mut cancelled = 0;
        for time in 0..9 {
            let mut step = || {
                collector.new_time(time)?;
                collector.update("a", values(&[1], &[time as f64]), None)
            };
            let start = std::time::Instant::now();
            let stop = move || start.elapsed() > Duration::from_millis(20);
            if let Err(error) = crate::interruptible(stop, &mut step) {
                assert!(matches!(error, Error::Interrupted { .. }), "{error}");
                cancelled += 1;
            }
        }
        let start = std::time::Instant::now();
        let stop = move || start.elapsed() > Duration::from_millis(20);
        let stopped = crate::interruptible(stop, || collector.close());
        assert!(matches!(stopped, Err(Error::Interrupted { .. })), "{stopped:?}");
        drop(closed);
        collector.new_time(9).unwrap();
        collector.close().unwrap();
        assert!(cancelled > 0 && *memory.closed_with.lock().unwrap() == Some(None));
        let times: Vec<i64> = memory.keys().iter().map(|key| key.0).collect();
        // A time that could not begin took no update.
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]) && times.len() > 4, "{times:?}");
        if !aggregate {
            assert_eq!(times[..6], [0, 1, 2, 3, 4, 5]);
        }
    }
}

/// Counts what is logged as an error in this thread.
struct ErrorLog(Arc<AtomicUsize>);

impl tracing::Subscriber for ErrorLog {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::ERROR
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// Goal: what was gathered of the last timestamp is stored, whatever happened to an earlier one; and a
/// collector that is dropped tells the log what its workers met.
#[test]
fn an_earlier_error_drops_nothing_that_was_gathered() {
    for close in [true, false] {
        let go = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let gate = go.clone();
        let memory = Memory::new(move |update| {
            while update.timestamp == 0 && !gate.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            refuse(update, 0)
        });
        let mut collector = collector(&memory, json!({"aggregate_updates": true}));
        for time in [0, 1] {
            collector.new_time(time).unwrap();
            collector.update("a", values(&[1], &[time as f64]), None).unwrap();
        }
        go.store(true, Ordering::SeqCst);
        while collector.errors().is_empty() {
            std::thread::yield_now();
        }
        let logged = Arc::new(AtomicUsize::new(0));
        tracing::subscriber::with_default(ErrorLog(logged.clone()), || {
            if close {
                assert!(collector.close().unwrap_err().to_string().contains("room"));
            }
            drop(collector);
        });
        assert_eq!(memory.keys(), [key(1, 0, "a")], "close: {close}");
        assert_eq!(logged.load(Ordering::SeqCst), usize::from(!close));
    }
}

/// Goal: five workers, never more, and all of them.
#[test]
fn five_workers_store_at_once() {
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (running.clone(), most.clone());
    let memory = Memory::new(move |_| {
        counts.1.fetch_max(counts.0.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(20));
        counts.0.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    });
    let mut collector = collector(&memory, json!({}));
    collector.new_time(0).unwrap();
    for n in 0..40 {
        collector.update("a", values(&[1], &[f64::from(n)]), None).unwrap();
        // Nothing waits beyond what the workers hold: memory is bounded.
        assert!(memory.stored.lock().unwrap().len() + 6 > n as usize);
    }
    collector.close().unwrap();
    assert_eq!((memory.keys().len(), most.load(Ordering::SeqCst)), (40, 5));
}

/// Goal: a strategy of one's own is found by its name, and an unknown name says which there are.
#[test]
fn strategies_are_found_by_name() {
    let memory = Memory::new(|_| Ok(()));
    let registered = memory.clone();
    register_strategy(
        "in_memory",
        Arc::new(move |_: &CollectorConfig, _: &Settings| Ok(registered.clone() as _)),
    );
    let settings = Settings { storage: Some("in_memory".into()), ..Settings::default() };
    let mut collector = DataCollector::new(&settings, CollectorConfig::default()).unwrap();
    assert!(matches!(collector.new_time(0), Err(Error::Closed { .. })));
    collector.initialize().unwrap();
    assert!(collector.update("a", values(&[1], &[1.0]), None).is_err(), "before the first time");
    collector.new_time(0).unwrap();
    collector.update("a", values(&[1], &[1.0]), None).unwrap();
    collector.close().unwrap();
    assert_eq!(memory.keys().len(), 1);
    let settings = Settings { storage: Some("api".into()), ..Settings::default() };
    let error = DataCollector::new(&settings, CollectorConfig::default()).unwrap_err().to_string();
    assert!(error.contains("disk, file") && error.contains("\"api\""), "{error}");
}

fn start(settings: &Settings, config: serde_json::Value) -> Result<DataCollector> {
    let mut collector = DataCollector::new(settings, CollectorConfig::parse(&config)?)?;
    collector.initialize()?;
    collector.new_time(0)?;
    Ok(collector)
}

fn names(folder: &Path) -> Vec<String> {
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| name(entry.unwrap())).collect();
    names.sort();
    names
}

/// Goal: the documented layout and bytes; foreign files are neither removed nor mixed with by default.
#[test]
fn json_files_keep_to_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results");
    let settings = Settings { storage: Some("disk".into()), ..Settings::default() };
    let run = |config: serde_json::Value| -> Result<()> {
        let mut config = config;
        config["storage_dir"] = results.to_str().unwrap().into();
        let mut collector = start(&settings, config)?;
        collector.update("a.b", values(&[1, 2], &[0.1, 2.0]), None)?;
        collector.close()
    };
    run(json!({})).unwrap();
    let file = results.join("t0_0_a.b.json");
    let text = r#"{"a.b":{"g":{"id":[1,2],"x":[0.1,2.0]}}}"#;
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert!(matches!(run(json!({})), Err(Error::Exists { .. })));
    assert!(matches!(run(json!({"append": true})), Err(Error::Exists { .. })), "the same identity");
    fs::write(results.join("t7_0_old.json"), "{}").unwrap();
    fs::write(results.join(".t8_0_old.json.partial-0123456789abcdef"), "{").unwrap();
    run(json!({"overwrite": true})).unwrap();
    assert_eq!(names(&results), ["t0_0_a.b.json"]);
    for foreign in ["thesis.txt", "plant.json", "sub"] {
        fs::create_dir(results.join("sub")).ok();
        fs::write(results.join(foreign), "mine").ok();
        let refused = run(json!({"overwrite": true}));
        assert!(matches!(refused, Err(Error::NotOurs { .. })), "{foreign}: {refused:?}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    run(json!({"overwrite": true, "allow_foreign": true})).unwrap();
    assert_eq!(names(&results), ["plant.json", "sub", "t0_0_a.b.json", "thesis.txt"]);
}

/// Goal: a database is refused, gone on with or made anew, as asked, and says how its run ended.
#[test]
fn an_existing_database_is_not_mixed_with_by_default() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/run.db");
    let run = |time: i64, config: serde_json::Value| -> Result<()> {
        let mut config = config;
        config["database_path"] = path.to_str().unwrap().into();
        let mut collector = start(&Settings::default(), config)?;
        collector.new_time(time)?;
        collector.update("a", values(&[1], &[time as f64]), Some("m"))?;
        collector.close()
    };
    let seen = || {
        let db = SimulationDatabase::open_read_only(&path).unwrap();
        (db.timestamps("a").unwrap(), db.run().unwrap())
    };
    run(1, json!({})).unwrap();
    assert_eq!((seen().0, seen().1.status), (vec![1], Status::Complete));
    assert!(matches!(run(2, json!({})), Err(Error::Exists { .. })));
    run(2, json!({"append": true})).unwrap();
    assert_eq!(seen().0, [1, 2]);
    let repeated = run(2, json!({"append": true})).unwrap_err();
    assert!(matches!(repeated, Error::Exists { .. }), "{repeated}");
    assert_eq!((seen().1.status, seen().1.error), (Status::Failed, Some(repeated.to_string())));
    run(3, json!({"overwrite": true})).unwrap();
    assert_eq!((seen().0, seen().1.status, seen().1.error), (vec![3], Status::Complete, None));
    // Without a close nobody said that the run ended.
    let config = json!({"database_path": path, "overwrite": true});
    let mut collector = start(&Settings::default(), config).unwrap();
    collector.update("a", values(&[1], &[4.0]), None).unwrap();
    drop(collector);
    assert_eq!((seen().0, seen().1.status), (vec![0], Status::Running));
}

/// Goal: initial data are taken where they were asked for, and a wrong file is named before anything
/// is written.
#[test]
fn initial_data_are_embedded_as_asked() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let net = r#"{"name":"net","general":null,"data":{"g":{"id":[1],"x":[0.5]}}}"#;
    fs::write(data.join("net.json"), net).unwrap();
    fs::write(data.join("heights.tif"), [1, 2, 3]).unwrap();
    fs::write(data.join("other.json"), r#"{"name":"other","data":{}}"#).unwrap();
    let embedded = |settings: Settings, name: &str| {
        let path = folder.path().join(name);
        let mut collector = start(&settings, json!({"database_path": path}))?;
        collector.close()?;
        let db = SimulationDatabase::open_read_only(path)?;
        db.initial_datasets()?
            .into_iter()
            .map(|n| Ok((db.initial_dataset(&n)?.unwrap(), n)))
            .collect()
    };
    let text = |text: &str| InitialData::Json(text.as_bytes().to_vec());
    let named = Settings {
        data_dir: Some(data.clone()),
        datasets: ["heights", "net", "made_by_a_model"].map(String::from).to_vec(),
        ..Settings::default()
    };
    let found: Result<Vec<_>> = embedded(named, "named.db");
    let expected = vec![
        (InitialData::Binary(vec![1, 2, 3]), "heights".to_owned()),
        (text(net), "net".to_owned()),
    ];
    assert_eq!(found.unwrap(), expected);
    let all = Settings { data_dir: Some(data.clone()), ..Settings::default() };
    assert_eq!(embedded(all.clone(), "all.db").unwrap().len(), 2);
    assert_eq!(embedded(Settings::default(), "nothing.db").unwrap(), []);
    fs::write(data.join("broken.json"), "{\"name\":").unwrap();
    let error = embedded(all, "broken.db").unwrap_err();
    assert!(error.to_string().contains("broken.json"), "{error}");
    assert!(!folder.path().join("broken.db").exists());
    let nowhere = Settings { data_dir: Some(folder.path().join("nowhere")), ..Settings::default() };
    assert!(matches!(embedded(nowhere, "nowhere.db"), Err(Error::Io { .. })));
}

/// Counts up each 10 steps; fails or asks for the past when it is told to.
struct Counter {
    fail_at: i64,
    back_at: i64,
}

impl Model for Counter {
    fn update(
        &mut self,
        time: i64,
        world: &World,
    ) -> Result<(Option<DatasetUpdates>, Option<i64>)> {
        if time == self.fail_at {
            return Err(Error::invalid("model", "to work", "a failure"));
        }
        let now = world.state("net", "g").unwrap();
        let x = now.column("x").unwrap().attribute.data.to_vec::<f64>().unwrap()[0];
        let next = if time == self.back_at { time } else { time + 10 };
        Ok((Some(vec![("net".into(), values(&[1], &[x + 1e-9]))]), Some(next)))
    }
}

/// Goal: the documented snippet does real work: initial data, models, `simulation_results.db`.
#[test]
fn the_documented_simulation_runs() {
    let folder = tempfile::tempdir().unwrap();
    let net = r#"{"name":"net","data":{"g":{"id":[1],"x":[0.5]}}}"#;
    fs::write(folder.path().join("net.json"), net).unwrap();
    let run = |results: &str, counter: Counter| {
        let settings = Settings {
            storage: Some("sqlite".into()),
            storage_dir: Some(folder.path().join(results)),
            data_dir: Some(folder.path().to_owned()),
            end_time: Some(100),
            ..Settings::default()
        };
        let mut simulation = Simulation::new(settings);
        let config = json!({"gather_filter": "*", "aggregate_updates": false});
        simulation.add_model("data_collector", &config).unwrap();
        assert!(matches!(simulation.add_model("weather", &json!({})), Err(Error::NotFound { .. })));
        simulation.add_user_model("counter", Box::new(counter));
        let result = simulation.run();
        assert!(matches!(simulation.run(), Err(Error::Closed { .. })));
        let path = folder.path().join(results).join("simulation_results.db");
        (result, SimulationDatabase::open_read_only(path).unwrap())
    };
    let (result, db) = run("good", Counter { fail_at: -1, back_at: -1 });
    result.unwrap();
    assert_eq!(db.timestamps("net").unwrap(), (0..=100).step_by(10).collect::<Vec<_>>());
    let x_at = |db: &SimulationDatabase, time| {
        db.state_at("net", "g", time)
            .unwrap()
            .column("x")
            .unwrap()
            .attribute
            .data
            .to_vec::<f64>()
            .unwrap()
    };
    // Eleven steps that movici would not have seen.
    let expected = (0..11).fold(0.5, |x, _| x + 1e-9);
    assert_eq!((x_at(&db, -1), x_at(&db, 100)), (vec![0.5], vec![expected]));
    assert_eq!(db.run().unwrap().status, Status::Complete);
    assert_eq!(db.updates("net").unwrap()[0].origin.as_deref(), Some("counter"));

    let (result, db) = run("failed", Counter { fail_at: 50, back_at: -1 });
    let error = result.unwrap_err().to_string();
    assert_eq!((db.update_count(None).unwrap(), db.run().unwrap().error), (5, Some(error)));
    let (result, db) = run("past", Counter { fail_at: -1, back_at: 20 });
    assert!(result.unwrap_err().to_string().contains("a time after 20"));
    assert_eq!(db.run().unwrap().status, Status::Failed);
}
