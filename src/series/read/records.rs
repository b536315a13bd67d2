//! Where the table of a text begins: its separator, its header and its first record.

use super::PointsOptions;
use super::json_lines::JsonRows;
use super::number::Marks;
use super::time::TimeProfile;
use crate::error::{Error, Result};
use crate::series::text::{Row, Rows, find_separator, is_missing, open_quote};

/// The records that tell the header.
const HEAD: usize = 50;

/// The table of a text.
#[derive(Debug)]
pub(super) struct Table<'a> {
    pub(super) records: Records<'a>,
    /// The character between the fields; none in JSON lines.
    pub(super) separator: Option<char>,
    pub(super) names: Vec<String>,
    /// The unit of each column, if the header says them.
    pub(super) units: Vec<String>,
    /// The column of the index, if the kind of file tells it.
    pub(super) index: Option<usize>,
    pub(super) notes: Vec<String>,
}

/// The records of a table, a field for each column. A header that stands there again is passed over.
#[derive(Debug, Clone)]
pub(super) struct Records<'a> {
    rows: Source<'a>,
    header: Vec<String>,
    width: usize,
    /// Whether they are of a sheet, where what stands in quotes is a cell of text.
    pub(super) are_cells: bool,
    /// Lines on which the header stands again.
    pub(super) again: Vec<u64>,
}

#[derive(Debug, Clone)]
enum Source<'a> {
    Text(Rows<'a>),
    Json(JsonRows<'a>),
}

impl Records<'_> {
    /// Whether quotes tell texts from numbers.
    pub(super) fn are_json(&self) -> bool {
        matches!(self.rows, Source::Json(_))
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Row<'a>;

    fn next(&mut self) -> Option<Row<'a>> {
        loop {
            let mut row = match &mut self.rows {
                Source::Text(rows) => rows.next()?,
                Source::Json(rows) => return rows.next(),
            };
            // A separator behind the last field.
            if row.fields.len() == self.width + 1 && row.fields[self.width].is_missing() {
                row.fields.pop();
            }
            if !self.header.is_empty() && texts(&row).eq(self.header.iter().map(String::as_str)) {
                self.again.push(row.line);
                continue;
            }
            return Some(row);
        }
    }
}

fn texts<'r>(row: &'r Row<'_>) -> impl Iterator<Item = &'r str> {
    row.fields.iter().map(|field| field.text.trim())
}

/// The table of JSON lines.
///
/// # Errors
/// [`Error::Invalid`], naming the line, for what is no object of numbers, texts, booleans and nulls.
pub(super) fn table_of_json<'a>(text: &'a str, location: &str) -> Result<Table<'a>> {
    let (rows, names) = JsonRows::of(text, location)?;
    let (rows, width) = (Source::Json(rows), names.len());
    let records = Records { rows, header: Vec::new(), width, are_cells: false, again: Vec::new() };
    Ok(Table { records, separator: None, names, units: vec![], index: None, notes: vec![] })
}

/// Finds the table.
///
/// # Errors
/// [`Error::Invalid`] where a header is not to be told from data or lines before it, naming the option that tells it.
pub(super) fn table_of<'a>(
    text: &'a str,
    options: &PointsOptions,
    location: &str,
) -> Result<Table<'a>> {
    let skip = options.skip_lines.unwrap_or(0);
    let (mut rest, mut line) = (text, 1);
    for _ in 0..skip {
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
        line += 1;
    }
    let mut notes = Vec::new();
    // Excel says the separator so.
    let mut said = None;
    if let (0, Some((separator, after))) = (skip, said_separator(rest)) {
        (said, rest, line) = (Some(separator), after, 2);
        notes.push(format!("line 1: the separator {separator:?}"));
    }
    let separator = options.separator.or(said).unwrap_or_else(|| find_separator(rest));
    let mut rows = Rows::from_line(rest, separator, line);
    let mut kind = Kind::Plain;
    if options.skip_lines.is_none() && options.header.is_none() {
        kind = Kind::of(rows.clone().next());
        rows = kind.skip(rows, &mut notes);
    }
    let first = rows.clone().next();
    let first = first.ok_or_else(|| match skip {
        0 => Error::invalid(location, "a header", "an empty file"),
        skip => {
            let expected = format!("a header behind the {skip} lines of --skip-lines");
            Error::invalid(location, expected, format!("{} lines in all", text.lines().count()))
        }
    })?;
    if let Some(line) = first.open_quote {
        return Err(open_quote(location, line));
    }
    let has_header = match options.header {
        Some(said) => said,
        None => is_header(&first, location)?,
    };
    let lengths: Vec<(u64, usize)> = {
        let mut head = rows.clone();
        if has_header {
            head.next();
        }
        head.take(HEAD).map(|row| (row.line, row.fields.len())).collect()
    };
    let mut header: Vec<String> = texts(&first).map(str::to_owned).collect();
    if has_header {
        if options.header.is_none() && options.skip_lines.is_none() {
            check_comments(rows.clone(), location)?;
        }
        rows.next();
        if options.header.is_none() && options.skip_lines.is_none() {
            check_preamble(&first, &lengths, location)?;
        }
    }
    // A separator behind the last name alone.
    let longest = lengths.iter().map(|(_, length)| *length).max().unwrap_or(header.len());
    if header.last().is_some_and(String::is_empty) && longest + 1 == header.len() {
        header.pop();
    }
    let width = header.len();
    let mut units = Vec::new();
    if kind == Kind::Toa5 {
        let row = rows.next();
        units = row.iter().flat_map(texts).map(str::to_owned).collect();
        rows.next();
    }
    let names = match has_header {
        true => names_of(&header, &mut notes),
        false => {
            notes.push("no header: columns are named by their number".into());
            (1..=width).map(|i| format!("column_{i}")).collect()
        }
    };
    if !has_header {
        header.clear();
    }
    let index = match kind {
        Kind::Influx => names.iter().position(|name| name == "_time"),
        Kind::Hobo => names.iter().position(|name| name.starts_with("Date Time")),
        _ => None,
    };
    let records =
        Records { rows: Source::Text(rows), header, width, are_cells: false, again: Vec::new() };
    let separator = Some(separator);
    Ok(Table { records, separator, names, units, index, notes })
}

/// The separator that a first line `sep=;` says, and the lines behind it.
fn said_separator(text: &str) -> Option<(char, &str)> {
    let (line, rest) = text.split_once('\n')?;
    let line = line.trim_end_matches('\r').trim_matches('"');
    let said = line.get(..4).filter(|begin| begin.eq_ignore_ascii_case("sep="))?.len();
    let mut said = line[said..].chars();
    Some((said.next()?, rest)).filter(|_| said.next().is_none())
}

/// Refuses comments before the header, which would be taken for it.
fn check_comments(rows: Rows<'_>, location: &str) -> Result<()> {
    let is_comment = |row: &Row<'_>| texts(row).next().is_some_and(|text| text.starts_with('#'));
    let mut ahead = rows.peekable();
    let mut comments = 0;
    while ahead.next_if(is_comment).is_some() {
        comments += 1;
    }
    let Some(next) = ahead.next().filter(|_| comments > 0) else { return Ok(()) };
    match is_header(&next, location) {
        Ok(true) => {
            let (line, skip) = (next.line, next.line - 1);
            let expected = format!(
                "a header, and no comment: pass --skip-lines {skip} if line {line} is the header, or \
                 --header if the first line is"
            );
            Err(Error::invalid(location, expected, "a line that begins with #"))
        }
        _ => Ok(()),
    }
}

/// Kinds of files that say what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// Campbell Scientific: a line of the station, the header, units, and how values were made.
    Toa5,
    /// InfluxDB: lines of annotations before the header.
    Influx,
    /// HOBOware: a line with the title, and a column of row numbers before that of the times.
    Hobo,
    /// NetLogo's BehaviorSpace: six lines about the experiment.
    BehaviorSpace,
}

impl Kind {
    fn of(first: Option<Row<'_>>) -> Self {
        let Some(first) = first else { return Kind::Plain };
        match texts(&first).next().unwrap_or_default() {
            "TOA5" => Kind::Toa5,
            "#group" | "#datatype" | "#default" => Kind::Influx,
            text if text.starts_with("Plot Title:") => Kind::Hobo,
            text if text.starts_with("BehaviorSpace results") => Kind::BehaviorSpace,
            _ => Kind::Plain,
        }
    }

    /// The rows from the header on.
    fn skip<'a>(self, mut rows: Rows<'a>, notes: &mut Vec<String>) -> Rows<'a> {
        let (name, lines) = match self {
            Kind::Plain => return rows,
            Kind::Toa5 => ("a TOA5 file of Campbell Scientific", 1),
            Kind::Hobo => ("a file of HOBOware", 1),
            Kind::BehaviorSpace => ("a table of NetLogo's BehaviorSpace", 6),
            Kind::Influx => {
                let mut ahead = rows.clone();
                let is_annotation =
                    |row: &Row<'_>| texts(row).next().is_some_and(|t| t.starts_with('#'));
                ("annotated CSV of InfluxDB", ahead.by_ref().take_while(is_annotation).count())
            }
        };
        notes.push(format!(
            "{name}: {lines} {} before the header",
            if lines == 1 { "line" } else { "lines" }
        ));
        rows.by_ref().take(lines).for_each(drop);
        rows
    }
}

/// Whether the first record is a header. One that begins with a time and has numbers alone behind it is a record.
fn is_header(first: &Row<'_>, location: &str) -> Result<bool> {
    let mut times = TimeProfile::default();
    texts(first).take(1).for_each(|text| times.add(first.line, text, None));
    let is_value = |text: &str| {
        let mut time = TimeProfile::default();
        time.add(first.line, text, None);
        is_missing(text)
            || Marks::POINT.float(text).or(Marks::COMMA.float(text)).is_some()
            || time.fits + time.clocks > 0
    };
    if first.fields.is_empty() || first.fields[0].is_missing() || !texts(first).all(is_value) {
        return Ok(true);
    }
    if times.fits == 1 {
        return Ok(false);
    }
    Err(Error::invalid(
        format!("{location}, line {}", first.line),
        "names of columns: pass --no-header if it is data, or --header if these are names",
        "numbers alone",
    ))
}

/// Refuses a first line that does not go with the next ones.
fn check_preamble(first: &Row<'_>, lengths: &[(u64, usize)], location: &str) -> Result<()> {
    let header = first.fields.len();
    let Some((_, last)) = lengths.last() else { return Ok(()) };
    // A separator may stand behind the last name or the last field.
    let fits = *last == header || (header > 1 && last.abs_diff(header) == 1);
    if *last < 2 || fits {
        return Ok(());
    }
    let begin = lengths.iter().rposition(|(_, length)| length != last).map_or(0, |at| at + 1);
    if lengths.len() - begin < 2 {
        return Ok(());
    }
    let line = lengths[begin].0;
    Err(Error::invalid(
        format!("{location}, line {}", first.line),
        format!(
            "a header of {last} fields, as line {line} and the next ones have: pass --skip-lines {} if line {line} is the header",
            line - 1
        ),
        format!("{header}"),
    ))
}

/// Names of columns that differ: one that was there gets a number.
fn names_of(header: &[String], notes: &mut Vec<String>) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(header.len());
    for (i, name) in header.iter().enumerate() {
        let mut own = name.clone();
        // The index may be without a name.
        if own.is_empty() && i > 0 {
            own = format!("column_{}", i + 1);
        }
        let mut count = 2;
        while names.contains(&own) || (own != *name && header.contains(&own)) {
            own = format!("{name}_{count}");
            count += 1;
        }
        if own != *name && !name.is_empty() {
            notes.push(format!("column {}: {name:?} again, named {own:?}", i + 1));
        }
        names.push(own);
    }
    names
}
