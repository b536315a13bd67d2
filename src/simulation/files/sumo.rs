//! SUMO's output of floating car data: XML, or a table, CSV or Parquet, which SUMO writes itself or `xml2csv` makes.

use std::io::{BufRead, ErrorKind, Read};
use std::path::{Path, PathBuf};

use arrow_schema::FieldRef;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::delimited::Records;
use super::rows::{Cell, Columns, Each, Found, Row, Source, Type, What, no_end, short};
use super::table;
use crate::array::DType;
use crate::error::{Error, Result};
use crate::kernel::{open_text, reading_text};
use crate::table::marks::Marks;
use crate::table::{Format, read};

/// Elements of a timestep, and the groups that they become.
const GROUPS: [(&str, &str); 3] =
    [("vehicle", "vehicles"), ("person", "persons"), ("container", "containers")];
/// The most bytes of one element or comment.
const LONGEST: usize = 16 << 20;
/// The deepest element: persons are in vehicles in a timestep.
const DEEPEST: usize = 8;
/// The most attributes of one kind of element.
const MOST_ATTRIBUTES: usize = 256;

/// The type of an attribute, whatever its values look like; `None` for one that is not known.
///
/// # Source
/// SUMO's documentation, "FCDOutput".
fn type_of(name: &str) -> Option<Type> {
    Some(match name {
        "x" | "y" | "z" | "angle" | "speed" | "pos" | "slope" | "posLat" | "speedLat"
        | "acceleration" | "accelerationLat" | "distance" | "odometer" | "timeLoss"
        | "arrivalDelay" | "leaderSpeed" | "leaderGap" => Some(DType::F64),
        "signals" => Some(DType::I64),
        "type" | "lane" | "edge" | "vehicle" | "leaderID" => None,
        _ => return None,
    })
}

/// Whether a text begins as an output of floating car data does.
pub(crate) fn is_sumo(begin: &str) -> bool {
    let text = begin.trim_start_matches('\u{feff}').trim_start();
    let mut header = text.lines().next().unwrap_or_default().split([';', ',']);
    text.starts_with('<') && text.contains("<fcd-export")
        || header.any(|name| name.trim_matches('"') == "timestep_time")
}

fn groups() -> Vec<Columns> {
    let group = |(_, group): (&str, &str)| Columns {
        group: group.to_owned(),
        columns: Vec::new(),
        id: "name".to_owned(),
        has_text_ids: true,
    };
    GROUPS.map(group).into()
}

/// The place of an attribute among those of its group.
fn column(columns: &mut Columns, name: &str) -> Option<usize> {
    let found = columns.columns.iter().position(|(own, _)| own == name);
    if found.is_none() && columns.columns.len() < MOST_ATTRIBUTES {
        columns.columns.push((name.to_owned(), type_of(name)));
        return Some(columns.columns.len() - 1);
    }
    found
}

/// Opens an output, XML or a table.
pub(super) fn open(path: &Path, finished: bool) -> Result<Box<dyn Source>> {
    if matches!(Format::of_path(path), Some(Format::Parquet | Format::Arrow)) {
        return Ok(Box::new(Table::open(path, true, finished)?));
    }
    let mut text = open_text(path)?;
    let first = loop {
        let part = text.fill_buf().map_err(|e| reading_text(path, &e, 0))?;
        let Some(c) = part.first().copied() else {
            let got = "an empty file";
            return Err(Error::invalid(path.display().to_string(), "fcd output of SUMO", got));
        };
        if !c.is_ascii_whitespace() && !b"\xef\xbb\xbf".contains(&c) {
            break c;
        }
        text.consume(1);
    };
    Ok(match first {
        b'<' => Box::new(Xml { path: path.to_owned(), groups: groups() }),
        _ => Box::new(Table::open(path, false, finished)?),
    })
}

/// XML.
struct Xml {
    path: PathBuf,
    groups: Vec<Columns>,
}

/// Text whose pieces are not too long for memory.
struct Bounded<R> {
    from: R,
    left: usize,
}

impl<R: BufRead> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.from.read(into)
    }
}

impl<R: BufRead> BufRead for Bounded<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.left == 0 {
            let why = format!("an element or comment has more than {LONGEST} bytes");
            return Err(std::io::Error::new(ErrorKind::FileTooLarge, why));
        }
        let part = self.from.fill_buf()?;
        Ok(&part[..part.len().min(self.left)])
    }

    fn consume(&mut self, n: usize) {
        self.left = self.left.saturating_sub(n);
        self.from.consume(n);
    }
}

/// The rows of a timestep that is not over.
#[derive(Default)]
struct Timestep {
    time: Option<String>,
    line: u64,
    rows: Vec<(usize, u64, Result<Element, String>)>,
}

/// One element: its id, and its attributes by their places.
struct Element {
    id: Option<String>,
    attributes: Vec<(usize, String)>,
}

impl Timestep {
    /// Hands on all of it.
    fn hand_on(self, widths: &[usize], each: Each<'_>) -> Result<()> {
        let time = self.time.as_deref().map_or(Cell::Missing, time_of);
        if self.rows.is_empty() {
            let none = Row { group: 0, time, id: Cell::Missing, cells: &[] };
            return each(Found { line: self.line, what: What::Row(none) });
        }
        for (group, line, element) in self.rows {
            let element = match element {
                Ok(element) => element,
                Err(why) => {
                    each(Found { line, what: What::Bad(why) })?;
                    continue;
                }
            };
            let mut cells = vec![Cell::Missing; widths[group]];
            for (at, text) in &element.attributes {
                cells[*at] = if text.is_empty() { Cell::Missing } else { Cell::Text(text) };
            }
            let Some(id) = element.id.as_deref().filter(|id| !id.is_empty()) else {
                let why = "an element without an id".to_owned();
                each(Found { line, what: What::Bad(why) })?;
                continue;
            };
            let row = Row { group, time, id: Cell::Text(id), cells: &cells };
            each(Found { line, what: What::Row(row) })?;
        }
        Ok(())
    }
}

/// The attributes of an element.
fn attributes(
    element: &BytesStart<'_>,
    decoder: quick_xml::Decoder,
    mut each: impl FnMut(&str, String) -> Result<(), String>,
) -> Result<(), String> {
    for (n, attribute) in element.attributes().enumerate() {
        if n == MOST_ATTRIBUTES {
            return Err(format!("more than {MOST_ATTRIBUTES} attributes"));
        }
        let attribute = attribute.map_err(|e| e.to_string())?;
        let name = std::str::from_utf8(attribute.key.as_ref()).map_err(|e| e.to_string())?;
        let value = attribute.decode_and_unescape_value(decoder).map_err(|e| e.to_string())?;
        each(name, value.into_owned())?;
    }
    Ok(())
}

impl Xml {
    fn element(
        &mut self,
        group: usize,
        element: &BytesStart<'_>,
        decoder: quick_xml::Decoder,
    ) -> Result<Element, String> {
        let mut found = Element { id: None, attributes: Vec::new() };
        let columns = &mut self.groups[group];
        attributes(element, decoder, |name, value| {
            if name == "id" {
                found.id = Some(value);
                return Ok(());
            }
            let at = column(columns, name).ok_or("too many kinds of attributes")?;
            found.attributes.push((at, value));
            Ok(())
        })?;
        Ok(found)
    }

    fn refuse(&self, expected: &str, got: String) -> Error {
        Error::invalid(self.path.display().to_string(), expected, got)
    }

    /// What an error of the parser means: `Ok` if the file ends early.
    fn explain(&self, error: &quick_xml::Error, is_end: bool, position: u64) -> Result<()> {
        match error {
            quick_xml::Error::Io(io) if io.kind() == ErrorKind::UnexpectedEof => Ok(()),
            quick_xml::Error::Io(io) => Err(reading_text(&self.path, io, 0)),
            quick_xml::Error::Syntax(_) if is_end => Ok(()),
            other => Err(Error::Corrupt {
                location: self.path.display().to_string(),
                what: "the XML".into(),
                why: format!("{other}, at byte {position}"),
            }),
        }
    }
}

impl Source for Xml {
    fn taken_for(&self) -> String {
        "fcd output of SUMO, XML".into()
    }

    fn groups(&self) -> &[Columns] {
        &self.groups
    }

    fn read(&mut self, each: Each<'_>) -> Result<Option<String>> {
        let bounded = Bounded { from: open_text(&self.path)?, left: LONGEST };
        let mut reader = Reader::from_reader(bounded);
        let (mut buffer, mut path, mut step) = (Vec::new(), Vec::<bool>::new(), None::<Timestep>);
        let (mut line, mut is_begun) = (0u64, false);
        let early = |_| {
            Ok(Some("it ends early, or is still written: what is behind the last whole timestep is left out".to_owned()))
        };
        loop {
            buffer.clear();
            reader.get_mut().left = LONGEST;
            let event = match reader.read_event_into(&mut buffer) {
                Ok(event) => event,
                Err(error) => {
                    let position = reader.error_position();
                    let is_end = reader.get_mut().from.fill_buf().is_ok_and(<[u8]>::is_empty);
                    return self.explain(&error, is_end, position).and_then(early);
                }
            };
            let (element, is_empty) = match &event {
                Event::Start(element) => (element, false),
                Event::Empty(element) => (element, true),
                Event::End(_) => {
                    if path.pop() == Some(true)
                        && let Some(step) = step.take()
                    {
                        step.hand_on(&self.widths(), each)?;
                    }
                    continue;
                }
                Event::DocType(_) => {
                    return Err(self.refuse("fcd output of SUMO", "a document type".into()));
                }
                Event::Eof if path.is_empty() && is_begun => return Ok(None),
                Event::Eof => return early(()),
                _ => continue,
            };
            line += 1;
            let name = String::from_utf8_lossy(element.name().as_ref()).into_owned();
            let decoder = reader.decoder();
            let mut is_step = false;
            match (path.len(), &mut step) {
                (0, _) if name == "fcd-export" && !is_begun => is_begun = true,
                (0, _) => {
                    let got = format!("<{}>", short(&name));
                    return Err(self.refuse("fcd output of SUMO (<fcd-export>)", got));
                }
                (1, _) if name == "timestep" => {
                    is_step = true;
                    let mut found = Timestep { line, ..Timestep::default() };
                    let read = attributes(element, decoder, |name, value| {
                        if name == "time" {
                            found.time = Some(value);
                        }
                        Ok(())
                    });
                    if let Err(why) = read {
                        found.rows.push((0, line, Err(why)));
                    }
                    step = Some(found);
                }
                (_, Some(step)) => match GROUPS.iter().position(|(element, _)| *element == name) {
                    Some(group) => {
                        let element = self.element(group, element, decoder);
                        step.rows.push((group, line, element));
                    }
                    None => {
                        let why = format!("an element <{}>", short(&name));
                        step.rows.push((0, line, Err(why)));
                    }
                },
                _ => {
                    let why = format!("an element <{}> outside of a timestep", short(&name));
                    each(Found { line, what: What::Bad(why) })?;
                }
            }
            if !is_empty {
                path.push(is_step);
                if path.len() > DEEPEST {
                    let got = format!("{} and more", path.len());
                    return Err(
                        self.refuse(&format!("at most {DEEPEST} elements in each other"), got)
                    );
                }
            } else if is_step && let Some(step) = step.take() {
                step.hand_on(&self.widths(), each)?;
            }
        }
    }
}

impl Xml {
    fn widths(&self) -> Vec<usize> {
        self.groups.iter().map(|group| group.columns.len()).collect()
    }
}

/// A time: seconds, or what `--human-readable-time` makes of them, `[days:]HH:MM:SS[.fraction]`.
fn time_of(text: &str) -> Cell<'_> {
    let parts: Vec<&str> = text.splitn(5, ':').collect();
    let [days @ .., hours, minutes, seconds] = &parts[..] else { return Cell::Text(text) };
    let is_number = |part: &&str| {
        part.starts_with(|c: char| c.is_ascii_digit())
            && part.bytes().all(|c| c.is_ascii_digit() || c == b'.')
    };
    let number = |part: &&str| part.parse::<u32>().ok();
    let days = match days {
        [] => Some(0),
        [days] => number(days),
        _ => None,
    };
    let found = (days, number(hours), number(minutes), seconds.parse::<f64>());
    match found {
        (Some(days), Some(hours @ ..24), Some(minutes @ ..60), Ok(seconds @ ..60.0))
            if parts.iter().all(is_number) =>
        {
            let minutes = (f64::from(days) * 24.0 + f64::from(hours)) * 60.0 + f64::from(minutes);
            Cell::Float(minutes * 60.0 + seconds)
        }
        _ => Cell::Text(text),
    }
}

/// A table: columns are named by element and attribute.
struct Table {
    path: PathBuf,
    /// Whether it is Parquet or Arrow, whose columns have types.
    is_typed: bool,
    finished: bool,
    time: usize,
    /// The column of ids of each group, if it has one.
    ids: Vec<Option<usize>>,
    /// The columns of each group.
    values: Vec<Vec<usize>>,
    groups: Vec<Columns>,
    fields: usize,
}

impl Table {
    fn open(path: &Path, is_typed: bool, finished: bool) -> Result<Self> {
        let columns: Vec<(String, Option<Type>)> = if is_typed {
            let schema = read(path)?.schema().clone();
            let column =
                |field: &FieldRef| Ok((field.name().clone(), table::type_of(path, field)?));
            schema.fields().iter().map(column).collect::<Result<_>>()?
        } else {
            Records::open(path, (None, Marks::PLAIN), true)?
                .fields()
                .map(|name| (name.to_owned(), None))
                .collect()
        };
        let Some(time) = columns.iter().position(|(name, _)| name == "timestep_time") else {
            let got = columns.first().map(|(name, _)| format!("{:?} first", short(name)));
            let expected = "fcd output of SUMO: XML, or a table with a column timestep_time";
            return Err(Error::invalid(
                path.display().to_string(),
                expected,
                got.unwrap_or_default(),
            ));
        };
        let mut table = Table {
            path: path.to_owned(),
            is_typed,
            finished,
            time,
            ids: vec![None; GROUPS.len()],
            values: vec![Vec::new(); GROUPS.len()],
            groups: groups(),
            fields: columns.len(),
        };
        for (at, (name, dtype)) in columns.iter().enumerate().filter(|(at, _)| *at != time) {
            let of = GROUPS.iter().enumerate().find_map(|(group, (element, _))| {
                let rest = name.strip_prefix(element)?.strip_prefix('_')?;
                Some((group, rest))
            });
            match of {
                Some((group, "id")) if table.ids[group].is_none() => table.ids[group] = Some(at),
                Some((group, name)) => {
                    let own = &mut table.groups[group].columns;
                    if name == "id" || own.iter().any(|(own, _)| own == name) {
                        let got = format!("{name:?} of a {} twice", GROUPS[group].0);
                        return Err(Error::invalid(
                            path.display().to_string(),
                            "each column once",
                            got,
                        ));
                    }
                    table.values[group].push(at);
                    own.push((name.to_owned(), dtype.or(type_of(name))));
                }
                None => {
                    let expected = "columns of vehicle_, person_ and container_";
                    let got = format!("{:?}", short(name));
                    return Err(Error::invalid(path.display().to_string(), expected, got));
                }
            }
        }
        Ok(table)
    }

    /// Hands on the rows of a row: one of each group that is in it.
    fn hand_on<'a>(
        &self,
        line: u64,
        cell: impl Fn(usize) -> Cell<'a>,
        each: Each<'_>,
    ) -> Result<()> {
        let time = match cell(self.time) {
            Cell::Text(text) => time_of(text),
            other => other,
        };
        let mut is_empty = true;
        for (group, values) in self.values.iter().enumerate() {
            let id = self.ids[group].map_or(Cell::Missing, &cell);
            let cells: Vec<Cell<'_>> = values.iter().map(|at| cell(*at)).collect();
            if cells.iter().chain([&id]).all(|cell| matches!(cell, Cell::Missing)) {
                continue;
            }
            each(Found { line, what: What::Row(Row { group, time, id, cells: &cells }) })?;
            is_empty = false;
        }
        let none = Row { group: 0, time, id: Cell::Missing, cells: &[] };
        if is_empty { each(Found { line, what: What::Row(none) }) } else { Ok(()) }
    }
}

impl Source for Table {
    fn taken_for(&self) -> String {
        let form = if self.is_typed { "Parquet or Arrow" } else { "CSV" };
        format!("fcd output of SUMO, {form}")
    }

    fn groups(&self) -> &[Columns] {
        &self.groups
    }

    fn read(&mut self, each: Each<'_>) -> Result<Option<String>> {
        if self.is_typed {
            let keys: Vec<usize> =
                [self.time].into_iter().chain(self.ids.iter().flatten().copied()).collect();
            let values = self.values.concat();
            table::each_row(&self.path, &keys, &values, &mut |line, found, cells| {
                let cell = |at| match keys.iter().position(|key| *key == at) {
                    Some(key) => found[key],
                    None => cells[values.iter().position(|value| *value == at).expect("a value")],
                };
                self.hand_on(line, cell, each)
            })?;
            return Ok(None);
        }
        let mut records = Records::open(&self.path, (None, Marks::PLAIN), self.finished)?;
        while records.next()? {
            let line = records.line();
            if let Some(time) = records.cut(self.time) {
                each(Found { line, what: What::Cut(time.map(time_of)) })?;
                return Ok(Some(no_end(line)));
            }
            let fields: Vec<&str> = records.fields().collect();
            if fields.len() != self.fields {
                let why = format!("{} fields expected, got {}", self.fields, fields.len());
                each(Found { line, what: What::Bad(why) })?;
                continue;
            }
            let cell = |at: usize| match fields[at] {
                "" => Cell::Missing,
                text => Cell::Text(text),
            };
            self.hand_on(line, cell, each)?;
        }
        Ok(None)
    }
}
