//! The symbols of a store, each with what memory holds of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::bars::Minutes;
use super::config::TickStoreConfig;
use super::ring::Ring;
use super::throttle::LastPrices;
use super::tick::check_symbol;
use crate::error::{Error, Result};

/// Sources of one symbol that are known without asking the store.
const KNOWN_SOURCES: usize = 8;
/// The most symbols in one store.
const MAX_SYMBOLS: usize = 1 << 20;

/// One symbol.
#[derive(Debug)]
pub(super) struct Symbol {
    pub(super) name: Arc<str>,
    pub(super) number: u32,
    state: Mutex<State>,
}

/// What memory holds of a symbol. Lock order: this, then the queue.
#[derive(Debug)]
pub(super) struct State {
    pub(super) ring: Ring,
    pub(super) last: LastPrices,
    pub(super) minutes: Minutes,
    pub(super) sources: Vec<(String, u32)>,
    pub(super) counts: Counts,
    /// The ring holds the last ticks of all, those on the disk too.
    pub(super) complete: bool,
}

/// Counters of a symbol.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) received: u64,
    pub(super) stored: u64,
    pub(super) throttled: u64,
    pub(super) dropped: u64,
    /// By bit of [`quality`](super::quality).
    pub(super) odd: [u64; 7],
}

impl Symbol {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The number of a source if this symbol had it lately.
    pub(super) fn source(&self, lp: &str) -> Option<u32> {
        self.sources.iter().find(|(known, _)| known == lp).map(|(_, number)| *number)
    }

    pub(super) fn remember_source(&mut self, lp: &str, number: u32) {
        if self.sources.len() == KNOWN_SOURCES {
            self.sources.remove(0);
        }
        self.sources.push((lp.to_owned(), number));
    }
}

/// All symbols, by name and by number.
#[derive(Debug, Default)]
pub(super) struct Symbols(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    by_name: HashMap<Arc<str>, Arc<Symbol>>,
    by_number: Vec<Arc<Symbol>>,
}

impl Symbols {
    pub(super) fn get(&self, name: &str) -> Option<Arc<Symbol>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).by_name.get(name).cloned()
    }

    /// Runs `work` with a symbol, a new one if it is new.
    pub(super) fn with<T>(
        &self,
        name: &str,
        config: &TickStoreConfig,
        valid_from_ns: i64,
        work: impl FnOnce(&Symbol) -> Result<T>,
    ) -> Result<T> {
        // Not under the lock: `work` may wait for room in the queue, and the writer comes here.
        if let Some(symbol) = self.get(name) {
            return work(&symbol);
        }
        check_symbol(name)?;
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.by_number.len() == MAX_SYMBOLS && !known.by_name.contains_key(name) {
            let expected = format!("at most {MAX_SYMBOLS} of them in one store");
            return Err(Error::invalid("symbol", expected, format!("{name:?}")));
        }
        let number = known.by_number.len() as u32;
        let symbol = known.by_name.get(name).cloned().unwrap_or_else(|| {
            let state = State {
                ring: Ring::new(config.max_ticks_per_symbol),
                last: LastPrices::default(),
                minutes: Minutes::new(config.max_bars_per_symbol, valid_from_ns),
                sources: Vec::new(),
                counts: Counts::default(),
                complete: false,
            };
            Arc::new(Symbol { name: name.into(), number, state: Mutex::new(state) })
        });
        if symbol.number == number {
            known.by_number.push(symbol.clone());
            known.by_name.insert(symbol.name.clone(), symbol.clone());
        }
        drop(known);
        work(&symbol)
    }

    pub(super) fn all(&self) -> Vec<Arc<Symbol>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).by_number.clone()
    }
}
