//! Bars, gaps and joins as Arrow record batches.

use std::sync::Arc;

use arrow_array::builder::StringDictionaryBuilder;
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, TimestampNanosecondArray, UInt64Array,
};
use arrow_schema::{Field, Schema};

use super::asof::AsOf;
use super::bars::Bar;
use super::gaps::Gap;
use super::scan::not_arrow;
use crate::error::{Error, Result};

/// A record batch of some columns, each with whether it may be null.
fn batch(columns: Vec<(&str, ArrayRef, bool)>) -> Result<RecordBatch> {
    let field = |(name, array, null): &(&str, ArrayRef, bool)| {
        Field::new(*name, array.data_type().clone(), *null)
    };
    let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let arrays = columns.into_iter().map(|(_, array, _)| array).collect();
    RecordBatch::try_new(schema, arrays).map_err(not_arrow)
}

fn times(times: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(times.collect::<TimestampNanosecondArray>().with_timezone("UTC"))
}

/// Bars as a record batch: `time` (ns, UTC), `open`, `high`, `low`, `close`, `volume`. A bar without
/// prices has NaN.
///
/// # Errors
/// [`Error::Invalid`] if Arrow does not take it.
pub fn bars_to_arrow(bars: &[Bar]) -> Result<RecordBatch> {
    let prices = |price: fn(&Bar) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(bars.iter().map(price)))
    };
    let volume = UInt64Array::from_iter_values(bars.iter().map(|bar| bar.volume));
    batch(vec![
        ("time", times(bars.iter().map(|bar| Some(bar.time_ns))), false),
        ("open", prices(|bar| bar.open), false),
        ("high", prices(|bar| bar.high), false),
        ("low", prices(|bar| bar.low), false),
        ("close", prices(|bar| bar.close), false),
        ("volume", Arc::new(volume), false),
    ])
}

/// Gaps as a record batch: `start` and `end` (ns, UTC), `length_ns`.
///
/// # Errors
/// [`Error::Invalid`] if Arrow does not take it.
pub fn gaps_to_arrow(gaps: &[Gap]) -> Result<RecordBatch> {
    let length = Int64Array::from_iter_values(gaps.iter().map(Gap::length_ns));
    batch(vec![
        ("start", times(gaps.iter().map(|gap| Some(gap.from_ns))), false),
        ("end", times(gaps.iter().map(|gap| Some(gap.to_ns))), false),
        ("length_ns", Arc::new(length), false),
    ])
}

impl AsOf {
    /// The ticks of the times that were asked for as a record batch, a row each: `time` as it was asked
    /// for, `tick_time`, `bid`, `ask`, `spread` and `lp`, null where there is no tick.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are not as many times as were asked for.
    pub fn to_arrow(&self, times_ns: &[i64]) -> Result<RecordBatch> {
        if times_ns.len() != self.indices.len() {
            let got = times_ns.len().to_string();
            return Err(Error::invalid("times", format!("{} of them", self.indices.len()), got));
        }
        let numbers = |from: &[f64]| -> ArrayRef {
            let found = self.indices.iter().map(|index| index.map(|i| from[i]));
            Arc::new(found.collect::<Float64Array>())
        };
        let mut lp = StringDictionaryBuilder::<Int32Type>::new();
        for index in &self.indices {
            lp.append_option(index.map(|i| self.ticks.get(i).lp));
        }
        let ticks = &self.ticks;
        batch(vec![
            ("time", times(times_ns.iter().map(|time| Some(*time))), false),
            ("tick_time", times(self.indices.iter().map(|p| p.map(|i| ticks.time_ns[i]))), true),
            ("bid", numbers(&ticks.bid), true),
            ("ask", numbers(&ticks.ask), true),
            ("spread", numbers(&ticks.spread), true),
            ("lp", Arc::new(lp.finish()), true),
        ])
    }
}
