//! An index of times or of time spans, as integers of its unit.

use arrow_array::{ArrayRef, PrimitiveArray, types};
use arrow_schema::{DataType, TimeUnit};
use jiff::SignedDuration;
use std::sync::Arc;

use super::datetime::{DAY_SECONDS, Zone, out_of_range};
use super::{IndexValues, Series};
use crate::array::per_second;
use crate::error::{Error, Result};

/// An index of times or of time spans.
pub(super) struct TimeIndex {
    /// The zone of the times; `None` for time spans.
    pub(super) zone: Option<Zone>,
    pub(super) unit: TimeUnit,
    /// The index values, in the order of the series.
    pub(super) values: Vec<i64>,
}

impl TimeIndex {
    /// The index of a series.
    pub(super) fn of(what: &str, series: &Series) -> Result<Self> {
        let (zone, unit) = match series.index().data_type() {
            DataType::Timestamp(unit, zone) => {
                let zone = zone.as_deref().map(Zone::parse).transpose()?;
                (Some(zone.unwrap_or_default()), *unit)
            }
            DataType::Duration(unit) => (None, *unit),
            other => {
                let expected = "an index of times or of time spans";
                return Err(Error::invalid_index(what, expected, format!("one of {other}")));
            }
        };
        // A period of pandas is an integer here, and was refused above.
        let IndexValues::Int(values) = IndexValues::of(series.index())? else {
            unreachable!("times and spans are integers")
        };
        Ok(TimeIndex { zone, unit, values: values.to_vec() })
    }

    pub(super) fn per_second(&self) -> i64 {
        per_second(self.unit)
    }

    /// The day of a time, by the clocks of its zone.
    pub(super) fn day(&self, zone: &Zone, time: i64) -> Result<i64> {
        zone.day(time.div_euclid(self.per_second()))
    }

    /// The time at which a day begins, by the clocks of the zone.
    pub(super) fn start_of_day(&self, zone: &Zone, day: i64) -> Result<i64> {
        let second = zone.start_of_day(day)?;
        second.checked_mul(self.per_second()).ok_or_else(|| out_of_range(second))
    }

    /// One of its values, as a text.
    pub(super) fn show(&self, row: usize) -> String {
        let ns = i128::from(self.values[row]) * ns_of(self.unit);
        match &self.zone {
            Some(zone) => zone.show(ns),
            None => format!("{:#}", SignedDuration::from_nanos_i128(ns)),
        }
    }

    /// A length in ns in the unit of the index; `None` if the unit is too coarse for it.
    pub(super) fn length(&self, ns: i128) -> Option<i128> {
        let size = ns_of(self.unit);
        (ns % size == 0).then_some(ns / size)
    }

    /// Such an index of other values.
    pub(super) fn array(like: &DataType, values: Vec<i64>) -> ArrayRef {
        fn of<T: types::ArrowPrimitiveType<Native = i64>>(
            like: &DataType,
            values: Vec<i64>,
        ) -> ArrayRef {
            let array = PrimitiveArray::<T>::from_iter_values(values);
            Arc::new(array.with_data_type(like.clone()))
        }
        use TimeUnit as U;
        match like {
            DataType::Timestamp(U::Second, _) => of::<types::TimestampSecondType>(like, values),
            DataType::Timestamp(U::Millisecond, _) => {
                of::<types::TimestampMillisecondType>(like, values)
            }
            DataType::Timestamp(U::Microsecond, _) => {
                of::<types::TimestampMicrosecondType>(like, values)
            }
            DataType::Timestamp(U::Nanosecond, _) => {
                of::<types::TimestampNanosecondType>(like, values)
            }
            DataType::Duration(U::Second) => of::<types::DurationSecondType>(like, values),
            DataType::Duration(U::Millisecond) => {
                of::<types::DurationMillisecondType>(like, values)
            }
            DataType::Duration(U::Microsecond) => {
                of::<types::DurationMicrosecondType>(like, values)
            }
            DataType::Duration(U::Nanosecond) => of::<types::DurationNanosecondType>(like, values),
            other => unreachable!("{other} is neither a time nor a span"),
        }
    }
}

/// The ns of a unit.
pub(super) fn ns_of(unit: TimeUnit) -> i128 {
    i128::from(1_000_000_000 / per_second(unit))
}

/// The ns of a day without a change of clocks.
pub(super) const DAY_NS: i128 = DAY_SECONDS as i128 * 1_000_000_000;
