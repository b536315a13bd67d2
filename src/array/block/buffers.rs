//! Buffers of numbers, each of a length of its own, as one blob: what a column of any type is made of.
//!
//! Layout, all numbers low byte first:
//!
//! ```text
//! 4 bytes  "SBUF"
//! u8       version, 1
//! u8       number of buffers, 0 to 3
//! u16      zero
//!          for each buffer, 12 bytes:
//! u8         type: 1 u8, 2 u16, 3 u32, 4 u64, 5 i8, 6 i16, 7 i32, 8 i64, 9 f32, 10 f64
//! u8         form: 0 raw, 1 pco, 2 zstd, 3 constant, 4 arithmetic
//! u16        zero
//! u32        number of items
//! u32        bytes of its data
//!          the buffers' data, one after another
//! 16 bytes XXH3-128 of everything before, high byte first
//! ```
//!
//! The forms are those of a column block; arithmetic data are the first number and the step, whose
//! sums wrap around. A buffer without items has no data.

use super::{CHECKSUM, Form, checksum, numbers};
use crate::error::{Error, Result};

const MAGIC: [u8; 4] = *b"SBUF";
const VERSION: u8 = 1;
const HEAD: usize = 8;
const ENTRY: usize = 12;
const MAX_BUFFERS: usize = 3;
/// The most bytes of a buffer once unpacked: bounds what a damaged count can ask for.
const MAX_BYTES: usize = 1 << 30;

/// How much work is done for fewer bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// What costs next to nothing: constant and regular numbers are seen, others stay as they are.
    Hot,
    /// The smallest form.
    Settled,
}

macro_rules! buffers {
    ($($name:ident $t:ty = $byte:literal, $same:expr;)*) => {
        /// A buffer to write.
        #[derive(Debug, Clone, Copy)]
        pub(crate) enum Buffer<'a> {
            $(
                #[doc = concat!("Numbers of ", stringify!($t), ".")]
                $name(&'a [$t]),
            )*
        }

        /// A buffer that was read.
        #[derive(Debug, Clone, PartialEq)]
        pub(crate) enum Items {
            $(
                #[doc = concat!("Numbers of ", stringify!($t), ".")]
                $name(Vec<$t>),
            )*
        }

        impl Buffer<'_> {
            fn shape(&self) -> (u8, usize, usize) {
                match self { $(Buffer::$name(items) => ($byte, items.len(), size_of::<$t>()),)* }
            }

            fn write(&self, effort: Effort, out: &mut Vec<u8>) -> Form {
                match self { $(Buffer::$name(items) => write(items, effort, $same, out),)* }
            }
        }

        fn read(kind: u8, form: Form, n: usize, data: &[u8]) -> Result<Items, String> {
            match kind {
                $($byte => {
                    if n.saturating_mul(size_of::<$t>()) > MAX_BYTES {
                        return Err(format!("a buffer claims {n} items"));
                    }
                    let mut items = Vec::<$t>::new();
                    if n > 0 || !data.is_empty() {
                        numbers::decode(form, data, n, &mut items)?;
                    }
                    Ok(Items::$name(items))
                })*
                other => Err(format!("buffer type {other} is not one that this build knows")),
            }
        }
    };
}

buffers! {
    U8 u8 = 1, |a, b| a == b;
    U16 u16 = 2, |a, b| a == b;
    U32 u32 = 3, |a, b| a == b;
    U64 u64 = 4, |a, b| a == b;
    I8 i8 = 5, |a, b| a == b;
    I16 i16 = 6, |a, b| a == b;
    I32 i32 = 7, |a, b| a == b;
    I64 i64 = 8, |a, b| a == b;
    F32 f32 = 9, |a: f32, b: f32| a.to_bits() == b.to_bits();
    F64 f64 = 10, |a: f64, b: f64| a.to_bits() == b.to_bits();
}

fn write<T: crate::array::Element + pco::data_types::Number>(
    items: &[T],
    effort: Effort,
    same: impl Fn(T, T) -> bool,
    out: &mut Vec<u8>,
) -> Form {
    let Some(first) = items.first() else { return Form::Raw };
    if effort == Effort::Settled {
        let (form, bytes) = numbers::encode(items, same);
        if form != Form::Constant && size_of::<T>() == 1 {
            let mut raw = Vec::new();
            T::write_le(items, &mut raw);
            if let Ok(packed) = zstd::bulk::compress(&raw, 3)
                && packed.len() < bytes.len()
            {
                out.extend_from_slice(&packed);
                return Form::Zstd;
            }
        }
        out.extend_from_slice(&bytes);
        return form;
    }
    if items.iter().all(|item| same(*item, *first)) {
        T::write_le(&items[..1], out);
        return Form::Constant;
    }
    T::write_le(items, out);
    Form::Raw
}

/// The first number and the step, if the numbers rise or fall by the same step.
fn arithmetic(items: &[i64]) -> Option<(i64, i64)> {
    let [first, second, ..] = *items else { return None };
    let step = second.wrapping_sub(first);
    let regular = items.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == step);
    (regular && step != 0).then_some((first, step))
}

/// The bytes of these buffers.
///
/// # Errors
/// [`Error::Invalid`] for a buffer of more than 1 GiB.
pub(crate) fn encode(buffers: &[Buffer<'_>], effort: Effort) -> Result<Vec<u8>> {
    assert!(buffers.len() <= MAX_BUFFERS, "a column has three buffers at most");
    let shapes: Vec<_> = buffers.iter().map(Buffer::shape).collect();
    let total: usize = shapes.iter().map(|(_, n, size)| n * size).sum();
    if let Some((_, n, size)) = shapes.iter().find(|(_, n, size)| n * size > MAX_BYTES) {
        let expected = format!("{MAX_BYTES} bytes at most");
        return Err(Error::invalid("a block of a series", expected, (n * size).to_string()));
    }
    let hint = if effort == Effort::Hot { total } else { total / 4 };
    let mut out = Vec::with_capacity(HEAD + buffers.len() * ENTRY + hint + CHECKSUM);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[VERSION, buffers.len() as u8, 0, 0]);
    out.resize(HEAD + buffers.len() * ENTRY, 0);
    for (i, (buffer, (kind, n, _))) in buffers.iter().zip(shapes).enumerate() {
        let start = out.len();
        let regular = if let Buffer::I64(items) = buffer { arithmetic(items) } else { None };
        let form = match regular {
            Some((first, step)) => {
                out.extend_from_slice(&first.to_le_bytes());
                out.extend_from_slice(&step.to_le_bytes());
                Form::Arithmetic
            }
            None => buffer.write(effort, &mut out),
        };
        let size = (out.len() - start) as u32;
        let entry = &mut out[HEAD + i * ENTRY..][..ENTRY];
        (entry[0], entry[1]) = (kind, form as u8);
        entry[4..8].copy_from_slice(&(n as u32).to_le_bytes());
        entry[8..].copy_from_slice(&size.to_le_bytes());
    }
    let sum = checksum(&out);
    out.extend_from_slice(&sum);
    Ok(out)
}

/// The buffers of these bytes, none of them longer than `most` items.
///
/// # Errors
/// [`Error::Corrupt`] for bytes that no encoder of ours made.
pub(crate) fn decode(bytes: &[u8], most: usize) -> Result<Vec<Items>> {
    parse(bytes, most).map_err(|why| Error::Corrupt {
        place: String::new(),
        what: "a block of a series".into(),
        why,
    })
}

fn parse(bytes: &[u8], most: usize) -> Result<Vec<Items>, String> {
    let short = || format!("it has only {} bytes", bytes.len());
    let body = bytes.len().checked_sub(CHECKSUM).ok_or_else(short)?;
    let (body, sum) = bytes.split_at(body);
    let (head, rest) = body.split_at_checked(HEAD).ok_or_else(short)?;
    if head[..4] != MAGIC || head[4] != VERSION {
        return Err("it does not begin as a block that this build knows".into());
    }
    if checksum(body) != sum {
        return Err("the checksum differs from the one it was stored with".into());
    }
    let count = head[5] as usize;
    if count > MAX_BUFFERS {
        return Err(format!("it claims {count} buffers"));
    }
    let (directory, mut data) = rest.split_at_checked(count * ENTRY).ok_or_else(short)?;
    let mut buffers = Vec::with_capacity(count);
    for entry in directory.chunks_exact(ENTRY) {
        let number = |at: usize| {
            u32::from_le_bytes(entry[at..at + 4].try_into().expect("four bytes")) as usize
        };
        let (n, size) = (number(4), number(8));
        let (own, others) = data
            .split_at_checked(size)
            .ok_or_else(|| format!("a buffer of {size} bytes goes beyond its end"))?;
        data = others;
        if n > most {
            return Err(format!("a buffer claims {n} items where {most} are the most"));
        }
        buffers.push(match (entry[0], Form::of(entry[1])?) {
            (8, Form::Arithmetic) => Items::I64(regular(own, n)?),
            (kind, form) => read(kind, form, n, own)?,
        });
    }
    if !data.is_empty() {
        return Err(format!("{} bytes are left over", data.len()));
    }
    Ok(buffers)
}

fn regular(data: &[u8], n: usize) -> Result<Vec<i64>, String> {
    let (first, step) = data.split_at_checked(8).ok_or("a regular buffer ends too early")?;
    let step: [u8; 8] = step.try_into().map_err(|_| "a regular buffer is not 16 bytes long")?;
    let first = i64::from_le_bytes(first.try_into().expect("eight bytes"));
    let step = i64::from_le_bytes(step);
    Ok((0..n as i64).map(|i| first.wrapping_add(step.wrapping_mul(i))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: bytes that were changed, with a checksum that fits them, are refused or read, and nothing panics.
    #[test]
    fn changed_bytes_never_panic() {
        let times: Vec<i64> = (0..300).map(|i| i * 7).collect();
        let floats: Vec<f64> = (0..300).map(|i| f64::from(i) / 8.0).collect();
        for effort in [Effort::Hot, Effort::Settled] {
            let buffers = [Buffer::U8(&[1, 2, 3]), Buffer::I64(&times), Buffer::F64(&floats)];
            let bytes = encode(&buffers, effort).unwrap();
            let back = decode(&bytes, 300).unwrap();
            assert_eq!(back[1..], [Items::I64(times.clone()), Items::F64(floats.clone())]);
            assert!(decode(&bytes, 299).is_err());
            for at in 0..bytes.len() - CHECKSUM {
                for bit in 0..8 {
                    let mut bad = bytes.clone();
                    bad[at] ^= 1 << bit;
                    assert!(decode(&bad, 300).is_err(), "byte {at}");
                    let body = bad.len() - CHECKSUM;
                    let sum = checksum(&bad[..body]);
                    bad[body..].copy_from_slice(&sum);
                    let _ = decode(&bad, 300);
                }
            }
        }
    }
}
