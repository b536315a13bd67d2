//! Lists that were sent, so that who asks again gets what differs.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

/// The most lists that are remembered.
const MOST: usize = 8;
/// The most entries of one that is.
const MOST_ENTRIES: usize = 200_000;

/// The entries of a list by their hashes, in its order, and its version.
#[derive(Debug, Clone)]
struct List {
    version: String,
    entries: Vec<u64>,
}

/// The lists that were sent last.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    sent: Mutex<Vec<List>>,
}

impl Lists {
    /// A list whose entries are JSON: all of `runs` and their `version`, or, where the asker has a list that is remembered,
    /// `gone`, the places in that list of what is no longer so, and `come`, what is new with its place in the new list.
    pub(crate) fn answer(&self, entries: &[String], known: Option<&str>) -> String {
        let list = List::of(entries);
        let before = known.and_then(|version| self.sent_as(version));
        let version = list.version.clone();
        let difference = before.and_then(|before| difference(&before.entries, &list.entries));
        self.remember(list);
        match difference {
            Some((gone, come)) => {
                let come = come.iter().map(|place| format!("[{place},{}]", entries[*place]));
                let come = come.collect::<Vec<_>>().join(",");
                format!(r#"{{"version":"{version}","gone":{gone:?},"come":[{come}]}}"#)
            }
            None => format!(r#"{{"version":"{version}","runs":[{}]}}"#, entries.join(",")),
        }
    }

    fn sent_as(&self, version: &str) -> Option<List> {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.iter().find(|list| list.version == version).cloned()
    }

    fn remember(&self, list: List) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.retain(|other| other.version != list.version);
        if list.entries.len() <= MOST_ENTRIES {
            sent.push(list);
        }
        if sent.len() > MOST {
            sent.remove(0);
        }
    }
}

impl List {
    fn of(entries: &[String]) -> Self {
        let hash = |entry: &String| {
            let mut hasher = DefaultHasher::new();
            entry.hash(&mut hasher);
            hasher.finish()
        };
        let entries: Vec<u64> = entries.iter().map(hash).collect();
        let mut hasher = DefaultHasher::new();
        entries.hash(&mut hasher);
        List { version: format!("{:016x}", hasher.finish()), entries }
    }
}

/// The places of what is gone, and the places of what has come; `None` where sending all is no more, or what stays has another
/// order.
fn difference(before: &[u64], now: &[u64]) -> Option<(Vec<usize>, Vec<usize>)> {
    let counted = |entries: &[u64]| {
        let mut counts: HashMap<u64, usize> = HashMap::new();
        entries.iter().for_each(|entry| *counts.entry(*entry).or_default() += 1);
        counts
    };
    let (had, has) = (counted(before), counted(now));
    let others = |entries: &[u64], in_list: &HashMap<u64, usize>| {
        let differs = |(_, entry): &(usize, &u64)| in_list.get(entry) != Some(&1);
        entries.iter().enumerate().filter(differs).map(|(place, _)| place).collect::<Vec<_>>()
    };
    let (gone, come) = (others(before, &has), others(now, &had));
    let stay = |entries: &[u64], without: &[usize]| {
        let mut without = without.iter().peekable();
        let stays = |(place, _): &(usize, &u64)| without.next_if(|next| *next == place).is_none();
        entries.iter().enumerate().filter(stays).map(|(_, entry)| *entry).collect::<Vec<_>>()
    };
    let is_less = come.len() < now.len().div_ceil(2);
    (is_less && stay(before, &gone) == stay(now, &come)).then_some((gone, come))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The list that an asker has after an answer.
    fn applied(before: &[String], answer: &str) -> (Vec<String>, bool) {
        let answer: serde_json::Value = serde_json::from_str(answer).unwrap();
        let texts = |runs: &serde_json::Value| {
            runs.as_array().unwrap().iter().map(|run| run.to_string()).collect::<Vec<_>>()
        };
        if let Some(runs) = answer.get("runs") {
            return (texts(runs), true);
        }
        let gone: Vec<u64> = serde_json::from_value(answer["gone"].clone()).unwrap();
        let stays = |(place, _): &(usize, &String)| !gone.contains(&(*place as u64));
        let mut list: Vec<String> =
            before.iter().enumerate().filter(stays).map(|(_, run)| run.clone()).collect();
        for one in answer["come"].as_array().unwrap() {
            list.insert(one[0].as_u64().unwrap() as usize, one[1].to_string());
        }
        (list, false)
    }

    /// Goal: whatever changes, who applies what differs has the list.
    #[test]
    fn differences_make_the_list() {
        let mut state = 3u64;
        let mut random = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % n
        };
        let mut short = 0;
        for _ in 0..2_000 {
            let before: Vec<String> = (0..random(30)).map(|_| random(60).to_string()).collect();
            let mut now = before.clone();
            for _ in 0..random(6) {
                let place = random(now.len() as u64 + 1) as usize;
                match random(3) {
                    0 => now.insert(place, random(60).to_string()),
                    1 if place < now.len() => now[place] = random(60).to_string(),
                    _ if place < now.len() => drop(now.remove(place)),
                    _ => {}
                }
            }
            let lists = Lists::default();
            lists.answer(&before, None);
            let answer = lists.answer(&now, Some(&List::of(&before).version));
            let (found, is_whole) = applied(&before, &answer);
            assert_eq!(found, now, "{before:?} {answer}");
            short += u32::from(!is_whole);
        }
        assert!(short > 500, "{short} differences");
    }

    /// Goal: of a long list in which one entry changed, one went and one came, these are sent and no others; of a list that is
    /// not remembered, all.
    #[test]
    fn what_differs_is_sent_alone() {
        let lists = Lists::default();
        let mut list: Vec<String> = (0..1_000).map(|n| format!("[{n}]")).collect();
        let before = list.clone();
        lists.answer(&list, None);
        let version = List::of(&list).version;
        list[500] = "[true]".to_owned();
        list.remove(3);
        list.push("[null]".to_owned());
        let answer = lists.answer(&list, Some(&version));
        assert!(answer.len() < 120, "{answer}");
        assert_eq!(applied(&before, &answer), (list.clone(), false));
        assert!(applied(&before, &lists.answer(&list, Some("another"))).1);
        for n in 0..MOST {
            lists.answer(&[n.to_string()], None);
        }
        assert!(applied(&before, &lists.answer(&list, Some(&version))).1, "it is forgotten");
    }
}
