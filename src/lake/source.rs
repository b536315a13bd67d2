//! The file that publishes: its tables, and the name it gave itself.

use crate::Handle;
use crate::error::Result;
use crate::kernel::{Database, table_exists};
use crate::simulation::{PublishedStates, StateTimes};
use crate::table::Published;

/// What a file, or a folder of ticks, publishes: of each store what it has. Of simulations also the states at these times.
pub(super) fn sources(handle: &Handle, states: Option<StateTimes>) -> Vec<Box<dyn Published>> {
    match handle {
        Handle::File(db) => {
            let mut all: Vec<Box<dyn Published>> = vec![
                Box::new(crate::series::PublishedSeries(db.clone())),
                Box::new(crate::experiment::PublishedRuns(db.clone())),
                Box::new(crate::simulation::PublishedUpdates(db.clone())),
                Box::new(crate::memory::PublishedMemories(db.clone())),
            ];
            if let Some(times) = states {
                all.push(Box::new(PublishedStates { db: db.clone(), times }));
            }
            all
        }
        Handle::Ticks(ticks) => vec![Box::new(crate::ticks::PublishedTicks::new(ticks))],
    }
}

/// The name that a file gave itself; `None` if it has never published. Nothing is changed.
pub(super) fn store_id(handle: &Handle) -> Result<Option<String>> {
    let read = |db: &Database| {
        db.read(|tx| {
            if !table_exists(tx, "publish_store")? {
                return Ok(None);
            }
            tx.query_one("SELECT store_id FROM publish_store", [], |row| Ok(row.get(0)?))
        })
    };
    match handle {
        Handle::File(db) => read(db),
        Handle::Ticks(_) => {
            let path = handle.path().join(crate::ticks::LEDGER);
            if !path.exists() {
                return Ok(None);
            }
            read(&Database::builder(path).open_read_only()?)
        }
    }
}
