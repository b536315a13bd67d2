//! How far a long call is.

use crate::error::Result;

/// A function that a long call tells how far it is: units done, and units in all. The call says what a unit is: a file, a
/// row, a point. Where nobody knows how many there are, units in all are 0. It may be called from another thread.
///
/// An error that it returns stops the call, which returns that error.
///
/// # Example
/// ```no_run
/// use siltstone::Database;
/// let db = Database::builder("run.db").open()?;
/// db.backup_with("copy.db".as_ref(), &mut |done, all| {
///     eprint!("\r{done} of {all} pages");
///     Ok(())
/// })?;
/// # Ok::<(), siltstone::Error>(())
/// ```
pub type Progress<'a> = dyn FnMut(u64, u64) -> Result<()> + Send + 'a;
