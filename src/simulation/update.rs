//! What a simulation hands over: updates of entity groups.

use crate::array::{Array, DType, Kind, check_row_ptr};
use crate::error::{Error, Result};

/// In a mask: the row has a value.
pub const GIVEN: u8 = 0;
/// In a mask: the update says nothing of this row; an earlier value stays.
pub const NOT_GIVEN: u8 = 1;
/// In a mask: from this update on the row is undefined.
pub const CLEARED: u8 = 2;

/// The names under which movici and its users hand over a CSR index.
pub const ROW_PTR_NAMES: [&str; 4] = ["row_ptr", "indptr", "ind_ptr", "rowptr"];

/// One attribute of an entity group: a value an entity.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribute {
    /// `[rows, ...]`, any dtype. With `row_ptr`: the rows of all entities, one after another.
    pub data: Array,
    /// `[entities + 1]`, integers: entity `i` owns the rows `row_ptr[i]..row_ptr[i + 1]` of `data`.
    pub row_ptr: Option<Array>,
    /// `[entities]`, `|u1`: [`GIVEN`], [`NOT_GIVEN`] or [`CLEARED`].
    ///
    /// Without a mask the documented sentinel values say what is not given: NaN, -2147483648 in an `i4`,
    /// -128 in an `i1`, `_udf_` in text. A mask takes their place: then each value is itself.
    pub mask: Option<Array>,
}

impl Attribute {
    /// A uniform attribute without a mask.
    pub fn new(data: Array) -> Self {
        Attribute { data, row_ptr: None, mask: None }
    }

    /// A ragged attribute without a mask.
    pub fn ragged(data: Array, row_ptr: Array) -> Self {
        Attribute { data, row_ptr: Some(row_ptr), mask: None }
    }

    /// The same attribute with a mask.
    pub fn with_mask(self, mask: &[u8]) -> Self {
        Attribute { mask: Some(Array::from_slice(mask)), ..self }
    }

    /// The number of entities that the attribute speaks of.
    pub fn entities(&self) -> usize {
        match &self.row_ptr {
            Some(row_ptr) => row_ptr.len().saturating_sub(1),
            None => self.data.rows(),
        }
    }

    /// The same attribute with the sentinel of its dtype in the rows that its mask hides, so that whoever reads the data
    /// without the mask sees them undefined. Texts are widened if the sentinel needs it.
    pub(super) fn marked(self) -> Result<Self> {
        let Some(mask) = self.mask.as_ref().filter(|mask| mask.data().iter().any(|m| *m != GIVEN))
        else {
            return Ok(self);
        };
        let own = self.data.dtype();
        let is_big = own != own.to_little_endian();
        let dtype = match (own.kind(), own.item_size()) {
            (Kind::Str, size) if size < SENTINEL_TEXT_BYTES => {
                let text =
                    format!("{}U{}", if is_big { '>' } else { '<' }, SENTINEL_TEXT_BYTES / 4);
                text.parse()?
            }
            _ => own,
        };
        let Some(mut sentinel) = sentinel_of(dtype.to_little_endian()) else { return Ok(self) };
        if is_big {
            let letter = if own.kind() == Kind::Str { 4 } else { sentinel.len() };
            sentinel.chunks_exact_mut(letter).for_each(<[u8]>::reverse);
        }
        let plain = &self.data;
        let (own_size, size) = (own.item_size(), dtype.item_size());
        let units = plain.shape()[1..].iter().product::<usize>();
        let mut data = Vec::with_capacity(plain.rows() * units * size);
        let row = |out: &mut Vec<u8>, row: usize| {
            for item in 0..units {
                let at = (row * units + item) * own_size;
                out.extend_from_slice(&plain.data()[at..at + own_size]);
                out.resize(out.len() + size - own_size, 0);
            }
        };
        let sentinels =
            |out: &mut Vec<u8>| (0..units).for_each(|_| out.extend_from_slice(&sentinel));
        let mut rows = 0;
        let ends = self.row_ptr.as_ref().and_then(Array::to_i64s);
        let mut new_ends = vec![0_i64];
        for (entity, flag) in mask.data().iter().enumerate() {
            let of = match &ends {
                Some(ends) => ends[entity] as usize..ends[entity + 1] as usize,
                None => entity..entity + 1,
            };
            if *flag == GIVEN {
                rows += of.len();
                of.for_each(|at| row(&mut data, at));
            } else {
                rows += 1; // one unit of sentinels is how a list is undefined
                sentinels(&mut data);
            }
            new_ends.push(rows as i64);
        }
        let mut shape = plain.shape().to_vec();
        shape[0] = rows;
        let row_ptr = match (self.row_ptr, ends) {
            (Some(_), Some(ends)) if ends != new_ends => Some(Array::from_slice(&new_ends)),
            (row_ptr, _) => row_ptr,
        };
        Ok(Attribute { data: Array::new(dtype, shape, data)?, row_ptr, mask: self.mask })
    }

    /// Its arrays, each with the part that it is: nothing for the data, `.row_ptr` and `.mask`.
    pub(super) fn arrays(&self) -> impl Iterator<Item = (&'static str, &Array)> {
        let parts = [
            ("", Some(&self.data)),
            (".row_ptr", self.row_ptr.as_ref()),
            (".mask", self.mask.as_ref()),
        ];
        parts.into_iter().filter_map(|(part, array)| Some((part, array?)))
    }

    /// Checks the shapes against each other.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a scalar, a `row_ptr` that does not cut `data`, or a mask of another
    /// length, dtype or meaning.
    pub fn check(&self, what: impl std::fmt::Display) -> Result<()> {
        if self.data.shape().is_empty() {
            return Err(Error::invalid(
                what.to_string(),
                "one value an entity",
                "a single value (0 dimensions)",
            ));
        }
        if let Some(row_ptr) = &self.row_ptr {
            check_row_ptr(&what, row_ptr, self.data.rows())?;
        }
        if let Some(mask) = &self.mask {
            let entities = self.entities();
            if mask.dtype() != DType::U8 || mask.shape() != [entities] {
                let got = format!("{} of shape {:?}", mask.dtype(), mask.shape());
                return Err(Error::invalid(
                    format!("{what}.mask"),
                    format!("|u1 of shape [{entities}]"),
                    got,
                ));
            }
            if let Some(flag) = mask.data().iter().find(|flag| **flag > CLEARED) {
                return Err(Error::invalid(format!("{what}.mask"), "0, 1 or 2", flag.to_string()));
            }
        }
        Ok(())
    }
}

/// One entity group of an update: its attributes, `id` among them, in the order given.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Group {
    /// The name of the group.
    pub name: String,
    /// Attribute name and values. `id` holds the entities that the update speaks of. Without `id` they are known by
    /// their positions: the first value is that of entity 0.
    pub attributes: Vec<(String, Attribute)>,
}

impl<A: Into<Array>> From<A> for Attribute {
    fn from(data: A) -> Self {
        Attribute::new(data.into())
    }
}

impl Group {
    /// A group without attributes.
    ///
    /// # Example
    /// ```
    /// use siltstone::simulation::{Attribute, Group};
    /// let (ids, heat) = (vec![1i64, 2], [20.0, 21.5]);
    /// let cells = Group::new("cells")
    ///     .with("id", &ids)
    ///     .with("temperature", &heat)
    ///     .with("material", ["steel", "copper"])
    ///     .with("flow", Attribute::new([0.5, 0.0].into()).with_mask(&[0, 1]));
    /// assert_eq!(cells.attributes.len(), 4);
    /// ```
    pub fn new(name: impl Into<String>) -> Self {
        Group { name: name.into(), attributes: Vec::new() }
    }

    /// The same group with one more attribute: a slice, a vector or an array of numbers or texts, an [`Array`], an
    /// [`Attribute`] with its mask or its lists, or with the feature `ndarray` an array or a view of that crate.
    pub fn with(mut self, name: impl Into<String>, values: impl Into<Attribute>) -> Self {
        self.attributes.push((name.into(), values.into()));
        self
    }

    /// The entities that the group speaks of, as an array: its `id`, or the positions of a group without.
    pub(super) fn ids(&self) -> Array {
        match self.attributes.iter().find(|(name, _)| name == "id") {
            Some((_, ids)) => ids.data.clone(),
            None => {
                let entities = self.attributes.first().map_or(0, |(_, first)| first.entities());
                Array::from_slice(&(0..entities as i64).collect::<Vec<_>>())
            }
        }
    }
}

/// The data of one update: entity groups in the order given.
pub type EntityData = Vec<Group>;

/// One update of one dataset.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Update {
    /// The simulation's own time, in the run's own unit.
    pub timestamp: i64,
    /// The position among the updates of one timestamp.
    pub iteration: i64,
    /// The dataset that changed.
    pub dataset: String,
    /// The model that the update came from.
    pub origin: Option<String>,
    /// The change.
    pub data: EntityData,
}

/// The bytes of the least text that holds the sentinel `_udf_`.
pub(crate) const SENTINEL_TEXT_BYTES: usize = 20;

/// The bytes that mean "not given" in an array without a mask: one item, low byte first.
///
/// `None` for a dtype that has no such sentinel. NaN has many bit patterns: use [`is_sentinel`] to test.
pub(crate) fn sentinel_of(dtype: DType) -> Option<Vec<u8>> {
    match (dtype.kind(), dtype.item_size()) {
        (Kind::Float, 2) => Some(0x7e00u16.to_le_bytes().to_vec()),
        (Kind::Float, 4) => Some(f32::NAN.to_le_bytes().to_vec()),
        (Kind::Float, 8) => Some(f64::NAN.to_le_bytes().to_vec()),
        (Kind::Int, 4) => Some(i32::MIN.to_le_bytes().to_vec()),
        (Kind::Int, 1) => Some(vec![i8::MIN as u8]),
        (Kind::Str, size) if size >= SENTINEL_TEXT_BYTES => {
            let mut cell = vec![0; size];
            for (slot, c) in cell.chunks_exact_mut(4).zip("_udf_".chars()) {
                slot.copy_from_slice(&(c as u32).to_le_bytes());
            }
            Some(cell)
        }
        _ => None,
    }
}

/// Whether one item, low byte first, is the documented sentinel for "not given".
pub(crate) fn is_sentinel(dtype: DType, item: &[u8]) -> bool {
    match (dtype.kind(), item.len()) {
        (Kind::Float, 2) => u16::from_le_bytes([item[0], item[1]]) & 0x7fff > 0x7c00,
        (Kind::Float, 4) => f32::from_le_bytes(item.try_into().expect("four bytes")).is_nan(),
        (Kind::Float, 8) => f64::from_le_bytes(item.try_into().expect("eight bytes")).is_nan(),
        (Kind::Int, 4) | (Kind::Int, 1) | (Kind::Str, _) => {
            sentinel_of(dtype).is_some_and(|m| m == item)
        }
        _ => false,
    }
}

#[cfg(all(test, feature = "ndarray"))]
mod tests {
    use super::*;

    /// Goal: a group takes arrays and views of `ndarray` as it takes slices.
    #[test]
    fn views_of_ndarray_are_attributes() {
        let grid = ndarray::array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
        let ids = ndarray::array![1i64, 2];
        let cells =
            Group::new("cells").with("id", &ids).with("b", grid.column(1)).with("all", grid);
        let wanted = Group::new("cells").with("id", [1i64, 2]).with("b", [2.0, 5.0]);
        assert_eq!(cells.attributes[..2], wanted.attributes);
        assert_eq!(cells.attributes[2].1.data.shape(), [2, 3]);
    }
}
