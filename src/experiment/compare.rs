//! Simulations beside each other.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, UInt64Array,
};
use arrow_schema::{DataType, Field, Schema};
use serde_json::{Map, Value};

use super::database::{ExperimentDatabase, simulation};
use super::metric::{At, Source};
use super::record_table;
use super::runs::Which;
use crate::error::{Error, Result};
use crate::kernel::json::{self, stored_object};
use crate::kernel::{ReadTx, near};
use crate::table::Batches;

/// A name, and its values as a column.
type Named = (String, ArrayRef);

impl ExperimentDatabase {
    /// A row a simulation, a column a metric: a column of `simulation_steps`, the name of a logged metric, or
    /// `table.column`. A metric that was logged by the name of a column is one with it: at a step that has both, what was
    /// logged counts. A simulation that has no such value has nothing there. Values are floats: an integer beyond 2^53 in a
    /// table of one's own is rounded, and is exact in [`records`](Self::records).
    ///
    /// Sums are kept as rows are written, so this does not read the rows.
    ///
    /// # Errors
    /// As [`simulations`](Self::simulations); [`Error::NotFound`] for a metric that none of them has.
    ///
    /// # Example
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # use siltstone::experiment::{At, ExperimentDatabase, Which};
    /// # let db = ExperimentDatabase::open(folder.path().join("sweep.db"), "exp_001")?;
    /// let sim = db.create_simulation_context("a", Default::default())?;
    /// for loss in [3.0, 2.0, 1.0] {
    ///     sim.log_metric("loss", loss, None)?;
    /// }
    /// let table = db.compare(Which::All, &[("loss", At::Final), ("loss", At::Mean)])?.collect_batches()?;
    /// assert_eq!(table[0].schema().field(2).name(), "loss (mean)");
    /// # Ok::<(), siltstone::Error>(())
    /// ```
    pub fn compare(&self, which: Which<'_>, metrics: &[(&str, At)]) -> Result<Batches> {
        self.flush_for_reading()?;
        let columns = self.read(|tx| {
            let chosen = self.chosen(tx, which)?;
            let mut columns = vec![ids(&chosen)];
            let many_ats = metrics.iter().any(|(_, at)| *at != metrics[0].1);
            for (name, at) in metrics {
                let source = Source::find(tx, name)?;
                let is_column = source.is_column();
                let values = source.values(tx, chosen.iter().map(|(id, _)| id), *at)?;
                if values.iter().all(Option::is_none) && !chosen.is_empty() {
                    check_metric(tx, name, is_column)?;
                }
                let title =
                    if many_ats { format!("{name} ({})", title(*at)) } else { (*name).to_owned() };
                columns.push((
                    unique(title, &columns),
                    Arc::new(Float64Array::from(values)) as ArrayRef,
                ));
            }
            Ok(columns)
        })?;
        table(columns)
    }

    /// A row a step, a column a simulation: the values of a metric; where a step has many, their mean.
    ///
    /// # Errors
    /// As [`compare`](Self::compare).
    pub fn pivot(&self, which: Which<'_>, metric: &str) -> Result<Batches> {
        self.flush_for_reading()?;
        let columns = self.read(|tx| {
            let chosen = self.chosen(tx, which)?;
            let source = Source::find(tx, metric)?;
            let series =
                chosen.iter().map(|(id, _)| source.series(tx, *id)).collect::<Result<Vec<_>>>()?;
            if series.iter().all(Vec::is_empty) && !chosen.is_empty() {
                check_metric(tx, metric, source.is_column())?;
            }
            let steps: BTreeSet<i64> = series.iter().flatten().map(|(step, _)| *step).collect();
            let mut columns: Vec<Named> = vec![(
                "step".into(),
                Arc::new(Int64Array::from_iter_values(steps.iter().copied())),
            )];
            for ((_, name), series) in chosen.iter().zip(series) {
                let values: HashMap<i64, f64> = series.into_iter().collect();
                let values: Vec<Option<f64>> =
                    steps.iter().map(|step| values.get(step).copied()).collect();
                columns
                    .push((unique(name.clone(), &columns), Arc::new(Float64Array::from(values))));
            }
            Ok(columns)
        })?;
        table(columns)
    }

    /// The values of a metric of one simulation: steps, and a value each.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such simulation, or no simulation has such a metric.
    pub fn metric(&self, simulation_id: &str, metric: &str) -> Result<Vec<(i64, f64)>> {
        self.handle.core.flush_simulation(simulation_id)?;
        self.database().read(|tx| {
            let id = simulation(tx, simulation_id)?;
            let source = Source::find(tx, metric)?;
            let series = source.series(tx, id)?;
            if series.is_empty() {
                check_metric(tx, metric, source.is_column())?;
            }
            Ok(series)
        })
    }

    /// The names of the metrics that a simulation has: columns of its steps with a value, and those that it logged.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such simulation.
    pub fn metric_names(&self, simulation_id: &str) -> Result<Vec<String>> {
        self.handle.core.flush_simulation(simulation_id)?;
        self.database().read(|tx| {
            let id = simulation(tx, simulation_id)?;
            metric_names(tx, id)
        })
    }

    /// A row a simulation, a column a parameter: those in which they differ, or all. A parameter that is an object or a
    /// list is JSON text. Numbers are integers of 64 bits or floats where these hold all of a column exactly, and else texts
    /// of their digits.
    ///
    /// # Errors
    /// As [`simulations`](Self::simulations).
    pub fn parameters(&self, which: Which<'_>, only_differing: bool) -> Result<Batches> {
        let columns = self.read(|tx| {
            let chosen = self.chosen(tx, which)?;
            let sql = "SELECT parameters FROM simulations WHERE id = ?1";
            let objects = chosen
                .iter()
                .map(|(id, _)| {
                    let text: Option<String> = tx.query_one(sql, [id], |row| Ok(row.get(0)?))?;
                    Ok(stored_object(text.as_deref()))
                })
                .collect::<Result<Vec<Map<String, Value>>>>()?;
            let mut columns = vec![ids(&chosen)];
            let mut names: Vec<&String> = Vec::new();
            for name in objects.iter().flat_map(Map::keys) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            for name in names {
                let values: Vec<Option<&Value>> =
                    objects.iter().map(|object| object.get(name)).collect();
                if only_differing
                    && values.windows(2).all(|pair| pair[0] == pair[1])
                    && values.len() > 1
                {
                    continue;
                }
                columns.push((unique(name.clone(), &columns), typed(&values)));
            }
            Ok(columns)
        })?;
        table(columns)
    }

    /// Two simulations: a row a metric that either has, its mean and its last value in both, and the differences, which
    /// are the second less the first.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such simulation.
    pub fn difference(&self, first: &str, second: &str) -> Result<Batches> {
        self.flush_for_reading()?;
        let columns = self.database().read(|tx| {
            let ids = [simulation(tx, first)?, simulation(tx, second)?];
            let mut names = metric_names(tx, ids[0])?;
            for name in metric_names(tx, ids[1])? {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            let mut values: BTreeMap<&str, Vec<Option<f64>>> = BTreeMap::new();
            for name in &names {
                let source = Source::find(tx, name)?;
                for (title, at) in [("mean", At::Mean), ("final", At::Final)] {
                    let a = source.value(tx, ids[0], at)?;
                    let b = source.value(tx, ids[1], at)?;
                    let titles = match title {
                        "mean" => ["first_mean", "second_mean", "mean_difference"],
                        _ => ["first_final", "second_final", "final_difference"],
                    };
                    let less = a.zip(b).map(|(a, b)| b - a);
                    for (title, value) in titles.into_iter().zip([a, b, less]) {
                        values.entry(title).or_default().push(value);
                    }
                }
            }
            let mut columns: Vec<Named> =
                vec![("metric".into(), Arc::new(StringArray::from(names)))];
            let order = [
                "first_mean",
                "second_mean",
                "mean_difference",
                "first_final",
                "second_final",
                "final_difference",
            ];
            for title in order {
                let values = values.remove(title).unwrap_or_default();
                columns.push((title.into(), Arc::new(Float64Array::from(values))));
            }
            Ok(columns)
        })?;
        table(columns)
    }

    fn flush_for_reading(&self) -> Result<()> {
        if self.database().is_read_only() { Ok(()) } else { self.flush_all_buffers() }
    }
}

/// The names of metrics: columns of the steps that have a value, and what was logged by a name.
fn metric_names(tx: &ReadTx<'_>, simulation: i64) -> Result<Vec<String>> {
    let logged = logged_names(tx, simulation)?;
    let mut names = Vec::new();
    if let Some(steps) = record_table::find(tx, "simulation_steps")? {
        for (_, column) in steps.schema.stored().filter(|(_, column)| column.kind.is_number()) {
            let source = Source::find(tx, &column.name)?;
            let count = || source.value(tx, simulation, At::Count);
            if logged.contains(&column.name) || count()?.is_some_and(|count| count > 0.0) {
                names.push(column.name.clone());
            }
        }
    }
    for name in logged {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// The names by which a simulation logged metrics.
fn logged_names(tx: &ReadTx<'_>, simulation: i64) -> Result<Vec<String>> {
    let sql = "SELECT n.name FROM simulation_name n WHERE n.simulation = ?1 AND \
        (EXISTS (SELECT 1 FROM simulation_metrics_rows h WHERE h.simulation = ?1 AND h.row = n.id)) ORDER BY n.id";
    let mut names: Vec<String> = tx.query(sql, [simulation], |row| Ok(row.get(0)?))?;
    // Those of blocks have no index by name.
    if let Some(table) = record_table::find(tx, "simulation_metrics")? {
        let mut numbers = BTreeSet::new();
        let wanted = super::stored::Wanted::no_columns(&table);
        for block in super::stored::blocks(tx, simulation, &table, 0, i64::MAX)? {
            let rows = super::stored::read_block(tx, &table, block, &wanted.columns)?;
            numbers.extend(rows.rows.values().iter().copied());
        }
        let all =
            if numbers.is_empty() { HashMap::new() } else { super::names::load(tx, simulation)? };
        for name in numbers.iter().filter_map(|number| all.get(number)) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    Ok(names)
}

/// An error unless a table has such a column, or any simulation of the file logged a metric of this name.
fn check_metric(tx: &ReadTx<'_>, name: &str, is_column: bool) -> Result<()> {
    let sql = "SELECT 1 FROM simulation_name WHERE name = ?1 LIMIT 1";
    if is_column || tx.query_one(sql, [name], |_| Ok(()))?.is_some() {
        return Ok(());
    }
    let mut known = BTreeSet::new();
    for id in tx.query("SELECT id FROM simulations ORDER BY id", [], |row| Ok(row.get(0)?))? {
        known.extend(metric_names(tx, id)?);
    }
    for table in record_table::tables(tx)? {
        let numbers = table.schema.stored().filter(|(_, column)| column.kind.is_number());
        known.extend(numbers.map(|(_, column)| format!("{}.{}", table.schema.name, column.name)));
    }
    let known: Vec<String> = known.into_iter().collect();
    let location = format!("the metrics of the simulations; {}", near::hint(name, &known));
    Err(Error::NotFound { what: "metric", name: name.to_owned(), location })
}

fn title(at: At) -> String {
    match at {
        At::Final => "final".into(),
        At::Step(step) => format!("step {step}"),
        At::Mean => "mean".into(),
        At::Min => "min".into(),
        At::Max => "max".into(),
        At::Sum => "sum".into(),
        At::Count => "count".into(),
    }
}

fn ids(chosen: &[(i64, String)]) -> Named {
    let names = StringArray::from_iter_values(chosen.iter().map(|(_, name)| name));
    ("simulation_id".into(), Arc::new(names))
}

/// A name that no column has yet.
fn unique(name: String, columns: &[Named]) -> String {
    let is_taken = |name: &String| columns.iter().any(|(taken, _)| taken == name);
    if !is_taken(&name) {
        return name;
    }
    (2..).map(|n| format!("{name}_{n}")).find(|name| !is_taken(name)).expect("one is free")
}

/// Values of JSON as a column of the narrowest type that holds them all.
fn typed(values: &[Option<&Value>]) -> ArrayRef {
    let some = || values.iter().flatten().filter(|value| !value.is_null());
    if some().all(|value| value.is_boolean()) {
        return Arc::new(BooleanArray::from_iter(
            values.iter().map(|v| v.and_then(Value::as_bool)),
        ));
    }
    if some().all(|value| value.is_i64()) {
        return Arc::new(Int64Array::from_iter(values.iter().map(|v| v.and_then(Value::as_i64))));
    }
    if some().all(|value| value.is_u64()) {
        return Arc::new(UInt64Array::from_iter(values.iter().map(|v| v.and_then(Value::as_u64))));
    }
    if some().all(|value| exact(value).is_some()) {
        return Arc::new(Float64Array::from_iter(values.iter().map(|v| v.and_then(exact))));
    }
    let text = |value: &Option<&Value>| match value.map(|value| json::plain(value.clone())) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text),
        Some(other) => Some(other.to_string()),
    };
    Arc::new(StringArray::from_iter(values.iter().map(text)))
}

/// The float that is equal to a number.
fn exact(value: &Value) -> Option<f64> {
    let float = json::number(value)?;
    let is_equal = match (value.as_i64(), value.as_u64()) {
        (Some(n), _) => float as i128 == i128::from(n),
        (_, Some(n)) => float as i128 == i128::from(n),
        _ => json::wide_integer(value).is_none(),
    };
    is_equal.then_some(float)
}

fn table(columns: Vec<Named>) -> Result<Batches> {
    let field = |(name, array): &Named| {
        let array: &ArrayRef = array;
        Field::new(name, array.data_type().clone(), true)
    };
    let fields: Vec<Field> = if columns.is_empty() {
        vec![Field::new("simulation_id", DataType::Utf8, true)]
    } else {
        columns.iter().map(field).collect()
    };
    let schema = Arc::new(Schema::new(fields));
    if columns.is_empty() {
        return Ok(Batches::from_batches(schema, Vec::new()));
    }
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(schema.clone(), arrays)
        .map_err(|e| Error::invalid("the comparison", "columns of one length", e.to_string()))?;
    Ok(Batches::from_batches(schema, vec![batch]))
}
