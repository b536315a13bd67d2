//! Two dtypes of one attribute: the dtype that holds both.

use crate::array::{DType, Kind, integer, number};
use crate::error::{Error, Result};

/// The dtype that holds every value of both, low byte first.
///
/// # Errors
/// [`Error::Invalid`] if there is none: a number and a text, two kinds of time.
pub(in crate::simulation) fn common(what: &str, a: DType, b: DType) -> Result<DType> {
    use Kind::{Bool, Bytes, Complex, Float, Int, Str, UInt};
    let (a, b) = (a.to_little_endian(), b.to_little_endian());
    if a == b {
        return Ok(a);
    }
    let wider = if a.item_size() >= b.item_size() { a } else { b };
    let size = |dtype: DType| dtype.item_size() as u32;
    match (a.kind(), b.kind()) {
        (x, y) if x == y && matches!(x, Int | UInt | Float | Complex | Str | Bytes) => Ok(wider),
        (Bool, Int | UInt | Float) => Ok(b),
        (Int | UInt | Float, Bool) => Ok(a),
        (Int, UInt) | (UInt, Int) => {
            let (int, uint) = if a.kind() == Int { (a, b) } else { (b, a) };
            match size(uint) {
                8 => Ok(DType::F64),
                n => Ok(DType::of(Int, (2 * n).max(size(int)))),
            }
        }
        (Int | UInt, Float) | (Float, Int | UInt) => {
            let (int, float) = if a.kind() == Float { (b, a) } else { (a, b) };
            // A float holds integers of half its width.
            Ok(DType::of(Float, size(float).max((2 * size(int)).clamp(2, 8))))
        }
        _ => Err(Error::invalid(what, format!("values that go with {a}"), b.to_string())),
    }
}

/// One item of dtype `from` appended as dtype `to`; both low byte first, `to` from [`common`].
pub(in crate::simulation) fn append_as(from: DType, to: DType, item: &[u8], out: &mut Vec<u8>) {
    if from == to {
        return out.extend_from_slice(item);
    }
    match (to.kind(), to.item_size()) {
        (Kind::Str | Kind::Bytes, size) => {
            out.extend_from_slice(item);
            out.resize(out.len() + size - item.len(), 0);
        }
        (Kind::Complex, _) => {
            for half in item.chunks_exact(item.len() / 2) {
                let x = number(DType::of(Kind::Float, half.len() as u32), half);
                out.extend_from_slice(&x.to_le_bytes());
            }
        }
        (Kind::Float, 8) => out.extend_from_slice(&number(from, item).to_le_bytes()),
        (Kind::Float, 4) => out.extend_from_slice(&(number(from, item) as f32).to_le_bytes()),
        (Kind::Float, _) => out.extend_from_slice(&half_bits(number(from, item)).to_le_bytes()),
        (_, size) => out.extend_from_slice(&integer(from.kind(), item).to_le_bytes()[..size]),
    }
}

/// The binary16 of a small whole number, 0 to 255 or -128 to 127: nothing else is promoted to it.
fn half_bits(x: f64) -> u16 {
    if x == 0.0 {
        return 0;
    }
    let exponent = x.abs().log2().floor();
    let fraction = (x.abs() / exponent.exp2() - 1.0) * 1024.0;
    let sign = if x < 0.0 { 0x8000 } else { 0 };
    sign | ((exponent as u16 + 15) << 10) | fraction as u16
}
