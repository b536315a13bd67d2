//! Quotes as lines of text.

use std::io::{self, BufRead, Read};
use std::path::Path;

use super::format::Layout;
use super::{Gathered, Quote, QuoteOptions};
use crate::error::{Error, Result};

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
}

impl<R: BufRead> Lines<'_, R> {
    /// The next line that has something; whether there is one.
    fn next(&mut self) -> Result<bool> {
        loop {
            self.line.clear();
            let read = self.from.by_ref().take(LONGEST).read_until(b'\n', &mut self.line);
            let read = read.map_err(|e| match e.kind() {
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::InvalidData
                | io::ErrorKind::InvalidInput
                | io::ErrorKind::Other => {
                    let (location, what) =
                        (self.path.display().to_string(), "the packed text".to_owned());
                    Error::Corrupt {
                        location,
                        what,
                        why: format!("{e}, behind line {}", self.number),
                    }
                }
                _ => Error::io(self.path, "reading it", &e),
            })?;
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
            let end = self.line.trim_ascii_end().len();
            self.line.truncate(end);
            if end > 0 {
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
    let mut lines = Lines { path, from, line: Vec::new(), number: 0 };
    if !lines.next()? {
        return Err(Error::invalid(path.display().to_string(), "a file of quotes", "an empty one"));
    }
    let first = lines.text()?.to_owned();
    let mut is_next = lines.next()?;
    let second = if is_next { lines.text()?.to_owned() } else { String::new() };
    let layout = Layout::of(options, path, &first, &second)?;
    out.begin(&layout.taken_for, layout.symbol.is_some())?;
    let mut reading = Reading { layout, carry: options.carry, last: None, time: String::new() };
    if !reading.layout.has_header {
        let quote = reading.quote(&first);
        out.push(1, quote)?;
    }
    while is_next {
        let quote =
            std::str::from_utf8(&lines.line).map_err(|_| "text in UTF-8 expected".to_owned());
        out.push(lines.number, quote.and_then(|line| reading.quote(line)))?;
        is_next = lines.next()?;
    }
    Ok(())
}

struct Reading {
    layout: Layout,
    carry: bool,
    /// The last bid and ask, where an empty side is the last one.
    last: Option<(f64, f64)>,
    time: String,
}

impl Reading {
    fn quote<'q>(&mut self, line: &'q str) -> Result<Quote<'q>, String> {
        let layout = &self.layout;
        let mut cells = [""; MOST_FIELDS];
        let mut found = 0;
        for cell in line.split(char::from(layout.separator)) {
            if let Some(place) = cells.get_mut(found) {
                *place = cell;
            }
            found += 1;
        }
        if found != layout.fields {
            return Err(format!("{} fields expected, got {found}", layout.fields));
        }
        let cell = |at: usize| cells[at].trim().trim_matches('"');
        let time = match layout.clock {
            None => cell(layout.time),
            Some(clock) => {
                self.time.clear();
                self.time.extend([cell(layout.time), " ", cell(clock)]);
                &self.time
            }
        };
        let time_ns = layout.times.read(time)?;
        let price = |what: &str, at: usize| match cell(at) {
            "" => Ok(None),
            text => match text.parse::<f64>() {
                Ok(price) => Ok(Some(price)),
                Err(_) => Err(format!(
                    "{what}: expected a number, got {:?}",
                    text.chars().take(40).collect::<String>()
                )),
            },
        };
        let (bid, ask) = (price("bid", layout.bid)?, price("ask", layout.ask)?);
        let last = self.last.filter(|_| self.carry && layout.symbol.is_none());
        let side = |what: &str, own: Option<f64>, last: Option<f64>| {
            own.or(last).ok_or_else(|| match self.carry {
                true => format!("{what}: expected a number, got nothing, and nothing to carry"),
                false => {
                    format!("{what}: expected a number, got nothing (--carry takes the last one)")
                }
            })
        };
        let (bid, ask) =
            (side("bid", bid, last.map(|l| l.0))?, side("ask", ask, last.map(|l| l.1))?);
        let spread = layout.spread.map(|at| price("spread", at)).transpose()?.flatten();
        self.last = Some((bid, ask));
        Ok(Quote {
            time_ns,
            bid,
            ask,
            spread,
            symbol: layout.symbol.map(cell),
            lp: layout.lp.map(cell),
        })
    }
}
