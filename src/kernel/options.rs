//! How a database is opened.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use super::schema::Upgrade;
use crate::error::{Error, Result};

/// What an acknowledged write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum Durability {
    /// Nothing: the write is acknowledged when it is queued. A flush or a close reports its error.
    Buffered,
    /// A crash or a kill of the process: the operating system has the bytes.
    #[default]
    Os,
    /// A loss of power: the disk has the bytes (one `fsync` a commit).
    Disk,
}

impl FromStr for Durability {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "buffered" => Ok(Durability::Buffered),
            "os" => Ok(Durability::Os),
            "disk" => Ok(Durability::Disk),
            _ => Err(Error::invalid("durability", "buffered, os or disk", format!("{text:?}"))),
        }
    }
}

/// What happens to a write that finds the queue full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum QueuePolicy {
    /// The caller waits for room.
    #[default]
    Wait,
    /// The caller gets [`Error::QueueFull`] at once.
    Refuse,
}

/// A set of choices for a kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Profile {
    /// 16 MiB of page cache a connection, a checkpoint every 16 MiB of log.
    #[default]
    Balanced,
    /// 128 MiB of page cache, a checkpoint every 64 MiB of log: for bulk writes.
    Throughput,
    /// 2 MiB of page cache, a checkpoint every 4 MiB of log.
    Small,
}

impl Profile {
    pub(super) fn cache_kib(self) -> i64 {
        match self {
            Profile::Balanced => 16 << 10,
            Profile::Throughput => 128 << 10,
            Profile::Small => 2 << 10,
        }
    }

    pub(super) fn wal_bytes(self) -> i64 {
        match self {
            Profile::Balanced => 16 << 20,
            Profile::Throughput => 64 << 20,
            Profile::Small => 4 << 20,
        }
    }
}

impl FromStr for Profile {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "balanced" => Ok(Profile::Balanced),
            "throughput" => Ok(Profile::Throughput),
            "small" => Ok(Profile::Small),
            _ => {
                Err(Error::invalid("profile", "balanced, throughput or small", format!("{text:?}")))
            }
        }
    }
}

/// Opens a [`Database`](super::Database); see [`Database::builder`](super::Database::builder).
#[derive(Debug, Clone)]
pub struct Builder {
    pub(super) path: PathBuf,
    pub(super) durability: Durability,
    pub(super) profile: Profile,
    pub(super) page_size: u32,
    pub(super) queue_jobs: usize,
    pub(super) queue_policy: QueuePolicy,
    pub(super) busy_timeout: Duration,
    pub(super) upgrades: &'static [&'static Upgrade],
}

impl Builder {
    pub(super) fn new(path: &Path) -> Self {
        Builder {
            path: path.to_owned(),
            durability: Durability::default(),
            profile: Profile::default(),
            page_size: 4096,
            queue_jobs: 10_000,
            queue_policy: QueuePolicy::default(),
            busy_timeout: Duration::from_secs(30),
            upgrades: &[],
        }
    }

    /// What an acknowledged write of this handle survives; [`Durability::Os`] unless set.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Page cache and log size. The first handle of a process to a file decides.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Bytes per page of a file that is created now: a power of two from 512 to 65536; 4096 unless
    /// set. An existing file keeps its own.
    pub fn page_size(mut self, bytes: u32) -> Self {
        self.page_size = bytes;
        self
    }

    /// How many jobs may wait, and what happens to the next one; 10,000 and
    /// [`QueuePolicy::Wait`] unless set. The first handle of a process to a file decides.
    pub fn queue(mut self, jobs: usize, policy: QueuePolicy) -> Self {
        (self.queue_jobs, self.queue_policy) = (jobs.max(1), policy);
        self
    }

    /// How long a write waits for another process; 30 s unless set.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Tables of another program that may be upgraded.
    pub(crate) fn upgrade(mut self, upgrades: &'static [&'static Upgrade]) -> Self {
        self.upgrades = upgrades;
        self
    }
}
