//! Siltstone from Rust: one call an update, tickets, batches.

use std::path::Path;

use siltstone::Array;
use siltstone::simulation::{Attribute, Group, SimulationDatabase, Update};

use crate::baseline::{Baseline, Row};

/// How updates are handed over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Siltstone {
    Each,
    Tickets,
    Batches,
}

const NAMES: [&str; 8] = ["a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7"];

pub(crate) fn update(row: &Row) -> Update {
    let mut attributes = Vec::with_capacity(1 + row.attributes.len());
    attributes.push(("id".to_owned(), Attribute::new(Array::from_slice(&row.ids))));
    for (name, values) in NAMES.iter().zip(&row.attributes) {
        attributes.push(((*name).to_owned(), Attribute::new(Array::from_slice(values))));
    }
    let data = vec![Group { name: "entities".into(), attributes }];
    Update { timestamp: row.timestamp, dataset: "dataset".into(), data, ..Update::default() }
}

impl Baseline for Siltstone {
    fn name(&self) -> &'static str {
        match self {
            Siltstone::Each => "siltstone, a call an update (os)",
            Siltstone::Tickets => "siltstone, tickets (os)",
            Siltstone::Batches => "siltstone, batches of 500 (os)",
        }
    }

    fn write(&self, path: &Path, rows: &[Row]) {
        let db = SimulationDatabase::open(path).expect("a new file opens");
        match self {
            Siltstone::Each => {
                for row in rows {
                    db.store(update(row)).expect("an update is stored");
                }
            }
            Siltstone::Tickets => {
                let tickets: Vec<_> = rows
                    .iter()
                    .map(|row| db.submit(update(row)).expect("an update is taken"))
                    .collect();
                for ticket in tickets {
                    ticket.wait().expect("an update is stored");
                }
            }
            Siltstone::Batches => {
                for rows in rows.chunks(500) {
                    db.store_updates(rows.iter().map(update).collect()).expect("a batch is stored");
                }
            }
        }
        db.flush().expect("the file takes what is left");
    }

    fn read(&self, path: &Path) -> Option<Vec<Row>> {
        let db = SimulationDatabase::open_read_only(path).expect("the file opens");
        let mut rows = Vec::new();
        let each = |update: Update| {
            let mut attributes =
                update.data.into_iter().next().expect("one group").attributes.into_iter();
            let (_, ids) = attributes.next().expect("ids come first");
            rows.push(Row {
                timestamp: update.timestamp,
                ids: ids.data.to_vec().expect("ids are i64"),
                attributes: attributes
                    .map(|(_, a)| a.data.to_vec().expect("values are f64"))
                    .collect(),
            });
            Ok(())
        };
        db.for_each_update("dataset", i64::MIN..=i64::MAX, each).expect("the file reads");
        Some(rows)
    }
}
