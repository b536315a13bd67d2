//! Numbers of a simulation by name: a column of its steps, a metric that it logged, a column of any table.

use std::sync::Arc;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};

use super::names;
use super::read::each_stored;
use super::record_table::{self, RecordTable, hot};
use super::schema::Storage;
use super::stored::{StoredRows, Wanted, blocks};
use super::summary::{Sum, Summary};
use crate::error::{Error, Result};
use crate::kernel::ReadTx;

/// At what a metric of a simulation is looked at. NaN counts in none but a single value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum At {
    /// At the last step; where a step has many values, their mean.
    Final,
    /// At this step; where it has many values, their mean.
    Step(i64),
    /// The mean of all values.
    Mean,
    /// The least one.
    Min,
    /// The greatest one.
    Max,
    /// Their sum.
    Sum,
    /// How many there are.
    Count,
}

impl std::str::FromStr for At {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "final" | "last" => At::Final,
            "mean" => At::Mean,
            "min" => At::Min,
            "max" => At::Max,
            "sum" => At::Sum,
            "count" => At::Count,
            step => match step.parse() {
                Ok(step) if step >= 0 => At::Step(step),
                _ => {
                    let expected = "final, mean, min, max, sum, count, or a step";
                    return Err(Error::invalid("at", expected, format!("{text:?}")));
                }
            },
        })
    }
}

/// Where the values of a name are.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// A stored column of a table.
    Column(Arc<RecordTable>, usize),
    /// A metric that was logged by this name.
    Metric(Arc<RecordTable>, String),
}

impl Source {
    /// Finds `table.column`, a column of `simulation_steps`, or takes it for the name of a metric.
    pub(super) fn find(tx: &ReadTx<'_>, name: &str) -> Result<Self> {
        let table = |name: &str| record_table::find(tx, name);
        if let Some((first, column)) = name.split_once('.')
            && let Some(table) = table(first)?
        {
            return Source::column(table, column);
        }
        let steps = table("simulation_steps")?;
        if let Some(steps) = steps
            && steps.schema.position(name).is_some()
        {
            return Source::column(steps, name);
        }
        let no_metrics =
            || Error::NotFound { what: "metric", name: name.into(), place: String::new() };
        Ok(Source::Metric(table("simulation_metrics")?.ok_or_else(no_metrics)?, name.to_owned()))
    }

    fn column(table: Arc<RecordTable>, name: &str) -> Result<Self> {
        let found = table.schema.stored().position(|(_, column)| column.name == name);
        let is_number = |place: &usize| {
            table.schema.stored().nth(*place).is_some_and(|(_, column)| column.kind.is_number())
        };
        match found.filter(is_number) {
            Some(place) => Ok(Source::Column(table, place)),
            None => {
                let numbers = table.schema.stored().filter(|(_, column)| column.kind.is_number());
                let names: Vec<&str> = numbers.map(|(_, column)| column.name.as_str()).collect();
                let what = format!("a metric of {}", table.schema.name);
                Err(Error::invalid(what, names.join(", "), format!("{name:?}")))
            }
        }
    }

    fn table(&self) -> &Arc<RecordTable> {
        match self {
            Source::Column(table, _) | Source::Metric(table, _) => table,
        }
    }

    /// The place of the values among the stored columns; that of a metric is the one behind its name.
    fn place(&self) -> usize {
        match self {
            Source::Column(_, place) => *place,
            Source::Metric(..) => 0,
        }
    }

    /// The value of a simulation; `None` if it has none.
    pub(super) fn value(&self, tx: &ReadTx<'_>, simulation: i64, at: At) -> Result<Option<f64>> {
        if let Source::Metric(_, name) = self
            && names::find(tx, simulation, name)?.is_none()
        {
            return Ok(None);
        }
        let whole = |value: fn(&Sum) -> Option<f64>| Ok(value(&self.sum(tx, simulation)?));
        match at {
            At::Final => self.last(tx, simulation),
            At::Step(step) => self.at_step(tx, simulation, step),
            At::Mean => whole(Sum::mean),
            At::Min => whole(|sum| (sum.count > 0.0).then_some(sum.least)),
            At::Max => whole(|sum| (sum.count > 0.0).then_some(sum.greatest)),
            At::Sum => whole(|sum| (sum.count > 0.0).then_some(sum.sum)),
            At::Count => whole(|sum| Some(sum.count)),
        }
    }

    fn last(&self, tx: &ReadTx<'_>, simulation: i64) -> Result<Option<f64>> {
        match self {
            Source::Column(table, _) => match Summary::load(tx, simulation, table)?.last_step {
                Some(step) => self.at_step(tx, simulation, step),
                None => Ok(None),
            },
            Source::Metric(table, name) => {
                let Some(key) = names::find(tx, simulation, name)? else { return Ok(None) };
                if !blocks(tx, simulation, table, 0, i64::MAX)?.is_empty() {
                    return Ok(self.series(tx, simulation)?.last().map(|(_, value)| *value));
                }
                let hot = hot(&table.schema.name);
                let sql = format!("SELECT max(step) FROM {hot} WHERE simulation = ?1 AND row = ?2");
                let last = tx.query_one(&sql, (simulation, key), |row| Ok(row.get(0)?))?.flatten();
                last.map_or(Ok(None), |step| self.at_step(tx, simulation, step))
            }
        }
    }

    /// The value of a step, or the mean of many.
    fn at_step(&self, tx: &ReadTx<'_>, simulation: i64, step: i64) -> Result<Option<f64>> {
        let mut values = Vec::new();
        self.each(tx, simulation, step, step, |_, value| values.push(value))?;
        match values.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(*one)),
            many => {
                let mut sum = Sum::NOTHING;
                many.iter().for_each(|value| sum.add(*value));
                Ok(sum.mean())
            }
        }
    }

    fn sum(&self, tx: &ReadTx<'_>, simulation: i64) -> Result<Sum> {
        if let Source::Column(table, place) = self
            && let Some(sums) = Summary::load(tx, simulation, table)?.sums
        {
            return Ok(sums[*place]);
        }
        let mut sum = Sum::NOTHING;
        self.each(tx, simulation, 0, i64::MAX, |_, value| sum.add(value))?;
        Ok(sum)
    }

    /// Steps and values, a value a step: where there are many, their mean.
    pub(super) fn series(&self, tx: &ReadTx<'_>, simulation: i64) -> Result<Vec<(i64, f64)>> {
        let mut series: Vec<(i64, Sum, f64)> = Vec::new();
        self.each(tx, simulation, 0, i64::MAX, |step, value| match series.last_mut() {
            Some((last, sum, _)) if *last == step => sum.add(value),
            _ => {
                let mut sum = Sum::NOTHING;
                sum.add(value);
                series.push((step, sum, value));
            }
        })?;
        let value = |(step, sum, one): (i64, Sum, f64)| match sum.count {
            count if count > 1.0 => (step, sum.sum / count),
            _ => (step, sum.mean().unwrap_or(one)),
        };
        Ok(series.into_iter().map(value).collect())
    }

    fn each(
        &self,
        tx: &ReadTx<'_>,
        simulation: i64,
        first: i64,
        last: i64,
        mut each: impl FnMut(i64, f64),
    ) -> Result<()> {
        let (table, place) = (self.table(), self.place());
        let key = match self {
            Source::Column(..) => None,
            Source::Metric(_, name) => match names::find(tx, simulation, name)? {
                Some(key) => Some(key),
                None => return Ok(()),
            },
        };
        let mut wanted = Wanted { first, last, key, ..Wanted::places(table) };
        wanted.columns[place] = true;
        let is_int =
            table.schema.stored().nth(place).map(|(_, c)| c.kind.storage()) == Some(Storage::Int);
        each_stored(tx, simulation, table, &wanted, |rows: StoredRows| {
            let column = rows.columns[place].as_ref().expect("it was asked for");
            for i in (0..rows.len()).filter(|i| column.is_valid(*i)) {
                let value = match is_int {
                    true => column.as_primitive::<Int64Type>().value(i) as f64,
                    false => column.as_primitive::<Float64Type>().value(i),
                };
                each(rows.steps.value(i), value);
            }
            Ok(())
        })
    }
}
