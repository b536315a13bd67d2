//! What a text may do to a terminal: nothing. Names, values and reasons come from files that anybody may have written.
//!
//! | what | how |
//! |---|---|
//! | a name or value among our own words; a cell of a table, of CSV or TSV on a terminal | [`escaped`] |
//! | a line of ours, with colours | [`line`] |
//! | JSON, wherever it goes | [`json`], which any reader of JSON takes for the same |
//! | CSV and TSV into a file or pipe | as they are, to the byte |

use serde_json::Value;

/// Whether a character steers a terminal, or changes the direction in which it writes.
fn steers(c: char) -> bool {
    let marks = ['\u{200e}'..='\u{200f}', '\u{2028}'..='\u{202e}', '\u{2066}'..='\u{2069}'];
    c.is_control() || c == '\u{61c}' || marks.iter().any(|range| range.contains(&c))
}

/// The text with what would steer a terminal escaped: control characters and direction marks.
pub(crate) fn escaped(text: String) -> String {
    if !text.contains(steers) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if steers(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// Lines of ours: as [`escaped`], but for their ends and the colours that this command uses.
pub(crate) fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = ink(rest).unwrap_or(c.len_utf8());
        match c {
            '\n' => out.push(c),
            _ if length > c.len_utf8() => out.push_str(&rest[..length]),
            c if steers(c) => out.extend(c.escape_default()),
            c => out.push(c),
        }
        rest = &rest[length..];
    }
    out
}

/// The length of a colour, of bold, or of their end, if a text begins with one.
fn ink(text: &str) -> Option<usize> {
    let code = text.strip_prefix("\u{1b}[")?;
    let end = code.find('m')?;
    let known = matches!(&code.as_bytes()[..end], [b'0' | b'1'] | [b'3', b'1'..=b'6'] | b"90");
    known.then_some("\u{1b}[".len() + end + 1)
}

/// A document of JSON, indented for a person or on one line. What steers a terminal is `\u` and its number.
pub(crate) fn json(value: &Value, indented: bool) -> String {
    let text = if indented { format!("{value:#}") } else { value.to_string() };
    // Line ends are of the indentation: in a text they are escaped already.
    let must = |c: char| steers(c) && c != '\n';
    if !text.contains(must) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if must(c) { out.push_str(&format!("\\u{:04x}", u32::from(c))) } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{1b}]0;title\u{7}\u{9b}2Jb\u{7f}\u{85}\u{202e}\r\u{1b}[8mc";

    /// Goal: nothing of a text from a file reaches a terminal as a command: C0, C1, DEL, marks of direction.
    #[test]
    fn a_text_steers_no_terminal() {
        for shown in [escaped(HOSTILE.into()), line(HOSTILE), json(&HOSTILE.into(), true)] {
            assert!(!shown.contains(steers), "{shown:?}");
            assert!(shown.starts_with(['a', '"']) && shown.trim_end_matches('"').ends_with('c'));
        }
        assert_eq!(escaped("a\tb\n".into()), "a\\tb\\n");
    }

    /// Goal: our own colours pass, with the lines between them; what looks like them does not.
    #[test]
    fn colours_of_ours_pass() {
        let ours = "\u{1b}[1mhead\u{1b}[0m\n\u{1b}[33mink\u{1b}[90m";
        assert_eq!(line(ours), ours);
        for foreign in
            ["\u{1b}[8m", "\u{1b}[31;8m", "\u{1b}[2J", "\u{1b}[", "\u{1b}m", "\u{1b}[é1m"]
        {
            assert!(!line(foreign).contains('\u{1b}'), "{foreign:?}");
        }
    }

    /// Goal: JSON says the same to whoever reads it.
    #[test]
    fn json_is_the_same_to_a_reader() {
        let value = serde_json::json!({ HOSTILE: [HOSTILE, 1.5, "é😀"] });
        for indented in [false, true] {
            let read: Value = serde_json::from_str(&json(&value, indented)).unwrap();
            assert_eq!(read, value);
        }
    }
}
