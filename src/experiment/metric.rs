//! Numbers of a simulation by name: a column of its steps, a metric that it logged, a column of any table.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};

use super::names;
use super::read::each_stored;
use super::record_table::{self, RecordTable, row_table};
use super::schema::{Column, Storage};
use super::stored::{StoredRows, Wanted, blocks, last_values};
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

/// A metric by its name. A column of a table and what was logged by the same name are one metric: at a step that has both,
/// what was logged by the name counts.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// `table.column`, or a column of `simulation_steps`.
    column: Option<Part>,
    logged: Option<Part>,
}

/// A column that has values of a metric.
#[derive(Debug, Clone)]
struct Part {
    table: Arc<RecordTable>,
    /// The index of the values among the stored columns; those of a metric are behind its name.
    index: usize,
    /// The name by which they were logged; none of a column of numbers.
    name: Option<String>,
    /// What was read of all simulations at once.
    known: Option<Arc<Known>>,
}

/// What the file has of all simulations, by their ids: read at once if there are many to be asked for.
#[derive(Debug, Default)]
struct Known {
    summaries: HashMap<i64, Summary>,
    /// The numbers of the name.
    keys: HashMap<i64, i64>,
    /// The values at the last step, of those that have some and no blocks.
    last: HashMap<i64, Step>,
}

/// So many simulations are asked for one by one.
const FEW: usize = 16;

/// A step, the sum of its values, the first of them, and how many there are.
type Step = (i64, Sum, f64, usize);

fn value_of((_, sum, first, n): &Step) -> f64 {
    match n {
        1 => *first,
        _ => sum.mean().unwrap_or(f64::NAN),
    }
}

impl Source {
    /// The metric of a name.
    pub(super) fn find(tx: &ReadTx<'_>, name: &str) -> Result<Self> {
        let table = |name: &str| record_table::find(tx, name);
        let column = match name.split_once('.') {
            Some((first, column)) => table(first)?.and_then(|table| Part::column(table, column)),
            None => table("simulation_steps")?.and_then(|steps| Part::column(steps, name)),
        };
        let logged = table("simulation_metrics")?.map(|table| Part::logged(table, name));
        Ok(Source { column, logged })
    }

    /// The value of each of these simulations.
    pub(super) fn values<'a>(
        mut self,
        tx: &ReadTx<'_>,
        simulations: impl ExactSizeIterator<Item = &'a i64>,
        at: At,
    ) -> Result<Vec<Option<f64>>> {
        if simulations.len() > FEW {
            for part in [&mut self.column, &mut self.logged].into_iter().flatten() {
                part.known = Some(Arc::new(part.read_known(tx, at)?));
            }
        }
        simulations.map(|simulation| self.value(tx, *simulation, at)).collect()
    }

    /// Whether any simulation can have it without having logged it by its name.
    pub(super) fn is_column(&self) -> bool {
        self.column.is_some()
    }

    /// The columns that have values of a simulation.
    fn parts(&self, tx: &ReadTx<'_>, simulation: i64) -> Result<Vec<&Part>> {
        let mut parts = Vec::new();
        for part in [&self.column, &self.logged].into_iter().flatten() {
            if part.has_rows(tx, simulation)? {
                parts.push(part);
            }
        }
        Ok(parts)
    }

    /// The value of a simulation; `None` if it has none.
    pub(super) fn value(&self, tx: &ReadTx<'_>, simulation: i64, at: At) -> Result<Option<f64>> {
        match self.parts(tx, simulation)?.as_slice() {
            [] => Ok((at == At::Count && self.is_column()).then_some(0.0)),
            [part] => part.value(tx, simulation, at),
            _ => Ok(of_steps(&self.steps(tx, simulation)?, at)),
        }
    }

    /// Steps and values, a value a step: where there are many, their mean.
    pub(super) fn series(&self, tx: &ReadTx<'_>, simulation: i64) -> Result<Vec<(i64, f64)>> {
        let steps = self.steps(tx, simulation)?;
        Ok(steps.iter().map(|step| (step.0, value_of(step))).collect())
    }

    fn steps(&self, tx: &ReadTx<'_>, simulation: i64) -> Result<Vec<Step>> {
        let mut parts = self.parts(tx, simulation)?.into_iter();
        let Some(first) = parts.next() else { return Ok(Vec::new()) };
        let mut steps = first.steps(tx, simulation)?;
        for part in parts {
            let mut all: BTreeMap<i64, Step> =
                steps.into_iter().map(|step| (step.0, step)).collect();
            all.extend(part.steps(tx, simulation)?.into_iter().map(|step| (step.0, step)));
            steps = all.into_values().collect();
        }
        Ok(steps)
    }
}

/// Adds a value to a step.
fn add_to((_, sum, _, n): &mut Step, value: f64) {
    sum.add(value);
    *n += 1;
}

/// What steps are as a whole, or one of them is.
fn of_steps(steps: &[Step], at: At) -> Option<f64> {
    let sum = steps.iter().fold(Sum::NOTHING, |mut all, step| {
        all.merge(&step.1);
        all
    });
    match at {
        At::Final => steps.last().map(value_of),
        At::Step(at) => steps.iter().find(|(step, ..)| *step == at).map(value_of),
        of_all => whole(&sum, of_all),
    }
}

fn whole(sum: &Sum, at: At) -> Option<f64> {
    let some = |value: f64| (sum.count > 0.0).then_some(value);
    match at {
        At::Min => some(sum.least),
        At::Max => some(sum.greatest),
        At::Sum => some(sum.sum),
        At::Count => Some(sum.count),
        _ => sum.mean(),
    }
}

impl Part {
    /// A column of numbers.
    fn column(table: Arc<RecordTable>, name: &str) -> Option<Self> {
        let is_it = |column: &Column| column.name == name && column.kind.is_number();
        let index = table.schema.stored().position(|(_, column)| is_it(column))?;
        Some(Part { table, index, name: None, known: None })
    }

    /// What was logged by a name.
    fn logged(table: Arc<RecordTable>, name: &str) -> Self {
        Part { table, index: 0, name: Some(name.to_owned()), known: None }
    }

    fn read_known(&self, tx: &ReadTx<'_>, at: At) -> Result<Known> {
        let mut known =
            Known { summaries: Summary::load_all(tx, &self.table)?, ..Known::default() };
        match &self.name {
            Some(name) => known.keys = names::find_all(tx, name)?,
            None if at == At::Final => {
                last_values(tx, &self.table, self.index, |simulation, step, value| {
                    add_to(
                        known.last.entry(simulation).or_insert((step, Sum::NOTHING, value, 0)),
                        value,
                    );
                })?;
            }
            None => {}
        }
        Ok(known)
    }

    fn summary(&self, tx: &ReadTx<'_>, simulation: i64) -> Result<Cow<'_, Summary>> {
        match &self.known {
            Some(known) => Ok(match known.summaries.get(&simulation) {
                Some(summary) => Cow::Borrowed(summary),
                None => Cow::Owned(Summary::nothing(&self.table)),
            }),
            None => Summary::load(tx, simulation, &self.table).map(Cow::Owned),
        }
    }

    /// The number of the name; `None` if the simulation does not have it.
    fn key(&self, tx: &ReadTx<'_>, simulation: i64, name: &str) -> Result<Option<i64>> {
        match &self.known {
            Some(known) => Ok(known.keys.get(&simulation).copied()),
            None => names::find(tx, simulation, name),
        }
    }

    /// Whether there are rows that can have values of a simulation.
    fn has_rows(&self, tx: &ReadTx<'_>, simulation: i64) -> Result<bool> {
        if let Some(name) = &self.name
            && self.key(tx, simulation, name)?.is_none()
        {
            return Ok(false);
        }
        Ok(self.summary(tx, simulation)?.rows > 0)
    }

    fn value(&self, tx: &ReadTx<'_>, simulation: i64, at: At) -> Result<Option<f64>> {
        match at {
            At::Final => self.last(tx, simulation),
            At::Step(step) => self.at_step(tx, simulation, step),
            of_all => Ok(whole(&self.sum(tx, simulation)?, of_all)),
        }
    }

    fn last(&self, tx: &ReadTx<'_>, simulation: i64) -> Result<Option<f64>> {
        if let Some(step) = self.known.as_ref().and_then(|known| known.last.get(&simulation)) {
            return Ok(Some(value_of(step)));
        }
        let Some(name) = &self.name else {
            let Some(mut last) = self.summary(tx, simulation)?.last_step else { return Ok(None) };
            // A column may have no value at the last steps: back from there, further each time.
            let mut width = 1;
            loop {
                let first = last.saturating_sub(width - 1).max(0);
                if let Some(step) = self.steps_in(tx, simulation, first, last)?.last() {
                    return Ok(Some(value_of(step)));
                }
                if first == 0 {
                    return Ok(None);
                }
                (last, width) = (first - 1, width.saturating_mul(8));
            }
        };
        let Some(key) = self.key(tx, simulation, name)? else { return Ok(None) };
        if !blocks(tx, simulation, &self.table, 0, i64::MAX)?.is_empty() {
            return Ok(self.steps(tx, simulation)?.last().map(value_of));
        }
        let row_table = row_table(&self.table.schema.name);
        let sql = format!("SELECT max(step) FROM {row_table} WHERE simulation = ?1 AND row = ?2");
        let last = tx.query_one(&sql, (simulation, key), |row| Ok(row.get(0)?))?.flatten();
        last.map_or(Ok(None), |step| self.at_step(tx, simulation, step))
    }

    /// The value of a step, or the mean of many.
    fn at_step(&self, tx: &ReadTx<'_>, simulation: i64, step: i64) -> Result<Option<f64>> {
        Ok(self.steps_in(tx, simulation, step, step)?.first().map(value_of))
    }

    fn sum(&self, tx: &ReadTx<'_>, simulation: i64) -> Result<Sum> {
        if self.name.is_none()
            && let Some(sums) = &self.summary(tx, simulation)?.sums
        {
            return Ok(sums[self.index]);
        }
        let mut sum = Sum::NOTHING;
        self.each(tx, simulation, 0, i64::MAX, |_, value| sum.add(value))?;
        Ok(sum)
    }

    fn steps(&self, tx: &ReadTx<'_>, simulation: i64) -> Result<Vec<Step>> {
        self.steps_in(tx, simulation, 0, i64::MAX)
    }

    /// The steps that have values.
    fn steps_in(
        &self,
        tx: &ReadTx<'_>,
        simulation: i64,
        first: i64,
        last: i64,
    ) -> Result<Vec<Step>> {
        let mut steps: Vec<Step> = Vec::new();
        self.each(tx, simulation, first, last, |step, value| match steps.last_mut() {
            Some(last) if last.0 == step => add_to(last, value),
            _ => {
                let mut new = (step, Sum::NOTHING, value, 0);
                add_to(&mut new, value);
                steps.push(new);
            }
        })?;
        Ok(steps)
    }

    fn each(
        &self,
        tx: &ReadTx<'_>,
        simulation: i64,
        first: i64,
        last: i64,
        mut each: impl FnMut(i64, f64),
    ) -> Result<()> {
        let (table, index) = (&self.table, self.index);
        let key = match &self.name {
            None => None,
            Some(name) => match self.key(tx, simulation, name)? {
                Some(key) => Some(key),
                None => return Ok(()),
            },
        };
        let mut wanted = Wanted { first, last, key, ..Wanted::no_columns(table) };
        wanted.columns[index] = true;
        let is_int =
            table.schema.stored().nth(index).map(|(_, c)| c.kind.storage()) == Some(Storage::Int);
        each_stored(tx, simulation, table, &wanted, |rows: StoredRows| {
            let column = rows.columns[index].as_ref().expect("it was asked for");
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
