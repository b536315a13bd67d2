//! What a file has of simulation updates, counted.

use std::collections::BTreeMap;

use serde::Serialize;

use super::counts::{Columns, Counts};
use super::database::SimulationDatabase;
use super::run::Run;
use super::tables::array_table;
use super::timeline::Timeline;
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
            arrays: ArraysSummary::default(),
            keyframes: ask.keyframes()?,
            has_updates,
        };
        if has_updates {
            let has = Columns {
                codec: ask.has(ask.db.read(array_table)?, "codec")?,
                mask: ask.has("attribute_data", "mask_id")?,
                initial: ask.has("initial_dataset_attribute", "attribute_data_id")?,
            };
            self.database().read(|tx| {
                let counts = Counts::of(tx, &has)?;
                counts.datasets(tx, &mut summary)?;
                summary.arrays = counts.arrays();
                Ok(())
            })?;
            ask.blocks(&mut summary.arrays)?;
        }
        Ok(summary)
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

    fn blocks(&self, arrays: &mut ArraysSummary) -> Result<()> {
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
        Ok(())
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::array::Array;
    use crate::simulation::{Attribute, Group, InitialData};

    /// A group of a hundred entities with an attribute, which has a mask at times, and is ragged at others.
    fn group(n: i64) -> Group {
        let ids: Vec<i64> = (0..100).collect();
        let load = Attribute::new(Array::from_slice(&[n as f64; 100]));
        let path = Attribute::ragged(
            Array::from_slice(&[n; 100]),
            Array::from_slice(&[ids, vec![100]].concat()),
        );
        let (name, attribute) = match n % 3 {
            0 => ("load", load),
            1 => ("load", load.with_mask(&[[0u8; 50], [1; 50]].concat())),
            _ => ("path", path),
        };
        let ids = Attribute::new(Array::from_slice(&(0..100).collect::<Vec<i64>>()));
        let attributes = vec![("id".to_owned(), ids), (name.to_owned(), attribute)];
        Group { name: ["roads", "houses"][n as usize % 2].to_owned(), attributes }
    }

    /// Goal: what is counted kind by kind is what SQL counts, as rows and as compacted arrays.
    #[test]
    fn counts_are_those_of_sql() {
        let folder = tempfile::tempdir().unwrap();
        let db = SimulationDatabase::open(folder.path().join("run.db")).unwrap();
        for n in 0..60 {
            let dataset = ["b", "a", "c"][n as usize / 4 % 3];
            db.store_update(n / 4, n, dataset, vec![group(n)], None).unwrap();
        }
        let initial =
            r#"{"data": {"first": {"id": [1, 2], "load": [1.0, 2.0]}, "roads": {"id": [1]}}}"#;
        db.store_initial_dataset("a", InitialData::Json(initial.into()), false).unwrap();
        let rows = db.describe().unwrap();
        db.compact(&mut |_, _| Ok(())).unwrap();
        let compacted = db.describe().unwrap();
        assert!(compacted.arrays.codecs["block"].arrays > 20, "{:?}", compacted.arrays);
        for seen in [&rows, &compacted] {
            assert_eq!(seen.datasets, rows.datasets);
            check(&db, seen);
        }
        let groups = |n: usize| rows.datasets[n].groups.iter().map(|group| group.name.as_str());
        assert!(groups(0).eq(["first", "roads", "houses"]), "{:?}", rows.datasets);
        assert!(groups(1).eq(["roads", "houses"]), "{:?}", rows.datasets);
    }

    fn check(db: &SimulationDatabase, seen: &SimulationSummary) {
        let count = |sql: String| db.database().sql(&sql).unwrap().rows[0][0].to_count();
        let links = "update_attribute l JOIN attribute_data a ON a.id = l.attribute_data_id";
        for dataset in &seen.datasets {
            let name = &dataset.name;
            let own = format!("\"update\" WHERE dataset_name = '{name}'");
            assert_eq!(dataset.updates, count(format!("SELECT count(*) FROM {own}")));
            let times = count(format!("SELECT count(DISTINCT timestamp) FROM {own}"));
            assert_eq!(dataset.timestamps, times);
            for group in dataset.groups.iter().filter(|group| group.name != "first") {
                let own = format!(
                    "\"update\" u JOIN {links} AND u.id = l.update_id \
                     WHERE u.dataset_name = '{name}' AND a.entity_group = '{}'",
                    group.name
                );
                let updates = format!("SELECT count(DISTINCT u.id) FROM {own}");
                assert_eq!(group.updates, count(updates), "{name} {group:?}");
                let names = format!("SELECT DISTINCT a.attribute_name FROM {own}");
                let names = db.database().sql(&names).unwrap().rows;
                let names: BTreeSet<String> = names.iter().map(|row| row[0].to_text()).collect();
                assert!(names.iter().eq(&group.attributes), "{name} {group:?}");
            }
        }
        let arrays = &seen.arrays;
        let table = db.database().read(array_table).unwrap();
        assert_eq!(arrays.stored, count(format!("SELECT count(*) FROM {table}")));
        let references = |links: String| {
            count(format!("SELECT count(data_id) + count(indptr_id) + count(mask_id) FROM {links}"))
        };
        let initial = links.replace("update_attribute", "initial_dataset_attribute");
        assert_eq!(arrays.references, references(links.to_owned()) + references(initial));
        assert!(arrays.referenced_bytes > arrays.raw_bytes, "{arrays:?}");
    }
}
