//! Attributes written as JSON, the way movici writes them.

use std::cell::Cell;

use serde_json::Value;

use super::datetime::NumpyTimeText;
use super::schema::{AttributeSpec, PyType, Schema};
use crate::array::{Array, DType, Kind, check_row_ptr};
use crate::error::{Error, Result};
use crate::simulation::update::{Attribute, CLEARED, EntityData, GIVEN, is_sentinel};

/// The bytes of an update file: `{"<dataset>":{"<group>":{"id":[..],"<attribute>":[..]}}}`.
///
/// An undefined row is `null`, an undefined part of a row a `null` in it. `|i1` and `|b1` are
/// `true` and `false`, unless the schema says number or a value is neither 0 nor 1. `<f2` and
/// `<f4` are widened first. A `datetime64` is its ISO text, a `timedelta64` its count.
///
/// # Errors
/// [`Error::Invalid`], naming dataset, group and attribute, for complex numbers, for bytes that
/// are no UTF-8 and for shapes that contradict each other.
pub fn dump_update(dataset: &str, data: &EntityData, schema: &Schema) -> Result<Vec<u8>> {
    Ok(dump_update_counted(dataset, data, schema)?.0)
}

/// As [`dump_update`], and how many values JSON cannot say: rows that are cleared, infinities, and
/// what looks like a sentinel and is a value. They are written as `null`, which says that nothing is
/// given.
pub(crate) fn dump_update_counted(
    dataset: &str,
    data: &EntityData,
    schema: &Schema,
) -> Result<(Vec<u8>, u64)> {
    let mut out = Vec::new();
    let mut lost = 0;
    out.push(b'{');
    push_text(&mut out, dataset);
    out.extend_from_slice(b":{");
    for (i, group) in data.iter().enumerate() {
        comma(&mut out, i);
        push_text(&mut out, &group.name);
        out.extend_from_slice(b":{");
        for (i, (name, attribute)) in group.attributes.iter().enumerate() {
            comma(&mut out, i);
            push_text(&mut out, name);
            out.push(b':');
            let what = format!("{dataset}/{}/{name}", group.name);
            lost += push_rows(&mut out, &what, attribute, schema.get(name))?;
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"}}");
    Ok((out, lost))
}

/// The values of an attribute as a JSON list, one item an entity, as [`dump_update`] writes them.
///
/// # Errors
/// As [`dump_update`].
pub fn row_values(attribute: &Attribute, spec: Option<&AttributeSpec>) -> Result<Value> {
    let mut out = Vec::new();
    push_rows(&mut out, spec.map_or("attribute", |spec| &spec.name), attribute, spec)?;
    Ok(serde_json::from_slice(&out).expect("what was just written is JSON of few levels"))
}

/// Writes the list of an attribute's values; how many of them JSON cannot say.
fn push_rows(
    out: &mut Vec<u8>,
    what: &str,
    attribute: &Attribute,
    spec: Option<&AttributeSpec>,
) -> Result<u64> {
    attribute.check(what)?;
    let cells = Cells::new(what, attribute, spec)?;
    let unit_shape = &attribute.data.shape()[1..];
    let per_unit: usize = unit_shape.iter().product();
    let ends = match &attribute.row_ptr {
        Some(row_ptr) => Some(check_row_ptr(what, row_ptr, attribute.data.rows())?),
        None => None,
    };
    let mask = attribute.mask.as_ref().map(Array::data);
    out.push(b'[');
    for row in 0..attribute.entities() {
        comma(out, row);
        let is_given = mask.is_none_or(|mask| mask[row] == GIVEN);
        match &ends {
            _ if !is_given => {
                if mask.is_some_and(|mask| mask[row] == CLEARED) {
                    cells.lose();
                }
                out.extend_from_slice(b"null");
            }
            None => cells.push_unit(out, row * per_unit, unit_shape),
            Some(ends) => {
                let units = ends[row]..ends[row + 1];
                if units.len() == 1 && cells.all_undefined(units.start * per_unit, per_unit) {
                    out.extend_from_slice(b"null");
                    continue;
                }
                out.push(b'[');
                for (i, unit) in units.enumerate() {
                    comma(out, i);
                    cells.push_unit(out, unit * per_unit, unit_shape);
                }
                out.push(b']');
            }
        }
    }
    out.push(b']');
    Ok(cells.lost.get())
}

/// The items of an attribute, with the way to write one.
struct Cells {
    /// Low byte first.
    bytes: Array,
    dtype: DType,
    /// Whether a sentinel means undefined: with a mask each value is itself.
    has_sentinels: bool,
    form: Form,
    /// Values that JSON cannot say.
    lost: Cell<u64>,
}

enum Form {
    Bool,
    Int,
    UInt,
    /// Integers of an attribute whose schema says float.
    IntAsFloat,
    Float,
    Text(Vec<String>),
    Time(NumpyTimeText),
}

impl Cells {
    fn new(what: &str, attribute: &Attribute, spec: Option<&AttributeSpec>) -> Result<Self> {
        let bytes = attribute.data.to_little_endian();
        let dtype = bytes.dtype();
        let has_sentinels = attribute.mask.is_none();
        let py_type = spec.map(|spec| spec.py_type);
        let form = match dtype.kind() {
            Kind::Bool if matches!(py_type, None | Some(PyType::Bool | PyType::Str)) => Form::Bool,
            Kind::Bool | Kind::Int | Kind::UInt => {
                let may_be_bool = match py_type {
                    None => dtype == DType::I8,
                    Some(py_type) => py_type == PyType::Bool,
                };
                let size = dtype.item_size();
                let ends = match attribute.mask {
                    Some(_) => attribute.row_ptr.as_ref().and_then(Array::to_i64s),
                    None => None,
                };
                let is_bool = |(i, item): (usize, &[u8])| {
                    (item[0] <= 1 && item[1..].iter().all(|b| *b == 0))
                        || (has_sentinels && is_sentinel(dtype, item))
                        || is_hidden(attribute, ends.as_deref(), i)
                };
                if may_be_bool && bytes.data().chunks_exact(size).enumerate().all(is_bool) {
                    Form::Bool
                } else if py_type == Some(PyType::Float) {
                    Form::IntAsFloat
                } else if dtype.kind() == Kind::Int {
                    Form::Int
                } else {
                    Form::UInt
                }
            }
            Kind::Float => Form::Float,
            Kind::Str => Form::Text(bytes.to_strings().unwrap_or_default()),
            Kind::Bytes => Form::Text(utf8_strings(what, &bytes)?),
            Kind::DateTime | Kind::TimeDelta => Form::Time(NumpyTimeText::new(dtype)),
            Kind::Complex => {
                return Err(Error::invalid(
                    what,
                    "values that JSON has",
                    format!("complex numbers ({dtype})"),
                ));
            }
        };
        Ok(Cells { bytes, dtype, has_sentinels, form, lost: Cell::new(0) })
    }

    /// Counts a value that is written as `null` and meant otherwise.
    fn lose(&self) {
        self.lost.set(self.lost.get() + 1);
    }

    fn item(&self, i: usize) -> &[u8] {
        let size = self.dtype.item_size();
        &self.bytes.data()[i * size..(i + 1) * size]
    }

    fn all_undefined(&self, start: usize, count: usize) -> bool {
        let undefined = |i| self.has_sentinels && is_sentinel(self.dtype, self.item(i));
        count > 0 && (start..start + count).all(undefined)
    }

    /// One value of any shape: `null` if nothing of it is defined.
    fn push_unit(&self, out: &mut Vec<u8>, start: usize, shape: &[usize]) {
        if self.all_undefined(start, shape.iter().product()) {
            out.extend_from_slice(b"null");
        } else {
            self.push_part(out, start, shape);
        }
    }

    fn push_part(&self, out: &mut Vec<u8>, start: usize, shape: &[usize]) {
        let [length, inner @ ..] = shape else { return self.push_item(out, start) };
        let size: usize = inner.iter().product();
        out.push(b'[');
        for i in 0..*length {
            comma(out, i);
            self.push_part(out, start + i * size, inner);
        }
        out.push(b']');
    }

    fn push_item(&self, out: &mut Vec<u8>, i: usize) {
        let item = self.item(i);
        if self.has_sentinels && is_sentinel(self.dtype, item) {
            return out.extend_from_slice(b"null");
        }
        match &self.form {
            Form::Bool => out.extend_from_slice(if item[0] != 0 { b"true" } else { b"false" }),
            Form::Int => push_number(out, &signed(item)),
            Form::UInt => push_number(out, &unsigned(item)),
            Form::IntAsFloat if self.dtype.kind() == Kind::Int => {
                push_number(out, &(signed(item) as f64))
            }
            Form::IntAsFloat => push_number(out, &(unsigned(item) as f64)),
            Form::Float => {
                let value = float(item);
                if !value.is_finite() {
                    self.lose();
                }
                push_number(out, &value);
            }
            Form::Text(items) => push_text(out, &items[i]),
            Form::Time(text) => match text.write(signed(item)) {
                None => {
                    self.lose();
                    out.extend_from_slice(b"null");
                }
                Some(Value::String(text)) => push_text(out, &text),
                Some(count) => push_number(out, &count),
            },
        }
    }
}

/// Whether an item belongs to a row that a mask calls undefined: whatever it holds, it says nothing.
fn is_hidden(attribute: &Attribute, ends: Option<&[i64]>, item: usize) -> bool {
    let Some(mask) = &attribute.mask else { return false };
    let unit = item / attribute.data.shape()[1..].iter().product::<usize>().max(1);
    let row = match ends {
        None => unit,
        Some(ends) => ends.partition_point(|end| *end <= unit as i64) - 1,
    };
    mask.data()[row] != GIVEN
}

fn signed(item: &[u8]) -> i64 {
    let fill = if item[item.len() - 1] & 0x80 != 0 { 0xff } else { 0 };
    let mut wide = [fill; 8];
    wide[..item.len()].copy_from_slice(item);
    i64::from_le_bytes(wide)
}

fn unsigned(item: &[u8]) -> u64 {
    let mut wide = [0; 8];
    wide[..item.len()].copy_from_slice(item);
    u64::from_le_bytes(wide)
}

/// A float of two, four or eight bytes.
fn float(item: &[u8]) -> f64 {
    match *item {
        [a, b] => half(u16::from_le_bytes([a, b])),
        [a, b, c, d] => f64::from(f32::from_le_bytes([a, b, c, d])),
        _ => f64::from_bits(unsigned(item)),
    }
}

/// The value of an IEEE 754 binary16.
fn half(bits: u16) -> f64 {
    let sign = if bits & 0x8000 != 0 { -1.0 } else { 1.0 };
    let fraction = f64::from(bits & 0x3ff);
    sign * match (bits >> 10) & 0x1f {
        0 => fraction * 2f64.powi(-24),
        0x1f if fraction == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        exponent => (1024.0 + fraction) * 2f64.powi(i32::from(exponent) - 25),
    }
}

fn utf8_strings(what: &str, array: &Array) -> Result<Vec<String>> {
    let size = array.dtype().item_size();
    if size == 0 {
        return Ok(vec![String::new(); array.len()]);
    }
    let text = |cell: &[u8]| {
        let end = cell.iter().rposition(|b| *b != 0).map_or(0, |i| i + 1);
        std::str::from_utf8(&cell[..end]).map(str::to_owned)
    };
    let strings: std::result::Result<_, _> = array.data().chunks_exact(size).map(text).collect();
    strings.map_err(|e| Error::invalid(what, "bytes that are UTF-8", e.to_string()))
}

fn comma(out: &mut Vec<u8>, i: usize) {
    if i > 0 {
        out.push(b',');
    }
}

/// A number as `serde_json` writes it: the shortest text for a float, `null` if it is not finite.
fn push_number(out: &mut Vec<u8>, value: &impl serde::Serialize) {
    serde_json::to_writer(out, value).expect("a number always serializes into memory");
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a text always serializes into memory");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::update::{CLEARED, Group, NOT_GIVEN};

    fn rows(attribute: &Attribute) -> String {
        row_values(attribute, None).unwrap().to_string()
    }

    fn typed(dtype: &str, data: &[u8]) -> Attribute {
        let dtype: DType = dtype.parse().unwrap();
        Attribute::new(
            Array::new(dtype, vec![data.len() / dtype.item_size()], data.to_vec()).unwrap(),
        )
    }

    /// Goal: each dtype is written as the number, bool or text that it is.
    #[test]
    fn each_dtype_has_its_text() {
        assert_eq!(rows(&Attribute::new(Array::from_slice(&[1i8, 0, -128]))), "[true,false,null]");
        assert_eq!(rows(&Attribute::new(Array::from_slice(&[1i8, 2, -128]))), "[1,2,null]");
        assert_eq!(rows(&Attribute::new(Array::from_slice(&[true, false]))), "[true,false]");
        assert_eq!(
            rows(&Attribute::new(Array::from_slice(&[i64::MIN, i64::MAX]))),
            "[-9223372036854775808,9223372036854775807]"
        );
        assert_eq!(rows(&Attribute::new(Array::from_slice(&[u64::MAX]))), "[18446744073709551615]");
        assert_eq!(
            rows(&Attribute::new(Array::from_slice(&[0.1f32, f32::NAN]))),
            "[0.10000000149011612,null]"
        );
        let floats = [1e-300, 21.0, -0.0, 6.30901964e-5, 5e-324, f64::INFINITY];
        assert_eq!(
            rows(&Attribute::new(Array::from_slice(&floats))),
            "[1e-300,21.0,-0.0,0.0000630901964,5e-324,null]"
        );
        let halves = [0x3c00u16, 0xc500, 1, 0x7bff, 0x7e00, 0xfc00];
        let bytes: Vec<u8> = halves.iter().flat_map(|h| h.to_le_bytes()).collect();
        assert_eq!(
            rows(&typed("<f2", &bytes)),
            "[1.0,-5.0,5.960464477539063e-8,65504.0,null,null]"
        );
        assert_eq!(rows(&typed(">i4", &[0x80, 0, 0, 0, 0, 0, 1, 0])), "[null,256]");
        assert_eq!(rows(&typed("|S3", b"ab\0\0\0c")), r#"["ab","\u0000\u0000c"]"#);
        assert_eq!(rows(&typed("<M8[D]", &0i64.to_le_bytes())), r#"["1970-01-01"]"#);
        assert_eq!(rows(&typed("<m8[s]", &7i64.to_le_bytes())), "[7]");
        for (dtype, bytes) in [("<c8", &[0u8; 8][..]), ("|S1", &[0xff])] {
            let error = row_values(&typed(dtype, bytes), None).unwrap_err();
            assert!(error.to_string().starts_with("attribute: expected"), "{error}");
        }
        let text = "é🚰\"\\\n\u{1f}\u{7f}";
        let data = vec![Group {
            name: text.into(),
            attributes: vec![("s".into(), Attribute::new(Array::from_strs(&[text, "_udf_"])))],
        }];
        let bytes = dump_update("d", &data, &Schema::default()).unwrap();
        let quoted = "\"é🚰\\\"\\\\\\n\\u001f\u{7f}\"";
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            format!(r#"{{"d":{{{quoted}:{{"s":[{quoted},null]}}}}}}"#)
        );
    }

    /// Goal: the schema decides between numbers and bools where the dtype leaves it open.
    #[test]
    fn the_schema_decides_where_the_dtype_does_not() {
        let as_type = |array: Array, py_type| {
            row_values(&Attribute::new(array), Some(&AttributeSpec::new("a", py_type)))
                .unwrap()
                .to_string()
        };
        assert_eq!(as_type(Array::from_slice(&[1i8, 0]), PyType::Int), "[1,0]");
        assert_eq!(
            as_type(Array::from_slice(&[1i32, 0, i32::MIN]), PyType::Bool),
            "[true,false,null]"
        );
        assert_eq!(as_type(Array::from_slice(&[256i32, 0]), PyType::Bool), "[256,0]");
        assert_eq!(as_type(Array::from_slice(&[1i32, i32::MIN]), PyType::Float), "[1.0,null]");
        assert_eq!(as_type(Array::from_slice(&[true, false]), PyType::Int), "[1,0]");
    }

    /// Goal: what stands in a row that is masked out does not turn bools into numbers.
    #[test]
    fn hidden_rows_do_not_decide() {
        let flags = Attribute::new(Array::from_slice(&[1i8, -128, 0]));
        assert_eq!(rows(&flags.clone().with_mask(&[GIVEN, CLEARED, GIVEN])), "[true,null,false]");
        assert_eq!(rows(&flags.with_mask(&[NOT_GIVEN, GIVEN, GIVEN])), "[null,-128,0]");
        let ragged = Attribute::ragged(
            Array::from_slice(&[1i8, 0, -128, 0]),
            Array::from_slice(&[0i64, 2, 2, 3, 4]),
        );
        let masked = ragged.with_mask(&[GIVEN, GIVEN, CLEARED, GIVEN]);
        assert_eq!(rows(&masked), "[[true,false],[],null,[false]]");
    }

    /// Goal: with a mask each given value is itself; without, a wholly undefined row is one null.
    #[test]
    fn undefined_rows_and_masks() {
        let points =
            |values: &[i32]| Array::from_slice(values).reshape(vec![values.len() / 2, 2]).unwrap();
        let sentinel = i32::MIN;
        let uniform = Attribute::new(points(&[1, 2, sentinel, 3, sentinel, sentinel]));
        assert_eq!(rows(&uniform), "[[1,2],[null,3],null]");
        assert_eq!(
            rows(&uniform.with_mask(&[NOT_GIVEN, CLEARED, GIVEN])),
            "[null,null,[-2147483648,-2147483648]]"
        );
        let ragged = Attribute::ragged(
            points(&[sentinel, sentinel, 1, 2, sentinel, sentinel, sentinel, 4]),
            Array::from_slice(&[0i64, 1, 1, 3, 4]),
        );
        assert_eq!(rows(&ragged), "[null,[],[[1,2],null],[[null,4]]]");
        assert_eq!(
            rows(&Attribute::new(Array::from_slice::<f64>(&[]).reshape(vec![2, 0]).unwrap())),
            "[[],[]]"
        );
        let wrong = Attribute::ragged(points(&[1, 2]), Array::from_slice(&[0i64, 3]));
        assert!(row_values(&wrong, None).is_err());
    }
}
