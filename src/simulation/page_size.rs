//! Which pages a new file gets: large ones if its arrays are.

use std::sync::{Mutex, PoisonError};

use super::prepare::Prepared;
use crate::error::Result;
use crate::kernel::Database;

/// The pages of a file of large arrays.
///
/// # Source
/// Measured with `bench`: arrays of 8,000 bytes are read 1.8 times as fast as with pages of 4,096
/// bytes, and written 1.4 times as fast in batches; arrays of 80 bytes, each update a commit of its
/// own, are written half as fast.
const LARGE_PAGE_BYTES: u32 = 16384;
/// The mean size of an array from which they pay.
const LARGE_ARRAY_BYTES: usize = 3072;
/// Updates after which it is decided: the first one often is larger than all others.
const UPDATES: usize = 32;

/// Looks at the first updates that a handle stores.
#[derive(Debug)]
pub(super) struct PageChoice(Mutex<Option<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    updates: usize,
    arrays: usize,
    bytes: usize,
}

impl Default for PageChoice {
    fn default() -> Self {
        PageChoice(Mutex::new(Some(Seen::default())))
    }
}

impl PageChoice {
    /// Counts updates that are about to be stored, and decides once it has seen enough.
    ///
    /// # Errors
    /// As [`Database::enlarge_pages`].
    pub(super) fn measure(&self, db: &Database, updates: &[Prepared]) -> Result<()> {
        let mut choice = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seen) = &mut *choice else { return Ok(()) };
        for update in updates.iter().take(UPDATES) {
            seen.updates += 1;
            // Those of `id` are stored once, whatever their number.
            for attribute in update.attributes.iter().filter(|a| a.name != "id") {
                seen.arrays += 1;
                seen.bytes += attribute.data.stored_bytes();
            }
        }
        if seen.updates < UPDATES {
            return Ok(());
        }
        let is_large = seen.bytes >= LARGE_ARRAY_BYTES * seen.arrays.max(1);
        *choice = None;
        drop(choice);
        if is_large {
            db.enlarge_pages(LARGE_PAGE_BYTES)?;
        }
        Ok(())
    }
}
