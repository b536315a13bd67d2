//! Numbers whose decimal mark is a comma.

use std::borrow::Cow;

use crate::error::{Error, Result};

/// Refuses a decimal mark that is none.
pub(crate) fn check_decimal(mark: Option<char>) -> Result<()> {
    match mark {
        Some(other) if !['.', ','].contains(&other) => {
            Err(Error::invalid("the decimal mark (--decimal)", ". or ,", format!("{other:?}")))
        }
        _ => Ok(()),
    }
}

/// Whether a text is a number if its decimal mark is a comma, and none otherwise.
pub(crate) fn has_comma(text: &str) -> bool {
    text.contains(',') && !text.contains('.') && is_number(&text.replacen(',', ".", 1))
}

/// A text of a file whose decimal mark is a comma, with a point in its place if it is a number; why it is none.
pub(crate) fn pointed(text: &str) -> Result<Cow<'_, str>, String> {
    if !text.contains(['.', ',']) {
        return Ok(text.into());
    }
    let has_both = text.contains('.') && is_number(&text.replace('.', "").replacen(',', ".", 1));
    match text.contains(',') {
        false if is_number(text) => Err(wrong(text)),
        true if has_both => Err(wrong(text)),
        true if has_comma(text) => Ok(text.replacen(',', ".", 1).into()),
        _ => Ok(text.into()),
    }
}

fn is_number(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit()) && text.parse::<f64>().is_ok()
}

fn wrong(text: &str) -> String {
    let text: String = text.chars().take(40).collect();
    format!("expected a number without a point (its decimal mark is a comma), got {text:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a number with a comma gets a point, one with a point is none, and other texts stay as they are.
    #[test]
    fn a_comma_is_the_mark() {
        for (text, to) in [
            ("0,5", "0.5"),
            ("-1,25e3", "-1.25e3"),
            (",5", ".5"),
            ("7", "7"),
            ("", ""),
            ("nan", "nan"),
        ] {
            assert_eq!(pointed(text).as_deref(), Ok(to));
        }
        for text in ["1.5", "1.234,5", "1.2e3"] {
            assert!(pointed(text).unwrap_err().contains("decimal mark is a comma"), "{text}");
        }
        for text in ["a,b", "v1.2", "31.12.2024", ",", "1,2,3", "x 1,5"] {
            assert_eq!(pointed(text).as_deref(), Ok(text));
        }
        assert!(has_comma("1,5") && !has_comma("1,5.2") && !has_comma("5") && !has_comma(","));
        assert!(check_decimal(Some(',')).is_ok() && check_decimal(Some(';')).is_err());
    }
}
