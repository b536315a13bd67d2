//! Records of delimited text, plain or packed.

use std::borrow::Cow;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::kernel::{open_text, reading_text};
use crate::table::marks::Marks;

/// The most bytes of a record.
const LONGEST: u64 = 16 << 20;

/// The records of a text, with quoted fields as RFC 4180 has them.
pub(super) struct Records {
    path: PathBuf,
    from: Box<dyn BufRead>,
    separator: u8,
    text: Vec<u8>,
    /// The fields, without quotes, one after another, and where each ends.
    fields: String,
    ends: Vec<usize>,
    lines: u64,
    /// The line in which the record begins.
    line: u64,
    /// Whether a last line without a newline is whole.
    finished: bool,
    /// Whether a newline ended the record, or the file is finished.
    has_end: bool,
}

impl Records {
    /// Reads the first record, and finds the separator in it if nobody says.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty file, or a separator that is none.
    pub(super) fn open(
        path: &Path,
        (separator, marks): (Option<char>, Marks),
        finished: bool,
    ) -> Result<Self> {
        let separator = match separator {
            Some(c) if c.is_ascii() && !c.is_ascii_alphanumeric() && c != '"' => Some(c as u8),
            Some(c) => {
                return Err(Error::invalid("separator", "a mark of ASCII", format!("{c:?}")));
            }
            None => None,
        };
        let mut records = Records {
            path: path.to_owned(),
            from: open_text(path)?,
            separator: separator.unwrap_or(b','),
            text: Vec::new(),
            fields: String::new(),
            ends: Vec::new(),
            lines: 0,
            line: 0,
            finished,
            has_end: true,
        };
        if !records.next_text()? {
            return Err(Error::invalid(path.display().to_string(), "a table", "an empty file"));
        }
        if separator.is_none() {
            let count = |mark: &u8| records.text.iter().filter(|c| *c == mark).count();
            let marks =
                [b'\t', b';', b',', b'|'].into_iter().filter(|c| !marks.has(char::from(*c)));
            let found = marks.max_by_key(count);
            records.separator = found.unwrap_or(b',');
        }
        records.split()?;
        Ok(records)
    }

    /// The next record; whether there is one.
    pub(super) fn next(&mut self) -> Result<bool> {
        Ok(self.next_text()? && self.split().map(|()| true)?)
    }

    /// The line in which the record begins.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Of a last record without an end, which may be cut, the field at this place: `Some(None)` if it may be cut too.
    pub(super) fn cut(&self, at: usize) -> Option<Option<&str>> {
        (!self.has_end).then(|| self.fields().take(self.ends.len() - 1).nth(at))
    }

    pub(super) fn separator(&self) -> char {
        char::from(self.separator)
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(begin, end)| &self.fields[begin..*end])
    }

    /// The lines of a record, of which a quoted field may have several.
    fn next_text(&mut self) -> Result<bool> {
        self.text.clear();
        self.line = self.lines + 1;
        let mut quotes = 0;
        loop {
            let from = self.text.len();
            let most = LONGEST - from as u64;
            let read = self.from.by_ref().take(most).read_until(b'\n', &mut self.text);
            let read = read.map_err(|e| reading_text(&self.path, &e, self.lines))?;
            if read as u64 == most {
                return Err(self.refuse(format!("one of more than {LONGEST} bytes")));
            }
            if read == 0 {
                // One that spans lines is a quote too many, rather than a last line that is cut.
                return match self.text.is_empty() || !self.has_end && self.lines == self.line {
                    true => Ok(!self.text.is_empty()),
                    false => Err(self.refuse("a quote that is not closed".into())),
                };
            }
            // The end of a file of DOS.
            if self.text[from..] == [0x1a] {
                self.text.truncate(from);
                continue;
            }
            self.lines += 1;
            self.has_end = self.finished || self.text.last() == Some(&b'\n');
            if self.lines == 1 && self.text.starts_with(b"\xef\xbb\xbf") {
                self.text.drain(..3);
            }
            quotes += self.text[from.min(self.text.len())..].iter().filter(|c| **c == b'"').count();
            if quotes % 2 == 0 {
                while self.text.last().is_some_and(|c| matches!(c, b'\n' | b'\r')) {
                    self.text.pop();
                }
                if !self.text.is_empty() {
                    return Ok(true);
                }
                (self.line, quotes) = (self.lines + 1, 0);
            }
        }
    }

    fn refuse(&self, got: String) -> Error {
        let location = format!("{}: line {}", self.path.display(), self.line);
        Error::invalid(location, "a record of a table", got)
    }

    fn split(&mut self) -> Result<()> {
        self.fields.clear();
        self.ends.clear();
        let text = match String::from_utf8_lossy(&self.text) {
            // It may be cut inside a character.
            text if !self.has_end => text,
            Cow::Borrowed(text) => Cow::Borrowed(text),
            Cow::Owned(_) => {
                return Err(self.refuse("bytes that are not UTF-8 (save it as UTF-8)".into()));
            }
        };
        let separator = char::from(self.separator);
        if !text.contains('"') {
            for field in text.split(separator) {
                self.fields.push_str(field.trim());
                self.ends.push(self.fields.len());
            }
            return Ok(());
        }
        let mut rest = &*text;
        loop {
            let inner = rest.trim_start_matches(' ');
            let after = match inner.strip_prefix('"') {
                Some(quoted) => {
                    let mut quoted = quoted;
                    loop {
                        let end = quoted.find('"').unwrap_or(quoted.len());
                        self.fields.push_str(&quoted[..end]);
                        quoted = quoted.get(end + 1..).unwrap_or_default();
                        let Some(next) = quoted.strip_prefix('"') else { break };
                        self.fields.push('"');
                        quoted = next;
                    }
                    let end = quoted.find(separator).unwrap_or(quoted.len());
                    if !quoted[..end].trim().is_empty() {
                        return Err(self.refuse("text behind the end of a quote".into()));
                    }
                    &quoted[end..]
                }
                None => {
                    let end = rest.find(separator).unwrap_or(rest.len());
                    self.fields.push_str(rest[..end].trim());
                    &rest[end..]
                }
            };
            self.ends.push(self.fields.len());
            match after.strip_prefix(separator) {
                Some(next) => rest = next,
                None => return Ok(()),
            }
        }
    }
}
