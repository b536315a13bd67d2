//! The simulations of a file: which there are, and which of them are meant.

use std::collections::HashSet;

use rusqlite::Row;
use serde::Serialize;
use serde_json::{Map, Value};

use super::database::{ExperimentDatabase, simulation};
use super::filter::filtered;
use super::process;
use crate::error::{Error, Result};
use crate::kernel::ReadTx;
use crate::kernel::json::{plain_object, stored_object};

/// Simulations of a file.
#[derive(Debug, Clone, Copy, Default)]
pub enum Which<'a> {
    /// All of the experiment, or of the file if it was opened without one.
    #[default]
    All,
    /// These, in this order.
    Ids(&'a [&'a str]),
    /// Those for which SQL's `WHERE` over the columns of `simulations`, `params.<name>` and `results.<name>` holds. Names are
    /// exact; `params.a.b` is a value in an object, and what is no word stands in quotes: `params."learning-rate"`. A name
    /// that no simulation of the file has is an error.
    Filter(&'a str),
}

/// What is known of a simulation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SimulationInfo {
    /// Its id.
    pub simulation_id: String,
    /// The experiment that it belongs to.
    pub experiment_id: Option<String>,
    /// `running`, `completed`, `failed`, `crashed`, `stopped`, or what it was given.
    pub status: String,
    /// When it began, a text in UTC.
    pub start_time: Option<String>,
    /// When it ended.
    pub end_time: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// Its parameters. A number that JSON does not have is an object, `{"$silt": "float", "value": "nan"}`, as in the file;
    /// [`plain`](Self::plain) makes texts of them.
    pub parameters: Map<String, Value>,
    /// What came of it.
    pub results_summary: Map<String, Value>,
    /// What it was: command, machine, code.
    pub provenance: Map<String, Value>,
    /// The last step of which all is in the file.
    pub last_step: Option<i64>,
    /// Its records in the file.
    pub rows: u64,
}

impl SimulationInfo {
    /// The same for readers of plain JSON: where a number is none of JSON, its text stands, `"NaN"`, `"Infinity"`, `"-Infinity"`
    /// or the digits of an integer beyond 64 bits. A time is `2026-01-19T12:00:00Z`.
    pub fn plain(self) -> Self {
        SimulationInfo {
            start_time: self.start_time.map(|time| iso(&time)),
            end_time: self.end_time.map(|time| iso(&time)),
            parameters: plain_object(self.parameters),
            results_summary: plain_object(self.results_summary),
            provenance: plain_object(self.provenance),
            ..self
        }
    }
}

/// A time of the documented tables, a text in UTC without a zone, with its zone; any other text as it is.
fn iso(text: &str) -> String {
    let is_time = text.len() >= 19
        && text.char_indices().all(|(at, c)| match at {
            4 | 7 => c == '-',
            10 => c == ' ' || c == 'T',
            13 | 16 => c == ':',
            19 => c == '.',
            _ => c.is_ascii_digit(),
        });
    if !is_time {
        return text.to_owned();
    }
    let (whole, fraction) = text.split_at(19);
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    format!("{}{fraction}Z", whole.replace(' ', "T"))
}

impl ExperimentDatabase {
    /// The simulations that are meant, in the order in which they were made.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an id that is not there; [`Error::Invalid`] for a filter that SQLite does not take, or with a
    /// name that is not there.
    ///
    /// # Example
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # use siltstone::experiment::{ExperimentDatabase, SimulationOptions, Which};
    /// # let db = ExperimentDatabase::open(folder.path().join("sweep.db"), "exp_001")?;
    /// for rate in [0.1, 0.5] {
    ///     let options = SimulationOptions::default().parameters(&serde_json::json!({"rate": rate}))?;
    ///     db.create_simulation_context(&format!("sim_{rate}"), options)?.complete()?;
    /// }
    /// let found = db.simulations(Which::Filter("params.rate > 0.2 AND status = 'completed'"))?;
    /// assert_eq!(found[0].simulation_id, "sim_0.5");
    /// # Ok::<(), siltstone::Error>(())
    /// ```
    pub fn simulations(&self, which: Which<'_>) -> Result<Vec<SimulationInfo>> {
        Ok(self.infos(which, "s.provenance", usize::MAX)?.1)
    }

    /// As [`simulations`](Self::simulations): how many there are, and the first `most` of them, of which
    /// [`SimulationInfo::provenance`] stays empty. It is the most of each, and a list of ten thousand takes half as long without it.
    ///
    /// # Errors
    /// As [`simulations`](Self::simulations).
    pub fn simulations_brief(
        &self,
        which: Which<'_>,
        most: usize,
    ) -> Result<(usize, Vec<SimulationInfo>)> {
        self.infos(which, "NULL", most)
    }

    fn infos(
        &self,
        which: Which<'_>,
        provenance: &str,
        most: usize,
    ) -> Result<(usize, Vec<SimulationInfo>)> {
        self.read(|tx| {
            // Whoever can write marks them; who only reads sees it too.
            let dead: HashSet<i64> = process::dead(tx)?.into_iter().map(|(id, ..)| id).collect();
            let mut ids: Vec<i64> =
                self.chosen(tx, which)?.into_iter().map(|(id, _)| id).collect();
            let count = ids.len();
            ids.truncate(most);
            // One statement for all of them, in the order of the list.
            let sql = format!(
                "SELECT s.simulation_id, s.experiment_id, s.status, s.start_time, s.end_time, s.error, \
                 s.parameters, s.results_summary, {provenance}, s.id, ({}), \
                 (SELECT sum(rows) FROM record_summary WHERE simulation = s.id) \
                 FROM json_each(?1) j CROSS JOIN simulations s ON s.id = j.value ORDER BY j.key",
                process::safe_step_sql("s.id")
            );
            let found = tx.query(&sql, [serde_json::json!(ids).to_string()], |row| {
                let mut info = info(row)?;
                if dead.contains(&row.get(9)?) {
                    info.status = "crashed".into();
                }
                Ok(info)
            })?;
            Ok((count, found))
        })
    }

    /// The numbers and names of the simulations that are meant.
    pub(super) fn chosen(&self, tx: &ReadTx<'_>, which: Which<'_>) -> Result<Vec<(i64, String)>> {
        let experiment = self.experiment_id();
        match which {
            Which::All => {
                let sql = "SELECT id, simulation_id FROM simulations \
                    WHERE ?1 IS NULL OR experiment_id = ?1 ORDER BY id";
                tx.query(sql, [experiment], |row| Ok((row.get(0)?, row.get(1)?)))
            }
            Which::Ids(names) => {
                names.iter().map(|name| Ok((simulation(tx, name)?, (*name).to_owned()))).collect()
            }
            Which::Filter(filter) => filtered(tx, experiment, filter),
        }
    }
}

fn info(row: &Row<'_>) -> Result<SimulationInfo> {
    let object = |i| {
        let text = row.get_ref(i)?.as_str_or_null();
        Ok::<_, Error>(stored_object(text.map_err(rusqlite::Error::from)?))
    };
    Ok(SimulationInfo {
        simulation_id: row.get(0)?,
        experiment_id: row.get(1)?,
        status: row.get(2)?,
        start_time: row.get(3)?,
        end_time: row.get(4)?,
        error: row.get(5)?,
        parameters: object(6)?,
        results_summary: object(7)?,
        provenance: object(8)?,
        last_step: row.get(10)?,
        rows: row.get::<_, Option<i64>>(11)?.unwrap_or(0).max(0) as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::iso;

    /// Goal: a time has its zone and no zeros, and a text that is no such time stays.
    #[test]
    fn times_have_a_zone() {
        for (text, wanted) in [
            ("2026-01-19 12:00:00.250000", "2026-01-19T12:00:00.25Z"),
            ("2026-01-19 12:00:00.000000", "2026-01-19T12:00:00Z"),
            ("2026-01-19T12:00:00", "2026-01-19T12:00:00Z"),
            ("2026-01-19T12:00:00+01:00", "2026-01-19T12:00:00+01:00"),
            ("2026-01-19", "2026-01-19"),
            ("yesterday, at noon...", "yesterday, at noon..."),
        ] {
            assert_eq!(iso(text), wanted);
        }
    }
}
