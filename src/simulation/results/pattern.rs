//! Update files under other names than the documented ones.

use std::str::FromStr;

use regex_lite::Regex;

use crate::error::{Error, Result};
use crate::simulation::json::parse_file_name;

/// The documented pattern. Our own reader of it also takes negative timestamps and any dataset name.
const DOCUMENTED: &str = r"t(?P<timestamp>\d+)_(?P<iteration>\d+)_(?P<dataset>\w+)\.json";

/// A regular expression with the groups `timestamp`, `iteration` and `dataset`, which matches the
/// whole of a file's name.
///
/// `\w` takes letters of every script, as in Python.
#[derive(Debug, Clone)]
pub struct FilePattern {
    /// `None` for the documented names.
    regex: Option<Regex>,
    text: String,
}

impl FromStr for FilePattern {
    type Err = Error;

    /// # Errors
    /// [`Error::Invalid`] for a text that is no regular expression or lacks a group.
    fn from_str(text: &str) -> Result<Self> {
        if text == DOCUMENTED {
            return Ok(FilePattern { regex: None, text: text.to_owned() });
        }
        let invalid = |expected: &str, got: String| Error::invalid("update pattern", expected, got);
        // As Python matches: from the start; and to the end, or a backup beside it would match too.
        let regex = Regex::new(&format!("^(?:{})$", with_unicode_words(text)))
            .map_err(|e| invalid("a regular expression", format!("{text:?} ({e})")))?;
        for group in ["timestamp", "iteration", "dataset"] {
            if !regex.capture_names().any(|name| name == Some(group)) {
                let expected = "the named groups timestamp, iteration and dataset";
                return Err(invalid(expected, format!("{text:?} without {group}")));
            }
        }
        Ok(FilePattern { regex: Some(regex), text: text.to_owned() })
    }
}

impl std::fmt::Display for FilePattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl FilePattern {
    /// Timestamp, iteration and dataset of an update's file name; `None` for another file.
    pub fn parse(&self, name: &str) -> Option<(i64, i64, String)> {
        let Some(regex) = &self.regex else { return parse_file_name(name) };
        let found = regex.captures(name)?;
        let number = |group: &str| found.name(group)?.as_str().parse().ok();
        Some((number("timestamp")?, number("iteration")?, found.name("dataset")?.as_str().into()))
    }
}

/// The engine's `\w` is ASCII only; every character beyond ASCII counts as one of a word here.
fn with_unicode_words(text: &str) -> String {
    let (mut out, mut in_class) = (String::with_capacity(text.len()), false);
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some('w') if in_class => out.push_str(r"\w\x{80}-\x{10FFFF}"),
                Some('w') => out.push_str(r"[\w\x{80}-\x{10FFFF}]"),
                Some(other) => out.extend(['\\', other]),
                None => out.push('\\'),
            },
            '[' | ']' => {
                in_class = c == '[';
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a user's own names are read, whole names only.
    #[test]
    fn own_names_are_read() {
        let text = r"(?P<dataset>[\w-]+)\.(?P<iteration>\d+)@(?P<timestamp>-?\d+)\.json";
        let pattern: FilePattern = text.parse().unwrap();
        assert_eq!(pattern.to_string(), text);
        assert_eq!(pattern.parse("Zürich-1.3@-20.json"), Some((-20, 3, "Zürich-1".into())));
        for other in ["a.3@20.json.bak", "xx a.3@20.json", "a.3@99999999999999999999.json"] {
            assert_eq!(pattern.parse(other), None, "{other}");
        }
        let documented: FilePattern = DOCUMENTED.parse().unwrap();
        assert_eq!(documented.parse("t-1_0_a.b.json"), Some((-1, 0, "a.b".into())));
    }

    /// Goal: a pattern that cannot work is refused when it is given.
    #[test]
    fn patterns_without_their_groups_are_refused() {
        for wrong in ["(", r"t(?P<timestamp>\d+)_(?P<dataset>\w+)", r"\d+", "\\"] {
            let error = wrong.parse::<FilePattern>().unwrap_err().to_string();
            assert!(error.starts_with("update pattern: expected"), "{error}");
        }
    }
}
