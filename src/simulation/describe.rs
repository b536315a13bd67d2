//! What a file has of simulation updates, counted.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::database::SimulationDatabase;
use super::run::Run;
use super::tables::array_table;
use super::timeline::Timeline;
use crate::array::DType;
use crate::error::Result;
use crate::kernel::{Database, Value};

/// What a file has of simulation updates.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SimulationSummary {
    /// The run.
    pub run: RunSummary,
    /// The datasets that have updates, by name.
    pub datasets: Vec<DatasetSummary>,
    /// The initial datasets, in the order in which they were stored.
    pub initial_datasets: Vec<InitialDatasetSummary>,
    /// The initial datasets that cannot be read.
    pub unreadable: Vec<Unreadable>,
    /// The arrays of updates and initial datasets.
    pub arrays: ArraysSummary,
    /// The keyframes.
    pub keyframes: KeyframesSummary,
    /// Whether the file has a table of updates, ours or movici's.
    #[serde(skip)]
    pub has_updates: bool,
}

/// What a file knows of its run, as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RunSummary {
    /// How far it got.
    pub status: super::run::Status,
    /// The first write, ISO 8601 in UTC.
    pub started: Option<String>,
    /// The end, ISO 8601 in UTC.
    pub finished: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// What timestamps mean in calendar time.
    pub timeline: Option<Timeline>,
    /// From the first write to the end, in ns.
    #[serde(skip)]
    pub took_ns: Option<u64>,
}

/// A dataset that has updates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DatasetSummary {
    /// Its name.
    pub name: String,
    /// How many updates it has.
    pub updates: u64,
    /// At how many different timestamps.
    pub timestamps: u64,
    /// The first timestamp.
    pub first: i64,
    /// The last timestamp.
    pub last: i64,
    /// Its entity groups, those of its initial dataset among them.
    pub groups: Vec<GroupSummary>,
}

/// An entity group, as its updates show it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct GroupSummary {
    /// Its name.
    pub name: String,
    /// How many updates give it.
    pub updates: u64,
    /// The attributes that they give, by name.
    pub attributes: Vec<String>,
}

/// An initial dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct InitialDatasetSummary {
    /// Its name.
    pub name: String,
    /// `entity_based`, `json` or another.
    pub format: String,
    /// Bytes of its document; 0 for one that is kept as arrays.
    pub bytes: u64,
}

/// An initial dataset that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Unreadable {
    /// Its name.
    pub name: String,
    /// Why.
    pub why: String,
}

/// Arrays, as they are stored and as they are referred to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct ArraysSummary {
    /// Arrays that are stored.
    pub stored: u64,
    /// Their bytes in the file.
    pub stored_bytes: u64,
    /// The bytes of their numbers.
    pub raw_bytes: u64,
    /// How often updates and initial datasets refer to an array.
    pub references: u64,
    /// The bytes of numbers that would be stored if each reference had an array of its own.
    pub referenced_bytes: u64,
    /// Blocks of compacted arrays.
    pub blocks: u64,
    /// By the name of the codec; `block` for compacted ones.
    pub codecs: BTreeMap<String, CodecSummary>,
}

/// The arrays of one codec.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct CodecSummary {
    /// How many.
    pub arrays: u64,
    /// Bytes in the file.
    pub bytes: u64,
    /// Bytes of the numbers themselves.
    pub raw_bytes: u64,
}

/// The keyframes of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct KeyframesSummary {
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl SimulationDatabase {
    /// What the file has of simulation updates.
    ///
    /// # Errors
    /// What the disk says. An initial dataset that cannot be read is named in the summary.
    pub fn describe(&self) -> Result<SimulationSummary> {
        let ask = Ask { db: self.database() };
        let has_updates = ask.has("update", "dataset_name")?;
        let mut summary = SimulationSummary {
            run: run_summary(self.run()?),
            datasets: Vec::new(),
            initial_datasets: ask.initial()?,
            unreadable: Vec::new(),
            arrays: if has_updates { ask.arrays()? } else { ArraysSummary::default() },
            keyframes: ask.keyframes()?,
            has_updates,
        };
        if has_updates {
            self.describe_datasets(&ask, &mut summary)?;
        }
        Ok(summary)
    }

    fn describe_datasets(&self, ask: &Ask<'_>, summary: &mut SimulationSummary) -> Result<()> {
        let sql = "SELECT dataset_name, count(*), count(DISTINCT timestamp), min(timestamp), max(timestamp) \
            FROM \"update\" GROUP BY 1 ORDER BY 1";
        let known = ask.rows(sql)?;
        let sql = "SELECT u.dataset_name, a.entity_group, a.attribute_name, count(*) \
            FROM \"update\" u JOIN update_attribute l ON l.update_id = u.id \
            JOIN attribute_data a ON a.id = l.attribute_data_id GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";
        let mut groups: HashMap<(String, String), GroupSummary> = HashMap::new();
        for row in ask.rows(sql)? {
            let group = groups.entry((row[0].to_text(), row[1].to_text())).or_default();
            // Each update of a group has one array of ids; without any, the attribute given most.
            group.updates = group.updates.max(row[3].to_count());
            group.attributes.push(row[2].to_text());
        }
        for row in known {
            let name = row[0].to_text();
            let names = self.groups(&name).unwrap_or_else(|error| {
                let why = error.to_string();
                summary.unreadable.push(Unreadable { name: name.clone(), why });
                // Those of the updates are known all the same.
                let own = groups.keys().filter(|(dataset, _)| *dataset == name);
                let mut names: Vec<String> = own.map(|(_, group)| group.clone()).collect();
                names.sort();
                names
            });
            let groups = names.into_iter().map(|group| {
                let known = groups.remove(&(name.clone(), group.clone()));
                GroupSummary { name: group, ..known.unwrap_or_default() }
            });
            summary.datasets.push(DatasetSummary {
                groups: groups.collect(),
                updates: row[1].to_count(),
                timestamps: row[2].to_count(),
                first: row[3].to_integer(),
                last: row[4].to_integer(),
                name,
            });
        }
        Ok(())
    }
}

fn run_summary(run: Run) -> RunSummary {
    let moment = |ns: i64| {
        let time = jiff::Timestamp::from_second(ns.div_euclid(1_000_000_000));
        time.map_or_else(|_| format!("{ns} ns"), |time| time.to_string())
    };
    let took = run.started_ns.zip(run.finished_ns);
    RunSummary {
        status: run.status,
        started: run.started_ns.map(moment),
        finished: run.finished_ns.map(moment),
        error: run.error,
        timeline: run.timeline,
        took_ns: took.map(|(from, until)| until.saturating_sub(from).max(0) as u64),
    }
}

/// Questions to one file, which may be one of movici: that has fewer columns.
struct Ask<'a> {
    db: &'a Database,
}

impl Ask<'_> {
    fn rows(&self, sql: &str) -> Result<Vec<Vec<Value>>> {
        Ok(self.db.sql(sql)?.rows)
    }

    fn has(&self, table: &str, column: &str) -> Result<bool> {
        self.db.has_column(table, column)
    }

    fn initial(&self) -> Result<Vec<InitialDatasetSummary>> {
        if !self.has("initial_dataset", "format")? {
            return Ok(Vec::new());
        }
        let sql = "SELECT dataset_name, format, coalesce(length(data), 0) FROM initial_dataset ORDER BY id";
        let rows = self.rows(sql)?;
        let summary = |row: &Vec<Value>| InitialDatasetSummary {
            name: row[0].to_text(),
            format: row[1].to_text(),
            bytes: row[2].to_count(),
        };
        Ok(rows.iter().map(summary).collect())
    }

    /// Sizes come from rows' headers: no array is read.
    fn arrays(&self) -> Result<ArraysSummary> {
        let table = self.db.read(array_table)?;
        let codec = if self.has(table, "codec")? { "codec" } else { "NULL" };
        let mut columns = vec!["data_id", "indptr_id"];
        if self.has("attribute_data", "mask_id")? {
            columns.push("mask_id");
        }
        let mut links = vec!["update_attribute"];
        if self.has("initial_dataset_attribute", "attribute_data_id")? {
            links.push("initial_dataset_attribute");
        }
        let referring: Vec<String> = (links.iter())
            .flat_map(|link| {
                columns.iter().map(move |column| {
                    format!(
                        "SELECT a.{column} AS id, count(*) AS n FROM {link} l \
                         JOIN attribute_data a ON a.id = l.attribute_data_id \
                         WHERE a.{column} IS NOT NULL GROUP BY 1"
                    )
                })
            })
            .collect();
        // Materialized: a sorter would carry the bytes themselves.
        let sql = format!(
            "WITH sized AS MATERIALIZED (SELECT id, {codec} AS codec, dtype, shape, length(data) AS size FROM main.{table}) \
             SELECT n.codec, dtype, shape, count(*), sum(size), sum(coalesce(r.n, 0)) \
             FROM sized n LEFT JOIN (SELECT id, sum(n) AS n FROM ({}) GROUP BY id) r \
             ON r.id = n.id GROUP BY 1, 2, 3",
            referring.join(" UNION ALL ")
        );
        let mut arrays = ArraysSummary::default();
        for row in self.rows(&sql)? {
            let [count, bytes, references] = [3, 4, 5].map(|i: usize| row[i].to_count());
            let raw = raw_bytes(&row[1].to_text(), &row[2].to_text());
            let raw = raw.unwrap_or(bytes / count.max(1));
            let codec = if row[0] == Value::Null { "raw".to_owned() } else { row[0].to_text() };
            let held = arrays.codecs.entry(codec).or_default();
            held.arrays += count;
            held.bytes += bytes;
            held.raw_bytes += raw * count;
            arrays.stored += count;
            arrays.stored_bytes += bytes;
            arrays.raw_bytes += raw * count;
            arrays.references += references;
            arrays.referenced_bytes += raw * references;
        }
        // A compacted array's row says only where in a block it lies.
        if self.has("array_block", "data")? {
            let sql = "SELECT count(*), coalesce(sum(length(data)), 0) FROM array_block";
            let rows = self.rows(sql)?;
            let (blocks, bytes) = (rows[0][0].to_count(), rows[0][1].to_count());
            arrays.blocks = blocks;
            arrays.stored_bytes += bytes;
            if let Some(held) = arrays.codecs.get_mut("block") {
                held.bytes += bytes;
            }
        }
        Ok(arrays)
    }

    fn keyframes(&self) -> Result<KeyframesSummary> {
        if !self.has("simulation_keyframe", "state")? {
            return Ok(KeyframesSummary::default());
        }
        let sql = "SELECT count(*), coalesce(sum(length(state)), 0) FROM simulation_keyframe";
        let rows = self.rows(sql)?;
        Ok(KeyframesSummary { count: rows[0][0].to_count(), bytes: rows[0][1].to_count() })
    }
}

/// The bytes of an array by its dtype and shape; `None` if they say nothing.
fn raw_bytes(dtype: &str, shape: &str) -> Option<u64> {
    let dtype: DType = dtype.parse().ok()?;
    let shape: Vec<u64> = serde_json::from_str(shape).ok()?;
    shape.iter().try_fold(dtype.item_size() as u64, |bytes, n| bytes.checked_mul(*n))
}
