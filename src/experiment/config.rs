//! How a simulation is logged.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::kernel::Durability;

/// When rows that were logged go into the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggingConfig {
    /// So many rows at the latest are written, in one transaction; 1,000 unless set.
    pub buffer_size: usize,
    /// Once they take so many bytes in memory they are written; no such rule unless set.
    pub buffer_bytes: Option<usize>,
    /// After so long at the latest they are written; 30 s unless set.
    pub commit_interval: Duration,
    /// What a step survives once [`log_step`](super::SimulationContext::log_step) has returned. `os` (unless set) and
    /// `disk`: it is committed then, and all that was logged before it. `buffered`: it waits with the other rows.
    pub durability: Durability,
}

impl Default for LoggingConfig {
    fn default() -> Self {
        LoggingConfig {
            buffer_size: 1_000,
            buffer_bytes: None,
            commit_interval: Duration::from_secs(30),
            durability: Durability::Os,
        }
    }
}

impl LoggingConfig {
    pub(super) fn check(&self) -> Result<()> {
        if self.buffer_size == 0 {
            return Err(Error::invalid("buffer_size", "1 or more rows", "0"));
        }
        if self.commit_interval.is_zero() {
            return Err(Error::invalid("commit_interval", "more than 0 s", "0 s"));
        }
        Ok(())
    }
}
