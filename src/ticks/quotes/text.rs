//! Quotes as lines of text.

use std::io::{BufRead, Read};
use std::path::Path;

use super::format::Layout;
use super::{Gathered, Quote, QuoteOptions};
use crate::error::{Error, Result};
use crate::kernel::reading_text;
use crate::table::marks::Marks;

/// The longest line, in bytes: none of quotes is so long.
const LONGEST: u64 = 1 << 16;
/// Fields of a line that are looked at.
const MOST_FIELDS: usize = 64;

/// Reads lines, without their ends.
struct Lines<'a, R> {
    path: &'a Path,
    from: R,
    line: Vec<u8>,
    number: u64,
    /// Whether a newline ended the line.
    finished: bool,
    has_end: bool,
}

impl<R: BufRead> Lines<'_, R> {
    /// The next line that has something; whether there is one.
    fn next(&mut self) -> Result<bool> {
        loop {
            self.line.clear();
            let read = self.from.by_ref().take(LONGEST).read_until(b'\n', &mut self.line);
            let read = read.map_err(|e| reading_text(self.path, &e, self.number))?;
            if read == 0 {
                return Ok(false);
            }
            self.number += 1;
            if read as u64 == LONGEST && self.line.last() != Some(&b'\n') {
                let location = format!("{}: line {}", self.path.display(), self.number);
                return Err(Error::invalid(
                    location,
                    "a line of quotes",
                    format!("one of more than {LONGEST} bytes"),
                ));
            }
            if self.number == 1 && self.line.starts_with(b"\xef\xbb\xbf") {
                self.line.drain(..3);
            }
            self.has_end = self.line.pop_if(|byte| *byte == b'\n').is_some() || self.finished;
            self.line.pop_if(|byte| *byte == b'\r');
            if !self.line.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }

    fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.line).map_err(|_| {
            let location = format!("{}: line {}", self.path.display(), self.number);
            Error::invalid(location, "text in UTF-8", "other bytes")
        })
    }
}

pub(super) fn read(
    path: &Path,
    options: &QuoteOptions,
    from: impl BufRead,
    out: &mut Gathered<'_>,
) -> Result<()> {
    let finished = options.finished;
    let mut lines = Lines { path, from, line: Vec::new(), number: 0, finished, has_end: false };
    if !lines.next()? {
        return Err(Error::invalid(path.display().to_string(), "a file of quotes", "an empty one"));
    }
    let first = lines.text()?.to_owned();
    let mut is_next = lines.next()?;
    let second = if is_next { lines.text()?.to_owned() } else { String::new() };
    let layout = Layout::of(options, path, &first, &second)
        .map_err(|error| out.with_symbol(error, options))?;
    out.begin(&layout.taken_for, layout.symbol.is_some())?;
    if layout.fields > MOST_FIELDS {
        let got = format!("{} fields a line", layout.fields);
        return Err(Error::invalid(
            path.display().to_string(),
            format!("at most {MOST_FIELDS}"),
            got,
        ));
    }
    let mut reading = Reading { layout, marks: options.marks()?, time: String::new() };
    if !reading.layout.has_header {
        let quote = reading.quote(&first);
        out.push(1, quote)?;
    }
    while is_next {
        let quote = match std::str::from_utf8(&lines.line) {
            Err(_) => Err("text in UTF-8 expected".to_owned()),
            // Of a file that grows it may be cut inside a number.
            Ok(_) if !lines.has_end => {
                Err("it has no newline, and may be cut (--finished if it is whole)".into())
            }
            Ok(line) => reading.quote(line),
        };
        out.push(lines.number, quote)?;
        is_next = lines.next()?;
    }
    Ok(())
}

/// The fields of a line; what is between quotes is one, whatever is in it.
fn split<'q>(line: &'q str, separator: char, mut each: impl FnMut(&'q str)) {
    if !line.contains('"') {
        return line.split(separator).for_each(each);
    }
    let (mut begin, mut is_quoted) = (0, false);
    for (at, c) in line.char_indices() {
        match c {
            '"' => is_quoted = !is_quoted,
            c if c == separator && !is_quoted => {
                each(&line[begin..at]);
                begin = at + c.len_utf8();
            }
            _ => {}
        }
    }
    each(&line[begin..]);
}

struct Reading {
    layout: Layout,
    marks: Marks,
    time: String,
}

impl Reading {
    fn quote<'q>(&mut self, line: &'q str) -> Result<Quote<'q>, String> {
        let layout = &self.layout;
        let mut cells = [""; MOST_FIELDS];
        let mut found = 0;
        split(line, char::from(layout.separator), |cell| {
            if let Some(place) = cells.get_mut(found) {
                *place = cell;
            }
            found += 1;
        });
        if found != layout.fields {
            return Err(format!("{} fields expected, got {found}", layout.fields));
        }
        let cell = |at: usize| cells[at].trim().trim_matches('"');
        let price = |what: &str, at: usize| match cell(at) {
            "" => Ok(None),
            text => {
                let number = self.marks.plain(text).and_then(|number| number.parse::<f64>().ok());
                number.map(Some).ok_or_else(|| {
                    let hint = match self.marks.are_others(text) {
                        true => " (--decimal and --thousands say its marks)",
                        false => "",
                    };
                    let text: String = text.chars().take(40).collect();
                    format!("{what}: expected a number, got {text:?}{hint}")
                })
            }
        };
        let (bid, ask) = (price("bid", layout.bid)?, price("ask", layout.ask)?);
        let spread = layout.spread.map(|at| price("spread", at)).transpose()?.flatten();
        let time = match layout.clock {
            None => cell(layout.time),
            Some(clock) => {
                self.time.clear();
                self.time.extend([cell(layout.time), " ", cell(clock)]);
                &self.time
            }
        };
        Ok(Quote {
            time_ns: layout.times.read(time),
            bid,
            ask,
            spread,
            symbol: layout.symbol.map(cell),
            lp: layout.lp.map(cell),
        })
    }
}
