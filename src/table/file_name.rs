//! File names from keys that a user chose.

use xxhash_rust::xxh3::xxh3_64;

/// The longest part of a name, in bytes: two parts and an ending stay under 255.
const MAX_PART_BYTES: usize = 100;

/// A file name from keys, joined by dots: no key leaves the folder, and no two lists of keys share a
/// name.
///
/// Letters and digits of any script, `_`, `-` and spaces stay; every other byte is `%XX`. A key that
/// gets too long is cut, and a hash of the whole follows a `~`.
pub(crate) fn file_name(keys: &[&str], extension: &str) -> String {
    let mut name: String = keys.iter().map(|key| part(key) + ".").collect();
    name.push_str(extension);
    name
}

fn part(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    for c in key.chars() {
        if c.is_alphanumeric() || matches!(c, '_' | '-' | ' ') {
            out.push(c);
            continue;
        }
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    if out.is_empty() {
        return "%".into(); // no other key gives a lone percent sign
    }
    if out.len() > MAX_PART_BYTES {
        let mut end = MAX_PART_BYTES - 17;
        while !out.is_char_boundary(end) {
            end -= 1;
        }
        out.truncate(end);
        out.push_str(&format!("~{:016x}", xxh3_64(key.as_bytes())));
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Goal: ordinary keys are read at a glance; no key is a path, hides the file or takes another's name.
    #[test]
    fn no_key_leaves_the_folder_or_takes_anothers_name() {
        assert_eq!(file_name(&["net3", "pipe_entities"], "csv"), "net3.pipe_entities.csv");
        assert_eq!(file_name(&["Zürich 1"], "csv"), "Zürich 1.csv");
        let long = "é".repeat(3000);
        let wild = [
            "",
            "%",
            ".",
            "..",
            "../x",
            "a/b",
            "a\\b",
            "a.b",
            "a%2Eb",
            "a",
            "b",
            "C:",
            "\0",
            "\n",
            "~",
            "nul|x",
            &long,
            &long[2..],
        ];
        let mut seen = HashSet::new();
        for first in wild {
            for second in wild {
                let name = file_name(&[first, second], "parquet");
                assert!(!name.contains(['/', '\\', '\0', '\n', ':', '|']), "{name}");
                assert!(!name.starts_with('.') && name.len() <= 255, "{name}");
                assert!(seen.insert(name), "{first:?} {second:?}");
            }
        }
    }
}
