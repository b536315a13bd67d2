//! The Rust types that an array can be made of.

use super::DType;

mod sealed {
    pub trait Sealed {}
}

/// A Rust number with a numpy dtype of its own. Sealed: the dtypes are numpy's.
pub trait Element: Copy + sealed::Sealed {
    /// The little-endian dtype.
    const DTYPE: DType;
    /// Appends the little-endian bytes of `items` to `out`.
    fn write_le(items: &[Self], out: &mut Vec<u8>);
    /// One item from its little-endian bytes, exactly `DTYPE.item_size()` of them.
    fn read_le(bytes: &[u8]) -> Self;
}

macro_rules! element {
    ($($t:ty => $kind:ident $size:literal),* $(,)?) => {$(
        impl sealed::Sealed for $t {}
        impl Element for $t {
            const DTYPE: DType = DType::of(super::Kind::$kind, $size);
            fn write_le(items: &[Self], out: &mut Vec<u8>) {
                out.reserve(items.len() * $size);
                for item in items {
                    out.extend_from_slice(&item.to_le_bytes());
                }
            }
            #[inline(always)]
            fn read_le(bytes: &[u8]) -> Self {
                <$t>::from_le_bytes(bytes.try_into().expect("as many bytes as the item has"))
            }
        }
    )*};
}

element! {
    i8 => Int 1, i16 => Int 2, i32 => Int 4, i64 => Int 8,
    u8 => UInt 1, u16 => UInt 2, u32 => UInt 4, u64 => UInt 8,
    f32 => Float 4, f64 => Float 8,
}

impl sealed::Sealed for bool {}
impl Element for bool {
    const DTYPE: DType = DType::BOOL;
    fn write_le(items: &[Self], out: &mut Vec<u8>) {
        out.extend(items.iter().map(|b| *b as u8));
    }
    fn read_le(bytes: &[u8]) -> Self {
        bytes[0] != 0
    }
}
