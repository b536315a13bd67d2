//! `TensorProto`: numbers as arrays, texts as texts.

use super::super::message::{Fields, Value, varint};
use crate::array::{Array, DType};

/// What a tensor holds.
#[derive(Debug, PartialEq)]
pub(super) enum Tensor<'a> {
    Numbers(Array),
    Texts(Vec<&'a [u8]>),
}

/// The numpy dtypes of TensorFlow's, by number: name, and the field that has items one by one.
const DTYPES: [(i64, &str, u32); 14] = [
    (1, "<f4", 5),
    (2, "<f8", 6),
    (3, "<i4", 7),
    (4, "|u1", 7),
    (5, "<i2", 7),
    (6, "|i1", 7),
    (8, "<c8", 9),
    (9, "<i8", 10),
    (10, "|b1", 11),
    (17, "<u2", 7),
    (18, "<c16", 12),
    (19, "<f2", 13),
    (22, "<u4", 16),
    (23, "<u8", 17),
];
const TEXT: i64 = 7;

/// Reads a tensor; `None` for what is none, or of a kind without a numpy dtype.
pub(super) fn read(bytes: &[u8]) -> Option<Tensor<'_>> {
    let (mut kind, mut shape, mut content, mut texts) = (0, Vec::new(), &[][..], Vec::new());
    let mut single = Vec::new();
    for field in Fields(bytes) {
        match field? {
            (1, value) => kind = value.int(),
            (2, value) => shape = shape_of(value.bytes())?,
            (4, value) => content = value.bytes(),
            (8, value) => texts.push(value.bytes()),
            (number @ (5..=17), value) => single.push((number, value)),
            _ => {}
        }
    }
    if kind == TEXT {
        return Some(Tensor::Texts(texts));
    }
    let (_, name, field) = DTYPES.into_iter().find(|(number, ..)| *number == kind)?;
    let dtype: DType = name.parse().ok()?;
    let size = dtype.item_size();
    let items = shape.iter().try_fold(1usize, |n, dimension| n.checked_mul(*dimension))?;
    let mut data = content.to_vec();
    for (number, value) in single {
        if number == field {
            push(&mut data, name, size, value)?;
        }
    }
    // One item stands for as many as the shape has, and the last for those that are left out.
    let wanted = items.checked_mul(size)?;
    if data.len() < wanted && data.len() >= size && content.is_empty() {
        // Not more than a thousand times of what is there: a few bytes do not become gigabytes.
        if wanted / data.len() > 1_000 || wanted > Array::MAX_STORED_BYTES {
            return None;
        }
        let last = data[data.len() - size..].to_vec();
        while data.len() < wanted {
            data.extend_from_slice(&last);
        }
    }
    Array::new(dtype, shape, data).ok().map(Tensor::Numbers)
}

fn shape_of(bytes: &[u8]) -> Option<Vec<usize>> {
    let mut shape = Vec::new();
    for field in Fields(bytes) {
        if let (2, dimension) = field? {
            let mut size = 0;
            for field in Fields(dimension.bytes()) {
                if let (1, value) = field? {
                    size = value.int();
                }
            }
            shape.push(usize::try_from(size).ok()?);
        }
    }
    (shape.len() <= Array::MAX_DIMENSIONS).then_some(shape)
}

/// Appends items that stand one by one, or packed.
fn push(data: &mut Vec<u8>, name: &str, size: usize, value: Value<'_>) -> Option<()> {
    let is_fixed = matches!(name, "<f4" | "<f8" | "<c8" | "<c16");
    let mut varints = &[][..];
    match value {
        Value::Fixed32(bits) => data.extend(bits.to_le_bytes()),
        Value::Fixed64(bits) => data.extend(bits.to_le_bytes()),
        Value::Bytes(bytes) if is_fixed => data.extend(bytes),
        Value::Bytes(bytes) => varints = bytes,
        Value::Varint(n) => data.extend(&n.to_le_bytes()[..size.min(8)]),
    }
    while !varints.is_empty() {
        let n = varint(&mut varints)?;
        data.extend(&n.to_le_bytes()[..size.min(8)]);
    }
    Some(())
}
