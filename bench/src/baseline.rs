//! What every engine in the race can do.

use std::path::Path;

/// One update as the bench makes it: `id` and some attributes of `f64`, all of one length.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) timestamp: i64,
    pub(crate) ids: Vec<i64>,
    pub(crate) attributes: Vec<Vec<f64>>,
}

/// An engine. Each writes the same rows, and gives them back for comparison.
pub(crate) trait Baseline {
    /// The name in the table, with the durability of an acknowledged write.
    fn name(&self) -> &'static str;

    /// Writes the rows, one acknowledged call each or as the baseline's name says, and closes the file.
    fn write(&self, path: &Path, rows: &[Row]);

    /// All rows back, in order; `None` if the baseline cannot read.
    fn read(&self, path: &Path) -> Option<Vec<Row>>;
}
