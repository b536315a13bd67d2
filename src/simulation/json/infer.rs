//! A column that was read becomes an attribute: its type, shape, sentinels and mask.

use super::column::{Column, Items, Leaves, Refusal, Text, refuse};
use super::schema::{AttributeSpec, PyType};
use crate::array::{Array, DType, Element, Kind};
use crate::simulation::update::{Attribute, GIVEN, NOT_GIVEN, sentinel_of};

/// Below this an array is never refused for being much larger than its text.
const ALWAYS_ALLOWED_BYTES: usize = 256 << 20;

/// Above that, an array may be so many times as large as the text that it came from: one long
/// string widens all cells of a column, one wide unit all nulls.
const MOST_GROWTH: usize = 64;

/// How the leaves lie: `csr` rows of any length, or `per_row` leaves each.
struct Layout {
    csr: bool,
    /// The shape behind the first dimension.
    unit_shape: Vec<usize>,
    /// Leaves in one unit of a row's list.
    per_unit: usize,
    /// Leaves that a null row stands for.
    per_null_row: usize,
}

impl Column {
    /// The attribute that the column stands for.
    ///
    /// - `text_bytes`: the length of the text that all came from, which bounds the memory.
    pub(super) fn finish(
        mut self,
        spec: Option<&AttributeSpec>,
        text_bytes: usize,
    ) -> Result<Attribute, Box<Refusal>> {
        let layout = self.layout(spec)?;
        self.decide(PyType::Float);
        let source = self.spread(&layout, text_bytes)?;
        if let Some(source) = &source {
            self.rearrange(source);
        }
        let row_ptr = layout.csr.then(|| self.row_ptr());
        let (dtype, bytes, has_lookalike) = self.encode(text_bytes)?;
        let has_no_sentinel = !self.nulls.is_empty() && sentinel_of(dtype).is_none();
        let per_row = layout.per_null_row;
        let mask = match has_lookalike || has_no_sentinel {
            true => Some(self.mask(row_ptr.as_deref(), per_row)?),
            false => None,
        };
        let mut shape = layout.unit_shape;
        shape.insert(0, bytes.len() / dtype.item_size() / product(&shape));
        let too_large =
            |e: crate::Error| Box::new(Refusal { expected: "an array".into(), got: e.to_string() });
        Ok(Attribute {
            data: Array::new(dtype, shape, bytes).map_err(too_large)?,
            row_ptr: row_ptr.map(|row_ptr| Array::from_slice(&row_ptr)),
            mask: mask.map(|mask| Array::from_slice(&mask)),
        })
    }

    /// The attribute `id`: plain eight-byte integers, none of them null or twice there.
    pub(super) fn finish_id(self) -> Result<Attribute, Box<Refusal>> {
        if self.row_items == Items::Lists {
            return refuse("one integer for each entity", "a list");
        }
        if let Some(i) = self
            .nulls
            .first()
            .copied()
            .or((self.row_items == Items::Open && self.rows > 0).then_some(0))
        {
            return refuse("an integer for each entity", format!("null for entity {i}"));
        }
        if let Some(i) = self.big.first() {
            let got = match &self.leaves {
                Leaves::Int(items) => (items[*i] as u64).to_string(),
                _ => "a larger one".to_owned(),
            };
            return refuse("identifiers up to 2^63 - 1", got);
        }
        let ids = match self.leaves {
            Leaves::Int(ids) => ids,
            _ => vec![],
        };
        if !ids.is_sorted_by(|a, b| a < b) {
            let mut sorted = ids.clone();
            sorted.sort_unstable();
            if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
                return refuse("each identifier once", format!("{} more than once", pair[0]));
            }
        }
        Ok(Attribute::new(Array::from_slice(&ids)))
    }

    /// Decides how the leaves lie, and checks it against the schema.
    fn layout(&self, spec: Option<&AttributeSpec>) -> Result<Layout, Box<Refusal>> {
        let known = spec.map_or(&[][..], |spec| &spec.unit_shape);
        let uniform = |unit_shape: &[usize], per_unit| Layout {
            csr: false,
            unit_shape: unit_shape.to_vec(),
            per_unit,
            per_null_row: product(unit_shape),
        };
        let csr = |unit_shape: &[usize]| {
            let per_unit = product(unit_shape);
            Layout { csr: true, unit_shape: unit_shape.to_vec(), per_unit, per_null_row: per_unit }
        };
        if self.row_items != Items::Lists {
            return match spec {
                Some(spec) if self.row_items == Items::Plain && (spec.csr || !known.is_empty()) => {
                    refuse(describe(spec), "a plain value")
                }
                Some(spec) if spec.csr => Ok(csr(known)),
                _ => Ok(uniform(known, product(known))),
            };
        }
        let unit: &[usize] = match (self.unit_items, spec) {
            (Items::Plain, _) => &[],
            (Items::Lists, _) => &[self.unit_length],
            (Items::Open, Some(spec)) if spec.csr => known,
            (Items::Open, _) => known.get(1..).unwrap_or(&[]),
        };
        let Some(spec) = spec else { return Ok(csr(unit)) };
        let got = || match unit {
            [] => "lists of plain values".to_owned(),
            _ => format!("lists of lists of {}", product(unit)),
        };
        if spec.csr {
            return if known == unit { Ok(csr(unit)) } else { refuse(describe(spec), got()) };
        }
        let [units, inner @ ..] = known else { return refuse(describe(spec), got()) };
        if inner != unit {
            return refuse(describe(spec), got());
        }
        let (mut start, mut null_rows) = (0, self.null_rows.iter().peekable());
        for (row, end) in self.row_ends.iter().enumerate() {
            let is_null = null_rows.next_if(|null| **null == row).is_some();
            if !is_null && end - start != *units {
                return refuse(
                    describe(spec),
                    format!("a list of {} for entity {row}", end - start),
                );
            }
            start = *end;
        }
        Ok(uniform(known, product(unit)))
    }

    /// For each final leaf the leaf to take, or `NULL`; `None` if the leaves lie right already.
    fn spread(
        &self,
        layout: &Layout,
        text_bytes: usize,
    ) -> Result<Option<Vec<usize>>, Box<Refusal>> {
        let null_rows =
            if self.row_items == Items::Open { self.rows } else { self.null_rows.len() };
        if null_rows == 0 && self.null_units.is_empty() {
            return Ok(None);
        }
        // A null in a plain column has its leaf already, so what is missing is in these two.
        let added = null_rows
            .checked_mul(layout.per_null_row)
            .zip(self.null_units.len().checked_mul(layout.per_unit))
            .and_then(|(rows, units)| rows.checked_add(units));
        bound(added.and_then(|n| n.checked_mul(size_of::<usize>())), text_bytes)?;
        let mut source = Vec::new();
        if self.row_items == Items::Open {
            source.resize(null_rows * layout.per_null_row, NULL);
            return Ok(Some(source));
        }
        let (mut unit, mut leaf) = (0, 0);
        let mut null_rows = self.null_rows.iter().peekable();
        let mut null_units = self.null_units.iter().peekable();
        for (row, end) in self.row_ends.iter().enumerate() {
            if null_rows.next_if(|null| **null == row).is_some() {
                source.resize(source.len() + layout.per_null_row, NULL);
            }
            for unit in unit..*end {
                if null_units.next_if(|null| **null == unit).is_some() {
                    source.resize(source.len() + layout.per_unit, NULL);
                } else {
                    source.extend(leaf..leaf + layout.per_unit);
                    leaf += layout.per_unit;
                }
            }
            unit = *end;
        }
        Ok(Some(source))
    }

    /// Puts the leaves into the order of `source`.
    fn rearrange(&mut self, source: &[usize]) {
        fn pick<T: Copy>(items: &[T], source: &[usize], null: T) -> Vec<T> {
            source.iter().map(|i| items.get(*i).copied().unwrap_or(null)).collect()
        }
        match &mut self.leaves {
            Leaves::Nulls(_) => unreachable!("the type is decided before the leaves are moved"),
            Leaves::Bool(items) => *items = pick(items, source, i8::MIN),
            Leaves::Int(items) => *items = pick(items, source, 0),
            Leaves::Float(items) => *items = pick(items, source, f64::NAN),
            Leaves::Text(text) => {
                let mut moved = Text::default();
                source.iter().for_each(|i| moved.push(if *i == NULL { "" } else { text.get(*i) }));
                *text = moved;
            }
        }
        let moved = |old: &[usize], with_null: bool| {
            let found =
                |i: &usize| if *i == NULL { with_null } else { old.binary_search(i).is_ok() };
            source.iter().enumerate().filter(|(_, i)| found(i)).map(|(to, _)| to).collect()
        };
        (self.nulls, self.big) = (moved(&self.nulls, true), moved(&self.big, false));
    }

    /// Where each row begins, a null row counting as one unit.
    fn row_ptr(&self) -> Vec<i64> {
        let mut row_ptr = vec![0];
        if self.row_items != Items::Lists {
            row_ptr.extend(1..=self.rows as i64);
            return row_ptr;
        }
        let (mut nulls, mut null_rows) = (0, self.null_rows.iter().peekable());
        for (row, end) in self.row_ends.iter().enumerate() {
            nulls += null_rows.next_if(|null| **null == row).is_some() as i64;
            row_ptr.push(*end as i64 + nulls);
        }
        row_ptr
    }

    /// Dtype and bytes of the leaves, sentinels in place; and whether a value looks like the sentinel.
    fn encode(&mut self, text_bytes: usize) -> Result<(DType, Vec<u8>, bool), Box<Refusal>> {
        fn bytes<T: Element>(items: &[T]) -> Vec<u8> {
            let mut out = Vec::new();
            T::write_le(items, &mut out);
            out
        }
        Ok(match &mut self.leaves {
            Leaves::Nulls(_) => unreachable!("the type is decided before it is encoded"),
            Leaves::Bool(items) => (DType::I8, bytes(items), false),
            Leaves::Float(items) => (DType::F64, bytes(items), false),
            Leaves::Int(items) if self.big.is_empty() => {
                if items.iter().any(|v| i32::try_from(*v).is_err()) {
                    (DType::I64, bytes(items), false)
                } else {
                    let mut narrow: Vec<i32> = items.iter().map(|v| *v as i32).collect();
                    let has_lookalike = narrow.contains(&i32::MIN);
                    self.nulls.iter().for_each(|i| narrow[*i] = i32::MIN);
                    (DType::I32, bytes(&narrow), has_lookalike)
                }
            }
            Leaves::Int(items) => {
                let below_zero = items.iter().filter(|v| **v < 0).count();
                if below_zero > self.big.len() {
                    let got = format!(
                        "{} in one column with numbers below zero",
                        items[self.big[0]] as u64
                    );
                    return refuse("integers that fit into i64 or u64 together", got);
                }
                (DType::of(Kind::UInt, 8), bytes(items), false)
            }
            Leaves::Text(text) => encode_text(text, &self.nulls, text_bytes)?,
        })
    }

    /// Per row, whether it is given. A null inside a given row cannot be told from its value.
    fn mask(&self, row_ptr: Option<&[i64]>, per_row: usize) -> Result<Vec<u8>, Box<Refusal>> {
        let bounds = |row: usize| match row_ptr {
            Some(ends) => (ends[row] as usize * per_row, ends[row + 1] as usize * per_row),
            None => (row * per_row, (row + 1) * per_row),
        };
        let mut nulls = self.nulls.as_slice();
        let mut mask = Vec::with_capacity(self.rows);
        for row in 0..self.rows {
            let (start, end) = bounds(row);
            let count = nulls.partition_point(|null| *null < end);
            nulls = &nulls[count..];
            mask.push(match count {
                0 => GIVEN,
                // A ragged row that says nothing is one unit of nulls, however it was written.
                _ if count == end - start && count == per_row => NOT_GIVEN,
                _ => {
                    let expected = "no null inside a row: the column has an eight-byte integer or a \
                                    value that is its type's own sentinel, so a mask must tell rows apart";
                    return refuse(expected, format!("a null inside the row of entity {row}"));
                }
            });
        }
        Ok(mask)
    }
}

/// In a list of leaves to take: none.
const NULL: usize = usize::MAX;

fn product(shape: &[usize]) -> usize {
    shape.iter().fold(1, |size, n| size.saturating_mul(*n))
}

fn describe(spec: &AttributeSpec) -> String {
    let value = match &spec.unit_shape[..] {
        [] => "plain values".to_owned(),
        [n] => format!("lists of {n}"),
        shape => format!("lists of shape {shape:?}"),
    };
    let row = if spec.csr { format!("a list of {value}") } else { value };
    format!("{row} for each entity, as the schema says")
}

/// Refuses an array that would be wildly larger than its text.
fn bound(size: Option<usize>, text_bytes: usize) -> Result<(), Box<Refusal>> {
    let limit = text_bytes.saturating_mul(MOST_GROWTH).max(ALWAYS_ALLOWED_BYTES);
    match size.filter(|size| *size <= limit) {
        Some(_) => Ok(()),
        None => {
            let got = size.map_or("more than that".into(), |size| format!("{size} bytes"));
            refuse(format!("a column that fits into {limit} bytes"), got)
        }
    }
}

/// The cells of a text column, as wide as the longest text, and wide enough for the sentinel.
fn encode_text(
    text: &Text,
    nulls: &[usize],
    text_bytes: usize,
) -> Result<(DType, Vec<u8>, bool), Box<Refusal>> {
    const SENTINEL: &str = "_udf_";
    let widest = text.iter().map(|item| item.chars().count()).max().unwrap_or(0);
    let width = widest.max(if nulls.is_empty() { 1 } else { SENTINEL.len() });
    bound(text.ends.len().checked_mul(width * 4), text_bytes)?;
    if u32::try_from(width * 4).is_err() {
        return refuse("text below 2^30 characters", format!("{width} characters"));
    }
    let has_lookalike = text.iter().any(|item| item == SENTINEL);
    let mut bytes = vec![0; text.ends.len() * width * 4];
    let mut nulls = nulls.iter().peekable();
    for (i, cell) in bytes.chunks_exact_mut(width * 4).enumerate() {
        let is_null = nulls.next_if(|null| **null == i).is_some();
        let item = if is_null { SENTINEL } else { text.get(i) };
        for (slot, c) in cell.chunks_exact_mut(4).zip(item.chars()) {
            slot.copy_from_slice(&(c as u32).to_le_bytes());
        }
    }
    Ok((DType::text(width), bytes, has_lookalike))
}

#[cfg(test)]
mod tests {
    use super::super::parse::tests::{column, group, refused, row_ptr};
    use super::*;

    /// Goal: the schema decides the type, and null is the documented sentinel without a mask.
    #[test]
    fn schema_types_and_sentinels() {
        let i = column("i", "[1,null,-7]").unwrap();
        assert_eq!((i.data.to_vec::<i32>().unwrap(), i.mask), (vec![1, i32::MIN, -7], None));
        let b = column("b", "[true,null,false,1]").unwrap();
        assert_eq!((b.data.to_vec::<i8>().unwrap(), b.mask), (vec![1, -128, 0, 1], None));
        let f = column("f", "[1,null,1e-300]").unwrap();
        let values = f.data.to_vec::<f64>().unwrap();
        assert!(values[0] == 1.0 && values[1].is_nan() && values[2] == 1e-300 && f.mask.is_none());
        let s = column("s", r#"["東京",null]"#).unwrap();
        assert_eq!(
            (s.data.dtype(), s.data.to_strings().unwrap()),
            (DType::text(5), vec!["東京".into(), "_udf_".into()])
        );
        assert_eq!(column("s", r#"["",""]"#).unwrap().data.dtype(), DType::text(1));
        let long = "x".repeat(300);
        assert_eq!(
            column("s", &format!("[\"{long}\"]")).unwrap().data.to_strings().unwrap(),
            [long]
        );
        for (name, dtype) in
            [("i", DType::I32), ("b", DType::I8), ("f", DType::F64), ("s", DType::text(5))]
        {
            assert_eq!(column(name, "[null,null]").unwrap().data.dtype(), dtype);
        }
    }

    /// Goal: a mask appears where sentinels alone would be wrong, and only there.
    #[test]
    fn masks_where_marks_do_not_suffice() {
        let mask = |attribute: &Attribute| attribute.mask.as_ref().map(|mask| mask.data().to_vec());
        let wide = column("i", "[3000000000,null]").unwrap();
        assert_eq!(
            (wide.data.to_vec(), mask(&wide)),
            (Some(vec![3_000_000_000i64, 0]), Some(vec![GIVEN, NOT_GIVEN]))
        );
        assert_eq!(mask(&column("i", "[3000000000]").unwrap()), None);
        let lowest = column("i", "[-2147483648,null,5]").unwrap();
        assert_eq!(
            (lowest.data.dtype(), mask(&lowest)),
            (DType::I32, Some(vec![GIVEN, NOT_GIVEN, GIVEN]))
        );
        let udf = column("s", r#"["_udf_",null]"#).unwrap();
        assert_eq!(mask(&udf), Some(vec![GIVEN, NOT_GIVEN]));
        let ragged = column("ci", "[[-2147483648],null,[],[1,2],[null]]").unwrap();
        assert_eq!(mask(&ragged), Some(vec![GIVEN, NOT_GIVEN, GIVEN, GIVEN, NOT_GIVEN]));
        assert_eq!(row_ptr(&ragged), [0, 1, 2, 2, 4, 5]);
        let text = refused("ci", "[[-2147483648],[1,null]]");
        assert!(text.contains("no null inside a row") && text.contains("entity 1"), "{text}");
        // Two units of nulls are a row of two, not a row that is not given.
        assert!(refused("ci", "[[-2147483648],[null,null]]").contains("no null inside a row"));
    }

    /// Goal: lists become unit shapes or ragged rows; nulls stand for a row, a unit or a part.
    #[test]
    fn lists_become_units_or_ragged_rows() {
        let p2 = column("p2", "[[1,2],null,[null,3.5]]").unwrap();
        assert_eq!(p2.data.shape(), [3, 2]);
        let values = p2.data.to_vec::<f64>().unwrap();
        assert_eq!(
            values.iter().map(|v| v.is_nan()).collect::<Vec<_>>(),
            [false, false, true, true, true, false]
        );
        assert_eq!(
            column("m22", "[null,[[1,2],[null,4]],[null,[5,6]]]")
                .unwrap()
                .data
                .to_vec::<i32>()
                .unwrap(),
            [i32::MIN, i32::MIN, i32::MIN, i32::MIN, 1, 2, i32::MIN, 4, i32::MIN, i32::MIN, 5, 6,]
        );
        let c2 = column("c2", "[null,[[1,2],null],[],[[null,4]]]").unwrap();
        assert_eq!((c2.data.shape(), row_ptr(&c2)), (&[4, 2][..], vec![0, 1, 3, 3, 4]));
        let cf = column("cf", "[[],[1.5],null]").unwrap();
        assert_eq!((cf.data.shape(), row_ptr(&cf)), (&[2][..], vec![0, 0, 1, 2]));
        assert_eq!(column("cb", "[[1,0],[true]]").unwrap().data.to_vec::<i8>().unwrap(), [1, 0, 1]);
        assert_eq!(column("c2", "[null]").unwrap().data.shape(), [1, 2]);
        assert_eq!(column("p2", "[]").unwrap().data.shape(), [0, 2]);
        assert_eq!(column("p2", "[null]").unwrap().data.shape(), [1, 2]);
        assert_eq!(row_ptr(&column("c2", "[]").unwrap()), [0]);
    }

    /// Goal: without a schema all values of a column decide, not the first.
    #[test]
    fn types_are_inferred_from_the_whole_column() {
        for (values, dtype, shape) in [
            ("[1,2.7]", "<f8", &[2][..]),
            ("[null,1]", "<i4", &[2]),
            ("[1,2147483648]", "<i8", &[2]),
            ("[1,18446744073709551615]", "<u8", &[2]),
            ("[null,\"x\"]", "<U5", &[2]),
            ("[null,true]", "|i1", &[2]),
            ("[null]", "<f8", &[1]),
            ("[]", "<f8", &[0]),
            ("[null,[1]]", "<i4", &[2]),
            ("[[],[\"x\"]]", "<U1", &[1]),
            ("[[1,2],[3,4.5]]", "<f8", &[4]),
            ("[[[1,2]],[],[[3,4],[5,6]],null]", "<i4", &[4, 2]),
            ("[[],[]]", "<f8", &[0]),
            ("[1e300]", "<f8", &[1]),
            ("[1.5,100000000000000000000]", "<f8", &[2]),
        ] {
            let attribute = column("x", values).unwrap();
            assert_eq!(
                (attribute.data.dtype().to_string().as_str(), attribute.data.shape()),
                (dtype, shape),
                "{values}"
            );
        }
    }

    /// Goal: a small file cannot ask for much memory.
    #[test]
    fn memory_is_bounded_by_the_text() {
        let ids: Vec<usize> = (0..20_000).collect();
        let empty = ",\"\"".repeat(19_999);
        let wide = format!(r#"{{"id":{ids:?},"s":["{}"{empty}]}}"#, "x".repeat(100_000));
        let nulls = ",null".repeat(19_999);
        let units = format!(r#"{{"id":{ids:?},"x":[[{:?}]{nulls}]}}"#, vec![0; 10_000]);
        for text in [wide, units] {
            let error = group(&text).unwrap_err().to_string();
            assert!(error.contains("a column that fits into 268435456 bytes"), "{error}");
        }
    }
}
