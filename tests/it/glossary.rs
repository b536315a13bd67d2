//! The field's words: what had words of our own keeps the field's.

use regex_lite::Regex;

use crate::tidy::files;

/// Words that are gone, as patterns without regard to case, and what stands for them now.
const GONE: [(&str, &str); 16] = [
    (r"settl(e|ing)", "compact, compacted"),
    (r"thaw", "expand"),
    (r"_hot\b|\bhot[ _-](rows?|tables?)", "rows, row tables (`_rows`)"),
    (r"key[ _-]?states?\b|silt keys", "keyframe"),
    (r"left[ _]?behind", "skipped"),
    (r"lineage", "migrations"),
    (r"adopt(s|ed|ion|ing)?\b|\b(take|takes|taken|taking|took)[ _]over", "upgrade in place"),
    (r"patience|undisturbed|given[ _]up", "interruption, cancelled, uninterrupted"),
    (r"\b(un)(told|asked)", "unreported"),
    (r"\bkeeper|\bkeep\.rs", "keyframe builder; retention"),
    (r"\bdesks?\b", "lease"),
    (r"\bpeers?\b", "baseline"),
    (r"\b(row)?(feed|sink)(er|s)?\b(::|<| \{)", "row source, row visitor"),
    (r"\btimetext\b", "NumpyTimeText, or the time's own text"),
    (r"described", "movici, AgentFarm, Godly-AI, RTX or meteaudata"),
    (r"less than nothing|not to be (had|found)|typing it again", "plain words"),
];

/// Plain English, and names of files that others gave.
const PLAIN: [&str; 2] = ["where it is described", "described_store"];

/// The words that are gone from a text, each with its line.
fn gone(text: &str) -> Vec<(usize, String, &'static str)> {
    let patterns = GONE.map(|(pattern, now)| (Regex::new(&format!("(?i){pattern}")).unwrap(), now));
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = PLAIN.iter().fold(line.to_lowercase(), |line, plain| line.replace(plain, ""));
        for (pattern, now) in &patterns {
            found.extend(
                pattern.find(&line).map(|word| (number + 1, word.as_str().to_owned(), *now)),
            );
        }
    }
    found
}

/// Goal: words that are gone stay gone, from code, tests, pages, help, benches and build files.
#[test]
fn words_that_are_gone_stay_gone() {
    let mut found = Vec::new();
    for (path, text) in
        files("", &[".rs", ".py", ".pyi", ".md", ".toml", ".sh", "Makefile", ".ci/run"])
    {
        // This list, and what was measured under old names.
        let is_past = ["tests/it/glossary.rs", "bench/results"];
        if is_past.iter().any(|past| path.starts_with(past)) {
            continue;
        }
        let lines = gone(&text).into_iter();
        found.extend(
            lines.map(|(line, word, now)| format!("{}:{line}: {word:?}: {now}", path.display())),
        );
    }
    assert!(found.is_empty(), "words that are gone:\n{}", found.join("\n"));
}

/// Goal: the search finds words in identifiers, sentences and SQL, and leaves plain English alone.
#[test]
fn the_search_finds_what_it_looks_for() {
    for line in [
        "db.settle()",
        "tick_hot",
        "the key states of a run",
        "Lineage",
        "is taken over by",
        "a described file",
    ] {
        assert_eq!(gone(line).len(), 1, "{line}");
    }
    for line in
        ["hot paths", "taken from overhead", "where it is described", "the feed of a broker"]
    {
        assert_eq!(gone(line), [], "{line}");
    }
}
