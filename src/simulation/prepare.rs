//! An update checked, hashed and packed before it reaches the writer.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::arrays::NewArray;
use super::state::first_inexact;
use super::update::{Attribute, GIVEN, Update, is_sentinel};
use crate::array::{Array, DType, Kind, number};
use crate::error::{Error, Result};

/// Names that are keys beside the groups in what the store returns.
const RESERVED: [&str; 3] = ["timestamp", "iteration", "origin"];

/// Every integer below is equal to a float of 64 bits.
const MOST_EXACT: f64 = 9_007_199_254_740_992.0;

/// An update that can be stored as it is.
pub(super) struct Prepared {
    pub(super) timestamp: i64,
    pub(super) iteration: i64,
    pub(super) dataset: String,
    pub(super) origin: Option<String>,
    pub(super) attributes: Vec<PreparedAttribute>,
}

pub(super) struct PreparedAttribute {
    pub(super) group: String,
    pub(super) name: String,
    pub(super) data: NewArray,
    pub(super) row_ptr: Option<NewArray>,
    pub(super) mask: Option<NewArray>,
    /// Least and greatest given number.
    pub(super) range: Option<(f64, f64)>,
    /// A hash of the dataset and the names.
    pub(super) location: u64,
    /// A hash of what all values of an attribute have in common.
    pub(super) form: u64,
    /// Whether its group has ids.
    pub(super) has_ids: bool,
}

impl PreparedAttribute {
    /// The attribute that was prepared.
    pub(super) fn attribute(&self) -> Attribute {
        let array = |side: &Option<NewArray>| side.as_ref().map(|side| side.array.clone());
        let (row_ptr, mask) = (array(&self.row_ptr), array(&self.mask));
        Attribute { data: self.data.array.clone(), row_ptr, mask }
    }

    pub(super) fn arrays_mut(&mut self) -> impl Iterator<Item = &mut NewArray> {
        [Some(&mut self.data), self.row_ptr.as_mut(), self.mask.as_mut()].into_iter().flatten()
    }
}

/// Checks an update.
///
/// # Errors
/// [`Error::Invalid`] naming dataset, group and attribute.
pub(super) fn prepare(update: Update) -> Result<Prepared> {
    let Update { timestamp, iteration, dataset, origin, data } = update;
    check_name("dataset name", &dataset)?;
    if timestamp < 0 {
        let expected = "0 or later, as -1 stands for the initial state";
        return Err(Error::invalid("timestamp of an update", expected, timestamp.to_string()));
    }
    let mut attributes = Vec::with_capacity(data.iter().map(|g| g.attributes.len()).sum());
    for (at, group) in data.iter().enumerate() {
        // Groups are few: comparing each pair is less than a set of names.
        if data[..at].iter().any(|earlier| earlier.name == group.name) {
            let got = format!("{:?} twice", group.name);
            return Err(Error::invalid(dataset, "each entity group once", got));
        }
    }
    for group in data {
        check_name("entity group", &group.name)?;
        if RESERVED.contains(&group.name.as_str()) {
            let expected = "a name other than timestamp, iteration and origin";
            return Err(Error::invalid("entity group", expected, format!("{:?}", group.name)));
        }
        prepare_group(&dataset, group, &mut attributes)?;
    }
    Ok(Prepared { timestamp, iteration, dataset, origin, attributes })
}

fn prepare_group(
    dataset: &str,
    group: super::update::Group,
    out: &mut Vec<PreparedAttribute>,
) -> Result<()> {
    // Without ids the entities are known by their positions: one value of each attribute for each of them.
    let (has_ids, entities) = match group.attributes.iter().find(|(name, _)| name == "id") {
        Some((_, id)) => (true, Some(check_ids(dataset, &group.name, id)?)),
        None => (false, group.attributes.first().map(|(_, first)| first.entities())),
    };
    let first = out.len();
    for (name, attribute) in group.attributes {
        check_name("attribute name", &name)?;
        if out[first..].iter().any(|earlier| earlier.name == name) {
            let got = format!("{name:?} twice");
            return Err(Error::invalid(
                format!("{dataset}/{}", group.name),
                "each attribute once",
                got,
            ));
        }
        for (part, array) in attribute.arrays() {
            let location = format_args!("{dataset}/{}/{name}{part}", group.name);
            Array::check_stored(location, array.data().len())?;
        }
        attribute.check(format_args!("{dataset}/{}/{name}", group.name))?;
        if let Some(entities) = entities.filter(|n| *n != attribute.entities()) {
            let what = format!("{dataset}/{}/{name}", group.name);
            let like =
                if has_ids { "id" } else { "the attribute before it, where no id says which" };
            let expected = format!("{entities} entities as in {like}");
            return Err(Error::invalid(what, expected, attribute.entities().to_string()));
        }
        let attribute = attribute.marked()?;
        let bytes = attribute.data.data().len();
        Array::check_stored(format_args!("{dataset}/{}/{name}", group.name), bytes)?;
        let range = range(&attribute);
        let (location, form) = form((dataset, &group.name, &name), &attribute, has_ids, range);
        out.push(PreparedAttribute {
            group: group.name.clone(),
            name,
            range,
            location,
            form,
            has_ids,
            data: NewArray::new(attribute.data),
            row_ptr: attribute.row_ptr.map(NewArray::new),
            mask: attribute.mask.map(NewArray::new),
        });
    }
    Ok(())
}

/// The hashes of names and form.
fn form(
    names: (&str, &str, &str),
    attribute: &Attribute,
    has_ids: bool,
    range: Option<(f64, f64)>,
) -> (u64, u64) {
    let mut hash = DefaultHasher::new();
    names.hash(&mut hash);
    let location = hash.finish();
    // With the unit of a time. Texts go together, however long.
    let dtype = match attribute.data.dtype().to_little_endian() {
        text if text.kind() == Kind::Str => DType::of(Kind::Str, 0),
        other => other,
    };
    let shape = &attribute.data.shape()[1..];
    // Integers that may be rounded beside floats are of another form than those that are not.
    let is_small = range.is_none_or(|(low, high)| low > -MOST_EXACT && high < MOST_EXACT);
    let is_exact = is_small || first_inexact(attribute).is_none();
    (has_ids, attribute.row_ptr.is_some(), dtype, shape, is_exact).hash(&mut hash);
    (location, hash.finish())
}

fn check_name(what: &str, name: &str) -> Result<()> {
    if name.is_empty() || name.contains('\0') || name.len() > 1024 {
        let expected = "1 to 1024 bytes of text without NUL";
        return Err(Error::invalid(what, expected, format!("{name:?}")));
    }
    Ok(())
}

/// The number of entities.
fn check_ids(dataset: &str, group: &str, id: &Attribute) -> Result<usize> {
    let integers = matches!(id.data.dtype().kind(), Kind::Int | Kind::UInt);
    if id.row_ptr.is_some() || id.mask.is_some() || id.data.shape().len() != 1 || !integers {
        let what = format!("{dataset}/{group}/id");
        let got = format!("{} of shape {:?}", id.data.dtype(), id.data.shape());
        return Err(Error::invalid(what, "a one-dimensional array of integers", got));
    }
    Ok(id.data.rows())
}

/// Checks an update that is not going to be stored.
///
/// # Errors
/// As [`prepare`], and for an id that comes twice.
pub(super) fn check_update(update: Update) -> Result<()> {
    let Prepared { dataset, attributes, .. } = prepare(update)?;
    let mut ids = attributes.iter().filter(|attribute| attribute.name == "id");
    ids.try_for_each(|id| {
        unique_ids(&format!("{dataset}/{}/id", id.group), &id.data.array).map(drop)
    })
}

/// Ids of a group as numbers, each once.
pub(super) fn unique_ids(what: &str, ids: &Array) -> Result<Vec<i64>> {
    let ids = ids.to_i64s().ok_or_else(|| {
        Error::invalid(what, "integers of 64 bits with sign", ids.dtype().to_string())
    })?;
    if ids.windows(2).all(|pair| pair[0] < pair[1]) {
        return Ok(ids);
    }
    let mut seen = HashSet::with_capacity(ids.len());
    match ids.iter().find(|id| !seen.insert(**id)) {
        Some(id) => Err(Error::invalid(what, "each id once", format!("{id} twice"))),
        None => Ok(ids),
    }
}

/// Least and greatest of the given numbers.
fn range(attribute: &Attribute) -> Option<(f64, f64)> {
    let data = &attribute.data;
    let dtype = data.dtype();
    if !dtype.is_number() || dtype.kind() == Kind::Complex || data.is_empty() {
        return None;
    }
    let given = attribute.mask.as_ref().map(|mask| mask.data());
    if given.is_none() && dtype == DType::F64 {
        return range_of_f64(data.data());
    }
    let plain = data.to_little_endian();
    let size = dtype.item_size();
    let rows = data.rows().max(1);
    let owner = attribute.row_ptr.as_ref().and_then(Array::to_i64s);
    let is_given = |row: usize| match (given, &owner) {
        (None, _) => true,
        (Some(mask), None) => mask[row] == GIVEN,
        (Some(mask), Some(ends)) => {
            mask[ends.partition_point(|end| *end <= row as i64) - 1] == GIVEN
        }
    };
    let per_row = (data.len() / rows).max(1);
    let mut range: Option<(f64, f64)> = None;
    for (i, item) in plain.data().chunks_exact(size).enumerate() {
        if (given.is_none() && is_sentinel(dtype, item)) || !is_given(i / per_row) {
            continue;
        }
        let x = number(dtype, item);
        if !x.is_nan() {
            range = Some(range.map_or((x, x), |(low, high)| (low.min(x), high.max(x))));
        }
    }
    range
}

fn range_of_f64(data: &[u8]) -> Option<(f64, f64)> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for item in data.chunks_exact(8) {
        let x = f64::from_le_bytes(item.try_into().expect("eight bytes"));
        // NaN compares false both times and changes nothing.
        low = if x < low { x } else { low };
        high = if x > high { x } else { high };
    }
    (low <= high).then_some((low, high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::update::Group;

    /// Goal: an array that SQLite takes in no row is refused at once, by its dataset, group and attribute, whichever part of
    /// the attribute it is; nothing is hashed, packed or copied before.
    #[test]
    fn an_array_that_no_row_holds_is_refused_by_name() {
        let too_many = 1_000_000_000;
        // Zeros that nobody touches take no memory.
        let zeros = || Array::new(DType::U8, vec![too_many], vec![0; too_many]).unwrap();
        let attributes = [
            ("", Attribute::new(zeros())),
            (".row_ptr", Attribute::new(Array::from_slice(&[0.5]))),
            (".mask", Attribute::new(Array::from_slice(&[0.5]))),
        ];
        for (part, mut attribute) in attributes {
            match part {
                ".row_ptr" => attribute.row_ptr = Some(zeros()),
                ".mask" => attribute.mask = Some(zeros()),
                _ => {}
            }
            let group = Group { name: "roads".into(), attributes: vec![("x".into(), attribute)] };
            let update = Update { dataset: "net".into(), data: vec![group], ..Update::default() };
            let start = std::time::Instant::now();
            let Err(error) = prepare(update) else { panic!("{part} was taken") };
            assert!(error.to_string().starts_with(&format!("net/roads/x{part}: ")), "{error}");
            assert!(error.to_string().contains("999934464 bytes, as SQLite"), "{error}");
            assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
        }
    }
}
