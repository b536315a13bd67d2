//! Texts of any characters in columns that cannot hold NUL.

use std::borrow::Cow;

/// U+0001 leads a pair: `0` for NUL, `1` for itself. Texts sort as they did.
pub(crate) fn encode(text: &str) -> Cow<'_, str> {
    if text.contains(['\0', '\u{1}']) {
        text.replace('\u{1}', "\u{1}1").replace('\0', "\u{1}0").into()
    } else {
        text.into()
    }
}

/// The text that [`encode`] made this of; `None` for a pair that it does not make.
pub(crate) fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('\u{1}') {
        return Some(text.into());
    }
    let mut whole = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        whole.push(match character {
            '\u{1}' => match characters.next()? {
                '0' => '\0',
                '1' => '\u{1}',
                _ => return None,
            },
            other => other,
        });
    }
    Some(whole.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: any text comes back, and sorts as it did.
    #[test]
    fn texts_come_back_in_their_order() {
        let parts =
            ["", "\0", "\u{1}", "\u{1}0", "a", "\0a", "\u{2}", "\0\0", "\u{1}\u{1}", "\u{10ffff}"];
        for one in parts {
            assert_eq!(decode(&encode(one)).unwrap(), one);
            for other in parts {
                let (a, b) = (encode(one), encode(other));
                assert_eq!(one.cmp(other), a.cmp(&b), "{one:?} {other:?}");
                assert_eq!(one.starts_with(other), a.starts_with(&*b), "{one:?} {other:?}");
            }
        }
        assert_eq!(decode("\u{1}x"), None);
    }
}
