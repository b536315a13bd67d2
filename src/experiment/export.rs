//! Simulations as files of tables, in folders that other engines understand.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::database::ExperimentDatabase;
use super::read::Selection;
use super::record_table;
use super::runs::Which;
use super::summary::Summary;
use crate::error::{Error, Result};
use crate::kernel::{Progress, create_folder, sync_names_in};
use crate::table::{Format, WriteOptions, write_unsynced};

/// How simulations are exported.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// What the files are.
    pub format: Format,
    /// These tables; all that have records if there are none.
    pub tables: Vec<String>,
    /// Which records of them.
    pub selection: Selection,
    /// Whether files that are there may be replaced.
    pub overwrite: bool,
    /// As [`WriteOptions::escape_formulas`](crate::table::WriteOptions::escape_formulas).
    pub escape_formulas: bool,
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// The file.
    pub path: PathBuf,
    /// The table.
    pub table: String,
    /// The simulation.
    pub simulation_id: String,
    /// Its records.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
}

impl ExperimentDatabase {
    /// Writes the records of simulations into a folder, a file a table and simulation:
    /// `agent_states/experiment_id=exp_001/simulation_id=sim_000/part-0.parquet`. Engines that know such folders read a
    /// table of them with both ids as columns. In the names of folders, what is not a letter, a digit or one of `-_.` is
    /// percent-encoded. `tell` gets the files that are done, and their number.
    ///
    /// # Errors
    /// [`Error::Exists`] for a file that is there already; [`Error::NotFound`] for a table that is not. Each file is whole
    /// or not there. [`Error::DurabilityUnknown`]: all of them are there.
    pub fn export(
        &self,
        which: Which<'_>,
        folder: impl AsRef<Path>,
        options: &ExportOptions,
        progress: &mut Progress<'_>,
    ) -> Result<Vec<Exported>> {
        if !self.database().is_read_only() {
            self.flush_all_buffers()?;
        }
        let plan = self.read(|tx| {
            let tables = record_table::tables(tx)?;
            let unknown =
                options.tables.iter().find(|name| !tables.iter().any(|t| t.schema.name == **name));
            if let Some(name) = unknown {
                return Err(Error::NotFound {
                    what: "table",
                    name: name.clone(),
                    location: String::new(),
                });
            }
            let mut plan = Vec::new();
            for (id, name) in self.chosen(tx, which)? {
                let sql = "SELECT coalesce(experiment_id, '') FROM simulations WHERE id = ?1";
                let experiment: String =
                    tx.query_one(sql, [id], |row| Ok(row.get(0)?))?.unwrap_or_default();
                for table in &tables {
                    let own = &table.schema.name;
                    let wanted = options.tables.is_empty() || options.tables.contains(own);
                    if wanted && Summary::load(tx, id, table)?.rows > 0 {
                        plan.push((own.clone(), experiment.clone(), name.clone()));
                    }
                }
            }
            Ok(plan)
        })?;
        let (mut written, mut part_folders) = (Vec::new(), BTreeSet::new());
        for (table, experiment, name) in &plan {
            progress(written.len() as u64, plan.len() as u64)?;
            let part_folder = folder
                .as_ref()
                .join(table)
                .join(format!("experiment_id={}", encoded(experiment)))
                .join(format!("simulation_id={}", encoded(name)));
            create_folder(&part_folder, true)?;
            let path = part_folder.join(format!("part-0.{}", options.format.extension()));
            let records = self.records(name, table, &options.selection)?;
            let how = WriteOptions {
                format: options.format,
                overwrite: options.overwrite,
                escape_formulas: options.escape_formulas,
            };
            let done = write_unsynced(&path, records, &how, &mut |_, _| Ok(()))?;
            part_folders.insert(part_folder);
            written.push(Exported {
                path,
                table: table.clone(),
                simulation_id: name.clone(),
                rows: done.rows,
                bytes: done.bytes,
            });
        }
        sync_names_in(&part_folders)?;
        progress(plan.len() as u64, plan.len() as u64)?;
        Ok(written)
    }
}

/// An id as a part of a folder's name.
fn encoded(id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    id.bytes()
        .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}
