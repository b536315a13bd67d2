//! Growth under control: how many episodes of a context are kept, and for how long.

use std::collections::HashMap;
use std::str::FromStr;

use super::store::{MemoryStore, finite, now};
use crate::error::{Error, Result};
use crate::kernel::{ReadTx, WriteTx};

/// Which episodes go when there are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Evict {
    /// Those of the earliest time.
    #[default]
    Oldest,
    /// Those of the lowest priority, of one priority the oldest.
    LowestPriority,
}

impl Evict {
    fn name(self) -> &'static str {
        match self {
            Evict::Oldest => "oldest",
            Evict::LowestPriority => "lowest_priority",
        }
    }
}

impl FromStr for Evict {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "oldest" => Ok(Evict::Oldest),
            "lowest_priority" => Ok(Evict::LowestPriority),
            other => {
                Err(Error::invalid("evict", "oldest or lowest_priority", format!("{other:?}")))
            }
        }
    }
}

/// How much of a context is kept.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct Limit {
    /// Seconds after which an episode goes; `None` for never.
    pub max_age: Option<f64>,
    /// The most episodes; `None` for any number.
    pub capacity: Option<u64>,
    /// Which go when there are more.
    pub evict: Evict,
}

impl Limit {
    fn check(&self) -> Result<()> {
        if let Some(age) = self.max_age
            && finite("max_age", age)? < 0.0
        {
            return Err(Error::invalid("max_age", "seconds, not negative", age.to_string()));
        }
        if self.max_age.is_none() && self.capacity.is_none() {
            return Err(Error::invalid("a limit", "max_age or capacity", "neither"));
        }
        Ok(())
    }

    /// How many may be there beyond the capacity before some go: to find the lowest priority takes a read of all.
    fn slack(&self) -> u64 {
        match self.evict {
            Evict::Oldest => 0,
            Evict::LowestPriority => self.capacity.unwrap_or(0) / 64,
        }
    }
}

/// What went of a context, or would go.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct Pruned {
    /// The context.
    pub context_hash: String,
    /// Episodes that are too old.
    pub expired: u64,
    /// Episodes that are too many.
    pub evicted: u64,
    /// Episodes that stay.
    pub kept: u64,
    /// Bytes of the experiences that go.
    pub bytes: u64,
}

/// What the writer knows from one transaction to the next.
#[derive(Default)]
struct Known {
    limits: Option<HashMap<Option<String>, Limit>>,
    counts: HashMap<String, u64>,
}

/// Keeps the limits of contexts in which an episode was just stored, one for each mention.
pub(super) fn after_store<'a>(
    tx: &mut WriteTx<'_>,
    contexts: impl IntoIterator<Item = &'a str>,
) -> Result<()> {
    let mut known: Known = tx.take();
    let limits = match &mut known.limits {
        Some(limits) => limits,
        none => none.insert(limits(tx)?.into_iter().collect()),
    };
    if !limits.is_empty() {
        let mut stored: HashMap<&str, u64> = HashMap::new();
        contexts.into_iter().for_each(|context| *stored.entry(context).or_default() += 1);
        for (context, added) in stored {
            let limit = limits.get(&Some(context.to_owned())).or_else(|| limits.get(&None));
            let Some(limit) = limit else { continue };
            let mut count = match known.counts.get(context) {
                Some(count) => count + added,
                None => count(tx, context)?,
            };
            let over = limit.capacity.is_some_and(|most| count > most + limit.slack());
            if over || limit.max_age.is_some() {
                let gone = prune_context(tx, context, limit, now(), Some(count))?;
                count = gone.0.kept;
                remove(tx, &gone.1)?;
            }
            known.counts.insert(context.to_owned(), count);
        }
    }
    tx.put(known);
    Ok(())
}

/// Forgets how many episodes contexts have: for work that moves or removes some.
pub(super) fn forget(tx: &mut WriteTx<'_>) {
    drop(tx.take::<Known>());
}

fn count(tx: &ReadTx<'_>, context: &str) -> Result<u64> {
    let sql = "SELECT count(*) FROM episodes WHERE context_hash = ?1";
    Ok(tx.query_one(sql, [context], |row| Ok(row.get::<_, i64>(0)?))?.unwrap_or(0) as u64)
}

fn remove(tx: &WriteTx<'_>, ids: &[i64]) -> Result<()> {
    for id in ids {
        tx.execute("DELETE FROM episodes WHERE id = ?1", [id])?;
    }
    Ok(())
}

/// What is to go of a context, and the ids.
fn prune_context(
    tx: &ReadTx<'_>,
    context: &str,
    limit: &Limit,
    now: f64,
    known: Option<u64>,
) -> Result<(Pruned, Vec<i64>)> {
    let cutoff = limit.max_age.map_or(f64::NEG_INFINITY, |age| now - age);
    let id = |row: &rusqlite::Row<'_>| Ok(row.get::<_, i64>(0)?);
    let sql = "SELECT id FROM episodes WHERE context_hash = ?1 AND timestamp < ?2";
    let mut ids = match limit.max_age {
        Some(_) => tx.query(sql, (context, cutoff), id)?,
        None => Vec::new(),
    };
    let all = known.map_or_else(|| count(tx, context), Ok)?;
    let expired = ids.len() as u64;
    let left = all.saturating_sub(expired);
    let evicted = limit.capacity.map_or(0, |most| left.saturating_sub(most));
    if evicted > 0 {
        let order = match limit.evict {
            Evict::Oldest => "timestamp, id",
            Evict::LowestPriority => {
                "coalesce((SELECT priority FROM episode_priorities WHERE episode_id = episodes.id), 1.0), \
                 timestamp, id"
            }
        };
        let sql = format!(
            "SELECT id FROM episodes WHERE context_hash = ?1 AND timestamp >= ?2 ORDER BY {order} LIMIT ?3"
        );
        ids.extend(tx.query(&sql, (context, cutoff, evicted as i64), id)?);
    }
    let pruned = Pruned {
        context_hash: context.to_owned(),
        expired,
        evicted,
        kept: left - evicted,
        bytes: 0,
    };
    Ok((pruned, ids))
}

fn limits(tx: &ReadTx<'_>) -> Result<Vec<(Option<String>, Limit)>> {
    let sql =
        "SELECT context_hash, max_age, capacity, evict FROM memory_limit ORDER BY context_hash";
    tx.query(sql, [], |row| {
        let limit = Limit {
            max_age: row.get(1)?,
            capacity: row.get::<_, Option<i64>>(2)?.map(|n| n.max(0) as u64),
            evict: row.get::<_, String>(3)?.parse()?,
        };
        Ok((row.get(0)?, limit))
    })
}

/// What goes by some limits, and all the ids.
fn plan(tx: &ReadTx<'_>, limits: &[(Option<String>, Limit)]) -> Result<Vec<(Pruned, Vec<i64>)>> {
    let own = |context: &str| limits.iter().any(|(name, _)| name.as_deref() == Some(context));
    let now = now();
    let mut plan = Vec::new();
    for (context, limit) in limits {
        let contexts = match context {
            Some(context) => vec![context.clone()],
            None => {
                let mut all = contexts(tx)?;
                all.retain(|context| !own(context));
                all
            }
        };
        for context in contexts {
            let (mut pruned, ids) = prune_context(tx, &context, limit, now, None)?;
            for id in &ids {
                let sql = "SELECT length(experience_data) FROM episodes WHERE id = ?1";
                let bytes = tx.query_one(sql, [id], |row| Ok(row.get::<_, i64>(0)?))?;
                pruned.bytes += bytes.unwrap_or(0) as u64;
            }
            if !ids.is_empty() {
                plan.push((pruned, ids));
            }
        }
    }
    Ok(plan)
}

/// The contexts, each by a step in the index.
fn contexts(tx: &ReadTx<'_>) -> Result<Vec<String>> {
    let mut all: Vec<String> = Vec::new();
    loop {
        let next = match all.last() {
            None => {
                tx.query_one("SELECT min(context_hash) FROM episodes", [], |row| Ok(row.get(0)?))?
            }
            Some(last) => {
                let sql = "SELECT min(context_hash) FROM episodes WHERE context_hash > ?1";
                tx.query_one(sql, [last], |row| Ok(row.get(0)?))?
            }
        };
        match next.flatten() {
            Some(context) => all.push(context),
            None => return Ok(all),
        }
    }
}

impl MemoryStore {
    /// Says how much of a context is kept, from now on, whoever stores; `None` as the context is for all that have no
    /// limit of their own, `None` as the limit takes it away. Each store of an episode keeps the limit of its context, by
    /// [`Evict::LowestPriority`] within a sixty-fourth. What is there already goes with the next one, or with
    /// [`prune`](Self::prune).
    ///
    /// # Errors
    /// [`Error::Invalid`] for a limit that says nothing, or a negative age.
    pub fn set_limit(&self, context_hash: Option<&str>, limit: Option<Limit>) -> Result<()> {
        limit.map_or(Ok(()), |limit| limit.check())?;
        let context = context_hash.map(str::to_owned);
        self.write(move |tx| {
            forget(tx);
            tx.execute("DELETE FROM memory_limit WHERE context_hash IS ?1", [&context])?;
            if let Some(limit) = limit {
                let capacity = limit.capacity.map(|n| i64::try_from(n).unwrap_or(i64::MAX));
                tx.execute(
                    "INSERT INTO memory_limit VALUES (?1, ?2, ?3, ?4, silt_row_sum(?1, ?2, ?3, ?4))",
                    (&context, limit.max_age, capacity, limit.evict.name()),
                )?;
            }
            Ok(())
        })
    }

    /// The limits that hold; the one without a context is for all others.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read.
    pub fn limits(&self) -> Result<Vec<(Option<String>, Limit)>> {
        self.read(limits)
    }

    /// Removes what the limits do not keep, and gives the room back to the file system; a dry run only says what would go.
    /// Contexts of which nothing goes are not named.
    ///
    /// # Errors
    /// As any write; then nothing is removed.
    pub fn prune(&self, dry_run: bool) -> Result<Vec<Pruned>> {
        let limits = self.limits()?;
        self.prune_by(limits, dry_run)
    }

    /// As [`prune`](Self::prune), once, by a limit of the caller's own: for one context, or for each.
    ///
    /// # Errors
    /// As [`set_limit`](Self::set_limit) and [`prune`](Self::prune).
    pub fn prune_to(
        &self,
        context_hash: Option<&str>,
        limit: Limit,
        dry_run: bool,
    ) -> Result<Vec<Pruned>> {
        limit.check()?;
        self.prune_by(vec![(context_hash.map(str::to_owned), limit)], dry_run)
    }

    fn prune_by(&self, limits: Vec<(Option<String>, Limit)>, dry_run: bool) -> Result<Vec<Pruned>> {
        let names =
            |plan: Vec<(Pruned, Vec<i64>)>| plan.into_iter().map(|(pruned, _)| pruned).collect();
        if dry_run {
            return Ok(names(self.read(|tx| plan(tx, &limits))?));
        }
        let gone = self.write(move |tx| {
            forget(tx);
            let plan = plan(tx, &limits)?;
            plan.iter().try_for_each(|(_, ids)| remove(tx, ids))?;
            Ok(plan)
        })?;
        if !gone.is_empty() && !self.db.is_in_transaction() {
            self.db.vacuum()?;
        }
        Ok(names(gone))
    }
}
