//! What was tried and found.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::{Round, SUBJECTS, Trouble};

/// Counts cases and losses, of each store and trouble.
#[derive(Default)]
pub(super) struct Report(Mutex<BTreeMap<(&'static str, Trouble), Tally>>);

#[derive(Default)]
struct Tally {
    tried: u64,
    losses: u64,
    /// What is measured and not judged.
    figures: BTreeMap<&'static str, u64>,
}

impl Report {
    fn tally(&self, round: &Round<'_>, count: impl FnOnce(&mut Tally)) {
        let mut tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        count(tallies.entry((round.subject.name(), round.trouble)).or_default());
    }

    /// A case, and what is odd about it, with how to see it again.
    pub(super) fn tried(&self, round: &Round<'_>, outcome: Result<(), String>) {
        let (subject, trouble) = (round.subject.name(), round.trouble);
        self.tally(round, |tally| {
            tally.tried += 1;
            tally.losses += u64::from(outcome.is_err());
        });
        let Err(odd) = outcome else { return };
        println!(
            "LOSS: {subject}, {trouble:?}: {odd}\n    again: make torture ROUNDS=1 SEED={} \
             STORES={subject} TROUBLES={trouble:?}",
            round.seed
        );
    }

    /// Counts something that is not judged.
    pub(super) fn figure(&self, round: &Round<'_>, name: &'static str) {
        self.tally(round, |tally| *tally.figures.entry(name).or_default() += 1);
    }

    /// Prints the table; panics if anything was lost.
    pub(super) fn end(self) {
        let tallies = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let troubles: Vec<Trouble> =
            Trouble::ALL.into_iter().filter(|t| tallies.keys().any(|key| key.1 == *t)).collect();
        let mut text = format!("{:16}", "tried/lost");
        troubles.iter().for_each(|trouble| text += &format!(" {:>12}", format!("{trouble:?}")));
        for subject in SUBJECTS {
            text += &format!("\n{:16}", subject.name());
            for trouble in &troubles {
                let cell = tallies.get(&(subject.name(), *trouble));
                let cell = cell.map_or("-".to_owned(), |t| format!("{}/{}", t.tried, t.losses));
                text += &format!(" {cell:>12}");
            }
        }
        println!("{text}");
        for ((subject, trouble), tally) in &tallies {
            let figures: Vec<String> =
                tally.figures.iter().map(|(name, n)| format!("{n} {name}")).collect();
            if !figures.is_empty() {
                println!("{subject}, {trouble:?}: {}", figures.join(", "));
            }
        }
        let losses: u64 = tallies.values().map(|tally| tally.losses).sum();
        assert_eq!(losses, 0, "{losses} losses in {} cases", {
            tallies.values().map(|tally| tally.tried).sum::<u64>()
        });
    }
}
