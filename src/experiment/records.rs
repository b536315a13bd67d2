//! Reads of the database.

use serde::Serialize;

use super::context::SimulationContext;
use super::database::{ExperimentDatabase, simulation};
use super::read::{Selection, each_batch};
use super::record_table;
use crate::array::{Array, Checksum, Codec, parse_shape};
use crate::error::{Error, Result};
use crate::kernel::{ReadTx, table_exists};
use crate::table::Batches;

/// The arrays of one name, dtype and shape that a simulation logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArraySummary {
    /// Their name.
    pub name: String,
    /// Their dtype, as numpy writes it.
    pub dtype: String,
    /// Their shape; none of a number.
    pub shape: Vec<usize>,
    /// How many there are: one a step.
    pub count: u64,
    /// The step of the first.
    pub first_step: i64,
    /// The step of the last.
    pub last_step: i64,
}

impl ExperimentDatabase {
    /// The ids of the simulations of this experiment, or of all if it was opened without one, in the order in which
    /// they were made.
    ///
    /// # Errors
    /// Those of the file.
    pub fn simulation_ids(&self) -> Result<Vec<String>> {
        let id = self.experiment_id();
        self.read(|tx| {
            let sql = "SELECT simulation_id FROM simulations WHERE ?1 IS NULL OR experiment_id = ?1 ORDER BY id";
            tx.query(sql, [id], |row| Ok(row.get(0)?))
        })
    }

    /// The records of a simulation in one table, those that wait here among them.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a simulation, table or column that is not there; [`Error::Corrupt`] for a block that is
    /// damaged.
    pub fn records(
        &self,
        simulation_id: &str,
        table: &str,
        selection: &Selection,
    ) -> Result<Batches> {
        self.handle.core.flush_simulation(simulation_id)?;
        self.database().read(|tx| {
            let id = simulation(tx, simulation_id)?;
            let not_found = || Error::NotFound {
                what: "table",
                name: table.to_owned(),
                location: String::new(),
            };
            let table = record_table::find(tx, table)?.ok_or_else(not_found)?;
            let mut batches = Vec::new();
            let schema = each_batch(tx, id, &table, selection, |batch| {
                batches.push(batch);
                Ok(())
            })?;
            Ok(Batches::from_batches(schema, batches))
        })
    }

    /// An array that a simulation logged; without a step, the last one of the name.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none; [`Error::Corrupt`] if its checksum is not that of what is stored.
    pub fn array(
        &self,
        simulation_id: &str,
        name: &str,
        step: Option<i64>,
    ) -> Result<(i64, Array)> {
        self.database().read(|tx| {
            let id = simulation(tx, simulation_id)?;
            let sql = "SELECT step, dtype, shape, codec, checksum, data FROM simulation_array \
                WHERE simulation = ?1 AND name = ?2 AND (?3 IS NULL OR step = ?3) ORDER BY step DESC LIMIT 1";
            let found = tx.query_one(sql, (id, name, step), |row| Ok((row.get(0)?, stored_array(row)?)))?;
            found.ok_or_else(|| Error::NotFound {
                what: "array",
                name: name.to_owned(),
                location: format!("simulation {simulation_id:?}"),
            })
        })
    }

    /// The arrays that a simulation logged, by name.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such simulation.
    pub fn arrays(&self, simulation_id: &str) -> Result<Vec<ArraySummary>> {
        self.handle.core.flush_simulation(simulation_id)?;
        self.database().read(|tx| {
            let id = simulation(tx, simulation_id)?;
            let sql = "SELECT name, dtype, shape, count(*), min(step), max(step) FROM simulation_array \
                WHERE simulation = ?1 GROUP BY name, dtype, shape ORDER BY name, min(step)";
            tx.query(sql, [id], |row| {
                Ok(ArraySummary {
                    name: row.get(0)?,
                    dtype: row.get(1)?,
                    shape: parse_shape(&row.get::<_, String>(2)?)?,
                    count: row.get::<_, i64>(3)? as u64,
                    first_step: row.get(4)?,
                    last_step: row.get(5)?,
                })
            })
        })
    }

    /// Reads, or gives nothing of a file that has no experiments yet.
    pub(super) fn read<T: Default>(
        &self,
        work: impl FnOnce(&ReadTx<'_>) -> Result<T>,
    ) -> Result<T> {
        self.database()
            .read(|tx| if table_exists(tx, "record_table")? { work(tx) } else { Ok(T::default()) })
    }
}

/// The array of a row: step, dtype, shape, codec, checksum, data.
pub(super) fn stored_array(row: &rusqlite::Row<'_>) -> Result<Array> {
    let (dtype, shape): (String, String) = (row.get(1)?, row.get(2)?);
    let (codec, checksum): (Option<String>, Vec<u8>) = (row.get(3)?, row.get(4)?);
    let data: Vec<u8> = row.get(5)?;
    let array = Codec::decode(codec.as_deref(), dtype.parse()?, &parse_shape(&shape)?, &data)?;
    if Checksum::of(&array).to_bytes()[..] != checksum[..] {
        return Err(Error::Corrupt {
            location: String::new(),
            what: "an array of a simulation".into(),
            why: "the checksum differs from the one it was stored with".into(),
        });
    }
    Ok(array)
}

impl SimulationContext {
    /// The records of this simulation in one table.
    ///
    /// # Errors
    /// As [`ExperimentDatabase::records`].
    pub fn read(&self, table: &str, selection: &Selection) -> Result<Batches> {
        self.database().records(self.simulation_id(), table, selection)
    }
}
