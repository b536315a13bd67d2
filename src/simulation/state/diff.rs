//! What of an update is new: the part of it that changes a state.

use super::column::{Column, Values, sentinels_as_mask};
use super::exact::check_exact;
use super::group::{Building, GroupState, IDS_NEEDED};
use super::promote::append_as;
use crate::array::{Array, DType, Kind, number};
use crate::error::{Error, Result};
use crate::simulation::prepare::unique_ids;
use crate::simulation::update::{
    Attribute, CLEARED, EntityData, GIVEN, Group, NOT_GIVEN, sentinel_of,
};

/// How far a float may be from the stored one and still count as unchanged.
///
/// A new value counts as a change if `|new - stored| > absolute + relative * |stored|`. It is
/// compared with the last *stored* value, so that many small steps cannot add up unseen.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tolerance {
    /// In parts of the stored value.
    #[serde(default, alias = "rtol")]
    pub relative: f64,
    /// In the attribute's own unit.
    #[serde(default, alias = "atol")]
    pub absolute: f64,
}

impl Tolerance {
    fn allows(self, dtype: DType, stored: &[u8], new: &[u8]) -> bool {
        let size = dtype.item_size();
        let near = |(a, b): (&[u8], &[u8])| {
            let (a, b) = (number(dtype, a), number(dtype, b));
            // Equal infinities and two NaN are near, an infinity and a number are not.
            a.to_bits() == b.to_bits()
                || (b - a).abs() <= self.absolute + self.relative * a.abs()
                || a.is_nan() && b.is_nan()
        };
        dtype.kind() == Kind::Float
            && stored.len() == new.len()
            && stored.chunks_exact(size).zip(new.chunks_exact(size)).all(near)
    }
}

/// The state of one dataset as it is handed over, update by update.
#[derive(Debug, Clone, Default)]
pub(in crate::simulation) struct TrackedState {
    groups: Vec<(String, Building)>,
    /// The groups as they were when a span of several updates began.
    before: Vec<(String, Building)>,
}

/// One group of an update after all checks.
struct Checked {
    group: Group,
    ids: Vec<i64>,
}

impl TrackedState {
    /// Applies an update; the part of it that changed something, with the ids of the entities that
    /// changed. Empty if nothing did.
    ///
    /// # Errors
    /// [`Error::Invalid`] for data that contradict themselves or what came before; then nothing was
    /// imported.
    pub(in crate::simulation) fn receive(
        &mut self,
        dataset: &str,
        data: EntityData,
        tolerance: Option<Tolerance>,
    ) -> Result<EntityData> {
        let checked = self.check_all(dataset, data)?;
        let mut changes = EntityData::new();
        for Checked { group, ids } in checked {
            let building = self.building(&group.name);
            changes.extend(building.take_changes(group, &ids, tolerance)?);
        }
        Ok(changes)
    }

    /// As [`receive`](Self::receive), but the changes are told by [`end_span`](Self::end_span), for
    /// all updates together.
    pub(in crate::simulation) fn receive_in_span(
        &mut self,
        dataset: &str,
        data: EntityData,
    ) -> Result<()> {
        let checked = self.check_all(dataset, data)?;
        for Checked { group, ids } in checked {
            if self.before.iter().all(|(name, _)| *name != group.name) {
                let before = self.building(&group.name).clone();
                self.before.push((group.name.clone(), before));
            }
            self.building(&group.name).take_changes(group, &ids, None)?;
        }
        Ok(())
    }

    /// What changed since the span began: a value that came back to what it was did not.
    pub(in crate::simulation) fn end_span(&mut self, tolerance: Option<Tolerance>) -> EntityData {
        let before = std::mem::take(&mut self.before);
        let changes = before.into_iter().filter_map(|(name, before)| {
            let group = self.building(&name).changes_since(before, tolerance)?;
            Some(Group { name, ..group })
        });
        changes.collect()
    }

    /// The state of a group, if there is one.
    pub(in crate::simulation) fn state(&self, group: &str, timestamp: i64) -> Option<GroupState> {
        let building = self.groups.iter().find(|(name, _)| name == group)?;
        Some(building.1.to_state(timestamp))
    }

    /// The names of the groups, in the order in which they came.
    pub(in crate::simulation) fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(|(name, _)| name.as_str())
    }

    fn building(&mut self, group: &str) -> &mut Building {
        let at = self.groups.iter().position(|(name, _)| name == group).unwrap_or_else(|| {
            self.groups.push((group.to_owned(), Building::default()));
            self.groups.len() - 1
        });
        &mut self.groups[at].1
    }

    /// Everything that can be wrong is found before anything is applied.
    fn check_all(&mut self, dataset: &str, data: EntityData) -> Result<Vec<Checked>> {
        let mut checked: Vec<Checked> = Vec::with_capacity(data.len());
        for group in data {
            if checked.iter().any(|earlier| earlier.group.name == group.name) {
                let got = format!("{:?} twice", group.name);
                return Err(Error::invalid(dataset, "each entity group once", got));
            }
            let ids = self.check_group(&format!("{dataset}/{}", group.name), &group)?;
            checked.push(Checked { group, ids });
        }
        Ok(checked)
    }

    fn check_group(&mut self, what: &str, group: &Group) -> Result<Vec<i64>> {
        let id = group.attributes.iter().find(|(name, _)| name == "id").map(|(_, id)| id);
        if let Some(id) = id
            && (id.row_ptr.is_some() || id.mask.is_some() || id.data.shape().len() != 1)
        {
            let got = format!("{} of shape {:?}", id.data.dtype(), id.data.shape());
            return Err(Error::invalid(format!("{what}/id"), "a plain list of integers", got));
        }
        let ids = unique_ids(&format!("{what}/id"), &group.ids())?;
        let building = self.groups.iter().find(|(name, _)| *name == group.name).map(|(_, b)| b);
        if id.is_none() && building.is_some_and(|building| !building.has_positions()) {
            return Err(Error::invalid(what, IDS_NEEDED, "none"));
        }
        for (at, (name, attribute)) in group.attributes.iter().enumerate() {
            if group.attributes[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(Error::invalid(what, "each attribute once", format!("{name:?} twice")));
            }
            let what = format!("{what}/{name}");
            attribute.check(&what)?;
            if attribute.entities() != ids.len() {
                let expected = format!("{} entities as in id", ids.len());
                return Err(Error::invalid(what, expected, attribute.entities().to_string()));
            }
            let known = building.and_then(|b| b.columns.iter().find(|c| c.name == *name));
            if let Some(known) = known {
                // On a copy without rows: nothing may change before all is known to fit.
                let mut trial = known.without_rows();
                trial.name = what;
                let what = &trial.name.clone();
                trial.agree(attribute)?;
                if trial.dtype == DType::F64 && known.dtype != attribute.data.dtype() {
                    check_exact(what, attribute, String::new)?;
                    let before = || " of the state before it".to_owned();
                    check_exact(what, &known.as_attribute(), before)?;
                }
            }
        }
        Ok(ids)
    }
}

impl Building {
    /// Applies a checked update of this group and returns the part that changed something.
    fn take_changes(
        &mut self,
        group: Group,
        ids: &[i64],
        tolerance: Option<Tolerance>,
    ) -> Result<Option<Group>> {
        let rows = self.rows_of(ids);
        let mut changed = vec![false; ids.len()];
        let mut flagged: Vec<Option<Vec<u8>>> = Vec::with_capacity(group.attributes.len());
        for (name, attribute) in &group.attributes {
            if name == "id" {
                flagged.push(None);
                continue;
            }
            let column = self.column(name, attribute)?;
            let flags = column.take_changes(attribute, &rows, tolerance)?;
            let mut any = false;
            for (changed, flag) in changed.iter_mut().zip(&flags) {
                any |= *flag != NOT_GIVEN;
                *changed |= *flag != NOT_GIVEN;
            }
            flagged.push(any.then_some(flags));
        }
        let keep: Vec<usize> = (0..ids.len()).filter(|i| changed[*i]).collect();
        if keep.is_empty() {
            return Ok(None);
        }
        let mut attributes = Vec::new();
        if keep.len() < ids.len() && group.attributes.iter().all(|(name, _)| name != "id") {
            // Of some positions only: they are told as ids.
            let ids: Vec<i64> = keep.iter().map(|i| ids[*i]).collect();
            attributes.push(("id".to_owned(), Attribute::new(Array::from_slice(&ids))));
        }
        for ((name, attribute), flags) in group.attributes.into_iter().zip(flagged) {
            match flags {
                Some(flags) => attributes.push((name, only(attribute, &flags, &keep)?)),
                None if name == "id" => {
                    let given = vec![GIVEN; ids.len()];
                    attributes.insert(0, (name, only(attribute, &given, &keep)?));
                }
                None => {}
            }
        }
        Ok(Some(Group { name: group.name, attributes }))
    }

    /// What differs from an earlier state of the same group.
    fn changes_since(
        &mut self,
        mut before: Building,
        tolerance: Option<Tolerance>,
    ) -> Option<Group> {
        before.add_ids(self.ids());
        let mut changed = vec![false; self.ids().len()];
        let mut flagged = Vec::new();
        for column in &mut self.columns {
            let old = before.columns.iter_mut().find(|old| old.name == column.name);
            let flags = column.differences(old, tolerance);
            if flags.iter().all(|flag| *flag == NOT_GIVEN) {
                continue;
            }
            changed.iter_mut().zip(&flags).for_each(|(c, flag)| *c |= *flag != NOT_GIVEN);
            flagged.push((column.name.clone(), column.as_attribute(), flags));
        }
        let keep: Vec<usize> = (0..changed.len()).filter(|i| changed[*i]).collect();
        if keep.is_empty() {
            return None;
        }
        let ids: Vec<i64> = keep.iter().map(|i| self.ids()[*i]).collect();
        let mut attributes = vec![("id".to_owned(), Attribute::new(Array::from_slice(&ids)))];
        for (name, attribute, flags) in flagged {
            let part = only(attribute, &flags, &keep).expect("the column's own rows fit together");
            attributes.push((name, part));
        }
        Some(Group { name: String::new(), attributes })
    }
}

impl Column {
    /// Applies what an update says; a flag a row of it: [`NOT_GIVEN`] where nothing changed.
    fn take_changes(
        &mut self,
        attribute: &Attribute,
        rows: &[usize],
        tolerance: Option<Tolerance>,
    ) -> Result<Vec<u8>> {
        let attribute = self.agree(attribute)?;
        let mut flags = match &attribute.mask {
            Some(mask) => mask.data().to_vec(),
            None => sentinels_as_mask(&attribute),
        };
        let (dtype, unit_size) = (self.dtype, self.unit_size());
        let data = attribute.data.data();
        let ends = attribute.row_ptr.as_ref().and_then(Array::to_i64s);
        for (i, &row) in rows.iter().enumerate() {
            let was = self.defined[row];
            match flags[i] {
                CLEARED if was => self.defined[row] = false,
                GIVEN => {
                    let (from, to) = match &ends {
                        None => (i, i + 1),
                        Some(ends) => (ends[i] as usize, ends[i + 1] as usize),
                    };
                    let new = &data[from * unit_size..to * unit_size];
                    let old = self.row(row);
                    if was && (old == new || tolerance.is_some_and(|t| t.allows(dtype, old, new))) {
                        flags[i] = NOT_GIVEN;
                        continue;
                    }
                    self.set_row(row, new);
                }
                _ => flags[i] = NOT_GIVEN,
            }
        }
        Ok(flags)
    }

    fn row(&self, row: usize) -> &[u8] {
        let unit_size = self.unit_size();
        match &self.values {
            Values::Uniform(bytes) => &bytes[row * unit_size..(row + 1) * unit_size],
            Values::Ragged(rows) => &rows[row],
        }
    }

    fn set_row(&mut self, row: usize, value: &[u8]) {
        let unit_size = self.unit_size();
        match &mut self.values {
            Values::Uniform(bytes) => {
                bytes[row * unit_size..(row + 1) * unit_size].copy_from_slice(value);
            }
            Values::Ragged(rows) => rows[row] = value.to_vec(),
        }
        self.defined[row] = true;
    }

    /// A flag a row: what happened to it since `old`, which has as many rows. Values within the
    /// tolerance go back to the old ones.
    fn differences(&mut self, old: Option<&mut Column>, tolerance: Option<Tolerance>) -> Vec<u8> {
        let Some(old) = old else {
            return self.defined.iter().map(|d| if *d { GIVEN } else { NOT_GIVEN }).collect();
        };
        if old.dtype != self.dtype {
            old.widen(self.dtype);
        }
        let mut flags = vec![NOT_GIVEN; self.defined.len()];
        for (row, flag) in flags.iter_mut().enumerate() {
            match (old.defined[row], self.defined[row]) {
                (false, false) => {}
                (true, false) => *flag = CLEARED,
                (false, true) => *flag = GIVEN,
                (true, true) if old.row(row) == self.row(row) => {}
                (true, true) => {
                    let near = |t: Tolerance| t.allows(self.dtype, old.row(row), self.row(row));
                    if tolerance.is_some_and(near) {
                        self.set_row(row, old.row(row));
                    } else {
                        *flag = GIVEN;
                    }
                }
            }
        }
        flags
    }
}

/// The kept rows of an attribute under new flags. Rows that are not given hold the documented sentinel of
/// the dtype, so that every reader sees them; a mask is added where that does not say it all.
fn only(attribute: Attribute, flags: &[u8], keep: &[usize]) -> Result<Attribute> {
    let is_whole = keep.len() == flags.len();
    if is_whole && attribute.mask.is_none() && flags.iter().all(|flag| *flag == GIVEN) {
        return Ok(attribute);
    }
    let mut data = attribute.data.to_little_endian();
    let kept: Vec<u8> = keep.iter().map(|i| flags[*i]).collect();
    if kept.iter().any(|flag| *flag != GIVEN) {
        data = with_room_for_sentinel(data)?;
    }
    let (dtype, unit_size) = (data.dtype(), data.row_size());
    let filler = match sentinel_of(dtype) {
        Some(sentinel) => sentinel.repeat(unit_size.checked_div(sentinel.len()).unwrap_or(0)),
        None => vec![0; unit_size],
    };
    let ends = attribute.row_ptr.as_ref().and_then(Array::to_i64s);
    let (mut bytes, mut out_ends) = (Vec::with_capacity(keep.len() * unit_size), vec![0i64]);
    for (&i, flag) in keep.iter().zip(&kept) {
        let (from, to) = match &ends {
            None => (i, i + 1),
            Some(ends) => (ends[i] as usize, ends[i + 1] as usize),
        };
        let units = if *flag == GIVEN { to - from } else { 1 };
        match *flag {
            GIVEN => bytes.extend_from_slice(&data.data()[from * unit_size..to * unit_size]),
            _ => bytes.extend_from_slice(&filler),
        }
        out_ends.push(out_ends[out_ends.len() - 1] + units as i64);
    }
    let rows = if ends.is_some() { out_ends[keep.len()] as usize } else { keep.len() };
    let shape = std::iter::once(rows).chain(data.shape()[1..].iter().copied()).collect();
    let part = Attribute {
        data: Array::new(dtype, shape, bytes)?,
        row_ptr: ends.map(|_| Array::from_slice(&out_ends)),
        mask: None,
    };
    Ok(if sentinels_as_mask(&part) == kept { part } else { part.with_mask(&kept) })
}

/// Text as wide as the sentinel for "not given".
fn with_room_for_sentinel(data: Array) -> Result<Array> {
    let (from, to) = (data.dtype(), DType::text("_udf_".len()));
    if from.kind() != Kind::Str || from.item_size() >= to.item_size() {
        return Ok(data);
    }
    let mut bytes = Vec::with_capacity(data.len() * to.item_size());
    match from.item_size() {
        0 => bytes.resize(data.len() * to.item_size(), 0),
        size => data.data().chunks_exact(size).for_each(|i| append_as(from, to, i, &mut bytes)),
    }
    Array::new(to, data.shape().to_vec(), bytes)
}

#[cfg(test)]
mod tests;
