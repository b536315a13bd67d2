//! What a file has of experiments, counted.

use std::collections::BTreeMap;

use serde::Serialize;

use super::database::ExperimentDatabase;
use super::retention::TableSize;
use crate::error::Result;

/// What a file has of experiments.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct ExperimentsSummary {
    /// The experiments, in the order in which they were made.
    pub experiments: Vec<ExperimentSummary>,
    /// How many simulations have a status.
    pub simulations: BTreeMap<String, u64>,
    /// The room that the records of each simulation take in each table.
    pub tables: Vec<TableSize>,
    /// Bytes of the file that are free.
    pub free_bytes: u64,
}

/// An experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ExperimentSummary {
    /// Its id.
    pub experiment_id: String,
    /// Its status.
    pub status: String,
}

impl ExperimentDatabase {
    /// What the file has of experiments; nothing in a file without any.
    ///
    /// # Errors
    /// What the disk says.
    pub fn describe(&self) -> Result<ExperimentsSummary> {
        let db = self.database();
        if !db.has_column("record_table", "definition")? {
            return Ok(ExperimentsSummary::default());
        }
        let experiments = db.sql("SELECT experiment_id, status FROM experiments ORDER BY rowid")?;
        let simulations = db.sql("SELECT status, count(*) FROM simulations GROUP BY 1")?;
        let free = "SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size";
        Ok(ExperimentsSummary {
            experiments: (experiments.rows.iter())
                .map(|row| ExperimentSummary {
                    experiment_id: row[0].to_text(),
                    status: row[1].to_text(),
                })
                .collect(),
            simulations: (simulations.rows.iter())
                .map(|row| (row[0].to_text(), row[1].to_count()))
                .collect(),
            tables: self.sizes()?,
            free_bytes: db.sql(free)?.rows[0][0].to_count(),
        })
    }
}
