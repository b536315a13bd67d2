//! The plainest prediction.

use super::Series;
use super::time_index::TimeIndex;
use crate::error::Result;

/// The series itself, as a prediction of the step after each point: that nothing changes. Who keeps it says that
/// it is one step ahead.
///
/// # Errors
/// [`Error::InvalidIndex`](crate::Error::InvalidIndex) for an index of something else than times or spans.
///
/// # Example
/// ```
/// use siltstone::series::Series;
/// use siltstone::series::process::predict_from_previous_point;
/// let series = Series::from_times_ns(&[0, 1], &[4.0, 5.0])?;
/// assert_eq!(predict_from_previous_point(&series)?, series);
/// # Ok::<(), siltstone::Error>(())
/// ```
pub fn predict_from_previous_point(series: &Series) -> Result<Series> {
    TimeIndex::of("predict from the previous point", series)?;
    Ok(series.clone())
}
