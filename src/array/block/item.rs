//! Numbers of one type into the smallest form that their effort allows, and back.

use std::ops::Range;

use arrow_buffer::ArrowNativeType;

use super::decimal::{self, Decimal};
use super::kind::{Form, Kind};
use super::{deltas, number, numbers};
use crate::array::Element;

/// Bytes that one byte of data may stand for, and bytes that need none.
const BYTES_EACH: usize = 32 << 10;
const BYTES_FREE: usize = 64 << 10;

/// Refuses more bytes than these data may stand for.
pub(super) fn bounded(data: &[u8], n: usize) -> Result<(), String> {
    match n > data.len().saturating_mul(BYTES_EACH).saturating_add(BYTES_FREE) {
        true => Err(format!("{} bytes cannot hold {n}", data.len())),
        false => Ok(()),
    }
}

/// How much work is done for fewer bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// What costs less than the bytes that it saves would.
    Fast,
    /// The smallest form.
    Compact,
    /// The smallest form, and all rows in one piece, which Zstandard may make smaller still: for what repeats from far.
    Whole,
}

/// A sum that grows: of integers or of floats.
#[derive(Debug, Default)]
pub(crate) struct Sum {
    integers: i128,
    floats: f64,
}

/// A number that columns are made of.
pub(crate) trait Item:
    Element + pco::data_types::Number + ArrowNativeType + PartialOrd + Send
{
    /// Its column.
    const KIND: Kind;
    const LEAST: Self;
    const MOST: Self;

    /// Whether two are the same by their bits.
    fn same(a: Self, b: Self) -> bool {
        a == b
    }

    /// As the header of a block has it: i64 or f64.
    fn bytes(self) -> [u8; 8];

    /// Adds it; false if it is NaN.
    fn add(self, sum: &mut Sum) -> bool;

    fn sum(sum: &Sum) -> Option<[u8; 8]>;

    /// Appends at least one number; its form.
    fn pack(items: &[Self], effort: Effort, out: &mut Vec<u8>) -> Form {
        if effort != Effort::Fast {
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

macro_rules! integers {
    ($($t:ident $kind:ident { $($own:tt)* })*) => {$(
        impl Item for $t {
            const KIND: Kind = Kind::$kind;
            const LEAST: Self = $t::MIN;
            const MOST: Self = $t::MAX;

            fn bytes(self) -> [u8; 8] {
                (self as i64).to_le_bytes()
            }

            fn add(self, sum: &mut Sum) -> bool {
                sum.integers += i128::from(self);
                true
            }

            fn sum(sum: &Sum) -> Option<[u8; 8]> {
                i64::try_from(sum.integers).ok().map(i64::to_le_bytes)
            }

            $($own)*
        }
    )*};
}

macro_rules! floats {
    ($($t:ident $kind:ident { $($own:tt)* })*) => {$(
        impl Item for $t {
            const KIND: Kind = Kind::$kind;
            const LEAST: Self = $t::NEG_INFINITY;
            const MOST: Self = $t::INFINITY;

            fn same(a: Self, b: Self) -> bool {
                a.to_bits() == b.to_bits()
            }

            fn bytes(self) -> [u8; 8] {
                f64::from(self).to_le_bytes()
            }

            fn add(self, sum: &mut Sum) -> bool {
                sum.floats += if self.is_nan() { 0.0 } else { f64::from(self) };
                !self.is_nan()
            }

            fn sum(sum: &Sum) -> Option<[u8; 8]> {
                (!sum.floats.is_nan()).then(|| sum.floats.to_le_bytes())
            }

            $($own)*
        }
    )*};
}

integers! {
    i8 I8 {}
    i16 I16 {}
    i32 I32 {}
    u16 U16 {}
    u32 U32 {}
    u64 U64 {}
    u8 U8 {
        fn pack(items: &[u8], effort: Effort, out: &mut Vec<u8>) -> Form {
            pack_bytes(items, effort, out)
        }

        fn read(form: Form, data: &[u8], n: usize, out: &mut Vec<u8>) -> Result<(), String> {
            bounded(data, n)?;
            numbers::decode(form, data, n, out)
        }
    }
    i64 I64 {
        fn pack(items: &[i64], effort: Effort, out: &mut Vec<u8>) -> Form {
            pack_integers(items, effort, out)
        }

        fn read(form: Form, data: &[u8], n: usize, out: &mut Vec<i64>) -> Result<(), String> {
            match form {
                Form::Arithmetic => regular(data, n, out),
                Form::Deltas => deltas::decode(data, n, out),
                form => numbers::decode(form, data, n, out),
            }
        }
    }
}

floats! {
    f32 F32 {}
    f64 F64 {
        fn pack(items: &[f64], effort: Effort, out: &mut Vec<u8>) -> Form {
            pack_floats(items, effort, out)
        }

        fn read(form: Form, data: &[u8], n: usize, out: &mut Vec<f64>) -> Result<(), String> {
            match form {
                Form::Decimal => decimal::decode(data, n, out),
                form => numbers::decode(form, data, n, out),
            }
        }
    }
}

fn pack_bytes(items: &[u8], effort: Effort, out: &mut Vec<u8>) -> Form {
    let fits = |n: usize| items.len() <= n.saturating_mul(BYTES_EACH).saturating_add(BYTES_FREE);
    if fits(1)
        && let Some(form) = constant(items, out)
    {
        return form;
    }
    if effort != Effort::Fast {
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
    }
    out.extend_from_slice(items);
    Form::Raw
}

fn pack_integers(items: &[i64], effort: Effort, out: &mut Vec<u8>) -> Form {
    if let Some((first, step)) = arithmetic(items) {
        out.extend_from_slice(&first.to_le_bytes());
        out.extend_from_slice(&step.to_le_bytes());
        return Form::Arithmetic;
    }
    if effort != Effort::Fast {
        return smallest(items, out);
    }
    if let Some(form) = constant(items, out) {
        return form;
    }
    if let Some(packed) = deltas::encode(items, worth_it(items)) {
        out.extend_from_slice(&packed);
        return Form::Deltas;
    }
    i64::write_le(items, out);
    Form::Raw
}

fn pack_floats(items: &[f64], effort: Effort, out: &mut Vec<u8>) -> Form {
    if let Some(form) = constant(items, out) {
        return form;
    }
    let decimal = Decimal::of(items);
    let is_plain = decimal.as_ref().is_some_and(Decimal::is_plain);
    let decimal = decimal.map(|decimal| {
        let mut integers = Vec::new();
        let form = i64::pack(decimal.integers(), effort, &mut integers);
        decimal.bytes(form, &integers)
    });
    let (mut form, mut bytes) = (Form::Raw, Vec::new());
    let mut most = worth_it(items);
    // What is decimal is not tried by its bits.
    if effort != Effort::Fast && !is_plain {
        form = smallest(items, &mut bytes);
        most = bytes.len();
    }
    if let Some(decimal) = decimal.filter(|decimal| decimal.len() < most) {
        out.extend_from_slice(&decimal);
        return Form::Decimal;
    }
    match form {
        Form::Raw => f64::write_le(items, out),
        _ => out.extend_from_slice(&bytes),
    }
    form
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
    if let Some(form) = constant(items, out) {
        return form;
    }
    match numbers::compress(items) {
        Some(packed) => {
            out.extend_from_slice(&packed);
            Form::Pco
        }
        None => {
            T::write_le(items, out);
            Form::Raw
        }
    }
}

/// The first number and the step, if the numbers rise or fall by the same step.
fn arithmetic(items: &[i64]) -> Option<(i64, i64)> {
    let [first, second, ..] = *items else { return None };
    let step = second.wrapping_sub(first);
    let regular = items.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == step);
    (regular && step != 0).then_some((first, step))
}

fn regular(data: &[u8], n: usize, out: &mut Vec<i64>) -> Result<(), String> {
    let (first, step) = data.split_at_checked(8).ok_or("a regular column ends too early")?;
    let step: [u8; 8] = step.try_into().map_err(|_| "a regular column is not 16 bytes long")?;
    let first = i64::from_le_bytes(first.try_into().expect("eight bytes"));
    let step = i64::from_le_bytes(step);
    numbers::grow(out, n)?;
    out.extend((0..n as i64).map(|i| first.wrapping_add(step.wrapping_mul(i))));
    Ok(())
}

/// Appends numbers with their form and their size before them: a part.
pub(super) fn write_part<T: Item>(items: &[T], effort: Effort, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 5]);
    if !items.is_empty() {
        out[start] = T::pack(items, effort, out) as u8;
    }
    let size = (out.len() - start - 5) as u32;
    out[start + 1..start + 5].copy_from_slice(&size.to_le_bytes());
}

/// Takes the part of `n` numbers from the front of the data.
pub(super) fn read_part<T: Item>(data: &mut &[u8], n: usize) -> Result<Vec<T>, String> {
    let short = || "its data end within a part".to_owned();
    let head = data.split_off(..5).ok_or_else(short)?;
    let own = data.split_off(..number(&head[1..]) as usize).ok_or_else(short)?;
    let mut items = Vec::new();
    match (n, own) {
        (0, []) => {}
        (0, _) => return Err("a part of no numbers has data".into()),
        _ => T::read(Form::of(head[0])?, own, n, &mut items)?,
    }
    Ok(items)
}

/// Appends those of a piece's `n` numbers that are wanted.
pub(super) fn read_some<T: Item>(
    form: Form,
    data: &[u8],
    n: usize,
    wanted: Range<usize>,
    out: &mut Vec<T>,
) -> Result<(), String> {
    if wanted == (0..n) {
        return T::read(form, data, n, out);
    }
    let mut all = Vec::new();
    T::read(form, data, n, &mut all)?;
    numbers::grow(out, wanted.len())?;
    out.extend_from_slice(&all[wanted]);
    Ok(())
}
