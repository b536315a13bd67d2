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
//! u8         form: 0 raw, 1 pco, 2 zstd, 3 constant, 4 arithmetic, 5 deltas, 6 decimal
//! u16        zero
//! u32        number of items
//! u32        bytes of its data
//!          the buffers' data, one after another
//! 16 bytes XXH3-128 of everything before, high byte first
//! ```
//!
//! The forms up to constant are those of a column block. Of i64 alone: arithmetic data are the first number and
//! the step, whose sums wrap around; [`deltas`](super::deltas). Of f64 alone: [`decimal`](super::decimal). A
//! buffer without items has no data. Of bytes, there are at most 65,536 and 32,768 more for each byte of data.

use super::item::Item;
use super::{CHECKSUM, Form, checksum};
use crate::array::Array;
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
    /// What costs less than the bytes that it saves would.
    Fast,
    /// The smallest form.
    Compact,
}

macro_rules! buffers {
    ($($name:ident $t:ty = $byte:literal;)*) => {
        /// A buffer to write.
        #[derive(Debug, Clone, Copy)]
        pub(crate) enum Buffer<'a> {
            $(
                #[doc = concat!("Numbers of ", stringify!($t), ".")]
                $name(&'a [$t]),
            )*
        }

        /// Buffers that were read, one behind the other.
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
                match self {
                    $(Buffer::$name([]) => Form::Raw,)*
                    $(Buffer::$name(items) => Item::pack(items, effort, out),)*
                }
            }
        }

        impl Items {
            /// How many there are.
            pub(crate) fn len(&self) -> usize {
                match self { $(Items::$name(items) => items.len(),)* }
            }

            /// Makes room for so many more, if there is memory: where there is none, whoever fills it says so.
            pub(crate) fn reserve(&mut self, n: usize) {
                let _ = match self { $(Items::$name(items) => items.try_reserve_exact(n),)* };
            }

            /// Their bytes in memory.
            pub(crate) fn into_bytes(self) -> arrow_buffer::Buffer {
                match self { $(Items::$name(items) => arrow_buffer::Buffer::from_vec(items),)* }
            }
        }

        impl Stored<'_> {
            fn append(&self, out: &mut Items) -> Result<(), String> {
                match out {
                    $(Items::$name(items) if self.kind == $byte => {
                        if self.n.saturating_mul(size_of::<$t>()) > MAX_BYTES {
                            return Err(format!("a buffer claims {} items", self.n));
                        }
                        if self.n == 0 && self.data.is_empty() {
                            return Ok(());
                        }
                        Item::read(self.form, self.data, self.n, items)
                    })*
                    _ => Err(format!("a buffer is not of the type that is due, but {}", self.kind)),
                }
            }
        }
    };
}

buffers! {
    U8 u8 = 1;
    U16 u16 = 2;
    U32 u32 = 3;
    U64 u64 = 4;
    I8 i8 = 5;
    I16 i16 = 6;
    I32 i32 = 7;
    I64 i64 = 8;
    F32 f32 = 9;
    F64 f64 = 10;
}

/// The bytes of these buffers.
///
/// # Errors
/// [`Error::Invalid`] for more than [`Array::MAX_STORED_BYTES`].
pub(crate) fn encode(buffers: &[Buffer<'_>], effort: Effort) -> Result<Vec<u8>> {
    assert!(buffers.len() <= MAX_BUFFERS, "a column has three buffers at most");
    let shapes: Vec<_> = buffers.iter().map(Buffer::shape).collect();
    let total: usize = shapes.iter().map(|(_, n, size)| n * size).sum();
    Array::check_stored("a block of a series", total)?;
    let mut out = Vec::with_capacity(HEAD + buffers.len() * ENTRY + total / 4 + CHECKSUM);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[VERSION, buffers.len() as u8, 0, 0]);
    out.resize(HEAD + buffers.len() * ENTRY, 0);
    for (i, (buffer, (kind, n, _))) in buffers.iter().zip(shapes).enumerate() {
        let start = out.len();
        let form = buffer.write(effort, &mut out);
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

/// A buffer in the bytes of a blob.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored<'a> {
    kind: u8,
    form: Form,
    n: usize,
    data: &'a [u8],
}

impl Stored<'_> {
    /// The number of its items, as it claims.
    pub(crate) fn len(&self) -> usize {
        self.n
    }

    /// Puts its items behind those that are there, whose type they must have.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for bytes that no encoder of ours made; `out` may have grown.
    pub(crate) fn read(&self, out: &mut Items) -> Result<()> {
        self.append(out).map_err(damaged)
    }
}

/// The buffers in these bytes, of which the checksum is right.
///
/// # Errors
/// [`Error::Corrupt`] for bytes that no encoder of ours made.
pub(crate) fn open(bytes: &[u8]) -> Result<Vec<Stored<'_>>> {
    parse(bytes).map_err(damaged)
}

fn damaged(why: String) -> Error {
    Error::Corrupt { location: String::new(), what: "a block of a series".into(), why }
}

fn parse(bytes: &[u8]) -> Result<Vec<Stored<'_>>, String> {
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
        buffers.push(Stored { kind: entry[0], form: Form::of(entry[1])?, n, data: own });
    }
    if !data.is_empty() {
        return Err(format!("{} bytes are left over", data.len()));
    }
    Ok(buffers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: bytes that were changed, with a checksum that fits them, are refused or read, and nothing panics.
    #[test]
    fn changed_bytes_never_panic() {
        let times: Vec<i64> = (0..300).map(|i| i * 7).collect();
        let uneven: Vec<i64> = times.iter().map(|i| i * i).collect();
        let floats: Vec<f64> = (0..300).map(|i| f64::from(i) / 8.0).collect();
        let cents: Vec<f64> = (0..300)
            .map(|i| if i % 11 == 0 { f64::NAN } else { f64::from(i * 7 % 113) / 100.0 })
            .collect();
        let numbers = [
            [Buffer::I64(&times), Buffer::F64(&floats)],
            [Buffer::I64(&uneven), Buffer::F64(&cents)],
        ];
        for (effort, [integers, reals]) in [Effort::Fast, Effort::Compact]
            .into_iter()
            .flat_map(|effort| numbers.map(|numbers| (effort, numbers)))
        {
            let bytes = encode(&[Buffer::U8(&[1, 2, 3]), integers, reals], effort).unwrap();
            let read = |bytes: &[u8]| -> Result<[Items; 3]> {
                let mut all = [Items::U8(vec![]), Items::I64(vec![]), Items::F64(vec![])];
                let stored = open(bytes)?;
                stored.iter().zip(&mut all).try_for_each(|(stored, out)| stored.read(out))?;
                Ok(all)
            };
            let [_, back, reals_back] = read(&bytes).unwrap();
            let Buffer::I64(integers) = integers else { unreachable!("it was made above") };
            assert_eq!(back, Items::I64(integers.to_vec()));
            let (Buffer::F64(reals), Items::F64(back)) = (reals, reals_back) else {
                unreachable!("it was made above")
            };
            let bits = |reals: &[f64]| reals.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&back), bits(reals));
            for at in 0..bytes.len() - CHECKSUM {
                for bit in 0..8 {
                    let mut bad = bytes.clone();
                    bad[at] ^= 1 << bit;
                    assert!(open(&bad).is_err(), "byte {at}");
                    let body = bad.len() - CHECKSUM;
                    let sum = checksum(&bad[..body]);
                    bad[body..].copy_from_slice(&sum);
                    let _ = read(&bad);
                }
            }
        }
    }

    /// Goal: a few bytes cannot claim to be very many.
    #[test]
    fn few_bytes_are_not_many() {
        let texts = encode(&[Buffer::U8(&vec![b'a'; 1 << 20])], Effort::Compact).unwrap();
        let mut back = Items::U8(vec![]);
        open(&texts).unwrap()[0].read(&mut back).unwrap();
        assert_eq!(back.len(), 1 << 20);
        for form in [Form::Constant, Form::Zstd] {
            let stored = Stored { kind: 1, form, n: MAX_BYTES, data: &texts[20..21] };
            let error = stored.read(&mut back).unwrap_err();
            assert!(error.to_string().contains("cannot hold"), "{error}");
        }
        let stored = Stored { kind: 1, form: Form::Zstd, n: MAX_BYTES + 1, data: &texts[20..21] };
        let error = stored.read(&mut back).unwrap_err();
        assert!(error.to_string().contains("claims 1073741825 items"), "{error}");
    }
}
