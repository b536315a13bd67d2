//! Names of things: what is accepted.

use crate::error::{Error, Result};

/// The most characters of an id.
const MOST: usize = 255;

/// Whether it can be an id.
pub(super) fn is_id(id: &str) -> bool {
    !id.is_empty()
        && (id.len() <= MOST || id.chars().count() <= MOST)
        && !id.as_bytes().contains(&0)
}

/// Checks the id of an experiment, a simulation, an agent, a resource.
pub(super) fn check_id(what: &str, id: &str) -> Result<()> {
    let got = if id.is_empty() {
        "an empty text".to_owned()
    } else if id.len() > MOST && id.chars().count() > MOST {
        format!(
            "{} characters, {:?}...",
            id.chars().count(),
            id.chars().take(40).collect::<String>()
        )
    } else if id.contains('\0') {
        format!("{id:?}, with a NUL in it")
    } else {
        return Ok(());
    };
    Err(Error::invalid(what, format!("a text of 1 to {MOST} characters"), got))
}

/// Checks the name of a table or column: it becomes a name in SQL.
pub(super) fn check_name(what: &str, name: &str) -> Result<()> {
    let begins = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    let fits = name.len() <= 63 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let lower = name.to_ascii_lowercase();
    let is_ours = lower.starts_with("sqlite_") || lower.starts_with("siltstone_");
    if begins && fits && !is_ours {
        return Ok(());
    }
    let expected =
        "1 to 63 letters, digits and _, no digit first, and not sqlite_... or siltstone_...";
    Err(Error::invalid(what, expected, format!("{name:?}")))
}

/// Checks a step.
pub(super) fn check_step(step: i64) -> Result<()> {
    if step >= 0 {
        return Ok(());
    }
    Err(Error::invalid("the step", "0 or a later one", step.to_string()))
}
