//! One attribute of all entities of a group, as it stands at a time.

use super::promote::{append_as, common};
use crate::array::{Array, DType, Kind};
use crate::error::{Error, Result};
use crate::simulation::update::{
    Attribute, CLEARED, GIVEN, NOT_GIVEN, SENTINEL_TEXT_BYTES, is_sentinel, sentinel_of,
};

/// Values and definedness of one attribute, a row an entity.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) dtype: DType,
    /// The shape of one value: `[]` a number, `[2]` a point.
    pub(super) unit: Vec<usize>,
    pub(super) values: Values,
    pub(super) defined: Vec<bool>,
    /// Whether the rows are ragged only because JSON says lists of lists for points too: an update
    /// that gives rows of one shape decides it.
    pub(super) guessed: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Values {
    /// Row after row, each of one unit.
    Uniform(Vec<u8>),
    /// Any number of units an entity.
    Ragged(Vec<Vec<u8>>),
}

impl Column {
    pub(super) fn new(name: &str, attribute: &Attribute, entities: usize) -> Self {
        let dtype = attribute.data.dtype().to_little_endian();
        let unit = attribute.data.shape()[1..].to_vec();
        let mut column = Column {
            name: name.to_owned(),
            dtype,
            unit,
            values: match attribute.row_ptr {
                None => Values::Uniform(Vec::new()),
                Some(_) => Values::Ragged(Vec::new()),
            },
            defined: Vec::new(),
            guessed: false,
        };
        column.grow(entities);
        column
    }

    /// The same column of no entities.
    pub(super) fn without_rows(&self) -> Self {
        Column {
            name: self.name.clone(),
            dtype: self.dtype,
            unit: self.unit.clone(),
            values: match self.values {
                Values::Uniform(_) => Values::Uniform(Vec::new()),
                Values::Ragged(_) => Values::Ragged(Vec::new()),
            },
            defined: Vec::new(),
            guessed: self.guessed,
        }
    }

    /// Whether this is a guess that rows of shape `unit` prove wrong; they become so then.
    pub(super) fn decide(&mut self, unit: &[usize]) -> bool {
        let (&[width], true, Values::Ragged(rows)) = (unit, self.guessed, &self.values) else {
            return false;
        };
        let size = width * self.dtype.item_size();
        let fits = |(row, defined): (&Vec<u8>, &bool)| !defined || row.len() == size;
        if !self.unit.is_empty() || !rows.iter().zip(&self.defined).all(fits) {
            return false;
        }
        let mut bytes = Vec::with_capacity(rows.len() * size);
        for row in rows {
            bytes.extend(row.iter().copied().chain(std::iter::repeat(0)).take(size));
        }
        (self.values, self.unit, self.guessed) = (Values::Uniform(bytes), unit.to_vec(), false);
        true
    }

    /// Bytes of one unit.
    pub(super) fn unit_size(&self) -> usize {
        self.unit.iter().product::<usize>() * self.dtype.item_size()
    }

    /// Adds undefined rows at the end.
    pub(super) fn grow(&mut self, entities: usize) {
        let unit_size = self.unit_size();
        self.defined.resize(entities, false);
        match &mut self.values {
            Values::Uniform(bytes) => bytes.resize(entities * unit_size, 0),
            Values::Ragged(rows) => rows.resize(entities, Vec::new()),
        }
    }

    /// Bytes of all rows, roughly.
    pub(super) fn size_bytes(&self) -> usize {
        self.defined.len()
            + match &self.values {
                Values::Uniform(bytes) => bytes.len(),
                Values::Ragged(rows) => rows.iter().map(|row| row.len() + 8).sum(),
            }
    }

    /// Applies what an update says: `rows[i]` is the row of the update's entity `i`.
    pub(super) fn apply(&mut self, attribute: &Attribute, rows: &[usize]) -> Result<()> {
        let attribute = self.agree(attribute)?;
        let mask = attribute.mask.as_ref().map(|mask| mask.data());
        let dtype = self.dtype;
        let item_size = dtype.item_size();
        let unit_size = self.unit_size();
        let data = attribute.data.data();
        let all_sentinels = |bytes: &[u8]| {
            item_size > 0
                && !bytes.is_empty()
                && bytes.chunks_exact(item_size).all(|i| is_sentinel(dtype, i))
        };
        match (&mut self.values, &attribute.row_ptr) {
            (Values::Uniform(values), None) => {
                let in_place = data.len() == values.len()
                    && rows.len() == self.defined.len()
                    && rows.iter().enumerate().all(|(i, row)| i == *row);
                if in_place && mask.is_none() && !has_sentinel(dtype, data) {
                    values.copy_from_slice(data);
                    self.defined.fill(true);
                    return Ok(());
                }
                for (i, &row) in rows.iter().enumerate() {
                    let value = &data[i * unit_size..(i + 1) * unit_size];
                    let said = mask.map_or_else(
                        || if all_sentinels(value) { NOT_GIVEN } else { GIVEN },
                        |m| m[i],
                    );
                    match said {
                        GIVEN => {
                            values[row * unit_size..(row + 1) * unit_size].copy_from_slice(value);
                            self.defined[row] = true;
                        }
                        CLEARED => self.defined[row] = false,
                        _ => {}
                    }
                }
            }
            (Values::Ragged(values), Some(row_ptr)) => {
                let ends = row_ptr.to_i64s().expect("a checked row_ptr holds integers");
                for (i, &row) in rows.iter().enumerate() {
                    let (from, to) = (ends[i] as usize, ends[i + 1] as usize);
                    let value = &data[from * unit_size..to * unit_size];
                    // A ragged null is one unit of sentinels.
                    let unmasked =
                        || if to - from == 1 && all_sentinels(value) { NOT_GIVEN } else { GIVEN };
                    match mask.map_or_else(unmasked, |m| m[i]) {
                        GIVEN => {
                            values[row] = value.to_vec();
                            self.defined[row] = true;
                        }
                        CLEARED => self.defined[row] = false,
                        _ => {}
                    }
                }
            }
            _ => unreachable!("both sides agreed on being ragged or not"),
        }
        Ok(())
    }

    /// The attribute in a dtype that holds the column's values too; widens the column if need be.
    pub(super) fn agree(&mut self, attribute: &Attribute) -> Result<Attribute> {
        let ragged = matches!(self.values, Values::Ragged(_));
        let unit = &attribute.data.shape()[1..];
        let ragged = ragged && (attribute.row_ptr.is_some() || !self.decide(unit));
        if ragged != attribute.row_ptr.is_some() || self.unit != unit {
            let say = |ragged: bool, unit: &[usize]| {
                format!("{} values of shape {unit:?}", if ragged { "ragged" } else { "uniform" })
            };
            let got = say(attribute.row_ptr.is_some(), unit);
            return Err(Error::invalid(&self.name, say(ragged, &self.unit), got));
        }
        let data = attribute.data.to_little_endian();
        let both = common(&self.name, self.dtype, data.dtype())?;
        if self.dtype != both {
            self.widen(both);
        }
        let mut attribute = Attribute { data, ..attribute.clone() };
        if attribute.data.dtype() != both {
            attribute = widen_attribute(&attribute, both)?;
        }
        Ok(attribute)
    }

    pub(super) fn widen(&mut self, to: DType) {
        let from = self.dtype;
        let convert = |bytes: &[u8]| {
            let mut out =
                Vec::with_capacity(bytes.len() / from.item_size().max(1) * to.item_size());
            bytes
                .chunks_exact(from.item_size().max(1))
                .for_each(|item| append_as(from, to, item, &mut out));
            out
        };
        match &mut self.values {
            // Zero-width text has no bytes to widen: its rows are empty.
            Values::Uniform(bytes) if from.item_size() == 0 => {
                *bytes =
                    vec![
                        0;
                        self.defined.len() * self.unit.iter().product::<usize>() * to.item_size()
                    ];
            }
            Values::Uniform(bytes) => *bytes = convert(bytes),
            Values::Ragged(rows) => rows.iter_mut().for_each(|row| *row = convert(row)),
        }
        self.dtype = to;
    }

    /// The column as an attribute; undefined rows hold the documented sentinel, for which texts are widened, and `mask`
    /// tells them without doubt. No mask if every row is defined and none looks like a sentinel.
    pub(super) fn to_attribute(&self) -> Attribute {
        let is_narrow =
            self.dtype.kind() == Kind::Str && self.dtype.item_size() < SENTINEL_TEXT_BYTES;
        if !is_narrow || self.defined.iter().all(|defined| *defined) {
            return self.as_attribute();
        }
        let mut wide = self.clone();
        wide.widen(DType::of(Kind::Str, SENTINEL_TEXT_BYTES as u32));
        wide.as_attribute()
    }

    /// The same in the column's own dtype, whose texts may be too narrow for a sentinel.
    pub(super) fn as_attribute(&self) -> Attribute {
        let sentinel = sentinel_of(self.dtype);
        let fill = |out: &mut Vec<u8>, bytes: usize| match &sentinel {
            Some(sentinel) => out.extend(sentinel.iter().copied().cycle().take(bytes)),
            None => out.resize(out.len() + bytes, 0),
        };
        let unit_size = self.unit_size();
        let mut shape = vec![self.defined.len()];
        let (data, row_ptr) = match &self.values {
            Values::Uniform(bytes) if self.defined.iter().all(|d| *d) => (bytes.clone(), None),
            Values::Uniform(bytes) => {
                let mut out = Vec::with_capacity(bytes.len());
                for (row, defined) in self.defined.iter().enumerate() {
                    match defined {
                        true => {
                            out.extend_from_slice(&bytes[row * unit_size..(row + 1) * unit_size])
                        }
                        false => fill(&mut out, unit_size),
                    }
                }
                (out, None)
            }
            Values::Ragged(rows) => {
                let (mut out, mut ends, mut end) = (Vec::new(), vec![0i64], 0);
                for (row, defined) in rows.iter().zip(&self.defined) {
                    match defined {
                        true => out.extend_from_slice(row),
                        false => fill(&mut out, unit_size),
                    }
                    let units =
                        if *defined { row.len().checked_div(unit_size).unwrap_or(0) } else { 1 };
                    end += units as i64;
                    ends.push(end);
                }
                shape = vec![end as usize];
                (out, Some(Array::from_slice(&ends)))
            }
        };
        shape.extend(&self.unit);
        let data = Array::new(self.dtype, shape, data).expect("the column's own bytes and shape");
        let flags = || -> Vec<u8> {
            self.defined.iter().map(|d| if *d { GIVEN } else { CLEARED }).collect()
        };
        let attribute = Attribute { data, row_ptr, mask: None };
        // A value that looks like a sentinel and is one needs a mask as much as an undefined row.
        let is_plain = self.defined.iter().all(|d| *d)
            && !(has_sentinel(self.dtype, attribute.data.data())
                && sentinels_as_mask(&attribute).contains(&NOT_GIVEN));
        let mask = (!is_plain).then(|| Array::from_slice(&flags()));
        Attribute { mask, ..attribute }
    }
}

fn has_sentinel(dtype: DType, data: &[u8]) -> bool {
    if dtype == DType::F64 {
        // The common case, without a branch an item.
        let is_nan =
            |item: &[u8]| f64::from_le_bytes(item.try_into().expect("eight bytes")).is_nan();
        return data.chunks_exact(8).fold(false, |any, item| any | is_nan(item));
    }
    sentinel_of(dtype).is_some()
        && data.chunks_exact(dtype.item_size()).any(|item| is_sentinel(dtype, item))
}

/// An attribute in a wider dtype. Sentinels do not survive a change of dtype, so they become a mask.
fn widen_attribute(attribute: &Attribute, to: DType) -> Result<Attribute> {
    let from = attribute.data.dtype();
    let mask = match &attribute.mask {
        Some(mask) => mask.clone(),
        None => Array::from_slice(&sentinels_as_mask(attribute)),
    };
    let mut out = Vec::new();
    match from.item_size() {
        0 => out.resize(attribute.data.len() * to.item_size(), 0),
        size => attribute
            .data
            .data()
            .chunks_exact(size)
            .for_each(|item| append_as(from, to, item, &mut out)),
    }
    let data = Array::new(to, attribute.data.shape().to_vec(), out)?;
    Ok(Attribute { data, row_ptr: attribute.row_ptr.clone(), mask: Some(mask) })
}

/// The mask that an attribute's sentinels amount to: a row is not given if all of it is sentinels, and, in a
/// ragged one, if it is a single unit.
pub(in crate::simulation) fn sentinels_as_mask(attribute: &Attribute) -> Vec<u8> {
    let data = attribute.data.to_little_endian();
    let (dtype, row_size) = (data.dtype(), data.row_size());
    let all_sentinels = |bytes: &[u8]| {
        !bytes.is_empty()
            && bytes.chunks_exact(dtype.item_size()).all(|item| is_sentinel(dtype, item))
    };
    let say = |undefined: bool| if undefined { NOT_GIVEN } else { GIVEN };
    match attribute.row_ptr.as_ref().and_then(Array::to_i64s) {
        None => (0..data.rows())
            .map(|i| say(all_sentinels(&data.data()[i * row_size..(i + 1) * row_size])))
            .collect(),
        Some(ends) => ends
            .windows(2)
            .map(|pair| {
                let (from, to) = (pair[0] as usize, pair[1] as usize);
                say(to - from == 1 && all_sentinels(&data.data()[from * row_size..to * row_size]))
            })
            .collect(),
    }
}
