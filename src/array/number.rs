//! Single numbers out of their bytes.

use super::{DType, Kind};

/// A little-endian real number of any width as `f64`.
pub(crate) fn number(dtype: DType, item: &[u8]) -> f64 {
    match (dtype.kind(), item) {
        (Kind::Float, &[a, b]) => half(u16::from_le_bytes([a, b])),
        (Kind::Float, item) if item.len() == 4 => {
            f64::from(f32::from_le_bytes(item.try_into().expect("four bytes")))
        }
        (Kind::Float, item) => f64::from_le_bytes(item.try_into().expect("eight bytes")),
        (Kind::UInt, item) if item.len() == 8 => {
            u64::from_le_bytes(item.try_into().expect("eight bytes")) as f64
        }
        (kind, item) => integer(kind, item) as f64,
    }
}

/// A little-endian integer of at most eight bytes; `u64` wraps.
pub(crate) fn integer(kind: Kind, item: &[u8]) -> i64 {
    let negative = kind == Kind::Int && item.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut bytes = [if negative { 0xff } else { 0 }; 8];
    bytes[..item.len()].copy_from_slice(item);
    i64::from_le_bytes(bytes)
}

/// Whether a float of 64 bits is equal to an integer.
pub(crate) fn is_float(value: i128) -> bool {
    value as f64 as i128 == value
}

/// IEEE 754 binary16.
fn half(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        0x1f if fraction == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        e => (1.0 + fraction / 1024.0) * 2f64.powi(e - 15),
    }
}
