//! Ticks out of Arrow record batches.

use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType, UInt32Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{ArrowError, DataType, TimeUnit};

use super::batch::{Names, TickBatch};
use super::store::{FlushReport, TickStore};
use crate::error::{Error, Result};
use crate::table::{from_arrow, rounded};

/// Ticks that are stored in one go: smaller batches are put together.
const STORE_ROWS: usize = 1 << 20;

/// Names by number, as they come.
#[derive(Debug, Default)]
struct Coded {
    codes: Vec<u32>,
    names: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Coded {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    /// Adds a column of texts; `null` stands for what is null.
    fn push(&mut self, what: &str, column: &ArrayRef, null: Option<&str>) -> Result<()> {
        let kind = DataType::Dictionary(DataType::UInt32.into(), DataType::Utf8.into());
        let column = cast(what, column, &kind)?;
        let column = column.as_dictionary::<UInt32Type>();
        let words = column.values().as_string::<i32>();
        if null.is_none() && (column.is_nullable() || words.is_nullable()) {
            return Err(Error::invalid(what, "a text for each tick", "null"));
        }
        let numbers: Vec<u32> =
            words.iter().map(|word| self.number(word.or(null).unwrap_or_default())).collect();
        let empty = null.map(|null| self.number(null));
        let keys = column.keys().iter();
        self.codes.extend(keys.map(|key| match key {
            Some(key) => numbers[key as usize],
            None => empty.unwrap_or_default(),
        }));
        Ok(())
    }
}

/// Ticks by column, gathered from record batches.
#[derive(Debug, Default)]
struct Gathered {
    symbol: Coded,
    lp: Coded,
    time_ns: Vec<i64>,
    bid: Vec<f64>,
    ask: Vec<f64>,
    spread: Vec<f64>,
    /// Rows of the table before these.
    before: usize,
}

/// What a table says nothing of.
#[derive(Debug, Clone, Copy, Default)]
pub struct ArrowDefaults<'a> {
    /// The symbol of all ticks; absent: the table has a column `symbol`.
    pub symbol: Option<&'a str>,
    /// The source of all ticks; absent: the column `lp`, or none.
    pub lp: Option<&'a str>,
}

impl Gathered {
    fn push(&mut self, batch: &RecordBatch, defaults: ArrowDefaults<'_>) -> Result<()> {
        let column = |name: &str| batch.column_by_name(name);
        let needed = |name: &str| {
            column(name).ok_or_else(|| {
                let fields = batch.schema();
                let names: Vec<&str> = fields.fields().iter().map(|f| f.name().as_str()).collect();
                Error::invalid(name, "a column of the table", format!("only {}", names.join(", ")))
            })
        };
        if defaults.symbol.is_none() {
            self.symbol.push("symbol", needed("symbol")?, None)?;
        }
        if defaults.lp.is_none()
            && let Some(lp) = column("lp")
        {
            self.lp.push("lp", lp, Some(""))?;
        }
        push_times(&mut self.time_ns, needed("time")?)?;
        push_floats(&mut self.bid, "bid", needed("bid")?, self.before)?;
        push_floats(&mut self.ask, "ask", needed("ask")?, self.before)?;
        match column("spread") {
            Some(spread) => push_floats(&mut self.spread, "spread", spread, self.before),
            None => Ok(()),
        }
    }

    fn store(&self, store: &TickStore, defaults: ArrowDefaults<'_>) -> Result<FlushReport> {
        fn words(coded: &Coded) -> Vec<&str> {
            coded.names.iter().map(String::as_str).collect()
        }
        let (symbols, sources) = (words(&self.symbol), words(&self.lp));
        store.store_ticks(&TickBatch {
            symbol: match defaults.symbol {
                Some(symbol) => Names::One(symbol),
                None => Names::Coded(&self.symbol.codes, &symbols),
            },
            time_ns: &self.time_ns,
            bid: &self.bid,
            ask: &self.ask,
            spread: (self.spread.len() == self.bid.len()).then_some(&self.spread),
            lp: match defaults.lp {
                Some(lp) => Names::One(lp),
                None if self.lp.codes.is_empty() => Names::One(""),
                None => Names::Coded(&self.lp.codes, &sources),
            },
        })
    }
}

fn cast(what: &str, column: &ArrayRef, kind: &DataType) -> Result<ArrayRef> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(column, kind, &options).map_err(|error| from_arrow(what, error))
}

fn without_null<'a>(what: &str, column: &'a ArrayRef) -> Result<&'a ArrayRef> {
    if column.null_count() > 0 {
        return Err(Error::invalid(what, "a number for each tick", "null"));
    }
    Ok(column)
}

fn push_times(out: &mut Vec<i64>, column: &ArrayRef) -> Result<()> {
    without_null("time", column)?;
    match column.data_type() {
        DataType::Int64 => out.extend(column.as_primitive::<Int64Type>().values()),
        DataType::Timestamp(_, None) => {
            let expected = "timestamps with a zone, or ns since 1970 UTC as 64-bit integers";
            let got = format!("{}, which has no zone", column.data_type());
            return Err(Error::invalid("time", expected, got));
        }
        DataType::Timestamp(_, zone) => {
            let kind = DataType::Timestamp(TimeUnit::Nanosecond, zone.clone());
            let column = cast("time", column, &kind)?;
            out.extend(column.as_primitive::<TimestampNanosecondType>().values());
        }
        other => {
            let expected = "timestamps, or ns since 1970 as 64-bit integers";
            return Err(Error::invalid("time", expected, other.to_string()));
        }
    }
    Ok(())
}

fn push_floats(out: &mut Vec<f64>, what: &str, column: &ArrayRef, before: usize) -> Result<()> {
    without_null(what, column)?;
    if !column.data_type().is_numeric() {
        return Err(Error::invalid(what, "numbers", column.data_type().to_string()));
    }
    if column.data_type().is_integer() {
        let found = (0..column.len()).find_map(|row| rounded(column, row).map(|n| (row, n)));
        if let Some((row, n)) = found {
            let what = format!("{what} of row {}", before + out.len() + row);
            return Err(Error::invalid(what, "a number that a float has exactly", n.to_string()));
        }
    }
    let column = cast(what, column, &DataType::Float64)?;
    out.extend(column.as_primitive::<Float64Type>().values());
    Ok(())
}

impl TickStore {
    /// Takes ticks as Arrow record batches; as [`store_ticks`](Self::store_ticks), about a million of them
    /// at a time.
    ///
    /// - `symbol`, `lp`: texts, plain or as dictionaries; a null `lp` is empty.
    /// - `time`: timestamps of any unit, UTC, or ns since 1970 as 64-bit integers.
    /// - `bid`, `ask`, and `spread` if there is one: numbers without nulls; an integer that no float is
    ///   equal to is refused.
    ///
    /// Other columns are left alone.
    ///
    /// # Errors
    /// As [`store_ticks`](Self::store_ticks), and [`Error::Invalid`] for a table without these columns;
    /// what was stored before the error stays.
    pub fn store_arrow(
        &self,
        batches: impl IntoIterator<Item = Result<RecordBatch, ArrowError>>,
        defaults: ArrowDefaults<'_>,
    ) -> Result<FlushReport> {
        let mut gathered = Gathered::default();
        for batch in batches {
            gathered.push(&batch.map_err(|error| from_arrow("the ticks", error))?, defaults)?;
            if gathered.time_ns.len() >= STORE_ROWS {
                gathered.store(self, defaults)?;
                let before = gathered.before + gathered.time_ns.len();
                gathered = Gathered { before, ..Gathered::default() };
            }
        }
        gathered.store(self, defaults)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Float64Array, Int64Array, StringArray, TimestampMillisecondArray};

    use super::*;
    use crate::ticks::TickStoreConfig;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch, ArrowError> {
        RecordBatch::try_from_iter(columns)
    }

    fn numbers(numbers: &[f64]) -> ArrayRef {
        Arc::new(Float64Array::from(numbers.to_vec()))
    }

    /// Goal: what a scan gives can be stored again; other units and plain texts are taken, nulls are
    /// refused.
    #[test]
    fn tables_of_many_kinds_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        let store = TickStore::new(TickStoreConfig {
            sqlite_base_path: folder.path().join("db"),
            ..TickStoreConfig::production("b")
        })
        .unwrap();
        let text = |words: Vec<Option<&str>>| Arc::new(StringArray::from(words)) as ArrayRef;
        let naive = TimestampMillisecondArray::from(vec![3, 1]);
        let of_nobody = batch(vec![("time", Arc::new(naive.clone()) as ArrayRef)]);
        let defaults = ArrowDefaults { symbol: Some("A"), lp: None };
        let error = store.store_arrow([of_nobody], defaults).unwrap_err().to_string();
        assert!(error.contains("no zone") || error.contains("bid"), "{error}");
        let millis = Arc::new(naive.with_timezone("UTC")) as ArrayRef;
        let first = batch(vec![
            ("symbol", text(vec![Some("A"), Some("B")])),
            ("time", millis),
            ("bid", numbers(&[1.0, 2.0])),
            ("ask", numbers(&[1.5, 2.5])),
            ("lp", text(vec![None, Some("X")])),
        ]);
        assert_eq!(store.store_arrow([first], ArrowDefaults::default()).unwrap().written, 2);
        let ticks = store.get_ticks_in_range("A", 0, i64::MAX).unwrap();
        assert_eq!((ticks.time_ns[0], ticks.spread[0], ticks.get(0).lp), (3_000_000, 0.5, ""));
        assert_eq!(store.last("B").unwrap().unwrap().lp, "X");

        let scanned: Vec<_> = store.scan(None, i64::MIN, i64::MAX).unwrap().collect();
        assert_eq!(store.store_arrow(scanned, ArrowDefaults::default()).unwrap().written, 4);

        let time = Arc::new(Int64Array::from(vec![7])) as ArrayRef;
        let one = |bid: ArrayRef| {
            batch(vec![("time", time.clone()), ("bid", bid), ("ask", numbers(&[1.0]))])
        };
        let defaults = ArrowDefaults { symbol: Some("C"), lp: Some("Y") };
        store.store_arrow([one(numbers(&[1.0]))], defaults).unwrap();
        assert_eq!(store.last("C").unwrap().unwrap().lp, "Y");
        let null = Arc::new(Float64Array::from(vec![None])) as ArrayRef;
        for bad in [null, numbers(&[f64::NAN]), text(vec![Some("1.0")])] {
            let error = store.store_arrow([one(bad)], defaults).unwrap_err();
            assert!(matches!(error, Error::Invalid { .. }), "{error}");
        }
        let wide = Arc::new(Int64Array::from(vec![1, (1 << 53) + 1])) as ArrayRef;
        let time = Arc::new(Int64Array::from(vec![8, 9])) as ArrayRef;
        let two = batch(vec![("time", time), ("bid", wide), ("ask", numbers(&[1.0, 1.0]))]);
        let whole = Arc::new(Int64Array::from(vec![1 << 60])) as ArrayRef;
        let error = store.store_arrow([one(whole), two], defaults).unwrap_err().to_string();
        assert!(error.starts_with("bid of row 2: expected a number that a float has"), "{error}");
        let error = store.store_arrow([one(numbers(&[1.0]))], ArrowDefaults::default());
        assert!(error.unwrap_err().to_string().starts_with("symbol: expected a column"));
    }
}
