//! Events of `tracing` in the file of a run.

use std::fmt;

use siltstone::experiment::{ExperimentDatabase, RunEvents, RunLayer, SimulationContext};
use tracing::subscriber::with_default;
use tracing_subscriber::layer::SubscriberExt;

use crate::trackers::{rows, text};

struct World {
    folder: tempfile::TempDir,
    run: SimulationContext,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = ExperimentDatabase::open(folder.path().join("run.db"), "events").unwrap();
        let run = db.create_simulation_context("run", Default::default()).unwrap();
        World { folder, run }
    }

    fn within(&self, work: impl FnOnce(&RunEvents)) -> RunEvents {
        let layer = RunLayer::new(&self.run).unwrap();
        let events = layer.events();
        with_default(tracing_subscriber::registry().with(layer), || work(&events));
        events
    }

    /// The events that the file has.
    fn stored(&self) -> Vec<String> {
        let sql = "SELECT step, level, logger, message FROM run_events";
        let rows = rows(&self.folder.path().join("run.db"), sql);
        rows.iter().map(|row| row.iter().map(text).collect::<Vec<_>>().join("|")).collect()
    }
}

/// A value that fails when it is shown.
struct Panics;

impl fmt::Debug for Panics {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("no way to show it")
    }
}

/// Goal: an event has its step, level, target, message and fields, in the table that Python's logging has.
#[test]
fn events_are_rows_of_the_run() {
    let world = World::new();
    let events = world.within(|events| {
        tracing::info!(target: "solver", "begun");
        events.set_step(7);
        tracing::warn!(target: "solver", residual = 0.5, name = "a b", ok = true, "did {} converge", "not");
        tracing::error!(target: "io", step = 9, path = %"x.csv");
        tracing::trace!(target: "io", step = -1, "no step");
        tracing::info!(target: "log", { log.target = "app::db", log.line = 5, rows = 3 }, "of log");
        tracing::info!(target: "log", { log.target = "siltstone::kernel" }, "its own");
        tracing::info!(target: "app", { log.target = "x" }, "a field");
        tracing::error!(target: "siltstone::kernel", "its own");
    });
    world.run.complete().unwrap();
    assert_eq!(
        world.stored(),
        [
            "0|INFO|solver|begun",
            "7|WARNING|solver|did not converge residual=0.5 name=\"a b\" ok=true",
            "7|TRACE|io|no step step=-1",
            "7|INFO|app::db|of log rows=3",
            "7|INFO|app|a field log.target=\"x\"",
            "9|ERROR|io|path=x.csv",
        ]
    );
    assert_eq!(events.dropped(), 0);
}

/// Goal: nothing that an event does ends the program or waits for itself; what is not stored is counted.
#[test]
fn a_layer_never_fails_its_program() {
    let world = World::new();
    let events = world.within(|events| {
        tracing::info!(target: "a", value = ?Panics, "first");
        assert_eq!(events.dropped(), 1);
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let dispatch = dispatch.clone();
                scope.spawn(move || {
                    tracing::dispatcher::with_default(&dispatch, || {
                        (0..250).for_each(|i| tracing::debug!(target: "t", thread, i));
                    });
                });
            }
        });
        world.run.complete().unwrap();
        world.run.database().close().unwrap();
        tracing::info!(target: "a", "too late");
    });
    assert_eq!(events.dropped(), 2);
    assert_eq!(world.stored().len(), 1_000);
}
