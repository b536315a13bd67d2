//! Numbers as people write them: `1,299.5`, `1.299,5`, `004.20`.

use std::borrow::Cow;

/// The marks of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) decimal: char,
    pub(super) thousands: char,
}

/// The spaces that people put between thousands.
const SPACES: [char; 5] = [' ', '\u{a0}', '\u{2007}', '\u{2009}', '\u{202f}'];

impl Marks {
    /// `1,299.5`.
    pub(super) const POINT: Marks = Marks { decimal: '.', thousands: ',' };
    /// `1.299,5`.
    pub(super) const COMMA: Marks = Marks { decimal: ',', thousands: '.' };

    /// A number as Rust writes it; `None` where a mark stands in a wrong place.
    pub(super) fn plain<'t>(&self, text: &'t str) -> Option<Cow<'t, str>> {
        let between = |c: char| match self.thousands {
            ' ' => SPACES.contains(&c),
            mark => c == mark,
        };
        let grouped = text.contains(between);
        if !grouped && (self.decimal == '.' || !text.contains(self.decimal)) {
            return Some(Cow::Borrowed(text));
        }
        let (whole, part) = text.split_once(self.decimal).unwrap_or((text, ""));
        if grouped {
            let is_digits = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit());
            let mut groups = whole.trim_start_matches(['-', '+']).split(between);
            let first = groups.next().unwrap_or_default();
            let begins = (1..=3).contains(&first.len()) && is_digits(first);
            let fits = begins && !first.starts_with('0') && !part.contains(between);
            if !fits || !groups.all(|group| group.len() == 3 && is_digits(group)) {
                return None;
            }
        }
        let digits = whole.replace(between, "");
        match text.contains(self.decimal) {
            true => Some(Cow::Owned(format!("{digits}.{part}"))),
            false => Some(Cow::Owned(digits)),
        }
    }

    /// The number that a text says; what is beyond the floats, or nearer to zero than they are, is none.
    pub(super) fn float(&self, text: &str) -> Option<f64> {
        let plain = self.plain(text)?;
        let number: f64 = plain.parse().ok()?;
        let is_word = !text.bytes().any(|byte| byte.is_ascii_digit());
        let digits = plain.split(['e', 'E']).next().unwrap_or_default();
        let is_zero = !digits.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
        let fits = number.is_finite() && (number != 0.0 || is_zero);
        (fits || is_word).then_some(number)
    }

    /// The same, if it is no integer that a float rounds.
    pub(super) fn exact_float(&self, text: &str) -> Option<f64> {
        let number = self.float(text)?;
        let plain = self.plain(text)?;
        let whole = plain.split_once('.').map_or(&*plain, |(whole, part)| {
            if part.bytes().all(|byte| byte == b'0') { whole } else { "" }
        });
        let digits = whole.trim_start_matches(['-', '+']).trim_start_matches('0');
        // 15 digits are always exact.
        let is_integer = digits.len() > 15 && digits.bytes().all(|byte| byte.is_ascii_digit());
        (!is_integer || format!("{:.0}", number.abs()) == digits).then_some(number)
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
            ("1e-400", None, None),
            ("-0.0", Some(-0.0), None),
            ("0e5", Some(0.0), Some(0.0)),
            ("inf", Some(f64::INFINITY), Some(f64::INFINITY)),
            ("<0.5", None, None),
            ("1,,000", None, None),
        ] {
            assert_eq!((point.float(text), comma.float(text)), (by_point, by_comma), "{text}");
        }
        let space = Marks { decimal: ',', thousands: ' ' };
        for between in [" ", "\u{a0}", "\u{2009}", "\u{202f}"] {
            assert_eq!(space.float(&format!("1{between}299,5")), Some(1299.5), "{between:?}");
        }
        for (text, is_exact) in [
            ("9007199254740993", false),
            ("-9007199254740993.0", false),
            ("9,007,199,254,740,993", false),
            ("9007199254740992", true),
            ("100000000000000000000", true),
            ("123456789012345678901", false),
            ("9007199254740993.5", true),
            ("1e17", true),
            ("inf", true),
        ] {
            assert_eq!(point.exact_float(text).is_some(), is_exact, "{text}");
        }
        assert_eq!(comma.integer::<i64>("1.299"), Some(1299));
    }
}
