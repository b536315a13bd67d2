//! Arrays that lie in a block, one after another.

use arrow_array::{Array as _, make_array};
use arrow_buffer::Buffer;
use arrow_data::ArrayData;
use arrow_schema::DataType;
use bytes::Bytes;

use super::block::{self, Block, Effort};
use super::{Array, Checksum, Codec, DType, Kind, byte_size, parse_shape};
use crate::error::{Error, Result};

/// The codec of an array in a block: in place of its bytes stands a [`BlockLocation`].
pub(crate) const BLOCK: &str = "block";
/// The codec of the block itself: a column block of one column. Blocks of earlier versions have that of an array.
pub(crate) const COLUMN: &str = "column";

/// Where an array lies: 16 bytes in place of its own, both numbers low byte first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockLocation {
    /// Row of `array_block`.
    pub(crate) block: i64,
    /// Bytes from the beginning of the unpacked block.
    pub(crate) offset: u64,
}

impl BlockLocation {
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.block.to_le_bytes());
        bytes[8..].copy_from_slice(&self.offset.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (block, offset) = bytes.split_at_checked(8)?;
        let (block, offset) = (block.try_into().ok()?, offset.try_into().ok()?);
        Some(BlockLocation { block: i64::from_le_bytes(block), offset: u64::from_le_bytes(offset) })
    }
}

/// The array at a location, out of the unpacked bytes of its block.
///
/// # Errors
/// [`Error::Invalid`] for a location that is none, or not in the block; that of `unpacked`.
pub(crate) fn array_in_block(
    dtype: DType,
    shape: Vec<usize>,
    location: &[u8],
    unpacked: impl FnOnce(i64) -> Result<Bytes>,
) -> Result<Array> {
    let invalid = |got: String| Error::invalid("its location", "a block and an offset in it", got);
    let found = BlockLocation::from_bytes(location);
    let location = found.ok_or_else(|| invalid(format!("{} bytes", location.len())))?;
    let block = unpacked(location.block)?;
    let from = usize::try_from(location.offset).ok().zip(byte_size(dtype, &shape));
    let range = from.and_then(|(from, size)| Some(from..from.checked_add(size)?));
    match range.filter(|range| range.end <= block.len()) {
        Some(range) => Array::new(dtype, shape, block.slice(range)),
        None => Err(invalid(format!("{location:?} of {} bytes", block.len()))),
    }
}

/// The bytes of arrays of a dtype, one after another, as a column block; and as what it holds them.
///
/// # Errors
/// [`Error::Invalid`] for no bytes, or too many.
pub(crate) fn pack_arrays(dtype: DType, data: Vec<u8>) -> Result<(DType, usize, Vec<u8>)> {
    let (dtype, data_type) = column_type(dtype);
    let items = data.len() / dtype.item_size();
    let column =
        ArrayData::try_new(data_type, items, None, 0, vec![Buffer::from_vec(data)], vec![]);
    let column =
        column.map_err(|e| Error::invalid("a block of arrays", "numbers", e.to_string()))?;
    Ok((dtype, items, block::encode(&[make_array(column)], Effort::Whole)?))
}

/// What the items of a dtype are in a block: numbers, or bytes where they are none of this machine's.
fn column_type(dtype: DType) -> (DType, DataType) {
    use DataType as T;
    let size = dtype.swap_size();
    let (kind, data_type) = match (dtype.kind(), size) {
        _ if dtype.is_big_endian() => (Kind::UInt, T::UInt8),
        (Kind::Int, 2) => (Kind::Int, T::Int16),
        (Kind::Int, 4) => (Kind::Int, T::Int32),
        (Kind::Int | Kind::DateTime | Kind::TimeDelta, 8) => (Kind::Int, T::Int64),
        (Kind::UInt, 2) => (Kind::UInt, T::UInt16),
        (Kind::UInt, 4) => (Kind::UInt, T::UInt32),
        (Kind::UInt, 8) => (Kind::UInt, T::UInt64),
        (Kind::Float, 2) => (Kind::Float, T::Float16),
        (Kind::Float | Kind::Complex, 4) => (Kind::Float, T::Float32),
        (Kind::Float | Kind::Complex, 8) => (Kind::Float, T::Float64),
        _ => (Kind::UInt, T::UInt8),
    };
    (DType::of(kind, if data_type == T::UInt8 { 1 } else { size as u32 }), data_type)
}

/// The memory of an Arrow array.
struct Unpacked(Buffer);

impl AsRef<[u8]> for Unpacked {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The unpacked bytes of a block, by the columns of its row. Its checksums are compared.
///
/// # Errors
/// [`Error::Corrupt`] for what is not as it was stored.
pub(crate) fn unpack_arrays(
    dtype: &str,
    shape: &str,
    codec: Option<&str>,
    checksum: &[u8],
    data: &[u8],
) -> Result<Bytes> {
    let damaged = |why: &str| Error::Corrupt {
        location: String::new(),
        what: "a block of arrays".into(),
        why: why.into(),
    };
    let (items, lengths) = (dtype.parse()?, parse_shape(shape)?);
    if codec != Some(COLUMN) {
        let block = Codec::decode(codec, items, &lengths, data)?;
        return match Checksum::of_parts(dtype, shape, block.data()).to_bytes() == checksum {
            true => Ok(block.into_data()),
            false => Err(damaged("the checksum differs from the one it was stored with")),
        };
    }
    let column = Block::open(data)?.array(0, None)?.to_data();
    let bytes = column.buffers().first().cloned().unwrap_or_default();
    match byte_size(items, &lengths) == Some(bytes.len()) {
        true => Ok(Bytes::from_owner(Unpacked(bytes))),
        false => Err(damaged("it has not as many items as its row says")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::shape_json;

    /// Goal: the bytes of arrays of every dtype come back from a block, and one array out of its middle; numbers are packed as numbers.
    #[test]
    fn arrays_of_every_dtype_return() {
        let dtypes = [
            "|b1",
            "|i1",
            "|u1",
            "<i2",
            "<u2",
            "<f2",
            "<i4",
            "<u4",
            "<f4",
            "<i8",
            "<u8",
            "<f8",
            "<c8",
            "<c16",
            "|S3",
            "<U2",
            "<M8[ns]",
            "<m8[25us]",
            ">i4",
            ">f8",
            ">U2",
            ">c16",
        ];
        for text in dtypes {
            let dtype: DType = text.parse().unwrap();
            let n = 5_000; // more than a piece
            let data: Vec<u8> = (0..n * dtype.item_size()).map(|i| (i * i % 251) as u8).collect();
            let (items, length, block) = pack_arrays(dtype, data.clone()).unwrap();
            let is_number = dtype.is_number() || text.contains('8');
            assert!(!is_number || dtype.is_big_endian() || items.item_size() == dtype.swap_size());
            let (name, shape) = (items.to_string(), shape_json(&[length]));
            let unpack = |shape: &str| unpack_arrays(&name, shape, Some(COLUMN), &[], &block);
            assert_eq!(unpack(&shape).unwrap(), data, "{text}");
            let error = unpack(&shape_json(&[length - 1])).unwrap_err();
            assert!(error.to_string().contains("as many items as its row says"), "{text}: {error}");
            let offset = 7 * dtype.item_size();
            let location = BlockLocation { block: 3, offset: offset as u64 }.to_bytes();
            let read = |shape: Vec<usize>, location: &[u8]| {
                array_in_block(dtype, shape, location, |id| {
                    assert_eq!(id, 3);
                    unpack(&shape_json(&[length]))
                })
            };
            let array = read(vec![2, 5], &location).unwrap();
            assert_eq!(array.data(), &data[offset..][..10 * dtype.item_size()], "{text}");
            for (n, location) in
                [(n - 6, &location[..]), (usize::MAX / 64, &location), (1, &location[..9])]
            {
                let error = read(vec![n], location).unwrap_err();
                assert!(
                    error.to_string().contains("a block and an offset in it"),
                    "{text}: {error}"
                );
            }
        }
        assert!(pack_arrays(DType::F64, Vec::new()).is_err());
    }

    /// Goal: a block of an earlier version is read by its codec, and its checksum is compared.
    #[test]
    fn blocks_of_earlier_versions_return() {
        let block = Array::from_slice(&(0..500).map(f64::from).collect::<Vec<_>>());
        let (codec, data) = Codec::Auto.encode(&block);
        let sum = Checksum::of(&block).to_bytes();
        let read = |sum: &[u8]| unpack_arrays("<f8", "[500]", codec, sum, &data);
        assert_eq!(read(&sum).unwrap(), block.data());
        assert!(codec.is_some() && read(&sum[1..]).is_err());
    }
}
