//! One attribute while it is read: values, nulls and nesting, without a tree of values.

use super::schema::PyType;
use crate::array::is_float;

/// Why a value does not fit: what was expected and what came instead.
#[derive(Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) expected: String,
    pub(super) got: String,
}

/// What a step returns. Boxed, so that the good case costs nothing.
pub(super) type Step = Result<(), Box<Refusal>>;

pub(super) fn refuse<T>(
    expected: impl Into<String>,
    got: impl Into<String>,
) -> Result<T, Box<Refusal>> {
    Err(Box::new(Refusal { expected: expected.into(), got: got.into() }))
}

/// The innermost values, one after another. A null has a placeholder.
#[derive(Debug)]
pub(super) enum Leaves {
    /// Only nulls so far: how many.
    Nulls(usize),
    Bool(Vec<i8>),
    /// `Column::big` says which of them are `u64` bits.
    Int(Vec<i64>),
    Float(Vec<f64>),
    Text(Text),
}

/// Strings in one buffer: string `i` ends at `ends[i]`.
#[derive(Debug, Default)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) ends: Vec<usize>,
}

impl Text {
    pub(super) fn push(&mut self, item: &str) {
        self.text.push_str(item);
        self.ends.push(self.text.len());
    }

    pub(super) fn get(&self, i: usize) -> &str {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.text[start..self.ends[i]]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).map(|i| self.get(i))
    }
}

/// What the items of a list have been so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Items {
    /// Nothing but nulls.
    Open,
    Plain,
    Lists,
}

/// The values of one attribute, pushed one by one.
///
/// An entity is a *row*. A row is a plain value, or a list of *units*; a unit is a plain value, or
/// a list of values. The values themselves are *leaves*. A null row among lists and a null unit
/// take no leaf, for how many they stand for may not be known yet.
#[derive(Debug)]
pub(super) struct Column {
    hint: Option<PyType>,
    /// How many values will come, as a guess.
    capacity: usize,
    pub(super) leaves: Leaves,
    /// The leaves that are null.
    pub(super) nulls: Vec<usize>,
    /// The leaves above `i64::MAX`.
    pub(super) big: Vec<usize>,
    /// The first integer beyond 64 bits.
    pub(super) wide: Option<String>,
    /// Whether a number was a float.
    pub(super) float: bool,
    pub(super) rows: usize,
    pub(super) row_items: Items,
    /// Per row among lists: the units up to its end.
    pub(super) row_ends: Vec<usize>,
    pub(super) null_rows: Vec<usize>,
    pub(super) units: usize,
    pub(super) unit_items: Items,
    /// The values of a unit that is a list.
    pub(super) unit_length: usize,
    pub(super) null_units: Vec<usize>,
}

impl Column {
    pub(super) fn new(hint: Option<PyType>, capacity: usize) -> Self {
        Column {
            hint,
            capacity,
            leaves: Leaves::Nulls(0),
            nulls: vec![],
            big: vec![],
            wide: None,
            float: false,
            rows: 0,
            row_items: Items::Open,
            row_ends: vec![],
            null_rows: vec![],
            units: 0,
            unit_items: Items::Open,
            unit_length: 0,
            null_units: vec![],
        }
    }

    /// Makes room for a plain value `depth` lists below the row.
    #[inline]
    pub(super) fn open_plain(&mut self, depth: u8) -> Step {
        match depth {
            0 => {
                if self.row_items != Items::Plain {
                    self.start_plain_rows()?;
                }
                self.rows += 1;
            }
            1 => {
                match self.unit_items {
                    Items::Plain => {}
                    Items::Open => self.unit_items = Items::Plain,
                    Items::Lists => return refuse(LISTS_OR_PLAIN, "both in a row's list"),
                }
                self.units += 1;
            }
            _ => {}
        }
        Ok(())
    }

    #[cold]
    fn start_plain_rows(&mut self) -> Step {
        if self.row_items != Items::Open {
            return refuse(
                LISTS_OR_PLAIN,
                format!("a plain value for entity {} after a list", self.rows),
            );
        }
        self.row_items = Items::Plain;
        for _ in 0..self.rows {
            self.push_null();
        }
        Ok(())
    }

    /// A null, `depth` lists below the row.
    pub(super) fn null(&mut self, depth: u8) {
        match (depth, self.row_items) {
            (0, items) => {
                match items {
                    Items::Open => {}
                    Items::Plain => self.push_null(),
                    Items::Lists => {
                        self.null_rows.push(self.rows);
                        self.row_ends.push(self.units);
                    }
                }
                self.rows += 1;
            }
            (1, _) => {
                self.null_units.push(self.units);
                self.units += 1;
            }
            _ => self.push_null(),
        }
    }

    /// A row that is a list begins.
    pub(super) fn begin_row(&mut self) -> Step {
        match self.row_items {
            Items::Lists => {}
            Items::Open => {
                self.row_items = Items::Lists;
                self.null_rows.extend(0..self.rows);
                self.row_ends.resize(self.rows, 0);
            }
            Items::Plain => {
                return refuse(
                    LISTS_OR_PLAIN,
                    format!("a list for entity {} after a plain value", self.rows),
                );
            }
        }
        Ok(())
    }

    /// The row that is a list ends.
    pub(super) fn end_row(&mut self) {
        self.row_ends.push(self.units);
        self.rows += 1;
    }

    /// A unit that is a list has ended with `length` values.
    pub(super) fn end_unit(&mut self, length: usize) -> Step {
        match self.unit_items {
            Items::Open if length == 0 => {
                return refuse(
                    "at least one value in a list of lists",
                    "an empty list inside a list",
                );
            }
            Items::Open => (self.unit_items, self.unit_length) = (Items::Lists, length),
            Items::Lists if self.unit_length == length => {}
            Items::Lists => {
                let known = self.unit_length;
                let got = format!("{length} values in a list of entity {}", self.rows);
                return refuse(format!("{known} values in each inner list"), got);
            }
            Items::Plain => return refuse(LISTS_OR_PLAIN, "both in a row's list"),
        }
        self.units += 1;
        Ok(())
    }

    fn leaf_count(&self) -> usize {
        match &self.leaves {
            Leaves::Nulls(n) => *n,
            Leaves::Bool(items) => items.len(),
            Leaves::Int(items) => items.len(),
            Leaves::Float(items) => items.len(),
            Leaves::Text(text) => text.ends.len(),
        }
    }

    fn push_null(&mut self) {
        self.nulls.push(self.leaf_count());
        match &mut self.leaves {
            Leaves::Nulls(n) => *n += 1,
            Leaves::Bool(items) => items.push(i8::MIN),
            Leaves::Int(items) => items.push(0),
            Leaves::Float(items) => items.push(f64::NAN),
            Leaves::Text(text) => text.push(""),
        }
    }

    /// Gives a column of nulls the type of its first value.
    pub(super) fn decide(&mut self, first: PyType) {
        let Leaves::Nulls(n) = self.leaves else { return };
        fn filled<T: Clone>(n: usize, null: T, capacity: usize) -> Vec<T> {
            let mut items = Vec::with_capacity(n.max(capacity));
            items.resize(n, null);
            items
        }
        let capacity = self.capacity;
        self.leaves = match self.hint.unwrap_or(first) {
            PyType::Bool => Leaves::Bool(filled(n, i8::MIN, capacity)),
            PyType::Int => Leaves::Int(filled(n, 0, capacity)),
            PyType::Float => Leaves::Float(filled(n, f64::NAN, capacity)),
            PyType::Str => Leaves::Text(Text { text: String::new(), ends: vec![0; n] }),
        };
    }

    pub(super) fn push_bool(&mut self, value: bool) -> Step {
        self.decide(PyType::Bool);
        let Leaves::Bool(items) = &mut self.leaves else { return self.mixed(format!("{value}")) };
        items.push(value as i8);
        Ok(())
    }

    #[inline]
    pub(super) fn push_int(&mut self, value: i64) -> Step {
        match &mut self.leaves {
            Leaves::Int(items) => items.push(value),
            Leaves::Float(items) if value.unsigned_abs() <= 1 << 53 || is_float(value.into()) => {
                items.push(value as f64)
            }
            Leaves::Float(items) => return not_a_float(value, items.len()),
            Leaves::Nulls(_) => {
                self.decide(PyType::Int);
                return self.push_int(value);
            }
            // movici writes the bools of a ragged attribute as 0 and 1.
            Leaves::Bool(items) if self.hint.is_some() && (0..=1).contains(&value) => {
                items.push(value as i8)
            }
            _ => return self.mixed(value.to_string()),
        }
        Ok(())
    }

    pub(super) fn push_uint(&mut self, value: u64) -> Step {
        if let Ok(value) = i64::try_from(value) {
            return self.push_int(value);
        }
        self.decide(PyType::Int);
        match &mut self.leaves {
            Leaves::Int(items) => {
                self.big.push(items.len());
                items.push(value as i64);
            }
            Leaves::Float(items) if is_float(value.into()) => items.push(value as f64),
            Leaves::Float(items) => return not_a_float(value, items.len()),
            _ => return self.mixed(value.to_string()),
        }
        Ok(())
    }

    #[inline]
    pub(super) fn push_float(&mut self, value: f64) -> Step {
        self.float = true;
        self.push_number(value)
    }

    /// An integer beyond 64 bits: a float, where others are.
    #[cold]
    pub(super) fn push_wide(&mut self, digits: &str) -> Step {
        if self.hint == Some(PyType::Int) {
            return refuse(EXPECTED_INTEGER, format!("{digits:.40}"));
        }
        self.wide.get_or_insert_with(|| format!("{digits:.40}"));
        self.push_number(digits.parse().unwrap_or(f64::INFINITY))
    }

    #[inline]
    fn push_number(&mut self, value: f64) -> Step {
        match &mut self.leaves {
            Leaves::Float(items) => {
                items.push(value);
                Ok(())
            }
            _ => self.push_first_float(value),
        }
    }

    /// A float where none was before: integers so far become floats, unless the schema says int.
    #[cold]
    fn push_first_float(&mut self, value: f64) -> Step {
        self.decide(PyType::Float);
        match &mut self.leaves {
            Leaves::Float(items) => items.push(value),
            Leaves::Int(items) if self.hint == Some(PyType::Int) => {
                // Beyond 2^53 a float need not be the integer that was written.
                if value.fract() != 0.0 || value.abs() > 9_007_199_254_740_992.0 {
                    return refuse(EXPECTED_INTEGER, value.to_string());
                }
                items.push(value as i64);
            }
            Leaves::Int(items) => {
                let integer = |i: usize| match self.big.binary_search(&i) {
                    Ok(_) => i128::from(items[i] as u64),
                    Err(_) => i128::from(items[i]),
                };
                if let Some(i) = (0..items.len()).find(|i| !is_float(integer(*i))) {
                    return not_a_float(integer(i), i);
                }
                let mut floats: Vec<f64> = items.iter().map(|v| *v as f64).collect();
                self.big.drain(..).for_each(|i| floats[i] = items[i] as u64 as f64);
                self.nulls.iter().for_each(|i| floats[*i] = f64::NAN);
                floats.push(value);
                self.leaves = Leaves::Float(floats);
            }
            _ => return self.mixed(value.to_string()),
        }
        Ok(())
    }

    pub(super) fn push_text(&mut self, value: &str) -> Step {
        self.decide(PyType::Str);
        let Leaves::Text(text) = &mut self.leaves else {
            return self.mixed(format!("{value:.60?}"));
        };
        if value.ends_with('\0') {
            // Fixed-width text is padded with NUL: the character would be lost.
            return refuse("text that does not end in NUL", format!("{value:.60?}"));
        }
        text.push(value);
        Ok(())
    }

    fn mixed<T>(&self, got: String) -> Result<T, Box<Refusal>> {
        let kind = match &self.leaves {
            Leaves::Bool(_) => "a bool",
            Leaves::Text(_) => "a text",
            _ => "a number",
        };
        let why =
            if self.hint.is_some() { "as the schema says" } else { "as before in this column" };
        refuse(format!("{kind}, {why}"), got)
    }
}

/// An integer in a column of floats that would be rounded.
#[cold]
fn not_a_float<T>(value: impl std::fmt::Display, position: usize) -> Result<T, Box<Refusal>> {
    let expected = "integers that a 64-bit float holds exactly, as there are floats in this column";
    refuse(expected, format!("{value} at position {position}"))
}

const EXPECTED_INTEGER: &str = "an integer from -2^63 to 2^64 - 1, as the schema says";

const LISTS_OR_PLAIN: &str = "either lists or plain values throughout the column";

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: integers before the first float become floats, nulls and big ones included.
    #[test]
    fn integers_become_floats() {
        let mut column = Column::new(None, 0);
        column.null(0);
        for value in [1, -2] {
            column.open_plain(0).unwrap();
            column.push_int(value).unwrap();
        }
        column.null(0);
        column.push_uint(u64::MAX - 2047).unwrap();
        column.push_float(0.5).unwrap();
        let Leaves::Float(items) = &column.leaves else { panic!("{column:?}") };
        assert!(items[0].is_nan() && items[3].is_nan());
        assert_eq!(
            (&items[1..3], items[4], items[5]),
            (&[1.0, -2.0][..], 18446744073709549568.0, 0.5)
        );
        assert_eq!(column.nulls, [0, 3]);
    }

    /// Goal: an integer that no float is equal to is refused beside floats, whichever comes first; one that is equal is taken.
    #[test]
    fn integers_that_floats_would_round_are_refused() {
        for odd in [(1i64 << 53) + 1, -(1 << 53) - 1, i64::MAX] {
            let got = format!("{odd} at position 1");
            let mut column = Column::new(None, 0);
            column.push_int(1).unwrap();
            column.push_int(odd).unwrap();
            assert_eq!(column.push_float(0.5).unwrap_err().got, got);
            let mut column = Column::new(None, 0);
            column.push_float(0.5).unwrap();
            assert_eq!(column.push_int(odd).unwrap_err().got, got);
            assert!(Column::new(Some(PyType::Float), 0).push_int(odd).is_err());
        }
        let got = "18446744073709551615 at position 0";
        let mut column = Column::new(None, 0);
        column.push_uint(u64::MAX).unwrap();
        assert_eq!(column.push_float(0.5).unwrap_err().got, got);
        let mut column = Column::new(Some(PyType::Float), 0);
        assert_eq!(column.push_uint(u64::MAX).unwrap_err().got, got);
        for even in [1i64 << 53, -(1 << 53), 1 << 62, i64::MIN, (1 << 53) + 2] {
            column.push_int(even).unwrap();
        }
        column.push_uint(1 << 63).unwrap();
    }

    /// Goal: what cannot be one type is refused with both sides named.
    #[test]
    fn mixtures_are_refused() {
        let mut column = Column::new(None, 0);
        column.push_bool(true).unwrap();
        let refusal = column.push_int(1).unwrap_err();
        assert_eq!((&*refusal.expected, &*refusal.got), ("a bool, as before in this column", "1"));
        let mut column = Column::new(Some(PyType::Int), 0);
        column.push_float(3.0).unwrap();
        assert!(column.push_float(4.9).is_err());
        assert!(column.push_float(-9_223_372_036_854_775_808.0).is_err());
        assert!(column.push_text("1").is_err());
    }
}
