//! Functions of series: each takes a series and gives a new one, and keeps nothing.
//!
//! ```
//! use siltstone::series::Series;
//! use siltstone::series::process::{Aggregation, Frequency, resample};
//!
//! let half_hours = [0, 1_800_000_000_000, 3_600_000_000_000];
//! let flow = Series::from_times_ns(&half_hours, &[1.0, 3.0, 5.0])?;
//! let hourly = resample(&flow, &Frequency::parse("1h")?, Aggregation::Mean)?;
//! assert_eq!(hourly.to_f64s(), Some(vec![2.0, 5.0]));
//! # Ok::<(), siltstone::Error>(())
//! ```
//!
//! - A missing value is an Arrow null or NaN: both are left out of every sum and filled by every interpolation.
//!   Where a result has no value, it is NaN; or null, if the series had nulls or a dtype that knows them.
//! - Times are compared by their index values: order and duplicates are as [`Series`] keeps them.
//! - Local time (days, weeks, months, partial dates) is that of the zone of the index, by the time zone
//!   database that is built in. Where the clocks go back, a local time that comes twice means the first; where they go
//!   forward, a local time that does not come means the instant of the change.

mod aggregate;
mod average;
mod bins;
mod datetime;
mod frequency;
mod interpolate;
mod normalize;
mod predict;
mod replace;
mod resample;
mod subset;
mod time_index;
mod timespan;

pub use aggregate::Aggregation;
pub use average::average;
pub(super) use datetime::{Clock, Cursor, Shown};
pub use datetime::{parse_time, parse_time_end};
pub use frequency::Frequency;
pub use interpolate::{By, interpolate};
pub use normalize::normalize_index;
pub use predict::predict_from_previous_point;
pub use replace::{Replacement, replace_ranges};
pub use resample::resample;
pub use subset::{label_range, subset, subset_rank};
pub use timespan::parse_timespan;

use super::data::Series;
use super::index::{IndexRange, IndexValue, IndexValues};
