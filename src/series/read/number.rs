//! Numbers as people write them: `1,299.5`, `1.299,5`, `004.20`.

use std::borrow::Cow;

/// The marks of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) decimal: char,
    pub(super) thousands: char,
}

impl Marks {
    /// `1,299.5`.
    pub(super) const POINT: Marks = Marks { decimal: '.', thousands: ',' };
    /// `1.299,5`.
    pub(super) const COMMA: Marks = Marks { decimal: ',', thousands: '.' };

    /// A number as Rust writes it; `None` where a mark stands in a wrong place.
    pub(super) fn plain<'t>(&self, text: &'t str) -> Option<Cow<'t, str>> {
        let grouped = text.contains(self.thousands);
        if !grouped && (self.decimal == '.' || !text.contains(self.decimal)) {
            return Some(Cow::Borrowed(text));
        }
        let (whole, part) = text.split_once(self.decimal).unwrap_or((text, ""));
        if grouped {
            let is_digits = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit());
            let mut groups = whole.trim_start_matches(['-', '+']).split(self.thousands);
            let first = groups.next().unwrap_or_default();
            let begins = (1..=3).contains(&first.len()) && is_digits(first);
            let fits = begins && !first.starts_with('0') && !part.contains(self.thousands);
            if !fits || !groups.all(|group| group.len() == 3 && is_digits(group)) {
                return None;
            }
        }
        let digits = whole.replace(self.thousands, "");
        match text.contains(self.decimal) {
            true => Some(Cow::Owned(format!("{digits}.{part}"))),
            false => Some(Cow::Owned(digits)),
        }
    }

    /// The number that a text says; what a float cannot hold is none.
    pub(super) fn float(&self, text: &str) -> Option<f64> {
        let number: f64 = self.plain(text)?.parse().ok()?;
        let is_word = !text.bytes().any(|byte| byte.is_ascii_digit());
        (number.is_finite() || is_word).then_some(number)
    }

    /// The integer that a text says.
    pub(super) fn integer<T: std::str::FromStr>(&self, text: &str) -> Option<T> {
        self.plain(text)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: marks stand where they belong, or the text is no number.
    #[test]
    fn marks_stand_where_they_belong() {
        let (point, comma) = (Marks::POINT, Marks::COMMA);
        for (text, by_point, by_comma) in [
            ("12", Some(12.0), Some(12.0)),
            ("004.20", Some(4.2), None),
            ("1.299", Some(1.299), Some(1299.0)),
            ("-1,299", Some(-1299.0), Some(-1.299)),
            ("1.300,75", None, Some(1300.75)),
            ("1,234,567.5", Some(1_234_567.5), None),
            ("0.412", Some(0.412), None),
            ("12,34", None, Some(12.34)),
            ("1,2345", None, Some(1.2345)),
            ("1.5e3", Some(1500.0), None),
            ("1e400", None, None),
            ("inf", Some(f64::INFINITY), Some(f64::INFINITY)),
            ("<0.5", None, None),
            ("1,,000", None, None),
        ] {
            assert_eq!((point.float(text), comma.float(text)), (by_point, by_comma), "{text}");
        }
        let space = Marks { decimal: ',', thousands: ' ' };
        assert_eq!(space.float("1 299,5"), Some(1299.5));
        assert_eq!(comma.integer::<i64>("1.299"), Some(1299));
    }
}
