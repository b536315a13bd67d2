//! The marks of numbers in text.

use std::borrow::Cow;

use crate::error::{Error, Result};

/// The decimal mark, and the one between thousands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks {
    decimal: char,
    thousands: Option<char>,
}

impl Marks {
    /// A point, and none.
    pub(crate) const PLAIN: Self = Marks { decimal: '.', thousands: None };

    /// # Errors
    /// [`Error::Invalid`] for a mark that is none, and for one that would be both.
    pub(crate) fn new(decimal: Option<char>, thousands: Option<char>) -> Result<Self> {
        let marks = Marks { decimal: decimal.unwrap_or('.'), thousands };
        if !['.', ','].contains(&marks.decimal) {
            let got = format!("{:?}", marks.decimal);
            return Err(Error::invalid("the decimal mark", ". or ,", got));
        }
        match thousands {
            Some(mark)
                if mark == marks.decimal || mark.is_alphanumeric() || "+-\"".contains(mark) =>
            {
                let expected = "a mark that is not the decimal one, nor part of a number";
                Err(Error::invalid("the mark between thousands", expected, format!("{mark:?}")))
            }
            _ => Ok(marks),
        }
    }

    /// Whether a character is one of them beside a point.
    pub(crate) fn has(self, mark: char) -> bool {
        mark != '.' && (mark == self.decimal || Some(mark) == self.thousands)
    }

    /// What has to be said where numbers may have others.
    pub(crate) fn expected(self) -> &'static str {
        match self.has_comma() {
            true => "the mark between the thousands of its numbers (--thousands)",
            false => {
                "the marks of its numbers (--decimal , or --thousands ,), or --decimal . if they are texts"
            }
        }
    }

    /// Whether the decimal mark is a comma.
    pub(crate) fn has_comma(self) -> bool {
        self.decimal == ','
    }

    /// The text of a number with these marks as one with a point and no other; `None` if its marks are others.
    pub(crate) fn plain(self, text: &str) -> Option<Cow<'_, str>> {
        if self == Self::PLAIN {
            return Some(text.into());
        }
        let (whole, decimals) = match text.split_once(self.decimal) {
            Some((whole, decimals)) => (whole, Some(decimals)),
            None => (text, None),
        };
        let is_other = |c: char| ['.', ','].contains(&c) || Some(c) == self.thousands;
        if decimals.is_some_and(|decimals| decimals.contains(is_other)) {
            return None;
        }
        let whole = match self.thousands.filter(|mark| whole.contains(*mark)) {
            Some(mark) if is_grouped(whole, mark) => Cow::from(whole.replace(mark, "")),
            None if !whole.contains(is_other) => whole.into(),
            _ => return None,
        };
        Some(match decimals {
            Some(decimals) => format!("{whole}.{decimals}").into(),
            None => whole,
        })
    }

    /// Whether a text that is no number with these marks is one with others: with a comma, or with points between thousands.
    pub(crate) fn are_others(self, text: &str) -> bool {
        let german = Marks { decimal: ',', thousands: Some('.') };
        let english = Marks { decimal: '.', thousands: Some(',') };
        let others = if self.has_comma() { &[german][..] } else { &[german, english] };
        text.contains(['.', ','])
            && text.bytes().any(|byte| byte.is_ascii_digit())
            && others
                .iter()
                .any(|marks| marks.plain(text).is_some_and(|n| n.parse::<f64>().is_ok()))
    }
}

/// Whether a text is digits in threes.
fn is_grouped(text: &str, mark: char) -> bool {
    let mut groups = text.trim_start_matches(['-', '+']).split(mark);
    let digits = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit());
    groups.next().is_some_and(|first| (1..=3).contains(&first.len()) && digits(first))
        && groups.all(|group| group.len() == 3 && digits(group))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a number is read by the marks that are told, and one of others is none.
    #[test]
    fn numbers_are_read_by_their_marks() {
        let comma = Marks::new(Some(','), None).unwrap();
        let german = Marks::new(Some(','), Some('.')).unwrap();
        let english = Marks::new(None, Some(',')).unwrap();
        let swiss = Marks::new(None, Some('\'')).unwrap();
        for (marks, text, plain) in [
            (comma, "0,5", Some("0.5")),
            (comma, "-1,25e3", Some("-1.25e3")),
            (comma, ",5", Some(".5")),
            (comma, "7", Some("7")),
            (comma, "1.5", None),
            (comma, "1.234,5", None),
            (comma, "1,2,3", None),
            (german, "-1.234.567,5", Some("-1234567.5")),
            (german, "1.234", Some("1234")),
            (german, "1.5", None),
            (german, "1234,5", Some("1234.5")),
            (german, "1.2345,6", None),
            (german, "24.12.2024", None),
            (german, "1,234.5", None),
            (english, "1,234.5", Some("1234.5")),
            (english, "1,5", None),
            (swiss, "1'234.5", Some("1234.5")),
            (swiss, "1,5", None),
            (Marks::PLAIN, "1,5", Some("1,5")),
        ] {
            assert_eq!(marks.plain(text).as_deref(), plain, "{marks:?} {text}");
        }
        for text in ["1,5", "1.234,5", "1,234.5", "1.234.567", "1,234"] {
            assert!(Marks::PLAIN.are_others(text), "{text}");
        }
        assert!(comma.are_others("1.234,5") && comma.are_others("1.234"));
        assert!(!comma.are_others("1.5") && !comma.are_others("1,234.5"));
        for text in ["5", "v1,5", "24.12.2024", "1,2,3", ",", "a,b", ""] {
            assert!(!Marks::PLAIN.are_others(text), "{text}");
        }
        for (decimal, thousands) in [(Some(';'), None), (None, Some('.')), (Some(','), Some('1'))] {
            assert!(Marks::new(decimal, thousands).is_err(), "{decimal:?} {thousands:?}");
        }
    }
}
