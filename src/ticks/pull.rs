//! Ticks out of a lake, back into a folder.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, DictionaryArray, RecordBatch};
use arrow_cast::cast;
use arrow_schema::DataType;
use arrow_select::filter::filter_record_batch;

use super::arrow_in::ArrowDefaults;
use super::calendar::Day;
use super::config::TickStoreConfig;
use super::scan::not_arrow;
use super::store::TickStore;
use crate::error::{Error, Result};
use crate::table::{Pulled, of_two_files};

/// Ticks of a broker that are stored in one go.
const STORE_ROWS: usize = 1 << 20;

type Words = DictionaryArray<Int32Type>;

fn word(words: &Words, key: i32) -> &str {
    words.values().as_string::<i32>().value(key as usize)
}

/// A folder of ticks that takes those of a lake.
pub(crate) struct PulledTicks {
    folder: PathBuf,
    /// Of each broker, since a store writes one name.
    brokers: BTreeMap<String, Vec<RecordBatch>>,
    /// Of each day, the symbols and who has published them.
    symbols: HashMap<(Day, String), String>,
}

impl PulledTicks {
    pub(crate) fn new(folder: &Path) -> Self {
        let (brokers, symbols) = Default::default();
        PulledTicks { folder: folder.to_owned(), brokers, symbols }
    }

    /// Refuses a day of a symbol that two files have published.
    fn check(&mut self, file: &str, symbols: &Words, times: &[i64]) -> Result<()> {
        let mut last = None;
        for (ns, key) in times.iter().zip(symbols.keys().values()) {
            let place = (Day::of(*ns), *key);
            if last == Some(place) {
                continue;
            }
            last = Some(place);
            let (day, symbol) = (place.0, word(symbols, *key));
            let known = self.symbols.entry((day, symbol.to_owned()));
            let known = known.or_insert_with(|| file.to_owned());
            if known != file {
                return Err(of_two_files(format!("ticks of {symbol} on {day}"), known, file));
            }
        }
        Ok(())
    }

    fn store(&self, broker: &str, batches: Vec<RecordBatch>) -> Result<()> {
        let store = TickStore::new(TickStoreConfig {
            sqlite_base_path: self.folder.clone(),
            compact_every: None,
            ..TickStoreConfig::production(broker)
        })?;
        store.store_arrow(batches.into_iter().map(Ok), ArrowDefaults::default())?;
        store.stop().map(drop)
    }
}

impl Pulled for PulledTicks {
    fn takes(&self, table: &str) -> bool {
        table == "ticks"
    }

    fn take(&mut self, table: &str, file: &str, rows: &RecordBatch) -> Result<()> {
        let column = |name: &str| {
            rows.column_by_name(name).cloned().ok_or_else(|| Error::NotFound {
                what: "column",
                name: name.to_owned(),
                location: format!("the table {table} of the lake"),
            })
        };
        let words = |name: &str| -> Result<Words> {
            let kind = DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into());
            let words = cast(&column(name)?, &kind).map_err(not_arrow)?;
            if words.is_nullable() {
                return Err(Error::invalid(name, "a text for each tick", "null"));
            }
            Ok(words.as_dictionary::<Int32Type>().clone())
        };
        let time = cast(&column("time_ns")?, &DataType::Int64).map_err(not_arrow)?;
        let symbol = words("symbol")?;
        self.check(file, &symbol, time.as_primitive::<Int64Type>().values())?;
        let columns: [(&str, ArrayRef); 6] = [
            ("symbol", Arc::new(symbol)),
            ("time", time),
            ("bid", column("bid")?),
            ("ask", column("ask")?),
            ("spread", column("spread")?),
            ("lp", column("lp_source")?),
        ];
        let ticks = RecordBatch::try_from_iter(columns).map_err(not_arrow)?;
        let brokers = words("broker_id")?;
        let keys: BTreeSet<i32> = brokers.keys().values().iter().copied().collect();
        let names: BTreeSet<&str> = keys.iter().map(|key| word(&brokers, *key)).collect();
        for name in &names {
            let own = if names.len() == 1 {
                ticks.clone()
            } else {
                let keys = brokers.keys().values().iter();
                let own = keys.map(|key| Some(word(&brokers, *key) == *name)).collect();
                filter_record_batch(&ticks, &own).map_err(not_arrow)?
            };
            let waiting = self.brokers.entry((*name).to_owned()).or_default();
            waiting.push(own);
            if waiting.iter().map(RecordBatch::num_rows).sum::<usize>() >= STORE_ROWS {
                let waiting = std::mem::take(waiting);
                self.store(name, waiting)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        for (broker, batches) in std::mem::take(&mut self.brokers) {
            self.store(&broker, batches)?;
        }
        Ok(())
    }
}
