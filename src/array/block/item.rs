//! Numbers of one type into the smallest form that their effort allows, and back.

use super::buffers::Effort;
use super::decimal::{self, Decimal};
use super::{Form, deltas, numbers};
use crate::array::Element;

/// Bytes that one byte of data may stand for, and bytes that need none.
const BYTES_EACH: usize = 32 << 10;
const BYTES_FREE: usize = 64 << 10;

/// A number that buffers are made of.
pub(super) trait Item: Element + pco::data_types::Number {
    /// Whether two are the same by their bits.
    fn same(a: Self, b: Self) -> bool {
        a == b
    }

    /// Appends at least one number; its form.
    fn pack(items: &[Self], effort: Effort, out: &mut Vec<u8>) -> Form {
        if effort == Effort::Compact {
            return smallest(items, out);
        }
        if let Some(form) = constant(items, out) {
            return form;
        }
        Self::write_le(items, out);
        Form::Raw
    }

    /// Appends the `n` numbers of these bytes, at least one.
    fn read(form: Form, data: &[u8], n: usize, out: &mut Vec<Self>) -> Result<(), String> {
        numbers::decode(form, data, n, out)
    }
}

impl Item for u16 {}
impl Item for u32 {}
impl Item for u64 {}
impl Item for i8 {}
impl Item for i16 {}
impl Item for i32 {}
impl Item for f32 {
    fn same(a: Self, b: Self) -> bool {
        a.to_bits() == b.to_bits()
    }
}

impl Item for u8 {
    fn pack(items: &[u8], effort: Effort, out: &mut Vec<u8>) -> Form {
        let fits =
            |n: usize| items.len() <= n.saturating_mul(BYTES_EACH).saturating_add(BYTES_FREE);
        if effort == Effort::Compact && (!fits(1) || constant(items, &mut Vec::new()).is_none()) {
            let mut packed = Vec::new();
            let form = smallest(items, &mut packed);
            let zstd = zstd::bulk::compress(items, 3).ok().filter(|zstd| fits(zstd.len()));
            let is_smaller = |zstd: &Vec<u8>| !fits(packed.len()) || zstd.len() < packed.len();
            if let Some(zstd) = zstd.filter(is_smaller) {
                out.extend_from_slice(&zstd);
                return Form::Zstd;
            }
            if fits(packed.len()) {
                out.extend_from_slice(&packed);
                return form;
            }
        } else if fits(1)
            && let Some(form) = constant(items, out)
        {
            return form;
        }
        out.extend_from_slice(items);
        Form::Raw
    }

    fn read(form: Form, data: &[u8], n: usize, out: &mut Vec<u8>) -> Result<(), String> {
        if n > data.len().saturating_mul(BYTES_EACH).saturating_add(BYTES_FREE) {
            return Err(format!("{} bytes cannot hold {n}", data.len()));
        }
        numbers::decode(form, data, n, out)
    }
}

impl Item for i64 {
    fn pack(items: &[i64], effort: Effort, out: &mut Vec<u8>) -> Form {
        if let Some((first, step)) = arithmetic(items) {
            out.extend_from_slice(&first.to_le_bytes());
            out.extend_from_slice(&step.to_le_bytes());
            return Form::Arithmetic;
        }
        if effort == Effort::Compact {
            return smallest(items, out);
        }
        if let Some(form) = constant(items, out) {
            return form;
        }
        if let Some(packed) = deltas::encode(items, worth_it(items)) {
            out.extend_from_slice(&packed);
            return Form::Deltas;
        }
        Self::write_le(items, out);
        Form::Raw
    }

    fn read(form: Form, data: &[u8], n: usize, out: &mut Vec<i64>) -> Result<(), String> {
        match form {
            Form::Arithmetic => regular(data, n, out),
            Form::Deltas => deltas::decode(data, n, out),
            form => numbers::decode(form, data, n, out),
        }
    }
}

impl Item for f64 {
    fn same(a: Self, b: Self) -> bool {
        a.to_bits() == b.to_bits()
    }

    fn pack(items: &[f64], effort: Effort, out: &mut Vec<u8>) -> Form {
        if let Some(form) = constant(items, out) {
            return form;
        }
        let decimal = Decimal::of(items).map(|decimal| {
            let mut integers = Vec::new();
            let form = i64::pack(decimal.integers(), effort, &mut integers);
            decimal.bytes(form, &integers)
        });
        let (mut form, mut bytes) = (Form::Raw, Vec::new());
        let mut most = worth_it(items);
        if effort == Effort::Compact {
            form = smallest(items, &mut bytes);
            most = bytes.len();
        }
        if let Some(decimal) = decimal.filter(|decimal| decimal.len() < most) {
            out.extend_from_slice(&decimal);
            return Form::Decimal;
        }
        match form {
            Form::Raw => Self::write_le(items, out),
            _ => out.extend_from_slice(&bytes),
        }
        form
    }

    fn read(form: Form, data: &[u8], n: usize, out: &mut Vec<f64>) -> Result<(), String> {
        match form {
            Form::Decimal => decimal::decode(data, n, out),
            form => numbers::decode(form, data, n, out),
        }
    }
}

/// The most bytes for which numbers are packed fast: an eighth less than they are.
fn worth_it<T>(items: &[T]) -> usize {
    size_of_val(items) / 8 * 7
}

/// One number, if all are the same.
fn constant<T: Item>(items: &[T], out: &mut Vec<u8>) -> Option<Form> {
    items.iter().all(|item| T::same(*item, items[0])).then(|| {
        T::write_le(&items[..1], out);
        Form::Constant
    })
}

/// The smallest of constant, pco and raw.
fn smallest<T: Item>(items: &[T], out: &mut Vec<u8>) -> Form {
    let (form, bytes) = numbers::encode(items, T::same);
    out.extend_from_slice(&bytes);
    form
}

/// The first number and the step, if the numbers rise or fall by the same step.
fn arithmetic(items: &[i64]) -> Option<(i64, i64)> {
    let [first, second, ..] = *items else { return None };
    let step = second.wrapping_sub(first);
    let regular = items.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == step);
    (regular && step != 0).then_some((first, step))
}

fn regular(data: &[u8], n: usize, out: &mut Vec<i64>) -> Result<(), String> {
    let (first, step) = data.split_at_checked(8).ok_or("a regular buffer ends too early")?;
    let step: [u8; 8] = step.try_into().map_err(|_| "a regular buffer is not 16 bytes long")?;
    let first = i64::from_le_bytes(first.try_into().expect("eight bytes"));
    let step = i64::from_le_bytes(step);
    numbers::grow(out, n)?;
    out.extend((0..n as i64).map(|i| first.wrapping_add(step.wrapping_mul(i))));
    Ok(())
}
