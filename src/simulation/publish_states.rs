//! States as other machines see them: those at chosen times, a row a value.
//!
//! A time of a bucket of datasets is one slice, so that its rows are known by it alone.

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use xxhash_rust::xxh3::xxh3_128;

use super::database::{Options, SimulationDatabase};
use super::initial;
use super::long::{Head, Rows, Values, schema};
use super::publish::seen;
use super::read::datasets;
use super::state::GroupState;
use super::tables::Layout;
use super::update::{GIVEN, NOT_GIVEN};
use crate::array::Checksum;
use crate::error::{Error, Result};
use crate::kernel::{Database, ReadTx};
use crate::table::{Batches, Cut, Published, PublishedTable, Slice, bucket};

/// The table of states.
pub(crate) const STATES: &str = "simulation_states";
/// States of one file, at most: each is a data file of its own.
const MOST_STATES: usize = 10_000;

/// The times whose states are published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StateTimes {
    /// The multiples of this from the first update of the file to the last one.
    pub(crate) every: Option<i64>,
    pub(crate) at: BTreeSet<i64>,
}

/// States of a file, as they are published.
pub(crate) struct PublishedStates {
    pub(crate) db: Database,
    pub(crate) times: StateTimes,
}

/// The columns of long rows that a state has.
fn state_schema() -> SchemaRef {
    let of_updates = ["iteration", "origin", "is_cleared"];
    let all = schema();
    let fields = all.fields().iter().filter(|field| !of_updates.contains(&field.name().as_str()));
    SchemaRef::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
}

impl StateTimes {
    /// The times, for updates between the first and the last of these.
    fn all(&self, (first, last): (i64, i64)) -> Result<BTreeSet<i64>> {
        let mut all = self.at.clone();
        if let Some(every) = self.every {
            if every < 1 {
                let expected = "1 or more between two states";
                return Err(Error::invalid("states_every", expected, every.to_string()));
            }
            let (first, last) = (i128::from(first), i128::from(last));
            let next = (first + i128::from(every) - 1).div_euclid(every.into()) * i128::from(every);
            let times = (next..=last).step_by(every as usize).take(MOST_STATES + 1);
            all.extend(times.map(|time| time as i64));
        }
        if all.len() > MOST_STATES {
            let expected = format!("at most {MOST_STATES} states of a file");
            return Err(Error::invalid("the states to publish", expected, "more times"));
        }
        Ok(all)
    }
}

/// What tells the initial state of a dataset from others.
fn initial_signature(tx: &ReadTx<'_>, dataset: &str) -> Result<u128> {
    let mut signature = 0u128;
    for group in initial::entities(tx, Layout::of(tx)?, dataset)? {
        for (name, attribute) in &group.attributes {
            let mut bytes = [dataset, &group.name, name].join("\0").into_bytes();
            for (part, array) in attribute.arrays() {
                bytes.extend_from_slice(part.as_bytes());
                bytes.extend(Checksum::of(array).to_bytes());
            }
            signature = signature.wrapping_add(xxh3_128(&bytes));
        }
    }
    Ok(signature)
}

/// The rows of a slice while they are read, a group at a time.
struct Reading {
    db: SimulationDatabase,
    schema: SchemaRef,
    timestamp: i64,
    /// Dataset and group, the last one first.
    groups: Vec<(String, String)>,
    /// Those of the group that is read, the last one first.
    columns: Vec<(String, Values)>,
}

impl Reading {
    fn of(db: Database, schema: SchemaRef, slice: &Slice) -> Result<Self> {
        let options = Options { no_keyframes: true, ..Options::default() };
        let db = SimulationDatabase::over(db, options)?;
        let mut groups = Vec::new();
        for dataset in db.datasets()? {
            if bucket(&dataset).to_string() == slice.partition[0] {
                groups.extend(db.groups(&dataset)?.into_iter().map(|name| (dataset.clone(), name)));
            }
        }
        groups.sort_by(|a, b| b.cmp(a));
        Ok(Reading { db, schema, timestamp: slice.first, groups, columns: Vec::new() })
    }

    fn next(&mut self) -> Result<Option<RecordBatch>> {
        let mut rows = Rows::default();
        while let Some((dataset, group)) = self.groups.last() {
            if self.columns.is_empty() {
                self.columns = values(self.db.state_at(dataset, group, self.timestamp)?);
            }
            while let Some((attribute, values)) = self.columns.last_mut() {
                let timestamp = self.timestamp;
                let head =
                    Head { dataset, group, attribute, timestamp, iteration: 0, origin: None };
                rows.push(&head, values);
                if rows.is_full() {
                    return rows.finish(&self.schema);
                }
                self.columns.pop();
            }
            self.groups.pop();
        }
        rows.finish(&self.schema)
    }
}

fn values(state: GroupState) -> Vec<(String, Values)> {
    let values = |column: &super::state::ColumnState| {
        let is_defined = (0..state.ids.len()).map(|entity| column.is_defined(entity));
        let said = is_defined.map(|is| if is { GIVEN } else { NOT_GIVEN }).collect();
        (column.name.clone(), Values::new(state.ids.clone(), &column.attribute, said))
    };
    let mut all: Vec<_> = state.columns.iter().map(values).collect();
    all.sort_by(|a, b| b.0.cmp(&a.0));
    all
}

impl Published for PublishedStates {
    fn tables(&self) -> Result<Vec<PublishedTable>> {
        if self.db.read(Layout::of)? == Layout::Empty {
            return Ok(Vec::new());
        }
        let partitions = &[("dataset_bucket", "integer")];
        Ok(vec![PublishedTable { name: STATES.into(), schema: state_schema(), partitions }])
    }

    fn slices(&self, _: &PublishedTable, _: Cut) -> Result<Vec<Slice>> {
        if self.times == StateTimes::default() {
            return Ok(Vec::new());
        }
        let (seen, initial) = self.db.read(|tx| {
            let mut initial: BTreeMap<u64, u128> = BTreeMap::new();
            for dataset in datasets(tx)? {
                let sum = initial.entry(bucket(&dataset)).or_default();
                *sum = sum.wrapping_add(initial_signature(tx, &dataset)?);
            }
            Ok((seen(tx, Layout::of(tx)?)?, initial))
        })?;
        let ends = seen
            .values()
            .flat_map(|times| times.keys().next().into_iter().chain(times.keys().last()));
        let (Some(first), Some(last)) = (ends.clone().min(), ends.max()) else {
            return Ok(Vec::new());
        };
        let all = self.times.all((*first, *last))?;
        let mut slices = Vec::new();
        for (bucket, times) in &seen {
            // A state is what all updates up to it leave.
            let mut signature = initial.get(bucket).copied().unwrap_or_default();
            let mut rest = times.iter().peekable();
            for time in &all {
                while let Some((_, seen)) = rest.next_if(|(other, _)| *other <= time) {
                    signature = signature.wrapping_add(seen.signature);
                }
                slices.push(Slice {
                    partition: vec![bucket.to_string()],
                    first: *time,
                    until: time.saturating_add(1),
                    signature,
                });
            }
        }
        Ok(slices)
    }

    fn rows(&self, table: &PublishedTable, slice: &Slice) -> Result<Batches> {
        let schema = table.schema.clone();
        let mut reading = Reading::of(self.db.clone(), schema.clone(), slice)?;
        Ok(Batches::new(schema, move || reading.next()))
    }
}
