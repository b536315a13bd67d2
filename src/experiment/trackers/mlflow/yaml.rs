//! `meta.yaml`: names and texts, one level. What lies deeper is passed over, and an alias stands for nothing.

use std::collections::HashMap;
use std::path::Path;

use saphyr_parser::{Event, Parser, ScalarStyle};

use crate::error::{Error, Result};

/// The values of a mapping by name; nothing of what is null, a list or a mapping.
pub(super) fn flat(text: &str, path: &Path) -> Result<HashMap<String, String>> {
    let damaged = |why: String| Error::Corrupt {
        location: path.display().to_string(),
        what: "the YAML".into(),
        why,
    };
    let (mut depth, mut key, mut found) = (0, None, HashMap::new());
    for event in Parser::new_from_str(text) {
        let (event, _) = event.map_err(|e| damaged(e.to_string()))?;
        match event {
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                if depth == 0 && matches!(event, Event::SequenceStart(..)) {
                    return Err(damaged("it is a list and not names with values".into()));
                }
                depth += 1;
            }
            Event::MappingEnd | Event::SequenceEnd => {
                depth -= 1;
                if depth == 1 && key.take().is_none() {
                    return Err(damaged("a name is not a text".into()));
                }
            }
            Event::Scalar(text, style, ..) if depth == 1 => match key.take() {
                None => key = Some(text.into_owned()),
                Some(key) => {
                    let is_plain = style == ScalarStyle::Plain;
                    if !(is_plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL")) {
                        found.insert(key, text.into_owned());
                    }
                }
            },
            Event::Scalar(..) if depth == 0 => {
                return Err(damaged("it is a text and not names with values".into()));
            }
            Event::Alias(_) if depth == 1 && key.take().is_none() => {
                return Err(damaged("a name is an alias".into()));
            }
            Event::DocumentEnd => return Ok(found),
            _ => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: names have their texts, and what lies deeper changes nothing; an alias is not followed, however much it stands for.
    #[test]
    fn one_level_is_read() {
        let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: *b\nname: 'null'\nend_time: null\nstatus: 3\ntags: {deep: [1, {x: y}]}\nrun_id: 007\n";
        let found = flat(bomb, Path::new("meta.yaml")).unwrap();
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!([&found["name"], &found["status"], &found["run_id"]], ["null", "3", "007"]);
        for wrong in ["- a\n- b\n", "text", "a: [", "? [x]\n: y\n", "a: 1\n*b : 2\n"] {
            let refused = flat(wrong, Path::new("meta.yaml"));
            assert!(matches!(refused, Err(Error::Corrupt { .. })), "{wrong:?} gave {refused:?}");
        }
    }
}
