//! The records of a delimited text, with the lines on which they begin.

use std::borrow::Cow;

/// A field of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    /// Its text, without the quotes.
    pub(crate) text: Cow<'a, str>,
    /// Whether it stood in quotes.
    pub(crate) quoted: bool,
}

impl Field<'_> {
    /// Whether nothing stands there, not even quotes.
    pub(crate) fn is_missing(&self) -> bool {
        !self.quoted && self.text.is_empty()
    }
}

/// A record, and the line on which it begins, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row<'a> {
    pub(crate) line: u64,
    /// The line of a quote that is not closed as it should be.
    pub(crate) open_quote: Option<u64>,
    pub(crate) fields: Vec<Field<'a>>,
}

/// The records of a text. Empty lines are passed over.
#[derive(Debug, Clone)]
pub(crate) struct Rows<'a> {
    rest: &'a str,
    separator: char,
    line: u64,
    open_quote: Option<u64>,
}

impl<'a> Rows<'a> {
    /// Of this text; a byte order mark at its begin is no part of it.
    pub(crate) fn new(text: &'a str, separator: char) -> Self {
        Rows::from_line(text.strip_prefix('\u{feff}').unwrap_or(text), separator, 1)
    }

    /// Of a text that begins on this line of its file.
    pub(crate) fn from_line(rest: &'a str, separator: char, line: u64) -> Self {
        Rows { rest, separator, line, open_quote: None }
    }

    /// Takes one field; the second is whether the record ends behind it.
    fn field(&mut self) -> (Field<'a>, bool) {
        if self.rest.starts_with('"') {
            return self.quoted();
        }
        let end = |c: char| c == self.separator || c == '\n';
        let at = self.rest.find(end).unwrap_or(self.rest.len());
        let text = &self.rest[..at];
        self.rest = &self.rest[at..];
        let ends = self.take_end();
        let text = if ends { text.strip_suffix('\r').unwrap_or(text) } else { text };
        (Field { text: Cow::Borrowed(text), quoted: false }, ends)
    }

    fn quoted(&mut self) -> (Field<'a>, bool) {
        let inside = &self.rest[1..];
        let (mut text, mut from) = (Cow::Borrowed(""), 0);
        let end = loop {
            let Some(at) = inside[from..].find('"').map(|at| from + at) else {
                self.open_quote = Some(self.line);
                break inside.len();
            };
            if !inside[at + 1..].starts_with('"') {
                break at;
            }
            text.to_mut().push_str(&inside[from..=at]);
            from = at + 2;
        };
        match &mut text {
            Cow::Borrowed(whole) => *whole = &inside[..end],
            Cow::Owned(text) => text.push_str(&inside[from..end]),
        }
        let first = self.line;
        self.line += text.matches('\n').count() as u64;
        self.rest = inside.get(end + 1..).unwrap_or_default();
        // Spaces between the quotes and the separator are no part of the field.
        let after = self.rest.find([self.separator, '\n']).unwrap_or(self.rest.len());
        let more = &self.rest[..after];
        self.rest = &self.rest[after..];
        let ends = self.take_end();
        let more = if ends { more.strip_suffix('\r').unwrap_or(more) } else { more };
        if !more.trim().is_empty() {
            // Where a text goes on behind it, the quote is no end, or one lines further down is the begin of another text.
            self.open_quote = self.open_quote.or(Some(first));
            text.to_mut().push_str(more);
        }
        (Field { text, quoted: true }, ends)
    }

    /// Takes the separator, or the end of the record; whether it was the end.
    fn take_end(&mut self) -> bool {
        if let Some(rest) = self.rest.strip_prefix(self.separator) {
            self.rest = rest;
            return false;
        }
        if let Some(rest) = self.rest.strip_prefix('\n') {
            (self.rest, self.line) = (rest, self.line + 1);
        }
        true
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = Row<'a>;

    fn next(&mut self) -> Option<Row<'a>> {
        loop {
            let line = self.line;
            if self.rest.is_empty() {
                return None;
            }
            let mut fields = Vec::new();
            loop {
                let (field, ends) = self.field();
                fields.push(field);
                if ends {
                    break;
                }
            }
            if fields.len() > 1 || !fields[0].is_missing() {
                return Some(Row { line, open_quote: self.open_quote.take(), fields });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, separator: char) -> Vec<(u64, Vec<String>)> {
        let plain = |row: Row<'_>| {
            let show =
                |f: Field<'_>| if f.quoted { format!("<{}>", f.text) } else { f.text.into() };
            (row.line, row.fields.into_iter().map(show).collect())
        };
        Rows::new(text, separator).map(plain).collect()
    }

    /// Goal: quotes, line ends of any system and lines within a text are read, and each record knows its line.
    #[test]
    fn records_know_their_lines() {
        let text = "\u{feff}t,v\r\n1,\"a\"\"b\nc\" \r\n\r\n2,\"\"\n3,\n4,\"open";
        let open = |text| Rows::new(text, ',').filter_map(|row| row.open_quote).collect::<Vec<_>>();
        assert_eq!(open(text), [7]);
        assert_eq!(open("a,b\n\"c\"d\",1\n\"c\"d,1\n\"e\" ,2\n"), [2, 3]);
        let rows = read(text, ',');
        let expected: [(u64, [&str; 2]); 5] = [
            (1, ["t", "v"]),
            (2, ["1", "<a\"b\nc>"]),
            (5, ["2", "<>"]),
            (6, ["3", ""]),
            (7, ["4", "<open>"]),
        ];
        let expected = expected.map(|(line, fields)| (line, fields.map(str::to_owned).to_vec()));
        assert_eq!(rows, expected);
    }
}
