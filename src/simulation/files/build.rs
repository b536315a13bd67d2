//! Rows into updates, one a time.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::profile::{Profile, boolean, entity};
use super::rows::{
    Bad, Cell, Clock, Columns, Found, NoTime, Row, Source, Type, What, float, integer,
    marked_integer, short,
};
use super::{FileOptions, Missing};
use crate::array::{Array, DType};
use crate::error::Result;
use crate::simulation::database::SimulationDatabase;
use crate::simulation::update::{Attribute, CLEARED, GIVEN, Group, NOT_GIVEN, Update, is_sentinel};
use crate::table::marks::Marks;

/// Gathers rows until their time is over.
pub(super) struct Builder {
    dataset: String,
    iteration: i64,
    groups: Vec<GroupBuilder>,
    missing: Missing,
    is_sorted: bool,
    frames: BTreeMap<i64, Vec<Part>>,
    /// The time of the last row.
    latest: Option<i64>,
    rows: u64,
}

/// The rows of one group at one time.
#[derive(Default)]
struct Part {
    ids: Vec<i64>,
    seen: HashSet<i64>,
    columns: Vec<Values>,
}

#[derive(Default)]
struct Values {
    /// Of numbers, low byte first.
    bytes: Vec<u8>,
    texts: Vec<String>,
    mask: Vec<u8>,
}

impl Builder {
    pub(super) fn new(
        db: Option<&SimulationDatabase>,
        options: &FileOptions,
        source: &dyn Source,
        profile: &Profile,
    ) -> Result<Self> {
        let dataset = &options.dataset;
        let groups = source.groups().iter().enumerate();
        let groups =
            groups.map(|(at, columns)| GroupBuilder::new(db, dataset, (at, columns), profile));
        Ok(Builder {
            dataset: dataset.clone(),
            iteration: options.iteration,
            groups: groups.collect::<Result<_>>()?,
            missing: profile.missing.unwrap_or(Missing::Keep),
            is_sorted: profile.is_sorted,
            frames: BTreeMap::new(),
            latest: None,
            rows: 0,
        })
    }

    /// The type that a column gets; `None` if it has no value.
    pub(super) fn dtype(&self, group: usize, column: usize) -> Option<Type> {
        Some(self.groups.get(group)?.columns.get(column)?.as_ref()?.1)
    }

    /// The rows that were taken.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Takes a row. One that is none, or a second one of its entity and time, is noted. With one that may be cut all of its
    /// time are left out.
    ///
    /// # Errors
    /// That of an unclear time.
    pub(super) fn take(&mut self, found: Found<'_>, clock: Clock, bad: &mut Bad<'_>) -> Result<()> {
        let taken = match found.what {
            What::Bad(why) => Err(NoTime::Bad(why)),
            What::Row(row) => self.row(&row, clock),
            What::Cut(time) => {
                let time = time.and_then(|time| clock.timestamp(time).ok()).or(self.latest);
                let parts = time.and_then(|time| self.frames.remove(&time)).unwrap_or_default();
                self.rows -= parts.iter().map(|part| part.ids.len() as u64).sum::<u64>();
                Ok(())
            }
        };
        match taken {
            Ok(()) => Ok(()),
            Err(NoTime::Bad(why)) => {
                bad.push(found.line, &why);
                Ok(())
            }
            Err(NoTime::Unclear(error)) => Err(error),
        }
    }

    fn row(&mut self, row: &Row<'_>, clock: Clock) -> Result<(), NoTime> {
        let time = clock.timestamp(row.time)?;
        let id = entity(row)?;
        self.latest = Some(time);
        let frame = self.frames.entry(time).or_default();
        let Some(id) = id else { return Ok(()) };
        let changed = "the file changed while it was read";
        let group = self.groups.get_mut(row.group).ok_or_else(|| NoTime::Bad(changed.into()))?;
        frame.resize_with(frame.len().max(row.group + 1), Part::default);
        let part = &mut frame[row.group];
        part.columns.resize_with(group.columns.len(), Values::default);
        let id = group.number(id).map_err(NoTime::Bad)?;
        if part.seen.contains(&id) {
            let why =
                format!("a second row of {} at this time; the first one stays", shown(row.id));
            return Err(NoTime::Bad(why));
        }
        let known = group.columns.iter().map(|column| column.as_ref().map(|column| column.1));
        let cells = row.cells.iter().copied().chain(std::iter::repeat(Cell::Missing));
        for (known, cell) in known.clone().zip(cells.clone()) {
            if known.is_some_and(|dtype| !fits(dtype, cell, clock.marks)) {
                return Err(NoTime::Bad(format!("{} among values of another type", shown(cell))));
            }
        }
        part.seen.insert(id);
        part.ids.push(id);
        for ((known, cell), values) in known.zip(cells).zip(&mut part.columns) {
            if let Some(dtype) = known {
                values.push(dtype, cell, self.missing, clock.marks);
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// The update of the next time that is over; at the end every one is.
    pub(super) fn next_update(&mut self, is_end: bool) -> Result<Option<Update>> {
        if self.frames.is_empty() || !is_end && (!self.is_sorted || self.frames.len() == 1) {
            return Ok(None);
        }
        let Some((timestamp, mut frame)) = self.frames.pop_first() else { return Ok(None) };
        frame.resize_with(self.groups.len(), Part::default);
        let mut data = Vec::new();
        for (group, part) in self.groups.iter_mut().zip(frame) {
            data.extend(group.build(part, self.missing, &self.dataset)?);
        }
        let dataset = self.dataset.clone();
        Ok(Some(Update { timestamp, iteration: self.iteration, dataset, origin: None, data }))
    }
}

/// A cell for messages.
fn shown(cell: Cell<'_>) -> String {
    match cell {
        Cell::Text(text) => format!("{:?}", short(text)),
        Cell::Int(n) => n.to_string(),
        Cell::Float(n) => n.to_string(),
        Cell::Missing | Cell::Item(_) => "a value".into(),
    }
}

/// Whether a cell can be in a column.
fn fits(dtype: Type, cell: Cell<'_>, marks: Marks) -> bool {
    match (dtype, cell) {
        (_, Cell::Missing) => true,
        // An array of texts ends each of them with such characters.
        (None, Cell::Text(text)) => !text.ends_with('\0'),
        (Some(DType::I64), Cell::Text(text)) => marked_integer(text, marks).is_some(),
        (Some(DType::F64), Cell::Text(text)) => float(text, marks).is_some(),
        (Some(DType::BOOL), Cell::Text(text)) => boolean(text).is_some(),
        (Some(dtype), Cell::Item(bytes)) => dtype.item_size() == bytes.len(),
        _ => false,
    }
}

impl Values {
    /// Adds a cell that fits.
    fn push(&mut self, dtype: Type, cell: Cell<'_>, missing: Missing, marks: Marks) {
        self.mask.push(match (cell, missing) {
            (Cell::Missing, Missing::Keep) => NOT_GIVEN,
            (Cell::Missing, Missing::Clear) => CLEARED,
            _ => GIVEN,
        });
        let Some(dtype) = dtype else {
            let text = if let Cell::Text(text) = cell { text } else { "" };
            return self.texts.push(text.to_owned());
        };
        let end = self.bytes.len() + dtype.item_size();
        match cell {
            Cell::Item(bytes) => self.bytes.extend_from_slice(bytes),
            Cell::Text(text) if dtype == DType::I64 => {
                self.bytes.extend(marked_integer(text, marks).unwrap_or_default().to_le_bytes());
            }
            Cell::Text(text) if dtype == DType::F64 => {
                self.bytes.extend(float(text, marks).unwrap_or_default().to_le_bytes());
            }
            Cell::Text(text) => self.bytes.push(u8::from(boolean(text).unwrap_or_default())),
            _ => {}
        }
        self.bytes.resize(end, 0);
    }

    /// The attribute, with `gone` more entities that have no value from now on; `None` if it says nothing.
    fn attribute(mut self, what: &str, dtype: Type, gone: usize) -> Result<Option<Attribute>> {
        if gone == 0 && self.mask.iter().all(|mask| *mask == NOT_GIVEN) {
            return Ok(None);
        }
        self.mask.resize(self.mask.len() + gone, CLEARED);
        let rows = self.mask.len();
        let data = match dtype {
            Some(dtype) => {
                self.bytes.resize(rows * dtype.item_size(), 0);
                Array::new(dtype, vec![rows], self.bytes)?
            }
            None => {
                self.texts.resize(rows, String::new());
                let widest = self.texts.iter().map(|text| text.chars().count()).max().unwrap_or(0);
                Array::check_stored(what, rows.saturating_mul(4 * widest))?;
                Array::from_strs(&self.texts)
            }
        };
        masked(data, &self.mask).map(Some)
    }
}

/// Values of which each is itself, also one that looks like a sentinel.
pub(super) fn given(data: Array) -> Result<Attribute> {
    let mask = vec![GIVEN; data.rows()];
    masked(data, &mask)
}

/// An attribute as it will be stored, so that it can be compared: with a mask if it needs one.
fn masked(data: Array, mask: &[u8]) -> Result<Attribute> {
    let (dtype, size) = (data.dtype(), data.dtype().item_size());
    let is_plain = mask.iter().all(|mask| *mask == GIVEN)
        && !data.data().chunks_exact(size).any(|item| is_sentinel(dtype, item));
    let attribute = Attribute::new(data);
    if is_plain { Ok(attribute) } else { attribute.with_mask(mask).marked() }
}

/// The dtypes that texts of numbers get.
const NUMBERS: [DType; 2] = [DType::I64, DType::F64];

/// One group.
struct GroupBuilder {
    name: String,
    /// Name and dtype (`None`: text) of each column; `None` for one without values.
    columns: Vec<Option<(String, Type)>>,
    /// The attribute of the texts that name entities.
    id_text: Option<String>,
    /// The number of each text, and whether this file had it.
    numbers: HashMap<String, (i64, bool)>,
    next: i64,
    /// The texts of entities that no update has named.
    unnamed: HashMap<i64, String>,
    /// Who had a row at the time before.
    present: HashSet<i64>,
}

impl GroupBuilder {
    fn new(
        db: Option<&SimulationDatabase>,
        dataset: &str,
        (at, columns): (usize, &Columns),
        profile: &Profile,
    ) -> Result<Self> {
        let known = columns.columns.iter().enumerate();
        let known = known.map(|(column, (name, dtype))| {
            profile.dtype(at, column, *dtype).map(|dtype| (name.clone(), dtype))
        });
        let is_free = |name: &&str| *name != "id" && columns.columns.iter().all(|c| c.0 != **name);
        let names = [&*columns.id, "name", "entity"];
        let id_text = names.into_iter().find(is_free).filter(|_| profile.has_text_ids(at, columns));
        let mut group = GroupBuilder {
            name: columns.group.clone(),
            columns: known.collect(),
            id_text: id_text.map(str::to_owned),
            numbers: HashMap::new(),
            next: 0,
            unnamed: HashMap::new(),
            present: HashSet::new(),
        };
        let Some(db) = db else { return Ok(group) };
        if !db.groups(dataset)?.contains(&group.name) {
            return Ok(group);
        }
        let state = db.state_at(dataset, &group.name, i64::MAX)?;
        // Of texts and numbers it is what it was before: a cell that is none is a bad row, and not the end of the import.
        let own = group.columns.iter_mut().zip(&columns.columns).enumerate();
        for (column, (own, (name, known))) in own {
            if let (Some((_, dtype)), None, Some(stored)) = (own, known, state.column(name)) {
                let data = &stored.attribute.data;
                match (&dtype, data.to_strings().is_some()) {
                    (Some(_), true) => *dtype = None,
                    (None, false) if NUMBERS.contains(&data.dtype()) => {
                        let has_decimals = profile.has_decimals(at, column);
                        *dtype = Some(if has_decimals { DType::F64 } else { data.dtype() });
                    }
                    _ => {}
                }
            }
        }
        if let Some(id_text) = &group.id_text {
            let names = state.column(id_text);
            let texts = names.and_then(|names| names.attribute.data.to_strings());
            for (row, text) in texts.unwrap_or_default().into_iter().enumerate() {
                if names.is_some_and(|names| names.is_defined(row)) {
                    group.numbers.insert(text, (state.ids[row], false));
                }
            }
            group.next = state.ids.iter().max().map_or(0, |last| last.saturating_add(1));
        }
        Ok(group)
    }

    /// The number of an entity.
    fn number(&mut self, id: Cell<'_>) -> Result<i64, String> {
        let text;
        let text = match (id, &self.id_text) {
            (Cell::Int(n), None) => return Ok(n),
            (Cell::Text(text), None) => {
                return integer(text)
                    .ok_or_else(|| format!("id: expected an integer, got {text:?}"));
            }
            (Cell::Text(text), Some(_)) => text,
            (cell, Some(_)) => {
                text = shown(cell);
                &text
            }
            _ => return Err("id: expected one".into()),
        };
        if text.ends_with('\0') {
            return Err(format!("id: expected a text, got {:?}", short(text)));
        }
        match self.numbers.get_mut(text) {
            Some((number, true)) => Ok(*number),
            Some((number, is_met)) => {
                *is_met = true;
                self.unnamed.insert(*number, text.to_owned());
                Ok(*number)
            }
            None => {
                let number = self.next;
                self.next = number.checked_add(1).ok_or("id: no number is left")?;
                self.numbers.insert(text.to_owned(), (number, true));
                self.unnamed.insert(number, text.to_owned());
                Ok(number)
            }
        }
    }

    /// The group of an update; `None` if it says nothing.
    fn build(&mut self, part: Part, missing: Missing, dataset: &str) -> Result<Option<Group>> {
        let Part { mut ids, seen, columns } = part;
        let mut gone = Vec::new();
        if missing == Missing::Clear {
            gone.extend(self.present.difference(&seen).copied());
            gone.sort_unstable();
            self.present = seen;
        }
        if ids.is_empty() && gone.is_empty() {
            return Ok(None);
        }
        let mut names = Values::default();
        for id in &ids {
            let name = self.unnamed.remove(id);
            let name = name.as_deref().map_or(Cell::Missing, Cell::Text);
            names.push(None, name, Missing::Keep, Marks::PLAIN);
        }
        ids.extend(&gone);
        let mut group = Group::new(&self.name).with("id", &ids);
        let what = |name: &str| format!("{dataset}/{}/{name}", self.name);
        if let Some(id_text) = &self.id_text
            && names.mask.contains(&GIVEN)
        {
            gone.iter().for_each(|_| names.push(None, Cell::Missing, Missing::Keep, Marks::PLAIN));
            if let Some(names) = names.attribute(&what(id_text), None, 0)? {
                group = group.with(id_text, names);
            }
        }
        let mut columns = columns;
        columns.resize_with(self.columns.len(), Values::default);
        for (known, values) in self.columns.iter().zip(columns) {
            let Some((name, dtype)) = known else { continue };
            if let Some(attribute) = values.attribute(&what(name), *dtype, gone.len())? {
                group = group.with(name, attribute);
            }
        }
        Ok(Some(group))
    }
}
