//! Records of users' own structs.

use std::sync::Arc;

use serde::Serialize;

use super::cell::Cell;
use super::context::{SimulationContext, by_column};
use super::id::check_step;
use crate::error::{Error, Result};
use crate::kernel::Node;

impl SimulationContext {
    /// Logs one record: a struct whose fields are columns. Without a step, the record has it as a field of the step's
    /// name: `step`, or what the documented table calls it.
    ///
    /// # Errors
    /// As [`log`](Self::log); [`Error::Invalid`] for a field that is no number, bool, text or nothing, and for a record
    /// without a step.
    ///
    /// # Example
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # use siltstone::experiment::{ExperimentDatabase, RecordSchema, Selection};
    /// #[derive(serde::Serialize)]
    /// struct Reading { x: f64, celsius: Option<f32> }
    ///
    /// let db = ExperimentDatabase::open(folder.path().join("heat.db"), "heat")?;
    /// let sim = db.create_simulation_context("sim_0", Default::default())?;
    /// sim.define_table(&RecordSchema::new("temperature", &[("x", "float64"), ("celsius", "float32")])?)?;
    /// sim.log_record("temperature", Some(0), &Reading { x: 0.5, celsius: Some(21.25) })?;
    /// assert_eq!(sim.read("temperature", &Selection::all())?.collect_batches()?[0].num_rows(), 1);
    /// # Ok::<(), siltstone::Error>(())
    /// ```
    pub fn log_record(
        &self,
        table: &str,
        step: Option<i64>,
        record: &impl Serialize,
    ) -> Result<()> {
        self.log_records(table, step, std::slice::from_ref(record))
    }

    /// Logs many records of one table, as [`log_record`](Self::log_record) each, all or none.
    ///
    /// # Errors
    /// As [`log_record`](Self::log_record), for the first record that does not fit.
    pub fn log_records<R: Serialize>(
        &self,
        table: &str,
        step: Option<i64>,
        records: &[R],
    ) -> Result<()> {
        let rows: Vec<_> = records.iter().map(|of| fields(table, of)).collect::<Result<_>>()?;
        self.inner.push(|state| {
            let index = state.table_or_error(table)?;
            let of = Arc::clone(&state.tables[index].table);
            let own_step = of.schema.step.as_deref();
            for fields in &rows {
                // A table without steps has one row.
                let mut at = step.or(own_step.is_none().then_some(0));
                let mut values = Vec::with_capacity(fields.len());
                for (name, node) in fields {
                    let cell = cell(table, name, node)?;
                    match cell {
                        Cell::Int(n)
                            if at.is_none() && (Some(&**name) == own_step || name == "step") =>
                        {
                            at = Some(n);
                        }
                        _ => values.push((name.as_str(), cell)),
                    }
                }
                let at = at.ok_or_else(|| {
                    let name = own_step.unwrap_or("step");
                    let what = format!("a record of {table}");
                    Error::invalid(what, format!("a step, or an integer field {name:?}"), "neither")
                })?;
                check_step(at)?;
                state.push(index, at, &by_column(&of, &values)?)?;
            }
            Ok(())
        })
    }
}

/// The fields of a record and their values.
fn fields(table: &str, record: &impl Serialize) -> Result<Vec<(String, Node)>> {
    let what = format!("a record of {table}");
    let entries = match Node::of(&what, record)? {
        Node::Map(entries) => entries,
        other => return Err(Error::invalid(what, "a struct", other.kind())),
    };
    let named = |(key, value)| match key {
        Node::Text(name) => Ok((name, value)),
        other => Err(Error::invalid(&*what, "fields with names", other.kind())),
    };
    entries.into_iter().map(named).collect()
}

fn cell<'a>(table: &str, name: &str, node: &'a Node) -> Result<Cell<'a>> {
    Ok(match node {
        Node::Nothing => Cell::Null,
        Node::Bool(yes) => Cell::Bool(*yes),
        Node::Int(n) => Cell::Int(*n),
        Node::Single(x) => Cell::Float((*x).into()),
        Node::Float(x) => Cell::Float(*x),
        Node::Text(text) => Cell::Text(text),
        other => {
            let what = format!("{name} of {table}");
            return Err(Error::invalid_type(
                what,
                "a number, a bool, a text or nothing",
                other.kind(),
            ));
        }
    })
}
