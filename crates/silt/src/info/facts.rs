//! What a file holds, counted with SQL.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value as Json;
use siltstone::experiment::ExperimentDatabase;
use siltstone::memory::{MemoryStats, MemoryStore};
use siltstone::simulation::{Run, SimulationDatabase};
use siltstone::{DType, Result, Value};

/// Everything that `silt info` tells.
pub(super) struct Facts {
    pub(super) file_bytes: u64,
    /// Bytes of the write-ahead log, which belongs to the file.
    pub(super) log_bytes: u64,
    pub(super) page_size: u64,
    /// Store and version of its tables; nothing in a file of movici.
    pub(super) schema: Vec<(String, Json)>,
    pub(super) run: Run,
    pub(super) datasets: Vec<Dataset>,
    /// Initial datasets that cannot be read, and why.
    pub(super) unreadable: Vec<(String, String)>,
    /// Whether there is a table of updates, ours or movici's.
    pub(super) has_updates_table: bool,
    /// Name, format and bytes.
    pub(super) initial: Vec<(String, String, u64)>,
    pub(super) arrays: Arrays,
    /// How many, and their bytes.
    pub(super) keyframes: (u64, u64),
    pub(super) series: Series,
    pub(super) memory: MemoryStats,
    pub(super) experiments: Experiments,
}

/// The simulations of the experiment store.
#[derive(Default)]
pub(super) struct Experiments {
    /// Ids and statuses of experiments.
    pub(super) experiments: Vec<(String, String)>,
    /// How many simulations have a status.
    pub(super) statuses: Vec<(String, u64)>,
    /// The room that they take in each table, by simulation.
    pub(super) sizes: Vec<siltstone::experiment::TableSize>,
    /// Bytes that a vacuum would give back.
    pub(super) free_bytes: u64,
}

/// The series of a file.
#[derive(Default)]
pub(super) struct Series {
    pub(super) count: u64,
    pub(super) points: u64,
    pub(super) blocks: u64,
    /// Blocks that are packed at the highest compression.
    pub(super) compacted: u64,
    pub(super) bytes: u64,
    /// The names of their datasets.
    pub(super) datasets: Vec<String>,
}

/// A dataset that has updates.
pub(super) struct Dataset {
    pub(super) name: String,
    pub(super) updates: u64,
    pub(super) timestamps: u64,
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) groups: Vec<Group>,
}

/// An entity group, as its updates show it.
#[derive(Default)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) updates: u64,
    pub(super) attributes: Vec<String>,
}

/// Arrays, as they are stored and as they are referred to.
#[derive(Default)]
pub(super) struct Arrays {
    pub(super) stored: Held,
    /// How often updates and initial datasets refer to an array.
    pub(super) references: u64,
    /// The raw bytes that would be stored if each reference had an array of its own.
    pub(super) referenced_bytes: u64,
    /// Blocks of compacted arrays.
    pub(super) blocks: u64,
    /// By the name of the codec.
    pub(super) codecs: BTreeMap<String, Held>,
}

/// So many arrays.
#[derive(Default)]
pub(super) struct Held {
    pub(super) count: u64,
    /// Bytes in the file.
    pub(super) bytes: u64,
    /// Bytes of the numbers themselves.
    pub(super) raw_bytes: u64,
}

impl Held {
    fn add(&mut self, count: u64, bytes: u64, raw_bytes: u64) {
        self.count += count;
        self.bytes += bytes;
        self.raw_bytes += raw_bytes;
    }
}

impl Facts {
    pub(super) fn of(db: &SimulationDatabase) -> Result<Self> {
        let ask = Ask { db };
        let path = db.database().path();
        let bytes = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |found| found.len());
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let schema = match ask.has("siltstone_schema", "store")? {
            true => ask.rows("SELECT store, version FROM siltstone_schema ORDER BY store")?,
            false => Vec::new(),
        };
        let has_updates = ask.has("update", "dataset_name")?;
        let mut unreadable = Vec::new();
        let datasets = if has_updates { ask.datasets(&mut unreadable)? } else { Vec::new() };
        Ok(Facts {
            file_bytes: bytes(path),
            log_bytes: bytes(log.as_ref()),
            page_size: ask.number("PRAGMA page_size")?,
            schema: schema.iter().map(|row| (text(&row[0]), whole(&row[1]).into())).collect(),
            run: db.run()?,
            datasets,
            unreadable,
            has_updates_table: has_updates,
            initial: ask.initial()?,
            arrays: if has_updates { ask.arrays()? } else { Arrays::default() },
            keyframes: ask.keyframes()?,
            series: ask.series()?,
            memory: ask.memory()?,
            experiments: ask.experiments()?,
        })
    }
}

/// Questions to one file.
struct Ask<'a> {
    db: &'a SimulationDatabase,
}

impl Ask<'_> {
    fn memory(&self) -> Result<MemoryStats> {
        // Another program's tables may have the same names.
        match self.has("memory_change", "seq")? {
            true => MemoryStore::over(self.db.database().clone())?.stats(),
            false => Ok(MemoryStats::default()),
        }
    }

    fn rows(&self, sql: &str) -> Result<Vec<Vec<Value>>> {
        Ok(self.db.database().sql(sql)?.rows)
    }

    /// The first value of the first row; 0 if there is none.
    fn number(&self, sql: &str) -> Result<u64> {
        Ok(self.rows(sql)?.first().and_then(|row| row.first()).map_or(0, natural))
    }

    /// Whether a table has a column: a file of movici has fewer.
    fn has(&self, table: &str, column: &str) -> Result<bool> {
        let sql =
            format!("SELECT count(*) FROM pragma_table_info('{table}') WHERE name = '{column}'");
        Ok(self.number(&sql)? > 0)
    }

    fn datasets(&self, unreadable: &mut Vec<(String, String)>) -> Result<Vec<Dataset>> {
        let sql = "SELECT dataset_name, count(*), count(DISTINCT timestamp), min(timestamp), max(timestamp) \
            FROM \"update\" GROUP BY 1 ORDER BY 1";
        let mut datasets: Vec<Dataset> = (self.rows(sql)?.iter())
            .map(|row| Dataset {
                name: text(&row[0]),
                updates: natural(&row[1]),
                timestamps: natural(&row[2]),
                first: whole(&row[3]),
                last: whole(&row[4]),
                groups: Vec::new(),
            })
            .collect();
        let sql = "SELECT u.dataset_name, a.entity_group, a.attribute_name, count(*) \
            FROM \"update\" u JOIN update_attribute l ON l.update_id = u.id \
            JOIN attribute_data a ON a.id = l.attribute_data_id GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";
        let mut groups: HashMap<(String, String), Group> = HashMap::new();
        for row in self.rows(sql)? {
            let key = (text(&row[0]), text(&row[1]));
            let group = groups.entry(key).or_default();
            // Each update of a group has one array of ids; without any, the attribute given most.
            group.updates = group.updates.max(natural(&row[3]));
            group.attributes.push(text(&row[2]));
        }
        for dataset in &mut datasets {
            let names = self.db.groups(&dataset.name).unwrap_or_else(|error| {
                unreadable.push((dataset.name.clone(), error.to_string()));
                // Those of the updates are known all the same.
                let of_dataset = groups.keys().filter(|(name, _)| *name == dataset.name);
                let mut names: Vec<String> = of_dataset.map(|(_, group)| group.clone()).collect();
                names.sort();
                names
            });
            for name in names {
                let group = groups.remove(&(dataset.name.clone(), name.clone()));
                dataset.groups.push(Group { name, ..group.unwrap_or_default() });
            }
        }
        Ok(datasets)
    }

    fn experiments(&self) -> Result<Experiments> {
        if !self.has("record_table", "definition")? {
            return Ok(Experiments::default());
        }
        let db = ExperimentDatabase::open_read_only(self.db.database().path())?;
        let pairs = |sql| -> Result<Vec<Vec<Value>>> { self.rows(sql) };
        let experiments = pairs("SELECT experiment_id, status FROM experiments ORDER BY rowid")?;
        let statuses =
            pairs("SELECT status, count(*) FROM simulations GROUP BY 1 ORDER BY 2 DESC, 1")?;
        Ok(Experiments {
            experiments: experiments.iter().map(|row| (text(&row[0]), text(&row[1]))).collect(),
            statuses: statuses.iter().map(|row| (text(&row[0]), natural(&row[1]))).collect(),
            sizes: db.sizes()?,
            free_bytes: self.number("PRAGMA freelist_count")? * self.number("PRAGMA page_size")?,
        })
    }

    fn series(&self) -> Result<Series> {
        if !self.has("series_block", "compacted")? {
            return Ok(Series::default());
        }
        let known = self.rows("SELECT count(*), coalesce(sum(length), 0) FROM series")?;
        let blocks = "SELECT count(*), coalesce(sum(compacted), 0), \
            coalesce(sum(length(index_data) + length(value_data)), 0) FROM series_block";
        let blocks = self.rows(blocks)?;
        let names = "SELECT json_extract(record, '$.name') FROM series_record \
            WHERE name GLOB 'dataset/*' ORDER BY 1";
        Ok(Series {
            count: natural(&known[0][0]),
            points: natural(&known[0][1]),
            blocks: natural(&blocks[0][0]),
            compacted: natural(&blocks[0][1]),
            bytes: natural(&blocks[0][2]),
            datasets: self.rows(names)?.iter().map(|row| text(&row[0])).collect(),
        })
    }

    fn initial(&self) -> Result<Vec<(String, String, u64)>> {
        if !self.has("initial_dataset", "format")? {
            return Ok(Vec::new());
        }
        let sql = "SELECT dataset_name, format, coalesce(length(data), 0) FROM initial_dataset ORDER BY id";
        let rows = self.rows(sql)?;
        Ok(rows.iter().map(|row| (text(&row[0]), text(&row[1]), natural(&row[2]))).collect())
    }

    /// Sizes come from rows' headers: no array is read.
    fn arrays(&self) -> Result<Arrays> {
        let codec = if self.has("numpy_array", "codec")? { "codec" } else { "NULL" };
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
        let sql = format!(
            "SELECT {codec}, dtype, shape, count(*), sum(length(data)), sum(coalesce(r.n, 0)) \
             FROM numpy_array LEFT JOIN (SELECT id, sum(n) AS n FROM ({}) GROUP BY id) r \
             ON r.id = numpy_array.id GROUP BY 1, 2, 3",
            referring.join(" UNION ALL ")
        );
        let mut arrays = Arrays::default();
        for row in self.rows(&sql)? {
            let (count, bytes, references) = (natural(&row[3]), natural(&row[4]), natural(&row[5]));
            let raw = raw_bytes(&text(&row[1]), &text(&row[2])).unwrap_or(bytes / count.max(1));
            let codec = if row[0] == Value::Null { "raw".to_owned() } else { text(&row[0]) };
            arrays.stored.add(count, bytes, raw * count);
            arrays.codecs.entry(codec).or_default().add(count, bytes, raw * count);
            arrays.references += references;
            arrays.referenced_bytes += raw * references;
        }
        // A compacted array's row says only where in a block it lies.
        if self.has("array_block", "data")? {
            let rows =
                self.rows("SELECT count(*), coalesce(sum(length(data)), 0) FROM array_block")?;
            let (blocks, bytes) =
                rows.first().map_or((0, 0), |row| (natural(&row[0]), natural(&row[1])));
            arrays.blocks = blocks;
            arrays.stored.bytes += bytes;
            if let Some(held) = arrays.codecs.get_mut("block") {
                held.bytes += bytes;
            }
        }
        Ok(arrays)
    }

    fn keyframes(&self) -> Result<(u64, u64)> {
        if !self.has("simulation_keyframe", "state")? {
            return Ok((0, 0));
        }
        let rows =
            self.rows("SELECT count(*), coalesce(sum(length(state)), 0) FROM simulation_keyframe")?;
        Ok(rows.first().map_or((0, 0), |row| (natural(&row[0]), natural(&row[1]))))
    }
}

/// The bytes of an array by its dtype and shape; `None` if they say nothing.
fn raw_bytes(dtype: &str, shape: &str) -> Option<u64> {
    let dtype: DType = dtype.parse().ok()?;
    let shape: Vec<u64> = serde_json::from_str(shape).ok()?;
    shape.iter().try_fold(dtype.item_size() as u64, |bytes, n| bytes.checked_mul(*n))
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Integer(n) => n.to_string(),
        Value::Real(x) => x.to_string(),
        _ => String::new(),
    }
}

fn whole(value: &Value) -> i64 {
    match value {
        Value::Integer(n) => *n,
        Value::Real(x) => *x as i64,
        _ => 0,
    }
}

fn natural(value: &Value) -> u64 {
    whole(value).max(0) as u64
}
