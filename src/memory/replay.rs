//! Sampling of episodes, to learn from.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;

use super::episode::{self, Episode, priority};
use super::store::{MemoryStore, finite, sql_limit};
use super::sum_tree::{self, SumTreeOf};
use crate::error::{Error, Result};
use crate::kernel::ReadTx;

/// The most episodes of one sample by priority.
const MOST_SAMPLED: usize = 1 << 24;

/// How episodes are sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SampleMode {
    /// By their priorities, with replacement.
    #[default]
    Prioritized,
    /// Each as likely as any other, and none twice.
    Uniform,
    /// In the order in which they were stored, from where the last call of this name has ended.
    Fifo,
}

impl FromStr for SampleMode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "prioritized" => Ok(SampleMode::Prioritized),
            "uniform" => Ok(SampleMode::Uniform),
            "fifo" => Ok(SampleMode::Fifo),
            other => {
                Err(Error::invalid("mode", "prioritized, uniform or fifo", format!("{other:?}")))
            }
        }
    }
}

/// What is sampled.
#[derive(Debug, Clone)]
pub struct SampleOptions {
    /// How.
    pub mode: SampleMode,
    /// How much priorities count: 0 for not at all, 1 for in proportion.
    pub alpha: f64,
    /// How much of the bias that priorities bring the weights take back: 0 for nothing, 1 for all.
    pub beta: f64,
    /// The seed: the same episodes and seed give the same sample. By chance unless said.
    pub seed: Option<u64>,
    /// Only episodes of this context.
    pub context_hash: Option<String>,
    /// Who reads in order: each name has its own position in the file.
    pub reader: String,
}

impl Default for SampleOptions {
    fn default() -> Self {
        SampleOptions {
            mode: SampleMode::default(),
            alpha: 0.6,
            beta: 0.4,
            seed: None,
            context_hash: None,
            reader: "default".into(),
        }
    }
}

/// Sampled episodes.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Sample {
    /// The episodes, in the order of sampling.
    pub episodes: Vec<Episode>,
    /// How likely each was.
    pub probabilities: Vec<f64>,
    /// How much each counts, so that the mean over many samples is that over all episodes: (N P)^-beta, divided by the
    /// greatest that any episode has.
    pub weights: Vec<f64>,
}

/// Numbers that look as if by chance.
///
/// # Source
/// SplitMix64, by Sebastiano Vigna.
struct Chance(u64);

impl Chance {
    fn new(seed: Option<u64>) -> Self {
        Chance(seed.unwrap_or_else(|| RandomState::new().hash_one(std::time::Instant::now())))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to below 1.
    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Below `n`.
    fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }
}

impl MemoryStore {
    /// Samples `n` episodes. By priority, one is sampled of each of `n` equal parts of the mass of all priorities to the power of
    /// alpha; an episode without a [priority](crate::memory::NewEpisode::priority) has 1. Uniform samples and those in order
    /// give fewer if there are no more.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than 16,777,216 samples by priority, an alpha or beta that is negative or not finite, and if no episode can be sampled by priority,
    /// as there is none or all have 0; [`Error::Corrupt`] if an experience is not what was stored.
    ///
    /// # Source
    /// Schaul, Quan, Antonoglou, Silver: Prioritized Experience Replay, 2016.
    ///
    /// # Example
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// use siltstone::memory::{MemoryStore, NewEpisode, SampleOptions};
    /// let store = MemoryStore::open(folder.path().join("agent.db"))?;
    /// let ids = store.store_episodes((0..10).map(|i| NewEpisode::new(i, 0.5, "maze")).collect())?;
    /// store.update_priorities(&ids, &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 3.0])?;
    /// let options = SampleOptions { seed: Some(7), ..SampleOptions::default() };
    /// let sample = store.sample_episodes(4, &options)?;
    /// assert!(sample.episodes.iter().all(|episode| episode.id >= ids[8]));
    /// # Ok::<(), siltstone::Error>(())
    /// ```
    pub fn sample_episodes(&self, n: usize, options: &SampleOptions) -> Result<Sample> {
        for (what, x) in [("alpha", options.alpha), ("beta", options.beta)] {
            if finite(what, x)? < 0.0 {
                return Err(Error::invalid(what, "a number that is not negative", x.to_string()));
            }
        }
        if n > MOST_SAMPLED && options.mode == SampleMode::Prioritized {
            return Err(Error::invalid("n", format!("at most {MOST_SAMPLED}"), n.to_string()));
        }
        if options.mode == SampleMode::Fifo {
            return self.next_in_order(n, options);
        }
        let alpha = if options.mode == SampleMode::Uniform { 0.0 } else { options.alpha };
        let of = SumTreeOf { context_hash: options.context_hash.clone(), alpha };
        let sample = self.shared.sum_tree.with(self, &of, |tx, sum_tree| {
            let mut chance = Chance::new(options.seed);
            let mut sample = Sample::default();
            if options.mode == SampleMode::Uniform {
                let ids = choose(sum_tree.ids(), n, &mut chance);
                sample.probabilities = vec![1.0 / sum_tree.len() as f64; ids.len()];
                sample.weights = vec![1.0; ids.len()];
                sample.episodes = fetch(tx, &ids)?;
                return Ok(sample);
            }
            let total = sum_tree.total();
            if !total.is_finite() {
                let got = "larger ones";
                return Err(Error::invalid("priorities", "such as add up to a number", got));
            }
            if n == 0 || total <= 0.0 {
                return Ok(sample);
            }
            let largest = sum_tree.least() / total * sum_tree.len() as f64;
            let mut ids = Vec::with_capacity(n);
            for part in 0..n {
                let offset = (part as f64 + chance.fraction()) / n as f64 * total;
                let (id, mass) = sum_tree.at(offset);
                let probability = mass / total;
                ids.push(id);
                sample.probabilities.push(probability);
                let weight = probability * sum_tree.len() as f64 / largest;
                sample.weights.push(weight.powf(-options.beta));
            }
            sample.episodes = fetch(tx, &ids)?;
            Ok(sample)
        })?;
        if options.mode == SampleMode::Prioritized && n > 0 && sample.episodes.is_empty() {
            return Err(Error::invalid("a sample", "an episode with a priority above 0", "none"));
        }
        Ok(sample)
    }

    fn next_in_order(&self, n: usize, options: &SampleOptions) -> Result<Sample> {
        let (reader, context) = (options.reader.clone(), options.context_hash.clone());
        let sql = format!(
            "SELECT {} FROM episodes WHERE id > ?1 AND (?2 IS NULL OR context_hash = ?2) ORDER BY id LIMIT ?3",
            episode::COLUMNS
        );
        let episodes = self.write(move |tx| {
            let kept_under = context.as_ref().map_or(String::new(), |context| format!("c{context}"));
            let last = "SELECT last_id FROM memory_replay WHERE reader = ?1 AND context = ?2";
            let last = tx
                .query_one(last, (&reader, &kept_under), |row| Ok(row.get::<_, i64>(0)?))?
                .unwrap_or(0);
            let episodes = tx.query(&sql, (last, &context, sql_limit(n)), episode::read)?;
            // Where fewer were found there are no more: a reader of a rare context need not pass over the others again.
            let read_to = match episodes.last() {
                Some(newest) if episodes.len() >= n => newest.id,
                _ if n == 0 => last,
                _ => sum_tree::last_id(tx)?.max(last),
            };
            if read_to != last {
                tx.execute(
                    "INSERT OR REPLACE INTO memory_replay VALUES (?1, ?2, ?3, silt_row_sum(?1, ?2, ?3))",
                    (&reader, &kept_under, read_to),
                )?;
            }
            Ok(episodes)
        })?;
        let (probabilities, weights) = (vec![1.0; episodes.len()], vec![1.0; episodes.len()]);
        Ok(Sample { episodes, probabilities, weights })
    }

    /// Lets readers in order of this name begin again, whatever context they read.
    ///
    /// # Errors
    /// As any write.
    pub fn rewind(&self, reader: &str) -> Result<()> {
        let reader = reader.to_owned();
        self.write(move |tx| {
            tx.execute("DELETE FROM memory_replay WHERE reader = ?1", [&reader]).map(drop)
        })
    }

    /// Says how much is to be learned from episodes, in one transaction, all or none.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a priority that is negative or not finite, and for lists of different lengths;
    /// [`Error::NotFound`] for an id that is not there. Nothing is written.
    pub fn update_priorities(&self, ids: &[i64], priorities: &[f64]) -> Result<()> {
        if ids.len() != priorities.len() {
            let expected = format!("one for each of {} ids", ids.len());
            return Err(Error::invalid("priorities", expected, priorities.len().to_string()));
        }
        let pair = |(id, p): (&i64, &f64)| Ok((*id, priority(*p)?));
        let pairs = ids.iter().zip(priorities).map(pair).collect::<Result<Vec<_>>>()?;
        self.write(move |tx| {
            for (id, priority) in &pairs {
                let sql = "SELECT 1 FROM episodes WHERE id = ?1";
                if tx.query_one(sql, [id], |_| Ok(()))?.is_none() {
                    let name = id.to_string();
                    return Err(Error::NotFound { what: "episode", name, location: String::new() });
                }
                tx.execute(
                    "INSERT INTO episode_priorities VALUES (?1, ?2, silt_row_sum(?1, ?2)) ON CONFLICT (episode_id) \
                     DO UPDATE SET priority = excluded.priority, row_sum = excluded.row_sum",
                    (id, priority),
                )?;
            }
            Ok(())
        })
    }
}

/// `n` of the ids, none twice.
fn choose(mut ids: Vec<i64>, n: usize, chance: &mut Chance) -> Vec<i64> {
    let n = n.min(ids.len());
    for at in 0..n {
        let other = at + chance.below(ids.len() - at);
        ids.swap(at, other);
    }
    ids.truncate(n);
    ids
}

/// The episodes of ids, each read once.
fn fetch(tx: &ReadTx<'_>, ids: &[i64]) -> Result<Vec<Episode>> {
    let sql = format!("SELECT {} FROM episodes WHERE id = ?1", episode::COLUMNS);
    let mut known = HashMap::new();
    for id in ids.iter().collect::<BTreeSet<_>>() {
        let episode = tx.query_one(&sql, [id], episode::read)?.ok_or_else(|| Error::Corrupt {
            location: String::new(),
            what: format!("what is held in memory of episode {id}"),
            why: "the file does not have it".into(),
        })?;
        known.insert(*id, episode);
    }
    Ok(ids.iter().map(|id| known[id].clone()).collect())
}
