//! The names of update files: `t<timestamp>_<iteration>_<dataset>.json`.

use crate::error::{Error, Result};

/// The longest dataset name in a file name, in bytes: with two numbers it stays under 255.
const MAX_NAME_BYTES: usize = 200;

/// What is written for a character that a file name cannot hold, or that would leave the folder.
const ESCAPES: [(char, &str); 5] =
    [('/', "2F"), ('\\', "5C"), ('\0', "00"), ('%', "25"), ('.', "2E")];

/// The name of an update's file.
///
/// Ordinary dataset names stay as they are. `/`, `\` and NUL become `%2F`, `%5C` and `%00`; a `%`
/// becomes `%25` only where it would read as one of these; the names `.` and `..` become `%2E`
/// and `%2E%2E`, and the empty name a lone `%`. [`parse_file_name`] undoes it.
///
/// # Errors
/// [`Error::Invalid`] if the dataset name takes more than 200 bytes.
pub fn file_name(timestamp: i64, iteration: i64, dataset: &str) -> Result<String> {
    let name = encode(dataset);
    if name.len() > MAX_NAME_BYTES {
        let start: String = dataset.chars().take(40).collect();
        return Err(Error::invalid(
            "dataset name",
            format!("at most {MAX_NAME_BYTES} bytes in a file name"),
            format!("{} bytes ({start:?}...)", name.len()),
        ));
    }
    Ok(format!("t{timestamp}_{iteration}_{name}.json"))
}

/// Timestamp, iteration and dataset of an update's file name; `None` for another file.
pub fn parse_file_name(name: &str) -> Option<(i64, i64, String)> {
    let rest = name.strip_prefix('t')?.strip_suffix(".json")?;
    let (timestamp, rest) = rest.split_once('_')?;
    let (iteration, dataset) = rest.split_once('_')?;
    Some((number(timestamp)?, number(iteration)?, decode(dataset)))
}

/// Digits, with a minus at most: `parse` alone would take a plus too.
fn number(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// The ending of the file of an initial dataset that is bytes.
pub(crate) const BINARY_ENDING: &str = ".bin";

/// What the name of a file of initial data says.
pub(crate) struct InitialName {
    pub(crate) dataset: String,
    pub(crate) is_json: bool,
}

/// The name of an initial dataset's file: `<dataset>.json`, or `<dataset>.bin` for bytes, with the
/// characters escaped as in [`file_name`]. [`parse_initial_file_name`] undoes it.
///
/// # Errors
/// As [`file_name`].
pub(crate) fn initial_file_name(dataset: &str, is_json: bool) -> Result<String> {
    let name = file_name(0, 0, dataset)?;
    let name = name.strip_prefix("t0_0_").and_then(|name| name.strip_suffix(".json"));
    let name = name.expect("the name of an update's file begins and ends so");
    Ok(format!("{name}{}", if is_json { ".json" } else { BINARY_ENDING }))
}

/// The dataset of a file of initial data: its name without the last ending. One that ends in
/// `.json` is JSON, any other is bytes.
pub(crate) fn parse_initial_file_name(name: &str) -> InitialName {
    if let Some(stem) = name.strip_suffix(".json") {
        return InitialName { dataset: decode(stem), is_json: true };
    }
    let stem = match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => name,
    };
    InitialName { dataset: decode(stem), is_json: false }
}

fn encode(name: &str) -> String {
    match name {
        "" | "%" => return if name.is_empty() { "%".into() } else { "%25".into() },
        "." | ".." => return name.replace('.', "%2E"),
        _ => {}
    }
    let mut out = String::with_capacity(name.len());
    for (at, c) in name.char_indices() {
        let escape = ESCAPES.iter().find(|(plain, _)| *plain == c).filter(|_| match c {
            '.' => false,
            '%' => escaped(&name[at..]).is_some(),
            _ => true,
        });
        match escape {
            Some((_, code)) => out.extend(["%", code]),
            None => out.push(c),
        }
    }
    out
}

fn decode(name: &str) -> String {
    if name == "%" {
        return String::new();
    }
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        let (plain, length) = escaped(rest).map_or((c, c.len_utf8()), |plain| (plain, 3));
        out.push(plain);
        rest = &rest[length..];
    }
    out
}

/// The character that `text` begins with in escaped form.
fn escaped(text: &str) -> Option<char> {
    let code = text.strip_prefix('%')?;
    ESCAPES.iter().find(|(_, escape)| code.starts_with(escape)).map(|(plain, _)| *plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Goal: ordinary names are movici's, byte for byte, and odd ones are read too.
    #[test]
    fn ordinary_names_stay() {
        for dataset in
            ["plant", "a.b", "a-b c", "net_3_x", "Zürich 🚰", "100%", "x.json", "%2f", "_"]
        {
            let name = file_name(-3600, 12, dataset).unwrap();
            assert_eq!(name, format!("t-3600_12_{dataset}.json"));
            assert_eq!(parse_file_name(&name), Some((-3600, 12, dataset.to_owned())));
        }
        assert_eq!(parse_file_name("t010_1_plant.json"), Some((10, 1, "plant".into())));
    }

    /// Goal: no dataset name leaves the folder, and each comes back.
    #[test]
    fn wild_names_stay_in_the_folder_and_come_back() {
        for dataset in
            ["", "%", ".", "..", "../x", "a/b", "a\\b", "\0", "%2F", "%25", "%%2F/", "%/", "%2/F"]
        {
            let name = file_name(0, 0, dataset).unwrap();
            assert!(!name.contains(['/', '\\', '\0']), "{name}");
            assert_eq!(parse_file_name(&name).unwrap().2, dataset, "{name}");
        }
        assert_eq!(file_name(0, 0, "a/b").unwrap(), "t0_0_a%2Fb.json");
        assert!(file_name(0, 0, &"é".repeat(100)).is_ok());
        let error = file_name(0, 0, &"é".repeat(101)).unwrap_err().to_string();
        assert!(error.contains("at most 200 bytes"), "{error}");
    }

    /// Goal: files that are not updates are not taken for updates.
    #[test]
    fn other_files_are_none() {
        for name in [
            "",
            "t",
            "plant.json",
            "t0_0_plant",
            "t0_0.json",
            "t_0_a.json",
            "t0__a.json",
            "t+1_0_a.json",
            "t1.5_0_a.json",
            "t0_x_a.json",
            "t99999999999999999999_0_a.json",
            "t--1_0_a.json",
            "t-_0_a.json",
        ] {
            assert_eq!(parse_file_name(name), None, "{name}");
        }
    }

    /// Goal: a user's own files keep the names that movici gives them.
    #[test]
    fn files_of_initial_data_name_their_datasets() {
        for (file, dataset, is_json) in [
            ("net.json", "net", true),
            ("a.b.json", "a.b", true),
            ("heights.tif", "heights", false),
            ("pic.json.bin", "pic.json", false),
            ("plain", "plain", false),
            (".hidden.bin", ".hidden", false),
            ("a%2Fb.json", "a/b", true),
        ] {
            let InitialName { dataset: found, is_json: json } = parse_initial_file_name(file);
            assert_eq!((found.as_str(), json), (dataset, is_json), "{file}");
        }
    }

    proptest! {
        /// Goal: the name of any initial dataset survives in its file's name.
        #[test]
        fn any_initial_name_survives(dataset in "([%/.025CFE]|\\PC){1,20}", is_json: bool) {
            let name = initial_file_name(&dataset, is_json)?;
            prop_assert!(!name.contains('/'));
            let back = parse_initial_file_name(&name);
            prop_assert_eq!((back.dataset, back.is_json), (dataset, is_json));
        }

        /// Goal: any name up to the limit survives, and two names never share a file.
        #[test]
        fn any_name_survives(timestamp: i64, iteration: i64, dataset in "([%/.025CFE]|\\PC){0,20}") {
            let name = file_name(timestamp, iteration, &dataset)?;
            prop_assert!(!name.contains('/'));
            prop_assert_eq!(parse_file_name(&name), Some((timestamp, iteration, dataset)));
        }
    }
}
