//! Ticks as a stream of Arrow record batches.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, DictionaryArray, Float64Array, Int32Array, RecordBatch, StringArray,
    TimestampNanosecondArray, types::Int32Type,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::calendar::Day;
use super::read::{Cursor, Target};
use super::store::TickStore;
use super::tick::{Origin, Ticks, Wanted};
use crate::error::{Error, Result};
use crate::table::Batches;

/// The columns of [`TickStore::scan`]: `symbol`, `time` (ns, UTC), `bid`, `ask`, `spread`, `lp`,
/// `broker_id`; the texts as dictionaries.
pub fn scan_schema() -> SchemaRef {
    let text = || DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into());
    let time = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
    let field = |name: &str, kind| Field::new(name, kind, false);
    Arc::new(Schema::new(vec![
        field("symbol", text()),
        field("time", time),
        field("bid", DataType::Float64),
        field("ask", DataType::Float64),
        field("spread", DataType::Float64),
        field("lp", text()),
        field("broker_id", text()),
    ]))
}

/// Ticks of one symbol as a record batch of [`scan_schema`].
///
/// # Errors
/// [`Error::Invalid`] if Arrow does not take it, which more than 2^31 ticks would be.
pub fn to_arrow(ticks: &Ticks) -> Result<RecordBatch> {
    into_arrow(ticks.clone())
}

/// As [`to_arrow`], without copying the numbers.
///
/// # Errors
/// As [`to_arrow`].
pub fn into_arrow(ticks: Ticks) -> Result<RecordBatch> {
    let n = ticks.len();
    let words = |keys: Int32Array, words: Vec<&str>| -> Result<ArrayRef> {
        let words = Arc::new(StringArray::from(words));
        let array = DictionaryArray::<Int32Type>::try_new(keys, words).map_err(not_arrow)?;
        Ok(Arc::new(array))
    };
    // A dictionary has each word once: pandas takes no other.
    let of_origins = |word: fn(&Origin) -> &str| {
        let mut different: Vec<&str> = Vec::new();
        let index_of = |origin| {
            let word = word(origin);
            let known = different.iter().position(|known| *known == word);
            known.unwrap_or_else(|| {
                different.push(word);
                different.len() - 1
            }) as i32
        };
        let indices: Vec<i32> = ticks.origins().iter().map(index_of).collect();
        let keys = ticks.origin.iter().map(|n| indices[*n as usize]);
        words(Int32Array::from_iter_values(keys), different)
    };
    let symbol = words(Int32Array::from(vec![0; n]), vec![ticks.symbol()])?;
    let lp = of_origins(|origin| &origin.lp)?;
    let broker_id = of_origins(|origin| &origin.broker_id)?;
    let columns: Vec<ArrayRef> = vec![
        symbol,
        Arc::new(TimestampNanosecondArray::from(ticks.time_ns).with_timezone("UTC")),
        Arc::new(Float64Array::from(ticks.bid)),
        Arc::new(Float64Array::from(ticks.ask)),
        Arc::new(Float64Array::from(ticks.spread)),
        lp,
        broker_id,
    ];
    RecordBatch::try_new(scan_schema(), columns).map_err(not_arrow)
}

pub(super) fn not_arrow(error: arrow_schema::ArrowError) -> Error {
    Error::invalid("the ticks", "a table that Arrow takes", error.to_string())
}

/// Where a scan is.
pub(super) struct Scan {
    store: TickStore,
    /// Symbols still to come, the next one last.
    symbols: Vec<String>,
    at: Option<(Target, Vec<Day>, Option<Cursor>)>,
    from_ns: i64,
    to_ns: i64,
    /// Days that were read since they were last taken.
    days_read: Vec<Day>,
}

impl Scan {
    /// The ticks of some symbols from one time to another, both inclusive.
    pub(super) fn new(
        store: &TickStore,
        mut symbols: Vec<String>,
        from_ns: i64,
        to_ns: i64,
    ) -> Self {
        symbols.reverse();
        Scan { store: store.clone(), symbols, at: None, from_ns, to_ns, days_read: Vec::new() }
    }

    /// The days that were read since this was last called.
    pub(super) fn take_days(&mut self) -> Vec<Day> {
        std::mem::take(&mut self.days_read)
    }

    /// Some ten thousand ticks of one symbol; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Ticks>> {
        loop {
            let Some((target, days, cursor)) = &mut self.at else {
                let Some(symbol) = self.symbols.pop() else { return Ok(None) };
                let target = self.store.shared.target(&symbol)?;
                let mut days = self.store.shared.days_between(&target, self.from_ns, self.to_ns)?;
                days.reverse();
                self.at = Some((target, days, None));
                continue;
            };
            let Some(day) = days.last().copied() else {
                self.at = None;
                continue;
            };
            let begin = Cursor { time_ns: self.from_ns.max(day.first_ns()), skip: 0 };
            if cursor.is_none() {
                self.days_read.push(day);
            }
            let at = cursor.unwrap_or(begin);
            let shared = &self.store.shared;
            let (mut ticks, next) = shared.step(
                target,
                day,
                at,
                self.to_ns,
                Wanted::All,
                Ticks::new(target.name.clone()),
            )?;
            *cursor = next;
            if next.is_none() {
                days.pop();
            }
            if !ticks.is_empty() {
                ticks.origins = shared.origins.all();
                return Ok(Some(ticks));
            }
        }
    }
}

impl TickStore {
    /// The ticks of some symbols, or of all, from one time to another, both inclusive, as a stream of
    /// record batches of [`scan_schema`]: symbol by symbol, each rising in time. At most some ten
    /// thousand ticks are in memory, whatever the range.
    ///
    /// A tick that arrives during the scan is seen if its time is still ahead.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a symbol that is none; the stream gives what the disk says.
    pub fn scan(&self, symbols: Option<&[&str]>, from_ns: i64, to_ns: i64) -> Result<Batches> {
        let symbols: Vec<String> = match symbols {
            Some(symbols) => symbols.iter().map(|symbol| (*symbol).to_owned()).collect(),
            None => self.symbols()?,
        };
        symbols.iter().try_for_each(|symbol| super::tick::check_symbol(symbol))?;
        let mut scan = Scan::new(self, symbols, from_ns, to_ns);
        Ok(Batches::new(scan_schema(), move || scan.next()?.map(into_arrow).transpose()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: sources that differ only in what the column does not show are one word of it.
    #[test]
    fn dictionaries_have_each_word_once() {
        let origin =
            |lp: &str, utc_offset_s| Origin { lp: lp.into(), broker_id: "b".into(), utc_offset_s };
        let mut ticks = Ticks::new("EURUSD".into());
        ticks.origins = Arc::new(vec![origin("A", 0), origin("B", 0), origin("A", 60)]);
        for n in [2, 1, 0] {
            let row =
                super::super::tick::Row { time_ns: 0, bid: 1.0, ask: 1.0, spread: 0.0, origin: n };
            ticks.push(&row);
        }
        let batch = to_arrow(&ticks).unwrap();
        let of = |name: &str| {
            let column = batch.column_by_name(name).unwrap();
            let column = column.as_any().downcast_ref::<DictionaryArray<Int32Type>>().unwrap();
            (column.keys().values().to_vec(), column.values().len())
        };
        assert_eq!(of("lp"), (vec![0, 1, 0], 2));
        assert_eq!(of("broker_id"), (vec![0, 0, 0], 1));
    }
}
