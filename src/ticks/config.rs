//! How a tick store is set up.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::throttle::Throttle;
use crate::error::{Error, Result};
use crate::kernel::Durability;

/// Where ticks are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum StorageBackend {
    /// One JSON file a symbol and day, as the RTX engine writes them.
    #[default]
    Json,
    /// One SQLite file a day.
    Sqlite,
    /// Both.
    Dual,
}

impl StorageBackend {
    /// The name as it is typed: `json`, `sqlite`, `dual`.
    pub fn name(self) -> &'static str {
        match self {
            StorageBackend::Json => "json",
            StorageBackend::Sqlite => "sqlite",
            StorageBackend::Dual => "dual",
        }
    }
}

impl FromStr for StorageBackend {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "json" | "" => Ok(StorageBackend::Json),
            "sqlite" => Ok(StorageBackend::Sqlite),
            "dual" => Ok(StorageBackend::Dual),
            _ => Err(Error::invalid("backend", "json, sqlite or dual", format!("{text:?}"))),
        }
    }
}

/// What happens to a tick that finds the write queue full. In every case it is in the ring, unless
/// the call returns an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum QueueFull {
    /// It is not written; counted, and reported by the call.
    #[default]
    DropNewest,
    /// The oldest waiting tick is not written, in its place; counted.
    DropOldest,
    /// The call waits for room.
    Block,
    /// The call returns [`Error::QueueFull`], and the tick is nowhere.
    Error,
}

impl FromStr for QueueFull {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "drop_newest" => Ok(QueueFull::DropNewest),
            "drop_oldest" => Ok(QueueFull::DropOldest),
            "block" => Ok(QueueFull::Block),
            "error" => Ok(QueueFull::Error),
            _ => {
                let expected = "drop_newest, drop_oldest, block or error";
                Err(Error::invalid("queue policy", expected, format!("{text:?}")))
            }
        }
    }
}

/// What happens to a tick whose symbol and time are stored already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Duplicates {
    /// It is another tick: real feeds give several quotes one stamp.
    #[default]
    KeepAll,
    /// The stored one stays, the new one is dropped and counted. With
    /// [`TickStoreConfig::duplicate_key_ns`] at a millisecond this is the RTX engine's rule.
    First,
    /// The new one takes its place; the old one is counted.
    Last,
    /// It is dropped and counted if it is equal in everything: time, bid, ask, spread, source.
    ExactRow,
    /// It is refused: a batch as a whole, a single tick in the next report of
    /// [`TickStore::flush`](super::TickStore::flush).
    Error,
}

impl FromStr for Duplicates {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "keep_all" => Ok(Duplicates::KeepAll),
            "first" => Ok(Duplicates::First),
            "last" => Ok(Duplicates::Last),
            "exact_row" => Ok(Duplicates::ExactRow),
            "error" => Ok(Duplicates::Error),
            _ => {
                let expected = "keep_all, first, last, exact_row or error";
                Err(Error::invalid("duplicates", expected, format!("{text:?}")))
            }
        }
    }
}

/// How a [`TickStore`](super::TickStore) works. The defaults are those of the description.
#[derive(Debug, Clone)]
pub struct TickStoreConfig {
    /// The broker's name, kept with each tick; 1 to 64 bytes.
    pub broker_id: String,
    /// The most ticks of a symbol in memory; 10,000.
    pub max_ticks_per_symbol: usize,
    /// Where ticks are kept; [`StorageBackend::Json`].
    pub backend: StorageBackend,
    /// Folder of the SQLite files; `data/ticks/db`.
    pub sqlite_base_path: PathBuf,
    /// Writes JSON files beside [`StorageBackend::Sqlite`] too; true. The other two backends write
    /// them in any case.
    pub enable_json_legacy: bool,
    /// Folder of the JSON files; `data/ticks`.
    pub json_base_path: PathBuf,
    /// Offset from UTC, in seconds, that times in JSON files are written with; 0.
    pub utc_offset_s: i32,
    /// How many ticks may wait to be written; 10,000.
    pub queue_size: usize,
    /// What happens to the next one; [`QueueFull::DropNewest`].
    pub queue_full: QueueFull,
    /// How many ticks are written in one transaction; 500.
    pub batch_size: usize,
    /// How long a tick waits for others at the most; 5 s.
    pub flush_interval: Duration,
    /// What a tick that a flush has reported as written survives; [`Durability::Os`].
    pub durability: Durability,
    /// Which ticks are left out; none.
    pub throttle: Throttle,
    /// What happens to a repeated symbol and time; [`Duplicates::KeepAll`].
    pub duplicates: Duplicates,
    /// Times within one such span count as one time for `duplicates`; 1 ns.
    pub duplicate_key_ns: i64,
    /// A day is compacted when it has been over for so many days, by the store itself or by
    /// [`TickStore::compact_finished`](super::TickStore::compact_finished); 7.
    pub compact_after_days: u32,
    /// How often the store itself looks for days that have been over for so long, and compacts them, in
    /// a thread of its own; 10 minutes, for the first time after one. `None`: never.
    pub compact_every: Option<Duration>,
    /// Where batches go that cannot be written; a folder `spill` in the folder of the files.
    pub spill_path: Option<PathBuf>,
    /// One-minute bars of a symbol kept in memory; 10,080, a week.
    pub max_bars_per_symbol: usize,
}

impl Default for TickStoreConfig {
    fn default() -> Self {
        TickStoreConfig {
            broker_id: "default".into(),
            max_ticks_per_symbol: 10_000,
            backend: StorageBackend::default(),
            sqlite_base_path: "data/ticks/db".into(),
            enable_json_legacy: true,
            json_base_path: "data/ticks".into(),
            utc_offset_s: 0,
            queue_size: 10_000,
            queue_full: QueueFull::default(),
            batch_size: 500,
            flush_interval: Duration::from_secs(5),
            durability: Durability::default(),
            throttle: Throttle::default(),
            duplicates: Duplicates::default(),
            duplicate_key_ns: 1,
            compact_after_days: 7,
            compact_every: Some(Duration::from_secs(600)),
            spill_path: None,
            max_bars_per_symbol: 7 * 24 * 60,
        }
    }
}

impl TickStoreConfig {
    /// SQLite alone: the preset for production.
    pub fn production(broker_id: impl Into<String>) -> Self {
        TickStoreConfig {
            broker_id: broker_id.into(),
            backend: StorageBackend::Sqlite,
            enable_json_legacy: false,
            ..TickStoreConfig::default()
        }
    }

    /// SQLite and JSON: the preset for the time of a migration.
    pub fn migration(broker_id: impl Into<String>) -> Self {
        TickStoreConfig {
            broker_id: broker_id.into(),
            backend: StorageBackend::Dual,
            ..TickStoreConfig::default()
        }
    }

    /// JSON files alone: the default of the RTX engine.
    pub fn json(broker_id: impl Into<String>, max_ticks_per_symbol: usize) -> Self {
        TickStoreConfig {
            broker_id: broker_id.into(),
            max_ticks_per_symbol,
            ..TickStoreConfig::default()
        }
    }

    pub(super) fn writes_sqlite(&self) -> bool {
        self.backend != StorageBackend::Json
    }

    pub(super) fn writes_json(&self) -> bool {
        self.backend != StorageBackend::Sqlite || self.enable_json_legacy
    }

    pub(super) fn spill_folder(&self) -> PathBuf {
        let base = if self.writes_sqlite() { &self.sqlite_base_path } else { &self.json_base_path };
        self.spill_path.clone().unwrap_or_else(|| base.join("spill"))
    }

    /// Where ticks go that JSON files did not take.
    pub(super) fn json_spill_folder(&self) -> PathBuf {
        let own = self.spill_path.as_ref().map(|path| path.join("json"));
        own.unwrap_or_else(|| self.json_base_path.join("spill-json"))
    }

    pub(super) fn check(&self) -> Result<()> {
        let number = |what: &str, n: usize, most: usize| {
            if (1..=most).contains(&n) {
                return Ok(());
            }
            Err(Error::invalid(what, format!("1 to {most}"), n.to_string()))
        };
        if self.broker_id.is_empty() || self.broker_id.len() > 64 {
            let got = format!("{:?}", self.broker_id);
            return Err(Error::invalid("broker_id", "1 to 64 bytes", got));
        }
        number("max_ticks_per_symbol", self.max_ticks_per_symbol, 1 << 30)?;
        number("queue_size", self.queue_size, 1 << 30)?;
        number("batch_size", self.batch_size, 1 << 20)?;
        number("max_bars_per_symbol", self.max_bars_per_symbol, 1 << 30)?;
        if self.duplicate_key_ns < 1 {
            let got = self.duplicate_key_ns.to_string();
            return Err(Error::invalid("duplicate_key_ns", "1 or more", got));
        }
        if self.utc_offset_s % 60 != 0 || self.utc_offset_s.abs() >= 86_400 {
            let got = self.utc_offset_s.to_string();
            return Err(Error::invalid("utc_offset_s", "whole minutes within a day", got));
        }
        if self.writes_json() && self.duplicates != Duplicates::KeepAll {
            let got = format!("{:?} with JSON files", self.duplicates);
            return Err(Error::invalid("duplicates", "KeepAll where JSON is written", got));
        }
        Ok(())
    }
}
