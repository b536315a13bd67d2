//! What a clock that was set decides, as the guarantees page says it: the times in the files are moved, which is the same.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use siltstone::experiment::{ExperimentDatabase, Which};
use siltstone::memory::{Evict, Limit, MemoryStore, NewEpisode};
use siltstone::ticks::{RetentionPolicy, TickBatch, TickStore, TickStoreConfig, now_ns};

use crate::child;

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Goal: a process that cannot be seen is known by its heartbeat: after a minute without one its simulations crashed, and not
/// before; a heartbeat of the future, as after a clock set back, is a sign of life.
#[test]
fn a_hidden_process_lives_by_its_heartbeat() {
    let folder = tempfile::tempdir().unwrap();
    for (age, status) in [(45.0, "running"), (-3_600.0, "running"), (61.0, "crashed")] {
        let path = folder.path().join(format!("{age}.db"));
        let mut child = child::start("experiment_crash::logs_until_it_is_killed", &path, "sim");
        assert!(child.wait_for("made"));
        child.kill();
        let plain = rusqlite::Connection::open(&path).unwrap();
        let sql = "UPDATE experiment_process SET boot_id = 'another machine', heartbeat_ms = ?1";
        assert_eq!(plain.execute(sql, [((now() - age) * 1e3) as i64]).unwrap(), 1);
        drop(plain);
        let db = ExperimentDatabase::open(&path, "sweep").unwrap();
        let info = db.simulations(Which::Ids(&["sim"])).unwrap().remove(0);
        assert_eq!(info.status, status, "{age} s after its last heartbeat");
    }
}

/// Goal: an age is that of the clock; what comes without a time gets the clock's, and is the first to go where the clock was set
/// back and the earliest go, but not where the lowest priority goes.
#[test]
fn memories_age_by_the_clock() {
    let folder = tempfile::tempdir().unwrap();
    let store = MemoryStore::open(folder.path().join("agent.db")).unwrap();
    let episode = |age: f64| NewEpisode::new("x", 0.5, "maze").timestamp(now() - age);
    // The last one is of a clock that has been set back since.
    let ages = [100.0, 50.0, -3_600.0];
    store.store_episodes(ages.map(episode).into()).unwrap();
    let limit = Limit { max_age: Some(75.0), ..Limit::default() };
    let pruned = store.prune_to(Some("maze"), limit, false).unwrap();
    assert_eq!((pruned[0].expired, pruned[0].kept), (1, 2));
    store.store_episode(NewEpisode::new("x", 0.5, "maze")).unwrap();
    let newest = store.episodes_by_context("maze", 9, None).unwrap();
    let newest = newest.iter().map(|one| one.id).max().unwrap();
    for (evict, stays) in [(Evict::LowestPriority, true), (Evict::Oldest, false)] {
        if evict == Evict::LowestPriority {
            store.update_priorities(&[newest], &[9.0]).unwrap();
        }
        let left = store.stats().unwrap().episodes - 1;
        let limit = Limit { capacity: Some(left), evict, ..Limit::default() };
        store.prune_to(Some("maze"), limit, false).unwrap();
        let there = store.episodes_by_context("maze", 9, None).unwrap();
        assert_eq!(there.len() as u64, left);
        assert_eq!(there.iter().any(|one| one.id == newest), stays, "{evict:?}");
    }
}

fn ticks(base: &Path) -> TickStore {
    let config = TickStoreConfig {
        sqlite_base_path: base.join("db"),
        json_base_path: base.join("json"),
        ..TickStoreConfig::production("b")
    };
    TickStore::new(config).unwrap()
}

/// Goal: days of ticks go by the clock's day: a day that is to come, as after a clock set back, stays whatever the policy is.
#[test]
fn days_of_ticks_age_by_the_clock() {
    const DAY: i64 = 86_400_000_000_000;
    let folder = tempfile::tempdir().unwrap();
    let store = ticks(folder.path());
    let times = [-31, -29, 0, 3].map(|days| now_ns() + days * DAY);
    let price = [1.0; 4];
    store.store_ticks(&TickBatch::new("A", &times, &price, &price)).unwrap();
    let policy = |days| RetentionPolicy {
        delete_after_days: Some(days),
        dry_run: false,
        ..RetentionPolicy::default()
    };
    let left = || store.get_ticks_in_range("A", i64::MIN, i64::MAX).unwrap().len();
    assert_eq!(store.retain(&policy(30)).unwrap().len(), 1);
    assert_eq!(left(), 3);
    assert_eq!(store.retain(&policy(1)).unwrap().len(), 1);
    assert_eq!(left(), 2, "today's and those to come");
}
